//! The right edge of the tree: all that appending needs.
//!
//! At most 64 hashes, whatever the size. What appending completes is handed out and not kept: the tiles
//! hold it.

use alloc::vec::Vec;

use consign_types::block::{LeafIndex, TreeSize};
use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::{Digest, LeafHash, TreeRoot};
use consign_types::merkle;

use super::TILE_HEIGHT;

/// The hash of a complete subtree of `256^level` leaves: what tiles are made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TileHash {
    /// Tile level: 0 for leaf hashes.
    pub level: u8,
    /// Position among the subtrees of that level.
    pub index: u64,
    /// The hash.
    pub hash: Digest,
}

/// Roots of the complete subtrees that make up the tree, largest first: one for each set bit of its
/// size.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Digest>,
}

impl Frontier {
    /// The frontier of a tree of `size` leaves whose complete subtrees have these roots.
    ///
    /// # Panics
    /// When there is not one root for each set bit of the size.
    pub fn from_roots(size: TreeSize, roots: Vec<Digest>) -> Self {
        assert_eq!(roots.len(), size.0.count_ones() as usize);
        Self { size: size.0, roots }
    }

    /// Number of leaves.
    pub const fn size(&self) -> TreeSize {
        TreeSize(self.size)
    }

    /// Appends a leaf and hands every hash that a tile now gets to `completed`, lower levels first:
    /// the leaf's own, and one more for each tile that is full with it.
    pub fn append(&mut self, leaf: LeafHash, mut completed: impl FnMut(TileHash)) -> LeafIndex {
        let index = self.size;
        self.size += 1;
        let (mut hash, mut level) = (leaf.0, 0);
        completed(TileHash { level: 0, index, hash });
        // A binary counter: each trailing one of the old size is a subtree that joins this one.
        while index >> level & 1 == 1 {
            let left = self.roots.pop().expect("a subtree stands for each set bit of the size");
            hash = merkle::node_hash(&left, &hash);
            level += 1;
            if level % TILE_HEIGHT == 0 {
                let tile_level = (level / TILE_HEIGHT) as u8;
                completed(TileHash { level: tile_level, index: index >> level, hash });
            }
        }
        self.roots.push(hash);
        assert_eq!(self.roots.len(), self.size.count_ones() as usize);
        LeafIndex(index)
    }

    /// Merkle tree hash (RFC 6962, 2.1).
    pub fn root(&self) -> TreeRoot {
        let fold = |right: Digest, left: &Digest| merkle::node_hash(left, &right);
        match self.roots.split_last() {
            None => merkle::empty_root(),
            Some((last, larger)) => TreeRoot(larger.iter().rev().fold(*last, fold)),
        }
    }
}

impl Canonical for Frontier {
    const WHAT: &'static str = "frontier";
    const BYTES_MAX: usize = 1 + 9 + 2 + u64::BITS as usize * 34;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(2).sure().u64(self.size).sure();
        to.array(self.roots.len() as u64).sure();
        for root in &self.roots {
            to.bytes(root.as_bytes()).sure();
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(2)?;
        let size = from.u64()?;
        let roots = from.list(u64::BITS as usize, Reader::digest)?;
        if roots.len() != size.count_ones() as usize {
            return Err(from.error("not one root for each set bit of the size"));
        }
        Ok(Self { size, roots })
    }
}
