//! One block: from a proposal, or from what waits in the pool, to roots and a name.
//!
//! Every field of the record is computed here and compared; nothing is taken from the proposer but
//! the order of events and the block's time.

use std::sync::Arc;

use consign_ledger::apply::{BlockContext, Executor as Rules, Outcome};
use consign_ledger::errors::Rejection;
use consign_ledger::log::{Frontier, TileHash};
use consign_ledger::map::{self, MapBatch};
use consign_types::block::BlockRecord;
use consign_types::codec::{Canonical as _, Infallible as _};
use consign_types::digest::{BlockId, EventId, TreeRoot};
use consign_types::event::Verified;
use consign_types::limits::{BLOCK_BYTES_MAX, BLOCK_EVENTS_MAX};
use consign_types::merkle;
use consign_types::time::Millis;
use consign_types::validator::ValidatorSet;

use crate::state::Committed;
use crate::store::{Fault, Tip};
use crate::wire::Body;

/// Events of the pool that are tried for one block.
pub const CANDIDATES_MAX: usize = BLOCK_EVENTS_MAX;

/// A block that was executed here.
#[derive(Debug)]
pub struct Executed {
    /// Its name.
    pub block: BlockId,
    /// The leaf that closes it.
    pub record: BlockRecord,
    /// Its events.
    pub events: Vec<Arc<Verified>>,
    /// What it writes.
    pub outcome: Outcome,
    /// What it changes in the unit map.
    pub map: MapBatch,
    /// Hashes that tiles get with it.
    pub hashes: Vec<TileHash>,
    /// Right edge of the log after it.
    pub frontier: Frontier,
    /// Root of the log after it.
    pub root: TreeRoot,
}

/// Why a block gets no vote.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// The record does not follow the tip.
    #[error("{0} does not follow the tip")]
    Record(&'static str),
    /// More than a block may hold.
    #[error("the block is over its bounds: {0}")]
    Bounds(&'static str),
    /// An event that a rule forbids at its place.
    #[error("event {index} breaks a rule: {rejection}")]
    Rule {
        /// Position in the block.
        index: usize,
        /// The rule.
        rejection: Rejection,
    },
    /// Executed, with another root or name.
    #[error("execution leads to another {0}")]
    Differs(&'static str),
}

impl Executed {
    /// The block as a proposal stands for it.
    pub fn body(&self) -> Body {
        let events = self.events.iter().map(|event| event.signed().leaf_hash()).collect();
        Body { record: self.record.clone(), events }
    }

    /// What is made durable before a vote: the record and the exact bytes of the events.
    pub fn durable_body(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut to = minicbor::Encoder::new(&mut bytes);
        to.array(2).sure();
        self.record.write(&mut to);
        to.array(self.events.len() as u64).sure();
        for event in &self.events {
            to.bytes(event.signed().bytes()).sure();
        }
        bytes
    }
}

/// Executes the block that a body stands for on `tip`.
///
/// # Errors
/// [`Rejected`] says which rule it breaks; the outer [`Fault`] is this node's own.
pub fn execute(
    committed: &Committed,
    tip: &Tip,
    block: BlockId,
    body: &Body,
    events: Vec<Arc<Verified>>,
) -> Result<Result<Executed, Rejected>, Fault> {
    if let Err(why) = follows(tip, &body.record, &events) {
        return Ok(Err(why));
    }
    let mut rules = Rules::new(committed, context(committed, tip, body.record.time));
    for (index, event) in events.iter().enumerate() {
        if let Err(rejection) = rules.push(event) {
            return Ok(Err(Rejected::Rule { index, rejection }));
        }
    }
    let executed = close(committed, tip, body.record.time, rules.finish(), events)?;
    if executed.record != body.record {
        return Ok(Err(Rejected::Differs("record")));
    }
    if executed.block != block {
        return Ok(Err(Rejected::Differs("block id")));
    }
    Ok(Ok(executed))
}

/// A block that was built, and what it could not take.
#[derive(Debug)]
pub struct Built {
    /// The block.
    pub executed: Executed,
    /// Events that a rule forbids for good.
    pub refused: Vec<(EventId, Rejection)>,
    /// Events that may fit later.
    pub waiting: Vec<EventId>,
}

/// Builds a block on `tip` from `candidates`, in their order.
///
/// # Errors
/// When this node's store fails.
pub fn build(
    committed: &Committed,
    tip: &Tip,
    time: Millis,
    candidates: Vec<Arc<Verified>>,
) -> Result<Built, Fault> {
    let mut rules = Rules::new(committed, context(committed, tip, time));
    let mut events = Vec::with_capacity(candidates.len());
    let (mut refused, mut waiting, mut bytes) = (Vec::new(), Vec::new(), 0);
    for event in candidates {
        let length = event.signed().bytes().len();
        if bytes + length > BLOCK_BYTES_MAX || events.len() == BLOCK_EVENTS_MAX {
            break;
        }
        match rules.push(&event) {
            Ok(()) => {
                bytes += length;
                events.push(event);
            }
            Err(Rejection::BlockFull) => break,
            // It refers to one that is behind it, or not here yet: it stays for a while.
            Err(rejection) if rejection.retryable() => {
                waiting.push(event.signed().id());
            }
            Err(rejection) => refused.push((event.signed().id(), rejection)),
        }
    }
    let executed = close(committed, tip, time, rules.finish(), events)?;
    Ok(Built { executed, refused, waiting })
}

/// The block that comes on `tip`.
pub fn context(committed: &Committed, tip: &Tip, time: Millis) -> BlockContext {
    BlockContext {
        network: committed.domain().network,
        epoch: committed.epoch(),
        height: tip.height().next(),
        time,
        first_leaf: tip.size.next_index(),
    }
}

fn follows(tip: &Tip, record: &BlockRecord, events: &[Arc<Verified>]) -> Result<(), Rejected> {
    if record.height != tip.height().next() {
        return Err(Rejected::Record("the height"));
    }
    if record.parent != tip.block {
        return Err(Rejected::Record("the parent"));
    }
    if record.time <= tip.record.time {
        return Err(Rejected::Record("the block time"));
    }
    if record.events as usize != events.len() || events.len() > BLOCK_EVENTS_MAX {
        return Err(Rejected::Bounds("number of events"));
    }
    let bytes: usize = events.iter().map(|event| event.signed().bytes().len()).sum();
    if bytes > BLOCK_BYTES_MAX {
        return Err(Rejected::Bounds("bytes of events"));
    }
    Ok(())
}

/// Computes everything that follows from parent, time and events.
fn close(
    committed: &Committed,
    tip: &Tip,
    time: Millis,
    outcome: Outcome,
    events: Vec<Arc<Verified>>,
) -> Result<Executed, Fault> {
    let height = tip.height().next();
    let (map_root, map) = map::update(&committed.store().map(), height.0, outcome.writes())
        .map_err(|e| committed.store().damaged_map(e))?;
    let set = tip.record.next_set;
    let record = BlockRecord {
        height,
        epoch: committed.epoch(),
        time,
        parent: tip.block,
        map_root,
        set,
        next_set: outcome.validators().map_or(set, ValidatorSet::hash),
        events: events.len() as u32,
    };
    let (mut frontier, mut hashes) = (committed.frontier(), Vec::with_capacity(events.len() + 2));
    for event in &events {
        frontier.append(event.signed().leaf_hash(), |hash| hashes.push(hash));
    }
    frontier.append(merkle::leaf_hash(&record.to_bytes()), |hash| hashes.push(hash));
    let root = frontier.root();
    let block = record.block_id(frontier.size(), root);
    Ok(Executed { block, record, events, outcome, map, hashes, frontier, root })
}
