//! HTTP to the cloud's services, which are on this host: no proxy of the environment is asked.
//! Redirects are answers (keystone's list of versions is one). Where they speak TLS, the cloud's own
//! authority is trusted and nobody else.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls::crypto::ring;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, http};

use crate::error::{Error, Result, ResultExt};
use crate::host::{Http, Request, Response, blocking};
use crate::lxc::bounded;

/// For requests that say nothing else.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// A member that is up answers in a millisecond.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The real thing.
#[derive(Clone, Debug)]
pub struct RealHttp {
    agent: Agent,
    authority: PathBuf,
    patience: u32,
}

/// Trusts the certificates of a bundle, and no others.
///
/// # Errors
/// When it is not as bundles are written (PEM).
pub fn trusting(bundle: &[u8]) -> std::result::Result<TlsConfig, ureq::Error> {
    let mut trusted = Vec::new();
    for item in parse_pem(bundle) {
        if let PemItem::Certificate(certificate) = item? {
            trusted.push(certificate);
        }
    }
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(trusted)))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build())
}

impl RealHttp {
    /// One for all services. Each request has a connection of its own, a fraction of a millisecond
    /// here: one that was kept can be closed by the other side while a request is on its way, and
    /// what that request made nobody knows. Time limits are multiplied by `patience`; the certificate
    /// of the cloud's authority is read when it is needed.
    pub fn new(patience: u32, authority: PathBuf) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT * patience))
            .max_idle_connections(0)
            .allow_non_standard_methods(true)
            .user_agent("aio")
            .build();
        Self { agent: config.new_agent(), authority, patience }
    }

    /// Whom to trust for a request to that address.
    fn trust(&self, url: &str) -> Result<TlsConfig> {
        let mut text = Vec::new();
        let doing = || format!("read {}", self.authority.display());
        if url.starts_with("https:") {
            text = std::fs::read(&self.authority).doing(doing)?;
        }
        trusting(&text).doing(doing)
    }

    fn exchange(&self, request: Request) -> Result<Response> {
        let doing = format!("{} {}", request.method, request.url);
        let limit = request.timeout.unwrap_or(DEFAULT_TIMEOUT) * self.patience;
        let trust = self.trust(&request.url)?;
        let mut builder = http::Request::builder().method(request.method.as_str()).uri(request.url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let body = match request.body {
            Some(body) => {
                builder = builder.header("Content-Type", "application/json");
                body.to_string()
            }
            None => String::new(),
        };
        // Headers may hold tokens: the reason says which part is wrong, never its value.
        let agent = &self.agent;
        let sent = if body.is_empty() {
            let request = builder.body(()).doing(|| doing.clone())?;
            let request = agent.configure_request(request).timeout_global(Some(limit));
            agent.run(request.tls_config(trust).build())
        } else {
            let request = builder.body(body).doing(|| doing.clone())?;
            let request = agent.configure_request(request).timeout_global(Some(limit));
            agent.run(request.tls_config(trust).build())
        };
        let response =
            sent.map_err(|error| Error::failed(doing.clone()).because(reason(&error)))?;
        read(response).map_err(|error| Error::failed(doing).because(error))
    }
}

#[async_trait]
impl Http for RealHttp {
    async fn send(&self, request: Request) -> Result<Response> {
        let this = self.clone();
        blocking("send a request", move || this.exchange(request)).await
    }
}

fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        other => other.to_string(),
    }
}

fn read(response: http::Response<ureq::Body>) -> std::io::Result<Response> {
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    // A service's answer is smaller, or something is wrong.
    let body = bounded::read(response.into_body().into_reader(), bounded::LARGEST_BYTES)?;
    Ok(Response { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::secrets::tls::authority::{self, Purpose};
    use crate::secrets::tls::pair::Pair;

    /// Answers one request and returns its head and body.
    fn serve_once(answer: &'static str) -> (String, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v3/x", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut text = String::new();
            let mut length = 0;
            while !text.ends_with("\r\n\r\n") {
                let start = text.len();
                reader.read_line(&mut text).unwrap();
                if let Some(value) = text[start..].to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            text.push_str(&String::from_utf8(body).unwrap());
            stream.write_all(answer.as_bytes()).unwrap();
            text
        });
        (url, served)
    }

    #[tokio::test]
    async fn sends_what_was_asked_and_takes_any_status_as_an_answer() {
        let (url, served) = serve_once(
            "HTTP/1.1 409 Conflict\r\nX-Subject-Token: t\r\nContent-Length: 4\r\n\r\nbusy",
        );
        let request = Request {
            method: "PATCH".to_owned(),
            url,
            headers: vec![("X-Auth-Token".to_owned(), "secret".to_owned())],
            body: Some(serde_json::json!({"user": "heat"})),
            timeout: None,
        };
        let response = RealHttp::new(1, PathBuf::new()).send(request).await.unwrap();
        assert_eq!((response.status, response.body.as_str()), (409, "busy"));
        assert!(response.headers.contains(&("x-subject-token".to_owned(), "t".to_owned())));
        let sent = served.join().unwrap();
        assert!(sent.starts_with("PATCH /v3/x HTTP/1.1\r\n"), "{sent}");
        assert!(sent.to_lowercase().contains("x-auth-token: secret"), "{sent}");
        assert!(sent.ends_with("\r\n\r\n{\"user\":\"heat\"}"), "{sent}");
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer() {
        let (url, served) = serve_once(
            "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n",
        );
        let request = Request { method: "GET".to_owned(), url, ..Request::default() };
        let response = RealHttp::new(1, PathBuf::new()).send(request).await.unwrap();
        assert_eq!(response.status, 302);
        assert!(served.join().unwrap().starts_with("GET /v3/x"));
    }

    #[tokio::test]
    async fn a_connection_that_the_server_closed_is_not_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            }
        });
        let http = RealHttp::new(1, PathBuf::new());
        for _ in 0..2 {
            let request =
                Request { method: "POST".to_owned(), url: url.clone(), ..Request::default() };
            assert_eq!(http.send(request).await.unwrap().status, 204);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        served.join().unwrap();
    }

    #[tokio::test]
    async fn no_answer_is_an_error_in_time() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let request = Request {
            method: "GET".to_owned(),
            url: format!("http://{}/", silent.local_addr().unwrap()),
            headers: vec![("X-Auth-Token".to_owned(), "secret".to_owned())],
            timeout: Some(Duration::from_millis(200)),
            ..Request::default()
        };
        let error = RealHttp::new(1, PathBuf::new()).send(request).await.unwrap_err().to_string();
        assert!(error.starts_with("GET http://127.0.0.1:"), "{error}");
        assert!(error.ends_with("no answer in time") && !error.contains("secret"), "{error}");
    }

    /// Answers one client by TLS as 127.0.0.1, by that authority; a client may go without an answer.
    fn serve_by_tls(authority: &Pair) -> String {
        let names = ["127.0.0.1".to_owned()];
        let now = time::OffsetDateTime::now_utc();
        let shown = authority::issue(authority, &names, Purpose::Server, now).unwrap();
        let provider = Arc::new(ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(shown.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(shown.key.expose_secret().as_bytes()).unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream);
            let mut asked = [0; 4096];
            if stream.read(&mut asked).is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
            }
        });
        url
    }

    #[tokio::test]
    async fn where_it_speaks_tls_the_clouds_authority_is_trusted_and_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.crt");
        let get = |url| Request { method: "GET".to_owned(), url, ..Request::default() };
        let make = || authority::settle("aio1", None, time::OffsetDateTime::now_utc()).unwrap().0;
        let (own, other) = (make(), make());
        let http = RealHttp::new(1, file.clone());
        let error = http.send(get(serve_by_tls(&own))).await.unwrap_err().to_string();
        assert!(error.contains("ca.crt"), "{error}");
        std::fs::write(&file, &own.certificate).unwrap();
        assert_eq!(http.send(get(serve_by_tls(&own))).await.unwrap().status, 204);
        let error = http.send(get(serve_by_tls(&other))).await.unwrap_err().to_string();
        assert!(error.contains("certificate"), "{error}");
    }
}
