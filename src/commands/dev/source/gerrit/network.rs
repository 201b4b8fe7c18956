//! How a review server is reached: by the proxies of the environment, chosen as git chooses them
//! (<https://curl.se/libcurl/c/libcurl-env.html>), and with the certificates that the host trusts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ureq::tls::TlsConfig;
use ureq::{Agent, Proxy};

use super::address::Base;
use crate::error::{Error, ErrorKind, Result, ResultExt};
use crate::host::http::trusting;

/// The bundle of certificates that the host trusts.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Who names another one, the first that is set.
const NAMING_BUNDLE: [&str; 3] = ["GIT_SSL_CAINFO", "SSL_CERT_FILE", "CURL_CA_BUNDLE"];
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The variables of the environment that say how a server is reached.
pub struct Network {
    variables: BTreeMap<String, String>,
}

impl Network {
    pub fn of_host() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { variables: std::env::vars_os().filter_map(text).collect() }
    }

    #[cfg(test)]
    pub fn of(variables: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { variables: variables.iter().map(owned).collect() }
    }

    /// One who asks that server. Redirects are answers, and no cookies are kept.
    pub fn agent(&self, base: &Base) -> Result<Agent> {
        let config = Agent::config_builder()
            .proxy(self.proxy(base)?)
            .tls_config(self.trust(base)?)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .user_agent("aio")
            .build();
        Ok(config.new_agent())
    }

    fn proxy(&self, base: &Base) -> Result<Option<Proxy>> {
        let Some((name, address)) = self.proxy_variable(base) else { return Ok(None) };
        // It may hold a password.
        let proxy = Proxy::new(address).map_err(|_| {
            Error::new(ErrorKind::Host, format!("reach {base}"))
                .because(format!("the variable {name} is no address of a proxy"))
                .hint(format!("Set {name} to http://HOST:PORT, or unset it."))
        });
        proxy.map(Some)
    }

    /// The variable that names the proxy for a server. `HTTP_PROXY` does not count: who calls a
    /// program by way of a web server can set it.
    fn proxy_variable(&self, base: &Base) -> Option<(&str, &str)> {
        let names: &[&str] = if base.is_secure() {
            &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
        } else {
            &["http_proxy", "all_proxy", "ALL_PROXY"]
        };
        if self.first(&["no_proxy", "NO_PROXY"]).is_some_and(|(_, list)| is_listed(base, list)) {
            return None;
        }
        self.first(names)
    }

    /// The first of these variables that is set.
    fn first(&self, names: &[&str]) -> Option<(&str, &str)> {
        let mut set = names.iter().filter_map(|name| self.variables.get_key_value(*name));
        set.find(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn bundle(&self) -> PathBuf {
        PathBuf::from(self.first(&NAMING_BUNDLE).map_or(BUNDLE, |(_, path)| path))
    }

    fn trust(&self, base: &Base) -> Result<TlsConfig> {
        let bundle = self.bundle();
        let doing = || format!("read {}", bundle.display());
        let missing = |error| {
            Error::new(ErrorKind::Host, doing())
                .because(error)
                .hint("Install the certificates that everybody trusts: apt install ca-certificates")
        };
        let text = match std::fs::read(&bundle) {
            Err(error) if base.is_secure() => return Err(missing(error)),
            read => read.unwrap_or_default(),
        };
        trusting(&text).doing(doing)
    }

    /// What to look at when a server is not reached.
    pub fn hint(&self, base: &Base) -> String {
        let proxy = match self.proxy_variable(base) {
            Some((name, _)) => format!("the proxy is that of the variable {name}"),
            None => "no proxy is set for it".to_owned(),
        };
        format!(
            "See whether it answers: curl {base}/config/server/version ({proxy}, and the trusted \
             certificates are those in {}).",
            self.bundle().display()
        )
    }
}

/// Whether a list such as `localhost,.example.org` has a server in it.
fn is_listed(base: &Base, list: &str) -> bool {
    let host = base.host();
    let entries = list.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty());
    entries.map(str::to_ascii_lowercase).any(|entry| {
        let domain = entry.trim_start_matches('*').trim_start_matches('.');
        let is_below = || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        entry == "*" || (!domain.is_empty() && (host == domain || is_below()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::dev::source::gerrit::address::places;

    fn base(url: &str) -> Base {
        places(url).remove(0).0
    }

    fn proxy<'a>(network: &'a Network, url: &str) -> Option<&'a str> {
        network.proxy_variable(&base(url)).map(|(name, _)| name)
    }

    #[test]
    fn the_proxy_is_the_one_that_git_takes() {
        let network = Network::of(&[
            ("HTTP_PROXY", "http://never.example:1"),
            ("HTTPS_PROXY", "http://secure.example:1"),
            ("all_proxy", "http://all.example:1"),
            ("https_proxy", ""),
            ("no_proxy", "localhost, .inside.example,example.org"),
        ]);
        assert_eq!(proxy(&network, "https://review.example/nova"), Some("HTTPS_PROXY"));
        assert_eq!(proxy(&network, "http://review.example/nova"), Some("all_proxy"));
        for near in ["localhost", "inside.example", "a.inside.example", "review.example.org"] {
            assert_eq!(proxy(&network, &format!("https://{near}/nova")), None, "{near}");
        }
        assert!(proxy(&network, "https://badexample.org/nova").is_some());
        let nobody = Network::of(&[("https_proxy", "http://p:1"), ("NO_PROXY", "*")]);
        assert_eq!(proxy(&nobody, "https://review.example/nova"), None);
    }

    #[test]
    fn a_proxys_password_is_not_shown() {
        let network = Network::of(&[("https_proxy", "http://ann:s3cret@[/")]);
        let base = base("https://review.example/nova");
        let error = network.proxy(&base).unwrap_err();
        assert!(error.to_string().contains("https_proxy"), "{error}");
        assert!(!error.to_string().contains("s3cret") && !network.hint(&base).contains("s3cret"));
    }

    #[test]
    fn without_trusted_certificates_nobody_is_asked() {
        let network = Network::of(&[("SSL_CERT_FILE", "/nowhere/bundle.crt")]);
        let error = network.agent(&base("https://review.example/nova")).unwrap_err();
        assert!(error.message.contains("/nowhere/bundle.crt"), "{error}");
        assert!(network.agent(&base("http://review.example/nova")).is_ok());
    }
}
