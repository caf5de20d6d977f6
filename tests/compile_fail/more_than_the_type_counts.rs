//! A token and a class are one byte or two each; and one class is no choice.
use fused_mlp::{Dense, Mlp, Model, Softmax, Tanh, Tokens};

fn draw<M: Model>() -> usize {
    M::zeroed().tensors().count()
}

fn main() {
    draw::<Mlp<Tokens<257, 3, 2>, Tanh<100>, Softmax<27>>>();
    draw::<Mlp<Dense<8>, Tanh<100>, Softmax<257>>>();
    draw::<Mlp<Tokens<65_537, 3, 2, u16>, Tanh<100>, Softmax<27>>>();
    draw::<Mlp<Dense<8>, Tanh<100>, Softmax<65_537, u16>>>();
    draw::<Mlp<Dense<8>, Tanh<100>, Softmax<1>>>();
}
