//! Commands in containers.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aio::for_tests::{Command, ContainerFile, Containers, ErrorKind, Listen, Topology};
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

/// A script of bash on a terminal of its own, in which `input` is typed a second later. What it
/// showed.
fn on_a_terminal(script: &str, input: &str) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, script.as_bytes()).unwrap();
    let path = file.path().display();
    sh(&format!("(sleep 1; printf '{input}'; sleep 1) | script -qec 'bash {path}' /dev/null"))
}

/// Types into every terminal that it can reach.
const TYPES: &str = r#"
for my $terminal ("/dev/tty", "/dev/stdin", "/dev/stdout", "/dev/stderr") {
    open(T, "+<", $terminal) or open(T, "<", $terminal) or next;
    ioctl(T, 0x5412, $_) for split //, "typed\n";
}
"#;

#[test]
fn nothing_in_a_container_gets_the_terminal_of_whoever_called() {
    let bench = bench();
    let container = bench.container("terminal");
    run(bench.up(&container));
    Topology::new(vec![container.clone()]).save(&bench.paths).unwrap();
    let aio = format!(
        "{} --name {} --state-dir {} attach terminal --",
        binary().display(),
        bench.paths.cloud,
        bench.paths.state_dir.display()
    );
    let types = ContainerFile {
        path: "/root/types".to_owned(),
        owner: "root:root".to_owned(),
        mode: 0o644,
        content: TYPES.into(),
    };
    run(bench.containers.write_files(&container.name, &[types])).unwrap();

    // Whoever runs something there leads a session and a group that exist there.
    let own = |stat: &str| {
        let fields: Vec<&str> = stat.split_whitespace().collect();
        assert!(fields[0] == fields[4] && fields[0] == fields[5] && fields[6] == "0", "{stat}");
    };
    let stat = "cat /proc/$$/stat; true";
    own(&run(bench.sh(&container, stat)));
    own(&sh(&format!("{aio} sh -c '{stat}' < /dev/null 2> /dev/null | cat")));

    for streams in [
        "> /dev/null",
        "< /dev/null > /dev/null",
        "> /dev/null 2>&1",
        "< /dev/null > /dev/null 2>&1",
        "2> /dev/null | cat",
        "",
    ] {
        let attack = format!(
            "{aio} perl /root/types {streams}\n read -t 2 heard < /dev/tty\n echo \"got:$heard.\""
        );
        let said = on_a_terminal(&attack, "");
        assert!(said.contains("got:."), "{streams}: {said}");
    }

    // A terminal of the container's own where standard output is one, and never another.
    let said = on_a_terminal(&format!("{aio} sh -c 'tty; exit 3'\n echo status $?"), "");
    assert!(said.contains("/dev/pts/") && said.contains("status 3"), "{said}");
    let said = on_a_terminal(&format!("{aio} sh -c 'tty <&2; cat' < /etc/os-release"), "");
    assert!(said.contains("/dev/pts/") && said.contains("PRETTY_NAME"), "{said}");
    let said =
        on_a_terminal(&format!("{aio} sh -c 'test -t 0 || test -t 2 || echo none' | cat"), "");
    assert!(said.contains("none"), "{said}");

    // What is typed still arrives line by line, and what it says on standard error is shown.
    let said = on_a_terminal(
        &format!("{aio} sh -c 'read a; echo got:$a:; echo heard:$a: >&2' | tr a-z A-Z"),
        "word\\n",
    );
    assert!(said.contains("GOT:WORD:") && said.contains("heard:word:"), "{said}");

    // Redirected streams are the command's own, byte for byte, and so are exit statuses.
    let scratch = tempfile::tempdir().unwrap();
    let bytes =
        "head -c 3000000 /dev/urandom > /tmp/it; sha256sum < /tmp/it >&2; cat /tmp/it; exit 9";
    let said = on_a_terminal(
        &format!(
            "cd {}\n {aio} sh -c '{bytes}' 2> sum > out\n echo status $?\n \
             sha256sum < out | cmp - sum && echo same",
            scratch.path().display()
        ),
        "",
    );
    assert!(said.contains("status 9") && said.contains("same"), "{said}");

    // A terminal that nobody there knows is taken for the usual one.
    let said = on_a_terminal(&format!("TERM=xterm-ghostty {aio} sh -c 'echo term:$TERM'"), "");
    assert!(said.contains("term:xterm-256color"), "{said}");

    // What ends the caller ends the command, which hears nothing of the caller's terminal.
    let mut waits = std::process::Command::new("sh")
        .args(["-c", &format!("exec {aio} sh -c 'echo up; exec sleep 4713'")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(waits.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut output, &mut String::new()).unwrap();
    sh(&format!("kill -TERM {}", waits.id()));
    assert_eq!(waits.wait().unwrap().code(), Some(143));
    assert_eq!(run(bench.sh(&container, "pgrep -f '[s]leep 4713' || true")), "");
    run(bench.kill(&container));
}
