//! From a file's bytes to a model: the header first, and then the tensors that the model has.

use alloc::vec;
use alloc::vec::Vec;

use super::about;
use super::header::Header;
use super::keys::{Keyed, Keys};
use super::source::Source;
use crate::error::Error;
use crate::model::Model;
use crate::network::Network;

/// The model of a file of one.
pub(super) fn model<M: Model>(source: &mut impl Source, keys: &Keys) -> Result<M, Error> {
    let mut header = Header::read(source)?;
    if let Some(about) = &header.about {
        about::check(about, M::NETWORK)?;
    }
    let places = locate(&mut header, keys, M::NETWORK)?;
    if !keys.ignores_others {
        header.check_all_taken(&about::architecture(M::NETWORK))?;
    }
    tensors(source, keys, &places)
}

/// Where each tensor of a model begins in a file.
pub(super) fn locate(
    header: &mut Header,
    keys: &Keys,
    network: Network,
) -> Result<Vec<u64>, Error> {
    keys.of(network)
        .map(|keyed| header.take(&keyed.key.name, &keyed.shape()))
        .collect()
}

/// The model whose tensors begin at these places.
pub(super) fn tensors<M: Model>(
    source: &mut impl Source,
    keys: &Keys,
    places: &[u64],
) -> Result<M, Error> {
    let mut model = M::zeroed();
    let mut tensors = keys.of(M::NETWORK).zip(places);
    let mut result = Ok(());
    model.visit_mut(&mut |_, values| {
        if let (Ok(()), Some((keyed, &start))) = (&result, tensors.next()) {
            result = tensor(source, start, keyed, values);
        }
    });
    result.map(|()| model)
}

fn tensor(
    source: &mut impl Source,
    start: u64,
    keyed: Keyed<'_>,
    values: &mut [f32],
) -> Result<(), Error> {
    let mut bytes = vec![0; size_of_val(values)];
    source.read(start, &mut bytes)?;
    let (elements, _) = bytes.as_chunks();
    for (place, &element) in elements.iter().enumerate() {
        let value = f32::from_le_bytes(element);
        keyed.check_finite(place, value)?;
        values[keyed.in_model(place)] = value;
    }
    Ok(())
}
