//! What it takes to bring a running cloud to the next release, and what users notice of it.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::cloud::Cloud;
use crate::support::process::run;
use crate::table::{Table, Target};
use crate::{leave, limited};

/// The word in the names of all these figures.
pub const WORD: &str = "upgrade";

const FROM: &str = "release=2026.1";
const TO: &str = "2026.2";

/// Who knows who asks: all others wait for it.
const IDENTITY: &str = "keystone";

/// A server that users ask, and its address.
const SERVER: &str = "
openstack server create --wait --flavor tiny --image guest --network private lasting >/dev/null
address=$(openstack floating ip create public -f value -c floating_ip_address)
until openstack server add floating ip lasting $address 2>/dev/null; do sleep 0.5; done
until curl -sf -m 1 -o /dev/null http://$address/; do sleep 0.2; done
echo $address
";

pub fn measure(table: &mut Table) {
    for (scenario, seconds) in [("control", 90.0), ("default", 240.0)] {
        let what = format!("{WORD} of {scenario}");
        if table.times(&what, 1) > 0 {
            of_scenario(table, scenario, &what, seconds);
        }
    }
}

fn of_scenario(table: &mut Table, scenario: &str, what: &str, seconds: f64) {
    let cloud = Cloud::new(env!("CARGO_BIN_EXE_aio"), "aiogoes");
    cloud.remove_leftovers();
    fs::create_dir_all(cloud.state_dir.parent().unwrap()).unwrap();
    cloud.bootstrap(&["--scenario", scenario, "--set", FROM]);
    let address = (scenario == "default").then(|| {
        let arguments = ["attach", "demo", "--", "bash", "-euo", "pipefail", "-c", SERVER];
        limited(cloud.command(&arguments)).ok().stdout.trim().to_owned()
    });
    // The first builds the layers of the next release, the second finds them.
    for how in ["layers built in it", "layers cached"] {
        let upgrade = || {
            let command = cloud.command(&["upgrade", "--to", TO, "--output", "json"]);
            run(command, Duration::from_secs(1800)).ok()
        };
        let (finished, lost) = match &address {
            Some(address) => while_asked(address, upgrade),
            None => (upgrade(), 0),
        };
        let upgraded = finished.json();
        table.note(what, &upgraded);
        table.seconds(&format!("{what}, {how}"), Target::NeverAbove(seconds), finished.elapsed);
        let mut longest = 0.0_f64;
        for service in upgraded["services"].as_array().unwrap() {
            let seconds = service["longest_seconds"].as_f64().unwrap();
            if service["service"] == IDENTITY {
                let waited = format!("{what}: longest wait for {IDENTITY}");
                table.seconds(&waited, Target::NeverAbove(2.0), Duration::from_secs_f64(seconds));
            } else {
                longest = longest.max(seconds);
            }
        }
        let waited = format!("{what}: longest wait for another API");
        table.seconds(&waited, Target::NeverAbove(10.0), Duration::from_secs_f64(longest));
        if address.is_some() {
            let unanswered = format!("{what}: requests to a server that it did not answer");
            table.number(&unanswered, Target::NeverAbove(0.0), "", f64::from(lost));
        }
        let back = run(cloud.command(&["upgrade", "--back", "--yes"]), Duration::from_secs(1800));
        table.seconds(&format!("{what}: back"), Target::AtMost(seconds), back.ok().elapsed);
    }
    leave(&cloud);
}

/// Sets a flag when it goes, after a panic too: the thread that looks at it would never end.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks a server five times a second for as long as something takes; how often it did not answer within a
/// second.
fn while_asked<T>(address: &str, act: impl FnOnce() -> T) -> (T, u32) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let mut lost = 0;
            while !done.load(Ordering::Relaxed) {
                let mut curl = std::process::Command::new("curl");
                curl.args(["-sf", "-m", "1", "-o", "/dev/null"]).arg(format!("http://{address}/"));
                lost += u32::from(run(curl, Duration::from_secs(5)).status != 0);
                thread::sleep(Duration::from_millis(200));
            }
            lost
        });
        let result = {
            let _ends = SetAtEnd(&done);
            act()
        };
        (result, asked.join().unwrap())
    })
}
