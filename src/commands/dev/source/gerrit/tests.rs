use serde_json::json;

use super::needed::{Needed, Why};
use super::testing::{FakeGerrit, info};
use super::*;
use crate::error::ErrorKind;

const NOVA: &str = "openstack/nova";
const NEUTRON: &str = "openstack/neutron";
const GLANCE: &str = "openstack/glance";

/// The changes that are to be fetched, as `PROJECT NUMBER/PS`, with those below as `< NUMBER/PS`.
fn shown(found: &Dependencies) -> Vec<String> {
    let below = |needed: &Needed| {
        needed.below.iter().map(|it| format!(" < {}", it.change)).collect::<String>()
    };
    let changes = found.changes.iter();
    changes.map(|it| format!("{} {}{}", it.project, it.change, below(it))).collect()
}

fn why(needed: &Needed) -> Vec<String> {
    needed.why.iter().map(ToString::to_string).collect()
}

/// The sentence of an error that is a user's to mend.
fn refused(found: Result<Dependencies>) -> String {
    let error = found.unwrap_err();
    assert!(error.kind == ErrorKind::Usage && !error.hints.is_empty(), "{error:?}");
    error.to_string()
}

#[test]
fn a_change_by_itself_needs_itself() {
    let gerrit = FakeGerrit::start("");
    gerrit.change(11, NOVA, "NEW", &[]);
    let found = gerrit.find("11").unwrap();
    let expected = Needed {
        project: NOVA.to_owned(),
        change: Change { number: 11, patch_set: Some(1) },
        branch: "master".to_owned(),
        subject: "Change 11".to_owned(),
        from: format!("{}/{NOVA}", gerrit.url),
        why: vec![Why::Asked],
        below: Vec::new(),
    };
    assert_eq!(found, Dependencies { changes: vec![expected], notes: Vec::new() });
    let requests = gerrit.requests().join("").to_lowercase();
    assert!(!requests.contains("authorization:") && !requests.contains("cookie:"), "{requests}");
}

#[test]
fn a_stack_is_one_change_that_tells_those_below() {
    let gerrit = FakeGerrit::start("");
    let stack = [((14, 1), &[][..]), ((13, 2), &[]), ((12, 1), &[]), ((11, 5), &[])];
    gerrit.stack(NOVA, &stack);
    let found = gerrit.find("13").unwrap();
    assert_eq!(shown(&found), ["openstack/nova 13/2 < 12/1 < 11/5"]);
    assert_eq!(found.changes[0].below[1].subject, "Change 11");
    // The lowest is on the branch, and what is below it is not looked at.
    gerrit.related((13, 2), &[(14, 1), (13, 2), (12, 1), (11, 5)], "MERGED");
    assert_eq!(shown(&gerrit.find("13").unwrap()), ["openstack/nova 13/2 < 12/1"]);
    gerrit.related((13, 2), &[(14, 1), (13, 2), (12, 1), (11, 5)], "ABANDONED");
    assert!(gerrit.find("13").unwrap().changes[0].below[1].is_abandoned);
}

#[test]
fn what_is_asked_for_is_the_patch_set_that_is_named_or_the_newest() {
    let gerrit = FakeGerrit::start("");
    gerrit.info(11, 3, NOVA, "NEW");
    gerrit.patch_set((11, 2), None, &[]);
    gerrit.patch_set((11, 3), None, &["BASE/21/1"]);
    gerrit.info(21, 4, NEUTRON, "NEW");
    gerrit.patch_set((21, 4), None, &[]);
    let found = gerrit.find("11").unwrap();
    assert_eq!(shown(&found), ["openstack/nova 11/3", "openstack/neutron 21/4"]);
    assert_eq!(shown(&gerrit.find("11/2").unwrap()), ["openstack/nova 11/2"]);
    assert!(refused(gerrit.find("11/9")).contains("no such change or patch set"));
}

#[test]
fn footers_lead_to_other_projects_and_on_from_there() {
    let gerrit = FakeGerrit::start("");
    let lower: &[&str] = &["BASE/c/openstack/neutron/+/21"];
    gerrit.stack(NOVA, &[((12, 1), &["BASE/31"]), ((11, 1), lower)]);
    gerrit.change(21, NEUTRON, "NEW", &["BASE/#/c/41/"]);
    gerrit.change(31, GLANCE, "NEW", &["BASE/41"]);
    gerrit.change(41, "openstack/oslo.messaging", "NEW", &[]);
    let found = gerrit.find("12").unwrap();
    let expected = [
        "openstack/nova 12/1 < 11/1",
        "openstack/glance 31/1",
        "openstack/oslo.messaging 41/1",
        "openstack/neutron 21/1",
    ];
    assert_eq!(shown(&found), expected);
    assert_eq!(why(&found.changes[3]), ["Depends-On of 11 (openstack/nova)"]);
    let both = ["Depends-On of 31 (openstack/glance)", "Depends-On of 21 (openstack/neutron)"];
    assert_eq!(why(&found.changes[2]), both);
    assert_eq!(found.changes[3].from, format!("{}/{NEUTRON}", gerrit.url));
    assert_eq!(found.notes, [""; 0]);
}

#[test]
fn a_change_id_means_all_open_changes_with_it_or_those_of_the_same_branch() {
    let gerrit = FakeGerrit::start("");
    let id = format!("I{:040x}", 7);
    gerrit.change(11, NOVA, "NEW", &[&id]);
    gerrit.change(21, NEUTRON, "NEW", &[]);
    gerrit.change(31, GLANCE, "NEW", &[]);
    let near = info(21, 1, NEUTRON, "master", "NEW");
    let far = info(31, 1, GLANCE, "stable/2026.2", "NEW");
    gerrit.with_id(&id, &[far.clone(), near.clone()]);
    let found = gerrit.find("11").unwrap();
    assert_eq!(shown(&found), ["openstack/nova 11/1", "openstack/neutron 21/1"]);
    gerrit.with_id(&id, &[info(51, 1, NOVA, "master", "ABANDONED"), near]);
    assert_eq!(shown(&gerrit.find("11").unwrap()).len(), 2);
    gerrit.with_id(&id, &[far]);
    assert_eq!(gerrit.find("11").unwrap().changes[1].branch, "stable/2026.2");
    gerrit.with_id(&id, &[]);
    assert!(refused(gerrit.find("11")).contains(&id));
}

#[test]
fn what_is_merged_is_left_out_and_what_is_abandoned_stops() {
    let gerrit = FakeGerrit::start("");
    gerrit.change(11, NOVA, "NEW", &["BASE/21", "BASE/22"]);
    gerrit.change(21, NEUTRON, "MERGED", &["BASE/99"]);
    gerrit.change(22, GLANCE, "NEW", &["BASE/21"]);
    let found = gerrit.find("11").unwrap();
    assert_eq!(shown(&found), ["openstack/nova 11/1", "openstack/glance 22/1"]);
    let note = "21 (openstack/neutron) is left out: it is merged into `master` (Depends-On of 11 \
                (openstack/nova)).";
    assert_eq!(found.notes, [note]);
    gerrit.change(21, NEUTRON, "ABANDONED", &[]);
    let error = refused(gerrit.find("11"));
    assert!(error.contains("11 depends on 21 (openstack/neutron), which is abandoned"), "{error}");
    // The one that was asked for is whatever it is.
    assert_eq!(
        gerrit.find_from(&format!("{}/{NEUTRON}", gerrit.url), "21").unwrap().notes.len(),
        1
    );
}

#[test]
fn a_circle_is_told_and_comes_to_an_end() {
    let gerrit = FakeGerrit::start("");
    gerrit.stack(NOVA, &[((12, 1), &["BASE/21"]), ((11, 1), &["BASE/12"])]);
    gerrit.change(21, NEUTRON, "NEW", &["BASE/31", "BASE/21"]);
    gerrit.change(31, GLANCE, "NEW", &["BASE/12", "BASE/21"]);
    let found = gerrit.find("12").unwrap();
    let expected =
        ["openstack/nova 12/1 < 11/1", "openstack/neutron 21/1", "openstack/glance 31/1"];
    assert_eq!(shown(&found), expected);
    let circles = ["12 → 21 → 31 → 12", "21 → 31 → 21", "12 → 11 → 12"];
    let circles = circles.map(|circle| format!("These depend on one another: {circle}."));
    assert_eq!(found.notes, circles);
}

#[test]
fn changes_of_one_stack_are_the_topmost() {
    let gerrit = FakeGerrit::start("");
    gerrit.change(11, NOVA, "NEW", &["BASE/21", "BASE/23"]);
    gerrit.stack(NEUTRON, &[((23, 1), &[][..]), ((22, 1), &[]), ((21, 1), &["BASE/31"])]);
    gerrit.change(31, GLANCE, "NEW", &["BASE/22"]);
    let found = gerrit.find("11").unwrap();
    let expected =
        ["openstack/nova 11/1", "openstack/neutron 23/1 < 22/1 < 21/1", "openstack/glance 31/1"];
    assert_eq!(shown(&found), expected);
    let below = &found.changes[1].below;
    assert_eq!(below[0].why[0].to_string(), "Depends-On of 31 (openstack/glance)");
    assert_eq!(below[1].why[0].to_string(), "Depends-On of 11 (openstack/nova)");
    // That which was asked for may be the one below.
    gerrit.stack(NOVA, &[((12, 1), &[][..]), ((11, 1), &["BASE/41"])]);
    gerrit.change(41, GLANCE, "NEW", &["BASE/12"]);
    let found = gerrit.find("11").unwrap();
    assert_eq!(shown(&found), ["openstack/nova 12/1 < 11/1", "openstack/glance 41/1"]);
    assert_eq!(found.changes[0].below[0].why, [Why::Asked]);
}

#[test]
fn an_older_patch_set_in_a_stack_will_do_unless_the_other_was_asked_for() {
    let gerrit = FakeGerrit::start("");
    gerrit.change(11, NOVA, "NEW", &["BASE/22", "BASE/21"]);
    gerrit.stack(NEUTRON, &[((22, 1), &[][..]), ((21, 1), &[])]);
    gerrit.info(21, 2, NEUTRON, "NEW");
    gerrit.patch_set((21, 2), None, &[]);
    let found = gerrit.find("11").unwrap();
    assert_eq!(shown(&found)[1], "openstack/neutron 22/1 < 21/1");
    gerrit.patch_set((21, 2), None, &["BASE/31"]);
    gerrit.change(31, GLANCE, "NEW", &["BASE/22"]);
    let error = refused(gerrit.find_from(&format!("{}/{NEUTRON}", gerrit.url), "21"));
    assert!(error.contains("21/2 for `master` (asked for) and 22/1"), "{error}");
}

#[test]
fn two_of_one_project_that_do_not_go_together_are_named() {
    let gerrit = FakeGerrit::start("");
    gerrit.change(11, NOVA, "NEW", &["BASE/21", "BASE/31"]);
    gerrit.change(21, NEUTRON, "NEW", &[]);
    gerrit.change(31, GLANCE, "NEW", &["BASE/22"]);
    gerrit.change(22, NEUTRON, "NEW", &[]);
    let error = refused(gerrit.find("11"));
    let two = "two changes of openstack/neutron are needed, and neither contains the other: 21/1 \
               for `master` (Depends-On of 11 (openstack/nova)) and 22/1 for `master` (Depends-On of \
               31 (openstack/glance))";
    assert!(error.ends_with(two), "{error}");
}

#[test]
fn another_server_is_not_asked() {
    let (gerrit, other) = (FakeGerrit::start(""), FakeGerrit::start(""));
    let url = format!("{}/21", other.url);
    gerrit.change(11, NOVA, "NEW", &["none yet", &url]);
    let error = refused(gerrit.find("11"));
    let said = format!("11 says `Depends-On: {url}`, which cannot be followed");
    assert!(error.contains(&said), "{error}");
    gerrit.text("/changes/11?o=CURRENT_REVISION", 302, &format!("Location: {url}\r\n"), "");
    let error = gerrit.find("11").unwrap_err().to_string();
    assert!(error.contains("leads to another server"), "{error}");
    assert_eq!(other.requests(), [""; 0]);
    gerrit.change(11, NOVA, "NEW", &["none yet"]);
    let found = gerrit.find("11").unwrap();
    assert_eq!(found.notes, ["11 says `Depends-On: none yet`, which names no change."]);
}

#[test]
fn a_redirect_on_the_server_is_followed_and_not_for_ever() {
    let gerrit = FakeGerrit::start("");
    let path = "/changes/11?o=CURRENT_REVISION";
    gerrit.change(11, NOVA, "NEW", &[]);
    gerrit.text(path, 301, "Location: /elsewhere\r\n", "");
    gerrit.json("/elsewhere", &info(11, 1, NOVA, "master", "NEW"));
    assert_eq!(shown(&gerrit.find("11").unwrap()), ["openstack/nova 11/1"]);
    gerrit.text("/elsewhere", 301, &format!("Location: {}{path}\r\n", gerrit.url), "");
    let error = gerrit.find("11").unwrap_err().to_string();
    assert!(error.contains("without an end"), "{error}");
}

#[test]
fn a_server_in_a_directory_is_found_and_its_changes_are_there() {
    let gerrit = FakeGerrit::start("/gerrit");
    gerrit.change(11, NOVA, "NEW", &["BASE/c/openstack/neutron/+/21"]);
    gerrit.change(21, NEUTRON, "NEW", &[]);
    for form in ["/a/openstack/nova", "/openstack/nova.git", "/openstack/nova/"] {
        let from = format!("{}{form}", gerrit.url);
        let found = gerrit.find_from(&from, "11").unwrap();
        assert_eq!(found.changes[0].from, from);
        assert_eq!(found.changes[1].from, format!("{}/{NEUTRON}", gerrit.url));
    }
}

#[test]
fn a_work_tree_leads_to_its_review_server() {
    use crate::commands::dev::source::testing::{git, open_directory, repository};
    let gerrit = FakeGerrit::start("");
    gerrit.change(11, NOVA, "NEW", &[]);
    let place = open_directory();
    let tree = place.path().join("nova");
    repository(&tree, &[("a.py", "")]);
    let from = tree.to_str().unwrap();
    assert!(refused(gerrit.find_from(from, "11")).contains("no http, https or ssh address"));
    git(&tree, &["remote", "add", "origin", "/srv/git/nova"]);
    git(&tree, &["remote", "add", "gerrit", &format!("{}/openstack/nova", gerrit.url)]);
    let found = gerrit.find_from(from, "11").unwrap();
    assert_eq!(found.changes[0].from, from);
}

#[test]
fn what_is_not_there_is_said() {
    let gerrit = FakeGerrit::start("");
    let error = refused(gerrit.find("11"));
    assert!(error.starts_with("find what change 11 depends on: "), "{error}");
    gerrit.change(11, NOVA, "NEW", &["BASE/21"]);
    let error = refused(gerrit.find("11"));
    assert!(error.contains("Depends-On of 11 (openstack/nova)"), "{error}");
    assert!(error.contains("21"), "{error}");
    let other = format!("{}/{GLANCE}", gerrit.url);
    let error = refused(gerrit.find_from(&other, "11"));
    assert!(error.contains("it is one of openstack/nova, not of openstack/glance"), "{error}");
    gerrit.text("/config/server/version", 200, "", "<html>");
    let error = refused(gerrit.find("11"));
    assert!(error.contains("no Gerrit answers at http://127.0.0.1"), "{error}");
}

#[test]
fn an_answer_that_is_not_gerrits_is_an_error() {
    let gerrit = FakeGerrit::start("");
    let path = "/changes/11?o=CURRENT_REVISION";
    let said = |body: &str| {
        gerrit.text(path, 200, "", body);
        let error = gerrit.find("11").unwrap_err();
        assert!(error.message.ends_with("about change 11"), "{error}");
        error.causes.join(": ")
    };
    assert!(said("{}").contains("does not begin with )]}'"));
    assert!(said(")]}'\n{\"project\": ").contains("not as Gerrit's are"));
    assert!(said(&format!(")]}}'\n{}", "[".repeat(100_000))).contains("not as Gerrit's are"));
    assert!(said(&format!(")]}}'\n{}", " ".repeat(5 << 20))).contains("more than 4 MiB"));
    let odd = |project, number| format!(")]}}'\n{}", info(number, 1, project, "master", "NEW"));
    assert!(said(&odd("../nova\u{1b}", 11)).contains("`../nova\u{fffd}` is no name of a project"));
    assert!(said(&odd(NOVA, 12)).contains("it answered with change 12"));
    for (status, reason) in [(403, "those who sign in"), (503, "HTTP status 503")] {
        gerrit.text(path, status, "", "");
        let error = gerrit.find("11").unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    gerrit.raw(path, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n)]}'");
    assert!(gerrit.find("11").unwrap_err().causes[0].contains("broke off"));
}

#[test]
fn a_server_that_is_not_reached_is_told_with_how_it_was_tried() {
    let gerrit = FakeGerrit::start("");
    let error = gerrit.find_from("http://127.0.0.1:1/openstack/nova", "11").unwrap_err();
    assert!(error.hints[0].contains("curl http://127.0.0.1:1/config/server/version"), "{error:?}");
}

#[test]
fn nobody_leads_on_without_an_end() {
    let gerrit = FakeGerrit::start("");
    for number in 1..=120 {
        let next = format!("BASE/{}", number + 1);
        gerrit.change(number, &format!("p/{number}"), "NEW", &[&next]);
    }
    let error = refused(gerrit.find_from(&format!("{}/p/1", gerrit.url), "1"));
    assert!(error.contains("more than 100 changes"), "{error}");
    // Nor in a stack that is no stack.
    gerrit.change(11, NOVA, "NEW", &[]);
    gerrit.patch_set((11, 1), Some((12, 1)), &[]);
    gerrit.patch_set((12, 1), Some((11, 1)), &[]);
    gerrit.related((11, 1), &[(12, 1), (11, 1), (12, 1)], "NEW");
    assert_eq!(shown(&gerrit.find("11").unwrap()), ["openstack/nova 11/1 < 12/1"]);
}

#[test]
fn who_waits_no_longer_is_not_kept() {
    let gerrit = FakeGerrit::start("");
    let mut watch = Watch { progress: &mut |_| {}, cancelled: &|| true };
    let change = Change { number: 11, patch_set: None };
    let from = format!("{}/{NOVA}", gerrit.url);
    let error = find(&from, change, &Network::of(&[]), &mut watch).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Interrupted);
    assert_eq!(gerrit.requests(), [""; 0]);
}

#[test]
fn what_a_stranger_wrote_moves_no_cursor() {
    let gerrit = FakeGerrit::start("");
    gerrit.change(11, NOVA, "NEW", &[]);
    let commit = json!({ "commit": "1", "subject": "a\u{1b}[2J", "message": "a\u{1b}[2J\n" });
    gerrit.json("/changes/11/revisions/1/commit", &commit);
    assert_eq!(gerrit.find("11").unwrap().changes[0].subject, "a\u{fffd}[2J");
}
