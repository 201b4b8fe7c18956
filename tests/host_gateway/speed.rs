//! How long things take, against LXC's own tool in the same run.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::gateway::Gateway;

const ROUNDS: usize = 31;

fn median(mut action: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            action();
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[ROUNDS / 2]
}

#[test]
fn a_command_costs_no_more_than_it_must() {
    let gateway = Gateway::new("speed");
    let name = gateway.container.name.clone();
    let fresh = median(|| {
        gateway.ok("true");
    });
    // In turn, so that whatever else this host does meets both.
    let times = gateway.paramiko(&format!(
        "import subprocess, os\n\
         os.environ.pop('LD_LIBRARY_PATH', None)\n\
         def run():\n    stdin, stdout, stderr = client.exec_command('true')\n    \
         assert stdout.channel.recv_exit_status() == 0\n\
         def attach():\n    subprocess.check_call(['lxc-attach', '-n', '{name}', '--', 'true'])\n\
         def timed(action):\n    begun = time.time()\n    action()\n    return time.time() - begun\n\
         rounds = [(timed(attach), timed(run)) for _ in range({ROUNDS})]\n\
         for times in zip(*rounds): print(sorted(times)[{}])\n",
        ROUNDS / 2
    ));
    let mut medians = times.lines().map(|time| Duration::from_secs_f64(time.parse().unwrap()));
    let (attach, open) = (medians.next().unwrap(), medians.next().unwrap());
    let control = gateway.path("control");
    let mut master = gateway.ssh(&[]);
    let master = crate::Options::arg0_options(&mut master, &["-N", "-f", "-M", "-S", &control]);
    assert!(master.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    let multiplexed = median(|| {
        let mut ssh = gateway.ssh(&["true"]);
        let ssh = crate::Options::arg0_options(&mut ssh, &["-S", &control]);
        assert!(ssh.status().unwrap().success());
    });
    let mut end = gateway.ssh(&[]);
    let _ = crate::Options::arg0_options(&mut end, &["-S", &control, "-O", "exit"])
        .stderr(Stdio::null())
        .status();
    println!(
        "lxc-attach {attach:?}; on an open connection {open:?} (paramiko), {multiplexed:?} (ssh with \
         a master); fresh ssh {fresh:?}"
    );
    assert!(open <= attach * 2, "{open:?} against {attach:?}");
    assert!(fresh <= Duration::from_millis(400), "{fresh:?}");
}
