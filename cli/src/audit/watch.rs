//! `consign audit run`: once, or again and again, with figures for Prometheus and messages for people.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use consign_ledger::replay::Replay;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use consign_types::causes::on_one_line;

use super::finding::{self, Finding};
use super::report::Audit;
use super::round::{self, Step};
use super::source::agent;
use super::state::State;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::instant;

/// Audits once.
///
/// # Errors
/// What was found.
pub fn once(console: &Console, state: &State, webhook: Option<&str>) -> Result<(), Failure> {
    let audit = audited(console, state, &mut None)?;
    super::say(console, state, &audit)?;
    tell(console, webhook, &audit, &mut Told::default());
    finding::outcome(&audit.findings)
}

/// Audits again and again, until the process is told to stop (SIGTERM or SIGINT); a round that is under way ends first.
///
/// # Errors
/// When the auditor's own folder fails, or the address for metrics cannot be had.
pub fn every(
    console: &Console,
    state: &State,
    seconds: u64,
    metrics: Option<SocketAddr>,
    webhook: Option<&str>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime
        .map_err(|e| Failure::operational("runtime", e, "the system has no thread to give"))?;
    let figures = Arc::new(Mutex::new(Figures::default()));
    if let Some(address) = metrics {
        serve(&runtime, console, address, &figures)?;
    }
    let (mut told, mut kept) = (Told::default(), None);
    let no_signals = |e| Failure::operational("signals", e, "the system gives no signals");
    runtime.block_on(async {
        // One that comes while a round is under way waits for its end.
        let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
        let mut rounds = tokio::time::interval(Duration::from_secs(seconds.max(1)));
        rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = rounds.tick() => {}
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
            }
            // The round blocks this thread and no other: metrics are served by theirs.
            let audit = tokio::task::block_in_place(|| audited(console, state, &mut kept))?;
            super::say(console, state, &audit)?;
            tell(console, webhook, &audit, &mut told);
            figures.lock().unwrap_or_else(PoisonError::into_inner).take(&audit);
        }
    })
}

fn audited(console: &Console, state: &State, kept: &mut Option<Replay>) -> Result<Audit, Failure> {
    let bar = console.bar(1);
    let audit = round::again(state, kept, &mut |step, done, total| {
        bar.set_message(match step {
            Step::Fetching => "fetching and hashing",
            Step::Checking => "checking signatures and rules",
        });
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    audit
}

/// Posts each finding once. Whether it arrives changes nothing: the report is on disk.
fn tell(console: &Console, webhook: Option<&str>, audit: &Audit, told: &mut Told) {
    let Some(url) = webhook else { return };
    for finding in &audit.findings {
        if !told.is_new(finding) {
            continue;
        }
        let body = cloud_event(audit, finding).to_string();
        let sent = agent()
            .post(url)
            .header("content-type", "application/cloudevents+json")
            .send(body)
            .map_err(|e| on_one_line(&e))
            .and_then(|answer| match answer.status() {
                status if status.is_success() => Ok(()),
                status => Err(format!("answers with status {status}")),
            });
        match sent {
            // What did not arrive is sent again after the next round.
            Err(why) => console.note(format!("webhook {url}: {why}")),
            Ok(()) => told.take(finding),
        }
    }
}

fn cloud_event(audit: &Audit, finding: &Finding) -> serde_json::Value {
    let data = json!(finding);
    // A source that cannot be reached has done nothing.
    let kind = match finding.code.exit() {
        Exit::Misbehaviour => "org.consign.audit.misbehaviour_found.v1",
        _ => "org.consign.audit.finding.v1",
    };
    let id = consign_types::digest::Digest::of(&[data.to_string().as_bytes()]).to_string();
    json!({
        "specversion": "1.0",
        "type": kind,
        "source": format!("consign-audit/{}", audit.origin),
        "subject": finding.source,
        "id": id,
        "time": instant::now().to_string(),
        "datacontenttype": "application/json",
        "data": data,
    })
}

/// What is counted.
#[derive(Debug, Default)]
struct Figures {
    last_success_s: u64,
    sizes: Vec<(String, u64)>,
    misbehaviour: u64,
    counted: Told,
}

/// Findings of earlier rounds, by name.
#[derive(Debug, Default)]
struct Told {
    names: BTreeSet<String>,
    /// The same, the oldest first.
    order: VecDeque<String>,
}

/// Names that are remembered: whoever serves something else in each round does not fill the memory.
const TOLD_MAX: usize = 10_000;

impl Told {
    fn is_new(&self, finding: &Finding) -> bool {
        finding.names().iter().any(|name| !self.names.contains(name))
    }

    fn take(&mut self, finding: &Finding) {
        for name in finding.names() {
            if self.names.insert(name.clone()) {
                self.order.push_back(name);
            }
        }
        while self.order.len() > TOLD_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            self.names.remove(&oldest);
        }
    }
}

impl Figures {
    fn take(&mut self, audit: &Audit) {
        if audit.findings.is_empty() {
            self.last_success_s = instant::now().seconds();
        }
        self.sizes = audit.covered.iter().map(|c| (c.source.clone(), c.size)).collect();
        for finding in &audit.findings {
            let misbehaves = finding.code.exit() == crate::failure::Exit::Misbehaviour;
            if misbehaves && self.counted.is_new(finding) {
                self.counted.take(finding);
                self.misbehaviour += 1;
            }
        }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "# HELP consign_audit_last_success_timestamp_seconds When an audit last found nothing.\n\
             # TYPE consign_audit_last_success_timestamp_seconds gauge\n\
             consign_audit_last_success_timestamp_seconds {}\n\
             # HELP consign_audit_log_size Leaves under each source's checkpoint.\n\
             # TYPE consign_audit_log_size gauge\n",
            self.last_success_s
        );
        for (source, size) in &self.sizes {
            let source = source.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(text, "consign_audit_log_size{{source=\"{source}\"}} {size}");
        }
        let _ = write!(
            text,
            "# HELP consign_audit_misbehaviour_total Proofs of misbehaviour that were found.\n\
             # TYPE consign_audit_misbehaviour_total counter\n\
             consign_audit_misbehaviour_total {}\n",
            self.misbehaviour
        );
        text
    }
}

fn serve(
    runtime: &tokio::runtime::Runtime,
    console: &Console,
    address: SocketAddr,
    figures: &Arc<Mutex<Figures>>,
) -> Result<(), Failure> {
    let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).map_err(|e| {
        let message = format!("cannot listen on {address}: {e}");
        Failure::operational("listen", message, "choose a free address: --metrics 127.0.0.1:9477")
    })?;
    let figures = Arc::clone(figures);
    let text = move || {
        let text = figures.lock().unwrap_or_else(PoisonError::into_inner).text();
        async move { ([("content-type", "text/plain; version=0.0.4")], text) }
    };
    let app = Router::new().route("/metrics", get(text));
    console.note(format!("metrics at http://{address}/metrics"));
    runtime.spawn(async move { axum::serve(listener, app).await });
    Ok(())
}

#[cfg(test)]
mod tests {
    use consign_types::digest::NetworkId;

    use super::*;
    use crate::audit::Code;

    fn audit(findings: Vec<Finding>) -> Audit {
        Audit {
            network: NetworkId::default().to_string(),
            origin: "audit.example/consign".to_owned(),
            covered: Vec::new(),
            leaves: 0,
            blocks: 0,
            events: 0,
            height: 0,
            map_root: String::new(),
            beyond: 0,
            findings,
        }
    }

    fn fork(size: u64, who: &[&str]) -> Finding {
        let finding = Finding::new(Code::Fork, "http://a", format!("the log forked at {size}"));
        let named = who.iter().map(|who| format!("{who} cosigned sizes 9 and {size}")).collect();
        let evidence = Some(format!("audit/evidence/growth-{size:012x}.evidence").into());
        Finding { named, evidence, ..finding }
    }

    #[test]
    fn a_log_that_stays_forked_while_it_grows_is_counted_once() {
        let mut figures = Figures::default();
        for size in 0..10 {
            figures.take(&audit(vec![fork(size, &["airline", "customs"])]));
        }
        assert_eq!((figures.misbehaviour, figures.counted.order.len()), (1, 2));
        // Whoever joins in did something that was not told.
        figures.take(&audit(vec![fork(11, &["airline", "handler"])]));
        figures.take(&audit(vec![fork(12, &["handler"])]));
        assert_eq!((figures.misbehaviour, figures.counted.order.len()), (2, 3));
        let elsewhere = Finding { source: "http://b".to_owned(), ..fork(12, &["handler"]) };
        figures.take(&audit(vec![elsewhere]));
        assert_eq!(figures.misbehaviour, 3);
    }

    /// Whoever receives it goes by its type: a name that nobody else gives, with the version of what it holds.
    #[test]
    fn a_webhook_is_told_by_a_cloud_event() {
        let told = |finding: Finding| {
            let mut event = cloud_event(&audit(Vec::new()), &finding);
            assert_eq!(event["data"].take(), json!(finding));
            for made in ["id", "time"] {
                assert!(event[made].take().is_string(), "{made}");
            }
            event
        };
        let expected = |kind: &str| {
            json!({
                "specversion": "1.0",
                "type": kind,
                "source": "consign-audit/audit.example/consign",
                "subject": "http://a",
                "id": null,
                "time": null,
                "datacontenttype": "application/json",
                "data": null,
            })
        };
        let misbehaviour = expected("org.consign.audit.misbehaviour_found.v1");
        assert_eq!(told(fork(9, &["airline"])), misbehaviour);
        let file = Finding::new(Code::BadFile, "http://a", "changed");
        assert_eq!(told(file), expected("org.consign.audit.finding.v1"));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_is_forgotten() {
        let at = |leaf| Finding::new(Code::BadFile, "http://a", "changed").at(leaf);
        let mut told = Told::default();
        (0..=TOLD_MAX as u64).for_each(|leaf| told.take(&at(leaf)));
        assert_eq!((told.names.len(), told.order.len()), (TOLD_MAX, TOLD_MAX));
        assert_eq!([0, 1].map(|leaf| told.is_new(&at(leaf))), [true, false]);
    }
}
