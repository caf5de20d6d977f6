//! The hidden width alone, as it was before activations carried it.
use fused_mlp::{Dense, Mlp, Softmax};

fn width(_: Mlp<Dense<8>, 16, Softmax<10>>) {}

fn main() {}
