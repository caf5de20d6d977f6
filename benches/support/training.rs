//! This crate's training loop, as its users write it.

use std::time::Duration;

use fused_mlp::{
    Backend, Dataset, ExampleOf, Minibatch, Model, Optimizer, SeedableRng, TargetOf, Trainer,
    Xoshiro256PlusPlus,
};

use super::time;

/// A trainer that draws its own batches.
#[derive(Clone, Debug)]
pub(crate) struct Training<M: Model> {
    trainer: Trainer<M>,
    rng: Xoshiro256PlusPlus,
    batch: Minibatch<ExampleOf<M>, TargetOf<M>>,
}

impl<M: Model> Training<M> {
    /// Not begun yet.
    pub(crate) fn new(
        model: M,
        optimizer: impl Into<Optimizer>,
        backend: Backend,
        batch: usize,
    ) -> Self {
        Self {
            trainer: Trainer::new(model, optimizer)
                .expect("models start finite")
                .with_backend(backend),
            rng: Xoshiro256PlusPlus::seed_from_u64(1),
            batch: Minibatch::new(batch),
        }
    }

    /// The same with another generator to draw by.
    pub(crate) fn drawing_by(mut self, rng: Xoshiro256PlusPlus) -> Self {
        self.rng = rng;
        self
    }

    /// The loss over a data set.
    pub(crate) fn evaluate(&mut self, dataset: &Dataset<ExampleOf<M>, TargetOf<M>>) -> f32 {
        let loss = self.trainer.evaluate(dataset);
        loss.expect("the data set is of the model's vocabulary")
    }

    /// The loss of the first batch that it draws.
    pub(crate) fn first_loss(mut self, dataset: &Dataset<ExampleOf<M>, TargetOf<M>>) -> f32 {
        dataset.draw(&mut self.rng, &mut self.batch);
        let loss = self.trainer.step_batch(&self.batch);
        loss.expect("the rate is small enough")
    }

    /// What so many more steps take, drawing included.
    pub(crate) fn run(
        &mut self,
        dataset: &Dataset<ExampleOf<M>, TargetOf<M>>,
        steps: usize,
    ) -> Duration {
        time(|| {
            for _ in 0..steps {
                dataset.draw(&mut self.rng, &mut self.batch);
                self.trainer
                    .step_batch(&self.batch)
                    .expect("the rate is small enough");
            }
        })
    }

    /// The model as it is now.
    pub(crate) fn model(&self) -> M {
        self.trainer.model()
    }
}
