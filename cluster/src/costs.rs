//! From which batch size on more machines pay: steps measured here, and a calculation for the rest.

use std::time::Instant;

use fused_mlp::{
    AdamW, BlockSum, Dataset, ExampleOf, Minibatch, Model, PartialGradients, SeedableRng, TargetOf,
    Trainer, Xoshiro256PlusPlus,
};

use crate::Failure;
use crate::exchange::{pack, share, sums_of, unpack};
use crate::models::{Names, Wide, data};

/// A network between machines.
struct Network {
    gigabits: f64,
    /// Seconds that a message takes, beside its bytes.
    latency: f64,
    /// Seconds that a rank is busy with each message.
    per_message: f64,
}

const NETWORKS: [Network; 2] = [
    // TCP over Ethernet.
    Network {
        gigabits: 10.0,
        latency: 20e-6,
        per_message: 2e-6,
    },
    // InfiniBand or RoCE.
    Network {
        gigabits: 100.0,
        latency: 2e-6,
        per_message: 0.3e-6,
    },
];
const RANKS: [usize; 4] = [1, 10, 100, 1_000];
const BATCHES: [usize; 3] = [1_024, 16_384, 262_144];

pub(crate) fn print() -> Result<(), Failure> {
    println!(
        "| model | batch | Gbit/s | {} |",
        RANKS.map(|ranks| format!("{ranks}")).join(" | ")
    );
    println!("|---|---|---|{}", "---|".repeat(RANKS.len()));
    let data = data()?;
    calculate("names", &data, Names::fan_in_scaled)?;
    calculate("wide", &data, Wide::fan_in_scaled)
}

/// Seconds of a step on one core, which has two parts.
struct Measured {
    /// One block of 64 examples.
    block: f64,
    /// Whatever is done once a step: taking the gradients out, copying them to and from messages, and the update.
    update: f64,
}

fn calculate<M: Model>(
    name: &str,
    data: &Dataset<ExampleOf<M>, TargetOf<M>>,
    initial: impl Fn(&mut Xoshiro256PlusPlus) -> M,
) -> Result<(), Failure> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let model = initial(&mut rng);
    let parameters: usize = model.tensors().map(|(tensor, _)| tensor.len()).sum();
    let mut trainer = Trainer::new(model, AdamW::new(0.001))?;
    let mut batch = Minibatch::new(64 * 64);
    data.draw(&mut rng, &mut batch);
    let mut seconds = |blocks: usize| -> Result<f64, Failure> {
        let mut best = f64::INFINITY;
        for _ in 0..30 {
            let start = Instant::now();
            let partial = trainer.partial_gradients(&batch, 0..blocks)?;
            std::hint::black_box(partial.into_sums().last());
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(best)
    };
    let (few, many) = (seconds(1)?, seconds(64)?);
    let gradients = trainer.partial_gradients(&batch, 0..64)?;
    let mut apply = f64::INFINITY;
    for _ in 0..30 {
        let own = gradients.clone();
        let start = Instant::now();
        trainer.apply(&copied(own, parameters)?.whole()?)?;
        apply = apply.min(start.elapsed().as_secs_f64());
    }
    let block = (many - few) / 63.0;
    let update = apply + (few - block).max(0.0);
    let measured = Measured { block, update };
    eprintln!(
        "{name}: {parameters} parameters, {:.2} µs a block, {:.1} µs once a step",
        1e6 * measured.block,
        1e6 * measured.update,
    );
    for examples in BATCHES {
        let blocks = examples.div_ceil(64);
        let alone = step(&measured, blocks, parameters, 1, &NETWORKS[0]);
        for network in &NETWORKS {
            let cells = RANKS.map(|ranks| {
                let time = step(&measured, blocks, parameters, ranks, network);
                format!("{:.0} µs, {:.2}×", 1e6 * time, alone / time)
            });
            let gigabits = network.gigabits;
            println!(
                "| {name} | {examples} | {gigabits} | {} |",
                cells.join(" | ")
            );
        }
    }
    Ok(())
}

/// What an exchange does on a single rank: gradients are packed, unpacked, added, and put together.
fn copied(own: PartialGradients, len: usize) -> Result<PartialGradients, Failure> {
    let mut combined = PartialGradients::new(own.examples(), own.weight(), len)?;
    let mut all = combined.clone();
    let mut message = Vec::new();
    for sum in own.into_sums() {
        pack(&sum, 0..len, &mut message)?;
    }
    combined.add(unpack(&message))?;
    for sum in combined.into_sums() {
        let gradients = sum.gradients.clone();
        all.add(BlockSum { gradients, ..sum })?;
    }
    Ok(all)
}

/// Seconds of a step: the largest share, the update, and the exchange.
fn step(
    measured: &Measured,
    blocks: usize,
    parameters: usize,
    ranks: usize,
    network: &Network,
) -> f64 {
    let shares = || (0..ranks).map(|rank| share(blocks, ranks, rank));
    let largest = shares().map(|share| share.len()).max().unwrap_or(0);
    let own = measured.update + largest as f64 * measured.block;
    if ranks == 1 {
        return own;
    }
    let sums = shares()
        .map(|share| sums_of(blocks, share))
        .max()
        .unwrap_or(0);
    let others = (ranks - 1) as f64;
    let bytes = (sums + 1) as f64 * 4.0 * parameters as f64 * others / ranks as f64;
    let rounds = 1.0 + (ranks as f64).log2().ceil();
    let messages = others * network.per_message + rounds * network.latency;
    own + messages + 8.0 * bytes / (1e9 * network.gigabits)
}
