//! A run from the first parameters to the new names.

use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use fused_mlp::{
    Backend, Error, NameModel, SeedableRng, Sgd, Trainer, Vocabulary, Xoshiro256PlusPlus, sample,
};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use crate::arguments::Arguments;
use crate::data::{Batch, Data};
use crate::replay::{LONGEST, Recipe};

/// Steps from one look at the losses to the next.
const EVALUATE_EVERY: u64 = 100;

/// A finished run.
pub(crate) struct Run {
    pub(crate) replay: Option<Recipe>,
    pub(crate) steps: u64,
    pub(crate) batch: u32,
    pub(crate) rate: f32,
    pub(crate) seed: u64,
    pub(crate) backend: Backend,
    pub(crate) model: NameModel,
    /// Before the first step, every hundred steps, and after the last.
    pub(crate) curve: Vec<Evaluation>,
    pub(crate) test_loss: f32,
    pub(crate) names: Vec<String>,
    /// Of drawing batches and stepping, and of nothing else.
    pub(crate) loop_time: Duration,
}

/// Losses over whole parts of the data, in nats a letter.
#[derive(Clone, Copy)]
pub(crate) struct Evaluation {
    /// Steps taken.
    pub(crate) step: u64,
    pub(crate) train: f32,
    pub(crate) dev: f32,
}

/// What the training loop has seen.
struct History {
    curve: Vec<Evaluation>,
    loop_time: Duration,
}

impl Run {
    /// Trains, evaluates and draws names.
    pub(crate) fn new(arguments: &Arguments, data: &Data, backend: Backend) -> Result<Self, Error> {
        let seed = arguments.seed();
        let (mut trainer, history, names) = match arguments.replay {
            None => fresh(arguments, seed, data, backend)?,
            Some(recipe) => replayed(recipe, arguments, seed, data, backend)?,
        };
        Ok(Self {
            replay: arguments.replay,
            steps: arguments.steps,
            batch: arguments.batch,
            rate: arguments.rate,
            seed,
            backend,
            model: trainer.model(),
            curve: history.curve,
            test_loss: trainer.evaluate(&data.test)?,
            names,
            loop_time: history.loop_time,
        })
    }

    /// The losses after the last step.
    pub(crate) fn last(&self) -> Evaluation {
        self.curve[self.curve.len() - 1]
    }

    /// Names of this run that the post prints.
    pub(crate) fn post_names(&self) -> &'static [&'static str] {
        self.replay
            .map_or(&[], |recipe| recipe.post_names(self.seed))
    }
}

type Finished = (Trainer<NameModel>, History, Vec<String>);

/// A run of the crate's own: one generator gives the parameters, the batches and the names.
fn fresh(
    arguments: &Arguments,
    seed: u64,
    data: &Data,
    backend: Backend,
) -> Result<Finished, Error> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let model = NameModel::standard_normal(&mut rng);
    let mut trainer = trainer(model, arguments, backend)?;
    let history = train(&mut trainer, arguments, data, |batch| {
        data.train.draw(&mut rng, batch);
        Ok(())
    })?;
    let vocabulary = Vocabulary::lowercase();
    let temperature = arguments.temperature;
    let names = (0..arguments.count)
        .map(|_| sample::name(&trainer, &vocabulary, temperature, LONGEST, &mut rng))
        .collect::<Result<_, _>>()?;
    Ok((trainer, history, names))
}

/// A published run: its framework's generator gives the same things, each from the seed anew.
fn replayed(
    recipe: Recipe,
    arguments: &Arguments,
    seed: u64,
    data: &Data,
    backend: Backend,
) -> Result<Finished, Error> {
    let model = recipe.initial_model(seed);
    let mut trainer = trainer(model, arguments, backend)?;
    let mut batches = recipe.batches(seed, data.train.len());
    let history = train(&mut trainer, arguments, data, |batch| {
        let indices = batches.next().expect("the batches have no end");
        data.train.select(&indices, batch)
    })?;
    let names = recipe.names(seed, &mut trainer, arguments.count as usize)?;
    Ok((trainer, history, names))
}

/// A trainer on all cores: one takes the small steps, all of them the evaluations of whole data sets.
fn trainer(
    model: NameModel,
    arguments: &Arguments,
    backend: Backend,
) -> Result<Trainer<NameModel>, Error> {
    let cores = available_parallelism().map_or(1, NonZero::get);
    Trainer::new(model, Sgd::new(arguments.rate))?
        .with_backend(backend)
        .with_threads(cores)
}

/// The training loop: `draw` fills a batch, the trainer takes a step. Only that is timed.
fn train(
    trainer: &mut Trainer<NameModel>,
    arguments: &Arguments,
    data: &Data,
    mut draw: impl FnMut(&mut Batch) -> Result<(), Error>,
) -> Result<History, Error> {
    let steps = arguments.steps;
    let bar = progress_bar(steps);
    let mut batch = Batch::new(arguments.batch as usize);
    let mut loop_time = Duration::ZERO;
    let mut curve = vec![evaluate(trainer, data, &bar)?];
    while trainer.steps() < steps {
        let pause = steps.min(trainer.steps() + EVALUATE_EVERY);
        let begun = Instant::now();
        while trainer.steps() < pause {
            draw(&mut batch)?;
            trainer.step_batch(&batch)?;
        }
        loop_time += begun.elapsed();
        curve.push(evaluate(trainer, data, &bar)?);
    }
    Ok(History { curve, loop_time })
}

/// Looks at the losses, and shows them.
fn evaluate(
    trainer: &mut Trainer<NameModel>,
    data: &Data,
    bar: &ProgressBar,
) -> Result<Evaluation, Error> {
    let evaluation = Evaluation {
        step: trainer.steps(),
        train: trainer.evaluate(&data.train)?,
        dev: trainer.evaluate(&data.dev)?,
    };
    let Evaluation { step, train, dev } = evaluation;
    bar.set_position(step);
    bar.set_message(format!("train {train:.4}  dev {dev:.4}"));
    Ok(evaluation)
}

/// A bar on standard error, if that is a terminal; gone when the run is over or fails.
fn progress_bar(steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} steps  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(steps)
        .with_style(style)
        .with_finish(ProgressFinish::AndClear)
}
