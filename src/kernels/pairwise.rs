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
//! 2ˡ blocks from a multiple of 2ˡ⁺¹ on are added to the 2ˡ blocks after them, or to as many as there are. The earlier sum always
//! comes first. [`PartialSums`] finds, for blocks that come in their order, what is to be added when; whoever computes a range of
//! blocks is left with the sums of a few ranges, which add up in the same way.

use alloc::vec::Vec;
use core::ops::Range;

use super::buffer::Buffer;
use super::chunk::{CHUNK, CHUNKS};
use super::gradient_use::GradientUse;
use crate::model::ACCUMULATORS;
use crate::simd::{Kernel, LANES, Simd};

/// Examples of a block: two chunks, so that two threads can share a batch of 128.
pub(crate) const BLOCK: usize = CHUNKS * CHUNK;

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

    /// Whether the tree has a sum over just these blocks.
    pub(crate) fn has_sum(self, blocks: &Range<usize>) -> bool {
        if blocks.is_empty() || blocks.end > self.count() {
            return false;
        }
        let length = blocks.len().next_power_of_two();
        let is_full = blocks.len() == length || blocks.end == self.count();
        is_full && blocks.start.is_multiple_of(length)
    }

    /// Whether the sum over some blocks is to be added to that over the blocks just before them.
    fn adds(self, earlier: &Range<usize>, blocks: &Range<usize>) -> bool {
        let length = earlier.len();
        earlier.start.is_multiple_of(2 * length)
            && blocks.end == self.count().min(earlier.end + length)
    }
}

/// The sum over some blocks, within which all is added that is to be: its place in the tree, and the losses' part of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PartialSum {
    pub(crate) blocks: Range<usize>,
    pub(crate) loss: f64,
}

/// The sums that are left of the blocks so far, in their order. What else is summed is kept beside, in a slot for each.
#[derive(Debug)]
pub(crate) struct PartialSums {
    of: Blocks,
    waiting: Vec<PartialSum>,
}

impl PartialSums {
    /// Without a block yet, and with room for as many sums as a batch of 2³² blocks can have, so that a step allocates nothing for
    /// them.
    pub(crate) fn new() -> Self {
        Self {
            of: Blocks::of(1),
            waiting: Vec::with_capacity(64),
        }
    }

    /// Forgets all, for the blocks of a batch. Storage is kept.
    pub(crate) fn start(&mut self, of: Blocks) {
        self.of = of;
        self.waiting.clear();
    }

    /// The sums, in the order of their blocks.
    pub(crate) fn waiting(&self) -> &[PartialSum] {
        &self.waiting
    }

    /// Whether all blocks of the batch are added up.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(&*self.waiting, [sum] if sum.blocks == (0..self.of.count()))
    }

    /// Which of the sums the next one, over these blocks, is to be added to, the last of them first.
    pub(crate) fn met_by(&self, blocks: &Range<usize>) -> Range<usize> {
        let mut sum = blocks.clone();
        let mut first = self.waiting.len();
        while let Some(before) = first.checked_sub(1)
            && self.of.adds(&self.waiting[before].blocks, &sum)
        {
            first = before;
            sum.start = self.waiting[first].blocks.start;
        }
        first..self.waiting.len()
    }

    /// Takes in the next sum: adds it to those it [meets](Self::met_by), and puts the result in the place of the first of them.
    pub(crate) fn add(&mut self, mut sum: PartialSum) -> Range<usize> {
        let met = self.met_by(&sum.blocks);
        for earlier in self.waiting.drain(met.clone()).rev() {
            sum.blocks.start = earlier.blocks.start;
            sum.loss += earlier.loss;
        }
        self.waiting.push(sum);
        met
    }
}

impl Clone for PartialSums {
    fn clone(&self) -> Self {
        let mut copy = Self::new(); // a vector's own clone would have no room
        copy.of = self.of;
        copy.waiting.extend_from_slice(&self.waiting);
        copy
    }
}

/// Adds gradients to those of earlier blocks, and stores what the result is used for: the only place where sums over blocks are
/// added, but for one. The last of the earlier sums may be left to the kernel of a block, where the same addition is a part of
/// storing its gradients and costs no pass over them.
pub(crate) struct Combine<'a> {
    /// The sums it is added to, the last of them first.
    pub(crate) earlier: &'a [Buffer],
    /// Where in them the vectors begin that belong to `gradients`.
    pub(crate) start: usize,
    pub(crate) gradient_use: GradientUse,
    pub(crate) parameters: &'a [[f32; LANES]],
    /// The sum of the later blocks; replaced.
    pub(crate) gradients: &'a mut [[f32; LANES]],
}

#[cfg(feature = "rayon")]
impl Combine<'_> {
    /// The first `vectors`, a multiple of [`ACCUMULATORS`], and the others: the sums of both are those of the whole.
    pub(crate) fn split_at(self, vectors: usize) -> (Self, Self) {
        let (parameters, later_parameters) = self.parameters.split_at(vectors);
        let (gradients, later_gradients) = self.gradients.split_at_mut(vectors);
        let later = Self {
            earlier: self.earlier,
            start: self.start + vectors,
            gradient_use: self.gradient_use,
            parameters: later_parameters,
            gradients: later_gradients,
        };
        let first = Self {
            earlier: self.earlier,
            start: self.start,
            gradient_use: self.gradient_use,
            parameters,
            gradients,
        };
        (first, later)
    }
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
            for earlier in self.earlier.iter().rev() {
                let earlier = &earlier.vectors()[self.start + group * ACCUMULATORS..];
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
    use std::format;

    use proptest::prelude::*;

    use super::*;

    /// Sums with brackets written out, where a number is a block.
    struct Written {
        sums: PartialSums,
        texts: Vec<String>,
    }

    impl Written {
        fn of(blocks: Blocks) -> Self {
            let mut sums = PartialSums::new();
            sums.start(blocks);
            Self {
                sums,
                texts: vec![],
            }
        }

        fn add(&mut self, blocks: Range<usize>, text: String) {
            let met = self.texts.drain(self.sums.met_by(&blocks));
            let text = met
                .rev()
                .fold(text, |sum, earlier| format!("({earlier}+{sum})"));
            self.texts.push(text);
            self.sums.add(PartialSum { blocks, loss: 0.0 });
            assert_eq!(self.sums.waiting().len(), self.texts.len());
        }

        /// What is left of a range of blocks.
        fn range(blocks: Blocks, range: Range<usize>) -> Self {
            let mut written = Self::of(blocks);
            for block in range {
                written.add(block..block + 1, format!("{block}"));
            }
            written
        }

        fn whole(blocks: Blocks) -> String {
            let mut written = Self::range(blocks, 0..blocks.count());
            assert_eq!(written.texts.len(), 1);
            written.texts.remove(0)
        }
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
            assert_eq!(
                Written::whole(Blocks::of(examples)),
                sum,
                "{examples} examples"
            );
        }
    }

    #[test]
    fn every_block_is_added_once_and_depth_is_logarithmic() {
        for count in 1..=200 {
            let blocks = Blocks::of(count * BLOCK - 5);
            assert_eq!(blocks.count(), count);
            let written = Written::whole(blocks);
            let mut depth = 0_u32;
            let mut deepest = 0;
            for character in written.chars() {
                match character {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    _ => deepest = deepest.max(depth),
                }
            }
            assert!(
                deepest <= count.next_power_of_two().trailing_zeros(),
                "{count}: {written}"
            );
            let numbers: Vec<usize> = written
                .split(|character: char| !character.is_ascii_digit())
                .filter_map(|number| number.parse().ok())
                .collect();
            assert_eq!(numbers, Vec::from_iter(0..count));
        }
    }

    proptest! {
        /// Whoever computes which blocks: the sums that each is left with come to the same brackets, and are few.
        #[test]
        fn ranges_of_blocks_add_up_to_the_same_sum(
            count in 1_usize..300,
            cuts in prop::collection::vec(0_usize..300, 0..8),
        ) {
            let blocks = Blocks::of(count * BLOCK);
            let mut bounds = vec![0, count];
            bounds.extend(cuts.into_iter().filter(|&cut| cut < count));
            bounds.sort_unstable();

            let mut whole = Written::of(blocks);
            for bounds in bounds.windows(2) {
                let range = Written::range(blocks, bounds[0]..bounds[1]);
                prop_assert!(range.texts.len() <= 2 * (1 + count.ilog2() as usize));
                for (sum, text) in range.sums.waiting().iter().zip(range.texts) {
                    whole.add(sum.blocks.clone(), text);
                }
            }
            prop_assert_eq!(whole.texts, [Written::whole(blocks)]);
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
