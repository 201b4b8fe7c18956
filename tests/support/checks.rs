//! Many promises of one cloud, checked in order: each is reported with its time, and a broken one
//! does not hide those after it.

use std::panic::{self, AssertUnwindSafe};
use std::time::Instant;

/// The list of what failed so far.
#[derive(Default)]
pub struct Checks {
    failures: Vec<String>,
    done: usize,
    only: Option<String>,
}

impl Checks {
    /// `AIO_TEST_ONLY=word` runs the checks whose names contain it, beside those that all need.
    pub fn new() -> Self {
        Self { only: std::env::var("AIO_TEST_ONLY").ok(), ..Self::default() }
    }

    /// Runs one check. Whether it passed.
    pub fn check(&mut self, name: &str, body: impl FnOnce()) -> bool {
        if self.only.as_deref().is_some_and(|only| !name.contains(only)) {
            return true;
        }
        self.needed(name, body)
    }

    /// Runs one check without which those after it mean nothing.
    pub fn needed(&mut self, name: &str, body: impl FnOnce()) -> bool {
        let started = Instant::now();
        let result = panic::catch_unwind(AssertUnwindSafe(body));
        let elapsed = started.elapsed().as_secs_f64();
        self.done += 1;
        match result {
            Ok(()) => println!("check {name} ... ok ({elapsed:.1} s)"),
            Err(reason) => {
                println!("check {name} ... FAILED ({elapsed:.1} s)");
                let text = reason
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| reason.downcast_ref::<&str>().copied())
                    .unwrap_or("it panicked");
                self.failures.push(format!("{name}: {text}"));
                return false;
            }
        }
        true
    }

    /// Fails if any check failed, and lists all that did.
    pub fn finish(self) {
        println!("{} checks, {} failed", self.done, self.failures.len());
        assert!(self.failures.is_empty(), "broken promises:\n{}", self.failures.join("\n---\n"));
    }
}
