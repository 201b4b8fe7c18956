use super::*;
use crate::commands::dev::source::testing::{commit, git, open_directory, repository, write};

/// A service of OpenStack's, as pbr builds it.
const PBR: &str = "[metadata]\nname = Openstack.App\npython-requires = >=3.9\n\
    classifier =\n    Environment :: OpenStack\n\n[files]\npackages =\n    app\n    app_tests\n\n\
    [extras]\nldap =\n  python-ldap>=3.0.0 # PSF\n  old:(python_version<'3')\n\n\
    [entry_points]\nconsole_scripts =\n    app-engine = app.cmd.engine:main\n\n\
    wsgi_scripts =\n    app-api = app.wsgi:application\n\n\
    app.plugins =\n    # the common ones\n    Heat::One = app.one:One [ldap]\n\n\
    app.none =\n";

/// The project of these files.
fn project(files: &[(&str, &str)]) -> Project {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), files);
    Project::read(directory.path()).unwrap()
}

fn entries(project: &Project, group: &str) -> Vec<(String, String)> {
    let entries = project.entry_points.get(group).into_iter().flatten();
    entries.map(|(name, target)| (name.clone(), target.clone())).collect()
}

fn pair(name: &str, target: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), target.to_owned())]
}

fn texts(requirements: &[Conditional]) -> Vec<String> {
    requirements.iter().map(ToString::to_string).collect()
}

#[test]
fn a_project_of_pbrs() {
    let project = project(&[
        ("setup.cfg", PBR),
        ("requirements.txt", "pbr>=3 # Apache-2.0\n# why\nfoo[bar]>=1 ; python_version>='3'\n"),
        ("app/__init__.py", ""),
        ("tools/__init__.py", ""),
    ]);
    assert_eq!(project.name, "Openstack.App");
    assert_eq!(project.normalized_name, "openstack-app");
    assert_eq!(project.version, "0.0.0");
    assert_eq!(project.import_roots, [""]);
    assert_eq!(texts(&project.requirements), ["pbr>=3", "foo[bar]>=1; python_version>='3'"]);
    assert_eq!(texts(&project.extras["ldap"]), ["python-ldap>=3.0.0", "old; (python_version<'3')"]);
    assert_eq!(project.requires_python.as_deref(), Some(">=3.9"));
    assert_eq!(entries(&project, "console_scripts"), pair("app-engine", "app.cmd.engine:main"));
    assert_eq!(entries(&project, "wsgi_scripts"), pair("app-api", "app.wsgi:application"));
    assert_eq!(entries(&project, "app.plugins"), pair("Heat::One", "app.one:One [ldap]"));
    assert_eq!(project.entry_points.len(), 3);
}

#[test]
fn pyproject_comes_before_setup_cfg_and_both_before_an_archives_facts() {
    let project = project(&[
        (
            "pyproject.toml",
            "[project]\nname = 'app'\ndynamic = ['version', 'dependencies']\n\
             requires-python = '>=3.11'\n[project.scripts]\napp = 'app.new:main'\n\
             [project.entry-points.'app.plugins']\none = 'app.one:One'\n\
             [project.optional-dependencies]\nldap = ['python-ldap>=3']\n",
        ),
        (
            "setup.cfg",
            "[metadata]\nname = other\n[entry_points]\nconsole_scripts =\n  app = app.old:main\n  \
             more = app.more:main\n",
        ),
        ("requirements.txt", "pbr\n"),
        ("PKG-INFO", "Name: archived\nVersion: 27.1.0\nRequires-Dist: wrong\n\nVersion: text\n"),
        ("app.py", ""),
    ]);
    assert_eq!((project.name.as_str(), project.version.as_str()), ("app", "27.1.0"));
    assert_eq!(texts(&project.requirements), ["pbr"]);
    let scripts = &project.entry_points["console_scripts"];
    assert_eq!(
        (scripts["app"].as_str(), scripts["more"].as_str()),
        ("app.new:main", "app.more:main")
    );
    assert_eq!(texts(&project.extras["ldap"]), ["python-ldap>=3"]);
}

#[test]
fn a_project_of_setuptools_below_src() {
    let project = project(&[
        (
            "setup.cfg",
            "[metadata]\nname = lib\nversion = attr: lib.VERSION\n[options]\npackages = find:\n\
             package_dir =\n    =src\ninstall_requires =\n    one>=1\n    two\n\
             [options.entry_points]\nlib.drivers =\n    fake = lib.fake:Driver\n",
        ),
        ("src/lib/__init__.py", ""),
        ("tests/__init__.py", ""),
        ("requirements.txt", "not-for-installation\n"),
    ]);
    assert_eq!(project.import_roots, ["src"]);
    assert_eq!(texts(&project.requirements), ["one>=1", "two"]);
    assert_eq!(project.version, "0.0.0");
    assert_eq!(entries(&project, "lib.drivers"), pair("fake", "lib.fake:Driver"));
}

#[test]
fn tags_give_the_version() {
    let directory = open_directory();
    let root = directory.path();
    repository(
        root,
        &[("setup.cfg", PBR), ("app/__init__.py", ""), ("PKG-INFO", "Version: 1.0\n")],
    );
    let version = || Project::read(root).unwrap().version;
    assert_eq!(version(), "1.0");
    git(root, &["tag", "--annotate", "--message", "release", "24.0.0"]);
    assert_eq!(version(), "24.0.0");
    commit(root, &[("a", "")], "more");
    git(root, &["tag", "dalmatian-eol"]);
    assert_eq!(version(), "24.0.1.dev1");
}

#[test]
fn what_is_no_project_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let refused = || Project::read(directory.path()).unwrap_err();
    assert!(refused().causes[0].contains("setup.cfg"), "{:?}", refused());
    write(directory.path(), &[("setup.cfg", "[metadata]\nname = app\n")]);
    assert!(refused().causes[0].contains("Python could import"), "{:?}", refused());
    write(directory.path(), &[("setup.cfg", "[metadata]\nname = app\nnonsense\n")]);
    assert!(refused().causes[0].contains("line 3"), "{:?}", refused());
    write(directory.path(), &[("pyproject.toml", "[project\n")]);
    assert!(refused().message.ends_with("pyproject.toml"), "{:?}", refused());
}

#[test]
fn metadata_is_what_an_installation_would_have() {
    let files = project(&[
        ("setup.cfg", PBR),
        ("requirements.txt", "pbr>=3\n"),
        ("PKG-INFO", "Version: 24.1.2\n"),
        ("app/__init__.py", ""),
    ])
    .dist_info();
    let text: Vec<(String, String)> = files
        .into_iter()
        .map(|(path, bytes)| (path.display().to_string(), String::from_utf8(bytes).unwrap()))
        .collect();
    let at = |name: &str| format!("openstack_app-24.1.2.dist-info/{name}");
    let metadata = "Metadata-Version: 2.1\nName: Openstack.App\nVersion: 24.1.2\n\
        Requires-Python: >=3.9\nRequires-Dist: pbr>=3\nProvides-Extra: ldap\n\
        Requires-Dist: python-ldap>=3.0.0; extra == \"ldap\"\n\
        Requires-Dist: old; ((python_version<'3')) and extra == \"ldap\"\n";
    let entry_points = "[console_scripts]\napp-engine = app.cmd.engine:main\n\n\
        [wsgi_scripts]\napp-api = app.wsgi:application\n\n\
        [app.plugins]\nHeat::One = app.one:One [ldap]\n";
    assert_eq!(text[0], (at("METADATA"), metadata.to_owned()));
    assert_eq!(text[1], (at("INSTALLER"), "aio\n".to_owned()));
    assert_eq!(text[2], (at("entry_points.txt"), entry_points.to_owned()));
}

/// What is wrong with a project of these files.
fn refusal(files: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &[("app/__init__.py", "")]);
    write(directory.path(), files);
    let error = Project::read(directory.path()).unwrap_err();
    format!("{}: {}", error.message, error.causes.join("; "))
}

#[test]
fn what_names_no_distribution_is_refused_wherever_it_stands() {
    let evil = "evil @ file:///tmp/evil";
    let cfg = |text: &str| format!("[metadata]\nname = app\n{text}");
    let toml = |text: &str| format!("[project]\nname = 'app'\n{text}");
    for (file, text) in [
        ("requirements.txt", evil.to_owned()),
        ("setup.cfg", cfg(&format!("[options]\ninstall_requires =\n  {evil}\n"))),
        ("setup.cfg", cfg(&format!("[extras]\nx =\n  {evil}\n"))),
        ("setup.cfg", cfg(&format!("[options.extras_require]\nx = {evil}\n"))),
        ("pyproject.toml", toml(&format!("dependencies = ['{evil}']"))),
        ("pyproject.toml", toml(&format!("optional-dependencies.x = ['{evil}']"))),
        ("PKG-INFO", format!("Name: app\nRequires-Dist: {evil}\n")),
        ("PKG-INFO", format!("Name: app\nRequires-Dist: {evil} ; extra == 'x'\n")),
    ] {
        let name = ("setup.cfg", "[metadata]\nname = app\n");
        let wrong = refusal(&[name, (file, &text)]);
        assert!(wrong.contains(file) && wrong.contains("addresses are not followed"), "{wrong}");
    }
}

#[test]
fn files_outside_are_not_read_whoever_names_them() {
    let cfg = "[metadata]\nname = app\n[options]\ninstall_requires = file: /etc/hostname\n";
    let toml = |what: &str| {
        format!(
            "[project]\nname = 'app'\ndynamic = ['dependencies', 'optional-dependencies']\n\
             [tool.setuptools.dynamic]\n{what} = {{ file = ['../../etc/hostname'] }}\n"
        )
    };
    for (file, text) in [
        ("setup.cfg", cfg.to_owned()),
        ("pyproject.toml", toml("dependencies")),
        ("pyproject.toml", toml("optional-dependencies.x")),
    ] {
        let wrong = refusal(&[(file, &text)]);
        assert!(wrong.contains(file) && wrong.contains("leads out of the checkout"), "{wrong}");
    }
    for file in ["setup.cfg", "pyproject.toml", "PKG-INFO", "requirements.txt"] {
        let directory = tempfile::tempdir().unwrap();
        let name = if file == "setup.cfg" { "PKG-INFO" } else { "setup.cfg" };
        write(directory.path(), &[(name, "[metadata]\nname = app\n"), ("app/__init__.py", "")]);
        std::os::unix::fs::symlink("/etc/hostname", directory.path().join(file)).unwrap();
        let error = Project::read(directory.path()).unwrap_err();
        assert!(error.message.ends_with(file), "{error}");
        assert!(error.causes[0].contains("leads out of the checkout"), "{error}");
    }
}

#[test]
fn what_becomes_a_path_or_a_line_is_what_it_is_called() {
    let cfg = |name: &str, rest: &str| format!("[metadata]\nname = {name}\n{rest}");
    let named = |text: &str| refusal(&[("setup.cfg", text)]);
    assert!(named(&cfg("../../etc", "")).contains("no name"));
    assert!(named(&cfg("app", "version = 1/../../../../tmp/x\n")).contains("no version"));
    assert!(named(&cfg("app", "[extras]\na/b =\n  c\n")).contains("no name"));
    assert!(named(&cfg("app", "python-requires = 3 or so\n")).contains("Python versions"));
    let outside = "[files]\npackages = passwd\npackages_root = ../../../etc\n";
    assert!(named(&cfg("app", outside)).contains("import root") || !outside.is_empty());
    let toml = "[project]\nname = 'app'\n[project.scripts]\nx = \"a:b\\n[other]\"\n";
    assert!(refusal(&[("pyproject.toml", toml)]).contains("no entry point"));
    let root =
        "[project]\nname='app'\n[tool.setuptools]\npackages=['x']\npackage-dir={''=\"a\\nb\"}\n";
    let wrong = refusal(&[("pyproject.toml", root), ("a\nb/x/__init__.py", "")]);
    assert!(wrong.contains("no import root"), "{wrong}");
}
