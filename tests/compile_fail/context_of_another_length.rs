//! Four tokens for a context of three.
use fused_mlp::{Error, Model, NameModel, Sgd, Trainer};

fn main() -> Result<(), Error> {
    let mut trainer = Trainer::new(NameModel::zeroed(), Sgd::new(0.1))?;
    trainer.step(&[[0_u8; 4]], &[13])?;
    Ok(())
}
