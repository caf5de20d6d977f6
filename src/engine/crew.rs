//! Who computes the blocks of a batch: the calling thread, and with the feature `rayon` others beside it.
//!
//! Each takes blocks in a row, on storage of its own, and is left with partial sums whose places in the tree are known. The caller
//! adds these in the order of the tree, so the bits are those of one thread, whatever the number of threads.

use core::ops::Range;

use super::dispatch::BatchPrediction;
use super::gradients::{Gradients, Task};
use crate::kernels::chunk::Workspace;
use crate::model::{ExampleOf, Model, ModelSpec, PredictionOf};

/// The storage of whoever computes blocks.
#[derive(Clone, Debug)]
pub(super) struct Crew {
    pub(super) workspace: Workspace,
    #[cfg(feature = "rayon")]
    pub(super) threads: Option<super::threads::Threads>,
}

impl Crew {
    pub(super) fn new(spec: ModelSpec) -> Self {
        Self {
            workspace: Workspace::new(spec),
            #[cfg(feature = "rayon")]
            threads: None,
        }
    }

    /// As [`Gradients::add_blocks`], for all blocks of the batch.
    pub(super) fn add_all<M: Model>(&mut self, task: Task<'_>, gradients: &mut Gradients) -> f32 {
        self.add_blocks::<M>(task, 0..task.blocks().count(), gradients)
    }

    /// As [`Gradients::add_blocks`], on gradients that forget the blocks before.
    pub(super) fn add_blocks<M: Model>(
        &mut self,
        task: Task<'_>,
        blocks: Range<usize>,
        gradients: &mut Gradients,
    ) -> f32 {
        gradients.start(task.batch.len);
        #[cfg(feature = "rayon")]
        if let Some(threads) = &mut self.threads
            && let Some(parts) = threads.parts_of_step(M::SPEC, task.examples(&blocks))
        {
            return threads.add_blocks::<M>(parts, task, blocks, gradients, &mut self.workspace);
        }
        gradients.add_blocks::<M>(task, blocks, &mut self.workspace)
    }

    /// As [`Gradients::add_losses`], for all blocks of the batch.
    pub(super) fn add_all_losses<M: Model>(&mut self, task: Task<'_>, gradients: &mut Gradients) {
        gradients.start(task.batch.len);
        #[cfg(feature = "rayon")]
        if let Some(threads) = &mut self.threads
            && let Some(parts) = threads.parts_of_forward(M::SPEC, task.batch.len)
        {
            return threads.add_all_losses::<M>(parts, task, gradients, &mut self.workspace);
        }
        let blocks = 0..task.blocks().count();
        gradients.add_losses::<M>(task, blocks, &mut self.workspace);
    }

    /// As [`BatchPrediction::run`].
    pub(super) fn predict<M: Model>(
        &mut self,
        prediction: BatchPrediction<'_>,
        inputs: &[ExampleOf<M>],
        predictions: &mut [PredictionOf<M>],
    ) {
        #[cfg(feature = "rayon")]
        if let Some(threads) = &mut self.threads
            && let Some(parts) = threads.parts_of_forward(M::SPEC, inputs.len())
        {
            let workspace = &mut self.workspace;
            return threads.predict::<M>(parts, prediction, inputs, predictions, workspace);
        }
        prediction.run::<M>(inputs, &mut self.workspace, predictions);
    }
}
