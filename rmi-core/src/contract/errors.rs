use super::{SchemaOf, Type};

/// What an error type says about itself. Written by `#[derive(RemoteError)]`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ErrorType {
    /// The exceptions that it can be; `None` when it does not say.
    pub variants: Option<&'static [ErrorVariant]>,
}

/// One exception that an error type can be.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ErrorVariant {
    /// The module of its class; `None` for `rmi.<contract>`.
    pub module: Option<&'static str>,
    /// Its class on the wire.
    pub class: &'static str,
    /// Its documentation.
    pub docs: &'static str,
    /// The fields that travel: unnamed ones first, in order.
    pub fields: &'static [ErrorField],
    /// It arrives as itself. If not, a field stays behind, and it arrives as a raw exception.
    pub rebuilt: bool,
}

/// A field of an error.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ErrorField {
    /// The name on the wire; `None` for an unnamed field, which travels by its place.
    pub name: Option<&'static str>,
    /// The type.
    pub ty: Type,
}

impl ErrorType {
    /// An error that does not say which exceptions it can be.
    pub const UNDESCRIBED: ErrorType = ErrorType { variants: None };

    /// An error that cannot happen.
    pub const NONE: ErrorType = ErrorType { variants: Some(&[]) };
}

/// What generated code builds descriptions of errors with.
#[doc(hidden)]
impl ErrorType {
    pub const fn new(variants: &'static [ErrorVariant]) -> Self {
        ErrorType { variants: Some(variants) }
    }
}

#[doc(hidden)]
impl ErrorVariant {
    pub const fn new(class: &'static str, fields: &'static [ErrorField]) -> Self {
        ErrorVariant { module: None, class, docs: "", fields, rebuilt: true }
    }

    pub const fn foreign(module: &'static str, class: &'static str, fields: &'static [ErrorField]) -> Self {
        ErrorVariant { module: Some(module), class, docs: "", fields, rebuilt: true }
    }

    pub const fn docs(mut self, docs: &'static str) -> Self {
        self.docs = docs;
        self
    }

    pub const fn raw(mut self) -> Self {
        self.rebuilt = false;
        self
    }
}

#[doc(hidden)]
impl ErrorField {
    pub const fn named<T>(name: &'static str, ty: &'static str, schema: Option<SchemaOf>) -> Self {
        ErrorField { name: Some(name), ty: Type::of::<T>().spelled(ty).with_schema(schema) }
    }

    pub const fn unnamed<T>(ty: &'static str, schema: Option<SchemaOf>) -> Self {
        ErrorField { name: None, ty: Type::of::<T>().spelled(ty).with_schema(schema) }
    }
}
