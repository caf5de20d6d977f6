//! The 10,000 steps, measured in turns.

use fused_mlp::Backend;

use crate::entries::{About, Absent, Entries, Entry, Kind};
use crate::support::effort::Effort;
use crate::support::rounds::{Samples, interleave};
use crate::support::task::Task;
use crate::support::{STEP_MULTIPLY_ADDS, STEPS, fma_peak};

/// Who takes longer than this, loss included, takes part in few of the rounds.
const SLOW_SECONDS: f64 = 1.5;
const SLOW_EVERY: usize = 4;

/// What came out.
#[derive(Clone, Debug)]
pub(crate) struct Contest {
    pub(crate) rounds: usize,
    /// The fastest of this processor.
    pub(crate) backend: Backend,
    /// What its multiply-adds alone take.
    pub(crate) peak: Samples,
    /// In the order of their medians.
    pub(crate) rows: Vec<Row>,
    pub(crate) missing: Vec<Absent>,
    pub(crate) refused: Vec<Absent>,
}

/// What came out for one program.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) about: About,
    pub(crate) samples: Samples,
    /// On the train split after the last step.
    pub(crate) loss: f64,
}

/// Who is next in a round.
enum Turn {
    Peak,
    /// With its loss, or why it was refused.
    Entry(Entry, Result<f64, String>),
}

impl Contest {
    /// Runs it.
    pub(crate) fn run(task: &'static Task, effort: Effort, rounds: usize) -> Self {
        let backend = Backend::detect();
        let steps = effort.steps(STEPS);
        let entries = Entries::assemble(task, effort);
        let present = entries.present.into_iter();
        let mut turns: Vec<Turn> = [Turn::Peak]
            .into_iter()
            .chain(present.map(|entry| Turn::Entry(entry, Ok(f64::NAN))))
            .collect();
        let samples = interleave(rounds, &mut turns, |turn, round| match turn {
            Turn::Peak => {
                eprintln!("round {} of {rounds}", round + 1);
                Some(fma_peak(backend, steps * STEP_MULTIPLY_ADDS).as_secs_f64())
            }
            Turn::Entry(entry, outcome) => {
                let is_slow = entry.first.as_secs_f64() > SLOW_SECONDS;
                if outcome.is_err() || (is_slow && !round.is_multiple_of(SLOW_EVERY)) {
                    return None;
                }
                let run = entry.run();
                *outcome = run.as_ref().map(|run| run.loss).map_err(Clone::clone);
                run.ok().map(|run| run.seconds)
            }
        });

        let mut contest = Self {
            rounds,
            backend,
            peak: Samples::default(),
            rows: Vec::new(),
            missing: entries.missing,
            refused: entries.refused,
        };
        for (turn, samples) in turns.into_iter().zip(samples) {
            match turn {
                Turn::Peak => contest.peak = samples,
                Turn::Entry(Entry { about, .. }, Ok(loss)) => contest.rows.push(Row {
                    about,
                    samples,
                    loss,
                }),
                Turn::Entry(Entry { about, .. }, Err(reason)) => {
                    let id = about.id;
                    contest.refused.push(Absent { id, reason });
                }
            }
        }
        let median = |row: &Row| row.samples.median();
        contest.rows.sort_by(|a, b| median(a).total_cmp(&median(b)));
        contest
    }

    /// What the physical limit is called.
    pub(crate) fn peak_name(&self) -> String {
        format!("FMA peak, {}", self.backend)
    }

    /// This crate as it runs by itself.
    ///
    /// # Panics
    ///
    /// If it was refused: then there is nothing to compare with.
    pub(crate) fn own(&self) -> &Row {
        let id = self.backend.name();
        let own = self.rows.iter().find(|row| row.about.id == id);
        own.expect("this crate comes to the right loss")
    }
}

impl Row {
    /// What it is called, and from how many steps its time is scaled if it is.
    pub(crate) fn name(&self) -> String {
        let About {
            id, kind, steps, ..
        } = &self.about;
        let name = match kind {
            Kind::Own => format!("fused-mlp {id}"),
            Kind::Plain | Kind::Peer => id.clone(),
        };
        match self.about.is_whole() {
            true => name,
            false => format!("{name} (scaled from {} steps)", steps[0]),
        }
    }
}
