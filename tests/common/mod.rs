//! Fixtures in their files, and the published names.

use std::io::Write;
use std::path::Path;
use std::{env, fs, io};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The published names, from the file that `NAMES_TXT` names; `None` if it names none.
///
/// # Panics
///
/// If the file cannot be read, or if there is none and `CI_REQUIRE_NAMES` is set.
pub(crate) fn names_txt() -> Option<String> {
    if let Some(path) = env::var_os("NAMES_TXT") {
        let path = Path::new(&path);
        let text = fs::read_to_string(path);
        return Some(text.unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    }
    assert!(
        env::var_os("CI_REQUIRE_NAMES").is_none(),
        "CI_REQUIRE_NAMES is set, but NAMES_TXT is not"
    );
    // Straight to the stream: the test runner swallows what a passing test prints by `eprintln!`.
    let message =
        "SKIPPED: NAMES_TXT does not name the published names.txt, so nothing was replayed";
    writeln!(io::stderr(), "{message}").expect("standard error takes a line");
    None
}

/// A file of tests/fixtures.
pub(crate) fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A JSON file of tests/fixtures.
pub(crate) fn json(name: &str) -> Value {
    serde_json::from_slice(&read(name)).expect("a fixture is JSON")
}

/// A file of named arrays in the safetensors format: the length of a JSON header, the header, the values.
pub(crate) struct Arrays {
    header: Value,
    values: Vec<u8>,
}

impl Arrays {
    /// A file of tests/fixtures.
    pub(crate) fn read(name: &str) -> Self {
        let mut file = read(name);
        let length = *file.first_chunk().expect("a file begins with a length");
        let length = usize::try_from(u64::from_le_bytes(length)).expect("a header fits in memory");
        let values = file.split_off(8 + length);
        let header = serde_json::from_slice(&file[8..]).expect("a header is JSON");
        Self { header, values }
    }

    /// An array of f32, row-major.
    ///
    /// # Panics
    ///
    /// If there is none of this name.
    pub(crate) fn f32(&self, name: &str) -> Vec<f32> {
        let entry = &self.header[name];
        assert_eq!(entry["dtype"], "F32", "{name}");
        let [start, end]: [usize; 2] = serde_json::from_value(entry["data_offsets"].clone())
            .expect("an array has a start and an end");
        let (values, rest) = self.values[start..end].as_chunks();
        assert!(rest.is_empty(), "{name}");
        values.iter().copied().map(f32::from_le_bytes).collect()
    }
}

/// The digest in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
