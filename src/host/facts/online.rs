//! Facts that need the network and take a moment: the package index, name resolution, the clock.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::parse;
use crate::host::tool::run;
use crate::model::facts::{ClockFacts, IndexFacts};

/// How long a name may take to resolve.
const PATIENCE: Duration = Duration::from_secs(5);

/// APT's own fetcher: it knows the host's proxies, certificates and credentials.
const FETCHER: &str = "/usr/lib/apt/apt-helper";

/// What was found.
#[derive(Default)]
pub struct Online {
    /// The package index.
    pub index: IndexFacts,
    /// Whether the index's host name resolves.
    pub resolves: Option<bool>,
    /// The date of the index.
    pub index_date: Option<u64>,
}

/// Asks for the first package index that this host's APT uses.
pub async fn read() -> Online {
    let doing = "ask APT for its package index";
    let listed = run(doing, "apt-get", &["update", "--print-uris"], "").await;
    let uri = listed.ok().and_then(|text| first_index(&text));
    let Some(uri) = uri else { return Online::default() };
    let (fetched, resolves) = tokio::join!(fetch(&uri), resolves(&uri));
    let (index_date, error) = match fetched {
        Ok(text) => (parse::index_date(&text), None),
        Err(why) => (None, Some(why)),
    };
    let reachable = Some(error.is_none());
    Online { index: IndexFacts { uri: Some(uri), reachable, error }, resolves, index_date }
}

/// `'http://mirror/debian/dists/trixie/InRelease' … 0`.
fn first_index(text: &str) -> Option<String> {
    let uris = text.lines().filter_map(|line| line.split('\'').nth(1));
    uris.into_iter().find(|uri| uri.ends_with("/InRelease")).map(str::to_owned)
}

async fn fetch(uri: &str) -> Result<String, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let target = directory.path().join("InRelease");
    let target_text = target.display().to_string();
    let args = [
        // The directory belongs to whoever asks; APT's own user could not write there.
        "-oAPT::Sandbox::User=root",
        "-oAcquire::Retries=0",
        "-oAcquire::http::Timeout=5",
        "-oAcquire::https::Timeout=5",
        "download-file",
        uri,
        &target_text,
    ];
    run("ask the package index", FETCHER, &args, "").await.map_err(|error| {
        let said = error.output.unwrap_or_default();
        let line = said.lines().find_map(|line| line.strip_prefix("E: "));
        line.map_or_else(|| error.causes.join(": "), str::to_owned)
    })?;
    std::fs::read_to_string(&target).map_err(|error| error.to_string())
}

/// Whether the host name of an address resolves. Nothing when it is a number.
async fn resolves(uri: &str) -> Option<bool> {
    let host = uri.split("://").nth(1)?.split(['/', ':']).next()?;
    if host.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    let lookup = tokio::net::lookup_host((host.to_owned(), 80));
    let answer = tokio::time::timeout(PATIENCE, lookup).await;
    Some(answer.is_ok_and(|found| found.is_ok_and(|mut all| all.next().is_some())))
}

/// The clock, and the latest moment of which the host has evidence.
pub fn clock(index_date: Option<u64>) -> ClockFacts {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
    // Changed by every installation and every refresh of the package index.
    let evidence = ["/var/lib/dpkg/status", "/var/lib/apt/lists", "/etc/os-release"];
    let changed = evidence
        .iter()
        .filter_map(|path| Path::new(path).metadata().ok()?.modified().ok().map(seconds));
    ClockFacts {
        now: seconds(SystemTime::now()),
        not_before: changed.chain(index_date).max().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_index_is_asked() {
        let text = "'http://mirror.example/debian/dists/trixie/InRelease' a_InRelease 0 \n\
                    'http://mirror.example/debian/dists/trixie/main/Packages.xz' b 0 \n";
        assert_eq!(
            first_index(text).as_deref(),
            Some("http://mirror.example/debian/dists/trixie/InRelease")
        );
        assert_eq!(first_index("E: nothing\n"), None);
    }

    #[tokio::test]
    async fn numbers_need_no_resolver() {
        assert_eq!(resolves("http://192.0.2.1:3142/debian/dists/trixie/InRelease").await, None);
    }
}
