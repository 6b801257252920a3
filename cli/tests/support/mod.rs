//! A network of the four roles in memory: keys, genesis, enrolments, and the ledger's own rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use consign_cli::replay::kinds;
use consign_cli::replay::plan::{DEVICES, DeviceSlot, Role};
use consign_cli::replay::sign::{Device, party};
use consign_ledger::apply::{BlockContext, Executor, signer_key};
use consign_ledger::entry::{EntryKey, StateView, genesis_writes, read};
use consign_ledger::errors::Rejection;
use consign_ledger::unit::UnitState;
use consign_types::block::{Epoch, Height, LeafIndex};
use consign_types::event::{Action, Event, KindSet, SignedEvent, Subject, possession_message};
use consign_types::genesis::{Genesis, Member, Params};
use consign_types::key::SecretKey;
use consign_types::party::SignerId;
use consign_types::time::Millis;
use consign_types::unit::UnitId;
use consign_types::validator::{Validator, ValidatorSet};

/// A ledger without consensus, log or disk: what remains are the rules.
pub struct Ledger {
    pub genesis: Genesis,
    entries: Entries,
    height: u64,
    leaves: u64,
}

struct Entries(BTreeMap<EntryKey, Arc<[u8]>>);

impl StateView for Entries {
    fn get(&self, key: &EntryKey) -> Option<Arc<[u8]>> {
        self.0.get(key).cloned()
    }
}

impl Ledger {
    /// The ledger after the devices of a replay were enrolled.
    pub fn with_devices() -> Self {
        let genesis = genesis();
        let entries = genesis_writes(&genesis).into_iter().map(|(k, v)| (k, v.into())).collect();
        let mut ledger = Self { genesis, entries: Entries(entries), height: 0, leaves: 2 };
        let enrolments = enrolments(&ledger.genesis);
        for admitted in ledger.block(&enrolments.iter().collect::<Vec<_>>()) {
            assert_eq!(admitted, Ok(()));
        }
        ledger
    }

    /// Executes what the rules admit of `events` as one block; answers for each of them.
    pub fn block(&mut self, events: &[&SignedEvent]) -> Vec<Result<(), Rejection>> {
        self.height += 1;
        let context = BlockContext {
            network: self.genesis.network(),
            epoch: Epoch(0),
            height: Height(self.height),
            time: self.genesis.time().plus(self.height * 100),
            first_leaf: LeafIndex(self.leaves),
        };
        let mut executor = Executor::new(&self.entries, context);
        let mut push = |signed: &&SignedEvent| {
            let mut keys = |signer: &SignerId, id: &[u8; 8]| signer_key(&self.entries, signer, id);
            executor.push(&(*signed).clone().verify(&mut keys).unwrap())
        };
        let admitted: Vec<_> = events.iter().map(&mut push).collect();
        let outcome = executor.finish();
        let writes = outcome.writes().iter().map(|(k, v)| (k.clone(), v.clone().into()));
        self.entries.0.extend(writes);
        self.leaves += events.len() as u64 + 1;
        admitted
    }

    pub fn unit(&self, unit: &UnitId) -> Option<UnitState> {
        read(&self.entries, &EntryKey::Unit(unit.clone()))
    }
}

/// The devices that [`Ledger::with_devices`] has enrolled.
pub fn devices() -> BTreeMap<DeviceSlot, Device> {
    let device = |role: Role, index: usize| {
        let id = SignerId::device(party(role), &format!("d{index}")).unwrap();
        (DeviceSlot { role, index }, Device { id, key: key(role, 5, index).into() })
    };
    let of = |role| (0..DEVICES).map(move |index| device(role, index));
    Role::ALL.into_iter().flat_map(of).collect()
}

fn genesis() -> Genesis {
    let member =
        |role| Member { party: party(role), key: member_key(role).public(), authority: false };
    let mut members: Vec<Member> = Role::ALL.map(member).to_vec();
    members.sort_by(|a, b| a.party.cmp(&b.party));
    let validator = |role: Role| Validator {
        party: party(role),
        consensus_key: key(role, 2, 0).public(),
        cosigner_key: key(role, 3, 0).public(),
        network_key: key(role, 4, 0).public(),
    };
    let set = ValidatorSet::new(Role::ALL.map(validator).to_vec()).unwrap();
    let time = Millis(1_767_225_600_000);
    Genesis::new("replay.example/consign", time, members, set, Params::default()).unwrap()
}

fn enrolments(genesis: &Genesis) -> Vec<SignedEvent> {
    let enrol = |(slot, device): (DeviceSlot, Device)| {
        let subject = Subject::Signer(device.id);
        let key = device.key.public();
        let event = Event {
            network: genesis.network(),
            signer: SignerId::member(party(slot.role)),
            sequence: slot.index as u64 + 1,
            floor: 0,
            time: genesis.time(),
            place: None,
            basis: None,
            action: Action::Enrol {
                key,
                possession: device.key.sign(&possession_message(genesis.network(), &subject, &key)),
                kinds: KindSet::of(kinds(slot.role)),
                places: Vec::new(),
                classes: Vec::new(),
                until: None,
            },
            subject,
        };
        SignedEvent::sign(event, &member_key(slot.role))
    };
    devices().into_iter().map(enrol).collect()
}

fn member_key(role: Role) -> SecretKey {
    key(role, 1, 0)
}

fn key(role: Role, purpose: u8, index: usize) -> SecretKey {
    let mut seed = [0; 32];
    (seed[0], seed[1], seed[2]) = (role as u8, purpose, index as u8);
    SecretKey::from_seed(seed)
}
