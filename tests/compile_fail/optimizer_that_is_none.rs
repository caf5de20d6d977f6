//! A bare learning rate does not say how to step.
use fused_mlp::{Error, Model, NameModel, Trainer};

fn main() -> Result<(), Error> {
    Trainer::new(NameModel::zeroed(), 0.1)?;
    Ok(())
}
