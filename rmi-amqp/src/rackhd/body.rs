//! Bodies: JSON objects, and nothing else.

use std::{borrow::Cow, fmt::Write as _};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// How long a body with other characters than ASCII may be before they are written as escapes. RackHD's client reads each frame of
/// 131,064 bytes by itself, and breaks a character that stands in two of them.
const ONE_FRAME: usize = 131_064;

/// Members in their order.
#[derive(Debug, Default)]
pub(super) struct Members<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl Serialize for Members<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members::default();
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.0.push((name, value));
                }
                Ok(members)
            }

            // RackHD's own clients send arrays where no argument is read.
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Members::default())
            }
        }
        deserializer.deserialize_any(Reading)
    }
}

impl<'a> Members<'a> {
    /// The member of a name. Of several the last counts, as in JavaScript.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(member, _)| member == name).map(|(_, value)| *value)
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

    #[test]
    fn of_two_members_of_a_name_the_last_counts() {
        let members: Members<'_> = serde_json::from_str(r#"{"a":1,"b":[2],"a":3}"#).unwrap();
        assert_eq!(members.get("a").unwrap().get(), "3");
        assert!(members.get("c").is_none());
        assert!(serde_json::from_str::<Members<'_>>("[1,{}]").unwrap().0.is_empty());
        assert!(serde_json::from_str::<Members<'_>>("7").is_err());
    }
}
