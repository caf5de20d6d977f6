//! A policy learns to balance a pole: proximal policy optimization with a loss of its own, on two networks of two hidden layers.
//!
//! ```text
//! cargo run --release -p examples --example cartpole                     # one seed
//! cargo run --release -p examples --example cartpole -- --seeds 10       # seeds 0 to 9
//! ```
//!
//! The task is solved when the mean return of the last hundred episodes, as they come in training, is 475 of at most 500.

mod environment;
mod ppo;

use std::error::Error;
use std::time::Instant;

use clap::Parser;
use fused_mlp::Backend;
use indicatif::{ProgressBar, ProgressStyle};
use plot::{Axis, BLUE, GREY};

use environment::TIME_LIMIT;
use ppo::{MAX_STEPS, Run};

/// Teaches a policy to balance a pole.
#[derive(Debug, Parser)]
#[command(name = "cartpole", max_term_width = 100)]
struct Arguments {
    /// Seed of everything random, or the first of several
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Runs, each with the seed after the one before
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,

    /// Backend by name [default: the fastest]
    #[arg(long, value_name = "NAME", default_value_t)]
    backend: Backend,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    println!(" seed   solved   env steps  episodes  seconds  checksum of the parameters");
    let mut solved = 0;
    let mut first = None;
    for seed in arguments.seed..arguments.seed + arguments.seeds {
        let begun = Instant::now();
        let run = train(seed, arguments.backend)?;
        println!(
            "{seed:5} {:>8} {:11} {:9} {:8.2}  {:016x}",
            if run.is_solved() { "yes" } else { "no" },
            run.steps,
            run.episodes.len(),
            begun.elapsed().as_secs_f64(),
            run.checksum()
        );
        solved += u64::from(run.is_solved());
        first.get_or_insert(run);
    }
    if let Some(run) = first {
        draw(&run)?;
    }
    if solved * 10 < arguments.seeds * 9 {
        return Err(format!("only {solved} of {} runs solved the task", arguments.seeds).into());
    }
    Ok(())
}

/// Improves until the task is solved, or there were too many steps.
fn train(seed: u64, backend: Backend) -> Result<Run, Box<dyn Error>> {
    let mut run = Run::new(seed, backend)?;
    let bar = ProgressBar::new(MAX_STEPS as u64).with_style(ProgressStyle::with_template(
        "seed {prefix} {wide_bar} {human_pos} steps  {msg}",
    )?);
    bar.set_prefix(seed.to_string());
    while !run.is_solved() && run.steps < MAX_STEPS {
        run.improve()?;
        bar.set_position(run.steps as u64);
        if let Some(mean) = run.mean_return() {
            bar.set_message(format!("mean return {mean:.0}"));
        }
    }
    bar.finish_and_clear();
    Ok(run)
}

/// The return of each episode, and the mean of the last hundred.
fn draw(run: &Run) -> Result<(), Box<dyn Error>> {
    let point = |(steps, length): &(usize, u32)| (*steps as f64, f64::from(*length));
    let episodes = run.episodes.iter().map(point).collect();
    let means = run.episodes.windows(100).map(|window| {
        let sum: u32 = window.iter().map(|(_, length)| length).sum();
        (window[99].0 as f64, f64::from(sum) / 100.0)
    });
    let path = plot::draw(
        "cartpole.svg",
        "Balancing a pole",
        [
            Axis("environment steps", 0.0..run.steps as f64, |x| {
                format!("{x:.0}")
            }),
            Axis("return", 0.0..1.3 * f64::from(TIME_LIMIT), |y| {
                format!("{y:.0}")
            }),
        ],
        vec![
            plot::dots("an episode", GREY, 3, episodes),
            plot::line("mean of a hundred", BLUE, 4, means.collect()),
        ],
    )?;
    println!("wrote {}", path.display());
    Ok(())
}
