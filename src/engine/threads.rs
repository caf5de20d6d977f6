//! Threads that compute blocks beside the calling one.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::dispatch::BatchPrediction;
use super::gradients::{Gradients, Task};
use crate::kernels::chunk::{CHUNK, Workspace};
use crate::kernels::pairwise::{Blocks, Combine};
use crate::model::{ACCUMULATORS, ExampleOf, Model, ModelSpec, PredictionOf};
use crate::simd::{Backend, LANES};

/// Multiply-adds that are worth a thread: what one does in some 100 to 200 µs. To wake a thread, and to wait for it, takes a tenth
/// of that.
const WORTH_A_THREAD: usize = 1 << 22;

/// Vectors of parameters that are worth sharing an addition of gradients, which is done sooner.
const WORTH_SHARING: usize = 1 << 12;

/// Most threads, the calling one among them: more are a mistake, and storage for each would fill the memory.
const MAX_THREADS: usize = 1024;

/// Threads beside the calling one.
#[derive(Clone, Debug)]
pub(crate) struct Threads {
    /// Shared by clones of a trainer.
    pool: Arc<ThreadPool>,
    helpers: Vec<Helper>,
    /// What each of them returns of its part of an addition.
    sums: Vec<f32>,
}

/// What one of them works on.
#[derive(Clone, Debug)]
struct Helper {
    gradients: Gradients,
    workspace: Workspace,
}

impl Threads {
    /// So many threads beside the calling one, at least one; `None` if they cannot be had.
    pub(super) fn new(spec: ModelSpec, beside: usize) -> Option<Self> {
        if beside >= MAX_THREADS {
            return None;
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(beside)
            .thread_name(|index| format!("fused-mlp {}", index + 1))
            .build()
            .ok()?;
        let helper = || Helper {
            gradients: Gradients::new(spec),
            workspace: Workspace::new(spec),
        };
        Some(Self {
            pool: Arc::new(pool),
            helpers: core::iter::repeat_with(helper).take(beside).collect(),
            sums: vec![0.0; beside],
        })
    }

    /// Threads, with the calling one.
    pub(super) fn count(&self) -> usize {
        self.helpers.len() + 1
    }

    /// How many threads are to share a step, if more than one: a step that is too small is done sooner alone.
    pub(super) fn parts_of_step(&self, spec: ModelSpec, examples: usize) -> Option<usize> {
        self.parts(3 * spec.used_vectors * LANES, examples)
    }

    /// As [`parts_of_step`](Self::parts_of_step), for a computation that only goes forward.
    pub(super) fn parts_of_forward(&self, spec: ModelSpec, examples: usize) -> Option<usize> {
        self.parts(spec.used_vectors * LANES, examples)
    }

    fn parts(&self, multiply_adds: usize, examples: usize) -> Option<usize> {
        let worth = examples.saturating_mul(multiply_adds) / WORTH_A_THREAD;
        let parts = self.count().min(worth).min(Blocks::of(examples).count());
        (parts > 1).then_some(parts)
    }

    /// As [`Gradients::add_blocks`], in so many parts.
    pub(super) fn add_blocks<M: Model>(
        &mut self,
        parts: usize,
        task: Task<'_>,
        blocks: Range<usize>,
        gradients: &mut Gradients,
        workspace: &mut Workspace,
    ) -> f32 {
        let helpers = &mut self.helpers[..parts - 1];
        let own = (&mut *gradients, workspace);
        in_parts(
            &self.pool,
            task,
            blocks,
            own,
            helpers,
            |gradients, blocks, workspace| {
                gradients.add_blocks::<M>(task, blocks, workspace);
            },
        );
        let sums = &mut self.sums[..parts - 1];
        let mut stored = 0.0;
        for helper in helpers {
            stored = gradients.absorb(task, &mut helper.gradients, |combine| {
                combine_on(&self.pool, sums, task.backend, combine)
            });
        }
        stored
    }

    /// As [`Gradients::add_losses`], for all blocks of the batch, in so many parts.
    pub(super) fn add_all_losses<M: Model>(
        &mut self,
        parts: usize,
        task: Task<'_>,
        gradients: &mut Gradients,
        workspace: &mut Workspace,
    ) {
        let helpers = &mut self.helpers[..parts - 1];
        let (blocks, own) = (0..task.blocks().count(), (&mut *gradients, workspace));
        in_parts(
            &self.pool,
            task,
            blocks,
            own,
            helpers,
            |gradients, blocks, workspace| {
                gradients.add_losses::<M>(task, blocks, workspace);
            },
        );
        for helper in helpers {
            gradients.absorb_losses(&helper.gradients);
        }
    }

    /// As [`BatchPrediction::run`], in so many parts.
    pub(super) fn predict<M: Model>(
        &mut self,
        parts: usize,
        prediction: BatchPrediction<'_>,
        inputs: &[ExampleOf<M>],
        predictions: &mut [PredictionOf<M>],
        workspace: &mut Workspace,
    ) {
        let of_part = inputs.len().div_ceil(parts).next_multiple_of(CHUNK);
        let (first, later) = inputs.split_at(of_part);
        let (predictions, of_later) = predictions.split_at_mut(of_part);
        let later = later.chunks(of_part).zip(of_later.chunks_mut(of_part));
        self.pool.in_place_scope(|scope| {
            for (helper, (inputs, predictions)) in self.helpers.iter_mut().zip(later) {
                scope.spawn(move |_| {
                    prediction.run::<M>(inputs, &mut helper.workspace, predictions);
                });
            }
            prediction.run::<M>(first, workspace, predictions);
        });
    }
}

/// Does the work on blocks in parts as even as can be, the first on the calling thread's own storage, each other on a helper's, whose
/// sums forget the blocks before.
fn in_parts(
    pool: &ThreadPool,
    task: Task<'_>,
    blocks: Range<usize>,
    (gradients, workspace): (&mut Gradients, &mut Workspace),
    helpers: &mut [Helper],
    work: impl Fn(&mut Gradients, Range<usize>, &mut Workspace) + Sync,
) {
    let parts = helpers.len() + 1;
    let bound = |part| blocks.start + blocks.len() * part / parts;
    let work = &work;
    pool.in_place_scope(|scope| {
        for (part, helper) in (1..).zip(helpers) {
            let blocks = bound(part)..bound(part + 1);
            scope.spawn(move |_| {
                helper.gradients.start(task.batch.len);
                work(&mut helper.gradients, blocks, &mut helper.workspace);
            });
        }
        work(gradients, bound(0)..bound(1), workspace);
    });
}

/// Runs an addition in parts, one for the calling thread and one for each of `sums`, where what they return is left; gives the sum of
/// all that was stored.
fn combine_on(pool: &ThreadPool, sums: &mut [f32], backend: Backend, combine: Combine<'_>) -> f32 {
    let vectors = combine.gradients.len();
    if vectors < WORTH_SHARING {
        return backend.run(combine);
    }
    let of_part = vectors
        .div_ceil(sums.len() + 1)
        .next_multiple_of(ACCUMULATORS);
    let (first, mut rest) = combine.split_at(of_part.min(vectors));
    let first = pool.in_place_scope(|scope| {
        for sum in &mut *sums {
            let left = rest.gradients.len();
            let part;
            (part, rest) = rest.split_at(of_part.min(left));
            scope.spawn(move |_| *sum = backend.run(part));
        }
        backend.run(first)
    });
    first + sums.iter().sum::<f32>()
}
