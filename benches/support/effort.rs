//! Whether to measure, or only to see that everything works.

use std::env;

/// How much to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// `cargo bench`
    Measure,
    /// `cargo bench -- --test`, or `cargo test --benches`: everything once, with few steps, and no peers.
    Test,
}

impl Effort {
    /// As Criterion reads the arguments.
    pub(crate) fn from_arguments() -> Self {
        let has = |flag| env::args().any(|argument| argument == flag);
        if has("--bench") && !has("--test") && !has("--list") {
            Self::Measure
        } else {
            Self::Test
        }
    }

    /// How often to repeat.
    pub(crate) fn rounds(self, rounds: usize) -> usize {
        match self {
            Self::Measure => rounds,
            Self::Test => 1,
        }
    }

    /// How many steps of training, or examples, to time at a time.
    pub(crate) fn steps(self, steps: usize) -> usize {
        match self {
            Self::Measure => steps,
            Self::Test => steps.div_ceil(100),
        }
    }
}
