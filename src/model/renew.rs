//! Containers that go on running while another release's Python takes the place of their own. Pure.

use super::cloud::Cloud;
use super::layer::{LayerSpec, PythonSpec};
use super::layers::Stack;
use super::topology::{Container, Renewed};

/// What it takes to renew a container that is there; `None` where it must be made anew, or is as it
/// would be made.
pub fn renewed(
    former: &Cloud,
    before: &Container,
    stack: &Stack,
    chain: &[String],
) -> Option<Renewed> {
    if before.layers == chain {
        return None;
    }
    let was = specs(&former.layers, &before.layers)?;
    let is = specs(&stack.layers, chain)?;
    let same = was.len() == is.len() && was.iter().zip(&is).all(|(was, is)| alike(was, is));
    let (id, spec) = chain.iter().zip(&is).find(|(_, spec)| spec.python.is_some())?;
    let home = spec.python.as_ref()?.home.clone();
    same.then(|| Renewed { layers: chain.to_vec(), python: id.clone(), home })
}

fn specs<'a>(layers: &'a [(String, LayerSpec)], ids: &[String]) -> Option<Vec<&'a LayerSpec>> {
    let of = |id: &String| layers.iter().find(|(it, _)| it == id).map(|(_, spec)| spec);
    ids.iter().map(of).collect()
}

/// Whether two layers differ in nothing but the versions of their Python distributions.
fn alike(one: &LayerSpec, other: &LayerSpec) -> bool {
    let bare = |spec: &LayerSpec| {
        let python = spec.python.clone().map(|python| PythonSpec {
            lock: String::new(),
            keep_tests: Vec::new(),
            certificates: Vec::new(),
            ..python
        });
        LayerSpec { name: String::new(), parent: None, python, ..spec.clone() }
    };
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::topology::tests::container;
    use crate::render::testing;

    fn spec(packages: &[&str], lock: Option<&str>) -> LayerSpec {
        let python = lock.map(|lock| PythonSpec {
            version: "3.13".to_owned(),
            home: "/opt/openstack".to_owned(),
            lock: lock.to_owned(),
            modules: Vec::new(),
            keep_tests: Vec::new(),
            certificates: Vec::new(),
        });
        LayerSpec {
            name: "x".to_owned(),
            parent: None,
            suite: "trixie".to_owned(),
            packages: packages.iter().map(|name| (*name).to_owned()).collect(),
            keep_units: Vec::new(),
            mask_units: Vec::new(),
            python,
            users: BTreeMap::new(),
            script: String::new(),
            files: Vec::new(),
            drop: Vec::new(),
        }
    }

    #[test]
    fn only_other_versions_of_python_distributions_can_be_laid_over() {
        let named = |layers: &[(&str, LayerSpec)]| -> Vec<(String, LayerSpec)> {
            layers.iter().map(|(id, spec)| ((*id).to_owned(), spec.clone())).collect()
        };
        let ids = |ids: &[&str]| -> Vec<String> { ids.iter().map(|id| (*id).to_owned()).collect() };
        let mut former = testing::cloud(&testing::profiles(&[]));
        former.layers =
            named(&[("base", spec(&["systemd"], None)), ("old", spec(&[], Some("a==1")))]);
        let before = Container { layers: ids(&["old", "base"]), ..container("c/1") };
        let now = |new: LayerSpec, chain: &[&str]| {
            let layers = named(&[("base", spec(&["systemd"], None)), ("new", new)]);
            renewed(&former, &before, &Stack { layers, ..Stack::default() }, &ids(chain))
        };
        let expected = Renewed {
            layers: ids(&["new", "base"]),
            python: "new".to_owned(),
            home: "/opt/openstack".to_owned(),
        };
        assert_eq!(now(spec(&[], Some("a==2")), &["new", "base"]), Some(expected));
        assert_eq!(now(spec(&["qemu"], Some("a==2")), &["new", "base"]), None, "another package");
        assert_eq!(now(spec(&[], None), &["new", "base"]), None, "no Python");
        assert_eq!(now(spec(&[], Some("a==2")), &["new"]), None, "a layer less");
        assert_eq!(now(spec(&[], Some("a==2")), &["old", "base"]), None, "as it is");
    }
}
