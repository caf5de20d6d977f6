//! From a file's bytes to a model: the header first, and then the tensors that the model has.

use alloc::vec;
use alloc::vec::Vec;

use super::about;
use super::header::Header;
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

/// Each tensor of a model, and the offset at which it begins in a file.
pub(super) fn locate(
    header: &mut Header,
    keys: &Keys,
    spec: ModelSpec,
) -> Result<Vec<(Keyed, u64)>, Error> {
    let take = |keyed: Keyed| {
        let start = header.take(&keyed.key.name, &keyed.shape())?;
        Ok((keyed, start))
    };
    keys.of(spec)?.into_iter().map(take).collect()
}

/// The model whose tensors begin at these offsets.
pub(super) fn tensors<M: Model>(
    source: &mut impl Source,
    located: &[(Keyed, u64)],
) -> Result<M, Error> {
    let mut model = M::zeroed();
    for ((keyed, start), (_, values)) in located.iter().zip(model.tensors_mut()) {
        tensor(source, *start, keyed, values)?;
    }
    Ok(model)
}

fn tensor(
    source: &mut impl Source,
    start: u64,
    keyed: &Keyed,
    values: &mut [f32],
) -> Result<(), Error> {
    let mut bytes = vec![0; size_of_val(values)];
    source.read(start, &mut bytes)?;
    let (elements, _) = bytes.as_chunks();
    for (index, &element) in elements.iter().enumerate() {
        let value = f32::from_le_bytes(element);
        keyed.check_finite(index, value)?;
        values[keyed.in_model(index)] = value;
    }
    Ok(())
}
