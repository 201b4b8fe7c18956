//! Nobody gets in who should not, and whoever is refused is told.

use std::io::Read;
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::bench::run;
use crate::gateway::Gateway;

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn only_authorized_keys_open_it_and_only_to_containers_that_are_there() {
    let gateway = Gateway::new("refused");
    let said = gateway.said();
    assert!(said.contains("key SHA256:") && said.contains("authorized:2: ssh-rsa keys"), "{said}");
    let login = |key: &str, user: &str| {
        let mut ssh = gateway.client("ssh");
        // The first of two settings counts.
        let key = format!("-oIdentityFile={}", gateway.path(key));
        let ssh = crate::Options::arg0_options(&mut ssh, &["-oLogLevel=INFO", &key]);
        let right = format!("-oIdentityFile={}", gateway.path("key"));
        let arguments: Vec<_> =
            ssh.get_args().filter(|it| **it != *right || right == key).collect();
        let mut ssh = Command::new("ssh");
        ssh.args(arguments).arg(gateway.user_at_host(user)).arg("true");
        ssh.stdin(Stdio::null()).output().unwrap()
    };
    assert!(login("key", "refused").status.success(), "{}", gateway.said());
    for key in ["other", "rsa"] {
        let output = login(key, "refused");
        assert_eq!(output.status.code(), Some(255));
        assert!(error(&output).contains("Permission denied (publickey)"), "{}", error(&output));
    }
    assert!(gateway.said().contains("refused \"refused\" with SHA256:"), "{}", gateway.said());
    // Without a key one learns nothing of which containers there are.
    let nowhere = login("other", "no_such_container");
    assert!(error(&nowhere).contains("Permission denied (publickey)"));
    let nowhere = login("key", "refuse");
    assert_eq!(nowhere.status.code(), Some(255));
    assert!(error(&nowhere).contains("Did you mean `refused`?"), "{}", error(&nowhere));
    let absent = login("key", "stopped");
    assert_eq!(absent.status.code(), Some(255));
    assert!(error(&absent).contains("there is no such container"), "{}", error(&absent));
    let stray = std::path::Path::new("/var/lib/lxc/aiotg_stopped_container-00000002");
    assert!(!stray.exists(), "asking for a container makes none");
    // All names of a container.
    let name = gateway.container.name.clone();
    for user in ["refused-1", "refused.1", &name, &name[name.len() - 8..]] {
        assert!(login("key", user).status.success(), "{user}");
    }
    // A key that is taken out of its file opens nothing from then on.
    let authorized = gateway.path("authorized");
    std::fs::rename(&authorized, gateway.path("away")).unwrap();
    assert_eq!(login("key", "refused").status.code(), Some(255));
    std::fs::rename(gateway.path("away"), &authorized).unwrap();
    assert!(login("key", "refused").status.success());
    run(gateway.bench.kill(&gateway.container));
    let stopped = login("key", "refused");
    assert_eq!(stopped.status.code(), Some(255));
    assert!(error(&stopped).contains("it is not running"), "{}", error(&stopped));
}

#[test]
fn a_hundred_at_once_and_half_open_ones_shut_nobody_out() {
    let gateway = Gateway::new("crowd");
    let begun = Instant::now();
    let crowd: Vec<_> = (0..100)
        .map(|number| {
            let mut ssh = gateway.ssh(&[&format!("exit {}", number % 7)]);
            ssh.arg0_option_of(number, &gateway).spawn().unwrap()
        })
        .collect();
    for (number, child) in crowd.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        let expected = if number % 10 == 9 { 255 } else { number % 7 };
        let code = output.status.code().unwrap();
        assert_eq!(code, i32::try_from(expected).unwrap(), "{number}: {}", error(&output));
    }
    println!("a hundred at once: {:.1} s", begun.elapsed().as_secs_f64());

    // Some that connect and say nothing, some that say nonsense.
    let begun = Instant::now();
    let mut half_open: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(gateway.address).unwrap()).collect();
    for stream in &mut half_open[..20] {
        std::io::Write::write_all(stream, b"GET / HTTP/1.1\r\n\r\n").unwrap();
    }
    assert_eq!(gateway.ok("echo in"), "in");
    // Too many: whoever comes then is told at once, and others are let in later.
    half_open.extend((0..60).map(|_| TcpStream::connect(gateway.address).unwrap()));
    let mut last = half_open.pop().unwrap();
    last.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut told = String::new();
    last.read_to_string(&mut told).unwrap();
    assert_eq!(told, "Too many connections\r\n");
    let refused = gateway.exec("true", b"");
    assert_eq!(refused.status.code(), Some(255), "{}", error(&refused));
    assert!(begun.elapsed() < Duration::from_secs(10));
    // They do not wait for ever.
    let mut first = half_open.swap_remove(50);
    first.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    let mut rest = Vec::new();
    first.read_to_end(&mut rest).unwrap();
    assert!(rest.starts_with(b"SSH-2.0-aio"), "{rest:?}");
    assert!(begun.elapsed() > Duration::from_secs(25), "{:?}", begun.elapsed());
    assert_eq!(gateway.ok("echo in"), "in");
    drop(half_open);
}

trait Crowd {
    /// Every tenth comes with a wrong key.
    fn arg0_option_of(&mut self, number: usize, gateway: &Gateway) -> &mut Self;
}

impl Crowd for Command {
    fn arg0_option_of(&mut self, number: usize, gateway: &Gateway) -> &mut Self {
        if number % 10 == 9 {
            let right = format!("-oIdentityFile={}", gateway.path("key"));
            let wrong = format!("-oIdentityFile={}", gateway.path("other"));
            let arguments: Vec<_> = self
                .get_args()
                .map(|it| if *it == *right { wrong.clone().into() } else { it.to_owned() })
                .collect();
            *self = Command::new("ssh");
            self.args(arguments);
        }
        self.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped())
    }
}
