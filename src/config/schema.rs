//! JSON schemas made from types: their doc comments are what editors show.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, json_schema};

/// What editors understand.
pub const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// The schema of a type; `title` is what its files are called.
pub fn schema_of<T: JsonSchema>(title: &str) -> Schema {
    let schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<T>();
    let mut titled = json_schema!({ "$schema": DRAFT, "title": title });
    let keys = schema.as_object().into_iter().flatten();
    for (key, value) in keys.filter(|(key, _)| !["$schema", "title"].contains(&key.as_str())) {
        titled.insert(key.clone(), value.clone());
    }
    titled
}

/// A schema as it stands in a file.
pub fn text(schema: &Schema) -> String {
    format!("{schema:#}\n", schema = schema.as_value())
}
