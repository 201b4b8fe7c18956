//! A web service that answers as it was told.

use std::sync::Mutex;

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::host::{Http, Request, Response};

/// Answers by method and end of the address; the answer that was programmed last wins. What nobody
/// programmed is not found.
#[derive(Debug, Default)]
pub struct FakeHttp {
    answers: Mutex<Vec<(String, String, Result<Response>)>>,
    /// Every request in order.
    pub requests: Mutex<Vec<Request>>,
}

impl FakeHttp {
    /// `method` on addresses that end in `path` has this status and body from now on.
    pub fn answer(&self, method: &str, path: &str, status: u16, body: &str) {
        let response = Response { status, headers: Vec::new(), body: body.to_owned() };
        self.program(method, path, Ok(response));
    }

    /// As [`Self::answer`], with headers (names in lower case).
    pub fn program(&self, method: &str, path: &str, response: Result<Response>) {
        let answer = (method.to_owned(), path.to_owned(), response);
        self.answers.lock().unwrap().push(answer);
    }

    /// `method` on addresses that end in `path` has no response from now on.
    pub fn fail(&self, method: &str, path: &str, reason: &str) {
        let error = Error::failed(format!("{method} …{path}")).because(reason);
        self.program(method, path, Err(error));
    }
}

#[async_trait]
impl Http for FakeHttp {
    async fn send(&self, request: Request) -> Result<Response> {
        let answers = self.answers.lock().unwrap();
        let answer = answers.iter().rev().find(|(method, path, _)| {
            *method == request.method && request.url.ends_with(path.as_str())
        });
        let answer = answer.map_or_else(
            || Ok(Response { status: 404, ..Response::default() }),
            |(_, _, response)| response.clone(),
        );
        self.requests.lock().unwrap().push(request);
        answer
    }
}
