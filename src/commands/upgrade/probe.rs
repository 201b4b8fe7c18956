//! How the services' frontends answer while a cloud is upgraded: asked all the while, as a client would
//! who only wants to know whether anybody is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::config::profile::FrontendMode;
use crate::host::{Host, Request};
use crate::model::cloud::Cloud;

/// Between two requests to the same frontend.
const PAUSE: Duration = Duration::from_millis(250);

/// A client that waits longer has given up: it counts as refused.
const LIMIT: Duration = Duration::from_secs(10);

/// What a frontend answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    pub requests: usize,
    /// Those that were not answered, or by HAProxy alone.
    pub refused: usize,
    /// The longest time from one answer to the next, less what lies between two requests anyway.
    pub longest: Duration,
}

impl Answers {
    /// Counts a request that began and ended then; `last` is when the answer before it came.
    fn count(&mut self, began: Instant, ended: Instant, answered: bool, last: &mut Instant) {
        self.requests += 1;
        if !answered {
            self.refused += 1;
            return;
        }
        // The time of a request that is answered at once counts for nothing.
        let away = began.saturating_duration_since(*last).saturating_sub(PAUSE);
        self.longest = self.longest.max(away.max(ended - began));
        *last = ended;
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.refused += other.refused;
        self.longest = self.longest.max(other.longest);
    }
}

/// Requests that are being made until it is dropped.
pub struct Probe {
    tasks: JoinSet<()>,
    answers: Arc<Mutex<BTreeMap<String, Answers>>>,
}

impl Probe {
    /// Asks every frontend of a cloud that speaks HTTP, by the name of its service.
    pub fn start(host: &Arc<Host>, cloud: &Cloud) -> Self {
        let answers = Arc::new(Mutex::new(BTreeMap::new()));
        let mut tasks = JoinSet::new();
        for (service, frontend) in cloud.frontends() {
            if frontend.mode == FrontendMode::Http {
                let url = format!("{}/", cloud.url(frontend));
                let (host, answers) = (Arc::clone(host), Arc::clone(&answers));
                tasks.spawn(ask(host, url, service.service.clone(), answers));
            }
        }
        Self { tasks, answers }
    }

    /// What was answered, by service.
    pub async fn end(mut self) -> BTreeMap<String, Answers> {
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        std::mem::take(&mut *self.answers.lock().await)
    }
}

async fn ask(
    host: Arc<Host>,
    url: String,
    service: String,
    answers: Arc<Mutex<BTreeMap<String, Answers>>>,
) {
    let mut last = Instant::now();
    loop {
        let began = Instant::now();
        let (method, url) = ("GET".to_owned(), url.clone());
        let request = Request { method, url, timeout: Some(LIMIT), ..Request::default() };
        let answered = host.http.send(request).await.is_ok_and(|response| response.status < 500);
        let mut one = Answers::default();
        one.count(began, Instant::now(), answered, &mut last);
        answers.lock().await.entry(service.clone()).or_default().add(one);
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_time_without_an_answer_is_kept() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let (mut answers, mut last) = (Answers::default(), start);
        answers.count(at(250), at(260), true, &mut last);
        assert_eq!(answers.longest, Duration::from_millis(10));
        answers.count(at(510), at(511), false, &mut last);
        answers.count(at(761), at(762), false, &mut last);
        answers.count(at(1010), at(1020), true, &mut last);
        let expected = Answers { requests: 4, refused: 2, longest: Duration::from_millis(500) };
        assert_eq!(answers, expected);
        // One that hangs is as bad.
        answers.count(at(1270), at(4270), true, &mut last);
        assert_eq!(answers.longest, Duration::from_secs(3));
    }
}
