//! The functions of the WebAssembly build, for `site/trainer.js`.
//!
//! Bytes go in through the memory that [`input`] reserves, and come out at [`output`]. A function
//! that may fail returns 1 if it succeeded, and 0 if there is an error message in the output.

use std::cell::RefCell;

use fused_mlp::Backend;

use crate::run::{Kind, Part, Run, Settings};
use crate::session::Session;

#[derive(Default)]
struct State {
    session: Option<Session>,
    input: Vec<u8>,
    output: Vec<u8>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Calls `f` with the session and the input; its result becomes the output.
fn attempt(f: impl FnOnce(&mut Session, &[u8]) -> Result<Vec<u8>, String>) -> bool {
    STATE.with_borrow_mut(|state| {
        let session = match &mut state.session {
            Some(session) => Ok(session),
            none => Session::new(Backend::detect()).map(|session| none.insert(session)),
        };
        let result = session
            .map_err(|error| error.to_string())
            .and_then(|session| f(session, &state.input));
        let is_ok = result.is_ok();
        state.output = result.unwrap_or_else(String::into_bytes);
        is_ok
    })
}

/// As [`attempt`], with the run.
fn attempt_run<E: ToString>(f: impl FnOnce(&mut dyn Run) -> Result<Vec<u8>, E>) -> bool {
    attempt(|session, _| {
        let run = session.run().ok_or("no run has been started")?;
        f(run).map_err(|error| error.to_string())
    })
}

/// As [`attempt_run`], for a number; NaN is an error.
fn attempt_number<E: ToString>(f: impl FnOnce(&mut dyn Run) -> Result<f32, E>) -> f32 {
    let mut number = f32::NAN;
    attempt_run(|run| {
        number = f(run)?;
        Ok::<_, E>(Vec::new())
    });
    number
}

/// Reserves `len` bytes for the input, and returns where they are.
#[unsafe(no_mangle)]
pub extern "C" fn input(len: usize) -> *mut u8 {
    STATE.with_borrow_mut(|state| {
        state.input = vec![0; len];
        state.input.as_mut_ptr()
    })
}

/// Where the output is.
#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    STATE.with_borrow(|state| state.output.as_ptr())
}

/// Bytes of the output.
#[unsafe(no_mangle)]
pub extern "C" fn output_len() -> usize {
    STATE.with_borrow(|state| state.output.len())
}

/// Takes the sample of names. The output is their number, as text.
#[unsafe(no_mangle)]
pub extern "C" fn take_sample() -> bool {
    attempt(|session, _| {
        session.take_names(None)?;
        Ok(session.names().to_string().into_bytes())
    })
}

/// Takes the names of the file in the input. The output is their number, as text.
#[unsafe(no_mangle)]
pub extern "C" fn take_file() -> bool {
    attempt(|session, file| {
        session.take_names(Some(file))?;
        Ok(session.names().to_string().into_bytes())
    })
}

/// Starts a run of the model with one or two hidden layers.
#[unsafe(no_mangle)]
pub extern "C" fn start(layers: u32, rate: f32, batch: u32, steps: u32, seed: u64) -> bool {
    attempt(|session, _| {
        let settings = settings(rate, batch, steps, seed);
        let started = session.start(kind(layers), settings);
        started.map_err(|error| error.to_string())?;
        Ok(Vec::new())
    })
}

/// As [`start`], from the weights of the file in the input. The output is the number of hidden
/// layers of the file's model, as one byte.
#[unsafe(no_mangle)]
pub extern "C" fn load(layers: u32, rate: f32, batch: u32, steps: u32, seed: u64) -> bool {
    attempt(|session, file| {
        let settings = settings(rate, batch, steps, seed);
        let loaded = session.load(kind(layers), settings, file);
        let kind = loaded.map_err(|error| error.to_string())?;
        Ok(vec![match kind {
            Kind::OneLayer => 1,
            Kind::TwoLayers => 2,
        }])
    })
}

fn kind(layers: u32) -> Kind {
    match layers {
        2 => Kind::TwoLayers,
        _ => Kind::OneLayer,
    }
}

fn settings(rate: f32, batch: u32, steps: u32, seed: u64) -> Settings {
    Settings {
        rate,
        batch: batch as usize,
        steps: steps.into(),
        seed,
    }
}

/// Trains for some steps, and returns their mean loss, or NaN if there is an error.
#[unsafe(no_mangle)]
pub extern "C" fn train(steps: u32) -> f32 {
    attempt_number(|run| run.train(steps))
}

/// The loss over the training part (0), the validation part (1) or the test part (2) of the names,
/// or NaN if there is an error.
#[unsafe(no_mangle)]
pub extern "C" fn evaluate(part: u32) -> f32 {
    attempt_number(|run| {
        run.evaluate(match part {
            0 => Part::Train,
            1 => Part::Validation,
            _ => Part::Test,
        })
    })
}

/// Puts the places of the 27 tokens into the output: x and y of each, as `f32`.
#[unsafe(no_mangle)]
pub extern "C" fn letters() -> bool {
    attempt_run(|run| {
        let places = run.letters();
        let numbers = places.as_flattened().iter();
        Ok::<_, String>(numbers.flat_map(|number| number.to_le_bytes()).collect())
    })
}

/// Puts a new name into the output.
#[unsafe(no_mangle)]
pub extern "C" fn invent() -> bool {
    attempt_run(|run| run.invent().map(String::into_bytes))
}

/// Puts a safetensors file of the model into the output.
#[unsafe(no_mangle)]
pub extern "C" fn weights() -> bool {
    attempt_run(|run| run.weights())
}

/// The hash of the parameters; 0 without a run.
#[unsafe(no_mangle)]
pub extern "C" fn checksum() -> u64 {
    let mut checksum = 0;
    attempt_run(|run| {
        checksum = run.checksum();
        Ok::<_, String>(Vec::new())
    });
    checksum
}

/// Number of parameters; 0 without a run.
#[unsafe(no_mangle)]
pub extern "C" fn parameters() -> usize {
    let mut parameters = 0;
    attempt_run(|run| {
        parameters = run.parameters();
        Ok::<_, String>(Vec::new())
    });
    parameters
}
