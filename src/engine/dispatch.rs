//! Kernels on a backend, with a model's shape as constants where that pays.

use core::slice::from_ref;

use crate::error::Error;
use crate::kernels::batch_outputs::BatchOutputs;
use crate::kernels::chunk::{CHUNK, Workspace};
use crate::kernels::example::ExampleOutputs;
use crate::kernels::shape::{Fixed, Shaped, ShapedKernel};
use crate::model::{
    Example, ExampleOf, Head, HiddenLayers, Inputs, Model, ModelSpec, PredictionOf, check_lengths,
    first_non_finite,
};
use crate::simd::{Backend, LANES};

/// Runs a kernel with the shape of an `M` as constants, where the backend has instructions of its own.
///
/// With debug assertions on, that is in a debug build, it runs the form for every shape, which is compiled in this crate and
/// so can be optimised although the embedding program is not.
pub(super) fn run<M: Model, K: ShapedKernel>(backend: Backend, kernel: K) -> K::Output {
    if cfg!(debug_assertions) {
        return kernel.run_any(backend, M::SPEC);
    }
    let shape = Fixed::<M>::SHAPE;
    match backend.run_if_native(Shaped { kernel, shape }) {
        Ok(output) => output,
        Err(Shaped { kernel, .. }) => kernel.run_any(backend, M::SPEC),
    }
}

/// What the head of an `M` makes of one input, or without `normalise` its logits, on the path for single examples; if the
/// input is one of an `M`, and all outputs are finite.
pub(crate) fn predict<M: Model>(
    backend: Backend,
    parameters: &[[f32; LANES]],
    input: &ExampleOf<M>,
    normalise: bool,
) -> Result<PredictionOf<M>, Error> {
    let inputs = ExampleOf::<M>::flatten(from_ref(input));
    inputs.check(M::SPEC)?;
    let prediction = example_outputs::<M>(backend, parameters, inputs, normalise);
    check_outputs(prediction.as_ref(), M::SPEC)?;
    Ok(prediction)
}

/// As [`predict`], unchecked.
pub(super) fn example_outputs<M: Model>(
    backend: Backend,
    parameters: &[[f32; LANES]],
    inputs: Inputs<'_>,
    normalise: bool,
) -> PredictionOf<M> {
    let mut prediction = M::Head::blank();
    let outputs = prediction.as_mut();
    M::Hidden::with_activations(|activations| {
        run::<M, _>(
            backend,
            ExampleOutputs {
                parameters,
                inputs,
                normalise,
                activations,
                outputs,
            },
        );
    });
    prediction
}

/// Predictions of a batch, on the path for batches: all that whoever computes some of them has in common.
#[derive(Clone, Copy)]
pub(crate) struct BatchPrediction<'a> {
    pub(crate) backend: Backend,
    pub(crate) parameters: &'a [[f32; LANES]],
    pub(crate) normalise: bool,
}

impl BatchPrediction<'_> {
    /// What the head of an `M` makes of the inputs, unchecked; as many predictions as inputs.
    pub(crate) fn run<M: Model>(
        self,
        inputs: &[ExampleOf<M>],
        workspace: &mut Workspace,
        predictions: &mut [PredictionOf<M>],
    ) {
        let flat = ExampleOf::<M>::flatten(inputs);
        for (start, predictions) in (0..inputs.len())
            .step_by(CHUNK)
            .zip(predictions.chunks_mut(CHUNK))
        {
            let examples = predictions.len();
            let kernel = BatchOutputs {
                parameters: self.parameters,
                inputs: flat.slice(M::SPEC, start, examples),
                examples,
                normalise: self.normalise,
                workspace,
                outputs: M::Head::flatten(predictions),
            };
            run::<M, _>(self.backend, kernel);
        }
    }
}

/// Lets `compute` make the predictions of a batch, if there are as many as inputs, these are ones of an `M`, and all predictions
/// turn out finite.
pub(crate) fn predict_batch<M: Model>(
    inputs: &[ExampleOf<M>],
    predictions: &mut [PredictionOf<M>],
    compute: impl FnOnce(&mut [PredictionOf<M>]),
) -> Result<(), Error> {
    check_lengths(inputs.len(), "predictions", predictions.len())?;
    ExampleOf::<M>::flatten(inputs).check(M::SPEC)?;
    compute(predictions);
    check_outputs(M::Head::flatten(predictions), M::SPEC)
}

/// Refuses outputs of examples one after another that are not finite.
fn check_outputs(outputs: &[f32], spec: ModelSpec) -> Result<(), Error> {
    match first_non_finite(outputs) {
        Some(index) => Err(Error::NonFinitePrediction {
            example: index / spec.head.outputs,
            output: index % spec.head.outputs,
            value: outputs[index],
        }),
        None => Ok(()),
    }
}
