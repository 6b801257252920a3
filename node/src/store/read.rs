//! Reading what was committed.

use std::sync::Arc;

use consign_ledger::log::{self, Frontier, TileHashes};
use consign_types::block::{BlockRecord, Height, LeafIndex, TreeSize};
use consign_types::codec::Canonical;
use consign_types::digest::{BlockId, Digest, EventId, NetworkId};

use super::{CosignedState, Fault, Store, StoredBlock, Tip, cf, keys};

/// The unit map's nodes and values, as the ledger reads them.
pub struct MapReader<'a>(pub(super) &'a Store);

impl Store {
    /// The last committed block; `None` in a store that was never used.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn tip(&self) -> Result<Option<Tip>, Fault> {
        self.value(cf::META, keys::TIP)
    }

    /// The network that the store belongs to.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn network(&self) -> Result<Option<NetworkId>, Fault> {
        let Some(bytes) = self.get(cf::META, keys::NETWORK)? else { return Ok(None) };
        let digest = Digest::from_slice(&bytes);
        digest.map(|d| Some(NetworkId(d))).ok_or_else(|| self.damaged("network id", "wrong length"))
    }

    /// What this node's cosigner last put its name to.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn cosigned(&self) -> Result<CosignedState, Fault> {
        self.value(cf::META, keys::COSIGNED).map(Option::unwrap_or_default)
    }

    /// What is kept of the block at `height`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn block(&self, height: Height) -> Result<Option<StoredBlock>, Fault> {
        self.value(cf::BLOCKS, &keys::height(height))
    }

    /// The record of the block at `height`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn record(&self, block: &StoredBlock) -> Result<BlockRecord, Fault> {
        let index = LeafIndex(block.size.0.saturating_sub(1));
        let bytes = self.leaf(index)?.ok_or_else(|| self.damaged("log", "a record is missing"))?;
        BlockRecord::from_bytes(&bytes).map_err(|e| self.damaged("block record", e))
    }

    /// The exact data of a leaf.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn leaf(&self, index: LeafIndex) -> Result<Option<Vec<u8>>, Fault> {
        self.get(cf::LEAVES, &keys::leaf(index))
    }

    /// The data of `count` leaves from `first` on; fewer where the log ends.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn leaves(&self, first: LeafIndex, count: u64) -> Result<Vec<Vec<u8>>, Fault> {
        use rocksdb::{Direction, IteratorMode};
        let start = keys::leaf(first);
        let mode = IteratorMode::From(&start, Direction::Forward);
        let rows = self.db.iterator_cf(self.family(cf::LEAVES), mode);
        let taken = rows.take(count.try_into().unwrap_or(usize::MAX));
        taken
            .map(|row| row.map(|(_, data)| data.into_vec()).map_err(|e| self.failed("read", e)))
            .collect()
    }

    /// Where an event lies in the log.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn event_index(&self, id: &EventId) -> Result<Option<LeafIndex>, Fault> {
        let Some(bytes) = self.get(cf::EVENTS, id.as_bytes())? else { return Ok(None) };
        self.index(&bytes).map(Some)
    }

    /// The hash of the complete subtree of `256^level` leaves.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn tile_hash(&self, level: u8, index: u64) -> Result<Option<Digest>, Fault> {
        let Some(bytes) = self.get(cf::HASHES, &keys::tile_hash(level, index))? else {
            return Ok(None);
        };
        let digest = Digest::from_slice(&bytes);
        digest.map(Some).ok_or_else(|| self.damaged("tile hash", "wrong length"))
    }

    /// `count` hashes of a tile level from `first` on; fewer where the level ends.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn tile_hashes(&self, level: u8, first: u64, count: usize) -> Result<Vec<Digest>, Fault> {
        use rocksdb::{Direction, IteratorMode};
        let start = keys::tile_hash(level, first);
        let mode = IteratorMode::From(&start, Direction::Forward);
        let mut hashes = Vec::with_capacity(count.min(256));
        for row in self.db.iterator_cf(self.family(cf::HASHES), mode).take(count) {
            let (key, value) = row.map_err(|e| self.failed("read", e))?;
            if key.first() != Some(&level) {
                break;
            }
            let digest = Digest::from_slice(&value);
            hashes.push(digest.ok_or_else(|| self.damaged("tile hash", "wrong length"))?);
        }
        Ok(hashes)
    }

    /// An entry of the unit map as it is now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn entry(&self, map_key: &[u8; 32]) -> Result<Option<Arc<[u8]>>, Fault> {
        self.caches.entry(map_key, || Ok(self.get(cf::ENTRIES, map_key)?.map(Arc::from)))
    }

    /// A node of the unit map.
    pub(super) fn map_node(&self, key: &[u8]) -> Result<Option<Arc<[u8]>>, Fault> {
        self.caches.node(key, || Ok(self.get(cf::MAP_NODES, key)?.map(Arc::from)))
    }

    /// A body that was made durable before a vote, with the bytes of its events.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn body(&self, height: Height, block: &BlockId) -> Result<Option<Vec<u8>>, Fault> {
        self.get(cf::BODIES, &keys::body(height, block))
    }

    /// The newest checkpoint with a quorum of cosignatures, with the size that it is for.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn newest_note(&self) -> Result<Option<(TreeSize, String)>, Fault> {
        let row = self.db.iterator_cf(self.family(cf::NOTES), rocksdb::IteratorMode::End).next();
        let Some(row) = row else { return Ok(None) };
        let (key, value) = row.map_err(|e| self.failed("read", e))?;
        let note = String::from_utf8(value.into_vec()).map_err(|e| self.damaged("note", e))?;
        Ok(Some((TreeSize(self.index(&key)?.0), note)))
    }

    /// The checkpoint with a quorum of cosignatures for a size.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn note(&self, size: TreeSize) -> Result<Option<String>, Fault> {
        let Some(bytes) = self.get(cf::NOTES, &keys::size(size))? else { return Ok(None) };
        String::from_utf8(bytes).map(Some).map_err(|e| self.damaged("note", e))
    }

    /// The right edge of the log at `size`.
    ///
    /// # Errors
    /// When the store cannot be read or lacks a hash.
    pub fn frontier(&self, size: TreeSize) -> Result<Frontier, Fault> {
        log::frontier_at(self, size).map_err(|e| self.damaged("log", e))
    }

    /// The unit map could not be updated from what is stored.
    pub fn damaged_map(&self, why: impl ToString) -> Fault {
        self.damaged("unit map", why)
    }

    /// The unit map's nodes and values.
    pub const fn map(&self) -> MapReader<'_> {
        MapReader(self)
    }

    fn value<T: Canonical>(&self, name: &'static str, key: &[u8]) -> Result<Option<T>, Fault> {
        let Some(bytes) = self.get(name, key)? else { return Ok(None) };
        T::from_bytes(&bytes).map(Some).map_err(|e| self.damaged(T::WHAT, e))
    }

    pub(super) fn index(&self, bytes: &[u8]) -> Result<LeafIndex, Fault> {
        let bytes = bytes.try_into().map_err(|_| self.damaged("index", "wrong length"))?;
        Ok(LeafIndex(u64::from_be_bytes(bytes)))
    }
}

impl TileHashes for Store {
    fn tile_hash(&self, level: u8, index: u64) -> Option<Digest> {
        crate::state::sure(Self::tile_hash(self, level, index))
    }
}
