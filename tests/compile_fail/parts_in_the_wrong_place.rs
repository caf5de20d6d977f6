//! What is no input, no head, no activation and no loss.
use fused_mlp::{Dense, Huber, Mlp, Regression, Relu, Softmax, Tanh};

fn input(_: Mlp<[f32; 8], 16, Softmax<10>>) {}
fn head(_: Mlp<Dense<8>, 16, [f32; 10]>) {}
fn activation(_: Mlp<Dense<8>, 16, Softmax<10>, Huber>) {}
fn loss(_: Mlp<Dense<8>, Tanh<16>, Regression<1, Relu>>) {}

fn main() {}
