//! A hundred steps of models with several hidden layers, against the same steps in PyTorch 2.15.0
//! in `f64`.
//!
//! `cargo test --test training pytorch -- --nocapture` tells how far a run is from its reference.

use fused_mlp::model::{Role, Tensor};
use fused_mlp::{
    AdamW, Backend, ClippedRelu, Dataset, Dense, ExampleOf, Gelu, LeakyRelu, Minibatch, Mlp, Model,
    Momentum, Optimizer, Regression, Relu, Sgd, Sigmoid, Silu, Softmax, Softplus, Tanh, TargetOf,
    Tokens, Trainer,
};
use serde_json::{Value, from_value};

use crate::common::{Arrays, json};
use crate::support::flat;

type TwoOfTanh = Mlp<Dense<4>, (Tanh<64>, Tanh<64>), Softmax<2>>;
type TwoOfRelu = Mlp<Dense<8>, (Relu<120>, Relu<84>), Regression<4>>;
type ThreeSmooth = Mlp<Dense<4>, (Silu<17>, Gelu<16>, Softplus<9>), Softmax<2>>;
type ThreeBounded = Mlp<Dense<8>, (LeakyRelu<33>, ClippedRelu<16>, Sigmoid<9>), Regression<4>>;
type ThreeMixed = Mlp<Tokens<9, 3, 2>, (Relu<33>, Tanh<17>, Relu<16>), Softmax<9>>;

/// How far a run is from its reference at most, or may be.
#[derive(Clone, Copy, Debug, Default)]
struct Differences {
    /// Of a loss, before any step.
    loss: f64,
    /// Of a parameter, after any of the numbers of steps that PyTorch's are recorded of.
    parameter: f32,
}

// Each tolerance is about twice the difference of PyTorch's own run in `f32` from its run in
// `f64`, rounded to one digit. Losses come first in the figures.

/// 1.7e-6 and 1.7e-6 were seen; PyTorch's own run in `f32` has 1.6e-6 and 1.7e-6.
const TWO_OF_TANH_TOLERANCE: Differences = Differences {
    loss: 3e-6,
    parameter: 3e-6,
};

/// 1.7e-8 and 2.7e-7 were seen; PyTorch's own run in `f32` has 1.5e-8 and 2.8e-7.
const TWO_OF_RELU_TOLERANCE: Differences = Differences {
    loss: 3e-8,
    parameter: 5e-7,
};

/// 2.2e-7 and 4.8e-7 were seen; PyTorch's own run in `f32` has 3.1e-7 and 4.4e-7.
const THREE_MIXED_TOLERANCE: Differences = Differences {
    loss: 6e-7,
    parameter: 9e-7,
};

/// PyTorch's own run in `f32` has 5.4e-7 and 1.4e-6.
const THREE_SMOOTH_TOLERANCE: Differences = Differences {
    loss: 1e-6,
    parameter: 3e-6,
};

/// PyTorch's own run in `f32` has 2.1e-8 and 2.4e-7.
const THREE_BOUNDED_TOLERANCE: Differences = Differences {
    loss: 4e-8,
    parameter: 5e-7,
};

/// A run of the fixture, in this crate's words.
struct Run<M: Model> {
    name: &'static str,
    /// How the `state_dict` of PyTorch's `nn.Sequential` calls the tensors, in this crate's order.
    tensors: &'static [&'static str],
    data: Dataset<ExampleOf<M>, TargetOf<M>>,
    optimizer: Optimizer,
    clipping: Option<f32>,
}

/// The values that PyTorch has for a tensor, in this crate's layout.
fn values(arrays: &Arrays, name: &str, tensor: Tensor) -> Vec<f32> {
    let values = arrays.f32(name);
    assert_eq!(values.len(), tensor.len(), "{name}");
    match tensor.role {
        // nn.Linear keeps them as [outputs, inputs].
        Role::Weights => (0..tensor.rows)
            .flat_map(|input| values[input..].iter().step_by(tensor.rows).copied())
            .collect(),
        Role::Embedding | Role::Bias => values,
    }
}

impl<M: Model> Run<M> {
    /// PyTorch's parameters before the first step ("init"), or after so many.
    fn parameters(&self, arrays: &Arrays, when: &str) -> M {
        let mut model = M::zeroed();
        let mut names = self.tensors.iter();
        for (tensor, place) in model.tensors_mut() {
            let name = format!("{}_{when}_{}", self.name, names.next().unwrap());
            place.copy_from_slice(&values(arrays, &name, tensor));
        }
        assert_eq!(names.next(), None);
        model
    }

    /// Takes the steps on a backend.
    fn differences(&self, backend: Backend, record: &Value, arrays: &Arrays) -> Differences {
        let batches: Vec<Vec<u32>> = from_value(record["batches"].clone()).unwrap();
        let losses = record["runs"][self.name]["loss_f64"].clone();
        let losses: Vec<f64> = from_value(losses).unwrap();
        let snapshots: Vec<usize> = from_value(record["snapshots"].clone()).unwrap();
        assert_eq!([losses.len(), batches.len()], [100; 2]);
        assert_eq!(snapshots, [1, 10, 100]);

        let mut trainer = Trainer::new(self.parameters(arrays, "init"), self.optimizer)
            .unwrap()
            .with_backend(backend);
        if let Some(norm) = self.clipping {
            trainer = trainer.with_clipping(norm).unwrap();
        }
        let mut minibatch = Minibatch::new(0);
        let mut largest = Differences::default();
        for (step, (indices, expected)) in batches.iter().zip(losses).enumerate() {
            self.data.select(indices, &mut minibatch).unwrap();
            let loss = trainer.step_batch(&minibatch).unwrap();
            largest.loss = largest.loss.max((f64::from(loss) - expected).abs());
            if snapshots.contains(&(step + 1)) {
                let expected = flat(&self.parameters(arrays, &(step + 1).to_string()));
                for (found, expected) in flat(&trainer.model()).iter().zip(&expected) {
                    largest.parameter = largest.parameter.max((found - expected).abs());
                }
            }
        }
        largest
    }

    /// Compares the steps on every backend with those of PyTorch.
    fn follows_pytorch(&self, record: &Value, tolerance: Differences) {
        let arrays = Arrays::read("deep.safetensors");
        let name = self.name;
        let clipped = record["runs"][name]["clipped_steps"].as_u64().unwrap();
        assert_eq!(self.clipping.is_some(), (1..100).contains(&clipped));
        for backend in Backend::available() {
            let Differences { loss, parameter } = self.differences(backend, record, &arrays);
            println!("{name} on {backend}: loss {loss:.1e}, parameters {parameter:.1e}");
            assert!(loss <= tolerance.loss, "{name} on {backend}: a loss");
            assert!(
                parameter <= tolerance.parameter,
                "{name} on {backend}: a parameter"
            );
        }
    }
}

#[test]
fn two_layers_of_tanh_follow_pytorch() {
    let record = json("deep.json");
    let name = "tanh_64_64_adam_w";
    let data = &record["data"][name];
    let inputs: Vec<[f32; 4]> = from_value(data["inputs"].clone()).unwrap();
    let targets: Vec<u8> = from_value(data["targets"].clone()).unwrap();
    let run = Run::<TwoOfTanh> {
        name,
        tensors: &[
            "0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias",
        ],
        data: Dataset::new(inputs, targets).unwrap(),
        optimizer: AdamW::new(0.003).into(),
        clipping: None,
    };
    run.follows_pytorch(&record, TWO_OF_TANH_TOLERANCE);
}

#[test]
fn two_layers_of_relu_follow_pytorch() {
    let record = json("deep.json");
    let name = "relu_120_84_momentum";
    let data = &record["data"][name];
    let inputs: Vec<[f32; 8]> = from_value(data["inputs"].clone()).unwrap();
    let targets: Vec<[f32; 4]> = from_value(data["targets"].clone()).unwrap();
    let run = Run::<TwoOfRelu> {
        name,
        tensors: &[
            "0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias",
        ],
        data: Dataset::new(inputs, targets).unwrap(),
        optimizer: Momentum::new(0.1, 0.9).into(),
        clipping: None,
    };
    run.follows_pytorch(&record, TWO_OF_RELU_TOLERANCE);
}

#[test]
fn three_layers_of_both_follow_pytorch() {
    let record = json("deep.json");
    let name = "mixed_sgd_clipped";
    let data = &record["data"][name];
    let inputs: Vec<[u8; 3]> = from_value(data["inputs"].clone()).unwrap();
    let targets: Vec<u8> = from_value(data["targets"].clone()).unwrap();
    let run = Run::<ThreeMixed> {
        name,
        tensors: &[
            "0.weight", "2.weight", "2.bias", "4.weight", "4.bias", "6.weight", "6.bias",
            "8.weight", "8.bias",
        ],
        data: Dataset::new(inputs, targets).unwrap(),
        optimizer: Sgd::new(0.5).into(),
        clipping: Some(0.5),
    };
    run.follows_pytorch(&record, THREE_MIXED_TOLERANCE);
}

/// The tensors of an `nn.Sequential` of four linear layers with activations between them.
const FOUR_LAYERS: &[&str] = &[
    "0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias", "6.weight", "6.bias",
];

#[test]
fn silu_gelu_and_softplus_follow_pytorch() {
    let record = json("deep.json");
    let name = "smooth_adam_w";
    let data = &record["data"][name];
    let inputs: Vec<[f32; 4]> = from_value(data["inputs"].clone()).unwrap();
    let targets: Vec<u8> = from_value(data["targets"].clone()).unwrap();
    let run = Run::<ThreeSmooth> {
        name,
        tensors: FOUR_LAYERS,
        data: Dataset::new(inputs, targets).unwrap(),
        optimizer: AdamW::new(0.003).into(),
        clipping: None,
    };
    run.follows_pytorch(&record, THREE_SMOOTH_TOLERANCE);
}

#[test]
fn leaky_and_clipped_relu_and_sigmoid_follow_pytorch() {
    let record = json("deep.json");
    let name = "bounded_momentum";
    let data = &record["data"][name];
    let inputs: Vec<[f32; 8]> = from_value(data["inputs"].clone()).unwrap();
    let targets: Vec<[f32; 4]> = from_value(data["targets"].clone()).unwrap();
    let run = Run::<ThreeBounded> {
        name,
        tensors: FOUR_LAYERS,
        data: Dataset::new(inputs, targets).unwrap(),
        optimizer: Momentum::new(0.1, 0.9).into(),
        clipping: None,
    };
    run.follows_pytorch(&record, THREE_BOUNDED_TOLERANCE);
}
