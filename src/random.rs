//! Draws that are the same bits everywhere: normal numbers and uniform integers from any `rand_core` generator.

use rand_xoshiro::rand_core::Rng;

/// Standard normal draws by the transform of Box and Muller (1958), two at a time:
///
/// ```text
/// √(−2 ln u) · cos 2πv     √(−2 ln u) · sin 2πv     u in (0, 1], v in [0, 1), each of 53 random bits
/// ```
///
/// in `f64`, rounded to `f32` once. ln, sin and cos come from the `libm` crate, which is the same Rust code on every
/// platform, and never from the platform's mathematical library.
///
/// ```
/// use fused_mlp::{SeedableRng, Xoshiro256PlusPlus, random::StandardNormal};
///
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
/// let mut normal = StandardNormal::default();
/// let noise: [f32; 3] = core::array::from_fn(|_| normal.sample(&mut rng));
/// assert!(noise.iter().all(|value| value.is_finite()));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StandardNormal {
    spare: Option<f32>,
}

impl StandardNormal {
    /// The next draw. Every second one takes two 64-bit words from the generator.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounding to f32 is the last operation"
    )]
    pub fn sample(&mut self, rng: &mut impl Rng) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let u = 1.0 - unit(rng);
        let angle = core::f64::consts::TAU * unit(rng);
        let radius = libm::sqrt(-2.0 * libm::log(u));
        let (sin, cos) = libm::sincos(angle);
        self.spare = Some((radius * sin) as f32);
        (radius * cos) as f32
    }
}

/// Uniform in [0, 1), of 53 random bits.
#[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
pub(crate) fn unit(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// A uniform integer below `n`, without bias: the multiplication of Lemire (2019, "Fast random integer generation in an
/// interval"), which divides only once in 2³²/n draws.
///
/// # Panics
///
/// If `n` is 0.
#[inline]
pub fn below(rng: &mut impl Rng, n: u32) -> u32 {
    let word = rng.next_u32();
    scaled(word, rng, n)
}

/// Puts items in a random order, each with the same probability: for i from the last index down to 1, swaps items i and
/// [`below`]\(i + 1) (Durstenfeld, 1964).
///
/// ```
/// use fused_mlp::{SeedableRng, Xoshiro256PlusPlus, random};
///
/// let mut cards = ['♠', '♥', '♦', '♣'];
/// random::shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(1), &mut cards);
/// cards.sort();
/// assert_eq!(cards, ['♠', '♣', '♥', '♦']);
/// ```
///
/// # Panics
///
/// If there are 2³² items or more.
pub fn shuffle<T>(rng: &mut impl Rng, items: &mut [T]) {
    let len = u32::try_from(items.len()).expect("there are fewer than 2³² items");
    for i in (1..len).rev() {
        items.swap(i as usize, below(rng, i + 1) as usize);
    }
}

/// Uniform integers below `n`, as [`below`] makes them of the generator's bytes: two of each 64-bit word.
///
/// # Panics
///
/// If `n` is 0.
#[inline]
pub(crate) fn fill_below(rng: &mut impl Rng, n: u32, integers: &mut [u32]) {
    rng.fill_bytes(bytemuck::cast_slice_mut(integers));
    for integer in integers {
        *integer = scaled(u32::from_le(*integer), rng, n);
    }
}

/// A uniform integer below `n` from a random word, or, if that is one of the few too many, from the next that is not.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half of the product is wanted"
)]
fn scaled(word: u32, rng: &mut impl Rng, n: u32) -> u32 {
    assert!(n > 0, "there is no integer below 0");
    let mut product = u64::from(word) * u64::from(n);
    if (product as u32) < n {
        let threshold = n.wrapping_neg() % n;
        while (product as u32) < threshold {
            product = u64::from(rng.next_u32()) * u64::from(n);
        }
    }
    (product >> 32) as u32
}
