//! A small server that speaks as Gerrit does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::network::Network;
use super::{Dependencies, find};
use crate::commands::dev::source::git::Watch;
use crate::error::Result;

/// A patch set: the number of its change, and its own.
pub type PatchSet = (u32, u32);

/// One that answers with what it was told; nothing else is there.
pub struct FakeGerrit {
    pub url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// What is sent, by what is asked for.
    answers: Mutex<BTreeMap<String, Vec<u8>>>,
    /// The heads of all requests.
    requests: Mutex<Vec<String>>,
}

impl FakeGerrit {
    /// One in a directory of its host, or in none.
    pub fn start(prefix: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}{prefix}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // Who has enough of an answer leaves.
                let _ = served.serve(&stream.unwrap());
            }
        });
        let gerrit = Self { url, shared };
        gerrit.json("/config/server/version", &json!("3.11.2"));
        gerrit
    }

    /// Sends these bytes to whoever asks for that path.
    pub fn raw(&self, path: &str, bytes: &[u8]) {
        let prefix = self.url.splitn(4, '/').nth(3).map(|it| format!("/{it}")).unwrap_or_default();
        self.shared.answers.lock().unwrap().insert(format!("{prefix}{path}"), bytes.to_vec());
    }

    pub fn text(&self, path: &str, status: u16, headers: &str, body: &str) {
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}", body.len());
        self.raw(path, format!("{head}\r\n{body}").as_bytes());
    }

    pub fn json(&self, path: &str, answer: &Value) {
        self.text(path, 200, "", &format!(")]}}'\n{answer}\n"));
    }

    /// A change of the branch `master` at its only patch set, by itself.
    pub fn change(&self, number: u32, project: &str, status: &str, footers: &[&str]) {
        self.info(number, 1, project, status);
        self.patch_set((number, 1), None, footers);
    }

    /// What is known of a change.
    pub fn info(&self, number: u32, newest: u32, project: &str, status: &str) {
        let path = format!("/changes/{number}?o=CURRENT_REVISION");
        self.json(&path, &info(number, newest, project, "master", status));
    }

    /// A patch set on top of another one.
    pub fn patch_set(&self, own: PatchSet, below: Option<PatchSet>, footers: &[&str]) {
        let path = format!("/changes/{}/revisions/{}", own.0, own.1);
        let footers: Vec<String> = footers
            .iter()
            .map(|it| format!("Depends-On: {}", it.replace("BASE", &self.url)))
            .collect();
        let message = format!("Change {}\n\nWhy.\n\n{}\n", own.0, footers.join("\n"));
        let mut answer = commit(own, below);
        answer["message"] = json!(message);
        self.json(&format!("{path}/commit"), &answer);
        self.json(&format!("{path}/related"), &json!({ "changes": [] }));
    }

    /// Open changes on top of one another, the topmost first.
    pub fn stack(&self, project: &str, stack: &[(PatchSet, &[&str])]) {
        let numbers: Vec<PatchSet> = stack.iter().map(|(own, _)| *own).collect();
        for (place, (own, footers)) in stack.iter().enumerate() {
            self.info(own.0, own.1, project, "NEW");
            self.patch_set(*own, numbers.get(place + 1).copied(), footers);
            self.related(*own, &numbers, "NEW");
        }
    }

    /// What Gerrit shows of the stack that a patch set is in.
    pub fn related(&self, own: PatchSet, stack: &[PatchSet], status_of_lowest: &str) {
        let related = |(place, patch_set): (usize, &PatchSet)| {
            let is_lowest = place + 1 == stack.len();
            json!({
                "commit": commit(*patch_set, stack.get(place + 1).copied()),
                "_change_number": patch_set.0,
                "_revision_number": patch_set.1,
                "_current_revision_number": patch_set.1,
                "status": if is_lowest { status_of_lowest } else { "NEW" },
            })
        };
        let changes: Vec<Value> = stack.iter().enumerate().map(related).collect();
        let path = format!("/changes/{}/revisions/{}/related", own.0, own.1);
        self.json(&path, &json!({ "changes": changes }));
    }

    /// What is found with a Change-Id.
    pub fn with_id(&self, id: &str, found: &[Value]) {
        let path = format!("/changes/?q=change:{id}&n=25&o=CURRENT_REVISION");
        self.json(&path, &Value::from(found));
    }

    /// What a change of the project `openstack/nova` depends on.
    pub fn find(&self, change: &str) -> Result<Dependencies> {
        self.find_from(&format!("{}/openstack/nova", self.url), change)
    }

    pub fn find_from(&self, from: &str, change: &str) -> Result<Dependencies> {
        let mut watch = Watch { progress: &mut |_| {}, cancelled: &|| false };
        find(from, change.parse().unwrap(), &Network::of(&[]), &mut watch)
    }

    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }
}

/// A change as Gerrit describes it.
pub fn info(number: u32, newest: u32, project: &str, branch: &str, status: &str) -> Value {
    let revisions = BTreeMap::from([(id((number, newest)), json!({ "_number": newest }))]);
    json!({
        "id": format!("{project}~{number}"),
        "project": project,
        "branch": branch,
        "subject": format!("Change {number}"),
        "status": status,
        "_number": number,
        "revisions": revisions,
    })
}

fn commit(own: PatchSet, below: Option<PatchSet>) -> Value {
    let parent = below.map_or_else(|| "0".repeat(40), id);
    json!({
        "commit": id(own),
        "parents": [{ "commit": parent, "subject": "Below" }],
        "subject": format!("Change {}", own.0),
    })
}

fn id(patch_set: PatchSet) -> String {
    format!("{:032x}{:08x}", patch_set.0, patch_set.1)
}

impl Shared {
    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut head = String::new();
        let mut reader = BufReader::new(stream);
        while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let answers = self.answers.lock().unwrap();
        let nothing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nNot found".to_vec();
        let answer = answers.get(&path).cloned().unwrap_or(nothing);
        drop(answers);
        self.requests.lock().unwrap().push(head);
        let mut stream = stream;
        // One request for each connection.
        let text =
            String::from_utf8_lossy(&answer).replacen("\r\n", "\r\nConnection: close\r\n", 1);
        stream.write_all(text.as_bytes())
    }
}
