//! Computing a log's hashes again, entry by entry, with nothing kept but the right edge.

use consign_ledger::log::{Frontier, TilePath};
use consign_types::block::TreeSize;
use consign_types::digest::Digest;
use consign_types::merkle;

/// Levels of tiles that a tree may have.
const LEVELS: usize = 8;
/// Hashes of a full tile.
const WIDTH: usize = 256;

/// The tree so far, and the tiles that are not full yet.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    frontier: Frontier,
    /// For each level the hashes of its last tile, at most 255 between two leaves.
    open: [Vec<Digest>; LEVELS],
}

impl Scan {
    /// The tree at `frontier`, whose last tiles hold `open` from the lowest level up.
    pub fn resume(frontier: Frontier, open: [Vec<Digest>; LEVELS]) -> Self {
        Self { frontier, open }
    }

    /// Takes the next leaf; each tile that is full with it goes to `full`.
    pub fn leaf(&mut self, bytes: &[u8], mut full: impl FnMut(TilePath, &[Digest])) {
        let open = &mut self.open;
        self.frontier.append(merkle::leaf_hash(bytes), |hash| {
            let Some(row) = open.get_mut(usize::from(hash.level)) else { return };
            row.push(hash.hash);
            if row.len() == WIDTH {
                let index = hash.index / WIDTH as u64;
                full(TilePath { level: Some(hash.level), index, width: WIDTH as u16 }, row);
                row.clear();
            }
        });
    }

    /// The tree so far.
    pub const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The leaves' hashes in the last tile, where it is not full.
    pub fn edge(&self) -> &[Digest] {
        &self.open[0]
    }

    /// How many leaves there are.
    pub const fn size(&self) -> TreeSize {
        self.frontier.size()
    }

    /// The tiles at the right edge that are not full.
    pub fn partial(&self) -> impl Iterator<Item = (TilePath, &[Digest])> {
        let size = self.size().0;
        self.open.iter().enumerate().filter(|(_, row)| !row.is_empty()).map(move |(level, row)| {
            let in_level = size >> (8 * level);
            let index = in_level / WIDTH as u64;
            let path = TilePath { level: Some(level as u8), index, width: row.len() as u16 };
            (path, row.as_slice())
        })
    }
}
