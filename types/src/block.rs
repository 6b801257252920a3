//! Blocks: what consensus orders and what the log records of it.
//!
//! A block appends its events to the log and then one leaf of its own, the [`BlockRecord`]. The
//! [`BlockId`] covers the record, the tree size and the tree root after it, and so everything before.
//! There is no round in it and no certificate: those differ between honest nodes.

use core::fmt;

use crate::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use crate::digest::{BlockId, Digest, MapRoot, SetHash, TreeRoot};
use crate::time::Millis;

/// Position of a block in the chain; the genesis block has height 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Height(pub u64);

impl Height {
    /// The height after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Incarnation of a network. 0 from the first day; a disaster recovery raises it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Epoch(pub u64);

/// Zero-based position of a leaf in the log.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LeafIndex(pub u64);

/// Number of leaves in the log.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TreeSize(pub u64);

impl TreeSize {
    /// The index that the next leaf takes.
    pub const fn next_index(self) -> LeafIndex {
        LeafIndex(self.0)
    }
}

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The leaf that closes a block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BlockRecord {
    /// Position in the chain.
    pub height: Height,
    /// Incarnation of the network.
    pub epoch: Epoch,
    /// Block time: greater than the parent's, and the record time of every event in the block.
    pub time: Millis,
    /// The block before; [`BlockId::default`] in the genesis block.
    pub parent: BlockId,
    /// Root of the unit map after this block.
    pub map_root: MapRoot,
    /// The validator set in force at this height: it votes on and cosigns this block.
    pub set: SetHash,
    /// The validator set in force at the next height.
    pub next_set: SetHash,
    /// Events in this block: the leaves directly before this one.
    pub events: u32,
}

/// First item of a record; an event begins with COSE tag 18 instead.
const RECORD_TAG: &str = "consign/block/v1";

impl Canonical for BlockRecord {
    const WHAT: &'static str = "block record";
    const BYTES_MAX: usize = 512;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(9).sure().str(RECORD_TAG).sure();
        to.u64(self.height.0).sure().u64(self.epoch.0).sure().u64(self.time.0).sure();
        to.bytes(self.parent.as_bytes()).sure().bytes(self.map_root.as_bytes()).sure();
        to.bytes(self.set.as_bytes()).sure().bytes(self.next_set.as_bytes()).sure();
        to.u32(self.events).sure();
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(9)?;
        if from.text()? != RECORD_TAG {
            return Err(from.error("another tag"));
        }
        Ok(Self {
            height: Height(from.u64()?),
            epoch: Epoch(from.u64()?),
            time: Millis(from.u64()?),
            parent: BlockId(from.digest()?),
            map_root: MapRoot(from.digest()?),
            set: SetHash(from.digest()?),
            next_set: SetHash(from.digest()?),
            events: from.u32()?,
        })
    }
}

impl BlockRecord {
    /// The block's name, given the log's size and root once this record is its last leaf.
    pub fn block_id(&self, size: TreeSize, root: TreeRoot) -> BlockId {
        let tag = b"consign/block-id/v1\0";
        BlockId(Digest::of(&[tag, &self.to_bytes(), &size.0.to_be_bytes(), root.as_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> BlockRecord {
        BlockRecord {
            height: Height(7),
            epoch: Epoch(0),
            time: Millis(1_700_000_000_123),
            parent: BlockId(Digest::of(&[b"parent"])),
            map_root: MapRoot(Digest::of(&[b"map"])),
            set: SetHash(Digest::of(&[b"set"])),
            next_set: SetHash(Digest::of(&[b"set"])),
            events: 3,
        }
    }

    #[test]
    fn a_record_has_one_encoding() {
        let bytes = record().to_bytes();
        assert_eq!(BlockRecord::from_bytes(&bytes), Ok(record()));
        for cut in 0..bytes.len() {
            assert!(BlockRecord::from_bytes(&bytes[..cut]).is_err());
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(
            BlockRecord::from_bytes(&longer),
            Err(DecodeError::NotCanonical { what: "block record" })
        );
    }

    #[test]
    fn a_block_id_covers_record_size_and_root() {
        let root = TreeRoot(Digest::of(&[b"root"]));
        let id = record().block_id(TreeSize(9), root);
        assert_ne!(id, record().block_id(TreeSize(10), root));
        assert_ne!(id, record().block_id(TreeSize(9), TreeRoot::default()));
        let later = BlockRecord { time: Millis(1_700_000_000_124), ..record() };
        assert_ne!(id, later.block_id(TreeSize(9), root));
    }
}
