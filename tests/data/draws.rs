//! Numbers from a generator: normal, below a bound, from a softmax.

use std::convert::Infallible;

use fused_mlp::random::{StandardNormal, below, shuffle};
use fused_mlp::reference::Reference;
use fused_mlp::sample::{categorical, name};
use fused_mlp::{
    Error, Mlp, Model, NameModel, Predictor, Rng, SeedableRng, Sgd, Softmax, Tanh, Tokens, Trainer,
    Vocabulary, Xoshiro256PlusPlus,
};
use rand_xoshiro::rand_core::TryRng;

use crate::{chi_square, plausible};

#[test]
fn normal_draws_have_the_bits_that_a_python_script_computes() {
    // xoshiro256++ seeded by SplitMix64, and math.log, cos and sin, rounded to f32: tests/data/normal.py 1
    const EXPECTED: [u32; 8] = [
        0xbd08_239f,
        0xbfe9_d665,
        0xbc32_e64c,
        0xbeeb_269d,
        0xbf09_dbbd,
        0xbeb0_241f,
        0xc03a_5f23,
        0xbedc_f7a6,
    ];
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut normal = StandardNormal::default();
    let found = EXPECTED.map(|_| normal.sample(&mut rng).to_bits());
    assert_eq!(found, EXPECTED);
}

#[test]
fn a_model_is_initialised_by_these_draws_in_storage_order() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let model = NameModel::standard_normal(&mut rng);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut normal = StandardNormal::default();
    for (tensor, values) in model.tensors() {
        for &value in values {
            assert_eq!(value, normal.sample(&mut rng), "{}", tensor.name);
        }
    }
}

#[test]
fn normal_draws_have_the_moments_of_a_standard_normal() {
    const DRAWS: u32 = 1_000_000;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    let mut normal = StandardNormal::default();
    let mut sums = [0.0; 4];
    let (mut beyond_2, mut product, mut previous) = (0, 0.0, 0.0);
    for _ in 0..DRAWS {
        let x = f64::from(normal.sample(&mut rng));
        assert!(x.is_finite());
        for (power, sum) in (1..).zip(&mut sums) {
            *sum += x.powi(power);
        }
        beyond_2 += u32::from(x.abs() > 2.0);
        product += x * previous;
        previous = x;
    }
    let draws = f64::from(DRAWS);
    // Each within four standard deviations of what it estimates.
    let close = |what: &str, found: f64, expected: f64, variance: f64| {
        let allowed = 4.0 * (variance / draws).sqrt();
        assert!((found - expected).abs() < allowed, "{what}: {found}");
    };
    close("mean", sums[0] / draws, 0.0, 1.0);
    close("variance", sums[1] / draws, 1.0, 2.0);
    close("third moment", sums[2] / draws, 0.0, 15.0);
    close("fourth moment", sums[3] / draws, 3.0, 96.0);
    close("covariance of neighbours", product / draws, 0.0, 1.0);
    let share = 0.045_500_263_9;
    close(
        "share beyond 2",
        f64::from(beyond_2) / draws,
        share,
        share * (1.0 - share),
    );
}

/// Gives out these words, and then panics.
struct Script<'a>(&'a [u32]);

impl TryRng for Script<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let (&word, rest) = self.0.split_first().expect("a word was left");
        self.0 = rest;
        Ok(word)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from(self.try_next_u32()?) << 32)
    }

    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
        unimplemented!("nothing here draws bytes")
    }
}

/// Each result below n must come from the same number of words. Results rise with the word, so it is enough to look at the
/// words at the ends of each result's interval; those that are rejected are the ones after which another is drawn.
#[test]
fn integers_below_a_bound_have_no_bias() {
    for n in [
        1,
        2,
        3,
        5,
        6,
        7,
        10,
        27,
        100,
        255,
        182_580,
        (1 << 31) + 1,
        u32::MAX,
    ] {
        let share = (1_u64 << 32) / u64::from(n);
        let results = [0, 1, 2, n / 3, n / 2, n.saturating_sub(2), n - 1];
        for result in results.into_iter().filter(|&result| result < n) {
            let first_of = |result: u32| (u64::from(result) << 32).div_ceil(u64::from(n));
            let interval = first_of(result)..first_of(result + 1);
            let is_accepted = |word: u64| {
                let words = [u32::try_from(word).unwrap(), u32::MAX];
                let mut script = Script(&words);
                let drawn = below(&mut script, n);
                let accepted = script.0.len() == 1;
                assert!(
                    !accepted || drawn == result,
                    "{word} below {n} gives {drawn}"
                );
                accepted
            };
            let mut accepted = interval.end - interval.start;
            // Rejected words lie at the start of an interval, and are fewer than the rounding of the intervals: one.
            accepted -= u64::from(!is_accepted(interval.start));
            assert!(is_accepted(interval.end - 1) || interval.end - interval.start == 1);
            assert_eq!(accepted, share, "words for {result} below {n}");
        }
    }
}

#[test]
fn integers_below_a_bound_come_equally_often() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(9);
    for n in [2, 3, 5, 27, 100] {
        let mut counts = vec![0; n];
        for _ in 0..100_000 {
            let drawn = below(&mut rng, u32::try_from(n).unwrap());
            counts[usize::try_from(drawn).unwrap()] += 1;
        }
        let statistic = chi_square(&counts, &vec![1.0; n]);
        assert!(plausible(n - 1).contains(&statistic), "{statistic} for {n}");
    }
}

#[test]
#[should_panic = "there is no integer below 0"]
fn there_is_no_integer_below_0() {
    below(&mut Script(&[0]), 0);
}

#[test]
fn temperature_0_takes_the_first_of_the_largest_logits() {
    let mut no_randomness = Script(&[]);
    for (logits, expected) in [
        (&[0.0, 3.0, -1.0][..], 1),
        (&[2.0, 2.0, 1.0], 0),
        (&[-5.0, f32::MIN, -5.0], 0),
        (&[-1.0, -1.0, f32::MAX], 2),
        (&[7.0], 0),
    ] {
        assert_eq!(categorical(logits, 0.0, &mut no_randomness), Ok(expected));
        assert_eq!(categorical(logits, -0.0, &mut no_randomness), Ok(expected));
    }
}

#[test]
fn a_negative_infinite_or_nan_temperature_is_refused() {
    let mut no_randomness = Script(&[]);
    for temperature in [-1.0, -1e-30, f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        let error = categorical(&[0.0, 1.0], temperature, &mut no_randomness).unwrap_err();
        assert!(matches!(
            error,
            Error::Setting {
                name: "temperature",
                ..
            }
        ));
        let message = error.to_string();
        let found = f64::from(temperature).to_string();
        assert!(
            message.contains(&found) && message.contains("at least 0"),
            "{message}"
        );

        let model = NameModel::zeroed();
        let trainer = Trainer::new(model, Sgd::new(0.1)).unwrap();
        let drawn = name(
            &trainer,
            &Vocabulary::lowercase(),
            temperature,
            9,
            &mut no_randomness,
        );
        assert!(matches!(drawn, Err(Error::Setting { .. })));
    }
}

#[test]
fn classes_come_as_often_as_the_softmax_says() {
    let logits = [0.0, 1.0, -1.0, 2.0, 0.5_f32];
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
    for temperature in [0.5, 1.0, 3.0_f32] {
        let shares = logits.map(|z| f64::from(z / temperature).exp());
        let mut counts = [0; 5];
        for _ in 0..50_000 {
            counts[categorical(&logits, temperature, &mut rng).unwrap()] += 1;
        }
        let statistic = chi_square(&counts, &shares);
        assert!(
            plausible(4).contains(&statistic),
            "{statistic} at {temperature}"
        );
    }
}

#[test]
fn a_predictor_samples_as_often_as_the_reference_says() {
    type Letters = Mlp<Tokens<5, 2, 2>, Tanh<10>, Softmax<5>>;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(17);
    let model = Letters::fan_in_scaled(&mut rng);
    let predictor = Predictor::new(&model).unwrap();
    let reference = Reference::of(&model);
    for temperature in [0.5, 1.0, 3.0] {
        for input in [[0, 0], [3, 1], [4, 4]] {
            // The loss of a class is −ln of its probability.
            let shares = [0, 1, 2, 3, 4].map(|class| {
                let loss = reference.loss(&[input], &[class]).unwrap();
                (-loss / f64::from(temperature)).exp()
            });
            let mut counts = [0; 5];
            for _ in 0..50_000 {
                counts[predictor.sample(&input, temperature, &mut rng).unwrap()] += 1;
            }
            let statistic = chi_square(&counts, &shares);
            assert!(
                plausible(4).contains(&statistic),
                "{statistic} for {input:?} at {temperature}"
            );
        }
    }
    let mut no_randomness = Script(&[]);
    for input in [[0, 0], [3, 1], [4, 4]] {
        let drawn = predictor.sample(&input, 0.0, &mut no_randomness);
        assert_eq!(drawn, predictor.top(&input));
    }
    let refused = predictor.sample(&[0, 0], -1.0, &mut no_randomness);
    assert!(matches!(refused, Err(Error::Setting { .. })));
}

#[test]
fn extreme_logits_and_temperatures_draw_a_class_all_the_same() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(13);
    for temperature in [f32::from_bits(1), 1e-20, 1.0, f32::MAX] {
        for _ in 0..100 {
            let drawn = categorical(&[f32::MIN, 1.0, f32::MAX, -1.0], temperature, &mut rng);
            let drawn = drawn.unwrap();
            assert!(
                drawn == 2 || (temperature == f32::MAX && drawn < 4),
                "{drawn} at {temperature}"
            );
        }
    }
}

/// A model whose bias alone speaks: it says the same letter for ever.
#[test]
fn a_name_ends_at_the_end_mark_or_at_the_longest_length() {
    let vocabulary = Vocabulary::lowercase();
    let says = |token: usize, longest| {
        let mut model = NameModel::zeroed();
        model.output.bias[token] = 1.0;
        let trainer = Trainer::new(model, Sgd::new(0.1)).unwrap();
        name(&trainer, &vocabulary, 0.0, longest, &mut Script(&[])).unwrap()
    };
    assert_eq!(says(3, 5), "ccccc");
    assert_eq!(says(26, 1), "z");
    assert_eq!(says(3, 0), "");
    assert_eq!(says(0, 5), "");
}

#[test]
fn a_generator_gives_what_its_authors_program_gives() {
    // The first outputs of xoshiro256++ (Blackman and Vigna) from the state that SplitMix64 makes of seed 1.
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let found = [(); 4].map(|()| rng.next_u64());
    let expected = [
        0xcfc5_d07f_6f03_c29b,
        0xbf42_4132_963f_e08d,
        0x19a3_7d57_57aa_f520,
        0xbf08_119f_05cd_56d6,
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_shuffle_gives_every_order_equally_often() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(9);
    let mut counts = [0; 256];
    for _ in 0..24_000 {
        let mut items = [0, 1, 2, 3];
        shuffle(&mut rng, &mut items);
        counts[items.iter().fold(0, |code, item| 4 * code + item)] += 1;
    }
    let orders: Vec<u32> = counts.into_iter().filter(|&count| count > 0).collect();
    assert_eq!(orders.len(), 24);
    let statistic = chi_square(&orders, &[1.0; 24]);
    assert!(plausible(23).contains(&statistic), "{statistic}");
}
