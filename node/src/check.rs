//! Verifying a node's stored data from bytes alone: everything that is kept, nothing that is remembered.
//!
//! The log is replayed from leaf 0: each event's signature, each rule, each unit-map root, each tree root,
//! each block id and each certificate is computed again and compared; then what was derived from them
//! (entries, indices, tile hashes, the newest checkpoint) is compared with what the replay gives.

use std::collections::BTreeSet;
use std::fmt;

use consign_ledger::entry::{EntryKey, StateView as _};
use consign_ledger::log::TileHash;
use consign_ledger::replay::{Block, Broken, Replay, one_by_one};
use consign_types::block::{Height, LeafIndex, TreeSize};
use consign_types::checkpoint;
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, EventId, MapRoot, TreeRoot};
use consign_types::note::Note;
use consign_types::validator::ValidatorSet;

use crate::config::Config;
use crate::store::{Fault, Store, StoredBlock};

/// What was verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Summary {
    /// The last block.
    pub height: Height,
    /// Its name.
    pub block: BlockId,
    /// Leaves.
    pub size: TreeSize,
    /// Root of the log.
    pub root: TreeRoot,
    /// Root of the unit map.
    pub map_root: MapRoot,
    /// Events, each once.
    pub events: BTreeSet<EventId>,
    /// Leaves under the newest checkpoint with a quorum.
    pub proven: TreeSize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (events, height, size) = (self.events.len(), self.height, self.size);
        writeln!(f, "verified {events} events in {height} blocks, {size} leaves")?;
        writeln!(f, "block {}", self.block)?;
        writeln!(f, "log root {}", self.root)?;
        writeln!(f, "map root {}", self.map_root)?;
        write!(f, "proven up to size {}", self.proven)
    }
}

/// What does not verify.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// The store cannot be read.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Something in it is wrong.
    #[error("block {height}: {why}")]
    Block {
        /// Where.
        height: Height,
        /// What.
        why: String,
    },
    /// The log itself is wrong.
    #[error(transparent)]
    Log(#[from] Broken),
    /// Something derived from the log is wrong.
    #[error("{0}")]
    Derived(String),
}

/// Verifies what the node that `config` describes has stored. `progress` is told each height.
///
/// # Errors
/// What does not verify, and where.
pub fn stored(config: &Config, progress: &mut dyn FnMut(u64)) -> Result<Summary, Unverified> {
    let store = Store::open(&config.data_dir.join("db"))?;
    let tip = store.tip()?.ok_or_else(|| Unverified::Derived("the store is empty".to_owned()))?;
    let mut checked = Checked::genesis(config, &store)?;
    for height in 1..=tip.height().0 {
        progress(height);
        checked.block(config, &store, Height(height))?;
    }
    checked.finish(config, &store)
}

struct Checked {
    replay: Replay,
    events: BTreeSet<EventId>,
    /// Validator sets, each with the size of the log before the first block that it decided.
    sets: Vec<(TreeSize, ValidatorSet)>,
}

impl Checked {
    fn genesis(config: &Config, store: &Store) -> Result<Self, Unverified> {
        let leaves = store.leaves(LeafIndex(0), 2)?;
        let [document, record] = &leaves[..] else {
            let why = "the first two leaves are missing".to_owned();
            return Err(Unverified::Block { height: Height(0), why });
        };
        let mut hashes = Vec::new();
        let begun = Replay::begin(config.genesis.network(), [document, record], |h| hashes.push(h));
        compare_hashes(store, &hashes)?;
        let sets = vec![(TreeSize(0), config.genesis.validators().clone())];
        Ok(Self { replay: begun?, events: BTreeSet::new(), sets })
    }

    fn block(&mut self, config: &Config, store: &Store, height: Height) -> Result<(), Unverified> {
        let set = self.set_after(self.replay.frontier().size()).clone();
        let bad = |why: String| Unverified::Block { height, why };
        let stored = store.block(height)?.ok_or_else(|| bad("it is missing".to_owned()))?;
        let first = self.replay.frontier().size().next_index();
        if stored.first != first || stored.size.0 <= first.0 {
            return Err(bad(format!("its leaves do not begin at {first}")));
        }
        let leaves = store.leaves(first, stored.size.0 - first.0)?;
        let mut hashes = Vec::new();
        let block = self.replay.block(&leaves, one_by_one, |hash| hashes.push(hash))?;
        compare_hashes(store, &hashes)?;
        for (offset, id) in block.events.iter().enumerate() {
            if store.event_index(id)? != Some(LeafIndex(first.0 + offset as u64)) {
                return Err(bad(format!("event {id} is not indexed where it lies")));
            }
            if !self.events.insert(*id) {
                return Err(bad(format!("event {id} is in the log twice")));
            }
        }
        if block.record.next_set != block.record.set {
            let bytes = self.replay.get(&EntryKey::Validators);
            let bytes = bytes.ok_or_else(|| bad("it leaves no validator set".to_owned()))?;
            let next = ValidatorSet::from_bytes(&bytes).map_err(|e| bad(e.to_string()))?;
            self.sets.push((block.size, next));
        }
        finality(config, &set, &block, &stored).map_err(bad)
    }

    /// The set that decides the block after the log of this size.
    fn set_after(&self, size: TreeSize) -> &ValidatorSet {
        let (first, later) = (&self.sets[0].1, self.sets.iter().rfind(|(above, _)| *above <= size));
        later.map_or(first, |(_, set)| set)
    }

    /// The set that decided the block after which the log has this size.
    fn set_of(&self, size: TreeSize) -> &ValidatorSet {
        let (first, later) = (&self.sets[0].1, self.sets.iter().rfind(|(above, _)| *above < size));
        later.map_or(first, |(_, set)| set)
    }

    fn finish(self, config: &Config, store: &Store) -> Result<Summary, Unverified> {
        let derived = |why: String| Err(Unverified::Derived(why));
        let tip = store.tip()?;
        let replay = &self.replay;
        let (record, frontier) = (replay.record(), replay.frontier());
        let own = Some((record.clone(), replay.block_id(), frontier.size(), frontier.root()));
        if tip.map(|tip| (tip.record, tip.block, tip.size, tip.root)) != own {
            return derived("the tip is not the last block".to_owned());
        }
        for (key, value) in replay.entries() {
            if store.entry(key)?.as_ref() != Some(value) {
                return derived("an entry of the unit map is not what replay gives".to_owned());
            }
        }
        let proven = match store.newest_note()? {
            None => TreeSize(0),
            Some((size, text)) => {
                let note: Note =
                    text.parse().map_err(|e| Unverified::Derived(format!("checkpoint: {e}")))?;
                let (origin, set) = (config.genesis.origin(), self.set_of(size));
                let proven = checkpoint::verify(&note, origin, set)
                    .map_err(|e| Unverified::Derived(format!("checkpoint: {e}")))?;
                let root = consign_ledger::log::root_at(store, size)
                    .map_err(|e| Unverified::Derived(e.to_string()))?;
                if proven.checkpoint.size != size || proven.checkpoint.root != root {
                    return derived("the newest checkpoint is not of this log".to_owned());
                }
                size
            }
        };
        Ok(Summary {
            height: record.height,
            block: replay.block_id(),
            size: frontier.size(),
            root: frontier.root(),
            map_root: record.map_root,
            events: self.events,
            proven,
        })
    }
}

/// What the log does not say of itself: that the block is the one that was decided.
fn finality(
    config: &Config,
    set: &ValidatorSet,
    block: &Block,
    stored: &StoredBlock,
) -> Result<(), String> {
    if (stored.size, stored.root) != (block.size, block.root) {
        return Err("replay leads to another log root".to_owned());
    }
    if block.id != stored.block {
        return Err("replay leads to another block id".to_owned());
    }
    let certificate = stored.certificate.as_ref().ok_or("it has no certificate")?;
    if (certificate.height, certificate.block) != (block.record.height, stored.block) {
        return Err("its certificate is for another block".to_owned());
    }
    certificate.verify(&config.genesis.domain(), set).map_err(|e| e.to_string())
}

/// Compares the hashes that tiles get with what is stored of them.
fn compare_hashes(store: &Store, hashes: &[TileHash]) -> Result<(), Unverified> {
    for hash in hashes {
        if store.tile_hash(hash.level, hash.index)? != Some(hash.hash) {
            let (level, index) = (hash.level, hash.index);
            let why = format!("the stored hash of tile level {level}, index {index} is wrong");
            return Err(Unverified::Derived(why));
        }
    }
    Ok(())
}
