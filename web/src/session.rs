//! What one visitor has: names, and a run of a model on them.

use fused_mlp::{Backend, Corpus, Error, Split, Vocabulary};

use crate::run::{Kind, Run, Settings};

/// Makemore's seed of the split.
const SPLIT_SEED: u64 = 42;

/// Names and a run on them.
pub struct Session {
    backend: Backend,
    names: Split,
    count: usize,
    run: Option<Box<dyn Run>>,
}

impl Session {
    /// With the crate's sample of names, and no run.
    ///
    /// # Errors
    ///
    /// None is to be expected: the sample can be learned from.
    pub fn new(backend: Backend) -> Result<Self, Error> {
        let (names, count) = split(Corpus::sample())?;
        Ok(Self {
            backend,
            names,
            count,
            run: None,
        })
    }

    /// Takes the crate's sample, or the names in a file: one a line, letters `a` to `z`.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong, and in which line. The names are then those that were.
    pub fn take_names(&mut self, file: Option<&[u8]>) -> Result<(), String> {
        let corpus = match file {
            Some(bytes) => Corpus::from_text(text(bytes)?),
            None => Ok(Corpus::sample()),
        };
        (self.names, self.count) = corpus.and_then(split).map_err(|error| match error {
            Error::UnknownCharacter { .. } => format!("{error}: it has the letters a to z"),
            _ => error.to_string(),
        })?;
        Ok(())
    }

    /// Number of names.
    #[must_use]
    pub fn names(&self) -> usize {
        self.count
    }

    /// Starts a run, from random parameters.
    ///
    /// # Errors
    ///
    /// For settings outside their ranges. The run is then the one that was.
    pub fn start(&mut self, kind: Kind, settings: Settings) -> Result<(), Error> {
        self.run = Some(kind.run(settings, &self.names, None, self.backend)?);
        Ok(())
    }

    /// Starts a run from the weights in a safetensors file. The model of the file need not be
    /// `kind`; the one that it is is returned.
    ///
    /// # Errors
    ///
    /// For a file of neither model: what is wrong with it for `kind`. The run is then the one that
    /// was.
    pub fn load(&mut self, kind: Kind, settings: Settings, file: &[u8]) -> Result<Kind, Error> {
        let run = |kind: Kind| kind.run(settings, &self.names, Some(file), self.backend);
        let other = match kind {
            Kind::OneLayer => Kind::TwoLayers,
            Kind::TwoLayers => Kind::OneLayer,
        };
        let (kind, run) = match run(kind) {
            Ok(run) => (kind, run),
            Err(error) => (other, run(other).map_err(|_| error)?),
        };
        self.run = Some(run);
        Ok(kind)
    }

    /// The run, if one was started.
    pub fn run(&mut self) -> Option<&mut (dyn Run + 'static)> {
        self.run.as_deref_mut()
    }
}

/// The parts of a corpus, and how many names it has.
fn split(corpus: Corpus) -> Result<(Split, usize), Error> {
    // In the order of the file, so that an error names its first bad line.
    corpus.windows::<1>(&Vocabulary::lowercase())?;
    let count = corpus.len();
    Ok((corpus.split(SPLIT_SEED)?, count))
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        format!("line {line} is not UTF-8 text")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::new(Backend::detect()).unwrap()
    }

    #[test]
    fn a_bad_file_is_an_error_with_its_line_and_changes_nothing() {
        let mut session = session();
        let before = session.names();
        for (file, expected) in [
            (&b""[..], "no name in the text (0 lines read)"),
            (
                b"emma\navA\n",
                "line 2 has the character 'A', which the vocabulary does not have: it has the letters a to z",
            ),
            (b"emma\nava\n\xff\n", "line 3 is not UTF-8 text"),
            (
                b"emma\nava\n",
                "2 names are too few to split: the dev part would be empty",
            ),
        ] {
            assert_eq!(session.take_names(Some(file)).unwrap_err(), expected);
            assert_eq!(session.names(), before);
        }
        let names = "emma\nava\n".repeat(10);
        session.take_names(Some(names.as_bytes())).unwrap();
        assert_eq!(session.names(), 20);
    }

    #[test]
    fn weights_come_back_whichever_model_was_chosen() {
        let mut session = session();
        for (kind, other) in [
            (Kind::OneLayer, Kind::TwoLayers),
            (Kind::TwoLayers, Kind::OneLayer),
        ] {
            session.start(kind, kind.settings()).unwrap();
            let run = session.run().unwrap();
            run.train(2).unwrap();
            let (file, checksum) = (run.weights().unwrap(), run.checksum());
            assert_eq!(session.load(other, other.settings(), &file), Ok(kind));
            assert_eq!(session.run().unwrap().checksum(), checksum);
        }
        let error = session.load(Kind::OneLayer, Kind::OneLayer.settings(), b"no file");
        assert!(error.unwrap_err().to_string().starts_with("weight file"));
    }
}
