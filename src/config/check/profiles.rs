//! The check of all profiles.

use super::mistakes::{Check, KnownSecret};
use crate::config::load::Profiles;
use crate::error::{Error, ErrorKind, Result};

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
        let mut check = Check::new(self, known_secret);
        super::shared::check(&mut check);
        for service in self.services.values() {
            super::service::check(
                &mut check.of(format!("services/{}.yml", service.service)),
                service,
            );
        }
        for release in self.releases.values() {
            super::scenario::check_release(
                &mut check.of(format!("releases/{}.yml", release.release)),
                release,
            );
        }
        for scenario in self.scenarios.values() {
            super::scenario::check(
                &mut check.of(format!("scenarios/{}.yml", scenario.scenario)),
                scenario,
            );
        }
        check.mistakes
    }
}

#[cfg(test)]
mod tests;
