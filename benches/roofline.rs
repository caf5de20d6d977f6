//! How far a training step of the name model is from the physical limit, and where the time goes.
//!
//! `roofline/{part}/{backend}/names`, a step's worth each, then a table of interleaved repetitions.
//! `cargo bench --bench roofline -- only-table` prints the table alone.

mod plain;
mod support;
mod tables;

use criterion::{BenchmarkId, Throughput};

use support::{SHAPE, native};
use tables::{roofline, times};

fn main() {
    let mut criterion = support::criterion();
    for backend in native() {
        for mut work in roofline::works(backend) {
            let mut group = criterion.benchmark_group(format!("roofline/{}", work.name));
            if work.multiply_adds > 0 {
                group.throughput(Throughput::Elements(work.multiply_adds as u64));
            }
            let id = BenchmarkId::new(backend.name(), SHAPE);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|steps| (work.run)(times(steps)));
            });
            group.finish();
        }
    }
    tables::print(roofline::measure);
    criterion.final_summary();
}
