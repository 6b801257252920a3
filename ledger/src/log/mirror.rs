//! The log out of files that somebody else serves: a folder of tiles, a bucket, a cache.
//!
//! An auditor computes roots and proofs from it without asking a node. Nothing that a file says is
//! believed: compare [`super::root_at`] with a cosigned root, and verify each proof, before use.

use alloc::vec::Vec;

use consign_types::block::TreeSize;
use consign_types::digest::Digest;

use super::proof::missing;
use super::tile::WIDTH;
use super::{MissingNode, TileHashes, TilePath, read_tile};

/// The hashes of a log of a known size, read tile by tile.
#[derive(Clone, Debug)]
pub struct Mirror<R> {
    size: TreeSize,
    read: R,
}

impl<R: Fn(&TilePath) -> Option<Vec<u8>>> Mirror<R> {
    /// The log at `size`, whose files `read` fetches. A tile is fetched anew for each node that is
    /// computed from it: where that is slow, `read` keeps what it fetched.
    pub const fn new(size: TreeSize, read: R) -> Self {
        Self { size, read }
    }

    /// The hashes of the tile that holds `index`. A partial tile may be gone once there is a full one.
    fn tile(&self, level: u8, index: u64) -> Option<Vec<Digest>> {
        let path = TilePath::holding(level, index, self.size)?;
        let fetch = |path: TilePath| read_tile(&path, &(self.read)(&path)?).ok();
        let mut hashes = fetch(path).or_else(|| fetch(path.full()))?;
        hashes.truncate(usize::from(path.width));
        Some(hashes)
    }
}

impl<R: Fn(&TilePath) -> Option<Vec<u8>>> TileHashes for Mirror<R> {
    fn tile_hash(&self, level: u8, index: u64) -> Option<Digest> {
        self.tile(level, index)?.get((index % WIDTH) as usize).copied()
    }

    fn tile_range(&self, level: u8, first: u64, count: u16) -> Result<Vec<Digest>, MissingNode> {
        let begin = (first % WIDTH) as usize;
        let tile = self.tile(level, first).ok_or_else(|| missing(level, first))?;
        let range = tile.get(begin..begin + usize::from(count));
        range.map(<[_]>::to_vec).ok_or_else(|| missing(level, first))
    }
}
