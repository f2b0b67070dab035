//! What a valid error type says, as plain data. A derive macro sees only what exists: conditions have been decided before.

use proc_macro2::{Ident, TokenStream};
use syn::Type;

/// An error type.
pub(crate) struct Error {
    pub(crate) ident: Ident,
    /// `::rmi_core::__private`
    pub(crate) private: TokenStream,
    pub(crate) shapes: Vec<Shape>,
}

/// A variant, or the whole of a struct.
pub(crate) struct Shape {
    /// How it is written: `Error::Variant`, or `Error`.
    pub(crate) path: TokenStream,
    pub(crate) ident: Ident,
    pub(crate) docs: String,
    pub(crate) class: Class,
    /// The fields that travel.
    pub(crate) fields: Vec<Field>,
    /// Whether what arrives is rebuilt.
    pub(crate) returns: bool,
}

/// The wire name.
pub(crate) enum Class {
    /// `Enum.Variant` in the module of the contract.
    Ours(String),
    /// A class of another language.
    Foreign { module: String, class: String },
}

/// A field that travels.
pub(crate) struct Field {
    /// The name, or the index, by which Rust knows the field.
    pub(crate) member: syn::Member,
    /// The name on the wire; unnamed fields have none.
    pub(crate) name: Option<String>,
    pub(crate) ty: Type,
}
