//! Files, by every client.

use std::fs;
use std::process::Stdio;

use crate::gateway::{Gateway, feed, file_of};

#[test]
fn scp_and_sftp_carry_files_both_ways_with_owners_and_links_of_the_container() {
    let gateway = Gateway::new("files");
    let content = file_of(&gateway.path("big"), 20_000_000);
    let tree = gateway.directory.path().join("tree");
    fs::create_dir_all(tree.join("deep/er")).unwrap();
    fs::write(tree.join("deep/er/file"), "leaf").unwrap();
    let remote = |path: &str| format!("{}:{path}", gateway.user_at_host(&gateway.container.kind));
    let scp = |arguments: &[&str]| {
        let output = gateway.client("scp").args(arguments).output().unwrap();
        assert!(output.status.success(), "scp {arguments:?}: {output:?}\n{}", gateway.said());
    };
    scp(&["-p", &gateway.path("big"), &remote("big")]);
    scp(&["-p", &remote("/root/big"), &gateway.path("back")]);
    assert!(fs::read(gateway.path("back")).unwrap() == content);
    assert_eq!(gateway.inside("stat -c %U:%G:%s /root/big"), "root:root:20000000");
    scp(&["-r", tree.to_str().unwrap(), &remote("/srv/")]);
    assert_eq!(gateway.inside("cat /srv/tree/deep/er/file"), "leaf");
    scp(&["-r", &remote("/srv/tree"), &gateway.path("tree-back")]);
    assert_eq!(fs::read(gateway.path("tree-back/deep/er/file")).unwrap(), b"leaf");
    scp(&[&gateway.path("key.pub"), &remote("~/by-tilde")]);
    assert!(gateway.inside("cat /root/by-tilde").ends_with("tester"));

    // A link that leads out of a container leads into it: there is no other root.
    fs::write("/var/tmp/aio-test-gateway-outside", "the host's").unwrap();
    gateway.inside("ln -s /var/tmp/aio-test-gateway-outside /root/out");
    scp(&[&gateway.path("key.pub"), &remote("/root/out")]);
    let outside = fs::read("/var/tmp/aio-test-gateway-outside").unwrap();
    fs::remove_file("/var/tmp/aio-test-gateway-outside").unwrap();
    assert_eq!(outside, b"the host's");
    assert!(gateway.inside("cat /var/tmp/aio-test-gateway-outside").ends_with("tester"));

    // In the dialogue: everything that the client knows, and errors that name what is wrong.
    let batch = format!(
        "put {} /root/put\nrename /root/put /root/renamed\nchmod 600 /root/renamed\nln -s renamed \
         /root/soft\nln /root/renamed /root/hard\nmkdir /root/new\nrmdir /root/new\nls -l /root\n\
         get /root/hard {}\nrm /root/hard\npwd\ndf /root\n-get /root/missing\n",
        gateway.path("key.pub"),
        gateway.path("got")
    );
    let mut sftp = gateway.client("sftp");
    sftp.args(["-b", "-", &gateway.user_at_host(&gateway.container.kind)]);
    let output = feed(&mut sftp, batch.as_bytes());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}{error}\n{}", gateway.said());
    assert!(text.contains("Remote working directory: /root"), "{text}");
    assert!(error.contains("/root/missing\" not found"), "{error}");
    assert_eq!(gateway.inside("stat -c %a /root/renamed; readlink /root/soft"), "600\nrenamed");
    assert_eq!(fs::read(gateway.path("got")).unwrap(), fs::read(gateway.path("key.pub")).unwrap());

    // What start-up files of a shell print is not taken for an answer.
    gateway.inside("printf 'echo hello\\n' > /root/.bashrc; cp /root/.bashrc /root/.profile");
    scp(&[&gateway.path("key.pub"), &remote("after-hello")]);

    // An image of an older aio has no server: what brings it is told.
    gateway.inside("mv /usr/lib/openssh/sftp-server /root/");
    let mut sftp = gateway.client("sftp");
    sftp.args(["-b", "-", &gateway.user_at_host(&gateway.container.kind)]);
    let output = feed(&mut sftp, b"pwd\n");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("`aio bootstrap`"), "{error}");
    assert!(gateway.said().contains("not started: sftp: run /usr/lib/openssh/sftp-server"));

    // No other subsystem, and its failure is told.
    let mut other = gateway.ssh(&["nothing"]);
    let other = crate::Options::arg0_options(&mut other, &["-s"]).stderr(Stdio::null());
    assert_eq!(other.status().unwrap().code(), Some(255));
}
