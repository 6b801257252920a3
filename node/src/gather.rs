//! Getting what a proposal stands for: the body, and every event that it names.
//!
//! The proposer pushes the body behind the events, so mostly everything is here already. What is
//! missing is asked of the proposer, then of the validators that voted for the block. Not to get it is
//! *unavailable*, never *invalid*: only the bytes that a block's id stands for can make it invalid. Whatever
//! else is sent under that id says nothing of the block, only of its sender: it is dropped, and the next is asked.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use consign_ledger::apply::enrolments;
use consign_ledger::log::Frontier;
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, LeafHash};
use consign_types::event::{NotVerified, SignedEvent, Verified};
use consign_types::key::PublicKey;
use consign_types::limits::BLOCK_EVENTS_MAX;
use consign_types::merkle;
use consign_types::party::SignerId;
use consign_types::validator::ValidatorIndex;
use rayon::prelude::*;
use tokio::sync::Notify;
use tracing::{debug, warn};

use crate::p2p::NetHandle;
use crate::pool::Pool;
use crate::wire::{Body, Request, Response};

/// How long a pushed body, or events still being verified, are waited for.
const PUSH_WAIT: Duration = Duration::from_millis(120);
/// How long one peer has for an answer.
const ANSWER_WAIT: Duration = Duration::from_millis(700);
/// Bodies kept that are what their names say.
const BODIES_MAX: usize = 64;
/// Bodies kept of one sender that nobody asked for yet: a proposer has one at a time.
const PUSHED_OF_ONE_MAX: usize = 4;

/// What came of it.
#[derive(Debug)]
pub enum Gathered {
    /// Everything, with each signature checked.
    Ready(Body, Vec<Arc<Verified>>),
    /// The bytes are here and break a rule.
    Invalid(String),
    /// Not everything could be had.
    Unavailable,
}

/// Bodies that are not decided yet: those that are what their names say, and those that were pushed.
///
/// A pushed body is looked at once its block is asked for: only then is the log known that it stands on. Until
/// then each sender has a small room of its own, so that nobody's body takes the place of another's.
#[derive(Default)]
pub struct Bodies {
    kept: Mutex<Kept>,
    arrived: Notify,
}

#[derive(Default)]
struct Kept {
    by_id: BTreeMap<BlockId, Body>,
    order: VecDeque<BlockId>,
    pushed: BTreeMap<ValidatorIndex, VecDeque<(BlockId, Body)>>,
}

impl Bodies {
    /// Keeps the body of `block`, which it is as the caller knows, and drops the oldest where there are too many.
    pub fn put(&self, block: BlockId, body: Body) {
        self.lock().put(block, body);
        self.arrived.notify_waiters();
    }

    /// Keeps what a validator pushed under the name of `block`, and drops its oldest where there are too many.
    pub fn push(&self, from: ValidatorIndex, block: BlockId, body: Body) {
        let mut kept = self.lock();
        let of_one = kept.pushed.entry(from).or_default();
        of_one.push_back((block, body));
        if of_one.len() > PUSHED_OF_ONE_MAX {
            of_one.pop_front();
        }
        drop(kept);
        self.arrived.notify_waiters();
    }

    /// A body that is kept and is what its name says.
    pub fn get(&self, block: &BlockId) -> Option<Body> {
        self.lock().by_id.get(block).cloned()
    }

    /// The body of `block`, which stands on the log whose right edge is `frontier`, also if it was only pushed.
    /// What was pushed under its name and is not its body is dropped.
    fn find(&self, block: BlockId, frontier: &Frontier) -> Option<Body> {
        let mut kept = self.lock();
        if let Some(body) = kept.by_id.get(&block) {
            return Some(body.clone());
        }
        let pushed = kept.take_pushed(block);
        drop(kept);
        for (from, body) in pushed {
            if body.is_of(block, frontier) {
                self.lock().put(block, body.clone());
                return Some(body);
            }
            warn!(code = "block.body.foreign", block = %block, validator = from.0);
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn put(&mut self, block: BlockId, body: Body) {
        if self.by_id.insert(block, body).is_none() {
            self.order.push_back(block);
        }
        while self.order.len() > BODIES_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.by_id.remove(&oldest);
            }
        }
    }

    fn take_pushed(&mut self, block: BlockId) -> Vec<(ValidatorIndex, Body)> {
        let mut taken = Vec::new();
        for (from, of_one) in &mut self.pushed {
            let (named, others) =
                of_one.drain(..).partition::<VecDeque<_>, _>(|(of, _)| *of == block);
            *of_one = others;
            taken.extend(named.into_iter().map(|(_, body)| (*from, body)));
        }
        taken
    }
}

/// Gets bodies and events.
#[derive(Clone)]
pub struct Gatherer {
    /// Where bodies that were pushed lie.
    pub bodies: Arc<Bodies>,
    /// Where events lie that are verified already.
    pub pool: Arc<Pool>,
    /// Whom to ask for the rest.
    pub net: NetHandle,
    /// Right edge of the log that the block stands on.
    pub frontier: Frontier,
}

impl Gatherer {
    /// Gets the body of `block` and its events, asking `holders` in order for what is missing.
    pub async fn gather(&self, block: BlockId, holders: &[PublicKey]) -> Gathered {
        let Some(body) = self.body(block, holders).await else { return Gathered::Unavailable };
        if body.events.len() > BLOCK_EVENTS_MAX || body.events.len() != body.record.events as usize
        {
            return Gathered::Invalid(format!("{} events named", body.events.len()));
        }
        if body.events.iter().collect::<BTreeSet<_>>().len() < body.events.len() {
            return Gathered::Invalid("an event is named twice".to_owned());
        }
        let mut found = HashMap::new();
        self.take_pooled(&body.events, &mut found).await;
        let missing: Vec<_> =
            body.events.iter().filter(|leaf| !found.contains_key(*leaf)).copied().collect();
        if !missing.is_empty() {
            debug!(code = "block.events.missing", block = %block, missing = missing.len());
            let fetched = self.fetch(block, &missing, holders).await;
            if fetched.len() < missing.len() {
                return Gathered::Unavailable;
            }
            // Off the async workers: a whole block may have to be checked.
            match tokio::task::block_in_place(|| self.verify(&body, &fetched, &mut found)) {
                Ok(()) => {}
                Err(why) => return Gathered::Invalid(why),
            }
        }
        let events: Option<Vec<_>> =
            body.events.iter().map(|leaf| found.get(leaf).cloned()).collect();
        match events {
            Some(events) => Gathered::Ready(body, events),
            None => Gathered::Unavailable,
        }
    }

    async fn body(&self, block: BlockId, holders: &[PublicKey]) -> Option<Body> {
        let pushed = async {
            loop {
                let arrived = self.bodies.arrived.notified();
                if let Some(body) = self.bodies.find(block, &self.frontier) {
                    return body;
                }
                arrived.await;
            }
        };
        if let Ok(body) = tokio::time::timeout(PUSH_WAIT, pushed).await {
            return Some(body);
        }
        for holder in holders {
            let Some(Response::Body(Some(body))) = self.ask(holder, &Request::Body(block)).await
            else {
                continue;
            };
            if body.is_of(block, &self.frontier) {
                self.bodies.put(block, body.clone());
                return Some(body);
            }
            warn!(code = "block.body.foreign", block = %block, peer = %holder);
        }
        self.bodies.find(block, &self.frontier)
    }

    /// Takes what the pool has; waits a little for what is still being verified.
    async fn take_pooled(&self, names: &[LeafHash], found: &mut HashMap<LeafHash, Arc<Verified>>) {
        let complete = async {
            loop {
                let admitted = self.pool.admitted();
                self.pool.take_known(names, found);
                if names.iter().all(|leaf| found.contains_key(leaf)) {
                    return;
                }
                admitted.await;
            }
        };
        // An overrun is no failure: the rest is fetched.
        let _ = tokio::time::timeout(PUSH_WAIT, complete).await;
    }

    async fn fetch(
        &self,
        block: BlockId,
        missing: &[LeafHash],
        holders: &[PublicKey],
    ) -> HashMap<LeafHash, Vec<u8>> {
        let mut fetched = HashMap::new();
        let mut rest: BTreeSet<LeafHash> = missing.iter().copied().collect();
        for holder in holders {
            if rest.is_empty() {
                break;
            }
            let request = Request::Events(block, rest.iter().copied().collect());
            if let Some(Response::Events(events)) = self.ask(holder, &request).await {
                for bytes in events {
                    let leaf = merkle::leaf_hash(&bytes);
                    if rest.remove(&leaf) {
                        fetched.insert(leaf, bytes);
                    }
                }
            }
        }
        fetched
    }

    /// Bytes that hash to what the body names: from here on a fault is the block's own.
    fn verify(
        &self,
        body: &Body,
        fetched: &HashMap<LeafHash, Vec<u8>>,
        found: &mut HashMap<LeafHash, Arc<Verified>>,
    ) -> Result<(), String> {
        // In the order of the block, whatever was here before: every node must judge alike.
        let in_order = body.events.iter().filter_map(|name| fetched.get(name));
        let decoded = in_order
            .collect::<Vec<_>>()
            .par_iter()
            .map(|bytes| SignedEvent::decode(bytes).map_err(|e| e.to_string()))
            .collect::<Result<Vec<_>, _>>()?;
        let mut news = decoded.iter();
        let enrolled = enrolments(body.events.iter().filter_map(|name| {
            found.get(name).map(|event| event.signed()).or_else(|| news.next())
        }));
        let verified = decoded
            .into_par_iter()
            .map(|event| {
                let key_of = &mut |signer: &SignerId, id: &[u8; 8]| {
                    let known = self.pool.key_of(signer, id);
                    known.or_else(|| enrolled.get(&(signer.clone(), *id)).copied())
                };
                event.verify(key_of).map_err(|e: NotVerified| e.to_string())
            })
            .collect::<Result<Vec<_>, _>>()?;
        for event in verified {
            found.insert(event.signed().leaf_hash(), Arc::new(event));
        }
        debug_assert!(body.events.iter().all(|leaf| found.contains_key(leaf)));
        Ok(())
    }

    async fn ask(&self, holder: &PublicKey, request: &Request) -> Option<Response> {
        let bytes = Bytes::from(request.to_bytes());
        let answer = self.net.request(holder, bytes, ANSWER_WAIT).await.ok()?;
        Response::from_bytes(&answer).ok()
    }
}
