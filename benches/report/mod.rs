//! A measuring run as files: figures for programs (CSV), tables for people (Markdown), and a picture (SVG).

mod chart;
pub(crate) mod contest;
mod csv;
mod markdown;

use std::io;
use std::path::{Path, PathBuf};
use std::{error, fs};

use crate::support::machine::Machine;
use crate::support::task::Source;
use crate::tables::Section;
use contest::Contest;

/// Seconds that the post gives for its own programs on its author's laptop.
const PUBLISHED: [(&str, f64); 3] = [("PyTorch", 5.6), ("JAX", 158.0), ("JAX with jit", 5.9)];

/// Everything that was measured.
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) source: Source,
    pub(crate) contest: Contest,
    pub(crate) sections: Vec<Section>,
}

impl Report {
    /// Writes the three files, named by date and processor, and tells where they are.
    pub(crate) fn write(&self, folder: &Path) -> Result<[PathBuf; 3], Box<dyn error::Error>> {
        fs::create_dir_all(folder)?;
        let stem = self.machine.file_stem();
        let save = |extension, text: String| -> io::Result<PathBuf> {
            let path = folder.join(format!("{stem}.{extension}"));
            fs::write(&path, text)?;
            Ok(path)
        };
        Ok([
            save("csv", csv::csv(&self.contest))?,
            save("md", markdown::markdown(self, &format!("{stem}.svg")))?,
            save("svg", chart::chart(self)?)?,
        ])
    }

    /// `PyTorch 5.6 s, …`
    fn published() -> String {
        PUBLISHED
            .map(|(program, seconds)| format!("{program} {seconds} s"))
            .join(", ")
    }
}
