//! What a multiply-add costs as the model and the batch grow.

use fused_mlp::model::HiddenLayers;
use fused_mlp::{Backend, Mlp, SeedableRng, Sgd, Softmax, Tanh, Tokens, Xoshiro256PlusPlus};

use super::{Repeat, Section};
use crate::support::effort::Effort;
use crate::support::rounds::interleave;
use crate::support::table::{Table, grouped, number};
use crate::support::task::task;
use crate::support::training::Training;
use crate::support::{CONTEXT, VOCAB, fraction, multiply_adds, native};

/// Multiply-adds at a time, about: a few milliseconds, so that all turns of a round meet the same clock.
const SLICE: usize = 300_000_000;
const ROUNDS: usize = 40;
/// Small enough for the widest.
const LEARNING_RATE: f32 = 0.01;
/// How far the first batch's loss may be from that of the portable backend, in nats.
const AGREEMENT: f32 = 1e-4;

/// A shape of the name model, and of its batches.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    hidden: &'static [usize],
    embed: usize,
    batch: usize,
    start: fn(Backend, usize) -> Repeat,
}

/// The name model first, which the others are compared with.
pub(crate) const SHAPES: [Shape; 15] = [
    shape::<Tanh<100>, 2>("names", &[100], 32),
    shape::<Tanh<64>, 2>("hidden-64", &[64], 32),
    shape::<Tanh<200>, 2>("hidden-200", &[200], 32),
    shape::<Tanh<512>, 2>("hidden-512", &[512], 32),
    shape::<Tanh<1024>, 2>("hidden-1024", &[1024], 32),
    shape::<Tanh<100>, 10>("embed-10", &[100], 32),
    shape::<Tanh<100>, 32>("embed-32", &[100], 32),
    shape::<Tanh<200>, 10>("makemore", &[200], 32),
    shape::<Tanh<100>, 2>("batch-16", &[100], 16),
    shape::<Tanh<100>, 2>("batch-256", &[100], 256),
    shape::<Tanh<100>, 2>("batch-1024", &[100], 1024),
    shape::<Tanh<256>, 16>("all-larger", &[256], 128),
    shape::<Tanh<1024>, 32>("all-largest", &[1024], 1024),
    shape::<(Tanh<128>, Tanh<128>), 10>("deep-128", &[128, 128], 32),
    shape::<(Tanh<200>, Tanh<200>), 10>("deep-200", &[200, 200], 32),
];

const fn shape<L: HiddenLayers, const EMBED: usize>(
    name: &'static str,
    hidden: &'static [usize],
    batch: usize,
) -> Shape {
    Shape {
        name,
        hidden,
        embed: EMBED,
        batch,
        start: start::<L, EMBED>,
    }
}

fn start<L: HiddenLayers, const EMBED: usize>(backend: Backend, batch: usize) -> Repeat {
    type Model<L, const EMBED: usize> = Mlp<Tokens<VOCAB, CONTEXT, EMBED>, L, Softmax<VOCAB>>;
    // Only when it is run: a dozen models of which one may be asked for.
    let mut training = None;
    Box::new(move |steps| {
        let training = training.get_or_insert_with(|| {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
            let model = Model::<L, EMBED>::fan_in_scaled(&mut rng);
            let on =
                |backend| Training::new(model.clone(), Sgd::new(LEARNING_RATE), backend, batch);
            let losses = [backend, Backend::PORTABLE].map(|b| on(b).first_loss(&task().train));
            let distance = (losses[0] - losses[1]).abs();
            assert!(distance <= AGREEMENT, "{backend}: {losses:?}");
            on(backend)
        });
        training.run(&task().train, steps)
    })
}

impl Shape {
    /// `h64-d2-b32`, or `h128-128-d10-b32`
    pub(crate) fn widths(&self) -> String {
        let hidden: Vec<String> = self.hidden.iter().map(usize::to_string).collect();
        format!("h{}-d{}-b{}", hidden.join("-"), self.embed, self.batch)
    }

    /// Of one step.
    pub(crate) fn multiply_adds(&self) -> usize {
        let mut widths = vec![CONTEXT * self.embed];
        widths.extend(self.hidden);
        widths.push(VOCAB);
        multiply_adds(&widths, self.batch)
    }

    /// Takes so many training steps.
    pub(crate) fn start(&self, backend: Backend) -> Repeat {
        (self.start)(backend, self.batch)
    }
}

/// One table for each backend with instructions of its own.
pub(crate) fn measure(effort: Effort) -> Vec<Section> {
    native().map(|backend| section(backend, effort)).collect()
}

fn section(backend: Backend, effort: Effort) -> Section {
    let mut turns = SHAPES.each_ref().map(|shape| (shape, shape.start(backend)));
    let samples = interleave(effort.rounds(ROUNDS), &mut turns, |(shape, run), _| {
        let steps = effort.steps(SLICE.div_ceil(shape.multiply_adds()));
        let multiply_adds = steps * shape.multiply_adds();
        Some(run(steps).as_secs_f64() / fraction(multiply_adds, 1))
    });
    let mut table = Table::new([
        "shape",
        "hidden, embedding, batch",
        "multiply-adds a step",
        "µs a step",
        "multiply-adds a ns",
        "over the first",
    ]);
    for (shape, per_one) in SHAPES.iter().zip(&samples) {
        let count = shape.multiply_adds();
        table.push([
            shape.name.into(),
            shape.widths(),
            grouped(count),
            number(per_one.median() * fraction(count, 1) * 1e6, 2),
            number(1e-9 / per_one.median(), 1),
            number(per_one.ratio_to(&samples[0]), 2),
        ]);
    }
    Section {
        title: format!("Growth on {backend}"),
        text: format!(
            "Vocabulary {VOCAB}, context {CONTEXT}; batches drawn in the loop. The last column is the time for a multiply-add \
             over that of the first shape. Medians of interleaved rounds."
        ),
        table,
    }
}
