//! Classes, and new names, drawn from what a model predicts.

use alloc::string::String;
use alloc::vec::Vec;

use rand_xoshiro::rand_core::Rng;

use crate::data::{Vocabulary, push};
use crate::error::Error;
use crate::model::{Head, Input, Model, Softmax, Symbol, Tokens, largest};
use crate::random::unit;
use crate::training::Trainer;

/// Draws a class from the softmax of `logits / temperature`.
///
/// Temperature 1 is the model's own distribution; a lower one prefers the likely classes, and 0 takes the likeliest, the
/// first of them if several are equal.
///
/// # Errors
///
/// [`Error::Setting`] for a temperature that is negative or not finite.
///
/// # Panics
///
/// If there are no logits.
pub fn categorical(logits: &[f32], temperature: f32, rng: &mut impl Rng) -> Result<usize, Error> {
    if !(temperature.is_finite() && temperature >= 0.0) {
        return Err(Error::Setting {
            name: "temperature",
            expected: "finite and at least 0",
            found: f64::from(temperature),
        });
    }
    let best = largest(logits);
    if temperature == 0.0 {
        return Ok(best);
    }
    let weight = |logit: f32| {
        libm::exp((f64::from(logit) - f64::from(logits[best])) / f64::from(temperature))
    };
    let total: f64 = logits.iter().map(|&logit| weight(logit)).sum();
    let mut left = unit(rng) * total;
    for (class, &logit) in logits.iter().enumerate() {
        left -= weight(logit);
        if left < 0.0 {
            return Ok(class);
        }
    }
    Ok(best) // Rounding can leave a crumb beyond the last class.
}

/// Draws a name, character by character, until the end mark or `max_len` characters.
///
/// ```
/// use fused_mlp::{NameModel, SeedableRng, Sgd, Trainer, Vocabulary, Xoshiro256PlusPlus, sample};
///
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
/// let trainer = Trainer::new(NameModel::standard_normal(&mut rng), Sgd::new(0.1))?; // to be trained first
/// let name = sample::name(&trainer, &Vocabulary::lowercase(), 1.0, 20, &mut rng)?;
/// assert!(name.len() <= 20);
/// # Ok::<(), fused_mlp::Error>(())
/// ```
///
/// # Errors
///
/// As [`categorical`].
pub fn name<M, const VOCAB: usize, const CONTEXT: usize, const EMBED: usize, T: Symbol>(
    trainer: &Trainer<M>,
    vocabulary: &Vocabulary,
    temperature: f32,
    max_len: usize,
    rng: &mut impl Rng,
) -> Result<String, Error>
where
    M: Model<Input = Tokens<VOCAB, CONTEXT, EMBED, T>, Head = Softmax<VOCAB, T>>,
    Tokens<VOCAB, CONTEXT, EMBED, T>: Input<Example = [T; CONTEXT]>,
    Softmax<VOCAB, T>: Head<Prediction = [f32; VOCAB]>,
{
    let logits = |context: &[T; CONTEXT]| trainer.logits(context);
    let tokens = tokens(logits, temperature, max_len, rng)?;
    let characters = tokens.into_iter().map_while(|token| {
        let token = u16::try_from(token.into()).ok()?;
        vocabulary.character(token)
    });
    Ok(characters.collect())
}

/// Draws a sequence, token by token, each from the logits of the `CONTEXT` tokens before it, until the end mark, which is token 0,
/// or `max_len` tokens. The context begins as end marks.
///
/// ```
/// use fused_mlp::{Mlp, Predictor, SeedableRng, Softmax, Tanh, Tokens, Xoshiro256PlusPlus, sample};
///
/// // A thousand words, two of them before each.
/// type Words = Mlp<Tokens<1000, 2, 4, u16>, Tanh<16>, Softmax<1000, u16>>;
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
/// let predictor = Predictor::new(&Words::fan_in_scaled(&mut rng))?; // to be trained first
/// let logits = |context: &[u16; 2]| predictor.logits(context);
/// let sentence: Vec<u16> = sample::tokens(logits, 1.0, 8, &mut rng)?;
/// assert!(sentence.len() <= 8);
/// # Ok::<(), fused_mlp::Error>(())
/// ```
///
/// # Errors
///
/// As [`categorical`], and what `logits` gives.
///
/// # Panics
///
/// If there are more logits than a token can tell apart.
pub fn tokens<T: Symbol, const CONTEXT: usize, L: AsRef<[f32]>>(
    mut logits: impl FnMut(&[T; CONTEXT]) -> Result<L, Error>,
    temperature: f32,
    max_len: usize,
    rng: &mut impl Rng,
) -> Result<Vec<T>, Error> {
    let mut context = [T::default(); CONTEXT];
    let mut sequence = Vec::new();
    while sequence.len() < max_len {
        let class = categorical(logits(&context)?.as_ref(), temperature, rng)?;
        let Ok(token) = T::try_from(class) else {
            panic!("a token has {} values, and there are more logits", T::COUNT);
        };
        if token == T::default() {
            break;
        }
        sequence.push(token);
        push(&mut context, token);
    }
    Ok(sequence)
}
