//! The 10,000 steps of the post: this crate on every backend, plain Rust, and the peers of `peers/` that are installed.
//!
//! `ten_thousand_steps/{backend or program}/names` times the loop alone, `startup/{backend}/names` what comes before it.
//! Criterion measures one entry after the other; for figures to be compared, see `record`, which takes turns.

mod entries;
mod plain;
mod support;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode};
use fused_mlp::{Backend, NameModel, SeedableRng, Sgd, Xoshiro256PlusPlus};

use entries::Entries;
use support::effort::Effort;
use support::task::task;
use support::training::Training;
use support::{BATCH, LEARNING_RATE, SHAPE};

fn main() {
    let mut criterion = support::criterion();
    startup(&mut criterion);
    ten_thousand_steps(&mut criterion);
    criterion.final_summary();
}

fn ten_thousand_steps(criterion: &mut Criterion) {
    let mut entries = Entries::assemble(task(), Effort::from_arguments());
    let mut group = criterion.benchmark_group("ten_thousand_steps");
    group.sample_size(10);
    // As few runs as possible of those that take seconds; the first one is behind them.
    group.sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(1));
    for entry in &mut entries.present {
        let id = match entry.about.is_whole() {
            true => BenchmarkId::new(&entry.about.id, SHAPE),
            false => BenchmarkId::new(
                format!(
                    "{}-scaled-from-{}-steps",
                    entry.about.id, entry.about.steps[0]
                ),
                SHAPE,
            ),
        };
        let mut seconds = || match entry.run() {
            Ok(run) => run.seconds,
            Err(reason) => panic!("{}: {reason}", entry.about.id),
        };
        group.bench_function(id, |bencher| {
            bencher.iter_custom(|times| {
                let total = (0..times).map(|_| seconds()).sum();
                Duration::from_secs_f64(total)
            });
        });
    }
    group.finish();
    for absent in &entries.missing {
        println!("missing {}: benches/peers: {}", absent.id, absent.reason);
    }
    for absent in &entries.refused {
        println!("refused {}: {}", absent.id, absent.reason);
    }
}

/// From nothing to the end of the first step: parameters drawn, instructions detected, storage set up.
fn startup(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("startup");
    let id = BenchmarkId::new(Backend::detect().name(), SHAPE);
    group.bench_function(id, |bencher| {
        bencher.iter(|| {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
            let model = NameModel::standard_normal(&mut rng);
            let backend = Backend::detect();
            let mut training = Training::new(model, Sgd::new(LEARNING_RATE), backend, BATCH);
            training.run(&task().train, 1);
            training
        });
    });
    group.finish();
}
