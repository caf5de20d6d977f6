//! A file's bytes, in memory or, by `file.rs`, on disk.

use super::refuse;
use crate::error::Error;

/// Where a file's bytes come from.
pub(super) trait Source {
    /// Length of the file, in bytes.
    fn len(&self) -> u64;

    /// Fills a buffer with the bytes from `start` on, which are within the length.
    fn read(&mut self, start: u64, into: &mut [u8]) -> Result<(), Error>;
}

impl Source for &[u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read(&mut self, start: u64, into: &mut [u8]) -> Result<(), Error> {
        let bytes = usize::try_from(start)
            .ok()
            .and_then(|start| self.get(start..)?.get(..into.len()));
        into.copy_from_slice(bytes.ok_or_else(|| refuse("the file", "more bytes", "its end"))?);
        Ok(())
    }
}
