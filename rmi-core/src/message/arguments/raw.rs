//! Arguments taken apart without being read, and no more of them than there may be.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::json::{Json, JsonError};

/// Positional arguments.
pub(super) type Positional<'a> = SmallVec<[&'a RawValue; 6]>;
/// Named arguments, each until it is taken.
pub(super) type Named<'a> = SmallVec<[(Cow<'a, str>, Option<&'a RawValue>); 4]>;

/// What there is room for, and how many there were.
#[derive(Default)]
pub(super) struct Counted<T> {
    pub(super) kept: T,
    pub(super) count: usize,
}

/// The elements of an array.
pub(super) fn positional(array: &Json, limit: usize) -> Result<Counted<Positional<'_>>, JsonError> {
    if array.as_str() == "[]" {
        return Ok(Counted::default());
    }
    AtMost(limit, PhantomData::<Positional<'_>>).read(array)
}

/// The members of an object.
pub(super) fn named(object: &Json, limit: usize) -> Result<Counted<Named<'_>>, JsonError> {
    if object.as_str() == "{}" {
        return Ok(Counted::default());
    }
    AtMost(limit, PhantomData::<Named<'_>>).read(object)
}

/// Keeps so many, and counts the others.
struct AtMost<T>(usize, PhantomData<T>);

impl<'a, T> AtMost<T>
where
    Self: DeserializeSeed<'a, Value = Counted<T>>,
{
    fn read(self, json: &'a Json) -> Result<Counted<T>, JsonError> {
        self.deserialize(&mut serde_json::Deserializer::from_str(json.as_str())).map_err(JsonError)
    }
}

impl<'de> DeserializeSeed<'de> for AtMost<Positional<'de>> {
    type Value = Counted<Positional<'de>>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for AtMost<Positional<'de>> {
    type Value = Counted<Positional<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Self::Value::default();
        while values.count < self.0
            && let Some(value) = seq.next_element()?
        {
            values.kept.push(value);
            values.count += 1;
        }
        while let Some(IgnoredAny) = seq.next_element()? {
            values.count += 1;
        }
        Ok(values)
    }
}

impl<'de> DeserializeSeed<'de> for AtMost<Named<'de>> {
    type Value = Counted<Named<'de>>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AtMost<Named<'de>> {
    type Value = Counted<Named<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of named arguments")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        let mut values = Self::Value::default();
        while values.count < self.0
            && let Some((Name(name), value)) = map.next_entry()?
        {
            values.kept.push((name, Some(value)));
            values.count += 1;
        }
        while let Some((IgnoredAny, IgnoredAny)) = map.next_entry()? {
            values.count += 1;
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::{Json, named, positional};

    #[test]
    fn what_is_too_much_is_counted_and_not_kept() {
        for (many, kept) in [(0, 0), (2, 2), (3, 3), (4, 3), (10_000, 3)] {
            let array = Json::encode(&vec![7; many]).unwrap();
            let (raws, object) = (positional(&array, 3).unwrap(), (0..many).map(|n| (n.to_string(), n)));
            let object = Json::encode(&object.collect::<std::collections::BTreeMap<_, _>>()).unwrap();
            let names = named(&object, 3).unwrap();
            assert_eq!((raws.kept.len(), raws.count, names.kept.len(), names.count), (kept, many, kept, many));
        }
    }
}
