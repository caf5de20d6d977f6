//! The exchange of partial gradients between ranks, in two collective operations.
//!
//! 1. `MPI_Alltoallv`: each rank sends each other rank one slice of its partial sums, with their blocks and losses. Each rank
//!    combines the slices it received, in the order of the tree.
//! 2. `MPI_Allgatherv`: each rank sends its combined slice to all others.
//!
//! A rank receives about (s + 1) times the size of the model, where s is the number of sums that a rank is left with, whatever
//! the number of ranks. `MPI_Reduce_scatter` would do the first step with a little less traffic, but adds in an order of its
//! own.

use std::ops::Range;
use std::time::{Duration, Instant};

use fused_mlp::{BlockSum, Gradients, Model, PartialGradients};
use mpi::datatype::{Partition, PartitionMut};
use mpi::topology::SimpleCommunicator;
use mpi::traits::*;

use crate::Failure;

/// Words of 32 bits before the numbers of a sum: its first block, its end, and the two halves of its loss.
const HEADER: usize = 4;

/// What the exchanges so far have cost this rank.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    /// Bytes received from other ranks.
    pub(crate) bytes: u64,
    /// Time from the end of a rank's own blocks to the whole gradient, waiting for slower ranks included.
    pub(crate) time: Duration,
}

/// A rank's part in the exchange.
pub(crate) struct Exchange<'a> {
    world: &'a SimpleCommunicator,
    rank: usize,
    ranks: usize,
    pub(crate) traffic: Traffic,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(world: &'a SimpleCommunicator) -> Result<Self, Failure> {
        Ok(Self {
            world,
            rank: usize::try_from(world.rank())?,
            ranks: usize::try_from(world.size())?,
            traffic: Traffic::default(),
        })
    }

    /// This rank's share of so many blocks.
    pub(crate) fn share(&self, blocks: usize) -> Range<usize> {
        share(blocks, self.ranks, self.rank)
    }

    /// The gradients of the whole batch, from the partial gradients that each rank has of its [share](Self::share).
    pub(crate) fn combine<M: Model>(
        &mut self,
        blocks: usize,
        len: usize,
        own: PartialGradients,
    ) -> Result<Gradients<M>, Failure> {
        let start = Instant::now();
        let (examples, weight) = (own.examples(), own.weight());
        let (rank, ranks) = (self.rank, self.ranks);
        let slice = |of| share(len, ranks, of);
        let sums = |of| sums_of(blocks, share(blocks, ranks, of));

        let own: Vec<BlockSum> = own.into_sums().collect();
        assert_eq!(own.len(), sums(rank), "the others count on it");
        let mut sent = Vec::with_capacity(own.len() * (len + ranks * HEADER));
        for receiver in 0..ranks {
            for sum in &own {
                pack(sum, slice(receiver), &mut sent)?;
            }
        }
        let (counts, offsets) = layout(ranks, |to| own.len() * (HEADER + slice(to).len()))?;
        let from = |from| sums(from) * (HEADER + slice(rank).len());
        let (received_counts, received_offsets) = layout(ranks, from)?;
        let mut received = vec![0_u32; (0..ranks).map(from).sum()];
        self.world.all_to_all_varcount_into(
            &Partition::new(&sent[..], counts, offsets),
            &mut PartitionMut::new(&mut received[..], received_counts, received_offsets),
        );

        // Ranks have shares in the order of the blocks.
        let mut combined = PartialGradients::new(examples, weight, slice(rank).len())?;
        for message in received.chunks_exact(HEADER + slice(rank).len()) {
            combined.add(unpack(message))?;
        }
        let mut combined = combined.into_sums();
        let (
            Some(BlockSum {
                loss, gradients, ..
            }),
            None,
        ) = (combined.next(), combined.next())
        else {
            return Err("the ranks' sums do not add up to the whole batch".into());
        };

        let mut whole = vec![0.0_f32; len];
        let (counts, offsets) = layout(ranks, |of| slice(of).len())?;
        let mut slices = PartitionMut::new(&mut whole[..], counts, offsets);
        self.world
            .all_gather_varcount_into(&gradients[..], &mut slices);

        let words = received.len() - from(rank) + len - slice(rank).len();
        self.traffic.bytes += u64::try_from(words * size_of::<u32>())?;
        let mut all = PartialGradients::new(examples, weight, len)?;
        all.add(BlockSum {
            blocks: 0..blocks,
            loss,
            gradients: whole,
        })?;
        let gradients = all.whole()?;
        self.traffic.time += start.elapsed();
        Ok(gradients)
    }
}

/// The part of `0..count` that belongs to a rank; as even as can be.
pub(crate) fn share(count: usize, ranks: usize, rank: usize) -> Range<usize> {
    count * rank / ranks..count * (rank + 1) / ranks
}

/// How many sums a rank is left with: the largest sums of the tree that lie within its share.
pub(crate) fn sums_of(blocks: usize, share: Range<usize>) -> usize {
    let (mut start, mut sums) = (share.start, 0);
    while start < share.end {
        let mut length = match start {
            0 => blocks.next_power_of_two(),
            _ => 1 << start.trailing_zeros(),
        };
        while blocks.min(start + length) > share.end {
            length /= 2;
        }
        start = blocks.min(start + length);
        sums += 1;
    }
    sums
}

/// Adds a slice of a sum to a message, after its header.
pub(crate) fn pack(
    sum: &BlockSum,
    slice: Range<usize>,
    into: &mut Vec<u32>,
) -> Result<(), Failure> {
    let loss = sum.loss.to_bits();
    into.extend([
        u32::try_from(sum.blocks.start)?,
        u32::try_from(sum.blocks.end)?,
        (loss >> 32) as u32,
        loss as u32,
    ]);
    into.extend_from_slice(bytemuck::cast_slice(&sum.gradients[slice]));
    Ok(())
}

/// The slice of a sum that a message is.
pub(crate) fn unpack(message: &[u32]) -> BlockSum {
    let (header, gradients) = message.split_at(HEADER);
    BlockSum {
        blocks: header[0] as usize..header[1] as usize,
        loss: f64::from_bits(u64::from(header[2]) << 32 | u64::from(header[3])),
        gradients: bytemuck::cast_slice(gradients).to_vec(),
    }
}

/// Counts and offsets of the parts of a buffer, one for each rank.
fn layout(ranks: usize, count: impl Fn(usize) -> usize) -> Result<(Vec<i32>, Vec<i32>), Failure> {
    let (mut counts, mut offsets, mut end) = (Vec::new(), Vec::new(), 0_i32);
    for rank in 0..ranks {
        let too_long = "MPI counts in 31 bits: the model is too large to be exchanged at once";
        let count = i32::try_from(count(rank)).map_err(|_| too_long)?;
        counts.push(count);
        offsets.push(end);
        end = end.checked_add(count).ok_or(too_long)?;
    }
    Ok((counts, offsets))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that ranks assume of each other's sums without asking.
    #[test]
    fn number_of_sums_is_that_of_partial_gradients() {
        for blocks in 1..70 {
            for start in 0..blocks {
                let mut partial = PartialGradients::new(blocks * 64, 1.0, 0).unwrap();
                for end in start + 1..=blocks {
                    let sum = BlockSum {
                        blocks: end - 1..end,
                        loss: 0.0,
                        gradients: vec![],
                    };
                    partial.add(sum).unwrap();
                    let sums = partial.clone().into_sums().count();
                    assert_eq!(
                        sums_of(blocks, start..end),
                        sums,
                        "{start}..{end} of {blocks}"
                    );
                }
            }
            assert_eq!(sums_of(blocks, 0..0), 0);
        }
    }
}
