//! What is found, with the place and the nearest right name.

use crate::config::load::Profiles;
use crate::config::nearest::suggestion;
use crate::error::{Error, ErrorKind};

/// Whether a secret is specified: `Err` holds the nearest specified name.
pub type KnownSecret<'a> = &'a dyn Fn(&str) -> Result<(), Option<String>>;

/// What is found while profiles are checked.
pub(super) struct Check<'a> {
    pub(super) profiles: &'a Profiles,
    known_secret: KnownSecret<'a>,
    pub(super) mistakes: Vec<Error>,
}

pub(super) struct FileCheck<'a, 'b> {
    all: &'b mut Check<'a>,
    /// Below `profiles/`.
    path: String,
}

impl<'a> Check<'a> {
    pub(super) fn new(profiles: &'a Profiles, known_secret: KnownSecret<'a>) -> Self {
        Self { profiles, known_secret, mistakes: Vec::new() }
    }

    pub(super) fn of<'b>(&'b mut self, path: String) -> FileCheck<'a, 'b> {
        FileCheck { all: self, path }
    }
}

impl<'a> FileCheck<'a, '_> {
    pub(super) fn profiles(&self) -> &'a Profiles {
        self.all.profiles
    }

    /// Notes a mistake about `word`, whose first line is shown.
    pub(super) fn mistake(&mut self, word: &str, message: impl std::fmt::Display) {
        self.note(word, message.to_string(), None);
    }

    pub(super) fn note(&mut self, word: &str, message: String, hint: Option<String>) {
        let place = self.profiles().shown_line(&self.path, word);
        let message = format!("{place}: {message}");
        // Two uses of one wrong name are shown at the same line: one mistake.
        if !self.all.mistakes.iter().any(|known| known.message == message) {
            self.all.mistakes.push(Error::new(ErrorKind::Config, message).hints(hint));
        }
    }

    pub(super) fn expect(&mut self, holds: bool, word: &str, message: impl FnOnce() -> String) {
        if !holds {
            self.mistake(word, message());
        }
    }

    /// `name` must be among `known`; `what` is what it names.
    pub(super) fn known<'n>(
        &mut self,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) {
        let known: Vec<&str> = known.into_iter().collect();
        if !known.contains(&name) {
            let hint = suggestion(name, known);
            self.note(name, format!("there is no {what} `{name}`"), hint);
        }
    }

    pub(super) fn known_kind(&mut self, name: &str) {
        let profiles = self.profiles();
        self.known("container kind", name, profiles.kinds().map(|(kind, ..)| kind));
    }

    pub(super) fn known_service(&mut self, name: &str) {
        let profiles = self.profiles();
        self.known("service", name, profiles.services.keys().map(String::as_str));
    }

    pub(super) fn known_frontend(&mut self, name: &str) {
        let profiles = self.profiles();
        let frontends = profiles.services.values().flat_map(|service| &service.frontends);
        self.known("frontend", name, frontends.map(|frontend| frontend.name.as_str()));
    }

    /// A script stands in the process list, where every user of a container sees it.
    pub(super) fn no_secret_in(&mut self, script: &str, word: &str) {
        self.expect(!names_secret(script), word, || {
            format!("a script of `{word}` names a secret, which would stand in the process list")
        });
    }

    pub(super) fn known_secret(&mut self, name: &str) {
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
pub(super) fn names_secret(text: &str) -> bool {
    ["secrets.", "secrets[", "database_url("].iter().any(|name| text.contains(name))
}
