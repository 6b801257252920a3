//! Events on their way to the other validators: batched, in order, each once.
//!
//! A node passes on what it admitted from its own clients; what came from a peer went to everybody
//! already. What waits here is flushed before the body of a block that may name it, so that on one
//! stream events arrive before the body.

use std::sync::Mutex;

use bytes::Bytes;
use consign_types::codec::Canonical as _;

use crate::p2p::{Class, NetHandle};
use crate::wire::{POOL_BATCH_BYTES_MAX, POOL_BATCH_EVENTS_MAX, PoolMessage};

/// Events that wait to be passed on.
pub struct Relay {
    net: NetHandle,
    waiting: Mutex<Vec<Vec<u8>>>,
    wake: tokio::sync::Notify,
}

impl Relay {
    /// Passes on through `net`.
    pub fn new(net: NetHandle) -> Self {
        Self { net, waiting: Mutex::default(), wake: tokio::sync::Notify::new() }
    }

    /// Adds events.
    pub fn push(&self, events: impl IntoIterator<Item = Vec<u8>>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        waiting.extend(events);
        if !waiting.is_empty() {
            self.wake.notify_one();
        }
    }

    /// Sends what waits.
    pub fn flush(&self) {
        // Held while sending, so that two flushes cannot swap batches.
        let mut waiting = self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut batch = Vec::new();
        let mut bytes = 0;
        for event in waiting.drain(..) {
            if batch.len() == POOL_BATCH_EVENTS_MAX || bytes + event.len() > POOL_BATCH_BYTES_MAX {
                self.send(std::mem::take(&mut batch));
                bytes = 0;
            }
            bytes += event.len();
            batch.push(event);
        }
        if !batch.is_empty() {
            self.send(batch);
        }
    }

    /// Flushes a few milliseconds after something came, for ever.
    pub async fn run(&self) {
        const GATHER: std::time::Duration = std::time::Duration::from_millis(3);
        loop {
            self.wake.notified().await;
            tokio::time::sleep(GATHER).await;
            self.flush();
        }
    }

    fn send(&self, events: Vec<Vec<u8>>) {
        let bytes = PoolMessage::Events(events).to_bytes();
        self.net.broadcast(Class::Pool, Bytes::from(bytes));
    }
}
