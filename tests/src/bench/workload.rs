//! What is sent: custody passed round a ring of four parties, offer by offer and acceptance by
//! acceptance.
//!
//! Each party has its share of the devices and, at first, of the units. A unit is offered to the next
//! party of the ring, whose device accepts; the acceptance is the basis of the next offer. The stream
//! takes an offer and an acceptance in turn, of units that lie half of all units apart: any stretch of
//! it is half offers and half acceptances, each of another unit, and an acceptance comes long after its
//! offer, so that nothing waits in a pool for what it refers to. All four parties sign equally often.
//!
//! Keys and numbers follow from the seed; device times and the network's own keys do not.

use std::thread;

use consign_cli::instant;
use consign_types::digest::{Digest, EventId, NetworkId};
use consign_types::event::{
    Action, Condition, Event, Kind, KindSet, SignedEvent, Subject, possession_message,
};
use consign_types::key::SecretKey;
use consign_types::party::{PartyId, SignerId};
use consign_types::place::Place;
use consign_types::time::Millis;
use consign_types::unit::UnitId;

use super::Wrong;

/// Offers stand until 2100.
const UNTIL: Millis = Millis(4_102_444_800_000);

/// Position of a party, and of its node.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct NodeIndex(pub usize);

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Units; a multiple of twice the number of parties.
    pub units: usize,
    /// Devices of all parties.
    pub devices: usize,
    /// What keys are made of.
    pub seed: u64,
}

/// A signed event, and the node that it is sent to: that of the party that signed it.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Where it goes.
    pub node: NodeIndex,
    /// Its name.
    pub id: EventId,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Everything that signs, and everything that is passed round.
#[derive(Debug)]
pub struct Workload {
    network: NetworkId,
    parties: Vec<Party>,
    units: Vec<Unit>,
    /// Pairs of an offer and an acceptance made so far.
    pairs: usize,
}

#[derive(Debug)]
struct Party {
    id: PartyId,
    member: SecretKey,
    place: Place,
    devices: Vec<Device>,
    /// The device whose turn it is.
    turn: usize,
}

#[derive(Debug)]
struct Device {
    id: SignerId,
    key: SecretKey,
    sequence: u64,
}

#[derive(Debug)]
struct Unit {
    id: UnitId,
    holder: usize,
    /// The event by which the holder holds it.
    basis: EventId,
    /// The last offer.
    offer: EventId,
}

/// What a device does to a unit.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Register,
    Offer,
    Accept,
}

/// An event that is not signed yet.
struct Draft {
    deed: Deed,
    unit: usize,
    party: usize,
    device: usize,
    event: Event,
}

impl Workload {
    /// The workload on a network of these parties, each with its member key.
    ///
    /// # Errors
    /// When a number does not fit its form.
    pub fn new(
        network: NetworkId,
        members: Vec<(PartyId, SecretKey)>,
        scale: Scale,
    ) -> Result<Self, Wrong> {
        let count = members.len();
        let party = |(index, (id, member)): (usize, (PartyId, SecretKey))| {
            let devices = (0..scale.devices / count)
                .map(|device| Device::new(&id, device, scale.seed))
                .collect::<Result<_, Wrong>>()?;
            let place = Place::gln(&format!("952132100{index:03}")).map_err(Wrong::of)?;
            Ok(Party { id, member, place, devices, turn: 0 })
        };
        let unit = |index: usize| -> Result<Unit, Wrong> {
            let unknown = EventId(Digest::of(&[]));
            Ok(Unit {
                id: UnitId::sscc(&format!("1952132{index:010}")).map_err(Wrong::of)?,
                holder: index % count,
                basis: unknown,
                offer: unknown,
            })
        };
        Ok(Self {
            network,
            parties: members.into_iter().enumerate().map(party).collect::<Result<_, Wrong>>()?,
            units: (0..scale.units).map(unit).collect::<Result<_, Wrong>>()?,
            pairs: 0,
        })
    }

    /// The units that pass round.
    pub fn units(&self) -> Vec<UnitId> {
        self.units.iter().map(|unit| unit.id.clone()).collect()
    }

    /// The enrolment of every device, signed by its party; the parties in turn.
    pub fn enrolments(&self) -> Vec<Ready> {
        let kinds = KindSet::of(&[Kind::Register, Kind::Offer, Kind::Accept]);
        let enrolment = |node: usize, party: &Party, sequence: u64, device: &Device| {
            let subject = Subject::Signer(device.id.clone());
            let key = device.key.public().into();
            let possession = device.key.sign(&possession_message(self.network, &subject, &key));
            let event = Event {
                network: self.network,
                signer: SignerId::member(party.id.clone()),
                sequence,
                floor: 0,
                time: instant::now(),
                place: None,
                basis: None,
                action: Action::Enrol {
                    key,
                    possession,
                    kinds,
                    places: Vec::new(),
                    classes: Vec::new(),
                    until: None,
                },
                subject,
            };
            Ready::new(node, &SignedEvent::sign(event, &party.member))
        };
        let devices = self.parties.first().map_or(0, |party| party.devices.len());
        let round = |index: usize| {
            let parties = self.parties.iter().enumerate();
            parties.map(move |(node, party)| {
                enrolment(node, party, index as u64 + 1, &party.devices[index])
            })
        };
        (0..devices).flat_map(round).collect()
    }

    /// The registration of every unit.
    pub fn registrations(&mut self) -> Vec<Ready> {
        let drafts =
            (0..self.units.len()).map(|unit| self.draft(Deed::Register, unit)).collect::<Vec<_>>();
        self.sign(drafts)
    }

    /// Offers of the first half of the units: from here on half of all units are always on offer.
    pub fn first_offers(&mut self) -> Vec<Ready> {
        let half = self.units.len() / 2;
        let drafts = (0..half).map(|unit| self.draft(Deed::Offer, unit)).collect::<Vec<_>>();
        self.sign(drafts)
    }

    /// At least the next `count` events of the stream, in the order in which they are to be sent.
    pub fn next(&mut self, count: usize) -> Vec<Ready> {
        let (all, half) = (self.units.len(), self.units.len() / 2);
        let mut left = count.div_ceil(2);
        let mut ready = Vec::with_capacity(2 * left);
        while left > 0 {
            // What refers to another event must find its name: that one was signed in a stretch before.
            let stretch = left.min(half);
            let mut drafts = Vec::with_capacity(2 * stretch);
            for pair in self.pairs..self.pairs + stretch {
                drafts.push(self.draft(Deed::Offer, (half + pair) % all));
                drafts.push(self.draft(Deed::Accept, pair % all));
            }
            self.pairs += stretch;
            left -= stretch;
            ready.extend(self.sign(drafts));
        }
        ready
    }

    fn draft(&mut self, deed: Deed, unit: usize) -> Draft {
        let at = &self.units[unit];
        let next = (at.holder + 1) % self.parties.len();
        let (party, basis, action) = match deed {
            Deed::Register => (at.holder, None, Action::Register),
            Deed::Offer => {
                let to = self.parties[next].id.clone();
                let terms = Digest::of(&[b"terms", at.basis.as_bytes()]);
                (at.holder, Some(at.basis), Action::Offer { to, until: UNTIL, terms })
            }
            Deed::Accept => {
                let accept = Action::Accept {
                    offer: at.offer,
                    count: 1,
                    seals: Vec::new(),
                    condition: Condition::Sound,
                    exceptions: Vec::new(),
                };
                (next, None, accept)
            }
        };
        let signing = &mut self.parties[party];
        let device = signing.turn;
        signing.turn = (device + 1) % signing.devices.len();
        signing.devices[device].sequence += 1;
        let event = Event {
            network: self.network,
            signer: signing.devices[device].id.clone(),
            subject: Subject::Unit(at.id.clone()),
            sequence: signing.devices[device].sequence,
            floor: 0,
            time: instant::now(),
            place: Some(signing.place.clone()),
            basis,
            action,
        };
        Draft { deed, unit, party, device, event }
    }

    /// Signs on all cores, and notes the names that later events refer to.
    fn sign(&mut self, drafts: Vec<Draft>) -> Vec<Ready> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let share = drafts.len().div_ceil(threads).max(1);
        let parties = &self.parties;
        let sign_share = |drafts: &[Draft]| -> Vec<Ready> {
            let sign = |draft: &Draft| {
                let key = &parties[draft.party].devices[draft.device].key;
                Ready::new(draft.party, &SignedEvent::sign(draft.event.clone(), key))
            };
            drafts.iter().map(sign).collect()
        };
        let ready: Vec<Ready> = thread::scope(|scope| {
            let shares = drafts.chunks(share);
            let running: Vec<_> =
                shares.map(|share| scope.spawn(move || sign_share(share))).collect();
            running.into_iter().flat_map(|share| share.join().expect("signing ends")).collect()
        });
        for (draft, ready) in drafts.iter().zip(&ready) {
            let unit = &mut self.units[draft.unit];
            match draft.deed {
                Deed::Register => unit.basis = ready.id,
                Deed::Offer => unit.offer = ready.id,
                Deed::Accept => {
                    unit.basis = ready.id;
                    unit.holder = draft.party;
                }
            }
        }
        ready
    }
}

impl Device {
    fn new(party: &PartyId, index: usize, seed: u64) -> Result<Self, Wrong> {
        let number = index.to_be_bytes();
        let seed = Digest::of(&[
            b"consign-bench",
            &seed.to_be_bytes(),
            party.as_str().as_bytes(),
            &number,
        ]);
        let id = SignerId::device(party.clone(), &format!("scanner-{index}")).map_err(Wrong::of)?;
        Ok(Self { id, key: SecretKey::from_seed(seed.0), sequence: 0 })
    }
}

impl Ready {
    fn new(node: usize, signed: &SignedEvent) -> Self {
        Self { node: NodeIndex(node), id: signed.id(), bytes: signed.bytes().to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn workload() -> Workload {
        let member = |name: &str| (name.parse().unwrap(), SecretKey::from_seed([1; 32]));
        let members = ["forwarder", "airline", "handler", "consignee"].map(member).to_vec();
        let scale = Scale { units: 40, devices: 8, seed: 7 };
        Workload::new(NetworkId(Digest::of(&[b"bench"])), members, scale).unwrap()
    }

    #[test]
    fn every_stretch_is_half_offers_half_acceptances_and_even_between_the_nodes() {
        let mut workload = workload();
        workload.registrations();
        workload.first_offers();
        for _ in 0..5 {
            let stretch = workload.next(24);
            assert_eq!(stretch.len(), 24);
            let of_node = |node| stretch.iter().filter(|e| e.node == NodeIndex(node)).count();
            assert_eq!([0, 1, 2, 3].map(of_node), [6; 4]);
            let offers = stretch
                .iter()
                .map(|ready| SignedEvent::decode(&ready.bytes).unwrap())
                .filter(|signed| signed.event().action.kind() == Kind::Offer)
                .count();
            assert_eq!(offers, 12);
        }
    }

    /// A slow reading of the custody rules: who holds what by which basis, over three times round.
    #[test]
    fn every_event_is_legal_in_the_order_of_the_stream() {
        let mut workload = workload();
        let mut stream = workload.registrations();
        stream.extend(workload.first_offers());
        stream.extend(workload.next(240));

        let mut held: BTreeMap<UnitId, (PartyId, EventId)> = BTreeMap::new();
        let mut offered: BTreeMap<UnitId, (PartyId, EventId)> = BTreeMap::new();
        let mut numbers = BTreeSet::new();
        for ready in stream {
            let signed = SignedEvent::decode(&ready.bytes).unwrap();
            let event = signed.event().clone();
            assert!(numbers.insert((event.signer.clone(), event.sequence)));
            let unit = event.subject.unit().unwrap().clone();
            let signer = event.signer.party().clone();
            match event.action {
                Action::Register => {
                    assert_eq!(held.insert(unit, (signer, signed.id())), None);
                }
                Action::Offer { to, .. } => {
                    assert_eq!(held[&unit], (signer, event.basis.unwrap()));
                    assert_eq!(offered.insert(unit, (to, signed.id())), None);
                }
                Action::Accept { offer, .. } => {
                    assert_eq!(offered.remove(&unit), Some((signer.clone(), offer)));
                    held.insert(unit, (signer, signed.id()));
                }
                _ => panic!("an event of another kind"),
            }
        }
        for (_, sequences) in numbers.iter().fold(BTreeMap::new(), |mut by_signer, (s, n)| {
            by_signer.entry(s).or_insert_with(Vec::new).push(*n);
            by_signer
        }) {
            assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>());
        }
    }
}
