//! The replayed generators against a second formulation of each, written from its publication and in another form.
#![no_main]

use fused_mlp::replay::jax::{self, Key, Threefry};
use fused_mlp::replay::python::Random;
use fused_mlp::replay::torch::{self, Generator};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Input {
    Python {
        seed: Vec<u32>,
        draws: Vec<Draw>,
    },
    Torch {
        seed: u64,
        draws: Vec<Draw>,
        examples: u32,
    },
    Jax {
        key: [u32; 2],
        partitionable: bool,
        len: u8,
        span: u32,
    },
}

#[derive(Arbitrary, Debug)]
enum Draw {
    Word,
    TwoWords,
    Bits(u8),
    Below(u64),
    /// A length, of an array of floats or of a list to shuffle.
    Many(u8),
}

fuzz_target!(|input: Input| match input {
    Input::Python { seed, draws } => python(&seed, &draws),
    Input::Torch {
        seed,
        draws,
        examples,
    } => torch(seed, &draws, examples as usize),
    Input::Jax {
        key,
        partitionable,
        len,
        span,
    } => jax(key, partitionable, len.into(), span),
});

/// MT19937 as its authors published it: state and output a whole block at a time.
struct Twister {
    state: [u32; 624],
    used: usize,
}

impl Twister {
    fn init_genrand(seed: u32) -> Self {
        let mut state = [0; 624];
        state[0] = seed;
        for i in 1..624 {
            let previous: u32 = state[i - 1];
            let product = 1_812_433_253 * u64::from(previous ^ (previous >> 30)) + i as u64;
            state[i] = product as u32;
        }
        Self { state, used: 624 }
    }

    fn init_by_array(key: &[u32]) -> Self {
        let mut mt = Self::init_genrand(19_650_218);
        let (mut i, mut j) = (1, 0);
        for _ in 0..key.len().max(624) {
            let previous = mt.state[i - 1];
            mt.state[i] = (mt.state[i] ^ (previous ^ (previous >> 30)).wrapping_mul(1_664_525))
                .wrapping_add(key[j])
                .wrapping_add(j as u32);
            i += 1;
            j += 1;
            if i >= 624 {
                mt.state[0] = mt.state[623];
                i = 1;
            }
            if j >= key.len() {
                j = 0;
            }
        }
        for _ in 0..623 {
            let previous = mt.state[i - 1];
            mt.state[i] = (mt.state[i] ^ (previous ^ (previous >> 30)).wrapping_mul(1_566_083_941))
                .wrapping_sub(i as u32);
            i += 1;
            if i >= 624 {
                mt.state[0] = mt.state[623];
                i = 1;
            }
        }
        mt.state[0] = 1 << 31;
        mt
    }

    fn word(&mut self) -> u32 {
        if self.used == 624 {
            let old = self.state;
            for k in 0..624 {
                // Words from 624 on are those of the new block.
                let at =
                    |state: &[u32; 624], k: usize| if k < 624 { old[k] } else { state[k - 624] };
                let y = (old[k] >> 31 << 31) + (at(&self.state, k + 1) & (u32::MAX >> 1));
                let matrix = if y % 2 == 1 { 0x9908_b0df } else { 0 };
                self.state[k] = at(&self.state, k + 397) ^ (y / 2) ^ matrix;
            }
            self.used = 0;
        }
        let y = self.state[self.used];
        self.used += 1;
        let y = y ^ (y >> 11);
        let y = y ^ (y << 7 & 0x9d2c_5680);
        let y = y ^ (y << 15 & 0xefc6_0000);
        y ^ (y >> 18)
    }

    /// `bits` bits, as CPython's getrandbits fills an integer from its least significant word.
    fn bits(&mut self, bits: u32) -> u64 {
        let mut value = 0;
        let mut at = 0;
        while at + 32 <= bits {
            value += u64::from(self.word()) << at;
            at += 32;
        }
        if at < bits {
            value += u64::from(self.word() >> (32 - (bits - at))) << at;
        }
        value
    }

    fn below(&mut self, n: u64) -> u64 {
        let bits = if n == 0 { 0 } else { n.ilog2() + 1 };
        let mut value = self.bits(bits);
        while value >= n {
            value = self.bits(bits);
        }
        value
    }
}

fn python(seed: &[u32], draws: &[Draw]) {
    let mut found = Random::from_words(seed);
    let mut key = seed.to_vec();
    while key.len() > 1 && key.last() == Some(&0) {
        key.pop();
    }
    if key.is_empty() {
        key.push(0);
    }
    let mut expected = Twister::init_by_array(&key);
    if let [low, high] = *seed {
        let mut same = Random::from_seed(u64::from(high) << 32 | u64::from(low));
        assert_eq!(same.getrandbits(64), found.clone().getrandbits(64));
    }
    for draw in draws.iter().take(1_000) {
        match *draw {
            Draw::Word => assert_eq!(found.getrandbits(32), u64::from(expected.word())),
            Draw::TwoWords => assert_eq!(found.getrandbits(64), expected.bits(64)),
            Draw::Bits(bits) => {
                let bits = u32::from(bits % 65);
                assert_eq!(found.getrandbits(bits), expected.bits(bits));
            }
            Draw::Below(n) => assert_eq!(found.below(n.max(1)), expected.below(n.max(1))),
            Draw::Many(len) => {
                let mut list: Vec<u8> = (0..len).collect();
                found.shuffle(&mut list);
                // The other way round: where does each place's item come from?
                let mut from: Vec<u8> = (0..len).collect();
                let mut at = usize::from(len);
                while at > 1 {
                    let other = expected.below(at as u64) as usize;
                    at -= 1;
                    let item = from[at];
                    from[at] = from[other];
                    from[other] = item;
                }
                assert_eq!(list, from);
            }
        }
    }
}

fn torch(seed: u64, draws: &[Draw], examples: usize) {
    let mut found = Generator::manual_seed(seed);
    let mut expected = Twister::init_genrand((seed % (1 << 32)) as u32);
    let two_words = |mt: &mut Twister| u64::from(mt.word()) * (1 << 32) + u64::from(mt.word());
    for draw in draws.iter().take(1_000) {
        match *draw {
            Draw::Word => assert_eq!(found.next_u32(), expected.word()),
            Draw::TwoWords => assert_eq!(found.next_u64(), two_words(&mut expected)),
            Draw::Bits(bits) => {
                let n = 1_u64 << (bits % 64);
                let word = if bits % 64 < 28 {
                    expected.word().into()
                } else {
                    two_words(&mut expected)
                };
                assert_eq!(found.randint(n), word & (n - 1));
            }
            Draw::Below(n) => {
                let n = n.max(1);
                let word = if n >> 28 == 0 {
                    expected.word().into()
                } else {
                    two_words(&mut expected)
                };
                assert_eq!(found.randint(n), word - word / n * n);
            }
            Draw::Many(len) => {
                let mut floats = vec![f32::NAN; len.into()];
                found.rand(&mut floats);
                for float in floats {
                    assert_eq!(
                        float,
                        (expected.word() & 0x00ff_ffff) as f32 * 2.0_f32.powi(-24)
                    );
                }
            }
        }
    }
    if examples > 0 {
        let batch = torch::Batches::<8>::new(found.clone(), examples)
            .next()
            .expect("it is endless");
        assert_eq!(
            batch,
            [(); 8].map(|()| found.randint(examples as u64) as u32)
        );
    }
}

/// Threefry-2x32-20 as Random123 writes it out: four rounds and a key injection, five times.
fn threefry(key: [u32; 2], [mut x0, mut x1]: [u32; 2]) -> [u32; 2] {
    let [k0, k1] = key;
    let k2 = 0x1bd1_1bda ^ k0 ^ k1;
    x0 = x0.wrapping_add(k0);
    x1 = x1.wrapping_add(k1);
    let injections = [
        (k1, k2, 1),
        (k2, k0, 2),
        (k0, k1, 3),
        (k1, k2, 4),
        (k2, k0, 5),
    ];
    for (group, (a, b, number)) in injections.into_iter().enumerate() {
        let rotations = if group % 2 == 0 {
            [13, 15, 26, 6]
        } else {
            [17, 29, 16, 24]
        };
        for r in rotations {
            x0 = x0.wrapping_add(x1);
            x1 = (x1 << r) | (x1 >> (32 - r));
            x1 ^= x0;
        }
        x0 = x0.wrapping_add(a);
        x1 = x1.wrapping_add(b).wrapping_add(number);
    }
    [x0, x1]
}

/// The words of an array: all counters laid out first, then encrypted, then put together.
fn words(key: [u32; 2], partitionable: bool, len: usize) -> Vec<u32> {
    if partitionable {
        return (0..len as u32)
            .map(|i| threefry(key, [0, i]))
            .map(|[a, b]| a ^ b)
            .collect();
    }
    let mut counters: Vec<u32> = (0..len as u32).collect();
    if len % 2 == 1 {
        counters.push(0);
    }
    let (firsts, seconds) = counters.split_at(counters.len() / 2);
    let blocks = firsts
        .iter()
        .zip(seconds)
        .map(|(&a, &b)| threefry(key, [a, b]));
    let (mut all, second): (Vec<u32>, Vec<u32>) = blocks.map(|[a, b]| (a, b)).unzip();
    all.extend(second);
    all.truncate(len);
    all
}

fn children(key: [u32; 2], partitionable: bool, len: usize) -> Vec<[u32; 2]> {
    if partitionable {
        return (0..len as u32).map(|i| threefry(key, [0, i])).collect();
    }
    words(key, false, 2 * len)
        .chunks(2)
        .map(|pair| [pair[0], pair[1]])
        .collect()
}

fn randint(key: [u32; 2], partitionable: bool, len: usize, span: u64) -> Vec<u64> {
    let halves = children(key, partitionable, 2);
    let [high, low] = [halves[0], halves[1]].map(|key| words(key, partitionable, len));
    let in_32_bits = |x: u64| x & 0xffff_ffff;
    let multiplier = in_32_bits((65_536 % span) * (65_536 % span)) % span;
    let pairs = high.into_iter().zip(low);
    pairs
        .map(|(h, l)| {
            in_32_bits(in_32_bits(u64::from(h) % span * multiplier) + u64::from(l) % span) % span
        })
        .collect()
}

fn jax(words_of_key: [u32; 2], partitionable: bool, len: usize, span: u32) {
    let layout = if partitionable {
        Threefry::Partitionable
    } else {
        Threefry::NonPartitionable
    };
    let key = Key::from_words(words_of_key, layout);
    assert_eq!(
        jax::threefry_2x32(words_of_key, [span, 1]),
        threefry(words_of_key, [span, 1])
    );

    let mut bits = vec![0; len];
    key.bits(&mut bits);
    assert_eq!(bits, words(words_of_key, partitionable, len));

    let mut uniform = vec![f32::NAN; len];
    key.uniform(&mut uniform);
    for (float, word) in uniform.into_iter().zip(&bits) {
        assert_eq!(float, (word / 512) as f32 / 8_388_608.0);
    }

    let mut split = vec![key; len];
    key.split_into(&mut split);
    let split: Vec<[u32; 2]> = split.into_iter().map(Key::words).collect();
    assert_eq!(split, children(words_of_key, partitionable, len));

    let span = span.max(1);
    let mut integers = vec![0; len];
    key.randint(span, &mut integers);
    let integers: Vec<u64> = integers.into_iter().map(u64::from).collect();
    assert_eq!(
        integers,
        randint(words_of_key, partitionable, len, span.into())
    );

    let batch = jax::Batches::<5>::new(key, span as usize)
        .next()
        .expect("it is endless");
    let second = children(words_of_key, partitionable, 2)[1];
    let expected = randint(second, partitionable, 5, span.into());
    assert!(batch.map(u64::from).into_iter().eq(expected));
}
