//! Getting what a proposal stands for: the body, and every event that it names.
//!
//! The proposer pushes the body behind the events, so mostly everything is here already. What is
//! missing is asked of the proposer, then of the validators that voted for the block. Not to get it is
//! *unavailable*, never *invalid*: only bytes that are here and break a rule make a block invalid.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use consign_ledger::apply::enrolments;
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, LeafHash};
use consign_types::event::{NotVerified, SignedEvent, Verified};
use consign_types::key::PublicKey;
use consign_types::limits::BLOCK_EVENTS_MAX;
use consign_types::merkle;
use consign_types::party::SignerId;
use rayon::prelude::*;
use tokio::sync::Notify;
use tracing::debug;

use crate::p2p::NetHandle;
use crate::pool::Pool;
use crate::wire::{Body, Request, Response};

/// How long a pushed body, or events still being verified, are waited for.
const PUSH_WAIT: Duration = Duration::from_millis(120);
/// How long one peer has for an answer.
const ANSWER_WAIT: Duration = Duration::from_millis(700);
/// Bodies kept that nobody asked for yet.
const BODIES_MAX: usize = 64;

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

/// Bodies that came before they were asked for, and those that this node built.
#[derive(Default)]
pub struct Bodies {
    kept: Mutex<Kept>,
    arrived: Notify,
}

#[derive(Default)]
struct Kept {
    by_id: BTreeMap<BlockId, Body>,
    order: VecDeque<BlockId>,
}

impl Bodies {
    /// Keeps a body, and drops the oldest where there are too many.
    pub fn put(&self, block: BlockId, body: Body) {
        let mut kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if kept.by_id.insert(block, body).is_none() {
            kept.order.push_back(block);
        }
        while kept.order.len() > BODIES_MAX {
            if let Some(oldest) = kept.order.pop_front() {
                kept.by_id.remove(&oldest);
            }
        }
        drop(kept);
        self.arrived.notify_waiters();
    }

    /// A body that is kept.
    pub fn get(&self, block: &BlockId) -> Option<Body> {
        let kept = self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.by_id.get(block).cloned()
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
            match tokio::task::block_in_place(|| self.verify(&body, fetched, &mut found)) {
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
                if let Some(body) = self.bodies.get(&block) {
                    return body;
                }
                arrived.await;
            }
        };
        if let Ok(body) = tokio::time::timeout(PUSH_WAIT, pushed).await {
            return Some(body);
        }
        for holder in holders {
            if let Some(Response::Body(Some(body))) = self.ask(holder, &Request::Body(block)).await
            {
                self.bodies.put(block, body.clone());
                return Some(body);
            }
        }
        self.bodies.get(&block)
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
        for holder in holders {
            let rest: Vec<_> =
                missing.iter().filter(|leaf| !fetched.contains_key(*leaf)).copied().collect();
            if rest.is_empty() {
                break;
            }
            let request = Request::Events(block, rest);
            if let Some(Response::Events(events)) = self.ask(holder, &request).await {
                for bytes in events {
                    let leaf = merkle::leaf_hash(&bytes);
                    if missing.contains(&leaf) {
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
        fetched: HashMap<LeafHash, Vec<u8>>,
        found: &mut HashMap<LeafHash, Arc<Verified>>,
    ) -> Result<(), String> {
        let decoded = fetched
            .into_values()
            .collect::<Vec<_>>()
            .par_iter()
            .map(|bytes| SignedEvent::decode(bytes).map_err(|e| e.to_string()))
            .collect::<Result<Vec<_>, _>>()?;
        let known = found.values().map(|event| event.signed());
        let enrolled = enrolments(known.chain(&decoded));
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
