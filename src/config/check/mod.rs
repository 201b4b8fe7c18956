//! Whether all profiles fit together: every name that one of them uses is defined by another.
//!
//! All mistakes are found in one go, each with its file, its line and the nearest right name.

mod kind;
mod scenario;
mod service;
mod shared;

use crate::error::{Error, ErrorKind, Result};

use super::load::Profiles;
use super::nearest::suggestion;

/// Whether a secret is specified: `Err` holds the nearest specified name.
pub type KnownSecret<'a> = &'a dyn Fn(&str) -> Result<(), Option<String>>;

impl Profiles {
    /// Checks every profile against all others.
    ///
    /// # Errors
    /// One error that holds every mistake.
    pub fn check(&self, known_secret: KnownSecret<'_>) -> Result<()> {
        let mut mistakes = self.mistakes(known_secret);
        match mistakes.pop() {
            None => Ok(()),
            Some(only) if mistakes.is_empty() => Err(only),
            Some(last) => {
                mistakes.push(last);
                let message = format!("the profiles have {} mistakes", mistakes.len());
                let error = Error::new(ErrorKind::Config, message);
                Err(mistakes.into_iter().fold(error, |error, mistake| {
                    let hints = mistake.hints.iter().map(|hint| format!(" ({hint})"));
                    error.because(format!("{}{}", mistake.message, hints.collect::<String>()))
                }))
            }
        }
    }

    /// Every mistake by itself: `FILE:LINE: what is wrong`, with the nearest right name as its hint.
    pub fn mistakes(&self, known_secret: KnownSecret<'_>) -> Vec<Error> {
        let mut check = Check { profiles: self, known_secret, mistakes: Vec::new() };
        shared::check(&mut check);
        for service in self.services.values() {
            service::check(&mut check.of(format!("services/{}.yml", service.service)), service);
        }
        for release in self.releases.values() {
            scenario::check_release(
                &mut check.of(format!("releases/{}.yml", release.release)),
                release,
            );
        }
        for scenario in self.scenarios.values() {
            scenario::check(
                &mut check.of(format!("scenarios/{}.yml", scenario.scenario)),
                scenario,
            );
        }
        check.mistakes
    }
}

/// What is found while profiles are checked.
struct Check<'a> {
    profiles: &'a Profiles,
    known_secret: KnownSecret<'a>,
    mistakes: Vec<Error>,
}

/// The check of one file.
struct FileCheck<'a, 'b> {
    all: &'b mut Check<'a>,
    /// Below `profiles/`.
    path: String,
}

impl<'a> Check<'a> {
    fn of<'b>(&'b mut self, path: String) -> FileCheck<'a, 'b> {
        FileCheck { all: self, path }
    }
}

impl<'a> FileCheck<'a, '_> {
    fn profiles(&self) -> &'a Profiles {
        self.all.profiles
    }

    /// Notes a mistake about `word`, whose first line is shown.
    fn mistake(&mut self, word: &str, message: impl std::fmt::Display) {
        self.note(word, message.to_string(), None);
    }

    fn note(&mut self, word: &str, message: String, hint: Option<String>) {
        let place = self.profiles().shown_line(&self.path, word);
        let message = format!("{place}: {message}");
        // Two uses of one wrong name are shown at the same line: one mistake.
        if !self.all.mistakes.iter().any(|known| known.message == message) {
            let mistake = Error::new(ErrorKind::Config, message);
            self.all.mistakes.push(hint.into_iter().fold(mistake, Error::hint));
        }
    }

    fn expect(&mut self, holds: bool, word: &str, message: impl FnOnce() -> String) {
        if !holds {
            self.mistake(word, message());
        }
    }

    /// `name` must be among `known`; `what` is what it names.
    fn known<'n>(&mut self, what: &str, name: &str, known: impl IntoIterator<Item = &'n str>) {
        let known: Vec<&str> = known.into_iter().collect();
        if !known.contains(&name) {
            let hint = suggestion(name, known);
            self.note(name, format!("there is no {what} `{name}`"), hint);
        }
    }

    fn known_kind(&mut self, name: &str) {
        let profiles = self.profiles();
        self.known("container kind", name, profiles.kinds().map(|(kind, ..)| kind));
    }

    fn known_service(&mut self, name: &str) {
        let profiles = self.profiles();
        self.known("service", name, profiles.services.keys().map(String::as_str));
    }

    fn known_frontend(&mut self, name: &str) {
        let profiles = self.profiles();
        let frontends = profiles.services.values().flat_map(|service| &service.frontends);
        self.known("frontend", name, frontends.map(|frontend| frontend.name.as_str()));
    }

    /// A script stands in the process list, where every user of a container sees it.
    fn no_secret_in(&mut self, script: &str, word: &str) {
        self.expect(!names_secret(script), word, || {
            format!("a script of `{word}` names a secret, which would stand in the process list")
        });
    }

    fn known_secret(&mut self, name: &str) {
        if let Err(nearest) = (self.all.known_secret)(name) {
            let hint = nearest.map(|nearest| format!("did you mean `{nearest}`?"));
            self.note(
                name,
                format!("no specification of `secrets/` has the secret `{name}`"),
                hint,
            );
        }
    }
}

/// Whether a template itself uses a secret.
fn names_secret(text: &str) -> bool {
    ["secrets.", "secrets[", "database_url("].iter().any(|name| text.contains(name))
}

#[cfg(test)]
mod tests;
