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
        self.problems_of(units, files, &|_| {})
    }

    fn problems_of(
        &self,
        units: &[&str],
        files: &[(&str, &str)],
        change: &dyn Fn(&mut Startup),
    ) -> Vec<String> {
        let roots = ["top", "base"].map(|layer| self.0.path().join(layer));
        let files = files.iter().chain(&[("/etc/app/app.conf", "")]);
        let files = files.map(|(path, text)| ContainerFile {
            path: (*path).to_owned(),
            owner: "root:root".to_owned(),
            mode: if text.starts_with("#!") { 0o755 } else { 0o644 },
            content: text.as_bytes().to_vec(),
        });
        let mut startup = Startup {
            kind: "app".to_owned(),
            units: units.iter().map(|&unit| unit.to_owned()).collect(),
            files: files.collect(),
            ..Startup::default()
        };
        change(&mut startup);
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
                   ExecStartPre=+!d\nExecStart=\nExecStart=@/usr/bin/sh app --config-file /etc/e\n";
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
fn what_may_be_there_by_then_is_not_asked_for() {
    let layers = Layers::new();
    for line in [
        // What it makes, what only tests look at, what is optional, what is elsewhere.
        "ExecStart=/usr/bin/sh -p /etc/made --output=/etc/made",
        "ExecStart=/usr/bin/sh -c '[ ! -e /etc/none ] || exec app'",
        "ExecStart=/usr/bin/sh ; -/usr/bin/none --config-file /etc/none",
        "ExecStart=/var/lib/app/run",
        "ExecStart=/proc/self/exe",
        "ExecSearchPath=/opt/app\nExecStart=run",
        "ExecStartPre=/usr/bin/sh -c 'echo > /etc/made'\nExecStart=/usr/bin/sh --config-file=/etc/made",
    ] {
        let text = format!("[Service]\nExecStart=\n{line}\n");
        let written = [("/etc/systemd/system/app.service.d/a.conf", &*text)];
        assert_eq!(layers.problems(&["app.service"], &written), NOTHING, "{line}");
    }
}

#[test]
fn a_file_that_a_script_makes_may_be_made_later() {
    let layers = Layers::new();
    let drop_in = "[Service]\nExecStart=\nExecStart=/usr/bin/sh --config-file /etc/made\n";
    let drop_in = ("/etc/systemd/system/app.service.d/a.conf", drop_in);
    let missing = ["app.service starts /usr/bin/sh with /etc/made, which is not there"];
    assert_eq!(layers.problems(&["app.service"], &[drop_in]), missing);
    let script = ("/usr/sbin/make", "#!/bin/sh\necho > /etc/made\n");
    assert_eq!(layers.problems(&["app.service"], &[drop_in, script]), NOTHING);
    let by_set_up = |startup: &mut Startup| startup.scripts.push("cp x /etc/made".to_owned());
    assert_eq!(layers.problems_of(&["app.service"], &[drop_in], &by_set_up), NOTHING);
    let as_data = |startup: &mut Startup| startup.data.push("/etc/made".to_owned());
    assert_eq!(layers.problems_of(&["app.service"], &[drop_in], &as_data), NOTHING);
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
fn what_another_requires_is_met_by_one_that_is_passed_over() {
    let layers = Layers::new();
    let text = "[Unit]\nConditionPathExists=/etc/none\n[Service]\nExecStart=/usr/bin/none\n";
    layers.put("top", "/usr/lib/systemd/system/app.socket", text);
    assert_eq!(layers.of_app(), NOTHING);
}

#[test]
fn other_names_of_directories_are_the_same() {
    let layers = Layers::new();
    let written = [
        ("/lib/systemd/system/mine.service", "[Service]\nExecStart=/usr/bin/mine\n"),
        ("/lib/systemd/system/mine.service.d/a.conf", "[Unit]\nRequires=lost.socket\n"),
        ("/bin/mine", "#!/bin/sh\n"),
    ];
    assert_eq!(
        layers.problems(&["mine.service"], &written),
        ["mine.service requires lost.socket, which is not there"]
    );
}

#[test]
fn drop_ins_of_every_name_count() {
    let layers = Layers::new();
    let system = "/usr/lib/systemd/system";
    layers.put("base", &format!("{system}/a-b@.service"), "[Service]\nExecStart=/usr/bin/none\n");
    layers.link("a-b@.service", &format!("{system}/nick@.service"));
    let better = "[Service]\nExecStart=\nExecStart=/usr/bin/sh\n";
    let of = |name: &str| format!("/etc/systemd/system/{name}.d/a.conf");
    for name in ["a-b@1.service", "a-b@.service", "a-.service", "service"] {
        assert_eq!(layers.problems(&["a-b@1.service"], &[(&of(name), better)]), NOTHING, "{name}");
    }
    assert_eq!(layers.problems(&["nick@1.service"], &[(&of("nick@.service"), better)]), NOTHING);
    assert_eq!(layers.problems(&["a-b@1.service"], &[(&of("other@1.service"), better)]).len(), 1);
}

#[test]
fn what_has_no_end_ends() {
    let layers = Layers::new();
    let system = "/etc/systemd/system";
    layers.link("two.service", &format!("{system}/one.service"));
    layers.link("one.service", &format!("{system}/two.service"));
    assert_eq!(layers.problems(&["one.service"], &[]), ["one.service is not there"]);
    layers.link("/etc/circle", "/etc/circle");
    layers.put("top", &format!("{system}/a.service"), "[Service]\nEnvironmentFile=/etc/circle\n");
    let circle = ["a.service reads /etc/circle, which is not there"];
    assert_eq!(layers.problems(&["a.service"], &[]), circle);
    let growing = "[Unit]\nRequires=x@%ia.service x@%ib.service\n";
    layers.put("top", &format!("{system}/x@.service"), growing);
    assert_eq!(layers.problems(&["x@1.service"], &[]).len(), 0);
}

#[test]
fn masks_of_packages_stay_and_linked_units_are_there() {
    let layers = Layers::new();
    layers.link("/dev/null", "/usr/lib/systemd/system/vendor.service");
    layers.link("../../../dev/null", "/etc/systemd/system/relative.service");
    layers.link("/opt/app/long.service", "/etc/systemd/system/short.service");
    layers.put("base", "/opt/app/long.service", "[Unit]\n");
    assert_eq!(layers.problems(&["vendor.service"], &[]), ["vendor.service is masked"]);
    assert_eq!(layers.problems(&["short.service", "relative.service"], &[]).len(), 1);
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
    for elsewhere in ["pythonpath = /srv/x\n", "virtualenv = /opt/x\n", "chdir = /srv/x\n"] {
        assert_eq!(served(elsewhere, "none"), NOTHING, "{elsewhere}");
    }
    layers.put("top", "/var/lib/app/own.py", "");
    assert_eq!(served("chdir = /var/lib/app\n", "own"), NOTHING);
    assert_eq!(served("chdir = /var/lib/app\n", "none").len(), 1);
    let own = [("/etc/app/uwsgi.ini", "[uwsgi]\nchdir = /srv\nwsgi-file = app.py\n")];
    assert_eq!(layers.problems(&["app.service"], &own), NOTHING);
    let script = [("/etc/app/uwsgi.ini", "[uwsgi]\nwsgi-file = /usr/bin/app-wsgi\n")];
    assert_eq!(
        layers.problems(&["app.service"], &script),
        ["/etc/app/uwsgi.ini serves /usr/bin/app-wsgi, which is not there"]
    );
}
