//! Keys of the database: big-endian numbers, so that order in the store is order in the log.

use consign_types::block::{Height, LeafIndex, TreeSize};
use consign_types::digest::{BlockId, Digest};
use consign_types::unit::UnitId;

pub const TIP: &[u8] = b"tip";
pub const NETWORK: &[u8] = b"network";
pub const COSIGNED: &[u8] = b"cosigned";
pub const SIGNERS: &[u8] = b"signers";

pub fn height(height: Height) -> [u8; 8] {
    height.0.to_be_bytes()
}

pub fn leaf(index: LeafIndex) -> [u8; 8] {
    index.0.to_be_bytes()
}

pub fn size(size: TreeSize) -> [u8; 8] {
    size.0.to_be_bytes()
}

pub fn tile_hash(level: u8, index: u64) -> [u8; 9] {
    let mut key = [0; 9];
    key[0] = level;
    key[1..].copy_from_slice(&index.to_be_bytes());
    key
}

pub fn body(height: Height, block: &BlockId) -> [u8; 40] {
    let mut key = [0; 40];
    key[..8].copy_from_slice(&height.0.to_be_bytes());
    key[8..].copy_from_slice(block.as_bytes());
    key
}

/// 16 bytes of the hash keep a unit's history together; the position keeps it in order.
pub fn history(unit: &UnitId, position: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(&Digest::of(&[unit.as_str().as_bytes()]).0[..16]);
    key[16..].copy_from_slice(&position.to_be_bytes());
    key
}
