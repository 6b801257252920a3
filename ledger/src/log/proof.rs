//! Roots and proofs at any size, from the hashes that tiles hold.

use alloc::vec::Vec;

use consign_types::block::{LeafIndex, TreeSize};
use consign_types::digest::{Digest, TreeRoot};
use consign_types::merkle::{self, ConsistencyProof, InclusionProof};

use super::Frontier;

/// Where the hashes of tiles lie.
pub trait TileHashes {
    /// The hash of the complete subtree of `256^level` leaves at `index`.
    fn tile_hash(&self, level: u8, index: u64) -> Option<Digest>;
}

/// A hash that the source does not have.
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

/// Hash of a complete subtree of `2^level` leaves; at most 128 reads.
fn node(hashes: &impl TileHashes, level: u32, index: u64) -> Result<Digest, MissingNode> {
    if level.is_multiple_of(8) {
        return hashes.tile_hash((level / 8) as u8, index).ok_or(MissingNode { level, index });
    }
    let left = node(hashes, level - 1, index * 2)?;
    Ok(merkle::node_hash(&left, &node(hashes, level - 1, index * 2 + 1)?))
}
