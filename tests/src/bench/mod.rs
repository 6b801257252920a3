//! The benchmark of commits: four nodes as processes, real fsync, real signatures, an open loop.
//!
//! In order: the nodes start; devices are enrolled and units registered (not measured); the highest
//! sustained rate is searched for; then latency is measured at half of it, and at 100 events a second.

pub mod bound;
pub mod cluster;
pub mod evidence;
pub mod feed;
pub mod machine;
pub mod metrics;
pub mod phase;
pub mod report;
mod search;
pub mod watch;
pub mod workload;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use bound::Bound;
use cluster::Cluster;
use feed::Pace;
use machine::Machine;
use phase::{Seen, Times};
use report::{Ledger, Report, Settings};
use search::{Measured, Search};
use watch::Watch;
use workload::{Ready, Scale, Workload};

/// Events under way while the ledger is filled and flooded: three full blocks.
const UNDER_WAY_MAX: u64 = 12_000;
/// Enrolments under way: a member's numbers may not leave a gap of more than 32.
const ENROLMENTS_UNDER_WAY: u64 = 400;
/// How long the fill may see nothing proven.
const FILL_PATIENCE: Duration = Duration::from_secs(60);
const LOW_RATE: f64 = 100.0;
/// What one call collects while latency is measured.
const COLLECT: Duration = Duration::from_millis(20);

/// What is asked of the benchmark.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the network is made; does not exist yet.
    pub dir: PathBuf,
    /// How much of everything.
    pub scale: Scale,
    /// Each measurement.
    pub times: Times,
    /// Events in the flood that gives the first estimate.
    pub flood_events: usize,
    /// How long the bound is measured each time.
    pub bound: Duration,
    /// Windows tried at most.
    pub tries_max: usize,
    /// The rate, where it is not searched for.
    pub rate: Option<f64>,
    /// Whether the stored data is verified in the end.
    pub check: bool,
    /// Whether these times are too short for figures that others compare by.
    pub quick: bool,
}

/// Why there are no figures.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wrong(String);

impl Wrong {
    /// For this reason.
    pub fn new(why: impl fmt::Display) -> Self {
        Self(why.to_string())
    }

    /// Because of an error, told with its causes.
    pub fn of(error: impl std::error::Error) -> Self {
        Self(consign_types::causes::on_one_line(&error))
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

/// Carries the plan out. `say` is told how it goes.
///
/// # Errors
/// When nodes fail or disagree; refusals and failed checks are faults of the report instead.
pub async fn run(plan: &Plan, say: &dyn Fn(&str)) -> Result<Report, Wrong> {
    let machine = Machine::here();
    let fsync_quiet_p50_ms = machine::quiet_fsync_ms(plan.dir.parent().unwrap_or(Path::new(".")));
    let cluster = Cluster::start(&plan.dir).await?;
    let pids: Vec<_> = cluster.pids().iter().map(|(party, pid)| format!("{party} {pid}")).collect();
    say(&format!("four nodes run: {}", pids.join(", ")));

    let mut bench = Bench::begin(plan, cluster, say).await?;
    bench.fill().await?;
    let bound = bench.bound(machine.cores);
    let mut search = Search::new(plan, &mut bench, &bound).await?;
    search.run(&mut bench).await?;
    let Search { best: Measured { seen: at_full, bounds }, tried, .. } = search;
    let events_per_s = at_full.proven_per_s;

    let at_half = bench.latency(events_per_s / 2.0).await?;
    let at_100 = bench.latency(LOW_RATE).await?;

    let verify_bound_per_s = f64::midpoint(bounds[0], bounds[1]);
    let Bench { cluster, watch, workload, mut faults, events, .. } = bench;
    let units = workload.units();
    drop((watch, workload));
    let agreed = cluster.agree().await?;
    say(&format!("all nodes agree at height {} and size {}", agreed.height, agreed.size));
    let version = agreed.version.clone();
    let checks_per_core_s = verify_bound_per_s * cluster.pids().len() as f64 / machine.cores as f64;
    let checked = evidence::check(
        &plan.dir.join("audit"),
        &cluster.trust(),
        &cluster.urls(),
        &cluster.clients()[0],
        &units,
        checks_per_core_s,
    )
    .await?;
    say(&format!(
        "an auditor checked {} events, {:.0} a second and core; a passport of {} events took {:.2} ms",
        checked.audit_events,
        checked.audit_events_per_core_s,
        checked.passport_events,
        checked.passport_verify_ms
    ));
    let (bytes_per_event, verified) = at_rest(cluster, plan, events.sent, say).await?;
    if verified.iter().flatten().any(|passed| !passed) {
        faults.push("the stored data of a node does not verify".to_owned());
    }
    Ok(Report {
        verify_bound_per_s,
        events_per_s,
        ratio: events_per_s / verify_bound_per_s,
        p50_ms: at_half.latency_ms.p50,
        p99_ms: at_half.latency_ms.p99,
        p50_ms_at_100: at_100.latency_ms.p50,
        p99_ms_at_100: at_100.latency_ms.p99,
        cpu_ms_per_event: at_full.nodes.cpu_ms_per_event,
        bytes_per_event,
        rss_mib: at_full.nodes.rss_mib,
        fsync_p50_ms: at_full.nodes.fsync_p50_ms,
        fsync_quiet_p50_ms,
        fsync: "fdatasync",
        verify_bound_before_after: bounds,
        machine,
        version,
        settings: Settings {
            nodes: pids.len(),
            units: plan.scale.units,
            devices: plan.scale.devices,
            seed: plan.scale.seed,
            event_bytes: events.bytes as f64 / events.sent as f64,
            warm_up_s: plan.times.warm_up.as_secs_f64(),
            window_s: plan.times.window.as_secs_f64(),
            quick: plan.quick,
        },
        tried,
        at_full,
        at_half,
        at_100,
        checked,
        ledger: Ledger {
            blocks: agreed.height,
            size: agreed.size,
            root: agreed.root,
            map_root: agreed.map_root,
            verified,
        },
        faults,
    })
}

/// The nodes, and everything that is sent to them.
struct Bench<'a> {
    plan: &'a Plan,
    say: &'a dyn Fn(&str),
    cluster: Cluster,
    watch: Watch,
    workload: Workload,
    events: Sum,
    faults: Vec<String>,
}

/// Everything that was sent.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    sent: u64,
    bytes: u64,
}

impl<'a> Bench<'a> {
    async fn begin(plan: &'a Plan, cluster: Cluster, say: &'a dyn Fn(&str)) -> Result<Self, Wrong> {
        let workload = Workload::new(cluster.network(), cluster.members()?, plan.scale)?;
        let watch = Watch::begin(&cluster.clients()).await?;
        let (events, faults) = (Sum::default(), Vec::new());
        Ok(Self { plan, say, cluster, watch, workload, events, faults })
    }

    /// Enrols devices, registers units, and offers the first half of them.
    async fn fill(&mut self) -> Result<(), Wrong> {
        let since = Instant::now();
        let enrolments = self.workload.enrolments();
        self.flood(enrolments, ENROLMENTS_UNDER_WAY).await?;
        let registrations = self.workload.registrations();
        self.flood(registrations, UNDER_WAY_MAX).await?;
        let offers = self.workload.first_offers();
        self.flood(offers, UNDER_WAY_MAX).await?;
        (self.say)(&format!(
            "{} devices enrolled, {} units registered, half of them on offer: {:.0} s",
            self.plan.scale.devices,
            self.plan.scale.units,
            since.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    /// Sends as fast as the nodes take, until all is proven.
    async fn flood(&mut self, events: Vec<Ready>, under_way_max: u64) -> Result<(), Wrong> {
        let clients = self.cluster.clients();
        let before = self.watch.proven();
        self.count(&events);
        let sent = feed::flood(&clients, events, &self.watch, under_way_max).await?;
        let proven = before + (sent.due.len() - sent.refused.len()) as u64;
        self.watch.until(proven, FILL_PATIENCE).await?;
        self.note(&sent.refused);
        Ok(())
    }

    async fn measure(&mut self, pace: Pace) -> Result<Seen, Wrong> {
        let times = self.plan.times;
        let length = times.warm_up + times.window;
        let events = self.workload.next((pace.per_s * length.as_secs_f64()) as usize);
        self.count(&events);
        let seen = phase::run(&self.cluster, &mut self.watch, events, pace, times).await?;
        self.note(&seen.refused);
        (self.say)(&format!(
            "{:.0}/s sent, {:.0}/s proven, p50 {:.0} ms, p99 {:.0} ms, growth {:+.3}, {:.1} blocks/s of {:.0}",
            seen.offered_per_s,
            seen.proven_per_s,
            seen.latency_ms.p50,
            seen.latency_ms.p99,
            seen.growth,
            seen.nodes.blocks_per_s,
            seen.nodes.block_events,
        ));
        Ok(seen)
    }

    async fn latency(&mut self, per_s: f64) -> Result<Seen, Wrong> {
        let nodes = self.cluster.pids().len();
        self.measure(Pace::collecting(per_s, nodes, COLLECT)).await
    }

    fn bound(&self, cores: usize) -> Bound {
        let bytes = self.events.bytes / self.events.sent.max(1);
        Bound::new(cores, self.cluster.pids().len(), bytes as usize)
    }

    fn count(&mut self, events: &[Ready]) {
        self.events.sent += events.len() as u64;
        self.events.bytes += events.iter().map(|ready| ready.bytes.len() as u64).sum::<u64>();
    }

    fn note(&mut self, refused: &[String]) {
        const TOLD_MAX: usize = 10;
        let room = TOLD_MAX.saturating_sub(self.faults.len());
        self.faults.extend(refused.iter().take(room).map(|why| format!("refused: {why}")));
    }
}

/// Stops the nodes: bytes of one node on disk for an event, and whether each one's data verifies.
async fn at_rest(
    cluster: Cluster,
    plan: &Plan,
    events: u64,
    say: &dyn Fn(&str),
) -> Result<(f64, Option<Vec<bool>>), Wrong> {
    let at_rest = cluster.stop().await?;
    let dirs = at_rest.data_dirs();
    let bytes: u64 = dirs.iter().map(|dir| machine::disk_bytes(dir)).sum();
    let per_event = bytes as f64 / dirs.len() as f64 / events as f64;
    if !plan.check {
        return Ok((per_event, None));
    }
    say("verifying what the nodes stored, from bytes alone");
    let verified = tokio::task::block_in_place(|| at_rest.check())?;
    Ok((per_event, Some(verified)))
}
