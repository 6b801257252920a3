//! The log agrees with two implementations that we did not write: `ct-merkle` and `tlog_tiles`.
//!
//! Every size from 0 to 2,000 is compared; within a size, the ends, the tile edges and a few positions
//! that a fixed sequence picks.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use consign_ledger::log::{
    Frontier, Mirror, TileHashes, TilePath, consistency_proof, frontier_at, inclusion_proof,
    root_at, tile_bytes,
};
use consign_types::block::{LeafIndex, TreeSize};
use consign_types::codec::Canonical as _;
use consign_types::digest::{Digest, TreeRoot};
use consign_types::merkle;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;
use tlog_tiles::{Hash, HashReader, Tile, TileHashReader, TileReader};

const SIZE_MAX: u64 = 2_000;

fn leaf(index: u64) -> Vec<u8> {
    format!("leaf {index}").into_bytes()
}

/// Our log, with the hashes of tiles where a node would have its store.
#[derive(Default)]
struct Log {
    frontier: Frontier,
    hashes: BTreeMap<(u8, u64), Digest>,
}

impl Log {
    fn of(size: u64) -> Self {
        let mut log = Self::default();
        (0..size).for_each(|index| log.append(&leaf(index)));
        log
    }

    fn append(&mut self, data: &[u8]) {
        let (size, hashes) = (self.frontier.size(), &mut self.hashes);
        let index = self.frontier.append(merkle::leaf_hash(data), |completed| {
            let before = hashes.insert((completed.level, completed.index), completed.hash);
            assert_eq!(before, None, "a hash is completed once");
        });
        assert_eq!(index, size.next_index());
    }

    fn tile(&self, path: &TilePath) -> Option<Vec<u8>> {
        let range = path.first()..path.first() + u64::from(path.width);
        let hashes: Option<Vec<_>> = range.map(|i| self.tile_hash(path.level?, i)).collect();
        hashes.map(|hashes| tile_bytes(&hashes))
    }
}

impl TileHashes for Log {
    fn tile_hash(&self, level: u8, index: u64) -> Option<Digest> {
        self.hashes.get(&(level, index)).copied()
    }
}

/// Positions below `size`: the ends, the edges of tiles, and five of a fixed sequence (a linear
/// congruential one: Knuth's MMIX constants).
fn samples(size: u64) -> BTreeSet<u64> {
    let mut state = size;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % size.max(1)
    };
    let edges = [0, 1, 255, 256, 257, size / 2, size.saturating_sub(2), size.saturating_sub(1)];
    edges.into_iter().chain((0..5).map(|_| next())).filter(|at| *at < size).collect()
}

fn flat(path: &[Digest]) -> Vec<u8> {
    tile_bytes(path)
}

/// One log of the largest size serves the roots and proofs of all: what is appended moves nothing.
#[test]
fn roots_and_proofs_agree_with_ct_merkle_at_every_size() {
    let log = Log::of(SIZE_MAX);
    let mut growing = Frontier::default();
    let mut oracle = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut roots = Vec::new();
    for n in 0..=SIZE_MAX {
        let (size, root) =
            (TreeSize(n), TreeRoot(Digest::from_slice(oracle.root().as_bytes()).unwrap()));
        assert_eq!(growing.root(), root, "size {n}");
        assert_eq!(root_at(&log, size), Ok(root), "size {n}");
        assert_eq!(frontier_at(&log, size), Ok(growing.clone()), "size {n}");
        roots.push(root);
        for at in samples(n) {
            let proof = inclusion_proof(&log, LeafIndex(at), size).unwrap();
            let theirs = oracle.prove_inclusion(at as usize);
            assert_eq!(flat(&proof.path), theirs.as_bytes(), "leaf {at} of {n}");
            assert_eq!(proof.verify(merkle::leaf_hash(&leaf(at)), root), Ok(()));

            // The earlier size is at least 1: ct-merkle knows no proof from an empty tree.
            let proof = consistency_proof(&log, TreeSize(at + 1), size).unwrap();
            let theirs = oracle.prove_consistency((n - at - 1) as usize);
            assert_eq!(flat(&proof.path), theirs.as_bytes(), "sizes {} and {n}", at + 1);
            assert_eq!(proof.verify(roots[at as usize + 1], root), Ok(()));
        }
        oracle.push(leaf(n));
        growing.append(merkle::leaf_hash(&leaf(n)), |_| ());
    }
}

/// Every leaf and every pair of sizes, small: shapes that samples might miss.
#[test]
fn every_small_proof_holds_for_its_own_leaf_and_roots_only() {
    let log = Log::of(70);
    let root = |n| root_at(&log, TreeSize(n)).unwrap();
    for n in 1..=70 {
        for at in 0..n {
            let proof = inclusion_proof(&log, LeafIndex(at), TreeSize(n)).unwrap();
            assert_eq!(proof.verify(merkle::leaf_hash(&leaf(at)), root(n)), Ok(()));
            assert!(proof.verify(merkle::leaf_hash(&leaf(at + 1)), root(n)).is_err());
            assert!(proof.verify(merkle::leaf_hash(&leaf(at)), root(n - 1)).is_err());
        }
        for from in 0..=n {
            let proof = consistency_proof(&log, TreeSize(from), TreeSize(n)).unwrap();
            assert_eq!(proof.verify(root(from), root(n)), Ok(()), "{from} and {n}");
            // Whatever there is was appended to nothing.
            let wrong = proof.verify(root(from), root(n - 1));
            assert_eq!(wrong.is_ok(), from == 0, "{from} and {n}");
        }
    }
}

/// The flat hash store of `tlog_tiles`, filled by its own code.
#[derive(Default)]
struct Oracle(Vec<Hash>);

impl Oracle {
    fn append(&mut self, index: u64) {
        let stored = tlog_tiles::stored_hashes(index, &leaf(index), self).unwrap();
        self.0.extend(stored);
    }
}

impl HashReader for Oracle {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|at| self.0[*at as usize]).collect())
    }
}

/// Their path names the height of tiles, which tlog-tiles leaves out.
fn their_path(tile: &Tile) -> String {
    tile.path().replacen("tile/8/", "tile/", 1)
}

#[test]
fn tiles_agree_with_tlog_tiles_at_every_size() {
    let log = Log::of(SIZE_MAX);
    let mut oracle = Oracle::default();
    for n in 0..=SIZE_MAX {
        assert_eq!(
            tlog_tiles::tree_hash(n, &oracle).unwrap().0,
            root_at(&log, TreeSize(n)).unwrap().0.0
        );
        let from = n.saturating_sub(n % 7 * 100);
        let theirs = Tile::new_tiles(8, from, n);
        let ours = TilePath::new_between(TreeSize(from), TreeSize(n));
        let ours: Vec<_> = ours.into_iter().filter(|path| path.level.is_some()).collect();
        assert_eq!(
            ours.iter().map(ToString::to_string).collect::<Vec<_>>(),
            theirs.iter().map(their_path).collect::<Vec<_>>(),
            "from {from} to {n}"
        );
        for (path, tile) in ours.iter().zip(&theirs) {
            assert!(path.exists_at(TreeSize(n)));
            assert_eq!(path.to_string().parse(), Ok(*path));
            assert_eq!(log.tile(path), Some(tile.read_data(&oracle).unwrap()), "{path} of {n}");
        }
        oracle.append(n);
    }
}

/// Our tiles, for their reader, which authenticates each tile against the root before it uses it.
struct Served<'a>(&'a Log, RefCell<Vec<String>>);

impl TileReader for Served<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile| self.0.tile(&their_path(tile).parse().unwrap()).unwrap();
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, tiles: &[Tile], _: &[Vec<u8>]) {
        self.1.borrow_mut().extend(tiles.iter().map(their_path));
    }
}

#[test]
fn their_authenticating_reader_makes_our_proofs_from_our_tiles() {
    // The last is large enough for a tile of level 2.
    let log = Log::of(66_000);
    for n in [1, 2, 255, 256, 257, 511, 512, 1_999, 2_000, 65_536, 66_000] {
        let (size, root) = (TreeSize(n), root_at(&log, TreeSize(n)).unwrap());
        let served = Served(&log, RefCell::default());
        let reader = TileHashReader::new(n, Hash(root.0.0), &served);
        for at in samples(n) {
            let ours = inclusion_proof(&log, LeafIndex(at), size).unwrap();
            let theirs = tlog_tiles::prove_record(n, at, &reader).unwrap();
            assert_eq!(ours.path.iter().map(|d| d.0).collect::<Vec<_>>(), hashes(&theirs));
            let ours = consistency_proof(&log, TreeSize(at + 1), size).unwrap();
            let theirs = tlog_tiles::prove_tree(n, at + 1, &reader).unwrap();
            assert_eq!(ours.path.iter().map(|d| d.0).collect::<Vec<_>>(), hashes(&theirs));
        }
        assert!(n < 3 || !served.1.borrow().is_empty(), "tiles were authenticated");
    }
}

fn hashes(theirs: &[Hash]) -> Vec<[u8; 32]> {
    theirs.iter().map(|hash| hash.0).collect()
}

/// An auditor with files alone: partial tiles of this size, or full ones where those are gone.
#[test]
fn a_mirror_of_tiles_gives_the_same_roots_and_proofs() {
    let log = Log::of(SIZE_MAX);
    for n in (0..=SIZE_MAX).step_by(37).chain([255, 256, 257, 512]) {
        let size = TreeSize(n);
        let files: BTreeMap<String, Vec<u8>> = TilePath::new_between(TreeSize(0), size)
            .into_iter()
            .filter_map(|path| Some((path.to_string(), log.tile(&path)?)))
            .collect();
        let partial = Mirror::new(size, |path: &TilePath| files.get(&path.to_string()).cloned());
        let full = Mirror::new(size, |path: &TilePath| {
            // Only what a later size made full, and the right edge that is partial there too.
            if path.exists_at(size) && path.width < 256 && path.full().exists_at(TreeSize(SIZE_MAX))
            {
                return None;
            }
            log.tile(path)
        });
        assert_eq!(root_at(&partial, size), root_at(&log, size));
        assert_eq!(root_at(&full, size), root_at(&log, size));
        for at in samples(n) {
            let index = LeafIndex(at);
            let ours = inclusion_proof(&log, index, size);
            assert_eq!(inclusion_proof(&partial, index, size), ours);
            assert_eq!(inclusion_proof(&full, index, size), ours);
            let ours = consistency_proof(&log, TreeSize(at), size);
            assert_eq!(consistency_proof(&partial, TreeSize(at), size), ours);
            assert_eq!(partial.tile_hash(0, at), log.tile_hash(0, at));
        }
        // Beyond its size a mirror has nothing, even where the files go on.
        assert_eq!(full.tile_hash(0, n), None);
    }
}

/// The right edge shows in the root; a hash further left shows in the proofs of the leaves beside it.
#[test]
fn a_wrong_cut_or_missing_tile_never_gives_a_proof_that_holds() {
    let (log, size) = (Log::of(600), TreeSize(600));
    let root = root_at(&log, size).unwrap();
    for spoilt in TilePath::new_between(TreeSize(0), size) {
        let (Some(level), Some(bytes)) = (spoilt.level, log.tile(&spoilt)) else { continue };
        let holds = |bytes: Option<Vec<u8>>| {
            let read =
                |path: &TilePath| if *path == spoilt { bytes.clone() } else { log.tile(path) };
            let mirror = Mirror::new(size, read);
            // A leaf whose path has the first hash of the tile in it: the one across from it.
            let at = if level == 0 { spoilt.first() + 1 } else { 256 };
            let proof = inclusion_proof(&mirror, LeafIndex(at), size);
            proof.is_ok_and(|proof| proof.verify(merkle::leaf_hash(&leaf(at)), root).is_ok())
        };
        assert!(holds(Some(bytes.clone())), "{spoilt}");
        let mut flipped = bytes.clone();
        flipped[0] ^= 1;
        assert!(!holds(Some(flipped)), "{spoilt} is wrong");
        assert!(!holds(Some(bytes[..bytes.len() - 1].to_vec())), "{spoilt} is cut");
        assert!(!holds(Some([&bytes[..], &[0]].concat())), "{spoilt} is longer");
        assert!(!holds(None), "{spoilt} is missing");
    }
}

#[test]
fn what_the_tree_does_not_have_is_missing() {
    let log = Log::of(10);
    assert!(inclusion_proof(&log, LeafIndex(10), TreeSize(10)).is_err());
    assert!(inclusion_proof(&log, LeafIndex(3), TreeSize(11)).is_err());
    assert!(inclusion_proof(&log, LeafIndex(0), TreeSize(0)).is_err());
    assert!(consistency_proof(&log, TreeSize(5), TreeSize(4)).is_err());
    assert!(consistency_proof(&log, TreeSize(5), TreeSize(12)).is_err());
    assert!(root_at(&log, TreeSize(u64::MAX)).is_err());
    assert!(inclusion_proof(&log, LeafIndex(u64::MAX - 1), TreeSize(u64::MAX)).is_err());
    assert!(consistency_proof(&log, TreeSize(1), TreeSize(u64::MAX)).is_err());
}

#[test]
fn a_frontier_goes_on_from_its_bytes() {
    let mut frontier = Frontier::default();
    for n in 0..600 {
        let bytes = frontier.to_bytes();
        assert_eq!(Frontier::from_bytes(&bytes).as_ref(), Ok(&frontier));
        frontier = Frontier::from_bytes(&bytes).unwrap();
        frontier.append(merkle::leaf_hash(&leaf(n)), |_| ());
    }
    assert_eq!(frontier.root(), Log::of(600).frontier.root());

    let widest = Frontier::from_roots(TreeSize(u64::MAX), vec![Digest::ZERO; 64]);
    assert_eq!(Frontier::from_bytes(&widest.to_bytes()), Ok(widest));
}
