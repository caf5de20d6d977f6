//! What the tensors of a model are called in a file, and which way round they lie there.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::{named, quoted, refuse};
use crate::error::Error;
use crate::model::{InputSpec, ModelSpec, Role, Tensor};

/// One tensor's name and layout in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name there.
    pub name: String,
    /// Whether its rows are this crate's columns. A bias has one dimension in a file, so this changes nothing for it.
    pub is_transposed: bool,
}

/// The names and layouts of a model's tensors in a file, whatever its number of layers.
///
/// | [tensor](crate::model::Tensor) | shape in the model | [`makemore`](Keys::makemore) | [`sequential`](Keys::sequential) | [`linear`](Keys::linear) |
/// |---|---|---|---|---|
/// | `embedding` | `[VOCAB, EMBED]` | `C` | `0.weight` | `….weight` |
/// | weights of layer l, from 0 | `[INPUTS, OUTPUTS]` | `W1`, `W2`, … | `2l.weight`, transposed | `….weight`, transposed |
/// | bias of layer l | `[OUTPUTS]` | `b1`, `b2`, … | `2l.bias` | `….bias` |
///
/// Modules of a sequence that starts with an embedding are numbered 2 higher. The shape of a square matrix does not tell which
/// way round it lies: there the keys alone say it.
///
/// ```
/// use fused_mlp::weights::{self, Keys};
/// use fused_mlp::{Dense, Mlp, SeedableRng, Softmax, Tanh, Xoshiro256PlusPlus};
///
/// // nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
/// type Policy = Mlp<Dense<4>, (Tanh<64>, Tanh<64>), Softmax<2>>;
/// let model = Policy::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(1));
/// let state_dict = weights::to_bytes(&model, &Keys::sequential())?; // 0.weight, 0.bias, 2.weight, …, 4.bias
/// assert_eq!(weights::from_bytes::<Policy>(&state_dict, &Keys::sequential())?, model);
/// # Ok::<(), fused_mlp::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    scheme: Scheme,
    prefix: String,
    /// Keys of single tensors, by the tensor's name.
    replaced: BTreeMap<String, Key>,
    ignores_others: bool,
}

/// How names follow from a tensor's layer and role.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Scheme {
    Makemore,
    Sequential,
    Linear {
        embedding: String,
        layers: Vec<String>,
    },
}

impl Keys {
    /// `C, W1, b1, W2, b2, …`, as in makemore part 2.
    #[must_use]
    pub fn makemore() -> Self {
        Self::of_scheme(Scheme::Makemore)
    }

    /// The `state_dict` of a PyTorch `nn.Sequential` of linear layers with an activation between each and the next:
    /// `0.weight`, `0.bias`, `2.weight`, …; `nn.Linear` keeps its weights `[out, in]`.
    ///
    /// For a model of [`Tokens`](crate::Tokens) it is one that begins with `nn.Embedding` and `nn.Flatten`: `0.weight` is the
    /// embedding, and the linear layers are 2, 4, ….
    #[must_use]
    pub fn sequential() -> Self {
        Self::of_scheme(Scheme::Sequential)
    }

    /// The `state_dict` of a PyTorch module with one `nn.Embedding` and several `nn.Linear` of these names, first to last,
    /// which keep their weights `[out, in]`. A model of [`Dense`](crate::Dense) inputs has no embedding, and that name is not
    /// looked at.
    #[must_use]
    pub fn linear(embedding: &str, layers: &[&str]) -> Self {
        Self::of_scheme(Scheme::Linear {
            embedding: embedding.to_string(),
            layers: layers.iter().map(ToString::to_string).collect(),
        })
    }

    /// The same with something before every name: `"model."`, say.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix.insert_str(0, prefix);
        self
    }

    /// The same with another key for the [tensor](crate::model::Tensor) of this name, which gets no prefix: `hidden2_bias`, say.
    #[must_use]
    pub fn with_key(mut self, tensor: &str, key: Key) -> Self {
        self.replaced.insert(tensor.to_string(), key);
        self
    }

    /// The same, for files that may have other tensors too. They are not read.
    #[must_use]
    pub fn ignoring_others(mut self) -> Self {
        self.ignores_others = true;
        self
    }

    fn of_scheme(scheme: Scheme) -> Self {
        Self {
            scheme,
            prefix: String::new(),
            replaced: BTreeMap::new(),
            ignores_others: false,
        }
    }

    /// Whether a file may have tensors that the model has not.
    pub(super) fn ignores_others(&self) -> bool {
        self.ignores_others
    }

    /// The tensors of a model with their keys, in storage order.
    pub(super) fn of(&self, spec: ModelSpec) -> Result<Vec<Keyed>, Error> {
        if let Scheme::Linear { layers, .. } = &self.scheme
            && layers.len() != spec.layers().len()
        {
            let expected = format!("the names of {} layers", spec.layers().len());
            return Err(refuse("the keys", expected, layers.len()));
        }
        if let Some(unknown) = self
            .replaced
            .keys()
            .find(|name| spec.tensors().all(|tensor| tensor.name != **name))
        {
            let expected = "a tensor of the model";
            return Err(refuse("the keys", expected, quoted(unknown)));
        }
        let keyed = |tensor: Tensor| Keyed {
            tensor,
            key: match self.replaced.get(tensor.name) {
                Some(key) => key.clone(),
                None => self.key(spec, tensor),
            },
        };
        Ok(spec.tensors().map(keyed).collect())
    }

    fn key(&self, spec: ModelSpec, tensor: Tensor) -> Key {
        let Self { scheme, prefix, .. } = self;
        let Tensor { layer, role, .. } = tensor;
        let module = |module: &dyn core::fmt::Display| match role {
            Role::Embedding | Role::Weights => format!("{prefix}{module}.weight"),
            Role::Bias => format!("{prefix}{module}.bias"),
        };
        let name = match (scheme, role) {
            (Scheme::Makemore, Role::Embedding) => format!("{prefix}C"),
            (Scheme::Makemore, Role::Weights) => format!("{prefix}W{}", layer + 1),
            (Scheme::Makemore, Role::Bias) => format!("{prefix}b{}", layer + 1),
            (Scheme::Sequential, Role::Embedding) => module(&0),
            (Scheme::Sequential, Role::Weights | Role::Bias) => match spec.input {
                InputSpec::Tokens { .. } => module(&(2 * layer + 2)),
                InputSpec::Dense { .. } => module(&(2 * layer)),
            },
            (Scheme::Linear { embedding, .. }, Role::Embedding) => module(embedding),
            (Scheme::Linear { layers, .. }, Role::Weights | Role::Bias) => module(&layers[layer]),
        };
        Key {
            name,
            is_transposed: *scheme != Scheme::Makemore && role == Role::Weights,
        }
    }
}

/// A tensor of a model with its key in a file.
#[derive(Clone)]
pub(super) struct Keyed {
    tensor: Tensor,
    pub(super) key: Key,
}

impl Keyed {
    /// Its shape in the file.
    pub(super) fn shape(&self) -> Vec<usize> {
        let Tensor {
            role,
            rows,
            columns,
            ..
        } = self.tensor;
        if role == Role::Bias {
            vec![columns]
        } else if self.key.is_transposed {
            vec![columns, rows]
        } else {
            vec![rows, columns]
        }
    }

    /// Which element of the model's tensor the element with this index in the file's is.
    pub(super) fn in_model(&self, index: usize) -> usize {
        let Tensor { rows, columns, .. } = self.tensor;
        if self.key.is_transposed {
            index % rows * columns + index / rows
        } else {
            index
        }
    }

    /// The `f32` nearest to an element with this index in the file's tensor. NaN, infinities and what is rounded to one are
    /// refused.
    pub(super) fn finite(&self, index: usize, exact: f64) -> Result<f32, Error> {
        #[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
        let value = exact as f32;
        if value.is_finite() {
            return Ok(value);
        }
        let position = match self.shape()[..] {
            [_, columns] => vec![index / columns, index % columns],
            _ => vec![index],
        };
        let what = format!("{} at {position:?}", named(&self.key.name));
        let expected = "a finite number in the range of f32";
        Err(refuse(what, expected, format!("{exact:?}"))) // `{}` would be all digits of 1e300
    }
}
