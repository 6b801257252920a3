//! Whether a WebSocket does anything: answers a call, or feeds a subscription.
//!
//! One that does nothing is closed after a while, and at once where its place is needed. Answering pings is
//! nothing: it costs whoever does it nothing.

use std::time::Duration;

use tokio::sync::watch;

use super::waiting::Turn;

/// What one WebSocket is doing.
#[derive(Clone, Debug)]
pub(crate) struct Pulse {
    doing: watch::Sender<usize>,
    turn: Turn,
}

/// One thing that it does; dropping it ends that.
#[derive(Debug)]
pub(crate) struct Busy(Pulse);

impl Pulse {
    /// A WebSocket that does nothing yet, and so waits at `turn`.
    pub(crate) fn new(turn: Turn) -> Self {
        Self { doing: watch::Sender::new(0), turn }
    }

    /// From now on it does one thing more.
    pub(crate) fn begin(&self) -> Busy {
        self.doing.send_modify(|doing| {
            *doing += 1;
            if *doing == 1 {
                self.turn.begin();
            }
        });
        Busy(self.clone())
    }

    /// Done when it should be closed: it has done nothing for `limit`, or its place is needed.
    pub(crate) async fn has_stopped(&self, limit: Duration) {
        tokio::select! {
            () = self.has_been_idle(limit) => {}
            () = self.turn.sent_away() => {}
        }
    }

    async fn has_been_idle(&self, limit: Duration) {
        let mut doing = self.doing.subscribe();
        loop {
            // The sender is here, so this never fails.
            let _ = doing.wait_for(|doing| *doing == 0).await;
            if tokio::time::timeout(limit, doing.changed()).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.doing.send_modify(|doing| {
            *doing -= 1;
            if *doing == 0 {
                self.0.turn.rest();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::waiting::Waiting;
    use super::*;

    async fn is_done(pulse: &Pulse, limit: Duration) -> bool {
        tokio::select! {
            biased;
            () = pulse.has_stopped(limit) => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn it_has_stopped_once_it_has_done_nothing_for_the_limit() {
        let waiting = Arc::<Waiting>::default();
        let pulse = Pulse::new(waiting.join());
        let [call, feed] = [pulse.begin(), pulse.begin()];
        drop(call);
        assert!(!is_done(&pulse, Duration::ZERO).await, "it still feeds");
        drop(feed);
        pulse.has_stopped(Duration::from_millis(1)).await;
    }

    #[tokio::test]
    async fn it_makes_room_while_it_does_nothing_and_not_otherwise() {
        const AN_HOUR: Duration = Duration::from_secs(3600);
        let waiting = Arc::<Waiting>::default();
        let pulse = Pulse::new(waiting.join());
        let busy = pulse.begin();
        assert!(!waiting.send_away_one());
        drop(busy);
        assert!(!is_done(&pulse, AN_HOUR).await, "nobody needs its place");
        assert!(waiting.send_away_one());
        assert!(is_done(&pulse, AN_HOUR).await);
    }
}
