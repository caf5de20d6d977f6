//! The two correctly rounded `f32` functions that `core` does not have yet.
//!
//! Both are correctly rounded wherever they come from, so the choice changes no bit.

/// a · b + c with one rounding.
#[inline(always)]
pub(crate) fn mul_add(a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}

/// √a.
#[inline(always)]
pub(crate) fn sqrt(a: f32) -> f32 {
    a.sqrt()
}
