//! Models and vocabularies through serde: tensors by name, checked on the way in.
//!
//! A model is a map from the names of its [tensors](crate::model::Tensor) to matrices, each a sequence of its rows:
//!
//! ```text
//! { "embedding": [[…; EMBED]; VOCAB], "hidden_weights": [[…; HIDDEN]; INPUTS], "hidden_bias": [[…; HIDDEN]; 1],
//!   "output_weights": [[…; OUTPUTS]; HIDDEN], "output_bias": [[…; OUTPUTS]; 1] }
//! ```
//!
//! with `hidden2_weights`, … between them in a model of several hidden layers.
//!
//! The order of the names does not matter when read. Each must be there once, with its number of rows and columns and with
//! finite numbers only. Activations and loss belong to the type that it is read as, and are not stored.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde::de::{
    self, DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::data::Vocabulary;
use crate::engine::check_finite;
use crate::error::Error;
use crate::model::{Head, HiddenLayers, Input, Mlp, Model, Tensor};
use crate::training::{AdamW, Momentum, Optimizer, Sgd};

impl<I: Input, L: HiddenLayers, O: Head> Serialize for Mlp<I, L, O> {
    /// Fails on a parameter that is not finite, which some formats would turn into something else.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        check_finite(self).map_err(S::Error::custom)?;
        let mut map = serializer.serialize_map(Some(self.tensors().count()))?;
        for (tensor, values) in self.tensors() {
            map.serialize_entry(tensor.name, &Rows { tensor, values })?;
        }
        map.end()
    }
}

impl<'de, I: Input, L: HiddenLayers, O: Head> Deserialize<'de> for Mlp<I, L, O> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Tensors(PhantomData))
    }
}

/// A tensor as a sequence of rows.
struct Rows<V> {
    tensor: Tensor,
    values: V,
}

impl Serialize for Rows<&[f32]> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.values.chunks_exact(self.tensor.columns))
    }
}

/// Reads a map from names to tensors as a model.
struct Tensors<M>(PhantomData<M>);

impl<'de, M: Model> Visitor<'de> for Tensors<M> {
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of tensors:")?;
        M::SPEC.tensors().try_for_each(
            |Tensor {
                 name,
                 rows,
                 columns,
                 ..
             }| write!(f, " {name} [{rows}, {columns}]"),
        )
    }

    fn visit_map<T: MapAccess<'de>>(self, mut map: T) -> Result<M, T::Error> {
        let mut model = M::zeroed();
        let mut read = Vec::new();
        while let Some(tensor) = map.next_key_seed(Name::<M>(PhantomData))? {
            if read.contains(&tensor.name) {
                return Err(T::Error::duplicate_field(tensor.name));
            }
            read.push(tensor.name);
            if let Some((_, values)) = model.tensors_mut().find(|(other, _)| *other == tensor) {
                map.next_value_seed(Rows { tensor, values })?;
            }
        }
        match M::SPEC
            .tensors()
            .find(|tensor| !read.contains(&tensor.name))
        {
            Some(tensor) => Err(T::Error::missing_field(tensor.name)),
            None => Ok(model),
        }
    }
}

/// Reads the name of a tensor of a model.
struct Name<M>(PhantomData<M>);

impl<'de, M: Model> DeserializeSeed<'de> for Name<M> {
    type Value = Tensor;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tensor, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<M: Model> Visitor<'_> for Name<M> {
    type Value = Tensor;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a tensor:")?;
        M::SPEC
            .tensors()
            .try_for_each(|tensor| write!(f, " {}", tensor.name))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Tensor, E> {
        let tensor = M::SPEC.tensors().find(|tensor| tensor.name == name);
        tensor.ok_or_else(|| E::invalid_value(Unexpected::Str(name), &self))
    }
}

impl<'de> DeserializeSeed<'de> for Rows<&mut [f32]> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<&mut [f32]> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tensor {
            name,
            rows,
            columns,
            ..
        } = self.tensor;
        write!(f, "{rows} rows of {columns} numbers for {name}")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut rows: S) -> Result<(), S::Error> {
        let Tensor {
            name: tensor,
            columns,
            ..
        } = self.tensor;
        for row in 0..self.tensor.rows {
            let values = &mut self.values[row * columns..][..columns];
            if rows
                .next_element_seed(Row {
                    tensor,
                    row,
                    values,
                })?
                .is_none()
            {
                return Err(S::Error::invalid_length(row, &self));
            }
        }
        match rows.next_element::<IgnoredAny>()? {
            Some(_) => Err(S::Error::invalid_length(self.tensor.rows + 1, &self)),
            None => Ok(()),
        }
    }
}

/// Reads one row of a tensor.
struct Row<'a> {
    tensor: &'static str,
    row: usize,
    values: &'a mut [f32],
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} numbers for row {} of {}",
            self.values.len(),
            self.row,
            self.tensor
        )
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut row: S) -> Result<(), S::Error> {
        for column in 0..self.values.len() {
            let value = row
                .next_element::<f32>()?
                .ok_or_else(|| S::Error::invalid_length(column, &self))?;
            if !value.is_finite() {
                return Err(S::Error::custom(Error::NonFiniteParameter {
                    tensor: self.tensor,
                    row: self.row,
                    column,
                    value,
                }));
            }
            self.values[column] = value;
        }
        match row.next_element::<IgnoredAny>()? {
            Some(_) => Err(S::Error::invalid_length(self.values.len() + 1, &self)),
            None => Ok(()),
        }
    }
}

impl Serialize for Vocabulary {
    /// A string of the characters, in the order of their code points, which is that of the tokens.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let characters: String = self.characters().collect();
        serializer.serialize_str(&characters)
    }
}

impl<'de> Deserialize<'de> for Vocabulary {
    /// Refuses a string that is not in order, since its author may have numbered the tokens by it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let characters = String::deserialize(deserializer)?;
        let vocabulary = Self::of(characters.chars()).map_err(D::Error::custom)?;
        if vocabulary.characters().eq(characters.chars()) {
            return Ok(vocabulary);
        }
        Err(D::Error::custom(Error::Vocabulary {
            reason: "its characters are not in the order of their code points, or one is there twice",
        }))
    }
}

/// Reads an optimizer as its derived implementation does, which `remote = "Self"` makes a function of the type, and then refuses
/// settings outside their ranges, as [`Trainer::new`](crate::Trainer::new) does.
macro_rules! checked_when_read {
    ($($optimizer:ty),*) => {$(
        impl Serialize for $optimizer {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                <$optimizer>::serialize(self, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $optimizer {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let optimizer = <$optimizer>::deserialize(deserializer)?;
                Optimizer::from(optimizer).check().map_err(D::Error::custom)?;
                Ok(optimizer)
            }
        }
    )*};
}
checked_when_read!(Sgd, Momentum, AdamW, Optimizer);
