//! Initial parameters have the distributions that their documentation names.

use fused_mlp::model::{Activation, Role, Tensor};
use fused_mlp::{
    LeakyRelu, Mlp, Model, SeedableRng, Sigmoid, Softmax, Tanh, Tokens, Xoshiro256PlusPlus,
};

type Deep = Mlp<Tokens<200, 8, 30>, (Tanh<170>, LeakyRelu<190>, Sigmoid<180>), Softmax<150>>;

/// PyTorch's `calculate_gain` for each layer, and 1 for the last.
const GAINS: [f64; 4] = [5.0 / 3.0, 1.414_142_856_997_834_6, 1.0, 1.0];

/// What the elements of a tensor are.
#[derive(Debug)]
enum Expected {
    Zero,
    Normal { deviation: f64 },
    Uniform { bound: f64 },
}
use Expected::{Normal, Uniform, Zero};

fn fan_in(tensor: Tensor) -> f64 {
    tensor.rows as f64
}

fn fan_sum(tensor: Tensor) -> f64 {
    (tensor.rows + tensor.columns) as f64
}

/// Moments within six standard errors, and the range of a uniform distribution within a hundredth; the gaps of a bound that is
/// wrong by the smallest factor between two recipes are far larger.
fn check(name: &str, draw: fn(&mut Xoshiro256PlusPlus) -> Deep, of: fn(Tensor) -> Expected) {
    let model = draw(&mut Xoshiro256PlusPlus::seed_from_u64(7));
    for (tensor, values) in model.tensors() {
        let what = format!("{} of {name}", tensor.name);
        let count = values.len() as f64;
        let mean = values.iter().copied().map(f64::from).sum::<f64>() / count;
        let squares = values.iter().map(|&value| f64::from(value).powi(2));
        let square = squares.sum::<f64>() / count;
        let largest = values
            .iter()
            .fold(0.0_f32, |max, value| max.max(value.abs()));
        let (variance, kurtosis) = match of(tensor) {
            Zero => {
                assert!(values.iter().all(|value| value.to_bits() == 0), "{what}");
                continue;
            }
            Normal { deviation } => (deviation * deviation, 3.0),
            Uniform { bound } => {
                let ratio = f64::from(largest) / bound;
                assert!(
                    (0.95..=1.000_001).contains(&ratio),
                    "{what}: up to {ratio} of the bound"
                );
                (bound * bound / 3.0, 1.8)
            }
        };
        assert!(
            mean.abs() <= 6.0 * (variance / count).sqrt(),
            "{what}: mean {mean}"
        );
        let error = (square / variance - 1.0).abs();
        let standard_error = ((kurtosis - 1.0) / count).sqrt();
        assert!(
            error <= 6.0 * standard_error,
            "{what}: variance {square}, not {variance}"
        );
    }
}

/// A check of weights alone: embeddings are standard normal, biases zero.
macro_rules! with_weights {
    ($($name:ident: $weights:expr;)*) => {$(
        #[test]
        fn $name() {
            check(stringify!($name), Deep::$name, |tensor| match tensor.role {
                Role::Embedding => Normal { deviation: 1.0 },
                Role::Weights => $weights(tensor),
                Role::Bias => Zero,
            });
        }
    )*};
}

with_weights! {
    fan_in_scaled: |tensor| Normal { deviation: 1.0 / fan_in(tensor).sqrt() };
    kaiming_normal: |tensor: Tensor| Normal { deviation: GAINS[tensor.layer] / fan_in(tensor).sqrt() };
    kaiming_uniform: |tensor: Tensor| Uniform { bound: GAINS[tensor.layer] * (3.0 / fan_in(tensor)).sqrt() };
    xavier_normal: |tensor| Normal { deviation: (2.0 / fan_sum(tensor)).sqrt() };
    xavier_uniform: |tensor| Uniform { bound: (6.0 / fan_sum(tensor)).sqrt() };
}

#[test]
fn standard_normal() {
    check("standard_normal", Deep::standard_normal, |_| Normal {
        deviation: 1.0,
    });
}

#[test]
fn torch_default() {
    check(
        "torch_default",
        Deep::torch_default,
        |tensor| match tensor.role {
            Role::Embedding => Normal { deviation: 1.0 },
            Role::Weights => Uniform {
                bound: 1.0 / fan_in(tensor).sqrt(),
            },
            // Of this model's layers, whose inputs are 240, 170, 190 and 180.
            Role::Bias => Uniform {
                bound: 1.0 / [240.0_f64, 170.0, 190.0, 180.0][tensor.layer].sqrt(),
            },
        },
    );
}

#[test]
fn gains_are_pytorchs_where_it_has_them() {
    for (activation, gain) in [
        (Activation::TANH, 5.0 / 3.0),
        (Activation::RELU, 2.0_f64.sqrt()),
        (Activation::LEAKY_RELU, GAINS[1]),
        (Activation::SIGMOID, 1.0),
    ] {
        let found = f64::from(activation.gain());
        assert!((found - gain).abs() <= 1e-7, "{activation}: {found}");
    }
}
