//! A load of one client, and what its requests saw of a fault.
//!
//! A password token every 0.1 s for a user whose password hash is cheap: with the usual number of
//! rounds the hash alone saturates two cores, and a request with a token never asks the database.

use std::thread;
use std::time::{Duration, Instant};

use super::cloud::Cloud;
use super::openstack::Client;

const USER: &str = "load";
const PASSWORD: &str = "load-of-the-test";
const EVERY: Duration = Duration::from_millis(100);

/// One request.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When it began, in seconds after the load began.
    pub at_secs: f64,
    /// How long it took, in seconds.
    pub took_secs: f64,
    /// Status code; 0 when no answer came.
    pub status: u16,
}

/// What a load saw.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Every request, in order.
    pub samples: Vec<Sample>,
}

impl Seen {
    /// Requests without a token.
    pub fn failed(&self) -> usize {
        self.samples.iter().filter(|sample| sample.status != 201).count()
    }

    /// Requests without a token, of a hundred.
    pub fn failed_percent(&self) -> f64 {
        100.0 * self.failed() as f64 / self.samples.len().max(1) as f64
    }

    /// The slowest request, in seconds.
    pub fn slowest_secs(&self) -> f64 {
        self.samples.iter().map(|sample| sample.took_secs).fold(0.0, f64::max)
    }

    /// The longest time between the ends of two good requests, in seconds.
    pub fn longest_gap_secs(&self) -> f64 {
        let mut last = 0.0;
        let mut longest = 0.0_f64;
        for sample in self.samples.iter().filter(|sample| sample.status == 201) {
            let end = sample.at_secs + sample.took_secs;
            longest = longest.max(end - last);
            last = end;
        }
        longest
    }

    /// One line for people.
    pub fn line(&self) -> String {
        format!(
            "{} of {} requests failed, slowest {:.1} s, longest gap {:.1} s",
            self.failed(),
            self.samples.len(),
            self.slowest_secs(),
            self.longest_gap_secs()
        )
    }
}

/// Makes the user of the load, with a password hash of four rounds.
pub fn prepare(cloud: &Cloud, administrator: &Client) -> Client {
    let user = administrator.with_user(USER, PASSWORD);
    if user.ask_token(None, Duration::from_secs(10)).status == 201 {
        return user;
    }
    cloud.openstack(&["user", "create", "--or-show", "--password", PASSWORD, USER]);
    let hash = format!(
        "python3 -c 'import bcrypt; print(bcrypt.hashpw(b\"{PASSWORD}\", bcrypt.gensalt(4)).decode())'"
    );
    let hash = cloud.inside("keystone/1", &hash).ok().stdout;
    let statement = format!(
        "UPDATE keystone.password p JOIN keystone.local_user l ON p.local_user_id = l.id \
         SET p.password_hash = '{}' WHERE l.name = '{USER}'",
        hash.trim()
    );
    let finished = cloud.run(&["attach", "galera/1", "--", "mariadb", "-e", &statement]);
    finished.ok();
    assert_eq!(user.ask_token(None, Duration::from_secs(10)).status, 201, "the user of the load");
    user
}

/// Asks for tokens for `duration`, and does `fault` beside it after `until_fault`.
pub fn run(
    user: &Client,
    duration: Duration,
    until_fault: Duration,
    fault: impl FnOnce() + Send,
) -> Seen {
    let started = Instant::now();
    let mut samples = Vec::new();
    thread::scope(|scope| {
        let fault = scope.spawn(move || {
            thread::sleep(until_fault);
            fault();
        });
        while started.elapsed() < duration {
            let at = started.elapsed();
            let answer = user.ask_token(None, Duration::from_secs(60));
            let took = started.elapsed() - at;
            samples.push(Sample {
                at_secs: at.as_secs_f64(),
                took_secs: took.as_secs_f64(),
                status: answer.status,
            });
            thread::sleep(EVERY.saturating_sub(took));
        }
        fault.join().unwrap();
    });
    Seen { samples }
}
