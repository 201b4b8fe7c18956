//! Waiting until all is well: looking again and again, for a time at most, and not after Ctrl-C.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::step::StepContext;
use crate::error::Result;

/// A pause between two looks is at least this part of the time that was waited: each look takes of the
/// processors for which all that start compete. Six units of nova that start together were looked at for
/// a third of two processors.
const PART: u32 = 10;
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(2);

/// How long to pause before the next look, where it is `least` at first.
pub fn pause(least: Duration, waited: Duration) -> Duration {
    least.max(LONGEST.min(waited / PART))
}

/// Looks until nothing is wrong, with a pause in between, which grows ([`pause`]). Returns what still is
/// after `limit`, or when the run was interrupted. It looks once at least. A look that fails is a reason
/// like any other, unless it says that none will ever succeed ([`Error::is_final`](crate::error::Error::is_final)).
pub async fn until_well<L>(
    context: &StepContext,
    limit: Duration,
    least: Duration,
    mut look: impl FnMut() -> L,
) -> Result<Option<String>>
where
    L: Future<Output = Result<Option<String>>>,
{
    let started = Instant::now();
    let deadline = started + limit;
    loop {
        let looked = look().await;
        let ends = match &looked {
            Ok(reason) => reason.is_none(),
            Err(error) => error.is_final(),
        };
        if ends || Instant::now() >= deadline || context.cancel.is_cancelled() {
            return looked;
        }
        tokio::select! {
            () = sleep(pause(least, started.elapsed())) => {}
            () = context.cancel.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::host::fake::empty;

    const SECOND: Duration = Duration::from_secs(1);

    /// Waits 5 s at most for the look that is content. Returns what was wrong and the seconds.
    async fn wait(context: &StepContext, content_at: u32) -> (Option<String>, u64) {
        let (begun, looks) = (Instant::now(), Cell::new(0));
        let reason = until_well(context, 5 * SECOND, SECOND, || async {
            looks.set(looks.get() + 1);
            Ok((looks.get() < content_at).then(|| format!("look {}", looks.get())))
        });
        (reason.await.unwrap(), begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_all_is_well_or_with_the_last_reason() {
        let context = StepContext::silent(Arc::new(empty()));
        assert_eq!(wait(&context, 1).await, (None, 0));
        assert_eq!(wait(&context, 4).await, (None, 3));
        assert_eq!(wait(&context, 9).await, (Some("look 6".to_owned()), 5));
        context.cancel.cancel();
        assert_eq!(wait(&context, 9).await, (Some("look 1".to_owned()), 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_fails_is_taken_again_unless_none_will_succeed() {
        let context = StepContext::silent(Arc::new(empty()));
        for (kind, failures, ends) in [
            (ErrorKind::Failed, 2, Ok(2)),
            (ErrorKind::Failed, 9, Err(5)),
            (ErrorKind::Config, 2, Err(0)),
        ] {
            let (begun, left) = (Instant::now(), Cell::new(failures));
            let look = || async {
                left.set(left.get() - 1);
                if left.get() < 0 { Ok(None) } else { Err(Error::new(kind, "look")) }
            };
            let looked = until_well(&context, 5 * SECOND, SECOND, look).await;
            let took = begun.elapsed().as_secs();
            assert_eq!(looked.map(|_| took).map_err(|_| took), ends);
        }
    }
}
