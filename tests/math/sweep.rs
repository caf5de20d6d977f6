//! Runs a function over a range of bit patterns, on every backend, against an oracle.

use std::ops::RangeInclusive;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use fused_mlp::{Backend, math};

use crate::support::{fused, ulp};

/// A function of `math` and what it is held to.
#[derive(Clone, Copy)]
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) apply: fn(Backend, &mut [f32]),
    /// Its true value, within a unit in the last place of `f64`.
    pub(crate) truth: fn(f64) -> f64,
    /// The true value rounded to the nearest `f32`, by other code than `truth`.
    pub(crate) rounded: fn(f32) -> f32,
    /// Largest error in units in the last place of the true value.
    pub(crate) max_ulp: f64,
    /// What the bound grows by on a backend without fused multiply-add.
    pub(crate) unfused_extra_ulp: f64,
    /// Largest magnitude of a result.
    pub(crate) ceiling: f32,
    /// Whether results must be 0 where true values lie below 2⁻¹²⁶.
    pub(crate) flushes: bool,
    /// Whether f(−x) = −f(x) to the bit, so that a sweep over x ≥ 0 covers all.
    pub(crate) odd: bool,
    /// Whether a larger x must not give a smaller result.
    pub(crate) monotone: bool,
}

pub(crate) const TANH: Function = Function {
    name: "tanh",
    apply: math::tanh,
    truth: pxfm::f_tanh,
    rounded: pxfm::f_tanhf,
    max_ulp: math::TANH_MAX_ULP,
    unfused_extra_ulp: math::UNFUSED_EXTRA_ULP,
    ceiling: 1.0,
    flushes: false,
    odd: true,
    monotone: true,
};

pub(crate) const EXP: Function = Function {
    name: "exp",
    apply: math::exp,
    truth: pxfm::f_exp,
    rounded: pxfm::f_expf,
    max_ulp: math::EXP_MAX_ULP,
    unfused_extra_ulp: math::UNFUSED_EXTRA_ULP,
    ceiling: 1.0,
    flushes: true,
    odd: false,
    monotone: false,
};

pub(crate) const LN: Function = Function {
    name: "ln",
    apply: math::ln,
    truth: pxfm::f_log,
    rounded: pxfm::f_logf,
    max_ulp: math::LN_MAX_ULP,
    unfused_extra_ulp: math::UNFUSED_EXTRA_ULP,
    ceiling: 11.090_355, // ln 2¹⁶, rounded up
    flushes: false,
    odd: false,
    monotone: false,
};

/// Inputs by bit pattern: `first, first + step, …`, not above `last`.
#[derive(Clone, Copy)]
pub(crate) struct Inputs {
    first: u64,
    last: u64,
    step: u64,
}

impl Inputs {
    /// Every `step`th bit pattern from one number's to another's, away from zero.
    pub(crate) fn every(step: u64, numbers: RangeInclusive<f32>) -> Self {
        Self {
            first: numbers.start().to_bits().into(),
            last: numbers.end().to_bits().into(),
            step,
        }
    }

    pub(crate) fn count(self) -> u64 {
        (self.last - self.first) / self.step + 1
    }

    /// Numbers `from .. to` of these inputs.
    pub(crate) fn values(self, from: u64, to: u64) -> impl Iterator<Item = f32> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most `last`, which was the pattern of an f32"
        )]
        let value = move |i| f32::from_bits((self.first + i * self.step) as u32);
        (from..to.min(self.count())).map(value)
    }
}

/// What a sweep found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Findings {
    /// Inputs looked at.
    pub(crate) inputs: u64,
    /// Largest error in units in the last place of the true value, and where.
    pub(crate) worst: f64,
    pub(crate) at: f32,
    /// Largest number of `f32` from the result to the correctly rounded one.
    pub(crate) steps: u32,
    /// Largest error of the oracle's own rounded value: hardly above a half, or its two answers disagree.
    pub(crate) oracle: f64,
    /// Neighbours in the sweep whose results go the other way than their true values, and the first of two such.
    pub(crate) reversals: u64,
    pub(crate) reversal: f32,
}

impl Findings {
    const NONE: Self = Self {
        inputs: 0,
        worst: 0.0,
        at: f32::NAN,
        steps: 0,
        oracle: 0.0,
        reversals: 0,
        reversal: f32::NAN,
    };

    fn merge(&mut self, other: Self) {
        if other.worst > self.worst {
            (self.worst, self.at) = (other.worst, other.at);
        }
        if other.reversals > 0 {
            self.reversal = other.reversal;
        }
        self.inputs += other.inputs;
        self.reversals += other.reversals;
        self.steps = self.steps.max(other.steps);
        self.oracle = self.oracle.max(other.oracle);
    }
}

/// Inputs that a thread takes at a time.
const BLOCK: u64 = 1 << 16;

/// Compares `function` on `backend` with the oracle at every input, and all backends that promise its bits with it.
pub(crate) fn sweep(function: Function, backend: Backend, inputs: Inputs) -> Findings {
    // One more than the block, so that its last input is compared with its successor.
    let found = in_blocks(inputs, 1, |xs| block(function, backend, xs));
    let mut findings = Findings::NONE;
    found.into_iter().for_each(|found| findings.merge(found));
    findings
}

/// The largest of what `work` gives for blocks of the inputs.
pub(crate) fn largest(inputs: Inputs, work: impl Fn(&[f32]) -> f64 + Sync) -> f64 {
    in_blocks(inputs, 0, work).into_iter().fold(0.0, f64::max)
}

/// Hands all inputs to `work`, block by block, each with so many more that follow it, on all cores.
fn in_blocks<T: Send>(inputs: Inputs, more: u64, work: impl Fn(&[f32]) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let worker = || {
        let mut results = Vec::new();
        loop {
            let from = next.fetch_add(BLOCK, Ordering::Relaxed);
            if from >= inputs.count() {
                return results;
            }
            let xs: Vec<f32> = inputs.values(from, from + BLOCK + more).collect();
            results.push(work(&xs));
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let results = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        results.collect()
    })
}

/// All of `xs` but one beyond a block, each compared with the truth and with its successor.
fn block(function: Function, backend: Backend, xs: &[f32]) -> Findings {
    let ys = apply(function, backend, xs);
    let mirrored: Vec<f32> = xs.iter().map(|x| -x).collect();
    let negated: Vec<f32> = ys.iter().map(|y| -y).collect();
    let alike = fused().filter(|other| backend.is_fused() && *other != backend);
    for on in alike.chain([backend]) {
        assert_same_bits(function, on, xs, &ys);
        if function.odd {
            assert_same_bits(function, on, &mirrored, &negated);
        }
    }

    let mut findings = Findings::NONE;
    let mut previous: Option<(f32, f32, f64)> = None;
    for (&x, &y) in xs.iter().zip(&ys) {
        let exact = (function.truth)(x.into());
        if let Some((x, before, exact_before)) = previous {
            let falls = exact < exact_before;
            if if falls { y > before } else { y < before } {
                findings.reversals += 1;
                findings.reversal = x;
            }
        }
        previous = Some((x, y, exact));
        if findings.inputs == BLOCK {
            break; // counted in the next block
        }
        findings.inputs += 1;

        let name = function.name;
        assert!(y.abs() <= function.ceiling, "{name}({x:e}) = {y:e}");
        let mut rounded = (function.rounded)(x);
        findings.oracle = findings.oracle.max(ulp::error(rounded, exact));
        let mut error = ulp::error(y, exact);
        if function.flushes && exact < f32::MIN_POSITIVE.into() {
            rounded = 0.0;
            error = if y.to_bits() == 0 { 0.0 } else { f64::INFINITY };
        }
        let steps = y.to_bits().abs_diff(rounded.to_bits());
        findings.steps = findings.steps.max(steps);
        if error > findings.worst {
            (findings.worst, findings.at) = (error, x);
        }
    }
    findings
}

fn apply(function: Function, backend: Backend, xs: &[f32]) -> Vec<f32> {
    let mut ys = xs.to_vec();
    (function.apply)(backend, &mut ys);
    ys
}

fn assert_same_bits(function: Function, on: Backend, xs: &[f32], expected: &[f32]) {
    let found = apply(function, on, xs);
    for ((x, found), expected) in xs.iter().zip(found).zip(expected) {
        assert!(
            found.to_bits() == expected.to_bits(),
            "{}({x:e} = {:#010x}) on {on} is {found:e}, not {expected:e}",
            function.name,
            x.to_bits(),
        );
    }
}
