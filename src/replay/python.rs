//! Python's `random.Random` with an integer seed: the words, the bounded integers and the shuffle.
//!
//! Source: the behaviour of CPython 3.11 (unchanged since 3.2); the generator is MT19937 seeded by
//! an array. Integers only, so exact everywhere.

use super::mersenne_twister::MersenneTwister;

/// The generator behind Python's `random.seed(…)`, `random.getrandbits(…)` and `random.shuffle(…)`.
///
/// ```
/// use fused_mlp::replay::python::Random;
///
/// let mut numbers = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
/// Random::from_seed(42).shuffle(&mut numbers);
/// assert_eq!(numbers, [7, 3, 2, 8, 5, 6, 9, 4, 0, 1]);
/// ```
#[derive(Clone, Debug)]
pub struct Random {
    words: MersenneTwister,
}

impl Random {
    /// `random.seed(seed)`.
    ///
    /// Python seeds by the absolute value, so a negative seed is its positive twin.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let [high, low] = super::halves(seed);
        Self::from_words(&[low, high])
    }

    /// `random.seed(seed)` for an integer of any size, given as 32-bit words, least significant
    /// first.
    ///
    /// Zero words at the significant end do not count, and no words at all mean the seed 0.
    #[must_use]
    pub fn from_words(seed: &[u32]) -> Self {
        let significant = seed
            .iter()
            .rposition(|&word| word != 0)
            .map_or(0, |last| last + 1);
        let words = match &seed[..significant] {
            [] => MersenneTwister::from_words(&[0]),
            words => MersenneTwister::from_words(words),
        };
        Self { words }
    }

    /// `random.getrandbits(bits)`: an integer in [0, 2^`bits`).
    ///
    /// Draws one word for every 32 bits begun, least significant first; the last one gives its
    /// highest bits.
    ///
    /// # Panics
    /// If `bits` is more than 64, which Python allows and a `u64` cannot hold.
    pub fn getrandbits(&mut self, bits: u32) -> u64 {
        assert!(bits <= 64, "{bits} random bits do not fit 64");
        (0..bits).step_by(32).fold(0, |value, done| {
            let wanted = (bits - done).min(32);
            let word = self.words.next_u32() >> (32 - wanted);
            value | u64::from(word) << done
        })
    }

    /// A uniform integer in [0, `n`), as `random.randrange(n)` and the shuffle draw it.
    ///
    /// Draws as many bits as `n` itself has (so 4 for `n` = 8) until the value is below `n`.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert_ne!(n, 0, "no integer is below 0");
        let bits = u64::BITS - n.leading_zeros();
        loop {
            let value = self.getrandbits(bits);
            if value < n {
                return value;
            }
        }
    }

    /// `random.shuffle(items)`: for i from the last index down to 1, swaps items i and
    /// [`below`](Self::below)(i + 1).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "at most `last`, which is a usize"
            )]
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}
