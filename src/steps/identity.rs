//! The identity service over its REST API (version 3), with one token: domains, projects, roles,
//! users, role assignments, the catalog. Source of paths and bodies: the Identity API v3 reference.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::site::{Site, json as parse};
use crate::engine::step::StepContext;
use crate::error::{Error, Result};
use crate::host::{Request, Response};

/// How long a request that does no harm twice is repeated while no member answers it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// A token with the address where it was issued.
pub struct Session<'a> {
    context: &'a StepContext,
    url: String,
    token: String,
}

impl<'a> Session<'a> {
    /// Logs in as the administrator with the present secret, once in a run.
    pub async fn open(context: &'a StepContext, site: &Site) -> Result<Self> {
        let definition = site.cloud.identity_server().ok_or_else(|| {
            Error::failed("find the identity service")
                .because("no deployed profile has `identity_server`")
        })?;
        let url = format!("{}/v3", site.cloud.url(site.cloud.frontend(&definition.frontend)?));
        let mut known = site.admin_token.lock().await;
        let token = match known.as_ref() {
            Some(token) => token.clone(),
            None => {
                let password = site.password(&definition.secret)?;
                let project = Some(definition.project.as_str());
                login(context, &url, &definition.user, "Default", password, project).await?
            }
        };
        *known = Some(token.clone());
        Ok(Self { context, url, token })
    }

    /// Sends a request; any answer outside 2xx is an error that carries the service's own words.
    /// A request that a proxy could not get answered is repeated, unless it makes something.
    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value> {
        let request = Request {
            method: method.to_owned(),
            url: format!("{}{path}", self.url),
            headers: vec![("X-Auth-Token".to_owned(), self.token.clone())],
            body,
            timeout: None,
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
            let response = self.context.host.http.send(request.clone()).await?;
            let lost = matches!(response.status, 502..=504);
            if !lost || request.method == "POST" || Instant::now() >= until {
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

/// A token for a user and its password.
pub async fn login(
    context: &StepContext,
    url: &str,
    user: &str,
    domain: &str,
    password: &str,
    project: Option<&str>,
) -> Result<String> {
    let mut auth = json!({ "identity": { "methods": ["password"], "password": { "user": {
        "name": user, "domain": { "name": domain }, "password": password } } } });
    if let Some(project) = project {
        auth["scope"] = json!({ "project": { "name": project, "domain": { "name": "Default" } } });
    }
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
