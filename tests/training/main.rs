//! Whole runs: what an update rule, a schedule, a stop and a new start do to them.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "nothing here needs names or digests")]
mod common;
#[path = "../support/mod.rs"]
mod support;

mod epochs;
mod extremes;
mod fit;
mod gradients;
mod own_loss;
mod partial_gradients;
mod pytorch;
mod pytorch_deep;
mod resume;
mod schedule;
mod stopping;
mod weights;

use fused_mlp::{AdamW, Backend, Model, Momentum, Optimizer, Sgd, Trainer, TrainingState};

use support::bits_of;

const REGRESSIONS: &str = "tests/proptest-regressions/training.txt";

/// One optimizer of each kind, and with Nesterov's look ahead.
fn optimizers() -> [Optimizer; 4] {
    let momentum = Momentum {
        weight_decay: 0.01,
        ..Momentum::new(0.1, 0.9)
    };
    [
        Sgd::new(0.1).into(),
        momentum.into(),
        Momentum {
            nesterov: true,
            ..momentum
        }
        .into(),
        AdamW::new(0.01).into(),
    ]
}

/// A trainer of this model, with gradients clipped if a norm is given.
fn trainer_on<M: Model>(
    backend: Backend,
    model: &M,
    optimizer: Optimizer,
    clipping: Option<f32>,
) -> Trainer<M> {
    let trainer = Trainer::new(model.clone(), optimizer).unwrap();
    let trainer = trainer.with_backend(backend);
    match clipping {
        Some(norm) => trainer.with_clipping(norm).unwrap(),
        None => trainer,
    }
}

/// The bits of everything that a state has numbers of.
fn bits<M: Model>(state: &TrainingState<M>) -> Vec<Vec<u32>> {
    let moments = state.moments.iter().map(bits_of);
    moments.chain([bits_of(&state.model)]).collect()
}
