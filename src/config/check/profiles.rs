//! The check of all profiles.

use super::mistakes::{Check, KnownSecret};
use crate::config::load::Profiles;
use crate::error::Result;

impl Profiles {
    /// Checks every profile against all others.
    ///
    /// # Errors
    /// One error that holds every mistake.
    pub fn check(&self, known_secret: KnownSecret<'_>) -> Result<()> {
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
        check.finish()
    }
}

#[cfg(test)]
mod tests;
