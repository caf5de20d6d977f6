//! Numbers with the scale of the rounding error that they may have in lower precision.

/// A value and the sum of the absolute values that it came from.
#[derive(Clone, Copy)]
pub(super) struct Bounded {
    pub(super) value: f64,
    pub(super) magnitude: f64,
}

impl Bounded {
    /// A number that is no result of a sum.
    pub(super) fn exact(value: f64) -> Self {
        Self {
            value,
            magnitude: value.abs(),
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            value: self.value + other.value,
            magnitude: self.magnitude + other.magnitude,
        }
    }

    pub(super) fn times(self, other: Self) -> Self {
        Self {
            value: self.value * other.value,
            magnitude: self.magnitude * other.magnitude,
        }
    }
}
