//! The script is run with the host's Python over packages that the tests make.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::commands::dev::python::testing::{inspection, installed, python};
use crate::host::python::testing::metadata;

fn conditional(text: &str) -> Conditional {
    Conditional::parse(text).unwrap()
}

fn project(name: &str, requirements: &[&str]) -> Project {
    Project {
        name: name.to_owned(),
        version: Some("1.0.0".to_owned()),
        requirements: requirements.iter().map(|text| conditional(text)).collect(),
        ..Project::default()
    }
}

fn packages() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let add = |name, version, requires| installed(directory.path(), name, version, requires);
    add(
        "Aio.Service",
        "4.1.1",
        &[
            "aio-base>=1",
            "aio-cotyledon>=1.7; extra == \"threading\"",
            "aio-lost; extra == 'other'",
        ],
    );
    add("aio_base", "2.0", &["aio-never-asked"]);
    directory
}

fn inspect(packages: &Path, request: &Request) -> Inspection {
    Inspection::parse(&python(packages, &request.script().unwrap())).unwrap()
}

fn missing(found: &Inspection) -> Vec<(&str, &str, Option<&str>)> {
    let unmet = found.missing.iter();
    unmet.map(|it| (it.requirement.as_str(), &*it.required_by, it.found.as_deref())).collect()
}

#[test]
fn met_requirements_lead_to_nothing() {
    let packages = packages();
    let request = Request {
        projects: vec![project(
            "heat",
            &[
                "aio.service>=4.0",
                "AIO-Base!=1.9,>=1.0",
                "aio-windows>=1; sys_platform == 'win32'",
                "aio-zones>=2020",
            ],
        )],
        met_by_packages: vec!["aio_zones".to_owned()],
        ..Request::default()
    };
    let found = inspect(packages.path(), &request);
    assert_eq!(missing(&found), []);
    assert_eq!(found.unreadable_requirements, []);
    assert_eq!(found.installed["aio-service"], "4.1.1");
    assert!(
        found.platforms.iter().any(|tag| tag.starts_with("manylinux")),
        "{:?}",
        found.platforms
    );
    assert_eq!(found.platform().python.matches('.').count(), 1);
}

#[test]
fn extras_of_what_is_installed_are_followed_and_versions_compared() {
    let packages = packages();
    let request = Request {
        projects: vec![project("heat", &["aio.service[threading]", "aio-base>=3", "aio-none>=1"])],
        ..Request::default()
    };
    let found = inspect(packages.path(), &request);
    assert_eq!(
        missing(&found),
        [
            ("aio-cotyledon>=1.7", "aio-service[threading]", None),
            ("aio-base>=3", "heat", Some("2.0")),
            ("aio-none>=1", "heat", None),
        ]
    );
}

#[test]
fn what_a_delta_brings_counts_and_its_own_needs_are_followed() {
    let packages = packages();
    let request = Request {
        projects: vec![project("heat", &["aio.service[threading]>=4.2.2"])],
        delta: vec![metadata(
            "aio.service",
            "4.8",
            &["aio-futurist>=3", "aio-cotyledon>=2; extra == \"threading\""],
        )],
        ..Request::default()
    };
    let found = inspect(packages.path(), &request);
    assert_eq!(
        missing(&found),
        [
            ("aio-cotyledon>=2", "aio-service[threading]", None),
            ("aio-futurist>=3", "aio-service", None),
        ]
    );
    let without = inspect(packages.path(), &Request { delta: Vec::new(), ..request });
    assert_eq!(missing(&without), [("aio.service[threading]>=4.2.2", "heat", Some("4.1.1"))]);
}

#[test]
fn checkouts_meet_one_anothers_requirements_extras_included() {
    let packages = packages();
    let mut library = project("Aio_Service", &["aio-base"]);
    library.version = Some("4.3.0.dev7".to_owned());
    library.extras.insert("threading".to_owned(), vec![conditional("aio-cotyledon>=2")]);
    let request = Request {
        projects: vec![project("heat", &["aio.service[threading]>=4.2.2"]), library],
        ..Request::default()
    };
    let found = inspect(packages.path(), &request);
    assert_eq!(missing(&found), [("aio-cotyledon>=2", "Aio_Service", None)]);
    assert_eq!(found.unsatisfied_by_checkouts, []);

    let mut old = request.clone();
    old.projects[1].version = Some("4.2.0".to_owned());
    let found = inspect(packages.path(), &old);
    assert_eq!(found.unsatisfied_by_checkouts[0].found.as_deref(), Some("4.2.0"));

    let mut unknown = request;
    unknown.projects[1].version = None;
    assert_eq!(inspect(packages.path(), &unknown).unsatisfied_by_checkouts, []);
}

#[test]
fn wanted_extras_and_wanted_things_are_asked_for() {
    let packages = packages();
    let mut checkout = project("keystone", &[]);
    checkout.extras.insert("ldap_x".to_owned(), vec![conditional("aio-ldap")]);
    checkout.wanted_extras = vec!["LDAP-X".to_owned()];
    let request = Request {
        projects: vec![checkout],
        wanted: vec![Requirement::parse("aio-debugger").unwrap()],
        ..Request::default()
    };
    let found = inspect(packages.path(), &request);
    assert_eq!(missing(&found), [("aio-debugger", "aio", None), ("aio-ldap", "keystone", None)]);
}

#[test]
fn what_cannot_be_understood_or_supported_is_told() {
    let packages = packages();
    let mut checkout = project("heat", &["aio-base"]);
    checkout.requires_python = Some(">=3.99".to_owned());
    let found = inspect(
        packages.path(),
        &Request {
            projects: vec![checkout, project("calm", &[])],
            delta: vec![metadata("aio.service", "4.8", &["no requirement"])],
            ..Request::default()
        },
    );
    assert_eq!(found.unreadable_requirements[0].text, "no requirement");
    assert_eq!(
        found.unsupported_python,
        [Unsupported { project: "heat".to_owned(), requires_python: ">=3.99".to_owned() }]
    );
}

#[test]
fn changed_files_are_compiled_with_their_real_lines() {
    let packages = packages();
    let sources = [
        ("heat/good.py", "x = '\\d'\nname: int = 'é€😀'\n"),
        ("heat/bad.py", "import os\n\ndef broken(:\n    pass\n"),
        ("heat/null.py", "x = 1\0"),
    ];
    let request = Request {
        sources: sources.map(|(path, text)| (path.to_owned(), text.to_owned())).into(),
        ..Request::default()
    };
    let errors = inspect(packages.path(), &request).syntax_errors;
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert_eq!((errors[0].path.as_str(), errors[0].line), ("heat/bad.py", Some(3)));
    assert_eq!(errors[0].text, "def broken(:");
    assert!(!errors[0].reason.is_empty());
    assert_eq!(errors[1].path, "heat/null.py");
}

#[test]
fn migrations_of_several_branches_are_compared() {
    let packages = packages();
    let versions = packages.path().join("heat/versions/2025");
    std::fs::create_dir_all(&versions).unwrap();
    let revision =
        |name: &str, down: &str| format!("revision = '{name}'\ndown_revision = {down}\n");
    let typed = "revision: str = 'e2'\ndown_revision: str | None = 'e1'\nimport nowhere\n";
    let files = [
        ("a.py", revision("base", "None")),
        ("b.py", revision("e1", "'base'")),
        ("c.py", revision("c1", "('base',)")),
        ("gone.py", revision("gone", "'c1'")),
        ("__init__.py", String::new()),
    ];
    for (name, text) in &files {
        std::fs::write(versions.join(name), text).unwrap();
    }
    let mut checkout: BTreeMap<String, String> = files[..3]
        .iter()
        .map(|(name, text)| (format!("heat/versions/2025/{name}"), text.clone()))
        .collect();
    checkout.insert("heat/versions/2026/a.py".to_owned(), revision("e3", "'e2'"));
    checkout.insert("heat/versions/2026/b.py".to_owned(), typed.to_owned());
    checkout.insert("heat/versions/2026/odd.py".to_owned(), "revision = f()\n".to_owned());
    checkout.insert("heat/other.py".to_owned(), revision("not-ours", "None"));
    let request = Request {
        migrations: Migrations { directories: vec!["heat/versions".to_owned()], files: checkout },
        ..Request::default()
    };
    let migration = &inspect(packages.path(), &request).migrations[0];
    assert_eq!(migration.packaged_heads, ["e1", "gone"]);
    assert_eq!(migration.checkout_heads, ["c1", "e3"]);
    let names = |all: &[Revision]| all.iter().map(|it| it.revision.clone()).collect::<Vec<_>>();
    assert_eq!(names(&migration.added), ["e2", "e3"]);
    assert_eq!(names(&migration.removed), ["gone"]);
    assert_eq!(migration.added[0].path, "heat/versions/2026/b.py");
    assert_eq!(migration.unreadable[0].path, "heat/versions/2026/odd.py");
}

#[test]
fn a_container_without_packaging_says_so() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("packaging")).unwrap();
    let printed = python(directory.path(), &Request::default().script().unwrap());
    let error = Inspection::parse(&printed).unwrap_err();
    assert!(error.to_string().contains("python3-packaging"), "{error}");
}

#[test]
fn other_output_is_shown() {
    let error = Inspection::parse("Segmentation fault\n").unwrap_err();
    assert_eq!(error.output.as_deref(), Some("Segmentation fault"));
}

/// What a container's Python would print that its root has replaced.
fn report(change: impl FnOnce(&mut serde_json::Value)) -> Result<Inspection> {
    let mut report = serde_json::to_value(inspection()).unwrap();
    change(&mut report);
    Inspection::parse(&serde_json::json!({ "inspection": report }).to_string())
}

#[test]
fn a_report_that_asks_for_more_than_a_distribution_is_refused() {
    assert!(report(|_| {}).is_ok());
    for evil in
        ["evil @ file:///tmp/evil", "-r/etc/shadow", "--index-url=https://x", "./evil", "a.whl"]
    {
        let unmet =
            serde_json::json!([{ "requirement": evil, "required_by": "heat", "found": null }]);
        let error = report(|it| it["missing"] = unmet).unwrap_err();
        assert!(error.causes[0].contains(&format!("`{evil}` is not taken")), "{error}");
    }
}

#[test]
fn every_field_of_a_report_that_becomes_something_is_checked() {
    let long = "9".repeat(200);
    for (field, value) in [
        ("python", serde_json::json!("--index-url=x")),
        ("python", serde_json::json!("3.--pre")),
        ("machine", serde_json::json!("x86 64")),
        ("platforms", serde_json::json!(["manylinux_2_17_x86_64", "--find-links=/"])),
        ("platforms", serde_json::json!([long])),
        (
            "migrations",
            serde_json::json!([{
                "directory": "x", "packaged_heads": [], "checkout_heads": ["a' or 'b"],
                "added": [], "removed": [], "unreadable": [],
            }]),
        ),
    ] {
        assert!(report(|it| it[field] = value.clone()).is_err(), "{field}: {value}");
    }
    let shown = report(|it| {
        it["installed"] = serde_json::json!({ "../x": "1", "fine": "1\u{1b}[2J" });
        it["syntax_errors"] = serde_json::json!([{
            "path": "a\u{1b}]52;c;ZXZpbA==\u{7}.py", "line": 1, "text": "", "reason": "x"
        }]);
    })
    .unwrap();
    assert_eq!(shown.installed, BTreeMap::from([("fine".to_owned(), "1?[2J".to_owned())]));
    assert_eq!(shown.syntax_errors[0].path, "a?]52;c;ZXZpbA==?.py");
}

#[test]
fn an_endless_report_is_not_read() {
    let error = Inspection::parse(&"x".repeat(LONGEST_REPORT + 1)).unwrap_err();
    assert!(error.causes[0].contains("more than 8 MiB"), "{error}");
}
