//! The reference against central finite differences in every coordinate.

use fused_mlp::model::HiddenLayers;
use fused_mlp::{
    Binary, ClippedRelu, Dense, Gelu, Huber, LeakyRelu, Mlp, Model, NameModel, Regression, Relu,
    Sigmoid, Silu, Softmax, Softplus, Tanh, Tokens, gradcheck,
};

use crate::support::shapes::{Case, Numbers, RandomHead, RandomInput};

fn check<I: RandomInput, L: HiddenLayers, O: RandomHead>(case: &Case<I, L, O>) {
    let report = gradcheck::reference(&case.model, &case.inputs, &case.targets).unwrap();
    let checked: usize = report.tensors.iter().map(|tensor| tensor.coordinates).sum();
    assert_eq!(checked, case.model.parameter_count());
    assert!(report.holds(), "{report}");
}

#[test]
fn the_reference_matches_differences_in_all_3481_coordinates_of_the_name_model() {
    let case: Case<_, _, _> = Case::new(1, 32, Numbers::Normal);
    let model: &NameModel = &case.model;
    assert_eq!(model.parameter_count(), 3_481);
    check(&case);
}

/// Parameters and features are multiples of 1/64, and the biases are moved off them by 1/8,192: so no ReLU sum comes as near to
/// its kink at zero as a difference reaches.
fn off_the_kink<I: RandomInput, const NEURONS: usize, O: RandomHead>(
    seed: u64,
    len: usize,
) -> Case<I, Relu<NEURONS>, O> {
    let mut case = Case::new(seed, len, Numbers::Multiples(1.0 / 64.0));
    for (tensor, values) in case.model.tensors_mut() {
        if tensor.name == "hidden_bias" {
            values.iter_mut().for_each(|bias| *bias += 1.0 / 8_192.0);
        }
    }
    case
}

macro_rules! small {
    ($($name:ident: $model:ty, $case:expr;)*) => {
        $(
            #[test]
            fn $name() {
                for seed in 0..8 {
                    for len in [1, 2, 5] {
                        let case = $case(seed, len);
                        let _: &$model = &case.model;
                        check(&case);
                    }
                }
            }
        )*
    };
}

/// Inputs that bring a ReLU neuron's sum within a thousandth of its terms are drawn anew: a difference of 1e-5 in a parameter
/// of an earlier layer does not carry a later sum that far.
fn off_the_kinks<I: RandomInput, L: HiddenLayers, O: RandomHead>(
    seed: u64,
    len: usize,
) -> Case<I, L, O> {
    Case::off_the_kinks(seed, len, Numbers::Normal, 1e-3, |_| ())
}

fn normal<I: RandomInput, L: HiddenLayers, O: RandomHead>(seed: u64, len: usize) -> Case<I, L, O> {
    Case::new(seed, len, Numbers::Normal)
}

small! {
    tokens_tanh_softmax: Mlp<Tokens<5, 2, 3>, Tanh<7>, Softmax<5>>, normal;
    tokens_relu_softmax: Mlp<Tokens<5, 3, 2>, Relu<7>, Softmax<4>>, off_the_kink;
    tokens_tanh_regression: Mlp<Tokens<3, 1, 1>, Tanh<4>, Regression<2>>, normal;
    tokens_relu_regression: Mlp<Tokens<3, 8, 1>, Relu<5>, Regression<1>>, off_the_kink;
    numbers_tanh_softmax: Mlp<Dense<3>, Tanh<6>, Softmax<2>>, normal;
    numbers_relu_softmax: Mlp<Dense<2>, Relu<9>, Softmax<3>>, off_the_kink;
    numbers_tanh_regression: Mlp<Dense<1>, Tanh<1>, Regression<1>>, normal;
    numbers_relu_regression: Mlp<Dense<4>, Relu<8>, Regression<3>>, off_the_kink;
    tokens_tanh_binary: Mlp<Tokens<4, 2, 2>, Tanh<5>, Binary>, normal;
    numbers_relu_binary: Mlp<Dense<3>, Relu<4>, Binary>, off_the_kink;
    numbers_tanh_huber: Mlp<Dense<2>, Tanh<6>, Regression<2, Huber>>, normal;
    tokens_relu_huber: Mlp<Tokens<3, 2, 1>, Relu<5>, Regression<1, Huber>>, off_the_kink;
    leaky_relu: Mlp<Dense<3>, LeakyRelu<6>, Softmax<3>>, off_the_kinks;
    clipped_relu: Mlp<Tokens<4, 2, 2>, ClippedRelu<7>, Regression<2>>, off_the_kinks;
    sigmoid: Mlp<Dense<3>, Sigmoid<6>, Regression<2>>, normal;
    silu: Mlp<Tokens<4, 2, 2>, Silu<5>, Softmax<4>>, normal;
    gelu: Mlp<Dense<4>, Gelu<6>, Binary>, normal;
    softplus: Mlp<Dense<2>, Softplus<7>, Softmax<3>>, normal;
    two_layers: Mlp<Dense<3>, (Tanh<6>, Tanh<5>), Softmax<3>>, normal;
    two_mixed_layers: Mlp<Tokens<4, 2, 2>, (Silu<7>, LeakyRelu<6>), Softmax<4>>, off_the_kinks;
    two_layers_of_relu: Mlp<Dense<2>, (Relu<9>, Relu<4>), Regression<2>>, off_the_kinks;
    three_layers: Mlp<Tokens<3, 2, 1>, (Sigmoid<5>, Softplus<1>, Gelu<4>), Regression<2>>, normal;
    three_mixed_layers: Mlp<Dense<3>, (ClippedRelu<6>, Gelu<5>, Relu<4>), Binary>, off_the_kinks;
    eight_layers:
        Mlp<Tokens<3, 2, 2>, (Tanh<4>, Tanh<3>, Tanh<5>, Tanh<2>, Tanh<4>, Tanh<3>, Tanh<1>, Tanh<3>), Softmax<3>>, normal;
    eight_mixed_layers:
        Mlp<Dense<2>, (Relu<6>, Tanh<5>, Relu<4>, Tanh<3>, Relu<6>, Tanh<2>, Relu<5>, Tanh<3>), Regression<2, Huber>>,
        off_the_kinks;
}
