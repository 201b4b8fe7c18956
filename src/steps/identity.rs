//! The identity service over its REST API (version 3), with the administrator's token: domains,
//! projects, roles, users, role assignments, the catalog. Source of paths and bodies: the Identity
//! API v3 reference.
//!
//! Keystone counts in whole seconds when it revokes tokens: one that is issued in the second in
//! which its user's password changed is refused for ever (`issued_before` of a revocation event
//! against `issued_at` of a Fernet token). A refused token is therefore thrown away, and the
//! request repeated with another.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::site::{Site, json as parse};
use crate::engine::step::StepContext;
use crate::error::{Error, Result};
use crate::host::{Request, Response};

/// How long a request that does no harm twice is repeated while no member answers it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Whose tokens a session takes.
struct Administrator<'a> {
    user: &'a str,
    project: &'a str,
    password: &'a str,
}

/// The administrator, logged in.
pub struct Session<'a> {
    context: &'a StepContext,
    url: String,
    administrator: Administrator<'a>,
    /// The token of this run, none where it must be issued first.
    known: &'a Mutex<Option<String>>,
}

impl<'a> Session<'a> {
    /// Logs in as the administrator with the present secret, unless that was done in this run.
    pub async fn open(context: &'a StepContext, site: &'a Site) -> Result<Self> {
        let definition = site.cloud.identity_server().ok_or_else(|| {
            Error::failed("find the identity service")
                .because("no deployed profile has `identity_server`")
        })?;
        let url = format!("{}/v3", site.cloud.url(site.cloud.frontend(&definition.frontend)?));
        let administrator = Administrator {
            user: &definition.user,
            project: &definition.project,
            password: site.password(&definition.secret)?,
        };
        let session = Self { context, url, administrator, known: &site.admin_token };
        session.token().await?;
        Ok(session)
    }

    async fn token(&self) -> Result<String> {
        let mut known = self.known.lock().await;
        if let Some(token) = known.as_ref() {
            return Ok(token.clone());
        }
        let token = login(self.context, &self.url, &self.administrator).await?;
        *known = Some(token.clone());
        Ok(token)
    }

    /// Forgets a token that was refused, if no other was issued meanwhile.
    async fn forget(&self, token: &str) {
        let mut known = self.known.lock().await;
        known.take_if(|it| it == token);
    }

    /// Whether the administrator gets a token, and the service takes what it issued.
    pub async fn check(context: &StepContext, site: &Site) -> Result<()> {
        let session = Session::open(context, site).await?;
        session.send("GET", "/auth/catalog", None).await.map(drop)
    }

    /// Sends a request; any answer outside 2xx is an error that carries the service's own words.
    /// A request that a proxy could not get answered is repeated, unless it makes something; one
    /// whose token is refused always is.
    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value> {
        let request = Request {
            method: method.to_owned(),
            url: format!("{}{path}", self.url),
            body,
            ..Request::default()
        };
        let response = self.answer(request).await?;
        if !(200..300).contains(&response.status) {
            return Err(refusal(&format!("{method} {path}"), &response));
        }
        if response.body.is_empty() {
            return Ok(Value::Null);
        }
        parse(&response.body, || format!("read the answer to {method} {path}"))
    }

    async fn answer(&self, request: Request) -> Result<Response> {
        let until = Instant::now() + self.context.host.patiently(PATIENCE);
        loop {
            let token = self.token().await?;
            let headers = vec![("X-Auth-Token".to_owned(), token.clone())];
            let request = Request { headers, ..request.clone() };
            let repeatable = request.method != "POST";
            let response = self.context.host.http.send(request).await?;
            match response.status {
                401 => self.forget(&token).await,
                502..=504 if repeatable => {}
                _ => return Ok(response),
            }
            if Instant::now() >= until {
                return Ok(response);
            }
            sleep(PAUSE).await;
        }
    }

    /// A whole collection: `list("/users", "users")`.
    pub async fn list(&self, path: &str, key: &str) -> Result<Vec<Value>> {
        let body = self.send("GET", path, None).await?;
        Ok(body.get(key).and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// Makes an element and returns it: `create("/users", "user", {...})`.
    pub async fn create(&self, path: &str, key: &str, element: Value) -> Result<Value> {
        let body = self.send("POST", path, Some(json!({ key: element }))).await?;
        Ok(body.get(key).cloned().unwrap_or_default())
    }
}

async fn login(
    context: &StepContext,
    url: &str,
    Administrator { user, project, password }: &Administrator<'_>,
) -> Result<String> {
    let domain = json!({ "name": "Default" });
    let auth = json!({
        "identity": { "methods": ["password"], "password": { "user": {
            "name": user, "domain": domain, "password": password } } },
        "scope": { "project": { "name": project, "domain": domain } },
    });
    let request = Request {
        method: "POST".to_owned(),
        url: format!("{url}/auth/tokens"),
        body: Some(json!({ "auth": auth })),
        ..Request::default()
    };
    let response = context.host.http.send(request).await?;
    let token = response.headers.iter().find(|(name, _)| name == "x-subject-token");
    match token {
        Some((_, token)) if response.status == 201 => Ok(token.clone()),
        _ => Err(refusal(&format!("issue a token to `{user}`"), &response)),
    }
}

fn refusal(doing: &str, response: &Response) -> Error {
    let words = serde_json::from_str::<Value>(&response.body)
        .ok()
        .and_then(|body| body.pointer("/error/message").and_then(Value::as_str).map(str::to_owned));
    let error = Error::failed(doing.to_owned())
        .because(format!("the identity service answered {}", response.status));
    match words {
        Some(words) => error.because(words),
        None => error,
    }
}

/// The `id` of the element whose fields are these.
pub fn find_id(elements: &[Value], fields: &[(&str, &str)]) -> Option<String> {
    let matches = |element: &&Value| {
        fields.iter().all(|(name, value)| element.get(*name).and_then(Value::as_str) == Some(value))
    };
    elements.iter().find(matches)?.get("id")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests;
