//! Functions and filters of templates.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::{Kwargs, StringInput};
use minijinja::{Environment, Error, ErrorKind, State, Value};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::config::nearest::suggestion;
use crate::model::hash::{native_password, sha256_hex};

use super::context::{Context, Database, NAMES};

/// What stands for a secret where its value must not be shown.
pub fn placeholder(secret: &str) -> String {
    format!("<secret {secret}>")
}

/// The functions, and what each gives.
pub const FUNCTIONS: [(&str, &str); 6] = [
    (
        "members(KIND)",
        "The members of a container kind, in order; none where the cloud has none of it. Each is a container \
         with `standby` beside: whether it stands by while a sibling runs from a checkout.",
    ),
    ("containers()", "All containers of the cloud, as `members` gives them."),
    ("deployed(SERVICE)", "Whether the cloud has a service."),
    ("frontend(NAME)", "A frontend, of any service that the cloud has."),
    (
        "database_url(NAME, OPTION=VALUE, …)",
        "The address of a database, with its user and password, as SQLAlchemy wants it; options follow as \
         `&OPTION=VALUE`. It holds a secret.",
    ),
    ("uuid(TEXT)", "A UUID that follows from the cloud's name and the text."),
];

/// Whether there is a function of that name.
pub fn is_function(name: &str) -> bool {
    FUNCTIONS.iter().any(|(form, _)| form.split('(').next() == Some(name))
}

type TextFilter = fn(&str) -> String;

/// The filters beside those of Jinja, and what each makes.
pub const FILTERS: [(&str, &str, Option<TextFilter>); 8] = [
    (
        "rabbitmq_password_hash",
        "The hash of a password for RabbitMQ's definitions.",
        Some(rabbitmq_password_hash),
    ),
    (
        "mysql_native_hash",
        "The hash of a password as MariaDB's `PASSWORD()` makes it.",
        Some(native_password),
    ),
    ("urlencode", "A text as it may stand in a URL.", Some(urlencode)),
    ("base64", "A text in Base64.", Some(|text| STANDARD.encode(text))),
    ("sha256", "The SHA-256 of a text, in hexadecimal digits.", Some(|text| sha256_hex(text))),
    ("json", "A value as JSON. `tojson` is the same.", None),
    (
        "join",
        "The elements of a list as one text, as in Jinja; a name that is not defined is an error, not an \
         empty list.",
        None,
    ),
    (
        "render",
        "A text that is a template itself, rendered: the `options` of a frontend, say.",
        None,
    ),
];

/// Makes the functions known; with `masked`, as [`add_filters`].
pub fn add_functions(environment: &mut Environment<'static>, context: &Context, masked: bool) {
    let members = context.members.clone();
    environment
        .add_function("members", move |kind: &str| look_up(&members, "container kind", kind));

    let containers = context.containers.clone();
    environment.add_function("containers", move || containers.clone());

    let deployed = context.deployed.clone();
    environment
        .add_function("deployed", move |service: &str| look_up(&deployed, "service", service));

    let frontends = context.frontends.clone();
    environment.add_function("frontend", move |name: &str| {
        look_up(&frontends, "frontend", name)?.ok_or_else(|| {
            let message = format!("this cloud does not have the service of frontend `{name}`");
            Error::new(ErrorKind::InvalidOperation, message)
        })
    });

    let (databases, tls) = (context.databases.clone(), context.tls);
    environment.add_function("database_url", move |name: &str, options: Kwargs| {
        let database = look_up(&databases, "database", name)?;
        database_url(&database, tls, masked, &options)
    });

    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_DNS, format!("{}.aio", context.cloud).as_bytes());
    environment.add_function("uuid", move |text: &str| {
        Uuid::new_v5(&namespace, text.as_bytes()).to_string()
    });
}

/// As SQLAlchemy wants it, with the driver that all services use.
fn database_url(
    database: &Database,
    tls: bool,
    masked: bool,
    options: &Kwargs,
) -> Result<String, Error> {
    let Database { user, password, place } = database;
    let password = if masked { password.clone() } else { urlencode(password) };
    let mut url = format!("mysql+pymysql://{user}:{password}@{place}?charset=utf8");
    for option in options.args() {
        let value: Value = options.get(option)?;
        url.push_str(&format!("&{option}={value}"));
    }
    if tls {
        url.push_str("&ssl_ca=/etc/ssl/certs/ca-certificates.crt");
    }
    Ok(url)
}

fn look_up<T: Clone>(known: &BTreeMap<String, T>, what: &str, name: &str) -> Result<T, Error> {
    known.get(name).cloned().ok_or_else(|| {
        let mut message = format!("there is no {what} `{name}`");
        if let Some(hint) = suggestion(name, known.keys().map(String::as_str)) {
            message = format!("{message}: {hint}");
        }
        Error::new(ErrorKind::InvalidOperation, message)
    })
}

/// Makes the filters known. With `masked`, secrets are placeholders: what a filter would make of
/// one is named instead of computed. In a URL it stays what it is.
pub fn add_filters(environment: &mut Environment<'static>, masked: bool) {
    let of_texts = FILTERS.into_iter().filter_map(|(name, _, filter)| Some((name, filter?)));
    for (name, filter) in of_texts {
        environment.add_filter(name, move |text: &str| {
            if !masked || !text.contains("<secret ") {
                filter(text)
            } else if name == "urlencode" {
                text.to_owned()
            } else {
                format!("<{name} of {text}>")
            }
        });
    }
    // The engine's own `tojson` makes `null` of an undefined name, and escapes for HTML.
    environment.add_filter("json", json);
    environment.add_filter("tojson", json);
    environment.add_filter("join", join);
    environment.add_filter("render", render);
}

fn json(value: Value) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    serde_json::to_string(&value)
        .map_err(|_| Error::new(ErrorKind::BadSerialization, "this value has no JSON form"))
}

/// The engine's own makes nothing of an undefined name.
fn join(
    state: &mut State<'_, '_>,
    value: &Value,
    joiner: Option<StringInput<'_>>,
    attribute: Option<&str>,
    options: Kwargs,
) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    minijinja::filters::join(state, value, joiner, attribute, options)
}

/// Renders a text that is itself a template, such as the options of a frontend.
fn render(state: &State<'_, '_>, text: &str) -> Result<String, Error> {
    let names = NAMES.iter().filter_map(|(name, _)| Some((*name, state.lookup(name)?)));
    state.env().render_str(text, Value::from_pairs(names))
}

/// What the filters of templates make of a secret for those who need not know it.
pub fn derived(secret: &str) -> Vec<String> {
    vec![rabbitmq_password_hash(secret), native_password(secret), sha256_hex(secret)]
}

/// As `rabbitmqctl hash_password` makes it, with a salt that follows from the password: the same
/// definitions file for the same secrets.
fn rabbitmq_password_hash(password: &str) -> String {
    let salt = &Sha256::digest(password)[..4];
    let salted = Sha256::new().chain_update(salt).chain_update(password).finalize();
    STANDARD.encode([salt, salted.as_slice()].concat())
}

/// Everything but letters, digits, `-`, `.`, `_` and `~`, so that a password may stand in a URL.
fn urlencode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_servers_own() {
        let hash = rabbitmq_password_hash("test12");
        let bytes = STANDARD.decode(&hash).unwrap();
        assert_eq!(bytes.len(), 36);
        // RabbitMQ checks a password so: the first four bytes are the salt.
        let expected = Sha256::digest([&bytes[..4], b"test12"].concat());
        assert_eq!(&bytes[4..], expected.as_slice());
        assert_eq!(hash, rabbitmq_password_hash("test12"));
        assert_ne!(hash, rabbitmq_password_hash("test13"));
    }

    #[test]
    fn a_password_may_stand_in_a_url() {
        assert_eq!(urlencode("a/b@c:d é~"), "a%2Fb%40c%3Ad%20%C3%A9~");
    }
}
