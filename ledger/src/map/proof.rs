//! The proof of one entry of the unit map: that it has a value, or that there is none.
//!
//! The tree is that of crate `jmt`, whose proofs carry nodes of 64 bytes and have no canonical form.
//! Here a sibling is its hash, 32 bytes, and a proof has one encoding. What is shown stays the same:
//! leaves and inner nodes are hashed under different tags, so that no hash can stand for the other kind.
//!
//! This file only verifies. Where proofs come from is `prove` in the parent module.

use alloc::vec::Vec;

use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::{Digest, MapRoot};

use crate::entry::EntryKey;

/// Bits of a map key, and so the longest way from an entry to the root.
const SIBLINGS_MAX: usize = 256;
/// What stands for an empty subtree.
const EMPTY: Digest = Digest(*b"SPARSE_MERKLE_PLACEHOLDER_HASH__");

/// A proof that an entry has a value, or that there is none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MapProof {
    /// Where the entry would be, the only other one there: its map key and the hash of its value.
    pub(super) neighbour: Option<(Digest, Digest)>,
    /// Hashes beside the way to the root, from the bottom.
    pub(super) siblings: Vec<Digest>,
}

/// A map proof that does not hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the map proof does not lead to the root of the unit map")]
pub struct BadMapProof;

impl MapProof {
    /// The proof of an entry that has a value, by the hashes beside its way to the root.
    pub const fn of_present(siblings: Vec<Digest>) -> Self {
        Self { neighbour: None, siblings }
    }

    /// The hashes beside the way to the root, from the bottom.
    pub fn siblings(&self) -> &[Digest] {
        &self.siblings
    }

    /// Checks that the entry has this value, or none, under `root`.
    ///
    /// # Errors
    /// When the proof leads elsewhere.
    pub fn verify(
        &self,
        root: MapRoot,
        key: &EntryKey,
        value: Option<&[u8]>,
    ) -> Result<(), BadMapProof> {
        let key = Digest(key.map_key());
        let bottom = match (value, &self.neighbour) {
            (Some(value), None) => leaf(&key, &Digest::of(&[value])),
            (None, None) => EMPTY,
            // An entry with `key` would lie in the subtree that this one has to itself.
            (None, Some((other, hash)))
                if *other != key && common_bits(other, &key) >= self.siblings.len() =>
            {
                leaf(other, hash)
            }
            _ => return Err(BadMapProof),
        };
        if self.siblings.len() > SIBLINGS_MAX {
            return Err(BadMapProof);
        }
        let up = self.siblings.iter().zip((0..self.siblings.len()).rev());
        let top = up.fold(bottom, |hash, (sibling, depth)| {
            if bit(&key, depth) { inner(sibling, &hash) } else { inner(&hash, sibling) }
        });
        if top == root.0 { Ok(()) } else { Err(BadMapProof) }
    }
}

impl Canonical for MapProof {
    const WHAT: &'static str = "map proof";
    const BYTES_MAX: usize = SIBLINGS_MAX * 34 + 80;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(2).sure();
        match &self.neighbour {
            None => {
                to.null().sure();
            }
            Some((key, hash)) => {
                to.array(2).sure().bytes(&key.0).sure().bytes(&hash.0).sure();
            }
        }
        to.array(self.siblings.len() as u64).sure();
        for sibling in &self.siblings {
            to.bytes(&sibling.0).sure();
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(2)?;
        let neighbour = if from.null()? {
            None
        } else {
            from.array_of(2)?;
            Some((from.digest()?, from.digest()?))
        };
        Ok(Self { neighbour, siblings: from.list(SIBLINGS_MAX, Reader::digest)? })
    }
}

pub(super) fn leaf(key: &Digest, value_hash: &Digest) -> Digest {
    Digest::of(&[b"JMT::LeafNode", &key.0, &value_hash.0])
}

pub(super) fn inner(left: &Digest, right: &Digest) -> Digest {
    Digest::of(&[b"JMT::IntrnalNode", &left.0, &right.0])
}

pub(super) const fn empty() -> Digest {
    EMPTY
}

/// Bit `depth` of a key, the most significant first. `depth` is below 256.
fn bit(key: &Digest, depth: usize) -> bool {
    key.0.get(depth / 8).is_some_and(|byte| byte >> (7 - depth % 8) & 1 == 1)
}

fn common_bits(a: &Digest, b: &Digest) -> usize {
    (0..SIBLINGS_MAX).take_while(|depth| bit(a, *depth) == bit(b, *depth)).count()
}
