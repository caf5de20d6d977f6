//! What the entries are made of.

use std::ops::RangeInclusive;

use fused_mlp::{Backend, Minibatch, NameModel, SeedableRng, Sgd, Xoshiro256PlusPlus};

use super::{About, Entry, Kind};
use crate::plain::Plain;
use crate::support::peers::{Peer, Spec};
use crate::support::task::{AGREEMENT, Batch, Source, Task};
use crate::support::training::Training;
use crate::support::{BATCH, LEARNING_RATE, STEPS, time};

/// Where the loss on the published names ends when the batches are others.
const OWN_BATCHES: RangeInclusive<f64> = 2.40..=2.60;
/// Steps of this crate's specification, which is slow on purpose.
const SCALAR_STEPS: usize = 200;

/// This crate, drawing its batches in the loop.
pub(super) fn drawing(task: &'static Task, backend: Backend, steps: usize) -> Entry {
    let timed = match backend == Backend::SCALAR {
        true => SCALAR_STEPS.min(steps),
        false => steps,
    };
    let train = move |backend| {
        let initial = task.initial.clone();
        let mut training = Training::new(initial, Sgd::new(LEARNING_RATE), backend, BATCH);
        let seconds = training.run(&task.train, timed).as_secs_f64();
        (seconds, task.loss(training.model()))
    };
    let startup = time(|| {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let model = NameModel::standard_normal(&mut rng);
        let mut training = Training::new(model, Sgd::new(LEARNING_RATE), backend, BATCH);
        training.run(&task.train, 1);
        training
    });
    Entry::new(
        About {
            id: backend.name().into(),
            kind: Kind::Own,
            description: match backend == Backend::detect() {
                true => "this crate as it runs here".into(),
                false => format!("this crate, backend {backend}"),
            },
            steps: [timed, steps],
            draws: true,
            startup,
        },
        elsewhere(task, timed).unwrap_or_else(|| around(train(Backend::detect()).1)),
        Box::new(move || Ok(train(backend))),
    )
}

/// This crate on the batches that the peers are given.
pub(super) fn given(task: &'static Task, backend: Backend, steps: usize) -> Entry {
    let startup = time(|| {
        let mut trainer = task.trainer(backend);
        task.step(&mut trainer, &task.batches[0], &mut Minibatch::new(BATCH));
        trainer
    });
    let train = move || {
        let mut trainer = task.trainer(backend);
        let mut batch = Minibatch::new(BATCH);
        let taken = time(|| {
            for indices in &task.batches[..steps] {
                task.step(&mut trainer, indices, &mut batch);
            }
        });
        Ok((taken.as_secs_f64(), task.loss(trainer.model())))
    };
    Entry::new(
        About {
            id: format!("{backend}-given-batches"),
            kind: Kind::Own,
            description: "this crate on the batches that the peers are given".into(),
            steps: [steps, steps],
            draws: false,
            startup,
        },
        around(task.expected_loss(steps)),
        Box::new(train),
    )
}

/// Rust without this crate.
pub(super) fn plain<P: Plain>(task: &'static Task, steps: usize) -> Entry {
    let step = |program: &mut P, indices: &[u32], batch: &mut Batch| {
        let selected = task.train.select(indices, batch);
        selected.expect("the batches are of this data set");
        program.step(batch.inputs(), batch.targets(), LEARNING_RATE)
    };
    let startup = time(|| {
        let mut program = P::new(&task.initial);
        step(&mut program, &task.batches[0], &mut Minibatch::new(BATCH))
    });
    let train = move || {
        let mut program = P::new(&task.initial);
        let mut batch = Minibatch::new(BATCH);
        let taken = time(|| {
            for indices in &task.batches[..steps] {
                step(&mut program, indices, &mut batch);
            }
        });
        Ok((taken.as_secs_f64(), task.loss(program.model())))
    };
    Entry::new(
        About {
            id: P::ID.into(),
            kind: Kind::Plain,
            description: P::DESCRIPTION.into(),
            steps: [steps, steps],
            draws: false,
            startup,
        },
        around(task.expected_loss(steps)),
        Box::new(train),
    )
}

/// A program of its own, which times itself.
pub(super) fn peer(task: &Task, spec: Spec, mut started: Peer, steps: [usize; 2]) -> Entry {
    let accepted = match spec.own_batches {
        true => elsewhere(task, steps[0]).unwrap_or(0.0..=f64::MAX),
        false => around(task.expected_loss(steps[0])),
    };
    Entry::new(
        About {
            id: spec.id,
            kind: Kind::Peer,
            description: started.description.clone(),
            steps,
            draws: spec.own_batches,
            startup: started.startup,
        },
        accepted,
        Box::new(move || started.train()),
    )
}

fn around(loss: f64) -> RangeInclusive<f64> {
    loss - AGREEMENT..=loss + AGREEMENT
}

/// Losses after other batches than the given ones, where they are known.
fn elsewhere(task: &Task, steps: usize) -> Option<RangeInclusive<f64>> {
    (task.source == Source::Published && steps == STEPS).then_some(OWN_BATCHES)
}
