//! One container kind, and the files of containers.

use std::collections::BTreeSet;

use super::mistakes::{FileCheck, names_secret};
use crate::config::network::NetworkRole;
use crate::config::profile::{Cluster, ClusterSize, ContainerKind, EVERYONE, File, Probe, Unit};

pub fn check(file: &mut FileCheck<'_, '_>, name: &str, kind: &ContainerKind) {
    let of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    file.expect(name.chars().all(of_name), name, || {
        format!("the container kind `{name}` may have lower-case letters, digits and `_` alone")
    });
    let memory = kind.memory;
    file.expect(memory.idle_mib <= memory.limit_mib, name, || {
        format!("`{name}` uses {} MiB idle and may use {}", memory.idle_mib, memory.limit_mib)
    });
    // The bounds of the kernel's `cpu.weight`.
    file.expect(
        kind.cpu_weight.is_none_or(|weight| (1..=10_000).contains(&weight)),
        "cpu_weight",
        || format!("the `cpu_weight` of `{name}` must be from 1 to 10000; others have 100"),
    );
    for network in &kind.networks {
        file.known("network", network, NetworkRole::ALL.iter().map(|role| role.name()));
    }
    check_unaddressed(file, name, kind);
    for device in &kind.devices {
        let fine = device.starts_with("/dev/") && !device.contains("/../");
        file.expect(fine, device, || {
            format!(
                "the device `{device}` of `{name}` must be a path below /dev, as /dev/net/tun is"
            )
        });
    }
    check_listeners(file, name, kind);
    check_layers(file, kind);
    for other in &kind.after {
        file.known_kind(other);
    }
    for directory in &kind.data {
        absolute(file, &directory.path);
        permissions(file, &directory.path, &directory.owner, &directory.mode);
    }
    for shared in &kind.shared {
        absolute(file, &shared.path);
    }
    let mut seen = BTreeSet::new();
    for unit in &kind.units {
        file.expect(unit.name.contains('.'), &unit.name, || {
            format!("the unit `{}` needs its suffix, `.service` say", unit.name)
        });
        file.expect(seen.insert(&unit.name), &unit.name, || {
            format!("the unit `{}` stands twice in `{name}`", unit.name)
        });
        check_runs(file, unit);
    }
    for probe in &kind.health {
        if let Probe::Run { script } = probe {
            file.no_secret_in(script, name);
        }
    }
    check_files(file, name, kind);
    if let Some(cluster) = &kind.cluster {
        check_cluster(file, name, kind, cluster);
    }
}

fn check_runs(file: &mut FileCheck<'_, '_>, unit: &Unit) {
    let Some(runs) = &unit.runs else { return };
    file.expect(runs.said() == 1, &unit.name, || {
        format!("`{}` runs one of `wsgi`, `worker`, `daemon` and `program`", unit.name)
    });
    file.expect(runs.wsgi.is_some() == runs.port.is_some(), &unit.name, || {
        format!("`{}` needs both `wsgi` and `port`, or neither", unit.name)
    });
    let of_wsgi = runs.threads.is_some() || !runs.options.is_empty();
    file.expect(runs.wsgi.is_some() || !of_wsgi, &unit.name, || {
        format!("`threads` and `options` of `{}` mean something to `wsgi` alone", unit.name)
    });
    file.expect(runs.program.is_none() || runs.script.is_none(), &unit.name, || {
        format!("the `program` of `{}` has no start script to name", unit.name)
    });
}

fn check_listeners(file: &mut FileCheck<'_, '_>, name: &str, kind: &ContainerKind) {
    let mut seen = BTreeSet::new();
    for listener in &kind.listens {
        file.expect(!listener.ports.is_empty(), "listens", || {
            format!("`{name}` listens on no port in one of its `listens`")
        });
        file.expect(!listener.from.is_empty(), "listens", || {
            format!(
                "`{name}` lets nobody in at port {}: the host is let in anyway",
                listener.ports.first().map(ToString::to_string).unwrap_or_default()
            )
        });
        for client in listener.from.iter().filter(|client| *client != EVERYONE) {
            file.known_kind(client);
        }
        for ports in &listener.ports {
            file.expect(seen.insert((listener.protocol, *ports)), "listens", || {
                let protocol = listener.protocol.name();
                format!("`{name}` has the {protocol} port {ports} twice in its `listens`")
            });
        }
    }
    for server in &kind.client_of {
        file.known_kind(server);
        let listens = file
            .profiles()
            .kinds()
            .any(|(other, _, definition)| other == server && !definition.listens.is_empty());
        file.expect(listens, server, || {
            format!("`{name}` is a client of `{server}`, which has no `listens`")
        });
    }
}

fn check_unaddressed(file: &mut FileCheck<'_, '_>, name: &str, kind: &ContainerKind) {
    let what = format!("network of `{name}`");
    for network in &kind.unaddressed {
        file.known(&what, network, kind.networks.iter().map(String::as_str));
        let needed = [NetworkRole::Nat, NetworkRole::Management]
            .into_iter()
            .any(|role| role.name() == network);
        file.expect(!needed, network, || {
            format!("`{name}` is reached on the {network} network, so it needs its address there")
        });
    }
}

fn check_layers(file: &mut FileCheck<'_, '_>, kind: &ContainerKind) {
    for release in file.profiles().releases.values() {
        for layer in &kind.layers {
            let what = format!("layer in release {}", release.release);
            file.known(&what, layer, release.layers.keys().map(String::as_str));
        }
    }
}

fn check_files(file: &mut FileCheck<'_, '_>, name: &str, kind: &ContainerKind) {
    let releases = file.profiles().releases.values();
    let common = releases.flat_map(|release| &release.units);
    let units: Vec<&str> = kind.units.iter().chain(common).map(|unit| unit.name.as_str()).collect();
    let mut seen = BTreeSet::new();
    for rendered in &kind.files {
        check_file(file, rendered);
        file.expect(seen.insert(&rendered.path), &rendered.path, || {
            format!("the file `{}` stands twice in `{name}`", rendered.path)
        });
        for unit in rendered.restarts.iter().flatten().chain(&rendered.unit) {
            file.known(&format!("unit of `{name}`"), unit, units.iter().copied());
        }
    }
}

/// A file of a container, of whatever profile.
pub fn check_file(file: &mut FileCheck<'_, '_>, rendered: &File) {
    absolute(file, &rendered.path);
    permissions(file, &rendered.path, &rendered.owner, &rendered.mode);
    let profiles = file.profiles();
    file.known("template", &rendered.template, profiles.templates.keys().map(String::as_str));
    let both = rendered.apply.is_some() && rendered.restarts.is_some();
    file.expect(!both, &rendered.path, || {
        format!("`{}` has `apply` and `restarts`: it is one or the other", rendered.path)
    });
    file.expect(rendered.apply.is_some() || !rendered.apply_once, &rendered.path, || {
        format!("`{}` has `apply_once` and no `apply`", rendered.path)
    });
    if let Some(script) = &rendered.apply {
        file.no_secret_in(script, &rendered.path);
    }
    let others = u32::from_str_radix(&rendered.mode, 8).unwrap_or(0) & 0o007 != 0;
    if others && holds_secret(file, &rendered.template, &mut BTreeSet::new()) {
        file.mistake(
            &rendered.path,
            format!(
                "`{}` holds a secret and its mode {} lets everybody read it",
                rendered.path, rendered.mode
            ),
        );
    }
}

/// Whether a template, or one that it includes, uses a secret.
fn holds_secret(file: &FileCheck<'_, '_>, template: &str, seen: &mut BTreeSet<String>) -> bool {
    if !seen.insert(template.to_owned()) {
        return false;
    }
    let templates = &file.profiles().templates;
    let Some(text) = templates.get(template) else { return false };
    names_secret(text)
        || templates.keys().any(|other| {
            let quoted = [format!("\"{other}\""), format!("'{other}'")];
            quoted.iter().any(|name| text.contains(name)) && holds_secret(file, other, seen)
        })
}

fn check_cluster(
    file: &mut FileCheck<'_, '_>,
    name: &str,
    kind: &ContainerKind,
    cluster: &Cluster,
) {
    let what = format!("unit of `{name}`");
    file.known(&what, &cluster.unit, kind.units.iter().map(|unit| unit.name.as_str()));
    for seed in &cluster.seed {
        check_file(file, seed);
    }
    let scripts = [&cluster.position, &cluster.promote, &cluster.forget, &cluster.grow];
    for script in scripts.into_iter().flatten() {
        file.no_secret_in(script, "cluster");
    }
    if let Some(speech) = &cluster.speech {
        let files = kind.files.iter().map(|file| file.path.as_str());
        file.known(&format!("file of `{name}`"), &speech.file, files);
        absolute(file, &speech.running);
    }
    if let ClusterSize::Http { secret, .. } = &cluster.size {
        file.known_secret(secret);
    }
}

fn absolute(file: &mut FileCheck<'_, '_>, path: &str) {
    let fine = path.starts_with('/') || path.starts_with("{{");
    file.expect(fine, path, || format!("the path `{path}` must be absolute"));
}

fn permissions(file: &mut FileCheck<'_, '_>, path: &str, owner: &str, mode: &str) {
    let octal = u32::from_str_radix(mode, 8).is_ok_and(|mode| mode <= 0o7777);
    file.expect(octal, path, || format!("the mode `{mode}` of `{path}` is not octal, as 0640 is"));
    let names: Vec<&str> = owner.split(':').collect();
    let pair = names.len() == 2 && names.iter().all(|name| !name.is_empty());
    file.expect(pair, path, || format!("the owner `{owner}` of `{path}` is not `user:group`"));
}
