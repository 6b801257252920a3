//! What a node counts, in Prometheus' text format. Never labelled by unit or device.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// What a node counts.
pub struct Metrics {
    registry: Registry,
    /// Last committed height.
    pub height: Gauge,
    /// Leaves in the log.
    pub tree_size: Gauge,
    /// Leaves covered by a checkpoint with a quorum.
    pub proven_size: Gauge,
    /// Validators connected, this node not counted.
    pub peers: Gauge,
    /// Events in the pool.
    pub pool_events: Gauge,
    /// Bytes of events in the pool.
    pub pool_bytes: Gauge,
    /// 1 once a safety doubt ended signing.
    pub signing_halted: Gauge,
    /// Events committed.
    pub events_committed: Counter,
    /// Events admitted to the pool.
    pub events_accepted: Counter,
    /// Events refused, by stable code.
    pub events_refused: Family<[(&'static str, String); 1], Counter>,
    /// Events that peers passed on and that there was no room for.
    pub relayed_dropped: Counter,
    /// Conflicting messages of one validator found.
    pub evidence: Counter,
    /// Rounds above the first that a height needed.
    pub rounds_extra: Counter,
    /// Least seconds between two heights when busy, as members decided.
    pub pace_seconds: Gauge<f64, AtomicU64>,
    /// Seconds to build a block as proposer.
    pub build_seconds: Histogram,
    /// Seconds to execute and compare a block.
    pub execute_seconds: Histogram,
    /// Seconds to write a block.
    pub commit_seconds: Histogram,
    /// Seconds from one commit to the next.
    pub block_interval_seconds: Histogram,
    /// Events in a block.
    pub block_events: Histogram,
    fsync_seconds: Histogram,
    /// Bytes sent to and received from peers.
    pub net_bytes: Family<[(&'static str, &'static str); 1], Gauge<i64>>,
    /// Handshakes of unknown peers refused.
    pub handshakes_refused: Gauge<u64, AtomicU64>,
    /// Cosignatures that witnesses gave.
    pub witness_cosignatures: Family<[(&'static str, String); 1], Counter>,
    /// Times that a witness was asked in vain.
    pub witness_failures: Family<[(&'static str, String); 1], Counter>,
    /// Leaves under a cosignature of a witness.
    pub witnessed_size: Gauge,
    /// Messages to and from peers that a full queue had no room for.
    pub messages_dropped: Gauge<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_05, 2.0, 18));
        let mut metrics = Self {
            registry: Registry::with_prefix("consign"),
            height: Gauge::default(),
            tree_size: Gauge::default(),
            proven_size: Gauge::default(),
            peers: Gauge::default(),
            pool_events: Gauge::default(),
            pool_bytes: Gauge::default(),
            signing_halted: Gauge::default(),
            events_committed: Counter::default(),
            events_accepted: Counter::default(),
            events_refused: Family::default(),
            relayed_dropped: Counter::default(),
            evidence: Counter::default(),
            rounds_extra: Counter::default(),
            pace_seconds: Gauge::default(),
            build_seconds: seconds(),
            execute_seconds: seconds(),
            commit_seconds: seconds(),
            block_interval_seconds: seconds(),
            block_events: Histogram::new(exponential_buckets(1.0, 2.0, 13)),
            fsync_seconds: seconds(),
            net_bytes: Family::default(),
            handshakes_refused: Gauge::default(),
            witness_cosignatures: Family::default(),
            witness_failures: Family::default(),
            witnessed_size: Gauge::default(),
            messages_dropped: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("consensus_height", "Last committed height", self.height.clone());
        r.register("log_tree_size", "Leaves in the log", self.tree_size.clone());
        r.register(
            "log_proven_size",
            "Leaves under a quorum of cosignatures",
            self.proven_size.clone(),
        );
        r.register("p2p_peers", "Validators connected", self.peers.clone());
        r.register("pool_events", "Events in the pool", self.pool_events.clone());
        r.register("pool_bytes", "Bytes of events in the pool", self.pool_bytes.clone());
        r.register(
            "signing_halted",
            "1 once a safety doubt ended signing",
            self.signing_halted.clone(),
        );
        r.register("events_committed", "Events committed", self.events_committed.clone());
        r.register("events_accepted", "Events admitted to the pool", self.events_accepted.clone());
        r.register("events_refused", "Events refused, by code", self.events_refused.clone());
        r.register(
            "pool_relayed_dropped",
            "Relayed events without room",
            self.relayed_dropped.clone(),
        );
        r.register("consensus_evidence", "Conflicting messages found", self.evidence.clone());
        r.register("consensus_rounds_extra", "Rounds above the first", self.rounds_extra.clone());
        r.register(
            "consensus_pace_seconds",
            "Least time between two heights when busy",
            self.pace_seconds.clone(),
        );
        r.register("block_build_seconds", "Time to build a block", self.build_seconds.clone());
        r.register(
            "block_execute_seconds",
            "Time to execute a block",
            self.execute_seconds.clone(),
        );
        r.register("block_commit_seconds", "Time to write a block", self.commit_seconds.clone());
        r.register(
            "consensus_block_interval_seconds",
            "Time between commits",
            self.block_interval_seconds.clone(),
        );
        r.register("block_events", "Events in a block", self.block_events.clone());
        r.register("store_fsync_seconds", "Time of one fdatasync", self.fsync_seconds.clone());
        r.register("p2p_bytes", "Bytes exchanged with peers", self.net_bytes.clone());
        r.register(
            "p2p_handshakes_refused",
            "Unknown peers refused",
            self.handshakes_refused.clone(),
        );
        r.register(
            "witness_cosignatures",
            "Cosignatures that witnesses gave",
            self.witness_cosignatures.clone(),
        );
        r.register(
            "witness_failures",
            "Times that a witness was asked in vain",
            self.witness_failures.clone(),
        );
        r.register(
            "log_witnessed_size",
            "Leaves under a cosignature of a witness",
            self.witnessed_size.clone(),
        );
        r.register(
            "p2p_messages_dropped",
            "Messages that a full queue had no room for",
            self.messages_dropped.clone(),
        );
    }

    /// Notes how long one fdatasync of a consensus file took.
    pub fn fsync(&self, took: Duration) {
        self.fsync_seconds.observe(took.as_secs_f64());
    }

    /// Everything in the text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A family tells nothing before it has a label.
    #[test]
    fn every_metric_is_in_the_manual_by_the_name_that_it_is_told_by() {
        let metrics = Metrics::default();
        metrics.events_refused.get_or_create(&[("code", "pool_full".to_owned())]).inc();
        metrics.net_bytes.get_or_create(&[("way", "in")]).set(0);
        for family in [&metrics.witness_cosignatures, &metrics.witness_failures] {
            family.get_or_create(&[("witness", "w".to_owned())]).inc();
        }
        let manual = include_str!("../../docs/operating/running-a-node.md");
        let text = metrics.text();
        let types: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert!(types.len() > 25, "{text}");
        for told in types {
            let (name, kind) = told.split_once(' ').expect("a name and a type");
            let total = if kind == "counter" { "_total" } else { "" };
            let is_written = [format!("`{name}{total}`"), format!("`{name}{total}{{")]
                .iter()
                .any(|written| manual.contains(written));
            assert!(is_written, "{name}{total} is not in running-a-node.md");
        }
    }
}
