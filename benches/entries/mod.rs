//! Everyone who takes the 10,000 steps, behind one face: this crate, plain Rust, and the peers.
#![allow(
    dead_code,
    reason = "`ten_thousand_steps` times the programs without describing them"
)]

mod programs;

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::{Duration, Instant};

use fused_mlp::Backend;

use crate::plain::matrices::Matrices;
use crate::plain::scalar::Scalar;
use crate::support::effort::Effort;
use crate::support::peers::{self, Answers, Spec};
use crate::support::task::Task;
use crate::support::{BATCH, STEPS, fraction};
use programs::{drawing, given, peer, plain};

/// Who wrote the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// This crate.
    Own,
    /// Rust without this crate, in this repository.
    Plain,
    /// A program of its own.
    Peer,
}

/// What there is to know of a program before it is timed.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) description: String,
    /// Steps that are timed, and that the time is scaled to.
    pub(crate) steps: [usize; 2],
    /// It draws its batches inside the timed loop; the others are given them.
    pub(crate) draws: bool,
    /// From nothing to the end of a first step; for a peer, from its start to its first answer.
    pub(crate) startup: Duration,
}

impl About {
    /// Where its batches come from: drawn in the timed loop, or given.
    pub(crate) fn batches(&self) -> &'static str {
        match self.draws {
            true => "drawn",
            false => "given",
        }
    }

    /// Whether all steps are timed.
    pub(crate) fn is_whole(&self) -> bool {
        self.steps[0] == self.steps[1]
    }
}

/// A program that trains.
pub(crate) struct Entry {
    pub(crate) about: About,
    /// What the first run took, its loss included.
    pub(crate) first: Duration,
    /// Losses that show that it did the work.
    accepted: RangeInclusive<f64>,
    train: Train,
}

/// Trains from the initial parameters: seconds of the loop, and the loss on the train split.
type Train = Box<dyn FnMut() -> Result<(f64, f64), String>>;

/// One time through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// Scaled to all steps.
    pub(crate) seconds: f64,
    pub(crate) loss: f64,
}

impl Entry {
    fn new(about: About, accepted: RangeInclusive<f64>, train: Train) -> Self {
        Self {
            about,
            first: Duration::ZERO,
            accepted,
            train,
        }
    }

    /// Trains, and fails with a loss that is not accepted.
    pub(crate) fn run(&mut self) -> Result<Run, String> {
        let (seconds, loss) = (self.train)()?;
        if !self.accepted.contains(&loss) {
            let [low, high] = [self.accepted.start(), self.accepted.end()];
            return Err(format!(
                "its loss is {loss:.6}, not between {low:.6} and {high:.6}"
            ));
        }
        let [timed, all] = self.about.steps;
        let seconds = seconds * fraction(all, timed);
        Ok(Run { seconds, loss })
    }
}

/// Everyone, each after a first run that is thrown away.
#[derive(Default)]
pub(crate) struct Entries {
    pub(crate) present: Vec<Entry>,
    /// Not installed.
    pub(crate) missing: Vec<Absent>,
    /// Another loss, or no answer.
    pub(crate) refused: Vec<Absent>,
}

/// Who does not take part, and why or what to do about it.
#[derive(Clone, Debug)]
pub(crate) struct Absent {
    pub(crate) id: String,
    pub(crate) reason: String,
}

impl Entries {
    /// This crate on every backend, fastest first, then plain Rust, then the peers unless this is only a test.
    pub(crate) fn assemble(task: &'static Task, effort: Effort) -> Self {
        let steps = effort.steps(STEPS);
        let mut entries = Self::default();
        let mut backends: Vec<Backend> = Backend::available().collect();
        backends.reverse();
        for backend in backends {
            entries.admit(drawing(task, backend, steps));
        }
        entries.admit(given(task, Backend::detect(), steps));
        entries.admit(plain::<Matrices<BATCH>>(task, steps));
        entries.admit(plain::<Scalar>(task, steps));
        if effort == Effort::Measure {
            entries.admit_peers(task, steps);
        }
        entries
    }

    fn admit_peers(&mut self, task: &'static Task, steps: usize) {
        let data = task.peer_data().write();
        let data = data.expect("the target directory can be written to");
        for spec in peers::that_answer(Answers::Train) {
            self.admit_peer(task, spec, &data, steps);
        }
    }

    fn admit_peer(&mut self, task: &'static Task, spec: Spec, data: &Path, steps: usize) {
        if !spec.is_installed() {
            let Spec { id, get, .. } = spec;
            return self.missing.push(Absent { id, reason: get });
        }
        eprintln!("starting {}", spec.id);
        let timed = spec.at_most_steps.map_or(steps, |most| most.min(steps));
        match spec.start(data, timed) {
            Ok(started) => self.admit(peer(task, spec, started, [timed, steps])),
            Err(reason) => self.refuse(spec.id, reason),
        }
    }

    /// Throws the first run away, and takes the entry if its loss is right.
    fn admit(&mut self, mut entry: Entry) {
        let start = Instant::now();
        match entry.run() {
            Ok(_) => {
                entry.first = start.elapsed();
                self.present.push(entry);
            }
            Err(reason) => self.refuse(entry.about.id, reason),
        }
    }

    /// Notes who cannot be listed.
    pub(crate) fn refuse(&mut self, id: String, reason: String) {
        eprintln!("refused {id}: {reason}");
        self.refused.push(Absent { id, reason });
    }
}
