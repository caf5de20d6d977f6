//! The parts of a training step, the whole loop, and the physical limit.

use fused_mlp::probe::{Part, Probe};
use fused_mlp::{Backend, NameModel, Sgd};

use super::{Repeat, Section};
use crate::support::effort::Effort;
use crate::support::rounds::{Samples, interleave};
use crate::support::table::{Table, grouped, number};
use crate::support::task::{AGREEMENT, task};
use crate::support::training::Training;
use crate::support::{
    BATCH, LEARNING_RATE, STEP_MULTIPLY_ADDS, STEPS, fma_peak, fraction, native, time,
};

/// Steps of the whole loop at a time: all 10,000, since the first steps after other work fetch the data set anew.
const LOOP: usize = STEPS;
/// Steps' worth of a part at a time: a few milliseconds, so that all turns of a round meet the same clock.
const SLICE: usize = 1000;
const ROUNDS: usize = 100;
/// Steps after which a backend's loss is compared with the fastest one's.
const COMPARED: usize = 100;

/// A part of the step, all of it, or its multiply-adds alone.
pub(crate) struct Work {
    pub(crate) name: String,
    /// Multiply-adds of one step that are done in it.
    pub(crate) multiply_adds: usize,
    /// It is done within another part.
    is_within: bool,
    /// Steps in a turn.
    turn: usize,
    /// Does so many steps' worth of it.
    pub(crate) run: Repeat,
}

/// Everything to measure on a backend: the limit, the loop, then the parts.
pub(crate) fn works(backend: Backend) -> Vec<Work> {
    let task = task();
    let losses = [backend, Backend::detect()].map(|backend| task.loss_after(COMPARED, backend));
    let distance = (losses[0] - losses[1]).abs();
    assert!(distance <= AGREEMENT, "{backend}: {losses:?}");
    let mut training = Training::new(
        task.initial.clone(),
        Sgd::new(LEARNING_RATE),
        backend,
        BATCH,
    );
    let limit = Work {
        name: "fma-peak".into(),
        multiply_adds: STEP_MULTIPLY_ADDS,
        is_within: false,
        turn: SLICE,
        run: Box::new(move |steps| fma_peak(backend, steps * STEP_MULTIPLY_ADDS)),
    };
    let whole = Work {
        name: "step".into(),
        multiply_adds: STEP_MULTIPLY_ADDS,
        is_within: false,
        turn: LOOP,
        run: Box::new(move |steps| training.run(&task.train, steps)),
    };
    let parts = Part::ALL.into_iter().map(|part| {
        let mut probe = Probe::<NameModel>::new();
        Work {
            name: kebab_case(&format!("{part:?}")),
            multiply_adds: part.multiply_adds::<NameModel>(),
            is_within: part == Part::Tanh,
            turn: SLICE,
            run: Box::new(move |steps| time(|| probe.run(backend, part, steps))),
        }
    });
    [limit, whole].into_iter().chain(parts).collect()
}

/// One table for each backend with instructions of its own.
pub(crate) fn measure(effort: Effort) -> Vec<Section> {
    let backends: Vec<Backend> = native().collect();
    let mut works: Vec<Vec<Work>> = backends.iter().copied().map(works).collect();
    let mut turns: Vec<&mut Work> = works.iter_mut().flatten().collect();
    let mut all = interleave(effort.rounds(ROUNDS), &mut turns, |work, _| {
        let steps = effort.steps(work.turn);
        let seconds = (work.run)(steps).as_secs_f64();
        Some(seconds * fraction(STEPS, steps))
    })
    .into_iter();
    backends
        .into_iter()
        .zip(&works)
        .map(|(backend, works)| {
            let samples: Vec<Samples> = all.by_ref().take(works.len()).collect();
            section(backend, works, &samples)
        })
        .collect()
}

fn section(backend: Backend, works: &[Work], samples: &[Samples]) -> Section {
    let mut table = Table::new([
        "part of a step",
        "ms for 10,000 steps",
        "over the FMA peak",
        "over its own FMA peak",
    ]);
    let peak = &samples[0];
    for (work, samples) in works.iter().zip(samples) {
        let share = samples.ratio_to(peak);
        let own_share = fraction(work.multiply_adds, STEP_MULTIPLY_ADDS);
        table.push([
            match work.is_within {
                true => format!("{} (within the former)", work.name),
                false => work.name.clone(),
            },
            number(samples.median() * 1e3, 2),
            number(share, 3),
            number((own_share > 0.0).then_some(share / own_share), 2),
        ]);
    }
    let parts = works.iter().zip(samples).skip(2);
    let outside = parts.filter(|(work, _)| !work.is_within);
    let parts: f64 = outside.map(|(_, samples)| samples.median()).sum();
    let rest = samples[1].median() - parts;
    table.push([
        "the step without its parts".into(),
        number(rest * 1e3, 2),
        number(rest / peak.median(), 3),
        number(None, 2),
    ]);
    Section {
        title: format!("A step beside the FMA peak of {backend}"),
        text: format!(
            "{} multiply-adds a step, batches drawn in the loop; a part's own FMA peak is the time for the multiply-adds in it. The parts repeat on the same data, \
             which is then in the nearest cache. Medians of interleaved rounds of {LOOP} steps, and of {SLICE} steps' worth of each part.",
            grouped(STEP_MULTIPLY_ADDS)
        ),
        table,
    }
}

/// `DOutputWeights` as `d-output-weights`.
fn kebab_case(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    kebab
}
