//! The post's two training runs and a third, from their seeds to their names, against what PyTorch 2.15.0 and jax 0.10.2
//! computed: data, losses, gradients and parameters in tests/fixtures.
//!
//! They need the published names: `NAMES_TXT=names.txt cargo test --test replay_runs -- --nocapture` also tells how far
//! each quantity is from its reference. The tolerances leave room for another order of summation, for fused
//! multiply-adds and for another tanh and exp; two runs of one framework on different numbers of threads use up a tenth
//! of them.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test may panic like the test itself"
)]

mod common;
/// The example's own recipes: what is tested here is what it runs.
#[path = "../examples/names/replay.rs"]
mod replay;

use std::sync::LazyLock;

use fused_mlp::{Corpus, Dataset, Minibatch, Model, NameModel, Sgd, Split, Trainer, Vocabulary};
use serde_json::Value;

use common::{Arrays, json, sha256};
use replay::{CONTEXT, LEARNING_RATE, Recipe, STEPS};

/// Against losses that a framework reports, which are sums in f32.
const LOSS_TOLERANCE: f64 = 1e-5;
/// Against losses of the same run in f64.
const F64_LOSS_TOLERANCE: f64 = 5e-6;
const GRADIENT_TOLERANCE: f64 = 2e-6;
/// Largest difference, and root of the mean square.
const PARAMETER_TOLERANCES: [f64; 2] = [1e-4, 1e-5];

/// Steps from one point of the curve to the next.
const EVALUATE_EVERY: u64 = 100;
/// The fixtures' names of the parameters.
const TENSORS: [&str; 5] = ["C", "W1", "b1", "W2", "b2"];
/// Each recipe with the name of its fixtures.
const RECIPES: [(Recipe, &str); 3] = [
    (Recipe::Torch, "torch"),
    (Recipe::Jax, "jax_nonpartitionable"),
    (Recipe::JaxPartitionable, "jax_partitionable"),
];

type Examples = Dataset<[u8; CONTEXT], u8>;

/// The published names in three parts.
struct Data {
    train: Examples,
    dev: Examples,
    test: Examples,
}

/// A finished run, and what it should be.
struct Run {
    recipe: Recipe,
    fixture: Value,
    arrays: Arrays,
    initial_model: NameModel,
    first_gradient: NameModel,
    batch_losses: Vec<f32>,
    /// Steps taken, train loss, dev loss.
    curve: Vec<(u64, f32, f32)>,
    test_loss: f32,
    model: NameModel,
    names: Vec<String>,
}

/// `None` without the published names.
static DATA: LazyLock<Option<Data>> = LazyLock::new(|| common::names_txt().map(|t| Data::new(&t)));

/// One of each recipe, or none without the published names.
static RUNS: LazyLock<Vec<Run>> = LazyLock::new(|| {
    let data = DATA.as_ref();
    data.map_or(Vec::new(), |data| {
        RECIPES.map(|recipe| Run::new(recipe, data)).into()
    })
});

impl Data {
    fn new(names: &str) -> Self {
        let expected = json("data.json");
        assert_eq!(sha256(names.as_bytes()), expected["names_txt"]["sha256"]);
        let Split { train, dev, test } = Corpus::from_text(names)
            .and_then(|corpus| corpus.split(42))
            .expect("the published names can be split");
        let [train, dev, test] = [train, dev, test].map(|part| {
            part.windows(&Vocabulary::lowercase())
                .expect("the published names have letters a to z")
        });
        Self { train, dev, test }
    }
}

impl Run {
    fn new((recipe, name): (Recipe, &str), data: &Data) -> Self {
        let seed = recipe.published_seed();
        let initial_model = recipe.initial_model(seed);
        let mut trainer = Trainer::new(initial_model.clone(), Sgd::new(LEARNING_RATE)).unwrap();
        let mut first_gradient = None;
        let mut batch_losses = Vec::new();
        let mut curve = vec![evaluate(&mut trainer, data)];
        let mut batch = Minibatch::new(0);
        let mut batches = recipe.batches(seed, data.train.len());
        while trainer.steps() < STEPS {
            let indices = batches.next().unwrap();
            data.train.select(&indices, &mut batch).unwrap();
            first_gradient.get_or_insert_with(|| {
                let gradients = initial_model.gradients(batch.inputs(), batch.targets());
                gradients.unwrap().1
            });
            batch_losses.push(trainer.step_batch(&batch).unwrap());
            if trainer.steps().is_multiple_of(EVALUATE_EVERY) {
                curve.push(evaluate(&mut trainer, data));
            }
        }
        Self {
            recipe,
            fixture: json(&format!("{name}.json")),
            arrays: Arrays::read(&format!("{name}.safetensors")),
            initial_model,
            first_gradient: first_gradient.unwrap(),
            batch_losses,
            curve,
            test_loss: trainer.evaluate(&data.test).unwrap(),
            model: trainer.model(),
            names: recipe.names(seed, &mut trainer, 20).unwrap(),
        }
    }

    /// All parameters of an array group of the fixture, such as `"final"`.
    fn expected_parameters(&self, group: &str) -> Vec<f32> {
        TENSORS
            .iter()
            .flat_map(|tensor| self.arrays.f32(&format!("{group}_{tensor}")))
            .collect()
    }

    /// A column of the curve in the fixture.
    fn expected_curve(&self, column: &str) -> Vec<f64> {
        let columns = self.fixture["curve_columns"].as_array().unwrap();
        let column = columns.iter().position(|name| name == column).unwrap();
        let rows = self.fixture["curve"].as_array().unwrap();
        rows.iter()
            .map(|row| row[column].as_f64().unwrap())
            .collect()
    }

    /// Asserts that numbers are close to their references, and tells how close.
    fn assert_close(&self, what: &str, found: &[f32], expected: &[f64], tolerance: f64) {
        let differences = differences(found, expected);
        let largest = differences.iter().copied().fold(0.0, f64::max);
        println!(
            "{}: {what}: {largest:.2e} of {tolerance:.0e}",
            self.recipe.title()
        );
        let worst = differences
            .iter()
            .position(|difference| difference.is_nan() || *difference > tolerance);
        if let Some(index) = worst {
            let (found, expected) = (found[index], expected[index]);
            panic!(
                "{:?}: {what} {index} is {found}, not {expected}",
                self.recipe
            );
        }
    }
}

fn evaluate(trainer: &mut Trainer<NameModel>, data: &Data) -> (u64, f32, f32) {
    let train = trainer.evaluate(&data.train).unwrap();
    let dev = trainer.evaluate(&data.dev).unwrap();
    (trainer.steps(), train, dev)
}

fn differences(found: &[f32], expected: &[f64]) -> Vec<f64> {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected);
    pairs
        .map(|(&found, &expected)| (f64::from(found) - expected).abs())
        .collect()
}

fn parameters(model: &NameModel) -> Vec<f32> {
    let mut parameters = Vec::new();
    for (_, values) in model.tensors() {
        parameters.extend_from_slice(values);
    }
    parameters
}

fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

fn strings(value: &Value) -> Vec<&str> {
    let items = value.as_array().unwrap();
    items.iter().map(|item| item.as_str().unwrap()).collect()
}

#[test]
fn the_published_names_make_the_published_examples() {
    let Some(data) = &*DATA else { return };
    let expected = &json("data.json")["splits"];
    for (part, name, len) in [
        (&data.train, "train", 182_625),
        (&data.dev, "dev", 22_655),
        (&data.test, "test", 22_866),
    ] {
        assert_eq!(part.len(), len, "{name}");
        let (x, y) = (part.inputs().as_flattened(), part.targets());
        assert_eq!(sha256(x), expected[name]["sha256_X"], "{name}");
        assert_eq!(sha256(y), expected[name]["sha256_Y"], "{name}");
        assert_eq!(
            sha256(&[x, y].concat()),
            expected[name]["sha256_XY"],
            "{name}"
        );
    }
}

#[test]
fn runs_start_from_the_frameworks_parameters() {
    for run in &*RUNS {
        let found = parameters(&run.initial_model);
        let expected = run.expected_parameters("init");
        assert!(
            found
                .iter()
                .map(|x| x.to_bits())
                .eq(expected.iter().map(|x| x.to_bits()))
        );
    }
}

#[test]
fn the_first_gradient_is_the_frameworks() {
    for run in &*RUNS {
        let expected = widened(&run.expected_parameters("grad0"));
        let found = parameters(&run.first_gradient);
        run.assert_close("gradient", &found, &expected, GRADIENT_TOLERANCE);
    }
}

#[test]
fn the_first_hundred_batch_losses_are_the_frameworks() {
    for run in &*RUNS {
        let expected = run.fixture["batch_loss_first_100_f32"].as_array().unwrap();
        let expected: Vec<f64> = expected.iter().map(|loss| loss.as_f64().unwrap()).collect();
        assert_eq!(expected.len(), 100);
        run.assert_close(
            "batch loss",
            &run.batch_losses[..100],
            &expected,
            LOSS_TOLERANCE,
        );
    }
}

#[test]
fn the_curves_are_the_frameworks() {
    for run in &*RUNS {
        let steps: Vec<f64> = run.curve.iter().map(|point| point.0 as f64).collect();
        assert_eq!(steps, run.expected_curve("updates_done"));
        assert_eq!(run.curve.last().unwrap().0, STEPS);
        let train: Vec<f32> = run.curve.iter().map(|point| point.1).collect();
        let dev: Vec<f32> = run.curve.iter().map(|point| point.2).collect();
        for (losses, column, tolerance) in [
            (&train, "train_f32", LOSS_TOLERANCE),
            (&dev, "dev_f32", LOSS_TOLERANCE),
            (&train, "train_f64_run", F64_LOSS_TOLERANCE),
            (&dev, "dev_f64_run", F64_LOSS_TOLERANCE),
        ] {
            run.assert_close(column, losses, &run.expected_curve(column), tolerance);
        }
    }
}

#[test]
fn the_final_losses_are_the_frameworks() {
    for run in &*RUNS {
        let &(_, train, dev) = run.curve.last().unwrap();
        let found = [train, dev, run.test_loss];
        for (precision, tolerance) in [("f32", LOSS_TOLERANCE), ("f64_run", F64_LOSS_TOLERANCE)] {
            let last =
                |part| run.expected_curve(&format!("{part}_{precision}"))[run.curve.len() - 1];
            let test = run.fixture["final_test_loss"][precision].as_f64().unwrap();
            let expected = [last("train"), last("dev"), test];
            run.assert_close(&format!("final {precision}"), &found, &expected, tolerance);
        }
        // What the example prints beside its own.
        let told = run
            .recipe
            .framework_losses(run.recipe.published_seed())
            .unwrap();
        run.assert_close("final, as printed", &found, &widened(&told), LOSS_TOLERANCE);
    }
}

#[test]
fn the_final_parameters_are_the_frameworks() {
    for run in &*RUNS {
        let found = parameters(&run.model);
        let expected = widened(&run.expected_parameters("final"));
        let [max, rms] = PARAMETER_TOLERANCES;
        run.assert_close("parameter", &found, &expected, max);
        let differences = differences(&found, &expected);
        let sum: f64 = differences
            .iter()
            .map(|difference| difference * difference)
            .sum();
        let root = (sum / differences.len() as f64).sqrt();
        println!(
            "{}: parameters, rms: {root:.2e} of {rms:.0e}",
            run.recipe.title()
        );
        assert!(root <= rms, "{:?}: {root:e}", run.recipe);
    }
}

#[test]
fn the_names_are_the_posts() {
    let expected = json("names.json");
    for run in &*RUNS {
        let group = match run.recipe {
            Recipe::Torch => &expected["torch"],
            Recipe::Jax => &expected["jax"],
            // No names of this run were published.
            Recipe::JaxPartitionable => continue,
        };
        assert_eq!(run.names, strings(&group["first_20"]));
        let post = run.recipe.post_names(run.recipe.published_seed());
        assert_eq!(post, strings(&group["post"]));
        let printed = run
            .names
            .iter()
            .filter(|name| post.contains(&name.as_str()));
        assert!(printed.eq(post));
    }
}
