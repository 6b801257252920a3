//! Roots and proofs at any size, from the hashes that tiles hold.
//!
//! One hash in 256 levels up, and none between: a node inside of a tile is computed again from the
//! at most 128 hashes below it, which lie together. That costs a proof some microseconds and saves
//! half of what would be written for each leaf.

use alloc::vec::Vec;

use consign_types::block::{LeafIndex, TreeSize};
use consign_types::digest::{Digest, TreeRoot};
use consign_types::merkle::{self, ConsistencyProof, InclusionProof};

use super::{Frontier, TILE_HEIGHT};

/// Where the hashes of tiles lie.
pub trait TileHashes {
    /// The hash of the complete subtree of `256^level` leaves at `index`.
    fn tile_hash(&self, level: u8, index: u64) -> Option<Digest>;

    /// `count` such hashes from `first` on, all within one tile. A source that reads a range faster
    /// than its items overrides this.
    ///
    /// # Errors
    /// When one of them is not there.
    fn tile_range(&self, level: u8, first: u64, count: u16) -> Result<Vec<Digest>, MissingNode> {
        let hash = |index| self.tile_hash(level, index).ok_or_else(|| missing(level, index));
        (first..first + u64::from(count)).map(hash).collect()
    }
}

/// A hash that the source does not have, or that the tree of the asked size does not.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the hash at binary level {level}, index {index} is not available")]
pub struct MissingNode {
    /// Levels above the leaves.
    pub level: u32,
    /// Position in that level.
    pub index: u64,
}

/// The root at `size`.
///
/// # Errors
/// When the source lacks a hash.
pub fn root_at(hashes: &impl TileHashes, size: TreeSize) -> Result<TreeRoot, MissingNode> {
    Ok(frontier_at(hashes, size)?.root())
}

/// The right edge of the tree at `size`.
///
/// # Errors
/// When the source lacks a hash.
pub fn frontier_at(hashes: &impl TileHashes, size: TreeSize) -> Result<Frontier, MissingNode> {
    let mut roots = Vec::new();
    let mut begin = 0;
    for level in (0..u64::BITS).rev().filter(|level| size.0 >> level & 1 == 1) {
        roots.push(node(hashes, level, begin >> level)?);
        begin += 1 << level;
    }
    Ok(Frontier::from_roots(size, roots))
}

/// Proof that the leaf at `index` is in the tree of `size` (RFC 6962, 2.1.1).
///
/// # Errors
/// When the leaf is outside of the tree, or the source lacks a hash.
pub fn inclusion_proof(
    hashes: &impl TileHashes,
    index: LeafIndex,
    size: TreeSize,
) -> Result<InclusionProof, MissingNode> {
    if index.0 >= size.0 {
        return Err(MissingNode { level: 0, index: index.0 });
    }
    let mut path = Vec::new();
    let (mut begin, mut end) = (0, size.0);
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index.0 < middle {
            path.push(range(hashes, middle, end)?);
            end = middle;
        } else {
            path.push(range(hashes, begin, middle)?);
            begin = middle;
        }
    }
    path.reverse();
    Ok(InclusionProof { index, size, path })
}

/// Proof that the tree of size `to` only appended to the tree of size `from` (RFC 6962, 2.1.2).
///
/// # Errors
/// When `from` is the larger one, or the source lacks a hash.
pub fn consistency_proof(
    hashes: &impl TileHashes,
    from: TreeSize,
    to: TreeSize,
) -> Result<ConsistencyProof, MissingNode> {
    if from > to {
        return Err(MissingNode { level: 0, index: from.0 });
    }
    let mut path = Vec::new();
    if from.0 > 0 && from < to {
        let (mut begin, mut end, mut whole) = (0, to.0, true);
        while end != from.0 {
            let middle = begin + split(end - begin);
            if from.0 <= middle {
                path.push(range(hashes, middle, end)?);
                end = middle;
            } else {
                path.push(range(hashes, begin, middle)?);
                begin = middle;
                whole = false;
            }
        }
        // The verifier knows this subtree where it is the whole earlier tree.
        if !whole {
            path.push(range(hashes, begin, end)?);
        }
        path.reverse();
    }
    Ok(ConsistencyProof { from, to, path })
}

/// The largest power of two below `size`, which is at least 2.
const fn split(size: u64) -> u64 {
    1 << (u64::BITS - 1 - (size - 1).leading_zeros())
}

/// Tree hash of the leaves from `begin` to `end`, a range that a proof asks for.
fn range(hashes: &impl TileHashes, begin: u64, end: u64) -> Result<Digest, MissingNode> {
    let size = end - begin;
    if size.is_power_of_two() {
        let level = size.trailing_zeros();
        return node(hashes, level, begin >> level);
    }
    let middle = begin + split(size);
    let left = range(hashes, begin, middle)?;
    Ok(merkle::node_hash(&left, &range(hashes, middle, end)?))
}

/// Hash of a complete subtree of `2^level` leaves, from the highest hashes below it that tiles hold.
fn node(hashes: &impl TileHashes, level: u32, index: u64) -> Result<Digest, MissingNode> {
    let (tile_level, height) = ((level / TILE_HEIGHT) as u8, level % TILE_HEIGHT);
    let (first, count) = (index << height, 1 << height);
    let mut row = hashes.tile_range(tile_level, first, count)?;
    assert_eq!(row.len(), usize::from(count), "a range has as many hashes as were asked for");
    for _ in 0..height {
        let (pairs, _) = row.as_chunks();
        row = pairs.iter().map(|[left, right]| merkle::node_hash(left, right)).collect();
    }
    row.pop().ok_or(MissingNode { level, index })
}

/// The error for a hash of a tile.
pub(super) fn missing(tile_level: u8, index: u64) -> MissingNode {
    MissingNode { level: u32::from(tile_level) * TILE_HEIGHT, index }
}
