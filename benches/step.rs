//! One training step of the name model: `step/{b1,b32,b128}/{backend}`, and the same in plain Rust.
//!
//! The batches are drawn beforehand; `ten_thousand_steps` measures them drawn in the loop.

mod plain;
mod support;

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use fused_mlp::{Backend, Minibatch, SeedableRng, Xoshiro256PlusPlus};

use plain::Plain;
use plain::matrices::Matrices;
use plain::scalar::Scalar;
use support::LEARNING_RATE;
use support::task::{Batch, task};

/// Drawn beforehand and used in turn: enough of them that none is learned by heart.
const BATCHES: usize = 1024;
/// Steps whose losses are compared with those of this crate, few because a batch of one makes rounding grow fast, and how far
/// they may be apart, as a fraction.
const COMPARED: usize = 10;
const AGREEMENT: f32 = 1e-4;

fn main() {
    let mut criterion = support::criterion();
    batch_length::<1>(&mut criterion);
    batch_length::<32>(&mut criterion);
    batch_length::<128>(&mut criterion);
    criterion.final_summary();
}

fn batch_length<const BATCH: usize>(criterion: &mut Criterion) {
    let batches = batches(BATCH);
    let mut group = criterion.benchmark_group(format!("step/b{BATCH}"));
    group.throughput(Throughput::Elements(BATCH as u64));
    for backend in Backend::available() {
        this_crate(&mut group, backend, &batches);
    }
    plain::<Matrices<BATCH>>(&mut group, &batches);
    plain::<Scalar>(&mut group, &batches);
    group.finish();
}

fn batches(len: usize) -> Vec<Batch> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let draw = |_| {
        let mut batch = Minibatch::new(len);
        task().train.draw(&mut rng, &mut batch);
        batch
    };
    (0..BATCHES).map(draw).collect()
}

fn this_crate(group: &mut BenchmarkGroup<'_, WallTime>, backend: Backend, batches: &[Batch]) {
    let mut trainer = task().trainer(backend);
    assert_agrees(backend.name(), batches, |batch| {
        trainer.step_batch(batch).expect("it can be trained on")
    });
    let mut batches = batches.iter().cycle();
    group.bench_function(backend.name(), |bencher| {
        bencher.iter(|| {
            batches
                .next()
                .map(|batch| trainer.step_batch(black_box(batch)))
        });
    });
}

fn plain<P: Plain>(group: &mut BenchmarkGroup<'_, WallTime>, batches: &[Batch]) {
    let mut program = P::new(&task().initial);
    let mut step =
        |batch: &Batch| program.step(black_box(batch.inputs()), batch.targets(), LEARNING_RATE);
    assert_agrees(P::ID, batches, &mut step);
    let mut batches = batches.iter().cycle();
    group.bench_function(P::ID, |bencher| {
        bencher.iter(|| batches.next().map(&mut step));
    });
}

/// Takes some steps, and compares their losses with those of this crate's fastest backend.
fn assert_agrees(id: &str, batches: &[Batch], mut step: impl FnMut(&Batch) -> f32) {
    let mut trainer = task().trainer(Backend::detect());
    for (number, batch) in batches.iter().take(COMPARED).enumerate() {
        let expected = trainer.step_batch(batch).expect("it can be trained on");
        let loss = step(batch);
        assert!(
            (loss - expected).abs() <= AGREEMENT * expected,
            "{id}: the loss of batch {number} is {loss}, not {expected}"
        );
    }
}
