//! The unit map: a Jellyfish Merkle tree over entries (crate `jmt`), hashed with SHA-256.
//!
//! One version for each height. Nodes and values are read through [`MapStore`] and written by whoever
//! keeps them, as the opaque bytes of a [`MapBatch`]. A proof of one entry proves it, or its absence,
//! under the root that a block record names.

mod proof;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use borsh::{BorshDeserialize, BorshSerialize};
use consign_types::digest::{Digest, MapRoot};
use jmt::storage::{LeafNode, Node, NodeKey, TreeReader};
use jmt::{JellyfishMerkleTree, KeyHash, OwnedValue, RootHash, SimpleHasher};
use sha2::Digest as _;

use crate::entry::EntryKey;

pub use proof::{BadMapProof, MapProof};

/// Where nodes and values of the map lie.
pub trait MapStore {
    /// The node under an encoded key.
    fn node(&self, key: &[u8]) -> Option<Vec<u8>>;
    /// The newest value of a map key at or before `version`.
    fn value(&self, key: &[u8; 32], version: u64) -> Option<Vec<u8>>;
}

/// What an update adds to the map, and what it makes stale.
#[derive(Clone, Debug, Default)]
pub struct MapBatch {
    /// New nodes, by encoded key.
    pub nodes: Vec<(Vec<u8>, Vec<u8>)>,
    /// New values, by map key.
    pub values: Vec<([u8; 32], Vec<u8>)>,
    /// Encoded keys of nodes that no version from this one on needs.
    pub stale: Vec<Vec<u8>>,
}

/// Why the map could not be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the unit map cannot be read: {0}")]
pub struct BadMap(alloc::string::String);

/// SHA-256 for the tree.
#[derive(Clone, Debug)]
struct Sha256(sha2::Sha256);

impl SimpleHasher for Sha256 {
    fn new() -> Self {
        Self(sha2::Sha256::new())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn finalize(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// Puts `writes` into the map as its version `version`, the one after the version before.
///
/// # Errors
/// When the store lacks a node, or holds bytes that are none.
pub fn update(
    store: &impl MapStore,
    version: u64,
    writes: &BTreeMap<EntryKey, Vec<u8>>,
) -> Result<(MapRoot, MapBatch), BadMap> {
    let reader = Reader(store);
    let tree = JellyfishMerkleTree::<'_, _, Sha256>::new(&reader);
    let keyed: Vec<_> = writes.iter().map(|(key, value)| (key.map_key(), value)).collect();
    let (root, update) = if keyed.is_empty() {
        // The batch takes no empty set; this copies the root to the new version.
        tree.put_value_set([], version).map_err(bad)?
    } else {
        // All keys at once: each node on the way is read, hashed and written once for the block, and
        // not once for each key.
        let set = keyed.iter().map(|(key, value)| (KeyHash(*key), (*value).clone())).collect();
        let (roots, update) =
            tree.batch_put_value_sets(alloc::vec![set], None, version).map_err(bad)?;
        let [root] = roots[..] else { unreachable!("one set of writes has one root") };
        (root, update)
    };
    let RootHash(root) = root;
    let mut batch = MapBatch {
        values: keyed.iter().map(|(key, value)| (*key, (*value).clone())).collect(),
        ..MapBatch::default()
    };
    for (key, node) in update.node_batch.nodes() {
        batch.nodes.push((encode_key(key), borsh::to_vec(node).map_err(|e| bad(e.into()))?));
    }
    batch.stale =
        update.stale_node_index_batch.iter().map(|stale| encode_key(&stale.node_key)).collect();
    if let (true, Some(before)) = (batch.stale.is_empty(), version.checked_sub(1)) {
        // Nothing changed, and the root was copied. That its original is needed no more is for us to say:
        // the crate names as stale what was changed alone.
        let root = update.node_batch.nodes().keys().find(|key| key.nibble_path().is_empty());
        batch.stale = root.map(|root| moved_to(before, root)).into_iter().collect();
    }
    Ok((MapRoot(Digest(root)), batch))
}

/// The map that holds these values, by map key, as its version `version`: what updates one after another
/// would have left there.
///
/// # Errors
/// When there is no value.
pub fn rebuild<'a>(
    version: u64,
    values: impl IntoIterator<Item = (&'a [u8; 32], &'a [u8])>,
) -> Result<(MapRoot, MapBatch), BadMap> {
    let nothing = MemoryMap::default();
    let reader = Reader(&nothing);
    let tree = JellyfishMerkleTree::<'_, _, Sha256>::new(&reader);
    let set: Vec<_> = values.into_iter().map(|(k, v)| (KeyHash(*k), v.to_vec())).collect();
    if set.is_empty() {
        return Err(BadMap("no values".into()));
    }
    let (roots, update) = tree.batch_put_value_sets(alloc::vec![set], None, 0).map_err(bad)?;
    let [RootHash(root)] = roots[..] else { unreachable!("one set of values has one root") };
    let mut batch = MapBatch::default();
    for (key, node) in update.node_batch.nodes() {
        // An update looks for the root at the version before its own, and finds the rest from there.
        let is_root = key.nibble_path().is_empty();
        let key = if is_root { moved_to(version, key) } else { encode_key(key) };
        batch.nodes.push((key, borsh::to_vec(node).map_err(|e| bad(e.into()))?));
    }
    Ok((MapRoot(Digest(root)), batch))
}

/// The value of an entry at a version, or its absence, with the proof.
///
/// # Errors
/// When the store lacks a node of that version, or holds bytes that are none.
pub fn prove(
    store: &impl MapStore,
    version: u64,
    key: &EntryKey,
) -> Result<(Option<Vec<u8>>, MapProof), BadMap> {
    let reader = Reader(store);
    let tree = JellyfishMerkleTree::<'_, _, Sha256>::new(&reader);
    let (value, proof) = tree.get_with_proof(KeyHash(key.map_key()), version).map_err(bad)?;
    Ok((value, MapProof::of(key, &proof)?))
}

/// The nodes of a proof as `jmt` lays them out in Borsh; its own types do not show them.
#[derive(BorshDeserialize)]
enum Sibling {
    Empty,
    Inner([u8; 32], [u8; 32]),
    Leaf([u8; 32], [u8; 32]),
}

#[derive(BorshDeserialize)]
struct Parts {
    leaf: Option<([u8; 32], [u8; 32])>,
    siblings: Vec<Sibling>,
}

impl MapProof {
    /// The proof with each sibling as its hash.
    fn of(key: &EntryKey, tree: &impl BorshSerialize) -> Result<Self, BadMap> {
        let bytes = borsh::to_vec(tree).map_err(|e| bad(e.into()))?;
        let parts = Parts::try_from_slice(&bytes).map_err(|e| bad(e.into()))?;
        let hash = |sibling| match sibling {
            Sibling::Empty => proof::empty(),
            Sibling::Inner(left, right) => proof::inner(&Digest(left), &Digest(right)),
            Sibling::Leaf(key, value) => proof::leaf(&Digest(key), &Digest(value)),
        };
        let other = parts.leaf.filter(|(found, _)| *found != key.map_key());
        Ok(Self {
            neighbour: other.map(|(key, value)| (Digest(key), Digest(value))),
            siblings: parts.siblings.into_iter().map(hash).collect(),
        })
    }
}

struct Reader<'a, S>(&'a S);

impl<S: MapStore> TreeReader for Reader<'_, S> {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        let Some(bytes) = self.0.node(&encode_key(key)) else { return Ok(None) };
        Ok(Some(Node::try_from_slice(&bytes)?))
    }

    fn get_value_option(&self, max: u64, key: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        Ok(self.0.value(&key.0, max))
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        // Only asked for while restoring a tree, which is never done here.
        Ok(None)
    }
}

/// The version first and big-endian, so that nodes of one block lie together.
fn encode_key(key: &NodeKey) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(48);
    bytes.extend_from_slice(&key.version().to_be_bytes());
    let path = borsh::to_vec(key.nibble_path());
    bytes.extend_from_slice(&path.unwrap_or_default());
    bytes
}

/// The encoded key of the node in the same place at another version.
fn moved_to(version: u64, key: &NodeKey) -> Vec<u8> {
    encode_key(&NodeKey::new(version, key.nibble_path().clone()))
}

fn bad(error: anyhow::Error) -> BadMap {
    BadMap(alloc::format!("{error}"))
}

/// A map in memory, for auditors that replay and for tests.
#[derive(Clone, Debug, Default)]
pub struct MemoryMap {
    nodes: BTreeMap<Vec<u8>, Vec<u8>>,
    values: BTreeMap<([u8; 32], u64), Vec<u8>>,
}

impl MemoryMap {
    /// Takes up an update.
    pub fn absorb(&mut self, version: u64, batch: MapBatch) {
        self.nodes.extend(batch.nodes);
        self.values.extend(batch.values.into_iter().map(|(key, value)| ((key, version), value)));
    }

    /// Forgets nodes that no later version needs, and values that were replaced.
    pub fn absorb_newest(&mut self, batch: MapBatch) {
        for key in &batch.stale {
            self.nodes.remove(key);
        }
        self.nodes.extend(batch.nodes);
    }
}

impl MapStore for MemoryMap {
    fn node(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.nodes.get(key).cloned()
    }

    fn value(&self, key: &[u8; 32], version: u64) -> Option<Vec<u8>> {
        self.values.range((*key, 0)..=(*key, version)).next_back().map(|(_, value)| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use consign_types::codec::Canonical as _;

    use super::*;

    fn key(n: u32) -> EntryKey {
        EntryKey::Unit(alloc::format!("trk/handler/{n}").parse().unwrap())
    }

    fn writes(range: core::ops::Range<u32>, salt: u8) -> BTreeMap<EntryKey, Vec<u8>> {
        range.map(|n| (key(n), alloc::vec![salt, n as u8])).collect()
    }

    #[test]
    fn presence_and_absence_are_proven_at_every_kept_version() {
        let mut map = MemoryMap::default();
        let mut roots = Vec::new();
        for version in 0..4 {
            let writes = writes(version..version + 100, version as u8);
            let (root, batch) = update(&map, u64::from(version), &writes).unwrap();
            map.absorb(u64::from(version), batch);
            roots.push(root);
        }
        for (version, root) in roots.iter().enumerate() {
            for n in [0, 1, 50, 99, 102, 5000] {
                let (value, proof) = prove(&map, version as u64, &key(n)).unwrap();
                assert_eq!(proof.verify(*root, &key(n), value.as_deref()), Ok(()));
                assert_eq!(MapProof::from_bytes(&proof.to_bytes()), Ok(proof.clone()));
                let other = value.is_none().then_some(&b"lie"[..]);
                assert_eq!(proof.verify(*root, &key(n), other), Err(BadMapProof));
                assert_eq!(proof.verify(*root, &key(n + 1), value.as_deref()), Err(BadMapProof));
            }
        }
    }

    /// Every byte of a proof counts: with any bit flipped it is no proof, or one of something else.
    #[test]
    fn a_changed_proof_does_not_verify() {
        let mut map = MemoryMap::default();
        let (root, batch) = update(&map, 0, &writes(0..300, 1)).unwrap();
        map.absorb(0, batch);
        for n in (0..40).chain(5000..5040) {
            let (value, proof) = prove(&map, 0, &key(n)).unwrap();
            let bytes = proof.to_bytes();
            for (at, bit) in (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                let holds = MapProof::from_bytes(&changed)
                    .is_ok_and(|proof| proof.verify(root, &key(n), value.as_deref()).is_ok());
                assert!(!holds, "entry {n}, byte {at}, bit {bit}");
            }
        }
    }

    /// A block of the record alone writes nothing: the version after it still finds its root.
    #[test]
    fn an_empty_update_keeps_the_root() {
        let mut map = MemoryMap::default();
        let (first, batch) = update(&map, 0, &writes(0..10, 1)).unwrap();
        map.absorb_newest(batch);
        let (second, batch) = update(&map, 1, &BTreeMap::new()).unwrap();
        map.absorb_newest(batch);
        assert_eq!(first, second);
        let (third, _) = update(&map, 2, &writes(0..1, 2)).unwrap();
        assert_ne!(first, third);
    }

    /// An idle network's blocks leave nothing behind: of a long run of them only the last root is kept.
    #[test]
    fn empty_updates_leave_one_root() {
        let mut map = MemoryMap::default();
        let (root, batch) = update(&map, 0, &writes(0..10, 1)).unwrap();
        let mut newest = batch.nodes.iter().map(|(key, _)| key.clone()).min().unwrap();
        map.absorb_newest(batch);
        let others: Vec<_> = map.nodes.keys().filter(|key| **key != newest).cloned().collect();
        for version in 1..100 {
            let (same, batch) = update(&map, version, &BTreeMap::new()).unwrap();
            assert_eq!((same, &batch.stale), (root, &vec![newest]), "version {version}");
            let [(copy, _)] = &batch.nodes[..] else { panic!("version {version} adds its root") };
            newest = copy.clone();
            map.absorb_newest(batch);
        }
        let kept: Vec<_> = map.nodes.keys().cloned().collect();
        assert_eq!(kept, [others, vec![newest.clone()]].concat());
        // A block with writes goes on from there as from any other.
        let (changed, batch) = update(&map, 100, &writes(0..1, 2)).unwrap();
        assert!(changed != root && batch.stale.contains(&newest));
    }

    /// The batched update and one key after another are two ways to the same tree.
    #[test]
    fn a_batch_gives_the_tree_that_single_updates_give() {
        let mut map = MemoryMap::default();
        let mut salt = 0_u32;
        for version in 0..40_u64 {
            let mut set = BTreeMap::new();
            // Sizes from none to hundreds; keys old and new, near and far.
            for _ in 0..(version * version + 1) % 257 {
                salt = salt.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                set.insert(key(salt >> 20), salt.to_be_bytes().to_vec());
            }
            let (root, batch) = update(&map, version, &set).unwrap();
            let reader = Reader(&map);
            let tree = JellyfishMerkleTree::<'_, _, Sha256>::new(&reader);
            let single = set.iter().map(|(k, v)| (KeyHash(k.map_key()), Some(v.clone())));
            let (RootHash(expected), single) = tree.put_value_set(single, version).unwrap();
            assert_eq!(root.0.0, expected, "version {version}");
            let nodes: Vec<_> = single
                .node_batch
                .nodes()
                .iter()
                .map(|(key, node)| (encode_key(key), borsh::to_vec(node).unwrap()))
                .collect();
            assert_eq!(batch.nodes, nodes, "version {version}");
            let stale: Vec<_> = single
                .stale_node_index_batch
                .iter()
                .map(|stale| encode_key(&stale.node_key))
                .collect();
            // What becomes of a root that nothing changed is our own addition.
            if !set.is_empty() {
                assert_eq!(batch.stale, stale, "version {version}");
            }
            map.absorb(version, batch);
        }
    }

    /// Built at once from what it holds, the map is the one that updates left, and goes on as that does.
    #[test]
    fn a_rebuilt_map_goes_on_as_the_one_that_was_updated() {
        let (mut updated, mut values) = (MemoryMap::default(), BTreeMap::new());
        for version in 0..20_u32 {
            let writes = writes(version * 7..version * 7 + 30, version as u8);
            let (root, batch) = update(&updated, u64::from(version), &writes).unwrap();
            updated.absorb_newest(batch);
            values.extend(writes.iter().map(|(key, value)| (key.map_key(), value.clone())));

            let all = values.iter().map(|(key, value)| (key, value.as_slice()));
            let (same, batch) = rebuild(u64::from(version), all).unwrap();
            assert_eq!(same, root, "version {version}");
            let mut rebuilt = MemoryMap::default();
            rebuilt.absorb_newest(batch);
            let next = self::writes(0..300, 7);
            let (after, batch) = update(&rebuilt, u64::from(version) + 1, &next).unwrap();
            let (expected, _) = update(&updated, u64::from(version) + 1, &next).unwrap();
            assert_eq!(after, expected, "version {version}");
            rebuilt.absorb_newest(batch);
        }
    }

    /// Keeping only the newest nodes gives the same roots as keeping all.
    #[test]
    fn pruning_does_not_change_roots() {
        let (mut all, mut newest) = (MemoryMap::default(), MemoryMap::default());
        for version in 0..20_u32 {
            let writes = writes(version * 7..version * 7 + 30, version as u8);
            let (root, batch) = update(&all, u64::from(version), &writes).unwrap();
            let (pruned, same) = update(&newest, u64::from(version), &writes).unwrap();
            assert_eq!(root, pruned, "version {version}");
            all.absorb(u64::from(version), batch);
            newest.absorb_newest(same);
        }
    }
}
