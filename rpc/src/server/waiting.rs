//! Connections that ask nothing just now: who makes room when every place is taken.
//!
//! A connection waits until it has sent a whole request, and again once that is answered. Where a new one finds
//! no place, the one that has waited longest goes: so whoever holds connections open, or drips bytes, keeps
//! nobody out who has something to ask.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// All connections that wait, the longest first.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    waits: BTreeMap<u64, Arc<Notify>>,
}

/// One connection among them.
#[derive(Clone, Debug)]
pub(crate) struct Turn(Arc<Place>);

#[derive(Debug)]
struct Place {
    waiting: Arc<Waiting>,
    at: Mutex<Option<u64>>,
    gone: Arc<Notify>,
}

impl Waiting {
    /// A new connection, which waits.
    pub(crate) fn join(self: &Arc<Self>) -> Turn {
        let place = Place { waiting: self.clone(), at: Mutex::default(), gone: Arc::default() };
        let turn = Turn(Arc::new(place));
        turn.rest();
        turn
    }

    /// Sends away the connection that has waited longest; whether there was one.
    pub(crate) fn send_away_one(&self) -> bool {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, gone)) = queue.waits.pop_first() else { return false };
        gone.notify_one();
        true
    }
}

impl Turn {
    /// It has sent a whole request.
    pub(crate) fn begin(&self) {
        let at = self.0.at.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(at) = at {
            self.0.waiting.0.lock().unwrap_or_else(PoisonError::into_inner).waits.remove(&at);
        }
    }

    /// It has nothing to ask just now.
    pub(crate) fn rest(&self) {
        self.begin();
        let mut queue = self.0.waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = queue.next;
        queue.next += 1;
        queue.waits.insert(at, self.0.gone.clone());
        *self.0.at.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// Done when it is sent away.
    pub(crate) async fn sent_away(&self) {
        self.0.gone.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let at = self.at.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(at) = at {
            self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner).waits.remove(&at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_gone(turn: &Turn) -> bool {
        tokio::select! {
            biased;
            () = turn.sent_away() => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn who_has_waited_longest_goes_first_and_nobody_who_asks() {
        let waiting = Arc::<Waiting>::default();
        let [asks, first, second, left] = [(); 4].map(|()| waiting.join());
        asks.begin();
        drop(left);
        assert!(waiting.send_away_one());
        assert_eq!((is_gone(&first).await, is_gone(&second).await), (true, false));
        second.begin();
        assert!(!waiting.send_away_one(), "nobody waits");
        asks.rest();
        second.rest();
        assert!(waiting.send_away_one());
        assert_eq!((is_gone(&asks).await, is_gone(&second).await), (true, false));
    }
}
