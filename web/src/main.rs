//! The page's training run without a page: what `test` holds the browser to, and times it against.
//!
//! ```text
//! fused-mlp-web one|two STEPS [BACKEND [FILE]]
//! ```
//!
//! trains with the page's settings, on the sample of names or those of a file, and prints the
//! checksum of the parameters and the seconds. The default backend is `portable`, the one of
//! WebAssembly: where the compiler was told of no fused multiply-add, as on plain x86-64, it rounds
//! as WebAssembly does.

use std::error::Error;
use std::time::{Duration, Instant};
use std::{env, fs};

use fused_mlp::Backend;
use fused_mlp_web::{Kind, Session};

/// Steps in one call, as on the page; the number changes no bit.
const SLICE: u32 = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (kind, steps, rest) = match &arguments[..] {
        [model, steps, rest @ ..] if model == "one" => (Kind::OneLayer, steps, rest),
        [model, steps, rest @ ..] if model == "two" => (Kind::TwoLayers, steps, rest),
        _ => return Err("usage: fused-mlp-web one|two STEPS [BACKEND [FILE]]".into()),
    };
    let steps: u32 = steps.parse()?;
    let backend = match rest.first() {
        Some(name) => name.parse()?,
        None => Backend::PORTABLE,
    };
    let mut session = Session::new(backend)?;
    if let Some(path) = rest.get(1) {
        session.take_names(Some(&fs::read(path)?))?;
    }
    let mut settings = kind.settings();
    settings.steps = steps.into();
    session.start(kind, settings)?;
    let run = session.run().ok_or("the run was started")?;
    let mut time = Duration::ZERO;
    for start in (0..steps).step_by(SLICE as usize) {
        let begun = Instant::now();
        run.train(SLICE.min(steps - start))?;
        time += begun.elapsed();
        run.letters(); // as the page does
    }
    println!("{:016x} {:.3}", run.checksum(), time.as_secs_f64());
    Ok(())
}
