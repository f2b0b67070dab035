//! A value as JSON text: as serde_json writes it, but for a value that is one string, which is escaped in whole vectors.

use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::{Error, ser::CompactFormatter, ser::Compound};

use crate::escape;

type Inner<'v> = serde_json::Serializer<&'v mut Vec<u8>>;

/// Appends a value.
pub(crate) fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), Error> {
    value.serialize(Top(&mut Some(serde_json::Serializer::new(out))))
}

/// Writes one value. serde_json's serializer gives the text back only whole, so a string takes it.
struct Top<'a, 'v>(&'a mut Option<Inner<'v>>);

impl<'a, 'v> Top<'a, 'v> {
    fn inner(self) -> Result<&'a mut Inner<'v>, Error> {
        self.0.as_mut().ok_or_else(|| Error::custom("a value is written twice"))
    }
}

/// Leaves it to serde_json.
macro_rules! as_it_is {
    ($($method:ident($($name:ident: $type:ty),*) -> $result:ty;)*) => {$(
        fn $method(self, $($name: $type),*) -> Result<$result, Error> {
            self.inner()?.$method($($name),*)
        }
    )*};
}

impl<'a, 'v> Serializer for Top<'a, 'v> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Compound<'a, &'v mut Vec<u8>, CompactFormatter>;
    type SerializeTuple = Self::SerializeSeq;
    type SerializeTupleStruct = Self::SerializeSeq;
    type SerializeTupleVariant = Self::SerializeSeq;
    type SerializeMap = Self::SerializeSeq;
    type SerializeStruct = Self::SerializeSeq;
    type SerializeStructVariant = Self::SerializeSeq;

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        let inner = self.0.take().ok_or_else(|| Error::custom("a value is written twice"))?;
        escape::push_string(inner.into_inner(), text);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.inner()?.serialize_newtype_variant(name, index, variant, value)
    }

    fn collect_str<T: std::fmt::Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.inner()?.collect_str(value)
    }

    as_it_is! {
        serialize_bool(value: bool) -> ();
        serialize_i8(value: i8) -> ();
        serialize_i16(value: i16) -> ();
        serialize_i32(value: i32) -> ();
        serialize_i64(value: i64) -> ();
        serialize_i128(value: i128) -> ();
        serialize_u8(value: u8) -> ();
        serialize_u16(value: u16) -> ();
        serialize_u32(value: u32) -> ();
        serialize_u64(value: u64) -> ();
        serialize_u128(value: u128) -> ();
        serialize_f32(value: f32) -> ();
        serialize_f64(value: f64) -> ();
        serialize_char(value: char) -> ();
        serialize_bytes(value: &[u8]) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(name: &'static str) -> ();
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> ();
        serialize_seq(length: Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(length: usize) -> Self::SerializeTuple;
        serialize_tuple_struct(name: &'static str, length: usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> Self::SerializeTupleVariant;
        serialize_map(length: Option<usize>) -> Self::SerializeMap;
        serialize_struct(name: &'static str, length: usize) -> Self::SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> Self::SerializeStructVariant;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Serialize)]
    struct Name(String);

    #[derive(Serialize)]
    enum Shape {
        Unit,
        New(u8),
        Tuple(i128, char),
        Struct { name: &'static str },
    }

    fn same(value: &impl Serialize) {
        let mut out = b"[".to_vec();
        write(&mut out, value).unwrap();
        assert_eq!(out[1..], serde_json::to_vec(value).unwrap());
    }

    #[test]
    fn values_are_written_as_serde_json_writes_them() {
        for text in ["", "woof", "\"\n\u{1}ü\\", &"long \"text\" ".repeat(500)] {
            same(&text);
            same(&Some(text));
            same(&Name(text.to_owned()));
            same(&vec![text]);
            same(&BTreeMap::from([(text, Some(text))]));
        }
        same(&(1_u8, -2_i64, 0.5_f32, f64::NAN, true, 'ü', u128::MAX, ()));
        same(&[Shape::Unit, Shape::New(1), Shape::Tuple(i128::MIN, '"'), Shape::Struct { name: "a" }]);
        for shape in [Shape::Unit, Shape::New(1), Shape::Tuple(i128::MIN, '"'), Shape::Struct { name: "a" }] {
            same(&shape);
        }
        same(&serde_json::json!({"a": [null, 1.5, "x"]}));
        same(&serde_json::value::RawValue::from_string("[ 1 ]".to_owned()).unwrap());
        same(&std::net::Ipv4Addr::LOCALHOST);
        same(&None::<u8>);
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        assert!(write(&mut Vec::new(), &BTreeMap::from([((1, 2), 3)])).is_err());
    }
}
