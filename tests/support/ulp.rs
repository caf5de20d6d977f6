//! Errors of `f32` results in units in the last place of the true value, which is known in `f64`.

/// Distance of the two `f32` that enclose `exact`, or that follow it in its binade: 2^(e − 23) for 2^e ≤ |exact| < 2^(e+1),
/// and 2⁻¹⁴⁹ from 2⁻¹²⁶ down to zero.
pub(crate) fn ulp(exact: f64) -> f64 {
    assert!(exact.is_finite(), "{exact} has no last place");
    let exponent = (exact.abs().to_bits() >> 52).max(1023 - 126) - 23;
    f64::from_bits(exponent << 52)
}

/// |found − exact| in units of [`ulp`]`(exact)`: 0 if both are NaN or the same infinity, and infinite if just one is.
pub(crate) fn error(found: f32, exact: f64) -> f64 {
    let found = f64::from(found);
    if found == exact || (found.is_nan() && exact.is_nan()) {
        0.0
    } else if found.is_finite() && exact.is_finite() {
        (found - exact).abs() / ulp(exact)
    } else {
        f64::INFINITY
    }
}

/// The `f32` next above a finite `value`.
pub(crate) fn above(value: f32) -> f32 {
    f32::from_bits(match value.to_bits() {
        0x8000_0000 => 1,
        bits if value >= 0.0 => bits + 1,
        bits => bits - 1,
    })
}
