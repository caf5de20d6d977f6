//! Where the batches of a run come from.

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::marker::PhantomData;

use rand_xoshiro::rand_core::Rng;

use crate::data::{Dataset, Examples, Minibatch};
use crate::model::Example;
use crate::random::shuffle;

/// Batches, one after another.
pub(super) trait Batches<E, T> {
    /// The next batch; `None` after the last.
    fn next(&mut self) -> Option<&Examples<E, T>>;

    /// Epochs that the batches so far complete.
    fn epochs(&self) -> u64 {
        0
    }

    /// Whether the last batch completed one of them.
    fn ends_epoch(&self) -> bool {
        false
    }
}

/// So many batches, each drawn uniformly and with replacement.
pub(super) struct Drawn<'a, E, T, R> {
    pub(super) dataset: &'a Dataset<E, T>,
    pub(super) rng: &'a mut R,
    pub(super) minibatch: Minibatch<E, T>,
    /// Batches to come.
    pub(super) left: u64,
}

impl<E: Example, T: Clone, R: Rng> Batches<E, T> for Drawn<'_, E, T, R> {
    fn next(&mut self) -> Option<&Examples<E, T>> {
        self.left = self.left.checked_sub(1)?;
        self.dataset.draw(self.rng, &mut self.minibatch);
        Some(self.minibatch.examples())
    }
}

/// So many epochs: passes over a data set, each in a new order. An order depends on nothing but the generator at the start of its epoch,
/// so that a run can be resumed there.
pub(super) struct Shuffled<'a, E, T, R> {
    dataset: &'a Dataset<E, T>,
    rng: &'a mut R,
    minibatch: Minibatch<E, T>,
    /// Examples of a batch.
    batch: usize,
    /// The examples of an epoch in their order.
    order: Vec<u32>,
    /// How many of them are used: all, or as many as fill batches.
    used: usize,
    /// How many of these have been taken in this epoch.
    taken: usize,
    /// Epochs to begin.
    left: u64,
    ended: u64,
}

impl<'a, E: Example, T: Clone, R: Rng> Shuffled<'a, E, T, R> {
    /// At least one batch is needed for each epoch: `drop_last` must leave one.
    pub(super) fn new(
        dataset: &'a Dataset<E, T>,
        rng: &'a mut R,
        batch: usize,
        epochs: u64,
        drop_last: bool,
    ) -> Self {
        let used = match drop_last {
            true => dataset.len() - dataset.len() % batch,
            false => dataset.len(),
        };
        Self {
            dataset,
            rng,
            minibatch: Minibatch::new(batch.min(used)),
            batch,
            order: Vec::with_capacity(dataset.len()),
            used,
            taken: used,
            left: epochs,
            ended: 0,
        }
    }
}

impl<E: Example, T: Clone, R: Rng> Batches<E, T> for Shuffled<'_, E, T, R> {
    fn next(&mut self) -> Option<&Examples<E, T>> {
        if self.taken == self.used {
            self.left = self.left.checked_sub(1)?;
            let len = u32::try_from(self.dataset.len());
            let len = len.expect("a data set has fewer than 2³² examples");
            self.order.clear();
            self.order.extend(0..len);
            shuffle(self.rng, &mut self.order);
            self.taken = 0;
        }
        let end = self.used.min(self.taken.saturating_add(self.batch));
        let indices = &self.order[self.taken..end];
        let selected = self.dataset.select(indices, &mut self.minibatch);
        selected.expect("the order is one of the data set's examples");
        self.taken = end;
        self.ended += u64::from(self.ends_epoch());
        Some(self.minibatch.examples())
    }

    fn epochs(&self) -> u64 {
        self.ended
    }

    fn ends_epoch(&self) -> bool {
        self.taken == self.used
    }
}

/// The batches of an iterator.
pub(super) struct Streamed<E, T, I: Iterator> {
    iterator: I,
    current: Option<I::Item>,
    examples: PhantomData<fn() -> (E, T)>,
}

impl<E, T, I: Iterator> Streamed<E, T, I> {
    pub(super) fn new(iterator: I) -> Self {
        Self {
            iterator,
            current: None,
            examples: PhantomData,
        }
    }
}

impl<E, T, I> Batches<E, T> for Streamed<E, T, I>
where
    E: Example,
    T: Clone,
    I: Iterator<Item: Borrow<Dataset<E, T>>>,
{
    fn next(&mut self) -> Option<&Examples<E, T>> {
        self.current = self.iterator.next();
        let dataset: &Dataset<E, T> = self.current.as_ref()?.borrow();
        Some(dataset.examples())
    }
}
