//! The same loop in a program that embeds this crate, built as its user would: `tests/downstream`, without flags.
//!
//! `downstream/{here,there}/{backend}`, 10,000 steps each on the crate's sample, then a table of interleaved repetitions.
//! `cargo bench --bench downstream -- only-table` prints the table alone. The program is built first, which takes half a
//! minute; both must end on the same loss.

mod support;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use fused_mlp::{
    Backend, Corpus, Dataset, NameModel, SeedableRng, Sgd, Vocabulary, Xoshiro256PlusPlus,
};

use support::effort::Effort;
use support::rounds::interleave;
use support::table::{Table, number};
use support::training::Training;
use support::{BATCH, LEARNING_RATE, STEPS, native};

const ROUNDS: usize = 100;

/// The run of `tests/downstream` on names.
const SEED: u64 = 42;

fn main() {
    let program = match build() {
        Ok(program) => program,
        Err(reason) => return println!("downstream: left out, {reason}"),
    };
    let (train, rng, model) = start();
    let here = |backend| run_here(&train, rng.clone(), model.clone(), backend);
    let there = |backend| run_there(&program, backend);

    let mut criterion: Criterion = support::criterion().sample_size(20);
    for backend in native() {
        let (own, other) = (here(backend).1, there(backend).1);
        assert_eq!(format!("{own:.4}"), other, "{backend}: another loss");
        let mut group = criterion.benchmark_group("downstream");
        group.bench_function(BenchmarkId::new("here", backend.name()), |bencher| {
            bencher.iter_custom(|runs| (0..runs).map(|_| here(backend).0).sum());
        });
        group.bench_function(BenchmarkId::new("there", backend.name()), |bencher| {
            bencher.iter_custom(|runs| (0..runs).map(|_| there(backend).0).sum());
        });
        group.finish();
    }

    let effort = Effort::from_arguments();
    let mut table = Table::new(["backend", "here, s", "downstream, s", "over here"]);
    for backend in native() {
        let samples = interleave(effort.rounds(ROUNDS), &mut [false, true], |is_there, _| {
            let taken = if *is_there {
                there(backend).0
            } else {
                here(backend).0
            };
            Some(taken.as_secs_f64())
        });
        table.push([
            backend.name().into(),
            number(samples[0].median(), 4),
            number(samples[1].median(), 4),
            number(samples[1].ratio_to(&samples[0]), 3),
        ]);
    }
    if effort == Effort::Measure {
        println!("\n## 10,000 steps here and in a program that embeds this crate\n\n{table}");
    }
    criterion.final_summary();
}

/// The program, built for release without any flag.
fn build() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/downstream");
    if !folder.join("Cargo.toml").exists() {
        return Err("tests/downstream is not in the package".into());
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("downstream");
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--bin",
            "downstream",
        ])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("RUSTFLAGS")
        .status();
    match status {
        Ok(status) if status.success() => Ok(target.join("release/downstream")),
        Ok(status) => Err(format!("its build ended with {status}")),
        Err(error) => Err(format!("cargo does not start: {error}")),
    }
}

/// What the program trains on names, in its order of draws.
fn start() -> (Dataset<[u8; 3], u8>, Xoshiro256PlusPlus, NameModel) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let names = Corpus::sample()
        .split(42)
        .expect("it has hundreds of names");
    let train = names.train.windows(&Vocabulary::lowercase());
    let model = NameModel::standard_normal(&mut rng);
    (train.expect("names are of small letters"), rng, model)
}

/// The time for the steps, and the loss at the end.
fn run_here(
    train: &Dataset<[u8; 3], u8>,
    rng: Xoshiro256PlusPlus,
    model: NameModel,
    backend: Backend,
) -> (Duration, f32) {
    let mut training =
        Training::new(model, Sgd::new(LEARNING_RATE), backend, BATCH).drawing_by(rng);
    let taken = training.run(train, STEPS);
    (taken, training.evaluate(train))
}

/// The time that the program says the steps took, and the loss that it prints at the end.
fn run_there(program: &Path, backend: Backend) -> (Duration, String) {
    let output = Command::new(program).arg(backend.name()).output();
    let output = output.expect("it was built").stdout;
    let text = String::from_utf8_lossy(&output);
    let after = |mark: &str| {
        let (_, rest) = text
            .split_once(mark)
            .unwrap_or_else(|| panic!("no {mark:?} in {text}"));
        rest.split([' ', ',']).next().unwrap_or_default().to_owned()
    };
    let seconds = after(" steps in ").parse().expect("it prints a number");
    (Duration::from_secs_f64(seconds), after(" -> "))
}
