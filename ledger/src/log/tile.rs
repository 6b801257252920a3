//! Tiles: the log as files that never change (C2SP tlog-tiles).
//!
//! A tile holds up to 256 hashes of one tile level; a bundle holds up to 256 entries, each behind its
//! length. A partial one carries its width in its name. What a tile says is checked by nobody here: a
//! root or a proof that is made of it is what gets verified.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use consign_types::block::TreeSize;
use consign_types::digest::Digest;
use consign_types::limits::LOG_ENTRY_BYTES_MAX;

use super::TILE_HEIGHT;

/// Hashes in a full tile, entries in a full bundle.
pub(super) const WIDTH: u64 = 1 << TILE_HEIGHT;
/// Highest level of a log whose leaves a `u64` counts.
const LEVEL_MAX: u8 = 7;

/// Which tile: the path below `/tlog/`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct TilePath {
    /// Tile level; `None` for a bundle of entries.
    pub level: Option<u8>,
    /// Position in its level.
    pub index: u64,
    /// Hashes or entries in it, 1 to 256.
    pub width: u16,
}

/// A path, a tile or a bundle that is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadTile {
    /// Not a path of tlog-tiles.
    #[error("{0:?} is not the path of a tile")]
    Path(String),
    /// Not the hashes that the path promises.
    #[error("{path} does not hold {} hashes of 32 bytes", path.width)]
    Hashes {
        /// The tile.
        path: TilePath,
    },
    /// Not the entries that the path promises.
    #[error("{path} is cut or does not hold {} entries", path.width)]
    Bundle {
        /// The bundle.
        path: TilePath,
    },
}

impl TilePath {
    /// The tile of `level` that holds the hash at `index`, as a tree of `size` has it; `None` where
    /// that tree has no such hash.
    pub fn holding(level: u8, index: u64, size: TreeSize) -> Option<Self> {
        let in_level = hashes_in_level(level, size);
        let tile = index / WIDTH;
        let width = (in_level - tile.checked_mul(WIDTH)?.min(in_level)).min(WIDTH) as u16;
        (index < in_level).then_some(Self { level: Some(level), index: tile, width })
    }

    /// The tile that this one becomes when it is full.
    pub const fn full(&self) -> Self {
        Self { level: self.level, index: self.index, width: WIDTH as u16 }
    }

    /// Index in its level of the first hash or entry in this tile.
    pub const fn first(&self) -> u64 {
        self.index * WIDTH
    }

    /// Whether a tree of `size` has this tile: full, or partial with exactly the width it has there
    /// or had at an earlier size.
    pub fn exists_at(&self, size: TreeSize) -> bool {
        let in_level = hashes_in_level(self.level.unwrap_or(0), size);
        self.first().checked_add(u64::from(self.width)).is_some_and(|end| end <= in_level)
    }

    /// The tiles that a tree of `size` has that a tree of `from` did not have: full ones and the
    /// partial one at the right of each level.
    pub fn new_between(from: TreeSize, size: TreeSize) -> Vec<Self> {
        let mut tiles = Vec::new();
        let levels = core::iter::once(None).chain((0..=LEVEL_MAX).map(Some));
        for level in levels {
            let [old, new] = [from, size].map(|size| hashes_in_level(level.unwrap_or(0), size));
            for index in old / WIDTH..new / WIDTH {
                tiles.push(Self { level, index, width: WIDTH as u16 });
            }
            if new % WIDTH > 0 && new > old {
                tiles.push(Self { level, index: new / WIDTH, width: (new % WIDTH) as u16 });
            }
        }
        tiles
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Some(level) => write!(f, "tile/{level}/")?,
            None => f.write_str("tile/entries/")?,
        }
        // Groups of three digits, all but the last behind an x.
        let mut groups = Vec::from([format!("{:03}", self.index % 1000)]);
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(format!("x{:03}", rest % 1000));
            rest /= 1000;
        }
        groups.reverse();
        f.write_str(&groups.join("/"))?;
        if u64::from(self.width) < WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for TilePath {
    type Err = BadTile;

    fn from_str(text: &str) -> Result<Self, BadTile> {
        let bad = || BadTile::Path(text.chars().take(80).collect());
        let rest = text.strip_prefix("tile/").ok_or_else(bad)?;
        let (level, rest) = rest.split_once('/').ok_or_else(bad)?;
        let level = match level {
            "entries" => None,
            digits => Some(digits.parse().ok().filter(|l| *l <= LEVEL_MAX).ok_or_else(bad)?),
        };
        let (number, width) = match rest.split_once(".p/") {
            None => (rest, WIDTH as u16),
            Some((number, width)) => {
                let width = width.parse().ok().filter(|w| (1..WIDTH as u16).contains(w));
                (number, width.ok_or_else(bad)?)
            }
        };
        let mut index: u64 = 0;
        for group in number.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            let value: u64 = digits.parse().map_err(|_| bad())?;
            index = index.checked_mul(1000).and_then(|i| i.checked_add(value)).ok_or_else(bad)?;
        }
        let path = Self { level, index, width };
        // One text form: whatever prints differently was not it.
        if path.to_string() == text && index < u64::MAX / WIDTH { Ok(path) } else { Err(bad()) }
    }
}

/// The complete subtrees of `256^level` leaves that a tree of `size` has.
fn hashes_in_level(level: u8, size: TreeSize) -> u64 {
    size.0.checked_shr(TILE_HEIGHT * u32::from(level)).unwrap_or(0)
}

/// A tile: its hashes, one behind the other.
pub fn tile_bytes(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The hashes of the tile at `path`.
///
/// # Errors
/// When the bytes are not as many hashes as the path says.
pub fn read_tile(path: &TilePath, bytes: &[u8]) -> Result<Vec<Digest>, BadTile> {
    let (hashes, rest) = bytes.as_chunks();
    if hashes.len() != usize::from(path.width) || !rest.is_empty() {
        return Err(BadTile::Hashes { path: *path });
    }
    Ok(hashes.iter().map(|hash| Digest(*hash)).collect())
}

/// A bundle of entries: each behind its length as a big-endian `uint16`.
///
/// # Panics
/// When an entry is longer than a log entry may be; none is ever appended.
pub fn entry_bundle(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bundle = Vec::new();
    for entry in entries {
        assert!(entry.len() <= LOG_ENTRY_BYTES_MAX);
        bundle.extend_from_slice(&(entry.len() as u16).to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    bundle
}

/// The entries of the bundle at `path`.
///
/// # Errors
/// When the bytes are not as many entries as the path says.
pub fn read_entry_bundle<'a>(
    path: &TilePath,
    mut bytes: &'a [u8],
) -> Result<Vec<&'a [u8]>, BadTile> {
    let bad = || BadTile::Bundle { path: *path };
    let mut entries = Vec::new();
    for _ in 0..path.width {
        let (length, rest) = bytes.split_first_chunk().ok_or_else(bad)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).ok_or_else(bad)?;
        entries.push(entry);
        bytes = rest;
    }
    if bytes.is_empty() { Ok(entries) } else { Err(bad()) }
}
