//! Two hidden layers against one, on names: a context of eight letters, the same steps, and the time that each takes.
//!
//! ```text
//! cargo run --release -p examples --example deep_names                       # on the built-in sample
//! cargo run --release -p examples --example deep_names -- --names FILE       # on names of your own, one a line
//! ```
//!
//! With the published names (`names.txt` of github.com/karpathy/makemore) the deep model reaches a loss below 2.06 nats a letter on
//! names that it has not seen. `NAMES_TXT` may name the file instead of `--names`.

mod training;

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use clap::Parser;
use fused_mlp::{Corpus, Tanh};
use plot::{Axis, BLUE, GREY, ORANGE};

use training::{Data, Outcome, Recipe, train};

/// Names in the published file.
const PUBLISHED_NAMES: usize = 32_033;
/// Steps on a file of names, and on the sample, which a longer run would learn by heart.
const STEPS: u64 = 20_000;
const SAMPLE_STEPS: u64 = 2_000;
/// What the deep model reaches on the published names, in nats.
const DEV_LOSS: f32 = 2.06;

/// Trains a model of two hidden layers on names, beside models of one.
#[derive(Debug, Parser)]
#[command(name = "deep_names", max_term_width = 100)]
struct Arguments {
    /// Names to learn from: one a line, letters a to z [default: that of the environment variable `NAMES_TXT`, or the built-in sample]
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,

    /// Steps of 64 examples [default: 20000, or 2000 on the sample]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,

    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let file = arguments.names.or(env::var_os("NAMES_TXT").map(Into::into));
    let (source, corpus, steps) = match &file {
        Some(path) => {
            let text = fs::read_to_string(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            (path.display().to_string(), Corpus::from_text(&text)?, STEPS)
        }
        None => ("the built-in sample".into(), Corpus::sample(), SAMPLE_STEPS),
    };
    let is_published = corpus.len() == PUBLISHED_NAMES && arguments.steps.is_none();
    println!("{} names from {source}", corpus.len());
    let data = Data::new(corpus.split(42)?)?;
    let recipe = Recipe {
        steps: arguments.steps.unwrap_or(steps),
        seed: arguments.seed,
    };

    let narrow = train::<Tanh<200>>("200", recipe, &data)?;
    let wide = train::<Tanh<500>>("500", recipe, &data)?;
    let deep = train::<(Tanh<200>, Tanh<200>)>("200, 200", recipe, &data)?;
    println!(
        "\nhidden layers  parameters  train    dev   test  seconds   (losses in nats a letter)"
    );
    for outcome in [&narrow, &wide, &deep] {
        println!("{outcome}");
    }
    println!("\nnames that the deep model invents:");
    for name in &deep.names {
        println!("  {name}");
    }

    let path = draw(&narrow, &wide, &deep)?;
    println!("wrote {}", path.display());
    let best = narrow.dev.min(wide.dev);
    println!(
        "dev loss {:.4} with two hidden layers, {best:.4} with the better of one",
        deep.dev
    );
    assert!(
        !is_published || deep.dev <= DEV_LOSS && deep.dev < best,
        "on the published names two layers reach {DEV_LOSS} nats, and beat one"
    );
    Ok(())
}

/// The losses on the validation set along the way.
fn draw(narrow: &Outcome, wide: &Outcome, deep: &Outcome) -> Result<PathBuf, Box<dyn Error>> {
    let curves = [narrow, wide, deep].map(|outcome| outcome.curve.clone());
    let losses = || curves.iter().flatten().map(|&(_, loss)| loss);
    let (low, high) = (
        losses().fold(f64::MAX, f64::min),
        losses().fold(0.0, f64::max),
    );
    let steps = curves[0].last().map_or(1.0, |&(step, _)| step);
    let [narrow, wide, deep] = curves;
    plot::draw(
        "deep_names.svg",
        "One hidden layer and two, on names",
        [
            Axis("steps", 0.0..steps, |x| format!("{x:.0}")),
            Axis("dev loss (nats per letter)", low - 0.02..high + 0.02, |y| {
                format!("{y:.2}")
            }),
        ],
        vec![
            plot::line("200", GREY, 3, narrow),
            plot::line("500", BLUE, 3, wide),
            plot::line("200, 200", ORANGE, 4, deep),
        ],
    )
}
