//! Blocks, honest and forged, worked out from the ledger's parts without the node's executor.
//!
//! A forger is as good as it can be: whatever it lies about, everything else fits, up to the block id.
//! So a block that is refused is refused for that one lie.

use std::collections::BTreeMap;

use consign_ledger::apply::Executor as Rules;
use consign_ledger::apply::enrolments;
use consign_ledger::log::Frontier;
use consign_ledger::map;
use consign_node::executor::context;
use consign_node::state::Committed;
use consign_node::store::Tip;
use consign_node::wire::Body;
use consign_types::block::BlockRecord;
use consign_types::certificate::{Certificate, Round, Statement};
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, Digest, LeafHash, TreeRoot};
use consign_types::event::{SignedEvent, Verified};
use consign_types::merkle;
use consign_types::time::Millis;
use consign_types::validator::ValidatorIndex;

use super::{PARTIES, key};

/// A block as a proposer stands for it, with the bytes that it serves for each name.
#[derive(Clone, Debug)]
pub struct Proposal {
    pub block: BlockId,
    pub body: Body,
    pub events: BTreeMap<LeafHash, Vec<u8>>,
    frontier: Frontier,
}

impl Proposal {
    /// The block that an honest proposer makes of `events` on the tip. Where a rule forbids one, the
    /// roots are those of a ledger that passes over it: nothing gives the block away but the rule.
    pub fn of(committed: &Committed, time: Millis, events: &[SignedEvent]) -> Self {
        let tip = committed.tip();
        let mut rules = Rules::new(committed, context(committed, &tip, time));
        for event in verified(committed, events) {
            let _ = rules.push(&event);
        }
        let height = tip.height().next();
        let outcome = rules.finish();
        let (map_root, _) = map::update(&committed.store().map(), height.0, outcome.writes())
            .unwrap_or_else(|e| panic!("{e}"));
        let set = committed.validators().hash();
        let record = BlockRecord {
            height,
            epoch: committed.epoch(),
            time,
            parent: tip.block,
            map_root,
            set,
            next_set: set,
            events: events.len() as u32,
        };
        let served = events.iter().map(|e| (e.leaf_hash(), e.bytes().to_vec())).collect();
        let body = Body { record, events: events.iter().map(SignedEvent::leaf_hash).collect() };
        let mut proposal = Self {
            block: BlockId::default(),
            body,
            events: served,
            frontier: committed.frontier(),
        };
        proposal.seal();
        proposal
    }

    /// The same with another record, under the block id that fits it.
    pub fn record(mut self, forge: impl FnOnce(&mut BlockRecord)) -> Self {
        forge(&mut self.body.record);
        self.seal();
        self
    }

    /// The same with other names, under the block id that fits them.
    pub fn names(mut self, forge: impl FnOnce(&mut Vec<LeafHash>)) -> Self {
        forge(&mut self.body.events);
        self.seal();
        self
    }

    /// The same under the name that it had if the log's root were `root`.
    pub fn tree_root(mut self, root: TreeRoot) -> Self {
        let (size, _) = self.log_after();
        self.block = self.body.record.block_id(size, root);
        self
    }

    /// The same under any name.
    pub fn block_id(mut self, block: BlockId) -> Self {
        self.block = block;
        self
    }

    /// The same, without the bytes of any event.
    pub fn withheld(mut self) -> Self {
        self.events.clear();
        self
    }

    /// The same, with other bytes under the name of the first event.
    pub fn served_as(mut self, bytes: Vec<u8>) -> Self {
        self.events.insert(self.body.events[0], bytes);
        self
    }

    /// A name that nothing has.
    pub fn nameless() -> LeafHash {
        LeafHash(Digest::of(&[b"nobody has this event"]))
    }

    fn seal(&mut self) {
        let (size, root) = self.log_after();
        self.block = self.body.record.block_id(size, root);
    }

    fn log_after(&self) -> (consign_types::block::TreeSize, TreeRoot) {
        let mut frontier = self.frontier.clone();
        for leaf in &self.body.events {
            frontier.append(*leaf, |_| {});
        }
        frontier.append(merkle::leaf_hash(&self.body.record.to_bytes()), |_| {});
        (frontier.size(), frontier.root())
    }
}

/// The events with their signatures checked, by what is committed and what they enrol themselves;
/// without those that do not verify.
pub fn verified(committed: &Committed, events: &[SignedEvent]) -> Vec<Verified> {
    let enrolled = enrolments(events.iter());
    let check = |event: &SignedEvent| {
        let key_of = &mut |signer: &_, id: &[u8; 8]| {
            let known = committed.key_of(signer, id);
            known.or_else(|| enrolled.get(&(Clone::clone(signer), *id)).copied())
        };
        event.clone().verify(key_of).ok()
    };
    events.iter().filter_map(check).collect()
}

/// Proof that these validators decided `block` on `tip`.
pub fn certificate(
    committed: &Committed,
    tip: &Tip,
    block: BlockId,
    signers: &[u16],
) -> Certificate {
    let (height, round) = (tip.height().next(), Round(0));
    let statement = Statement::Precommit(Some(block));
    let message = committed.domain().sign_bytes(height, round, &statement);
    let sign = |index: &u16| {
        let secret = key(&format!("{} consensus", PARTIES[usize::from(*index)]));
        (ValidatorIndex(*index), secret.sign(&message))
    };
    Certificate { height, round, block, precommits: signers.iter().map(sign).collect() }
}
