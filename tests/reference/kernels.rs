//! The kernels on every backend against the reference: gradients and losses of batches, and of one example at a time.

use fused_mlp::model::{Activation, HiddenLayers, Role};
use fused_mlp::reference::Reference;
use fused_mlp::{
    Backend, Binary, ClippedRelu, Dataset, Dense, Gelu, Huber, LeakyRelu, Mlp, Model, NameModel,
    Regression, Relu, Sgd, Sigmoid, Silu, Softmax, Softplus, Tanh, Tokens, Trainer, gradcheck,
};
use proptest::prelude::*;

use crate::support::shapes::{
    Case, Numbers, RandomHead, RandomInput, activations, for_every_shape, kinks,
};
use crate::support::{config, flat, repetitions, ulp};

pub(crate) const REGRESSIONS: &str = "tests/proptest-regressions/reference.txt";

/// The least distance of a neuron's sum from a kink of its activation, as a share of the sum's terms: hundreds of times what rounding
/// moves it.
const KINK_MARGIN: f64 = 1e-4;

/// Parameters and data of N(0, 1), the weights of all layers but the first divided by about the root of their fan-in.
///
/// The division keeps logits within 87 of one another: beyond, the kernels' exp gives zero by its definition, where the
/// reference has a tiny number. Where activations have kinks, all numbers are multiples of 2⁻⁶, so that the sums of the first layer
/// are exact in `f32`, and inputs that bring a neuron of a later layer near a kink are drawn anew: where rounding decides on which
/// side it is, neither kernels nor reference are wrong, and no bound can hold.
pub(crate) fn case<I: RandomInput, L: HiddenLayers, O: RandomHead>(
    seed: u64,
    len: usize,
) -> Case<I, L, O> {
    let activations = activations::<L>();
    let has_kinks = |&activation: &Activation| !kinks(activation).is_empty();
    let numbers = match activations.iter().any(has_kinks) {
        true => Numbers::Multiples(1.0 / 64.0),
        false => Numbers::Normal,
    };
    let margin = match activations[1..].iter().any(has_kinks) {
        true => KINK_MARGIN,
        false => 0.0,
    };
    Case::off_the_kinks(seed, len, numbers, margin, |model| {
        for (tensor, values) in model.tensors_mut() {
            if tensor.role == Role::Weights && tensor.layer > 0 {
                let divisor = (tensor.rows as f32).sqrt().log2().ceil().exp2();
                values.iter_mut().for_each(|weight| *weight /= divisor);
            }
        }
    })
}

fn gradients_match<I: RandomInput, L: HiddenLayers, O: RandomHead>(
    case: &Case<I, L, O>,
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

fn losses_match<I: RandomInput, L: HiddenLayers, O: RandomHead>(
    case: &Case<I, L, O>,
) -> Result<(), TestCaseError> {
    let Case {
        model,
        inputs,
        targets,
    } = case;
    let expected = Reference::of(model).loss(inputs, targets).unwrap();
    let data = Dataset::new(inputs.clone(), targets.clone()).unwrap();
    for backend in Backend::available() {
        let (found, _) = model.gradients_on(backend, inputs, targets).unwrap();
        let trainer = Trainer::new(model.clone(), Sgd::new(0.1)).unwrap();
        let evaluated = trainer.with_backend(backend).evaluate(&data).unwrap();
        for found in [found, evaluated] {
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
    }
    Ok(())
}

/// A rate so large that a step throws the old parameters away, but for the last place of the new ones.
const ERASING_RATE: f32 = (1 << 20) as f32;

/// `step_one` keeps its gradients to itself. A step at [`ERASING_RATE`] leaves −rate · gradient, rounded once more.
fn one_example_matches<I: RandomInput, L: HiddenLayers, O: RandomHead>(
    case: &Case<I, L, O>,
) -> Result<(), TestCaseError> {
    let Case {
        model,
        inputs,
        targets,
    } = case;
    let (loss, gradients) = Reference::of(model).gradients(inputs, targets).unwrap();
    let before = flat(model);
    for backend in Backend::available() {
        let trainer = Trainer::new(model.clone(), Sgd::new(ERASING_RATE)).unwrap();
        let mut trainer = trainer.with_backend(backend);
        let found = trainer.step_one(&inputs[0], &targets[0]).unwrap();
        let difference = (f64::from(found) - loss).abs();
        prop_assert!(
            difference <= 2.0 * loss_tolerance(loss),
            "{}: loss {} for {}",
            backend,
            found,
            loss
        );

        let after = flat(&trainer.model());
        let mut place = 0;
        for tensor in &gradients {
            for row in 0..tensor.values.nrows() {
                for column in 0..tensor.values.ncols() {
                    let moved = f64::from(before[place]) - f64::from(after[place]);
                    let last_place = ulp::ulp(after[place].into());
                    let found = moved / f64::from(ERASING_RATE);
                    let expected = tensor.values[(row, column)];
                    let allowed = gradcheck::KERNEL_TOLERANCE * tensor.magnitudes[(row, column)]
                        + last_place / f64::from(ERASING_RATE);
                    prop_assert!(
                        (found - expected).abs() <= allowed,
                        "{}: {}[{}, {}] has gradient {:e}, not {:e}; allowed {:e}",
                        backend,
                        tensor.tensor.name,
                        row,
                        column,
                        found,
                        expected,
                        allowed
                    );
                    place += 1;
                }
            }
        }
        prop_assert_eq!(place, before.len());
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
                fn one_example_matches_the_reference(seed: u64) {
                    let case = case(seed, 1);
                    let _: &$model = &case.model;
                    one_example_matches(&case)?;
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
    for seed in 0..repetitions(32) {
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

/// The error of an output is that of its terms, however small it comes out; and with a target of 0 it is the gradient.
#[test]
fn gradients_match_where_the_terms_of_an_output_cancel() {
    for seed in 0..50 {
        let mut case: Case<Dense<4>, Tanh<20>, Regression<1>> = case(seed, 1);
        let [output] = case.model.predict(&case.inputs[0]).unwrap();
        case.model.output.bias[0] -= output;
        case.targets[0] = [0.0];
        gradients_match(&case).unwrap();
    }
}
