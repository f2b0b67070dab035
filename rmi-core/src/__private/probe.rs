//! What a type can, asked without a bound on it.
//!
//! `<Probe<T>>::SCHEMA` is the inherent constant where its bounds hold, and that of [`Fallback`] where they do not. So a feature
//! that is switched on demands nothing of any type.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::{contract::SchemaOf, message::may_be_missing};

/// Asks about a type.
#[derive(Debug)]
pub struct Probe<T: ?Sized>(PhantomData<fn(&T)>);

/// What is so of types that cannot.
pub trait Fallback {
    /// Makes its schema.
    const SCHEMA: Option<SchemaOf> = None;
    /// Whether it has a value for "nothing there".
    const OMITTED: Option<fn() -> bool> = None;
}

impl<T: ?Sized> Fallback for Probe<T> {}

impl<T: DeserializeOwned> Probe<T> {
    /// Whether it has a value for "nothing there".
    pub const OMITTED: Option<fn() -> bool> = Some(may_be_missing::<T>);
}

#[cfg(feature = "schema")]
impl<T: schemars::JsonSchema + ?Sized> Probe<T> {
    /// Makes its schema.
    pub const SCHEMA: Option<SchemaOf> = Some(crate::contract::schema_of::<T>);
}
