//! Training states in files: the model's tensors, the moments beside them, and the rest as text.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::str::FromStr;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;

use super::about::{self, About, entry};
use super::header::Header;
use super::keys::Keys;
use super::read;
use super::source::Source;
use super::write::Contents;
use super::{METADATA, quoted, refuse};
use crate::error::Error;
use crate::model::{HeadKind, Model, ModelSpec};
use crate::training::{
    AdamW, Best, EarlyStopping, Momentum, Optimizer, Plateau, Sgd, TrainingState,
};

/// The bytes of a training state's file, and of the generator that draws the run's batches, if there is one.
///
/// # Errors
///
/// [`Error::Setting`], [`Error::MomentCount`] and [`Error::MomentOutOfRange`] for a state that
/// [`Trainer::resume`](crate::Trainer::resume) refuses; [`Error::WeightFile`] for a parameter that is not finite.
pub fn state_to_bytes<M: Model>(
    state: &TrainingState<M>,
    generator: Option<&Xoshiro256PlusPlus>,
) -> Result<Vec<u8>, Error> {
    state.check()?;
    let mut about = about::of(M::SPEC);
    about.insert("loss".to_owned(), loss(M::SPEC).to_owned());
    about.insert("steps".to_owned(), state.steps.to_string());
    write_optimizer(state.optimizer, &mut about);
    if let Some(norm) = state.clipping {
        about.insert("clipping".to_owned(), shortest(norm));
    }
    if let Some(stopping) = &state.stopping {
        write_stopping(stopping, &mut about);
    }
    if let Some(generator) = generator {
        let digits = generator
            .state()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        about.insert(GENERATOR.to_owned(), digits);
    }
    let mut file = Contents::new(about);
    file.add(&state.model, &Keys::makemore())?;
    for (moment, keys) in state.moments.iter().zip(moment_keys()) {
        file.add(moment, &keys)?;
    }
    if let Some(best) = state.stopping.as_ref().and_then(EarlyStopping::best) {
        file.add(&best.model, &best_keys())?;
    }
    file.into_bytes()
}

/// The training state, and the generator if there is one, in the bytes of a file.
///
/// # Errors
///
/// As [`from_bytes`](super::from_bytes); also [`Error::WeightFile`] for settings that are missing or no numbers, for a run
/// with another loss, and for a generator's state of zeros, which is none; [`Error::Setting`] and
/// [`Error::MomentOutOfRange`] for what [`Trainer::resume`](crate::Trainer::resume) refuses.
pub fn state_from_bytes<M: Model>(
    bytes: &[u8],
) -> Result<(TrainingState<M>, Option<Xoshiro256PlusPlus>), Error> {
    read_state(&mut { bytes })
}

pub(super) fn read_state<M: Model>(
    source: &mut impl Source,
) -> Result<(TrainingState<M>, Option<Xoshiro256PlusPlus>), Error> {
    let mut header = Header::read(source)?;
    let about = header.about.take();
    let about = about.ok_or_else(|| refuse(METADATA, "the settings of a training run", "none"))?;
    about::check(&about, M::SPEC)?;
    about::check_entry(&about, "loss", loss(M::SPEC))?;
    let optimizer = read_optimizer(&about)?;
    let clipping = match about.get("clipping") {
        Some(_) => Some(number(&about, "clipping")?),
        None => None,
    };
    let steps = number(&about, "steps")?;
    let generator = read_generator(&about)?;

    let located = read::locate(&mut header, &Keys::makemore(), M::SPEC)?;
    let moments = moment_keys()
        .take(optimizer.moments())
        .map(|keys| read::locate(&mut header, &keys, M::SPEC))
        .collect::<Result<Vec<_>, Error>>()?;
    let has_best = about.contains_key(BEST_LOSS);
    let best = has_best
        .then(|| read::locate(&mut header, &best_keys(), M::SPEC))
        .transpose()?;
    header.check_all_taken(&format!("{} moments for each parameter", moments.len()))?;

    let model = read::tensors(source, &located)?;
    let moments = moments
        .iter()
        .map(|located| read::tensors(source, located))
        .collect::<Result<_, Error>>()?;
    let best = best
        .map(|located| read::tensors(source, &located))
        .transpose()?;
    let state = TrainingState {
        model,
        moments,
        optimizer,
        clipping,
        steps,
        stopping: read_stopping(&about, best)?,
    };
    state.check()?;
    Ok((state, generator))
}

/// The keys of the first moment, the second, and so on.
fn moment_keys() -> impl Iterator<Item = Keys> {
    (1..).map(|moment| Keys::makemore().with_prefix(&format!("moment{moment}.")))
}

/// The keys of the best model of early stopping.
fn best_keys() -> Keys {
    Keys::makemore().with_prefix("best.")
}

const BEST_LOSS: &str = "stopping_best_loss";

fn write_stopping<M: Model>(stopping: &EarlyStopping<M>, about: &mut About) {
    let Plateau {
        every,
        patience,
        improvement,
    } = stopping.plateau;
    let mut write = |key: &str, value: String| about.insert(key.to_owned(), value);
    write("stopping_every", every.to_string());
    write("stopping_patience", patience.to_string());
    write("stopping_improvement", shortest(improvement));
    write("stopping_stale", stopping.stale.to_string());
    if let Some(best) = &stopping.best {
        write(BEST_LOSS, shortest(best.loss));
        write("stopping_best_step", best.step.to_string());
    }
}

/// Early stopping with this best model, if the file has any.
fn read_stopping<M: Model>(
    about: &About,
    best_model: Option<M>,
) -> Result<Option<EarlyStopping<M>>, Error> {
    if !about.contains_key("stopping_every") {
        return Ok(None);
    }
    let best = |model| {
        Ok(Best {
            model,
            loss: number(about, BEST_LOSS)?,
            step: number(about, "stopping_best_step")?,
        })
    };
    Ok(Some(EarlyStopping {
        plateau: Plateau {
            every: number(about, "stopping_every")?,
            patience: number(about, "stopping_patience")?,
            improvement: number(about, "stopping_improvement")?,
        },
        best: best_model.map(best).transpose()?,
        stale: number(about, "stopping_stale")?,
    }))
}

/// The loss that gradients are taken of.
fn loss(spec: ModelSpec) -> &'static str {
    match spec.head.kind {
        HeadKind::Softmax | HeadKind::Logistic => "cross-entropy",
        HeadKind::SquaredError => "squared error",
        HeadKind::Huber => "huber",
    }
}

fn write_optimizer(optimizer: Optimizer, about: &mut About) {
    let mut write = |key: &str, value: String| about.insert(key.to_owned(), value);
    let name = match optimizer {
        Optimizer::Sgd(_) => "sgd",
        Optimizer::Momentum(momentum) => {
            write("momentum", shortest(momentum.momentum));
            write("nesterov", momentum.nesterov.to_string());
            write("weight_decay", shortest(momentum.weight_decay));
            "momentum"
        }
        Optimizer::AdamW(adam_w) => {
            write("beta1", shortest(adam_w.betas[0]));
            write("beta2", shortest(adam_w.betas[1]));
            write("epsilon", shortest(adam_w.epsilon));
            write("weight_decay", shortest(adam_w.weight_decay));
            "adam_w"
        }
    };
    write("optimizer", name.to_owned());
    write("learning_rate", shortest(optimizer.learning_rate()));
}

fn read_optimizer(about: &About) -> Result<Optimizer, Error> {
    let learning_rate = number(about, "learning_rate")?;
    match entry(about, "optimizer")? {
        "sgd" => Ok(Sgd { learning_rate }.into()),
        "momentum" => Ok(Momentum {
            learning_rate,
            momentum: number(about, "momentum")?,
            nesterov: number(about, "nesterov")?,
            weight_decay: number(about, "weight_decay")?,
        }
        .into()),
        "adam_w" => Ok(AdamW {
            learning_rate,
            betas: [number(about, "beta1")?, number(about, "beta2")?],
            epsilon: number(about, "epsilon")?,
            weight_decay: number(about, "weight_decay")?,
        }
        .into()),
        other => Err(refuse(
            "optimizer",
            "sgd, momentum or adam_w",
            quoted(other),
        )),
    }
}

/// The shortest decimal number that is read back as this one, to the bit.
fn shortest(value: f32) -> String {
    format!("{value:?}")
}

/// An entry as a number, or as true or false.
fn number<T: FromStr>(about: &About, key: &str) -> Result<T, Error> {
    let text = entry(about, key)?;
    text.parse().map_err(|_| {
        refuse(
            key,
            format!("a value of type {}", core::any::type_name::<T>()),
            quoted(text),
        )
    })
}

const GENERATOR: &str = "xoshiro256plusplus";

/// The generator's 32 bytes, each as two hexadecimal digits.
fn read_generator(about: &About) -> Result<Option<Xoshiro256PlusPlus>, Error> {
    let Some(text) = about.get(GENERATOR) else {
        return Ok(None);
    };
    match bytes(text) {
        // The generator would never leave this state, so `from_seed` makes it from another one instead.
        Some(state) if state == [0; 32] => {
            Err(refuse(GENERATOR, "digits of which one is not 0", "zeros"))
        }
        Some(state) => Ok(Some(Xoshiro256PlusPlus::from_seed(state))),
        None => Err(refuse(GENERATOR, "64 hexadecimal digits", quoted(text))),
    }
}

/// The bytes that hexadecimal digits stand for.
fn bytes<const BYTES: usize>(digits: &str) -> Option<[u8; BYTES]> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let pairs: &[_; BYTES] = pairs.try_into().ok()?;
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        // A sign before a single digit would be a number too.
        if !pair.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        *byte = u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
