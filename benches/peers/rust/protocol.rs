//! The protocol of `../README.md`, once for every Rust peer (`#[path = "../../protocol.rs"]`).

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::exit;
use std::time::Instant;

/// `C [vocab, embed]`, `W1 [context * embed, hidden]`, `b1`, `W2 [hidden, vocab]`, `b2`: row-major, as in initial.f32.
#[derive(Clone)]
pub struct Parameters {
    pub c: Vec<f32>,
    pub w1: Vec<f32>,
    pub b1: Vec<f32>,
    pub w2: Vec<f32>,
    pub b2: Vec<f32>,
}

pub struct Data {
    pub vocab: usize,
    pub context: usize,
    pub embed: usize,
    pub hidden: usize,
    pub batch: usize,
    pub steps: usize,
    pub learning_rate: f32,
    pub contexts: Vec<u8>,
    pub targets: Vec<u8>,
    pub indices: Vec<u32>,
    pub initial: Parameters,
}

#[allow(dead_code, reason = "not every peer wants every one of these")]
impl Data {
    pub fn inputs(&self) -> usize {
        self.context * self.embed
    }

    pub fn shape(&self) -> [usize; 5] {
        [
            self.vocab,
            self.context,
            self.embed,
            self.hidden,
            self.batch,
        ]
    }

    /// Ends the program when the data are of another shape than the peer was compiled for.
    pub fn expect_shape(&self, compiled: [usize; 5]) {
        if self.shape() != compiled {
            fail(format!(
                "shape.json has [vocab, context, embed, hidden, batch] {:?}, this peer was built for {compiled:?}",
                self.shape()
            ));
        }
    }

    /// The example numbers of each step.
    pub fn batches(&self) -> impl Iterator<Item = &[u32]> {
        self.indices.chunks_exact(self.batch)
    }

    pub fn context_of(&self, example: u32) -> &[u8] {
        &self.contexts[example as usize * self.context..][..self.context]
    }

    pub fn target_of(&self, example: u32) -> usize {
        self.targets[example as usize].into()
    }
}

fn fail(message: String) -> ! {
    eprintln!("{message}");
    exit(1)
}

fn read(folder: &Path, name: &str, at_least: usize) -> Vec<u8> {
    let path = folder.join(name);
    let bytes =
        std::fs::read(&path).unwrap_or_else(|error| fail(format!("{}: {error}", path.display())));
    if bytes.len() < at_least {
        fail(format!(
            "{} holds {} bytes, {at_least} are wanted",
            path.display(),
            bytes.len()
        ));
    }
    bytes
}

/// One number of a flat JSON object.
fn number(json: &str, key: &str) -> f64 {
    json.split_once(&format!("\"{key}\""))
        .and_then(|(_, rest)| rest.trim_start().strip_prefix(':'))
        .and_then(|rest| rest.split([',', '}']).next()?.trim().parse().ok())
        .unwrap_or_else(|| fail(format!("shape.json does not give a number for \"{key}\"")))
}

fn load(folder: &Path, steps: usize) -> Data {
    let json = String::from_utf8_lossy(&read(folder, "shape.json", 2)).into_owned();
    let size = |key: &str| number(&json, key) as usize;
    let [vocab, context, embed, hidden, batch] =
        ["vocab", "context", "embed", "hidden", "batch"].map(size);
    let examples = size("examples");

    let sizes = [
        vocab * embed,
        context * embed * hidden,
        hidden,
        hidden * vocab,
        vocab,
    ];
    let mut floats = read(folder, "initial.f32", 4 * sizes.iter().sum::<usize>())
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")))
        .collect::<Vec<_>>()
        .into_iter();
    let [c, w1, b1, w2, b2] = sizes.map(|size| floats.by_ref().take(size).collect());

    Data {
        vocab,
        context,
        embed,
        hidden,
        batch,
        steps,
        learning_rate: number(&json, "learning_rate") as f32,
        contexts: read(folder, "contexts.u8", examples * context),
        targets: read(folder, "targets.u8", examples)[..examples].to_vec(),
        indices: read(folder, "indices.u32", 4 * steps * batch)
            .chunks_exact(4)
            .take(steps * batch)
            .map(|bytes| u32::from_le_bytes(bytes.try_into().expect("four bytes")))
            .collect(),
        initial: Parameters { c, w1, b1, w2, b2 },
    }
}

/// Mean cross-entropy of the whole train split, outside the timed part.
fn full_loss(p: &Parameters, data: &Data) -> f64 {
    let mut total = 0.0;
    for (context, &target) in data.contexts.chunks_exact(data.context).zip(&data.targets) {
        let mut hidden = p.b1.clone();
        let inputs = context
            .iter()
            .flat_map(|&token| &p.c[token as usize * data.embed..][..data.embed]);
        for (x, row) in inputs.zip(p.w1.chunks_exact(data.hidden)) {
            hidden.iter_mut().zip(row).for_each(|(z, w)| *z += x * w);
        }
        let mut logits = p.b2.clone();
        for (z, row) in hidden.iter().zip(p.w2.chunks_exact(data.vocab)) {
            let h = z.tanh();
            logits
                .iter_mut()
                .zip(row)
                .for_each(|(logit, w)| *logit += h * w);
        }
        let top = logits.iter().copied().fold(f32::MIN, f32::max);
        let sum: f32 = logits.iter().map(|logit| (logit - top).exp()).sum();
        total += f64::from(sum.ln() + top - logits[target as usize]);
    }
    total / data.targets.len() as f64
}

/// Runs the protocol. `train` starts from the initial parameters, trains `data.steps` steps, and returns the seconds of
/// the loop alone and the trained parameters.
pub fn serve(name: &str, version: &str, train: impl Fn(&Data) -> (f64, Parameters)) {
    let started = Instant::now();
    // SAFETY: no other thread exists yet; the libraries read it when they start their first.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", "1") };

    let arguments: Vec<String> = std::env::args().collect();
    let value = |flag: &str| {
        arguments
            .iter()
            .position(|argument| argument == flag)
            .and_then(|at| arguments.get(at + 1))
    };
    let (Some(folder), Some(Ok(steps @ 1..))) =
        (value("--data"), value("--steps").map(|steps| steps.parse()))
    else {
        fail(format!("usage: {} --data DIR --steps N", arguments[0]))
    };
    let mut data = load(Path::new(folder), steps);

    data.steps = 1;
    let mut all = std::mem::take(&mut data.indices);
    data.indices = all[..data.batch].to_vec();
    train(&data);
    std::mem::swap(&mut data.indices, &mut all);
    data.steps = steps;
    let startup = started.elapsed().as_secs_f64();
    println!(
        r#"{{"ready": true, "name": "{name}", "version": "{version}", "startup_seconds": {startup:.6}}}"#
    );

    for line in std::io::stdin().lock().lines() {
        match line.as_deref().map(str::trim) {
            Ok("train") => {
                let (seconds, parameters) = train(&data);
                println!(
                    r#"{{"seconds": {seconds:.9}, "loss": {:.9}}}"#,
                    full_loss(&parameters, &data)
                );
            }
            Ok("quit") | Err(_) => break,
            Ok(_) => println!(r#"{{"error": "unknown command; this peer knows train quit"}}"#),
        }
        let _ = std::io::stdout().flush();
    }
}
