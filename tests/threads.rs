//! The number of threads changes no bit, and nothing that is promised of one thread.

mod support;

use std::ops::ControlFlow::Continue;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fused_mlp::losses::squared;
use fused_mlp::random::StandardNormal;
use fused_mlp::schedule::cosine;
use fused_mlp::{
    AdamW, Backend, Dataset, Dense, Error, Fit, Length, Minibatch, Mlp, Model, Momentum, Optimizer,
    Regression, Relu, SeedableRng, Sgd, Tanh, Trainer, TrainingState, Xoshiro256PlusPlus,
};
use proptest::prelude::*;

use support::{config, fused};

/// Large enough for eight threads to share a step of 3,000 examples.
type Wide = Mlp<Dense<16>, (Tanh<128>, Relu<70>), Regression<3>>;

const REGRESSIONS: &str = "tests/proptest-regressions/threads.txt";
const FEATURES: usize = 16;
const OPTIMIZERS: [Optimizer; 3] = [
    Optimizer::Sgd(Sgd::new(0.05)),
    Optimizer::Momentum(Momentum::new(0.01, 0.9)),
    Optimizer::AdamW(AdamW::new(0.01)),
];

fn trainer(optimizer: impl Into<Optimizer>, threads: usize) -> Trainer<Wide> {
    let model = Wide::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(1));
    let trainer = Trainer::new(model, optimizer).expect("a model of finite numbers");
    trainer
        .with_threads(threads)
        .expect("as many threads as are asked for")
}

/// Inputs and targets of so many examples.
fn examples(seed: u64, count: usize) -> (Vec<[f32; FEATURES]>, Vec<[f32; 3]>) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut normal = StandardNormal::default();
    let mut draw = || {
        let input = [(); FEATURES].map(|()| normal.sample(&mut rng));
        (input, [input[0] * input[1], input[2].abs(), -input[3]])
    };
    (0..count).map(|_| draw()).unzip()
}

/// The numbers that the steps to come depend on.
fn bits(state: &TrainingState<Wide>) -> Vec<u32> {
    let models = [&state.model].into_iter().chain(&state.moments);
    let values = models.flat_map(|model| model.tensors().map(|(_, values)| values));
    values.flatten().map(|value| value.to_bits()).collect()
}

proptest! {
    #![proptest_config(config(12, REGRESSIONS))]

    /// Steps of every kind, an evaluation and predictions, on batches of any length.
    #[test]
    fn any_number_of_threads_has_the_bits_of_one(
        seed: u64,
        count in 1..4_000_usize,
        optimizer in prop::sample::select(&OPTIMIZERS),
        clips: bool,
    ) {
        let (inputs, targets) = examples(seed, count);
        let weights = (0..count).map(|example| (example % 7) as f32).collect();
        let data = Dataset::new(inputs.clone(), targets.clone()).unwrap();
        let all: Vec<u32> = (0..).take(count).collect();
        let weighted = data.clone().with_weights(weights);
        let run = |threads, backend| {
            let mut trainer = trainer(optimizer, threads).with_backend(backend);
            if clips {
                trainer = trainer.with_clipping(0.1).unwrap();
            }
            let mut numbers = Vec::new();
            for _ in 0..2 {
                numbers.push(trainer.step(&inputs, &targets).unwrap());
                numbers.push(trainer.step_with(&inputs, &targets, squared).unwrap());
            }
            numbers.push(trainer.evaluate(&data).unwrap());
            if let Ok(weighted) = &weighted {
                numbers.push(trainer.evaluate(weighted).unwrap_or(f32::NAN));
            }
            numbers.push(trainer.gradients(&inputs, &targets).unwrap().loss());
            let mut batch = Minibatch::new(count);
            data.select(&all, &mut batch).unwrap();
            let blocks = batch.blocks() / 3..batch.blocks();
            for sum in trainer.partial_gradients(&batch, blocks).unwrap().into_sums() {
                numbers.extend(sum.gradients);
            }
            let mut predictions = vec![[0.0; 3]; count];
            trainer.predict_batch(&inputs, &mut predictions).unwrap();
            numbers.extend(predictions.as_flattened());
            (bits(&trainer.state()), numbers.into_iter().map(f32::to_bits).collect::<Vec<_>>())
        };
        for backend in fused().filter(|&backend| backend != Backend::SCALAR) {
            let alone = run(1, backend);
            for threads in [2, 3, 8] {
                prop_assert!(run(threads, backend) == alone, "{threads} threads on {backend}");
            }
        }
    }
}

#[test]
fn a_fit_has_the_bits_of_one_thread() {
    let (inputs, targets) = examples(2, 3_000);
    let data = Dataset::new(inputs, targets).unwrap();
    let run = |threads| {
        let mut trainer = trainer(AdamW::new(0.003), threads);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
        let fit = Fit {
            length: Length::Epochs {
                epochs: 3,
                drop_last: false,
            },
            batch: 700,
            schedule: |step| cosine(step, 15, 0.1),
        };
        let fitted = trainer
            .fit(&data, fit, &mut rng, |_| Ok(Continue(())))
            .unwrap();
        (bits(&trainer.state()), fitted.loss)
    };
    let alone = run(1);
    for threads in [2, 3, 8] {
        assert!(run(threads) == alone, "{threads} threads");
    }
}

#[test]
fn clones_share_their_threads_and_nothing_else() {
    let (inputs, targets) = examples(4, 2_000);
    let mut first = trainer(Sgd::new(0.1), 3);
    let mut second = first.clone();
    assert_eq!(second.threads(), 3);
    std::thread::scope(|scope| {
        scope.spawn(|| first.step(&inputs, &targets).unwrap());
        second.step(&inputs, &targets).unwrap();
    });
    assert_eq!(first.model(), second.model());
}

#[test]
fn the_first_of_all_bad_losses_is_named_whichever_thread_meets_one_first() {
    let (inputs, _) = examples(5, 3_000);
    let indices: Vec<usize> = (0..inputs.len()).collect();
    for first in [0, 700, 1_000, 2_999] {
        for threads in [1, 2, 3, 8] {
            let mut trainer = trainer(AdamW::new(0.01), threads);
            let before = bits(&trainer.state());
            let loss = |_: &[f32; 3], &index: &usize| match index {
                _ if index >= first => (1.0, [0.0, f32::INFINITY, 0.0]),
                _ => (1.0, [0.0; 3]),
            };
            let error = trainer.step_with(&inputs, &indices, loss).unwrap_err();
            let expected = Error::NonFiniteLoss {
                example: first,
                output: Some(1),
                value: f32::INFINITY,
            };
            assert_eq!(error, expected, "{threads} threads");
            assert!(bits(&trainer.state()) == before, "{threads} threads");
        }
    }
}

#[test]
fn a_panic_on_any_thread_reaches_the_caller_and_harms_nothing() {
    let (inputs, targets) = examples(6, 3_000);
    let indices: Vec<usize> = (0..inputs.len()).collect();
    let mut expected = trainer(AdamW::new(0.01), 1);
    expected.step(&inputs, &targets).unwrap();
    for threads in [2, 3, 8] {
        let mut trainer = trainer(AdamW::new(0.01), threads);
        for bad in [0, 1_600, 2_999] {
            let loss = |_: &[f32; 3], &index: &usize| {
                assert!(index != bad, "no loss for this one");
                (0.0, [0.0; 3])
            };
            let step = || trainer.step_with(&inputs, &indices, loss);
            assert!(catch_unwind(AssertUnwindSafe(step)).is_err());
        }
        trainer.step(&inputs, &targets).unwrap();
        assert!(bits(&trainer.state()) == bits(&expected.state()));
    }
}

#[test]
fn no_thread_and_more_than_there_can_be_are_errors() {
    let trainer = trainer(Sgd::new(0.1), 1);
    for threads in [0, usize::MAX] {
        let error = trainer.clone().with_threads(threads).unwrap_err();
        assert!(error.to_string().contains("threads"), "{error}");
    }
}

/// So many parameters that adding up the gradients of the threads is shared as well.
#[test]
fn a_large_model_has_the_bits_of_one_thread() {
    type Large = Mlp<Dense<64>, Relu<1030>, Regression<2>>;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    let model = Large::fan_in_scaled(&mut rng);
    let mut normal = StandardNormal::default();
    let inputs: Vec<[f32; 64]> = (0..330)
        .map(|_| [(); 64].map(|()| normal.sample(&mut rng)))
        .collect();
    let targets: Vec<[f32; 2]> = inputs.iter().map(|input| [input[0], input[1]]).collect();
    for optimizer in OPTIMIZERS {
        let run = |threads| {
            let trainer = Trainer::new(model.clone(), optimizer).unwrap();
            let mut trainer = trainer.with_threads(threads).unwrap();
            for _ in 0..3 {
                trainer.step(&inputs, &targets).unwrap();
            }
            trainer.model()
        };
        let alone = run(1);
        for threads in [2, 3, 8] {
            assert!(run(threads) == alone, "{threads} threads, {optimizer:?}");
        }
    }
}
