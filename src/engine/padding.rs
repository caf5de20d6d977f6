//! Between a model's exact shapes and the padded storage that kernels run on.

use alloc::vec::Vec;
use core::ops::Range;

use crate::error::Error;
use crate::kernels::buffer::Buffer;
use crate::model::{LayerSpec, Model, ModelSpec, Role, Tensor};
use crate::simd::LANES;

/// A tensor in the padded storage.
#[derive(Clone, Debug)]
pub(super) struct Padded {
    pub(super) tensor: Tensor,
    /// Where it begins, and all of it ends, with the padding.
    elements: Range<usize>,
    /// Elements from row to row, and from column to column: one of the two is 1.
    strides: [usize; 2],
}

impl Padded {
    /// The places of a row's elements.
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = usize> + use<> {
        let [of_rows, of_columns] = self.strides;
        let first = self.elements.start + row * of_rows;
        (0..self.tensor.columns).map(move |column| first + column * of_columns)
    }

    /// All its elements, and the padding between them.
    pub(super) fn elements(&self) -> Range<usize> {
        self.elements.clone()
    }
}

/// The tensors of a model in the padded storage: rows of whole vectors, but for the embedding, which is padded at its end, and
/// the weights of a [narrow](crate::model::LayerSpec::is_narrow) layer, whose columns are.
pub(super) fn padded_tensors(spec: ModelSpec) -> impl Iterator<Item = Padded> {
    let mut end = 0;
    spec.tensors().map(move |tensor| {
        let start = end;
        let is_narrow = || {
            spec.layers()
                .nth(tensor.layer)
                .is_some_and(LayerSpec::is_narrow)
        };
        let (strides, len) = match tensor.role {
            Role::Embedding => ([tensor.columns, 1], tensor.len()),
            Role::Weights if is_narrow() => {
                let column = tensor.rows.next_multiple_of(LANES);
                ([1, column], tensor.columns * column)
            }
            Role::Weights | Role::Bias => {
                let row = tensor.columns.next_multiple_of(LANES);
                ([row, 1], tensor.rows * row)
            }
        };
        end = (start + len).next_multiple_of(LANES);
        Padded {
            tensor,
            elements: start..start + len,
            strides,
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
            for (place, &value) in padded.row(row).zip(values) {
                buffer.floats_mut()[place] = value;
            }
        }
    }
}

/// The numbers in padded storage without the padding, in the order of the tensors.
pub(super) fn flat(spec: ModelSpec, buffer: &Buffer) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(spec.parameter_count());
    for padded in padded_tensors(spec) {
        for row in 0..padded.tensor.rows {
            numbers.extend(padded.row(row).map(|place| buffer.floats()[place]));
        }
    }
    numbers
}

/// The model whose numbers are in padded storage.
pub(super) fn unpadded<M: Model>(buffer: &Buffer) -> M {
    let mut model = M::zeroed();
    for (padded, (tensor, values)) in padded_tensors(M::SPEC).zip(model.tensors_mut()) {
        for (row, values) in values.chunks_exact_mut(tensor.columns).enumerate() {
            for (place, value) in padded.row(row).zip(values) {
                *value = buffer.floats()[place];
            }
        }
    }
    model
}
