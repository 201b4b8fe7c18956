//! Terminals.

use crate::gateway::{Gateway, feed};

#[test]
fn a_terminal_is_the_containers_own_and_changes_its_size() {
    let gateway = Gateway::new("terminals");
    // A command on a terminal; both outputs are one, with the terminal's line ends.
    let mut ssh = gateway.ssh(&["tty; test -t 2 && echo all; echo $TERM; echo $SSH_TTY; exit 4"]);
    let output = feed(crate::Options::arg0_options(&mut ssh, &["-tt"]).env("TERM", "vt100"), b"");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("/dev/pts/"), "{text}");
    assert_eq!(lines[1..], ["all", "vt100", lines[0]]);
    assert_eq!(output.status.code(), Some(4));

    // An interactive shell: job control, a new size, Ctrl-C for the job in the foreground alone.
    let said = gateway.paramiko(
        "shell = client.invoke_shell(term='xterm', width=101, height=17)\n\
         def until(word):\n    text = ''\n    shell.settimeout(10)\n    \
         while word not in text: text += shell.recv(4096).decode()\n    return text\n\
         shell.send('stty size; echo one-$((1+1))\\n'); print('17 101' in until('one-2'))\n\
         shell.resize_pty(width=77, height=33); time.sleep(0.2)\n\
         shell.send('stty size; echo two-$((1+1))\\n'); print('33 77' in until('two-2'))\n\
         shell.send('sleep 4713; echo interrupted-$?\\n'); time.sleep(0.7)\n\
         shell.send('\\x03'); shell.send('echo after-$((1+1))\\n'); until('after-2')\n\
         shell.send('sleep 4714 & jobs; echo three-$((1+1))\\n'); \
         print('Running' in until('three-2'))\n\
         shell.send('trap \"\" HUP; ps -o stat= -p $$; exit 6\\n')\n\
         print(shell.recv_exit_status())\n",
    );
    assert_eq!(said, "True\nTrue\nTrue\n6\n");
    gateway.gone_within(std::time::Duration::from_secs(3), "[s]leep 4713");

    // A program on a terminal gets a signal when its size changes, and a full line is not cut.
    let said = gateway.paramiko(
        "channel = client.get_transport().open_session()\n\
         channel.get_pty(width=80, height=24)\n\
         channel.exec_command('trap \"stty size\" WINCH; echo ready; \
         for i in 1 2 3 4 5 6 7 8 9; do sleep 0.1; done')\n\
         text = channel.recv(100).decode()\n\
         channel.resize_pty(width=90, height=30)\n\
         while True:\n    more = channel.recv(4096).decode()\n    if not more: break\n    text += more\n\
         print('30 90' in text, channel.recv_exit_status())\n",
    );
    assert_eq!(said, "True 0\n");
}
