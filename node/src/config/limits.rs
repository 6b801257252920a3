//! What callers may ask of the node: the server's limits, each a setting.

use consign_rpc::server::ServerLimits;

use super::Reader;

/// Bodies of the greatest length that are in memory at once.
const BODIES_MAX: usize = 64;
/// The same of one address.
const BODIES_PER_ADDRESS_MAX: usize = 16;

impl Reader {
    pub(super) fn limits(&mut self) -> Option<ServerLimits> {
        let read_ms = self.number("rpc.read_timeout_ms");
        let body_bytes_max = self.count("rpc.body_bytes_max");
        let requests_per_second_max = self.count("rpc.requests_per_second_max");
        let limits = ServerLimits {
            body_bytes_max: body_bytes_max?,
            bodies_bytes_max: body_bytes_max?.saturating_mul(BODIES_MAX),
            bodies_bytes_per_address_max: body_bytes_max?.saturating_mul(BODIES_PER_ADDRESS_MAX),
            response_bytes_max: self.count("rpc.response_bytes_max")?,
            head_read_ms: read_ms?,
            body_read_ms: read_ms?,
            feed_stall_ms: self.number("rpc.feed_stall_ms")?,
            write_stall_ms: self.number("rpc.write_stall_ms")?,
            batch_max: self.count("rpc.batch_max")?,
            connections_max: self.count("rpc.connections_max")?,
            connections_per_address_max: self.count("rpc.connections_per_address_max")?,
            sockets_max: self.count("rpc.sockets_max")?,
            sockets_per_address_max: self.count("rpc.sockets_per_address_max")?,
            websockets_max: self.count("rpc.websockets_max")?,
            websockets_per_address_max: self.count("rpc.websockets_per_address_max")?,
            websocket_idle_ms: self.number("rpc.websocket_idle_ms")?,
            subscriptions_per_connection_max: self.count("rpc.subscriptions_per_connection_max")?,
            requests_per_second_max: requests_per_second_max?,
            // Where nobody says how many at once, it is as many as in two seconds.
            requests_burst_max: match self.number("rpc.requests_burst_max") {
                Some(burst) => u32::try_from(burst).ok()?,
                None => requests_per_second_max?.saturating_mul(2),
            },
            ..ServerLimits::default()
        };
        self.check_stalls(&limits);
        Some(limits)
    }

    /// A subscriber whose connection is closed first is never told where to resume.
    fn check_stalls(&mut self, limits: &ServerLimits) {
        let (feed, write) = (limits.feed_stall_ms, limits.write_stall_ms);
        if feed >= write {
            let what = format!(
                "rpc.feed_stall_ms is {feed}, and rpc.write_stall_ms is {write}: a connection is closed before \
                 its subscriber is told where to resume"
            );
            self.values.refuse("rpc.feed_stall_ms", what, "write less than rpc.write_stall_ms");
        }
    }

    /// A number that is a count of something.
    fn count<N: TryFrom<u64>>(&self, name: &str) -> Option<N> {
        self.number(name).and_then(|number| N::try_from(number).ok())
    }
}
