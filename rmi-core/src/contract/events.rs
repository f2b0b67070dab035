//! What a contract says about its events.

use serde::{Deserialize, Serialize};

use super::{Direction, SchemaOf};

/// The events that a contract publishes: what `#[derive(RemoteEvent)]` knows of its type.
#[derive(Debug)]
#[non_exhaustive]
pub struct EventContract {
    /// The name of the type.
    pub name: &'static str,
    /// The type's documentation.
    pub docs: &'static str,
    /// The kinds of events, in the order of their declaration. No key is that of two kinds.
    pub kinds: &'static [EventKind],
}

/// One kind of event: a variant of an enum, or the whole of a struct.
#[derive(Debug)]
#[non_exhaustive]
pub struct EventKind {
    /// The name of the variant, or of the struct. It is not on the wire.
    pub name: &'static str,
    /// The kind's documentation.
    pub docs: &'static str,
    /// The template of its keys: words, separated by `.`, of which each is itself or a field in braces (`dhcp.bind.{node}`).
    pub key: &'static str,
    /// The fields, in the order of their declaration.
    pub fields: &'static [EventField],
}

/// One field of an event.
#[derive(Debug)]
#[non_exhaustive]
pub struct EventField {
    /// The wire name.
    pub name: &'static str,
    /// The type, as it is spelled.
    pub ty: &'static str,
    /// Where it travels.
    pub carried: Carried,
    /// It may be left out.
    pub default: bool,
    schema: Option<SchemaOf>,
}

/// Where a field of an event travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carried {
    /// In the body.
    #[default]
    Body,
    /// In the key, as one of its words.
    Key,
    /// In the key, and once more in the body for those who read only that.
    Both,
}

impl Carried {
    pub(super) fn is_in_body(self) -> bool {
        matches!(self, Carried::Body | Carried::Both)
    }
}

impl EventField {
    /// Its JSON Schema, as [`Type::schema`](super::Type::schema).
    #[must_use]
    pub fn schema(&self) -> Option<serde_json::Value> {
        self.schema.map(|make| make(Direction::Written))
    }
}

/// The events of a type are equal to themselves alone.
impl PartialEq for EventContract {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for EventContract {}

impl EventContract {
    /// The index of the kind that a key belongs to.
    #[must_use]
    pub fn position(&self, key: &str) -> Option<usize> {
        self.kinds.iter().position(|kind| kind.matches(key))
    }
}

impl EventKind {
    /// Whether a key is one of this kind.
    #[must_use]
    pub fn matches(&self, key: &str) -> bool {
        let mut words = key.split('.');
        self.key.split('.').all(|word| words.next().is_some_and(|found| is_field(word) || word == found))
            && words.next().is_none()
    }

    /// The pattern of all its keys: the template with `*` for its fields.
    #[must_use]
    pub fn pattern(&self) -> String {
        pattern(self.key)
    }
}

/// The pattern of all keys of a template.
pub(super) fn pattern(key: &str) -> String {
    let words: Vec<_> = key.split('.').map(|word| if is_field(word) { "*" } else { word }).collect();
    words.join(".")
}

fn is_field(word: &str) -> bool {
    word.starts_with('{')
}

/// What generated code builds event contracts with.
#[doc(hidden)]
impl EventContract {
    pub const fn new(name: &'static str, kinds: &'static [EventKind]) -> Self {
        EventContract { name, docs: "", kinds }
    }

    pub const fn docs(mut self, docs: &'static str) -> Self {
        self.docs = docs;
        self
    }
}

#[doc(hidden)]
impl EventKind {
    pub const fn new(name: &'static str, key: &'static str, fields: &'static [EventField]) -> Self {
        EventKind { name, docs: "", key, fields }
    }

    pub const fn docs(mut self, docs: &'static str) -> Self {
        self.docs = docs;
        self
    }
}

#[doc(hidden)]
impl EventField {
    pub const fn new(name: &'static str, ty: &'static str) -> Self {
        EventField { name, ty, carried: Carried::Body, default: false, schema: None }
    }

    pub const fn probed(mut self, schema: Option<SchemaOf>) -> Self {
        self.schema = schema;
        self
    }

    pub const fn in_key(mut self) -> Self {
        self.carried = Carried::Key;
        self
    }

    pub const fn in_both(mut self) -> Self {
        self.carried = Carried::Both;
        self
    }

    pub const fn with_default(mut self) -> Self {
        self.default = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_the_kind_whose_words_it_has() {
        let kind = EventKind::new("Bound", "dhcp.bind.{node}.{port}", &[]);
        assert!(kind.matches("dhcp.bind.n1.7"));
        for other in ["dhcp.bind.n1", "dhcp.bind.n1.7.8", "dhcp.free.n1.7", "", "dhcp"] {
            assert!(!kind.matches(other), "{other}");
        }
        assert_eq!(kind.pattern(), "dhcp.bind.*.*");
    }
}
