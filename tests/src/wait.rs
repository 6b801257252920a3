//! Waiting for a condition with a deadline, never for a length of time.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout_at};

/// Looks at a condition, until a deadline.
#[derive(Debug)]
pub struct Looks {
    ticks: Interval,
    deadline: Instant,
}

impl Looks {
    /// The first look at once, then one every `look`, for as long as `patience`.
    pub fn within(patience: Duration, look: Duration) -> Self {
        let mut ticks = interval(look);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, deadline: Instant::now() + patience }
    }

    /// Whether to look again; false once the deadline is over.
    pub async fn again(&mut self) -> bool {
        // A tick that is due counts as one even where it is too late.
        let ticked = timeout_at(self.deadline, self.ticks.tick()).await.is_ok();
        ticked && Instant::now() < self.deadline
    }
}

/// What `condition` answers once it holds, looked at every `look`; `None` where it does not within
/// `patience`.
pub async fn until<T>(
    patience: Duration,
    look: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    let mut looks = Looks::within(patience, look);
    while looks.again().await {
        // Not even a condition that never answers holds the wait.
        if let Some(found) = timeout_at(looks.deadline, condition()).await.ok().flatten() {
            return Some(found);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn it_answers_what_the_condition_answers_first() {
        let mut looked = 0;
        let found = until(LONG, SHORT, async || {
            looked += 1;
            (looked == 3).then_some(looked)
        });
        assert_eq!(found.await, Some(3));
    }

    #[tokio::test]
    async fn it_gives_up_at_the_deadline() {
        assert_eq!(until(SHORT, SHORT, async || None::<()>).await, None);
        let begun = Instant::now();
        let busy = async || {
            while begun.elapsed() < LONG && !begun.elapsed().as_millis().is_multiple_of(5) {}
            None::<()>
        };
        assert_eq!(until(SHORT * 20, SHORT, busy).await, None);
        let stuck = async || std::future::pending::<Option<()>>().await;
        assert_eq!(until(SHORT, SHORT, stuck).await, None);
    }
}
