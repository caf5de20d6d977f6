//! One measuring run as a record: `<date>-<processor>.csv`, `.md` and `.svg`.
//!
//! `cargo bench --bench record -- --out benches/record [--rounds N]` lets this crate, plain Rust, the peers and the FMA peak
//! take the 10,000 steps in turns, then measures the tables of `roofline`, `growth` and `example`. Without `--out` nothing
//! happens, so that a plain `cargo bench` does not measure everything twice. See `README.md`.

mod entries;
mod plain;
mod report;
mod support;
mod tables;

use std::env;
use std::path::Path;

use report::Report;
use report::contest::Contest;
use support::effort::Effort;
use support::machine::Machine;
use support::task::task;
use tables::{embedders, example, growth, predictions, roofline};

/// Rounds of everyone. Who takes seconds takes part in every fourth.
const ROUNDS: usize = 20;

fn main() {
    let effort = Effort::from_arguments();
    let trial = concat!(env!("CARGO_TARGET_TMPDIR"), "/record").to_owned();
    let folder = match effort {
        Effort::Measure => value("--out"),
        Effort::Test => Some(trial),
    };
    let Some(folder) = folder else {
        return println!("record: nothing measured; `--out FOLDER` says where the record goes");
    };
    let rounds = value("--rounds").map_or(ROUNDS, |rounds| {
        rounds.parse().expect("--rounds takes a number")
    });

    let machine = Machine::here();
    if machine.cores > 1 {
        eprintln!("not pinned to a core; on Linux, `taskset -c 0 cargo bench …` does it");
    }
    let contest = Contest::run(task(), effort, effort.rounds(rounds));
    let sections = [
        roofline::measure,
        growth::measure,
        embedders::measure,
        predictions::measure,
        example::measure,
    ];
    let report = Report {
        machine,
        source: task().source,
        contest,
        sections: sections
            .iter()
            .flat_map(|measure| measure(effort))
            .collect(),
    };
    let written = report.write(Path::new(&folder));
    for path in written.unwrap_or_else(|error| panic!("{folder}: {error}")) {
        println!("{}", path.display());
    }
}

/// What follows a flag.
fn value(flag: &str) -> Option<String> {
    env::args().skip_while(|argument| argument != flag).nth(1)
}
