//! What a valid event type says, as plain data.

use proc_macro2::{Ident, TokenStream};
use syn::{LitStr, Type};

/// An event type.
pub(crate) struct Event {
    pub(crate) ident: Ident,
    /// `::rmi_core::__private`
    pub(crate) private: TokenStream,
    pub(crate) name: String,
    pub(crate) docs: String,
    pub(crate) kinds: Vec<Kind>,
}

/// A variant, or the whole of a struct.
pub(crate) struct Kind {
    /// How it is written: `Event::Variant`, or `Event`.
    pub(crate) path: TokenStream,
    pub(crate) ident: Ident,
    pub(crate) docs: String,
    /// Where the template was written.
    pub(crate) key: LitStr,
    pub(crate) words: Vec<Word>,
    pub(crate) fields: Vec<Field>,
}

/// A word of a key's template.
pub(crate) enum Word {
    /// It is always the same.
    Same(String),
    /// It is the value of the field of this index.
    Field(usize),
}

/// A field.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    /// The wire name.
    pub(crate) name: String,
    pub(crate) ty: Type,
    /// It is in the body as well, if it is in the key.
    pub(crate) body: bool,
    pub(crate) default: bool,
}

impl Kind {
    /// The place of a field among the words of the key.
    pub(crate) fn place(&self, field: usize) -> Option<usize> {
        self.words.iter().position(|word| matches!(word, Word::Field(index) if *index == field))
    }

    /// The template with the wire names of the fields.
    pub(crate) fn template(&self) -> String {
        let words: Vec<_> = self
            .words
            .iter()
            .map(|word| match word {
                Word::Same(word) => word.clone(),
                Word::Field(field) => format!("{{{}}}", self.fields.get(*field).map_or("", |field| &field.name)),
            })
            .collect();
        words.join(".")
    }

    /// Whether there is a key that both have.
    pub(crate) fn shares_a_key_with(&self, other: &Kind) -> bool {
        self.words.len() == other.words.len()
            && self.words.iter().zip(&other.words).all(|words| match words {
                (Word::Same(one), Word::Same(other)) => one == other,
                _ => true,
            })
    }
}
