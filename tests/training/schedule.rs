//! Schedules keep to their formulas: as recurrences, at their ends, and in between.

use fused_mlp::schedule::{constant, cosine, step_decay, warm_up};
use proptest::prelude::*;

use crate::REGRESSIONS;
use crate::support::config;

/// Largest difference of numbers up to 2 that differ by the roundings of a few operations.
const TOLERANCE: f64 = 4.0 * f64::EPSILON;

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() <= TOLERANCE * right.abs().max(1.0)
}

proptest! {
    #![proptest_config(config(256, REGRESSIONS))]

    #[test]
    fn a_step_decay_multiplies_once_more_after_every_period(
        period in 1..50_u64,
        factor in 0.5..1.0_f64,
    ) {
        let mut expected = 1.0;
        for step in 0..200 {
            if step > 0 && step % period == 0 {
                expected *= factor;
            }
            // The product is rounded once a period.
            let tolerance = 200.0 * f64::EPSILON * expected;
            prop_assert!((step_decay(step, period, factor) - expected).abs() <= tolerance);
        }
        prop_assert!(step_decay(0, 0, factor).is_nan());
    }

    #[test]
    fn a_cosine_falls_from_one_to_its_floor_and_stays(
        steps in 1..2_000_u64,
        floor in 0.0..1.0_f64,
    ) {
        prop_assert_eq!(cosine(0, steps, floor), floor + (1.0 - floor));
        for step in 0..steps {
            let (before, after) = (cosine(step, steps, floor), cosine(step + 1, steps, floor));
            prop_assert!(before >= after && after >= floor);
            // Half a turn is symmetric about its middle.
            let mirrored = cosine(steps - step, steps, floor);
            prop_assert!(close(before + mirrored, 1.0 + floor));
        }
        for step in [steps, steps + 1, 2 * steps, u64::MAX] {
            prop_assert_eq!(cosine(step, steps, floor), floor);
        }
        prop_assert!(close(cosine(steps, 2 * steps, floor), 0.5 + 0.5 * floor));
        prop_assert!(close(cosine(steps, 3 * steps, floor), 0.75 + 0.25 * floor));
    }

    #[test]
    fn a_warm_up_rises_by_equal_steps_to_one_and_stays(
        steps in 1..2_000_u32,
        start in 0.0..1.0_f64,
    ) {
        let steps = u64::from(steps);
        prop_assert_eq!(warm_up(0, steps, start), start);
        let rise = warm_up(1, steps, start) - start;
        for step in 0..steps {
            let [before, after] = [step, step + 1].map(|step| warm_up(step, steps, start));
            prop_assert!(close(after - before, rise));
        }
        for step in [steps, steps + 1, u64::MAX] {
            prop_assert_eq!(warm_up(step, steps, start), 1.0);
        }
    }
}

#[test]
fn no_steps_are_the_end_of_a_schedule() {
    assert_eq!(cosine(0, 0, 0.25), 0.25);
    assert_eq!(warm_up(0, 0, 0.25), 1.0);
    assert_eq!([0, 1, u64::MAX].map(constant), [1.0; 3]);
}
