//! Everything that the built-in profiles render, as it is checked in: `golden/SERVICE.snap`.
//!
//! Each file's first text stands there in full, unless it is the template's own. Where other kinds,
//! scenarios or settings make another text of it, the lines that differ follow. Names and addresses of
//! containers are written `<galera/1 name>`, the container's own `<own name>`: so members of a kind
//! share one text. How units run for a developer stands there too.
//!
//! `INSTA_UPDATE=always cargo test --lib golden` writes them anew: what a change of a profile comes to
//! is then seen in `git diff`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use indexmap::IndexMap;
use secrecy::SecretString;
use similar::{DiffTag, TextDiff};

use super::Renderer;
use super::builtin_tests::{certify, expose, files, profiles, secrets_by};
use super::testing::builtin_cloud;
use crate::config::load::Profiles;
use crate::config::overrides::Overrides;
use crate::config::profile::{File, Merge};
use crate::model::cloud::{Cloud, Outside};
use crate::model::topology::Container;
use crate::secrets::tls::outside::OUTSIDE_PEM;

/// Texts of one file, with the kinds of containers that have each, in which clouds.
type Texts = IndexMap<String, BTreeMap<String, BTreeSet<&'static str>>>;

/// By service: what is rendered, by its name.
type Golden = BTreeMap<String, BTreeMap<String, Texts>>;

/// The largest first.
const SCENARIOS: [&str; 4] = ["full", "default", "control", "minimal"];

/// Not changed by any filter but those that hash.
fn secret(name: &str) -> String {
    format!("SECRET-{name}")
}

#[test]
fn everything_that_profiles_render_is_as_it_is_checked_in() {
    let profiles = profiles();
    let mut golden = Golden::new();
    for scenario in SCENARIOS {
        add(&mut golden, &profiles, scenario, scenario, |_, _| {});
    }
    assert_eq!(profiles.scenarios.len(), SCENARIOS.len());
    add(&mut golden, &profiles, "default", "default exposed", |cloud, secrets| {
        let outside = Outside {
            host: "192.0.2.7".to_owned(),
            names: vec!["192.0.2.7".to_owned()],
            certificate: Some("a certificate".to_owned()),
            authority: Some("the authority".to_owned()),
        };
        expose(cloud, Some(outside));
        secrets.insert(OUTSIDE_PEM.to_owned(), secret(OUTSIDE_PEM).into());
    });
    add(&mut golden, &profiles, "full", "full with TLS", |cloud, secrets| {
        certify(cloud, secrets, secret);
    });
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (service, entries) in golden {
            insta::assert_snapshot!(service.clone(), written(&entries));
        }
    });
}

/// Renders a cloud of that scenario as `change` makes it, and calls it `label`.
fn add(
    golden: &mut Golden,
    profiles: &Profiles,
    scenario: &str,
    label: &'static str,
    change: impl FnOnce(&mut Cloud, &mut BTreeMap<String, SecretString>),
) {
    let mut cloud = builtin_cloud(profiles, &profiles.scenarios[scenario]);
    let mut secrets = secrets_by(&cloud, secret);
    change(&mut cloud, &mut secrets);
    let renderer = Renderer::new(&cloud, &secrets, profiles, &Overrides::default()).unwrap();
    let mut note = |service: &str, name: String, container: &Container, text: &str| {
        let texts = golden.entry(service.to_owned()).or_default().entry(name).or_default();
        let who = texts.entry(anonymous(&cloud, container, text)).or_default();
        who.entry(container.kind.clone()).or_default().insert(label);
    };
    for (index, container) in cloud.containers.iter().enumerate() {
        for file in files(&cloud, container) {
            let shared = cloud.release.files.iter().any(|common| common.path == file.path);
            // Those that all have differ in the container's name alone.
            if shared && index > 0 {
                continue;
            }
            let rendered = renderer.render_file(container, file).unwrap();
            let mut text = String::from_utf8(rendered.content).unwrap();
            if text == renderer.templates[&file.template].text {
                text = format!("as {}\n", renderer.template_place(file));
            }
            let service = if shared { "every" } else { &container.service };
            note(service, rendered.path, container, &format!("{}{text}", about(file)));
        }
    }
    for service in &cloud.services {
        for command in &service.setup {
            let Some(container) = cloud.members(&command.container).next() else { continue };
            let environment = renderer.render_environment(container, &command.environment);
            for (name, value) in environment.unwrap() {
                let name = format!("{name} of set-up command {}", command.name);
                note(&service.service, name, container, &format!("{value}\n"));
            }
        }
        let units = service.dev.iter().flat_map(|dev| &dev.units);
        for (unit, dev) in units {
            let own = cloud.containers.iter().find(|it| it.service == service.service).unwrap();
            let environment = dev.debug_environment.iter();
            let lines: String =
                environment.map(|(name, value)| format!("{name}={value}\n")).collect();
            let text = format!("{lines}{}\n", dev.foreground);
            note(&service.service, format!("{unit} by hand"), own, &text);
        }
    }
}

/// All that is said of a file beside its text.
fn about(file: &File) -> String {
    let restarts = match &file.restarts {
        None => "all units".to_owned(),
        Some(units) => units.join(" "),
    };
    let merge = if file.merge == Merge::Ini { ", takes overrides" } else { "" };
    let extends = if file.extends_image { ", extends the image's" } else { "" };
    let apply =
        file.apply.as_ref().map(|script| format!(", applied by {script}")).unwrap_or_default();
    format!("| {} {}{merge}{extends}{apply}, restarts [{restarts}]\n", file.owner, file.mode)
}

/// A text without what each container, and the same one in another scenario, has of its own.
fn anonymous(cloud: &Cloud, own: &Container, text: &str) -> String {
    let mut names: Vec<(String, String)> = Vec::new();
    for container in &cloud.containers {
        let who = if container.name == own.name { "own".to_owned() } else { container.label() };
        names.push((container.name.clone(), format!("<{who} name>")));
        names.push((container.hostname.clone(), format!("<{who} hostname>")));
        names.push((container.machine_id.clone(), format!("<{who} machine>")));
        for interface in &container.interfaces {
            for (address, _) in &interface.addresses {
                names.push((address.to_string(), format!("<{who} {}>", interface.role.name())));
            }
        }
    }
    // 10.0.0.2 stands in 10.0.0.20 too.
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    names.iter().fold(text.to_owned(), |text, (name, shown)| text.replace(name, shown))
}

fn written(entries: &BTreeMap<String, Texts>) -> String {
    let mut written = String::new();
    for (name, texts) in entries {
        let mut texts = texts.iter();
        let Some((first, who)) = texts.next() else { continue };
        let _ = writeln!(written, "=== {name} ({})", shown(who));
        written.push_str(first);
        for (other, who) in texts {
            let _ = writeln!(written, "--- {}", shown(who));
            add_differences(&mut written, first, other);
        }
        written.push('\n');
    }
    written
}

/// Kinds, and the clouds in which they have a text.
fn shown(who: &BTreeMap<String, BTreeSet<&str>>) -> String {
    let mut kinds: BTreeMap<&BTreeSet<&str>, Vec<&str>> = BTreeMap::new();
    for (kind, clouds) in who {
        kinds.entry(clouds).or_default().push(kind);
    }
    let groups = kinds.into_iter().map(|(clouds, kinds)| {
        let clouds: Vec<&str> = clouds.iter().copied().collect();
        format!("{} in {}", kinds.join(" "), clouds.join(", "))
    });
    groups.collect::<Vec<_>>().join("; ")
}

/// Lines that are new, and the first of those that are not there any more.
fn add_differences(written: &mut String, first: &str, other: &str) {
    let difference = TextDiff::from_lines(first, other);
    for part in difference.ops() {
        let gone = &difference.old_slices()[part.old_range()];
        let new = &difference.new_slices()[part.new_range()];
        if part.tag() == DiffTag::Equal {
            continue;
        }
        if let Some(line) = gone.first() {
            let more =
                if gone.len() > 1 { format!(" [{} lines]", gone.len()) } else { String::new() };
            let _ = writeln!(written, "-{}{more}", line.trim_end_matches('\n'));
        }
        for line in new {
            let _ = writeln!(written, "+{}", line.trim_end_matches('\n'));
        }
    }
}
