//! Commands in containers.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aio::error::ErrorKind;
use aio::host::{Command, Containers, Listen};
use aio::state::topology::Topology;
use tokio_util::sync::CancellationToken;

use crate::bench::{bench, binary, run, sh};

fn command(argv: &[&str]) -> Command {
    Command { argv: argv.iter().map(|&word| word.to_owned()).collect(), ..Command::default() }
}

#[test]
fn commands_tell_their_status_and_keep_their_streams() {
    let bench = bench();
    run(async {
        let container = bench.container("streams");
        bench.up(&container).await;
        let name = &container.name;
        let run = |command| bench.containers.run(name, command);

        assert_eq!(run(Command::shell("exit 7")).await.unwrap().status, 7);
        assert_eq!(run(Command::shell("kill -9 $$")).await.unwrap().status, 128 + 9);
        assert_eq!(run(command(&["no-such-program"])).await.unwrap().status, 127);

        // More than any pipe holds, byte for byte, in both directions.
        let stdin: Vec<u8> = (0..3_000_000_u32).flat_map(|number| number.to_le_bytes()).collect();
        let output = run(Command { stdin: stdin.clone(), ..command(&["cat"]) }).await.unwrap();
        assert!(output.stdout == stdin && output.stderr.is_empty());
        let opened = Command { stdin: b"again".to_vec(), ..command(&["cat", "/dev/stdin"]) };
        assert_eq!(run(opened).await.unwrap().text(), "again");
        let output = run(Command::shell("echo out; echo err >&2")).await.unwrap();
        assert_eq!((output.stdout, output.stderr), (b"out\n".to_vec(), b"err\n".to_vec()));

        // A secret in the environment gets there and is in no argument list.
        let mut secret = Command::shell("echo $SECRET; sleep 1");
        secret.environment.insert("SECRET".to_owned(), "hunter2hunter2".to_owned());
        let look = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            sh("cat /proc/[0-9]*/cmdline 2>/dev/null | grep -c 'hunter2[h]unter2' || true")
        };
        let (output, seen) = tokio::join!(run(secret), look);
        assert_eq!(output.unwrap().text(), "hunter2hunter2\n");
        assert_eq!(seen.trim(), "0");

        // SIGPIPE has its default action, and no descriptor of `aio` leaks in.
        assert_eq!(run(Command::shell("yes | head -1; echo ok")).await.unwrap().text(), "y\nok\n");
        let descriptors = run(command(&["ls", "/proc/self/fd"])).await.unwrap().text();
        assert_eq!(descriptors.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);

        // A daemon that keeps the pipes open does not keep the caller.
        let begun = Instant::now();
        run(Command::shell("sleep 30 & echo started")).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5));
        bench.kill(&container).await;

        let error = run(Command::shell("true")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    });
}

#[test]
fn a_cancelled_command_leaves_no_process() {
    let bench = bench();
    run(async {
        let container = bench.container("cancelled");
        bench.up(&container).await;
        let gone = |what: &'static str| {
            let (bench, container) = (&bench, &container);
            async move {
                let deadline = Instant::now() + Duration::from_secs(6);
                let script = format!("pgrep -f '[s]leep {what}' || true");
                while !bench.sh(container, &script).await.is_empty() {
                    assert!(Instant::now() < deadline, "sleep {what} survived");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        };

        let timeout = Some(Duration::from_millis(300));
        let mut command = Command::shell("sleep 4711 & sleep 4711");
        command.timeout = timeout;
        let error = bench.containers.run(&container.name, command).await.unwrap_err();
        assert!(error.to_string().contains("more than"), "{error}");
        gone("4711").await;

        // Dropping the future is how a step is cancelled; this command ignores the first signal.
        let stubborn = Command::shell("trap '' TERM; while :; do sleep 4712; done");
        let begun = bench.containers.run(&container.name, stubborn);
        assert!(tokio::time::timeout(Duration::from_millis(300), begun).await.is_err());
        gone("4712").await;
        bench.kill(&container).await;
    });
}

#[test]
fn a_followed_command_tells_its_lines_and_cleans_up_when_told_to_end() {
    let bench = bench();
    run(async {
        let container = bench.container("followed");
        bench.up(&container).await;
        let told = Arc::new(Mutex::new(Vec::new()));
        let cancel = CancellationToken::new();
        let listen = {
            let (told, ends) = (Arc::clone(&told), cancel.clone());
            Listen {
                heard: Arc::new(move |_, line| {
                    told.lock().unwrap().push(line.to_owned());
                    if line == "end me" {
                        ends.cancel();
                    }
                }),
                cancel: cancel.clone(),
            }
        };
        let script = |word: &str| Command {
            grace: Some(Duration::from_secs(20)),
            // Longer than a command may take that is merely dropped.
            ..command(&[
                "bash",
                "-c",
                // The last child tells: bash itself may miss a signal while it starts one.
                &format!("trap 'sleep 3; echo clean' EXIT; sh -c 'echo {word}; exec sleep 60'"),
            ])
        };
        let limited = Command { timeout: Some(Duration::from_secs(1)), ..script("begun") };
        let begun = Instant::now();
        let error = bench.containers.follow(&container.name, limited, &listen).await.unwrap_err();
        assert!(error.to_string().contains("more than 1 s"), "{error}");
        let ended = bench.containers.follow(&container.name, script("end me"), &listen).await;
        let error = ended.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Interrupted, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        // Besides, bash may say of what was ended with it that it was.
        told.lock().unwrap().retain(|line| line != "Terminated");
        assert_eq!(*told.lock().unwrap(), ["begun", "clean", "end me", "clean"]);
        bench.kill(&container).await;
    });
}

#[test]
fn the_command_line_attaches_as_quickly_as_stock_tools_and_passes_everything_on() {
    let bench = bench();
    let container = bench.container("cli");
    run(bench.up(&container));
    let mut other = bench.container("cli");
    other.member = 2;
    other.name.replace_range(other.name.len() - 8.., "00000002");
    Topology::new(vec![container.clone(), other]).save(&bench.paths).unwrap();
    let aio = || {
        let mut aio = std::process::Command::new(binary());
        aio.args(["--name", &bench.paths.cloud, "--state-dir"]).arg(&bench.paths.state_dir);
        aio.arg("attach");
        aio
    };
    let status = |argv: &[&str]| aio().args(argv).stderr(Stdio::null()).status().unwrap().code();
    assert_eq!(status(&["cli/1", "--", "sh", "-c", "exit 7"]), Some(7));
    assert_eq!(status(&["cli/1", "--", "sh", "-c", "kill -9 $$"]), Some(137));
    assert_eq!(status(&["cli", "--", "true"]), Some(2));
    assert_eq!(status(&["cly/1", "--", "true"]), Some(6));
    assert_eq!(status(&["cli/2", "--", "true"]), Some(6));

    let script = format!(
        "printf 'a\\0b' | {} --name {} --state-dir {} attach cli/1 -- cat | od -c",
        binary().display(),
        bench.paths.cloud,
        bench.paths.state_dir.display()
    );
    assert!(sh(&script).contains("a  \\0   b"));
    let output = aio().args(["cli/1", "--", "sh", "-c", "echo $GREETING"]).output().unwrap();
    assert_eq!(output.stdout, b"hello\n");

    // A login shell on a terminal: `script` gives it one.
    let login = format!(
        "(sleep 1; printf 'tty; shopt login_shell; exit 5\\n'; sleep 1) | script -qec '{} --name {} \
         --state-dir {} attach cli/1' /dev/null || echo status $?",
        binary().display(),
        bench.paths.cloud,
        bench.paths.state_dir.display()
    );
    let said = sh(&login);
    for expected in ["/dev/pts/", "login_shell", "status 5"] {
        assert!(said.contains(expected), "no `{expected}` in {said}");
    }
    run(bench.kill(&container));
}
