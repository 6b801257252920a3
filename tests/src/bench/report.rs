//! What the benchmark says: a table for people, and the same and more as JSON.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Serialize;

use super::Wrong;
use super::evidence::Checked;
use super::machine::Machine;
use super::phase::Seen;

/// The figures, and what they rest on. The first fourteen names are those that others compare by.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Events a second that four nodes could commit if strict verification were all their work: on one
    /// core, times cores, divided by four; the mean of right before and right after the window.
    pub verify_bound_per_s: f64,
    /// Events a second proven on the slowest node.
    pub events_per_s: f64,
    /// The second of the first.
    pub ratio: f64,
    /// From scheduled submission to proven on the slowest node, at half of `events_per_s`: median.
    pub p50_ms: f64,
    /// The same: 99th percentile.
    pub p99_ms: f64,
    /// At 100 events a second: median.
    pub p50_ms_at_100: f64,
    /// The same: 99th percentile.
    pub p99_ms_at_100: f64,
    /// Processor time of all four nodes for an event.
    pub cpu_ms_per_event: f64,
    /// Bytes that one node has on disk for an event, after a clean stop.
    pub bytes_per_event: f64,
    /// Memory of the largest node at the end of the window.
    pub rss_mib: f64,
    /// Median fdatasync of a consensus file under that load.
    pub fsync_p50_ms: f64,
    /// Median fdatasync of 4 KiB on the same disk before the start, with nothing else writing.
    pub fsync_quiet_p50_ms: f64,
    /// How durable a commit is: always `fdatasync`.
    pub fsync: &'static str,
    /// The bound right before and right after the window.
    pub verify_bound_before_after: [f64; 2],
    /// Where this was measured.
    pub machine: Machine,
    /// Version of the nodes.
    pub version: String,
    /// What was asked for.
    pub settings: Settings,
    /// The rates that were tried in search of the highest one that is sustained.
    pub tried: Vec<Tried>,
    /// The window of `events_per_s`.
    pub at_full: Seen,
    /// The window of `p50_ms`.
    pub at_half: Seen,
    /// The window of `p50_ms_at_100`.
    pub at_100: Seen,
    /// How fast an outsider checks it.
    pub checked: Checked,
    /// What the ledger came to.
    pub ledger: Ledger,
    /// What was not as it must be; nothing in a valid run.
    pub faults: Vec<String>,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Settings {
    /// Nodes.
    pub nodes: usize,
    /// Units that pass round.
    pub units: usize,
    /// Devices that sign.
    pub devices: usize,
    /// Seed of the devices' keys.
    pub seed: u64,
    /// Bytes of an event of the stream, mean.
    pub event_bytes: f64,
    /// Seconds before each window.
    pub warm_up_s: f64,
    /// Seconds of each window.
    pub window_s: f64,
    /// Whether windows were too short for figures that others compare by.
    pub quick: bool,
}

/// A rate that was tried.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Tried {
    /// Events a second sent; none for the flood that gave the first estimate.
    pub offered_per_s: Option<f64>,
    /// Events a second proven.
    pub proven_per_s: f64,
    /// Whether the nodes kept up.
    pub sustained: bool,
}

/// What the ledger came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ledger {
    /// Blocks.
    pub blocks: u64,
    /// Leaves.
    pub size: u64,
    /// Root of the log, the same on all nodes.
    pub root: String,
    /// Root of the unit map, the same on all nodes.
    pub map_root: String,
    /// Whether each node's data verified from bytes alone; none where that was not asked.
    pub verified: Option<Vec<bool>>,
}

impl Report {
    /// Writes the report as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Wrong> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(Wrong::of)?;
        }
        let text = serde_json::to_string_pretty(self).map_err(Wrong::of)?;
        fs::write(path, text + "\n").map_err(Wrong::of)
    }

    /// The table.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut row = |name: &str, value: String, what: &str| {
            let _ = writeln!(text, "{name:<20} {value:>12}  {what}");
        };
        let ms = |ms: f64| format!("{ms:.1}");
        row("verify_bound_per_s", format!("{:.0}", self.verify_bound_per_s), "strict checks / 4");
        row("events_per_s", format!("{:.0}", self.events_per_s), "proven on the slowest node");
        row("ratio", format!("{:.3}", self.ratio), "floor 0.25, aim 0.5");
        row("p50_ms", ms(self.p50_ms), "at half of events_per_s");
        row("p99_ms", ms(self.p99_ms), "floor 1000");
        row("p50_ms_at_100", ms(self.p50_ms_at_100), "at 100 events/s");
        row("p99_ms_at_100", ms(self.p99_ms_at_100), "");
        row("cpu_ms_per_event", format!("{:.3}", self.cpu_ms_per_event), "all four nodes");
        row("bytes_per_event", format!("{:.0}", self.bytes_per_event), "of one node, on disk");
        row("rss_mib", format!("{:.0}", self.rss_mib), "of the largest node");
        row("fsync_p50_ms", format!("{:.3}", self.fsync_p50_ms), "under load");
        row("fsync_quiet_p50_ms", format!("{:.3}", self.fsync_quiet_p50_ms), "before the start");
        let checked = &self.checked;
        let per_core = checked.audit_events_per_core_s;
        row("audit_per_core_s", format!("{per_core:.0}"), "events an auditor checks; aim 15000");
        row("checks_per_core_s", format!("{:.0}", checked.checks_per_core_s), "signatures alone");
        row("audit_rss_mib", format!("{:.0}", checked.audit_rss_mib), "added by the audit");
        row("passport_ms", format!("{:.2}", checked.passport_verify_ms), "to check one; aim 2");
        row("passport_events", checked.passport_events.to_string(), "in it");
        row("passport_bytes", checked.passport_bytes.to_string(), "of it");
        text.push('\n');
        let _ = writeln!(
            text,
            "{:<10} {:>8} {:>8} {:>7} {:>8} {:>8} {:>8} {:>7} {:>7} {:>8} {:>7}  cores of each node, generator",
            "window",
            "offered",
            "proven",
            "growth",
            "p50 ms",
            "p99 ms",
            "blocks/s",
            "events",
            "build",
            "execute",
            "commit"
        );
        for (name, seen) in
            [("full", &self.at_full), ("half", &self.at_half), ("100/s", &self.at_100)]
        {
            let nodes = &seen.nodes;
            let cores: Vec<_> = nodes.cpu_cores.iter().map(|c| format!("{c:.2}")).collect();
            let _ = writeln!(
                text,
                "{name:<10} {:>8.0} {:>8.0} {:>7.3} {:>8.0} {:>8.0} {:>8.2} {:>7.0} {:>7.1} {:>8.1} {:>7.1}  {}, {:.2}",
                seen.offered_per_s,
                seen.proven_per_s,
                seen.growth,
                seen.latency_ms.p50,
                seen.latency_ms.p99,
                nodes.blocks_per_s,
                nodes.block_events,
                nodes.build_ms,
                nodes.execute_ms,
                nodes.commit_ms,
                cores.join(" "),
                nodes.generator_cpu_cores,
            );
        }
        let machine = &self.machine;
        let _ = writeln!(
            text,
            "\n{} cores of {}, {} MiB, load {:.2} before; {} blocks, {} leaves",
            machine.cores,
            machine.cpu_model,
            machine.memory_mib,
            machine.load_before,
            self.ledger.blocks,
            self.ledger.size,
        );
        for fault in &self.faults {
            let _ = writeln!(text, "FAULT: {fault}");
        }
        text
    }
}
