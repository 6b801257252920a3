//! Logs made in memory by a network of four: leaves, tiles, and checkpoints of whoever signs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use consign_ledger::apply::{BlockContext, Executor, signer_key};
use consign_ledger::entry::{EntryKey, StateView, genesis_writes, read};
use consign_ledger::log::{Frontier, TilePath, entry_bundle, tile_bytes};
use consign_ledger::map::{MemoryMap, update};
use consign_ledger::signer::SignerState;
use consign_types::block::{BlockRecord, Height, TreeSize};
use consign_types::checkpoint::{Checkpoint, cosigner_key};
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, Digest};
use consign_types::event::{Action, Event, SignedEvent, Subject, possession_message};
use consign_types::genesis::{Genesis, Member, Params};
use consign_types::governance::{Change, Motion};
use consign_types::key::SecretKey;
use consign_types::merkle::leaf_hash;
use consign_types::note::Note;
use consign_types::party::SignerId;
use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_types::validator::{Validator, ValidatorSet};

pub const PARTIES: [&str; 4] = ["airline", "customs", "forwarder", "handler"];
/// All of them, with the keys of the genesis.
pub const ALL: [(&str, &str); 4] =
    [("airline", ""), ("customs", ""), ("forwarder", ""), ("handler", "")];
const ORIGIN: &str = "audit.example/consign";
const TIME: Millis = Millis(1_767_225_600_000);
/// When validators cosign, where nothing else is said.
pub const NOW_S: u64 = 1_800_000_000;

/// The secret key of whoever has this name.
pub fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(Digest::of(&[b"consign audit test ", name.as_bytes()]).0)
}

/// The validator of a party, with the keys of a generation; that of the genesis is "".
fn validator(name: &str, generation: &str) -> Validator {
    let secret = |role| key(&format!("{name} {role}{generation}")).public();
    Validator {
        party: name.parse().unwrap(),
        consensus_key: secret("consensus"),
        cosigner_key: secret("cosigner"),
        network_key: secret("network"),
    }
}

/// All of them, each with the keys of its generation.
pub fn validators(generations: [&str; 4]) -> ValidatorSet {
    let all = PARTIES.iter().zip(generations).map(|(name, of)| validator(name, of));
    ValidatorSet::new(all.collect()).unwrap()
}

fn genesis() -> Genesis {
    let member = |name: &str| Member {
        party: name.parse().unwrap(),
        key: key(name).public(),
        authority: false,
    };
    let members = PARTIES.map(member).to_vec();
    Genesis::new(ORIGIN, TIME, members, validators([""; 4]), Params::default()).unwrap()
}

/// Trust in the validators of the genesis.
pub fn trust() -> Trust {
    Trust::of_genesis(&genesis(), Vec::new())
}

#[derive(Clone, Default)]
struct Entries(BTreeMap<EntryKey, Arc<[u8]>>);

impl StateView for Entries {
    fn get(&self, key: &EntryKey) -> Option<Arc<[u8]>> {
        self.0.get(key).cloned()
    }
}

/// A log as honest nodes write it.
#[derive(Clone)]
pub struct Log {
    pub leaves: Vec<Vec<u8>>,
    pub record: BlockRecord,
    entries: Entries,
    map: MemoryMap,
    frontier: Frontier,
    block: BlockId,
}

impl Log {
    /// After the genesis block.
    pub fn new() -> Self {
        let writes = genesis_writes(&genesis());
        let mut map = MemoryMap::default();
        let (root, batch) = update(&map, 0, &writes).unwrap();
        map.absorb_newest(batch);
        let first = genesis().block(root);
        let entries = writes.into_iter().map(|(k, v)| (k, v.into())).collect();
        let mut log = Self {
            leaves: Vec::new(),
            record: first.record.clone(),
            entries: Entries(entries),
            map,
            frontier: Frontier::default(),
            block: first.id,
        };
        log.append(genesis().to_bytes());
        log.append(first.record.to_bytes());
        log
    }

    /// With as many leaves, by blocks without events.
    pub fn of(size: usize) -> Self {
        let mut log = Self::new();
        log.grow(size);
        log
    }

    pub fn grow(&mut self, size: usize) {
        while self.leaves.len() < size {
            self.commit(&[]);
        }
    }

    /// The same with another last block: the validators decided twice.
    pub fn forked_after(size: usize, to: usize) -> Self {
        let mut log = Self::of(size);
        let time = log.record.time.plus(500);
        log.commit_at(&[], time);
        log.grow(to);
        log
    }

    fn append(&mut self, leaf: Vec<u8>) {
        self.frontier.append(leaf_hash(&leaf), |_| ());
        self.leaves.push(leaf);
    }

    /// Commits these events as one block.
    pub fn commit(&mut self, events: &[SignedEvent]) {
        self.commit_at(events, self.record.time.plus(1_000));
    }

    fn commit_at(&mut self, events: &[SignedEvent], time: Millis) {
        let height = self.record.height.next();
        let context = BlockContext {
            network: genesis().network(),
            epoch: self.record.epoch,
            height,
            time,
            first_leaf: self.frontier.size().next_index(),
        };
        let mut executor = Executor::new(&self.entries, context);
        for event in events {
            let mut keys = |signer: &SignerId, id: &[u8; 8]| signer_key(&self.entries, signer, id);
            executor.push(&event.clone().verify(&mut keys).unwrap()).unwrap();
        }
        let outcome = executor.finish();
        let (map_root, batch) = update(&self.map, height.0, outcome.writes()).unwrap();
        self.map.absorb_newest(batch);
        let set = self.record.next_set;
        self.record = BlockRecord {
            height,
            epoch: self.record.epoch,
            time,
            parent: self.block,
            map_root,
            set,
            next_set: outcome.validators().map_or(set, ValidatorSet::hash),
            events: events.len() as u32,
        };
        let writes = outcome.writes().iter().map(|(k, v)| (k.clone(), v.clone().into()));
        self.entries.0.extend(writes);
        events.iter().for_each(|event| self.append(event.bytes().to_vec()));
        self.append(self.record.to_bytes());
        self.block = self.record.block_id(self.frontier.size(), self.frontier.root());
    }

    /// What a member signs of itself, with its next number.
    pub fn own(&self, member: &str, action: Action) -> SignedEvent {
        let signer: SignerId = member.parse().unwrap();
        let known: Option<SignerState> = read(&self.entries, &EntryKey::Signer(signer.clone()));
        let event = Event {
            network: genesis().network(),
            subject: Subject::Signer(signer.clone()),
            sequence: known.map_or(1, |state| state.sequence.high() + 1),
            signer,
            floor: 0,
            time: self.record.time,
            place: None,
            basis: None,
            action,
        };
        SignedEvent::sign(event, &key(member))
    }

    /// Members decide that a party's validator has the keys of another generation.
    pub fn change_validator(&mut self, name: &str, generation: &str) {
        let validator = validator(name, generation);
        let subject = Subject::Signer(SignerId::member(validator.party.clone()));
        let possession = ["consensus", "cosigner", "network"].map(|role| {
            let secret = key(&format!("{name} {role}{generation}"));
            let key = secret.public().into();
            secret.sign(&possession_message(genesis().network(), &subject, &key))
        });
        let change = Change::Validator {
            validator: Box::new(validator),
            possession: Box::new(possession),
            addresses: Vec::new(),
        };
        let proposal = self.proposed(change, 1_000_000);
        let id = proposal.id();
        self.commit(&[proposal]);
        for member in ["customs", "forwarder"] {
            let vote = self.own(member, Action::Ballot { proposal: id, approve: true });
            self.commit(&[vote]);
        }
        // As often as it takes until the set that was decided is in force.
        while self.record.set == validators([""; 4]).hash() {
            assert!(self.record.height.0 < 10_000, "the set never changes");
            self.commit(&[]);
        }
    }

    /// A proposal of the airline's that is open for so long, and not yet its commit.
    pub fn proposal(&self, open_ms: u64) -> SignedEvent {
        let params = Params { block_interval_ms: 250, ..Params::default() };
        self.proposed(Change::Params(params), open_ms)
    }

    fn proposed(&self, change: Change, open_ms: u64) -> SignedEvent {
        let motion = Motion { change, from: Height(0), few: false };
        let until = self.record.time.plus(open_ms);
        self.own("airline", Action::Propose { motion: Box::new(motion), until })
    }

    /// The first height at which this set was in force.
    pub fn first_of(&self, set: &ValidatorSet) -> u64 {
        let records = self.leaves.iter().filter_map(|leaf| BlockRecord::from_bytes(leaf).ok());
        let first = records.into_iter().find(|record| record.set == set.hash());
        first.expect("a record of the set").height.0
    }

    pub fn checkpoint(&self) -> Checkpoint {
        checkpoint(&self.leaves)
    }

    /// Writes a mirror, cosigned by all with the keys of the genesis.
    pub fn write(&self, folder: &Path) {
        self.write_by(folder, &ALL);
    }

    /// Writes a mirror, cosigned by these with the keys of their generations.
    pub fn write_by(&self, folder: &Path, cosigners: &[(&str, &str)]) {
        write(folder, &self.leaves, &note(&self.checkpoint(), cosigners, NOW_S));
    }
}

/// The checkpoint of any leaves.
pub fn checkpoint(leaves: &[Vec<u8>]) -> Checkpoint {
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.append(leaf_hash(leaf), |_| ());
    }
    Checkpoint { origin: ORIGIN.to_owned(), size: frontier.size(), root: frontier.root() }
}

/// A checkpoint, cosigned by these with the keys of their generations.
pub fn note(checkpoint: &Checkpoint, cosigners: &[(&str, &str)], time_s: u64) -> Note {
    let mut note = Note::new(checkpoint.text()).unwrap();
    for (name, generation) in cosigners {
        let secret = key(&format!("{name} cosigner{generation}"));
        let line = cosigner_key(ORIGIN, &name.parse().unwrap(), secret.public()).unwrap();
        note.add(checkpoint.cosign(&secret, time_s).line(&line));
    }
    note
}

/// A folder of tiles over any leaves, in the place of what was there.
pub fn write(folder: &Path, leaves: &[Vec<u8>], note: &Note) {
    if folder.exists() {
        fs::remove_dir_all(folder).unwrap();
    }
    let mut hashes: BTreeMap<u8, Vec<Digest>> = BTreeMap::new();
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.append(leaf_hash(leaf), |hash| {
            hashes.entry(hash.level).or_default().push(hash.hash);
        });
    }
    for path in TilePath::new_between(TreeSize(0), frontier.size()) {
        let range = path.first() as usize..path.first() as usize + usize::from(path.width);
        let bytes = match path.level {
            Some(level) => tile_bytes(&hashes[&level][range]),
            None => entry_bundle(&leaves[range]),
        };
        put(folder, &path.to_string(), &bytes);
    }
    put(folder, "checkpoint", note.to_string().as_bytes());
}

pub fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Every file below a folder, by name.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut files, mut open) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// With one bit of an entry flipped in the file of a bundle; `leaf` counts within it.
pub fn flip(folder: &Path, bundle: &str, leaf: usize) {
    let path = folder.join(bundle);
    let mut bytes = fs::read(&path).unwrap();
    let mut at = 0;
    for _ in 0..leaf {
        at += 2 + usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    }
    // The last byte of the entry: a count of events, which still decodes.
    let end = at + 2 + usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    bytes[end - 1] ^= 1;
    fs::write(path, bytes).unwrap();
}
