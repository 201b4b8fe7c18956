use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use proptest::prelude::*;

use super::*;
use crate::commands::support::mask::values_of_settings;

/// Everything that a password may hold.
const ODD: &str = r#"Ch0sen: by $me & "you" %40/@#'`\<x>{}=+|"#;

fn known(name: &str, value: &str) -> Known {
    Known { name: name.to_owned(), value: value.into(), derived: Vec::new() }
}

fn masker(values: &[&str]) -> Masker {
    let known: Vec<Known> = values.iter().map(|value| known("it", value)).collect();
    Masker::new(&known).unwrap()
}

fn masked(masker: &Masker, text: &str) -> String {
    String::from_utf8(masker.mask(text.as_bytes())).unwrap()
}

fn settings(text: &str) -> String {
    String::from_utf8(masker(&[]).mask_settings(text.as_bytes())).unwrap()
}

/// All of a value's forms that files and logs have.
pub(crate) fn forms(value: &str) -> Vec<String> {
    let json = serde_json::to_string(value).unwrap();
    let encode = |keep: &str, space: &str, lower: bool| -> String {
        let byte = |byte: u8| match byte {
            b' ' => space.to_owned(),
            _ if byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte) => {
                char::from(byte).to_string()
            }
            _ if lower => format!("%{byte:02x}"),
            _ => format!("%{byte:02X}"),
        };
        value.bytes().map(byte).collect()
    };
    let html = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    vec![
        value.to_owned(),
        encode("-._~", "%20", false),
        encode("-._~/", "+", true),
        encode("-._~", "%20", false).replace('%', "%25"),
        json.trim_matches('"').to_owned(),
        serde_json::to_string(&json).unwrap(),
        serde_yaml::to_string(value).unwrap(),
        value.replace('\'', "''"),
        value.replace('\'', r"'\''"),
        value.replace('\'', r#"'"'"'"#),
        value.replace('$', "$$"),
        value.replace('%', "%%"),
        value.replace('\\', r"\\").replace('"', r#"\""#),
        html.replace('"', "&quot;").replace('\'', "&#39;"),
        STANDARD.encode(value),
        URL_SAFE.encode(value),
        STANDARD.encode(format!("u:{value}")),
        STANDARD.encode(format!("me:{value}\n")),
        URL_SAFE.encode(format!("you:{value}")),
        hex::encode(value),
    ]
}

#[test]
fn a_value_is_masked_in_every_form() {
    for value in
        [ODD, "aB3dE6gH9kLmN0pQrStUvWxYz1234567", "AQAAAAAAAAAAABAAMDEyMzQ1Njc4OWFiY2RlZg=="]
    {
        let masker = masker(&[value]);
        for form in forms(value) {
            let text = masked(&masker, &format!("begin {form} end"));
            let left = text.replace("[masked: it]", "").replace(['"', '\'', '\\', '\n', '='], "");
            assert_eq!(left.split_whitespace().collect::<Vec<_>>(), ["begin", "end"], "{form}");
        }
    }
}

#[test]
fn names_say_what_was_there_and_the_longest_match_counts() {
    let masker = Masker::new(&[
        known("short_one", "password12"),
        known("long_one", "password1234"),
        known("next", "1234overlaps"),
    ])
    .unwrap();
    assert_eq!(masked(&masker, "a password12 b"), "a [masked: short_one] b");
    assert_eq!(masked(&masker, "a password1234 b"), "a [masked: long_one] b");
    assert_eq!(masked(&masker, "xpassword12x"), "x[masked: short_one]x");
    // What two of them share hides the rest of neither.
    let both = masked(&masker, "password1234overlaps");
    assert!(both.starts_with("[masked: ") && both.ends_with(']') && both.len() < 25, "{both}");
    let url = "mysql+pymysql://heat:password1234@172.29.236.101/heat?charset=utf8";
    assert_eq!(
        masked(&masker, url),
        "mysql+pymysql://heat:[masked: long_one]@172.29.236.101/heat?charset=utf8"
    );
}

#[test]
fn a_name_in_the_text_does_not_say_what_it_must_not() {
    let masker =
        Masker::new(&[known("one", "hunter2hunter2"), known("my hunter2hunter2", "other-secret")]);
    let masker = masker.unwrap();
    assert_eq!(masked(&masker, "hunter2hunter2_token=abc"), "[masked: one]_token=[masked: value]");
    assert_eq!(masked(&masker, "other-secret"), "[masked: secret]");
}

#[test]
fn short_values_are_words_and_the_shortest_only_what_a_name_says() {
    let masker = Masker::new(&[known("word", "nova1"), known("tiny", "abc")]).unwrap();
    assert_eq!(masker.short(), ["word", "tiny"]);
    assert_eq!(masked(&masker, "nova1, nova10 xnova1"), "[masked: word], nova10 xnova1");
    assert_eq!(masked(&masker, "abc"), "abc");
    assert_eq!(
        masked(&masker, "heat_password = abc\n"),
        "heat_password = [masked: heat_password]\n"
    );
}

#[test]
fn values_of_several_lines_are_masked_line_by_line() {
    let masker = masker(&["first line\nsecond line"]);
    for text in
        ["first line\n    second line", r"first line\nsecond line", "first line\r\nsecond line"]
    {
        assert_eq!(masked(&masker, text), "[masked: it]");
    }
    assert_eq!(masked(&masker, "x: second line"), "x: [masked: it]");
}

#[test]
fn bytes_that_are_no_text_stay_as_they_are() {
    let text = b"\xff\xfe key\x00aB3dE6gH9kLm\xc3 end\x80";
    let left = masker(&["aB3dE6gH9kLm"]).mask(text);
    assert_eq!(left, b"\xff\xfe key\x00[masked: it]\xc3 end\x80");
}

#[test]
fn what_looks_like_a_secret_is_masked() {
    let masker = masker(&[]);
    let token = format!("gAAAAA{}", "b-_Z9".repeat(30));
    let cases = [
        (format!("issued {token}== to"), "issued [masked: token] to"),
        (format!("X-Auth-Token: {token}"), "X-Auth-Token: [masked: token]"),
        ("x-auth-token: 0123-abc\r\n".to_owned(), "x-auth-token: [masked: token]\r\n"),
        (
            r#"{'X-Subject-Token': 'abc', 'a': 1}"#.to_owned(),
            "{'X-Subject-Token': '[masked: token]', 'a': 1}",
        ),
        (
            r#""headers": "{\"X-Auth-Token\": \"abc\"}""#.to_owned(),
            r#""headers": "{\"X-Auth-Token\": \"[masked: token]\"}""#,
        ),
        ("Authorization: Basic dTpw".to_owned(), "Authorization: [masked: authorization]"),
        (
            r#"Authorization: Digest username="u", response="12""#.to_owned(),
            "Authorization: [masked: authorization]",
        ),
        (
            r#"'authorization': 'Bearer abc', 'x': 1"#.to_owned(),
            "'authorization': '[masked: authorization]', 'x': 1",
        ),
        ("[('X-Auth-Token', 'abc'), 1]".to_owned(), "[('X-Auth-Token', '[masked: token]'), 1]"),
        ("/v1/a?temp_url_sig=12ab&x=1".to_owned(), "/v1/a?temp_url_sig=[masked: signature]&x=1"),
        ("?path=%3Ftoken%3Dab-12 x".to_owned(), "?path=%3Ftoken%3D[masked: 3Ftoken] x"),
        ("Set-Cookie: id=1; path=/".to_owned(), "Set-Cookie: [masked: cookie]"),
        (
            "http_proxy=http://me:p@ss@proxy:3128/".to_owned(),
            "http_proxy=http://me:[masked: password in a URL]@proxy:3128/",
        ),
        (
            "https://me:a/b@mirror/debian".to_owned(),
            "https://me:[masked: password in a URL]@mirror/debian",
        ),
        (
            "redis://:pw@10.0.0.1:6379/".to_owned(),
            "redis://:[masked: password in a URL]@10.0.0.1:6379/",
        ),
        (
            "rabbit://a:b@h1:5672,c:d@h2:5672/v".to_owned(),
            "rabbit://a:[masked: password in a URL]@h1:5672,c:[masked: password in a URL]@h2:5672/v",
        ),
        ("http://10.0.0.1:5000/v3".to_owned(), "http://10.0.0.1:5000/v3"),
        (
            r#"{"password": "a\"b c", "user": "u"}"#.to_owned(),
            r#"{"password": "[masked: password]", "user": "u"}"#,
        ),
        ("OS_PASSWORD='it''s'".to_owned(), "OS_PASSWORD='[masked: OS_PASSWORD]'"),
        ("rgw_secret_key = x1".to_owned(), "rgw_secret_key = [masked: rgw_secret_key]"),
        ("run --os-password hunter --x".to_owned(), "run --os-password [masked: os-password] --x"),
        ("IDENTIFIED BY 'a b'".to_owned(), "IDENTIFIED BY '[masked: password]'"),
        ("root:$6$saltsalt$0123456789abcdef:1".to_owned(), "root:[masked: hash of a password]:1"),
        ("key = AQCj2YpRiAe6CxAA7/ETt7Hcl9IyxyYciVs47w==".to_owned(), "key = [masked: key]"),
    ];
    for (text, expected) in cases {
        assert_eq!(masked(&masker, &text), expected, "{text}");
    }
}

#[test]
fn what_only_sounds_like_a_secret_stays() {
    let masker = masker(&[]);
    for text in [
        "password: {{ secrets.heat_service_password }}",
        "OS_PASSWORD=$OS_PASSWORD",
        "admin_password =\nuser = heat",
        "\"key\": \"container/heat_engine/1/start\"",
        "expiration of a token: 3600",
        "ssl_private_key = /etc/ssl/key.pem",
        "password = ****",
        "no_token: true",
    ] {
        assert_eq!(masked(&masker, text), text);
    }
}

#[test]
fn private_keys_are_masked_even_in_parts() {
    let masker = masker(&[]);
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let (begin, end) = ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----");
    let whole = format!("a\n{begin}\n{line}\n{line}\nshort==\n{end}\nb\n");
    assert_eq!(masked(&masker, &whole), "a\n[masked: private key]\nb\n");
    let logged = format!("12:00 x: {begin}\n12:00 x: {line}\n12:00 x: {end}\nb\n");
    assert_eq!(masked(&masker, &logged), "12:00 x: [masked: private key]\nb\n");
    for cut in [format!("a\n{begin}\n{line}\n"), format!("{line}\n{line}\nab==\n{end}\nb")] {
        let text = masked(&masker, &cut);
        assert!(!text.contains("MIIE") && text.contains("[masked: private key]"), "{text}");
    }
    let escaped = format!(r#"{{"key": "{begin}\n{line}\n{end}\n"}}"#);
    assert!(!masked(&masker, &escaped).contains("MIIE"));
}

#[test]
fn settings_are_masked_by_their_names_broken_or_not() {
    let text = "\
# heat_password: old-one
heat_password: hunter2 # mine
api_key: abc
registry_tokens:
  - first-token
  - second
  nested: {a: b}
key_file: /etc/x.pem
token_ttl_secs: 3600
keystone_workers: 3
certificate_key: |
  line one
  line two
other: [unclosed, {proxy_pass: xyz
[DEFAULT]
my secret = a b c
  and more
greeter_token: '{{ secrets.greeter_token }}'
";
    let expected = "\
# heat_password: [masked: heat_password]
heat_password: [masked: heat_password]
api_key: [masked: api_key]
registry_tokens:
  [masked: registry_tokens]
  [masked: registry_tokens]
  [masked: registry_tokens]
key_file: /etc/x.pem
token_ttl_secs: 3600
keystone_workers: 3
certificate_key: [masked: certificate_key]
  [masked: certificate_key]
  [masked: certificate_key]
other: [unclosed, {proxy_pass: xyz
[DEFAULT]
my secret = [masked: my secret]
  [masked: my secret]
greeter_token: '{{ secrets.greeter_token }}'
";
    assert_eq!(settings(text), expected);
    assert_eq!(
        settings("x: {session_key: abc, a: 1}"),
        "x: {session_key: [masked: session_key], a: 1}"
    );
}

#[test]
fn values_of_settings_are_known_for_other_files() {
    let text = "a_password: \"with \\\"marks\\\"\"\nb_secret: plain # note\nc_key: fernet\n\
                d_token: 0123456789abcdef\ne_secrets:\n  one: nested-one\n";
    let values = values_of_settings(text.as_bytes());
    let values: Vec<(&str, &str)> =
        values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        values,
        [
            ("a_password", "with \"marks\""),
            ("b_secret", "plain"),
            ("d_token", "0123456789abcdef"),
            ("e_secrets", "nested-one"),
        ]
    );
}

proptest! {
    #[test]
    fn no_password_survives_in_any_form(value in "[ -~]{8,24}") {
        let masker = masker(&[&value]);
        for form in forms(&value) {
            let text = masked(&masker, &format!("x {form}\n"));
            prop_assert!(!text.contains(&value), "{} in {}", value, text);
        }
    }
}
