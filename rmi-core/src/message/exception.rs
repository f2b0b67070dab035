use std::fmt;

use crate::{json::Json, text::Text};

/// What a method raised, as it travels. The field names are the wire's.
///
/// An exception that no [`RemoteError`](crate::error::RemoteError) claims stays in this raw form, with everything that the
/// peer said readable. Nothing in it is ever used to look up or construct a type by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The formatted exception; from Python with its traceback.
    pub exval: Text,
    /// The module of the class: `builtins`, or `rmi.<contract>` for an error of ours.
    pub xmodule: Option<Text>,
    /// The class: `ValueError`, or `Enum.Variant` for an error of ours.
    pub xclass: Option<Text>,
    /// The positional arguments: an array, or null.
    pub xargs: Json,
    /// The exception's attributes: an object with at least `trace`, or null.
    pub xstate: Json,
}

impl Exception {
    /// An exception of a class, with a message as its only argument.
    #[must_use]
    pub fn new(module: impl Into<Text>, class: impl Into<Text>, message: impl Into<Text>) -> Self {
        let (module, class, message) = (module.into(), class.into(), message.into());
        let xargs = Json::encode(&[message.as_str()]).unwrap_or(Json::EMPTY_ARRAY);
        let exval = Text::from(format!("{class}: {message}"));
        let xstate = Json::encode(&Trace { trace: &exval }).unwrap_or(Json::EMPTY_OBJECT);
        Exception { exval, xmodule: Some(module), xclass: Some(class), xargs, xstate }
    }

    /// Whether the exception is of this class.
    #[must_use]
    pub fn is(&self, module: &str, class: &str) -> bool {
        self.xmodule.as_deref() == Some(module) && self.xclass.as_deref() == Some(class)
    }

    /// The class as a reader expects it: without the module when that is Python's own.
    #[must_use]
    pub fn class(&self) -> &str {
        self.xclass.as_deref().unwrap_or("Exception")
    }

    /// The message: the first argument when it is a string, else the last line of `exval`.
    #[must_use]
    pub fn message(&self) -> String {
        let first = self.xargs.decode::<Vec<serde_json::Value>>().ok().and_then(|args| args.into_iter().next());
        match first {
            Some(serde_json::Value::String(message)) => message,
            _ => self.exval.trim_end().lines().last().unwrap_or_default().to_owned(),
        }
    }

    /// The trace that the peer sent, if it did.
    #[must_use]
    pub fn trace(&self) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Traced {
            trace: Option<String>,
        }
        self.xstate.decode::<Traced>().ok().and_then(|state| state.trace)
    }
}

#[derive(serde::Serialize)]
struct Trace<'a> {
    trace: &'a str,
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class(), self.message())
    }
}

impl std::error::Error for Exception {}
