//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::replay::{self, Recipe};

/// Steps, batch and rate of the post.
const STEPS: u64 = replay::STEPS;
const BATCH: u32 = 32;
const _: () = assert!(BATCH as usize == replay::BATCH);
const RATE: f32 = replay::LEARNING_RATE;
/// The seed of a run that replays nothing.
const SEED: u64 = 42;

/// Trains a small network on names and invents new ones.
#[derive(Debug, Parser)]
#[command(
    name = "names",
    max_term_width = 100,
    after_help = "The environment variable FUSED_MLP_BACKEND picks a backend by name; the fastest is the default."
)]
pub(crate) struct Arguments {
    /// Names to learn from: one a line, letters a to z [default: the built-in sample]
    #[arg(long, value_name = "FILE")]
    pub(crate) names: Option<PathBuf>,

    /// Steps of gradient descent
    #[arg(long, value_name = "N", default_value_t = STEPS)]
    pub(crate) steps: u64,

    /// Examples in each step
    #[arg(long, value_name = "N", default_value_t = BATCH, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub(crate) batch: u32,

    /// Learning rate
    #[arg(long, value_name = "RATE", default_value_t = RATE, value_parser = not_negative, allow_negative_numbers = true)]
    pub(crate) rate: f32,

    /// Seed of everything random [default: 42, or that of the replayed run]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// New names to invent
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) count: u32,

    /// Boldness of the new names: below 1 plainer, above 1 wilder, 0 always the likeliest letter
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = not_negative, allow_negative_numbers = true)]
    pub(crate) temperature: f32,

    /// Directory for the two pictures, loss.svg and embeddings.svg
    #[arg(long, value_name = "DIR", default_value = "target/names")]
    pub(crate) out: PathBuf,

    /// Put before the names of the pictures
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) prefix: String,

    /// End the output with one line of JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[arg(
        long,
        value_name = "RUN",
        conflicts_with_all = ["steps", "batch", "rate", "temperature"],
        help = "Repeat a published run from its seed, on the published names (--names FILE or NAMES_TXT=FILE)"
    )]
    pub(crate) replay: Option<Recipe>,
}

impl Arguments {
    /// The seed asked for, or that of the run.
    pub(crate) fn seed(&self) -> u64 {
        let default = self.replay.map_or(SEED, Recipe::published_seed);
        self.seed.unwrap_or(default)
    }
}

/// A finite number from 0 up.
fn not_negative(text: &str) -> Result<f32, &'static str> {
    text.parse()
        .ok()
        .filter(|number: &f32| number.is_finite() && *number >= 0.0)
        .ok_or("it must be a finite number, at least 0")
}
