//! The gradients of a batch, computed block by block and added in the order of their tree.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::dispatch::run;
use crate::kernels::block_step::{Backward, BlockStep};
use crate::kernels::buffer::Buffer;
use crate::kernels::chunk::Workspace;
use crate::kernels::finite::Sum;
use crate::kernels::gradient_use::GradientUse;
#[cfg(feature = "rayon")]
use crate::kernels::pairwise::BLOCK;
use crate::kernels::pairwise::{Blocks, Combine, PartialSum, PartialSums};
use crate::model::{Batch, Model, ModelSpec};
use crate::simd::{Backend, LANES};

/// A batch to differentiate: all that whoever computes some of its blocks has in common.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) backend: Backend,
    pub(super) parameters: &'a [[f32; LANES]],
    /// Checked against the model.
    pub(super) batch: Batch<'a>,
    /// What the gradients of the whole batch are used for.
    pub(super) gradient_use: GradientUse,
}

/// Gradients as partial sums over the blocks of a batch; in the end one sum, over all.
#[derive(Clone, Debug)]
pub(super) struct Gradients {
    sums: PartialSums,
    /// A slot for each of the sums, and one for the next block; as many as the longest batch so far has needed.
    slots: Vec<Buffer>,
}

impl Gradients {
    pub(super) fn new(spec: ModelSpec) -> Self {
        Self {
            sums: PartialSums::new(),
            slots: vec![Buffer::zeroed(spec.parameter_vectors())],
        }
    }

    /// What was stored for the whole batch.
    pub(super) fn whole(&self) -> &Buffer {
        &self.slots[0]
    }

    /// As [`whole`](Self::whole), for writing.
    pub(super) fn whole_mut(&mut self) -> &mut Buffer {
        &mut self.slots[0]
    }

    /// The partial sums, in the order of their blocks, with what was stored for each.
    pub(super) fn sums(&self) -> impl Iterator<Item = (&PartialSum, &Buffer)> {
        self.sums.waiting().iter().zip(&self.slots)
    }

    /// The sum of the losses of the blocks, in the order of the tree.
    pub(super) fn loss(&self) -> f64 {
        self.sums.waiting().iter().map(|sum| sum.loss).sum()
    }

    /// Forgets all blocks, for those of a batch of so many examples.
    pub(super) fn start(&mut self, examples: usize) {
        self.sums.start(Blocks::of(examples));
    }

    /// The losses of some blocks of a batch of an `M`, added to those of the blocks before; no gradients.
    pub(super) fn add_losses<M: Model>(
        &mut self,
        task: Task<'_>,
        blocks: Range<usize>,
        workspace: &mut Workspace,
    ) {
        for block in blocks {
            let step = task.block::<M>(block, None, workspace);
            let loss = run::<M, _>(task.backend, step);
            let blocks = block..block + 1;
            self.sums.add(PartialSum { blocks, loss });
        }
    }

    /// The partial gradients of some blocks of a batch of an `M`, added to those of the blocks before.
    ///
    /// With the last block of the batch it returns the sum of all numbers that were stored, if they were not just gradients.
    pub(super) fn add_blocks<M: Model>(
        &mut self,
        task: Task<'_>,
        blocks: Range<usize>,
        workspace: &mut Workspace,
    ) -> f32 {
        let mut stored = 0.0;
        for block in blocks {
            let blocks = block..block + 1;
            let met = self.sums.met_by(&blocks);
            self.provide_slot();
            let (waiting, free) = self.slots.split_at_mut(met.end);
            let (gradient_use, operands) = match waiting[met.clone()].last() {
                Some(nearest) => (GradientUse::AddTo { factor: 1.0 }, nearest.vectors()),
                None if task.blocks().count() == 1 => (task.gradient_use, task.parameters),
                None => (GradientUse::Store, task.parameters),
            };
            let backward = Backward {
                gradients: free[0].vectors_mut(),
                gradient_use,
                operands,
            };
            let step = task.block::<M>(block, Some(backward), workspace);
            let loss = run::<M, _>(task.backend, step);
            let is_added = usize::from(!met.is_empty());
            let sum = PartialSum { blocks, loss };
            stored = self.combine(task, sum, is_added, |combine| task.backend.run(combine));
        }
        stored
    }

    /// Takes over the partial sums of the blocks after its own, and adds them to those that they meet, by `run`; `later` is left with
    /// buffers of no meaning. Returns what [`add_blocks`](Self::add_blocks) does.
    #[cfg(any(feature = "rayon", test))]
    pub(super) fn absorb(
        &mut self,
        task: Task<'_>,
        later: &mut Self,
        mut run: impl FnMut(Combine<'_>) -> f32,
    ) -> f32 {
        let mut stored = 0.0;
        for (sum, slot) in later.sums.waiting().iter().zip(&mut later.slots) {
            self.provide_slot();
            let free = self.sums.waiting().len();
            core::mem::swap(&mut self.slots[free], slot);
            stored = self.combine(task, sum.clone(), 0, &mut run);
        }
        stored
    }

    /// As [`absorb`](Self::absorb), for losses alone.
    #[cfg(feature = "rayon")]
    pub(super) fn absorb_losses(&mut self, later: &Self) {
        for sum in later.sums.waiting() {
            self.sums.add(sum.clone());
        }
    }

    /// Makes a slot for the next partial sum, if none is free.
    fn provide_slot(&mut self) {
        if self.slots.len() == self.sums.waiting().len() {
            let vectors = self.whole().vectors().len();
            self.slots.push(Buffer::zeroed(vectors));
        }
    }

    /// Adds the partial sum in the free slot to those that it meets, but for `added` of them, to which it was added before.
    fn combine(
        &mut self,
        task: Task<'_>,
        sum: PartialSum,
        added: usize,
        run: impl FnOnce(Combine<'_>) -> f32,
    ) -> f32 {
        let met = self.sums.add(sum);
        let is_whole = self.sums.is_whole();
        let (waiting, free) = self.slots.split_at_mut(met.end);
        let earlier = &waiting[met.start..met.end - added];
        let gradients = free[0].vectors_mut();
        let stored = if met.is_empty() {
            match task.gradient_use {
                // A pass of its own: as a part of the step it makes that 1 % slower.
                GradientUse::AddTo { .. } if is_whole => task.backend.run(Sum(gradients)),
                _ => 0.0,
            }
        } else if is_whole || !earlier.is_empty() {
            let gradient_use = if is_whole {
                task.gradient_use
            } else {
                GradientUse::Store
            };
            run(Combine {
                earlier,
                start: 0,
                gradient_use,
                parameters: task.parameters,
                gradients,
            })
        } else {
            0.0
        };
        self.slots.swap(met.start, met.end);
        stored
    }
}

impl<'a> Task<'a> {
    pub(super) fn blocks(self) -> Blocks {
        Blocks::of(self.batch.len)
    }

    /// Number of examples of some blocks.
    #[cfg(feature = "rayon")]
    pub(super) fn examples(self, blocks: &Range<usize>) -> usize {
        self.batch
            .len
            .min(blocks.end * BLOCK)
            .saturating_sub(blocks.start * BLOCK)
    }

    fn block<'b, M: Model>(
        self,
        block: usize,
        backward: Option<Backward<'b>>,
        workspace: &'b mut Workspace,
    ) -> BlockStep<'b>
    where
        'a: 'b,
    {
        let examples = self.blocks().examples(block);
        BlockStep {
            parameters: self.parameters,
            block: self.batch.slice(M::SPEC, examples.start, examples.len()),
            backward,
            workspace,
        }
    }
}
