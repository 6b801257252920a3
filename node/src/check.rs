//! Verifying a node's stored data from bytes alone: everything that is kept, nothing that is remembered.
//!
//! The log is replayed from leaf 0: each event's signature, each rule, each unit-map root, each tree root,
//! each block id and each certificate is computed again and compared; then what was derived from them
//! (entries, indices, tile hashes, the newest checkpoint) is compared with what the replay gives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use consign_ledger::apply::{BlockContext, Executor as Rules, signer_key};
use consign_ledger::entry::{EntryKey, StateView, genesis_writes};
use consign_ledger::log::Frontier;
use consign_ledger::map::{self, MemoryMap};
use consign_types::block::{BlockRecord, Height, LeafIndex, TreeSize};
use consign_types::checkpoint;
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, EventId, MapRoot, TreeRoot};
use consign_types::event::SignedEvent;
use consign_types::merkle;
use consign_types::note::Note;

use crate::config::Config;
use crate::gather::enrolments;
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
    let mut replay = Replay::genesis(config, &store)?;
    for height in 1..=tip.height().0 {
        progress(height);
        replay.block(config, &store, Height(height))?;
    }
    replay.finish(config, &store)
}

struct Replay {
    entries: BTreeMap<[u8; 32], Arc<[u8]>>,
    map: MemoryMap,
    frontier: Frontier,
    record: BlockRecord,
    block: BlockId,
    events: BTreeSet<EventId>,
}

struct Entries<'a>(&'a BTreeMap<[u8; 32], Arc<[u8]>>);

impl StateView for Entries<'_> {
    fn get(&self, key: &EntryKey) -> Option<Arc<[u8]>> {
        self.0.get(&key.map_key()).cloned()
    }
}

impl Replay {
    fn genesis(config: &Config, store: &Store) -> Result<Self, Unverified> {
        let bad = |why: &str| Unverified::Block { height: Height(0), why: why.to_owned() };
        let writes = genesis_writes(&config.genesis);
        let mut map = MemoryMap::default();
        let (map_root, batch) =
            map::update(&map, 0, &writes).map_err(|e| Unverified::Derived(e.to_string()))?;
        map.absorb_newest(batch);
        let expected = config.genesis.block(map_root);
        let leaves = store.leaves(LeafIndex(0), 2)?;
        if leaves != [config.genesis.to_bytes(), expected.record.to_bytes()] {
            return Err(bad("the first two leaves are not the genesis document and its record"));
        }
        let mut frontier = Frontier::default();
        for leaf in &leaves {
            compare_hashes(store, &mut frontier, leaf)?;
        }
        Ok(Self {
            entries: writes.into_iter().map(|(k, v)| (k.map_key(), Arc::from(v))).collect(),
            map,
            frontier,
            block: expected.id,
            record: expected.record,
            events: BTreeSet::new(),
        })
    }

    fn block(&mut self, config: &Config, store: &Store, height: Height) -> Result<(), Unverified> {
        let bad = |why: String| Unverified::Block { height, why };
        let stored = store.block(height)?.ok_or_else(|| bad("it is missing".to_owned()))?;
        let first = self.frontier.size().next_index();
        if stored.first != first || stored.size.0 <= first.0 {
            return Err(bad(format!("its leaves do not begin at {first}")));
        }
        let mut leaves = store.leaves(first, stored.size.0 - first.0)?;
        let record = leaves.pop().ok_or_else(|| bad("it has no record".to_owned()))?;
        let record = BlockRecord::from_bytes(&record).map_err(|e| bad(e.to_string()))?;
        let executed = self.execute(config, &record, first, &leaves).map_err(&bad)?;
        for (offset, (id, bytes)) in executed.iter().zip(&leaves).enumerate() {
            if store.event_index(id)? != Some(LeafIndex(first.0 + offset as u64)) {
                return Err(bad(format!("event {id} is not indexed where it lies")));
            }
            compare_hashes(store, &mut self.frontier, bytes)?;
        }
        compare_hashes(store, &mut self.frontier, &record.to_bytes())?;
        self.close(config, record, &stored).map_err(bad)
    }

    /// Checks signatures, rules and the map root; the record is compared field by field.
    fn execute(
        &mut self,
        config: &Config,
        record: &BlockRecord,
        first: LeafIndex,
        leaves: &[Vec<u8>],
    ) -> Result<Vec<EventId>, String> {
        let set = config.genesis.validators().hash();
        let domain = config.genesis.domain();
        let expected = BlockRecord {
            height: self.record.height.next(),
            epoch: domain.epoch,
            parent: self.block,
            set,
            next_set: set,
            events: leaves.len() as u32,
            ..record.clone()
        };
        if *record != expected {
            return Err("its record does not follow the block before".to_owned());
        }
        if record.time <= self.record.time {
            return Err("its time is not after that of the block before".to_owned());
        }
        let view = Entries(&self.entries);
        let context = BlockContext {
            network: domain.network,
            epoch: domain.epoch,
            height: record.height,
            time: record.time,
            first_leaf: first,
        };
        let decoded = leaves
            .iter()
            .map(|bytes| SignedEvent::decode(bytes).map_err(|e| e.to_string()))
            .collect::<Result<Vec<_>, _>>()?;
        let enrolled = enrolments(decoded.iter());
        let mut rules = Rules::new(&view, context);
        let mut ids = Vec::with_capacity(decoded.len());
        for event in decoded {
            let id = event.id();
            let key_of = &mut |signer: &_, key_id: &[u8; 8]| {
                let known = signer_key(&view, signer, key_id);
                known.or_else(|| enrolled.get(&(Clone::clone(signer), *key_id)).copied())
            };
            let verified = event.verify(key_of).map_err(|e| format!("event {id}: {e}"))?;
            rules.push(&verified).map_err(|e| format!("event {id}: {e}"))?;
            if !self.events.insert(id) {
                return Err(format!("event {id} is in the log twice"));
            }
            ids.push(id);
        }
        let outcome = rules.finish();
        let (map_root, batch) =
            map::update(&self.map, record.height.0, outcome.writes()).map_err(|e| e.to_string())?;
        if map_root != record.map_root {
            return Err("replay leads to another unit-map root".to_owned());
        }
        self.map.absorb_newest(batch);
        let writes = outcome.writes().iter();
        self.entries.extend(writes.map(|(k, v)| (k.map_key(), Arc::from(v.as_slice()))));
        Ok(ids)
    }

    fn close(
        &mut self,
        config: &Config,
        record: BlockRecord,
        stored: &StoredBlock,
    ) -> Result<(), String> {
        let (size, root) = (self.frontier.size(), self.frontier.root());
        if (stored.size, stored.root) != (size, root) {
            return Err("replay leads to another log root".to_owned());
        }
        if record.block_id(size, root) != stored.block {
            return Err("replay leads to another block id".to_owned());
        }
        let certificate = stored.certificate.as_ref().ok_or("it has no certificate")?;
        if (certificate.height, certificate.block) != (record.height, stored.block) {
            return Err("its certificate is for another block".to_owned());
        }
        certificate
            .verify(&config.genesis.domain(), config.genesis.validators())
            .map_err(|e| e.to_string())?;
        self.block = stored.block;
        self.record = record;
        Ok(())
    }

    fn finish(self, config: &Config, store: &Store) -> Result<Summary, Unverified> {
        let derived = |why: String| Err(Unverified::Derived(why));
        let tip = store.tip()?;
        let own =
            Some((self.record.clone(), self.block, self.frontier.size(), self.frontier.root()));
        if tip.map(|tip| (tip.record, tip.block, tip.size, tip.root)) != own {
            return derived("the tip is not the last block".to_owned());
        }
        for (key, value) in &self.entries {
            if store.entry(key)?.as_ref() != Some(value) {
                return derived("an entry of the unit map is not what replay gives".to_owned());
            }
        }
        let proven = match store.newest_note()? {
            None => TreeSize(0),
            Some((size, text)) => {
                let note: Note =
                    text.parse().map_err(|e| Unverified::Derived(format!("checkpoint: {e}")))?;
                let (origin, set) = (config.genesis.origin(), config.genesis.validators());
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
            height: self.record.height,
            block: self.block,
            size: self.frontier.size(),
            root: self.frontier.root(),
            map_root: self.record.map_root,
            events: self.events,
            proven,
        })
    }
}

/// Appends a leaf and compares the hashes that tiles get with it.
fn compare_hashes(store: &Store, frontier: &mut Frontier, leaf: &[u8]) -> Result<(), Unverified> {
    let mut hashes = Vec::new();
    frontier.append(merkle::leaf_hash(leaf), |hash| hashes.push(hash));
    for hash in hashes {
        if store.tile_hash(hash.level, hash.index)? != Some(hash.hash) {
            let (level, index) = (hash.level, hash.index);
            let why = format!("the stored hash of tile level {level}, index {index} is wrong");
            return Err(Unverified::Derived(why));
        }
    }
    Ok(())
}
