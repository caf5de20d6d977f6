//! Weights between hidden layers that are those of another width, and a layer that is not there.
use fused_mlp::{Dense, Mlp, Model, Regression, Relu, Tanh};
use nalgebra::SMatrix;

type Curve = Mlp<Dense<8>, (Relu<64>, Tanh<16>), Regression<1>>;

fn main() {
    let mut model = Curve::zeroed();
    *model.between.0.weights = SMatrix::<f32, 16, 32>::zeros();
    *model.between.1.weights = SMatrix::<f32, 16, 64>::zeros();
}
