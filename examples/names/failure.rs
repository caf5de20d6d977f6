//! Everything that can end the program early, each as one sentence.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use fused_mlp::Error;

use crate::data::{PUBLISHED_BYTES, PUBLISHED_SHA256};
use crate::{BACKEND_VARIABLE, NAMES_VARIABLE};

/// Why the program stopped.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Training, evaluation or sampling.
    Library(Error),
    /// The backend of the environment variable.
    Backend { error: Error },
    /// Names that cannot be learned from.
    Names { source: String, error: Error },
    /// Bytes that are not text.
    NotUtf8 { path: PathBuf, line: usize },
    /// A replay without the published names.
    NamesMissing,
    /// A replay with other names than the published ones.
    NamesDiffer { path: PathBuf, sha256: String },
    /// A file that cannot be read.
    Read { path: PathBuf, error: io::Error },
    /// A file or directory that cannot be written.
    Write { path: PathBuf, error: io::Error },
    /// A picture that cannot be drawn.
    Draw { path: PathBuf, reason: String },
    /// Standard output.
    Output(io::Error),
}

impl Failure {
    pub(crate) fn read(path: &Path, error: io::Error) -> Self {
        let path = path.into();
        Self::Read { path, error }
    }

    pub(crate) fn write(path: &Path, error: io::Error) -> Self {
        let path = path.into();
        Self::Write { path, error }
    }

    pub(crate) fn draw(path: &Path, reason: impl fmt::Display) -> Self {
        Self::Draw {
            path: path.into(),
            reason: reason.to_string(),
        }
    }

    /// Whether the reader of the output has seen enough, as `| head` has: no reason to complain.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library(error) => error.fmt(f),
            Self::Backend { error } => write!(f, "{BACKEND_VARIABLE}: {error}"),
            Self::Names { source, error } => write!(f, "{source}: {error}"),
            Self::NotUtf8 { path, line } => {
                write!(f, "{}: line {line} is not UTF-8 text", path.display())
            }
            Self::NamesMissing => write!(
                f,
                "a replay needs the published names, by --names FILE or {NAMES_VARIABLE}=FILE: the file names.txt of \
                 github.com/karpathy/makemore, {PUBLISHED_BYTES} bytes, SHA-256 {PUBLISHED_SHA256}"
            ),
            Self::NamesDiffer { path, sha256 } => write!(
                f,
                "{} is not the published names.txt of github.com/karpathy/makemore, which a replay needs: its SHA-256 \
                 is {sha256} instead of {PUBLISHED_SHA256}",
                path.display()
            ),
            Self::Read { path, error } => write!(f, "cannot read {}: {error}", path.display()),
            Self::Write { path, error } => write!(f, "cannot write {}: {error}", path.display()),
            Self::Draw { path, reason } => write!(f, "cannot draw {}: {reason}", path.display()),
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
        }
    }
}
