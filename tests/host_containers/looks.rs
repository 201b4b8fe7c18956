//! What looks at a checkout, seen from outside while it hangs.

use std::io::Write;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aio::for_tests::{Job, Lent, Look, Order, Question, Sandbox, confined};

use crate::bench::sh;

const OWNER: u32 = 64_999;

#[test]
fn a_look_at_a_checkout_is_alone_among_processes() {
    let place = tempfile::tempdir().unwrap();
    let path = std::fs::canonicalize(place.path()).unwrap();
    let at = path.display();
    // Whoever opens the pipe waits for what never comes.
    sh(&format!("git init -q '{at}'; cd '{at}/.git'; rm config; mkfifo config"));
    sh(&format!("chown -R {OWNER}:{OWNER} '{at}'"));
    chown(&path, Some(OWNER), Some(OWNER)).unwrap();
    let lent = Lent { source: path.clone(), target: path.clone(), owner: OWNER, writable: false };
    let sandbox = Sandbox {
        user: Some((OWNER, OWNER)),
        lent: vec![lent],
        memory: 16 << 30,
        ..Sandbox::default()
    };
    let look = Look { path, question: Question::State };
    let order = Order { sandbox, job: Job::Answer(serde_json::to_value(look).unwrap()) };
    let mut child = Command::new(env!("CARGO_BIN_EXE_aio"))
        .arg(confined::COMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(&order).unwrap()).unwrap();
    let process = PathBuf::from(format!("/proc/{}", child.id()));
    let looks = hanging(&process);
    let number = std::fs::read_to_string(looks.join("status")).unwrap();
    let numbers = number.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
    let users = number.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    let alone = numbers.split_whitespace().next_back() == Some("1");
    let without_rights = users.split_whitespace().all(|user| user == OWNER.to_string());
    // It ends with who asked.
    child.kill().unwrap();
    child.wait().unwrap();
    let left = outlives(&looks, Duration::from_secs(1));
    assert!(alone, "its numbers are {numbers}");
    assert!(without_rights, "its users are {users}");
    assert!(!left, "{} is left", looks.display());
}

/// The process of these that waits for the pipe: the asked one, or its child.
fn hanging(asked: &Path) -> PathBuf {
    let waits = |process: &Path| {
        std::fs::read_to_string(process.join("wchan"))
            .is_ok_and(|it| it.contains("wait_for_partner"))
    };
    let number = asked.file_name().unwrap().to_str().unwrap().to_owned();
    let children = asked.join("task").join(number).join("children");
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(50));
        let found = std::fs::read_to_string(&children).unwrap_or_default();
        let of_it = found.split_whitespace().map(|child| Path::new("/proc").join(child));
        if let Some(process) = of_it.chain([asked.to_owned()]).find(|it| waits(it)) {
            return process;
        }
    }
    panic!("nothing waits for the pipe");
}

/// Whether a process still runs after that time.
fn outlives(process: &Path, limit: Duration) -> bool {
    let began = Instant::now();
    // Who adopted it may take a while to hear of its end.
    let runs = || {
        let status = std::fs::read_to_string(process.join("status"));
        status.is_ok_and(|it| !it.contains("State:\tZ"))
    };
    while runs() {
        if began.elapsed() > limit {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
