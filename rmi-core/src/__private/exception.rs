//! Writing and reading the fields of an error variant.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    json::Json,
    message::{Arguments, Exception},
    text::Text,
};

/// Writes one variant of an error as an exception: unnamed fields become `xargs`, named ones `xstate`.
#[derive(Debug)]
pub struct ExceptionWriter {
    module: Text,
    class: &'static str,
    message: String,
    args: Vec<Json>,
    state: Vec<(&'static str, Json)>,
}

impl ExceptionWriter {
    /// A variant of ours: module `rmi.<contract>`, class `Enum.Variant`.
    pub fn new(contract: &str, class: &'static str, message: &dyn fmt::Display) -> Self {
        Self::of_class(Text::from(format!("rmi.{contract}")), class, message)
    }

    /// A variant that is a class of another language on purpose.
    pub fn foreign(module: &'static str, class: &'static str, message: &dyn fmt::Display) -> Self {
        Self::of_class(Text::from_static(module), class, message)
    }

    fn of_class(module: Text, class: &'static str, message: &dyn fmt::Display) -> Self {
        ExceptionWriter { module, class, message: message.to_string(), args: Vec::new(), state: Vec::new() }
    }

    /// An unnamed field.
    pub fn arg<T: Serialize + ?Sized>(&mut self, value: &T) {
        self.args.push(Json::encode(value).unwrap_or_default());
    }

    /// A named field.
    pub fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) {
        self.state.push((name, Json::encode(value).unwrap_or_default()));
    }

    /// The exception.
    pub fn finish(self) -> Exception {
        let exval = Text::from(format!("{}: {}", self.class, self.message));
        let xargs = if self.args.is_empty() { Json::encode(&[&self.message]) } else { Json::encode(&self.args) };
        let trace = ("trace", Json::encode(exval.as_str()).unwrap_or_default());
        let state = State(self.state.into_iter().chain([trace]).collect());
        Exception {
            exval,
            xmodule: Some(self.module),
            xclass: Some(Text::from_static(self.class)),
            xargs: xargs.unwrap_or(Json::EMPTY_ARRAY),
            xstate: Json::encode(&state).unwrap_or(Json::EMPTY_OBJECT),
        }
    }
}

struct State(Vec<(&'static str, Json)>);

impl Serialize for State {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Reads the fields of one variant back.
#[derive(Debug)]
pub struct ExceptionReader {
    fields: Arguments,
}

impl ExceptionReader {
    /// The exception's fields, when it is a variant of ours.
    pub fn new(exception: &Exception, contract: &str, class: &str) -> Option<Self> {
        let ours = exception.xmodule.as_deref()?.strip_prefix("rmi.")? == contract;
        (ours && exception.xclass.as_deref() == Some(class)).then(|| Self::fields(exception))
    }

    /// The exception's fields, when it is of a class of another language.
    pub fn foreign(exception: &Exception, module: &str, class: &str) -> Option<Self> {
        exception.is(module, class).then(|| Self::fields(exception))
    }

    fn fields(exception: &Exception) -> Self {
        let or = |json: &Json, empty: Json| if json.is_null() { empty } else { json.clone() };
        ExceptionReader {
            fields: Arguments {
                positional: or(&exception.xargs, Json::EMPTY_ARRAY),
                named: or(&exception.xstate, Json::EMPTY_OBJECT),
                ..Arguments::NONE
            },
        }
    }

    /// The unnamed field of an index; `None` when it is not there or has another type.
    pub fn arg<T: DeserializeOwned>(&self, index: usize) -> Option<T> {
        let args: Vec<&serde_json::value::RawValue> = self.fields.positional.decode_borrowed().ok()?;
        serde_json::from_str(args.get(index)?.get()).ok()
    }

    /// The named field; `None` when it is not there (and its type has no value for that) or has another type.
    pub fn field<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let alone = Arguments { positional: Json::EMPTY_ARRAY, named: self.fields.named.clone(), ..Arguments::NONE };
        alone.reader(usize::MAX).ok()?.required(name).ok()
    }
}
