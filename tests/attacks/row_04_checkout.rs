//! Row 4: a checkout is read within itself, with a limit, as its owner could.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use crate::dev_mode::{Checkout, page, restore};
use crate::support::checks::Checks;
use crate::support::cloud::Cloud;
use crate::support::process::{eventually, shell};

pub fn checks(cloud: &Cloud, checks: &mut Checks) {
    checks.check("row 4: an inclusion leads to no file of the host", || included(cloud));
    checks.check("row 4: a link leads to no file of the host", || linked(cloud));
    checks.check("row 4: what has no end does not hang", || endless(cloud));
    checks.check("row 4: its git settings lead nowhere else", || settings(cloud));
    checks.check("row 4: its name and version are no paths", || names(cloud));
    checks.check("row 4: no library takes the place of what root writes", || in_place(cloud));
    checks.check("row 4: a kept checkout that was replaced is not published", || kept(cloud));
}

/// A file of root's.
fn secret(checkout: &Checkout) -> String {
    let file = checkout.beside("secret.yml");
    fs::write(&file, "admin_password: hunter2\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file.to_str().unwrap().to_owned()
}

fn nothing_published(cloud: &Cloud) {
    let found = cloud.inside("web", "cat /dev/.aio/*/_python/*/METADATA 2>/dev/null || true");
    assert!(!found.stdout.contains("hunter2"), "{}", found.stdout);
    assert_eq!(page(cloud), "packaged\n");
}

fn included(cloud: &Cloud) {
    let checkout = Checkout::new(cloud);
    let secret = secret(&checkout);
    for line in [format!("-r {secret}"), "-r ../secret.yml".to_owned(), format!("-c{secret}")] {
        checkout.write("requirements.txt", &format!("{line}\n"));
        let swapped = checkout.swap(cloud, &[]);
        let inside = cloud.inside("web", "cat /dev/.aio/*/_python/*/METADATA 2>/dev/null || true");
        restore(cloud);
        assert!(!inside.stdout.contains("hunter2"), "{line}: {}", inside.stdout);
        assert_ne!(swapped.status, 0, "{}", swapped.all());
        assert!(swapped.stderr.contains("leads out of the checkout"), "{}", swapped.stderr);
    }
    let cfg =
        format!("[metadata]\nname = attacked-web\n[options]\ninstall_requires = file: {secret}\n");
    checkout.write("setup.cfg", &cfg);
    checkout.refused(cloud, &["setup.cfg", "leads out of the checkout"]);
    nothing_published(cloud);
}

fn linked(cloud: &Cloud) {
    let checkout = Checkout::new(cloud);
    let secret = secret(&checkout);
    for file in ["requirements.txt", "setup.cfg", "pyproject.toml"] {
        let link = checkout.root.join(file);
        let before = fs::read(&link).ok();
        let _ = fs::remove_file(&link);
        symlink(&secret, &link).unwrap();
        checkout.refused(cloud, &[file, "leads out of the checkout"]);
        fs::remove_file(&link).unwrap();
        if let Some(text) = before {
            checkout.write(file, &String::from_utf8(text).unwrap());
        }
    }
    // One that is run, and one that is walked: they lead nowhere, and nothing hangs.
    symlink(&secret, checkout.root.join("settings.py")).unwrap();
    symlink("/", checkout.root.join("everything")).unwrap();
    symlink("..", checkout.root.join("circle")).unwrap();
    let swapped = checkout.swap(cloud, &[]);
    assert_eq!(page(cloud), "from a checkout\n", "{}", swapped.all());
    let read = cloud.inside("web", "cat /dev/.aio/web.service/attacked-web/settings.py");
    assert_ne!(read.status, 0, "{}", read.all());
    restore(cloud);
    nothing_published(cloud);
}

/// Named as a directory of a publication once was, with links where metadata is written.
fn in_place(cloud: &Cloud) {
    let checkout = Checkout::new(cloud);
    let target = checkout.beside("target");
    fs::create_dir(&target).unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o700)).unwrap();
    for name in ["python", "bytecode", "packages"] {
        let library = checkout.sibling(name);
        for link in ["attacked_web-0.0.0.dist-info", "sitecustomize.py", "x"] {
            let _ = symlink(&target, library.root.join(link));
        }
        let swapped = checkout.swap(cloud, &["--lib", library.root.to_str().unwrap()]);
        assert_eq!(page(cloud), "from a checkout\n", "{}", swapped.all());
        restore(cloud);
        assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "root wrote as {name} led it");
        let mode = fs::metadata(&target).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{name}");
    }
}

fn endless(cloud: &Cloud) {
    let checkout = Checkout::new(cloud);
    let requirements = checkout.root.join("requirements.txt");
    let at = requirements.display();
    for (make, words) in [
        (format!("mkfifo '{at}'"), "not a regular file"),
        (format!("mknod '{at}' c 1 5"), "not a regular file"),
        (format!("mkdir '{at}'"), "not a regular file"),
        (format!("ln -s /dev/zero '{at}'"), "leads out of the checkout"),
    ] {
        shell(&format!("rm -rf '{at}' && {make}"));
        checkout.refused(cloud, &["requirements.txt", words]);
    }
    shell(&format!("rm -rf '{at}'"));
    File::create(&requirements).unwrap().set_len(10 << 30).unwrap();
    checkout.refused(cloud, &["requirements.txt", "more than 4 MiB"]);
    nothing_published(cloud);
}

fn settings(cloud: &Cloud) {
    let checkout = Checkout::new(cloud);
    let elsewhere = checkout.beside("elsewhere");
    let marker = checkout.beside("ran");
    shell(&format!("cp -a '{}' '{}'", checkout.root.display(), elsewhere.display()));
    let git = |settings: &str| {
        shell(&format!("cd '{}' && printf '{settings}' >> .git/config", checkout.root.display()));
    };
    let run = format!("sh -c \"touch {}\"", marker.display());
    git(&format!(
        "[core]\\n fsmonitor = {run}\\n sshCommand = {run}\\n hooksPath = {0}\\n\
         [filter \"evil\"]\\n smudge = {run}\\n clean = {run}\\n\
         [include]\\n path = /dev/zero\\n[alias]\\n status = !{run}\\n",
        elsewhere.display()
    ));
    let reachable = checkout.swap(cloud, &[]);
    restore(cloud);
    assert!(!marker.exists(), "{}", reachable.all());
    let checkout = Checkout::new(cloud);
    let root = checkout.root.display().to_string();
    let elsewhere = checkout.beside("elsewhere");
    shell(&format!(
        "cp -a '{root}' '{0}' && cd '{root}' && printf '[core]\\n worktree = {0}\\n' >> .git/config",
        elsewhere.display()
    ));
    checkout.refused(cloud, &["core.worktree"]);
}

fn names(cloud: &Cloud) {
    let checkout = Checkout::new(cloud);
    let library = checkout.sibling("lib");
    let at = library.root.to_str().unwrap().to_owned();
    let target = checkout.beside("written");
    let above = "../".repeat(20);
    for cfg in [
        format!("name = {above}{}\n", target.display()),
        format!("name = lib\nversion = 1/{above}{}\n", target.display()),
    ] {
        library.write("setup.cfg", &format!("[metadata]\n{cfg}[files]\nmodules =\n  lib\n"));
        let swapped = checkout.swap(cloud, &["--lib", &at]);
        restore(cloud);
        let left = shell(&format!("ls -d '{}'* 2>/dev/null || true", target.display()));
        assert_eq!(left, "", "{}", swapped.all());
        assert_ne!(swapped.status, 0, "{}", swapped.all());
    }
}

fn kept(cloud: &Cloud) {
    let checkout = Checkout::new(cloud);
    let root = checkout.root.display().to_string();
    // Where nobody comes: what stands in there need not be private by itself.
    let hidden = checkout.beside("hidden");
    let private = hidden.join("private");
    fs::create_dir_all(&private).unwrap();
    fs::write(private.join("attacked_web.py"), "hunter2").unwrap();
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o700)).unwrap();
    checkout.swap(cloud, &["--keep"]).ok();
    assert_eq!(page(cloud), "from a checkout\n");
    for replace in [
        format!("mv '{root}' '{root}.away' && ln -s '{}' '{root}'", private.display()),
        format!("rm '{root}' && cp -a '{}' '{root}'", private.display()),
    ] {
        shell(&replace);
        cloud.run(&["stop", "web"]).ok();
        cloud.run(&["start", "web"]).ok();
        eventually(
            Duration::from_secs(30),
            || (page(cloud) == "packaged\n").then_some(()),
            "the package, since the checkout is another's",
        );
        let read = cloud.inside("web", "cat /dev/.aio/web.service/attacked-web/attacked_web.py");
        assert!(!read.all().contains("hunter2"), "{}", read.all());
    }
    restore(cloud);
}
