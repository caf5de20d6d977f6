//! Other programs that do the same job, as processes that time themselves: the protocol of `../peers/README.md`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What a peer can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// Minibatches of the name model.
    Train,
    /// Minibatches of models of features.
    Features,
    /// One example at a time.
    Examples,
}

/// A line of `peers.json`.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) id: String,
    pub(crate) answers: Answers,
    /// What to do when it is missing.
    pub(crate) get: String,
    /// It draws its batches itself.
    pub(crate) own_batches: bool,
    /// So slow that one asks for fewer steps and scales.
    pub(crate) at_most_steps: Option<usize>,
    command: Vec<String>,
}

/// A peer that runs and has said that it is ready.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    errors: PathBuf,
    /// What it is, with the version of its library or compiler.
    pub(crate) description: String,
    /// From its start to its first answer.
    pub(crate) startup: Duration,
}

/// What a peer says of one example at a time, in nanoseconds each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExampleTimes {
    pub(crate) train: f64,
    pub(crate) predict: f64,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers")
}

/// The peers for these, installed or not.
///
/// # Panics
///
/// If `peers.json` is not as `../peers/README.md` describes it.
pub(crate) fn that_answer(answers: Answers) -> Vec<Spec> {
    let path = folder().join("peers.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let specs: Vec<Value> = serde_json::from_str(&text).expect("peers.json is a list");
    let specs = specs.iter().map(Spec::new);
    specs.filter(|spec| spec.answers == answers).collect()
}

impl Spec {
    fn new(entry: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("a peer's entry is text").to_owned();
        let steps = entry["at_most_steps"].as_u64();
        Self {
            id: text(&entry["id"]),
            answers: match &*text(&entry["answers"]) {
                "train" => Answers::Train,
                "features" => Answers::Features,
                "examples" => Answers::Examples,
                other => panic!("no peer can answer {other:?}"),
            },
            get: text(&entry["get"]),
            own_batches: entry["own_batches"].as_bool().unwrap_or(false),
            at_most_steps: steps.and_then(|steps| usize::try_from(steps).ok()),
            command: entry["command"]
                .as_array()
                .expect("a command is a list")
                .iter()
                .map(text)
                .collect(),
        }
    }

    /// The same program compiled for another shape, which stands beside it as `NAME-SHAPE`.
    pub(crate) fn for_shape(&self, shape: &str) -> Self {
        let mut spec = self.clone();
        spec.command[0] = format!("{}-{shape}", self.command[0]);
        spec
    }

    /// Whether its program is there.
    pub(crate) fn is_installed(&self) -> bool {
        folder().join(&self.command[0]).exists()
    }

    /// Starts it on the data of a folder, and waits until it is ready.
    pub(crate) fn start(&self, data: &Path, steps: usize) -> Result<Peer, String> {
        let errors = data.join(format!("{}.errors", self.id));
        let start = Instant::now();
        let mut child = Command::new(folder().join(&self.command[0]))
            .args(&self.command[1..])
            .arg("--data")
            .arg(data)
            .args(["--steps", &steps.to_string()])
            .current_dir(folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors).map_err(|error| error.to_string())?)
            .spawn()
            .map_err(|error| format!("it cannot be started: {error}"))?;
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut peer = Peer {
            child,
            input,
            output,
            errors,
            description: String::new(),
            startup: Duration::ZERO,
        };
        let ready = peer.answer()?;
        peer.startup = start.elapsed();
        peer.description = match (ready["name"].as_str(), ready["version"].as_str()) {
            (Some(name), Some(version)) => format!("{name}; {version}"),
            _ => return Err(format!("it answered {ready} instead of being ready")),
        };
        Ok(peer)
    }
}

impl Peer {
    /// Trains from the initial parameters: seconds of its loop, and the loss on the train split.
    pub(crate) fn train(&mut self) -> Result<(f64, f64), String> {
        let answer = self.ask("train")?;
        Ok((number(&answer, "seconds")?, number(&answer, "loss")?))
    }

    /// Trains on so many examples one by one, and predicts as many.
    pub(crate) fn examples(&mut self, count: usize) -> Result<ExampleTimes, String> {
        let answer = self.ask(&format!("examples {count}"))?;
        Ok(ExampleTimes {
            train: number(&answer, "train_ns")?,
            predict: number(&answer, "predict_ns")?,
        })
    }

    fn ask(&mut self, command: &str) -> Result<Value, String> {
        writeln!(self.input, "{command}").map_err(|_| self.last_words())?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Value, String> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(1..) => {}
            _ => return Err(self.last_words()),
        }
        let answer: Value =
            serde_json::from_str(&line).map_err(|_| format!("it answered {line:?}"))?;
        match answer["error"].as_str() {
            Some(error) => Err(error.into()),
            None => Ok(answer),
        }
    }

    /// Why it ended, as far as it told.
    fn last_words(&self) -> String {
        let errors = fs::read(&self.errors).unwrap_or_default();
        let errors = String::from_utf8_lossy(&errors);
        let last = errors.lines().rfind(|line| !line.trim().is_empty());
        format!("it ended: {}", last.unwrap_or("without a word").trim())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended long ago; then neither works, and neither needs to.
        let _ = writeln!(self.input, "quit");
        let _ = self.child.wait();
    }
}

fn number(answer: &Value, key: &str) -> Result<f64, String> {
    let number = answer[key].as_f64();
    number.ok_or_else(|| format!("it answered {answer}, without {key}"))
}
