//! A small client of keystone and heat: the `openstack` command spends seconds loading, more than
//! what some tests measure.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cloud::Cloud;

/// One resource that heat itself makes.
pub const TEMPLATE: &str = "\
heat_template_version: 2018-08-31
resources:
  random:
    type: OS::Heat::RandomString
outputs:
  value:
    value: { get_attr: [random, value] }
";

/// Where the services of a cloud are, and who asks them.
#[derive(Clone)]
pub struct Client {
    /// `http://VIP:5000/v3`.
    pub auth_url: String,
    user: String,
    password: String,
}

/// An answer: the status, 0 when none came, and the body.
pub struct Answer {
    /// Status code; 0 when no answer came.
    pub status: u16,
    /// Headers that matter: the token.
    pub token: Option<String>,
    /// The body; null when it is no JSON.
    pub body: Value,
    /// What went wrong on the way.
    pub error: String,
}

impl Client {
    /// The administrator, by the credentials in the utility container.
    pub fn administrator(cloud: &Cloud) -> Self {
        let script = ". /root/openrc; printf '%s\\n%s\\n' \"$OS_AUTH_URL\" \"$OS_PASSWORD\"";
        let printed = cloud.inside("utility", script).ok().stdout;
        let mut lines = printed.lines();
        let auth_url = lines.next().unwrap().to_owned();
        Self { auth_url, user: "admin".to_owned(), password: lines.next().unwrap().to_owned() }
    }

    /// Another user of the default domain.
    pub fn with_user(&self, user: &str, password: &str) -> Self {
        Self { auth_url: self.auth_url.clone(), user: user.into(), password: password.into() }
    }

    /// What stands before a path at another port of the virtual address.
    pub fn at(&self, port: u16) -> String {
        let (scheme, _) = self.auth_url.split_once("://").unwrap();
        format!("{scheme}://{}:{port}", self.virtual_address())
    }

    /// The virtual address.
    pub fn virtual_address(&self) -> String {
        self.auth_url.split("//").nth(1).unwrap().split(':').next().unwrap().to_owned()
    }

    /// Asks for a token by password; `project` scopes it.
    pub fn ask_token(&self, project: Option<&str>, limit: Duration) -> Answer {
        let user = json!({"name": self.user, "domain": {"name": "Default"},
            "password": self.password});
        let mut auth = json!({"identity": {"methods": ["password"], "password": {"user": user}}});
        if let Some(project) = project {
            auth["scope"] = json!({"project": {"name": project, "domain": {"name": "Default"}}});
        }
        let url = format!("{}/auth/tokens", self.auth_url);
        request("POST", &url, None, Some(json!({"auth": auth})), limit)
    }

    /// A token for the administrator's project, with the id of that project.
    pub fn token(&self) -> (String, String) {
        let answer = self.ask_token(Some("admin"), Duration::from_secs(30));
        assert_eq!(answer.status, 201, "no token: {}", answer.error);
        let project = answer.body["token"]["project"]["id"].as_str().unwrap().to_owned();
        (answer.token.unwrap(), project)
    }

    /// Makes a stack and waits for its end. How long that took, and the last status.
    pub fn make_stack(&self, token: &str, project: &str, name: &str) -> (Duration, String) {
        let started = Instant::now();
        let limit = Duration::from_secs(120);
        let base = format!("{}/v1/{project}/stacks", self.at(8004));
        let wanted = json!({"stack_name": name, "template": TEMPLATE, "timeout_mins": 5});
        let mut answer = request("POST", &base, Some(token), Some(wanted), limit);
        if answer.status != 201 {
            return (started.elapsed(), format!("status {} {}", answer.status, answer.error));
        }
        let url = format!("{base}/{name}/{}", answer.body["stack"]["id"].as_str().unwrap());
        while started.elapsed() < limit {
            answer = request("GET", &url, Some(token), None, Duration::from_secs(10));
            let status = answer.body["stack"]["stack_status"].as_str().unwrap_or("").to_owned();
            if status.ends_with("_COMPLETE") || status.ends_with("_FAILED") {
                return (started.elapsed(), status);
            }
            thread::sleep(Duration::from_millis(100));
        }
        (started.elapsed(), "still not complete".to_owned())
    }

    /// Deletes a stack and waits until it is gone.
    pub fn delete_stack(&self, token: &str, project: &str, name: &str) {
        let started = Instant::now();
        let url = format!("{}/v1/{project}/stacks/{name}", self.at(8004));
        let found = request("GET", &url, Some(token), None, Duration::from_secs(60));
        let id = found.body["stack"]["id"].as_str().unwrap_or_default().to_owned();
        let url = format!("{url}/{id}");
        request("DELETE", &url, Some(token), None, Duration::from_secs(60));
        while started.elapsed() < Duration::from_secs(60) {
            let answer = request("GET", &url, Some(token), None, Duration::from_secs(10));
            if answer.status == 404 || answer.body["stack"]["stack_status"] == "DELETE_COMPLETE" {
                return;
            }
            thread::sleep(Duration::from_millis(200));
        }
        panic!("stack {name} is not deleted after a minute");
    }
}

/// Past any proxy of the host. Whom to trust where the cloud speaks TLS is tested elsewhere.
pub fn agent(limit: Duration) -> ureq::Agent {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let trust = ureq::tls::TlsConfig::builder()
        .disable_verification(true)
        .unversioned_rustls_crypto_provider(provider);
    ureq::Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(5)
        .max_idle_connections(0)
        .tls_config(trust.build())
        .timeout_global(Some(limit))
        .build()
        .into()
}

/// One request on a connection of its own.
pub fn request(
    method: &str,
    url: &str,
    token: Option<&str>,
    body: Option<Value>,
    limit: Duration,
) -> Answer {
    let agent = agent(limit);
    let mut request = ureq::http::Request::builder()
        .method(method)
        .uri(url)
        .header("Content-Type", "application/json");
    if let Some(token) = token {
        request = request.header("X-Auth-Token", token);
    }
    let text = body.map(|body| body.to_string()).unwrap_or_default();
    match agent.run(request.body(text).unwrap()) {
        Ok(mut response) => Answer {
            status: response.status().as_u16(),
            token: response
                .headers()
                .get("x-subject-token")
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            body: response.body_mut().read_json().unwrap_or(Value::Null),
            error: String::new(),
        },
        Err(error) => {
            Answer { status: 0, token: None, body: Value::Null, error: error.to_string() }
        }
    }
}
