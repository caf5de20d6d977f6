//! After construction, training and evaluation allocate nothing.

#![expect(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; this one counts and hands on to the system's"
)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::ops::ControlFlow;

use fused_mlp::losses::cross_entropy;
use fused_mlp::schedule::cosine;
use fused_mlp::{
    AdamW, Backend, Corpus, Dataset, Dense, Error, Fit, Length, Minibatch, Mlp, Momentum,
    NameModel, Optimizer, Predictor, Regression, Relu, SeedableRng, Sgd, Softmax, Tanh, Tokens,
    Trainer, Vocabulary, Xoshiro256PlusPlus,
};

use support::repetitions;

/// Counts what each thread asks of the system's allocator.
struct Counting;

thread_local! {
    static REQUESTS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that is being torn down has no counter any more, and nothing to prove.
    let _ = REQUESTS.try_with(|requests| requests.set(requests.get() + 1));
}

// SAFETY: every request goes to the system's allocator as it came, and the counter does not allocate: it is a constant
// `Cell` without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of `realloc`, which is the same; `memory` came from `System`.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller keeps the contract of `dealloc`, which is the same; `memory` came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations, reallocations and deallocations of this thread during `work`.
fn requests(work: impl FnOnce()) -> usize {
    let before = REQUESTS.get();
    work();
    REQUESTS.get() - before
}

#[test]
fn the_counter_counts() {
    assert_eq!(requests(|| drop(black_box(Box::new(1)))), 2);
    assert_eq!(requests(|| drop(black_box(vec![0_u8; 100]))), 2);
    let mut grown = Vec::with_capacity(1);
    assert_eq!(requests(|| grown.extend([1, 2, 3])), 1);
    assert_eq!(requests(|| ()), 0);
}

#[test]
fn training_a_name_model_allocates_nothing() {
    let calls = repetitions(50);
    let split = Corpus::sample().split(42).unwrap();
    let data: Dataset<[u8; 3], u8> = split.dev.windows(&Vocabulary::lowercase()).unwrap();
    for backend in Backend::available() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let model = NameModel::standard_normal(&mut rng);
        let mut trainer = Trainer::new(model, Sgd::new(0.1))
            .unwrap()
            .with_backend(backend);
        let mut minibatches = [1, 32, 33, 64].map(Minibatch::new);
        let in_all = requests(|| {
            for _ in 0..calls {
                for minibatch in &mut minibatches {
                    data.draw(&mut rng, minibatch);
                    trainer.step_batch(minibatch).unwrap();
                    trainer
                        .step(minibatch.inputs(), minibatch.targets())
                        .unwrap();
                }
                trainer.step_one(&[0, 5, 13], &1).unwrap();
                trainer.predict(&[0, 5, 13]).unwrap();
                trainer.logits(&[0, 5, 13]).unwrap();
            }
            trainer.evaluate(&data).unwrap();
        });
        assert_eq!(in_all, 0, "{backend}");
    }
}

#[test]
fn training_on_numbers_allocates_nothing() {
    let calls = repetitions(50);
    type Curve = Mlp<Dense<8>, Relu<64>, Regression<1>>;
    let inputs: Vec<[f32; 8]> = (0..200_u8).map(|i| [f32::from(i) / 200.0; 8]).collect();
    let targets: Vec<[f32; 1]> = inputs.iter().map(|x| [x[0] * x[1]]).collect();
    let data = Dataset::new(inputs, targets).unwrap();
    for backend in Backend::available() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let model = Curve::fan_in_scaled(&mut rng);
        let mut trainer = Trainer::new(model, Sgd::new(0.01))
            .unwrap()
            .with_backend(backend);
        let mut minibatch = Minibatch::new(50);
        let in_all = requests(|| {
            for _ in 0..calls {
                data.draw(&mut rng, &mut minibatch);
                trainer.step_batch(&minibatch).unwrap();
                trainer
                    .step(&data.inputs()[..64], &data.targets()[..64])
                    .unwrap();
                trainer.predict(&data.inputs()[7]).unwrap();
                trainer.logits(&data.inputs()[7]).unwrap();
                trainer.evaluate(&data).unwrap();
            }
        });
        assert_eq!(in_all, 0, "{backend}");
    }
}

/// Two blocks need one buffer for a sum that waits, three and four need two, five to eight three.
#[test]
fn a_longer_batch_allocates_once_for_each_doubling() {
    let data = Dataset::new(vec![[0, 1, 2], [1, 2, 0]], vec![0, 1]).unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    for backend in Backend::available() {
        let model = NameModel::fan_in_scaled(&mut rng);
        let trainer = Trainer::new(model, AdamW::new(0.01)).unwrap();
        let mut trainer = trainer.with_backend(backend);
        let mut of_step = |len| {
            let mut minibatch = Minibatch::new(len);
            data.draw(&mut rng, &mut minibatch);
            requests(|| {
                trainer.step_batch(&minibatch).unwrap();
            })
        };
        assert_eq!(of_step(64), 0);
        for (len, buffers) in [(65, 1), (200, 1), (500, 1)] {
            assert!(of_step(len) >= buffers, "{len} examples on {backend}");
            assert_eq!(of_step(len), 0, "{len} examples on {backend}");
        }
        assert_eq!(of_step(128), 0);
        assert_eq!(of_step(512), 0);
    }
}

#[test]
fn a_loss_of_ones_own_allocates_nothing() {
    let calls = repetitions(50);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    for backend in Backend::available() {
        let model = NameModel::fan_in_scaled(&mut rng);
        let mut trainer = Trainer::new(model, AdamW::new(0.01))
            .unwrap()
            .with_backend(backend);
        let loss = |logits: &[f32; 27], &class: &usize| cross_entropy(logits, class);
        let data = Dataset::new(vec![[0, 5, 13]; 40], vec![1; 40]).unwrap();
        let data = data.with_weights(vec![0.5; 40]).unwrap();
        let mut minibatch = Minibatch::new(40);
        data.draw(&mut rng, &mut minibatch);
        let in_all = requests(|| {
            for _ in 0..calls {
                trainer
                    .step_with(&[[0, 5, 13]; 40], &[1; 40], loss)
                    .unwrap();
                trainer.step_one_with(&[0, 5, 13], &1, loss).unwrap();
                data.draw(&mut rng, &mut minibatch);
                trainer.step_batch_with(&minibatch, loss).unwrap();
                trainer.evaluate_with(&data, loss).unwrap();
            }
        });
        assert_eq!(in_all, 0, "{backend}");
    }
}

#[test]
fn no_optimizer_and_no_clipping_allocates_in_a_step() {
    let calls = repetitions(50);
    let optimizers: [Optimizer; 2] = [Momentum::new(0.1, 0.9).into(), AdamW::new(0.01).into()];
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    for backend in Backend::available() {
        for optimizer in optimizers {
            let model = NameModel::fan_in_scaled(&mut rng);
            let trainer = Trainer::new(model, optimizer).unwrap().with_clipping(0.1);
            let mut trainer = trainer.unwrap().with_backend(backend);
            let in_all = requests(|| {
                for _ in 0..calls {
                    trainer.set_learning_rate(0.02).unwrap();
                    trainer.step(&[[0, 5, 13]; 40], &[1; 40]).unwrap();
                    trainer.step_one(&[0, 5, 13], &1).unwrap();
                }
            });
            assert_eq!(in_all, 0, "{optimizer:?} on {backend}");
        }
    }
}

#[test]
fn a_predictor_allocates_nothing() {
    let model = NameModel::standard_normal(&mut Xoshiro256PlusPlus::seed_from_u64(1));
    for backend in Backend::available() {
        let predictor = Predictor::new(&model).unwrap().with_backend(backend);
        let in_all = requests(|| {
            for token in 0..27 {
                predictor.predict(&[0, 5, token]).unwrap();
                predictor.logits(&[0, 5, token]).unwrap();
                predictor.top(&[0, 5, token]).unwrap();
            }
        });
        assert_eq!(in_all, 0, "{backend}");
    }
}

#[test]
fn a_refused_batch_allocates_nothing() {
    let calls = repetitions(50);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    for backend in Backend::available() {
        let model = NameModel::standard_normal(&mut rng);
        let mut trainer = Trainer::new(model, Sgd::new(0.1))
            .unwrap()
            .with_backend(backend);
        let in_all = requests(|| {
            for _ in 0..calls {
                let result = trainer.step(&[[0, 5, 27]], &[13]);
                assert!(matches!(result, Err(Error::TokenOutOfRange { .. })));
            }
        });
        assert_eq!(in_all, 0, "{backend}");
    }
}

#[test]
fn several_hidden_layers_allocate_nothing() {
    type Deep = Mlp<Tokens<27, 3, 2>, (Tanh<33>, Relu<258>, Tanh<17>), Softmax<27>>;
    let calls = repetitions(50);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    for backend in Backend::available() {
        let model = Deep::fan_in_scaled(&mut rng);
        let predictor = Predictor::new(&model).unwrap().with_backend(backend);
        let trainer = Trainer::new(model, AdamW::new(0.01)).unwrap();
        let mut trainer = trainer.with_clipping(1.0).unwrap().with_backend(backend);
        let in_all = requests(|| {
            for _ in 0..calls {
                trainer.step(&[[0, 5, 13]; 40], &[1; 40]).unwrap();
                trainer.step_one(&[0, 5, 13], &1).unwrap();
                trainer.predict(&[0, 5, 13]).unwrap();
                predictor.predict(&[0, 5, 13]).unwrap();
            }
        });
        assert_eq!(in_all, 0, "{backend}");
    }
}

#[test]
fn the_smallest_and_an_odd_shape_allocate_nothing() {
    let calls = repetitions(50);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    for backend in Backend::available() {
        let model = Mlp::<Tokens<2, 1, 1>, Tanh<1>, Softmax<2>>::standard_normal(&mut rng);
        let mut smallest = Trainer::new(model, Sgd::new(0.1))
            .unwrap()
            .with_backend(backend);
        let model = Mlp::<Tokens<27, 8, 10>, Tanh<200>, Softmax<256>>::fan_in_scaled(&mut rng);
        let mut odd = Trainer::new(model, Sgd::new(0.1))
            .unwrap()
            .with_backend(backend);
        let in_all = requests(|| {
            for _ in 0..calls {
                smallest.step(&[[1]; 17], &[0; 17]).unwrap();
                smallest.predict(&[1]).unwrap();
                odd.step(&[[26; 8]; 3], &[255; 3]).unwrap();
                odd.step_one(&[26; 8], &255).unwrap();
                odd.predict(&[26; 8]).unwrap();
            }
        });
        assert_eq!(in_all, 0, "{backend}");
    }
}

#[test]
fn steps_of_a_whole_run_allocate_nothing() {
    let data = Dataset::new(vec![[0, 1, 2], [1, 2, 0]], vec![0, 1]).unwrap();
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut trainer = Trainer::new(NameModel::fan_in_scaled(&mut rng), AdamW::new(0.01)).unwrap();
    let mut of_length = |length| {
        let fit = Fit {
            length,
            batch: 32,
            schedule: |step| cosine(step, 100, 0.1),
        };
        requests(|| {
            trainer
                .fit(&data, fit, &mut rng, |_| Ok(ControlFlow::Continue(())))
                .unwrap();
        })
    };
    // Storage for the batch and the order of an epoch, and nothing more.
    let steps = of_length(Length::Steps(1));
    assert!(steps > 0);
    assert_eq!(of_length(Length::Steps(100)), steps);
    let [few, many] = [1, 100].map(|epochs| Length::Epochs {
        epochs,
        drop_last: false,
    });
    let epochs = of_length(few);
    assert!(epochs > 0);
    assert_eq!(of_length(many), epochs);
}
