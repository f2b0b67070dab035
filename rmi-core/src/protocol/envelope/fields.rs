//! The envelope as it is parsed: flat structs of what may be there, borrowed from the text, in one pass.
//!
//! Every value that is not itself taken apart here stays raw, so that no form that a peer gives it can fail the parse: only
//! text that is not JSON does, and a key that is given twice, which two readers could read in two ways.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;

use super::names;
use crate::message::Statuses;

type Raw<'a> = Option<&'a RawValue>;

/// All keys that any kind of message has.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) sn: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) version: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) routing: Routing<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) replyto: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) data: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) timestamp: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) request: Part<RequestPart<'a>>,
    #[serde(borrow, default)]
    pub(super) result: Part<ResultPart<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) status: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) total: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) completed: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) details: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) code: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) description: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) rmi: Part<Extras<'a>>,
}

/// The object `request`.
#[derive(Deserialize)]
pub(super) struct RequestPart<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) classname: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) method: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) args: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) kws: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) kwargs: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) cntr: Raw<'a>,
}

/// The object `result`.
#[derive(Deserialize)]
pub(super) struct ResultPart<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) retval: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) exval: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) xmodule: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) xclass: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) xargs: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) xstate: Raw<'a>,
}

/// The object `rmi`.
#[derive(Default, Deserialize)]
pub(super) struct Extras<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) code: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) event: Part<EventPart<'a>>,
    #[serde(default)]
    pub(super) statuses: Wanted,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) trace: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) ttl: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) version: Raw<'a>,
}

/// The object `rmi.event`.
#[derive(Deserialize)]
pub(super) struct EventPart<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) key: Raw<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) body: Raw<'a>,
}

/// Keeps `null` apart from a key that is missing.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Raw<'a>, D::Error> {
    <&'a RawValue>::deserialize(deserializer).map(Some)
}

/// A value that should be an object.
#[derive(Default)]
pub(super) enum Part<T> {
    /// The key is missing.
    #[default]
    Absent,
    /// It is something else.
    Other,
    /// It is an object.
    Object(T),
}

/// `[sender, destination]`; what is not there, or not in this form, is `None`.
#[derive(Default)]
pub(super) struct Routing<'a> {
    pub(super) from: Raw<'a>,
    pub(super) to: Raw<'a>,
}

/// The names of statuses; `None` when it is not an array. Names that are not known are left out.
#[derive(Default)]
pub(super) struct Wanted(pub(super) Option<Statuses>);

/// The values that a visitor has one answer for.
macro_rules! otherwise {
    ($answer:expr; $($kind:ident),*) => { $(otherwise!(@$kind $answer);)* };
    (@scalars $answer:expr) => {
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok($answer)
        }

        fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok($answer)
        }

        fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
            Ok($answer)
        }

        fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
            Ok($answer)
        }

        fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
            Ok($answer)
        }

        fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
            Ok($answer)
        }
    };
    (@arrays $answer:expr) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok($answer)
        }
    };
    (@objects $answer:expr) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok($answer)
        }
    };
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Part<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
            type Value = Part<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Part::Object)
            }

            otherwise!(Part::Other; scalars, arrays);
        }
        deserializer.deserialize_any(Object(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Routing<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;

        impl<'de> Visitor<'de> for Pair {
            type Value = Routing<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let from = seq.next_element()?;
                let to = if from.is_some() { seq.next_element()? } else { None };
                if to.is_some() {
                    while seq.next_element::<IgnoredAny>()?.is_some() {}
                }
                Ok(Routing { from, to })
            }

            otherwise!(Routing::default(); scalars, objects);
        }
        deserializer.deserialize_any(Pair)
    }
}

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Wanted;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut wanted = Statuses::NONE;
                while let Some(name) = seq.next_element::<&RawValue>()? {
                    names::want(&mut wanted, name.get().trim_matches('"'));
                }
                Ok(Wanted(Some(wanted)))
            }

            otherwise!(Wanted(None); scalars, objects);
        }
        deserializer.deserialize_any(Names)
    }
}
