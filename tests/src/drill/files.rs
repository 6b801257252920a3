//! The log as a stranger reads it: from the files that a node serves, believing none of them.
//!
//! Every hash and every root is computed again from the entries, with the pure log of `ledger`; what the
//! node says is only compared.

use std::collections::{BTreeMap, BTreeSet};

use consign_ledger::log::{Frontier, Mirror, TilePath, read_entry_bundle, root_at};
use consign_types::block::TreeSize;
use consign_types::checkpoint;
use consign_types::digest::{EventId, TreeRoot};
use consign_types::event::SignedEvent;
use consign_types::genesis::Genesis;
use consign_types::merkle;
use consign_types::note::Note;

use super::http;

/// A log that was read whole, and whose root was computed.
#[derive(Clone, Debug)]
pub struct ServedLog {
    /// Number of its leaves.
    pub size: TreeSize,
    /// Its root, from the entries.
    pub root: TreeRoot,
    /// Its entries.
    pub entries: Vec<Vec<u8>>,
    /// Its files, by path.
    pub files: BTreeMap<TilePath, Vec<u8>>,
}

impl ServedLog {
    /// Reads the log of the node at `url`.
    ///
    /// # Panics
    /// When a file is missing, the checkpoint lacks its quorum, or any root differs.
    pub async fn read(url: &str, genesis: &Genesis) -> Self {
        let answer = http::get(url, "/tlog/checkpoint").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let note: Note = answer.text().parse().expect("a signed note");
        let proven = checkpoint::verify(&note, genesis.origin(), genesis.validators());
        let signed = proven.expect("a quorum cosigned the checkpoint").checkpoint;

        let mut files = BTreeMap::new();
        for path in TilePath::new_between(TreeSize(0), signed.size) {
            let answer = http::get(url, &format!("/tlog/{path}")).await;
            assert_eq!(answer.status, 200, "{path}");
            assert!(answer.head.to_lowercase().contains("immutable"), "{path} never changes");
            files.insert(path, answer.body);
        }
        let bundles = files.iter().filter(|(path, _)| path.level.is_none());
        let entries: Vec<Vec<u8>> = bundles
            .flat_map(|(path, bytes)| read_entry_bundle(path, bytes).expect("a bundle of entries"))
            .map(<[u8]>::to_vec)
            .collect();
        let mut frontier = Frontier::default();
        for entry in &entries {
            frontier.append(merkle::leaf_hash(entry), |_| {});
        }
        let (size, root) = (frontier.size(), frontier.root());
        assert_eq!((size, root), (signed.size, signed.root), "the entries are the signed log");
        let tiles = Mirror::new(size, |path: &TilePath| files.get(path).cloned());
        assert_eq!(root_at(&tiles, size), Ok(root), "the tiles are those of the entries");
        Self { size, root, entries, files }
    }

    /// The events in it, in order. What is none is a record of a block, or the genesis.
    pub fn events(&self) -> Vec<SignedEvent> {
        self.entries.iter().filter_map(|bytes| SignedEvent::decode(bytes).ok()).collect()
    }

    /// The names of its events.
    ///
    /// # Panics
    /// When one is in it twice.
    pub fn event_ids(&self) -> BTreeSet<EventId> {
        let events = self.events();
        let ids: BTreeSet<EventId> = events.iter().map(SignedEvent::id).collect();
        assert_eq!(ids.len(), events.len(), "each event is in the log once");
        ids
    }
}
