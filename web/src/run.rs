//! Training runs of the two models behind one trait.

use std::ops::ControlFlow::Continue;

use fused_mlp::model::HiddenLayers;
use fused_mlp::schedule::{constant, cosine, warm_up};
use fused_mlp::weights::{self, Keys};
use fused_mlp::{
    AdamW, Backend, Dataset, Error, Fit, Length, Mlp, Model, Optimizer, SeedableRng, Sgd, Softmax,
    Split, Tanh, Tokens, Trainer, Vocabulary, Xoshiro256PlusPlus, sample,
};

use crate::plane::Plane;

/// The letters and the end mark.
pub const TOKENS: usize = 27;
/// Letters of the longest name that is invented.
const MAX_LETTERS: usize = 20;

/// The example `deep_names` has the same weight decay and warm-up.
const WEIGHT_DECAY: f32 = 0.03;
const WARM_UP: u64 = 200;
/// The part of the learning rate that is left at the end, so that a longer run still learns.
const FLOOR: f64 = 0.1;

/// Which model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The post's: three letters, two numbers for each, 100 tanh neurons, plain gradient descent.
    OneLayer,
    /// As in the example `deep_names`: eight letters, ten numbers for each, twice 200 tanh neurons,
    /// `AdamW` on a cosine.
    TwoLayers,
}

/// What the visitor chooses for a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Learning rate.
    pub rate: f32,
    /// Examples in a step.
    pub batch: usize,
    /// Steps until the rate of the deep model has gone down to a tenth.
    pub steps: u64,
    /// Seed of everything random but the split of the names.
    pub seed: u64,
}

/// A part of the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What the model is trained on.
    Train,
    /// What its loss is watched on.
    Validation,
    /// What its loss is reported on.
    Test,
}

/// A training run of some model.
pub trait Run {
    /// Trains for some steps, and returns the mean of their batches' losses.
    ///
    /// # Errors
    ///
    /// As [`Trainer::fit`].
    fn train(&mut self, steps: u32) -> Result<f32, Error>;

    /// Mean loss over a part of the names, in nats a letter.
    ///
    /// # Errors
    ///
    /// As [`Trainer::evaluate`].
    fn evaluate(&mut self, part: Part) -> Result<f32, Error>;

    /// The token embeddings: their two numbers, or their two principal components if there are
    /// more.
    fn letters(&mut self) -> [[f32; 2]; TOKENS];

    /// A new name. Training takes no notice of it.
    ///
    /// # Errors
    ///
    /// As [`sample::name`].
    fn invent(&mut self) -> Result<String, Error>;

    /// A safetensors file of the model, with makemore's names.
    ///
    /// # Errors
    ///
    /// As [`weights::to_bytes`].
    fn weights(&self) -> Result<Vec<u8>, Error>;

    /// A 64-bit hash of the bits of all parameters (Fowler, Noll and Vo's 1a).
    fn checksum(&self) -> u64;

    /// Number of parameters.
    fn parameters(&self) -> usize;
}

impl Kind {
    /// The settings of the post, and of the example `deep_names`.
    #[must_use]
    pub fn settings(self) -> Settings {
        let (rate, batch) = match self {
            Self::OneLayer => (0.1, 32),
            Self::TwoLayers => (0.002, 64),
        };
        Settings {
            rate,
            batch,
            steps: 10_000,
            seed: 42,
        }
    }

    /// A run of this model on these names, from the weights in a file or from random ones.
    pub(crate) fn run(
        self,
        settings: Settings,
        names: &Split,
        file: Option<&[u8]>,
        backend: Backend,
    ) -> Result<Box<dyn Run>, Error> {
        Ok(match self {
            Self::OneLayer => Box::new(Training::<Tanh<100>, 3, 2>::new(
                settings,
                names,
                Start {
                    file,
                    random: Mlp::standard_normal,
                    optimizer: Sgd::new(settings.rate).into(),
                    schedule: |step, _| constant(step),
                },
                backend,
            )?),
            Self::TwoLayers => Box::new(Training::<(Tanh<200>, Tanh<200>), 8, 10>::new(
                settings,
                names,
                Start {
                    file,
                    random: Mlp::fan_in_scaled,
                    optimizer: Optimizer::from(AdamW {
                        weight_decay: WEIGHT_DECAY,
                        ..AdamW::new(settings.rate)
                    }),
                    schedule: |step, steps| {
                        warm_up(step, WARM_UP, 0.01) * cosine(step, steps, FLOOR)
                    },
                },
                backend,
            )?),
        })
    }
}

type Names<L, const CONTEXT: usize, const EMBED: usize> =
    Mlp<Tokens<TOKENS, CONTEXT, EMBED>, L, Softmax<TOKENS>>;

/// What the two models start with.
struct Start<'a, M> {
    file: Option<&'a [u8]>,
    random: fn(&mut Xoshiro256PlusPlus) -> M,
    optimizer: Optimizer,
    /// Factor of the learning rate, by the steps taken and those of the run.
    schedule: fn(u64, u64) -> f64,
}

struct Training<L: HiddenLayers, const CONTEXT: usize, const EMBED: usize> {
    trainer: Trainer<Names<L, CONTEXT, EMBED>>,
    settings: Settings,
    schedule: fn(u64, u64) -> f64,
    train: Dataset<[u8; CONTEXT], u8>,
    validation: Dataset<[u8; CONTEXT], u8>,
    test: Dataset<[u8; CONTEXT], u8>,
    /// Gives the initial parameters and then the batches.
    rng: Xoshiro256PlusPlus,
    /// Gives the letters of invented names: a copy of `rng` as it was after the last step. So the
    /// first names after a run are those that the example `names` prints on the same bits.
    names_rng: Xoshiro256PlusPlus,
    plane: Plane,
}

impl<L: HiddenLayers, const CONTEXT: usize, const EMBED: usize> Training<L, CONTEXT, EMBED> {
    fn new(
        settings: Settings,
        names: &Split,
        start: Start<'_, Names<L, CONTEXT, EMBED>>,
        backend: Backend,
    ) -> Result<Self, Error> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(settings.seed);
        let model = match start.file {
            Some(bytes) => weights::from_bytes(bytes, &Keys::makemore().ignoring_others())?,
            None => (start.random)(&mut rng),
        };
        let vocabulary = Vocabulary::lowercase();
        Ok(Self {
            trainer: Trainer::new(model, start.optimizer)?.with_backend(backend),
            settings,
            schedule: start.schedule,
            train: names.train.windows(&vocabulary)?,
            validation: names.dev.windows(&vocabulary)?,
            test: names.test.windows(&vocabulary)?,
            names_rng: rng.clone(),
            rng,
            plane: Plane::new(EMBED),
        })
    }
}

impl<L: HiddenLayers, const CONTEXT: usize, const EMBED: usize> Run
    for Training<L, CONTEXT, EMBED>
{
    fn train(&mut self, steps: u32) -> Result<f32, Error> {
        let (schedule, planned) = (self.schedule, self.settings.steps);
        let fit = Fit {
            length: Length::Steps(steps.into()),
            batch: self.settings.batch,
            schedule: |step| schedule(step, planned),
        };
        let mut sum = 0.0;
        self.trainer
            .fit(&self.train, fit, &mut self.rng, |progress| {
                sum += f64::from(progress.loss);
                Ok(Continue(()))
            })?;
        self.names_rng = self.rng.clone();
        #[expect(clippy::cast_possible_truncation, reason = "a mean of f32 numbers")]
        Ok((sum / f64::from(steps)) as f32)
    }

    fn evaluate(&mut self, part: Part) -> Result<f32, Error> {
        self.trainer.evaluate(match part {
            Part::Train => &self.train,
            Part::Validation => &self.validation,
            Part::Test => &self.test,
        })
    }

    fn letters(&mut self) -> [[f32; 2]; TOKENS] {
        let model = self.trainer.model();
        let (_, embedding) = model.tensors().next().expect("the embedding comes first");
        self.plane.project(embedding)
    }

    fn invent(&mut self) -> Result<String, Error> {
        let vocabulary = Vocabulary::lowercase();
        sample::name(
            &self.trainer,
            &vocabulary,
            1.0,
            MAX_LETTERS,
            &mut self.names_rng,
        )
    }

    fn weights(&self) -> Result<Vec<u8>, Error> {
        weights::to_bytes(&self.trainer.model(), &Keys::makemore())
    }

    fn checksum(&self) -> u64 {
        let model = self.trainer.model();
        let values = model.tensors().flat_map(|(_, values)| values);
        values
            .flat_map(|value| value.to_le_bytes())
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            })
    }

    fn parameters(&self) -> usize {
        let model = self.trainer.model();
        model.tensors().map(|(_, values)| values.len()).sum()
    }
}
