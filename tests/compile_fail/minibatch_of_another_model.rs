//! Contexts of eight for a model of three.
use fused_mlp::{Corpus, Error, Minibatch, Model, NameModel, Sgd, Trainer, Vocabulary};

fn main() -> Result<(), Error> {
    let data = Corpus::sample().windows::<8>(&Vocabulary::lowercase())?;
    let mut trainer = Trainer::new(NameModel::zeroed(), Sgd::new(0.1))?;
    let batch: Minibatch<[u8; 8], u8> = Minibatch::new(32);
    trainer.step_batch(&batch)?;
    trainer.evaluate(&data)?;
    Ok(())
}
