//! The blocks of a batch, and the order in which their sums are added: pairwise, as a binary counter carries.
//!
//! A gradient over a block of [`BLOCK`] examples is one chain of multiply-adds. A chain over a whole batch would gather rounding
//! errors in proportion to its length; pairwise they grow with its logarithm. The order depends on the length of the batch alone,
//! so the sum is the same whoever computes the blocks.
//!
//! ```text
//! seven blocks:  ((0 + 1) + (2 + 3)) + ((4 + 5) + 6)
//! ```
//!
//! Block i is added to the sums that wait on the levels of the ones at the low end of i in binary, and the result waits on the level
//! of the first zero. The last block is added to all that wait, the lowest level first. An earlier sum always comes first.

use core::ops::Range;

use super::buffer::Buffer;
use super::chunk::{CHUNK, CHUNKS};
use super::gradient_use::GradientUse;
use crate::model::ACCUMULATORS;
use crate::simd::{Kernel, LANES, Simd};

/// Examples of a block: two chunks, so that two threads can share a batch of 128.
pub(crate) const BLOCK: usize = CHUNKS * CHUNK;

/// Levels that there can be: fewer than the bits of a number of blocks.
const MAX_LEVELS: usize = usize::BITS as usize;

/// The blocks of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocks {
    /// Examples of the batch, at least one.
    examples: usize,
}

impl Blocks {
    pub(crate) const fn of(examples: usize) -> Self {
        Self { examples }
    }

    /// Number of blocks, at least one.
    pub(crate) const fn count(self) -> usize {
        self.examples.div_ceil(BLOCK)
    }

    /// The examples of a block.
    pub(crate) fn examples(self, block: usize) -> Range<usize> {
        block * BLOCK..self.examples.min((block + 1) * BLOCK)
    }

    /// Levels on which a sum may wait.
    pub(crate) const fn levels(self) -> usize {
        (usize::BITS - (self.count() - 1).leading_zeros()) as usize
    }

    pub(crate) const fn is_last(self, block: usize) -> bool {
        block + 1 == self.count()
    }

    /// The levels whose sums a block is added to, lowest first.
    pub(crate) const fn carries(self, block: usize) -> Levels {
        if self.is_last(block) {
            Levels(block)
        } else {
            Levels(block & !(block + 1))
        }
    }

    /// The level on which the sum with a block waits, if it is not the last.
    pub(crate) const fn level(self, block: usize) -> usize {
        block.trailing_ones() as usize
    }
}

/// A set of levels, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Levels(usize);

impl Levels {
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether level 0 is among them, and the others.
    pub(crate) const fn split_first(self) -> (bool, Self) {
        (self.0 & 1 == 1, Self(self.0 & !1))
    }

    /// The levels, lowest first.
    #[inline(always)]
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        core::iter::from_fn(move || {
            let level = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(level)
        })
    }
}

/// Losses of blocks, added in the order of their gradients.
pub(crate) struct LossSum {
    blocks: Blocks,
    waiting: [f64; MAX_LEVELS],
}

impl LossSum {
    pub(crate) const fn of(blocks: Blocks) -> Self {
        Self {
            blocks,
            waiting: [0.0; MAX_LEVELS],
        }
    }

    /// Adds the loss of the next block to those that it meets, and gives their sum: with the last block, that of all.
    pub(crate) fn add(&mut self, block: usize, loss: f64) -> f64 {
        let earlier = self.blocks.carries(block).iter();
        let sum = earlier.fold(loss, |sum, level| self.waiting[level] + sum);
        self.waiting[self.blocks.level(block)] = sum;
        sum
    }
}

/// Adds a block's gradients to the sums of earlier blocks that wait, and stores what the result is used for.
///
/// The sum of level 0, which every second block is added to, is left to the block's own kernel: there the addition is a part of
/// storing its gradients, and costs no pass over them.
pub(crate) struct Combine<'a> {
    /// The sums that wait, by level.
    pub(crate) waiting: &'a [Buffer],
    /// Which of them are added.
    pub(crate) carries: Levels,
    pub(crate) gradient_use: GradientUse,
    pub(crate) parameters: &'a [[f32; LANES]],
    /// The block's own; replaced.
    pub(crate) gradients: &'a mut [[f32; LANES]],
}

impl Kernel for Combine<'_> {
    /// The sum of all that was stored, as [`Sum`](super::finite::Sum) forms it.
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let zero = simd.splat(0.0);
        let mut sums = [zero; ACCUMULATORS];
        let groups = self.gradients.as_chunks_mut::<ACCUMULATORS>().0;
        let parameters = self.parameters.as_chunks::<ACCUMULATORS>().0;
        for (group, (gradients, parameters)) in groups.iter_mut().zip(parameters).enumerate() {
            let mut totals = [zero; ACCUMULATORS];
            for i in 0..ACCUMULATORS {
                totals[i] = simd.load(&gradients[i]);
            }
            for level in self.carries.iter() {
                let earlier = &self.waiting[level].vectors()[group * ACCUMULATORS..];
                if let Some(earlier) = earlier.first_chunk::<ACCUMULATORS>() {
                    for i in 0..ACCUMULATORS {
                        totals[i] = simd.add(simd.load(&earlier[i]), totals[i]);
                    }
                }
            }
            for i in 0..ACCUMULATORS {
                let stored = self.gradient_use.apply(simd, &parameters[i], totals[i]);
                sums[i] = simd.add(stored, sums[i]);
                simd.store(stored, &mut gradients[i]);
            }
        }
        simd.sum_lanes(sums.into_iter().fold(zero, |a, b| simd.add(a, b)))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;
    use std::format;

    use super::*;

    /// The sum as the tree forms it, written out with brackets; `b` is a block.
    fn written_out(blocks: Blocks) -> String {
        let mut waiting = vec![String::new(); blocks.levels()];
        for block in 0..blocks.count() {
            let own = format!("{block}");
            let sum = blocks.carries(block).iter().fold(own, |sum, level| {
                format!("({}+{sum})", core::mem::take(&mut waiting[level]))
            });
            if blocks.is_last(block) {
                assert!(waiting.iter().all(String::is_empty), "nothing is left over");
                return sum;
            }
            let level = &mut waiting[blocks.level(block)];
            assert!(level.is_empty(), "nothing is overwritten");
            *level = sum;
        }
        unreachable!("there is a last block");
    }

    #[test]
    fn blocks_are_added_pairwise_in_an_order_that_the_length_alone_decides() {
        let expected = [
            (1, "0"),
            (64, "0"),
            (65, "(0+1)"),
            (192, "((0+1)+2)"),
            (256, "((0+1)+(2+3))"),
            (257, "(((0+1)+(2+3))+4)"),
            (448, "(((0+1)+(2+3))+((4+5)+6))"),
        ];
        for (examples, sum) in expected {
            let written = written_out(Blocks::of(examples));
            // The last sums meet lowest level first: ((0…3) + ((4+5) + 6)).
            assert_eq!(written, sum, "{examples} examples");
        }
    }

    #[test]
    fn every_block_is_added_once_and_depth_is_logarithmic() {
        for count in 1..=200 {
            let blocks = Blocks::of(count * BLOCK - 5);
            assert_eq!(blocks.count(), count);
            let written = written_out(blocks);
            let mut depth = 0_usize;
            let mut deepest = 0;
            for character in written.chars() {
                match character {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    _ => deepest = deepest.max(depth),
                }
            }
            assert!(deepest <= blocks.levels(), "{count}: {written}");
            let numbers: Vec<usize> = written
                .split(|character: char| !character.is_ascii_digit())
                .filter_map(|number| number.parse().ok())
                .collect();
            assert_eq!(numbers, Vec::from_iter(0..count));
        }
    }

    #[test]
    fn examples_of_blocks_follow_one_another() {
        for examples in 1..=300 {
            let blocks = Blocks::of(examples);
            let mut end = 0;
            for block in 0..blocks.count() {
                let range = blocks.examples(block);
                assert_eq!(range.start, end);
                assert!((1..=BLOCK).contains(&range.len()));
                end = range.end;
            }
            assert_eq!(end, examples);
        }
    }
}
