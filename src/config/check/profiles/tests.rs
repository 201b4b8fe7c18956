use super::*;

const SHARED: &str = "
service: base
summary: x
containers:
  balancer: {summary: x, memory: {idle_mib: 1, limit_mib: 2}}
load_balancer: {kind: balancer, socket: /x, server_defaults: {http: a, tcp: b}}
frontends:
  - {name: base, port: 80, mode: http, backend: balancer, server_options: check, expose: true}
";

const GOOD: &str = r#"
service: heat
summary: x
needs: [base]
variables:
  debug: {description: x, default: false}
containers:
  heat_engine:
    summary: x
    layers: [openstack]
    networks: [management, storage]
    unaddressed: [storage]
    devices: [/dev/net/tun]
    nesting: true
    listens: [{ports: [5672, 6800-7300], from: [heat_engine, everyone]}]
    client_of: [heat_engine]
    memory: {idle_mib: 1, limit_mib: 2}
    data:
      - {path: /var/lib/heat, owner: "heat:heat", mode: "0750"}
    units: [{name: heat-engine.service, start: cluster}]
    files:
      - {path: /etc/heat.conf, template: heat/heat.conf, mode: "0640", restarts: [heat-engine.service, rsyslog.service]}
      - {path: /etc/plain.conf, template: heat/plain.conf}
    cluster:
      unit: heat-engine.service
      form_timeout_secs: 1
      size: {from: http, port: 1, path: /x, user: u, secret: heat_password}
databases:
  - {name: heat, user: heat, secret: heat_password, direct_from: [balancer]}
queues:
  - {vhost: /heat, user: heat, secret: heat_password}
verify:
  - {name: stack, title: x, container: heat_engine, needs: [base], script: check,
     then: [{container: balancer, script: part}]}
suites:
  - {name: scenario, title: x, container: balancer, script: suite}
identity:
  domains: [{name: stacks}]
  projects: [{name: work, domain: stacks}]
  roles: [admin]
  users:
    - name: heat
      secret: heat_password
      roles: [{role: admin, project: work}, {role: admin, domain: Default}]
  services: [{name: heat, type: orchestration, frontend: heat_api}]
frontends:
  - {name: heat_api, port: 8004, mode: http, backend: heat_engine, server_options: check}
setup:
  - {name: schema, title: x, container: heat_engine, script: x, done: {observe: admin_token}}
  - {name: image, title: x, container: balancer, before: cloud, script: y, done: {observe: run, script: z}}
dev:
  projects: [heat]
  user: heat
  schema: {setup: schema, migrations: []}
  units: {heat-engine.service: {debug_at: heat, foreground: x}}
"#;

const RELEASE: &str = "
release: r1
summary: x
suite: trixie
base: {}
layers: {openstack: {}}
files: [{path: /etc/hosts, template: heat/plain.conf, restarts: [systemd-journald.service]}]
units: [{name: rsyslog.service}]
";

const SCENARIO: &str = "
scenario: small
summary: x
rank: 1
members: {heat_engine: 1, balancer: 1}
variables: {debug: true}
";

const SECRETIVE: &str = "p = {{ secrets.heat_password }}\n";

/// Checks the good profiles with every `from` of one file replaced.
fn checked(path: &str, from: &str, to: &str) -> Result<()> {
    let files = [
        ("services/base.yml", SHARED),
        ("services/heat.yml", GOOD),
        ("releases/r1.yml", RELEASE),
        ("scenarios/small.yml", SCENARIO),
        ("templates/heat/heat.conf", "{% include 'heat/inner.conf' %}\n"),
        ("templates/heat/inner.conf", SECRETIVE),
        ("templates/heat/plain.conf", "x\n"),
    ];
    let changed: Vec<(&str, String)> = files
        .into_iter()
        .map(|(name, text)| {
            assert!(name != path || text.contains(from), "{from} is not in {path}");
            (name, if name == path { text.replace(from, to) } else { text.to_owned() })
        })
        .collect();
    let profiles = Profiles::from_texts(changed.iter().map(|(name, text)| (*name, text.as_str())))?;
    profiles.check(&|name| match name {
        "heat_password" => Ok(()),
        _ => Err(Some("heat_password".to_owned())),
    })
}

#[track_caller]
fn heat(from: &str, to: &str, message: &str, hint: Option<&str>) {
    refused("services/heat.yml", from, to, message, hint);
}

#[track_caller]
fn refused(path: &str, from: &str, to: &str, message: &str, hint: Option<&str>) {
    let error = checked(path, from, to).expect_err("a mistake");
    let mut mistakes = error.causes.clone();
    mistakes.push(error.message.clone());
    let found = mistakes.iter().find(|mistake| mistake.contains(message));
    let found = found.unwrap_or_else(|| panic!("{error:?}"));
    assert!(found.starts_with(&format!("profiles/{path}:")), "{found}");
    if let Some(hint) = hint {
        assert!(found.contains(hint) || error.hints == [hint], "{error:?}");
    }
}

#[test]
fn good_profiles_pass() {
    checked("services/heat.yml", "heat", "heat").unwrap();
}

#[test]
fn names_of_other_profiles_must_exist() {
    heat(
        "[base]",
        "[bsae]",
        "heat.yml:4: there is no service `bsae`",
        Some("did you mean `base`?"),
    );
    heat(
        "layers: [openstack]",
        "layers: [opnstack]",
        "no layer in release r1 `opnstack`",
        Some("did you mean `openstack`?"),
    );
    heat(
        "[management, storage]",
        "[management, stroage]",
        "there is no network `stroage`",
        Some("did you mean `storage`?"),
    );
    heat(
        "unaddressed: [storage]",
        "unaddressed: [storag]",
        "there is no network of `heat_engine` `storag`",
        Some("did you mean `storage`?"),
    );
    heat(
        "container: balancer",
        "container: balancr",
        "no container kind `balancr`",
        Some("did you mean `balancer`?"),
    );
    heat("before: cloud, ", "", "no container kind `balancer`", None);
    let wrong = |given: &str, wrong: &str, told: &str, nearest: &str| {
        heat(given, wrong, told, Some(&format!("did you mean `{nearest}`?")));
    };
    wrong("{role: admin, domain", "{role: admn, domain", "there is no role `admn`", "admin");
    heat(
        "container: heat_engine, script: x, done",
        "container: heat_engine, kept: {}, script: x, done",
        "of `schema` nothing can be kept: it has no `fills`",
        None,
    );
    wrong(
        "container: heat_engine, script: x, done",
        "container: heat_engine, fills: [heat], kept: {without_rows_of: [haet.t]}, script: x, done",
        "there is no database `haet`",
        "heat",
    );
    wrong("setup: schema,", "setup: scheme,", "no set-up command `scheme`", "schema");
    wrong(
        "{heat-engine.service: {debug",
        "{heat-enigne.service: {debug",
        "there is no unit `heat-enigne.service`",
        "heat-engine.service",
    );
    heat(
        "heat/plain.conf",
        "heat/plan.conf",
        "no template `heat/plan.conf`",
        Some("did you mean `heat/plain.conf`?"),
    );
    heat(
        "    nesting: true",
        "    nesting: true\n    after: [balance]",
        "no container kind `balance`",
        Some("did you mean `balancer`?"),
    );
    heat(
        "direct_from: [balancer]",
        "direct_from: [balance]",
        "no container kind `balance`",
        Some("did you mean `balancer`?"),
    );
    heat(
        "backend: heat_engine",
        "backend: heat_engin",
        "no container kind `heat_engin`",
        Some("did you mean `heat_engine`?"),
    );
    heat(
        "frontend: heat_api",
        "frontend: heat_ap",
        "no frontend `heat_ap`",
        Some("did you mean `heat_api`?"),
    );
    heat(
        "container: heat_engine",
        "container: heat_engne",
        "no container kind `heat_engne`",
        Some("did you mean `heat_engine`?"),
    );
    heat("project: work}", "project: wrok}", "no project `wrok`", Some("did you mean `work`?"));
    heat(
        "domain: stacks}]",
        "domain: stack}]",
        "no domain `stack`",
        Some("did you mean `stacks`?"),
    );
    heat(
        "user: heat, secret: heat_password}",
        "user: heat, secret: heat_pasword}",
        "no specification of `secrets/` has the secret `heat_pasword`",
        Some("did you mean `heat_password`?"),
    );
    heat(
        "secret: heat_password}\n",
        "secret: nope}\n",
        "`nope`",
        Some("did you mean `heat_password`?"),
    );
    refused(
        "services/base.yml",
        "kind: balancer",
        "kind: balancr",
        "no container kind `balancr`",
        Some("did you mean `balancer`?"),
    );
}

#[test]
fn a_unit_runs_one_thing() {
    let runs = |runs: &str, message: &str| {
        heat("start: cluster}", &format!("start: cluster, runs: {{{runs}}}}}"), message, None);
    };
    let one = "runs one of `wsgi`, `worker`, `daemon` and `program`";
    runs("", one);
    runs("worker: a, daemon: a", one);
    runs("wsgi: a.b:c", "needs both `wsgi` and `port`");
    runs("daemon: a, port: 80", "needs both `wsgi` and `port`");
    runs("daemon: a, threads: 1", "mean something to `wsgi` alone");
    runs("program: a, script: b", "no start script to name");
    runs("program: a, drop_in: b/c", "no template `b/c`");
    runs("program: a", "no template `common/unit.conf`");
    heat(
        "template: heat/plain.conf}",
        "template: heat/plain.conf, unit: heat.service}",
        "no unit of `heat_engine` `heat.service`",
        Some("did you mean `heat-engine.service`?"),
    );
}

#[test]
fn a_kind_must_make_sense() {
    heat(
        "[heat-engine.service, rsyslog",
        "[heat-engin.service, rsyslog",
        "no unit of `heat_engine` `heat-engin.service`",
        Some("did you mean `heat-engine.service`?"),
    );
    heat(
        "unit: heat-engine.service",
        "unit: heat.service",
        "no unit of `heat_engine` `heat.service`",
        Some("did you mean `heat-engine.service`?"),
    );
    heat("idle_mib: 1", "idle_mib: 3", "uses 3 MiB idle and may use 2", None);
    heat("    memory: {", "    cpu_weight: 0\n    memory: {", "must be from 1 to 10000", None);
    heat("path: /var/lib/heat", "path: var/lib/heat", "must be absolute", None);
    heat("\"0750\"", "rwx", "is not octal", None);
    heat("\"heat:heat\"", "heat", "is not `user:group`", None);
    heat("/etc/plain.conf", "/etc/heat.conf", "stands twice in `heat_engine`", None);
    heat(
        "template: heat/plain.conf",
        "template: heat/plain.conf, apply_once: true",
        "no `apply`",
        None,
    );
    heat("vhost: /heat", "vhost: heat", "must begin with a slash", None);
    heat(
        "project: work}",
        "project: work, domain: stacks}",
        "needs either `project` or `domain`",
        None,
    );
    heat("default: false", "default: null", "cannot be null", None);
    heat("default: false", "default: false, choices: [true]", "is not among its choices", None);
    heat("script: x", "script: 'x {{ secrets.heat_password }}'", "names a secret", None);
    heat("script: z", "script: 'z {{ secrets.heat_password }}'", "names a secret", None);
    heat("/dev/net/tun", "net/tun", "must be a path below /dev", None);
    heat(
        "unaddressed: [storage]",
        "unaddressed: [management]",
        "`heat_engine` is reached on the management network",
        None,
    );
}

#[test]
fn a_check_must_make_sense() {
    heat(
        "container: heat_engine, needs",
        "container: heat_engne, needs",
        "no container kind `heat_engne`",
        Some("did you mean `heat_engine`?"),
    );
    heat(
        "needs: [base], script",
        "needs: [bsae], script",
        "no service `bsae`",
        Some("did you mean `base`?"),
    );
    heat("name: stack, title: x", "name: stack, title: x, timeout_secs: 0", "no time", None);
    heat(
        "script: check",
        "script: 'check {{ secrets.heat_password }}'",
        "`stack` names a secret",
        None,
    );
    heat("script: suite", "script: 'suite {{ secrets.heat_password }}'", "names a secret", None);
    heat(
        "container: balancer, script: suite",
        "container: balancr, script: suite",
        "`balancr`",
        None,
    );
    heat(
        "script: part",
        "script: 'part {{ secrets.heat_password }}'",
        "`stack` names a secret",
        None,
    );
    heat(
        "verify:",
        "verify:\n  - {name: stack, title: x, container: balancer, script: y}",
        "two checks `stack`",
        None,
    );
}

#[test]
fn a_secret_in_an_included_template_is_found() {
    heat(
        "mode: \"0640\"",
        "mode: \"0644\"",
        "holds a secret and its mode 0644 lets everybody read it",
        None,
    );
}

#[test]
fn names_are_unique_among_services() {
    refused(
        "services/heat.yml",
        "name: heat_api, port",
        "name: base, port",
        "the frontend `base` is already one of service `base`",
        None,
    );
    heat("port: 8004", "port: 80", "the frontend port `80` is already one of service `base`", None);
    let outside = "port: 8004, expose: true, tls_port: 80";
    heat("port: 8004", outside, "the port for TLS `80` is already one of service `base`", None);
}

#[test]
fn scenarios_and_releases_are_checked() {
    let scenario = "scenarios/small.yml";
    refused(
        scenario,
        "heat_engine: 1",
        "heat_engin: 1",
        "no container kind `heat_engin`",
        Some("did you mean `heat_engine`?"),
    );
    refused(
        scenario,
        "balancer: 1",
        "balancer: 0",
        "service `heat` needs `base`, which has no member here",
        None,
    );
    refused(
        scenario,
        "debug: true",
        "debgu: true",
        "no variable `debgu`",
        Some("did you mean `debug`?"),
    );
    refused(scenario, "debug: true", "debug: 1", "must be true or false, not a whole number", None);
    refused(
        "releases/r1.yml",
        "heat/plain.conf",
        "heat/plan.conf",
        "no template `heat/plan.conf`",
        Some("did you mean `heat/plain.conf`?"),
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    let error = checked("services/heat.yml", "template: heat/", "template: haet/").unwrap_err();
    assert_eq!(error.message, "the profiles have 2 mistakes");
    assert!(error.causes[0].contains("(did you mean `heat/heat.conf`?)"), "{error:?}");
}

#[test]
fn listeners() {
    heat(
        "from: [heat_engine,",
        "from: [heat_engin,",
        "there is no container kind `heat_engin`",
        Some("did you mean `heat_engine`?"),
    );
    heat("from: [heat_engine, everyone]", "from: []", "lets nobody in at port 5672", None);
    heat("[5672, 6800-7300]", "[5672, 5672]", "the tcp port 5672 twice", None);
    heat("[5672, 6800-7300]", "[]", "listens on no port", None);
    heat("client_of: [heat_engine]", "client_of: [balancer]", "which has no `listens`", None);
    heat(
        "suites:\n",
        "guests_reach: [bas]\nsuites:\n",
        "there is no frontend `bas`",
        Some("did you mean `base`?"),
    );
}
