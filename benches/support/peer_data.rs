//! The files that peers read: see `../peers/README.md`.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::{Value, json};

/// The data of one shape of the name model.
#[derive(Clone, Debug)]
pub(crate) struct PeerData {
    /// What the shape is called.
    pub(crate) name: &'static str,
    /// Vocabulary, context, embedding, hidden.
    pub(crate) widths: [usize; 4],
    /// Examples in a batch.
    pub(crate) batch: usize,
    /// Of plain gradient descent.
    pub(crate) learning_rate: f32,
    /// Examples × context tokens.
    pub(crate) contexts: Vec<u8>,
    /// One for each example.
    pub(crate) targets: Vec<u8>,
    /// All parameters, in storage order.
    pub(crate) initial: Vec<f32>,
    /// Example numbers, a batch of them for each step.
    pub(crate) indices: Vec<u32>,
}

impl PeerData {
    /// Writes the files to a folder of their own in the target directory, and tells which.
    pub(crate) fn write(&self) -> io::Result<PathBuf> {
        let [vocab, context, embed, hidden] = self.widths;
        let shape = json!({
            "vocab": vocab,
            "context": context,
            "embed": embed,
            "hidden": hidden,
            "batch": self.batch,
            "examples": self.targets.len(),
            "learning_rate": decimal(self.learning_rate),
        });
        let examples = [
            ("contexts.u8", self.contexts.clone()),
            ("targets.u8", self.targets.clone()),
        ];
        write(self.name, &shape, examples, &self.initial, &self.indices)
    }
}

/// Writes the files of any shape: its description, examples by the names of their files, all
/// parameters in storage order, and the example numbers, a batch of them for each step.
pub(crate) fn write(
    name: &str,
    shape: &Value,
    examples: [(&str, Vec<u8>); 2],
    initial: &[f32],
    indices: &[u32],
) -> io::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .with_file_name("peer-data")
        .join(name);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("shape.json"), shape.to_string())?;
    for (file, bytes) in examples {
        fs::write(folder.join(file), bytes)?;
    }
    fs::write(folder.join("initial.f32"), bytes(initial))?;
    let indices = indices.iter().copied().flat_map(u32::to_le_bytes);
    fs::write(folder.join("indices.u32"), indices.collect::<Vec<u8>>())?;
    Ok(folder)
}

/// Numbers as they stand in a file.
pub(crate) fn bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().copied().flat_map(f32::to_le_bytes).collect()
}

/// For JSON through text: 0.1, and not the nearest `f32` in seventeen digits.
pub(crate) fn decimal(number: f32) -> Option<f64> {
    number.to_string().parse().ok()
}
