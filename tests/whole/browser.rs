//! The dashboard in a real browser: Chromium without a screen, driven by the WebDriver protocol
//! (<https://www.w3.org/TR/webdriver2/>).

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::cloud::Cloud;
use crate::support::openstack::request;
use crate::support::process::{eventually, shell};

/// By which a WebDriver's answer refers to an element of the page.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Where the last screenshot is kept.
const SCREENSHOT: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/instances.png");

/// A browser that asks nobody but the cloud.
struct Browser {
    driver: Child,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver: install the packages `chromium` and `chromium-driver`");
        let profile = tempfile::tempdir().unwrap();
        let data = format!("--user-data-dir={}", profile.path().display());
        let options = json!({ "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--no-proxy-server", "--window-size=1280,900", data,
        ] });
        let wanted = json!({ "alwaysMatch": { "goog:chromeOptions": options } });
        let root = format!("http://127.0.0.1:{port}");
        let mut browser = Self { driver, session: root.clone(), _profile: profile };
        let id = eventually(
            Duration::from_secs(60),
            || {
                let answer = browser.ask("POST", "/session", json!({ "capabilities": wanted }))?;
                answer["sessionId"].as_str().map(str::to_owned)
            },
            "a browser",
        );
        browser.session = format!("{root}/session/{id}");
        browser
    }

    /// The value of the answer, if it is none of an error.
    fn ask(&self, method: &str, path: &str, body: Value) -> Option<Value> {
        let body = (method == "POST").then_some(body);
        let url = format!("{}{path}", self.session);
        let answer = request(method, &url, None, body, Duration::from_secs(60));
        (answer.status == 200).then(|| answer.body["value"].clone())
    }

    fn open(&self, url: &str) {
        assert!(self.ask("POST", "/url", json!({ "url": url })).is_some(), "open {url}");
    }

    fn element(&self, selector: &str) -> Option<String> {
        let found =
            self.ask("POST", "/element", json!({ "using": "css selector", "value": selector }))?;
        found[ELEMENT].as_str().map(str::to_owned)
    }

    fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector).unwrap_or_else(|| panic!("no {selector}"));
        let path = format!("/element/{element}/value");
        assert!(self.ask("POST", &path, json!({ "text": text })).is_some(), "fill {selector}");
    }

    fn text(&self) -> String {
        let script = json!({ "script": "return document.body.innerText", "args": [] });
        let text = self.ask("POST", "/execute/sync", script);
        text.and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
    }

    fn shows(&self, text: &str) {
        let mut last = String::new();
        eventually(
            Duration::from_secs(60),
            || {
                last = self.text();
                last.contains(text).then_some(())
            },
            &format!("a page with `{text}`"),
        );
    }

    fn screenshot(&self) {
        let encoded = self.ask("GET", "/screenshot", Value::Null).unwrap();
        let text = format!("{SCREENSHOT}.base64");
        fs::write(&text, encoded.as_str().unwrap()).unwrap();
        shell(&format!("base64 -d '{text}' >'{SCREENSHOT}'; rm '{text}'"));
        println!("  what it showed: {SCREENSHOT}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = request("DELETE", &self.session, None, None, Duration::from_secs(10));
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Signs in with the password of `user_secrets.yml`, sees a server, and still does when a member of the
/// dashboard is lost.
pub fn sees_a_server(cloud: &Cloud) {
    let make = "openstack server create --flavor tiny --image guest --network private --wait \
                seen-in-a-browser >/dev/null";
    cloud.inside("utility", make).ok();
    let shown = cloud.ok(&["openstack", "endpoint", "list", "-f", "json", "--service", "keystone"]);
    let (before, after) = shown.split_once("://").unwrap();
    let scheme = if before.ends_with("https") { "https" } else { "http" };
    let dashboard = format!("{scheme}://{}", after.split(':').next().unwrap());
    let browser = Browser::start();
    browser.open(&format!("{dashboard}/auth/login/"));
    if browser.element("input[name=domain]").is_some() {
        browser.fill("input[name=domain]", "Default");
    }
    browser.fill("input[name=username]", "admin");
    let password = &cloud.secrets()["keystone_auth_admin_password"];
    browser.fill("input[name=password]", &format!("{password}\u{E007}"));
    browser.shows("Overview");
    let instances = format!("{dashboard}/project/instances/");
    browser.open(&instances);
    browser.shows("seen-in-a-browser");
    let lost = cloud.container("horizon", 1);
    shell(&format!("lxc-stop -k -n {lost}"));
    browser.open(&instances);
    browser.shows("seen-in-a-browser");
    browser.screenshot();
    cloud.ok(&["start", "horizon/1"]);
    cloud.inside("utility", "openstack server delete --wait seen-in-a-browser").ok();
    cloud.healthy_within(Duration::from_secs(60));
}
