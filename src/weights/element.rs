//! The element types that are read.

use safetensors::Dtype;

use crate::error::Error;

/// The type of a tensor's elements. Tensors of other types are refused.
#[derive(Debug, Clone, Copy)]
pub(super) enum Element {
    F16,
    BF16,
    F32,
    F64,
}

impl Element {
    /// All of them.
    pub(super) const NAMES: &str = "F16, BF16, F32 or F64";

    pub(super) fn of(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::F16 => Some(Self::F16),
            Dtype::BF16 => Some(Self::BF16),
            Dtype::F32 => Some(Self::F32),
            Dtype::F64 => Some(Self::F64),
            _ => None,
        }
    }

    /// Bytes of one element.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Calls `take` with the index and the exact value of each element, until it fails.
    ///
    /// Every type widens to `f64` exactly, so the caller's rounding to `f32` is the only one, and changes F64 alone.
    pub(super) fn try_for_each(
        self,
        bytes: &[u8],
        take: impl FnMut(usize, f64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self {
            Self::F16 => each(bytes, |element| f16(u16::from_le_bytes(element)), take),
            Self::BF16 => each(bytes, |element| bf16(u16::from_le_bytes(element)), take),
            Self::F32 => each(bytes, f32::from_le_bytes, take),
            Self::F64 => each(bytes, f64::from_le_bytes, take),
        }
    }
}

fn each<const BYTES: usize, T: Into<f64>>(
    bytes: &[u8],
    decode: impl Fn([u8; BYTES]) -> T,
    mut take: impl FnMut(usize, f64) -> Result<(), Error>,
) -> Result<(), Error> {
    let (elements, _) = bytes.as_chunks();
    let mut elements = elements.iter().enumerate();
    elements.try_for_each(|(index, &element)| take(index, decode(element).into()))
}

/// Half precision, binary16 of IEEE 754: one bit of sign, five of exponent with bias 15, ten of fraction.
fn f16(bits: u16) -> f32 {
    /// 2⁻²⁴, the smallest positive one.
    const SMALLEST: f32 = 1.0 / 16_777_216.0;
    let (exponent, fraction) = (u32::from(bits >> 10 & 0x1f), bits & 0x3ff);
    let of_fields = |exponent: u32| f32::from_bits(exponent << 23 | u32::from(fraction) << 13);
    let magnitude = match exponent {
        0 => f32::from(fraction) * SMALLEST,
        31 => of_fields(255), // an infinity or NaN, here as there
        _ => of_fields(exponent + 127 - 15),
    };
    if bits >> 15 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// The upper half of an `f32`.
fn bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}
