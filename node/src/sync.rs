//! Catch-up: a node that is behind fetches decided blocks from any peer that has them.
//!
//! Nothing is believed: each certificate is checked against the set in force at its height, each event
//! signature is checked, each block is executed and its roots compared. A peer that lies or stalls is
//! passed over for another. The blocks go through the engine, so one place commits.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use bytes::Bytes;
use consign_ledger::apply::enrolments;
use consign_types::block::Height;
use consign_types::codec::Canonical as _;
use consign_types::event::{SignedEvent, Verified};
use consign_types::key::PublicKey;
use consign_types::merkle;
use consign_types::party::SignerId;
use rayon::prelude::*;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::executor::Job;
use crate::p2p::NetHandle;
use crate::state::{Committed, Progress};
use crate::wire::{Body, Bundle, Request, Response, Status};

/// How long one peer has for a range.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// How long a peer that lied or stalled is passed over.
const BENCH: Duration = Duration::from_secs(30);
/// Consensus alone brings this node the next block; further behind, it fetches.
const BEHIND: u64 = 1;
/// How long a single missing height may take by consensus alone.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// What catch-up works on.
pub struct Sync {
    /// What is committed here.
    pub committed: Arc<Committed>,
    /// Peers to ask.
    pub net: NetHandle,
    /// Where blocks are executed.
    pub executor: Sender<Job>,
}

/// A fault of the peer that a range came from.
#[derive(Debug, thiserror::Error)]
enum Lie {
    #[error("block {0} does not follow the tip")]
    Order(Height),
    #[error("the certificate of block {0} does not hold")]
    Certificate(Height, #[source] consign_types::certificate::BadCertificate),
    #[error("block {0} is not the one that its certificate is for")]
    Body(Height),
    #[error("an event of block {0} is not what it says it is: {1}")]
    Event(Height, String),
    #[error("block {0} was refused by execution")]
    Refused(Height),
}

impl Sync {
    /// Follows the statuses of peers and fetches what is missing, for ever.
    pub async fn run(self, mut statuses: mpsc::Receiver<(PublicKey, Status)>) {
        let mut tips: HashMap<PublicKey, Height> = HashMap::new();
        let mut benched: HashMap<PublicKey, Instant> = HashMap::new();
        let mut progress = self.committed.progress();
        let mut behind_since: Option<Instant> = None;
        loop {
            let tick = tokio::time::sleep(Duration::from_millis(500));
            tokio::select! {
                status = statuses.recv() => match status {
                    Some((peer, status)) => { tips.insert(peer, status.height); }
                    None => return,
                },
                changed = progress.changed() => if changed.is_err() { return },
                () = tick => {}
            }
            while let Ok((peer, status)) = statuses.try_recv() {
                tips.insert(peer, status.height);
            }
            let here = progress.borrow_and_update().height;
            let best = tips.values().max().copied().unwrap_or_default();
            if best <= here {
                behind_since = None;
                continue;
            }
            let since = *behind_since.get_or_insert_with(Instant::now);
            if best.0 <= here.0 + BEHIND && since.elapsed() < PATIENCE {
                continue;
            }
            benched.retain(|_, until| *until > Instant::now());
            let connected = self.net.connected();
            let ahead = |peer: &&PublicKey| tips.get(*peer).is_some_and(|tip| *tip > here);
            let free = |peer: &&PublicKey| !benched.contains_key(*peer);
            let Some(peer) = connected.iter().filter(ahead).find(free).copied() else { continue };
            match self.fetch(&peer, &mut progress).await {
                Ok(0) => {
                    benched.insert(peer, Instant::now() + BENCH / 10);
                }
                Ok(_) => behind_since = None,
                Err(lie) => {
                    warn!(code = "sync.peer.lied", peer = %peer, why = %lie);
                    benched.insert(peer, Instant::now() + BENCH);
                }
            }
        }
    }

    /// Fetches one range from `peer` and has it committed; answers how many blocks that were.
    async fn fetch(
        &self,
        peer: &PublicKey,
        progress: &mut tokio::sync::watch::Receiver<Progress>,
    ) -> Result<usize, Lie> {
        let from = progress.borrow().height.next();
        let request = Bytes::from(Request::Blocks(from).to_bytes());
        let answer = self.net.request(peer, request, ANSWER_WAIT).await;
        let bundles = match answer.as_deref().map(Response::from_bytes) {
            Ok(Ok(Response::Blocks(bundles))) => bundles,
            _ => return Ok(0),
        };
        let count = bundles.len();
        for bundle in bundles {
            let height = bundle.record.height;
            let (body, events, certificate) = self.check(bundle)?;
            if progress.borrow_and_update().height >= height {
                continue;
            }
            if self.executor.send(Job::Fetched { certificate, body, events }).is_err() {
                return Ok(0);
            }
            let committed = progress.wait_for(|p| p.height >= height);
            match tokio::time::timeout(ANSWER_WAIT, committed).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return Ok(0),
                Err(_) => return Err(Lie::Refused(height)),
            }
        }
        if count > 0 {
            info!(code = "sync.range.committed", from = from.0, blocks = count);
        }
        Ok(count)
    }

    fn check(&self, bundle: Bundle) -> Result<Checked, Lie> {
        let (tip, frontier) = self.committed.end();
        let height = bundle.record.height;
        let Bundle { certificate, record, events } = bundle;
        // Heights committed meanwhile by consensus are skipped by the caller.
        if certificate.height != height || height.0 > tip.height().0 + 1 {
            return Err(Lie::Order(height));
        }
        certificate
            .verify(&self.committed.domain(), &self.committed.validators_at(height))
            .map_err(|source| Lie::Certificate(height, source))?;
        let names = events.iter().map(|bytes| merkle::leaf_hash(bytes)).collect();
        let body = Body { record, events: names };
        if height == tip.height().next() && !body.is_of(certificate.block, &frontier) {
            return Err(Lie::Body(height));
        }
        let lie = |why: String| Lie::Event(height, why);
        let decoded = events
            .par_iter()
            .map(|bytes| SignedEvent::decode(bytes).map_err(|e| lie(e.to_string())))
            .collect::<Result<Vec<_>, _>>()?;
        let enrolled = enrolments(decoded.iter());
        let verified = decoded
            .into_par_iter()
            .map(|event| {
                let key_of = &mut |signer: &SignerId, id: &[u8; 8]| {
                    let known = self.committed.key_of(signer, id);
                    known.or_else(|| enrolled.get(&(signer.clone(), *id)).copied())
                };
                event.verify(key_of).map(Arc::new).map_err(|e| lie(e.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok((body, verified, certificate))
    }
}

type Checked = (Body, Vec<Arc<Verified>>, consign_types::certificate::Certificate);
