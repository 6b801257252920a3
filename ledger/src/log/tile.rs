//! Tiles: the log as files that never change (C2SP tlog-tiles).
//!
//! A tile holds up to 256 hashes of one tile level; a bundle holds up to 256 entries, each behind its
//! length. A partial one carries its width in its name.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use consign_types::block::TreeSize;
use consign_types::limits::LOG_ENTRY_BYTES_MAX;

/// Hashes in a full tile, entries in a full bundle.
const WIDTH: u64 = 256;
/// Highest level of a log that could ever exist.
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

/// A path or a bundle that is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadTile {
    /// Not a path of tlog-tiles.
    #[error("{0:?} is not the path of a tile")]
    Path(String),
    /// A bundle whose lengths do not add up.
    #[error("the bundle of entries is cut or holds more than {WIDTH} entries")]
    Bundle,
}

impl TilePath {
    /// Index in its level of the first hash or entry in this tile.
    pub const fn first(&self) -> u64 {
        self.index * WIDTH
    }

    /// Whether a tree of `size` has this tile: full, or partial with exactly the width it has there
    /// or had at an earlier size.
    pub fn exists_at(&self, size: TreeSize) -> bool {
        let level = u32::from(self.level.unwrap_or(0));
        let in_level = size.0.checked_shr(8 * level).unwrap_or(0);
        self.first().checked_add(u64::from(self.width)).is_some_and(|end| end <= in_level)
    }

    /// The tiles that a tree of `size` has that a tree of `from` did not have: full ones and the
    /// partial one at the right of each level.
    pub fn new_between(from: TreeSize, size: TreeSize) -> Vec<Self> {
        let mut tiles = Vec::new();
        let levels = core::iter::once(None).chain((0..=LEVEL_MAX).map(Some));
        for level in levels {
            let shift = 8 * u32::from(level.unwrap_or(0));
            let (old, new) =
                (from.0.checked_shr(shift).unwrap_or(0), size.0.checked_shr(shift).unwrap_or(0));
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

/// The entries of a bundle.
///
/// # Errors
/// When the bundle is cut, or holds more than 256 entries.
pub fn read_entry_bundle(mut bundle: &[u8]) -> Result<Vec<&[u8]>, BadTile> {
    let mut entries = Vec::new();
    while !bundle.is_empty() {
        let (length, rest) = bundle.split_first_chunk::<2>().ok_or(BadTile::Bundle)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).ok_or(BadTile::Bundle)?;
        entries.push(entry);
        bundle = rest;
        if entries.len() > WIDTH as usize {
            return Err(BadTile::Bundle);
        }
    }
    Ok(entries)
}
