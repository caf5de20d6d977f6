//! JAX's keys: `jax.random.PRNGKey(…)` and what `split`, `bits`, `uniform`, `normal`, `gumbel`,
//! `randint` and `categorical` make of one.
//!
//! Source: the behaviour of jax and jaxlib 0.10.2 on an x86-64 CPU, in JAX's default 32-bit mode.
//! The block function is Threefry-2x32 of J. Salmon, M. Moraes, R. Dror and D. Shaw, "Parallel
//! random numbers: as easy as 1, 2, 3", SC 2011.
//!
//! Words, integers and uniforms are exact. Normal and Gumbel variates are exact for jaxlib 0.10.2
//! (2²⁶ of each were compared, which is nearly every value there is); another jaxlib may compile
//! its logarithm otherwise and then differ by a few ulp.

use super::{Argmax, polynomials};

/// How the counters of a random array are laid out: JAX's `jax_threefry_partitionable`.
///
/// The layouts give unrelated numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Threefry {
    /// `False`, the default before JAX 0.5 and the one in the post: word i shares a block with word
    /// i + ⌈n/2⌉ of n.
    ///
    /// Arrays of 2³² − 1 words and more, which JAX lays out in yet another way, make every method
    /// of [`Key`] panic.
    NonPartitionable,
    /// `True`, the default since: every word has a block of its own, whatever the length.
    Partitionable,
}

/// A JAX key: two words, and the layout that its arrays have.
///
/// A key is a value: the same key and length always give the same numbers.
///
/// ```
/// use fused_mlp::replay::jax::{Key, Threefry};
///
/// let key = Key::new(0, Threefry::NonPartitionable);
/// let [key, subkey] = key.split();
/// assert_eq!(key.words(), [0xf71f4ea9, 0x39a405d9]);
/// assert_eq!(subkey.words(), [0xa20e4081, 0x4bdfae2f]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    words: [u32; 2],
    layout: Threefry,
}

impl Key {
    /// `jax.random.PRNGKey(seed)`.
    ///
    /// In its default mode JAX keeps the low 32 bits of a longer seed, and those of −1 are
    /// `u32::MAX`.
    #[must_use]
    pub const fn new(seed: u32, layout: Threefry) -> Self {
        Self::from_words([0, seed], layout)
    }

    /// The key of these two words, as JAX prints them.
    #[must_use]
    pub const fn from_words(words: [u32; 2], layout: Threefry) -> Self {
        Self { words, layout }
    }

    /// The two words of the key.
    #[must_use]
    pub const fn words(self) -> [u32; 2] {
        self.words
    }

    /// `jax.random.split(key, N)`: N new keys.
    #[must_use]
    pub fn split<const N: usize>(self) -> [Self; N] {
        let mut children = [self; N];
        self.split_into(&mut children);
        children
    }

    /// `jax.random.split(key, children.len())`: overwrites `children` with new keys.
    pub fn split_into(self, children: &mut [Self]) {
        for child in &mut *children {
            child.layout = self.layout;
        }
        match self.layout {
            Threefry::NonPartitionable => {
                self.for_each_word(2 * children.len(), |index, word| {
                    children[index / 2].words[index % 2] = word;
                });
            }
            Threefry::Partitionable => {
                for (child, index) in children.iter_mut().zip(0_u64..) {
                    child.words = threefry_2x32(self.words, super::halves(index));
                }
            }
        }
    }

    /// `jax.random.bits(key, (out.len(),))`: 32 random bits each.
    ///
    /// An array of more dimensions has the words of its elements in row-major order; so have the
    /// other functions.
    pub fn bits(self, out: &mut [u32]) {
        self.for_each_word(out.len(), |index, word| out[index] = word);
    }

    /// `jax.random.uniform(key, (out.len(),))`: uniform in [0, 1), multiples of 2⁻²³.
    pub fn uniform(self, out: &mut [f32]) {
        self.for_each_word(out.len(), |index, word| out[index] = unit_interval(word));
    }

    /// `jax.random.normal(key, (out.len(),))`: standard normal variates, √2·erf⁻¹(u) with u uniform
    /// in (−1, 1).
    pub fn normal(self, out: &mut [f32]) {
        /// The least f32 above −1.
        const LOW: f32 = (-1.0_f32).next_up();
        self.for_each_word(out.len(), |index, word| {
            let uniform = (unit_interval(word) * 2.0 + LOW).max(LOW);
            out[index] = core::f32::consts::SQRT_2 * polynomials::erf_inv_xla(uniform);
        });
    }

    /// `jax.random.gumbel(key, (out.len(),))`: Gumbel variates, −ln(−ln u), u uniform in (0, 1).
    pub fn gumbel(self, out: &mut [f32]) {
        self.for_each_word(out.len(), |index, word| out[index] = gumbel(word));
    }

    /// `jax.random.randint(key, (out.len(),), 0, span)`: uniform in [0, `span`) but for the bias of
    /// the remainder.
    ///
    /// ((H mod span)·M + L mod span) mod span with the bits H and L of the two halves of the key
    /// and M = (2¹⁶ mod span)² mod span, all in 32 bits: so above 2¹⁶, where the square overflows,
    /// only L counts. JAX's own spans end at 2³¹.
    ///
    /// # Panics
    /// If `span` is 0.
    pub fn randint(self, span: u32, out: &mut [u32]) {
        assert_ne!(span, 0, "no integer is below 0");
        let [high, low] = self.split();
        low.for_each_word(out.len(), |index, word| out[index] = word % span);
        let root = (1 << 16) % span;
        let multiplier = root.wrapping_mul(root) % span;
        if multiplier != 0 {
            high.for_each_word(out.len(), |index, word| {
                let product = (word % span).wrapping_mul(multiplier);
                out[index] = product.wrapping_add(out[index]) % span;
            });
        }
    }

    /// `jax.random.categorical(key, logits)`: one index, drawn with probability proportional to
    /// e^logit.
    ///
    /// The first maximum of `logits[i]` plus a [`gumbel`](Self::gumbel) variate each.
    ///
    /// # Panics
    /// If `logits` is empty.
    #[must_use]
    pub fn categorical(self, logits: &[f32]) -> usize {
        assert!(!logits.is_empty(), "there is no category to draw");
        let mut winner = Argmax::new();
        self.for_each_word(logits.len(), |index, word| {
            winner.offer(index, gumbel(word) + logits[index]);
        });
        winner.index
    }

    /// Shows `visit` every index below `count` once, with its random word; in an order that suits
    /// the layout.
    fn for_each_word(self, count: usize, mut visit: impl FnMut(usize, u32)) {
        match self.layout {
            Threefry::NonPartitionable => {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                assert_ne!(count, u32::MAX, "JAX lays out so many words in another way");
                let half = count.div_ceil(2);
                for index in 0..half {
                    let partner = half + index;
                    // An odd count leaves one word without a partner; JAX pads with the counter 0.
                    let padded = if partner < count { partner } else { 0 };
                    let [first, second] = threefry_2x32(self.words, [index, padded]);
                    visit(index as usize, first);
                    if partner < count {
                        visit(partner as usize, second);
                    }
                }
            }
            Threefry::Partitionable => {
                for index in 0..count {
                    let counter = super::halves(index as u64);
                    let [first, second] = threefry_2x32(self.words, counter);
                    visit(index, first ^ second);
                }
            }
        }
    }
}

/// Uniform in [0, 1) from the 23 highest bits: the mantissa of a number in [1, 2).
fn unit_interval(word: u32) -> f32 {
    f32::from_bits(1.0_f32.to_bits() | word >> 9) - 1.0
}

/// The Gumbel variate of a random word.
fn gumbel(word: u32) -> f32 {
    // JAX keeps u above 0 by adding the smallest normal number, which rounding drops everywhere but
    // at 0.
    let uniform = unit_interval(word).max(f32::MIN_POSITIVE);
    -polynomials::ln_xla(-polynomials::ln_xla(uniform))
}

/// The Threefry-2x32 block function with 20 rounds: a keyed permutation of 64-bit counters.
#[must_use]
pub fn threefry_2x32(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
    /// Part of the third key word, so that a key of zeros is not three words of zeros.
    const PARITY: u32 = 0x1bd1_1bda;
    let schedule = [key[0], key[1], key[0] ^ key[1] ^ PARITY];
    let mut a = counter[0].wrapping_add(key[0]);
    let mut b = counter[1].wrapping_add(key[1]);
    for (group, number) in (1..=5).zip(1_u32..) {
        for rotation in ROTATIONS[(group - 1) % 2] {
            a = a.wrapping_add(b);
            b = b.rotate_left(rotation) ^ a;
        }
        a = a.wrapping_add(schedule[group % 3]);
        b = b
            .wrapping_add(schedule[(group + 1) % 3])
            .wrapping_add(number);
    }
    [a, b]
}

/// The batches of the post's JAX run: in each step `key, subkey = split(key)`, then
/// `randint(subkey, (BATCH,), 0, examples)`.
///
/// An endless iterator over arrays of example indices, drawn with replacement, as
/// [`Dataset::select`](crate::Dataset::select) takes them.
///
/// ```
/// use fused_mlp::replay::jax::{Batches, Key, Threefry};
///
/// let key = Key::new(0, Threefry::NonPartitionable);
/// let mut batches = Batches::<4>::new(key, 182_625);
/// assert_eq!(batches.next(), Some([74247, 84491, 106856, 131279]));
/// ```
#[derive(Clone, Debug)]
pub struct Batches<const BATCH: usize> {
    key: Key,
    examples: u32,
}

impl<const BATCH: usize> Batches<BATCH> {
    /// Batches of indices below `examples` from `key`, which in the post is the first key again.
    ///
    /// # Panics
    /// If `examples` is 0 or does not fit a `u32`: JAX draws 32-bit indices.
    #[must_use]
    pub fn new(key: Key, examples: usize) -> Self {
        assert_ne!(examples, 0, "there is no example to draw");
        let examples = u32::try_from(examples).expect("JAX draws 32-bit indices");
        Self { key, examples }
    }
}

impl<const BATCH: usize> Iterator for Batches<BATCH> {
    type Item = [u32; BATCH];

    fn next(&mut self) -> Option<Self::Item> {
        let [next, subkey] = self.key.split();
        self.key = next;
        let mut indices = [0; BATCH];
        subkey.randint(self.examples, &mut indices);
        Some(indices)
    }
}
