//! Whole runs: what an update rule, a schedule, a stop and a new start do to them.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#[path = "../support/mod.rs"]
mod support;

mod resume;

use fused_mlp::{AdamW, Momentum, Optimizer, Sgd};

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
