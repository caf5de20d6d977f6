//! One model, trained data-parallel: every rank computes its share of each batch's blocks, and takes the same step.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fused_mlp::{
    AdamW, Dataset, ExampleOf, Minibatch, Model, SeedableRng, TargetOf, Trainer, TrainingState,
    Xoshiro256PlusPlus, weights,
};
use mpi::topology::SimpleCommunicator;
use mpi::traits::*;

use crate::Failure;
use crate::exchange::Exchange;
use crate::models::{Kind, Names, Wide, data};
use crate::training::mix;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The model.
    #[arg(long, value_enum, default_value = "names")]
    model: Kind,
    /// Examples of a batch.
    #[arg(long, default_value_t = 1_000)]
    batch: usize,
    /// Steps of the whole run, those before a resume included.
    #[arg(long, default_value_t = 1_000)]
    steps: u64,
    /// What the initial model and the batches are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Clips gradients to this norm.
    #[arg(long)]
    clip: Option<f32>,
    /// Rank 0 keeps the state of the run in this file, and the same command goes on from it.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Steps from checkpoint to checkpoint.
    #[arg(long, default_value_t = 100)]
    every: u64,
    /// Every rank computes whole batches by itself, without communication: what other runs are compared with.
    #[arg(long)]
    plain: bool,
}

pub(crate) fn run(arguments: &Arguments, world: &SimpleCommunicator) -> Result<(), Failure> {
    let data = data()?;
    match arguments.model {
        Kind::Names => train(arguments, world, &data, Names::fan_in_scaled),
        Kind::Wide => train(arguments, world, &data, Wide::fan_in_scaled),
    }
}

fn train<M: Model>(
    arguments: &Arguments,
    world: &SimpleCommunicator,
    data: &Dataset<ExampleOf<M>, TargetOf<M>>,
    initial: impl Fn(&mut Xoshiro256PlusPlus) -> M,
) -> Result<(), Failure> {
    if arguments.every == 0 {
        return Err("--every must be at least 1".into());
    }
    let checkpoint = arguments.checkpoint.as_deref();
    let (mut trainer, mut rng) = match resumed(world, checkpoint)? {
        Some((state, rng)) => (Trainer::resume(state)?, rng),
        None => {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(arguments.seed);
            let mut trainer = Trainer::new(initial(&mut rng), AdamW::new(0.002))?;
            if let Some(norm) = arguments.clip {
                trainer = trainer.with_clipping(norm)?;
            }
            (trainer, rng)
        }
    };
    let is_first = world.rank() == 0;
    if is_first && trainer.steps() > 0 {
        eprintln!("goes on after step {}", trainer.steps());
    }

    let len = trainer
        .model()
        .tensors()
        .map(|(tensor, _)| tensor.len())
        .sum();
    let mut exchange = Exchange::new(world)?;
    let mut batch = Minibatch::new(arguments.batch);
    let (first_step, mut on_disk) = (trainer.steps(), Duration::ZERO);
    let start = Instant::now();
    let mut loss = f32::NAN;
    while trainer.steps() < arguments.steps {
        data.draw(&mut rng, &mut batch);
        loss = if arguments.plain {
            trainer.step_batch(&batch)?
        } else {
            let blocks = batch.blocks();
            let own = trainer.partial_gradients(&batch, exchange.share(blocks))?;
            let gradients = exchange.combine(blocks, len, own)?;
            trainer.apply(&gradients)?
        };
        let steps = trainer.steps();
        let is_due = steps.is_multiple_of(arguments.every) || steps == arguments.steps;
        if let (Some(path), true, true) = (checkpoint, is_first, is_due) {
            let start = Instant::now();
            weights::save_state(path, &trainer.state(), Some(&rng))?;
            on_disk += start.elapsed();
        }
    }
    let time = start.elapsed().saturating_sub(on_disk);

    let hash = hash(&trainer.state(), loss);
    let mut hashes = vec![0_u64; usize::try_from(world.size())?];
    world.all_gather_into(&hash, &mut hashes[..]);
    if let Some(rank) = hashes.iter().position(|&other| other != hash) {
        return Err(format!(
            "rank {rank} ends on hash {:016x}, not {hash:016x}",
            hashes[rank]
        )
        .into());
    }
    if is_first {
        let steps = (trainer.steps() - first_step).max(1);
        let per_step = |time: Duration| 1e6 * time.as_secs_f64() / steps as f64;
        let traffic = exchange.traffic;
        eprintln!(
            "{len} parameters, batches of {}, on {} ranks: {:.1} µs a step, \
             {:.1} µs of it to exchange {} bytes",
            arguments.batch,
            world.size(),
            per_step(time),
            per_step(traffic.time),
            traffic.bytes / steps,
        );
        println!("{} steps, hash {hash:016x}", trainer.steps());
    }
    Ok(())
}

type Resumed<M> = (TrainingState<M>, Xoshiro256PlusPlus);

/// What rank 0 finds in the checkpoint, on all ranks; `None` if there is none yet.
fn resumed<M: Model>(
    world: &SimpleCommunicator,
    checkpoint: Option<&Path>,
) -> Result<Option<Resumed<M>>, Failure> {
    let mut bytes = Vec::new();
    if let Some(path) = checkpoint
        && world.rank() == 0
        && path.try_exists()?
    {
        let (state, rng) = weights::load_state::<M>(path)?;
        bytes = weights::state_to_bytes(&state, rng.as_ref())?;
    }
    let root = world.process_at_rank(0);
    let mut len = bytes.len() as u64;
    root.broadcast_into(&mut len);
    if len == 0 {
        return Ok(None);
    }
    bytes.resize(usize::try_from(len)?, 0);
    root.broadcast_into(&mut bytes[..]);
    let (state, rng) = weights::state_from_bytes(&bytes)?;
    let rng = rng.ok_or("the checkpoint has no generator to draw the batches from")?;
    Ok(Some((state, rng)))
}

/// A checksum of all that the steps to come depend on, and of the last loss.
fn hash<M: Model>(state: &TrainingState<M>, loss: f32) -> u64 {
    let models = [&state.model].into_iter().chain(&state.moments);
    let values = models.flat_map(|model| model.tensors().flat_map(|(_, values)| values));
    values
        .chain([&loss])
        .fold(state.steps, |hash, value| mix(hash, value.to_bits().into()))
}
