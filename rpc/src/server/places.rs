//! Places of one kind, and who makes room where all of them are taken.
//!
//! There are three kinds: connections, calls over HTTP that are being answered, and WebSockets. Each has its own, so
//! that whoever takes all of one kind shuts nobody out of another.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::waiting::{Turn, Waiting};

/// How long somebody new waits for a place to become free.
const ROOM_WAIT: Duration = Duration::from_millis(100);

/// All places of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    waiting: Arc<Waiting>,
}

/// A place that is taken; dropping it gives it back.
pub(crate) type Place = OwnedSemaphorePermit;

impl Places {
    /// So many, all of them free.
    pub(crate) fn new(max: usize) -> Self {
        let free = Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        Self { free, waiting: Arc::default() }
    }

    /// A place. Where none is free, whoever has waited longest is sent away from one; where nobody waits, there
    /// is none.
    pub(crate) async fn take(&self) -> Option<Place> {
        if let Ok(place) = self.free.clone().try_acquire_owned() {
            return Some(place);
        }
        if !self.waiting.send_away_one() {
            return None;
        }
        tokio::time::timeout(ROOM_WAIT, self.free.clone().acquire_owned()).await.ok()?.ok()
    }

    /// Somebody who has a place, and waits: can be sent away.
    pub(crate) fn join(&self) -> Turn {
        self.waiting.join()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_is_free_or_is_given_up_by_who_waits_or_is_not_to_be_had() {
        let places = Places::new(1);
        let first = places.take().await.expect("one is free");
        assert!(places.take().await.is_none(), "nobody waits");

        let turn = places.join();
        let leaves = async {
            turn.sent_away().await;
            drop(first);
        };
        let (second, ()) = tokio::join!(places.take(), leaves);
        assert!(second.is_some());
    }
}
