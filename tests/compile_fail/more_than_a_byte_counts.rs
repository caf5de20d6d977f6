//! A token and a class are one byte each; and one class is no choice.
use fused_mlp::{Dense, Mlp, Model, Softmax, Tokens, Tanh};

fn draw<M: Model>() -> usize {
    let model = M::zeroed();
    let mut values = 0;
    for (_, tensor) in model.tensors() {
        values += tensor.len();
    }
    values
}

fn main() {
    draw::<Mlp<Tokens<257, 3, 2>, Tanh<100>, Softmax<27>>>();
    draw::<Mlp<Dense<8>, Tanh<100>, Softmax<257>>>();
    draw::<Mlp<Dense<8>, Tanh<100>, Softmax<1>>>();
}
