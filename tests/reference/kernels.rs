//! The kernels on every backend: against the reference, and against differences of their own loss.

use std::any::TypeId;

use fused_mlp::architecture::Activation;
use fused_mlp::reference::Reference;
use fused_mlp::{
    Backend, Dense, Mlp, Model, NameModel, Regression, Relu, Softmax, Tokens, gradcheck,
};
use proptest::prelude::*;

use crate::support::config;
use crate::support::shapes::{Case, Numbers, RandomHead, RandomInput, for_every_shape};

const REGRESSIONS: &str = "tests/proptest-regressions/reference.txt";

/// Parameters and data of N(0, 1), the output weights divided by about the root of their number.
///
/// The division keeps logits within 87 of one another: beyond, the kernels' exp gives zero by its definition, where the
/// reference has a tiny number. For ReLU, all are multiples of 2⁻⁶. Then the sums of the first layer are exact in `f32`, and
/// kernels and reference agree on which neurons fire; where rounding decides it, neither is wrong and no bound can hold.
fn case<I: RandomInput, const HIDDEN: usize, O: RandomHead, A: Activation>(
    seed: u64,
    len: usize,
) -> Case<I, HIDDEN, O, A> {
    let is_relu = TypeId::of::<A>() == TypeId::of::<Relu>();
    let numbers = match is_relu {
        true => Numbers::Multiples(1.0 / 64.0),
        false => Numbers::Normal,
    };
    let mut case = Case::new(seed, len, numbers);
    let divisor = (HIDDEN as f32).sqrt().log2().ceil().exp2();
    case.model.visit_mut(&mut |name, values| {
        if name == "output_weights" {
            values.iter_mut().for_each(|weight| *weight /= divisor);
        }
    });
    case
}

fn gradients_match<I: RandomInput, const HIDDEN: usize, O: RandomHead, A: Activation>(
    case: &Case<I, HIDDEN, O, A>,
) -> Result<(), TestCaseError> {
    for backend in Backend::available() {
        let report = gradcheck::kernels(&case.model, backend, &case.inputs, &case.targets).unwrap();
        let checked: usize = report.tensors.iter().map(|tensor| tensor.coordinates).sum();
        prop_assert_eq!(checked, case.model.parameter_count());
        prop_assert!(report.holds(), "{}: {}", backend, report);
    }
    Ok(())
}

/// The largest difference of a kernel's loss from the true one: 1e-6 of it, and 2e-6 if it is below 1.
fn loss_tolerance(loss: f64) -> f64 {
    if loss < 1.0 { 2e-6 } else { 1e-6 * loss }
}

fn losses_match<I: RandomInput, const HIDDEN: usize, O: RandomHead, A: Activation>(
    case: &Case<I, HIDDEN, O, A>,
) -> Result<(), TestCaseError> {
    let reference = Reference::of(&case.model);
    let expected = reference.loss(&case.inputs, &case.targets).unwrap();
    for backend in Backend::available() {
        let (found, _) = case
            .model
            .gradients_on(backend, &case.inputs, &case.targets)
            .unwrap();
        let difference = (f64::from(found) - expected).abs();
        prop_assert!(
            difference <= loss_tolerance(expected),
            "{}: loss {} for {}, {:e} off",
            backend,
            found,
            expected,
            difference
        );
    }
    Ok(())
}

macro_rules! against_the_reference {
    ($name:ident: $model:ty) => {
        mod $name {
            use super::*;

            proptest! {
                #![proptest_config(config(16, REGRESSIONS))]

                #[test]
                fn gradients_match_the_reference(seed: u64, len in 1..=100_usize) {
                    let case = case(seed, len);
                    let _: &$model = &case.model;
                    gradients_match(&case)?;
                }

                #[test]
                fn losses_match_the_reference(seed: u64, len in 1..=100_usize) {
                    let case = Case::fan_in_scaled(seed, len);
                    let _: &$model = &case.model;
                    losses_match(&case)?;
                }
            }
        }
    };
}
for_every_shape!(against_the_reference);

/// Weights of N(0, 1) make logits of some 30, whose last place alone is 2e-6: near the bounds, so the seeds are fixed, and the
/// loss is one of batches, where it is about 20.
#[test]
fn the_name_model_matches_the_reference_as_makemore_initialises_it() {
    for seed in 0..32 {
        for len in [1, 32, 100] {
            let case = Case::new(seed, len, Numbers::Normal);
            let _: &NameModel = &case.model;
            gradients_match(&case).unwrap();
            if len > 1 {
                losses_match(&case).unwrap();
            }
        }
    }
}

/// Half the distance of the inner pair of points of a difference.
const STEP: f32 = 1.0 / 64.0;

/// Allowed difference, relative to 1 + |derivative| + loss.
///
/// A loss near 1 carries a rounding error of some 3e-7, from logits of its size and from its own last place, and the formula
/// multiplies it by at most 1.5 / STEP: 3e-5. The formula's own error is 4/30 · STEP⁴ = 8e-9 times a fifth derivative, at
/// most a few thousand for tanh and numbers of N(0, 1): again 3e-5. A term that is wrong or missing changes a derivative
/// by hundreds of times the tolerance.
const DIFFERENCE_TOLERANCE: f64 = 3e-4;

/// The loss is differenced as `(8 (f(s) − f(−s)) − (f(2s) − f(−2s))) / 12 s`, whose error falls with s⁴: it allows the wide
/// steps that a loss rounded to `f32` needs.
fn own_differences_match<I: RandomInput, const HIDDEN: usize, O: RandomHead, A: Activation>(
    case: &Case<I, HIDDEN, O, A>,
    backend: Backend,
) -> Result<(), TestCaseError> {
    let Case {
        model,
        inputs,
        targets,
    } = case;
    let loss_of = |model: &Mlp<I, HIDDEN, O, A>| {
        let (loss, _) = model.gradients_on(backend, inputs, targets).unwrap();
        f64::from(loss)
    };
    let (loss, gradients) = model.gradients_on(backend, inputs, targets).unwrap();
    let loss = f64::from(loss);
    for (index, derivative) in flat(&gradients).into_iter().enumerate() {
        let moved_by = |offset: f32| {
            let mut moved = model.clone();
            let mut first = 0;
            moved.visit_mut(&mut |_, values| {
                if let Some(value) = index.checked_sub(first).and_then(|at| values.get_mut(at)) {
                    *value += offset;
                }
                first += values.len();
            });
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

fn flat(model: &impl Model) -> Vec<f32> {
    let mut all = Vec::new();
    model.visit(&mut |_, values| all.extend_from_slice(values));
    all
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
/// far from the kink of a ReLU, and the longest step, 1/32 times a number of at most 4, does not cross it.
const HALVES: Numbers = Numbers::Multiples(0.5);

fn off_the_kink(model: &mut impl Model) {
    model.visit_mut(&mut |name, values| {
        if name == "hidden_bias" {
            values.iter_mut().for_each(|bias| *bias += 1.0 / 8.0);
        }
    });
}

against_their_own_loss! {
    tokens_tanh_softmax_matches_its_own_differences: Mlp<Tokens<4, 2, 2>, 5, Softmax<3>>;
    tokens_relu_softmax_matches_its_own_differences: Mlp<Tokens<4, 1, 3>, 7, Softmax<4>, Relu>;
    tokens_tanh_regression_matches_its_own_differences: Mlp<Tokens<3, 3, 1>, 4, Regression<2>>;
    numbers_tanh_softmax_matches_its_own_differences: Mlp<Dense<3>, 6, Softmax<2>>;
    numbers_tanh_regression_matches_its_own_differences: Mlp<Dense<1>, 1, Regression<1>>;
    numbers_relu_regression_matches_its_own_differences: Mlp<Dense<3>, 5, Regression<2>, Relu>;
}
