//! The published runs as recipes: what their seeds decide, and how their names were drawn.
//!
//! `tests/replay_runs.rs` compiles this very file and holds it to what PyTorch and JAX computed.

use clap::ValueEnum;
use fused_mlp::replay::{jax, torch};
use fused_mlp::{Error, Model, NameModel, Trainer, Vocabulary};

/// Letters before the one to be predicted.
pub(crate) const CONTEXT: usize = 3;
/// Settings of the post.
pub(crate) const STEPS: u64 = 10_000;
pub(crate) const BATCH: usize = 32;
pub(crate) const LEARNING_RATE: f32 = 0.1;

/// Longest name that is drawn. The published protocols have no such end, and none of their names comes near it.
pub(crate) const LONGEST: usize = 100;

/// A run that can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Recipe {
    /// The post's PyTorch run
    Torch,
    /// The post's JAX run
    Jax,
    /// The same with JAX's newer layout of random numbers, `jax_threefry_partitionable`; not in the post
    JaxPartitionable,
}

impl Recipe {
    /// The seed of the post.
    pub(crate) fn published_seed(self) -> u64 {
        match self {
            Self::Torch => 2_147_483_647,
            Self::Jax | Self::JaxPartitionable => 0,
        }
    }

    /// What to call it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Torch => "PyTorch",
            Self::Jax => "JAX",
            Self::JaxPartitionable => "JAX, partitionable",
        }
    }

    /// The names that the post prints of a run with this seed.
    pub(crate) fn post_names(self, seed: u64) -> &'static [&'static str] {
        match self {
            _ if seed != self.published_seed() => &[],
            Self::Torch => &["junide", "janasad", "presay", "adin", "koi", "ritolia"],
            Self::Jax => &["brone", "jieai", "krillo", "jrayle", "karireio", "addelie"],
            Self::JaxPartitionable => &[],
        }
    }

    /// Train, dev and test loss after the run in the framework itself (PyTorch 2.15.0, jax 0.10.2).
    pub(crate) fn framework_losses(self, seed: u64) -> Option<[f32; 3]> {
        (seed == self.published_seed()).then_some(match self {
            Self::Torch => [2.484535, 2.479064, 2.488245],
            Self::Jax => [2.466512, 2.458223, 2.465439],
            Self::JaxPartitionable => [2.534356, 2.525776, 2.528766],
        })
    }

    /// The parameters before the first step, all from N(0, 1).
    pub(crate) fn initial_model(self, seed: u64) -> NameModel {
        let mut model = NameModel::zeroed();
        match self {
            Self::Torch => {
                let mut generator = torch::Generator::manual_seed(seed);
                for (_, values) in model.tensors_mut() {
                    generator.randn(values, torch::NormalPath::Simd);
                }
            }
            Self::Jax | Self::JaxPartitionable => {
                let [_, subkeys @ ..] = self.key(seed).split::<6>();
                let mut subkeys = subkeys.into_iter();
                for (_, values) in model.tensors_mut() {
                    if let Some(subkey) = subkeys.next() {
                        subkey.normal(values);
                    }
                }
            }
        }
        model
    }

    /// The numbers of the examples of each batch, without end.
    pub(crate) fn batches(
        self,
        seed: u64,
        examples: usize,
    ) -> Box<dyn Iterator<Item = [u32; BATCH]>> {
        match self {
            Self::Torch => {
                let generator = torch::Generator::manual_seed(seed);
                Box::new(torch::Batches::new(generator, examples))
            }
            Self::Jax | Self::JaxPartitionable => {
                Box::new(jax::Batches::new(self.key(seed), examples))
            }
        }
    }

    /// New names, drawn as the post draws them.
    pub(crate) fn names(
        self,
        seed: u64,
        trainer: &mut Trainer<NameModel>,
        count: usize,
    ) -> Result<Vec<String>, Error> {
        match self {
            Self::Torch => {
                let mut generator = torch::Generator::manual_seed(seed);
                let mut draw = |context: &_| {
                    let probabilities = trainer.predict(context)?;
                    Ok(generator.multinomial(&probabilities, torch::ExponentialPath::Mkl))
                };
                (0..count).map(|_| name(&mut draw)).collect()
            }
            Self::Jax | Self::JaxPartitionable => {
                let mut key = self.key(seed);
                let mut draw = |context: &_| {
                    let mut logits = trainer.logits(context)?;
                    let max = logits.into_iter().fold(f32::NEG_INFINITY, f32::max);
                    logits = logits.map(|logit| logit - max);
                    let [next, subkey] = key.split();
                    key = next;
                    Ok(subkey.categorical(&logits))
                };
                (0..count).map(|_| name(&mut draw)).collect()
            }
        }
    }

    /// JAX keeps the low 32 bits of a seed, as PyTorch does.
    fn key(self, seed: u64) -> jax::Key {
        let layout = match self {
            Self::JaxPartitionable => jax::Threefry::Partitionable,
            _ => jax::Threefry::NonPartitionable,
        };
        #[expect(clippy::cast_possible_truncation, reason = "as JAX does")]
        jax::Key::new(seed as u32, layout)
    }
}

/// A name, of one token after another until the end mark.
fn name(mut draw: impl FnMut(&[u8; CONTEXT]) -> Result<usize, Error>) -> Result<String, Error> {
    let vocabulary = Vocabulary::lowercase();
    let mut context = [Vocabulary::END; CONTEXT];
    let mut name = String::new();
    while name.len() < LONGEST {
        #[expect(clippy::cast_possible_truncation, reason = "27 tokens")]
        let token = draw(&context)? as u8;
        let Some(character) = vocabulary.character(token.into()) else {
            break;
        };
        name.push(character);
        context.rotate_left(1);
        context[CONTEXT - 1] = token;
    }
    Ok(name)
}
