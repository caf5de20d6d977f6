//! One example at a time: `example/{train,predict}/{backend}/{shape}`, and the plain scalar loop.
//!
//! Then a table of interleaved repetitions, with FANN where it is built. `cargo bench --bench example -- only-table` prints the
//! table alone.

mod plain;
mod support;
mod tables;

use criterion::{BenchmarkId, Throughput};

use tables::example::{self, Operation};
use tables::times;

fn main() {
    let mut criterion = support::criterion();
    for operation in Operation::ALL {
        let mut group = criterion.benchmark_group(format!("example/{}", operation.name()));
        group.throughput(Throughput::Elements(1));
        for mut subject in example::subjects() {
            let id = BenchmarkId::new(&subject.program, subject.shape);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|count| (subject.run)(operation, times(count)));
            });
        }
        group.finish();
    }
    tables::print(example::measure);
    criterion.final_summary();
}
