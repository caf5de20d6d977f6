//! One layer more than there may be, and none.
use fused_mlp::{Dense, Mlp, Softmax, Tanh};

type T = Tanh<8>;

fn nine(_: Mlp<Dense<8>, (T, T, T, T, T, T, T, T, T), Softmax<10>>) {}
fn none(_: Mlp<Dense<8>, (), Softmax<10>>) {}

fn main() {}
