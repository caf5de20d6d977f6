//! Between a model's exact shapes and the padded storage that kernels run on.

use crate::error::Error;
use crate::kernels::buffer::Buffer;
use crate::model::Model;

/// A model's parameters in padded storage, if all are finite.
pub(crate) fn checked_and_padded<M: Model>(model: &M) -> Result<Buffer, Error> {
    check_finite(model)?;
    Ok(padded(model))
}

/// Refuses a model with a parameter that is not finite.
pub(crate) fn check_finite<M: Model>(model: &M) -> Result<(), Error> {
    match first_failing(model, f32::is_finite) {
        None => Ok(()),
        Some(element) => Err(Error::NonFiniteParameter {
            tensor: element.tensor,
            row: element.row,
            column: element.column,
            value: element.value,
        }),
    }
}

/// One number of a model, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element {
    pub(crate) tensor: &'static str,
    pub(crate) row: usize,
    pub(crate) column: usize,
    pub(crate) value: f32,
}

/// The first number of a model, in storage order, that fails a test.
pub(crate) fn first_failing<M: Model>(model: &M, passes: impl Fn(f32) -> bool) -> Option<Element> {
    let mut tensors = M::NETWORK.tensors();
    let mut first = None;
    model.visit(&mut |_, values| {
        if let (Some(tensor), None) = (tensors.next(), first) {
            let place = values.iter().position(|&value| !passes(value));
            first = place.map(|place| Element {
                tensor: tensor.name,
                row: place / tensor.columns,
                column: place % tensor.columns,
                value: values[place],
            });
        }
    });
    first
}

/// A model's numbers in padded storage; the padding is zero.
pub(crate) fn padded<M: Model>(model: &M) -> Buffer {
    let mut buffer = Buffer::zeroed(M::NETWORK.parameter_vectors());
    let mut tensors = M::NETWORK.tensors();
    model.visit(&mut |_, values| {
        if let Some(tensor) = tensors.next() {
            let rows = values.chunks_exact(tensor.columns).enumerate();
            for (row, values) in rows {
                buffer.floats_mut()[tensor.row(row)].copy_from_slice(values);
            }
        }
    });
    buffer
}

/// The model whose numbers are in padded storage.
pub(crate) fn unpadded<M: Model>(buffer: &Buffer) -> M {
    let mut model = M::zeroed();
    let mut tensors = M::NETWORK.tensors();
    model.visit_mut(&mut |_, values| {
        if let Some(tensor) = tensors.next() {
            let rows = values.chunks_exact_mut(tensor.columns).enumerate();
            for (row, values) in rows {
                values.copy_from_slice(&buffer.floats()[tensor.row(row)]);
            }
        }
    });
    model
}
