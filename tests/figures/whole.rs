//! The figures of the whole cloud, scenario `default`: it is built beside no other, for it takes most
//! of the host.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::support::cloud::Cloud;
use crate::table::{Table, Target};
use crate::usage::{MIB, memory_bytes, used};
use crate::{leave, limited};

/// The word in the names of all these figures.
pub const WORD: &str = "whole cloud";

const COLD: &str = "whole cloud: bootstrap, nothing cached";
const WARM: &str = "whole cloud: bootstrap, layers cached";
const NOTHING: &str = "whole cloud: bootstrap, nothing to do";
const MEMORY: &str = "whole cloud: memory when idle, sum of PSS";
const DISK: &str = "whole cloud: disk, layers and containers";
const SERVER: &str = "whole cloud: server create to its floating IP";

/// From the first request on; the server is gone at its end, and the time to remove it does not count.
const BOOT: &str = "
began=$(date +%s%N)
openstack server create --flavor tiny --image guest --network private timed >/dev/null
address=$(openstack floating ip create public -f value -c floating_ip_address)
until openstack server add floating ip timed $address 2>/dev/null; do sleep 0.5; done
until curl -sf -m 1 -o /dev/null http://$address/; do sleep 0.2; done
echo $(( ($(date +%s%N) - began) / 1000000 ))
openstack server delete --wait timed
openstack floating ip delete $address
";

pub fn measure(table: &mut Table) {
    let all = [COLD, WARM, NOTHING, MEMORY, DISK, SERVER];
    if all.iter().all(|what| table.times(what, 1) == 0) {
        return;
    }
    let cloud = Cloud::new(env!("CARGO_BIN_EXE_aio"), "aiowhole");
    cloud.remove_leftovers();
    fs::create_dir_all(cloud.state_dir.parent().unwrap()).unwrap();
    let cold = cloud.bootstrap(&["--scenario", "default"]);
    table.seconds(COLD, Target::AtMost(360.0), cold.0.elapsed);
    for _ in 0..table.times(WARM, 2) {
        limited(cloud.command(&["destroy", "--yes", "--keep-images", "--keep-config"])).ok();
        let warm = cloud.bootstrap(&[]);
        table.seconds(WARM, Target::AtMost(150.0), warm.0.elapsed);
    }
    cloud.healthy_within(Duration::from_secs(60));
    // What was started settles.
    thread::sleep(Duration::from_secs(60));
    for _ in 0..table.times(NOTHING, 5) {
        let nothing = limited(cloud.command(&["bootstrap"])).ok();
        assert!(nothing.all().contains("0 changed"), "{}", nothing.all());
        table.seconds(NOTHING, Target::AtMost(1.5), nothing.elapsed);
    }
    for _ in 0..table.times(MEMORY, 3) {
        thread::sleep(Duration::from_secs(5));
        table.number(MEMORY, Target::AtMost(7680.0), "MiB", memory_bytes(&cloud) / MIB);
    }
    if table.times(DISK, 1) > 0 {
        let private = cloud.state_dir.join("private");
        let bytes = used(&private.join("layers")) + used(&private.join("clouds"));
        table.number(DISK, Target::AtMost(6144.0), "MiB", bytes / MIB);
    }
    for _ in 0..table.times(SERVER, 3) {
        let arguments = ["attach", "demo", "--", "bash", "-euo", "pipefail", "-c", BOOT];
        let took = limited(cloud.command(&arguments)).ok().stdout.trim().parse().unwrap();
        table.seconds(SERVER, Target::AtMost(60.0), Duration::from_millis(took));
    }
    leave(&cloud);
}
