//! One training of the sweep.

use fused_mlp::{
    Dataset, Error, Minibatch, Model, NameModel, SeedableRng, Sgd, Trainer, Xoshiro256PlusPlus,
};

/// Learning rates.
pub(crate) const RATES: [f32; 8] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8];
/// Networks at each of them.
pub(crate) const SEEDS: usize = 32;
/// Steps of each training.
pub(crate) const STEPS: u64 = 1_000;
/// Steps after which the loss is looked at; the best of these looks counts.
const LOOK_EVERY: u64 = 100;
const BATCH: usize = 32;

/// Contexts of three letters, each with the letter that follows.
pub(crate) type Letters = Dataset<[u8; 3], u8>;

/// How one training ended.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Outcome {
    /// The best loss on the names held back, in nats a letter.
    pub(crate) best: f32,
    /// A checksum of the parameters.
    pub(crate) parameters: u64,
}

/// Trains the name model from a seed, at a rate.
pub(crate) fn train_one(
    rate: f32,
    seed: u64,
    train: &Letters,
    dev: &Letters,
) -> Result<Outcome, Error> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut trainer = Trainer::new(NameModel::standard_normal(&mut rng), Sgd::new(rate))?;
    let mut batch = Minibatch::new(BATCH);
    let mut best = f32::INFINITY;
    while trainer.steps() < STEPS {
        train.draw(&mut rng, &mut batch);
        trainer.step_batch(&batch)?;
        if trainer.steps().is_multiple_of(LOOK_EVERY) {
            best = best.min(trainer.evaluate(dev)?);
        }
    }
    let mut parameters = 0;
    for (_, values) in trainer.model().tensors() {
        for value in values {
            parameters = mix(parameters, value.to_bits().into());
        }
    }
    Ok(Outcome { best, parameters })
}

/// Takes a number into a checksum.
pub(crate) fn mix(checksum: u64, number: u64) -> u64 {
    (checksum ^ number)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(29)
}
