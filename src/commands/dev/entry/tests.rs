use std::path::Path;

use super::*;
use crate::commands::dev::source::testing::{open_directory, repository};
use crate::commands::dev::target;
use crate::config::load::Profiles;
use crate::config::release::Releases;
use crate::render::testing::builtin_cloud;

/// The largest cloud of a release.
fn cloud(release: &str) -> Cloud {
    let profiles = Profiles::load(Path::new("/nonexistent")).unwrap();
    let release = profiles.releases[release].clone();
    let profiles = profiles.of_releases(Releases::of_all(&release));
    Cloud { release, ..builtin_cloud(&profiles, &profiles.scenarios["full"]) }
}

/// What a unit starts in a checkout of these files.
fn found(cloud: &Cloud, unit: &str, files: &[(&str, &str)]) -> Result<Entry> {
    let place = open_directory();
    let root = place.path().join("app");
    repository(&root, files);
    let reader = CheckoutReader::find(&root)?;
    let target = target::find(cloud, unit, None)?;
    Entry::find(cloud, &target, &reader, &reader.project()?)
}

fn declaring(project: &str, points: &str) -> String {
    format!("[metadata]\nname = {project}\n[files]\npackages = app\n[entry_points]\n{points}")
}

fn text(entry: &Entry, program: &str) -> String {
    String::from_utf8(entry.programs[program].clone()).unwrap()
}

#[test]
fn a_package_s_start_script_starts_the_checkout_s_program() {
    let setup =
        declaring("nova", "console_scripts =\n  nova-conductor = nova.new.conductor:main\n");
    let entry = found(
        &cloud("2025.1"),
        "nova-conductor",
        &[("setup.cfg", &setup), ("app/__init__.py", "")],
    )
    .unwrap();
    assert_eq!(entry.command, None);
    let program = "/dev/.aio/nova-conductor.service/_programs/nova-conductor";
    let environment = BTreeMap::from([("AIO_DEV_PROGRAM".to_owned(), program.to_owned())]);
    assert_eq!(entry.environment(BTreeMap::new()), environment);
    let text = text(&entry, "nova-conductor");
    assert!(text.starts_with("#!/usr/bin/python3\n"), "{text}");
    assert!(text.contains("from nova.new.conductor import main\n"), "{text}");
}

#[test]
fn a_unit_that_names_its_program_starts_the_checkout_s_with_its_arguments() {
    let setup = declaring(
        "nova",
        "console_scripts =\n  nova-conductor = nova.cmd.conductor:main\n  \
         neutron-periodic-workers = neutron.cmd.server:main_periodic\n  \
         swift-proxy-server = swift.proxy.server:main\n",
    );
    let files = [("setup.cfg", setup.as_str()), ("app/__init__.py", "")];
    let (packages, wheels) = (cloud("2025.1"), cloud("2026.2"));
    let neutron = "--config-file /etc/neutron/neutron.conf --config-file /etc/neutron/plugins/ml2/ml2_conf.ini";
    for (cloud, unit, program, arguments) in [
        (&wheels, "nova-conductor", "nova-conductor", "--config-file=/etc/nova/nova.conf"),
        (&wheels, "neutron-periodic-workers", "neutron-periodic-workers", neutron),
        (&packages, "neutron-periodic-workers", "neutron-periodic-workers", neutron),
        (&packages, "swift-proxy", "swift-proxy-server", "/etc/swift/proxy-server.conf"),
    ] {
        let entry = found(cloud, unit, &files).unwrap();
        let command = format!("/dev/.aio/{unit}.service/_programs/{program} {arguments}");
        assert_eq!(entry.command.as_deref(), Some(command.as_str()));
        assert!(entry.environment(BTreeMap::new()).is_empty(), "{entry:?}");
    }
    let entry = found(&wheels, "nova-conductor", &files).unwrap();
    assert!(text(&entry, "nova-conductor").starts_with("#!/opt/openstack/bin/python3\n"));
}

#[test]
fn what_is_not_declared_is_refused_with_what_there_is() {
    let points = "console_scripts =\n  glance-manage = glance.cmd.manage:main\n  \
                  glance-status = glance.cmd.status:main\n";
    let setup = declaring("glance", points);
    let files = [
        ("setup.cfg", setup.as_str()),
        ("app/__init__.py", ""),
        ("glance/wsgi/__init__.py", ""),
        ("glance/wsgi/api.py", ""),
    ];
    let error = found(&cloud("2025.1"), "glance-api", &files).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Usage);
    assert_eq!(error.message, "run glance-api from this checkout");
    assert_eq!(error.causes[0], "glance declares no program `glance-api`");
    let has = "it has the programs glance-manage, glance-status; the WSGI modules glance.wsgi.api";
    assert_eq!(error.causes[1], has);
    assert!(found(&cloud("2026.2"), "glance-api", &files).is_ok());

    let points = "wsgi_scripts =\n  nova-api-wsgi = nova.api.wsgi:init_application\n";
    let setup = declaring("nova", points);
    let files = [("setup.cfg", setup.as_str()), ("app/__init__.py", "")];
    for release in ["2025.1", "2026.2"] {
        let error = found(&cloud(release), "nova-api", &files).unwrap_err();
        assert_eq!(error.causes[0], "nova has no module `nova.wsgi.osapi_compute` to be served");
        assert_eq!(error.causes[1], "it has the WSGI scripts nova-api-wsgi");
    }
    let nothing = [("setup.cfg", "[metadata]\nname = nova\n"), ("nova/__init__.py", "")];
    let error = found(&cloud("2025.1"), "nova-api", &nothing).unwrap_err();
    assert_eq!(error.causes[1], "it declares none at all");
}

#[test]
fn where_a_release_has_a_script_the_checkout_s_module_is_served_or_its_script() {
    let points = "wsgi_scripts =\n  aodh-api = aodh.api.app:build_wsgi_app\n";
    let setup = declaring("aodh", points);
    let old = [("setup.cfg", setup.as_str()), ("app/__init__.py", "")];
    let new = [old[0], old[1], ("aodh/wsgi/api.py", "")];
    let packages = cloud("2025.1");
    let script = "/dev/.aio/aodh-api.service/_programs/aodh-api";
    for (files, served) in [
        (&old[..], "from aodh.api.app import build_wsgi_app\n\napplication = build_wsgi_app()\n"),
        (&new[..], "import aodh.wsgi.api\n\napplication = aodh.wsgi.api.application\n"),
    ] {
        let entry = found(&packages, "aodh-api", files).unwrap();
        assert_eq!(text(&entry, "aodh-api"), served);
        let arguments = "--processes 1";
        let debugged = BTreeMap::from([(ARGUMENTS.to_owned(), arguments.to_owned())]);
        for (of_debugger, first) in [(BTreeMap::new(), ""), (debugged, "--processes 1 ")] {
            let arguments = &entry.environment(of_debugger)[ARGUMENTS];
            assert_eq!(*arguments, format!("{first}--wsgi-file {script}"));
        }
    }
    // A release with the module needs nothing of it.
    let entry = found(&cloud("2026.2"), "aodh-api", &new).unwrap();
    assert!(entry.environment(BTreeMap::new()).is_empty() && entry.command.is_none());
    found(&cloud("2026.2"), "aodh-api", &old).unwrap_err();
}

#[test]
fn every_unit_that_can_be_swapped_names_what_it_runs() {
    for release in ["2025.1", "2025.1-wheels", "2025.2", "2026.1", "2026.2", "master"] {
        let cloud = cloud(release);
        let declared = cloud.services.iter().filter_map(|service| service.dev.as_ref());
        let declared: Vec<&String> = declared.flat_map(|dev| dev.units.keys()).collect();
        let kinds = cloud.services.iter().flat_map(|service| service.containers.values());
        let units = kinds.flat_map(|kind| &kind.units).filter(|it| declared.contains(&&it.name));
        let mut seen = 0;
        for unit in units {
            let runs = unit.runs.as_ref().unwrap_or_else(|| panic!("{release}: {}", unit.name));
            let names = runs.openstack_program().is_some() || runs.wsgi.is_some();
            assert!(names, "{release}: {}", unit.name);
            seen += 1;
        }
        assert!(seen >= declared.len(), "{release}: {seen} of {}", declared.len());
    }
}
