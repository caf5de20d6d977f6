//! Trains tiny multi-layer perceptrons inside your program, about as fast as the processor can multiply, with the same bits
//! on every processor.
//!
//! A model is a type: an input, its hidden layers, a head. Shapes that do not fit do not compile.
//!
//! ```
//! use fused_mlp::*;
//!
//! // Characters: 3 tokens of 27, embedded in 2 numbers each, 100 tanh neurons, a softmax over 27.
//! type Model = Mlp<Tokens<27, 3, 2>, Tanh<100>, Softmax<27>>;
//!
//! let names = Corpus::sample().split(42)?;
//! let train = names.train.windows::<3>(&Vocabulary::lowercase())?;
//!
//! let mut rng = Xoshiro256PlusPlus::seed_from_u64(42);
//! let mut trainer = Trainer::new(Model::standard_normal(&mut rng), Sgd::new(0.1))?;
//! let mut batch = Minibatch::new(32);
//! for _ in 0..1_000 {
//!     train.draw(&mut rng, &mut batch);
//!     trainer.step_batch(&batch)?;
//! }
//! assert!(trainer.evaluate(&train)? < 2.8);
//! # Ok::<(), Error>(())
//! ```
//!
//! # What is here
//!
//! | | |
//! |---|---|
//! | models | [`Mlp`] of [`Tokens`] or [`Dense`]; one to eight hidden layers of [`Tanh`], [`Relu`], [`LeakyRelu`], [`ClippedRelu`], [`Sigmoid`], [`Silu`], [`Gelu`] or [`Softplus`]; [`Softmax`], [`Regression`] or [`Binary`]; a regression's loss is [`SquaredError`] or [`Huber`] |
//! | training | [`Trainer::step`] and [`Trainer::step_batch`] on batches, [`Trainer::step_one`] on one example; [`Trainer::step_with`] with a loss of your own, and [`losses`] to start from; [`Gradients`] as values, and those of the inputs; [`PartialGradients`] of a part of a batch, for training on many machines; [`Sgd`], [`Momentum`], [`AdamW`]; clipping |
//! | whole runs | [`Trainer::fit`] by steps or epochs, [`Trainer::fit_batches`] on an iterator, each with a loss of your own too; [`schedule`], [`EarlyStopping`]; [`TrainingState`] to go on later |
//! | prediction | [`Predictor`], one input at a time or whole batches; [`Confusion`]; [`sample`] |
//! | data | [`Corpus`], [`Vocabulary`], [`Dataset`] with [weights](Dataset::with_weights), [`Minibatch`]; draws that are the same everywhere: [`random`] |
//! | checks | [`gradcheck`] against the [`reference`](mod@reference) in `f64`, and it against finite differences |
//! | files | models and training states in safetensors files, as PyTorch's programs have them: `weights`, by feature `safetensors` |
//! | replays | [`replay`]: the generators of PyTorch, JAX and Python, bit for bit |
//!
//! # Whole runs
//!
//! [`Trainer::fit`] draws the batches, follows a learning-rate schedule, and tells the program of every step, so that it can
//! show its own progress, keep the best model, or end the run:
//!
//! ```
//! use fused_mlp::schedule::{cosine, warm_up};
//! use fused_mlp::*;
//!
//! let names = Corpus::sample().split(42)?;
//! let train = names.train.windows::<3>(&Vocabulary::lowercase())?;
//! let dev = names.dev.windows::<3>(&Vocabulary::lowercase())?;
//! let mut rng = Xoshiro256PlusPlus::seed_from_u64(42);
//! let mut trainer = Trainer::new(NameModel::fan_in_scaled(&mut rng), AdamW::new(0.01))?;
//!
//! let schedule = |step| warm_up(step, 100, 0.1) * cosine(step, 2_000, 0.0);
//! let plateau = Plateau { every: 200, patience: 3, improvement: 0.0 };
//! let mut stopping = EarlyStopping::new(plateau)?;
//! let fit = Fit { length: Length::Steps(2_000), batch: 32, schedule };
//! trainer.fit(&train, fit, &mut rng, |progress| stopping.check(progress.trainer, &dev))?;
//! assert!(stopping.best().is_some_and(|best| best.loss < 2.5)); // nats
//!
//! // All that a later run needs to go on with the same bits.
//! let (state, generator) = (trainer.state(), rng.state());
//! let mut trainer = Trainer::resume(state)?;
//! let mut rng = Xoshiro256PlusPlus::from_seed(generator);
//! # Ok::<(), Error>(())
//! ```
//!
//! # When not to use it
//!
//! For convolution or attention, for graphics processors, and for widths in the thousands: a framework serves those better.
//!
//! # How it is fast
//!
//! Lanes run over the examples of a batch, so that no activation is padded or summed across lanes; all matrix products are one
//! contraction on a register tile; bias, tanh and its derivative, and the step of plain gradient descent, are applied while a
//! tile is in registers; and the kernels are compiled for each model's shape. The instruction set (AVX-512, AVX2 with FMA,
//! or the `wide` crate's elsewhere) is detected while the program runs, so a program that embeds this crate needs no flags.
//! See [`Backend`].
//!
//! # The same bits
//!
//! For a seed, a model and a version of this crate, trained parameters are identical on every [fused](Backend::is_fused)
//! backend, in debug and release builds, for any number of threads that train separate models. Vectors have sixteen lanes
//! everywhere; each sum has one order; tanh, exp and ln are this crate's own ([`math`]).
//!
//! # Features
//!
//! | feature | |
//! |---|---|
//! | `std` (default) | detects the instruction set; without it this crate is `no_std` with `alloc`, and uses what the target is compiled for |
//! | `rayon` | `Trainer::with_threads`: large steps, evaluations and predictions on several threads, with the bits of one |
//! | `serde` | [`Optimizer`] and its kinds, [`Vocabulary`], and [`Mlp`] as tensors by name, whose shapes and numbers are checked when read |
//! | `safetensors` | `weights`: weight files, and files of a training state; on disk with `std` only |
//!
//! No feature changes what a backend computes.
//!
//! # Debug builds
//!
//! Kernels compiled at opt-level 0 take about two hundred times as long. Two lines in the manifest of the embedding program
//! bring a debug build to within five times of a release build:
//!
//! ```toml
//! [profile.dev.package.fused-mlp]
//! opt-level = 3
//! ```
//!
//! # The code
//!
//! A batch goes from text to updated parameters through
//!
//! 1. `data/`: a text becomes tokens and examples, of which a batch is drawn;
//! 2. `training/`: what a program calls, one step at a time or a whole run;
//! 3. `model/`: the type of a model, its exact-shape parameters, and its shape as plain data;
//! 4. `engine/`: a model as the kernels have it, padded, with working storage and a backend;
//! 5. `kernels/`: `block_step`, by `embedding`, `dense`, `heads` and `transpose`, and `update` for the optimizers; `example` is
//!    the same for one example;
//! 6. `simd/`, in whose operations all kernels are written.
//!
//! Beside this way stand `prediction/`; `checking/`, which judges the kernels; `weights/` and `serialize`; and `replay/`. Each
//! uses only what comes after it in `training/` → `engine/` → `kernels/` → `model/` → `simd/`.

#![no_std]
#![warn(clippy::print_stdout, clippy::print_stderr)]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod checking;
mod data;
mod engine;
mod error;
mod float;
mod kernels;
pub mod losses;
pub mod math;
pub mod model;
mod prediction;
#[doc(hidden)]
pub mod probe;
pub mod random;
pub mod replay;
#[cfg(feature = "serde")]
mod serialize;
mod simd;
mod training;
#[cfg(feature = "safetensors")]
pub mod weights;

pub use checking::{gradcheck, reference};
pub use data::{Corpus, Dataset, Minibatch, Split, Vocabulary};
pub use error::Error;
pub use model::{
    Binary, ClippedRelu, Dense, ExampleOf, Gelu, Huber, LeakyRelu, Mlp, Model, NameModel,
    OutputsOf, PredictionOf, Regression, Relu, Sigmoid, Silu, Softmax, Softplus, SquaredError,
    Tanh, TargetOf, Tokens,
};
pub use prediction::{Confusion, Predictor, Scratch, sample};
pub use rand_xoshiro::Xoshiro256PlusPlus;
pub use rand_xoshiro::rand_core::{Rng, SeedableRng};
pub use simd::Backend;
pub use training::{
    AdamW, Best, BlockSum, EarlyStopping, Fit, Fitted, Gradients, Length, Momentum, Optimizer,
    PartialGradients, Plateau, Progress, Sgd, Trainer, TrainingState, schedule,
};

/// The README's examples, compiled and run as tests so that they cannot rot. One of them has weight files.
#[cfg(all(doctest, feature = "safetensors", feature = "std"))]
#[doc = include_str!("../README.md")]
struct Readme;
