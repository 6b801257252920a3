//! Who may sign what, under which number; and how devices come to be known.

use consign_ledger::apply::{Executor, apply};
use consign_ledger::errors::Rejection;
use consign_types::digest::{Digest, EventId, NetworkId};
use consign_types::event::{Action, Event, Kind, KindSet, Subject, Verified};
use consign_types::limits::{
    BLOCK_EVENTS_MAX, BLOCK_MAP_WRITES_MAX, CHILDREN_MAX, SEQUENCE_STEP_MAX,
};
use consign_types::party::SignerId;
use consign_types::time::Millis;
use consign_types::unit::{UnitClass, UnitId};

use crate::support::faults::{revoke, testimony};
use crate::support::scene::{OBSERVE, into, out_of};
use crate::support::{Desk, enrol, key, place, sign, sign_with, unit};
use crate::{Case, Expected, refused};

fn signer(name: &str) -> SignerId {
    name.parse().unwrap()
}

/// An observation that the forwarder's first device makes of a unit that it holds.
fn observation(desk: &mut Desk) -> Event {
    let unit = desk.held("A");
    desk.draft("forwarder.dock1", &unit, OBSERVE)
}

/// The same, under this number and floor.
fn numbered(desk: &mut Desk, sequence: impl Fn(u64) -> u64, floor: u64) -> Event {
    let event = observation(desk);
    Event { sequence: sequence(event.sequence), floor, ..event }
}

/// Enrols `forwarder.extra` as `change` has it.
fn extra(desk: &mut Desk, change: impl Fn(&mut Action)) -> SignerId {
    let device = signer("forwarder.extra");
    let mut action = enrol(desk.network, &device, &[Kind::Register, Kind::Observe]);
    change(&mut action);
    let event = desk.event("forwarder", Subject::Signer(device.clone()), action);
    desk.submit(event).unwrap();
    device
}

/// Enrols `forwarder.extra` until a second from now, and answers what that is.
fn extra_for_a_second(desk: &mut Desk) -> Millis {
    let end = desk.time.plus(1_000);
    extra(desk, |action| match action {
        Action::Enrol { until, .. } => *until = Some(end),
        _ => unreachable!(),
    });
    end
}

/// Enrols `forwarder.extra` for putting units of these classes together, and for giving them away.
fn extra_packer(desk: &mut Desk, only: &[UnitClass]) -> SignerId {
    let limit = |action: &mut Action| match action {
        Action::Enrol { kinds, classes, .. } => {
            *kinds = KindSet::of(&[Kind::Aggregate, Kind::Disaggregate, Kind::Offer]);
            classes.extend(only);
        }
        _ => unreachable!(),
    };
    extra(desk, limit)
}

/// A unit of the forwarder's that is of another class than its own numbers.
fn pallet(desk: &mut Desk) -> UnitId {
    let pallet = UnitId::sscc("10614141234567890").unwrap();
    desk.put("forwarder.dock1", &pallet, Action::Register);
    pallet
}

/// A device that is enrolled for `only` puts a pallet into unit A; and the pallet.
fn packing(desk: &mut Desk, only: UnitClass) -> (Verified, UnitId) {
    extra_packer(desk, &[only]);
    let (outer, inner) = (desk.held("A"), pallet(desk));
    (desk.say("forwarder.extra", &outer, into(&[&inner])), inner)
}

pub(super) const SIGNERS: &[Case] = &[
    ("a device that is enrolled observes", |desk| (sign(observation(desk)), Expected::Accepted)),
    ("an event for another network is refused", |desk| {
        let event = Event { network: NetworkId(Digest::ZERO), ..observation(desk) };
        (sign(event), refused(Rejection::ForeignNetwork))
    }),
    ("a device that nobody enrolled is refused", |desk| {
        let unit = desk.held("A");
        let event = desk.say("forwarder.dock9", &unit, OBSERVE);
        let signer = signer("forwarder.dock9");
        (event, refused(Rejection::UnknownDevice { signer }))
    }),
    ("a key that is not the present one is refused", |desk| {
        let event = sign_with(observation(desk), &key("another"));
        let signer = signer("forwarder.dock1");
        (event, refused(Rejection::WrongKey { signer }))
    }),
    ("a kind that the enrolment does not name is refused", |desk| {
        extra(desk, |_| ());
        let event = desk.say("forwarder.extra", &unit("A"), crate::support::scene::EXCURSION);
        let (signer, kind) = (signer("forwarder.extra"), Kind::Excursion);
        (event, refused(Rejection::KindNotEnrolled { signer, kind }))
    }),
    ("a member's own key signs nothing about units", |desk| {
        let unit = desk.held("A");
        let event = desk.say("forwarder", &unit, OBSERVE);
        let (signer, kind) = (signer("forwarder"), Kind::Observe);
        (event, refused(Rejection::KindNotEnrolled { signer, kind }))
    }),
    ("a place that the enrolment does not name is refused", |desk| {
        let only_here = |action: &mut Action| match action {
            Action::Enrol { places, .. } => places.push(place(2)),
            _ => unreachable!(),
        };
        let signer = extra(desk, only_here);
        let event = desk.say("forwarder.extra", &unit("A"), Action::Register);
        (event, refused(Rejection::PlaceNotEnrolled { signer }))
    }),
    ("no place at all is not the one that the enrolment names", |desk| {
        let only_here = |action: &mut Action| match action {
            Action::Enrol { places, .. } => places.push(place(2)),
            _ => unreachable!(),
        };
        let signer = extra(desk, only_here);
        let unit = desk.held("A");
        let event = desk.say("forwarder.extra", &unit, OBSERVE);
        (event, refused(Rejection::PlaceNotEnrolled { signer }))
    }),
    ("a class of unit that the enrolment does not name is refused", |desk| {
        let only_pallets = |action: &mut Action| match action {
            Action::Enrol { classes, .. } => classes.push(UnitClass::Sscc),
            _ => unreachable!(),
        };
        let signer = extra(desk, only_pallets);
        let event = desk.say("forwarder.extra", &unit("A"), Action::Register);
        (event, refused(Rejection::ClassNotEnrolled { signer, unit: unit("A") }))
    }),
    ("the class of what goes into a unit counts as well", |desk| {
        let (event, inner) = packing(desk, UnitClass::Own);
        let signer = event.event().signer.clone();
        (event, refused(Rejection::ClassNotEnrolled { signer, unit: inner }))
    }),
    ("so does that of what it goes into", |desk| {
        let (event, _) = packing(desk, UnitClass::Sscc);
        let (signer, unit) = (event.event().signer.clone(), unit("A"));
        (event, refused(Rejection::ClassNotEnrolled { signer, unit }))
    }),
    ("who is enrolled for both classes puts one into the other", |desk| {
        extra_packer(desk, &[UnitClass::Sscc, UnitClass::Own]);
        let (outer, inner) = (desk.held("A"), pallet(desk));
        (desk.say("forwarder.extra", &outer, into(&[&inner])), Expected::Accepted)
    }),
    ("what comes out of a unit counts as well", |desk| {
        let signer = extra_packer(desk, &[UnitClass::Own]);
        let (outer, inner) = (desk.held("A"), pallet(desk));
        desk.put("forwarder.dock1", &outer, into(&[&inner]));
        let event = desk.say("forwarder.extra", &outer, out_of(&[&inner]));
        (event, refused(Rejection::ClassNotEnrolled { signer, unit: inner }))
    }),
    ("who is not enrolled for the class gives none away offline", |desk| {
        let signer = extra_packer(desk, &[UnitClass::Sscc]);
        let unit = desk.held("A");
        let basis = desk.unit(&unit).basis;
        let event = desk.offline("forwarder.extra", "handler.dock1", &unit, basis);
        (event, refused(Rejection::ClassNotEnrolled { signer, unit }))
    }),
    ("a number that was used is refused", |desk| {
        let event = numbered(desk, |next| next - 1, 0);
        let (signer, sequence) = (event.signer.clone(), event.sequence);
        (sign(event), refused(Rejection::SequenceUsed { signer, sequence }))
    }),
    ("the number 0 is refused", |desk| {
        let event = numbered(desk, |_| 0, 0);
        let signer = event.signer.clone();
        (sign(event), refused(Rejection::SequenceUsed { signer, sequence: 0 }))
    }),
    ("32 numbers may be missing", |desk| {
        (sign(numbered(desk, |next| next + 32, 0)), Expected::Accepted)
    }),
    ("a number that was left out may come later", |desk| {
        let later = observation(desk);
        desk.submit(Event { sequence: later.sequence + 3, ..later.clone() }).unwrap();
        (sign(later), Expected::Accepted)
    }),
    ("33 numbers may not be missing", |desk| {
        let event = numbered(desk, |next| next + 33, 0);
        let (signer, sequence, high) = (event.signer.clone(), event.sequence, event.sequence - 34);
        (sign(event), refused(Rejection::SequenceGap { signer, sequence, high }))
    }),
    ("the largest number there is leaves too many missing", |desk| {
        let event = numbered(desk, |_| u64::MAX, 0);
        let signer = event.signer.clone();
        let high = desk.signer(&signer).unwrap().sequence.high();
        (sign(event), refused(Rejection::SequenceGap { signer, sequence: u64::MAX, high }))
    }),
    ("a floor lets a device go on after a gap", |desk| {
        let event = observation(desk);
        let number = event.sequence - 1 + SEQUENCE_STEP_MAX;
        (sign(Event { sequence: number, floor: number, ..event }), Expected::Accepted)
    }),
    ("and not after any: one event does not use up all numbers", |desk| {
        let event = observation(desk);
        let (signer, high) = (event.signer.clone(), event.sequence - 1);
        let sequence = high + SEQUENCE_STEP_MAX + 1;
        let event = sign(Event { sequence, floor: sequence, ..event });
        (event, refused(Rejection::SequenceGap { signer, sequence, high }))
    }),
    ("a number that a floor closed is refused", |desk| {
        let later = observation(desk);
        let (signer, sequence) = (later.signer.clone(), later.sequence);
        let number = sequence + 3;
        desk.submit(Event { sequence: number, floor: number, ..later.clone() }).unwrap();
        (sign(later), refused(Rejection::SequenceUsed { signer, sequence }))
    }),
    ("a floor above the event's own number is refused", |desk| {
        let event = observation(desk);
        let (sequence, floor) = (event.sequence, event.sequence + 1);
        let refusal = Rejection::FloorAboveSequence { sequence, floor };
        (sign(Event { floor, ..event }), refused(refusal))
    }),
    ("a basis stands in offers only", |desk| {
        let event = observation(desk);
        let basis = Some(EventId(Digest::ZERO));
        let refusal = Rejection::BasisUnexpected { kind: Kind::Observe };
        (sign(Event { basis, ..event }), refused(refusal))
    }),
    ("a device is not observed", |desk| {
        let subject = Subject::Signer(signer("forwarder.dock2"));
        let event = Event { subject, ..observation(desk) };
        (sign(event), refused(Rejection::WrongSubject { kind: Kind::Observe }))
    }),
];

/// `by` enrols `device` with its own key, for the kinds given.
fn enrolment(desk: &Desk, by: &str, device: &str, kinds: &[Kind]) -> Verified {
    let device = signer(device);
    let action = enrol(desk.network, &device, kinds);
    sign(desk.event(by, Subject::Signer(device), action))
}

pub(super) const ENROLMENTS: &[Case] = &[
    ("a device with an end signs up to it", |desk| {
        desk.time = extra_for_a_second(desk);
        (desk.say("forwarder.extra", &unit("A"), Action::Register), Expected::Accepted)
    }),
    ("and is refused after it", |desk| {
        let until = extra_for_a_second(desk);
        desk.time = until.plus(1);
        let signer = signer("forwarder.extra");
        let event = desk.say("forwarder.extra", &unit("A"), Action::Register);
        (event, refused(Rejection::DeviceExpired { signer, until }))
    }),
    ("what it signed before is filed as testimony then", |desk| {
        desk.held("A");
        let said = desk.say("forwarder.extra", &unit("A"), OBSERVE);
        desk.time = extra_for_a_second(desk).plus(1);
        (testimony(desk, "forwarder", &said), Expected::Accepted)
    }),
    ("a device past its end can be revoked", |desk| {
        desk.time = extra_for_a_second(desk).plus(1);
        (revoke(desk, "forwarder", "forwarder.extra"), Expected::Accepted)
    }),
    ("an end that is past is refused", |desk| {
        let device = signer("forwarder.extra");
        let mut action = enrol(desk.network, &device, &[Kind::Observe]);
        let end = Millis(desk.time.0 - 1);
        if let Action::Enrol { until, .. } = &mut action {
            *until = Some(end);
        }
        let event = sign(desk.event("forwarder", Subject::Signer(device), action));
        (event, refused(Rejection::EndInPast { until: end }))
    }),
    ("a member enrols a device", |desk| {
        (enrolment(desk, "forwarder", "forwarder.new", &[Kind::Observe]), Expected::Accepted)
    }),
    ("a device that was enrolled signs at once", |desk| {
        let enrolment = enrolment(desk, "forwarder", "forwarder.new", &[Kind::Register]);
        desk.submit_verified(&enrolment).unwrap();
        (desk.say("forwarder.new", &unit("A"), Action::Register), Expected::Accepted)
    }),
    ("another member's device is refused", |desk| {
        let (device, signer) = (signer("airline.new"), signer("forwarder"));
        let event = enrolment(desk, "forwarder", "airline.new", &[Kind::Observe]);
        (event, refused(Rejection::ForeignDevice { device, signer }))
    }),
    ("a member is no device", |desk| {
        let name = signer("forwarder");
        let event = enrolment(desk, "forwarder", "forwarder", &[Kind::Observe]);
        let refusal = Rejection::ForeignDevice { device: name.clone(), signer: name };
        (event, refused(refusal))
    }),
    ("a device enrols none", |desk| {
        let signer = signer("forwarder.dock1");
        let event = enrolment(desk, "forwarder.dock1", "forwarder.new", &[Kind::Observe]);
        (event, refused(Rejection::KindNotEnrolled { signer, kind: Kind::Enrol }))
    }),
    ("a device that might enrol others is refused", |desk| {
        let event = enrolment(desk, "forwarder", "forwarder.new", Kind::ALL);
        let (signer, kind) = (signer("forwarder.new"), Kind::Enrol);
        (event, refused(Rejection::KindNotEnrolled { signer, kind }))
    }),
    ("a device is enrolled once", |desk| {
        let device = signer("forwarder.dock1");
        let event = enrolment(desk, "forwarder", "forwarder.dock1", &[Kind::Observe]);
        (event, refused(Rejection::DeviceKnown { device }))
    }),
    ("a device that did not show its key is refused", |desk| {
        // The proof of one device does for no other.
        let action = enrol(desk.network, &signer("forwarder.other"), &[Kind::Observe]);
        let device = signer("forwarder.new");
        let event = desk.event("forwarder", Subject::Signer(device.clone()), action);
        (sign(event), refused(Rejection::NoPossession { device }))
    }),
    ("nor does the proof for one network do for another", |desk| {
        let device = signer("forwarder.new");
        let action = enrol(NetworkId(Digest::ZERO), &device, &[Kind::Observe]);
        let event = desk.event("forwarder", Subject::Signer(device.clone()), action);
        (sign(event), refused(Rejection::NoPossession { device }))
    }),
    ("a unit is not enrolled", |desk| {
        let action = enrol(desk.network, &signer("forwarder.new"), &[Kind::Observe]);
        let event = desk.say("forwarder", &unit("A"), action);
        (event, refused(Rejection::WrongSubject { kind: Kind::Enrol }))
    }),
];

/// Registrations of `numbers`, one after the other by one device.
fn registrations(desk: &Desk, numbers: std::ops::Range<usize>) -> Vec<Verified> {
    let first = desk.draft("forwarder.dock1", &unit("A"), Action::Register);
    let register = |(n, number): (usize, usize)| {
        let subject = Subject::Unit(unit(&format!("N{number:05}")));
        sign(Event { subject, sequence: first.sequence + n as u64, ..first.clone() })
    };
    numbers.enumerate().map(register).collect()
}

#[test]
fn a_full_block_takes_no_more() {
    let desk = Desk::new();
    let events = registrations(&desk, 0..BLOCK_EVENTS_MAX + 1);
    let refusal = apply(&desk.entries, desk.context(), &events).unwrap_err();
    assert_eq!(refusal, (BLOCK_EVENTS_MAX, Rejection::BlockFull));
}

/// Aggregates of 100 units each: the block is full of map writes long before it is full of events.
#[test]
fn a_block_writes_no_more_entries_than_it_may() {
    let mut desk = Desk::new();
    let groups = BLOCK_MAP_WRITES_MAX / (CHILDREN_MAX + 1) + 1;
    let all = groups * (CHILDREN_MAX + 1);
    for from in (0..all).step_by(BLOCK_EVENTS_MAX) {
        let events = registrations(&desk, from..all.min(from + BLOCK_EVENTS_MAX));
        desk.submit_block(&events).unwrap();
    }
    let mut executor = Executor::new(&desk.entries, desk.context());
    let used = desk.signer(&signer("forwarder.dock1")).unwrap().sequence.high();
    let mut full = None;
    for (sequence, group) in (used + 1..).zip(0..groups) {
        let number = |n: usize| unit(&format!("N{:05}", group * (CHILDREN_MAX + 1) + n));
        let children: Vec<UnitId> = (1..=CHILDREN_MAX).map(number).collect();
        let action = into(&children.iter().collect::<Vec<_>>());
        let event = Event { sequence, ..desk.draft("forwarder.dock1", &number(0), action) };
        if let Err(refusal) = executor.push(&sign(event)) {
            full = Some((group, refusal));
            break;
        }
    }
    assert_eq!(full, Some((groups - 1, Rejection::BlockFull)));
    assert!(executor.finish().writes().len() <= BLOCK_MAP_WRITES_MAX);
}
