//! What a command costs through the gateway, against LXC's own tool in the same run.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::cloud::Cloud;
use crate::support::process::{run, shell};
use crate::table::{Table, Target};

const OPEN: &str = "gateway: a command on an open connection, times lxc-attach";
const FRESH: &str = "gateway: a fresh ssh command";
const ROUNDS: usize = 31;

/// Both figures.
pub fn measure(cloud: &Cloud, table: &mut Table) {
    if table.times(OPEN, 1) + table.times(FRESH, 1) == 0 {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    shell(&format!("ssh-keygen -q -t ed25519 -N '' -f '{}'", key.display()));
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (listen, public) = (address.to_string(), format!("{}.pub", key.display()));
    cloud.ok(&["gateway", "--listen", &listen, "--authorized-keys", &public, "--detach"]);
    for _ in 0..table.times(FRESH, 10) {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F/dev/null", "-oBatchMode=yes", "-oStrictHostKeyChecking=no"]);
        ssh.args(["-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR", "-oIdentitiesOnly=yes"]);
        ssh.arg("-i").arg(&key).args(["-p", &address.port().to_string(), "utility@127.0.0.1"]);
        ssh.arg("true").stdin(Stdio::null());
        let started = Instant::now();
        run(ssh, Duration::from_secs(20)).ok();
        table.seconds(FRESH, Target::AtMost(0.4), started.elapsed());
    }
    let script = format!(
        "import paramiko, subprocess, time
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect('127.0.0.1', {port}, 'utility', key_filename='{key}', look_for_keys=False, allow_agent=False)
def ours():
    channel = client.exec_command('true')[1].channel
    assert channel.recv_exit_status() == 0
def stock():
    subprocess.check_call(['lxc-attach', '-n', '{name}', '--', 'true'])
def timed(action):
    begun = time.time()
    action()
    return time.time() - begun
for _ in range({rounds}):
    print(timed(ours), timed(stock))
",
        port = address.port(),
        key = key.display(),
        name = cloud.container("utility", 1),
        rounds = table.times(OPEN, ROUNDS),
    );
    // Distributions keep paramiko for their own interpreter.
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", &script]).env_remove("LD_LIBRARY_PATH");
    let printed = run(python, Duration::from_secs(60)).ok().stdout;
    for line in printed.lines() {
        let seconds: Vec<f64> = line.split(' ').map(|it| it.parse().unwrap()).collect();
        let [ours, stock] = [0, 1].map(|index| Duration::from_secs_f64(seconds[index]));
        table.pair(OPEN, Target::AtMost(2.0), ours, stock);
    }
    cloud.ok(&["gateway", "--stop"]);
}
