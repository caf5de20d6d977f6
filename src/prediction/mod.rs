//! What a model says of an input, and names drawn from it.

mod confusion;
mod one_off;
mod predictor;
pub mod sample;

pub use confusion::Confusion;
pub use predictor::{Predictor, Scratch};
