//! `bootstrap/dev/sitecustomize.py`, run by the host's Python. The debugger is a stand-in that writes
//! down what it is asked; the real one is tried by hand with the real services.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::SITECUSTOMIZE;

/// A directory for PYTHONPATH, a read-only checkout, and a place for bytecode.
struct Place(TempDir);

const DEBUGPY: &str = "\
import os
def configure(**how): assert how['subProcess'] is False
def listen(address): print('listen', *address, os.getpid() == int(os.environ['FIRST']), flush=True)
def wait_for_client(): print('wait', flush=True)
";

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("meta/sitecustomize.py", SITECUSTOMIZE);
        place.write("checkout/heat/__init__.py", "");
        // Not left in a buffer, which a fork would copy.
        place.write("checkout/heat/serve.py", "print('serves', flush=True)");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn with_debugpy(self) -> Self {
        self.write("delta/debugpy.py", DEBUGPY);
        self
    }

    /// Runs Python text in a process whose own id is in FIRST.
    fn run(&self, text: &str, environment: &[(&str, &str)]) -> Output {
        let path = ["meta", "delta", "checkout"].map(|name| self.path(name).display().to_string());
        let shell = "export FIRST=$$; exec python3 -c \"$0\"";
        let output = Command::new("/bin/sh")
            .args(["-c", shell, text])
            .env("PYTHONPATH", path.join(":"))
            .env_remove("PYTHONDONTWRITEBYTECODE")
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output.stderr));
        output
    }

    fn debugged(&self, text: &str) -> Output {
        let environment = [
            ("AIO_DEV_DEBUG", "127.0.0.1:5678"),
            ("AIO_DEV_DEBUG_AT", "heat.other,heat.serve"),
            ("AIO_DEV_DEBUG_WAIT", "1"),
        ];
        self.run(text, &environment)
    }
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn bytecode_of_a_checkout_goes_elsewhere_and_that_of_packages_stays() {
    let place = Place::new();
    place.write("delta/packaged.py", "");
    let pyc = place.path("pyc");
    let roots = format!("/nowhere:{}", place.path("checkout").display());
    let environment = [("AIO_DEV_PYC", pyc.to_str().unwrap()), ("AIO_DEV_ROOTS", roots.as_str())];
    let print = "import heat.serve, packaged; print(heat.serve.__cached__)";
    let first = said(&place.run(print, &environment).stdout);

    let cached = PathBuf::from(first.lines().last().unwrap());
    assert!(cached.starts_with(&pyc) && cached.is_file(), "{first}");
    assert!(!cached.to_str().unwrap().contains("__pycache__"));
    assert!(!place.path("checkout/heat/__pycache__").exists());
    assert!(place.path("delta/__pycache__").is_dir());

    // The second process reads it: nothing is compiled.
    let written = fs::metadata(&cached).unwrap().modified().unwrap();
    assert_eq!(said(&place.run(print, &environment).stdout), first);
    assert_eq!(fs::metadata(&cached).unwrap().modified().unwrap(), written);
}

#[test]
fn the_distributions_own_one_runs_and_may_fail() {
    let place = Place::new();
    place.write("delta/sitecustomize.py", "print('own'); raise ValueError('broken')");
    let output = place.run("print('goes on')", &[]);
    assert_eq!(said(&output.stdout), "own\ngoes on\n");
    let reason = "aio: the distribution's sitecustomize failed (ValueError: broken)\n";
    assert_eq!(said(&output.stderr), reason);
}

#[test]
fn the_debugger_starts_right_before_the_named_module_and_only_once() {
    let place = Place::new().with_debugpy();
    let output = place.debugged("import heat; print('heat'); import heat.serve, json");
    assert_eq!(said(&output.stdout), "heat\nlisten 127.0.0.1 5678 True\nwait\nserves\n");
    assert!(said(&output.stderr).starts_with("aio: debugpy listens on 127.0.0.1:5678 (process "));
}

#[test]
fn what_the_service_starts_does_not_listen() {
    let place = Place::new().with_debugpy();
    let child = "import subprocess, sys; \
                 subprocess.run([sys.executable, '-c', 'import heat.serve'], check=True)";
    assert_eq!(said(&place.debugged(child).stdout), "serves\n");
}

#[test]
fn a_debugger_that_cannot_start_is_told_and_the_service_goes_on() {
    let output = Place::new().debugged("import heat.serve");
    assert_eq!(said(&output.stdout), "serves\n");
    assert_eq!(
        said(&output.stderr),
        "aio: no debugger on 127.0.0.1:5678, the service runs without (ModuleNotFoundError: No \
         module named 'debugpy')\n"
    );
}

#[test]
fn below_a_supervisor_the_worker_listens_and_what_the_worker_forks_does_not() {
    let place = Place::new().with_debugpy();
    place.write("delta/cotyledon.py", "");
    let fork = "
import os, threading
import cotyledon, heat.serve
def work():
    # As cotyledon does it: from a daemon thread.
    child = os.fork()
    if child == 0:
        print('daemon', threading.current_thread().daemon, flush=True)
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0)
        os.waitpid(grandchild, 0)
        os._exit(0)
    os.waitpid(child, 0)
thread = threading.Thread(target=work, daemon=True)
thread.start()
thread.join()
";
    let output = place.debugged(fork);
    assert_eq!(said(&output.stdout), "serves\nlisten 127.0.0.1 5678 False\nwait\ndaemon False\n");
}

#[test]
fn with_eventlet_the_debugger_gets_real_threads_and_the_service_keeps_its_own() {
    let place = Place::new();
    place.write(
        "delta/debugpy.py",
        "import threading, wave\ndef configure(**how): pass\n\
                 def listen(address): print('green' if hasattr(threading, 'green') else 'real')\n",
    );
    let patcher = "
import sys
already_patched = {'thread': True}
def original(name):
    keep = sys.modules.pop(name)
    try:
        return __import__(name)
    finally:
        sys.modules[name] = keep
";
    place.write("delta/eventlet/__init__.py", "");
    place.write("delta/eventlet/patcher.py", patcher);
    let service = "
import sys, threading, queue, select, socket
threading.green = True
import eventlet.patcher
import heat.serve
import threading as again
print(again.green, 'wave' in sys.modules, 'debugpy' in sys.modules)
";
    let environment = [("AIO_DEV_DEBUG", "127.0.0.1:5678"), ("AIO_DEV_DEBUG_AT", "heat.serve")];
    let output = place.run(service, &environment);
    assert_eq!(said(&output.stdout), "real\nserves\nTrue False True\n");
}
