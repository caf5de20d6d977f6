//! From a text to names, from names to a split, from names to sliding windows.

use alloc::string::String;
use alloc::vec::Vec;

use super::vocabulary::BYTE_ORDER_MARK;
use super::{Dataset, Vocabulary};
use crate::error::Error;
use crate::model::Symbol;
use crate::replay::python::Random;

/// About two thousand given names, one on a line, written for this crate.
const SAMPLE: &str = include_str!("sample_names.txt");

/// Names in an order, each with the line it came from.
///
/// ```
/// use fused_mlp::{Corpus, Vocabulary};
///
/// let corpus = Corpus::from_text("emma\r\nolivia\n\nava")?;
/// assert_eq!(corpus.len(), 3);
/// let windows = corpus.windows::<3>(&Vocabulary::lowercase())?;
/// assert_eq!(windows.inputs()[..3], [[0, 0, 0], [0, 0, 5], [0, 5, 13]]);
/// assert_eq!(windows.targets()[..5], [5, 13, 13, 1, Vocabulary::END]);
/// # Ok::<(), fused_mlp::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corpus {
    names: Vec<Name>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    text: String,
    /// From 1.
    line: usize,
}

/// A corpus in three parts that share no line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// To train on: eight tenths.
    pub train: Corpus,
    /// To tune on: one tenth.
    pub dev: Corpus,
    /// To report on: one tenth.
    pub test: Corpus,
}

impl Corpus {
    /// One name a line. White space around a name, carriage returns among it, blank lines, and a byte-order mark (U+FEFF) before the
    /// first line are passed over.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyText`] if there is no name.
    pub fn from_text(text: &str) -> Result<Self, Error> {
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let names: Vec<Name> = text
            .lines()
            .enumerate()
            .map(|(index, line)| Name {
                text: line.trim().into(),
                line: index + 1,
            })
            .filter(|name| !name.text.is_empty())
            .collect();
        if names.is_empty() {
            return Err(Error::EmptyText {
                lines: text.lines().count(),
            });
        }
        Ok(Self { names })
    }

    /// The built-in sample: about two thousand given names of `a` to `z`.
    ///
    /// # Panics
    ///
    /// Never: the sample has names.
    #[must_use]
    pub fn sample() -> Self {
        Self::from_text(SAMPLE).expect("the sample has names")
    }

    /// Number of names; never 0.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a corpus is never empty")]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| name.text.as_str())
    }

    /// Shuffles the names and cuts them 80 : 10 : 10, as makemore does it: Python's `random.seed(seed)`,
    /// `random.shuffle(names)`, and cuts at ⌊0.8 n⌋ and ⌊0.9 n⌋. Makemore's seed is 42.
    ///
    /// # Errors
    ///
    /// [`Error::EmptySplit`] if a part would get no name.
    pub fn split(mut self, seed: u64) -> Result<Split, Error> {
        let len = self.names.len();
        Random::from_seed(seed).shuffle(&mut self.names);
        // Products of a length and a decimal fraction, rounded down as Python rounds them.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a length is far below 2⁵³, and the product below the length"
        )]
        let cut = |fraction: f64| (fraction * len as f64) as usize;
        let test = self.names.split_off(cut(0.9));
        let dev = self.names.split_off(cut(0.8));
        let part = |part, names: Vec<Name>| match names.len() {
            0 => Err(Error::EmptySplit { part, names: len }),
            _ => Ok(Self { names }),
        };
        Ok(Split {
            train: part("train", self.names)?,
            dev: part("dev", dev)?,
            test: part("test", test)?,
        })
    }

    /// Every place of every name as an example, as [`Dataset::windows`] makes them of tokens: the `CONTEXT` characters before it,
    /// and its character.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownCharacter`], with its line; [`Error::Vocabulary`] for one of more than 255 characters, whose tokens need
    /// [`windows_u16`](Self::windows_u16).
    pub fn windows<const CONTEXT: usize>(
        &self,
        vocabulary: &Vocabulary,
    ) -> Result<Dataset<[u8; CONTEXT], u8>, Error> {
        if vocabulary.len() > u8::COUNT {
            return Err(Error::Vocabulary {
                reason: "it has more than 255 characters, and a token is one byte",
            });
        }
        self.windows_of(vocabulary)
    }

    /// As [`windows`](Self::windows), with tokens of two bytes.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownCharacter`], with its line.
    pub fn windows_u16<const CONTEXT: usize>(
        &self,
        vocabulary: &Vocabulary,
    ) -> Result<Dataset<[u16; CONTEXT], u16>, Error> {
        self.windows_of(vocabulary)
    }

    fn windows_of<const CONTEXT: usize, T: Symbol>(
        &self,
        vocabulary: &Vocabulary,
    ) -> Result<Dataset<[T; CONTEXT], T>, Error> {
        let mut sequences = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let token = |character| {
                let token = vocabulary.token(character).map(usize::from);
                token
                    .and_then(|token| T::try_from(token).ok())
                    .ok_or(Error::UnknownCharacter {
                        character,
                        line: name.line,
                    })
            };
            let tokens: Result<Vec<T>, Error> = name.text.chars().map(token).collect();
            sequences.push(tokens?);
        }
        Dataset::windows(&sequences)
    }
}
