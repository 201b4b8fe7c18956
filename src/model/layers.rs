//! From a release and the container kinds of a cloud to its image layers.
//!
//! A kind's chain is the base, the shared layers that its profile names, one layer of its own
//! packages, and one of those that the user wants besides. Two kinds with the same chain and the same
//! packages share them too.

use std::collections::BTreeMap;

use super::layer::{LayerFile, LayerSpec, PythonSpec};
use crate::config::nearest::suggestion;
use crate::config::profile::ContainerKind;
use crate::config::release::{LayerDefinition, PythonDistributions, Release};
use crate::error::{Error, ErrorKind, Result};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// Every layer once, a parent before its children. Names are unique.
    pub layers: Vec<(String, LayerSpec)>,
    /// Ids of each kind's layers, topmost first.
    pub chains: BTreeMap<String, Vec<String>>,
}

/// The layers of these kinds. `sources` says where the host gets packages from: it is part of every
/// id. `extra` are packages by kind that the user wants besides.
pub fn stack<'a>(
    release: &Release,
    kinds: impl IntoIterator<Item = (&'a str, &'a ContainerKind)>,
    extra: &BTreeMap<String, Vec<String>>,
    sources: &str,
) -> Result<Stack> {
    let mut builder = Builder { release, sources, stack: Stack::default() };
    for (kind, definition) in kinds {
        let nobody = BTreeMap::new();
        let mut chain = vec![builder.add("base", &release.base, &nobody, None)];
        for name in &definition.layers {
            let shared = release.layers.get(name).ok_or_else(|| unknown(release, kind, name))?;
            // A release may need nothing more for it.
            if *shared != LayerDefinition::default() {
                chain.push(builder.add(name, shared, &nobody, chain.last()));
            }
        }
        let more = extra.get(kind).cloned().unwrap_or_default();
        let (packages, script) = (definition.packages.clone(), definition.layer_script.clone());
        let own = [
            (kind.to_owned(), packages, script, &definition.users),
            (format!("{kind}_extra"), more, String::new(), &nobody),
        ];
        for (name, packages, script, users) in own {
            let layer = LayerDefinition { packages, script, ..LayerDefinition::default() };
            if layer != LayerDefinition::default() || !users.is_empty() {
                chain.push(builder.add(&name, &layer, users, chain.last()));
            }
        }
        chain.reverse();
        builder.stack.chains.insert(kind.to_owned(), chain);
    }
    Ok(builder.stack)
}

fn unknown(release: &Release, kind: &str, name: &str) -> Error {
    let names = release.layers.keys().map(String::as_str);
    let error =
        Error::new(ErrorKind::Config, format!("find the layers of container kind `{kind}`"))
            .because(format!("release {} has no layer `{name}`", release.release));
    error.hints(suggestion(name, names))
}

struct Builder<'a> {
    release: &'a Release,
    sources: &'a str,
    stack: Stack,
}

impl Builder<'_> {
    /// The id of a layer, which is added unless one of the same content on the same parent is there.
    fn add(
        &mut self,
        name: &str,
        definition: &LayerDefinition,
        users: &BTreeMap<String, Vec<String>>,
        parent: Option<&String>,
    ) -> String {
        let mut packages = definition.packages.clone();
        packages.sort();
        packages.dedup();
        let mut spec = LayerSpec {
            name: name.to_owned(),
            parent: parent.cloned(),
            suite: self.release.suite.clone(),
            packages,
            keep_units: definition.keep_units.clone(),
            mask_units: definition.mask_units.clone(),
            python: self.release.python.as_ref().filter(|_| definition.python).map(python),
            users: users.clone(),
            script: definition.script.clone(),
            files: definition.files.iter().map(file).collect(),
            drop: definition.drop.clone(),
        };
        if let Some((id, _)) = self.stack.layers.iter().find(|(_, there)| same(there, &spec)) {
            return id.clone();
        }
        // A shared layer may stand on different parents: it is built once for each, and a step is
        // known by the layer's name.
        let taken = |name: &str| self.stack.layers.iter().any(|(_, there)| there.name == name);
        let mut number = 2;
        while taken(&spec.name) {
            spec.name = format!("{name}_{number}");
            number += 1;
        }
        let id = spec.id(self.sources);
        self.stack.layers.push((id.clone(), spec));
        id
    }
}

fn file((path, text): (&String, &String)) -> LayerFile {
    LayerFile { path: path.clone(), mode: "0644".to_owned(), text: text.clone() }
}

fn python(distributions: &PythonDistributions) -> PythonSpec {
    PythonSpec {
        version: distributions.version.clone(),
        home: distributions.home.clone(),
        lock: distributions.lock.clone(),
        modules: distributions.from_packages.values().flatten().cloned().collect(),
        keep_tests: distributions.keep_tests.clone(),
        certificates: distributions.certificates.clone(),
    }
}

/// Whether two layers differ in nothing but their names.
fn same(one: &LayerSpec, other: &LayerSpec) -> bool {
    LayerSpec { name: String::new(), ..one.clone() }
        == LayerSpec { name: String::new(), ..other.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASE: &str = "
release: '2025.1'
summary: test
suite: trixie
base: { packages: [systemd, dbus], mask_units: [getty.target] }
layers:
  openstack: { packages: [python3-oslo.db], drop: [/var/lib/x] }
  compute: { packages: [qemu] }
";

    fn release() -> Release {
        serde_yaml::from_str(RELEASE).unwrap()
    }

    fn kind(layers: &[&str], packages: &[&str]) -> ContainerKind {
        let text = format!(
            "{{summary: x, layers: {layers:?}, packages: {packages:?}, \
             memory: {{idle_mib: 1, limit_mib: 2}}}}"
        );
        serde_yaml::from_str(&text).unwrap()
    }

    fn none() -> BTreeMap<String, Vec<String>> {
        BTreeMap::new()
    }

    fn names<'a>(stack: &'a Stack, kind: &str) -> Vec<&'a str> {
        let name = |id: &String| {
            let (_, spec) = stack.layers.iter().find(|(there, _)| there == id).unwrap();
            spec.name.as_str()
        };
        stack.chains[kind].iter().map(name).collect()
    }

    #[test]
    fn a_chain_is_listed_topmost_first_and_parents_come_before_children() {
        let engine = kind(&["openstack"], &["heat-engine"]);
        let stack = stack(&release(), [("heat_engine", &engine)], &none(), "s").unwrap();
        assert_eq!(names(&stack, "heat_engine"), ["heat_engine", "openstack", "base"]);
        let order: Vec<&str> = stack.layers.iter().map(|(_, spec)| spec.name.as_str()).collect();
        assert_eq!(order, ["base", "openstack", "heat_engine"]);
        let [(base, base_spec), (shared, shared_spec), (_, own)] = stack.layers.as_slice() else {
            panic!("three layers");
        };
        assert_eq!(base_spec.packages, ["dbus", "systemd"]);
        assert_eq!(base_spec.mask_units, ["getty.target"]);
        assert_eq!(base_spec.parent, None);
        assert_eq!(shared_spec.drop, ["/var/lib/x"]);
        assert_eq!(shared_spec.parent.as_ref(), Some(base));
        assert_eq!(own.parent.as_ref(), Some(shared));
    }

    #[test]
    fn kinds_with_the_same_packages_share_a_layer() {
        let apis = kind(&["openstack"], &["heat-api", "heat-engine"]);
        let engine = kind(&["openstack"], &["heat-engine", "heat-api"]);
        let other = kind(&[], &["heat-engine", "heat-api"]);
        let kinds = [("apis", &apis), ("engine", &engine), ("other", &other)];
        let stack = stack(&release(), kinds, &none(), "s").unwrap();
        assert_eq!(stack.chains["apis"], stack.chains["engine"]);
        assert_eq!(names(&stack, "other"), ["other", "base"]);
        assert_eq!(stack.layers.len(), 4);
    }

    #[test]
    fn a_kind_without_packages_has_no_layer_of_its_own() {
        let log = kind(&[], &[]);
        let stack = stack(&release(), [("rsyslog", &log)], &none(), "s").unwrap();
        assert_eq!(names(&stack, "rsyslog"), ["base"]);
    }

    #[test]
    fn what_the_user_wants_besides_lies_on_top() {
        let (engine, log) = (kind(&["openstack"], &["heat-engine"]), kind(&[], &[]));
        let extra =
            ["engine", "log", "other"].map(|kind| (kind.to_owned(), vec!["vim".to_owned()]));
        let kinds = [("engine", &engine), ("log", &log), ("plain", &engine)];
        let stack = stack(&release(), kinds, &extra.into(), "s").unwrap();
        assert_eq!(names(&stack, "engine"), ["engine_extra", "engine", "openstack", "base"]);
        assert_eq!(names(&stack, "log"), ["log_extra", "base"]);
        assert_eq!(stack.chains["plain"], stack.chains["engine"][1..], "the rest is shared");
    }

    #[test]
    fn a_shared_layer_on_two_parents_has_two_names() {
        let (one, two) = (kind(&["compute"], &[]), kind(&["openstack", "compute"], &[]));
        let stack = stack(&release(), [("one", &one), ("two", &two)], &none(), "s").unwrap();
        assert_eq!(names(&stack, "one"), ["compute", "base"]);
        assert_eq!(names(&stack, "two"), ["compute_2", "openstack", "base"]);
    }

    #[test]
    fn wheels_are_one_layer_and_users_another() {
        let text = RELEASE.replace("openstack: {", "openstack: { python: true, script: scan, ")
            + "  nothing: {}\npython: {version: '3.13', home: /o, requirements: [], as_of: '', lock: l,\n\
              from_packages: {a: [x, y]}, keep_tests: [t]}\n";
        let release: Release = serde_yaml::from_str(&text).unwrap();
        let mut heat = kind(&["openstack", "nothing"], &[]);
        heat.users = BTreeMap::from([("heat".to_owned(), vec!["kvm".to_owned()])]);
        let mut other = heat.clone();
        other.layer_script = "true".to_owned();
        let kinds = [("apis", &heat), ("engine", &heat), ("other", &other)];
        let stack = stack(&release, kinds, &none(), "s").unwrap();
        assert_eq!(names(&stack, "apis"), ["apis", "openstack", "base"], "an empty layer is none");
        assert_eq!(stack.chains["apis"], stack.chains["engine"]);
        assert_eq!(names(&stack, "other"), ["other", "openstack", "base"]);
        let spec = |name: &str| &stack.layers.iter().find(|(_, it)| it.name == name).unwrap().1;
        let python = spec("openstack").python.as_ref().unwrap();
        assert_eq!((python.lock.as_str(), python.modules.join(" ")), ("l", "x y".to_owned()));
        assert_eq!(spec("openstack").script, "scan");
        assert_eq!(spec("apis").users["heat"], ["kvm"]);
        assert_eq!((spec("apis").script.as_str(), spec("other").script.as_str()), ("", "true"));
    }

    #[test]
    fn other_sources_give_other_ids() {
        let log = kind(&[], &[]);
        let ids =
            |sources: &str| stack(&release(), [("k", &log)], &none(), sources).unwrap().chains;
        assert_ne!(ids("one"), ids("two"));
        assert_eq!(ids("one"), ids("one"));
    }

    #[test]
    fn an_unknown_layer_names_the_nearest() {
        let wrong = kind(&["openstak"], &[]);
        let error = stack(&release(), [("keystone", &wrong)], &none(), "s").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Config);
        assert!(error.to_string().contains("`openstak`"), "{error}");
        assert!(error.hints[0].contains("openstack"), "{:?}", error.hints);
    }
}
