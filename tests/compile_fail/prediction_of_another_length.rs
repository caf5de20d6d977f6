//! Twenty-six probabilities of a softmax over 27 classes.
use fused_mlp::{Error, Model, NameModel, Predictor};

fn main() -> Result<(), Error> {
    let predictor = Predictor::new(&NameModel::zeroed())?;
    let _: [f32; 26] = predictor.predict(&[0, 0, 5])?;
    Ok(())
}
