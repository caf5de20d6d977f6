//! Each width must be at least one, and a softmax chooses between two.
use fused_mlp::{Binary, Dense, Mlp, Model, Regression, Relu, Softmax, Tanh, Tokens};

fn draw<M: Model>() -> usize {
    M::zeroed().tensors().count()
}

fn main() {
    draw::<Mlp<Tokens<0, 3, 2>, Tanh<100>, Softmax<27>>>();
    draw::<Mlp<Tokens<27, 0, 2>, Tanh<100>, Softmax<27>>>();
    draw::<Mlp<Tokens<27, 3, 0>, Tanh<100>, Softmax<27>>>();
    draw::<Mlp<Dense<0>, Tanh<100>, Softmax<27>>>();
    draw::<Mlp<Dense<8>, Tanh<0>, Binary>>();
    draw::<Mlp<Dense<8>, (Tanh<4>, Relu<0>), Binary>>();
    draw::<Mlp<Dense<8>, Tanh<100>, Softmax<0>>>();
    draw::<Mlp<Dense<8>, Tanh<100>, Regression<0>>>();
}
