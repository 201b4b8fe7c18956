//! JSON schemas of the files that authors and users write, from the types that read them: editors
//! complete and check by them, and `docs/profiles.md` is made of them.

use schemars::{Schema, json_schema};
use serde_json::{Map, Value, json};

use super::cloud::CloudFile;
use super::load::Profiles;
use super::profile::ServiceProfile;
use super::release::Release;
use super::scenario::Scenario;
use super::schema::{DRAFT, schema_of};

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
