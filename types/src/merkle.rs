//! Hashes and proofs of the append-only Merkle log (RFC 6962, 2.1).
//!
//! Any transparency-log client can check us: a leaf is hashed under 0x00, a node under 0x01. This
//! module verifies; the ledger, which holds the tree, makes the proofs.

use alloc::vec::Vec;

use crate::block::{LeafIndex, TreeSize};
use crate::digest::{Digest, LeafHash, TreeRoot};

/// Hash of a leaf whose data are `bytes`.
pub fn leaf_hash(bytes: &[u8]) -> LeafHash {
    LeafHash(Digest::of(&[&[0], bytes]))
}

/// Hash of a node over two subtrees.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of(&[&[1], &left.0, &right.0])
}

/// Root of the tree without leaves.
pub fn empty_root() -> TreeRoot {
    TreeRoot(Digest::of(&[]))
}

/// A proof that does not hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadProof {
    /// An index or size that lies outside of the tree.
    #[error("the proof is for a leaf or size outside of the tree")]
    Range,
    /// More or fewer hashes than the shape of the tree asks for.
    #[error("the proof has not the length that the size of the tree asks for")]
    Length,
    /// Hashes that lead to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// The siblings from a leaf to the root, the leaf's own sibling first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InclusionProof {
    /// The leaf.
    pub index: LeafIndex,
    /// The tree that it is proven in.
    pub size: TreeSize,
    /// Siblings, bottom up.
    pub path: Vec<Digest>,
}

/// The nodes that connect the trees of two sizes (RFC 6962, 2.1.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConsistencyProof {
    /// The earlier size.
    pub from: TreeSize,
    /// The later size.
    pub to: TreeSize,
    /// Nodes in the order of RFC 6962.
    pub path: Vec<Digest>,
}

impl InclusionProof {
    /// The root that this proof leads `leaf` to (RFC 9162, 2.1.3.2).
    ///
    /// # Errors
    /// When the leaf is outside of the tree or the proof has the wrong length.
    pub fn root(&self, leaf: LeafHash) -> Result<TreeRoot, BadProof> {
        let (index, size) = (self.index.0, self.size.0);
        if index >= size {
            return Err(BadProof::Range);
        }
        let (mut fr, mut last) = (index, size - 1);
        let mut hash = leaf.0;
        for sibling in &self.path {
            if last == 0 {
                return Err(BadProof::Length);
            }
            if fr & 1 == 1 || fr == last {
                hash = node_hash(sibling, &hash);
                while fr & 1 == 0 && fr != 0 {
                    fr >>= 1;
                    last >>= 1;
                }
            } else {
                hash = node_hash(&hash, sibling);
            }
            fr >>= 1;
            last >>= 1;
        }
        if last == 0 { Ok(TreeRoot(hash)) } else { Err(BadProof::Length) }
    }

    /// Checks that `leaf` is in the tree with this root.
    ///
    /// # Errors
    /// When it is not, or this is no proof of it.
    pub fn verify(&self, leaf: LeafHash, root: TreeRoot) -> Result<(), BadProof> {
        if self.root(leaf)? == root { Ok(()) } else { Err(BadProof::Root) }
    }
}

impl ConsistencyProof {
    /// Checks that the tree at `to` only appended to the tree at `from` (RFC 9162, 2.1.4.2).
    ///
    /// # Errors
    /// When it did not, or this is no proof of it.
    pub fn verify(&self, from_root: TreeRoot, to_root: TreeRoot) -> Result<(), BadProof> {
        let (from, to) = (self.from.0, self.to.0);
        if from > to {
            return Err(BadProof::Range);
        }
        if from == 0 || from == to {
            let roots_fit =
                if from == to { from_root == to_root } else { from_root == empty_root() };
            return match (self.path.is_empty(), roots_fit) {
                (false, _) => Err(BadProof::Length),
                (true, false) => Err(BadProof::Root),
                (true, true) => Ok(()),
            };
        }
        // Where the earlier size is a power of two its root is the first node, which is left out.
        let first = from.is_power_of_two().then_some(from_root.0);
        let mut nodes = first.into_iter().chain(self.path.iter().copied());
        let (mut fr, mut last) = (from - 1, to - 1);
        while fr & 1 == 1 {
            fr >>= 1;
            last >>= 1;
        }
        let start = nodes.next().ok_or(BadProof::Length)?;
        let (mut old, mut new) = (start, start);
        for node in nodes {
            if last == 0 {
                return Err(BadProof::Length);
            }
            if fr & 1 == 1 || fr == last {
                old = node_hash(&node, &old);
                new = node_hash(&node, &new);
                while fr & 1 == 0 && fr != 0 {
                    fr >>= 1;
                    last >>= 1;
                }
            } else {
                new = node_hash(&new, &node);
            }
            fr >>= 1;
            last >>= 1;
        }
        if last != 0 {
            return Err(BadProof::Length);
        }
        if old == from_root.0 && new == to_root.0 { Ok(()) } else { Err(BadProof::Root) }
    }
}
