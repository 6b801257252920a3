//! The append-only Merkle log.
//!
//! A leaf is appended once and never moves: its index is its identity. Hashing is RFC 6962, so any
//! transparency-log client can check us; tiles are C2SP's, so any web server can serve us.
//!
//! Invariant: the root at size `n` is consistent with the root at every size `m <= n`.
//!
//! This module sees hashes and bytes of entries only. It knows nothing of units, blocks or disks.

mod frontier;
mod mirror;
mod proof;
mod tile;

pub use frontier::{Frontier, TileHash};
pub use mirror::Mirror;
pub use proof::{
    MissingNode, TileHashes, consistency_proof, frontier_at, inclusion_proof, root_at,
};
pub use tile::{BadTile, TilePath, entry_bundle, read_entry_bundle, read_tile, tile_bytes};

/// Binary levels in a tile.
const TILE_HEIGHT: u32 = 8;
