//! Row 13: a debugger that `aio dev --debug` opened is for this host's administrator alone.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::dev_mode::{Checkout, page, restore};
use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::process::{Running, eventually, run, shell};

const PORT: &str = "15678";

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("row 13: nobody else reaches a debugger", || loopback(cloud));
    checks.check("row 13: whoever opened it comes through", || tunnel(cloud));
}

/// The first request makes the process listen: its module is imported by then.
fn listens(cloud: &Cloud) -> String {
    let listening = format!("ss -Hltn 'sport = {PORT}' | awk '{{print $4}}'");
    eventually(
        Duration::from_secs(20),
        || {
            let found = cloud.inside("web", &listening).stdout.trim().to_owned();
            (!found.is_empty()).then_some(found)
        },
        "a debugger that listens",
    )
}

fn loopback(cloud: &Cloud) {
    let checkout = Checkout::new(cloud);
    let said = checkout.swap(cloud, &["--debug", PORT]).ok().all();
    let line = format!("ssh -N -p 2222 -L {PORT}:127.0.0.1:{PORT} web@127.0.0.1");
    assert_eq!(listens(cloud), format!("127.0.0.1:{PORT}"));
    assert!(said.contains(&line), "{said}");
    let address = cloud.address("web", 1);
    let knock = format!("timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/{PORT}' && echo came in");
    let knocked = cloud.inside("cache/1", &knock);
    let here = TcpStream::connect((address.as_str(), PORT.parse::<u16>().unwrap()));
    restore(cloud);
    assert!(!knocked.stdout.contains("came in"), "{}", knocked.all());
    assert!(here.is_err());
}

fn tunnel(cloud: &Cloud) {
    let checkout = Checkout::new(cloud);
    let from = checkout.root.to_str().unwrap();
    let running = Running::start(cloud.command(&["dev", "web", "--from", from, "--debug", PORT]));
    eventually(
        Duration::from_secs(30),
        || (page(cloud) == "from a checkout\n").then_some(()),
        "the checkout",
    );
    listens(cloud);
    let port: u16 = PORT.parse().unwrap();
    let greeting = eventually(
        Duration::from_secs(20),
        || {
            let mut debugger = TcpStream::connect(("127.0.0.1", port)).ok()?;
            debugger.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            debugger.write_all(b"Content-Length: 0\r\n\r\n").ok()?;
            let mut text = String::new();
            debugger.read_to_string(&mut text).ok()?;
            (!text.is_empty()).then_some(text)
        },
        "a debugger's greeting",
    );
    // Another user of the host; one that ends at once, too, when nobody knows any more whose it was.
    let knock = format!("exec 3<>/dev/tcp/127.0.0.1/{PORT}; echo hello >&3; timeout 3 cat <&3");
    let mut other = Command::new("setpriv");
    other.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "bash", "-c", &knock]);
    let other = run(other, Duration::from_secs(10));
    let taken = cloud.run(&["dev", "web", "--from", from, "--take-over", "--debug", PORT]);
    running.signal("INT");
    let finished = running.finish(Duration::from_secs(60));
    restore(cloud);
    assert!(greeting.starts_with("Content-Length: "), "{greeting}");
    assert!(!other.stdout.contains("Content-Length"), "{}", other.all());
    assert!(finished.stderr.contains("user 65534 wanted in"), "{}", finished.stderr);
    assert_eq!(taken.status, 2, "{}", taken.all());
    assert!(taken.stderr.contains("takes another port"), "{}", taken.stderr);
    let text = finished.all();
    assert!(text.contains("\"host\": \"127.0.0.1\""), "{text}");
    let left = shell(&format!("ss -Hltn 'sport = {PORT}'"));
    assert_eq!(left, "", "the port is free again");
}
