//! Rows that put units into others and take them out.

use consign_ledger::errors::Rejection;
use consign_ledger::unit::Counters;
use consign_types::event::{Action, Event};
use consign_types::limits::DEPTH_MAX;
use consign_types::unit::UnitId;

use crate::support::scene::{DELIVER, EXCURSION, HOLD, into, out_of, seals};
use crate::support::{Desk, party, place, sign, unit};
use crate::{Case, Expected, held, not_custodian, refused};

const SIGNER: &str = "forwarder.dock1";

fn depart() -> Action {
    Action::Depart { conveyance: None }
}

/// Units each inside of the next, the outermost one last.
fn chain(desk: &mut Desk, count: usize) -> Vec<UnitId> {
    let units: Vec<UnitId> = (0..count).map(|n| desk.held(&format!("C{n}"))).collect();
    for pair in units.windows(2) {
        desk.put(SIGNER, &pair[1], into(&[&pair[0]]));
    }
    units
}

pub(super) const CONTAINMENT: &[Case] = &[
    ("a custodian puts its units together", |desk| {
        let (a, b, c) = (desk.held("A"), desk.held("B"), desk.held("C"));
        (desk.say(SIGNER, &c, into(&[&a, &b])), held("forwarder"))
    }),
    ("6 units around one", |desk| {
        let units = chain(desk, DEPTH_MAX);
        let last = desk.held("LAST");
        (desk.say(SIGNER, &last, into(&[units.last().unwrap()])), Expected::Accepted)
    }),
    ("and no 7th", |desk| {
        let units = chain(desk, DEPTH_MAX + 1);
        let (last, top) = (desk.held("LAST"), units.last().unwrap());
        let refusal = Rejection::TooDeep { unit: top.clone() };
        (desk.say(SIGNER, &last, into(&[top])), refused(refusal))
    }),
    ("nor from below", |desk| {
        let units = chain(desk, DEPTH_MAX + 1);
        let last = desk.held("LAST");
        let event = desk.say(SIGNER, &units[0], into(&[&last]));
        (event, refused(Rejection::TooDeep { unit: last }))
    }),
    ("a unit is not in itself", |desk| {
        let unit = desk.held("A");
        let event = desk.say(SIGNER, &unit, into(&[&unit]));
        (event, refused(Rejection::Cycle { unit }))
    }),
    ("nor in what it holds", |desk| {
        let units = chain(desk, 3);
        let event = desk.say(SIGNER, &units[0], into(&[&units[2]]));
        (event, refused(Rejection::Cycle { unit: units[2].clone() }))
    }),
    ("what is inside of another does not enter", |desk| {
        let (unit, parent) = desk.nested("A", "B");
        let other = desk.held("C");
        let event = desk.say(SIGNER, &other, into(&[&unit]));
        (event, refused(Rejection::Contained { unit, parent }))
    }),
    ("what another party holds does not enter", |desk| {
        let (foreign, unit) = (desk.held_by("airline.dock1", "A"), desk.held("B"));
        let event = desk.say(SIGNER, &unit, into(&[&foreign]));
        (event, not_custodian(&foreign, "airline", "forwarder"))
    }),
    ("what is offered does not enter", |desk| {
        let (offered, offer) = desk.offered("A");
        let unit = desk.held("B");
        let event = desk.say(SIGNER, &unit, into(&[&offered]));
        (event, refused(Rejection::OfferOpen { unit: offered, offer }))
    }),
    ("nothing enters what is offered", |desk| {
        let (offered, offer) = desk.offered("A");
        let unit = desk.held("B");
        let event = desk.say(SIGNER, &offered, into(&[&unit]));
        (event, refused(Rejection::OfferOpen { unit: offered, offer }))
    }),
    ("nothing enters what is inside of what is offered", |desk| {
        let (inner, outer) = desk.nested("A", "B");
        let offer = desk.submit(desk.offer(SIGNER, &outer, "airline")).unwrap();
        let unit = desk.held("C");
        let event = desk.say(SIGNER, &inner, into(&[&unit]));
        (event, refused(Rejection::OfferOpen { unit: inner, offer }))
    }),
    ("nothing enters what another party holds", |desk| {
        let (foreign, unit) = (desk.held_by("airline.dock1", "A"), desk.held("B"));
        let event = desk.say(SIGNER, &foreign, into(&[&unit]));
        (event, not_custodian(&foreign, "airline", "forwarder"))
    }),
    ("nothing enters what is sealed", |desk| {
        let (unit, sealed) = (desk.held("A"), desk.held("B"));
        desk.put(SIGNER, &sealed, seals(&["S1"]));
        let event = desk.say(SIGNER, &sealed, into(&[&unit]));
        (event, refused(Rejection::Sealed { unit: sealed }))
    }),
    ("nor what is inside of it", |desk| {
        let (inner, sealed) = desk.nested("A", "B");
        desk.put(SIGNER, &sealed, seals(&["S1"]));
        let unit = desk.held("C");
        let event = desk.say(SIGNER, &inner, into(&[&unit]));
        (event, refused(Rejection::Sealed { unit: sealed }))
    }),
    ("what is sealed itself may enter", |desk| {
        let (sealed, unit) = (desk.held("A"), desk.held("B"));
        desk.put(SIGNER, &sealed, seals(&["S1"]));
        (desk.say(SIGNER, &unit, into(&[&sealed])), Expected::Accepted)
    }),
    ("nothing enters what is on hold", |desk| {
        let (unit, stopped) = (desk.held("A"), desk.held("B"));
        desk.put("customs.dock1", &stopped, HOLD);
        let event = desk.say(SIGNER, &stopped, into(&[&unit]));
        (event, refused(Rejection::OnHold { unit: stopped }))
    }),
    ("nor what is inside of it", |desk| {
        let (inner, stopped) = desk.nested("A", "B");
        desk.put("customs.dock1", &stopped, HOLD);
        let unit = desk.held("C");
        let event = desk.say(SIGNER, &inner, into(&[&unit]));
        (event, refused(Rejection::OnHold { unit: stopped }))
    }),
    ("what is elsewhere does not enter", |desk| {
        let unit = desk.held("B");
        let there = unit_at(desk, "A", 2);
        let event = desk.say(SIGNER, &unit, into(&[&there]));
        (event, refused(Rejection::ElsewherePlace { unit: there }))
    }),
    ("nothing enters on the way", |desk| {
        let (unit, moving) = (desk.held("A"), desk.held("B"));
        desk.put(SIGNER, &moving, depart());
        let event = desk.say(SIGNER, &moving, into(&[&unit]));
        (event, refused(Rejection::Moving { unit: moving }))
    }),
    ("what is on its way does not enter", |desk| {
        let (moving, unit) = (desk.held("A"), desk.held("B"));
        desk.put(SIGNER, &moving, depart());
        let event = desk.say(SIGNER, &unit, into(&[&moving]));
        (event, refused(Rejection::Moving { unit: moving }))
    }),
    ("an unknown unit does not enter", |desk| {
        let known = desk.held("A");
        let event = desk.say(SIGNER, &known, into(&[&unit("B")]));
        (event, refused(Rejection::UnknownUnit { unit: unit("B") }))
    }),
    ("a contested unit does not enter", |desk| {
        let (contested, unit) = (desk.contested("A"), desk.held("B"));
        let event = desk.say(SIGNER, &unit, into(&[&contested]));
        (event, refused(Rejection::Contested { unit: contested }))
    }),
    ("what went in comes out", |desk| {
        let (inner, outer) = desk.nested("A", "B");
        (desk.say(SIGNER, &outer, out_of(&[&inner])), held("forwarder"))
    }),
    ("also on the way", |desk| {
        let (inner, outer) = desk.nested("A", "B");
        desk.put(SIGNER, &outer, depart());
        (desk.say(SIGNER, &outer, out_of(&[&inner])), held("forwarder"))
    }),
    ("what is not in it does not", |desk| {
        let (unit, parent) = (desk.held("A"), desk.held("B"));
        let event = desk.say(SIGNER, &parent, out_of(&[&unit]));
        (event, refused(Rejection::NotInside { unit, parent }))
    }),
    ("nor what is deeper in it", |desk| {
        let units = chain(desk, 3);
        let event = desk.say(SIGNER, &units[2], out_of(&[&units[0]]));
        let (unit, parent) = (units[0].clone(), units[2].clone());
        (event, refused(Rejection::NotInside { unit, parent }))
    }),
    ("nothing comes out of what is sealed", |desk| {
        let (inner, outer) = desk.nested("A", "B");
        desk.put(SIGNER, &outer, seals(&["S1"]));
        let event = desk.say(SIGNER, &outer, out_of(&[&inner]));
        (event, refused(Rejection::Sealed { unit: outer }))
    }),
    ("nor of what is inside of it", |desk| {
        let units = chain(desk, 3);
        desk.put(SIGNER, &units[2], seals(&["S1"]));
        let event = desk.say(SIGNER, &units[1], out_of(&[&units[0]]));
        (event, refused(Rejection::Sealed { unit: units[2].clone() }))
    }),
    ("nothing comes out of what is on hold", |desk| {
        let (inner, outer) = desk.nested("A", "B");
        desk.put("customs.dock1", &outer, HOLD);
        let event = desk.say(SIGNER, &outer, out_of(&[&inner]));
        (event, refused(Rejection::OnHold { unit: outer }))
    }),
    ("what is on hold itself may come out", |desk| {
        let (inner, outer) = desk.nested("A", "B");
        desk.put("customs.dock1", &inner, HOLD);
        (desk.say(SIGNER, &outer, out_of(&[&inner])), Expected::Accepted)
    }),
    ("nobody else takes it out", |desk| {
        let (inner, outer) = desk.nested("A", "B");
        let event = desk.say("airline.dock1", &outer, out_of(&[&inner]));
        (event, not_custodian(&outer, "forwarder", "airline"))
    }),
    ("nothing comes out of what was delivered", |desk| {
        let (inner, outer) = desk.nested("A", "B");
        desk.put(SIGNER, &outer, DELIVER);
        let event = desk.say(SIGNER, &outer, out_of(&[&inner]));
        (event, refused(Rejection::Closed { unit: outer }))
    }),
];

fn unit_at(desk: &mut Desk, number: &str, at: u32) -> UnitId {
    let unit = unit(number);
    let event = desk.draft(SIGNER, &unit, Action::Register);
    desk.submit(Event { place: Some(place(at)), ..event }).unwrap();
    unit
}

/// An excursion that is open in the container counts on entering; one that begins inside counts too; one
/// that comes after does not.
#[test]
fn an_excursion_reaches_what_was_in_the_container_and_nothing_else() {
    let mut desk = Desk::new();
    let (early, late, trailer) = (desk.held("A"), desk.held("B"), desk.held("T"));
    desk.put(SIGNER, &trailer, EXCURSION);
    desk.put(SIGNER, &trailer, into(&[&early]));
    desk.put(SIGNER, &trailer, EXCURSION);
    desk.put(SIGNER, &trailer, out_of(&[&early]));
    let state = desk.unit(&early);
    assert_eq!(state.counters, Counters { excursions: 2, ..Counters::default() });
    assert!(state.excursion_open, "what is open is copied");
    let verdict = consign_types::event::Verdict::Damaged;
    desk.put("customs.dock1", &trailer, Action::CloseExcursion { verdict });
    desk.put(SIGNER, &trailer, into(&[&late]));
    desk.put(SIGNER, &trailer, out_of(&[&late]));
    let state = desk.unit(&late);
    assert_eq!(state.counters, Counters::default());
    assert!(
        state.damaged,
        "what came out of a damaged trailer is damaged: the union over all around"
    );
    assert!(!state.excursion_open);
}

/// What reached the container through the trailer before the unit came is no matter of the unit's, but
/// for what is still open.
#[test]
fn what_happened_around_a_container_before_does_not_count_twice() {
    let mut desk = Desk::new();
    let (container, trailer) = desk.nested("C", "T");
    desk.put(SIGNER, &trailer, EXCURSION);
    let unit = desk.held("A");
    desk.put(SIGNER, &container, into(&[&unit]));
    desk.put(SIGNER, &container, out_of(&[&unit]));
    let once = Counters { excursions: 1, ..Counters::default() };
    assert_eq!(desk.unit(&unit).counters, once);
}

#[test]
fn a_unit_on_hold_stops_what_it_goes_into_until_its_release() {
    let mut desk = Desk::new();
    let (unit, container) = (desk.held("A"), desk.held("C"));
    let hold = desk.put("customs.dock1", &unit, HOLD);
    desk.put(SIGNER, &container, into(&[&unit]));
    assert_eq!(desk.unit(&container).blocked_inside, 1);
    desk.put("customs.dock1", &unit, Action::Release { hold });
    assert_eq!(desk.unit(&container).blocked_inside, 0);
}

#[test]
fn what_comes_out_is_held_by_whoever_holds_the_outermost_unit_then() {
    let mut desk = Desk::new();
    let (inner, outer) = desk.nested("A", "B");
    let offer = desk.submit(desk.offer(SIGNER, &outer, "airline")).unwrap();
    desk.put("airline.dock1", &outer, crate::support::scene::accept(offer));
    let event = sign(desk.draft("airline.dock1", &outer, out_of(&[&inner])));
    let basis = desk.submit_verified(&event).unwrap();
    let state = desk.unit(&inner);
    assert_eq!(state.holder(), &party("airline"));
    assert_eq!((state.basis, state.spent.unwrap().holder), (basis, party("forwarder")));
}
