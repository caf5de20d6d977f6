//! Classes, and new names, drawn from what a model predicts.

use alloc::string::String;

use rand_xoshiro::rand_core::Rng;

use crate::data::{Vocabulary, push};
use crate::error::Error;
use crate::model::{Input, Model, Softmax, Tokens};
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

/// The place of the largest value, the first of them if several are equal.
pub(crate) fn largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (place, &value) in values.iter().enumerate() {
        if value > values[best] {
            best = place;
        }
    }
    best
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
pub fn name<M, const VOCAB: usize, const CONTEXT: usize, const EMBED: usize>(
    trainer: &Trainer<M>,
    vocabulary: &Vocabulary,
    temperature: f32,
    max_len: usize,
    rng: &mut impl Rng,
) -> Result<String, Error>
where
    M: Model<Input = Tokens<VOCAB, CONTEXT, EMBED>, Head = Softmax<VOCAB>>,
    Tokens<VOCAB, CONTEXT, EMBED>: Input<Example = [u8; CONTEXT]>,
{
    let mut context = [Vocabulary::END; CONTEXT];
    let mut name = String::new();
    for _ in 0..max_len {
        let logits = trainer.logits(&context)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a softmax has at most 256 classes"
        )]
        let token = categorical(&logits, temperature, rng)? as u8;
        let Some(character) = vocabulary.character(token) else {
            break;
        };
        name.push(character);
        push(&mut context, token);
    }
    Ok(name)
}
