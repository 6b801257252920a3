//! A feed from a node to one subscriber: bounded, resumable, and never silently incomplete.
//!
//! A node holds the [`Publisher`], the server the [`SubscriptionStream`]. Whatever ends a feed other
//! than [`Publisher::finish`] is told as *lagged* with the cursor to resume from: a subscriber that is
//! too slow is cut off rather than buffered for.

use tokio::sync::mpsc;

use crate::page::Cursor;
use crate::views::{Notice, Update};

enum Message {
    Item(Cursor, Update),
    Finish,
}

/// The node's end of a feed. Dropping it tells the subscriber to resume.
#[derive(Debug)]
pub struct Publisher {
    to: mpsc::Sender<Message>,
}

/// The server's end of a feed.
#[derive(Debug)]
pub struct SubscriptionStream {
    from: mpsc::Receiver<Message>,
    last: Cursor,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Unopened,
    Open,
    Over,
}

/// The subscriber is gone, or was cut off for being too slow: drop the publisher.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the subscriber is gone or too slow")]
pub struct Gone;

/// A feed that holds up to `capacity` items (at least one) and begins at `start`.
pub fn feed(capacity: usize, start: Cursor) -> (Publisher, SubscriptionStream) {
    let (to, from) = mpsc::channel(capacity.max(1));
    (Publisher { to }, SubscriptionStream { from, last: start, state: State::Unopened })
}

impl Publisher {
    /// Tells `update`, waiting for room. For what is read from disk, where waiting costs nothing.
    ///
    /// # Errors
    /// When the subscriber is gone.
    pub async fn send(&self, cursor: Cursor, update: Update) -> Result<(), Gone> {
        self.to.send(Message::Item(cursor, update)).await.map_err(|_| Gone)
    }

    /// Tells `update` if there is room. For what happens now, where waiting would hold others up.
    ///
    /// # Errors
    /// When the subscriber is gone, or too slow: drop the publisher then.
    pub fn try_send(&self, cursor: Cursor, update: Update) -> Result<(), Gone> {
        self.to.try_send(Message::Item(cursor, update)).map_err(|_| Gone)
    }

    /// Done once the subscriber is gone.
    pub async fn closed(&self) {
        self.to.closed().await;
    }

    /// Ends the feed for good: there will never be more.
    pub async fn finish(self) {
        // A subscriber that is gone need not be told.
        let _ = self.to.send(Message::Finish).await;
    }
}

impl SubscriptionStream {
    /// The next notice; after *lagged* or *ended* there is none.
    pub async fn next(&mut self) -> Option<Notice<Update>> {
        match self.state {
            State::Unopened => {
                self.state = State::Open;
                return Some(Notice::Open { cursor: self.last.clone() });
            }
            State::Open => {}
            State::Over => return None,
        }
        let message = self.from.recv().await;
        if let Some(Message::Item(cursor, value)) = message {
            self.last = cursor.clone();
            return Some(Notice::Item { cursor, value });
        }
        self.state = State::Over;
        let last_cursor = self.last.clone();
        Some(match message {
            Some(_) => Notice::Ended { last_cursor },
            None => Notice::Lagged { last_cursor },
        })
    }

    /// Where a subscriber resumes that has received everything so far.
    pub const fn last_cursor(&self) -> &Cursor {
        &self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::EventStatus;

    fn update() -> Update {
        Update::Status(EventStatus::Accepted)
    }

    fn item(next: u64) -> Notice<Update> {
        Notice::Item { cursor: Cursor::at("x", next), value: update() }
    }

    #[tokio::test]
    async fn a_slow_subscriber_gets_what_was_buffered_and_then_its_cursor() {
        let (publisher, mut stream) = feed(2, Cursor::at("x", 0));
        for next in 1..=2 {
            publisher.try_send(Cursor::at("x", next), update()).expect("room for two");
        }
        assert_eq!(publisher.try_send(Cursor::at("x", 3), update()), Err(Gone));
        drop(publisher);

        assert_eq!(stream.next().await, Some(Notice::Open { cursor: Cursor::at("x", 0) }));
        assert_eq!(stream.next().await, Some(item(1)));
        assert_eq!(stream.next().await, Some(item(2)));
        let lagged = Notice::Lagged { last_cursor: Cursor::at("x", 2) };
        assert_eq!(stream.next().await, Some(lagged));
        assert_eq!(stream.next().await, None);
    }

    #[tokio::test]
    async fn a_finished_feed_ends_and_does_not_lag() {
        let (publisher, mut stream) = feed(2, Cursor::start());
        publisher.finish().await;
        assert_eq!(stream.next().await, Some(Notice::Open { cursor: Cursor::start() }));
        assert_eq!(stream.next().await, Some(Notice::Ended { last_cursor: Cursor::start() }));
        assert_eq!(stream.next().await, None);
    }
}
