//! The random generators of Python, PyTorch and JAX, bit for bit, so that a run published with its
//! seed comes out again.
//!
//! The post "Learning JAX by Implementing a Simple Language Model" (Tekin, 2023) trains the same
//! model with PyTorch and with JAX and gives its seeds. What those seeds decide is repeated here
//! exactly: the shuffle of the data, the initial parameters, the examples of every batch and the
//! noise behind every sampled name. What they do not decide, the rounding inside the training
//! arithmetic, is not this module's business.
//!
//! | step of the post | PyTorch | JAX |
//! |---|---|---|
//! | shuffle of the names | [`python::Random::from_seed`]`(42)` | the same |
//! | initial C, W1, b1, W2, b2 | [`torch::Generator::randn`] five times, seed 2147483647 | [`jax::Key::split`] in six, then [`jax::Key::normal`] with children 1 to 5 |
//! | batches | [`torch::Batches`] from a new generator, same seed | [`jax::Batches`] from the first key again |
//! | a character of a name | [`torch::Generator::multinomial`], one generator for all names | split in two, [`jax::Key::categorical`] with the second half |
//!
//! No function here calls the platform's math library, whose last bits differ from system to
//! system: single precision is computed by the very polynomials the frameworks use, double
//! precision by the `libm` crate. Each framework has more than one answer to the same seed
//! (instruction sets, vendor libraries, settings); the choice is always an explicit argument:
//! [`torch::NormalPath`], [`torch::ExponentialPath`], [`jax::Threefry`].
//!
//! These generators exist to repeat what others did. For new work prefer the crate's own.

pub mod jax;
pub mod python;
pub mod torch;

mod glibc;
mod mersenne_twister;
mod polynomials;

/// The first maximum of scores offered in any order: both frameworks sample a category as the
/// argmax of noisy scores.
struct Argmax {
    index: usize,
    score: f32,
}

impl Argmax {
    const fn new() -> Self {
        Self {
            index: 0,
            score: f32::NEG_INFINITY,
        }
    }

    fn offer(&mut self, index: usize, score: f32) {
        // Lower index on a tie: JAX's words do not come in index order.
        if score > self.score || (score == self.score && index < self.index) {
            *self = Self { index, score };
        }
    }
}

/// The two 32-bit halves of a 64-bit integer, the high one first.
const fn halves(value: u64) -> [u32; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    let low = value as u32;
    [(value >> 32) as u32, low]
}
