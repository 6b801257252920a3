//! A small network to try a node's parts at: four members, each with two devices, all keys from names.
//!
//! What is signed here has the same bytes in every run. The parts under test are the real ones, over a
//! RocksDB in a directory of its own that goes with the test.

#![allow(dead_code, unreachable_pub, reason = "each test crate uses a part of it")]

pub mod bench;
pub mod forge;
pub mod home;
pub mod variant;
pub mod wait;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use consign_node::config::{Config, Doors, Log, Rpc};
use consign_node::keys::Keys;
use consign_rpc::server::ServerLimits;
use consign_types::digest::{Digest, EventId, NetworkId};
use consign_types::event::{
    Action, Condition, Event, Kind, KindSet, SignedEvent, Subject, possession_message,
};
use consign_types::genesis::{Genesis, Member, Params};
use consign_types::key::SecretKey;
use consign_types::party::{PartyId, SignerId};
use consign_types::place::Place;
use consign_types::time::Millis;
use consign_types::unit::UnitId;
use consign_types::validator::{Validator, ValidatorSet};

/// Members, ascending; each runs a validator of the same index. `customs` is the authority.
pub const PARTIES: [&str; 4] = ["airline", "customs", "forwarder", "handler"];
/// Labels of each member's devices.
pub const DEVICES: [&str; 2] = ["dock1", "dock2"];
/// Time of the genesis block.
pub const GENESIS_TIME: Millis = Millis(1_700_000_000_000);
/// Later than any clock that a test meets.
pub const FAR_FUTURE: Millis = Millis(32_503_680_000_000);

/// The secret key of whoever has this name.
pub fn key(name: &str) -> SecretKey {
    SecretKey::from_seed(Digest::of(&[b"consign node test ", name.as_bytes()]).0)
}

pub fn party(name: &str) -> PartyId {
    name.parse().unwrap()
}

pub fn unit(number: &str) -> UnitId {
    format!("trk/handler/{number}").parse().unwrap()
}

/// The network of these tests.
pub fn genesis() -> Genesis {
    genesis_of("test.example/node", 4)
}

/// A network with this origin and the first so many validators.
pub fn genesis_of(origin: &str, validators: usize) -> Genesis {
    let members = PARTIES.map(|name| Member {
        party: party(name),
        key: key(name).public(),
        authority: name == "customs",
    });
    let validators = PARTIES.iter().take(validators).map(|name| Validator {
        party: party(name),
        consensus_key: key(&format!("{name} consensus")).public(),
        cosigner_key: key(&format!("{name} cosigner")).public(),
        network_key: key(&format!("{name} network")).public(),
    });
    let set = ValidatorSet::new(validators.collect()).unwrap();
    Genesis::new(origin, GENESIS_TIME, members.to_vec(), set, Params::default()).unwrap()
}

/// The private keys of this party's node.
pub fn keys(name: &str) -> Keys {
    Keys {
        consensus: Arc::new(key(&format!("{name} consensus"))),
        cosigner: Arc::new(key(&format!("{name} cosigner"))),
        log: Arc::new(key(&format!("{name} log"))),
        network: key(&format!("{name} network")),
        receipt: None,
    }
}

/// The configuration of this party's node, which keeps everything in `dir`.
pub fn config(dir: &Path, name: &str, genesis: Genesis) -> Config {
    Config {
        genesis,
        party: party(name),
        data_dir: dir.join("data"),
        keys: keys(name),
        p2p_listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
        peers: Vec::new(),
        rpc: Rpc {
            listen: ([127, 0, 0, 1], 0).into(),
            limits: ServerLimits::default(),
            events_per_second_per_device_max: 1,
            events_per_second_per_member_max: 1,
            admin_socket: None,
            doors: Doors::default(),
        },
        log: Log::default(),
    }
}

/// Whoever writes events down: gives each signer its next number.
pub struct Scribe {
    network: NetworkId,
    next: BTreeMap<SignerId, u64>,
}

impl Scribe {
    pub fn new(genesis: &Genesis) -> Self {
        Self { network: genesis.network(), next: BTreeMap::new() }
    }

    /// An event with the signer's next number, not signed yet.
    pub fn draft(&mut self, signer: &str, subject: Subject, action: Action) -> Event {
        let signer: SignerId = signer.parse().unwrap();
        let next = self.next.entry(signer.clone()).or_insert(1);
        let sequence = *next;
        *next += 1;
        let place = matches!(action.kind(), Kind::Register);
        Event {
            network: self.network,
            signer,
            subject,
            sequence,
            floor: 0,
            time: GENESIS_TIME,
            place: place.then(|| Place::gln("952132100001").unwrap()),
            basis: None,
            action,
        }
    }

    pub fn enrol(&mut self, device: &str) -> SignedEvent {
        let id: SignerId = device.parse().unwrap();
        let (secret, subject) = (key(device), Subject::Signer(id.clone()));
        let device_kinds: Vec<Kind> =
            Kind::ALL.iter().copied().filter(|kind| !kind.is_members_own()).collect();
        let action = Action::Enrol {
            key: secret.public().into(),
            possession: secret.sign(&possession_message(
                self.network,
                &subject,
                &secret.public().into(),
            )),
            kinds: KindSet::of(&device_kinds),
            places: Vec::new(),
            classes: Vec::new(),
            until: None,
        };
        sign(self.draft(id.party().as_str(), subject, action))
    }

    /// Enrolments of all devices of all members.
    pub fn enrol_all(&mut self) -> Vec<SignedEvent> {
        let names = PARTIES.iter().flat_map(|p| DEVICES.map(|label| format!("{p}.{label}")));
        names.map(|device| self.enrol(&device)).collect()
    }

    pub fn register(&mut self, signer: &str, unit: &UnitId) -> SignedEvent {
        sign(self.draft(signer, Subject::Unit(unit.clone()), Action::Register))
    }

    pub fn observe(&mut self, signer: &str, unit: &UnitId) -> SignedEvent {
        let action = Action::Observe { note: None };
        sign(self.draft(signer, Subject::Unit(unit.clone()), action))
    }

    pub fn offer(&mut self, signer: &str, unit: &UnitId, to: &str, basis: EventId) -> SignedEvent {
        let action = Action::Offer { to: party(to), until: FAR_FUTURE, terms: Digest::ZERO };
        let mut offer = self.draft(signer, Subject::Unit(unit.clone()), action);
        offer.basis = Some(basis);
        sign(offer)
    }

    pub fn accept(&mut self, signer: &str, unit: &UnitId, offer: EventId) -> SignedEvent {
        let action = Action::Accept {
            offer,
            count: 1,
            seals: Vec::new(),
            condition: Condition::Sound,
            exceptions: Vec::new(),
        };
        sign(self.draft(signer, Subject::Unit(unit.clone()), action))
    }
}

/// Signs with the key of whoever the event names.
pub fn sign(event: Event) -> SignedEvent {
    let key = key(&event.signer.to_string());
    SignedEvent::sign(event, &key)
}
