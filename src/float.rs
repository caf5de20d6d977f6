//! The two correctly rounded `f32` functions that `core` does not have yet.
//!
//! With `std` they are single instructions where the target has these, and its mathematical library's functions elsewhere;
//! without, `libm`'s. Both are correctly rounded wherever they come from, so the choice changes no bit.

/// a · b + c with one rounding.
#[inline(always)]
pub(crate) fn mul_add(a: f32, b: f32, c: f32) -> f32 {
    #[cfg(feature = "std")]
    return a.mul_add(b, c);
    #[cfg(not(feature = "std"))]
    return libm::fmaf(a, b, c);
}

/// √a.
#[inline(always)]
pub(crate) fn sqrt(a: f32) -> f32 {
    #[cfg(feature = "std")]
    return a.sqrt();
    #[cfg(not(feature = "std"))]
    return libm::sqrtf(a);
}
