//! A hundred steps by each update rule, against the same steps in PyTorch 2.15.0 in `f64`.
//!
//! `cargo test --test training pytorch -- --nocapture` tells how far each run is from its reference.

use fused_mlp::schedule::{cosine, step_decay, warm_up};
use fused_mlp::{
    AdamW, Backend, Dataset, Minibatch, Mlp, Model, Momentum, Optimizer, Sgd, Softmax, Tanh,
    Tokens, Trainer,
};
use serde_json::Value;

use crate::common::{Arrays, json};
use crate::support::flat;

type Letters = Mlp<Tokens<7, 3, 2>, Tanh<12>, Softmax<7>>;

/// How PyTorch's parameters are called, in this crate's order.
const TENSORS: [&str; 5] = ["C", "W1", "b1", "W2", "b2"];

/// Largest difference of a loss, in nats, from that of the run in `f64`. 7.4e-6 was seen; PyTorch's own runs in `f32`
/// have up to 7.5e-6.
const LOSS_TOLERANCE: f64 = 1e-5;

/// Largest difference of a parameter, after any number of steps. 5.0e-6 was seen; PyTorch's own runs in `f32`
/// have up to 4.9e-6.
const PARAMETER_TOLERANCE: f32 = 1e-5;

/// Largest difference of a schedule's factor: PyTorch computes each rate from that of the step before. 1.4e-15 was
/// seen.
const FACTOR_TOLERANCE: f64 = 1e-14;

/// What PyTorch was given, in this crate's words.
struct Recipe {
    optimizer: Optimizer,
    clipping: Option<f32>,
    schedule: fn(u64) -> f64,
}

fn recipe(name: &str) -> Recipe {
    let momentum = Momentum::new(0.1, 0.9);
    let decay = Momentum {
        weight_decay: 0.01,
        ..momentum
    };
    let optimizer: Optimizer = match name {
        "sgd" | "sgd_clipped" | "sgd_step_decay" => Sgd::new(0.1).into(),
        "momentum" | "momentum_cosine" => momentum.into(),
        "momentum_decay" | "momentum_clipped" => decay.into(),
        "nesterov" => Momentum {
            nesterov: true,
            ..momentum
        }
        .into(),
        "nesterov_decay" => Momentum {
            momentum: 0.8,
            nesterov: true,
            weight_decay: 0.02,
            ..momentum
        }
        .into(),
        "adam_w" => AdamW::new(0.001).into(),
        "adam_w_others" => AdamW {
            learning_rate: 0.02,
            betas: [0.8, 0.95],
            epsilon: 1e-4,
            weight_decay: 0.1,
        }
        .into(),
        "adam_w_clipped" => AdamW::new(0.01).into(),
        "adam_w_warm_up_and_cosine" => AdamW::new(0.02).into(),
        _ => panic!("no recipe for {name}"),
    };
    let schedule: fn(u64) -> f64 = match name {
        "sgd_step_decay" => |step| step_decay(step, 30, 0.5),
        "momentum_cosine" => |step| cosine(step, 100, 0.1),
        "adam_w_warm_up_and_cosine" => {
            |step| warm_up(step, 10, 0.05) * cosine(step.saturating_sub(10), 90, 0.0)
        }
        _ => fused_mlp::schedule::constant,
    };
    Recipe {
        optimizer,
        clipping: name.ends_with("_clipped").then_some(1.0),
        schedule,
    }
}

/// What the runs have in common: the batches, one after another, and the initial parameters.
fn given(record: &Value, arrays: &Arrays) -> (Letters, Vec<Minibatch<[u8; 3], u8>>) {
    let contexts: Vec<[u8; 3]> = serde_json::from_value(record["contexts"].clone()).unwrap();
    let targets: Vec<u8> = serde_json::from_value(record["targets"].clone()).unwrap();
    let indices: Vec<Vec<u32>> = serde_json::from_value(record["batches"].clone()).unwrap();
    let data = Dataset::new(contexts, targets).unwrap();
    let batches = indices.iter().map(|indices| {
        let mut minibatch = Minibatch::new(indices.len());
        data.select(indices, &mut minibatch).unwrap();
        minibatch
    });
    let mut model = Letters::zeroed();
    let mut tensors = TENSORS.iter();
    for (_, values) in model.tensors_mut() {
        let name = format!("init_{}", tensors.next().unwrap());
        values.copy_from_slice(&arrays.f32(&name));
    }
    (model, batches.collect())
}

/// How far a run is from its reference at most.
#[derive(Default)]
struct Differences {
    factor: f64,
    loss: f64,
    parameter: f32,
}

/// Takes the steps of a run on a backend.
#[expect(clippy::cast_possible_truncation, reason = "a rate is rounded once")]
fn differences(backend: Backend, name: &str, run: &Value, record: &Value) -> Differences {
    let arrays = Arrays::read("optimizers.safetensors");
    let (model, batches) = given(record, &arrays);
    let losses: Vec<f64> = serde_json::from_value(run["loss_f64"].clone()).unwrap();
    let rates: Vec<f64> = serde_json::from_value(run["rate"].clone()).unwrap();
    let rate = run["learning_rate"].as_f64().unwrap();
    let snapshots: Vec<usize> = serde_json::from_value(record["snapshots"].clone()).unwrap();
    assert_eq!([losses.len(), rates.len(), batches.len()], [100; 3]);
    assert_eq!(snapshots, [1, 10, 100]);

    let Recipe {
        optimizer,
        clipping,
        schedule,
    } = recipe(name);
    let mut trainer = Trainer::new(model, optimizer)
        .unwrap()
        .with_backend(backend);
    if let Some(norm) = clipping {
        trainer = trainer.with_clipping(norm).unwrap();
    }
    let mut largest = Differences::default();
    for (step, minibatch) in batches.iter().enumerate() {
        let factor = schedule(step as u64);
        largest.factor = largest.factor.max((factor - rates[step] / rate).abs());
        let rate = f64::from(optimizer.learning_rate()) * factor;
        trainer.set_learning_rate(rate as f32).unwrap();
        let loss = trainer.step_batch(minibatch).unwrap();
        largest.loss = largest.loss.max((f64::from(loss) - losses[step]).abs());
        if snapshots.contains(&(step + 1)) {
            let expected =
                TENSORS.map(|tensor| arrays.f32(&format!("{name}_{}_{tensor}", step + 1)));
            let found = flat(&trainer.model());
            assert_eq!(found.len(), expected.iter().flatten().count());
            for (found, expected) in found.iter().zip(expected.iter().flatten()) {
                largest.parameter = largest.parameter.max((found - expected).abs());
            }
        }
    }
    largest
}

#[test]
fn every_update_rule_follows_pytorch() {
    let record = json("optimizers.json");
    let runs = record["runs"].as_object().unwrap();
    assert_eq!(runs.len(), 13);
    for (name, run) in runs {
        let clipped = run["clipped_steps"].as_u64().unwrap();
        assert_eq!(name.ends_with("_clipped"), (1..100).contains(&clipped));
        for backend in Backend::available() {
            let largest = differences(backend, name, run, &record);
            let Differences {
                factor,
                loss,
                parameter,
            } = largest;
            println!(
                "{name} on {backend}: factor {factor:.1e}, loss {loss:.1e}, parameters {parameter:.1e}"
            );
            assert!(factor <= FACTOR_TOLERANCE, "{name}: a rate");
            assert!(loss <= LOSS_TOLERANCE, "{name} on {backend}: a loss");
            assert!(
                parameter <= PARAMETER_TOLERANCE,
                "{name} on {backend}: a parameter"
            );
        }
    }
}
