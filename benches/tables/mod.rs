//! What the benchmarks `roofline`, `growth` and `example` measure, each as a list for Criterion and as an interleaved table.
//! `record` writes the same tables down.
#![allow(
    dead_code,
    reason = "no benchmark uses all of it, so `expect` would fail somewhere"
)]

pub(crate) mod embedders;
pub(crate) mod example;
pub(crate) mod growth;
pub(crate) mod predictions;
pub(crate) mod roofline;

use std::fmt;
use std::time::Duration;

use crate::support::effort::Effort;
use crate::support::table::Table;

/// A table under a title, with what its columns are.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) table: Table,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, text, table } = self;
        write!(f, "## {title}\n\n{text}\n\n{table}")
    }
}

/// Measures the sections and prints them; in a test, only measures, with next to no repetitions.
pub(crate) fn print(measure: impl FnOnce(Effort) -> Vec<Section>) {
    let effort = Effort::from_arguments();
    for section in measure(effort) {
        if effort == Effort::Measure {
            println!("\n{section}");
        }
    }
}

/// Something that can be done so many times in a row, and tells how long that took.
pub(crate) type Repeat = Box<dyn FnMut(usize) -> Duration>;

/// For Criterion, which counts in `u64`.
pub(crate) fn times(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
