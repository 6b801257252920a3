//! A desk to try rules at: a small network, its keys, and a state in memory.
//!
//! Four members, one of them an authority, each with two devices that may sign everything but what
//! stays with the member's key. Keys follow from names, so a signed event has the same bytes in every run.

#![allow(dead_code, reason = "each test crate uses a part of it")]

pub mod council;
pub mod faults;
pub mod node;
pub mod rights;
pub mod scene;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use consign_ledger::apply::{BlockContext, Executor, Outcome, apply};
use consign_ledger::entry::{EntryKey, StateView, genesis_writes, read};
use consign_ledger::errors::Rejection;
use consign_ledger::signer::SignerState;
use consign_ledger::unit::UnitState;
use consign_types::block::{Epoch, Height, LeafIndex};
use consign_types::digest::{Digest, EventId, NetworkId};
use consign_types::event::{
    Action, Event, Kind, KindSet, SignedEvent, Subject, Verified, possession_message,
};
use consign_types::genesis::{Genesis, Member, Params};
use consign_types::key::SecretKey;
use consign_types::party::{PartyId, SignerId};
use consign_types::place::Place;
use consign_types::signer_key::{Algorithm, SignerSecret, SignsEvents};
use consign_types::time::Millis;
use consign_types::unit::UnitId;
use consign_types::validator::{Validator, ValidatorSet};

/// Members, ascending; `customs` is the authority.
pub const PARTIES: [&str; 4] = ["airline", "customs", "forwarder", "handler"];
/// Labels of each member's devices.
pub const DEVICES: [&str; 2] = ["dock1", "dock2"];
/// Time of the genesis block.
pub const GENESIS_TIME: Millis = Millis(1_700_000_000_000);

/// The secret key of whoever has this name.
pub fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(Digest::of(&[b"consign ledger test ", name.as_bytes()]).0)
}

pub fn party(name: &str) -> PartyId {
    name.parse().unwrap()
}

pub fn unit(number: &str) -> UnitId {
    format!("trk/forwarder/{number}").parse().unwrap()
}

pub fn place(n: u32) -> Place {
    Place::gln(&format!("95213210{n:04}")).unwrap()
}

pub fn genesis() -> Genesis {
    let members = PARTIES.map(|name| Member {
        party: party(name),
        key: key(name).public(),
        authority: name == "customs",
    });
    let validators = PARTIES.map(|name| Validator {
        party: party(name),
        consensus_key: key(&format!("{name} consensus")).public(),
        cosigner_key: key(&format!("{name} cosigner")).public(),
        network_key: key(&format!("{name} network")).public(),
    });
    let set = ValidatorSet::new(validators.to_vec()).unwrap();
    Genesis::new("test.example/ledger", GENESIS_TIME, members.to_vec(), set, Params::default())
        .unwrap()
}

/// What the map holds after the genesis block.
pub fn genesis_entries() -> Entries {
    entries_of(&genesis())
}

fn entries_of(genesis: &Genesis) -> Entries {
    let mut entries = Entries::default();
    entries.extend(&genesis_writes(genesis));
    entries
}

/// Keys that do not follow from names: those of the members of a network that was founded elsewhere.
static FOUNDED: OnceLock<BTreeMap<String, SecretKey>> = OnceLock::new();

/// From now on, the members sign with these keys.
pub fn members_sign_with(keys: BTreeMap<String, SecretKey>) {
    FOUNDED.set(keys).expect("said once");
}

/// Entries in memory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Entries(BTreeMap<EntryKey, Arc<[u8]>>);

impl Entries {
    pub fn absorb(&mut self, outcome: &Outcome) {
        self.extend(outcome.writes());
    }

    fn extend(&mut self, writes: &BTreeMap<EntryKey, Vec<u8>>) {
        self.0.extend(writes.iter().map(|(key, value)| (key.clone(), value.clone().into())));
    }

    /// Every unit's state.
    pub fn units(&self) -> BTreeMap<UnitId, UnitState> {
        let units = self.0.keys().filter_map(|key| match key {
            EntryKey::Unit(unit) => Some((unit.clone(), read(self, key).unwrap())),
            _ => None,
        });
        units.collect()
    }

    /// The seal ids that were used.
    pub fn seals(&self) -> usize {
        self.0.keys().filter(|key| matches!(key, EntryKey::Seal(_))).count()
    }
}

impl StateView for Entries {
    fn get(&self, key: &EntryKey) -> Option<Arc<[u8]>> {
        self.0.get(key).cloned()
    }
}

/// Signs with the key of whoever the event names, and checks it as a node would.
pub fn sign(event: Event) -> Verified {
    let key = signer_secret(&event.signer.to_string());
    sign_with(event, &key)
}

/// The key of whoever has this name: on P-256 for devices whose label says so.
pub fn signer_secret(name: &str) -> SignerSecret {
    if let Some(key) = FOUNDED.get().and_then(|keys| keys.get(name)) {
        return key.clone().into();
    }
    let by = if name.contains("p256") { Algorithm::P256 } else { Algorithm::Ed25519 };
    SignerSecret::from_seed(by, *key(name).to_seed()).expect("a scalar")
}

/// The key that a signer has after so many rotations: every other one is on P-256.
pub fn key_after(signer: &SignerId, rotations: usize) -> SignerSecret {
    let name = signer.to_string();
    match rotations {
        0 => signer_secret(&name),
        odd if odd % 2 == 1 => signer_secret(&format!("{name} p256 {odd}")),
        even => signer_secret(&format!("{name} {even}")),
    }
}

/// Rotation number `rotations` of a signer, from the number `first` on.
pub fn rotate(network: NetworkId, signer: &SignerId, rotations: usize, first: u64) -> Action {
    let (secret, subject) = (key_after(signer, rotations), Subject::Signer(signer.clone()));
    let message = possession_message(network, &subject, &secret.public());
    Action::Rotate { key: secret.public(), possession: secret.sign(&message), first }
}

/// Rotations that the tests go through at most.
const ROTATIONS: usize = 20;

/// Signs with any key, and lets it pass as the signer's.
pub fn sign_with(event: Event, secret: &impl SignsEvents) -> Verified {
    let signed = SignedEvent::sign(event, secret);
    let mut known = |signer: &SignerId, id: &[u8; 8]| {
        let usual = (0..ROTATIONS).map(|n| key_after(signer, n).public());
        core::iter::once(secret.public()).chain(usual).find(|key| key.key_id() == *id)
    };
    signed.verify(&mut known).unwrap()
}

/// Enrolment of a device by the member it belongs to.
pub fn enrol(network: NetworkId, device: &SignerId, kinds: &[Kind]) -> Action {
    let (secret, subject) = (signer_secret(&device.to_string()), Subject::Signer(device.clone()));
    Action::Enrol {
        key: secret.public(),
        possession: secret.sign(&possession_message(network, &subject, &secret.public())),
        kinds: KindSet::of(kinds),
        places: Vec::new(),
        classes: Vec::new(),
        until: None,
    }
}

/// Every kind that a device may sign.
pub fn device_kinds() -> Vec<Kind> {
    Kind::ALL.iter().copied().filter(|kind| !kind.is_members_own()).collect()
}

/// A ledger, one event a block.
pub struct Desk {
    pub entries: Entries,
    pub network: NetworkId,
    pub time: Millis,
    /// How far the time goes on with each block.
    pub tick_ms: u64,
    /// Every block that was committed.
    pub journal: Vec<(BlockContext, Vec<Verified>, Outcome)>,
    height: u64,
    leaf: u64,
}

impl Desk {
    /// The network after its genesis and the enrolment of its devices.
    pub fn new() -> Self {
        Self::over(&genesis())
    }

    /// The same of another network, which has the same parties.
    pub fn over(genesis: &Genesis) -> Self {
        let network = genesis.network();
        let mut desk = Self {
            entries: entries_of(genesis),
            network,
            time: genesis.time(),
            tick_ms: 0,
            journal: Vec::new(),
            height: 0,
            leaf: 2,
        };
        for party in PARTIES {
            for label in DEVICES {
                let device: SignerId = format!("{party}.{label}").parse().unwrap();
                let action = enrol(network, &device, &device_kinds());
                let event = desk.event(party, Subject::Signer(device), action);
                desk.submit(event).unwrap();
            }
        }
        desk
    }

    /// Its member enrols a device for every kind that a device may sign.
    pub fn enrol(&mut self, device: &str) {
        let device: SignerId = device.parse().unwrap();
        let action = enrol(self.network, &device, &device_kinds());
        let member = device.party().to_string();
        let event = self.event(&member, Subject::Signer(device), action);
        self.submit(event).unwrap();
    }

    /// The next block, at the present time.
    pub fn context(&self) -> BlockContext {
        BlockContext {
            network: self.network,
            epoch: Epoch(0),
            height: Height(self.height + 1),
            time: self.time,
            first_leaf: LeafIndex(self.leaf),
        }
    }

    /// An event with the signer's next number; registrations, departures and arrivals at place 1.
    pub fn event(&self, signer: &str, subject: Subject, action: Action) -> Event {
        let signer: SignerId = signer.parse().unwrap();
        let placed =
            matches!(action.kind(), Kind::Register | Kind::Depart | Kind::Arrive | Kind::Found);
        Event {
            network: self.network,
            sequence: self.signer(&signer).map_or(1, |state| state.sequence.high() + 1),
            signer,
            subject,
            floor: 0,
            time: self.time,
            place: placed.then(|| place(1)),
            basis: None,
            action,
        }
    }

    /// Commits an event as a block of its own.
    pub fn submit(&mut self, event: Event) -> Result<EventId, Rejection> {
        self.submit_verified(&sign(event))
    }

    pub fn submit_verified(&mut self, event: &Verified) -> Result<EventId, Rejection> {
        let mut executor = Executor::new(&self.entries, self.context());
        executor.push(event)?;
        self.take(vec![event.clone()], executor.finish());
        Ok(event.signed().id())
    }

    /// Commits events as one block.
    pub fn submit_block(&mut self, events: &[Verified]) -> Result<Outcome, (usize, Rejection)> {
        let outcome = apply(&self.entries, self.context(), events)?;
        self.take(events.to_vec(), outcome.clone());
        Ok(outcome)
    }

    fn take(&mut self, events: Vec<Verified>, outcome: Outcome) {
        let (context, count) = (self.context(), events.len() as u64);
        self.entries.absorb(&outcome);
        self.journal.push((context, events, outcome));
        self.advance(count);
        self.time = self.time.plus(self.tick_ms);
    }

    /// The block's events and its record took their leaves.
    pub fn advance(&mut self, events: u64) {
        self.height += 1;
        self.leaf += events + 1;
    }

    pub fn unit(&self, unit: &UnitId) -> UnitState {
        read(&self.entries, &EntryKey::Unit(unit.clone())).unwrap()
    }

    /// Puts a unit into a state that no events of this network lead to.
    pub fn set_unit(&mut self, unit: &UnitId, state: &UnitState) {
        self.entries.0.insert(
            EntryKey::Unit(unit.clone()),
            consign_types::codec::Canonical::to_bytes(state).into(),
        );
    }

    /// Puts a signer into a state that no events of this network lead to.
    pub fn set_signer(&mut self, signer: &SignerId, state: &SignerState) {
        self.entries.0.insert(
            EntryKey::Signer(signer.clone()),
            consign_types::codec::Canonical::to_bytes(state).into(),
        );
    }

    pub fn signer(&self, signer: &SignerId) -> Option<SignerState> {
        read(&self.entries, &EntryKey::Signer(signer.clone()))
    }
}
