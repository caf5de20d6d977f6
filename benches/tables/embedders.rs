//! Shapes of programs that train in the background of something else: control, regression, yes or no.

use std::time::Duration;

use fused_mlp::model::{Head, HiddenLayers};
use fused_mlp::random::StandardNormal;
use fused_mlp::{
    AdamW, Backend, Binary, Dataset, Dense, Mlp, Regression, Relu, SeedableRng, Softmax, Tanh,
    Xoshiro256PlusPlus,
};

use super::{Repeat, Section};
use crate::support::effort::Effort;
use crate::support::rounds::interleave;
use crate::support::table::{Table, grouped, number};
use crate::support::training::Training;
use crate::support::{fma_peak, fraction, native};

/// Multiply-adds at a time, about: a few milliseconds, so that all turns of a round meet the same clock.
const SLICE: usize = 20_000_000;
const ROUNDS: usize = 60;
const LEARNING_RATE: f32 = 1e-3;
const EXAMPLES: usize = 1_000;

/// A model of features by its widths, and the length of its batches.
struct Shape {
    name: &'static str,
    widths: &'static [usize],
    batch: usize,
    start: fn(Backend, usize) -> Repeat,
}

const SHAPES: [Shape; 11] = [
    shape::<4, (Tanh<64>, Tanh<64>), Softmax<2>>("classes", &[4, 64, 64, 2], 64),
    shape::<4, (Tanh<64>, Tanh<64>), Softmax<2>>("classes", &[4, 64, 64, 2], 256),
    shape::<8, (Tanh<64>, Tanh<64>), Regression<1>>("regression", &[8, 64, 64, 1], 64),
    shape::<8, (Tanh<64>, Tanh<64>), Regression<1>>("regression", &[8, 64, 64, 1], 256),
    shape::<8, Tanh<64>, Regression<2>>("regression", &[8, 64, 2], 32),
    shape::<8, Tanh<64>, Regression<2>>("regression", &[8, 64, 2], 64),
    shape::<8, Tanh<256>, Regression<1>>("regression", &[8, 256, 1], 32),
    shape::<8, Tanh<256>, Regression<1>>("regression", &[8, 256, 1], 64),
    shape::<21, Tanh<32>, Binary>("yes or no", &[21, 32, 1], 64),
    shape::<30, (Relu<128>, Relu<128>), Softmax<27>>("classes, ReLU", &[30, 128, 128, 27], 64),
    shape::<768, Relu<32>, Regression<1>>("regression, ReLU", &[768, 32, 1], 64),
];

const fn shape<const FEATURES: usize, L: HiddenLayers, O: Drawn>(
    name: &'static str,
    widths: &'static [usize],
    batch: usize,
) -> Shape {
    Shape {
        name,
        widths,
        batch,
        start: start::<FEATURES, L, O>,
    }
}

/// A head with targets for a number.
trait Drawn: Head {
    fn target(number: f32) -> Self::Target;
}

impl<const CLASSES: usize> Drawn for Softmax<CLASSES> {
    fn target(number: f32) -> u8 {
        u8::from(number > 0.0)
    }
}

impl Drawn for Binary {
    fn target(number: f32) -> bool {
        number > 0.0
    }
}

impl<const OUTPUTS: usize> Drawn for Regression<OUTPUTS> {
    fn target(number: f32) -> [f32; OUTPUTS] {
        [number; OUTPUTS]
    }
}

fn start<const FEATURES: usize, L: HiddenLayers, O: Drawn>(
    backend: Backend,
    batch: usize,
) -> Repeat {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut normal = StandardNormal::default();
    let inputs = [(); EXAMPLES].map(|()| [(); FEATURES].map(|()| normal.sample(&mut rng)));
    let targets = inputs.map(|input| O::target(input[0]));
    let data = Dataset::new(inputs.to_vec(), targets.to_vec()).expect("all numbers are finite");
    let model = Mlp::<Dense<FEATURES>, L, O>::fan_in_scaled(&mut rng);
    let mut training = Training::new(model, AdamW::new(LEARNING_RATE), backend, batch);
    Box::new(move |steps| training.run(&data, steps))
}

impl Shape {
    /// Those of one step that its result needs: a product forward for each layer, and two backward, but for the gradient of the
    /// features.
    fn multiply_adds(&self) -> usize {
        let weights: usize = self.widths.windows(2).map(|pair| pair[0] * pair[1]).sum();
        self.batch * (3 * weights - self.widths[0] * self.widths[1])
    }

    fn widths(&self) -> String {
        let widths: Vec<String> = self.widths.iter().map(usize::to_string).collect();
        widths.join("-")
    }
}

/// One table for each backend with instructions of its own.
pub(crate) fn measure(effort: Effort) -> Vec<Section> {
    native().map(|backend| section(backend, effort)).collect()
}

fn section(backend: Backend, effort: Effort) -> Section {
    // Each shape's turn, and beside it the time for its multiply-adds alone.
    let mut turns: Vec<(&Shape, Repeat)> = Vec::new();
    for shape in &SHAPES {
        let multiply_adds = shape.multiply_adds();
        let peak = move |steps| fma_peak(backend, steps * multiply_adds);
        turns.push((shape, (shape.start)(backend, shape.batch)));
        turns.push((shape, Box::new(peak)));
    }
    let samples = interleave(effort.rounds(ROUNDS), &mut turns, |(shape, run), _| {
        let steps = effort.steps(SLICE.div_ceil(shape.multiply_adds()));
        let taken: Duration = run(steps);
        Some(taken.as_secs_f64() / fraction(steps, 1))
    });
    let mut table = Table::new([
        "head",
        "widths",
        "batch",
        "multiply-adds a step",
        "µs a step, 10th percentile",
        "median",
        "over the FMA peak, 10th percentile",
        "median",
    ]);
    for (shape, pair) in SHAPES.iter().zip(samples.chunks(2)) {
        let [step, peak] = pair else {
            unreachable!("each shape has two turns")
        };
        table.push([
            shape.name.into(),
            shape.widths(),
            shape.batch.to_string(),
            grouped(shape.multiply_adds()),
            number(step.tenth() * 1e6, 2),
            number(step.median() * 1e6, 2),
            number(step.tenth() / peak.tenth(), 2),
            number(step.ratio_to(peak), 2),
        ]);
    }
    Section {
        title: format!("Shapes of embedders on {backend}"),
        text: "Features, tanh or ReLU, AdamW; batches drawn in the loop. The last columns are the time of a step over that of its \
               multiply-adds alone, at the FMA peak of the same round."
            .into(),
        table,
    }
}
