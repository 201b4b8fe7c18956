//! `docs/profiles.md` and `schema/*.json` are made from the types that read profiles, and from what
//! templates are given. `INSTA_UPDATE=always cargo test --lib reference` writes them anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use schemars::JsonSchema;
use serde_json::Value;

use super::context::{
    CloudValue, ContainerValue, FrontendValue, MemberValue, NAMES, NetworkValue, PoolValue,
    UnitValue,
};
use super::functions::{FILTERS, FUNCTIONS};
use super::renderer::environment;
use super::testing;
use crate::config::load::Profiles;
use crate::config::reference::schemas;
use crate::config::schema::{schema_of, text};
use crate::model::cloud::{Inside, Outside};
use crate::model::sizing::Sizing;
use crate::secrets::spec::SecretSpec;

#[test]
fn the_reference_says_what_the_types_say() {
    let profiles = Profiles::built_in().unwrap();
    let mut files = schemas(&profiles);
    files.push(("secrets", SecretSpec::schema()));
    let mut reference = Reference { text: PREFACE.to_owned(), described: BTreeSet::new() };
    for (name, schema) in &files {
        compare(&format!("schema/{name}.json"), &text(schema));
        if !["cloud", "user_variables"].contains(name) {
            reference.file(schema.as_value());
        }
    }
    reference.templates();
    compare("docs/profiles.md", &reference.text);
}

/// Compares a file of the repository, or writes it.
fn compare(path: &str, wanted: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == wanted,
        "{path} is out of date: INSTA_UPDATE=always cargo test --lib reference"
    );
}

const PREFACE: &str = "\
# Profiles

<!-- Made from the sources: INSTA_UPDATE=always cargo test --lib reference -->

Profiles say what is true of one service and not of another. `aio profile new NAME` writes a service to begin with,
`aio profile check` says what is wrong with one. [profiles/README.md](../profiles/README.md) tells how the parts work
together; here is every key.

Files stand below `profiles/` in the configuration directory, `/etc/aio` unless told otherwise, and secrets beside it in
`secrets/`. A file of the same path replaces a built-in one. A key that no table names is an error. Where a text is called a
template, it may use what [templates see](#templates).

Editors complete and check what begins with a line such as `# yaml-language-server: $schema=../../schema/profile.json`, which
`aio profile new` writes. The schemas are those of [schema/](../schema), which it writes too.
";

/// The text, and the types that it has described.
struct Reference {
    text: String,
    described: BTreeSet<String>,
}

impl Reference {
    fn file(&mut self, schema: &Value) {
        let title = schema["title"].as_str().unwrap();
        let _ = writeln!(self.text, "\n## {title}\n\n{}", description(schema));
        self.table(schema, schema);
        let mut waiting = references(schema);
        while !waiting.is_empty() {
            let name = waiting.remove(0);
            if !self.described.insert(name.clone()) {
                continue;
            }
            let definition = &schema["definitions"][&name];
            if is_small(definition) {
                continue;
            }
            let _ = writeln!(self.text, "\n### {}\n\n{}", spaced(&name), description(definition));
            self.definition(definition, schema);
            waiting.splice(0..0, references(definition));
        }
    }

    /// The keys of a type, or of each of its forms.
    fn definition(&mut self, definition: &Value, root: &Value) {
        let Some(forms) = definition["oneOf"].as_array() else {
            return self.table(definition, root);
        };
        for form in forms {
            let properties = form["properties"].as_object().unwrap();
            let (key, tag) =
                properties.iter().find_map(|(key, it)| Some((key, it["const"].as_str()?))).unwrap();
            let _ = writeln!(self.text, "\n`{key}: {tag}`: {}", description(form));
            self.table(form, root);
        }
    }

    fn table(&mut self, schema: &Value, root: &Value) {
        let Some(properties) = schema["properties"].as_object() else { return };
        let properties: Vec<_> =
            properties.iter().filter(|(_, it)| it["const"].is_null()).collect();
        if properties.is_empty() {
            return;
        }
        self.text.push_str("\n| key | value | what it says |\n|---|---|---|\n");
        let required = schema["required"].as_array();
        for (key, property) in properties {
            let must =
                required.is_some_and(|required| required.contains(&Value::from(key.as_str())));
            let usual = match &property["default"] {
                _ if must => ", required".to_owned(),
                Value::Null => String::new(),
                default if is_empty(default) => String::new(),
                default => format!(", `{default}` unless said"),
            };
            let value = format!("{}{usual}", kind(property, root));
            let mut says = description(property).replace('\n', " ");
            for (word, what) in chosen(property, root) {
                let _ = write!(says, " `{word}`: {}", what.replace('\n', " "));
            }
            let _ = writeln!(self.text, "| `{key}` | {value} | {says} |");
        }
    }

    fn templates(&mut self) {
        self.text.push_str(
            "\n## Templates\n\nFiles of `templates/DIRECTORY/NAME` are in Jinja's language, as are texts that are called \
             templates. A name that is not\ndefined is an error, and so is a value that is none: test it with `if` first.\n\n\
             | name | what it is |\n|---|---|\n",
        );
        for (name, says) in NAMES {
            let _ = writeln!(self.text, "| `{name}` | {says} |");
        }
        self.text.push_str("| `unit` | The unit that a file is about, where its `unit` says so or it follows from what the unit runs. |\n\n| function | what it gives |\n|---|---|\n");
        for (name, says) in FUNCTIONS {
            let _ = writeln!(self.text, "| `{name}` | {says} |");
        }
        self.text.push_str("\n| filter | what it makes |\n|---|---|\n");
        for (name, says, _) in FILTERS {
            let _ = writeln!(self.text, "| `{name}` | {says} |");
        }
        self.value::<CloudValue<'_>>("`cloud`");
        self.value::<Outside>("Outside");
        self.value::<Inside>("Inside");
        self.value::<ContainerValue<'_>>("`container`");
        self.value::<MemberValue<'_>>("A member");
        self.value::<FrontendValue>("A frontend");
        self.value::<NetworkValue<'_>>("A network");
        self.value::<PoolValue>("Pool value");
        self.value::<Sizing>("`sizing`");
        self.value::<UnitValue<'_>>("`unit`");
    }

    /// The fields of what templates see.
    fn value<T: JsonSchema>(&mut self, heading: &str) {
        let schema = schema_of::<T>(heading);
        let root = schema.as_value();
        let _ =
            writeln!(self.text, "\n### {heading}\n\n| field | value | what it is |\n|---|---|---|");
        for (field, property) in root["properties"].as_object().unwrap() {
            let says = description(property).replace('\n', " ");
            let _ = writeln!(self.text, "| `{field}` | {} | {says} |", kind(property, root));
        }
    }
}

fn description(schema: &Value) -> String {
    let own = schema["description"].as_str().map(str::to_owned);
    own.unwrap_or_default().replace('|', "\\|").trim().to_owned()
}

/// The types that a schema refers to, in their order.
fn references(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match schema {
        Value::Object(object) => {
            for (key, value) in object {
                match value.as_str().and_then(|it| it.strip_prefix("#/definitions/")) {
                    Some(name) if key == "$ref" => found.push(name.to_owned()),
                    _ if key != "definitions" => found.extend(references(value)),
                    _ => {}
                }
            }
        }
        Value::Array(array) => found.extend(array.iter().flat_map(references)),
        _ => {}
    }
    found
}

/// Whether a type is said in full where it is used.
fn is_small(definition: &Value) -> bool {
    definition["properties"].is_null()
        && (definition["oneOf"].is_null() || words(definition).is_some())
}

/// The words among which one is chosen, and what each says.
fn words(schema: &Value) -> Option<Vec<(String, String)>> {
    let forms = schema["oneOf"].as_array()?;
    let word = |form: &Value| Some((form["const"].as_str()?.to_owned(), description(form)));
    forms.iter().map(word).collect()
}

/// The words of the type that a key has.
fn chosen(schema: &Value, root: &Value) -> Vec<(String, String)> {
    let words = references(schema).into_iter().filter_map(|name| words(&root["definitions"][name]));
    words.flatten().collect()
}

/// What a value is.
fn kind(schema: &Value, root: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|it| it.strip_prefix("#/definitions/")) {
        let definition = &root["definitions"][name];
        if let Some(words) = words(definition) {
            let words: Vec<String> =
                words.into_iter().map(|(word, _)| format!("`{word}`")).collect();
            return words.join(" or ");
        }
        if definition["properties"].is_null() && definition["oneOf"].is_null() {
            return kind(definition, root);
        }
        let anchor = spaced(name).to_lowercase().replace(' ', "-");
        return format!("[{}](#{anchor})", spaced(name).to_lowercase());
    }
    for forms in [&schema["anyOf"], &schema["allOf"]] {
        let forms: Vec<&Value> = forms.as_array().into_iter().flatten().collect();
        if let Some(form) = forms.into_iter().find(|form| form["type"] != "null") {
            return kind(form, root);
        }
    }
    let named = |name: &str| match name {
        "string" => "text",
        "integer" | "number" => "number",
        "boolean" => "`true` or `false`",
        other => panic!("no word for {other}"),
    };
    match &schema["type"] {
        Value::String(name) if name == "array" => {
            format!("list of {}", plural(&kind(&schema["items"], root)))
        }
        Value::String(name) if name == "object" => {
            format!("map of name to {}", kind(&schema["additionalProperties"], root))
        }
        Value::String(name) => named(name).to_owned(),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            let names: Vec<&str> = names.collect();
            match names.as_slice() {
                ["array" | "object"] => kind(&with_type(schema, names[0]), root),
                names => names.iter().map(|name| named(name)).collect::<Vec<_>>().join(" or "),
            }
        }
        _ => "any value".to_owned(),
    }
}

fn with_type(schema: &Value, name: &str) -> Value {
    let mut schema = schema.clone();
    schema["type"] = name.into();
    schema
}

fn plural(kind: &str) -> String {
    match kind {
        "text" | "number" => format!("{kind}s"),
        other => other.to_owned(),
    }
}

/// `ContainerKind` as a heading: `Container kind`.
fn spaced(name: &str) -> String {
    let mut words = String::new();
    for (index, letter) in name.chars().enumerate() {
        if index > 0 && letter.is_uppercase() {
            words.push(' ');
            words.extend(letter.to_lowercase());
        } else {
            words.push(letter);
        }
    }
    words
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Bool(on) => !on,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(is_empty),
        _ => false,
    }
}

#[test]
fn the_functions_and_filters_that_are_described_are_there() {
    let profiles = testing::profiles(&[]);
    let cloud = testing::cloud(&profiles);
    let secrets = testing::secrets();
    let context = super::context::Context::new(&cloud, &profiles, &secrets, |_, it| it.to_owned());
    let environment = environment(&context, false).unwrap();
    let known: BTreeSet<&str> = environment.globals().map(|(name, _)| name).collect();
    for (form, _) in FUNCTIONS {
        assert!(known.contains(form.split('(').next().unwrap()), "{form}");
    }
    let own = ["members", "containers", "deployed", "frontend", "database_url", "uuid"];
    assert_eq!(FUNCTIONS.len(), own.len());
    for (name, ..) in FILTERS {
        let text = format!("{{{{ ['a'] | {name} if false }}}}");
        environment.render_str(&text, ()).unwrap();
    }
    let seen = context.of(&cloud.containers[0], None);
    let names: BTreeSet<String> = seen.try_iter().unwrap().map(|name| name.to_string()).collect();
    assert_eq!(names, NAMES.iter().map(|(name, _)| (*name).to_owned()).collect());
}
