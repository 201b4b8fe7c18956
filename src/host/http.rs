//! HTTP to the cloud's services, which are on this host: no proxy of the environment is asked.

use std::time::Duration;

use async_trait::async_trait;
use ureq::Agent;
use ureq::http;

use super::{Http, Request, Response};
use crate::error::{Result, ResultExt};

/// How long a request may take unless it says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The real one.
#[derive(Clone, Debug)]
pub struct RealHttp {
    agent: Agent,
}

impl Default for RealHttp {
    fn default() -> Self {
        Self::new()
    }
}

impl RealHttp {
    /// One for all services; connections are kept while it lives.
    pub fn new() -> Self {
        let configuration = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(2)))
            .build();
        Self { agent: Agent::new_with_config(configuration) }
    }
}

fn send(agent: &Agent, request: Request) -> Result<Response> {
    let doing = || format!("{} {}", request.method, request.url);
    let mut builder = http::Request::builder().method(request.method.as_str()).uri(&request.url);
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let body = match &request.body {
        Some(body) => {
            builder = builder.header("Content-Type", "application/json");
            serde_json::to_vec(body).doing(doing)?
        }
        None => Vec::new(),
    };
    let timeout = request.timeout.unwrap_or(DEFAULT_TIMEOUT);
    let prepared = builder.body(body).doing(doing)?;
    let prepared = agent
        .configure_request(prepared)
        .timeout_global(Some(timeout))
        .allow_non_standard_methods(true)
        .build();
    let mut answer = agent.run(prepared).doing(doing)?;
    let headers = answer
        .headers()
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_ascii_lowercase(), String::from_utf8_lossy(value.as_bytes()).into())
        })
        .collect();
    let body = answer.body_mut().read_to_string().doing(doing)?;
    Ok(Response { status: answer.status().as_u16(), headers, body })
}

#[async_trait]
impl Http for RealHttp {
    async fn send(&self, request: Request) -> Result<Response> {
        let agent = self.agent.clone();
        let task = tokio::task::spawn_blocking(move || send(&agent, request));
        task.await.doing(|| "wait for a request".to_owned())?
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn any_status_is_a_response_and_bodies_go_as_json() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v3", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = Vec::new();
            let mut buffer = [0; 4096];
            while !heard.ends_with(b"}") {
                let count = stream.read(&mut buffer).unwrap();
                heard.extend_from_slice(&buffer[..count]);
            }
            let answer =
                "HTTP/1.1 409 Conflict\r\nX-Subject-Token: t\r\nContent-Length: 2\r\n\r\nno";
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(heard).unwrap()
        });
        let request = Request {
            method: "POST".to_owned(),
            url,
            body: Some(serde_json::json!({ "a": 1 })),
            ..Request::default()
        };
        let response = RealHttp::new().send(request).await.unwrap();
        let heard = server.join().unwrap();
        assert_eq!(response.status, 409);
        assert_eq!(response.body, "no");
        assert!(response.headers.contains(&("x-subject-token".to_owned(), "t".to_owned())));
        assert!(heard.contains("{\"a\":1}"), "{heard}");
    }

    #[tokio::test]
    async fn nobody_listening_is_an_error() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let request = Request {
            method: "GET".to_owned(),
            url: format!("http://127.0.0.1:{port}/"),
            ..Request::default()
        };
        assert!(RealHttp::new().send(request).await.is_err());
    }
}
