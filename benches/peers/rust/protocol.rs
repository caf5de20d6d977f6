//! The protocol of `../README.md`, once for every Rust peer (`#[path = "../../protocol.rs"]`). What a peer is given is in
//! `tokens.rs`, the name model, and in `features.rs`.

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::exit;
use std::time::Instant;

/// What a peer is given.
pub trait Data: Clone {
    /// What it comes to.
    type Parameters;

    fn load(folder: &Path, steps: usize) -> Self;

    /// Leaves so many steps.
    fn truncate(&mut self, steps: usize);

    /// The mean loss of all examples, outside the timed part.
    fn loss(&self, parameters: &Self::Parameters) -> f64;
}

pub fn fail(message: String) -> ! {
    eprintln!("{message}");
    exit(1)
}

pub fn read(folder: &Path, name: &str, at_least: usize) -> Vec<u8> {
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

/// What follows a key of a flat JSON object.
pub fn value<'a>(json: &'a str, key: &str) -> &'a str {
    json.split_once(&format!("\"{key}\""))
        .and_then(|(_, rest)| rest.trim_start().strip_prefix(':'))
        .unwrap_or_else(|| fail(format!("shape.json has no \"{key}\"")))
        .trim_start()
}

pub fn parsed(text: &str, key: &str) -> f64 {
    let number = text.trim().parse();
    number.unwrap_or_else(|_| fail(format!("shape.json does not give a number for \"{key}\"")))
}

pub fn number(json: &str, key: &str) -> f64 {
    let value = value(json, key);
    parsed(value.split([',', '}']).next().unwrap_or_default(), key)
}

/// The numbers of a file.
pub fn floats(folder: &Path, name: &str, at_least: usize) -> Vec<f32> {
    let bytes = read(folder, name, 4 * at_least);
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().copied().map(f32::from_le_bytes).collect()
}

/// The example numbers of all steps.
pub fn indices(folder: &Path, count: usize) -> Vec<u32> {
    let bytes = read(folder, "indices.u32", 4 * count);
    let (numbers, _) = bytes.as_chunks::<4>();
    let numbers = numbers.iter().take(count);
    numbers.copied().map(u32::from_le_bytes).collect()
}

/// Runs the protocol. `train` starts from the initial parameters, takes all the steps, and returns the seconds of the loop
/// alone and the trained parameters.
pub fn serve<D: Data>(name: &str, version: &str, train: impl Fn(&D) -> (f64, D::Parameters)) {
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
    let data = D::load(Path::new(folder), steps);

    let mut first = data.clone();
    first.truncate(1);
    train(&first);
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
                    data.loss(&parameters)
                );
            }
            Ok("quit") | Err(_) => break,
            Ok(_) => println!(r#"{{"error": "unknown command; this peer knows train quit"}}"#),
        }
        let _ = std::io::stdout().flush();
    }
}
