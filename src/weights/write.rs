//! From models to a file's bytes.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use safetensors::{Dtype, View};

use super::about::About;
use super::header::Header;
use super::keys::{Keyed, Keys};
use super::{METADATA, OURS, named, refuse};
use crate::error::Error;
use crate::model::Model;

/// A file that is being put together.
pub(super) struct Contents {
    about: About,
    tensors: BTreeMap<String, Stored>,
}

/// A tensor as it is in a file.
struct Stored {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

impl Contents {
    /// Without a tensor yet.
    pub(super) fn new(about: About) -> Self {
        Self {
            about,
            tensors: BTreeMap::new(),
        }
    }

    /// Adds a model's tensors under its keys.
    pub(super) fn add<M: Model>(&mut self, model: &M, keys: &Keys) -> Result<(), Error> {
        for (keyed, (_, values)) in keys.of(M::SPEC)?.iter().zip(model.tensors()) {
            self.add_tensor(keyed, values)?;
        }
        Ok(())
    }

    fn add_tensor(&mut self, keyed: &Keyed, values: &[f32]) -> Result<(), Error> {
        let mut bytes = Vec::with_capacity(size_of_val(values));
        for index in 0..values.len() {
            let value = keyed.finite(index, values[keyed.in_model(index)].into())?;
            bytes.extend(value.to_le_bytes());
        }
        let name = &keyed.key.name;
        if name == METADATA {
            return Err(refuse(
                named(name),
                "a name that is free for tensors",
                "the metadata's",
            ));
        }
        let shape = keyed.shape();
        match self.tensors.insert(name.clone(), Stored { shape, bytes }) {
            Some(_) => Err(refuse(named(name), "one tensor of this name", "two")),
            None => Ok(()),
        }
    }

    /// The file's bytes, which can be read again.
    pub(super) fn into_bytes(self) -> Result<Vec<u8>, Error> {
        let failed = |error: &dyn ToString| refuse("the header", "JSON", error.to_string());
        let about = serde_json::to_string(&self.about).map_err(|error| failed(&error))?;
        let metadata = [(OURS.to_string(), about)].into_iter().collect();
        let bytes = safetensors::serialize(&self.tensors, Some(metadata))
            .map_err(|error| failed(&error))?;
        Header::read(&mut &bytes[..])?;
        Ok(bytes)
    }
}
