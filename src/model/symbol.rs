//! Tokens and classes as data: whole numbers of one byte or two.

use core::fmt::Debug;

use super::sealed::Sealed;

/// What a token or a class is: `u8`, or `u16` for vocabularies of words.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a token or a class may be",
    note = "a token or a class is a `u8` or a `u16`"
)]
pub trait Symbol:
    Sealed + Copy + Debug + Default + Ord + Into<usize> + TryFrom<usize> + Send + Sync + 'static
{
    /// How many different ones there are: 256 or 65,536.
    const COUNT: usize;

    #[doc(hidden)]
    fn list(symbols: &[Self]) -> Symbols<'_>;
}

/// Tokens or classes, one after another.
#[derive(Clone, Copy, Debug)]
pub enum Symbols<'a> {
    Bytes(&'a [u8]),
    Words(&'a [u16]),
}

impl Sealed for u8 {}
impl Symbol for u8 {
    const COUNT: usize = 1 << 8;

    #[inline(always)]
    fn list(symbols: &[Self]) -> Symbols<'_> {
        Symbols::Bytes(symbols)
    }
}

impl Sealed for u16 {}
impl Symbol for u16 {
    const COUNT: usize = 1 << 16;

    #[inline(always)]
    fn list(symbols: &[Self]) -> Symbols<'_> {
        Symbols::Words(symbols)
    }
}

impl Symbols<'_> {
    /// The same, of a width that is a constant where a model's shape is: then no look-up asks for it.
    #[inline(always)]
    pub(crate) fn of_width(self, count: usize) -> Self {
        match self {
            Self::Bytes(symbols) if count == u8::COUNT => Self::Bytes(symbols),
            Self::Words(symbols) if count == u16::COUNT => Self::Words(symbols),
            _ => unreachable!("a model's type fixes the width of its tokens and classes"),
        }
    }

    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Bytes(symbols) => symbols.len(),
            Self::Words(symbols) => symbols.len(),
        }
    }

    /// The number of the symbol at an index.
    #[inline(always)]
    pub(crate) fn at(self, index: usize) -> usize {
        match self {
            Self::Bytes(symbols) => symbols[index].into(),
            Self::Words(symbols) => symbols[index].into(),
        }
    }

    /// Symbols `start .. start + len`.
    #[inline(always)]
    pub(crate) fn slice(self, start: usize, len: usize) -> Self {
        match self {
            Self::Bytes(symbols) => Self::Bytes(&symbols[start..][..len]),
            Self::Words(symbols) => Self::Words(&symbols[start..][..len]),
        }
    }

    /// Their numbers.
    #[inline(always)]
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..self.len()).map(move |index| self.at(index))
    }

    /// The largest number, plus one; 0 without symbols.
    pub(crate) fn bound(self) -> usize {
        let largest = match self {
            Self::Bytes(symbols) => largest(symbols),
            Self::Words(symbols) => largest(symbols),
        };
        largest.map_or(0, |largest| largest + 1)
    }

    /// The index of the first symbol whose number is not below a limit.
    #[inline]
    pub(crate) fn first_beyond(self, limit: usize) -> Option<usize> {
        // No early exit, so the loop vectorises.
        if self.bound() <= limit {
            return None;
        }
        self.iter().position(|symbol| symbol >= limit)
    }
}

fn largest<T: Symbol>(symbols: &[T]) -> Option<usize> {
    symbols.iter().max().map(|&symbol| symbol.into())
}
