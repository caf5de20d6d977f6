//! Steps, whole runs, and going on with one.

mod early_stopping;
mod fit;
mod optimizer;
mod own_loss;
pub mod schedule;
mod state;
mod trainer;

pub use early_stopping::{Best, EarlyStopping, Plateau};
pub use fit::{Fit, Fitted, Progress};
pub use optimizer::{AdamW, Momentum, Optimizer, Sgd};
pub use state::TrainingState;
pub use trainer::Trainer;
