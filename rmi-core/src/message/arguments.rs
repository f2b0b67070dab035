use std::borrow::Cow;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    contract::{Method, Param, Style},
    escape::push_string,
    json::{self, Json, JsonError},
    message::{Rejection, RejectionCode},
    text::shown,
};

/// A method's arguments, encoded once and decoded by the types that they are meant for.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// The positional arguments: an array.
    pub positional: Json,
    /// The named arguments: an object.
    pub named: Json,
    /// The parameters, when the arguments were written from a contract. They let a dialect that only has names name the
    /// positional ones.
    pub params: &'static [Param],
    /// Arguments that no parameter takes are passed over, in place of being refused: in dialects whose peers send more than they
    /// are asked for.
    pub lenient: bool,
}

impl Arguments {
    /// No arguments.
    pub const NONE: Arguments =
        Arguments { positional: Json::EMPTY_ARRAY, named: Json::EMPTY_OBJECT, params: &[], lenient: false };

    /// Reads the arguments one after the other.
    ///
    /// # Errors
    ///
    /// The two parts are not an array and an object, or there are more than `limit` arguments.
    pub fn reader(&self, limit: usize) -> Result<ArgumentsReader<'_>, Rejection> {
        let malformed = |e: JsonError| Rejection::new(RejectionCode::Arguments, e.to_string());
        // What is too much is counted, and kept nowhere.
        let positional = raw::positional(&self.positional, limit).map_err(malformed)?;
        let named = raw::named(&self.named, limit).map_err(malformed)?;
        let count = positional.count + named.count;
        if count > limit {
            let details = format!("{count} arguments, at most {limit} are allowed");
            return Err(Rejection::new(RejectionCode::Limit, details));
        }
        Ok(ArgumentsReader { positional: positional.kept, named: named.kept, next: 0, lenient: self.lenient })
    }

    /// The arguments with their names, as far as they are known: what a dialect needs that writes an object.
    ///
    /// # Errors
    ///
    /// The two parts are not an array and an object.
    pub fn by_name(&self) -> Result<Vec<Named<'_>>, JsonError> {
        let (positional, named) = (raw::positional(&self.positional, usize::MAX)?, raw::named(&self.named, usize::MAX)?);
        let names = self.params.iter().map(|p| Some(Cow::Borrowed(p.name))).chain(std::iter::repeat(None));
        let positional = names.zip(positional.kept).collect::<Vec<_>>();
        let named = named.kept.into_iter().filter_map(|(name, value)| Some((Some(name), value?)));
        Ok(positional.into_iter().chain(named).collect())
    }
}

/// An argument with its name, if that is known.
pub type Named<'a> = (Option<Cow<'a, str>>, &'a RawValue);

impl PartialEq for Arguments {
    fn eq(&self, other: &Self) -> bool {
        self.positional == other.positional && self.named == other.named
    }
}

/// Constructor arguments for the instance that a method is invoked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constructor {
    /// The positional arguments: an array.
    pub positional: Json,
    /// The named arguments: an object.
    pub named: Json,
}

impl Constructor {
    /// A constructor call without arguments.
    pub const EMPTY: Constructor = Constructor { positional: Json::EMPTY_ARRAY, named: Json::EMPTY_OBJECT };

    /// Constructor arguments from one struct, whose fields are the names.
    ///
    /// # Errors
    ///
    /// The value does not serialise as an object.
    pub fn from_struct<T: Serialize + ?Sized>(value: &T) -> Result<Self, JsonError> {
        let named = Json::encode(value)?;
        if !named.as_str().starts_with('{') {
            return Err(JsonError::custom("constructor arguments are written from a struct with named fields"));
        }
        Ok(Constructor { positional: Json::EMPTY_ARRAY, named })
    }

    /// Reads the constructor arguments as a struct: positional ones fill the fields in the order of their declaration, named
    /// ones by name, and missing ones have the default that `T` gives them.
    ///
    /// # Errors
    ///
    /// An argument is missing, unknown, given twice, or has the wrong form.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        self.decode_within(usize::MAX)
    }

    /// As [`Constructor::decode`], where there are no more than so many.
    pub(crate) fn decode_within<T: DeserializeOwned>(&self, limit: usize) -> Result<T, JsonError> {
        super::arguments::constructor::decode(self, limit)
    }
}

/// Writes arguments into one buffer as they are pushed.
#[derive(Debug)]
pub struct ArgumentsWriter {
    params: &'static [Param],
    style: Style,
    buffer: Vec<u8>,
    count: usize,
    error: Option<(usize, JsonError)>,
}

impl ArgumentsWriter {
    /// Arguments for a method of a contract, in the form that the contract wants.
    #[must_use]
    pub fn new(method: &'static Method) -> Self {
        ArgumentsWriter { params: method.params, style: method.style, buffer: Vec::new(), count: 0, error: None }
    }

    /// Appends the next argument, in the order of the contract's parameters.
    pub fn push<T: Serialize + ?Sized>(&mut self, value: &T) {
        if self.error.is_some() {
            return;
        }
        if self.buffer.is_empty() {
            self.buffer.reserve(64);
        }
        self.buffer.push(match (self.count, self.style) {
            (0, Style::Positional) => b'[',
            (0, Style::Named) => b'{',
            _ => b',',
        });
        let written = match (self.style, self.params.get(self.count)) {
            (Style::Named, Some(param)) => {
                push_string(&mut self.buffer, param.name);
                self.buffer.push(b':');
                json::write(&mut self.buffer, value)
            }
            _ => json::write(&mut self.buffer, value),
        };
        if let Err(error) = written {
            self.error = Some((self.count, JsonError(error)));
        }
        self.count += 1;
    }

    /// The arguments.
    ///
    /// # Errors
    ///
    /// One of the values could not be written; the error names its parameter.
    pub fn finish(mut self) -> Result<Arguments, JsonError> {
        if let Some((index, error)) = self.error {
            let name = self.params.get(index).map_or("?", |p| p.name);
            return Err(JsonError::custom(format_args!("argument `{name}`: {error}")));
        }
        let mut arguments = Arguments { params: self.params, ..Arguments::NONE };
        if self.count == 0 {
            return Ok(arguments);
        }
        let (close, part) = match self.style {
            Style::Positional => (b']', &mut arguments.positional),
            Style::Named => (b'}', &mut arguments.named),
        };
        self.buffer.push(close);
        *part = Json::trusted(String::from_utf8(self.buffer).map_err(JsonError::custom)?);
        Ok(arguments)
    }
}

/// Reads arguments in the order of a method's parameters, each by position or by name.
#[derive(Debug)]
pub struct ArgumentsReader<'a> {
    positional: raw::Positional<'a>,
    named: raw::Named<'a>,
    next: usize,
    lenient: bool,
}

impl<'a> ArgumentsReader<'a> {
    fn raw(&mut self, name: &str) -> Result<Option<&'a RawValue>, Rejection> {
        let positional = self.positional.get(self.next).copied();
        self.next += 1;
        let named = self.named.iter_mut().find(|(n, _)| n == name).and_then(|(_, value)| value.take());
        match (positional, named) {
            (Some(_), Some(_)) => {
                Err(Rejection::new(RejectionCode::Arguments, format!("`{name}` is given by position and by name")))
            }
            (value, None) | (None, value) => Ok(value),
        }
    }

    fn decode<T: DeserializeOwned>(name: &str, raw: &RawValue) -> Result<T, Rejection> {
        serde_json::from_str(raw.get()).map_err(|e| Rejection::new(RejectionCode::Arguments, format!("`{name}`: {e}")))
    }

    /// The next argument. A missing one is an error unless the type has a value for it, as `Option` has.
    ///
    /// # Errors
    ///
    /// It is missing, given twice, or does not have the parameter's type.
    pub fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Rejection> {
        match self.raw(name)? {
            Some(raw) => Self::decode(name, raw),
            None => T::deserialize(Missing).map_err(|_| missing(name)),
        }
    }

    /// The next argument, or its default when it is missing.
    ///
    /// # Errors
    ///
    /// It is given twice, or does not have the parameter's type.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str, default: impl FnOnce() -> T) -> Result<T, Rejection> {
        match self.raw(name)? {
            Some(raw) => Self::decode(name, raw),
            None => Ok(default()),
        }
    }

    /// Says that all parameters have been read.
    ///
    /// # Errors
    ///
    /// There are arguments that no parameter took.
    pub fn end(self) -> Result<(), Rejection> {
        if self.lenient {
            return Ok(());
        }
        if self.positional.len() > self.next {
            let details = format!("{} positional arguments, the method has {} parameters", self.positional.len(), self.next);
            return Err(Rejection::new(RejectionCode::Arguments, details));
        }
        match self.named.into_iter().find(|(_, value)| value.is_some()) {
            Some((name, _)) => {
                Err(Rejection::new(RejectionCode::Arguments, format!("the method has no parameter `{}`", shown(&name))))
            }
            None => Ok(()),
        }
    }
}

/// What is said when an argument is not there.
pub(crate) fn missing(name: &str) -> Rejection {
    Rejection::new(RejectionCode::Arguments, format!("`{name}` is missing"))
}

/// The argument that a rejection says is not there: for dialects that have words of their own for it.
pub(crate) fn missing_in(rejection: &Rejection) -> Option<&str> {
    let arguments = rejection.code == RejectionCode::Arguments;
    rejection.details.strip_prefix('`')?.strip_suffix("` is missing").filter(|_| arguments)
}

/// The argument that a rejection says is no array, where the method wants one.
pub(crate) fn no_list_in(rejection: &Rejection) -> Option<&str> {
    let (name, why) = rejection.details.strip_prefix('`')?.split_once("`: ")?;
    let list = rejection.code == RejectionCode::Arguments && why.contains(", expected a sequence");
    (list && !name.contains('`')).then_some(name)
}

/// Whether a type has a value for an argument that is not there.
pub(crate) fn may_be_missing<T: DeserializeOwned>() -> bool {
    T::deserialize(Missing).is_ok()
}

/// What a missing argument deserialises from: only a type that has a value for "nothing there" accepts it.
struct Missing;

impl<'de> serde::Deserializer<'de> for Missing {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: serde::de::Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("missing"))
    }

    fn deserialize_option<V: serde::de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_none()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

mod constructor;
mod raw;
