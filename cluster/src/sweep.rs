//! The sweep of the example `sweep`, its trainings shared between the ranks.
//!
//! In each round every rank trains one network, and rank 0 adds the outcomes to the journal, which it alone reads and writes.
//! Trainings take about equally long, so ranks wait little for each other.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use fused_mlp::{Corpus, Vocabulary};
use mpi::topology::SimpleCommunicator;
use mpi::traits::*;

use crate::Failure;
use crate::training::{Outcome, RATES, SEEDS, STEPS, mix, train_one};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Networks at each learning rate.
    #[arg(long, default_value_t = SEEDS)]
    seeds: usize,
    /// Where rank 0 keeps finished trainings, and finds those of a run that was ended.
    #[arg(long, default_value = "sweep.journal")]
    journal: PathBuf,
}

/// What a rank sends for no training, in the last round.
const NONE: u64 = u64::MAX;

pub(crate) fn run(arguments: &Arguments, world: &SimpleCommunicator) -> Result<(), Failure> {
    let names = Corpus::sample().split(42)?;
    let vocabulary = Vocabulary::lowercase();
    let (train, dev) = (
        names.train.windows(&vocabulary)?,
        names.dev.windows(&vocabulary)?,
    );
    let seeds = arguments.seeds;
    if seeds == 0 {
        return Err("--seeds must be at least 1".into());
    }
    let cells = RATES.len() * seeds;
    let (rank, ranks) = (
        usize::try_from(world.rank())?,
        usize::try_from(world.size())?,
    );
    let root = world.process_at_rank(0);

    let mut journal = match rank {
        0 => Some(Journal::open(&arguments.journal, seeds)?),
        _ => None,
    };
    let mut is_done = vec![0_u8; cells];
    if let Some(journal) = &journal {
        for &cell in journal.outcomes.keys() {
            is_done[cell] = 1;
        }
        eprintln!(
            "{} of {cells} networks are in the journal",
            journal.outcomes.len()
        );
    }
    root.broadcast_into(&mut is_done[..]);
    let left: Vec<usize> = (0..cells).filter(|&cell| is_done[cell] == 0).collect();

    for round in left.chunks(ranks) {
        let sent = match round.get(rank) {
            Some(&cell) => {
                let outcome = train_one(RATES[cell / seeds], (cell % seeds) as u64, &train, &dev)?;
                [
                    cell as u64,
                    outcome.best.to_bits().into(),
                    outcome.parameters,
                ]
            }
            None => [NONE; 3],
        };
        if let Some(journal) = &mut journal {
            let mut received = vec![[0_u64; 3]; ranks];
            root.gather_into_root(&sent, received.as_flattened_mut());
            received.retain(|outcome| outcome[0] != NONE);
            for [cell, best, parameters] in received {
                let best = f32::from_bits(u32::try_from(best)?);
                journal.add(usize::try_from(cell)?, Outcome { best, parameters })?;
            }
            journal.file.sync_data()?;
        } else {
            root.gather_into(&sent);
        }
    }
    if let Some(journal) = journal {
        let outcomes: Vec<Outcome> = journal.outcomes.into_values().collect();
        print(&outcomes, seeds);
    }
    Ok(())
}

/// The example's table, and its checksum.
fn print(outcomes: &[Outcome], seeds: usize) {
    let all = outcomes.iter().fold(0, |hash, outcome| {
        mix(mix(hash, outcome.parameters), outcome.best.to_bits().into())
    });
    println!("checksum {all:016x}\n\n  rate    best dev loss: least   median     most");
    for (rate, outcomes) in RATES.iter().zip(outcomes.chunks(seeds)) {
        let mut losses: Vec<_> = outcomes.iter().map(|outcome| outcome.best).collect();
        losses.sort_by(f32::total_cmp);
        let (least, median, most) = (losses[0], losses[seeds / 2], losses[seeds - 1]);
        println!("{rate:6} {least:20.4} {median:8.4} {most:8.4}");
    }
}

/// Finished trainings on disk: a heading, and a line for each.
struct Journal {
    file: File,
    outcomes: BTreeMap<usize, Outcome>,
}

impl Journal {
    /// Opens the journal, or begins one. A last line that was not written to its end is removed.
    fn open(path: &Path, seeds: usize) -> Result<Self, Failure> {
        let heading = format!("fused-mlp sweep: {STEPS} steps, {seeds} seeds at rates {RATES:?}\n");
        let mut text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display()).into()),
        };
        let refuse = |what: &str| format!("{} is no journal of this sweep: {what}", path.display());
        text.truncate(text.rfind('\n').map_or(0, |last| last + 1));
        if text.is_empty() {
            text.push_str(&heading);
        }
        let lines = text
            .strip_prefix(&heading)
            .ok_or_else(|| refuse("another heading"))?;
        let mut outcomes = BTreeMap::new();
        for line in lines.lines() {
            let (cell, outcome) = parse(line).ok_or_else(|| refuse(line))?;
            if cell >= RATES.len() * seeds || outcomes.insert(cell, outcome).is_some() {
                return Err(refuse(line).into());
            }
        }
        let open = || {
            // Not truncated first: whatever happens, finished lines stay.
            let mut file = OpenOptions::new().create(true).append(true).open(path)?;
            let kept = text.len() as u64;
            if file.metadata()?.len() > kept {
                file.set_len(kept)?;
            } else if outcomes.is_empty() {
                file.set_len(0)?;
                file.write_all(heading.as_bytes())?;
            }
            Ok(file)
        };
        let file = open()
            .map_err(|error: std::io::Error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Self { file, outcomes })
    }

    fn add(&mut self, cell: usize, outcome: Outcome) -> Result<(), Failure> {
        let (best, parameters) = (outcome.best.to_bits(), outcome.parameters);
        let line = format!("{cell} {best:08x} {parameters:016x}\n");
        self.file.write_all(line.as_bytes())?;
        self.outcomes.insert(cell, outcome);
        Ok(())
    }
}

fn parse(line: &str) -> Option<(usize, Outcome)> {
    let mut words = line.split(' ');
    let cell = words.next()?.parse().ok()?;
    let best = f32::from_bits(u32::from_str_radix(words.next()?, 16).ok()?);
    let parameters = u64::from_str_radix(words.next()?, 16).ok()?;
    words
        .next()
        .is_none()
        .then_some((cell, Outcome { best, parameters }))
}
