//! The reference against central finite differences in every coordinate.

use fused_mlp::architecture::Activation;
use fused_mlp::{
    Binary, Dense, Huber, Mlp, Model, NameModel, Regression, Relu, Softmax, Tokens, gradcheck,
};

use crate::support::shapes::{Case, Numbers, RandomHead, RandomInput};

fn check<I: RandomInput, const HIDDEN: usize, O: RandomHead, A: Activation>(
    case: &Case<I, HIDDEN, O, A>,
) {
    let report = gradcheck::reference(&case.model, &case.inputs, &case.targets).unwrap();
    let checked: usize = report.tensors.iter().map(|tensor| tensor.coordinates).sum();
    assert_eq!(checked, case.model.parameter_count());
    assert!(report.holds(), "{report}");
}

#[test]
fn the_reference_matches_differences_in_all_3481_coordinates_of_the_name_model() {
    let case: Case<_, _, _, _> = Case::new(1, 32, Numbers::Normal);
    let model: &NameModel = &case.model;
    assert_eq!(model.parameter_count(), 3_481);
    check(&case);
}

/// Parameters and features are multiples of 1/64, and the biases are moved off them by 1/8,192: so no ReLU sum comes as near to
/// its kink at zero as a difference reaches.
fn off_the_kink<I: RandomInput, const HIDDEN: usize, O: RandomHead>(
    seed: u64,
    len: usize,
) -> Case<I, HIDDEN, O, Relu> {
    let mut case = Case::new(seed, len, Numbers::Multiples(1.0 / 64.0));
    case.model.visit_mut(&mut |name, values| {
        if name == "hidden_bias" {
            values.iter_mut().for_each(|bias| *bias += 1.0 / 8_192.0);
        }
    });
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

fn normal<I: RandomInput, const HIDDEN: usize, O: RandomHead, A: Activation>(
    seed: u64,
    len: usize,
) -> Case<I, HIDDEN, O, A> {
    Case::new(seed, len, Numbers::Normal)
}

small! {
    tokens_tanh_softmax: Mlp<Tokens<5, 2, 3>, 7, Softmax<5>>, normal;
    tokens_relu_softmax: Mlp<Tokens<5, 3, 2>, 7, Softmax<4>, Relu>, off_the_kink;
    tokens_tanh_regression: Mlp<Tokens<3, 1, 1>, 4, Regression<2>>, normal;
    tokens_relu_regression: Mlp<Tokens<3, 8, 1>, 5, Regression<1>, Relu>, off_the_kink;
    numbers_tanh_softmax: Mlp<Dense<3>, 6, Softmax<2>>, normal;
    numbers_relu_softmax: Mlp<Dense<2>, 9, Softmax<3>, Relu>, off_the_kink;
    numbers_tanh_regression: Mlp<Dense<1>, 1, Regression<1>>, normal;
    numbers_relu_regression: Mlp<Dense<4>, 8, Regression<3>, Relu>, off_the_kink;
    tokens_tanh_binary: Mlp<Tokens<4, 2, 2>, 5, Binary>, normal;
    numbers_relu_binary: Mlp<Dense<3>, 4, Binary, Relu>, off_the_kink;
    numbers_tanh_huber: Mlp<Dense<2>, 6, Regression<2, Huber>>, normal;
    tokens_relu_huber: Mlp<Tokens<3, 2, 1>, 5, Regression<1, Huber>, Relu>, off_the_kink;
}
