//! Named files that must be refused, with what their errors must say.

mod json;
mod lengths;
mod metadata;
mod states;
mod tensors;

use fused_mlp::Error;
use fused_mlp::weights::{self, HEADER_LIMIT, Keys};

use crate::file::{File, Small};
use crate::{largest_request, most_bytes};

use json::json;
use lengths::{lengths, spaces};
use metadata::metadata;
use states::{state, states, stopped};
use tensors::tensors;

/// Its name, its bytes, and texts that its error has in it.
type Case = (String, Vec<u8>, Vec<String>);

/// Characters of an error, whatever the file has.
const LONGEST_MESSAGE: usize = 500;

fn case(name: &str, bytes: Vec<u8>, says: &[&str]) -> Case {
    (
        name.into(),
        bytes,
        says.iter().map(|&part| part.into()).collect(),
    )
}

/// Reads each file, which must be refused as its case says and must not cost memory.
fn check(cases: Vec<Case>, read: impl Fn(&[u8]) -> Option<Error>) -> usize {
    let count = cases.len();
    let mut failures = Vec::new();
    for (name, bytes, says) in cases {
        let (error, largest) = largest_request(|| read(&bytes));
        let Some(error) = error else {
            failures.push(format!("{name}: it was read"));
            continue;
        };
        let message = error.to_string();
        for part in says {
            if !message.contains(&part) {
                failures.push(format!("{name}: {part:?} is not in {message:?}"));
            }
        }
        if message.chars().count() > LONGEST_MESSAGE {
            failures.push(format!("{name}: too long: {message}"));
        }
        if largest > most_bytes(&bytes) {
            failures.push(format!(
                "{name}: {largest} bytes for a file of {}",
                bytes.len()
            ));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    count
}

#[test]
fn hostile_files_of_models_are_refused_with_what_was_expected_and_found() {
    let keys = Keys::makemore();
    assert!(weights::from_bytes::<Small>(&File::small().bytes(), &keys).is_ok());
    assert!(weights::from_bytes::<Small>(&spaces(HEADER_LIMIT), &keys).is_ok());
    let cases = [lengths(), json(), tensors(), metadata()].concat();
    let count = check(cases, |bytes| {
        weights::from_bytes::<Small>(bytes, &keys).err()
    });
    assert!(count >= 60, "{count}");
}

#[test]
fn hostile_files_of_training_states_are_refused_with_what_was_expected_and_found() {
    assert!(weights::state_from_bytes::<Small>(&state().bytes()).is_ok());
    // What spoils a model's file spoils that of a state.
    let cases = [lengths(), json(), states(), stopped()].concat();
    check(cases, |bytes| {
        weights::state_from_bytes::<Small>(bytes).err()
    });
}

#[test]
fn no_two_cases_have_one_name() {
    let cases = [
        lengths(),
        json(),
        tensors(),
        metadata(),
        states(),
        stopped(),
    ]
    .concat();
    let names: std::collections::BTreeSet<_> = cases.iter().map(|(name, ..)| name).collect();
    assert_eq!(names.len(), cases.len());
}
