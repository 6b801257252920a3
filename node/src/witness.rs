//! Asking the network's witnesses to cosign what is proven (C2SP tlog-witness): those of the genesis, until the
//! members decide on others.
//!
//! One task, at most one round a second, always with the newest checkpoint that has a quorum: what was
//! newer in between is not made up for. All witnesses that are due are asked for the same size, so that
//! their cosignatures stand under one note. A witness that does not answer is asked less often, and
//! changes nothing else: nobody waits for this task.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use consign_ledger::log;
use consign_types::block::TreeSize;
use consign_types::causes::on_one_line;
use consign_types::checkpoint::{self, Checkpoint, Cosignature};
use consign_types::digest::TreeRoot;
use consign_types::note::{Note, NoteSignature, SIGNATURES_MAX};
use consign_types::witness::{AddCheckpoint, Witness, conflict_size, newest};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls_platform_verifier::ConfigVerifierExt as _;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{debug, info, warn};

use crate::parts::Parts;

/// Rounds are no closer than this.
const ROUND_EVERY: Duration = Duration::from_secs(1);
/// How long a witness may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Longest pause before a witness that failed is asked again.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Bytes of an answer: lines of cosignatures, or a size.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Times that a witness is asked in one round: others ask it too, and each makes our old size wrong.
const ATTEMPTS: usize = 3;
/// For how long the newest checkpoint that witnesses cosigned is served before a newer one without them.
pub(crate) const LAG_MAX: Duration = Duration::from_secs(10);

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// What witnesses said of the newest size that they cosigned.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    size: TreeSize,
    root: TreeRoot,
    by_witness: BTreeMap<String, Cosignature>,
    /// The note with these lines, and when the last of them came.
    note: Option<(String, Instant)>,
}

impl Lines {
    /// Those under a note that this node stored.
    pub(crate) fn of(note: &str, witnesses: &[Witness]) -> Self {
        let mut lines = Self::default();
        let Ok(note) = note.parse::<Note>() else { return lines };
        let Ok(checkpoint) = Checkpoint::from_text(note.text()) else { return lines };
        (lines.size, lines.root) = (checkpoint.size, checkpoint.root);
        for witness in witnesses {
            if let Ok(Some(cosignature)) = newest(&note, &checkpoint, witness.key()) {
                lines.by_witness.insert(witness.key().to_string(), cosignature);
            }
        }
        lines
    }

    /// Takes what witnesses said in one round, each under its key.
    pub(crate) fn take(&mut self, of: &Checkpoint, said: Vec<(String, Cosignature)>) {
        if (self.size, self.root) != (of.size, of.root) {
            *self = Self { size: of.size, root: of.root, ..Self::default() };
        }
        self.by_witness.extend(said);
    }

    /// Puts them under the note of this checkpoint, in place of older ones.
    pub(crate) fn put_under(&self, note: &mut Note, of: &Checkpoint, witnesses: &[Witness]) {
        if (self.size, self.root) != (of.size, of.root) {
            return;
        }
        let known = |line: &NoteSignature| {
            let mut keys = witnesses.iter().map(Witness::key);
            keys.any(|key| key.name() == line.name && key.key_id() == line.key_id)
        };
        if let Ok(mut whole) = Note::new(note.text().to_owned()) {
            note.signatures()
                .iter()
                .filter(|line| !known(line))
                .take(SIGNATURES_MAX - witnesses.len())
                .for_each(|line| whole.add(line.clone()));
            for witness in witnesses {
                if let Some(cosignature) = self.by_witness.get(&witness.key().to_string()) {
                    whole.add(cosignature.line(witness.key()));
                }
            }
            *note = whole;
        }
    }

    /// Keeps the note that they stand under.
    pub(crate) fn keep(&mut self, note: &str) {
        self.note = Some((note.to_owned(), Instant::now()));
    }

    /// The note and its size, where the lines are young.
    pub(crate) fn young(&self) -> Option<(TreeSize, &str)> {
        let (note, at) = self.note.as_ref()?;
        (at.elapsed() < LAG_MAX).then_some((self.size, note.as_str()))
    }
}

/// What is known of one witness.
struct Asked {
    /// The size that it cosigned last, as far as this node knows.
    last: TreeSize,
    /// What it cosigned last for this node: a size, and the quorum's time of the note.
    done: Option<(TreeSize, u64)>,
    not_before: Instant,
    pause: Duration,
    failing: bool,
}

enum Said {
    Cosigned(Cosignature),
    /// It is ahead of this node.
    Ahead(TreeSize),
}

/// Asks witnesses for as long as the node runs.
pub async fn run(parts: Parts) {
    let http = client();
    let fresh = || Asked {
        last: TreeSize(0),
        done: None,
        not_before: Instant::now(),
        pause: ROUND_EVERY,
        failing: false,
    };
    let mut known: BTreeMap<String, Asked> = BTreeMap::new();
    let mut rounds = interval(ROUND_EVERY);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        // The members may have decided on others since.
        let witnesses = parts.committed.witnesses();
        known.retain(|key, _| witnesses.iter().any(|witness| witness.key().to_string() == *key));
        let Some((note, checkpoint, time_s)) = newest_note(&parts) else { continue };
        let of = (checkpoint.size, time_s);
        let now = Instant::now();
        let mut asking = Vec::new();
        for witness in &witnesses {
            let key = witness.key().to_string();
            let asked = known.entry(key.clone()).or_insert_with(fresh);
            if asked.done != Some(of) && asked.not_before <= now && asked.last <= checkpoint.size {
                let (parts, http, last) = (&parts, &http, asked.last);
                let (note, checkpoint) = (&note, &checkpoint);
                asking.push(async move {
                    (key, witness.name(), ask(parts, http, witness, note, checkpoint, last).await)
                });
            }
        }
        let answers = futures::future::join_all(asking).await;
        let mut said = Vec::new();
        for (key, name, answer) in answers {
            let Some(asked) = known.get_mut(&key) else { continue };
            let label = [("witness", name.to_owned())];
            match answer {
                Ok(Said::Cosigned(cosignature)) => {
                    if asked.failing {
                        info!(code = "witness.recovered", witness = name);
                    }
                    debug!(code = "witness.cosigned", witness = name, size = checkpoint.size.0);
                    (asked.last, asked.done) = (checkpoint.size, Some(of));
                    (asked.failing, asked.pause) = (false, ROUND_EVERY);
                    parts.metrics.witness_cosignatures.get_or_create(&label).inc();
                    said.push((key, cosignature));
                }
                Ok(Said::Ahead(size)) => asked.last = size,
                Err(why) => {
                    if !asked.failing {
                        warn!(code = "witness.failed", witness = name, error = why);
                    }
                    asked.failing = true;
                    asked.not_before = Instant::now() + asked.pause;
                    asked.pause = (asked.pause * 2).min(PAUSE_MAX);
                    parts.metrics.witness_failures.get_or_create(&label).inc();
                }
            }
        }
        if !said.is_empty() {
            parts.cosigner.take_witnesses(&parts.committed, &checkpoint, said);
            parts.metrics.witnessed_size.set(checkpoint.size.0 as i64);
        }
    }
}

/// The newest checkpoint with a quorum, and the quorum's time.
fn newest_note(parts: &Parts) -> Option<(Note, Checkpoint, u64)> {
    let note: Note = parts.cosigner.newest_note()?.parse().ok()?;
    let claimed = Checkpoint::from_text(note.text()).ok()?;
    let (origin, set) =
        (parts.committed.genesis().origin(), parts.committed.validators_of(claimed.size));
    let proven = checkpoint::verify(&note, origin, &set).ok()?;
    Some((note, proven.checkpoint, proven.time_s))
}

/// Asks one witness, again from the size that it names where it cosigned another one last.
async fn ask(
    parts: &Parts,
    http: &Http,
    witness: &Witness,
    note: &Note,
    checkpoint: &Checkpoint,
    mut old: TreeSize,
) -> Result<Said, String> {
    for _ in 0..ATTEMPTS {
        let (store, size) = (Arc::clone(parts.committed.store()), checkpoint.size);
        let proof = tokio::task::spawn_blocking(move || {
            let from = old;
            log::consistency_proof(&*store, from, size)
        });
        let proof = proof.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        let request = AddCheckpoint { old, path: proof.path, checkpoint: note.clone() };
        let (status, body) = post(http, witness, request.to_string()).await?;
        match status {
            StatusCode::OK => return cosignature(witness, checkpoint, &body),
            StatusCode::CONFLICT => {
                let told = conflict_size(&body).ok_or("it answered 409 without a size")?;
                if told > checkpoint.size {
                    return Ok(Said::Ahead(told));
                }
                if told == old {
                    return Err(format!("it cosigned another root at size {told}"));
                }
                old = told;
            }
            other => {
                let shown: String = body.chars().take(200).collect();
                return Err(format!("it answered {other}: {}", shown.trim_end()));
            }
        }
    }
    Err("others ask it at the same time".to_owned())
}

/// The newest cosignature of the witness in its answer; lines by others are ignored.
fn cosignature(witness: &Witness, checkpoint: &Checkpoint, body: &str) -> Result<Said, String> {
    let mut note = Note::new(checkpoint.text()).map_err(|e| e.to_string())?;
    for line in body.lines().take(SIGNATURES_MAX) {
        note.add(line.parse::<NoteSignature>().map_err(|e| e.to_string())?);
    }
    let found = newest(&note, checkpoint, witness.key()).map_err(|e| e.to_string())?;
    found.map(Said::Cosigned).ok_or_else(|| "it answered without its cosignature".to_owned())
}

async fn post(
    http: &Http,
    witness: &Witness,
    body: String,
) -> Result<(StatusCode, String), String> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/add-checkpoint", witness.url()))
        .body(Full::new(Bytes::from(body)))
        .map_err(|e| e.to_string())?;
    let exchange = async {
        let answer = http.request(request).await.map_err(|e| on_one_line(&e))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|e| e.to_string())?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    timeout(ANSWER_WAIT, exchange).await.unwrap_or_else(|_| Err("it took too long".to_owned()))
}

fn client() -> Http {
    // The process has one provider; whoever was first chose the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(ANSWER_WAIT));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(rustls::ClientConfig::with_platform_verifier())
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Client::builder(TokioExecutor::new()).build(https)
}
