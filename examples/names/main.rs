//! Trains the name model, and shows what the post "Learning JAX by Implementing a Simple Language Model" (Tekin, 2023)
//! shows: losses along the way, where the letters end up in the plane, new names, and how long the training took.
//!
//! ```text
//! cargo run --release -p examples --example names                       # on the built-in sample
//! cargo run --release -p examples --example names -- --names FILE       # on names of your own, one a line
//! cargo run --release -p examples --example names -- --replay torch --names names.txt     # the post's own run, from its seed
//! ```
//!
//! `FUSED_MLP_BACKEND` picks the backend by name, and `--json` ends the output with one line for programs.
//!
//! The four pictures in `docs/` are made by one command for each two of them, with the published names in `names.txt`:
//!
//! ```text
//! cargo run --release -p examples --example names -- --replay torch --names names.txt --out docs --prefix replay-torch-
//! cargo run --release -p examples --example names -- --replay jax --names names.txt --out docs --prefix replay-jax-
//! ```

mod arguments;
mod data;
mod failure;
mod plots;
mod replay;
mod report;
mod run;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs};

use clap::Parser;
use fused_mlp::Backend;

use arguments::Arguments;
use data::Data;
use failure::Failure;
use run::Run;

/// Where a replay looks for the published names if it is not told.
const NAMES_VARIABLE: &str = "NAMES_TXT";
/// Which backend to use, if not the fastest.
const BACKEND_VARIABLE: &str = "FUSED_MLP_BACKEND";

fn main() -> ExitCode {
    match show(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The whole program.
fn show(arguments: &Arguments) -> Result<(), Failure> {
    let begun = Instant::now();
    let backend = backend()?;
    // First, because it is a pity to train for an hour and then find nowhere to write.
    fs::create_dir_all(&arguments.out).map_err(|error| Failure::write(&arguments.out, error))?;
    let data = data(arguments)?;
    let run = Run::new(arguments, &data, backend)?;

    let file = |name| arguments.out.join(format!("{}{name}", arguments.prefix));
    let pictures = [file("loss.svg"), file("embeddings.svg")];
    write(&pictures[0], plots::loss(&run))?;
    write(&pictures[1], plots::embeddings(&run))?;

    let mut stdout = io::stdout().lock();
    // A terminal has shown the losses beside the progress bar.
    let with_table = !stdout.is_terminal();
    report::text(&mut stdout, &run, &data, with_table)?;
    report::closing(&mut stdout, &pictures, begun.elapsed())?;
    if arguments.json {
        report::json(&mut stdout, &run, &data, begun.elapsed())?;
    }
    Ok(())
}

/// The fastest backend, or the one that the environment asks for.
fn backend() -> Result<Backend, Failure> {
    match env::var_os(BACKEND_VARIABLE) {
        None => Ok(Backend::detect()),
        Some(name) => name
            .to_string_lossy()
            .parse()
            .map_err(|error| Failure::Backend { error }),
    }
}

/// The names that the arguments ask for; a replay takes the published ones only.
fn data(arguments: &Arguments) -> Result<Data, Failure> {
    if arguments.replay.is_some() {
        let variable = env::var_os(NAMES_VARIABLE).map(Into::into);
        let path = arguments.names.clone().or(variable);
        return Data::published(&path.ok_or(Failure::NamesMissing)?);
    }
    match &arguments.names {
        Some(path) => Data::read(path),
        None => Data::sample(),
    }
}

/// Writes a picture that could be drawn.
fn write(path: &Path, picture: Result<String, plots::DrawingError>) -> Result<(), Failure> {
    let svg = picture.map_err(|error| Failure::draw(path, error))?;
    fs::write(path, svg).map_err(|error| Failure::write(path, error))
}
