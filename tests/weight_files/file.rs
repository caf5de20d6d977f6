//! A file taken apart into its header and data, so that either can be spoilt.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::elements::encoded;

/// A small model, whose file the tests know by heart.
pub(crate) type Small =
    fused_mlp::Mlp<fused_mlp::Tokens<3, 2, 2>, fused_mlp::Tanh<4>, fused_mlp::Softmax<3>>;

/// The header of a small model's file, as other programs write it.
const HEADER: &str = concat!(
    r#"{"C":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]},"#,
    r#""W1":{"dtype":"F32","shape":[4,4],"data_offsets":[24,88]},"#,
    r#""b1":{"dtype":"F32","shape":[4],"data_offsets":[88,104]},"#,
    r#""W2":{"dtype":"F32","shape":[4,3],"data_offsets":[104,152]},"#,
    r#""b2":{"dtype":"F32","shape":[3],"data_offsets":[152,164]}}"#
);

#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) header: String,
    pub(crate) data: Vec<u8>,
}

impl File {
    /// Element i is i.
    pub(crate) fn small() -> Self {
        let data = (0..41_u8)
            .flat_map(|i| f32::from(i).to_le_bytes())
            .collect();
        Self {
            header: HEADER.into(),
            data,
        }
    }

    pub(crate) fn of(bytes: &[u8]) -> Self {
        let (length, rest) = bytes.split_first_chunk().unwrap();
        let (header, data) = rest.split_at(usize::try_from(u64::from_le_bytes(*length)).unwrap());
        Self {
            header: str::from_utf8(header).unwrap().into(),
            data: data.into(),
        }
    }

    /// With the first of these texts in the header replaced.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub(crate) fn with(mut self, from: &str, to: &str) -> Self {
        assert!(
            self.header.contains(from),
            "{from} is not in {}",
            self.header
        );
        self.header = self.header.replacen(from, to, 1);
        self
    }

    /// With another header.
    pub(crate) fn header(self, header: impl Into<String>) -> Self {
        Self {
            header: header.into(),
            ..self
        }
    }

    /// With an entry before all others.
    pub(crate) fn entry(self, entry: &str) -> Self {
        self.with("{", &format!("{{{entry},"))
    }

    /// With another value at this place of the data.
    pub(crate) fn value(mut self, index: usize, value: f32) -> Self {
        self.data[4 * index..][..4].copy_from_slice(&value.to_le_bytes());
        self
    }

    /// The numbers of an F32 file with tensors of other types, which must have these numbers.
    pub(crate) fn with_types(self, dtype_of: impl Fn(&str) -> &'static str) -> Self {
        let mut header: BTreeMap<String, Value> = serde_json::from_str(&self.header).unwrap();
        let mut tensors: Vec<_> = header
            .iter_mut()
            .filter(|(name, _)| *name != "__metadata__")
            .collect();
        tensors.sort_by_key(|(_, info)| info["data_offsets"][0].as_u64());
        let mut elements = self.data.as_chunks().0.iter();
        let mut data = Vec::new();
        for (name, info) in tensors {
            let [start, end]: [usize; 2] =
                serde_json::from_value(info["data_offsets"].take()).unwrap();
            let of_tensor = elements.by_ref().take((end - start) / 4);
            let (dtype, start) = (dtype_of(name), data.len());
            for &element in of_tensor {
                data.extend(encoded(dtype, f32::from_le_bytes(element).into()));
            }
            info["dtype"] = dtype.into();
            info["data_offsets"] = json!([start, data.len()]);
        }
        Self {
            header: serde_json::to_string(&header).unwrap(),
            data,
        }
    }

    /// With data of another length: cut, or zeros at the end.
    pub(crate) fn data(mut self, len: usize) -> Self {
        self.data.resize(len, 0);
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes_of_length(self.header.len() as u64)
    }

    /// With this length of the header at the beginning, whether it is that or not.
    pub(crate) fn bytes_of_length(&self, length: u64) -> Vec<u8> {
        [&length.to_le_bytes(), self.header.as_bytes(), &self.data].concat()
    }
}
