//! Interleaved repetitions.
//!
//! The clock of a shared machine wanders by tens of percent from minute to minute. Things measured one after another
//! differ by that; things measured in turn, again and again, do not, and what counts is the median of the ratios within
//! a round.

/// Seconds that something took in each round; none where it sat out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<Option<f64>>);

/// Lets each of `turns` take its turn `rounds` times. `repeat` gets the number of the round and returns seconds, or none
/// if this one sits the round out.
pub(crate) fn interleave<T>(
    rounds: usize,
    turns: &mut [T],
    mut repeat: impl FnMut(&mut T, usize) -> Option<f64>,
) -> Vec<Samples> {
    let mut samples = vec![Samples::default(); turns.len()];
    for round in 0..rounds {
        for (turn, samples) in turns.iter_mut().zip(&mut samples) {
            samples.0.push(repeat(turn, round));
        }
    }
    samples
}

impl Samples {
    /// The rounds that it took part in, in order.
    pub(crate) fn seconds(&self) -> impl Iterator<Item = f64> {
        self.0.iter().copied().flatten()
    }

    /// Not a number if it never took part.
    pub(crate) fn median(&self) -> f64 {
        median(self.seconds().collect())
    }

    /// The 10th percentile, which is that of the machine's quiet state.
    pub(crate) fn tenth(&self) -> f64 {
        let mut seconds: Vec<f64> = self.seconds().collect();
        seconds.sort_by(f64::total_cmp);
        let index = seconds.len().saturating_sub(1) / 10;
        seconds.get(index).copied().unwrap_or(f64::NAN)
    }

    /// The fastest.
    pub(crate) fn min(&self) -> f64 {
        self.seconds().fold(f64::INFINITY, f64::min)
    }

    /// The median of the ratios to another one in the same round.
    pub(crate) fn ratio_to(&self, other: &Self) -> f64 {
        let pairs = self.0.iter().zip(&other.0);
        median(
            pairs
                .filter_map(|(own, others)| Some((*own)? / (*others)?))
                .collect(),
        )
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values[..] {
        [] => f64::NAN,
        _ => f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]),
    }
}
