//! What callers may ask of a node, each with a safe default.
//!
//! Bounds that all nodes share are in `consign_types::limits`; these concern one node alone.

use std::time::Duration;

use consign_types::limits::{RPC_BATCH_MAX, RPC_BODY_BYTES_MAX};

/// What callers may ask of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServerLimits {
    /// Bytes of a request's body, or of a WebSocket message.
    pub body_bytes_max: usize,
    /// Bytes of all bodies that are being read or answered over HTTP, and of all WebSocket messages that are being
    /// answered. Beyond them, a large body that is still on its way is given up, and who sent one and only waits
    /// for an event to become final is answered with what it is by then.
    pub bodies_bytes_max: usize,
    /// The same of one address.
    pub bodies_bytes_per_address_max: usize,
    /// Bytes of an answer.
    pub response_bytes_max: usize,
    /// Time for a request's head, and so for an idle connection, milliseconds.
    pub head_read_ms: u64,
    /// Time for a request's body, milliseconds.
    pub body_read_ms: u64,
    /// Time that a subscriber may take nothing before it is told to resume, milliseconds. Less than
    /// `write_stall_ms`, or it is never told.
    pub feed_stall_ms: u64,
    /// Time that a caller may take nothing before its connection is closed, milliseconds.
    pub write_stall_ms: u64,
    /// Calls in a JSON-RPC batch.
    pub batch_max: usize,
    /// Calls over HTTP that are being answered; those of a batch are one. A request counts once its body is there:
    /// whoever drips bytes takes none of these. Beyond them, who only waits for an event to become final is
    /// answered with what it is by then.
    pub connections_max: usize,
    /// The same of one address.
    pub connections_per_address_max: usize,
    /// TCP connections that are no WebSockets.
    pub sockets_max: usize,
    /// TCP connections and WebSockets of one address (IPv6: of one /64).
    pub sockets_per_address_max: usize,
    /// WebSockets. Beyond them, the one that has done nothing for longest is closed.
    pub websockets_max: usize,
    /// WebSockets of one address.
    pub websockets_per_address_max: usize,
    /// Time after which a WebSocket is closed that answers no call and feeds no subscription, milliseconds.
    pub websocket_idle_ms: u64,
    /// Subscriptions on one WebSocket.
    pub subscriptions_per_connection_max: usize,
    /// Requests a second from one address on average. Each call of a batch is one, and each envelope of a
    /// submission; one whose signature does not hold is twenty.
    pub requests_per_second_max: u32,
    /// Requests at once from one address that has been quiet.
    pub requests_burst_max: u32,
    /// Time that requests may take to end once the server is told to stop, milliseconds.
    pub drain_ms: u64,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: RPC_BODY_BYTES_MAX,
            bodies_bytes_max: 64 * RPC_BODY_BYTES_MAX,
            bodies_bytes_per_address_max: 16 * RPC_BODY_BYTES_MAX,
            response_bytes_max: 16 * 1024 * 1024,
            head_read_ms: 5_000,
            body_read_ms: 5_000,
            feed_stall_ms: 10_000,
            write_stall_ms: 30_000,
            batch_max: RPC_BATCH_MAX,
            connections_max: 512,
            connections_per_address_max: 128,
            sockets_max: 2_048,
            sockets_per_address_max: 256,
            websockets_max: 512,
            websockets_per_address_max: 64,
            websocket_idle_ms: 60_000,
            subscriptions_per_connection_max: 32,
            requests_per_second_max: 20_000,
            requests_burst_max: 40_000,
            drain_ms: 5_000,
        }
    }
}

impl ServerLimits {
    /// Time for a request's head.
    pub(crate) const fn head_read(&self) -> Duration {
        Duration::from_millis(self.head_read_ms)
    }

    /// Time for a request's body.
    pub(crate) const fn body_read(&self) -> Duration {
        Duration::from_millis(self.body_read_ms)
    }

    /// Time that a subscriber may take nothing.
    pub(crate) const fn feed_stall(&self) -> Duration {
        Duration::from_millis(self.feed_stall_ms)
    }

    /// Time that a caller may take nothing.
    pub(crate) const fn write_stall(&self) -> Duration {
        Duration::from_millis(self.write_stall_ms)
    }

    /// Time that a WebSocket may do nothing.
    pub(crate) const fn websocket_idle(&self) -> Duration {
        Duration::from_millis(self.websocket_idle_ms)
    }

    /// Time to end.
    pub(crate) const fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}
