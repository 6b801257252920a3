//! How fast an outsider checks: a whole log as an auditor, and one passport.
//!
//! The auditor is `consign audit` in this process: it fetches the log that the nodes serve, hashes it,
//! checks every signature and runs every rule again. The time is that of this process's processor, all
//! threads together, so it says what one core does; what the nodes take to serve is theirs.

use std::fs;
use std::path::Path;
use std::time::Instant;

use consign_cli::audit::{self, Source, State};
use consign_ledger::passport;
use consign_rpc::client::Client;
use consign_types::trust::Trust;
use consign_types::unit::UnitId;
use serde::Serialize;

use super::Wrong;
use super::machine::usage;

/// Passports that are asked for in search of one of ten events.
const TRIED_MAX: usize = 40;
/// Events of the passport that is looked for.
const EVENTS: usize = 10;
/// How often it is checked.
const CHECKS: u32 = 200;

/// What checking took.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// Events of the log.
    pub audit_events: u64,
    /// Events a second that the auditor checked on one core: by its processor time.
    pub audit_events_per_core_s: f64,
    /// Strict signature checks a second of one core, measured in the same run.
    pub checks_per_core_s: f64,
    /// From the first request to the report.
    pub audit_wall_s: f64,
    /// Memory that the audit added to this process.
    pub audit_rss_mib: f64,
    /// Events of the passport.
    pub passport_events: usize,
    /// Its bytes.
    pub passport_bytes: usize,
    /// Reading and checking it, on one core.
    pub passport_verify_ms: f64,
}

/// Audits the log at `urls` in a folder made in `dir`, and checks a passport of one of `units`.
///
/// # Errors
/// When the audit cannot be done or finds something, or a passport does not verify.
pub async fn check(
    dir: &Path,
    trust: &Path,
    urls: &[String],
    client: &Client,
    units: &[UnitId],
    checks_per_core_s: f64,
) -> Result<Checked, Wrong> {
    let (events, cpu_s, wall_s, rss_mib) = tokio::task::block_in_place(|| audit(dir, trust, urls))?;
    let text = fs::read_to_string(trust).map_err(Wrong::of)?;
    let trust = Trust::from_json(&text).map_err(Wrong::of)?;
    let (bytes, steps) = passport(client, units, &trust).await?;
    let since = Instant::now();
    for _ in 0..CHECKS {
        passport::read(&bytes, &trust).map_err(Wrong::of)?;
    }
    Ok(Checked {
        audit_events: events,
        audit_events_per_core_s: events as f64 / cpu_s,
        checks_per_core_s,
        audit_wall_s: wall_s,
        audit_rss_mib: rss_mib,
        passport_events: steps,
        passport_bytes: bytes.len(),
        passport_verify_ms: since.elapsed().as_secs_f64() * 1_000.0 / f64::from(CHECKS),
    })
}

fn audit(dir: &Path, trust: &Path, urls: &[String]) -> Result<(u64, f64, f64, f64), Wrong> {
    let sources = urls.iter().map(|url| url.parse().map_err(Wrong::new));
    let sources = sources.collect::<Result<Vec<Source>, Wrong>>()?;
    State::init(dir, trust, &sources).map_err(Wrong::of)?;
    let state = State::open(dir).map_err(Wrong::of)?;
    let (before, since) = (usage(std::process::id()), Instant::now());
    let audit = audit::round(&state, &mut |_, _, _| ()).map_err(Wrong::of)?;
    let (after, wall) = (usage(std::process::id()), since.elapsed().as_secs_f64());
    if let Some(finding) = audit.findings.first() {
        return Err(Wrong::new(format!("the audit found something: {}", finding.detail)));
    }
    let cpu_s = (after.cpu_ms - before.cpu_ms) / 1_000.0;
    Ok((audit.events, cpu_s, wall, after.rss_mib - before.rss_mib))
}

/// The passport whose number of events is nearest to ten, and that number.
async fn passport(
    client: &Client,
    units: &[UnitId],
    trust: &Trust,
) -> Result<(Vec<u8>, usize), Wrong> {
    let mut best: Option<(Vec<u8>, usize)> = None;
    for unit in units.iter().take(TRIED_MAX) {
        let bytes = client.passport(unit.clone(), None).await.map_err(Wrong::of)?.passport.0;
        let steps = passport::read(&bytes, trust).map_err(Wrong::of)?.steps.len();
        let nearer = best.as_ref().is_none_or(|(_, b)| steps.abs_diff(EVENTS) < b.abs_diff(EVENTS));
        if nearer {
            best = Some((bytes, steps));
        }
        if steps == EVENTS {
            break;
        }
    }
    best.ok_or_else(|| Wrong::new("there is no unit"))
}
