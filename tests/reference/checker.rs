//! The tool that judges gradients, given some that are wrong.

use fused_mlp::gradcheck::{Coordinate, Report, TensorReport};

fn coordinate(found: f64, expected: f64) -> Coordinate {
    Coordinate {
        row: 3,
        column: 5,
        found,
        expected,
        allowed: 0.5,
    }
}

fn report(worst: Coordinate) -> Report {
    let fine = coordinate(1.0, 1.0);
    let tensors = [("embedding", fine), ("output_bias", worst)];
    Report {
        tensors: tensors
            .map(|(name, worst)| TensorReport {
                name,
                coordinates: 40,
                worst,
            })
            .to_vec(),
    }
}

#[test]
fn a_difference_up_to_the_allowed_one_holds() {
    assert!(report(coordinate(1.5, 1.0)).holds());
    assert!(report(coordinate(-0.5, 0.0)).holds());
}

#[test]
fn a_larger_difference_does_not_hold_and_is_named() {
    let report = report(coordinate(1.6, 1.0));
    assert!(!report.holds());
    let line = report.to_string();
    let line = line.lines().last().unwrap();
    let parts = ["output_bias", "40", "[3, 5]", "1.6", "1e0", "1.2"];
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in {line:?}");
    }
}

#[test]
fn nan_and_infinity_never_hold() {
    let bad = [f64::NAN, f64::INFINITY];
    for value in bad {
        assert!(!report(coordinate(value, 1.0)).holds());
        assert!(!report(coordinate(1.0, value)).holds());
    }
    assert!(!report(coordinate(f64::INFINITY, f64::NEG_INFINITY)).holds());
}

#[test]
fn nothing_is_allowed_where_all_terms_are_zero() {
    let exact = Coordinate {
        allowed: 0.0,
        ..coordinate(0.0, 0.0)
    };
    assert!(report(exact).holds());
    let off = Coordinate {
        allowed: 0.0,
        ..coordinate(1e-300, 0.0)
    };
    assert!(!report(off).holds());
}
