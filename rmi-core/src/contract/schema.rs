use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};

use super::Direction;
use crate::json::Json;

/// The schema of a type, with its definitions in it.
pub(crate) fn schema_of<T: JsonSchema + ?Sized>(direction: Direction) -> serde_json::Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.meta_schema = None;
    let settings = match direction {
        Direction::Read => settings.for_deserialize(),
        Direction::Written => settings.for_serialize(),
    };
    settings.into_generator().into_root_schema_for::<T>().into()
}

/// Any value.
impl JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Json")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}
