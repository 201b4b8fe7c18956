//! What members of a cluster speak to one another: asked of those that run, compared with what their
//! files say. Nothing is recorded: a run may be cut off anywhere, and a unit may be started by others.

use super::Form;
use crate::config::profile::Speech;
use crate::engine::step::StepContext;
use crate::error::{Error, ErrorKind, Result};
use crate::model::topology::Container;

impl Form {
    /// Whether a member runs that speaks otherwise than the files say.
    ///
    /// # Errors
    /// When the members' files differ in it: whatever is started, they would not understand each other.
    pub(super) async fn must_speak_otherwise(&self, context: &StepContext) -> Result<bool> {
        let (Some(speech), Some(first)) = (&self.cluster.speech, self.members.first()) else {
            return Ok(false);
        };
        let wanted = said(context, first, &speech.file).await?;
        for member in &self.members {
            if said(context, member, &speech.file).await? != wanted {
                let doing = format!("form the cluster of {}", self.cluster.unit);
                return Err(Error::new(ErrorKind::Failed, doing)
                    .because(format!(
                        "the files of {} and {} let them speak to one another in different ways",
                        first.name, member.name
                    ))
                    .hint("`aio bootstrap` writes them all."));
            }
        }
        self.speaks_otherwise(context, speech, &wanted).await
    }

    /// Whether a member runs that speaks otherwise than `wanted`.
    pub async fn speaks_otherwise(
        &self,
        context: &StepContext,
        speech: &Speech,
        wanted: &str,
    ) -> Result<bool> {
        for member in &self.members {
            if self.runs(context, member).await?
                && said(context, member, &speech.running).await? != wanted
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

async fn said(context: &StepContext, member: &Container, path: &str) -> Result<String> {
    let file = context.host.containers.read_file(&member.name, path).await?;
    Ok(Speech::said(&file.map(|file| file.content).unwrap_or_default()))
}
