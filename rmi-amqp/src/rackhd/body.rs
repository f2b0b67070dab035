//! Bodies: JSON objects, and nothing else.

use std::{borrow::Cow, fmt::Write as _};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// How long a body with other characters than ASCII may be before they are written as escapes. RackHD's client reads each frame of
/// 131,064 bytes by itself, and breaks a character that stands in two of them.
const ONE_FRAME: usize = 131_064;

/// How many members are taken out of a body where each is an argument: more than any method has. What else there is is counted.
pub(super) const MOST_MEMBERS: usize = 1024;

/// Members in their order.
#[derive(Debug, Default)]
pub(super) struct Members<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'a> Members<'a> {
    /// Reads an object, and how many members it has, of which no more than [`MOST_MEMBERS`] are kept. An array has none: RackHD's own
    /// clients send arrays where no argument is read.
    pub(super) fn read(body: &'a str) -> serde_json::Result<(Self, usize)> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = (Members<'de>, usize);

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                #[derive(Deserialize)]
                struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

                let (mut members, mut count) = (Members::default(), 0);
                while members.0.len() < MOST_MEMBERS
                    && let Some((Name(name), value)) = map.next_entry()?
                {
                    members.0.push((name, value));
                    count += 1;
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok((members, count))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                pass_over(seq).map(|()| Default::default())
            }
        }
        serde_json::Deserializer::from_str(body).deserialize_any(Reading)
    }
}

fn pass_over<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<(), A::Error> {
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// The members of these names, and nothing of the others. Of several of one name the last counts, as in JavaScript; an array has none.
pub(super) fn pick<'a, const N: usize>(names: [&str; N], body: &'a str) -> serde_json::Result<[Option<&'a RawValue>; N]> {
    struct Picking<'n, const N: usize>([&'n str; N]);
    impl<'de, const N: usize> Visitor<'de> for Picking<'_, N> {
        type Value = [Option<&'de RawValue>; N];

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut picked = [None; N];
            while let Some(at) = map.next_key_seed(Position(&self.0))? {
                match at {
                    Some(at) => picked[at] = Some(map.next_value()?),
                    None => {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
            }
            Ok(picked)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
            pass_over(seq).map(|()| [None; N])
        }
    }

    /// Which of these names a name is. It is taken as bytes: JavaScript has names that are no text here.
    struct Position<'n>(&'n [&'n str]);
    impl<'de> DeserializeSeed<'de> for Position<'_> {
        type Value = Option<usize>;

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_bytes(self)
        }
    }
    impl Visitor<'_> for Position<'_> {
        type Value = Option<usize>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a name")
        }

        fn visit_bytes<E: serde::de::Error>(self, name: &[u8]) -> Result<Self::Value, E> {
            Ok(self.0.iter().position(|known| known.as_bytes() == name))
        }

        fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
            self.visit_bytes(name.as_bytes())
        }
    }

    serde_json::Deserializer::from_str(body).deserialize_any(Picking(names))
}

/// The text that a value is, if it is one.
pub(super) fn string(value: &RawValue) -> serde_json::Result<String> {
    match value.get().as_bytes() {
        [b'"', ..] => serde_json::from_str(value.get()),
        _ => Err(serde_json::Error::custom("it is no text")),
    }
}

/// A value in its wrapper; nothing is left out of it.
#[derive(Serialize)]
pub(super) struct Wrapped<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<T>,
}

/// The text of a body, as a RackHD peer can read it whatever its length is.
pub(super) fn text(body: &(impl Serialize + ?Sized)) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string(body)?;
    Ok(if text.len() > ONE_FRAME && !text.is_ascii() { ascii(&text) } else { text })
}

/// The same JSON in ASCII: other characters stand in strings only.
fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 2);
    for character in text.chars() {
        if character.is_ascii() {
            out.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn only_long_bodies_are_escaped_and_mean_the_same() {
        assert_eq!(text(&json!({"a": "ü𝄞"})).unwrap(), r#"{"a":"ü𝄞"}"#);
        let long = json!({ "a": "ü𝄞\\\"".repeat(30_000) });
        let escaped = text(&long).unwrap();
        assert!(escaped.is_ascii());
        assert_eq!(serde_json::from_str::<Value>(&escaped).unwrap(), long);
    }

    fn picked<const N: usize>(names: [&str; N], body: &str) -> [Option<String>; N] {
        pick(names, body).unwrap().map(|value| value.map(|value| value.get().to_owned()))
    }

    #[test]
    fn members_are_picked_as_javascript_would() {
        assert_eq!(picked(["a", "c"], r#"{"a":1,"b":[2],"\u0061":3}"#), [Some("3".to_owned()), None]);
        assert_eq!(picked(["a"], r#"{"\ud800":{"a":2},"a":1e999}"#), [Some("1e999".to_owned())]);
        assert_eq!(picked(["a"], r#"[1,{"a":2}]"#), [None]);
        assert!(pick(["a"], "7").is_err());
    }

    #[test]
    fn no_more_members_are_kept_than_a_method_could_have() {
        let body = format!("{{{}}}", vec![r#""a":1"#; 100_000].join(","));
        let (members, count) = Members::read(&body).unwrap();
        assert_eq!((members.0.len(), count), (MOST_MEMBERS, 100_000));
        let (few, count) = Members::read(r#"{"a":1,"b":[2],"a":3}"#).unwrap();
        assert_eq!((serde_json::to_string(&few).unwrap().as_str(), count), (r#"{"a":1,"b":[2],"a":3}"#, 3));
        assert_eq!(Members::read("[1,{}]").unwrap().1, 0);
        assert!(Members::read("7").is_err());
    }
}
