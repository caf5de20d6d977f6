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

/// What some programs write before a text.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

/// Characters that take no space, change no letter, and are not white space: of Unicode's categories Cc and Cf, and its tags.
fn is_invisible(character: char) -> bool {
    let is_format = matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | BYTE_ORDER_MARK | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    is_format || (character.is_control() && !character.is_whitespace())
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

    /// The distinct characters of a text, in the order of their code points. A byte-order mark (U+FEFF) that begins the text is
    /// dropped.
    ///
    /// # Errors
    ///
    /// [`Error::InvisibleCharacter`] for one that nobody would see in an invented name: a control character that is not white space,
    /// a byte-order mark further on, a soft hyphen, a zero-width space, a mark of writing direction, or a tag. The joiners U+200C and
    /// U+200D are part of the spelling of some languages, and are characters. [`Error::Vocabulary`] if there are none, or more than
    /// 65,535.
    pub fn of(text: impl IntoIterator<Item = char>) -> Result<Self, Error> {
        let mut text = text.into_iter().peekable();
        let _ = text.next_if_eq(&BYTE_ORDER_MARK);
        let characters: Vec<char> = text.collect::<BTreeSet<_>>().into_iter().collect();
        if let Some(&character) = characters
            .iter()
            .find(|&&character| is_invisible(character))
        {
            return Err(Error::InvisibleCharacter { character });
        }
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
