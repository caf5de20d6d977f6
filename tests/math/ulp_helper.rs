//! The tool that judges the functions, judged by values that can be checked by hand.

use crate::support::ulp::{above, error, ulp};

const SMALLEST: f64 = 1.401_298_464_324_817e-45; // 2⁻¹⁴⁹

#[test]
fn the_ulp_of_zero_and_of_subnormals_is_the_smallest_float() {
    assert_eq!(SMALLEST, f64::from(f32::from_bits(1)));
    for value in [0.0, -0.0, SMALLEST, -1e-40, f32::MIN_POSITIVE.into()] {
        assert_eq!(ulp(value), SMALLEST, "{value:e}");
    }
}

#[test]
fn the_ulp_doubles_at_powers_of_two() {
    let epsilon = f64::from(f32::EPSILON);
    assert_eq!(ulp(1.0), epsilon);
    assert_eq!(ulp(-1.0), epsilon);
    assert_eq!(ulp(1.0 - 1e-12), epsilon / 2.0);
    assert_eq!(ulp(1.999_999_999), epsilon);
    assert_eq!(ulp(2.0), 2.0 * epsilon);
    assert_eq!(ulp(f32::MAX.into()), 2.0_f64.powi(104));
}

#[test]
fn the_ulp_is_the_distance_of_neighbours() {
    for value in [1.0, 1.5, 3.7e-39, 1e-38, 65_535.9, 0.1, 3e38_f32] {
        let next = above(value);
        assert_eq!(
            f64::from(next) - f64::from(value),
            ulp(value.into()),
            "{value:e}"
        );
    }
}

#[test]
fn neighbours_are_found_across_zero_and_powers_of_two() {
    assert_eq!(above(0.0), f32::from_bits(1));
    assert_eq!(above(-0.0), f32::from_bits(1));
    assert_eq!(above(-f32::from_bits(1)), 0.0);
    assert_eq!(above(1.0), 1.0 + f32::EPSILON);
    assert_eq!(above(-1.0), -1.0 + f32::EPSILON / 2.0);
    assert_eq!(above(f32::MAX), f32::INFINITY);
}

#[test]
fn an_error_counts_fractions_of_an_ulp_on_either_side() {
    let ulp_of_one = f64::from(f32::EPSILON);
    assert_eq!(error(1.0, 1.0), 0.0);
    assert_eq!(error(1.0, 1.0 + 0.25 * ulp_of_one), 0.25);
    assert_eq!(error(above(1.0), 1.0), 1.0);
    // Below a power of two the unit is half as large, and it is the true value's unit that counts.
    assert_eq!(error(1.0, 1.0 - 0.5 * ulp_of_one), 1.0);
    assert_eq!(error(-1.0, 1.0), 2.0 / ulp_of_one);
}

#[test]
fn an_error_at_zero_is_not_overlooked() {
    assert_eq!(error(f32::from_bits(3), 0.0), 3.0);
    assert_eq!(error(f32::from_bits(1), -SMALLEST), 2.0);
    assert!(error(1e-30, 0.0) > 1e14);
}

#[test]
fn only_like_matches_nan_and_the_infinities() {
    assert_eq!(error(f32::NAN, f64::NAN), 0.0);
    assert_eq!(error(f32::INFINITY, f64::INFINITY), 0.0);
    for (found, exact) in [
        (f32::NAN, 1.0),
        (1.0, f64::NAN),
        (f32::INFINITY, 1.0),
        (f32::INFINITY, f64::NEG_INFINITY),
        (f32::MAX, f64::INFINITY),
    ] {
        assert_eq!(error(found, exact), f64::INFINITY, "{found} for {exact}");
    }
}

#[test]
#[should_panic = "has no last place"]
fn infinity_has_no_ulp() {
    ulp(f64::INFINITY);
}
