//! Tells a path from a URL, as git does.

use std::path::PathBuf;

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A directory of this host.
    Path(PathBuf),
    /// Anything that git fetches from, `HOST:PATH` included.
    Url(String),
}

impl Address {
    /// What `--from` means: what exists as a path is one.
    pub fn parse(from: &str) -> Self {
        let path = PathBuf::from(from);
        if path.exists() { Self::Path(path) } else { Self::classify(from) }
    }

    /// What it is by its form alone: a scheme, or a colon before the first slash, make a URL.
    pub fn classify(from: &str) -> Self {
        let before_slash = from.split('/').next().unwrap_or_default();
        if from.contains("://") || before_slash.contains(':') {
            Self::Url(from.to_owned())
        } else {
            Self::Path(PathBuf::from(from))
        }
    }
}

/// A URL as it may be shown.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let Some((account, host)) = authority.rsplit_once('@') else { return url.to_owned() };
    let Some((user, _)) = account.split_once(':') else { return url.to_owned() };
    format!("{scheme}://{user}:***@{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_urls_are_told_apart() {
        for url in [
            "https://git.example/openstack/heat",
            "ssh://ann@review.example:29418/openstack/heat",
            "git@git.example:openstack/heat.git",
            "file:///srv/heat",
        ] {
            assert_eq!(Address::parse(url), Address::Url(url.to_owned()));
        }
        for path in ["./heat", "heat", "/srv/heat", "../a:b/heat", "./a:b"] {
            assert_eq!(Address::parse(path), Address::Path(PathBuf::from(path)), "{path}");
        }
    }

    #[test]
    fn what_exists_is_a_path_whatever_it_is_called() {
        let directory = tempfile::tempdir().unwrap();
        let odd = directory.path().join("a:b");
        std::fs::create_dir(&odd).unwrap();
        assert_eq!(Address::parse(odd.to_str().unwrap()), Address::Path(odd));
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = without_password("https://ann:s3cret@git.example/a@b:c");
        assert_eq!(shown, "https://ann:***@git.example/a@b:c");
        for harmless in ["https://ann@git.example/x", "git@git.example:x", "https://git.example:8/"]
        {
            assert_eq!(without_password(harmless), harmless);
        }
    }
}
