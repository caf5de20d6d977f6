//! Steps, whole runs, and going on with one.

mod batches;
mod early_stopping;
mod fit;
mod gradients;
mod optimizer;
mod own_loss;
mod partial_gradients;
pub mod schedule;
mod state;
mod trainer;

pub use early_stopping::{Best, EarlyStopping, Plateau};
pub use fit::{Fit, Fitted, Length, Progress};
pub use gradients::Gradients;
pub use optimizer::{AdamW, Momentum, Optimizer, Sgd};
pub use partial_gradients::{BlockSum, PartialGradients};
pub use state::TrainingState;
pub use trainer::Trainer;

pub(crate) use trainer::head_batch;
