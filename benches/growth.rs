//! What a multiply-add costs as the model and the batch grow, and at shapes of other programs.
//!
//! `growth/{backend}/{shape}`, a training step each, then tables of interleaved repetitions.
//! `cargo bench --bench growth -- only-table` prints the tables alone.

mod plain;
mod support;
mod tables;

use std::time::Duration;

use criterion::{BenchmarkId, Throughput};

use support::native;
use tables::growth::{self, SHAPES};
use tables::{embedders, predictions, times};

fn main() {
    let mut criterion = support::criterion();
    let mut group = criterion.benchmark_group("growth");
    group.sample_size(20);
    group.measurement_time(Duration::from_secs(1));
    for backend in native() {
        for shape in &SHAPES {
            let mut run = shape.start(backend);
            group.throughput(Throughput::Elements(shape.multiply_adds() as u64));
            group.bench_function(
                BenchmarkId::new(backend.name(), shape.widths()),
                |bencher| {
                    bencher.iter_custom(|steps| run(times(steps)));
                },
            );
        }
    }
    group.finish();
    tables::print(growth::measure);
    tables::print(embedders::measure);
    tables::print(predictions::measure);
    criterion.final_summary();
}
