//! A model of features with its data, whatever its type: for this crate, and as files for peers.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use fused_mlp::model::{Head, HiddenLayers};
use fused_mlp::random::{StandardNormal, below};
use fused_mlp::{
    AdamW, Backend, Binary, Dataset, Dense, Minibatch, Mlp, Model, Regression, SeedableRng,
    Softmax, Trainer, Xoshiro256PlusPlus,
};
use serde_json::json;

use super::{Repeat, Shape};
use crate::support::peer_data::{bytes, decimal, write};
use crate::support::training::Training;

const OPTIMIZER: AdamW = AdamW::new(1e-3);
const EXAMPLES: u32 = 1_000;

pub(super) trait Case {
    /// Training on batches that are drawn in the loop.
    fn start(&self, backend: Backend) -> Repeat;

    /// The loss over all examples after so many of the batches that the peers are given.
    fn loss_after(&self, steps: usize) -> f64;

    /// The same task as files.
    fn write_peer_data(&self, steps: usize) -> io::Result<PathBuf>;
}

/// A head with targets for a number.
pub(super) trait FeatureHead: Head {
    const NAME: &'static str;

    fn target(number: f32) -> Self::Target;

    /// A target as the peers read it.
    fn numbers(target: &Self::Target) -> Vec<f32>;
}

impl<const CLASSES: usize> FeatureHead for Softmax<CLASSES> {
    const NAME: &'static str = "softmax";

    fn target(number: f32) -> u8 {
        u8::from(number > 0.0)
    }

    fn numbers(&class: &u8) -> Vec<f32> {
        vec![class.into()]
    }
}

impl FeatureHead for Binary {
    const NAME: &'static str = "binary";

    fn target(number: f32) -> bool {
        number > 0.0
    }

    fn numbers(&is_one: &bool) -> Vec<f32> {
        vec![u8::from(is_one).into()]
    }
}

impl<const OUTPUTS: usize> FeatureHead for Regression<OUTPUTS> {
    const NAME: &'static str = "regression";

    fn target(number: f32) -> [f32; OUTPUTS] {
        [number; OUTPUTS]
    }

    fn numbers(target: &[f32; OUTPUTS]) -> Vec<f32> {
        target.to_vec()
    }
}

struct Task<const FEATURES: usize, L: HiddenLayers, H: FeatureHead> {
    shape: &'static Shape,
    examples: Rc<Dataset<[f32; FEATURES], H::Target>>,
    initial: Mlp<Dense<FEATURES>, L, H>,
}

/// The task of a shape of this type: the first feature, or whether it is positive.
pub(super) fn case<const FEATURES: usize, L: HiddenLayers, H: FeatureHead>(
    shape: &'static Shape,
) -> Box<dyn Case> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut normal = StandardNormal::default();
    let input = |_| [(); FEATURES].map(|()| normal.sample(&mut rng));
    let inputs: Vec<[f32; FEATURES]> = (0..EXAMPLES).map(input).collect();
    let targets = inputs.iter().map(|input| H::target(input[0])).collect();
    let examples = Dataset::new(inputs, targets).expect("all numbers are finite");
    Box::new(Task::<FEATURES, L, H> {
        shape,
        examples: Rc::new(examples),
        initial: Mlp::fan_in_scaled(&mut rng),
    })
}

impl<const FEATURES: usize, L: HiddenLayers, H: FeatureHead> Task<FEATURES, L, H> {
    /// The example numbers of so many batches.
    fn indices(&self, steps: usize) -> Vec<u32> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        let count = steps * self.shape.batch;
        (0..count).map(|_| below(&mut rng, EXAMPLES)).collect()
    }
}

impl<const FEATURES: usize, L: HiddenLayers, H: FeatureHead> Case for Task<FEATURES, L, H> {
    fn start(&self, backend: Backend) -> Repeat {
        let examples = Rc::clone(&self.examples);
        let batch = self.shape.batch;
        let mut training = Training::new(self.initial.clone(), OPTIMIZER, backend, batch);
        Box::new(move |steps| training.run(&examples, steps))
    }

    fn loss_after(&self, steps: usize) -> f64 {
        let mut trainer = Trainer::new(self.initial.clone(), OPTIMIZER);
        let trainer = trainer.as_mut().expect("models start finite");
        let mut batch = Minibatch::new(self.shape.batch);
        for indices in self.indices(steps).chunks(self.shape.batch) {
            let selected = self.examples.select(indices, &mut batch);
            selected
                .and_then(|()| trainer.step_batch(&batch))
                .expect("the rate is small enough");
        }
        let loss = trainer.evaluate(&self.examples);
        loss.expect("the examples are the model's").into()
    }

    fn write_peer_data(&self, steps: usize) -> io::Result<PathBuf> {
        let Shape {
            head,
            activation,
            widths,
            batch,
            ..
        } = *self.shape;
        let shape = json!({
            "widths": widths,
            "activation": activation,
            "head": head,
            "batch": batch,
            "examples": EXAMPLES,
            "learning_rate": decimal(OPTIMIZER.learning_rate),
            "betas": OPTIMIZER.betas.map(decimal),
            "epsilon": decimal(OPTIMIZER.epsilon),
            "weight_decay": decimal(OPTIMIZER.weight_decay),
        });
        let targets = self.examples.targets().iter();
        let targets: Vec<f32> = targets.flat_map(H::numbers).collect();
        let files = [
            ("features.f32", bytes(self.examples.inputs().as_flattened())),
            ("targets.f32", bytes(&targets)),
        ];
        let mut initial = Vec::new();
        for (_, values) in self.initial.tensors() {
            initial.extend_from_slice(values);
        }
        write(
            &self.shape.name(),
            &shape,
            files,
            &initial,
            &self.indices(steps),
        )
    }
}
