//! The header of a file: read, and held against the file's length, before anything is made room for.
//!
//! ```text
//! 8 bytes    length of the header, little-endian
//! header     JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …, "__metadata__": {…}}
//! data       the tensors' elements, each tensor where its offsets say, without gap or overlap
//! ```
//!
//! The safetensors crate's own reader is not called: it takes the last of two tensors of one name, holds any JSON in memory
//! before it looks at its type, and does not say what it found. Its element types are used, and the tests hold what is read
//! here to what it reads.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use safetensors::Dtype;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::about::About;
use super::element::Element;
use super::source::Source;
use super::{METADATA, OURS, named, quoted, refuse};
use crate::error::Error;

/// Longest header, in bytes, that is read or written: room for about 700 tensors.
///
/// The format itself allows 100 MB. A model of this crate needs less than 500 bytes, and a header is the one part of a file
/// whose length cannot be told from the model's.
pub const HEADER_LIMIT: usize = 1 << 16;

/// Bytes of the header's length.
const PREFIX: usize = size_of::<u64>();

/// A tensor's entry in the header.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TensorInfo {
    dtype: Dtype,
    shape: Vec<usize>,
    /// First byte of its data, and the one after its last.
    data_offsets: (usize, usize),
}

/// The elements of a tensor in a file.
pub(super) struct TensorData {
    pub(super) element: Element,
    /// First byte, from the beginning of the file.
    pub(super) start: u64,
}

/// A header that fits its file: the tensors cover the data exactly.
pub(super) struct Header {
    /// First byte of the data.
    start: u64,
    /// The tensors that were not taken yet.
    tensors: BTreeMap<String, TensorInfo>,
    /// What this crate wrote about the model, if it wrote the file.
    pub(super) about: Option<About>,
}

impl Header {
    pub(super) fn read(source: &mut impl Source) -> Result<Self, Error> {
        let (length, json) = read_json(source)?;
        let Unique(mut entries) =
            serde_json::from_slice::<Unique<&RawValue>>(&json).map_err(|error| {
                refuse(
                    "the header",
                    "a JSON object with a tensor under each name",
                    error,
                )
            })?;
        let about = match entries.remove(METADATA) {
            Some(metadata) => about(metadata)?,
            None => None,
        };
        let mut tensors = BTreeMap::new();
        for (name, entry) in entries {
            let info = serde_json::from_str(entry.get()).map_err(|error| {
                let expected = "an object of dtype, shape and two data_offsets";
                refuse(named(&name), expected, error)
            })?;
            tensors.insert(name, info);
        }
        check_layout(&tensors, length)?;
        Ok(Self {
            start: source.len() - length,
            tensors,
            about,
        })
    }

    /// Takes the tensor of this name, which must be there and have this shape.
    pub(super) fn take(&mut self, name: &str, shape: &[usize]) -> Result<TensorData, Error> {
        let expected = || format!("{} of shape {shape:?}", Element::NAMES);
        let Some(info) = self.tensors.remove(name) else {
            let names: Vec<&String> = self.tensors.keys().collect();
            return Err(refuse(
                named(name),
                expected(),
                format!("no tensor of this name beside {names:?}"),
            ));
        };
        match Element::of(info.dtype) {
            Some(element) if info.shape == shape => Ok(TensorData {
                element,
                start: self.start + info.data_offsets.0 as u64,
            }),
            _ => Err(refuse(named(name), expected(), described(&info))),
        }
    }

    /// Refuses tensors that were not taken.
    pub(super) fn check_all_taken(&self, model: &str) -> Result<(), Error> {
        match self.tensors.first_key_value() {
            Some((name, info)) => Err(refuse(
                named(name),
                format!("no such tensor in a file of {model}"),
                described(info),
            )),
            None => Ok(()),
        }
    }
}

/// The length of the data, and the header's JSON.
fn read_json(source: &mut impl Source) -> Result<(u64, Vec<u8>), Error> {
    let mut prefix = [0; PREFIX];
    let Some(rest) = source.len().checked_sub(PREFIX as u64) else {
        let expected = format!("at least {PREFIX} bytes");
        return Err(refuse(
            "the file",
            expected,
            format!("{} bytes", source.len()),
        ));
    };
    source.read(0, &mut prefix)?;
    let length = u64::from_le_bytes(prefix);
    let most = rest.min(HEADER_LIMIT as u64);
    match usize::try_from(length) {
        Ok(fits) if length <= most => {
            let mut json = vec![0; fits];
            source.read(PREFIX as u64, &mut json)?;
            Ok((rest - length, json))
        }
        _ => Err(refuse(
            "the header's length",
            format!("at most {most} bytes"),
            length,
        )),
    }
}

/// What this crate wrote: an object of strings, itself as a string under one key of the metadata. Whatever else stands in the
/// metadata is not looked at, but must be strings, as the format says.
fn about(metadata: &RawValue) -> Result<Option<About>, Error> {
    let strings = |what: &str, json: &str| {
        serde_json::from_str::<Unique<String>>(json)
            .map_err(|error| refuse(what, "a JSON object of strings", error))
    };
    let Unique(metadata) = strings(METADATA, metadata.get())?;
    match metadata.get(OURS) {
        Some(ours) => Ok(Some(strings(&format!("{METADATA}[{OURS:?}]"), ours)?.0)),
        None => Ok(None),
    }
}

/// Refuses tensors that leave gaps or overlap, that are not as long as their shape, or that do not end with the data.
fn check_layout(tensors: &BTreeMap<String, TensorInfo>, length: u64) -> Result<(), Error> {
    let mut in_order: Vec<_> = tensors.iter().collect();
    in_order.sort_by_key(|(_, info)| info.data_offsets);
    let mut end = 0;
    for (name, info) in in_order {
        let (start, stop) = info.data_offsets;
        if start != end {
            let expected = format!("data from byte {end} on, where the tensor before it ends");
            return Err(refuse(
                named(name),
                expected,
                format!("data from byte {start} on"),
            ));
        }
        let found = || format!("data_offsets {:?}", [start, stop]);
        let Some(bytes) = bytes(info) else {
            let expected = format!("a whole number of bytes below 2^{}", usize::BITS);
            return Err(refuse(named(name), expected, described(info)));
        };
        if stop.checked_sub(start) != Some(bytes) {
            let expected = format!("{bytes} bytes of data for {}", described(info));
            return Err(refuse(named(name), expected, found()));
        }
        end = stop;
    }
    if end as u64 == length {
        Ok(())
    } else {
        let expected = format!("{end} bytes, as the header says");
        Err(refuse("the data", expected, format!("{length} bytes")))
    }
}

/// Length of a tensor's data, if it has one.
fn bytes(info: &TensorInfo) -> Option<usize> {
    let elements = info
        .shape
        .iter()
        .try_fold(1_usize, |product, &length| product.checked_mul(length))?;
    let bits = elements.checked_mul(info.dtype.bitsize())?;
    bits.is_multiple_of(8).then_some(bits / 8)
}

fn described(info: &TensorInfo) -> String {
    format!("{} of shape {:?}", info.dtype, info.shape)
}

/// A JSON object, each of whose keys stands there once.
struct Unique<V>(BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueVisitor(PhantomData))
    }
}

struct UniqueVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for UniqueVisitor<V> {
    type Value = Unique<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique<V>, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, V>()? {
            match entries.entry(key) {
                Entry::Vacant(entry) => entry.insert(value),
                Entry::Occupied(entry) => {
                    let key = quoted(entry.key());
                    return Err(A::Error::custom(format_args!("the key {key} twice")));
                }
            };
        }
        Ok(Unique(entries))
    }
}
