//! What a prediction costs in a batch, and by itself.

use std::hint::black_box;
use std::time::Duration;

use fused_mlp::random::StandardNormal;
use fused_mlp::{
    Backend, Dense, Mlp, Predictor, Regression, Scratch, SeedableRng, Tanh, Xoshiro256PlusPlus,
    math,
};

use super::{Repeat, Section};
use crate::support::effort::Effort;
use crate::support::rounds::interleave;
use crate::support::table::{Table, number};
use crate::support::{fma_peak, fraction, native, time};

type Model = Mlp<Dense<8>, (Tanh<64>, Tanh<64>), Regression<2>>;

const BATCH: usize = 256;
const MULTIPLY_ADDS: usize = 8 * 64 + 64 * 64 + 64 * 2;
const NEURONS: usize = 64 + 64;
/// Batches at a time.
const SLICE: usize = 40;
const ROUNDS: usize = 60;

/// One row for each backend with instructions of its own.
pub(crate) fn measure(effort: Effort) -> Vec<Section> {
    let mut table = Table::new([
        "backend",
        "ns an input in a batch, 10th percentile",
        "median",
        "over multiply-adds and tanh",
        "ns by itself, 10th percentile",
        "over one in a batch",
    ]);
    for backend in native() {
        let mut turns = turns(backend);
        let samples = interleave(effort.rounds(ROUNDS), &mut turns, |run, _| {
            let batches = effort.steps(SLICE);
            let inputs = fraction(batches * BATCH, 1);
            Some(run(batches).as_secs_f64() / inputs * 1e9)
        });
        let [batch, single, peak, tanh] = &samples[..] else {
            unreachable!("there are four turns")
        };
        let limit = peak.tenth() + tanh.tenth();
        table.push([
            backend.to_string(),
            number(batch.tenth(), 1),
            number(batch.median(), 1),
            number(batch.tenth() / limit, 2),
            number(single.tenth(), 1),
            number(single.tenth() / batch.tenth(), 2),
        ]);
    }
    vec![Section {
        title: "Predictions".into(),
        text: format!(
            "8-64-64-2, tanh; `Predictor::predict_batch` of {BATCH} inputs, and `predict` of each. The fourth column is over the \
             time of the multiply-adds alone, at the FMA peak of the same round, and of tanh alone."
        ),
        table,
    }]
}

/// Predictions in batches, one by one, and the two limits: so many batches of each.
fn turns(backend: Backend) -> Vec<Repeat> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut normal = StandardNormal::default();
    let model = Model::fan_in_scaled(&mut rng);
    let predictor = Predictor::new(&model).expect("all numbers are finite");
    let predictor = predictor.with_backend(backend);
    let mut draw = || [(); 8].map(|()| normal.sample(&mut rng));
    let inputs: Vec<[f32; 8]> = (0..BATCH).map(|_| draw()).collect();

    let (in_batches, of_batches) = (predictor.clone(), inputs.clone());
    let mut scratch = Scratch::new();
    let mut predictions = vec![[0.0; 2]; BATCH];
    let batch = move |batches| {
        time(|| {
            for _ in 0..batches {
                in_batches
                    .predict_batch(&of_batches, &mut scratch, &mut predictions)
                    .expect("all numbers are finite");
                black_box(&mut predictions);
            }
        })
    };
    let single = move |batches| {
        time(|| {
            for input in (0..batches).flat_map(|_| &inputs) {
                black_box(predictor.predict(input).expect("all numbers are finite"));
            }
        })
    };
    let peak = move |batches| fma_peak(backend, batches * BATCH * MULTIPLY_ADDS);
    let sums: Vec<f32> = (0..BATCH * NEURONS).map(|_| draw()[0]).collect();
    let mut values = sums.clone();
    let tanh = move |batches| {
        let mut taken = Duration::ZERO;
        for _ in 0..batches {
            values.copy_from_slice(&sums);
            taken += time(|| math::tanh(backend, &mut values));
        }
        taken
    };
    vec![
        Box::new(batch),
        Box::new(single),
        Box::new(peak),
        Box::new(tanh),
    ]
}
