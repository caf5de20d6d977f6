//! Hundreds of networks, one for each seed and learning rate, trained over all cores.
//!
//! ```text
//! cargo run --release -p examples --example sweep
//! ```
//!
//! A step of a small network is over before a second thread has woken up, so what is worth spreading over cores is whole
//! trainings. Each belongs to one thread, and its result to its seed and rate alone: the sweep is run on one thread, on two, four and
//! so on up to all cores, and must come out the same to the bit. A second picture shows how many networks a second each number of
//! threads has trained.

mod training;

use std::error::Error;
use std::iter::successors;
use std::time::Instant;

use fused_mlp::{Corpus, Vocabulary};
use indicatif::{ProgressBar, ProgressStyle};
use plot::{Axis, BLUE, GREY};
use rayon::prelude::*;
use training::{Letters, Outcome, RATES, SEEDS, STEPS, mix, train_one};

fn main() -> Result<(), Box<dyn Error>> {
    let names = Corpus::sample().split(42)?;
    let vocabulary = Vocabulary::lowercase();
    let (train, dev) = (
        names.train.windows(&vocabulary)?,
        names.dev.windows(&vocabulary)?,
    );

    let (on_one, per_second) = sweep(1, &train, &dev)?;
    let mut throughput = vec![(1.0, per_second)];
    let cores = rayon::current_num_threads().max(2); // a comparison, even on a single core
    let doubled = successors(Some(2), |threads| Some(2 * threads));
    for threads in doubled
        .take_while(|&threads| threads < cores)
        .chain([cores])
    {
        let (outcomes, per_second) = sweep(threads, &train, &dev)?;
        assert!(outcomes == on_one, "the number of threads must not matter");
        throughput.push((threads as f64, per_second));
    }
    let all = on_one.iter().fold(0, |hash, outcome| {
        mix(mix(hash, outcome.parameters), outcome.best.to_bits().into())
    });
    println!(
        "the same results, checksum {all:016x}\n\n  rate    best dev loss: least   median     most"
    );

    let (mut seeds, mut medians) = (Vec::new(), Vec::new());
    for (rate, outcomes) in RATES.iter().zip(on_one.chunks(SEEDS)) {
        let mut losses: Vec<_> = outcomes.iter().map(|outcome| outcome.best).collect();
        losses.sort_by(f32::total_cmp);
        let (least, median, most) = (
            losses[0],
            losses[losses.len() / 2],
            losses[losses.len() - 1],
        );
        println!("{rate:6} {least:20.4} {median:8.4} {most:8.4}");
        let place = |loss| (f64::from(*rate).log10(), f64::from(loss));
        seeds.extend(losses.into_iter().map(place));
        medians.push(place(median));
    }

    let rate = |x: f64| format!("{:.2}", 10_f64.powf(x));
    let path = plot::draw(
        "sweep.svg",
        "32 seeds at each learning rate",
        [
            Axis("learning rate", -2.1..0.0, rate),
            Axis("best dev loss (nats per letter)", 2.4..4.4, |y| {
                format!("{y:.1}")
            }),
        ],
        vec![
            plot::dots("one seed", GREY, 3, seeds),
            plot::line("median", BLUE, 4, medians),
        ],
    )?;
    println!("wrote {}", path.display());

    let most = throughput[0].1 * cores as f64;
    let threads = |number: f64| {
        let is_whole = (number - number.round()).abs() < 1e-6;
        if is_whole {
            format!("{number:.0}")
        } else {
            String::new()
        }
    };
    let path = plot::draw(
        "sweep-threads.svg",
        "256 networks on several threads",
        [
            Axis("threads", 0.0..cores as f64 * 1.05, threads),
            Axis("networks a second", 0.0..most * 1.6, |y| format!("{y:.0}")),
        ],
        vec![
            plot::line(
                "as many times one thread",
                GREY,
                2,
                vec![(0.0, 0.0), (cores as f64, most)],
            ),
            plot::line("measured", BLUE, 3, throughput.clone()),
            plot::dots("each number of threads", BLUE, 6, throughput),
        ],
    )?;
    println!("wrote {}", path.display());
    Ok(())
}

/// Trains them all on so many threads. Gives the outcomes, rate by rate, seed by seed, and how many came a second.
fn sweep(
    threads: usize,
    train: &Letters,
    dev: &Letters,
) -> Result<(Vec<Outcome>, f64), Box<dyn Error>> {
    let cases: Vec<_> = RATES
        .iter()
        .flat_map(|&rate| (0..SEEDS as u64).map(move |seed| (rate, seed)))
        .collect();
    let bar = ProgressBar::new(cases.len() as u64).with_style(ProgressStyle::with_template(
        "{wide_bar} {pos} of {len} networks, {eta} left",
    )?);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()?;
    let start = Instant::now();
    let outcomes = pool.install(|| {
        let outcomes = cases.par_iter().map(|&(rate, seed)| {
            let outcome = train_one(rate, seed, train, dev);
            bar.inc(1);
            outcome
        });
        outcomes.collect::<Result<Vec<_>, _>>()
    })?;
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let networks = cases.len() as f64;
    println!(
        "on {threads} threads: {networks} networks in {seconds:.2} s, {:.0} networks and {:.0} steps a second",
        networks / seconds,
        networks * STEPS as f64 / seconds,
    );
    Ok((outcomes, networks / seconds))
}
