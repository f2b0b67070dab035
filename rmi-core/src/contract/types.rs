use std::{any::type_name, borrow::Cow, fmt};

/// Which way values of a type travel, seen from the agent: a schema may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The agent reads them: parameters.
    Read,
    /// The agent writes them: results, progress, errors.
    Written,
}

/// Makes the JSON Schema of a type.
pub type SchemaOf = fn(Direction) -> serde_json::Value;

/// A type that a contract names.
#[derive(Clone, Copy)]
pub struct Type {
    spelled: &'static str,
    named: fn() -> &'static str,
    schema: Option<SchemaOf>,
}

impl Type {
    /// As the trait spells it; where the trait names an alias in its place, as the compiler does, without the paths.
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        if self.spelled.is_empty() { Cow::Owned(without_paths((self.named)())) } else { Cow::Borrowed(self.spelled) }
    }

    /// Its JSON Schema (draft 2020-12), standing alone. `None` without the feature `schema`, and for types that are not
    /// `schemars::JsonSchema`.
    #[must_use]
    pub fn schema(&self, direction: Direction) -> Option<serde_json::Value> {
        self.schema.map(|make| make(direction))
    }
}

/// What generated code builds types with.
#[doc(hidden)]
impl Type {
    pub const fn of<T: ?Sized>() -> Self {
        Type { spelled: "", named: type_name::<T>, schema: None }
    }

    pub const fn spelled(mut self, spelled: &'static str) -> Self {
        self.spelled = spelled;
        self
    }

    pub const fn with_schema(mut self, schema: Option<SchemaOf>) -> Self {
        self.schema = schema;
        self
    }
}

impl fmt::Debug for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// `alloc::vec::Vec<dog::Trick>` is `Vec<Trick>`.
pub(crate) fn without_paths(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut word = 0;
    let mut rest = name;
    while let Some(letter) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("::") {
            short.truncate(word);
            rest = after;
            continue;
        }
        short.push(letter);
        if !(letter.is_alphanumeric() || letter == '_') {
            word = short.len();
        }
        rest = &rest[letter.len_utf8()..];
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_loses_its_paths() {
        assert_eq!(Type::of::<Vec<Option<String>>>().name(), "Vec<Option<String>>");
        assert_eq!(Type::of::<(std::time::Duration, [u8; 6])>().name(), "(Duration, [u8; 6])");
        assert_eq!(Type::of::<&'static str>().name(), "&str");
        assert_eq!(Type::of::<u8>().spelled("Byte").name(), "Byte");
        assert_eq!(without_paths("a::b_c::D<e::F, g::H>"), "D<F, H>");
        assert_eq!(without_paths("dyn a::B + core::marker::Send"), "dyn B + Send");
    }
}
