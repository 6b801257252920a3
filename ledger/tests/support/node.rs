//! What a node keeps, in memory: log, map, histories, and the keys of all validators.

use std::collections::BTreeMap;
use std::convert::Infallible;

use consign_ledger::apply::{BlockContext, Named, Outcome};
use consign_ledger::entry::{EntryKey, LogState, genesis_writes};
use consign_ledger::log::{Frontier, TileHashes, inclusion_proof};
use consign_ledger::map::{MapProof, MemoryMap, prove, update};
use consign_ledger::passport::{Latest, Passport, Proven, Recorded, SetLink, Source, build};
use consign_types::block::{BlockRecord, Epoch, Height, LeafIndex};
use consign_types::certificate::{Certificate, Round, Statement};
use consign_types::checkpoint::{Checkpoint, cosigner_key};
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, Digest, MapRoot, NetworkId};
use consign_types::event::{Subject, Verified};
use consign_types::merkle::{InclusionProof, leaf_hash};
use consign_types::note::Note;
use consign_types::party::SignerId;
use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_types::unit::UnitId;
use consign_types::validator::{Validator, ValidatorIndex, ValidatorSet};

use super::{Desk, PARTIES, genesis, key, party, unit};

/// Validators of all parties, with the keys of a generation; that of the genesis is "".
pub fn validators(generation: &str) -> ValidatorSet {
    let secret = |name: &str, role| key(&format!("{name} {role}{generation}")).public();
    let validators = PARTIES.map(|name| Validator {
        party: party(name),
        consensus_key: secret(name, "consensus"),
        cosigner_key: secret(name, "cosigner"),
        network_key: secret(name, "network"),
    });
    ValidatorSet::new(validators.to_vec()).unwrap()
}

/// Trust in the validators of the genesis.
pub fn trust() -> Trust {
    Trust::of_genesis(&genesis(), Vec::new())
}

#[derive(Clone, Default)]
struct Hashes(BTreeMap<(u8, u64), Digest>);

impl TileHashes for Hashes {
    fn tile_hash(&self, level: u8, index: u64) -> Option<Digest> {
        self.0.get(&(level, index)).copied()
    }
}

#[derive(Clone)]
pub struct Node {
    map: MemoryMap,
    frontier: Frontier,
    hashes: Hashes,
    record: BlockRecord,
    histories: BTreeMap<UnitId, Vec<Recorded>>,
    links: Vec<SetLink>,
    generation: String,
}

impl Node {
    /// After the genesis block.
    pub fn new() -> Self {
        let mut map = MemoryMap::default();
        let (root, batch) = update(&map, 0, &genesis_writes(&genesis())).unwrap();
        map.absorb(0, batch);
        let record = genesis().block(root).record;
        let mut node = Self {
            map,
            frontier: Frontier::default(),
            hashes: Hashes::default(),
            record: record.clone(),
            histories: BTreeMap::new(),
            links: Vec::new(),
            generation: String::new(),
        };
        node.append(&genesis().to_bytes());
        node.append(&record.to_bytes());
        node
    }

    /// After everything that the desk committed.
    pub fn of(desk: &Desk) -> Self {
        let mut node = Self::new();
        for (context, events, outcome) in &desk.journal {
            node.commit(context, events, outcome);
        }
        node
    }

    fn append(&mut self, bytes: &[u8]) {
        let hashes = &mut self.hashes.0;
        self.frontier.append(leaf_hash(bytes), |tile| {
            hashes.insert((tile.level, tile.index), tile.hash);
        });
    }

    /// Takes a block.
    pub fn commit(&mut self, context: &BlockContext, events: &[Verified], outcome: &Outcome) {
        assert_eq!(context.first_leaf, self.frontier.size().next_index());
        for (event, named) in events.iter().zip(outcome.named()) {
            let bytes = event.signed().bytes();
            for Named { unit, position, around } in named {
                let history = self.histories.entry(unit.clone()).or_default();
                assert_eq!(*position, history.len() as u64);
                history.push(Recorded {
                    leaf: self.frontier.size().next_index(),
                    event: bytes.to_vec(),
                    time: context.time,
                    around: around.clone(),
                });
            }
            self.append(bytes);
        }
        let height = context.height;
        let (root, batch) = update(&self.map, height.0, outcome.writes()).unwrap();
        self.map.absorb(height.0, batch);
        let set = validators(&self.generation).hash();
        self.close(height, context.time, root, set, events.len() as u32);
    }

    fn close(
        &mut self,
        height: Height,
        time: Millis,
        map_root: MapRoot,
        next_set: consign_types::digest::SetHash,
        events: u32,
    ) {
        assert_eq!(height, self.record.height.next());
        let parent = BlockId(Digest::of(&[&self.record.to_bytes()]));
        let set = validators(&self.generation).hash();
        let epoch = Epoch(0);
        self.record = BlockRecord { height, epoch, time, parent, map_root, set, next_set, events };
        let record = self.record.to_bytes();
        self.append(&record);
    }

    /// A block of the record alone.
    pub fn commit_empty(&mut self) {
        self.commit_last_of_set(&self.generation.clone());
    }

    /// Changes the validators' keys, and lets the new ones make a block.
    pub fn change_set(&mut self, generation: &str) {
        let old = validators(&self.generation);
        self.commit_last_of_set(generation);
        let (size, root) = (self.frontier.size(), self.frontier.root());
        let record = self.record.clone();
        let block = record.block_id(size, root);
        let statement = Statement::Precommit(Some(block));
        let message = genesis().domain().sign_bytes(record.height, Round(0), &statement);
        let precommits = old.validators().iter().enumerate().map(|(at, validator)| {
            let secret = key(&format!("{} consensus{}", validator.party, self.generation));
            (ValidatorIndex(at as u16), secret.sign(&message))
        });
        let certificate = Certificate {
            height: record.height,
            round: Round(0),
            block,
            precommits: precommits.collect(),
        };
        self.links.push(SetLink { record, size, root, certificate, set: validators(generation) });
        self.generation = generation.to_owned();
        self.commit_empty();
    }

    /// A block that puts `count` other units into the map, whatever the rules say.
    pub fn fill(&mut self, count: u32) {
        let filler =
            |n: u32| (EntryKey::Unit(unit(&format!("FILL-{n}"))), n.to_be_bytes().to_vec());
        let height = self.record.height.next();
        let (root, batch) = update(&self.map, height.0, &(0..count).map(filler).collect()).unwrap();
        self.map.absorb(height.0, batch);
        let set = validators(&self.generation).hash();
        self.close(height, self.record.time.plus(1), root, set, 0);
    }

    fn commit_last_of_set(&mut self, next: &str) {
        let height = self.record.height.next();
        let (root, batch) = update(&self.map, height.0, &BTreeMap::new()).unwrap();
        self.map.absorb(height.0, batch);
        let time = self.record.time.plus(1);
        self.close(height, time, root, validators(next).hash(), 0);
    }

    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            origin: genesis().origin().to_owned(),
            size: self.frontier.size(),
            root: self.frontier.root(),
        }
    }

    /// The checkpoint, cosigned by these at these times.
    pub fn note(&self, cosigners: &[(&str, u64)]) -> Note {
        cosigned(&self.checkpoint(), &self.generation, cosigners)
    }

    /// The way from a leaf to the root.
    pub fn proof(&self, index: LeafIndex) -> InclusionProof {
        inclusion_proof(&self.hashes, index, self.frontier.size()).unwrap()
    }

    /// The entry of a signer with its proof.
    pub fn signer(&self, name: &str) -> Proven {
        let signer: SignerId = name.parse().unwrap();
        let (value, proof) = self.entry(&EntryKey::Signer(signer.clone())).unwrap();
        Proven { key: Subject::Signer(signer), value: value.unwrap(), proof }
    }

    /// The passport for trust in the genesis.
    pub fn passport(&self, unit: &UnitId) -> Passport {
        build(self, unit, Height(0)).unwrap()
    }
}

/// A checkpoint, cosigned by these at these times with the keys of a generation.
pub fn cosigned(checkpoint: &Checkpoint, generation: &str, cosigners: &[(&str, u64)]) -> Note {
    let mut note = Note::new(checkpoint.text()).unwrap();
    for (name, time_s) in cosigners {
        let secret = key(&format!("{name} cosigner{generation}"));
        let line = cosigner_key(&checkpoint.origin, &party(name), secret.public()).unwrap();
        note.add(checkpoint.cosign(&secret, *time_s).line(&line));
    }
    note
}

impl Source for Node {
    type Error = Infallible;

    fn network(&self) -> NetworkId {
        genesis().network()
    }

    /// Signed by the node's log key too, and cosigned by all, each a second after the one before; and by the
    /// network's witnesses, whose keys go by their names.
    fn latest(&self) -> Result<Latest, Infallible> {
        let checkpoint = self.checkpoint();
        let mut note: Note = checkpoint.signed(&key("airline log")).unwrap();
        for (at, name) in PARTIES.into_iter().enumerate() {
            let secret = key(&format!("{name} cosigner{}", self.generation));
            let line = cosigner_key(&checkpoint.origin, &party(name), secret.public()).unwrap();
            let time_s = self.record.time.seconds() + at as u64;
            note.add(checkpoint.cosign(&secret, time_s).line(&line));
        }
        let (log, _) = self.entry(&EntryKey::Log)?;
        let log = LogState::from_bytes(&log.unwrap()).unwrap();
        for witness in &log.witnesses {
            note.add(checkpoint.cosign(&key(witness.name()), 100).line(witness));
        }
        let index = LeafIndex(checkpoint.size.0 - 1);
        let path = inclusion_proof(&self.hashes, index, checkpoint.size).unwrap().path;
        let set = validators(&self.generation);
        Ok(Latest { note, record: self.record.clone(), path, set })
    }

    fn history(
        &self,
        unit: &UnitId,
        from: LeafIndex,
        limit: usize,
    ) -> Result<Vec<Recorded>, Infallible> {
        let history = self.histories.get(unit).map_or(&[][..], Vec::as_slice);
        // Small pages, so that a history has many.
        let limit = limit.min(3);
        Ok(history.iter().filter(|recorded| recorded.leaf >= from).take(limit).cloned().collect())
    }

    fn entry(&self, key: &EntryKey) -> Result<(Option<Vec<u8>>, MapProof), Infallible> {
        Ok(prove(&self.map, self.record.height.0, key).unwrap())
    }

    fn set_links(&self, since: Height) -> Result<Vec<SetLink>, Infallible> {
        Ok(self.links.iter().filter(|link| link.record.height >= since).cloned().collect())
    }
}
