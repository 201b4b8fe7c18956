//! Addresses of a review server and of its projects.

use std::fmt;

use ureq::http::uri::Authority;

use super::answers::is_project_name;

/// How many directories of its host a review server may stand in: `/gerrit`, `/r`.
const DEEPEST: usize = 3;

/// What all addresses of a review server begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    origin: Origin,
    /// Empty, or as `/gerrit`.
    prefix: String,
}

/// A server by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    is_secure: bool,
    host: String,
    /// None where it is the scheme's own.
    port: Option<u16>,
}

impl Origin {
    /// The server in an address of the web, and what follows it there.
    fn parse(url: &str) -> Option<(Self, &str)> {
        let (scheme, rest) = url.split_once("://")?;
        let is_secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        Some((Self::of(is_secure, authority)?, rest))
    }

    fn of(is_secure: bool, authority: &str) -> Option<Self> {
        let authority: Authority = authority.parse().ok()?;
        let host = authority.host().to_ascii_lowercase();
        let own = if is_secure { 443 } else { 80 };
        let port = authority.port_u16().filter(|port| *port != own);
        (!host.is_empty()).then_some(Self { is_secure, host, port })
    }

    /// Whether both are one server; by which of the two schemes does not matter.
    fn is_same(&self, other: &Self) -> bool {
        self.host == other.host && self.port == other.port
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(formatter, "{scheme}://{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

impl fmt::Display for Base {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.origin, self.prefix)
    }
}

impl Base {
    pub fn is_secure(&self) -> bool {
        self.origin.is_secure
    }

    pub fn host(&self) -> &str {
        &self.origin.host
    }

    /// What an address has after this one, if it is on the same server.
    pub fn below<'a>(&self, url: &'a str) -> Option<&'a str> {
        let (origin, rest) = Origin::parse(url)?;
        let below = rest.strip_prefix(&self.prefix)?;
        (origin.is_same(&self.origin) && (below.is_empty() || below.starts_with('/')))
            .then_some(below)
    }

    /// Where a redirect leads, if that is the same server, and not without encryption where there was
    /// some.
    pub fn redirected(&self, location: &str) -> Option<String> {
        if location.starts_with('/') && !location.starts_with("//") {
            return Some(format!("{}{location}", self.origin));
        }
        let (origin, rest) = Origin::parse(location)?;
        let is_kept = origin.is_secure || !self.origin.is_secure;
        (origin.is_same(&self.origin) && is_kept).then(|| format!("{origin}{rest}"))
    }
}

/// Where the review server of a repository may be, likeliest first, and what the project is called
/// there. A URL does not tell in which directory of its host the server stands.
pub fn places(url: &str) -> Vec<(Base, String)> {
    let Some((origin, path)) = server_of(url) else { return Vec::new() };
    let path = path.trim_end_matches('/').trim_end_matches(".git");
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let mut depths: Vec<usize> = (0..segments.len().min(DEEPEST + 1)).collect();
    // Where Gerrit asks for a password, `/a/` stands between its own directory and the project.
    depths.sort_by_key(|depth| segments[*depth] != "a");
    let place = |depth: usize| {
        let (prefix, project) = segments.split_at(depth);
        let project = match project {
            ["a", project @ ..] if !project.is_empty() => project,
            project => project,
        };
        let project = project.join("/");
        let prefix = prefix.iter().map(|segment| format!("/{segment}")).collect::<String>();
        let are_names = is_project_name(&project)
            && (prefix.is_empty() || is_project_name(prefix.trim_start_matches('/')));
        are_names.then(|| (Base { origin: origin.clone(), prefix }, project))
    };
    depths.into_iter().filter_map(place).collect()
}

/// The web server of a repository, and the repository's path there. Beside ssh it is on the same
/// host.
fn server_of(url: &str) -> Option<(Origin, &str)> {
    if let Some(rest) = url.strip_prefix("ssh://") {
        let (authority, path) = rest.split_once('/')?;
        let origin = Origin::of(true, authority)?;
        return Some((Origin { port: None, ..origin }, path));
    }
    if url.contains("://") {
        let (origin, rest) = Origin::parse(url)?;
        return Some((origin, rest.split(['?', '#']).next().unwrap_or_default()));
    }
    let (authority, path) = url.split_once(':')?;
    Some((Origin::of(true, authority)?, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> Vec<(String, String)> {
        places(url).into_iter().map(|(base, project)| (base.to_string(), project)).collect()
    }

    fn place(base: &str, project: &str) -> (String, String) {
        (base.to_owned(), project.to_owned())
    }

    #[test]
    fn a_server_may_stand_in_a_directory_of_its_host() {
        let found = shown("https://Review.example/openstack/nova.git/");
        let expected = [
            place("https://review.example", "openstack/nova"),
            place("https://review.example/openstack", "nova"),
        ];
        assert_eq!(found, expected);
        let found = shown("https://ann:word@host.example:8443/gerrit/a/openstack/nova");
        assert_eq!(found[0], place("https://host.example:8443/gerrit", "openstack/nova"));
        assert_eq!(shown("http://host.example:80/r/a")[0], place("http://host.example/r", "a"));
    }

    #[test]
    fn beside_ssh_there_is_the_web() {
        for url in [
            "ssh://ann@review.example:29418/openstack/nova",
            "ann@review.example:openstack/nova.git",
        ] {
            assert_eq!(shown(url)[0], place("https://review.example", "openstack/nova"), "{url}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_project_is_none() {
        for url in [
            "https://review.example/",
            "https://review.example/../nova",
            "https://review.example/-nova",
            "https://review.example/no%20va",
            "https:///nova",
            "git://review.example/nova",
            "file:///srv/nova",
            "/srv/nova",
            "",
        ] {
            assert_eq!(shown(url), [], "{url}");
        }
    }

    #[test]
    fn a_redirect_stays_on_the_server() {
        let base = |url| places(url).remove(0).0;
        let secure = base("https://host.example/r/a/nova");
        for (location, leads_to) in [
            ("/login", Some("https://host.example/login")),
            ("https://host.example:443/x", Some("https://host.example/x")),
            ("http://host.example/x", None),
            ("https://host.example:8443/x", None),
            ("https://host.example.evil/x", None),
            ("https://host.example@evil/x", None),
            ("//evil/x", None),
            ("x", None),
            ("file:///etc/passwd", None),
        ] {
            assert_eq!(secure.redirected(location).as_deref(), leads_to, "{location}");
        }
        let open = base("http://host.example/nova");
        let leads_to = open.redirected("https://host.example/x");
        assert_eq!(leads_to.as_deref(), Some("https://host.example/x"));
    }
}
