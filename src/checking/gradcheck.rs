//! Whether gradients are right: the kernels against the [reference](crate::reference), and the reference against central
//! finite differences.
//!
//! ```
//! use fused_mlp::{Backend, NameModel, SeedableRng, Xoshiro256PlusPlus, gradcheck};
//!
//! let model = NameModel::fan_in_scaled(&mut Xoshiro256PlusPlus::seed_from_u64(1));
//! let report = gradcheck::kernels(&model, Backend::detect(), &[[0, 5, 13], [5, 13, 13]], &[13, 1])?;
//! assert!(report.holds(), "{report}");
//! # Ok::<(), fused_mlp::Error>(())
//! ```

use core::fmt;

use alloc::vec::Vec;

use super::reference::Reference;
use crate::error::Error;
use crate::model::{ExampleOf, Head, HiddenLayers, Input, Mlp, Model, TargetOf};
use crate::simd::Backend;

/// The kernels' error in a coordinate is at most this, times the sum of the absolute values of the terms that the
/// coordinate is the sum of. (A bound relative to the coordinate itself cannot hold where its terms cancel.)
pub const KERNEL_TOLERANCE: f64 = 2e-5;

/// The reference agrees with central differences within this share of the derivative, plus [`DIFFERENCE_ATOL`].
pub const DIFFERENCE_RTOL: f64 = 1e-6;
/// See [`DIFFERENCE_RTOL`].
pub const DIFFERENCE_ATOL: f64 = 1e-8;

/// Half the distance between the two points of a central difference. Its square times a third derivative, and 2⁻⁵² times a
/// loss of a few tens over it, both stay below [`DIFFERENCE_ATOL`].
const HALF_STEP: f64 = 1e-5;

/// One coordinate of a gradient, computed in two ways.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coordinate {
    /// Row of the element, in the tensor's `[rows, columns]`.
    pub row: usize,
    /// Column of the element.
    pub column: usize,
    /// What was checked.
    pub found: f64,
    /// What it was checked against.
    pub expected: f64,
    /// The largest difference that is allowed.
    pub allowed: f64,
}

impl Coordinate {
    /// The difference as a share of what is allowed; at most 1 if the check holds, infinite for NaN.
    #[must_use]
    pub fn share(&self) -> f64 {
        let difference = (self.found - self.expected).abs();
        if difference == 0.0 {
            0.0
        } else if difference.is_nan() {
            f64::INFINITY
        } else {
            difference / self.allowed
        }
    }
}

/// The check of one tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TensorReport {
    /// The tensor.
    pub name: &'static str,
    /// Number of coordinates; every one was checked.
    pub coordinates: usize,
    /// The coordinate that is farthest out.
    pub worst: Coordinate,
}

/// The check of a model's gradient on a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// One for each tensor, in storage order.
    pub tensors: Vec<TensorReport>,
}

impl Report {
    /// Whether every coordinate is within what is allowed.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.tensors
            .iter()
            .all(|tensor| tensor.worst.share() <= 1.0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for TensorReport {
            name,
            coordinates,
            worst,
        } in &self.tensors
        {
            writeln!(
                f,
                "{name}: {coordinates} coordinates, worst at [{}, {}]: {:e} against {:e}, {:.3} of what is allowed",
                worst.row,
                worst.column,
                worst.found,
                worst.expected,
                worst.share()
            )?;
        }
        Ok(())
    }
}

/// Checks the gradients that the kernels compute on `backend` against the reference.
///
/// # Errors
///
/// As [`Mlp::loss`].
pub fn kernels<I: Input, L: HiddenLayers, O: Head>(
    model: &Mlp<I, L, O>,
    backend: Backend,
    inputs: &[I::Example],
    targets: &[O::Target],
) -> Result<Report, Error> {
    let (_, found) = model.gradients_on(backend, inputs, targets)?;
    let (_, expected) = Reference::of(model).gradients(inputs, targets)?;
    let found = Reference::of(&found); // the same tensors, widened
    let tensors = found
        .tensors()
        .zip(&expected)
        .map(|((tensor, found), expected)| {
            worst(tensor.name, found.nrows(), found.ncols(), |at| Coordinate {
                row: at.0,
                column: at.1,
                found: found[at],
                expected: expected.values[at],
                allowed: KERNEL_TOLERANCE * expected.magnitudes[at],
            })
        });
    Ok(Report {
        tensors: tensors.collect(),
    })
}

/// Checks the gradients of the reference against central differences of its own loss, in every coordinate:
///
/// ```text
/// (loss(p + s) − loss(p − s)) / 2s     s = 1e-5
/// ```
///
/// A ReLU neuron whose sum lies within s of zero on some example has no derivative there, and may fail.
///
/// # Errors
///
/// As [`Reference::loss`].
pub fn reference<M: Model>(
    model: &M,
    inputs: &[ExampleOf<M>],
    targets: &[TargetOf<M>],
) -> Result<Report, Error> {
    let mut reference = Reference::of(model);
    let (_, gradients) = reference.gradients(inputs, targets)?;
    let mut tensors = Vec::new();
    for (tensor, gradient) in gradients.iter().enumerate() {
        let (rows, columns) = gradient.values.shape();
        let mut loss_at = |(row, column), offset: f64| {
            let element = reference.element_mut(tensor, row, column);
            let original = *element;
            *element = original + offset;
            let loss = reference.loss(inputs, targets);
            *reference.element_mut(tensor, row, column) = original;
            loss
        };
        let mut result = Ok(());
        tensors.push(worst(gradient.tensor.name, rows, columns, |at| {
            let found = gradient.values[at];
            let mut expected = f64::NAN;
            match (loss_at(at, HALF_STEP), loss_at(at, -HALF_STEP)) {
                (Ok(above), Ok(below)) => expected = (above - below) / (2.0 * HALF_STEP),
                (Err(error), _) | (_, Err(error)) => result = Err(error),
            }
            let allowed = DIFFERENCE_ATOL + DIFFERENCE_RTOL * expected.abs();
            Coordinate {
                row: at.0,
                column: at.1,
                found,
                expected,
                allowed,
            }
        }));
        result?;
    }
    Ok(Report { tensors })
}

/// Looks at every coordinate, and keeps the one that is farthest out.
fn worst(
    name: &'static str,
    rows: usize,
    columns: usize,
    mut coordinate: impl FnMut((usize, usize)) -> Coordinate,
) -> TensorReport {
    let mut worst = coordinate((0, 0));
    let mut coordinates = 0;
    for row in 0..rows {
        for column in 0..columns {
            let next = coordinate((row, column));
            coordinates += 1;
            if next.share() > worst.share() {
                worst = next;
            }
        }
    }
    TensorReport {
        name,
        coordinates,
        worst,
    }
}
