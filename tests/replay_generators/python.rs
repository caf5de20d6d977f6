//! Python's generator. The digests and the large seeds were made with CPython 3.11.

use fused_mlp::replay::python::Random;

use super::{integers, sha256, sha256_u32, vectors, words};

#[test]
fn draws_the_vectors() {
    let expected = vectors("python_random");
    let mut random = Random::from_seed(42);
    for word in words(&expected["getrandbits32"]) {
        assert_eq!(random.getrandbits(32), u64::from(word));
    }
    let mut random = Random::from_seed(42);
    let below = [32033, 32032, 32031, 32030].map(|n| random.below(n));
    assert_eq!(
        below[..],
        integers(&expected["randbelow_32033_32032_32031_32030"])
    );
    let mut numbers: Vec<u64> = (0..10).collect();
    Random::from_seed(42).shuffle(&mut numbers);
    assert_eq!(numbers, integers(&expected["shuffle_0_to_9"]));
}

#[test]
fn shuffles_as_many_items_as_there_are_names() {
    let mut numbers: Vec<u32> = (0..32_033).collect();
    Random::from_seed(42).shuffle(&mut numbers);
    assert_eq!(
        sha256_u32(&numbers),
        "7a056801624731b43f06633a3add0de32b12d2c66e2558af99f6386a55844999"
    );
}

#[test]
fn takes_seeds_of_any_size() {
    for (seed, expected) in [
        (0, 0x629f_6fbe_d82c_07cd),
        (1, 0x91b7_584a_2265_b1f5),
        ((1 << 32) - 1, 0x9e9c_04f4_a2a6_c909),
        (1 << 32, 0x59ef_8bbc_1ced_31d7),
        ((1 << 40) + 7, 0xbf50_a462_9d1b_b0da),
        (u64::MAX, 0x3faf_f328_0596_5e7e),
    ] {
        assert_eq!(Random::from_seed(seed).getrandbits(64), expected, "{seed}");
    }
    // 2^100 + 5, with and without a zero on top.
    for seed in [&[5, 0, 0, 16][..], &[5, 0, 0, 16, 0]] {
        assert_eq!(
            Random::from_words(seed).getrandbits(64),
            0x779c_c4ff_b40e_c452
        );
    }
    assert_eq!(
        Random::from_words(&[]).getrandbits(64),
        Random::from_seed(0).getrandbits(64)
    );
}

#[test]
fn draws_any_number_of_bits() {
    let mut random = Random::from_seed(42);
    assert_eq!(random.getrandbits(0), 0);
    let draws = (1..=64)
        .flat_map(|bits| [bits; 50])
        .map(|bits| random.getrandbits(bits).to_le_bytes());
    assert_eq!(
        sha256(draws),
        "a85acde6bccd45dabc324037ac694b3d6b17155b46fec628eadc793ef668267e"
    );
}

#[test]
fn draws_below_any_bound() {
    let mut random = Random::from_seed(42);
    let powers = (11..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]);
    let draws = (1..2_000)
        .chain(powers)
        .map(|n| random.below(n).to_le_bytes());
    assert_eq!(
        sha256(draws),
        "7b35822fdd92566c5beca213d6c44f0022fcba3ce5c1adbfe9c35595c1dae111"
    );
}

#[test]
#[should_panic(expected = "no integer is below 0")]
fn nothing_is_below_zero() {
    Random::from_seed(42).below(0);
}

#[test]
#[should_panic(expected = "do not fit 64")]
fn more_than_64_bits_are_refused() {
    Random::from_seed(42).getrandbits(65);
}
