use super::*;
use crate::config::profile::Probe;
use crate::host::fake::containers::FakeContainers;
use crate::host::fake::empty;
use crate::host::fake::sql::FakeSql;
use crate::host::{Containers, Host};
use crate::model::command::Output;
use crate::model::file::ContainerFile;
use crate::render::testing;

const CLUSTER: &str = "
unit: db.service
speech: {file: /etc/speech, running: /run/speech}
form_timeout_secs: 1
position: echo position
promote: systemctl start db.service
size: {from: sql, query: size}
";

struct Fixture {
    containers: Arc<FakeContainers>,
    context: StepContext,
    heard: Arc<std::sync::Mutex<Vec<String>>>,
}

/// Three members that run, each of which sees the others, and what is run in them.
async fn fixture() -> Fixture {
    let containers = Arc::new(FakeContainers::default());
    let sql = FakeSql::default();
    sql.answer("size", &[&["3"]]);
    let host =
        Host { containers: Arc::clone(&containers) as Arc<_>, sql: Arc::new(sql), ..empty() };
    let context = StepContext::silent(Arc::new(host));
    for member in form().members {
        containers.define(&member).await.unwrap();
        containers.start(&member.name).await.unwrap();
        containers.set_active(&member.name, "db.service", true);
    }
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    containers.answer(move |name, command| {
        let script = command.argv.last().unwrap();
        ear.lock().unwrap().push(format!("{name}: {script}"));
        let position = script.contains("position");
        position.then(|| Output { stdout: b"7\n".to_vec(), ..Output::default() })
    });
    Fixture { containers, context, heard }
}

fn form() -> Form {
    let mut cloud = testing::cloud(&testing::profiles(&[]));
    for container in &mut cloud.containers {
        container.units = vec!["db.service".to_owned()];
    }
    let cluster: Cluster = serde_yaml::from_str(CLUSTER).unwrap();
    let unit = serde_yaml::from_str("{name: db.service, start: cluster}").unwrap();
    Form {
        members: cloud.members("galera").cloned().collect(),
        cluster,
        unit,
        site: Arc::new(Site::new(cloud, testing::secrets())),
    }
}

async fn files_changed(context: &StepContext, form: &Form) {
    for member in &form.members {
        let pending = Pending { restarts: vec!["db.service".to_owned()], scripts: Vec::new() };
        pending.save(context, &member.name).await.unwrap();
    }
}

impl Fixture {
    /// What the step ran since the last time this was asked: commands in order.
    async fn act(&self, form: &Form) -> Vec<&'static str> {
        self.heard.lock().unwrap().clear();
        form.act(&self.context).await.unwrap();
        let heard = self.heard.lock().unwrap();
        let kinds = ["systemctl stop", "position", "systemctl start", "systemctl restart"];
        let kind = |line: &String| kinds.into_iter().find(|kind| line.contains(kind));
        heard.iter().filter_map(kind).collect()
    }
}

#[tokio::test]
async fn members_whose_files_changed_are_restarted_one_at_a_time() {
    let fixture = fixture().await;
    let form = form();
    files_changed(&fixture.context, &form).await;
    assert_eq!(fixture.act(&form).await, ["systemctl restart"; 3]);
    assert_eq!(form.observe(&fixture.context).await.unwrap(), Observation::Right);
}

#[tokio::test]
async fn members_that_are_to_speak_otherwise_are_stopped_together_and_once() {
    let fixture = fixture().await;
    let form = form();
    let Fixture { containers, context, .. } = &fixture;
    for speech in ["# by this\ntls 7\n", "# in clear\n"] {
        for (index, member) in form.members.iter().enumerate() {
            containers.write_files(&member.name, &[file("/etc/speech", speech)]).await.unwrap();
            // As it is while files are written, or after only one container was made anew.
            if index == 0 {
                let error = form.act(context).await.unwrap_err();
                assert!(error.to_string().contains("in different ways"), "{error}");
            }
        }
        files_changed(context, &form).await;
        assert!(matches!(form.observe(context).await.unwrap(), Observation::Wrong(_)));
        let acts = fixture.act(&form).await;
        assert_eq!(acts[..3], ["systemctl stop"; 3], "{acts:?}");
        assert!(!acts.contains(&"systemctl restart"), "{acts:?}");
        for member in &form.members {
            let units = form.unit_list();
            // As the unit does.
            containers.write_files(&member.name, &[file("/run/speech", speech)]).await.unwrap();
            assert_eq!(containers.active_units(&member.name, &units).await.unwrap(), [true]);
        }
        assert_eq!(form.observe(context).await.unwrap(), Observation::Right);
        files_changed(context, &form).await;
        assert_eq!(fixture.act(&form).await, ["systemctl restart"; 3]);
    }
}

/// As after a full disk: one came to nothing when it started, the others wait for it.
#[tokio::test]
async fn where_nobody_serves_whoever_runs_is_stopped_and_all_start_together() {
    let Fixture { containers, context, .. } = fixture().await;
    let mut form = form();
    let mut site = Site::new(form.site.cloud.clone(), testing::secrets());
    for member in &form.members {
        let probe = Probe::Run { script: "well".to_owned() };
        site.cloud.health.insert(member.name.clone(), vec![probe]);
    }
    form.site = Arc::new(site);
    for member in &form.members[1..] {
        containers.set_active(&member.name, "db.service", false);
    }
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    containers.answer(move |name, command| {
        let script = command.argv.last().unwrap();
        let mut heard = ear.lock().unwrap();
        heard.push(format!("{name}: {script}"));
        let stopped = heard.iter().any(|line| line.contains("systemctl stop"));
        (script == "well").then(|| Output { status: i32::from(!stopped), ..Output::default() })
    });
    form.act(&context).await.unwrap();
    let heard = heard.lock().unwrap();
    let of = |verb: &str| heard.iter().filter(|line| line.contains(verb)).count();
    assert_eq!((of("systemctl stop"), of("systemctl start")), (3, 2 + 3), "{heard:#?}");
}

fn file(path: &str, content: &str) -> ContainerFile {
    ContainerFile {
        path: path.to_owned(),
        owner: "root:root".to_owned(),
        mode: 0o644,
        content: content.as_bytes().to_vec(),
    }
}
