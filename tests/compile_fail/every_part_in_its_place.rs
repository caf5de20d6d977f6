//! The extremes that do compile, so that what the others fail on is what they show.
use fused_mlp::{
    Binary, Dense, Error, Huber, Mlp, Model, Regression, Relu, Sgd, Softmax, Tanh, Tokens, Trainer,
};

fn main() -> Result<(), Error> {
    let classes = Mlp::<Tokens<256, 1, 1>, Tanh<1>, Softmax<256>>::zeroed();
    Trainer::new(classes, Sgd::new(0.1))?.step(&[[255]], &[255])?;
    let words = Mlp::<Tokens<65_536, 1, 1, u16>, Tanh<1>, Softmax<65_536, u16>>::zeroed();
    Trainer::new(words, Sgd::new(0.1))?.step(&[[65_535]], &[65_535])?;
    let numbers = Mlp::<Dense<1>, Relu<1>, Regression<1, Huber>>::zeroed();
    Trainer::new(numbers, Sgd::new(0.1))?.step_one(&[0.5], &[0.5])?;
    let yes_or_no = Mlp::<Dense<1>, Tanh<1>, Binary>::zeroed();
    Trainer::new(yes_or_no, Sgd::new(0.1))?.step_one(&[0.5], &true)?;
    let two = Mlp::<Dense<1>, Tanh<1>, Softmax<2>>::zeroed();
    Trainer::new(two, Sgd::new(0.1))?.step_one(&[0.5], &1)?;
    type T = Tanh<2>;
    let eight = Mlp::<Dense<1>, (T, Relu<1>, T, T, T, T, T, T), Softmax<2>>::zeroed();
    Trainer::new(eight, Sgd::new(0.1))?.step_one(&[0.5], &1)?;
    Ok(())
}
