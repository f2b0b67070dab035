//! Constructor arguments as a struct: positional values take the fields in order, named ones follow by name.

use std::borrow::Cow;

use serde::{
    de::{DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, Visitor, value::BorrowedStrDeserializer},
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;

use super::raw;
use crate::{json::JsonError, message::Constructor};

pub(super) fn decode<T: DeserializeOwned>(cntr: &Constructor, limit: usize) -> Result<T, JsonError> {
    let (positional, named) = (raw::positional(&cntr.positional, limit)?, raw::named(&cntr.named, limit)?);
    let count = positional.count + named.count;
    if count > limit {
        return Err(JsonError::custom(format_args!("{count} arguments, at most {limit} are allowed")));
    }
    T::deserialize(Fields { positional: positional.kept.into_vec(), named: named.kept.into_vec() }).map_err(JsonError)
}

struct Fields<'a> {
    positional: Vec<&'a RawValue>,
    named: Vec<(Cow<'a, str>, Option<&'a RawValue>)>,
}

impl<'de> serde::Deserializer<'de> for Fields<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_struct("constructor arguments", &[], visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.positional.is_empty() && self.named.is_empty() {
            return visitor.visit_unit();
        }
        Err(serde::de::Error::custom("the class takes no constructor arguments"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        if self.positional.len() > fields.len() {
            return Err(serde::de::Error::custom(format_args!(
                "{} positional constructor arguments, the class takes {}",
                self.positional.len(),
                fields.len(),
            )));
        }
        let positional = fields.iter().map(|name| Cow::Borrowed(*name)).zip(self.positional);
        let named = self.named.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let mut entries: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
        for (name, value) in positional.chain(named) {
            if entries.iter().any(|(n, _)| *n == name) {
                return Err(serde::de::Error::custom(format_args!("constructor argument `{name}` is given twice")));
            }
            if !fields.is_empty() && !fields.contains(&&*name) {
                return Err(serde::de::Error::custom(format_args!("the class takes no constructor argument `{name}`")));
            }
            entries.push((name, value));
        }
        visitor.visit_map(Entries { entries: entries.into_iter(), value: None })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit_struct newtype_struct
        seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Entries<'de> {
    entries: std::vec::IntoIter<(Cow<'de, str>, &'de RawValue)>,
    value: Option<&'de RawValue>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Self::Error> {
        let Some((name, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(value);
        match name {
            Cow::Borrowed(name) => seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some),
            Cow::Owned(name) => seed.deserialize(name.into_deserializer()).map(Some),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Self::Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(&mut serde_json::Deserializer::from_str(value.get())),
            None => Err(serde::de::Error::custom("a value was asked for before its name")),
        }
    }
}
