//! A token and a class are one byte each; and one class is no choice.
use fused_mlp::{Dense, Mlp, Model, Sgd, Softmax, Tokens, Trainer};

fn main() {
    let _ = Trainer::new(
        Mlp::<Tokens<257, 3, 2>, 100, Softmax<27>>::zeroed(),
        Sgd::new(0.1),
    );
    let _ = Trainer::new(Mlp::<Dense<8>, 100, Softmax<257>>::zeroed(), Sgd::new(0.1));
    let _ = Trainer::new(Mlp::<Dense<8>, 100, Softmax<1>>::zeroed(), Sgd::new(0.1));
}
