//! From a file's bytes to a model: the header first, and then the tensors that the model has.

use alloc::vec;
use alloc::vec::Vec;

use super::about;
use super::header::{Header, TensorData};
use super::keys::{Keyed, Keys};
use super::source::Source;
use crate::error::Error;
use crate::model::{Model, ModelSpec};

/// The model of a file of one.
pub(super) fn model<M: Model>(source: &mut impl Source, keys: &Keys) -> Result<M, Error> {
    let mut header = Header::read(source)?;
    if let Some(about) = &header.about {
        about::check(about, M::SPEC)?;
    }
    let located = locate(&mut header, keys, M::SPEC)?;
    if !keys.ignores_others() {
        header.check_all_taken(&about::architecture(M::SPEC))?;
    }
    tensors(source, &located)
}

/// Each tensor of a model, and its elements in a file.
pub(super) fn locate(
    header: &mut Header,
    keys: &Keys,
    spec: ModelSpec,
) -> Result<Vec<(Keyed, TensorData)>, Error> {
    let take = |keyed: Keyed| {
        let data = header.take(&keyed.key.name, &keyed.shape())?;
        Ok((keyed, data))
    };
    keys.of(spec)?.into_iter().map(take).collect()
}

/// The model of these tensors.
pub(super) fn tensors<M: Model>(
    source: &mut impl Source,
    located: &[(Keyed, TensorData)],
) -> Result<M, Error> {
    let mut model = M::zeroed();
    for ((keyed, data), (_, values)) in located.iter().zip(model.tensors_mut()) {
        tensor(source, data, keyed, values)?;
    }
    Ok(model)
}

fn tensor(
    source: &mut impl Source,
    data: &TensorData,
    keyed: &Keyed,
    values: &mut [f32],
) -> Result<(), Error> {
    let mut bytes = vec![0; values.len() * data.element.size()];
    source.read(data.start, &mut bytes)?;
    data.element.try_for_each(&bytes, |index, exact| {
        values[keyed.in_model(index)] = keyed.finite(index, exact)?;
        Ok(())
    })
}
