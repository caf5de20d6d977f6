//! MT19937, the source of words under both Python's `random` and PyTorch's CPU generator.
//!
//! M. Matsumoto and T. Nishimura, "Mersenne Twister: A 623-dimensionally equidistributed uniform
//! pseudo-random number generator", ACM TOMACS 8(1), 1998, with the two seedings of the authors'
//! revision of 2002. Integers only, so exact everywhere.

/// Words of state.
const WORDS: usize = 624;
/// Distance between the words that the recurrence combines.
const SHIFT: usize = 397;

/// The 32-bit Mersenne Twister.
#[derive(Clone, Debug)]
pub(super) struct MersenneTwister {
    state: [u32; WORDS],
    /// Outputs taken since the last twist; `WORDS` of them call for the next.
    taken: usize,
}

impl MersenneTwister {
    /// Seeds by one word, as PyTorch does.
    pub(super) fn from_word(seed: u32) -> Self {
        let mut state = [seed; WORDS];
        for (index, number) in (1..WORDS).zip(1_u32..) {
            state[index] = mix(state[index - 1])
                .wrapping_mul(1_812_433_253)
                .wrapping_add(number);
        }
        Self {
            state,
            taken: WORDS,
        }
    }

    /// Seeds by an array of words, as Python does. The array must not be empty.
    pub(super) fn from_words(key: &[u32]) -> Self {
        let mut twister = Self::from_word(19_650_218);
        let mut at = 1;
        let numbered_key = key.iter().zip(0_u32..).cycle();
        for (word, number) in numbered_key.take(key.len().max(WORDS)) {
            at = twister.stir(at, 1_664_525, word.wrapping_add(number));
        }
        for _ in 1..WORDS {
            at = twister.stir(at, 1_566_083_941, at.wrapping_neg());
        }
        twister.state[0] = 0x8000_0000;
        twister
    }

    /// One step of the seeding by an array: rewrites the word `at` and returns the place of the
    /// next one.
    fn stir(&mut self, at: u32, multiplier: u32, addend: u32) -> u32 {
        let index = at as usize;
        let mixed = mix(self.state[index - 1]).wrapping_mul(multiplier);
        self.state[index] = (self.state[index] ^ mixed).wrapping_add(addend);
        if index + 1 < WORDS {
            at + 1
        } else {
            // Word 0 is no place of its own, only the last word seen from the next round.
            self.state[0] = self.state[WORDS - 1];
            1
        }
    }

    /// The next 32 random bits.
    pub(super) fn next_u32(&mut self) -> u32 {
        if self.taken == WORDS {
            self.twist();
        }
        let mut word = self.state[self.taken];
        self.taken += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn twist(&mut self) {
        for index in 0..WORDS {
            let next = self.state[(index + 1) % WORDS];
            let joined = (self.state[index] & 0x8000_0000) | (next & 0x7fff_ffff);
            let feedback = if joined & 1 == 0 { 0 } else { 0x9908_b0df };
            self.state[index] = self.state[(index + SHIFT) % WORDS] ^ (joined >> 1) ^ feedback;
        }
        self.taken = 0;
    }
}

/// Folds the two highest bits into the lowest: what both seedings do to the preceding word.
const fn mix(word: u32) -> u32 {
    word ^ (word >> 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousandth_word_is_the_one_the_cpp_standard_demands() {
        // ISO C++, [rand.predef]: seeded by 5489, the 10,000th output of mt19937 is 4123659995.
        let mut twister = MersenneTwister::from_word(5489);
        let mut words = core::iter::repeat_with(|| twister.next_u32());
        assert_eq!(words.nth(9_999), Some(4_123_659_995));
    }

    #[test]
    fn array_seeding_gives_the_authors_published_output() {
        // First line of mt19937ar.out, which accompanies the authors' revision of 2002.
        let mut twister = MersenneTwister::from_words(&[0x123, 0x234, 0x345, 0x456]);
        for expected in [
            1_067_595_299_u32,
            955_945_823,
            477_289_528,
            4_107_218_783,
            4_228_976_476,
        ] {
            assert_eq!(twister.next_u32(), expected);
        }
    }
}
