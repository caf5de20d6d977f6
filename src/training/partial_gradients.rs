//! Gradients of a part of a batch, to be sent and combined with those of other machines.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::{Gradients, Trainer};
use crate::data::Minibatch;
use crate::error::Error;
use crate::kernels::pairwise::{Blocks, PartialSum, PartialSums};
use crate::model::{ExampleOf, Model, TargetOf};

/// The sum over some blocks of 64 examples of a batch: plain numbers, to be sent from machine to machine.
///
/// Block k has the examples from `64 · k` on. Over blocks a to b − 1, with a weight w for each example e (1 without
/// [weights](crate::Dataset::with_weights)) whose sum over the whole batch is W,
///
/// ```text
/// loss         = Σ w_e · loss_e
/// gradients[i] = Σ w_e / W · ∂ loss_e / ∂ parameter i
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct BlockSum {
    /// The blocks, a..b: the position of the sum in the tree of additions. A sum is over 2ˡ blocks from a multiple of 2ˡ on, or
    /// over as many as the batch has left from there.
    pub blocks: Range<usize>,
    /// The sum of the losses, each times its weight; not divided by W.
    pub loss: f64,
    /// This part of the gradient of the mean loss, in the order of [`Model::tensors`]; or the same slice of all such parts.
    pub gradients: Vec<f32>,
}

/// Gradients of consecutive blocks of a batch, added in the order in which a step adds them.
///
/// [`Trainer::partial_gradients`] computes those of one machine's share of a batch. [`into_sums`](Self::into_sums) takes
/// them apart, into a few [`BlockSum`]s; [`add`](Self::add) combines the sums of all machines in the order of their blocks;
/// [`whole`](Self::whole) is the gradient of the batch. **It has the bits of [`Trainer::gradients`], whoever computed which
/// blocks**, and [`Trainer::apply`] takes the step.
///
/// Additions are element by element, so machines can also share them: each combines one slice of all sums, and the slices
/// of the results are concatenated.
///
/// ```
/// use fused_mlp::{
///     AdamW, Corpus, Minibatch, NameModel, SeedableRng, Trainer, Vocabulary, Xoshiro256PlusPlus,
/// };
///
/// let data = Corpus::sample().windows(&Vocabulary::lowercase())?;
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
/// let mut trainer = Trainer::new(NameModel::fan_in_scaled(&mut rng), AdamW::new(0.01))?;
/// let mut batch = Minibatch::new(400); // seven blocks
/// data.draw(&mut rng, &mut batch);
///
/// // Three machines have trainers with the same parameters, and the same batch.
/// let (mut second, mut third) = (trainer.clone(), trainer.clone());
/// let mut gradients = trainer.partial_gradients(&batch, 0..2)?;
/// let from_second = second.partial_gradients(&batch, 2..4)?.into_sums();
/// let from_third = third.partial_gradients(&batch, 4..7)?.into_sums();
/// for sum in from_second.chain(from_third) {
///     gradients.add(sum)?;
/// }
/// assert_eq!(trainer.apply(&gradients.whole()?)?, second.step_batch(&batch)?);
/// assert_eq!(trainer.model(), second.model());
/// # Ok::<(), fused_mlp::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PartialGradients {
    examples: usize,
    weight: f64,
    len: usize,
    sums: PartialSums,
    /// Those of each of the sums.
    gradients: Vec<Vec<f32>>,
}

impl PartialGradients {
    /// No blocks yet, of a batch of so many examples.
    ///
    /// `weight` is the sum of the weights of the whole batch: the number of examples, if they have none. `len` is the length
    /// of [`BlockSum::gradients`].
    ///
    /// # Errors
    ///
    /// [`Error::EmptyBatch`] without examples; [`Error::Setting`] for a weight that is not finite, or not above 0.
    pub fn new(examples: usize, weight: f64, len: usize) -> Result<Self, Error> {
        if examples == 0 {
            return Err(Error::EmptyBatch);
        }
        if !(weight.is_finite() && weight > 0.0) {
            return Err(Error::Setting {
                name: "weight of the batch",
                expected: "finite and above 0",
                found: weight,
            });
        }
        let mut sums = PartialSums::new();
        sums.start(Blocks::of(examples));
        Ok(Self {
            examples,
            weight,
            len,
            sums,
            gradients: Vec::new(),
        })
    }

    /// Examples of the whole batch.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// The sum of the weights of the whole batch.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// Adds the next sum, over the blocks that follow those so far; the first may be over any.
    ///
    /// A sum from another machine is checked, but for its numbers, which may be anything: [`Trainer::apply`] refuses what is not
    /// finite.
    ///
    /// # Errors
    ///
    /// [`Error::PartialGradients`] for blocks that the batch does not have, that are no sum of the tree, or that do not follow
    /// the last; and for more or fewer gradients than `len`. Nothing is added then.
    pub fn add(&mut self, sum: BlockSum) -> Result<(), Error> {
        let BlockSum {
            blocks,
            loss,
            gradients,
        } = sum;
        let of = Blocks::of(self.examples);
        if !of.has_sum(&blocks) {
            let expected = format!(
                "2ˡ of {} blocks from a multiple of 2ˡ on, or all that are left from there",
                of.count()
            );
            return Err(refuse("a sum's blocks", expected, format!("{blocks:?}")));
        }
        if let Some(last) = self.sums.waiting().last()
            && last.blocks.end != blocks.start
        {
            let expected = last.blocks.end;
            return Err(refuse("a sum's first block", expected, blocks.start));
        }
        if gradients.len() != self.len {
            return Err(refuse("a sum's length", self.len, gradients.len()));
        }
        let met = self.sums.add(PartialSum { blocks, loss });
        let mut total = gradients;
        for earlier in self.gradients.drain(met).rev() {
            for (total, earlier) in total.iter_mut().zip(earlier) {
                *total += earlier;
            }
        }
        self.gradients.push(total);
        Ok(())
    }

    /// The sums, in the order of their blocks: at most two for each doubling of the number of blocks.
    pub fn into_sums(self) -> impl Iterator<Item = BlockSum> {
        let Self {
            sums, gradients, ..
        } = self;
        let waiting = sums.waiting().to_vec();
        waiting.into_iter().zip(gradients).map(|(sum, gradients)| {
            let PartialSum { blocks, loss } = sum;
            BlockSum {
                blocks,
                loss,
                gradients,
            }
        })
    }

    /// The mean loss of the batch and its gradient, with the bits of [`Trainer::gradients`].
    ///
    /// # Errors
    ///
    /// [`Error::PartialGradients`] if blocks are missing, or if an `M` does not have `len` parameters.
    pub fn whole<M: Model>(&self) -> Result<Gradients<M>, Error> {
        let parameters = M::SPEC.parameter_count();
        if self.len != parameters {
            return Err(refuse("a sum's length", parameters, self.len));
        }
        let ([gradients], true) = (&*self.gradients, self.sums.is_whole()) else {
            let expected = 0..Blocks::of(self.examples).count();
            let ends = |waiting: &[PartialSum]| {
                let (first, last) = (waiting.first()?, waiting.last()?);
                Some(first.blocks.start..last.blocks.end)
            };
            let found = ends(self.sums.waiting()).unwrap_or(0..0);
            let [expected, found] = [expected, found].map(|blocks| format!("{blocks:?}"));
            return Err(refuse("the blocks", expected, found));
        };
        let mut mean = M::zeroed();
        let mut rest = &gradients[..];
        for (_, values) in mean.tensors_mut() {
            let part;
            (part, rest) = rest.split_at(values.len());
            values.copy_from_slice(part);
        }
        let loss = self.sums.waiting().iter().map(|sum| sum.loss).sum();
        Ok(Gradients::of_sum(mean, loss, self.weight, self.examples))
    }
}

fn refuse(what: &'static str, expected: impl fmt::Display, found: impl fmt::Display) -> Error {
    Error::PartialGradients {
        what,
        expected: expected.to_string(),
        found: found.to_string(),
    }
}

impl<M: Model> Trainer<M> {
    /// The gradients of some blocks of 64 examples of a batch, whose number is [`Minibatch::blocks`]; the model stays as it is.
    /// No blocks, `0..0` say, give no sums.
    ///
    /// Others compute the other blocks, on trainers with the same parameters, and see the same batch: its length and its
    /// weights decide how sums are added and what they are divided by. See [`PartialGradients`].
    ///
    /// # Errors
    ///
    /// As [`step_batch`](Trainer::step_batch) for a bad batch; [`Error::PartialGradients`] for blocks that it does not have.
    pub fn partial_gradients(
        &mut self,
        minibatch: &Minibatch<ExampleOf<M>, TargetOf<M>>,
        blocks: Range<usize>,
    ) -> Result<PartialGradients, Error> {
        let batch = super::head_batch::<M>(minibatch.examples())?;
        let count = minibatch.blocks();
        if blocks.start > blocks.end || blocks.end > count {
            let expected = format!("a range within {:?}", 0..count);
            return Err(refuse("the blocks", expected, format!("{blocks:?}")));
        }
        let parameters = M::SPEC.parameter_count();
        let mut partial = PartialGradients::new(batch.len, batch.weights.total, parameters)?;
        for (sum, gradients) in self.engine.partial_gradients::<M>(batch, blocks) {
            let PartialSum { blocks, loss } = sum;
            partial.add(BlockSum {
                blocks,
                loss,
                gradients,
            })?;
        }
        Ok(partial)
    }
}
