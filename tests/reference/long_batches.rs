//! Gradients and losses of long batches: the error does not grow with the number of examples, on any backend.
//!
//! A sum in one chain of `f32` would be 4.0e-5 off at 4,096 equal examples, and 1.0e-2 at 2²⁰.

use fused_mlp::model::HiddenLayers;
use fused_mlp::reference::Reference;
use fused_mlp::{
    Backend, Dataset, Dense, Mlp, Model, Regression, Relu, Sgd, Softmax, Tanh, Tokens, Trainer,
    gradcheck,
};

use crate::support::shapes::{Case, Numbers, RandomHead, RandomInput};
use crate::support::{bits_of, fused, is_arithmetic_slow};

/// Largest relative error of a loss.
const LOSS_TOLERANCE: f64 = 1e-6;

/// Gradients within what `gradcheck` allows and losses, on every backend, and the same bits on those that fuse.
fn check<I: RandomInput, L: HiddenLayers, O: RandomHead>(case: &Case<I, L, O>) {
    let Case {
        model,
        inputs,
        targets,
    } = case;
    let expected = Reference::of(model).loss(inputs, targets).unwrap();
    let data = Dataset::new(inputs.clone(), targets.clone()).unwrap();
    let mut bits = Vec::new();
    for backend in Backend::available() {
        // The specification takes minutes for what the others do in a second.
        if backend == Backend::SCALAR && inputs.len() > 1 << 16 {
            continue;
        }
        let report = gradcheck::kernels(model, backend, inputs, targets).unwrap();
        assert!(
            report.holds(),
            "{backend}, {} examples: {report}",
            inputs.len()
        );

        let (loss, gradients) = model.gradients_on(backend, inputs, targets).unwrap();
        let trainer = Trainer::new(model.clone(), Sgd::new(0.1)).unwrap();
        let mut trainer = trainer.with_backend(backend);
        let evaluated = trainer.evaluate(&data).unwrap();
        let stepped = trainer.step(inputs, targets).unwrap();
        for found in [loss, evaluated, stepped] {
            let error = (f64::from(found) / expected - 1.0).abs();
            assert!(error <= LOSS_TOLERANCE, "{backend}: {found} for {expected}");
        }
        if fused().any(|fused| fused == backend) {
            bits.push((bits_of(&gradients), bits_of(&trainer.model())));
        }
    }
    assert!(bits.iter().all(|other| *other == bits[0]));
}

/// One example many times.
fn repeated<I: RandomInput, L: HiddenLayers, O: RandomHead>(
    mut case: Case<I, L, O>,
    len: usize,
) -> Case<I, L, O> {
    case.inputs = vec![case.inputs[0]; len];
    case.targets = vec![case.targets[0]; len];
    case
}

/// The public case: x = 1 and y many times, through one neuron whose weight is 1 and all else zero. Both derivatives behind the
/// neuron are −2y.
fn one_neuron(len: usize) -> Case<Dense<1>, Relu<1>, Regression<1>> {
    let mut model = Mlp::<Dense<1>, Relu<1>, Regression<1>>::zeroed();
    model.input.weights[0] = 1.0;
    Case {
        model,
        inputs: vec![[1.0]; len],
        targets: vec![[0.7]; len],
    }
}

fn check_all(len: usize) {
    let case = one_neuron(len);
    for backend in fused() {
        let (_, gradients) = case
            .model
            .gradients_on(backend, &case.inputs, &case.targets)
            .unwrap();
        for found in [gradients.output.weights[0], gradients.output.bias[0]] {
            let error = (f64::from(found) / -1.4 - 1.0).abs();
            assert!(error <= 2e-5, "{backend}, {len} examples: {found}");
        }
    }
    check(&case);
    check::<Dense<1>, Tanh<2>, Regression<1>>(&Case::new(1, len, Numbers::Normal));
    check::<Tokens<3, 2, 1>, Tanh<2>, Softmax<3>>(&Case::new(2, len, Numbers::Normal));
    check::<Dense<2>, (Tanh<3>, Tanh<2>), Softmax<2>>(&Case::new(3, len, Numbers::Normal));
    let tokens =
        Case::<Tokens<4, 1, 2>, (Tanh<2>, Tanh<3>), Regression<1>>::new(4, len, Numbers::Normal);
    check(&tokens);
    check(&repeated(tokens, len));
}

#[test]
fn four_thousand_examples_keep_the_bound() {
    check_all(if is_arithmetic_slow() { 300 } else { 4_096 });
}

/// An odd number of blocks, and a last one that is not full.
#[test]
fn batches_of_any_length_keep_the_bound() {
    for len in [64, 65, 127, 129, 192, 321, 1_000] {
        check_all(len);
    }
}

#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "it is run with the kernels of a release build"
)]
fn sixty_five_thousand_examples_keep_the_bound() {
    check_all(65_536);
}

#[test]
#[cfg_attr(
    debug_assertions,
    ignore = "it is run with the kernels of a release build"
)]
fn a_million_examples_keep_the_bound() {
    check_all(1 << 20);
}
