//! The one synced write of a block.

use std::collections::HashMap;
use std::sync::Arc;

use consign_ledger::apply::Named;
use consign_ledger::entry::EntryKey;
use consign_ledger::log::TileHash;
use consign_ledger::map::{MapBatch, MapStore};
use consign_types::block::{BlockRecord, Height, LeafIndex, TreeSize};
use consign_types::codec::{Canonical as _, DecodeError, Reader};
use consign_types::digest::{BlockId, EventId, NetworkId};
use consign_types::limits::{BLOCK_BYTES_MAX, BLOCK_EVENTS_MAX, MAP_VERSIONS_KEPT};
use rocksdb::WriteBatch;

use super::cache::Fresh;
use super::history::encode_history;
use super::past::Replaced;
use super::{CosignedState, Fault, MapReader, Store, StoredBlock, Tip, cf, keys};

/// Checkpoints with a quorum that are kept; an older leaf is proven by a newer one.
const NOTES_KEPT: u64 = 4_096;

/// What one block adds to the store; written together or not at all.
pub struct BlockBatch<'a> {
    pub(super) store: &'a Store,
    pub(super) batch: WriteBatch,
    fresh: Fresh,
    /// The version that is written, and what it replaces.
    replaced: Option<(u64, Replaced)>,
}

impl Store {
    /// Begins the write of a block.
    pub fn block_batch(&self) -> BlockBatch<'_> {
        let (batch, fresh) = (WriteBatch::default(), Fresh::default());
        BlockBatch { store: self, batch, fresh, replaced: None }
    }

    /// Makes a body durable, before any vote for it.
    ///
    /// # Errors
    /// When it cannot be written or synced.
    pub fn put_body(&self, height: Height, block: &BlockId, body: &[u8]) -> Result<(), Fault> {
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(cf::BODIES), keys::body(height, block), body);
        self.write_synced(batch)
    }

    /// Keeps a checkpoint with its quorum. Not synced: it rests on what its cosigners have on disk, and
    /// can be collected again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_note(&self, size: TreeSize, note: &str) -> Result<(), Fault> {
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(cf::NOTES), keys::size(size), note);
        if let Some(oldest) = size.0.checked_sub(NOTES_KEPT) {
            let (first, last) = (keys::size(TreeSize(0)), keys::size(TreeSize(oldest)));
            batch.delete_range_cf(self.family(cf::NOTES), first, last);
        }
        self.db.write(batch).map_err(|source| self.failed("write", source))
    }

    /// Keeps what the cosigner is about to put its name to.
    ///
    /// # Errors
    /// When it cannot be written or synced.
    pub fn put_cosigned(&self, state: &CosignedState) -> Result<(), Fault> {
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(cf::META), keys::COSIGNED, state.to_bytes());
        self.write_synced(batch)
    }
}

impl BlockBatch<'_> {
    /// The network that the store belongs to; with the genesis block alone.
    pub fn network(&mut self, network: NetworkId) {
        let family = self.store.family(cf::META);
        self.batch.put_cf(family, keys::NETWORK, network.as_bytes());
    }

    /// The tip moves.
    pub fn tip(&mut self, tip: &Tip) {
        self.batch.put_cf(self.store.family(cf::META), keys::TIP, tip.to_bytes());
    }

    /// What the cosigner puts its name to with this block.
    pub fn cosigned(&mut self, state: &CosignedState) {
        self.batch.put_cf(self.store.family(cf::META), keys::COSIGNED, state.to_bytes());
    }

    /// What is kept of the block beside its leaves.
    pub fn block(&mut self, height: Height, block: &StoredBlock) {
        let family = self.store.family(cf::BLOCKS);
        self.batch.put_cf(family, keys::height(height), block.to_bytes());
    }

    /// A leaf.
    pub fn leaf(&mut self, index: LeafIndex, data: &[u8]) {
        self.batch.put_cf(self.store.family(cf::LEAVES), keys::leaf(index), data);
    }

    /// An event's place in the log and in the history of the units that it names.
    pub fn event(&mut self, id: &EventId, index: LeafIndex, named: &[Named]) {
        let place = keys::leaf(index);
        self.batch.put_cf(self.store.family(cf::EVENTS), id.as_bytes(), place);
        let history = self.store.family(cf::HISTORY);
        for Named { unit, position, around } in named {
            let value = encode_history(index, around);
            self.batch.put_cf(history, keys::history(unit, *position), value);
        }
    }

    /// A hash that tiles are made of.
    pub fn tile_hash(&mut self, hash: &TileHash) {
        let key = keys::tile_hash(hash.level, hash.index);
        self.batch.put_cf(self.store.family(cf::HASHES), key, hash.hash.0);
    }

    /// New entries, and the unit map's version of this height.
    ///
    /// # Errors
    /// When nodes that no kept version needs cannot be listed.
    pub fn map<'e>(
        &mut self,
        version: u64,
        writes: impl IntoIterator<Item = (&'e EntryKey, &'e Vec<u8>)>,
        map: &MapBatch,
    ) -> Result<(), Fault> {
        let entries = self.store.family(cf::ENTRIES);
        let mut replaced = HashMap::new();
        for (key, value) in writes {
            let key = key.map_key();
            replaced.insert(key, self.store.entry(&key)?);
            self.batch.put_cf(entries, key, value);
            self.fresh.entries.push((key, Arc::from(value.as_slice())));
        }
        self.replaced = Some((version, replaced));
        let (nodes, stale) = (self.store.family(cf::MAP_NODES), self.store.family(cf::MAP_STALE));
        for (key, node) in &map.nodes {
            self.batch.put_cf(nodes, key, node);
            self.fresh.nodes.push((key.clone(), Arc::from(node.as_slice())));
        }
        self.fresh.stale.clone_from(&map.stale);
        let stale_keys: Vec<u8> = encode_stale(&map.stale);
        if !map.stale.is_empty() {
            self.batch.put_cf(stale, version.to_be_bytes(), stale_keys);
        }
        if let Some(old) = version.checked_sub(MAP_VERSIONS_KEPT) {
            self.prune(old)?;
        }
        Ok(())
    }

    /// Nodes that became stale at `version` are needed by no version from it on.
    fn prune(&mut self, version: u64) -> Result<(), Fault> {
        let key = version.to_be_bytes();
        let Some(stale) = self.store.get(cf::MAP_STALE, &key)? else { return Ok(()) };
        let nodes = self.store.family(cf::MAP_NODES);
        for node in decode_stale(&stale) {
            self.batch.delete_cf(nodes, node);
        }
        self.batch.delete_cf(self.store.family(cf::MAP_STALE), key);
        Ok(())
    }

    /// Bodies of this height are decided or void.
    pub fn forget_bodies(&mut self, height: Height) {
        let (first, last) = (keys::height(height), keys::height(height.next()));
        self.batch.delete_range_cf(self.store.family(cf::BODIES), first, last);
    }

    /// Writes everything, synced.
    ///
    /// # Errors
    /// When it cannot be written or synced; the process must end then.
    pub fn write(self) -> Result<(), Fault> {
        if let Some((version, values)) = self.replaced {
            self.store.past.note(version, values);
        }
        self.store.write_synced(self.batch)?;
        self.store.caches.absorb(self.fresh);
        Ok(())
    }
}

/// Each key behind its length: keys of map nodes are short.
fn encode_stale(stale: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(stale.len() * 32);
    for key in stale {
        bytes.push(key.len() as u8);
        bytes.extend_from_slice(key);
    }
    bytes
}

fn decode_stale(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut keys = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let Some((key, rest)) = rest.split_at_checked(usize::from(*length)) else { break };
        keys.push(key);
        bytes = rest;
    }
    keys
}

impl MapStore for MapReader<'_> {
    fn node(&self, key: &[u8]) -> Option<Vec<u8>> {
        crate::state::sure(self.0.map_node(key)).map(|node| node.to_vec())
    }

    /// Of a version that is older than what is kept there are no values, so no proofs.
    fn value(&self, key: &[u8; 32], version: u64) -> Option<Vec<u8>> {
        let then = self.0.past.at(version, key, || self.0.entry(key));
        crate::state::sure(then).flatten().map(|value| value.to_vec())
    }
}

/// Reads a body that was made durable before a vote.
///
/// # Errors
/// When the bytes are not what [`crate::executor::Executed::durable_body`] wrote.
pub fn decode_body(bytes: &[u8]) -> Result<(BlockRecord, Vec<Vec<u8>>), DecodeError> {
    let mut from = Reader::new(bytes, "stored body");
    from.array_of(2)?;
    let record = BlockRecord::read(&mut from)?;
    let events = from.list(BLOCK_EVENTS_MAX, |from| from.bytes().map(<[u8]>::to_vec))?;
    if events.iter().map(Vec::len).sum::<usize>() > BLOCK_BYTES_MAX {
        return Err(from.error("more bytes than a block may hold"));
    }
    Ok((record, events))
}
