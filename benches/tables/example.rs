//! One example at a time: learning from it, and predicting it.

mod fann;

use core::slice::from_ref;
use std::hint::black_box;
use std::rc::Rc;
use std::time::Duration;

use fused_mlp::random::StandardNormal;
use fused_mlp::{
    Backend, Dense, ExampleOf, Mlp, Model, PredictionOf, Predictor, Regression, SeedableRng, Sgd,
    Tanh, TargetOf, Trainer, Xoshiro256PlusPlus,
};

use super::Section;
use crate::plain::scalar::{Layers, Scalar, squared_error};
use crate::plain::{Plain, tensors_of};
use crate::support::effort::Effort;
use crate::support::rounds::{Samples, interleave};
use crate::support::table::{Table, number, significant};
use crate::support::task::task;
use crate::support::{SHAPE, fraction, time};

/// Examples at a time: a few milliseconds, so that all turns of a round meet the same clock.
const SLICE: usize = 2000;
const ROUNDS: usize = 60;
/// Different examples, used in turn.
const EXAMPLES: usize = 4096;
/// Small enough for one example at a time, again and again.
const LEARNING_RATE: f32 = 0.01;
/// Examples whose losses and predictions are compared with this crate's fastest, and how far they may be apart, as a
/// fraction.
const COMPARED: usize = 10;
const AGREEMENT: f32 = 1e-3;

/// What is done with an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Train,
    Predict,
}

impl Operation {
    pub(crate) const ALL: [Self; 2] = [Self::Train, Self::Predict];

    /// In the benchmarks' ids.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Predict => "predict",
        }
    }
}

/// A program that takes one example at a time, at one shape.
pub(crate) struct Subject {
    pub(crate) shape: &'static str,
    pub(crate) program: String,
    /// Takes so many examples.
    pub(crate) run: Run,
}

type Run = Box<dyn FnMut(Operation, usize) -> Duration>;

/// What the programs of one shape are given.
struct Case<M: Model> {
    shape: &'static str,
    model: M,
    examples: Vec<(ExampleOf<M>, TargetOf<M>)>,
}

/// All programs at all shapes, without FANN: for each shape this crate's backends, the fastest last, then the scalar loop.
pub(crate) fn subjects() -> Vec<Subject> {
    [
        names(),
        dense::<8, 8, 2>("8-8-2"),
        dense::<64, 64, 16>("64-64-16"),
        dense::<8, 256, 1>("8-256-1"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn names() -> Vec<Subject> {
    let task = task();
    let examples = task.batches.as_flattened()[..EXAMPLES]
        .iter()
        .map(|&index| {
            let index = index as usize;
            (task.train.inputs()[index], task.train.targets()[index])
        });
    let case = Case {
        shape: SHAPE,
        model: task.initial.clone(),
        examples: examples.collect(),
    };
    let scalar = Scalar::new(&case.model);
    case.subjects(
        scalar,
        |scalar, context, target| scalar.step(from_ref(context), from_ref(target), LEARNING_RATE),
        |scalar, context| scalar.predict(context),
    )
}

fn dense<const FEATURES: usize, const HIDDEN: usize, const OUTPUTS: usize>(
    shape: &'static str,
) -> Vec<Subject> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut normal = StandardNormal::default();
    let model = Mlp::<Dense<FEATURES>, Tanh<HIDDEN>, Regression<OUTPUTS>>::fan_in_scaled(&mut rng);
    let mut draw = || normal.sample(&mut rng);
    let example = |_| {
        (
            [(); FEATURES].map(|()| draw()),
            [(); OUTPUTS].map(|()| draw()),
        )
    };
    let case = Case {
        shape,
        examples: (0..EXAMPLES).map(example).collect(),
        model,
    };
    let layers = Layers::<FEATURES, HIDDEN, OUTPUTS>::from_tensors(&tensors_of(&case.model));
    case.subjects(
        layers,
        |layers, x, y| {
            let head = |outputs| squared_error(outputs, y);
            layers.step_one(x, LEARNING_RATE, head).0
        },
        |layers, x| layers.forward(x).1,
    )
}

impl<M: Model> Case<M> {
    /// This crate's backends, and a plain program.
    fn subjects<S: 'static, P: AsRef<[f32]>>(
        self,
        plain: S,
        step: impl FnMut(&mut S, &ExampleOf<M>, &TargetOf<M>) -> f32 + 'static,
        predict: impl FnMut(&mut S, &ExampleOf<M>) -> P + 'static,
    ) -> Vec<Subject> {
        let case = Rc::new(self);
        let own = Backend::available().map(|backend| {
            case.subject(
                backend.name(),
                case.own(backend),
                |(trainer, _), x, y| step_one(trainer, x, y),
                |(_, predictor), x| predict_one(predictor, x),
            )
        });
        own.chain([case.subject(Scalar::ID, plain, step, predict)])
            .collect()
    }

    fn own(&self, backend: Backend) -> (Trainer<M>, Predictor<M>) {
        let trainer = Trainer::new(self.model.clone(), Sgd::new(LEARNING_RATE));
        let predictor = Predictor::new(&self.model);
        (
            trainer.expect("models start finite").with_backend(backend),
            predictor
                .expect("models start finite")
                .with_backend(backend),
        )
    }

    /// A program, after a few examples that show that it does what it should.
    fn subject<S: 'static, P: AsRef<[f32]>>(
        self: &Rc<Self>,
        program: &str,
        mut state: S,
        mut step: impl FnMut(&mut S, &ExampleOf<M>, &TargetOf<M>) -> f32 + 'static,
        mut predict: impl FnMut(&mut S, &ExampleOf<M>) -> P + 'static,
    ) -> Subject {
        let (mut trainer, predictor) = self.own(Backend::detect());
        for (x, _) in &self.examples[..COMPARED] {
            let expected = predict_one(&predictor, x);
            assert_close(program, predict(&mut state, x).as_ref(), expected.as_ref());
        }
        for (x, y) in &self.examples[..COMPARED] {
            let expected = step_one(&mut trainer, x, y);
            assert_close(program, &[step(&mut state, x, y)], &[expected]);
        }

        let case = Rc::clone(self);
        let run = move |operation, count| {
            let examples = case.examples.iter().cycle().take(count);
            time(|| match operation {
                Operation::Train => {
                    for (x, y) in examples {
                        black_box(step(&mut state, x, y));
                    }
                }
                Operation::Predict => {
                    for (x, _) in examples {
                        black_box(predict(&mut state, x));
                    }
                }
            })
        };
        Subject {
            shape: self.shape,
            program: program.into(),
            run: Box::new(run),
        }
    }
}

fn step_one<M: Model>(trainer: &mut Trainer<M>, x: &ExampleOf<M>, y: &TargetOf<M>) -> f32 {
    let loss = trainer.step_one(x, y);
    loss.expect("the rate is small enough")
}

fn predict_one<M: Model>(predictor: &Predictor<M>, x: &ExampleOf<M>) -> PredictionOf<M> {
    predictor.predict(x).expect("the examples are the model's")
}

fn assert_close(program: &str, found: &[f32], expected: &[f32]) {
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= AGREEMENT * expected.abs().max(1.0),
            "{program}: {found} is not {expected}"
        );
    }
}

/// One table of all shapes, this crate's fastest backend first.
pub(crate) fn measure(effort: Effort) -> Vec<Section> {
    let fastest = Backend::detect().name();
    let mut subjects = subjects();
    subjects.retain(|subject| subject.program != Backend::SCALAR.name());
    if effort == Effort::Measure {
        subjects.extend(fann::subjects());
    }
    let order = |subject: &Subject| (subject.program != fastest, subject.program.clone());
    subjects.sort_by_key(order);

    let slice = effort.steps(SLICE);
    let mut measure = |operation| {
        interleave(effort.rounds(ROUNDS), &mut subjects, |subject, _| {
            Some((subject.run)(operation, slice).as_secs_f64() / fraction(slice, 1))
        })
    };
    let [train, predict] = Operation::ALL.map(&mut measure);
    vec![section(&subjects, [&train, &predict])]
}

fn section(subjects: &[Subject], samples: [&[Samples]; 2]) -> Section {
    let mut table = Table::new([
        "shape",
        "program",
        "train, ns",
        "over this crate",
        "predict, ns",
        "over this crate",
    ]);
    for own in 0..subjects.len() {
        // The fastest backend's row of each shape comes first.
        let shape = subjects[own].shape;
        if subjects[..own].iter().any(|subject| subject.shape == shape) {
            continue;
        }
        for (row, subject) in subjects.iter().enumerate() {
            if subject.shape != shape {
                continue;
            }
            let [train, predict] = samples.map(|samples| &samples[row]);
            let [own_train, own_predict] = samples.map(|samples| &samples[own]);
            table.push([
                shape.into(),
                subject.program.clone(),
                significant(train.median() * 1e9),
                number(train.ratio_to(own_train), 1),
                significant(predict.median() * 1e9),
                number(predict.ratio_to(own_predict), 1),
            ]);
        }
    }
    Section {
        title: "One example at a time".into(),
        text: fann::NOTE.into(),
        table,
    }
}
