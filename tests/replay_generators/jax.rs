//! JAX's generator. The digests, small spans and categories were made with jax and jaxlib 0.10.2 on
//! x86-64.

use fused_mlp::replay::jax::{Batches, Key, Threefry, threefry_2x32};

use super::{
    EXAMPLES, TENSORS, assert_batches, assert_initial_values, bits, filled, integers, sha256_f32,
    sha256_u32, vectors, words,
};

/// Each layout with the name of its fixtures.
const LAYOUTS: [(Threefry, &str); 2] = [
    (Threefry::NonPartitionable, "jax_nonpartitionable"),
    (Threefry::Partitionable, "jax_partitionable"),
];

#[test]
fn threefry_gives_the_published_blocks() {
    for vector in vectors("threefry2x32").as_array().unwrap() {
        let pair = |name: &str| <[u32; 2]>::try_from(words(&vector[name])).unwrap();
        assert_eq!(threefry_2x32(pair("key"), pair("counter")), pair("output"));
    }
}

#[test]
fn draws_the_vectors_in_both_layouts() {
    for (layout, group) in LAYOUTS {
        let expected = vectors(group);
        let key = Key::new(0, layout);
        assert_eq!(key.words()[..], words(&expected["key_PRNGKey_0"]));
        for len in [2, 3, 6] {
            let mut children = vec![key; len];
            key.split_into(&mut children);
            let children: Vec<u32> = children.iter().flat_map(|child| child.words()).collect();
            assert_eq!(children, words(&expected[format!("split_{len}")]));
        }
        for len in [1, 2, 3, 5, 8] {
            assert_eq!(
                filled(len, |out| key.bits(out)),
                words(&expected[format!("bits_{len}")])
            );
        }
        for len in [5, 8] {
            let normals = filled(len, |out| key.normal(out));
            assert_eq!(bits(&normals), words(&expected[format!("normal_{len}")]));
        }
        assert_eq!(
            bits(&filled(8, |out| key.uniform(out))),
            words(&expected["uniform_8"])
        );
        assert_eq!(
            bits(&filled(27, |out| key.gumbel(out))[..8]),
            words(&expected["gumbel_1x27_first_8"])
        );
        let indices = filled(8, |out| key.randint(182_625, out));
        assert_eq!(
            indices.into_iter().map(u64::from).collect::<Vec<_>>(),
            integers(&expected["randint_8_span_182625"])
        );
        let mut next = key;
        for expected in words(&expected["first_3_batch_subkeys"]).chunks(2) {
            let [key, subkey] = next.split();
            assert_eq!(subkey.words()[..], *expected);
            next = key;
        }
    }
}

#[test]
fn draws_a_million_variates_with_jaxs_digests() {
    const LEN: usize = 1_000_003;
    for ((layout, _), [normal, gumbel, uniform, bits]) in LAYOUTS.into_iter().zip([
        [
            "b58abac1573e6087705e2325cf44fa097e823ca2d81bc54352be9c00ad75887e",
            "29325a79451be857b5e11951b46d38f0422da0cbabc0f2d34b619b99d29963f4",
            "7509fef695b87f97501f6efe05c112e40481c7890e1fc0aaa52d1f03879b2f58",
            "231c7d98dbe3ce0e88db5fc5b54accf6db340ae93553acd73c6fb21c3d78e966",
        ],
        [
            "99067985289b40848437f16b2b42bb5715db9ce24889fe14fa79bc881bd84651",
            "02c9924281c343afc9c31027afa7e71c7ff5615ea7a71d81f835e80016b771ae",
            "79bf0568a5bace526f423f6108db0faaf7620b528c195a7117903692f4694e1e",
            "065b5b1744691aba52b31419532a62c701478e6728e0a74817287b8e18abc6ad",
        ],
    ]) {
        let key = Key::new(u32::MAX, layout);
        assert_eq!(
            sha256_f32(&filled(LEN, |out| key.normal(out))),
            normal,
            "{layout:?}"
        );
        assert_eq!(
            sha256_f32(&filled(LEN, |out| key.gumbel(out))),
            gumbel,
            "{layout:?}"
        );
        assert_eq!(
            sha256_f32(&filled(LEN, |out| key.uniform(out))),
            uniform,
            "{layout:?}"
        );
        assert_eq!(
            sha256_u32(&filled(LEN, |out| key.bits(out))),
            bits,
            "{layout:?}"
        );
    }
}

#[test]
fn draws_integers_below_spans_where_both_halves_of_the_key_count() {
    const SPANS: [u32; 7] = [1, 10, 1_000, 65_535, 65_536, 65_537, (1 << 31) - 1];
    #[rustfmt::skip]
    let expected = [
        [[0, 0, 0, 0, 0], [2, 1, 7, 1, 9], [432, 201, 797, 771, 759], [9417, 4356, 22852, 39706, 17259],
         [53128, 15281, 373, 29195, 50247], [7656, 43624, 2997, 25528, 59499],
         [832622473, 290077618, 1975583094, 240349707, 1541260360]],
        [[0, 0, 0, 0, 0], [8, 7, 5, 5, 6], [808, 247, 635, 5, 366], [22058, 53987, 9400, 29885, 17036],
         [23776, 16199, 17003, 40685, 61590], [9372, 57851, 10902, 45208, 8909],
         [944004320, 1565343559, 399852139, 1851170542, 1305079959]],
    ];
    for ((layout, _), expected) in LAYOUTS.into_iter().zip(expected) {
        for (span, expected) in SPANS.into_iter().zip(expected) {
            assert_eq!(
                filled(5, |out| Key::new(u32::MAX, layout).randint(span, out)),
                expected
            );
        }
    }
}

#[test]
fn samples_jaxs_categories() {
    #[rustfmt::skip]
    let expected = [
        [18, 16, 4, 17, 11, 14, 23, 14, 13, 18, 3, 0, 12, 19, 17, 26, 19, 12, 13, 10,
         5, 24, 5, 18, 5, 7, 15, 19, 25, 11, 12, 13, 2, 16, 8, 25, 6, 5, 5, 25],
        [24, 25, 14, 24, 9, 19, 11, 0, 9, 10, 18, 5, 18, 19, 5, 18, 19, 14, 5, 26,
         14, 13, 18, 12, 19, 15, 3, 1, 22, 14, 21, 6, 15, 15, 11, 19, 7, 5, 7, 16],
    ];
    for ((layout, _), expected) in LAYOUTS.into_iter().zip(expected) {
        let keys: [Key; 40] = Key::new(u32::MAX, layout).split();
        assert_eq!(
            keys.map(|key| key.categorical(&filled(27, |out| key.normal(out)))),
            expected
        );
        for key in keys {
            // Equal logits: the first maximum of the noise alone.
            let noise = filled(27, |out| key.gumbel(out));
            let largest = noise.iter().copied().fold(f32::MIN, f32::max);
            let expected = noise.iter().position(|&score| score == largest);
            assert_eq!(Some(key.categorical(&[0.0; 27])), expected);
        }
    }
}

#[test]
fn lays_out_counters_as_documented() {
    let key = [0x1234_5678, 0x9abc_def0];
    for len in 1..100_u32 {
        // Non-partitionable: the counters in two rows, a zero at the end if the last place is free.
        let mut counters: Vec<u32> = (0..len).collect();
        counters.resize(len.next_multiple_of(2) as usize, 0);
        let (top, bottom) = counters.split_at(counters.len() / 2);
        let blocks: Vec<[u32; 2]> = top
            .iter()
            .zip(bottom)
            .map(|(&a, &b)| threefry_2x32(key, [a, b]))
            .collect();
        let mut rows = [0, 1]
            .map(|row| blocks.iter().map(|block| block[row]).collect::<Vec<u32>>())
            .concat();
        rows.truncate(len as usize);
        let drawn = filled(len as usize, |out| {
            Key::from_words(key, Threefry::NonPartitionable).bits(out);
        });
        assert_eq!(drawn, rows);
        // Partitionable: a shorter array is the beginning of a longer one.
        let key = Key::from_words(key, Threefry::Partitionable);
        let [short, long] = [len, 100].map(|len| filled(len as usize, |out| key.bits(out)));
        assert_eq!(short, long[..len as usize]);
    }
}

#[test]
fn all_3481_jax_initial_values_match_in_both_layouts() {
    for (layout, run) in LAYOUTS {
        let [_, children @ ..] = Key::new(0, layout).split::<6>();
        let mut children = children.into_iter();
        let parameters =
            TENSORS.map(|(_, len)| filled(len, |out| children.next().unwrap().normal(out)));
        assert_initial_values(run, run, &parameters);
    }
}

#[test]
fn all_320000_jax_indices_match_in_both_layouts() {
    for (layout, run) in LAYOUTS {
        assert_batches(run, Batches::new(Key::new(0, layout), EXAMPLES));
    }
}

#[test]
#[should_panic(expected = "no integer is below 0")]
fn nothing_is_below_zero() {
    Key::new(0, Threefry::Partitionable).randint(0, &mut [0]);
}

#[test]
#[should_panic(expected = "there is no category to draw")]
fn no_categories_are_refused() {
    _ = Key::new(0, Threefry::Partitionable).categorical(&[]);
}
