//! Between a model's exact shapes and the padded storage that kernels run on.

use core::ops::Range;

use crate::error::Error;
use crate::kernels::buffer::Buffer;
use crate::model::{Model, ModelSpec, Role, Tensor};
use crate::simd::LANES;

/// A tensor in the padded storage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Padded {
    pub(super) tensor: Tensor,
    /// Its first element.
    start: usize,
    /// Elements from row to row.
    stride: usize,
}

impl Padded {
    /// The elements of a row.
    pub(super) fn row(self, row: usize) -> Range<usize> {
        let start = self.start + row * self.stride;
        start..start + self.tensor.columns
    }

    /// All its elements, and the padding between its rows.
    pub(super) fn elements(self) -> Range<usize> {
        self.start..self.start + self.tensor.rows * self.stride
    }
}

/// The tensors of a model in the padded storage: rows of whole vectors, but for the embedding, which is padded at its end.
pub(super) fn padded_tensors(spec: ModelSpec) -> impl Iterator<Item = Padded> {
    let mut end = 0;
    spec.tensors().map(move |tensor| {
        let start = end;
        let stride = match tensor.role {
            Role::Embedding => tensor.columns,
            Role::Weights | Role::Bias => tensor.columns.next_multiple_of(LANES),
        };
        end = (start + tensor.rows * stride).next_multiple_of(LANES);
        Padded {
            tensor,
            start,
            stride,
        }
    })
}

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

/// One number of a model, and its position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element {
    pub(crate) tensor: &'static str,
    pub(crate) row: usize,
    pub(crate) column: usize,
    pub(crate) value: f32,
}

/// The first number of a model, in storage order, that fails a test.
pub(crate) fn first_failing<M: Model>(model: &M, passes: impl Fn(f32) -> bool) -> Option<Element> {
    model.tensors().find_map(|(tensor, values)| {
        let index = values.iter().position(|&value| !passes(value))?;
        Some(Element {
            tensor: tensor.name,
            row: index / tensor.columns,
            column: index % tensor.columns,
            value: values[index],
        })
    })
}

/// A model's numbers in padded storage; the padding is zero.
pub(super) fn padded<M: Model>(model: &M) -> Buffer {
    let mut buffer = Buffer::zeroed(M::SPEC.parameter_vectors());
    pad(model, &mut buffer);
    buffer
}

/// Writes a model's numbers to padded storage, whose padding is left alone.
pub(super) fn pad<M: Model>(model: &M, buffer: &mut Buffer) {
    for (padded, (tensor, values)) in padded_tensors(M::SPEC).zip(model.tensors()) {
        for (row, values) in values.chunks_exact(tensor.columns).enumerate() {
            buffer.floats_mut()[padded.row(row)].copy_from_slice(values);
        }
    }
}

/// The model whose numbers are in padded storage.
pub(super) fn unpadded<M: Model>(buffer: &Buffer) -> M {
    let mut model = M::zeroed();
    for (padded, (tensor, values)) in padded_tensors(M::SPEC).zip(model.tensors_mut()) {
        for (row, values) in values.chunks_exact_mut(tensor.columns).enumerate() {
            values.copy_from_slice(&buffer.floats()[padded.row(row)]);
        }
    }
    model
}
