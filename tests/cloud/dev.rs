//! A unit from a checkout in place of its package, and always back. Real code: heat, keystone and a
//! library, of the packaged release and of the newest one.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::seeing;
use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::faults;
use crate::support::load;
use crate::support::openstack::Client;
use crate::support::process::{Running, eventually, run, shell};
use crate::support::sources::{Sources, insert_line, listing};

/// Where a stack's only resource is made.
const RESOURCE: &str = "heat/engine/resources/openstack/heat/random_string.py";
const MIGRATIONS: &str = "heat/db/migrations/versions";

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    let sources = Sources::new(cloud.state_dir.parent().unwrap().join("sources"));
    let mut heat = PathBuf::new();
    let fetched = checks.needed("dev: sources of the packaged release", || {
        let version = packaged(cloud, "heat_engine", "openstack-heat");
        heat = sources.checkout("heat", &format!("openstack-heat=={version}"));
    });
    if fetched {
        checks.check("dev: a checkout of the packaged release", || same_release(cloud, &heat));
        checks.check("dev: what cannot run is refused", || {
            refused(packaged_again(cloud), &sources, &heat)
        });
        checks.check("dev: in the foreground, watched", || {
            foreground(packaged_again(cloud), &sources, &heat)
        });
        checks.check("dev: killed at any point", || killed(packaged_again(cloud), &heat));
        checks.check("dev: kept over restarts", || kept(packaged_again(cloud), &heat));
        checks.check("dev: what a checkout wrote", || data(packaged_again(cloud), &heat));
        checks.check("dev: a migration and the way back", || {
            migration(packaged_again(cloud), &sources, &heat)
        });
        checks.check("dev: a library and a debugger", || {
            library(packaged_again(cloud), &sources, &heat)
        });
        checks.check("dev: a whole project", || whole(packaged_again(cloud), &sources, &heat));
        checks.check("dev: a library alone", || library_alone(packaged_again(cloud), &sources));
        checks.check("dev: a change and what it depends on", || {
            depends(packaged_again(cloud), &sources, &heat)
        });
        checks
            .check("dev: in a terminal, which is lost", || terminal(packaged_again(cloud), &heat));
        checks.check("dev: clones, refs and changes", || {
            clones(packaged_again(cloud), &sources, &heat)
        });
        checks.check("dev: keystone under load", || redundant(packaged_again(cloud), &sources));
    }
    sources.remove();
}

/// A project of the newest release in a cloud of an older one, which lacks what it needs.
pub fn newer(cloud: &Cloud, checks: &mut Checks) {
    let sources = Sources::new(cloud.state_dir.parent().unwrap().join("sources"));
    checks.check("dev: the newest heat", || newest(cloud, &sources));
    sources.remove();
}

/// What a failed check left does not fail the next one too.
fn packaged_again(cloud: &Cloud) -> &Cloud {
    cloud.run(&["dev", "--restore", "--all"]).ok();
    cloud
}

fn packaged(cloud: &Cloud, container: &str, distribution: &str) -> String {
    let script = format!(
        "python3 -c 'from importlib.metadata import version; print(version(\"{distribution}\"))'"
    );
    cloud.inside(container, &script).ok().stdout.trim().to_owned()
}

/// `aio dev UNIT --from TREE --detach OPTIONS`, to its good end.
fn swap(cloud: &Cloud, unit: &str, tree: &Path, options: &[&str]) -> String {
    let tree = tree.to_str().unwrap();
    let arguments = [&["dev", unit, "--from", tree, "--detach"], options].concat();
    let started = Instant::now();
    let all = cloud.run(&arguments).ok().all();
    println!("  swap of {unit} took {:.1} s", started.elapsed().as_secs_f64());
    all
}

fn restore(cloud: &Cloud, unit: &str, options: &[&str]) {
    let started = Instant::now();
    cloud.run(&[&["dev", unit, "--restore"], options].concat()).ok();
    println!("  restore of {unit} took {:.1} s", started.elapsed().as_secs_f64());
}

/// `aio dev --list`, as data.
fn list(cloud: &Cloud) -> Vec<Value> {
    let listed = cloud.run(&["dev", "--list", "--output", "json"]).ok().json();
    listed.as_array().unwrap().clone()
}

/// What the only swap is seen to run.
fn observed(cloud: &Cloud) -> (String, Option<u64>) {
    let listed = list(cloud);
    assert_eq!(listed.len(), 1, "{listed:?}");
    let observed = &listed[0]["observed"];
    (observed["runs"].as_str().unwrap().to_owned(), observed["pid"].as_u64())
}

/// The processes of those that run from checkouts, by their units.
fn processes(cloud: &Cloud) -> BTreeMap<String, u64> {
    let row = |row: Value| {
        let runs = row["observed"]["runs"] == "checkout";
        let pid = row["observed"]["pid"].as_u64().filter(|_| runs)?;
        Some((row["unit"].as_str()?.to_owned(), pid))
    };
    list(cloud).into_iter().filter_map(row).collect()
}

/// Files of a container's own root, with what is in them, but for what services write while they run.
fn root(cloud: &Cloud, kind: &str) -> String {
    let name = cloud.container(kind, 1);
    let clouds = cloud.state_dir.join("private/clouds").join(&cloud.name);
    shell(&format!(
        "cd '{}/containers/{name}/upper'
         find . -type f -not -path './var/log/*' -not -path './var/cache/*' \
             -not -path './var/lib/heat/*' -not -path './var/lib/systemd/*' \
             -exec sha256sum {{}} + | sort -k 2",
        clouds.display()
    ))
}

fn same_release(cloud: &Cloud, heat: &Path) {
    let line =
        "        from oslo_log import log; log.getLogger('heat').warning('a line of the checkout')";
    insert_line(&heat.join(RESOURCE), "def handle_create(self):", line);
    let (before, root_before) = (listing(heat), root(cloud, "heat_engine"));
    let said = swap(cloud, "heat-engine", heat, &[]);
    assert!(said.contains("with uncommitted changes"), "{said}");
    assert!(!said.contains("Beside the packaged ones"), "nothing is installed: {said}");
    let (runs, pid) = observed(cloud);
    assert_eq!(runs, "checkout");
    let row = &list(cloud)[0];
    assert_eq!(row["checkouts"][0]["path"], heat.to_str().unwrap());
    assert_eq!(row["checkouts"][0]["dirty"], true);
    let user = shell(&format!("stat -c %u /proc/{}/exe /proc/{0}", pid.unwrap()));
    assert!(!user.lines().any(|uid| uid == "0"), "it runs as the service's own user: {user}");
    seeing::stack(cloud, "from-the-checkout");
    let log = cloud.ok(&["logs", "heat_engine", "--since", "-5m"]);
    assert!(log.contains("a line of the checkout"), "the checkout's line is in the log");
    let again = cloud.bootstrap(&[]);
    assert_eq!(again.changed(), 0, "a swap is desired: {:?}", again.changed_steps());
    // A file edited by hand while it is in use is reported and left alone.
    cloud.inside("heat_engine", "echo '# mine' >> /etc/heat/heat.conf").ok();
    let reported = cloud.run(&["bootstrap"]).ok();
    assert!(reported.stderr.contains("/etc/heat/heat.conf"), "{}", reported.stderr);
    cloud.inside("heat_engine", "tail -1 /etc/heat/heat.conf | grep -qx '# mine'").ok();
    for command in [&["stop", "heat_engine"][..], &["rebuild", "heat_engine"]] {
        let asked = cloud.run(command);
        assert_eq!(asked.status, 7, "{command:?} asks: {}", asked.all());
        assert!(asked.stderr.contains("heat-engine runs from"), "{}", asked.stderr);
    }
    let held = cloud.run(&["dev", "heat-engine", "--from", heat.to_str().unwrap()]);
    assert_eq!(held.status, 5, "{}", held.all());
    assert!(held.stderr.contains("--take-over"), "{}", held.stderr);
    restore(cloud, "heat-engine", &[]);
    assert_eq!(list(cloud), Vec::<Value>::new());
    assert_eq!(listing(heat), before, "the checkout is not written to");
    assert!(cloud.bootstrap(&[]).changed() > 0, "the edited file is put right");
    assert_eq!(root(cloud, "heat_engine"), root_before, "the container's root is what it was");
    assert_eq!(cloud.bootstrap(&[]).changed(), 0);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains("openstack-heat"), "nothing of it is mounted");
}

fn refused(cloud: &Cloud, sources: &Sources, heat: &Path) {
    let from = |unit: &str, tree: &Path| {
        cloud.run(&["dev", unit, "--from", tree.to_str().unwrap(), "--detach"])
    };
    let wrong = from("keystone", heat);
    assert_eq!(wrong.status, 2, "{}", wrong.all());
    assert!(wrong.stderr.contains("holds the project openstack-heat"), "{}", wrong.stderr);
    let unknown = from("heat-engin", heat);
    assert_eq!(unknown.status, 6, "{}", unknown.all());
    assert!(unknown.stderr.contains("did you mean `heat-engine`?"), "{}", unknown.stderr);
    assert_ne!(from("mariadb", heat).status, 0);
    assert_ne!(from("heat-engine", Path::new("/nowhere")).status, 0);
    assert_ne!(from("heat-engine", Path::new("/tmp")).status, 0);

    let broken = sources.copy(heat, "broken");
    fs::write(broken.join("heat/new.py"), "def broken(:\n").unwrap();
    let syntax = from("heat-engine", &broken);
    assert_eq!(syntax.status, 1, "{}", syntax.all());
    assert!(syntax.stderr.contains("heat/new.py:1"), "{}", syntax.stderr);
    assert!(syntax.stderr.contains("Nothing was changed"), "{}", syntax.stderr);

    fs::remove_file(broken.join("heat/new.py")).unwrap();
    insert_line(
        &broken.join("heat/engine/service.py"),
        "import collections",
        "import no_such_module",
    );
    let import = from("heat-engine", &broken);
    assert_eq!(import.status, 1, "{}", import.all());
    assert!(import.stderr.contains("No module named 'no_such_module'"), "{}", import.stderr);
    assert!(import.stderr.contains("serves as packaged again"), "{}", import.stderr);
    assert_eq!(list(cloud), Vec::<Value>::new());
    cloud.healthy_within(Duration::from_secs(10));
}

fn foreground(cloud: &Cloud, sources: &Sources, heat: &Path) {
    let tree = sources.copy(heat, "watched");
    let command = cloud.command(&["dev", "--from", tree.to_str().unwrap(), "--watch"]);
    let running = Running::start(command);
    let first = eventually(
        Duration::from_secs(90),
        || Some(processes(cloud)).filter(|pids| pids.len() == 3),
        "all from the checkout",
    );
    assert!(list(cloud).iter().all(|row| row["held_by"] == running.pid()));
    // They run before they serve; only then files are restarted for.
    cloud.healthy_within(Duration::from_secs(30));
    std::thread::sleep(Duration::from_secs(3));
    insert_line(&tree.join(RESOURCE), "def handle_create(self):", "        # saved");
    let second = eventually(
        Duration::from_secs(60),
        || Some(processes(cloud)).filter(|pids| pids.len() == 3 && *pids != first),
        "a restart",
    );
    cloud.healthy_within(Duration::from_secs(20));
    // Nothing has loaded it.
    insert_line(&tree.join("heat/tests/common.py"), "import ", "# saved");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(processes(cloud), second, "one change, one restart");
    for api in ["heat-api", "heat-api-cfn"] {
        assert_eq!(second[api], first[api], "only the engine has loaded the file");
    }
    // Not held up by a lock that the foreground might keep.
    assert_eq!(cloud.bootstrap(&[]).changed(), 0);
    running.signal("INT");
    let ended = running.finish(Duration::from_secs(90));
    assert_eq!(ended.status, 0, "{}", ended.all());
    for container in ["heat_engine", "heat_apis"] {
        assert!(ended.stdout.contains(container), "the units' logs were shown");
    }
    assert!(ended.stderr.contains("which nothing that runs has loaded"), "{}", ended.stderr);
    assert_eq!(list(cloud), Vec::<Value>::new());
    cloud.healthy_within(Duration::from_secs(10));
}

fn killed(cloud: &Cloud, heat: &Path) {
    let from = heat.to_str().unwrap();
    // Of `aio`, at several points of a swap.
    for after_ms in [300, 1000, 2500] {
        let running = Running::start(cloud.command(&["dev", "heat-engine", "--from", from]));
        std::thread::sleep(Duration::from_millis(after_ms));
        running.signal("KILL");
        running.finish(Duration::from_secs(10));
        for row in list(cloud) {
            assert!(!row["problem"].is_null() || row["observed"]["runs"] != "checkout", "{row}");
        }
        cloud.run(&["dev", "--restore", "--all"]).ok();
        assert_eq!(list(cloud), Vec::<Value>::new());
        cloud.healthy_within(Duration::from_secs(20));
    }
    // Of the service: systemd starts the checkout again.
    swap(cloud, "heat-engine", heat, &[]);
    let (_, pid) = observed(cloud);
    shell(&format!("kill -9 {}", pid.unwrap()));
    eventually(
        Duration::from_secs(30),
        || (observed(cloud).0 == "checkout" && observed(cloud).1 != pid).then_some(()),
        "the checkout again",
    );
    // Of the container: it comes back as packaged, and the next run clears up what is left.
    let name = cloud.container("heat_engine", 1);
    shell(&format!("lxc-stop -k -n {name}"));
    assert_eq!(observed(cloud).0, "stopped");
    shell(&format!("lxc-start -n {name}"));
    eventually(
        Duration::from_secs(30),
        || (observed(cloud).0 == "package").then_some(()),
        "the package",
    );
    assert!(list(cloud)[0]["problem"].as_str().unwrap().contains("restarted"));
    cloud.bootstrap(&[]);
    assert_eq!(list(cloud), Vec::<Value>::new());
    cloud.healthy_within(Duration::from_secs(20));
}

fn kept(cloud: &Cloud, heat: &Path) {
    swap(cloud, "heat-engine", heat, &["--keep"]);
    let name = cloud.container("heat_engine", 1);
    shell(&format!("lxc-stop -k -n {name}; lxc-start -n {name}"));
    eventually(
        Duration::from_secs(30),
        || (observed(cloud).0 == "checkout").then_some(()),
        "the checkout after a restart",
    );
    faults::forget_everything_but_files(cloud);
    faults::boot(cloud, Duration::from_secs(180), Duration::from_secs(60));
    assert_eq!(observed(cloud).0, "checkout", "after a reboot of the host");
    cloud.ok(&["rebuild", "heat_engine"]);
    assert_eq!(observed(cloud).0, "checkout", "after a rebuild too");
    assert_eq!(cloud.bootstrap(&[]).changed(), 0);
    restore(cloud, "heat-engine", &[]);
    shell(&format!("lxc-stop -k -n {name}; lxc-start -n {name}"));
    cloud.healthy_within(Duration::from_secs(60));
    assert_eq!(list(cloud), Vec::<Value>::new());
}

fn heads(cloud: &Cloud) -> String {
    let query = "mysql -NBe 'select version_num from heat.alembic_version'";
    cloud.inside("utility", query).ok().stdout.trim().to_owned()
}

fn sql(cloud: &Cloud, statement: &str) -> String {
    cloud.inside("galera/1", &format!("mariadb -BNe \"{statement}\"")).ok().stdout
}

/// The databases are those of before, and the packages have nothing to do with them.
fn as_before(cloud: &Cloud, heads_before: &str) {
    assert_eq!(heads(cloud), heads_before);
    let tables = sql(cloud, "show tables from heat");
    assert!(!tables.contains("of_the_test"), "{tables}");
    assert_eq!(list(cloud), Vec::<Value>::new());
    cloud.healthy_within(Duration::from_secs(20));
    assert_eq!(cloud.bootstrap(&[]).changed(), 0);
}

/// What a checkout writes is kept where the package can go on with it, and goes where it was cut off
/// with what the package cannot.
fn data(cloud: &Cloud, heat: &Path) {
    swap(cloud, "heat-engine", heat, &[]);
    seeing::stack(cloud, "kept-data");
    let stacks = sql(cloud, "select count(*) from heat.stack");
    restore(cloud, "heat-engine", &[]);
    assert_eq!(sql(cloud, "select count(*) from heat.stack"), stacks, "they are kept");
    let before = heads(cloud);
    swap(cloud, "heat-engine", heat, &[]);
    sql(cloud, "create table heat.of_the_test (id int); alter table heat.stack add other int");
    let name = cloud.container("heat_engine", 1);
    shell(&format!("lxc-stop -k -n {name}; lxc-start -n {name}"));
    // The next run clears up what a restart of the container left.
    cloud.bootstrap(&[]);
    as_before(cloud, &before);
    assert!(!sql(cloud, "show columns from heat.stack").contains("other"));
}

fn migration(cloud: &Cloud, sources: &Sources, heat: &Path) {
    let tree = sources.copy(heat, "migrating");
    let before = heads(cloud);
    fs::write(
        tree.join(MIGRATIONS).join("fedcba987654_test.py"),
        format!(
            "revision = 'fedcba987654'\ndown_revision = '{before}'\nbranch_labels = None\n\
             depends_on = None\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n\n\
             def upgrade():\n    op.create_table('of_the_test', sa.Column('id', sa.Integer))\n"
        ),
    )
    .unwrap();
    let said = swap(cloud, "heat-engine", &tree, &[]);
    assert!(said.contains("those of before are in"), "{said}");
    assert_eq!(heads(cloud), "fedcba987654");
    sql(cloud, "insert into heat.of_the_test values (1), (2)");
    for (options, reason) in [
        (["--restore"].as_slice(), "heat.of_the_test (2 rows more)"),
        (&["--restore", "--keep-data"], "the package cannot run on them"),
    ] {
        let refused = cloud.run(&[&["dev", "heat-engine"], options].concat());
        assert_eq!(refused.status, 7, "{}", refused.all());
        assert!(refused.stderr.contains(reason), "{}", refused.stderr);
        assert_eq!(heads(cloud), "fedcba987654", "data are not thrown away unasked");
        assert_eq!(observed(cloud).0, "checkout", "nothing was changed");
    }
    restore(cloud, "heat-engine", &["--yes"]);
    as_before(cloud, &before);
    // At the end of a foreground nobody need be asked.
    let tree_path = tree.to_str().unwrap();
    let running = Running::start(cloud.command(&["dev", "heat-engine", "--from", tree_path]));
    eventually(
        Duration::from_secs(60),
        || list(cloud).first().filter(|row| row["observed"]["runs"] == "checkout").map(|_| ()),
        "the checkout",
    );
    // It runs before it serves.
    cloud.healthy_within(Duration::from_secs(30));
    std::thread::sleep(Duration::from_secs(3));
    running.signal("INT");
    let ended = running.finish(Duration::from_secs(60)).ok();
    assert!(ended.stderr.contains("the table heat.of_the_test is new"), "{}", ended.stderr);
    as_before(cloud, &before);

    fs::write(
        tree.join(MIGRATIONS).join("fedcba987654_test.py"),
        format!(
            "revision = 'fedcba987654'\ndown_revision = '{before}'\n\n\ndef upgrade():\n    1 / 0\n"
        ),
    )
    .unwrap();
    let failed = cloud.run(&["dev", "heat-engine", "--from", tree.to_str().unwrap(), "--detach"]);
    assert_eq!(failed.status, 1, "{}", failed.all());
    assert!(failed.stderr.contains("division by zero"), "{}", failed.stderr);
    assert_eq!(heads(cloud), before);
    cloud.healthy_within(Duration::from_secs(10));
    seeing::stack(cloud, "after-migrations");
}

fn library(cloud: &Cloud, sources: &Sources, heat: &Path) {
    let version = packaged(cloud, "heat_engine", "oslo.messaging");
    let messaging = sources.checkout("messaging", &format!("oslo.messaging=={version}"));
    let from = messaging.to_str().unwrap();
    swap(cloud, "heat-engine", heat, &["--lib", from, "--debug"]);
    assert_eq!(list(cloud)[0]["checkouts"][1]["path"], from);
    let pid = observed(cloud).1.unwrap();
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(environment.contains("/oslo-messaging:"), "{environment}");
    // A debugger's first word, and the answer.
    let hello =
        r#"{"seq":1,"type":"request","command":"initialize","arguments":{"adapterID":"x"}}"#;
    let length = hello.len();
    let greet = format!(
        "exec 3<>/dev/tcp/127.0.0.1/5678; printf 'Content-Length: {length}\\r\\n\\r\\n%s' '{hello}' >&3
         timeout 10 head -c 16 <&3"
    );
    let greet = format!("bash -c '{}'", greet.replace('\'', "'\\''"));
    let answer = cloud.inside("heat_engine", &greet).ok().stdout;
    assert_eq!(answer, "Content-Length: ");
    // It listens where nobody else comes.
    assert!(TcpStream::connect((cloud.address("heat_engine", 1).as_str(), 5678)).is_err());
    restore(cloud, "heat-engine", &[]);
    // The address that the foreground prints, from here.
    let tree = heat.to_str().unwrap();
    let running = Running::start(cloud.command(&["dev", "heat-engine", "--from", tree, "--debug"]));
    let debugger = eventually(
        Duration::from_secs(90),
        || {
            list(cloud).first().filter(|row| row["observed"]["runs"] == "checkout")?;
            let mut debugger = TcpStream::connect("127.0.0.1:5678").ok()?;
            debugger.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            write!(debugger, "Content-Length: {length}\r\n\r\n{hello}").ok()?;
            let mut answer = [0; 16];
            debugger.read_exact(&mut answer).ok()?;
            (answer == *b"Content-Length: ").then_some(debugger)
        },
        "an answer of the debugger",
    );
    drop(debugger);
    running.signal("INT");
    running.finish(Duration::from_secs(60)).ok();
    assert_eq!(list(cloud), Vec::<Value>::new());
}

fn whole(cloud: &Cloud, sources: &Sources, heat: &Path) {
    let before = heads(cloud);
    let from = |tree: &Path| cloud.run(&["dev", "--from", tree.to_str().unwrap(), "--detach"]);
    let tree = sources.copy(heat, "whole");
    from(&tree).ok();
    let units = ["heat-api", "heat-api-cfn", "heat-engine"];
    assert!(processes(cloud).keys().eq(units), "{:?}", processes(cloud));
    let rows = list(cloud);
    assert!(rows.iter().all(|row| row["transaction"] == rows[0]["transaction"]), "{rows:?}");
    let shown = cloud.run(&["dev", "--list"]).ok().stdout;
    assert!(shown.contains("3 units") && shown.contains("  heat-engine"), "{shown}");
    seeing::stack(cloud, "from-the-whole");
    assert_eq!(cloud.bootstrap(&[]).changed(), 0);
    let held = from(&tree);
    assert_eq!(held.status, 5, "{}", held.all());
    restore(cloud, "heat", &[]);
    as_before(cloud, &before);

    // One that does not start takes the others along.
    insert_line(
        &tree.join("heat/engine/service.py"),
        "import collections",
        "import no_such_module",
    );
    let failed = from(&tree);
    assert_eq!(failed.status, 1, "{}", failed.all());
    assert!(failed.stderr.contains("No module named 'no_such_module'"), "{}", failed.stderr);
    assert!(failed.stderr.contains("3 units of heat serve as packaged again"), "{}", failed.stderr);
    as_before(cloud, &before);

    // One that is not declared any more is refused by itself, and left out of the whole.
    let renamed = sources.copy(heat, "renamed");
    let file = ["setup.cfg", "pyproject.toml"]
        .map(|name| renamed.join(name))
        .into_iter()
        .find(|file| fs::read_to_string(file).is_ok_and(|text| text.contains("heat-engine =")));
    let file = file.expect("where it is declared");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("heat-engine =", "heat-other =")).unwrap();
    let path = renamed.to_str().unwrap();
    let refused = cloud.run(&["dev", "heat-engine", "--from", path, "--detach"]);
    assert_eq!(refused.status, 2, "{}", refused.all());
    let reason = "declares no program `heat-engine`";
    assert!(refused.stderr.contains(reason), "{}", refused.stderr);
    assert!(refused.stderr.contains("heat-other"), "{}", refused.stderr);
    let said = from(&renamed).ok().stderr;
    assert!(said.contains(reason), "{said}");
    assert!(processes(cloud).keys().eq(["heat-api", "heat-api-cfn"]), "{:?}", processes(cloud));
    restore(cloud, "heat", &[]);
    as_before(cloud, &before);
}

fn library_alone(cloud: &Cloud, sources: &Sources) {
    let before = heads(cloud);
    let version = packaged(cloud, "heat_engine", "oslo.messaging");
    let messaging = sources.checkout("alone", &format!("oslo.messaging=={version}"));
    let from = messaging.to_str().unwrap();
    cloud.run(&["dev", "--lib", from, "--in", "heat-engine", "--detach"]).ok();
    assert!(processes(cloud).keys().eq(["heat-engine"]), "{:?}", processes(cloud));
    seeing::stack(cloud, "from-the-library");
    let said = cloud.run(&["dev", "--lib", from, "--detach", "--take-over"]).ok().stderr;
    let units = ["heat-api", "heat-api-cfn", "heat-engine", "keystone"];
    assert!(processes(cloud).keys().eq(units), "{:?}: {said}", processes(cloud));
    assert_eq!(list(cloud).len(), 5, "both members of keystone");
    cloud.run(&["dev", "--restore", "--all"]).ok();
    as_before(cloud, &before);
}

/// By a server of plain files: what Gerrit answers, and repositories as git reads them over HTTP.
fn depends(cloud: &Cloud, sources: &Sources, heat: &Path) {
    let before = heads(cloud);
    let version = packaged(cloud, "heat_engine", "oslo.messaging");
    let messaging = sources.checkout("changed", &format!("oslo.messaging=={version}"));
    let served = cloud.state_dir.parent().unwrap().join("sources/served");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let base = format!("http://127.0.0.1:{port}");
    for (project, tree, number) in [("heat", heat, 1234), ("messaging", &messaging, 77)] {
        let repository = served.join(format!("openstack/{project}"));
        shell(&format!(
            "mkdir -p '{repository}'
             cp -R '{}'/.git/. '{repository}'
             chown -R root: '{repository}'
             git --git-dir '{repository}' config core.bare true
             git --git-dir '{repository}' update-ref refs/changes/{:02}/{number}/1 HEAD
             git --git-dir '{repository}' update-server-info",
            tree.display(),
            number % 100,
            repository = repository.display()
        ));
        let depends = if number == 77 { String::new() } else { format!("Depends-On: {base}/77\n") };
        let answer = |path: &str, answer: Value| {
            let file = served.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!(")]}}'\n{answer}\n")).unwrap();
        };
        let change = format!("changes/{number}");
        answer(
            &format!("{change}/index.html"),
            json!({
                "project": format!("openstack/{project}"), "branch": "master", "status": "NEW",
                "_number": number, "revisions": { "a": { "_number": 1 } },
            }),
        );
        answer(
            &format!("{change}/revisions/1/commit"),
            json!({
                "commit": "a", "parents": [], "subject": format!("Change {project}"),
                "message": format!("Change {project}\n\n{depends}"),
            }),
        );
        answer(&format!("{change}/revisions/1/related"), json!({ "changes": [] }));
        answer("config/server/version", json!("3.11"));
    }
    let mut server = Command::new("python3");
    server.args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"]);
    server.arg(&served).arg(port.to_string());
    let server = Running::start(server);
    eventually(
        Duration::from_secs(10),
        || TcpStream::connect(("127.0.0.1", port)).ok().map(drop),
        "the server",
    );
    let from = format!("{base}/openstack/heat");
    let options = ["--change", "1234", "--with-depends", "--detach"];
    let arguments = [&["dev", "--from", &from][..], &options].concat();
    assert_eq!(cloud.run(&arguments).status, 7, "other people's code comes along");
    let said = cloud.run(&[&arguments[..], &["--yes"]].concat());
    server.signal("KILL");
    server.finish(Duration::from_secs(10));
    let said = said.ok().stderr;
    let shown = "openstack/messaging 77/1 on master: Change messaging (Depends-On of 1234";
    assert!(said.contains(shown), "{said}");
    let rows = list(cloud);
    assert_eq!(rows.len(), 3, "{rows:?}");
    for row in &rows {
        let projects = row["checkouts"].as_array().unwrap().iter();
        let branches: Vec<&str> = projects.map(|it| it["branch"].as_str().unwrap()).collect();
        assert_eq!(branches, ["change/1234/1", "change/77/1"]);
    }
    restore(cloud, "heat", &[]);
    as_before(cloud, &before);
}

/// What was typed at a prompt, and who answered: the process in the terminal.
fn terminal(cloud: &Cloud, heat: &Path) {
    let aio = cloud.command(&["dev", "heat-engine", "--from", heat.to_str().unwrap(), "--pdb"]);
    let words = std::iter::once(aio.get_program()).chain(aio.get_args());
    let words: Vec<_> = words.map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut script = Command::new("script");
    script.args(["--quiet", "--flush", "--command", &words.join(" "), "/dev/null"]);
    let running = Running::start(script);
    eventually(
        Duration::from_secs(60),
        || list(cloud).first().filter(|row| row["observed"]["runs"] == "checkout").map(|_| ()),
        "the checkout in the terminal",
    );
    cloud.healthy_within(Duration::from_secs(30));
    assert_eq!(cloud.bootstrap(&[]).changed(), 0, "nobody starts the package beside it");
    seeing::stack(cloud, "from-a-terminal");
    // The terminal's program dies: nobody is there to press Ctrl-C.
    running.signal("KILL");
    running.finish(Duration::from_secs(60));
    eventually(
        Duration::from_secs(60),
        || list(cloud).is_empty().then_some(()),
        "the package without anybody's help",
    );
    cloud.healthy_within(Duration::from_secs(20));
    let left = cloud.inside("heat_engine", "pgrep --count --full '^heat-engine: master'");
    assert_eq!(left.stdout.trim(), "1", "one engine: {}", left.all());
}

/// A repository that `aio` clones beside its state: branches, a change as Gerrit keeps it, and work
/// in the clone that nobody has yet.
fn clones(cloud: &Cloud, sources: &Sources, heat: &Path) {
    let origin = sources.copy(heat, "origin");
    shell(&format!(
        "cd '{}' && chown -R root: . && git reset --quiet --hard
         git checkout --quiet -b change
         git -c user.name=test -c user.email=test@example.org commit --quiet --allow-empty -m change
         git update-ref refs/changes/34/1234/2 change && git checkout --quiet -
         git branch --quiet -D change",
        origin.display()
    ));
    let url = format!("file://{}", origin.display());
    let from = |options: &[&str]| {
        let arguments = [&["dev", "heat-engine", "--from", &url, "--detach"], options].concat();
        cloud.run(&arguments)
    };
    from(&[]).ok();
    let row = list(cloud).remove(0);
    let clone = PathBuf::from(row["checkouts"][0]["path"].as_str().unwrap());
    assert!(clone.starts_with(&cloud.state_dir), "{row}");
    let held = from(&["--change", "1234"]);
    assert_eq!(held.status, 5, "{}", held.all());
    from(&["--change", "1234", "--take-over"]).ok();
    assert_eq!(list(cloud)[0]["checkouts"][0]["branch"], "change/1234/2");
    let unknown = from(&["--ref", "no-such", "--take-over"]);
    assert_eq!(unknown.status, 2, "{}", unknown.all());
    assert_eq!(observed(cloud).0, "checkout", "what ran goes on");
    fs::write(clone.join("mine.txt"), "work").unwrap();
    let refused = cloud.run(&["destroy", "--yes"]);
    assert_ne!(refused.status, 0, "{}", refused.all());
    assert!(refused.stderr.contains(clone.to_str().unwrap()), "{}", refused.stderr);
    fs::remove_file(clone.join("mine.txt")).unwrap();
    restore(cloud, "heat-engine", &[]);
    cloud.healthy_within(Duration::from_secs(20));
}

fn newest(cloud: &Cloud, sources: &Sources) {
    let heat = sources.checkout("newest-heat", "openstack-heat");
    let before = heads(cloud);
    let said = swap(cloud, "heat-engine", &heat, &[]);
    assert!(said.contains("oslo.service"), "what was added is printed: {said}");
    seeing::stack(cloud, "from-the-newest");
    restore(cloud, "heat-engine", &["--restore-db", "--yes"]);
    assert_eq!(heads(cloud), before);
    // No index of packages answers now, of Debian's or of Python's.
    let cut_off = |arguments: &[&str]| {
        let mut command = cloud.command(arguments);
        for name in ["http_proxy", "https_proxy", "PIP_PROXY"] {
            command.env(name, "http://127.0.0.1:9");
        }
        command.env("PIP_INDEX_URL", "http://127.0.0.1:9/simple").env_remove("no_proxy");
        run(command, Duration::from_secs(60)).ok().all()
    };
    cut_off(&["rebuild", "heat_engine"]);
    let tree = heat.to_str().unwrap();
    let said = cut_off(&["dev", "heat-engine", "--from", tree, "--detach", "--no-db-sync"]);
    assert!(said.contains("fetched before"), "{said}");
    restore(cloud, "heat-engine", &[]);
}

fn redundant(cloud: &Cloud, sources: &Sources) {
    let version = packaged(cloud, "keystone/1", "keystone");
    let keystone = sources.checkout("keystone", &format!("keystone=={version}"));
    let user = load::prepare(cloud, &Client::administrator(cloud));
    let seen = load::run(&user, Duration::from_secs(60), Duration::from_secs(2), || {
        swap(cloud, "keystone", &keystone, &[]);
        assert_eq!(list(cloud)[0]["standby"].as_array().unwrap().len(), 1);
        let backends = cloud.status()["backends"].clone();
        let backups = backends
            .as_array()
            .unwrap()
            .iter()
            .filter(|it| it["frontend"] == "keystone_service" && it["backup"] == true);
        assert_eq!(backups.count(), 1, "{backends}");
        // Written to the configuration too: a reload keeps it.
        cloud.inside("haproxy", "systemctl reload haproxy").ok();
        restore(cloud, "keystone", &[]);
        // Both members, one after the other.
        let tree = keystone.to_str().unwrap();
        cloud.run(&["dev", "--from", tree, "--detach"]).ok();
        assert!(list(cloud).iter().all(|row| row["observed"]["runs"] == "checkout"));
        restore(cloud, "keystone", &[]);
    });
    println!("  keystone swapped and restored: {}", seen.line());
    assert_eq!(seen.failed(), 0, "{}", seen.line());
    assert_eq!(cloud.bootstrap(&[]).changed(), 0);
    let newest = sources.checkout("newest-keystone", "keystone");
    swap(cloud, "keystone", &newest, &["--member", "2"]);
    assert_eq!(list(cloud)[0]["member"], 2);
    assert_eq!(user.ask_token(None, Duration::from_secs(10)).status, 201);
    restore(cloud, "keystone", &["--restore-db", "--yes"]);
    let ended = run(cloud.command(&["dev", "--list"]), Duration::from_secs(10)).ok();
    assert!(ended.stderr.contains("Everything runs as packaged"), "{}", ended.stderr);
}
