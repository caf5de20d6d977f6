//! Large models on small stacks: parameters are made, copied, saved and loaded on the heap, even where nothing is optimised.
//!
//! A stack that overflows ends the process, with a message that names the thread; each has the name of its test. A plain debug
//! build and a release build are tried by
//!
//! ```text
//! CARGO_PROFILE_TEST_OPT_LEVEL=0 cargo test --all-features --test small_stacks
//! cargo test --release --all-features --test small_stacks
//! ```

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may panic like the test itself"
)]

use std::hint::black_box;
use std::ops::ControlFlow;
#[cfg(all(feature = "safetensors", feature = "std"))]
use std::path::PathBuf;
use std::thread::Builder;

use fused_mlp::losses::cross_entropy;
use fused_mlp::replay::torch::{Generator, NormalPath};
use fused_mlp::schedule::constant;
#[cfg(feature = "safetensors")]
use fused_mlp::weights::{self, Keys};
use fused_mlp::{
    AdamW, Dataset, Dense, EarlyStopping, ExampleOf, Fit, Gelu, Gradients, Length, Mlp, Model,
    Momentum, Plateau, Predictor, Relu, Scratch, SeedableRng, Sgd, Softmax, Tanh, Tokens, Trainer,
    Xoshiro256PlusPlus,
};

/// Bytes of stack for what handles parameters and runs no kernel. The smallest of the large tensors below has twice as many.
const PARAMETERS: usize = 128 << 10;

/// Bytes of stack for what runs kernels. Where these are not optimised, their own frames have up to 850 KiB (on AVX-512), whatever
/// the model; 2 MiB is what Rust gives a thread.
const KERNELS: usize = if cfg!(debug_assertions) {
    2 << 20
} else {
    PARAMETERS
};

/// Calls `operation`, and drops what it returns, on a stack of so many bytes.
fn on_stack<R>(bytes: usize, test: &str, operation: impl FnOnce() -> R + Send + 'static) {
    let thread = Builder::new().name(test.into()).stack_size(bytes);
    let thread = thread.spawn(|| drop(black_box(operation()))).unwrap();
    thread.join().unwrap();
}

fn rng() -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(1)
}

/// A file for the test of this thread.
#[cfg(all(feature = "safetensors", feature = "std"))]
fn temporary_file() -> PathBuf {
    let thread = std::thread::current();
    let test = thread.name().unwrap().replace("::", "-");
    std::env::temp_dir().join(format!("fused-mlp-{test}-{}", std::process::id()))
}

/// Declares a test of each operation with each model, which it calls `M`.
macro_rules! tests {
    (@on $model:ident $($stack:ident { $($(#[$feature:meta])* $name:ident: $operation:expr;)* })*) => {
        fn model() -> M {
            M::fan_in_scaled(&mut rng())
        }

        fn trainer() -> Trainer<M> {
            Trainer::new(model(), AdamW::new(0.001)).unwrap()
        }

        fn dataset() -> Dataset<ExampleOf<M>, u8> {
            Dataset::new(vec![INPUT; 2], vec![TARGET; 2]).unwrap()
        }

        $($(
            $(#[$feature])*
            #[test]
            fn $name() {
                let test = concat!(stringify!($model), "::", stringify!($name));
                on_stack($stack, test, || $operation);
            }
        )*)*
    };
    ($($operations:tt)*) => {
        // Layers of 1.6 MB and 20 KB.
        mod wide {
            use super::*;
            type M = Mlp<Dense<784>, Tanh<512>, Softmax<10>>;
            const INPUT: ExampleOf<M> = [0.5; 784];
            const TARGET: u8 = 7;
            tests! { @on wide $($operations)* }
        }

        // An embedding of 512 KiB, and layers of 1 MiB and three times 256 KiB.
        mod deep {
            use super::*;
            type M = Mlp<Tokens<256, 2, 512>, (Tanh<256>, Relu<256>, Gelu<256>), Softmax<256>>;
            const INPUT: ExampleOf<M> = [200, 7];
            const TARGET: u8 = 255;
            tests! { @on deep $($operations)* }
        }
    };
}

tests! {
    PARAMETERS {
        zeroed: M::zeroed();
        standard_normal: M::standard_normal(&mut rng());
        fan_in_scaled: M::fan_in_scaled(&mut rng());
        kaiming_normal: M::kaiming_normal(&mut rng());
        kaiming_uniform: M::kaiming_uniform(&mut rng());
        xavier_normal: M::xavier_normal(&mut rng());
        xavier_uniform: M::xavier_uniform(&mut rng());
        torch_default: M::torch_default(&mut rng());
        torch_sequential: Generator::manual_seed(1).sequential::<M>(NormalPath::Simd);

        clone: model().clone();
        comparison: model() == model();

        trainer_with_sgd: Trainer::new(model(), Sgd::new(0.1)).unwrap();
        trainer_with_momentum: Trainer::new(model(), Momentum::new(0.1, 0.9)).unwrap();
        trainer_with_adam_w: Trainer::new(model(), AdamW::new(0.001)).unwrap();
        trainer_clone: trainer().clone();
        trainer_model: trainer().model();
        state: trainer().state();
        state_clone: trainer().state().clone();
        resume: Trainer::resume(trainer().state()).unwrap();
        predictor: Predictor::new(&model()).unwrap();

        #[cfg(feature = "serde")]
        serde: {
            let text = serde_json::to_string(&model()).unwrap();
            serde_json::from_str::<M>(&text).unwrap()
        };
        #[cfg(feature = "safetensors")]
        weight_file_bytes: {
            let bytes = weights::to_bytes(&model(), &Keys::makemore()).unwrap();
            weights::from_bytes::<M>(&bytes, &Keys::makemore()).unwrap()
        };
        #[cfg(feature = "safetensors")]
        state_file_bytes: {
            let bytes = weights::state_to_bytes(&trainer().state(), Some(&rng())).unwrap();
            weights::state_from_bytes::<M>(&bytes).unwrap()
        };
        #[cfg(all(feature = "safetensors", feature = "std"))]
        weight_file: {
            let path = temporary_file();
            weights::save(&path, &model(), &Keys::makemore()).unwrap();
            let loaded = weights::load::<M>(&path, &Keys::makemore());
            std::fs::remove_file(path).unwrap();
            loaded.unwrap()
        };
        #[cfg(all(feature = "safetensors", feature = "std"))]
        state_file: {
            let path = temporary_file();
            weights::save_state(&path, &trainer().state(), Some(&rng())).unwrap();
            let loaded = weights::load_state::<M>(&path);
            std::fs::remove_file(path).unwrap();
            loaded.unwrap()
        };
    }

    KERNELS {
        step: trainer().step(&[INPUT], &[TARGET]).unwrap();
        step_one: trainer().step_one(&INPUT, &TARGET).unwrap();
        step_with: {
            let loss = |logits: &_, &class: &u8| cross_entropy(logits, class.into());
            trainer().step_with(&[INPUT], &[TARGET], loss).unwrap()
        };
        fit: {
            let fit = Fit { length: Length::Steps(1), batch: 2, schedule: constant };
            let mut trainer = trainer();
            trainer.fit(&dataset(), fit, &mut rng(), |_| Ok(ControlFlow::Continue(()))).unwrap()
        };
        early_stopping: {
            let plateau = Plateau { every: 1, patience: 1, improvement: 0.0 };
            let mut stopping = EarlyStopping::<M>::new(plateau).unwrap();
            assert!(stopping.check(&mut trainer(), &dataset()).unwrap().is_continue());
            stopping.clone().into_best().unwrap()
        };

        gradients: trainer().gradients(&[INPUT], &[TARGET]).unwrap();
        gradients_combined: {
            let gradients = trainer().gradients(&[INPUT], &[TARGET]).unwrap();
            Gradients::combine([gradients.clone(), gradients]).unwrap()
        };
        gradients_applied: {
            let mut trainer = trainer();
            let gradients = trainer.gradients(&[INPUT], &[TARGET]).unwrap();
            trainer.apply(&gradients).unwrap()
        };

        evaluate: trainer().evaluate(&dataset()).unwrap();
        confusion: trainer().confusion(&dataset()).unwrap();
        trainer_predict: trainer().predict(&INPUT).unwrap();
        trainer_predict_batch: {
            let mut trainer = trainer();
            let mut predictions = [trainer.predict(&INPUT).unwrap(); 2];
            trainer.predict_batch(&[INPUT; 2], &mut predictions).unwrap();
            predictions
        };
        predict: Predictor::new(&model()).unwrap().predict(&INPUT).unwrap();
        predict_batch: {
            let predictor = Predictor::new(&model()).unwrap();
            let mut predictions = [predictor.predict(&INPUT).unwrap(); 2];
            predictor.predict_batch(&[INPUT; 2], &mut Scratch::new(), &mut predictions).unwrap();
            predictions
        };

        model_predict: model().predict(&INPUT).unwrap();
        model_loss: model().loss(&[INPUT], &[TARGET]).unwrap();
        model_gradients: model().gradients(&[INPUT], &[TARGET]).unwrap();
    }
}
