//! Tokens for a model of numbers, and a class for a regression.
use fused_mlp::{Dense, Error, Mlp, Model, Regression, Sgd, Tanh, Trainer};

fn main() -> Result<(), Error> {
    let model = Mlp::<Dense<3>, Tanh<8>, Regression<1>>::zeroed();
    let mut trainer = Trainer::new(model, Sgd::new(0.1))?;
    trainer.step_one(&[0_u8; 3], &[0.5])?;
    trainer.step_one(&[0.5; 3], &1_u8)?;
    Ok(())
}
