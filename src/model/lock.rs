//! A release's lock: every Python distribution with its version and the hashes of the files that may be
//! installed of it, as a list of requirements that pip and uv read.

use std::fmt::Write;

use serde::Serialize;

use super::hash::sha256_hex;
use super::requirement::{is_name, is_version};
use crate::config::release::Release;
use crate::error::{Error, ErrorKind, Result};

/// Where the hash of all that follows stands.
const SEAL: &str = "# sha256: ";
/// What stands before a commit: for pip and uv it is a comment.
const COMMIT: &str = " # commit ";

/// A lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// What it was made for, in a line.
    pub title: String,
    /// In the order of their names.
    pub distributions: Vec<Distribution>,
}

/// One distribution of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// Normalised: `oslo-messaging`.
    pub name: String,
    pub version: String,
    /// SHA-256 of each file, in hexadecimal digits: of wheels where there are any that fit, else of the
    /// source.
    pub hashes: Vec<String>,
    /// The commit of which it was built, 40 hexadecimal digits: no index has it, it stands on this host
    /// ([`super::paths::Paths::built_wheels_dir`]).
    pub commit: Option<String>,
}

/// A distribution that was built of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Built {
    pub name: String,
    pub version: String,
    /// 40 hexadecimal digits.
    pub commit: String,
}

impl Lock {
    /// Reads a lock.
    ///
    /// # Errors
    /// A sentence that names the line: it was edited by hand, or is none.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let wrong = |line: usize, what: &str| format!("line {}: {what}", line + 1);
        let mut lines = text.lines().enumerate();
        let title = lines.next().and_then(|(_, line)| line.strip_prefix("# ")).unwrap_or_default();
        let seal = lines.next().and_then(|(_, line)| line.strip_prefix(SEAL));
        let seal = seal.ok_or_else(|| wrong(1, &format!("there is no `{SEAL}…`")))?;
        let mut distributions = Vec::new();
        for (number, line) in lines {
            let (line, commit) = match line.split_once(COMMIT) {
                Some((line, commit)) => (line, Some(commit.to_owned())),
                None => (line, None),
            };
            if !commit.iter().all(|it| it.len() == 40 && hex::decode(it).is_ok()) {
                return Err(wrong(number, "it names no commit"));
            }
            let mut words = line.split(' ');
            let named = words.next().and_then(|word| word.split_once("=="));
            let (name, version) = named.ok_or_else(|| wrong(number, "it is no `NAME==VERSION`"))?;
            let hashes: Option<Vec<String>> =
                words.map(|word| word.strip_prefix("--hash=sha256:").map(str::to_owned)).collect();
            let hashes = hashes.filter(|hashes| {
                let whole = |hash: &String| hash.len() == 64 && hex::decode(hash).is_ok();
                !hashes.is_empty() && hashes.iter().all(whole)
            });
            let hashes = hashes.ok_or_else(|| wrong(number, "a hash is missing or none"))?;
            if !is_name(name) || !is_version(version) {
                return Err(wrong(number, "it is no `NAME==VERSION`"));
            }
            let (name, version) = (name.to_owned(), version.to_owned());
            distributions.push(Distribution { name, version, hashes, commit });
        }
        let lock = Self { title: title.to_owned(), distributions };
        if seal != sha256_hex(lock.body().as_bytes()) {
            return Err("it was edited by hand".to_owned());
        }
        Ok(lock)
    }

    /// The day as of which versions were looked for, as its title says it.
    pub fn as_of(&self) -> Option<&str> {
        let (_, rest) = self.title.split_once("as of ")?;
        rest.split([' ', '.']).next()
    }

    /// Refuses a release of wheels whose lock is missing or was edited.
    ///
    /// # Errors
    /// When it is; `file` is what the lock is called then.
    pub fn check(release: &Release, file: &str) -> Result<()> {
        let Some(python) = &release.python else { return Ok(()) };
        let Err(reason) = Self::parse(&python.lock) else { return Ok(()) };
        let command = format!("aio release lock {}", release.release);
        let error = Error::new(ErrorKind::Config, format!("read the lock {file}"));
        if python.lock.is_empty() {
            return Err(error.because("there is none").hint(format!(
                "Make it: {command}; with --from DIR, of the checkouts in a directory."
            )));
        }
        Err(error.because(reason).hint(format!("Make it anew: {command}")))
    }

    /// The distribution of that name.
    pub fn distribution(&self, name: &str) -> Option<&Distribution> {
        self.distributions.iter().find(|it| it.name == name)
    }

    /// Those that were built of a commit.
    pub fn built(&self) -> impl Iterator<Item = Built> {
        let built = |it: &Distribution| {
            let (name, version) = (it.name.clone(), it.version.clone());
            Some(Built { name, version, commit: it.commit.clone()? })
        };
        self.distributions.iter().filter_map(built)
    }

    /// The lock of a release; none where it has none that is whole.
    pub fn of(release: &Release) -> Option<Self> {
        Self::parse(&release.python.as_ref()?.lock).ok()
    }

    fn body(&self) -> String {
        self.distributions.iter().fold(String::new(), |mut text, it| {
            let hashes: String =
                it.hashes.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
            let commit = it.commit.iter().map(|commit| format!("{COMMIT}{commit}"));
            let commit: String = commit.collect();
            let _ = writeln!(text, "{}=={}{hashes}{commit}", it.name, it.version);
            text
        })
    }

    /// The text of its file.
    pub fn text(&self) -> String {
        let body = self.body();
        format!("# {}\n{SEAL}{}\n{body}", self.title, sha256_hex(body.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        let of = |name: &str, version: &str, hashes: &[char]| Distribution {
            name: name.to_owned(),
            version: version.to_owned(),
            hashes: hashes.iter().map(|letter| letter.to_string().repeat(64)).collect(),
            commit: None,
        };
        let distributions = vec![of("nova", "34.0.0", &['a', 'b']), of("uv", "0.13.9", &['c'])];
        Lock { title: "Python 3.13".to_owned(), distributions }
    }

    #[test]
    fn what_is_written_is_read_again() {
        assert_eq!(Lock::parse(&lock().text()), Ok(lock()));
        assert_eq!(lock().distribution("uv").unwrap().version, "0.13.9");
    }

    #[test]
    fn what_was_built_of_a_commit_says_so() {
        let mut lock = lock();
        lock.distributions[0].commit = Some("0af".repeat(14)[..40].to_owned());
        let text = lock.text();
        assert_eq!(Lock::parse(&text), Ok(lock.clone()));
        let built: Vec<_> = lock.built().collect();
        assert_eq!((built.len(), &*built[0].name, &built[0].commit[..6]), (1, "nova", "0af0af"));
        let shorter = text.replacen(" # commit 0", " # commit ", 1);
        assert_eq!(Lock::parse(&shorter), Err("line 3: it names no commit".to_owned()));
    }

    #[test]
    fn the_title_may_say_a_day() {
        let titled = |title: &str| Lock { title: title.to_owned(), ..Lock::default() };
        let lock = titled("OpenStack for Python 3.13, as of 2026-10-20. Made by hand.");
        assert_eq!(lock.as_of(), Some("2026-10-20"));
        assert_eq!(titled("OpenStack").as_of(), None);
    }

    #[test]
    fn what_a_hand_edited_is_refused() {
        let text = lock().text();
        for (from, to, said) in [
            ("34.0.0", "34.0.1", "it was edited by hand"),
            ("uv==", "uv>=", "line 4: it is no `NAME==VERSION`"),
            ("--hash=sha256:c", "--hash=md5:c", "line 4: a hash is missing or none"),
            ("uv==0.13.9", "-r==0.13.9", "line 4: it is no `NAME==VERSION`"),
            ("# sha256: ", "# ", "line 2: there is no `# sha256: …`"),
        ] {
            assert_eq!(Lock::parse(&text.replacen(from, to, 1)), Err(said.to_owned()));
        }
    }
}
