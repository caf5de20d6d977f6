//! Characters to tokens and back.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::error::Error;

/// Distinct characters, numbered from 1. Token 0 starts and ends every name and has no character.
///
/// ```
/// use fused_mlp::Vocabulary;
///
/// let letters = Vocabulary::lowercase();
/// assert_eq!(letters.len(), 27);
/// assert_eq!(letters.token('a'), Some(1));
/// assert_eq!(letters.character(26), Some('z'));
/// assert_eq!(letters.character(Vocabulary::END.into()), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    /// Sorted; token t is `characters[t − 1]`.
    characters: Vec<char>,
}

impl Vocabulary {
    /// The token before the first and after the last character of a name.
    pub const END: u8 = 0;

    /// `a` to `z`: with the end mark 27 tokens, the vocabulary of the name model.
    #[must_use]
    pub fn lowercase() -> Self {
        Self {
            characters: ('a'..='z').collect(),
        }
    }

    /// The distinct characters of a text, in the order of their code points.
    ///
    /// # Errors
    ///
    /// [`Error::Vocabulary`] if there are none, or more than 65,535.
    pub fn of(text: impl IntoIterator<Item = char>) -> Result<Self, Error> {
        let characters: Vec<char> = text
            .into_iter()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        match characters.len() {
            0 => Err(Error::Vocabulary {
                reason: "it has no characters",
            }),
            1..=0xffff => Ok(Self { characters }),
            _ => Err(Error::Vocabulary {
                reason: "it has more than 65,535 characters",
            }),
        }
    }

    /// Number of tokens, the end mark among them.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always the end mark")]
    pub fn len(&self) -> usize {
        self.characters.len() + 1
    }

    /// The characters, that of token 1 first.
    pub fn characters(&self) -> impl Iterator<Item = char> {
        self.characters.iter().copied()
    }

    /// The token of a character.
    #[must_use]
    pub fn token(&self, character: char) -> Option<u16> {
        let index = self.characters.binary_search(&character).ok()?;
        u16::try_from(index + 1).ok()
    }

    /// The character of a token; `None` for the end mark and beyond the vocabulary.
    #[must_use]
    pub fn character(&self, token: u16) -> Option<char> {
        let index = usize::from(token).checked_sub(1)?;
        self.characters.get(index).copied()
    }
}
