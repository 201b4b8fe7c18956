//! Acting: as often as a step may, and looking until what was done is seen.

use std::time::Duration;

use super::step::{Action, Observation, StepContext};
use super::wait::until_well;
use crate::error::{Error, Result};

/// Between two attempts of the same step.
const PAUSE: Duration = Duration::from_secs(5);

/// Between two looks at what was done.
const POLL: Duration = Duration::from_millis(250);

/// Acts and looks until it is right, as often as it takes and the action allows.
pub(super) async fn act(action: &dyn Action, context: &StepContext) -> Result<()> {
    let mut left = action.attempts();
    loop {
        let acted = match action.act(context).await {
            Ok(()) => settle(action, context).await,
            Err(error) => Err(error),
        };
        left = left.saturating_sub(1);
        let Err(error) = acted else { return Ok(()) };
        if left == 0 || context.cancel.is_cancelled() {
            return Err(error);
        }
        context.output(format!("{error}; once more in {} s", PAUSE.as_secs()));
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = context.cancel.cancelled() => return Err(error),
        }
    }
}

/// Looks until what was done is seen. What it says last is the error.
async fn settle(action: &dyn Action, context: &StepContext) -> Result<()> {
    let patience = context.host.patiently(action.patience());
    let look = || async {
        Ok(match action.verify(context).await? {
            Observation::Right | Observation::Skip(_) => None,
            Observation::Wrong(reason) => Some(reason),
        })
    };
    match until_well(context, patience, POLL, look).await? {
        None => Ok(()),
        Some(reason) => {
            let still = format!("it was done, and still after {} s", patience.as_secs());
            Err(Error::failed(still).because(reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::error::ErrorKind;
    use crate::host::fake::empty;

    /// Fails so many times before it does its work, which is seen at a later look.
    #[derive(Default)]
    struct Slow {
        fails: u32,
        attempts: u32,
        /// How many looks after it acted find nothing, and how many of those fail.
        unseen: u32,
        blind: u32,
        kind: Option<ErrorKind>,
        acted: AtomicU32,
        looked: AtomicU32,
    }

    #[async_trait]
    impl Action for Slow {
        async fn observe(&self, _: &StepContext) -> Result<Observation> {
            let before = self.looked.fetch_add(1, Ordering::Relaxed);
            if before < self.blind {
                return Err(Error::new(self.kind.unwrap_or(ErrorKind::Failed), "look at it"));
            }
            let wrong = || Observation::Wrong(format!("look {before}"));
            Ok(if before < self.unseen { wrong() } else { Observation::Right })
        }

        async fn act(&self, _: &StepContext) -> Result<()> {
            let before = self.acted.fetch_add(1, Ordering::Relaxed);
            if before < self.fails { Err(Error::failed("ask for it")) } else { Ok(()) }
        }

        fn attempts(&self) -> u32 {
            self.attempts
        }

        fn patience(&self) -> Duration {
            Duration::from_secs(1)
        }
    }

    fn context(cancelled: bool) -> StepContext {
        let context = StepContext::silent(Arc::new(empty()));
        if cancelled {
            context.cancel.cancel();
        }
        context
    }

    /// Whether it ended well, and how often it acted.
    async fn tried(fails: u32, attempts: u32, cancelled: bool) -> (bool, u32) {
        let slow = Slow { fails, attempts, ..Slow::default() };
        let ended = act(&slow, &context(cancelled)).await;
        (ended.is_ok(), slow.acted.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_is_tried_as_often_as_it_says() {
        assert_eq!(tried(0, 3, false).await, (true, 1));
        assert_eq!(tried(2, 3, false).await, (true, 3));
        assert_eq!(tried(3, 3, false).await, (false, 3));
        assert_eq!(tried(1, 1, false).await, (false, 1));
        assert_eq!(tried(1, 3, true).await, (false, 1), "who is asked to stop does not go on");
    }

    /// Returns how it ended, and how often it looked.
    async fn settled(slow: Slow, cancelled: bool) -> (Result<(), String>, u32) {
        let ended = act(&slow, &context(cancelled)).await;
        (ended.map_err(|error| error.to_string()), slow.looked.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_done_is_looked_at_until_it_is_seen_or_patience_ends() {
        let slow = |unseen, blind, kind| Slow { unseen, blind, kind, ..Slow::default() };
        assert_eq!(settled(slow(0, 0, None), false).await, (Ok(()), 1));
        assert_eq!(settled(slow(3, 0, None), false).await, (Ok(()), 4));
        let still = "it was done, and still after 1 s: look 4".to_owned();
        assert_eq!(settled(slow(9, 0, None), false).await, (Err(still), 5));
        assert_eq!(settled(slow(3, 2, None), false).await, (Ok(()), 4), "some looks fail");
        assert_eq!(settled(slow(9, 9, None), false).await, (Err("look at it".to_owned()), 5));
        let never = settled(slow(3, 2, Some(ErrorKind::Config)), false).await;
        assert_eq!(never, (Err("look at it".to_owned()), 1), "it can never be right");
        assert_eq!(
            settled(slow(3, 0, None), true).await.1,
            1,
            "who is asked to stop does not wait"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_never_seen_is_done_again_if_the_step_says_so() {
        let slow = Slow { unseen: 6, attempts: 2, ..Slow::default() };
        act(&slow, &context(false)).await.unwrap();
        assert_eq!((slow.acted.into_inner(), slow.looked.into_inner()), (2, 7));
    }
}
