use crate::engine::event::Resource;
use crate::engine::interrupt::Interrupt;
use crate::engine::options::Slots;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;

use super::*;
use crate::engine::event::{Event, Outcome, Phase};
use crate::engine::key::StepKey;
use crate::engine::step::{Action, Observation, Step, StepContext};
use crate::error::{Error, ErrorKind, Result};
use crate::host::fake::empty;

/// What toy steps change and what is seen of them.
#[derive(Default)]
struct World {
    done: Mutex<BTreeSet<String>>,
    looks: Mutex<BTreeMap<String, usize>>,
    acted: Mutex<Vec<String>>,
    active: Mutex<BTreeMap<Resource, (usize, usize)>>,
}

impl World {
    fn acted(&self) -> Vec<String> {
        std::mem::take(&mut self.acted.lock().unwrap())
    }

    fn is_done(&self, key: &str) -> bool {
        self.done.lock().unwrap().contains(key)
    }

    /// How often a step has looked since the last question.
    fn looks(&self, key: &str) -> usize {
        self.looks.lock().unwrap().remove(key).unwrap_or_default()
    }

    fn enter(&self, resource: Resource) {
        let mut active = self.active.lock().unwrap();
        let (now, most) = active.entry(resource).or_default();
        *now += 1;
        *most = (*most).max(*now);
    }

    fn leave(&self, resource: Resource) {
        self.active.lock().unwrap().entry(resource).or_default().0 -= 1;
    }
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Mood {
    #[default]
    Well,
    FailsToObserve,
    FailsToAct,
    DoesNothing,
    Panics,
    Skips,
    LooksEarly,
    /// Acts until it is cancelled, then says so.
    WaitsForCancel,
    /// Never ends by itself and holds a child process.
    Stuck,
}

struct Toy {
    world: Arc<World>,
    resource: Resource,
    takes: Duration,
    mood: Mood,
}

#[async_trait]
impl Action for Toy {
    async fn observe(&self, context: &StepContext) -> Result<Observation> {
        tokio::task::yield_now().await;
        *self.world.looks.lock().unwrap().entry(context.key.to_string()).or_default() += 1;
        match self.mood {
            Mood::FailsToObserve => Err(Error::failed("cannot look")),
            Mood::Skips => Ok(Observation::Skip("not on this host".to_owned())),
            _ if self.world.is_done(&context.key.to_string()) => Ok(Observation::Right),
            _ => Ok(Observation::Wrong("absent".to_owned())),
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn looks_early(&self) -> bool {
        self.mood == Mood::LooksEarly
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        self.world.acted.lock().unwrap().push(context.key.to_string());
        self.world.enter(self.resource);
        tokio::time::sleep(self.takes).await;
        self.world.leave(self.resource);
        match self.mood {
            Mood::FailsToAct => {
                for number in 1..=30 {
                    context.output(format!("line {number}"));
                }
                return Err(Error::failed("cannot do it").hint("Try less."));
            }
            Mood::Panics => panic!("a bug"),
            Mood::DoesNothing => return Ok(()),
            Mood::WaitsForCancel => {
                context.cancel.cancelled().await;
                return Err(Error::failed("killed by signal 15"));
            }
            Mood::Stuck => {
                let mut sleep = tokio::process::Command::new("sleep").arg("600").spawn().unwrap();
                context.output(format!("child {}", sleep.id().unwrap()));
                let _ = sleep.wait().await;
                std::future::pending::<()>().await;
            }
            _ => {}
        }
        self.world.done.lock().unwrap().insert(context.key.to_string());
        Ok(())
    }
}

#[derive(Default)]
struct Plan {
    world: Arc<World>,
    steps: Vec<Step>,
}

impl Plan {
    fn step(self, key: &str, needs: &[&str]) -> Self {
        self.detailed(key, needs, Resource::Light, 1, Mood::Well)
    }

    fn moody(self, key: &str, needs: &[&str], mood: Mood) -> Self {
        self.detailed(key, needs, Resource::Light, 1, mood)
    }

    fn detailed(mut self, key: &str, needs: &[&str], on: Resource, ms: u64, mood: Mood) -> Self {
        let takes = Duration::from_millis(ms);
        let action = Toy { world: Arc::clone(&self.world), resource: on, takes, mood };
        self.steps.push(Step {
            key: StepKey::new(key),
            title: format!("make {key}"),
            phase: Phase::Services,
            resource: on,
            needs: needs.iter().map(|need| StepKey::new(*need)).collect(),
            estimate_ms: ms,
            action: Arc::new(action),
        });
        self
    }

    fn graph(self) -> (Graph, Arc<World>) {
        (Graph::new(self.steps).unwrap(), self.world)
    }
}

/// Keeps every event, and cancels when it hears a certain one.
#[derive(Clone, Default)]
struct Ear {
    heard: Arc<Mutex<Vec<Event>>>,
    cancel_at: Option<(String, Interrupt)>,
    kill_at_cancel: bool,
}

impl Listener for Ear {
    fn hear(&mut self, event: &Event, _: Duration) {
        self.heard.lock().unwrap().push(event.clone());
        let Some((trigger, interrupt)) = &self.cancel_at else { return };
        match event {
            Event::Output { line, .. } if line.starts_with(trigger.as_str()) => {
                interrupt.cancel.cancel();
            }
            Event::StepActing { key, .. } if key.to_string() == *trigger => {
                interrupt.cancel.cancel()
            }
            Event::Cancelling { .. } if self.kill_at_cancel => interrupt.kill.cancel(),
            _ => {}
        }
    }
}

fn options() -> RunOptions {
    RunOptions {
        command: "bootstrap".to_owned(),
        slots: Slots { package: 1, download: 2, start: 3, load: 1 },
        ..RunOptions::default()
    }
}

async fn go(graph: &Graph, options: RunOptions) -> Report {
    run(graph, Arc::new(empty()), options, Vec::new()).await
}

fn outcome<'a>(report: &'a Report, key: &str) -> &'a Outcome {
    &report.steps.iter().find(|step| step.key.to_string() == key).unwrap().outcome
}

fn pending(report: &Report, key: &str) -> String {
    match outcome(report, key) {
        Outcome::Pending { reason } => reason.clone(),
        other => panic!("{key} is {other:?}"),
    }
}

#[tokio::test]
async fn acts_in_order_and_changes_nothing_the_second_time() {
    let (graph, world) = Plan::default().step("c", &["b"]).step("b", &["a"]).step("a", &[]).graph();
    let report = go(&graph, options()).await;
    assert_eq!(world.acted(), ["a", "b", "c"]);
    assert_eq!((report.summary.changed, report.summary.unchanged), (3, 0));
    assert!(report.error().is_none());
    assert_eq!(report.steps[0].acted_because.as_deref(), Some("absent"));

    let report = go(&graph, options()).await;
    assert_eq!(world.acted(), [""; 0]);
    assert_eq!((report.summary.changed, report.summary.unchanged), (0, 3));
    assert!(report.steps.iter().all(|step| step.acted.is_none()));
}

#[tokio::test]
async fn an_early_look_counts_while_nothing_was_changed() {
    let plan = Plan::default().step("a", &[]).step("b", &["a"]);
    let (graph, world) = plan.moody("c", &["b"], Mood::LooksEarly).graph();
    go(&graph, options()).await;
    assert_eq!(world.acted(), ["a", "b", "c"]);
    assert_eq!((world.looks("b"), world.looks("c")), (2, 3), "early, in its turn, and afterwards");

    assert_eq!(go(&graph, options()).await.summary.unchanged, 3);
    assert_eq!((world.looks("b"), world.looks("c")), (1, 1));

    // What it builds on is made anew, so what it saw early may be gone.
    world.done.lock().unwrap().remove("a");
    go(&graph, options()).await;
    assert_eq!(world.acted(), ["a"]);
    assert_eq!(world.looks("c"), 2);
}

#[tokio::test]
async fn each_resource_has_its_bound_and_light_has_none() {
    let mut plan = Plan::default();
    for (resource, name) in [
        (Resource::Package, "package"),
        (Resource::Download, "download"),
        (Resource::Start, "start"),
        (Resource::Light, "light"),
    ] {
        for number in 0..8 {
            plan = plan.detailed(&format!("{name}/{number}"), &[], resource, 20, Mood::Well);
        }
    }
    let (graph, world) = plan.graph();
    let report = go(&graph, options()).await;
    assert_eq!(report.summary.changed, 32);
    let most: BTreeMap<Resource, usize> = world
        .active
        .lock()
        .unwrap()
        .iter()
        .map(|(resource, (_, most))| (*resource, *most))
        .collect();
    assert_eq!(most[&Resource::Package], 1);
    assert_eq!(most[&Resource::Download], 2);
    assert_eq!(most[&Resource::Start], 3);
    assert_eq!(most[&Resource::Light], 8);
}

#[tokio::test]
async fn the_longest_chain_goes_first() {
    let package = |plan: Plan, key: &str, needs: &[&str], ms| {
        plan.detailed(key, needs, Resource::Package, ms, Mood::Well)
    };
    // The one slot is taken until the others wait for it.
    let plan = package(Plan::default(), "blocker", &[], 100);
    let plan = plan.detailed("gate", &[], Resource::Light, 20, Mood::Well);
    let plan = package(plan, "short", &["gate"], 5);
    let plan = package(plan, "medium", &["gate"], 8);
    let plan = package(plan, "long", &["gate"], 2);
    let (graph, world) = package(plan, "behind long", &["long"], 30).graph();
    go(&graph, options()).await;
    // When `long` frees the slot, what is behind it has not been looked at yet: `medium` is next.
    assert_eq!(world.acted()[2..], ["long", "medium", "behind long", "short"]);
}

#[tokio::test]
async fn a_failure_stops_what_is_behind_it_and_nothing_else() {
    let (graph, world) = Plan::default()
        .moody("bad", &[], Mood::FailsToAct)
        .step("behind", &["bad"])
        .step("far behind", &["behind", "good"])
        .step("good", &[])
        .step("also good", &["good"])
        .graph();
    let report = go(&graph, options()).await;
    let summary = &report.summary;
    assert_eq!((summary.changed, summary.failed, summary.not_run), (2, 1, 2));
    for key in ["behind", "far behind"] {
        let Outcome::NotRun { reason } = outcome(&report, key) else { panic!() };
        assert_eq!(reason, "`make bad` failed");
        assert!(!world.is_done(key));
    }
    let error = report.error().unwrap();
    assert_eq!(error.kind, ErrorKind::Failed);
    assert_eq!(error.to_string(), "make bad: cannot do it");
    let output = error.output.unwrap();
    assert!(output.starts_with("line 11\n") && output.ends_with("\nline 30"), "{output}");
    assert_eq!(error.hints[0], "Try less.");
}

#[tokio::test]
async fn what_is_still_wrong_after_acting_failed() {
    let (graph, _) = Plan::default().moody("a", &[], Mood::DoesNothing).graph();
    let report = go(&graph, options()).await;
    let error = report.error().unwrap();
    assert_eq!(error.to_string(), "make a: it was done, and still after 1 s: absent");
}

#[tokio::test]
async fn a_panic_and_a_failed_look_are_failures_of_their_step_alone() {
    let (graph, _) = Plan::default()
        .moody("panics", &[], Mood::Panics)
        .moody("blind", &[], Mood::FailsToObserve)
        .step("good", &[])
        .graph();
    let report = go(&graph, options()).await;
    assert_eq!((report.summary.failed, report.summary.changed), (2, 1));
    // Whichever failed first leads.
    let error = report.error().unwrap();
    let told = format!("{error}\n{}", error.hints.join("\n"));
    assert!(told.contains("bug of aio") && told.contains("make blind: cannot look"), "{told}");
    assert!(told.contains("Failed too: make "), "{told}");
}

#[tokio::test]
async fn what_is_skipped_counts_as_met() {
    let (graph, _) = Plan::default().moody("a", &[], Mood::Skips).step("b", &["a"]).graph();
    let report = go(&graph, options()).await;
    assert_eq!((report.summary.skipped, report.summary.changed), (1, 1));
}

#[tokio::test]
async fn a_dry_run_only_looks_and_says_what_comes_after_what() {
    let (graph, world) = Plan::default()
        .step("layer", &[])
        .step("container", &["layer"])
        .moody("database", &["container"], Mood::FailsToObserve)
        .step("there", &["layer"])
        .moody("behind what is there", &["there"], Mood::FailsToObserve)
        .step("alone", &[])
        .graph();
    world.done.lock().unwrap().insert("there".to_owned());
    let report = go(&graph, RunOptions { dry_run: true, ..options() }).await;
    assert_eq!(world.acted(), [""; 0]);
    assert_eq!(pending(&report, "layer"), "absent");
    assert_eq!(pending(&report, "container"), "after: make layer");
    assert_eq!(pending(&report, "database"), "after: make container");
    assert_eq!(pending(&report, "behind what is there"), "after: make layer");
    assert_eq!(pending(&report, "alone"), "absent");
    assert_eq!((report.summary.pending, report.summary.unchanged), (5, 1));
    assert!(report.unseen().is_none());
}

#[tokio::test]
async fn a_dry_run_reports_a_look_that_fails_for_no_reason_of_ours() {
    let (graph, _) = Plan::default()
        .moody("blind", &[], Mood::FailsToObserve)
        .step("behind", &["blind"])
        .graph();
    let report = go(&graph, RunOptions { dry_run: true, ..options() }).await;
    assert_eq!((report.summary.failed, report.summary.pending), (1, 1));
    assert_eq!(pending(&report, "behind"), "after: make blind");
    let error = report.unseen().unwrap();
    assert_eq!(error.to_string(), "look at: make blind: cannot look");
    assert_eq!(error.kind.exit_code(), 1);
}

#[tokio::test]
async fn the_first_interrupt_lets_running_steps_end_and_begins_nothing() {
    let interrupt = Interrupt::default();
    let ear = Ear { cancel_at: Some(("waits".to_owned(), interrupt.clone())), ..Ear::default() };
    let heard = Arc::clone(&ear.heard);
    let (graph, world) = Plan::default()
        .detailed("ends well", &[], Resource::Light, 300, Mood::Well)
        // By then the other acts.
        .detailed("gate", &[], Resource::Light, 50, Mood::Well)
        .moody("waits", &["gate"], Mood::WaitsForCancel)
        .step("next", &["ends well"])
        .graph();
    let report =
        run(&graph, Arc::new(empty()), RunOptions { interrupt, ..options() }, vec![Box::new(ear)])
            .await;
    assert!(matches!(outcome(&report, "ends well"), Outcome::Changed));
    assert!(matches!(outcome(&report, "waits"), Outcome::Cancelled));
    assert!(
        matches!(outcome(&report, "next"), Outcome::NotRun { reason } if reason == "interrupted")
    );
    assert!(!world.is_done("next"));
    assert_eq!(report.error().unwrap().kind, ErrorKind::Interrupted);
    let heard = heard.lock().unwrap();
    let running = heard.iter().find_map(|event| match event {
        Event::Cancelling { running } => Some(running.clone()),
        _ => None,
    });
    assert_eq!(running.unwrap(), [StepKey::new("ends well"), StepKey::new("waits")]);
}

/// In a process of its own: all children of the process are killed, those of other tests too.
#[test]
fn the_second_interrupt_ends_a_stuck_step_and_its_children() {
    const ALONE: &str = "AIO_TEST_STUCK";
    if std::env::var_os(ALONE).is_some() {
        return interrupt_a_stuck_step();
    }
    let name = "engine::run::tests::the_second_interrupt_ends_a_stuck_step_and_its_children";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::main]
async fn interrupt_a_stuck_step() {
    let interrupt = Interrupt::default();
    let ear = Ear {
        cancel_at: Some(("child".to_owned(), interrupt.clone())),
        kill_at_cancel: true,
        ..Ear::default()
    };
    let heard = Arc::clone(&ear.heard);
    let (graph, _) = Plan::default().moody("stuck", &[], Mood::Stuck).graph();
    let options = RunOptions { interrupt, ..options() };
    let running = run(&graph, Arc::new(empty()), options, vec![Box::new(ear)]);
    let report = tokio::time::timeout(Duration::from_secs(10), running).await.unwrap();
    assert!(matches!(outcome(&report, "stuck"), Outcome::Cancelled));
    let heard = heard.lock().unwrap();
    let child = heard.iter().find_map(|event| match event {
        Event::Output { line, .. } => line.strip_prefix("child ").map(str::to_owned),
        _ => None,
    });
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.unwrap()));
    assert!(stat.is_err() || stat.unwrap().contains(") Z "), "the child lives on");
}

#[tokio::test]
async fn events_begin_and_end_as_promised_and_every_start_has_its_end() {
    let ear = Ear::default();
    let heard = Arc::clone(&ear.heard);
    let (graph, _) = Plan::default().step("a", &[]).step("b", &["a"]).graph();
    run(&graph, Arc::new(empty()), options(), vec![Box::new(ear)]).await;
    let heard = heard.lock().unwrap();
    let names: Vec<String> = heard
        .iter()
        .map(|event| {
            let value = serde_json::to_value(event).unwrap();
            let key = value["key"].as_str().unwrap_or_default();
            format!("{} {key}", value["event"].as_str().unwrap()).trim_end().to_owned()
        })
        .collect();
    let expected = [
        "run_started",
        "step_started a",
        "step_acting a",
        "step_finished a",
        "step_started b",
        "step_acting b",
        "step_finished b",
        "run_finished",
    ];
    assert_eq!(names, expected);
    let Some(Event::RunFinished(summary)) = heard.last() else { panic!() };
    assert_eq!(summary.changed, 2);
}

#[tokio::test]
async fn measured_durations_and_a_killed_run_are_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let (graph, _) =
        Plan::default().detailed("kind/7/start", &[], Resource::Start, 30, Mood::Well).graph();
    let options = RunOptions {
        journal: Some(directory.path().join("steps.jsonl")),
        durations: Some(directory.path().join("durations.json")),
        ..options()
    };
    let (mut journal, _) =
        super::super::journal::Journal::open(&directory.path().join("steps.jsonl"), "rebuild")
            .unwrap();
    journal.acting(&StepKey::new("kind/7/start"), "stopped").unwrap();
    let report = go(&graph, options.clone()).await;
    assert_eq!(report.warnings, ["the last `aio rebuild` was killed during kind/7/start"]);
    let durations = std::fs::read_to_string(directory.path().join("durations.json")).unwrap();
    let durations: BTreeMap<String, u64> = serde_json::from_str(&durations).unwrap();
    assert!((30..2000).contains(&durations["kind/*/start"]), "{durations:?}");
    assert!(go(&graph, options).await.warnings.is_empty());
}

/// For each step: which of the earlier ones it needs, and whether it fails at first.
fn schemes() -> impl Strategy<Value = Vec<(Vec<usize>, bool)>> {
    proptest::collection::vec((proptest::collection::vec(0_usize..100, 0..4), 0_u8..6), 1..25)
        .prop_map(|raw| {
            raw.into_iter()
                .enumerate()
                .map(|(index, (needs, luck))| {
                    let needs: BTreeSet<usize> = needs
                        .into_iter()
                        .filter(|_| index > 0)
                        .map(|need| need % index.max(1))
                        .collect();
                    (needs.into_iter().collect(), luck == 0)
                })
                .collect()
        })
}

fn plan_of(scheme: &[(Vec<usize>, bool)], world: &Arc<World>, with_failures: bool) -> Graph {
    let resources = [Resource::Light, Resource::Package, Resource::Start, Resource::Load];
    let mut plan = Plan { world: Arc::clone(world), steps: Vec::new() };
    for (index, (needs, fails)) in scheme.iter().enumerate() {
        let needs: Vec<String> = needs.iter().map(ToString::to_string).collect();
        let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
        let mood = if *fails && with_failures { Mood::FailsToAct } else { Mood::Well };
        plan = plan.detailed(&index.to_string(), &needs, resources[index % 4], 0, mood);
    }
    plan.graph().0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_fails_the_rest_is_done_in_order_and_the_next_run_completes_it(scheme in schemes()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let world = Arc::new(World::default());
        // What cannot be reached: failing steps and all behind them.
        let mut lost: BTreeSet<usize> = BTreeSet::new();
        for (index, (needs, fails)) in scheme.iter().enumerate() {
            if *fails || needs.iter().any(|need| lost.contains(need)) {
                lost.insert(index);
            }
        }
        let report = runtime.block_on(go(&plan_of(&scheme, &world, true), options()));
        prop_assert_eq!(report.summary.changed, scheme.len() - lost.len());
        prop_assert_eq!(report.summary.failed + report.summary.not_run, lost.len());
        let acted: Vec<usize> = world.acted().iter().map(|key| key.parse().unwrap()).collect();
        for (position, index) in acted.iter().enumerate() {
            for need in &scheme[*index].0 {
                prop_assert!(acted[..position].contains(need), "{} ran before {}", index, need);
            }
        }

        let whole = plan_of(&scheme, &world, false);
        let report = runtime.block_on(go(&whole, options()));
        prop_assert_eq!(report.summary.changed, lost.len());
        prop_assert_eq!(report.summary.unchanged, scheme.len() - lost.len());
        let report = runtime.block_on(go(&whole, options()));
        prop_assert_eq!(report.summary.unchanged, scheme.len());
    }
}
