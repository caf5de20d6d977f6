//! The job that everyone is given: examples, parameters to start from, and the order of the batches.

use std::sync::LazyLock;
use std::{env, fs};

use fused_mlp::replay::torch::{Batches, Generator, NormalPath};
use fused_mlp::{
    Backend, Corpus, Dataset, Error, Minibatch, Model, NameModel, Sgd, Trainer, Vocabulary,
};
use sha2::{Digest, Sha256};

use super::peer_data::PeerData;
use super::{BATCH, CONTEXT, EMBED, HIDDEN, LEARNING_RATE, SHAPE, STEPS, VOCAB};

/// Names the file with the published names.
const NAMES_VARIABLE: &str = "NAMES_TXT";
const PUBLISHED_SHA256: &str = "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d";

/// PyTorch's loss on the train split after the run.
const PUBLISHED_LOSS: f64 = 2.484_535;

/// How far losses may be apart, in nats: same initial parameters, same batches.
pub(crate) const AGREEMENT: f64 = 1e-3;

/// The post's seeds: of the shuffle, and of its PyTorch run.
const SPLIT_SEED: u64 = 42;
const SEED: u64 = 2_147_483_647;

/// Contexts and the letters that follow them.
pub(crate) type Examples = Dataset<[u8; CONTEXT], u8>;
/// Some of them.
pub(crate) type Batch = Minibatch<[u8; CONTEXT], u8>;

/// The post's PyTorch run, on its names or others.
#[derive(Debug)]
pub(crate) struct Task {
    /// Where the names come from.
    pub(crate) source: Source,
    /// The train split.
    pub(crate) train: Examples,
    /// The parameters before the first step.
    pub(crate) initial: NameModel,
    /// The numbers of each step's examples.
    pub(crate) batches: Vec<[u32; BATCH]>,
}

/// Where names come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The published file: losses are known.
    Published,
    /// Another file.
    File,
    /// The sample in this crate.
    Sample,
}

impl Source {
    /// Half a sentence.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Published => "the published names.txt",
            Self::File => "another names file, whose losses compare only among the entries",
            Self::Sample => {
                "the built-in sample of names, whose losses compare only among the entries"
            }
        }
    }
}

/// The task, loaded once.
///
/// # Panics
///
/// If the file that `NAMES_TXT` names cannot be read or holds other characters than a to z.
pub(crate) fn task() -> &'static Task {
    static TASK: LazyLock<Task> = LazyLock::new(|| {
        let (source, corpus) = names();
        Task::new(source, corpus).unwrap_or_else(|error| panic!("{NAMES_VARIABLE}: {error}"))
    });
    &TASK
}

fn names() -> (Source, Corpus) {
    let Some(path) = env::var_os(NAMES_VARIABLE) else {
        return (Source::Sample, Corpus::sample());
    };
    let read = fs::read_to_string(&path);
    let text = read.unwrap_or_else(|error| panic!("{NAMES_VARIABLE}: {path:?}: {error}"));
    let digest = Sha256::digest(&text);
    let hexadecimal: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let source = match hexadecimal == PUBLISHED_SHA256 {
        true => Source::Published,
        false => Source::File,
    };
    let corpus = Corpus::from_text(&text);
    (
        source,
        corpus.unwrap_or_else(|error| panic!("{NAMES_VARIABLE}: {error}")),
    )
}

impl Task {
    fn new(source: Source, corpus: Corpus) -> Result<Self, Error> {
        let train = corpus.split(SPLIT_SEED)?.train;
        let train = train.windows(&Vocabulary::lowercase())?;
        let mut generator = Generator::manual_seed(SEED);
        let mut initial = NameModel::zeroed();
        for (_, values) in initial.tensors_mut() {
            generator.randn(values, NormalPath::Simd);
        }
        let batches = Batches::new(Generator::manual_seed(SEED), train.len());
        Ok(Self {
            source,
            initial,
            batches: batches.take(STEPS).collect(),
            train,
        })
    }

    /// A trainer that has not stepped yet.
    pub(crate) fn trainer(&self, backend: Backend) -> Trainer<NameModel> {
        Trainer::new(self.initial.clone(), Sgd::new(LEARNING_RATE))
            .expect("the first parameters are finite")
            .with_backend(backend)
    }

    /// Loss on the whole train split.
    pub(crate) fn loss(&self, model: NameModel) -> f64 {
        let mut trainer = Trainer::new(model, Sgd::new(LEARNING_RATE));
        let trainer = trainer.as_mut().expect("training keeps parameters finite");
        let loss = trainer.evaluate(&self.train);
        loss.expect("the examples are the model's").into()
    }

    /// This crate's loss after so many of the given batches.
    pub(crate) fn loss_after(&self, steps: usize, backend: Backend) -> f64 {
        let mut trainer = self.trainer(backend);
        let mut batch = Minibatch::new(BATCH);
        for indices in &self.batches[..steps] {
            self.step(&mut trainer, indices, &mut batch);
        }
        self.loss(trainer.model())
    }

    /// The loss that everyone must come to after so many of the given batches.
    ///
    /// # Panics
    ///
    /// If this crate itself does not come to the loss that PyTorch has after all of them.
    pub(crate) fn expected_loss(&self, steps: usize) -> f64 {
        let loss = self.loss_after(steps, Backend::detect());
        if self.source == Source::Published && steps == STEPS {
            let distance = (loss - PUBLISHED_LOSS).abs();
            assert!(distance < 1e-5, "{loss} is not {PUBLISHED_LOSS}");
        }
        loss
    }

    /// One step on a given batch.
    pub(crate) fn step(
        &self,
        trainer: &mut Trainer<NameModel>,
        indices: &[u32],
        batch: &mut Batch,
    ) {
        let selected = self.train.select(indices, batch);
        selected
            .and_then(|()| trainer.step_batch(batch))
            .expect("the names can be trained on");
    }

    /// The same for the peers.
    pub(crate) fn peer_data(&self) -> PeerData {
        let mut initial = Vec::new();
        for (_, values) in self.initial.tensors() {
            initial.extend_from_slice(values);
        }
        PeerData {
            name: SHAPE,
            widths: [VOCAB, CONTEXT, EMBED, HIDDEN],
            batch: BATCH,
            learning_rate: LEARNING_RATE,
            contexts: self.train.inputs().as_flattened().to_vec(),
            targets: self.train.targets().to_vec(),
            initial,
            indices: self.batches.as_flattened().to_vec(),
        }
    }
}
