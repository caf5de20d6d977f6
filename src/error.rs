//! The one error type: what was wrong, where, and what was expected.

use alloc::string::String;
use core::fmt;

use crate::simd::Backend;

/// Everything that can go wrong. Each variant carries the offending value and what was expected in its place.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A setting outside its range: a learning rate, a temperature, a number of examples or of steps.
    Setting {
        /// What is set.
        name: &'static str,
        /// The range that it must lie in.
        expected: &'static str,
        /// The value given.
        found: f64,
    },
    /// A batch or data set without a single example.
    EmptyBatch,
    /// More or fewer of something than inputs.
    LengthMismatch {
        /// Number of inputs.
        inputs: usize,
        /// `"targets"`, `"weights"`, `"predictions"` or `"gradients"`.
        what: &'static str,
        /// Number of them.
        found: usize,
    },
    /// The weight of an example that is negative, NaN or infinite.
    WeightOutOfRange {
        /// Which example, from 0.
        example: usize,
        /// The weight.
        value: f32,
    },
    /// A batch, or data set, whose examples all have weight 0: there is no mean to take.
    ZeroWeight,
    /// An input token that the vocabulary does not have.
    TokenOutOfRange {
        /// Which example of the batch, from 0.
        example: usize,
        /// Which place of its context, from 0.
        position: usize,
        /// The token.
        token: usize,
        /// Size of the vocabulary: tokens run from 0 to one less.
        vocabulary: usize,
    },
    /// A target class that the head does not have.
    ClassOutOfRange {
        /// Which example of the batch, from 0.
        example: usize,
        /// The class.
        class: usize,
        /// Number of classes: they run from 0 to one less.
        classes: usize,
    },
    /// NaN or an infinity among the input features or the targets.
    NonFiniteData {
        /// `"input"` or `"target"`.
        what: &'static str,
        /// Which example of the batch, from 0.
        example: usize,
        /// Which of its values, from 0.
        position: usize,
        /// The value.
        value: f32,
    },
    /// NaN or an infinity among the parameters of a model.
    NonFiniteParameter {
        /// The tensor.
        tensor: &'static str,
        /// Row of the element.
        row: usize,
        /// Column of the element.
        column: usize,
        /// The value.
        value: f32,
    },
    /// More or fewer moments than the optimizer keeps for each parameter.
    MomentCount {
        /// Moments that it keeps.
        expected: usize,
        /// Moments given.
        found: usize,
    },
    /// A number among the moments of an optimizer that it cannot have come to.
    MomentOutOfRange {
        /// Which moment, from 0.
        moment: usize,
        /// The tensor.
        tensor: &'static str,
        /// Row of the element.
        row: usize,
        /// Column of the element.
        column: usize,
        /// The range that it must lie in.
        expected: &'static str,
        /// The value.
        value: f32,
    },
    /// NaN or an infinity among the outputs for an input: parameters and input are finite, and too large.
    NonFinitePrediction {
        /// Which example of the batch, from 0.
        example: usize,
        /// Which output, from 0.
        output: usize,
        /// The value.
        value: f32,
    },
    /// NaN or an infinity among what a loss of the caller's own returned. Model and optimizer are as they were before.
    NonFiniteLoss {
        /// Which example of the batch, from 0: the first of several.
        example: usize,
        /// Which output the bad element of the gradient belongs to, from 0; `None` for the loss itself.
        output: Option<usize>,
        /// The value.
        value: f32,
    },
    /// A step that would have made the model non-finite. Model and optimizer are as they were before it.
    NonFiniteStep {
        /// The step, from 0.
        step: u64,
        /// The first tensor whose gradient or new value is not finite, or `"loss"`.
        tensor: &'static str,
    },
    /// A backend name that no processor knows.
    UnknownBackend {
        /// The name.
        name: String,
    },
    /// A backend that this processor cannot run.
    UnavailableBackend {
        /// The name.
        name: &'static str,
    },
    /// A character that the vocabulary does not have.
    UnknownCharacter {
        /// The character.
        character: char,
        /// The line of the text it stands on, from 1.
        line: usize,
    },
    /// Characters that are no vocabulary: none, too many, or, where they are read, not in order.
    Vocabulary {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A character for a vocabulary that cannot be seen.
    InvisibleCharacter {
        /// The character.
        character: char,
    },
    /// A text without a single name.
    EmptyText {
        /// Number of lines that were read.
        lines: usize,
    },
    /// Too few names for every part of a split to get one.
    EmptySplit {
        /// `"train"`, `"dev"` or `"test"`.
        part: &'static str,
        /// Number of names that were to be split.
        names: usize,
    },
    /// An example number beyond the data set.
    IndexOutOfRange {
        /// The number.
        index: usize,
        /// Number of examples.
        examples: usize,
    },
    /// Partial gradients, perhaps from another machine, that do not belong where they are to be added; or that are not whole.
    PartialGradients {
        /// What of them.
        what: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A weight file that is broken, hostile or of another model, or a model that cannot be written to one.
    WeightFile {
        /// What of it: its header, its data, or a tensor by the name that it has in the file.
        what: String,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// Something that is not a regular file, where one was to be written. It is as it was.
    #[cfg(feature = "std")]
    NotARegularFile {
        /// Where.
        path: std::path::PathBuf,
        /// What it is: `"a directory"`, `"a device"`, `"a named pipe"`, `"a socket"` or `"a symbolic link to nothing"`, say.
        found: &'static str,
    },
    /// A file that could not be read or written. One that was to be replaced is as it was.
    #[cfg(feature = "std")]
    File {
        /// `"read"` or `"write"`.
        action: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// What the operating system says.
        kind: std::io::ErrorKind,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting {
                name,
                expected,
                found,
            } => {
                write!(f, "{name} must be {expected}, not {found}")
            }
            Self::EmptyBatch => f.write_str("the batch has no examples; it needs at least one"),
            Self::LengthMismatch {
                inputs,
                what,
                found,
            } => write!(
                f,
                "{inputs} inputs but {found} {what}; there must be as many"
            ),
            Self::WeightOutOfRange { example, value } => write!(
                f,
                "the weight of example {example} must be finite and at least 0, not {value}"
            ),
            Self::ZeroWeight => f.write_str(
                "every example of the batch has weight 0; at least one must have a larger one",
            ),
            Self::TokenOutOfRange {
                example,
                position,
                token,
                vocabulary,
            } => write!(
                f,
                "example {example} has token {token} at position {position}; the vocabulary has tokens 0 to {}",
                vocabulary - 1
            ),
            Self::ClassOutOfRange {
                example,
                class,
                classes,
            } => write!(
                f,
                "example {example} has target class {class}; the head has classes 0 to {}",
                classes - 1
            ),
            Self::NonFiniteData {
                what,
                example,
                position,
                value,
            } => write!(
                f,
                "{what} of example {example} has {value} at position {position}; it must be finite"
            ),
            Self::NonFiniteParameter {
                tensor,
                row,
                column,
                value,
            } => {
                write!(
                    f,
                    "{tensor}[{row}, {column}] is {value}; parameters must be finite"
                )
            }
            Self::MomentCount { expected, found } => write!(
                f,
                "the optimizer keeps {expected} moments for each parameter, not {found}"
            ),
            Self::MomentOutOfRange {
                moment,
                tensor,
                row,
                column,
                expected,
                value,
            } => write!(
                f,
                "moment {moment} of {tensor}[{row}, {column}] must be {expected}, not {value}"
            ),
            Self::NonFinitePrediction {
                example,
                output,
                value,
            } => write!(
                f,
                "output {output} for example {example} is {value}; the parameters and this input are too large to predict with"
            ),
            Self::NonFiniteLoss {
                example,
                output: None,
                value,
            } => write!(
                f,
                "the loss of example {example} is {value}; it must be finite"
            ),
            Self::NonFiniteLoss {
                example,
                output: Some(output),
                value,
            } => write!(
                f,
                "the gradient of example {example} is {value} for output {output}; it must be finite"
            ),
            Self::NonFiniteStep { step, tensor } => write!(
                f,
                "step {step} would make {tensor} non-finite; the model was left as it was before the step"
            ),
            Self::UnknownBackend { name } => {
                let names = Backend::NAMES.join(", ");
                write!(f, "no backend is called {name:?}; there are {names}")
            }
            Self::UnavailableBackend { name } => {
                write!(f, "this processor cannot run the backend {name}")
            }
            Self::UnknownCharacter { character, line } => {
                write!(
                    f,
                    "line {line} has the character {character:?}, which the vocabulary does not have"
                )
            }
            Self::Vocabulary { reason } => write!(f, "not a vocabulary: {reason}"),
            Self::InvisibleCharacter { character } => write!(
                f,
                "the text has the character U+{:04X}, which cannot be seen; it must be removed, or be no part of the vocabulary",
                u32::from(*character)
            ),
            Self::EmptyText { lines } => write!(f, "no name in the text ({lines} lines read)"),
            Self::EmptySplit { part, names } => {
                write!(
                    f,
                    "{names} names are too few to split: the {part} part would be empty"
                )
            }
            Self::IndexOutOfRange { index, examples } => write!(
                f,
                "there is no example {index}; the data set has {examples}, numbered from 0"
            ),
            Self::PartialGradients {
                what,
                expected,
                found,
            } => write!(
                f,
                "partial gradients: {what} must be {expected}, not {found}"
            ),
            Self::WeightFile {
                what,
                expected,
                found,
            } => write!(f, "weight file: {what}: expected {expected}, found {found}"),
            #[cfg(feature = "std")]
            Self::NotARegularFile { path, found } => write!(
                f,
                "cannot write {}: it is {found}, not a regular file",
                path.display()
            ),
            #[cfg(feature = "std")]
            Self::File { action, path, kind } => {
                write!(f, "cannot {action} {}: {kind}", path.display())
            }
        }
    }
}

impl core::error::Error for Error {}
