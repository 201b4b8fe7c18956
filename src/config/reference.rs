//! JSON schemas of the files that authors and users write, from the types that read them: editors
//! complete and check by them, and `docs/profiles.md` is made of them.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, json_schema};
use serde_json::{Map, Value, json};

use super::cloud::CloudFile;
use super::load::Profiles;
use super::profile::ServiceProfile;
use super::release::Release;
use super::scenario::Scenario;

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

/// What editors understand.
const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// The schemas of all files but secrets', by the name of what they are about.
pub fn schemas(profiles: &Profiles) -> Vec<(&'static str, Schema)> {
    vec![
        ("profile", schema_of::<ServiceProfile>("services/NAME.yml")),
        ("scenario", schema_of::<Scenario>("scenarios/NAME.yml")),
        ("release", schema_of::<Release>("releases/NAME.yml")),
        ("cloud", CloudFile::schema()),
        ("user_variables", user_variables(profiles)),
    ]
}

/// What may be set where these profiles are. Profiles that are added later may name more.
fn user_variables(profiles: &Profiles) -> Schema {
    let variables = profiles.services.values().flat_map(|service| &service.variables);
    let properties: Map<String, Value> = variables
        .map(|(name, variable)| {
            let mut schema = json!({
                "description": variable.description,
                "default": variable.default,
                "type": match &variable.default {
                    Value::Bool(_) => "boolean",
                    Value::Number(number) if number.is_f64() => "number",
                    Value::Number(_) => "integer",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                    _ => "string",
                },
            });
            if !variable.choices.is_empty() {
                schema["enum"] = json!(variable.choices);
            }
            (name.clone(), schema)
        })
        .collect();
    json_schema!({
        "$schema": DRAFT,
        "title": "user_variables.yml",
        "description": "Values that the profiles let you set.",
        "type": "object",
        "properties": properties,
        "patternProperties": { "^packages\\.": {
            "description": "Packages of the distribution that the containers of a kind get besides their own.",
            "type": "array",
            "items": { "type": "string" },
        }},
    })
}

/// A schema as it stands in a file.
pub fn text(schema: &Schema) -> String {
    format!("{schema:#}\n", schema = schema.as_value())
}
