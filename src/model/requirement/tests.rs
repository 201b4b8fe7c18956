use super::*;

fn taken(text: &str) -> String {
    Conditional::parse(text).unwrap_or_else(|reason| panic!("{text}: {reason}")).to_string()
}

#[test]
fn what_openstack_writes_is_taken() {
    for (text, canonical) in [
        ("pbr", "pbr"),
        ("pbr!=2.1.0,>=3.1.1", "pbr!=2.1.0,>=3.1.1"),
        ("oslo.service[threading] >= 4.2.2", "oslo.service[threading]>=4.2.2"),
        ("a[ b , c-d ] ( >=1, <2 )", "a[b,c-d]>=1,<2"),
        ("a[]", "a"),
        ("tzdata>=2022.4;sys_platform=='win32'", "tzdata>=2022.4; sys_platform=='win32'"),
        ("pytz>=2013.6,", "pytz>=2013.6"),
        ("Jinja2~=2.10", "Jinja2~=2.10"),
        ("x==1.*,!=1.4.*", "x==1.*,!=1.4.*"),
        ("x===1.0+local.7", "x===1.0+local.7"),
        ("x>=1!2.0rc1.post2.dev3", "x>=1!2.0rc1.post2.dev3"),
        ("x>=1.0-RC.1", "x>=1.0-RC.1"),
        (
            "x; (python_version<'3.9' or os_name != \"nt\") and 'a' not in platform_version",
            "x; (python_version<'3.9' or os_name != \"nt\") and 'a' not in platform_version",
        ),
    ] {
        assert_eq!(taken(text), canonical);
    }
}

#[test]
fn what_would_make_pip_run_something_is_refused_by_its_name() {
    for (text, what) in [
        ("evil @ file:///tmp/evil", "addresses"),
        ("evil@https://x.example/z.tar.gz", "addresses"),
        ("git+https://x.example/y#egg=why", "addresses"),
        ("-e git+https://x.example/y#egg=why", "options"),
        ("--index-url=https://x.example", "options"),
        ("-r/etc/shadow", "options"),
        ("./evil", "paths"),
        ("/tmp/evil", "paths"),
        ("evil/", "paths"),
        (".", "paths"),
        ("${HOME}", "environment variables"),
        ("evil==${VERSION}", "environment variables"),
    ] {
        let reason = Requirement::parse(text).unwrap_err();
        assert!(reason.starts_with(what), "{text}: {reason}");
        assert!(Conditional::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_name_that_pip_takes_for_a_file_is_refused() {
    for text in ["evil.zip", "evil.WHL", "evil.tar.gz", "evil.zip[x]", "evil===1.zip", "a.tlz>=1"] {
        let reason = Requirement::parse(text).unwrap_err();
        assert!(reason.contains("name of a file"), "{text}: {reason}");
    }
    assert!(Requirement::parse("evil==1.zip").is_err());
}

#[test]
fn lines_of_other_files_are_none() {
    for text in [
        "keystone_auth_admin_password: 0f3a",
        "root:*:19000:0:99999:7:::",
        "root:$y$j9T$abc$def:19000:0:99999:7:::",
        "a b",
        "a>=1 b",
        "a>=",
        "a>=1;;",
        "a>1.*",
        "a<1+local",
        "a[b",
        "a(>=1",
        "a; python_version",
        "a; python_version == 3",
        "a; secret == 'x'",
        "a; python_version == '3",
        "a\nb",
        "a\u{200b}",
        "_a",
        "a-",
        "",
    ] {
        assert!(Conditional::parse(text).is_err(), "{text}");
    }
    let deep = format!("a; {}os_name == 'x'{}", "(".repeat(900), ")".repeat(50));
    assert!(Conditional::parse(&deep).is_err());
    assert!(Conditional::parse(&"a".repeat(200)).is_err());
    assert!(Conditional::parse(&format!("a=={}", "1".repeat(2000))).is_err());
}

#[test]
fn a_requirement_of_its_own_has_no_marker_and_knows_its_name() {
    assert!(Requirement::parse("a; os_name == 'posix'").is_err());
    let requirement = Requirement::parse("Oslo.Service[x] >=1").unwrap();
    assert_eq!((requirement.name(), requirement.as_str()), ("Oslo.Service", "Oslo.Service[x]>=1"));
}

#[test]
fn a_marker_is_written_without_tabs() {
    let text = "a; python_version < \"3.12\" and\textra == 'test'";
    let written = Conditional::parse(text).unwrap().to_string();
    assert_eq!(written, "a; python_version < \"3.12\" and extra == 'test'");
}

#[test]
fn none_is_read_from_data_unchecked() {
    let error = serde_json::from_str::<Requirement>("\"evil @ file:///x\"").unwrap_err();
    assert!(error.to_string().contains("`evil @ file:///x` is not taken: addresses"), "{error}");
    let read: Requirement = serde_json::from_str("\"a >= 1\"").unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), "\"a>=1\"");
    assert!(serde_json::from_str::<Conditional>("\"-r x\"").is_err());
}

#[test]
fn versions_and_specifiers_are_told_from_other_texts() {
    for text in ["1", "v1.2", "24.0.0.0b2", "1.0.dev3", "1.0.post1", "1.0-1", "1!1.0+ab.1", "1a"] {
        assert!(is_version(text), "{text}");
    }
    for text in ["", "x", "1/../../x", "1.0\n", "1..2", "1.0+", "1.0+a/b", "1.*", "queens-eol"] {
        assert!(!is_version(text), "{text}");
    }
    for text in ["", ">=3.9", ">= 3.9, !=3.10.*, <4", "~=3.9"] {
        assert!(is_specifier(text), "{text}");
    }
    for text in ["3.9", ">=3.9 x", ">=3.9\nInjected: yes", ">=3.9\n", "*"] {
        assert!(!is_specifier(text), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn whatever_is_taken_is_one_word_that_begins_with_a_name(text in "[ -~]{0,40}") {
        if let Ok(requirement) = Requirement::parse(&text) {
            let own = requirement.as_str();
            assert!(own.starts_with(|letter: char| letter.is_ascii_alphanumeric()), "{own}");
            assert!(!own.contains([' ', '/', '@', ':', ';', '$', '\\', '\'', '"', '#', '%']), "{own}");
            assert_eq!(Requirement::parse(own).unwrap(), requirement);
        }
    }
}
