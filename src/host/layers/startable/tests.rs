use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::model::file::ContainerFile;

/// Two layers, the upper one first.
struct Layers(tempfile::TempDir);

impl Layers {
    /// Layers that hold what a service needs to start.
    fn new() -> Self {
        let layers = Self(tempfile::tempdir().unwrap());
        layers.put("base", "/usr/bin/sh", "binary");
        layers.put("base", "/usr/lib/systemd/system/basic.target", "[Unit]\n");
        layers.put(
            "top",
            "/usr/lib/systemd/system/app.service",
            "[Unit]\nRequires=basic.target app.socket\n[Service]\n\
             ExecStart=/usr/bin/app --config-file=/etc/app/app.conf\n",
        );
        layers.put("top", "/usr/lib/systemd/system/app.socket", "[Socket]\n");
        layers.put("top", "/usr/bin/app", "#!/usr/bin/sh\n");
        layers
    }

    fn put(&self, layer: &str, path: &str, text: &str) {
        let place = self.0.path().join(layer).join(&path[1..]);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }

    fn link(&self, target: &str, path: &str) {
        let place = self.0.path().join("top").join(&path[1..]);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        symlink(target, place).unwrap();
    }

    fn mask(&self, unit: &str) {
        self.link("/dev/null", &format!("/etc/systemd/system/{unit}"));
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.0.path().join("top").join(&path[1..])).unwrap();
    }

    fn problems(&self, units: &[&str], files: &[(&str, &str)]) -> Vec<String> {
        let roots = ["top", "base"].map(|layer| self.0.path().join(layer));
        let files = files.iter().chain(&[("/etc/app/app.conf", "")]);
        let files = files.map(|(path, text)| ContainerFile {
            path: (*path).to_owned(),
            owner: "root:root".to_owned(),
            mode: if text.starts_with("#!") { 0o755 } else { 0o644 },
            content: text.as_bytes().to_vec(),
        });
        let startup = Startup {
            kind: "app".to_owned(),
            units: units.iter().map(|&unit| unit.to_owned()).collect(),
            files: files.collect(),
        };
        problems(&roots, &startup).unwrap()
    }

    /// Of the one unit, and no file but its configuration.
    fn of_app(&self) -> Vec<String> {
        self.problems(&["app.service"], &[])
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn what_is_whole_has_no_problem() {
    assert_eq!(Layers::new().of_app(), NOTHING);
}

#[test]
fn a_required_unit_that_is_masked_is_named_unless_the_kind_has_it() {
    let layers = Layers::new();
    layers.mask("app.service");
    layers.mask("app.socket");
    assert_eq!(layers.of_app(), ["app.service requires app.socket, which is masked"]);
    assert_eq!(layers.problems(&["app.socket", "app.service"], &[]), NOTHING);
}

#[test]
fn what_drop_ins_and_links_require_is_followed_to_its_end() {
    let layers = Layers::new();
    let unit = "/usr/lib/systemd/system";
    layers.put("base", &format!("{unit}/secret.service"), "[Unit]\nBindsTo=lost.service -.mount\n");
    layers.put("top", &format!("{unit}/app.service.d/1.conf"), "[Unit]\nRequires=alias.service\n");
    layers.link("secret.service", &format!("{unit}/alias.service"));
    layers.link("../x@1.service", &format!("{unit}/app.service.requires/x@1.service"));
    layers.put("top", &format!("{unit}/x@.service"), "[Unit]\nRequires=y-%i.socket z%n.target\n");
    assert_eq!(
        layers.of_app(),
        [
            "alias.service requires lost.service, which is not there",
            "x@1.service requires y-1.socket, which is not there",
        ]
    );
    // An empty drop-in of the same name stands for it.
    let written = [("/etc/systemd/system/app.service.d/1.conf", "# nothing")];
    let problems = layers.problems(&["app.service"], &written);
    assert_eq!(problems, ["x@1.service requires y-1.socket, which is not there"]);
}

#[test]
fn an_alias_of_a_masked_unit_is_masked() {
    let layers = Layers::new();
    layers.mask("database.service");
    layers.put("base", "/usr/lib/systemd/system/database.service", "[Unit]\n");
    layers.link("/usr/lib/systemd/system/database.service", "/etc/systemd/system/sql.service");
    let written = [("/etc/systemd/system/app.service.d/a.conf", "[Unit]\nRequisite=sql.service\n")];
    assert_eq!(
        layers.problems(&["app.service"], &written),
        ["app.service requires sql.service, which is masked"]
    );
}

#[test]
fn programs_interpreters_and_named_files_must_be_there() {
    let layers = Layers::new();
    layers.remove("/usr/bin/app");
    assert_eq!(layers.of_app(), ["app.service starts /usr/bin/app, which is not there"]);
    layers.put("top", "/usr/bin/app", "#!/opt/python/bin/python3\n");
    assert_eq!(
        layers.of_app(),
        [
            "app.service starts /usr/bin/app, a script for /opt/python/bin/python3, which is not there"
        ]
    );
    layers.put("top", "/usr/bin/app", "#!/usr/bin/env sh\nexec x --config-file=/etc/app/ml2.ini\n");
    assert_eq!(
        layers.of_app(),
        ["app.service starts /usr/bin/app with /etc/app/ml2.ini, which is not there"]
    );
    let drop_in = "[Service]\nEnvironmentFile=/etc/a\nEnvironmentFile=-/etc/b\nExecStartPre=-/bin/c\n\
                   ExecStartPre=+!d\nExecStart=\nExecStart=@/usr/bin/sh app -f /etc/e $X /etc/f\n";
    let written = [("/etc/systemd/system/app.service.d/a.conf", drop_in)];
    assert_eq!(
        layers.problems(&["app.service"], &written),
        [
            "app.service reads /etc/a, which is not there",
            "app.service starts d, which is not there",
            "app.service starts /usr/bin/sh with /etc/e, which is not there",
        ]
    );
}

#[test]
fn a_file_that_a_script_makes_may_be_made_later() {
    let layers = Layers::new();
    let drop_in = "[Service]\nExecStart=\nExecStart=/usr/bin/sh -c /etc/made\n";
    let drop_in = ("/etc/systemd/system/app.service.d/a.conf", drop_in);
    let missing = ["app.service starts /usr/bin/sh with /etc/made, which is not there"];
    assert_eq!(layers.problems(&["app.service"], &[drop_in]), missing);
    let script = ("/usr/sbin/make", "#!/bin/sh\necho > /etc/made\n");
    assert_eq!(layers.problems(&["app.service"], &[drop_in, script]), NOTHING);
}

#[test]
fn a_unit_that_would_be_passed_over_is_named() {
    let layers = Layers::new();
    let drop_in = "[Unit]\nConditionPathExists=/etc/none\nConditionPathExists=!/etc/other\n";
    let written = [("/etc/systemd/system/app.service.d/a.conf", drop_in)];
    assert_eq!(
        layers.problems(&["app.service"], &written),
        ["app.service has ConditionPathExists=/etc/none, which is not there"]
    );
}

#[test]
fn a_unit_of_a_system_v_script_is_there_and_one_of_nothing_is_not() {
    let layers = Layers::new();
    layers.put("base", "/etc/init.d/old", "#!/bin/sh\n");
    assert_eq!(layers.problems(&["old.service"], &[]), NOTHING);
    assert_eq!(layers.problems(&["none.service"], &[]), ["none.service is not there"]);
}

#[test]
fn an_application_must_be_where_its_server_looks() {
    let layers = Layers::new();
    let served = |home: &str, module: &str| {
        let text = format!("[uwsgi]\n{home}module = {module}\n");
        layers.problems(&["app.service"], &[("/etc/app/uwsgi.ini", &text)])
    };
    layers.put("top", "/usr/lib/python3/dist-packages/app/wsgi/api.py", "");
    layers.put("top", "/opt/x/lib/python3.13/site-packages/new/__init__.py", "");
    assert_eq!(served("", "app.wsgi.api:application"), NOTHING);
    assert_eq!(served("home = /opt/x\n", "new:make()"), NOTHING);
    assert_eq!(
        served("home = /opt/x\n", "app.wsgi.api:application"),
        ["/etc/app/uwsgi.ini serves app.wsgi.api, which is not there"]
    );
    let script = [("/etc/app/uwsgi.ini", "[uwsgi]\nwsgi-file = /usr/bin/app-wsgi\n")];
    assert_eq!(
        layers.problems(&["app.service"], &script),
        ["/etc/app/uwsgi.ini serves /usr/bin/app-wsgi, which is not there"]
    );
}
