//! One model from its first parameters to the names that it invents.

use std::error::Error;
use std::fmt;
use std::ops::ControlFlow::Continue;
use std::time::{Duration, Instant};

use fused_mlp::model::HiddenLayers;
use fused_mlp::schedule::{cosine, warm_up};
use fused_mlp::{
    AdamW, Dataset, Fit, Length, Mlp, SeedableRng, Softmax, Split, Tokens, Trainer, Vocabulary,
    Xoshiro256PlusPlus, sample,
};
use indicatif::{ProgressBar, ProgressStyle};

/// Letters that a model sees.
const CONTEXT: usize = 8;
const BATCH: usize = 64;
const LEARNING_RATE: f32 = 0.002;
const WEIGHT_DECAY: f32 = 0.03;
/// Steps on which the learning rate rises from a hundredth.
const WARM_UP: u64 = 200;
/// Looks at the validation set.
const LOOKS: u64 = 40;
/// Names to invent, and letters of the longest.
const NAMES: usize = 10;
const MAX_LETTERS: usize = 20;

type Model<L> = Mlp<Tokens<27, CONTEXT, 10>, L, Softmax<27>>;
type Letters = Dataset<[u8; CONTEXT], u8>;

/// The three parts of the names.
pub(crate) struct Data {
    train: Letters,
    dev: Letters,
    test: Letters,
}

impl Data {
    pub(crate) fn new(names: Split) -> Result<Self, fused_mlp::Error> {
        let vocabulary = Vocabulary::lowercase();
        Ok(Self {
            train: names.train.windows(&vocabulary)?,
            dev: names.dev.windows(&vocabulary)?,
            test: names.test.windows(&vocabulary)?,
        })
    }
}

/// What all models have in common.
#[derive(Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) steps: u64,
    pub(crate) seed: u64,
}

/// What became of a model.
pub(crate) struct Outcome {
    layers: &'static str,
    parameters: usize,
    train: f32,
    pub(crate) dev: f32,
    test: f32,
    /// Of drawing batches and stepping, and of nothing else.
    time: Duration,
    /// Steps, and the loss on the validation set after them.
    pub(crate) curve: Vec<(f64, f64)>,
    pub(crate) names: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<13} {:11} {:6.4} {:6.4} {:6.4} {:8.2}",
            self.layers,
            self.parameters,
            self.train,
            self.dev,
            self.test,
            self.time.as_secs_f64()
        )
    }
}

/// Trains a model with these hidden layers.
pub(crate) fn train<L: HiddenLayers>(
    layers: &'static str,
    recipe: Recipe,
    data: &Data,
) -> Result<Outcome, Box<dyn Error>> {
    let steps = recipe.steps;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(recipe.seed);
    let model = Model::<L>::fan_in_scaled(&mut rng);
    let parameters = model.parameter_count();
    let optimizer = AdamW {
        weight_decay: WEIGHT_DECAY,
        ..AdamW::new(LEARNING_RATE)
    };
    let mut trainer = Trainer::new(model, optimizer)?;
    let bar = ProgressBar::new(steps).with_style(ProgressStyle::with_template(
        "{prefix:9} {wide_bar} {human_pos}/{human_len} steps  {msg}",
    )?);
    bar.set_prefix(layers);

    let mut curve = Vec::new();
    let mut looking = Duration::ZERO;
    let every = steps.div_ceil(LOOKS);
    let fit = Fit {
        length: Length::Steps(steps),
        batch: BATCH,
        schedule: |step| warm_up(step, WARM_UP, 0.01) * cosine(step, steps, 0.0),
    };
    let begun = Instant::now();
    trainer.fit(&data.train, fit, &mut rng, |progress| {
        if progress.step % every != 0 && progress.step != steps {
            return Ok(Continue(()));
        }
        let pause = Instant::now();
        let loss = progress.trainer.evaluate(&data.dev)?;
        curve.push((progress.step as f64, loss.into()));
        bar.set_message(format!("dev {loss:.4}"));
        bar.set_position(progress.step);
        looking += pause.elapsed();
        Ok(Continue(()))
    })?;
    let time = begun.elapsed() - looking;
    bar.finish_and_clear();

    let vocabulary = Vocabulary::lowercase();
    let mut invent = || sample::name(&trainer, &vocabulary, 1.0, MAX_LETTERS, &mut rng);
    let names = (0..NAMES).map(|_| invent()).collect::<Result<_, _>>()?;
    Ok(Outcome {
        layers,
        parameters,
        train: trainer.evaluate(&data.train)?,
        dev: trainer.evaluate(&data.dev)?,
        test: trainer.evaluate(&data.test)?,
        time,
        curve,
        names,
    })
}
