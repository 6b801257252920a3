//! Devices that use one number twice.

use consign_ledger::evidence::{Anchor, Believed, Case, Evidence, Part, Why, same_number};
use consign_types::event::{Event, SignedEvent};
use consign_types::unit::UnitId;
use proptest::prelude::*;

use super::support::node::Node;
use super::support::scene::{EXCEPTION, OBSERVE, accept, into};
use super::support::{Desk, key, sign, sign_with};
use super::{SIGNER, desk, named, refused, trust};

pub fn anchor(desk: &Desk, signer: &str) -> Anchor {
    Anchor::of(&Node::of(desk), &signer.parse().unwrap()).unwrap().unwrap()
}

pub fn made(anchor: &Anchor, one: &SignedEvent, other: &SignedEvent) -> Option<Evidence> {
    same_number(Believed::from(&trust()), &[], anchor, one, other)
}

fn numbered(event: Event, sequence: u64) -> SignedEvent {
    sign(Event { sequence, ..event }).into_signed()
}

fn scene() -> (Desk, UnitId, Anchor) {
    let mut desk = desk();
    let unit = desk.held("A");
    let anchor = anchor(&desk, SIGNER);
    (desk, unit, anchor)
}

pub fn example(signer: &str) -> Evidence {
    let mut desk = desk();
    let unit = desk.held_by(signer, "A");
    let anchor = anchor(&desk, signer);
    let one = numbered(desk.draft(signer, &unit, OBSERVE), 7);
    let other = numbered(desk.draft(signer, &unit, EXCEPTION), 7);
    made(&anchor, &one, &other).unwrap()
}

#[test]
fn two_events_under_one_number_name_the_device() {
    let said = "forwarder.dock1 signed two events under its number 7";
    assert_eq!(named(&example(SIGNER)), [said]);
}

#[test]
fn events_inside_of_a_handover_count() {
    let (desk, unit, anchor) = scene();
    let basis = desk.unit(&unit).basis;
    let handover = desk.offline(SIGNER, "handler.dock1", &unit, basis);
    // Its offer has the number that this one has.
    let other = desk.say(SIGNER, &unit, OBSERVE).into_signed();
    let evidence = made(&anchor, handover.signed(), &other).unwrap();
    assert_eq!(evidence, made(&anchor, &other, handover.signed()).unwrap());
    let number = other.event().sequence;
    let said = format!("forwarder.dock1 signed two events under its number {number}");
    assert_eq!(named(&evidence), [said]);
    // The device that carries it is not the one that is named.
    let carrier = super::device::anchor(&desk, "handler.dock1");
    assert_eq!(made(&carrier, handover.signed(), &other), None);
}

#[test]
fn a_member_key_that_uses_a_number_twice_is_named_too() {
    let desk = desk();
    let anchor = anchor(&desk, "forwarder");
    let device = "forwarder.dock9".parse().unwrap();
    let enrol = |kinds: &[_]| {
        let action = super::support::enrol(desk.network, &device, kinds);
        let subject = consign_types::event::Subject::Signer(device.clone());
        sign(desk.event("forwarder", subject, action)).into_signed()
    };
    let evidence = made(&anchor, &enrol(&[]), &enrol(&[consign_types::event::Kind::Observe]));
    assert_eq!(named(&evidence.unwrap()), ["forwarder signed two events under its number 3"]);
}

/// What a device may do: say the same again, use each number once, and share numbers with others.
#[test]
fn honest_devices_are_never_named() {
    let (desk, unit, anchor) = scene();
    let draft = desk.draft(SIGNER, &unit, OBSERVE);
    let one = numbered(draft.clone(), 7);
    assert_eq!(made(&anchor, &one, &one), None, "the same bytes again");
    assert_eq!(made(&anchor, &one, &numbered(draft.clone(), 8)), None, "the next number");
    let other = numbered(desk.draft("forwarder.dock2", &unit, EXCEPTION), 7);
    assert_eq!(made(&anchor, &one, &other), None, "another device");
    // Under another key, before or after a change of it, or by somebody who only says that name.
    let event = Event { sequence: 7, ..desk.draft(SIGNER, &unit, EXCEPTION) };
    let forged = sign_with(event.clone(), &key("somebody")).into_signed();
    assert_eq!(made(&anchor, &one, &forged), None, "another key");
    // For another network the device counts anew.
    let elsewhere = Event { network: Default::default(), ..event };
    assert_eq!(made(&anchor, &one, &sign(elsewhere).into_signed()), None, "another network");
}

/// Two handovers of honest devices share nothing but what they share.
#[test]
fn one_acceptance_in_two_handovers_is_one_event() {
    let (desk, unit, anchor) = scene();
    let offer = desk.offer(SIGNER, &unit, "handler");
    let carried = desk.carried("handler.dock1", offer, accept);
    let (offer, acceptance) = carried.inner().unwrap();
    let action = consign_types::event::Action::Handover {
        offer: offer.into_signed().into(),
        acceptance: acceptance.into_signed().into(),
    };
    let again = desk.say("handler.dock2", &unit, action).into_signed();
    for name in [SIGNER, "handler.dock1", "handler.dock2"] {
        let anchor = super::device::anchor(&desk, name);
        assert_eq!(made(&anchor, carried.signed(), &again), None, "{name}");
    }
    assert_eq!(made(&anchor, carried.signed(), carried.signed()), None);
}

#[test]
fn a_key_that_is_not_proven_names_nobody() {
    let Evidence { case, .. } = example(SIGNER);
    let Case::SameNumber { anchor, first, second } = case else { panic!("another kind") };
    let other = anchor_of_another();
    let with = |anchor| {
        let (first, second) = (first.clone(), second.clone());
        Evidence { case: Case::SameNumber { anchor, first, second }, ..example(SIGNER) }
    };
    let bad = refused(&with(other));
    assert_eq!((bad.part, bad.why), (Part::Entry, Why::OtherEntry));
    let mut changed = anchor.clone();
    changed.entry.value[20] ^= 1;
    assert_eq!(refused(&with(changed)).part, Part::Entry);
    // Two of four validators are no quorum.
    let mut few = anchor;
    let lines: Vec<&str> = few.checkpoint.lines().collect();
    few.checkpoint = format!("{}\n", lines[..6].join("\n"));
    assert_eq!(refused(&with(few)).part, Part::Checkpoint);
}

fn anchor_of_another() -> Anchor {
    let mut desk = desk();
    let (inner, outer) = (desk.held("A"), desk.held("B"));
    desk.put(SIGNER, &outer, into(&[&inner]));
    anchor(&desk, "airline.dock1")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Devices that number their events, alone and in handovers, sent again and in any order.
    #[test]
    fn no_pair_of_events_of_honest_devices_is_evidence(
        said in proptest::collection::vec((0_usize..4, 0_usize..3, 0_u64..5), 2..8),
    ) {
        const DEVICES: [&str; 4] =
            [SIGNER, "forwarder.dock2", "handler.dock1", "airline.dock1"];
        let mut desk = desk();
        let unit = desk.held("A");
        let anchors = DEVICES.map(|name| anchor(&desk, name));
        let mut next = [10_u64; 4];
        let mut events: Vec<SignedEvent> = Vec::new();
        for (device, what, skipped) in said {
            let name = DEVICES[device];
            next[device] += 1 + skipped;
            let mut event = match what {
                0 => desk.draft(name, &unit, OBSERVE),
                1 => desk.draft(name, &unit, EXCEPTION),
                _ => desk.offer(name, &unit, "customs"),
            };
            event.sequence = next[device];
            events.push(sign(event).into_signed());
        }
        for anchor in &anchors {
            for one in &events {
                for other in &events {
                    prop_assert_eq!(made(anchor, one, other), None);
                }
            }
        }
    }
}
