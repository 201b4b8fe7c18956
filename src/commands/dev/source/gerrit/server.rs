//! A review server, asked by its REST interface
//! (<https://gerrit-review.googlesource.com/Documentation/rest-api.html>).

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use ureq::{Agent, Body, http};

use super::address::{self, Base};
use super::answers::{ChangeInfo, CommitInfo, RelatedChanges, shown};
use super::network::Network;
use crate::commands::dev::source::change::REVIEW_REMOTES;
use crate::commands::dev::source::clone::{Address, without_password};
use crate::commands::dev::source::look::Question;
use crate::commands::dev::source::reader::CheckoutReader;
use crate::error::{Error, ErrorKind, Result};
use crate::lxc::bounded;

/// What every answer begins with, so that no browser takes it for a script.
const MAGIC: &str = ")]}'";
/// The longest answer.
const LONGEST_BYTES: u64 = 4 << 20;
/// How long one answer may take, and all of them.
const TIMEOUT: Duration = Duration::from_secs(30);
const WHOLE_TIMEOUT: Duration = Duration::from_secs(300);
/// How often an answer may lead on to another address of the server.
const MOST_REDIRECTS: usize = 5;
/// How many changes of one Change-Id are asked for: one for each branch of a few projects.
const MOST_OF_ONE_ID: usize = 25;

/// A review server.
pub struct Server {
    base: Base,
    agent: Agent,
    ends: Instant,
    hint: String,
}

/// Why there is no answer.
enum Failure {
    /// Nobody was reached.
    Unreached(String),
    /// Somebody was, who said something else than Gerrit would.
    Odd(String),
}

/// The review server that an address or a work tree leads to, and the project's name there.
pub fn find(
    from: &str,
    network: &Network,
    cancelled: &dyn Fn() -> bool,
) -> Result<(Server, String)> {
    let urls = match Address::parse(from) {
        Address::Url(url) => vec![url],
        Address::Path(path) => addresses_of(&CheckoutReader::find(&path)?)?,
    };
    let mut asked: Vec<Base> = Vec::new();
    for (base, project) in urls.iter().flat_map(|url| address::places(url)) {
        if asked.contains(&base) {
            continue;
        }
        refuse_when(cancelled)?;
        let server = Server::new(base.clone(), network)?;
        if server.is_gerrit()? {
            return Ok((server, project));
        }
        asked.push(base);
    }
    let names: Vec<String> = asked.iter().map(ToString::to_string).collect();
    let because = match names.as_slice() {
        [] => "no http, https or ssh address of a project leads to one".to_owned(),
        names => format!("no Gerrit answers at {}", names.join(", ")),
    };
    let shown = without_password(from);
    Err(Error::new(ErrorKind::Usage, format!("find the review server of {shown}"))
        .because(because)
        .hint(
            "Give the project's URL at its review server, which its `.gitreview` names: --from \
             https://HOST/PROJECT",
        ))
}

/// Where a work tree may be reviewed, likeliest first.
fn addresses_of(tree: &CheckoutReader) -> Result<Vec<String>> {
    let remotes = tree.repository()?.remotes;
    let mut addresses: Vec<String> = REVIEW_REMOTES
        .iter()
        .filter_map(|name| remotes.iter().find(|(it, _)| it == name))
        .map(|(_, url)| url.clone())
        .collect();
    // What was set up for review counts before what the project says, and where the clone is from last.
    let last = usize::from(remotes.iter().any(|(name, _)| name == "origin"));
    let said: Option<String> = tree.answer(Question::ReviewAddress)?;
    let place = addresses.len() - last;
    addresses.splice(place..place, said);
    Ok(addresses)
}

/// # Errors
/// When whoever waits does no longer.
pub fn refuse_when(cancelled: &dyn Fn() -> bool) -> Result<()> {
    if cancelled() {
        return Err(Error::new(ErrorKind::Interrupted, "ask a review server").because("cancelled"));
    }
    Ok(())
}

impl Server {
    fn new(base: Base, network: &Network) -> Result<Self> {
        let (agent, hint) = (network.agent(&base)?, network.hint(&base));
        Ok(Self { base, agent, ends: Instant::now() + WHOLE_TIMEOUT, hint })
    }

    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Where anybody clones a project from.
    pub fn clone_url(&self, project: &str) -> String {
        format!("{}/{project}", self.base)
    }

    /// A change, if it is there for everybody.
    pub fn change(&self, number: u32) -> Result<Option<ChangeInfo>> {
        let about = format!("change {number}");
        let found = self.ask(&about, &format!("/changes/{number}?o=CURRENT_REVISION"))?;
        found.map(|change| self.checked(&about, change, Some(number))).transpose()
    }

    /// All changes with a Change-Id.
    pub fn changes_of_id(&self, id: &str) -> Result<Vec<ChangeInfo>> {
        let about = format!("changes with the Change-Id {id}");
        let path = format!("/changes/?q=change:{id}&n={MOST_OF_ONE_ID}&o=CURRENT_REVISION");
        let found: Vec<ChangeInfo> = self.ask(&about, &path)?.unwrap_or_default();
        let first = found.into_iter().take(MOST_OF_ONE_ID);
        first.map(|change| self.checked(&about, change, None)).collect()
    }

    /// The commit of a patch set, if there is one.
    pub fn commit(&self, number: u32, patch_set: u32) -> Result<Option<CommitInfo>> {
        let path = format!("/changes/{number}/revisions/{patch_set}/commit");
        self.ask(&format!("change {number}/{patch_set}"), &path)
    }

    /// The changes above and below a patch set, or none.
    pub fn related(&self, number: u32, patch_set: u32) -> Result<RelatedChanges> {
        let path = format!("/changes/{number}/revisions/{patch_set}/related");
        let found = self.ask(&format!("what change {number}/{patch_set} stands on"), &path)?;
        Ok(found.unwrap_or(RelatedChanges { changes: Vec::new() }))
    }

    fn checked(&self, about: &str, change: ChangeInfo, asked: Option<u32>) -> Result<ChangeInfo> {
        let another = asked.is_some_and(|asked| asked != change.number.get());
        let other = || format!("it answered with change {}", change.number);
        match change.problem().or_else(|| another.then(other)) {
            Some(problem) => Err(self.failed(about).because(problem)),
            None => Ok(change),
        }
    }

    /// Whether this is where a Gerrit is.
    fn is_gerrit(&self) -> Result<bool> {
        match self.get("/config/server/version") {
            Ok(Some(text)) => Ok(serde_json::from_str::<String>(&text).is_ok()),
            Ok(None) | Err(Failure::Odd(_)) => Ok(false),
            Err(Failure::Unreached(reason)) => {
                Err(self.failed("its version").because(reason).hint(self.hint.clone()))
            }
        }
    }

    fn ask<T: DeserializeOwned>(&self, about: &str, path: &str) -> Result<Option<T>> {
        let text = match self.get(path) {
            Ok(Some(text)) => text,
            Ok(None) => return Ok(None),
            Err(Failure::Odd(reason)) => return Err(self.failed(about).because(reason)),
            Err(Failure::Unreached(reason)) => {
                return Err(self.failed(about).because(reason).hint(self.hint.clone()));
            }
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            // Not what it was: a stranger's text may be a part of the reason.
            let reason = shown(&error.to_string());
            self.failed(about).because(format!("its answer is not as Gerrit's are: {reason}"))
        })
    }

    fn failed(&self, about: &str) -> Error {
        Error::failed(format!("ask {} about {about}", self.base))
    }

    /// The JSON that stands at an address; nothing where nothing is.
    fn get(&self, path: &str) -> Result<Option<String>, Failure> {
        let response = self.follow(format!("{}{path}", self.base))?;
        match response.status().as_u16() {
            200 => {}
            404 => return Ok(None),
            401 | 403 => return Err(Failure::Odd("it answers only those who sign in".to_owned())),
            status => return Err(Failure::Odd(format!("it answers with HTTP status {status}"))),
        }
        let text =
            bounded::read(response.into_body().into_reader(), LONGEST_BYTES).map_err(|error| {
                match error.kind() {
                    std::io::ErrorKind::FileTooLarge => Failure::Odd(format!(
                        "its answer has more than {} MiB",
                        LONGEST_BYTES >> 20
                    )),
                    _ => Failure::Unreached(format!("its answer broke off: {error}")),
                }
            })?;
        let text = String::from_utf8_lossy(&text);
        let json = text.strip_prefix(MAGIC);
        json.map(|json| Some(json.to_owned()))
            .ok_or_else(|| Failure::Odd(format!("its answer does not begin with {MAGIC}")))
    }

    /// Sends a request, and again where the server leads to another of its own addresses.
    fn follow(&self, url: String) -> Result<http::Response<Body>, Failure> {
        let mut url = url;
        for _ in 0..=MOST_REDIRECTS {
            let response = self.send(&url)?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let location = response.headers().get(http::header::LOCATION);
            let location = location.and_then(|value| value.to_str().ok()).unwrap_or_default();
            url = self.base.redirected(location).ok_or_else(|| {
                Failure::Odd(format!("it leads to another server: `{}`", shown(location)))
            })?;
        }
        Err(Failure::Odd("it leads from one address to another without an end".to_owned()))
    }

    fn send(&self, url: &str) -> Result<http::Response<Body>, Failure> {
        let left = self.ends.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::Unreached("all answers together took too long".to_owned()));
        }
        let request = self.agent.get(url).config().timeout_global(Some(TIMEOUT.min(left))).build();
        let sent = request.header(http::header::ACCEPT, "application/json").call();
        sent.map_err(|error| match error {
            ureq::Error::Timeout(_) => Failure::Unreached("no answer in time".to_owned()),
            other => Failure::Unreached(shown(&other.to_string())),
        })
    }
}
