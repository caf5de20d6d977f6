//! What is no input, no hidden layer, no head and no loss; and the spelling of version 0.1.
use fused_mlp::{Dense, Huber, Mlp, Regression, Relu, Softmax, Tanh};

fn input(_: Mlp<[f32; 8], Tanh<16>, Softmax<10>>) {}
fn hidden(_: Mlp<Dense<8>, Huber, Softmax<10>>) {}
fn one_of_two(_: Mlp<Dense<8>, (Tanh<64>, Huber), Softmax<10>>) {}
fn head(_: Mlp<Dense<8>, Tanh<16>, [f32; 10]>) {}
fn loss(_: Mlp<Dense<8>, Tanh<16>, Regression<1, Relu<4>>>) {}

fn main() {}
