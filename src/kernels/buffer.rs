//! Working storage: zeroed floats that start on a cache line.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use crate::simd::{LANES, Pair};

/// A heap slice of whole vectors, aligned to 64 bytes.
///
/// A vector that straddles two cache lines costs twice as much to read, so the slice starts at the first aligned element
/// of a larger allocation. Half a page more keeps two buffers of one size, allocated one after the other, from lying whole
/// pages apart: a processor takes a load for one of what was just stored at the same place in another page, and waits (1 % of
/// a step). Both matter for speed alone; nothing rests on them.
///
/// The views are inlined whatever the compiler thinks of it: a step is one large function, inside which it stops inlining, and
/// calls of these and of their like cost 4 % of a step.
pub(crate) struct Buffer {
    floats: Vec<f32>,
    start: usize,
    vectors: usize,
}

const CACHE_LINE: usize = 64;
const HALF_A_PAGE: usize = 2048;

impl Buffer {
    /// `vectors` zero vectors.
    pub(crate) fn zeroed(vectors: usize) -> Self {
        let floats = vec![0.0_f32; vectors * LANES + (CACHE_LINE + HALF_A_PAGE) / size_of::<f32>()];
        let start = floats.as_ptr().align_offset(CACHE_LINE).min(LANES);
        Self {
            floats,
            start,
            vectors,
        }
    }

    #[inline(always)]
    pub(crate) fn floats(&self) -> &[f32] {
        &self.floats[self.start..self.start + self.vectors * LANES]
    }

    #[inline(always)]
    pub(crate) fn floats_mut(&mut self) -> &mut [f32] {
        &mut self.floats[self.start..self.start + self.vectors * LANES]
    }

    #[inline(always)]
    pub(crate) fn vectors(&self) -> &[[f32; LANES]] {
        self.floats().as_chunks().0
    }

    /// Two vectors each; an odd last one is left out.
    #[inline(always)]
    pub(crate) fn pairs_mut(&mut self) -> &mut [Pair] {
        self.vectors_mut().as_chunks_mut().0
    }

    #[inline(always)]
    pub(crate) fn vectors_mut(&mut self) -> &mut [[f32; LANES]] {
        self.floats_mut().as_chunks_mut().0
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::zeroed(self.vectors);
        copy.floats_mut().copy_from_slice(self.floats());
        copy
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer of {} floats", self.vectors * LANES)
    }
}
