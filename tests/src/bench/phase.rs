//! One open loop at one rate: a warm-up, a window, and what was seen in it.
//!
//! An event's latency runs from the time at which it was due to the time at which a quorum's
//! checkpoint covers it *on the slowest of the four nodes*; that of the node that it was sent to is told
//! beside it. Throughput counts the events that the slowest node had proven within the window. Every
//! event that was sent is looked for in the blocks, exactly once.

use std::collections::HashMap;
use std::time::Duration;

use consign_rpc::client::Client;
use consign_types::digest::EventId;
use serde::Serialize;
use tokio::time::Instant;

use super::Wrong;
use super::cluster::Cluster;
use super::feed::{self, Pace, Sent};
use super::machine::{self, Usage};
use super::metrics::{Histogram, Reading};
use super::watch::{ProvenBlock, Watch};
use super::workload::{NodeIndex, Ready};

/// How long the last events may take once all are sent.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);
/// From the call to the first event: everything is laid out by then.
const LEAD: Duration = Duration::from_millis(500);
/// Seconds that latencies may grow for each second of a sustained rate: what the nodes fall behind by.
const GROWTH_MAX: f64 = 0.02;

/// How long a phase takes.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Before the window.
    pub warm_up: Duration,
    /// What is measured.
    pub window: Duration,
}

/// What was seen in the window of a phase.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// Events a second that were due.
    pub offered_per_s: f64,
    /// Events a second that the slowest node had proven.
    pub proven_per_s: f64,
    /// Seconds by which latency grew for each second: above 0.02 the rate is not sustained.
    pub growth: f64,
    /// Until proven on the slowest node, milliseconds.
    pub latency_ms: Latencies,
    /// Until proven on the node that the event was sent to, milliseconds.
    pub own_node_latency_ms: Latencies,
    /// Times that an event was sent again because a node had no room.
    pub sent_again: u64,
    /// Refusals for good.
    pub refused: Vec<String>,
    /// What the nodes did.
    pub nodes: Nodes,
}

/// Latencies, milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latencies {
    /// Half are below.
    pub p50: f64,
    /// 99 of 100 are below.
    pub p99: f64,
    /// All are at or below.
    pub max: f64,
}

/// What the nodes did in the window, by their own counts and the system's.
#[derive(Clone, Debug, Serialize)]
pub struct Nodes {
    /// Processor time of each node as a share of one core.
    pub cpu_cores: Vec<f64>,
    /// Processor time of all nodes for an event, milliseconds.
    pub cpu_ms_per_event: f64,
    /// Processor time of this program as a share of one core.
    pub generator_cpu_cores: f64,
    /// Memory of the largest node at the end of the window, MiB.
    pub rss_mib: f64,
    /// The most that a node held so far, MiB.
    pub rss_peak_mib: f64,
    /// Blocks a second.
    pub blocks_per_s: f64,
    /// Events in a block, mean.
    pub block_events: f64,
    /// One fdatasync of a consensus file, median over all nodes, milliseconds.
    pub fsync_p50_ms: f64,
    /// The same, 99th percentile.
    pub fsync_p99_ms: f64,
    /// Such fdatasyncs of all nodes for a block.
    pub fsyncs_per_block: f64,
    /// To build a block as proposer, mean, milliseconds.
    pub build_ms: f64,
    /// To execute and compare a block, mean, milliseconds.
    pub execute_ms: f64,
    /// To write a block, mean, milliseconds.
    pub commit_ms: f64,
}

impl Seen {
    /// Whether the nodes kept up with the rate.
    pub fn is_sustained(&self) -> bool {
        self.growth <= GROWTH_MAX && self.sent_again == 0
    }
}

/// Sends `events` at `pace` for as long as `times` says, and waits until all are proven everywhere.
///
/// # Errors
/// When a node cannot be reached, stalls, or an event is not found exactly once.
pub async fn run(
    cluster: &Cluster,
    watch: &mut Watch,
    events: Vec<Ready>,
    pace: Pace,
    times: Times,
) -> Result<Seen, Wrong> {
    let clients = cluster.clients();
    let (first_height, before, count) = (watch.next_height(), watch.proven(), events.len() as u64);
    let start = Instant::now() + LEAD;
    let opens = start + times.warm_up;
    let closes = opens + times.window;
    let sampled = async {
        tokio::time::sleep_until(opens).await;
        let at_open = Sample::take(cluster).await?;
        tokio::time::sleep_until(closes).await;
        Ok::<_, Wrong>((at_open, Sample::take(cluster).await?))
    };
    let (sent, (at_open, at_close)) =
        tokio::try_join!(feed::open_loop(&clients, events, pace, start), sampled)?;
    watch.until(before + count - sent.refused.len() as u64, DRAIN_PATIENCE).await?;

    let blocks = watch.since(first_height)?;
    let in_block = whereabouts(&clients, &blocks, &sent).await?;
    let proven: Vec<u64> = blocks
        .iter()
        .map(|(_, blocks)| {
            blocks.iter().filter(|b| b.at >= opens && b.at < closes).map(|b| b.events).sum()
        })
        .collect();
    let proven = proven.into_iter().min().unwrap_or_default();
    let trips = Trips::of(&sent, &in_block, &blocks, (opens, closes));
    Ok(Seen {
        offered_per_s: pace.per_s,
        proven_per_s: proven as f64 / times.window.as_secs_f64(),
        growth: trips.growth(times.window),
        latency_ms: Latencies::of(trips.slowest()),
        own_node_latency_ms: Latencies::of(trips.own()),
        sent_again: sent.again,
        refused: sent.refused,
        nodes: at_close.since(&at_open, proven),
    })
}

/// The height at which each event that was sent stands in the log.
async fn whereabouts(
    clients: &[Client],
    blocks: &[(NodeIndex, Vec<ProvenBlock>)],
    sent: &Sent,
) -> Result<HashMap<EventId, u64>, Wrong> {
    let mut found = HashMap::with_capacity(sent.due.len());
    let (Some(client), Some((_, seen))) = (clients.first(), blocks.first()) else {
        return Ok(found);
    };
    for block in seen {
        for id in client.block(block.height).await.map_err(Wrong::of)?.event_ids {
            if !sent.due.contains_key(&id.0) {
                return Err(Wrong::new(format!("{id} is in the log, and nobody sent it")));
            }
            if found.insert(id.0, block.height).is_some() {
                return Err(Wrong::new(format!("{id} is in the log twice")));
            }
        }
    }
    if found.len() + sent.refused.len() != sent.due.len() {
        let (sent, found) = (sent.due.len(), found.len());
        return Err(Wrong::new(format!("{sent} events were sent and {found} are in the log")));
    }
    Ok(found)
}

/// Events that were due in the window, by when: latency on the slowest node and on their own, seconds.
struct Trips(Vec<(Instant, f64, f64)>);

impl Trips {
    fn of(
        sent: &Sent,
        in_block: &HashMap<EventId, u64>,
        blocks: &[(NodeIndex, Vec<ProvenBlock>)],
        (opens, closes): (Instant, Instant),
    ) -> Self {
        let mut proven: HashMap<u64, Vec<Instant>> = HashMap::new();
        for block in blocks.iter().flat_map(|(_, blocks)| blocks) {
            proven.entry(block.height).or_default().push(block.at);
        }
        let trip = |(id, (due, node)): (&EventId, &(Instant, NodeIndex))| {
            let times = proven.get(in_block.get(id)?)?;
            let slowest = times.iter().max()?.duration_since(*due).as_secs_f64();
            let own = times.get(node.0)?.duration_since(*due).as_secs_f64();
            (*due >= opens && *due < closes).then_some((*due, slowest, own))
        };
        let mut trips: Vec<_> = sent.due.iter().filter_map(trip).collect();
        trips.sort_unstable_by_key(|(due, ..)| *due);
        Self(trips)
    }

    fn slowest(&self) -> Vec<f64> {
        self.0.iter().map(|(_, slowest, _)| *slowest).collect()
    }

    fn own(&self) -> Vec<f64> {
        self.0.iter().map(|(_, _, own)| *own).collect()
    }

    /// From the median of the first third to that of the last: these lie two thirds of a window apart.
    fn growth(&self, window: Duration) -> f64 {
        let latencies = self.slowest();
        let third = latencies.len() / 3;
        let median = |part: &[f64]| Latencies::of(part.to_vec()).p50 / 1000.0;
        let apart = window.as_secs_f64() * 2.0 / 3.0;
        (median(&latencies[latencies.len() - third..]) - median(&latencies[..third])) / apart
    }
}

impl Latencies {
    fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_unstable_by(f64::total_cmp);
        // The smallest value that at least this share does not exceed.
        let at = |share: f64| {
            let rank = (share * seconds.len() as f64).ceil() as usize;
            seconds.get(rank.max(1) - 1).map_or(0.0, |s| s * 1000.0)
        };
        Self { p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

/// What the system and the nodes count, at one moment.
struct Sample {
    at: Instant,
    nodes: Vec<(Usage, Reading)>,
    own: Usage,
}

impl Sample {
    async fn take(cluster: &Cluster) -> Result<Self, Wrong> {
        let clients = cluster.clients();
        let pids = cluster.pids();
        let at = Instant::now();
        let read = move || {
            let nodes = clients.iter().zip(pids);
            let nodes =
                nodes.map(|(c, (_, pid))| Ok((machine::usage(pid), Reading::take(c.url())?)));
            Ok(Self {
                at,
                nodes: nodes.collect::<Result<_, Wrong>>()?,
                own: machine::usage(std::process::id()),
            })
        };
        tokio::task::spawn_blocking(read).await.map_err(Wrong::of)?
    }

    fn since(&self, earlier: &Self, events: u64) -> Nodes {
        let seconds = self.at.duration_since(earlier.at).as_secs_f64();
        let pairs = || self.nodes.iter().zip(&earlier.nodes);
        let cpu: Vec<f64> = pairs().map(|(now, was)| now.0.cpu_ms - was.0.cpu_ms).collect();
        let of = |name: &str| {
            let mut all = Histogram::default();
            pairs().for_each(|(now, was)| all.add(&now.1.since(&was.1, name)));
            all
        };
        let blocks = of("consign_block_events");
        let fsyncs = of("consign_store_fsync_seconds");
        let largest =
            |of: fn(&Usage) -> f64| self.nodes.iter().map(|n| of(&n.0)).fold(0.0, f64::max);
        let node_count = self.nodes.len() as f64;
        // Every node counts every block.
        let block_count = blocks.count() as f64 / node_count;
        Nodes {
            cpu_cores: cpu.iter().map(|ms| ms / 1000.0 / seconds).collect(),
            cpu_ms_per_event: cpu.iter().sum::<f64>() / (events as f64).max(1.0),
            generator_cpu_cores: (self.own.cpu_ms - earlier.own.cpu_ms) / 1000.0 / seconds,
            rss_mib: largest(|usage| usage.rss_mib),
            rss_peak_mib: largest(|usage| usage.rss_peak_mib),
            blocks_per_s: block_count / seconds,
            block_events: blocks.mean(),
            fsync_p50_ms: fsyncs.quantile(0.5) * 1000.0,
            fsync_p99_ms: fsyncs.quantile(0.99) * 1000.0,
            fsyncs_per_block: fsyncs.count() as f64 / block_count.max(1.0),
            build_ms: of("consign_block_build_seconds").mean() * 1000.0,
            execute_ms: of("consign_block_execute_seconds").mean() * 1000.0,
            commit_ms: of("consign_block_commit_seconds").mean() * 1000.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_latency_that_was_seen() {
        let seconds: Vec<f64> = (1..=100).map(|n| f64::from(n) / 1000.0).collect();
        let Latencies { p50, p99, max } = Latencies::of(seconds);
        assert_eq!((p50.round(), p99.round(), max.round()), (50.0, 99.0, 100.0));
        assert_eq!(Latencies::of(Vec::new()).max, 0.0);
    }

    #[test]
    fn growth_is_what_latency_gains_in_a_second() {
        let start = Instant::now();
        // Due every 100 ms for 30 s; each second costs 50 ms more.
        let trip = |n: u32| {
            let due = Duration::from_millis(u64::from(n) * 100);
            (start + due, 0.2 + due.as_secs_f64() * 0.05, 0.1)
        };
        let trips = Trips((0..300).map(trip).collect());
        assert!((trips.growth(Duration::from_secs(30)) - 0.05).abs() < 1e-3);
    }
}
