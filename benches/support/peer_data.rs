//! The files that peers read: see `../peers/README.md`.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::json;

/// One shape's data.
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
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .with_file_name("peer-data")
            .join(self.name);
        fs::create_dir_all(&folder)?;
        let [vocab, context, embed, hidden] = self.widths;
        let shape = json!({
            "vocab": vocab,
            "context": context,
            "embed": embed,
            "hidden": hidden,
            "batch": self.batch,
            "examples": self.targets.len(),
            // Through text: 0.1, and not the nearest f32 in seventeen digits.
            "learning_rate": self.learning_rate.to_string().parse::<f64>().ok(),
        });
        fs::write(folder.join("shape.json"), shape.to_string())?;
        fs::write(folder.join("contexts.u8"), &self.contexts)?;
        fs::write(folder.join("targets.u8"), &self.targets)?;
        let initial = self.initial.iter().copied().flat_map(f32::to_le_bytes);
        fs::write(folder.join("initial.f32"), initial.collect::<Vec<u8>>())?;
        let indices = self.indices.iter().copied().flat_map(u32::to_le_bytes);
        fs::write(folder.join("indices.u32"), indices.collect::<Vec<u8>>())?;
        Ok(folder)
    }
}
