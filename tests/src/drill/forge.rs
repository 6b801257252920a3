//! Logs as liars would make them: any leaves, hashed into tiles, cosigned by whoever is in on it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use consign_cli::keys::{self, Purpose};
use consign_ledger::log::{Frontier, TilePath, entry_bundle, tile_bytes};
use consign_types::block::TreeSize;
use consign_types::checkpoint::{Checkpoint, cosigner_key};
use consign_types::digest::Digest;
use consign_types::key::SecretKey;
use consign_types::merkle;
use consign_types::party::PartyId;

use super::Drill;

/// The keys of all validators, in one hand.
#[derive(Debug)]
pub struct Forger {
    origin: String,
    /// By party: its cosigner key and its log key.
    keys: Vec<(PartyId, SecretKey, SecretKey)>,
}

impl Forger {
    /// Steals the keys of the network under drill.
    ///
    /// # Panics
    /// When they cannot be read.
    pub fn of(drill: &Drill) -> Self {
        let stolen = |party: PartyId| {
            let home = drill.home(&party).config.parent().expect("a directory").join("keys");
            let read = |name: &str, purpose| keys::read(&home.join(name), purpose).expect("a key");
            let cosigner = read("cosigner.key", Purpose::Cosigner);
            (party, cosigner, read("log.key", Purpose::Log))
        };
        let keys = drill.parties().into_iter().map(stolen).collect();
        Self { origin: drill.devnet().genesis().origin().to_owned(), keys }
    }

    /// The first `count` of those whose keys were stolen.
    pub fn parties(&self, count: usize) -> Vec<PartyId> {
        self.keys[..count].iter().map(|(party, ..)| party.clone()).collect()
    }

    /// Writes a folder of tiles over `leaves`, with a checkpoint that the first `cosigners` sign.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, folder: &Path, leaves: &[Vec<u8>], cosigners: usize) {
        for (path, bytes) in tiles(leaves) {
            put(folder, &path.to_string(), &bytes);
        }
        let mut frontier = Frontier::default();
        for leaf in leaves {
            frontier.append(merkle::leaf_hash(leaf), |_| {});
        }
        let (size, root) = (frontier.size(), frontier.root());
        let checkpoint = Checkpoint { origin: self.origin.clone(), size, root };
        let (_, _, log) = &self.keys[0];
        let mut note = checkpoint.signed(log).expect("a note");
        for (party, cosigner, _) in &self.keys[..cosigners] {
            let line = cosigner_key(&self.origin, party, cosigner.public()).expect("a name");
            note.add(checkpoint.cosign(cosigner, 1_800_000_000).line(&line));
        }
        put(folder, "checkpoint", note.to_string().as_bytes());
    }
}

/// The files of a log with these leaves.
fn tiles(leaves: &[Vec<u8>]) -> BTreeMap<TilePath, Vec<u8>> {
    let mut hashes: BTreeMap<u8, Vec<Digest>> = BTreeMap::new();
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.append(merkle::leaf_hash(leaf), |hash| {
            hashes.entry(hash.level).or_default().push(hash.hash);
        });
    }
    let bytes = |path: TilePath| {
        let range = path.first() as usize..path.first() as usize + usize::from(path.width);
        match path.level {
            Some(level) => tile_bytes(&hashes[&level][range]),
            None => entry_bundle(&leaves[range]),
        }
    };
    let paths = TilePath::new_between(TreeSize(0), frontier.size());
    paths.into_iter().map(|path| (path, bytes(path))).collect()
}

/// Writes a file of a mirror.
///
/// # Panics
/// When it cannot be written.
pub fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, bytes).expect("a file");
}
