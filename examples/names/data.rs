//! Names from a file, or the built-in ones, as examples in three parts.

use std::fs;
use std::path::Path;

use fused_mlp::{Corpus, Dataset, Error, Minibatch, Vocabulary};
use sha2::{Digest, Sha256};

use crate::failure::Failure;
use crate::replay::CONTEXT;

/// The file that the post learned from.
pub(crate) const PUBLISHED_BYTES: usize = 228_145;
pub(crate) const PUBLISHED_SHA256: &str =
    "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d";

/// Makemore's seed of the shuffle. The seed of a run does not touch it, so that the losses of two seeds are losses on
/// the same names.
const SPLIT_SEED: u64 = 42;

/// Contexts and the letters that follow them.
pub(crate) type Examples = Dataset<[u8; CONTEXT], u8>;
/// Some of them.
pub(crate) type Batch = Minibatch<[u8; CONTEXT], u8>;

/// Everything there is to learn from, and to be measured by.
pub(crate) struct Data {
    /// Where the names come from.
    pub(crate) source: String,
    /// How many there are.
    pub(crate) names: usize,
    pub(crate) train: Examples,
    pub(crate) dev: Examples,
    pub(crate) test: Examples,
}

impl Data {
    /// The names that come with the crate.
    pub(crate) fn sample() -> Result<Self, Failure> {
        Self::new("the built-in sample", Ok(Corpus::sample()))
    }

    /// The names of a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        Self::from_bytes(path, &read(path)?)
    }

    /// The names of a file that must be the published one.
    pub(crate) fn published(path: &Path) -> Result<Self, Failure> {
        let bytes = read(path)?;
        let sha256 = sha256(&bytes);
        if sha256 != PUBLISHED_SHA256 {
            let path = path.into();
            return Err(Failure::NamesDiffer { path, sha256 });
        }
        Self::from_bytes(path, &bytes)
    }

    fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, Failure> {
        let text = str::from_utf8(bytes).map_err(|error| Failure::NotUtf8 {
            path: path.into(),
            line: 1 + line_ends(&bytes[..error.valid_up_to()]),
        })?;
        Self::new(&path.display().to_string(), Corpus::from_text(text))
    }

    fn new(source: &str, corpus: Result<Corpus, Error>) -> Result<Self, Failure> {
        corpus
            .and_then(|corpus| Self::split(source, corpus))
            .map_err(|error| Failure::Names {
                source: source.into(),
                error,
            })
    }

    fn split(source: &str, corpus: Corpus) -> Result<Self, Error> {
        let vocabulary = Vocabulary::lowercase();
        // In the order of the file, so that an error names its first bad line.
        corpus.windows::<CONTEXT>(&vocabulary)?;
        let names = corpus.len();
        let split = corpus.split(SPLIT_SEED)?;
        Ok(Self {
            source: source.into(),
            names,
            train: split.train.windows(&vocabulary)?,
            dev: split.dev.windows(&vocabulary)?,
            test: split.test.windows(&vocabulary)?,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::read(path, error))
}

fn line_ends(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}

/// The digest in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
