//! What a model says of an input, and names drawn from it.

mod one_off;
mod predictor;
pub mod sample;

pub use predictor::Predictor;
