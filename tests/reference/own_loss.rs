//! The kernels' gradients on small models against differences of the kernels' own loss, which no reference has a part in.

use fused_mlp::model::HiddenLayers;
use fused_mlp::{Backend, Binary, Dense, Mlp, Model, Regression, Relu, Softmax, Tanh, Tokens};
use proptest::prelude::*;

use crate::kernels::REGRESSIONS;
use crate::support::shapes::{Case, Numbers, RandomHead, RandomInput};
use crate::support::{config, flat};

/// Half the distance of the inner pair of points of a difference.
const STEP: f32 = 1.0 / 128.0;

/// Allowed difference, relative to 1 + |derivative| + loss.
///
/// A loss near 1 carries a rounding error of some 3e-7, from logits of its size and from its own last place, and the formula
/// multiplies it by at most 1.5 / STEP: 6e-5. The formula's own error is 4/30 · STEP⁴ = 5e-10 times a fifth derivative: a few
/// thousand for tanh and numbers of N(0, 1), and some 1e5 for a tanh layer after a ReLU, whose outputs reach ten: 5e-5. A term
/// that is wrong or missing changes a derivative by hundreds of times the tolerance.
const DIFFERENCE_TOLERANCE: f64 = 3e-4;

/// The loss is differenced as `(8 (f(s) − f(−s)) − (f(2s) − f(−2s))) / 12 s`, whose error falls with s⁴: it allows the wide
/// steps that a loss rounded to `f32` needs.
fn own_differences_match<I: RandomInput, L: HiddenLayers, O: RandomHead>(
    case: &Case<I, L, O>,
    backend: Backend,
) -> Result<(), TestCaseError> {
    let Case {
        model,
        inputs,
        targets,
    } = case;
    let loss_of = |model: &Mlp<I, L, O>| {
        let (loss, _) = model.gradients_on(backend, inputs, targets).unwrap();
        f64::from(loss)
    };
    let (loss, gradients) = model.gradients_on(backend, inputs, targets).unwrap();
    let loss = f64::from(loss);
    for (index, derivative) in flat(&gradients).into_iter().enumerate() {
        let moved_by = |offset: f32| {
            let mut moved = model.clone();
            let mut first = 0;
            for (_, values) in moved.tensors_mut() {
                if let Some(value) = index.checked_sub(first).and_then(|at| values.get_mut(at)) {
                    *value += offset;
                }
                first += values.len();
            }
            loss_of(&moved)
        };
        let near = moved_by(STEP) - moved_by(-STEP);
        let far = moved_by(2.0 * STEP) - moved_by(-2.0 * STEP);
        let expected = (8.0 * near - far) / (12.0 * f64::from(STEP));
        let derivative = f64::from(derivative);
        let allowed = DIFFERENCE_TOLERANCE * (1.0 + derivative.abs() + loss);
        prop_assert!(
            (derivative - expected).abs() <= allowed,
            "{}: derivative {} of coordinate {}, differences give {}, allowed {:e}",
            backend,
            derivative,
            index,
            expected,
            allowed
        );
    }
    Ok(())
}

macro_rules! against_their_own_loss {
    ($($name:ident: $model:ty;)*) => {
        proptest! {
            #![proptest_config(config(16, REGRESSIONS))]

            $(
                #[test]
                fn $name(seed: u64, len in 1..=40_usize) {
                    let mut case = Case::new(seed, len, HALVES);
                    let _: &$model = &case.model;
                    off_the_kink(&mut case.model);
                    for backend in Backend::available() {
                        own_differences_match(&case, backend)?;
                    }
                }
            )*
        }
    };
}

/// Parameters and features are multiples of 1/2, so sums of a hidden layer are multiples of 1/4. A bias moved by 1/8 keeps them that
/// far from the kink of a ReLU, and the longest step, 1/64 times a number of at most 4, does not cross it.
const HALVES: Numbers = Numbers::Multiples(0.5);

fn off_the_kink(model: &mut impl Model) {
    for (tensor, values) in model.tensors_mut() {
        if tensor.name == "hidden_bias" {
            values.iter_mut().for_each(|bias| *bias += 1.0 / 8.0);
        }
    }
}

against_their_own_loss! {
    tokens_tanh_softmax_matches_its_own_differences: Mlp<Tokens<4, 2, 2>, Tanh<5>, Softmax<3>>;
    tokens_relu_softmax_matches_its_own_differences: Mlp<Tokens<4, 1, 3>, Relu<7>, Softmax<4>>;
    tokens_tanh_regression_matches_its_own_differences: Mlp<Tokens<3, 3, 1>, Tanh<4>, Regression<2>>;
    numbers_tanh_softmax_matches_its_own_differences: Mlp<Dense<3>, Tanh<6>, Softmax<2>>;
    numbers_tanh_regression_matches_its_own_differences: Mlp<Dense<1>, Tanh<1>, Regression<1>>;
    numbers_tanh_binary_matches_its_own_differences: Mlp<Dense<2>, Tanh<4>, Binary>;
    numbers_relu_regression_matches_its_own_differences: Mlp<Dense<3>, Relu<5>, Regression<2>>;
    two_tanh_layers_match_their_own_differences: Mlp<Dense<3>, (Tanh<4>, Tanh<5>), Softmax<3>>;
    relu_before_two_tanh_layers_matches_its_own_differences: Mlp<Dense<2>, (Relu<6>, Tanh<4>, Tanh<3>), Binary>;
}
