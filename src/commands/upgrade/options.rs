//! Options of the user's own that the release to come does not know any more. Services read over them
//! without a word: so they are named before anything is changed.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::beside::{Python, run_beside};
use crate::engine::step::{Action, Observation, StepContext};
use crate::error::Result;
use crate::model::command::{Command, Output};
use crate::render::Overridden;

/// Asks the code of both releases which options of a service they do not know.
pub struct Options {
    /// The container's full name.
    pub container: String,
    pub service: String,
    pub python: Python,
    /// Prints the lines of `$OPTIONS` (a section, a space, a key) that the code does not know.
    pub script: String,
    pub overridden: BTreeSet<Overridden>,
    /// The release to come.
    pub to: String,
}

impl Options {
    fn command(&self) -> Command {
        let lines: BTreeSet<String> = self.overridden.iter().map(line).collect();
        let options = lines.into_iter().collect::<Vec<_>>().join("\n");
        Command {
            environment: [("OPTIONS".to_owned(), options)].into(),
            ..Command::shell(self.script.clone())
        }
    }

    /// What the former release knew and the next does not: what neither knows is made up by a plugin or by
    /// the user.
    fn lost(&self, before: &str, after: &str) -> Vec<String> {
        let before: BTreeSet<&str> = before.lines().collect();
        let lost: BTreeSet<&str> = after.lines().filter(|it| !before.contains(it)).collect();
        let lost = self.overridden.iter().filter(|it| lost.contains(&*line(it)));
        lost.map(|it| {
            let Overridden { file, section, key } = it;
            format!(
                "{file}: {} of {} has no option `{key}` in [{section}] any more",
                self.service, self.to
            )
        })
        .collect()
    }
}

fn line(overridden: &Overridden) -> String {
    format!("{} {}", overridden.section, overridden.key)
}

/// What was printed; nothing where it failed.
fn answer(context: &StepContext, output: &Output) -> Option<String> {
    output.tail(usize::MAX).lines().for_each(|line| context.output(line));
    output.success().then(|| output.text())
}

#[async_trait]
impl Action for Options {
    async fn observe(&self, _: &StepContext) -> Result<Observation> {
        Ok(Observation::Wrong("it was not asked yet".to_owned()))
    }

    async fn act(&self, context: &StepContext) -> Result<()> {
        let before = context.host.containers.run(&self.container, self.command()).await?;
        let unit = format!("upgrade-{}-options", self.service);
        let after =
            run_beside(context, &self.container, unit, &self.python, self.command()).await?;
        match answer(context, &before).zip(answer(context, &after)) {
            Some((before, after)) => {
                self.lost(&before, &after).into_iter().for_each(|lost| context.warn(lost));
            }
            // No ground to stop: these options may all be there.
            None => context.warn(format!(
                "nobody knows whether {} of {} has all options of your own: its code could not be \
                 asked, as the log of this run says",
                self.service, self.to
            )),
        }
        Ok(())
    }

    async fn verify(&self, _: &StepContext) -> Result<Observation> {
        Ok(Observation::Right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_named_with_its_file_and_nothing_else_is() {
        let of = |file: &str, section: &str, key: &str| Overridden {
            file: file.to_owned(),
            section: section.to_owned(),
            key: key.to_owned(),
        };
        let options = Options {
            container: "c".to_owned(),
            service: "nova".to_owned(),
            python: Python { directory: "/x".into(), home: "/opt/py".to_owned() },
            script: "ask".to_owned(),
            overridden: [
                of("overrides/nova.conf", "libvirt", "gone"),
                of("overrides/nova.conf", "my-plugin", "own"),
                of("overrides/global.conf", "DEFAULT", "debug"),
            ]
            .into(),
            to: "2".to_owned(),
        };
        assert_eq!(
            options.command().environment["OPTIONS"],
            "DEFAULT debug\nlibvirt gone\nmy-plugin own"
        );
        let lost = options.lost("my-plugin own\n", "libvirt gone\nmy-plugin own\n");
        assert_eq!(
            lost,
            ["overrides/nova.conf: nova of 2 has no option `gone` in [libvirt] any more"]
        );
        assert!(options.lost("", "").is_empty());
    }
}
