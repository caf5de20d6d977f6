//! Weight files in the [safetensors] format, with the names and layouts of PyTorch's programs. Feature `safetensors`; files
//! on disk need `std` too.
//!
//! ```
//! use fused_mlp::weights::{self, Keys};
//! use fused_mlp::{NameModel, SeedableRng, Xoshiro256PlusPlus};
//!
//! let model = NameModel::standard_normal(&mut Xoshiro256PlusPlus::seed_from_u64(1));
//! let bytes = weights::to_bytes(&model, &Keys::makemore())?;
//! assert_eq!(weights::from_bytes::<NameModel>(&bytes, &Keys::makemore())?, model);
//! # Ok::<(), fused_mlp::Error>(())
//! ```
//!
//! [`save`] and [`load`] do the same with a file. In Python:
//!
//! ```python
//! from safetensors.torch import load_file, save_file
//! tensors = load_file("model.safetensors")      # {"C": tensor, "W1": tensor, …}; or module.load_state_dict(tensors)
//! save_file(tensors, "model.safetensors")       # or module.state_dict()
//! ```
//!
//! An `nn.Sequential` wants the keys of [`Keys::sequential`], another module of `nn.Embedding` and `nn.Linear` those of
//! [`Keys::linear`].
//!
//! # Element types
//!
//! Tensors are read from F32, F16, BF16 and F64, and those of one file may differ. F16 and BF16 widen to `f32` exactly; F64 is
//! rounded once, to the nearest `f32`, ties to even. What is written is F32.
//!
//! # What is refused
//!
//! A file may come from anywhere, so each of these is an [`Error::WeightFile`] that says what was expected and what was
//! found: a file that is truncated or has bytes to spare; a header above [`HEADER_LIMIT`], that is not JSON, or that has a
//! key twice; tensors that overlap, leave gaps, or are as long as their shape does not say; tensors that are missing,
//! unknown, of another element type than those above or of another shape; a number that is not finite, or whose nearest `f32`
//! is not; a file of another architecture or of a later version of this crate's.
//!
//! No memory is taken at a file's word: at most [`HEADER_LIMIT`] bytes are read before all of the above but the numbers is
//! known to hold, and after that only the tensors that the model has. What is written is held to the same rules.
//!
//! # Metadata
//!
//! Under `fused_mlp` in `__metadata__` stands a JSON object of strings: `version`, which is `2`, and `architecture`, what the
//! model computes: `tokens(27, 3, 2) -> tanh(100) -> softmax(27)`. Files of version 1, whose models have one hidden layer,
//! are read. Files without it load all the same; other metadata are
//! ignored. A model has the same file, byte for byte, wherever it is written.
//!
//! # Training states
//!
//! [`save_state`] and [`load_state`], or [`state_to_bytes`] and [`state_from_bytes`], keep a
//! [`TrainingState`](crate::TrainingState), and the generator that draws the run's batches if it is given. The model's tensors
//! have the names of [`Keys::makemore`], so that it can be read alone with [`Keys::ignoring_others`]; the moments stand beside
//! them as `moment1.C`, …, `moment2.b2`. The object of strings also has `loss`, `optimizer` (`sgd`, `momentum` or `adam_w`)
//! with its settings, `steps`, `clipping` if there is any, and the generator's 32 bytes in hexadecimal digits as
//! `xoshiro256plusplus`. Settings are the shortest decimal numbers that are read back to the bit, so a run goes on from its file
//! as if it had not stopped.
//!
//! [safetensors]: https://huggingface.co/docs/safetensors/index#format

mod about;
mod element;
#[cfg(feature = "std")]
mod file;
mod header;
mod keys;
mod read;
mod source;
mod training;
mod write;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::error::Error;
use crate::model::Model;

#[cfg(feature = "std")]
pub use file::{load, load_state, save, save_state};
pub use header::HEADER_LIMIT;
pub use keys::{Key, Keys};
pub use training::{state_from_bytes, state_to_bytes};

/// The format's key of all metadata.
const METADATA: &str = "__metadata__";
/// This crate's key among them: a single one, because the safetensors crate writes several in random order.
const OURS: &str = "fused_mlp";

/// The bytes of a model's weight file.
///
/// # Errors
///
/// [`Error::WeightFile`] for a parameter that is not finite, and for keys of which two are equal, one is the format's own
/// `__metadata__`, or all are longer than [`HEADER_LIMIT`].
pub fn to_bytes<M: Model>(model: &M, keys: &Keys) -> Result<Vec<u8>, Error> {
    let mut file = write::Contents::new(about::of(M::SPEC));
    file.add(model, keys)?;
    file.into_bytes()
}

/// The model in the bytes of a weight file.
///
/// # Errors
///
/// [`Error::WeightFile`]; see the [module](self) for what is refused.
pub fn from_bytes<M: Model>(bytes: &[u8], keys: &Keys) -> Result<M, Error> {
    read::model(&mut { bytes }, keys)
}

/// Most characters of a file's own text that an error repeats.
const QUOTED: usize = 200;

/// An error, in which text that may come from the file is cut short.
fn refuse(what: impl ToString, expected: impl ToString, found: impl ToString) -> Error {
    Error::WeightFile {
        what: what.to_string(),
        expected: expected.to_string(),
        found: cut(found.to_string()),
    }
}

/// A text of the file's, readable whatever its characters.
fn quoted(text: &str) -> String {
    cut(format!("{text:?}"))
}

/// How an error calls a tensor of a file.
fn named(tensor: &str) -> String {
    format!("tensor {}", quoted(tensor))
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(QUOTED) {
        text.truncate(end);
        text.push('…');
    }
    text
}
