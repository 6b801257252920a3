//! Rows that move units through space. Custody does not move with them.

use consign_ledger::errors::Rejection;
use consign_ledger::unit::{Counters, Journey};
use consign_types::event::{Action, Event, Kind};
use consign_types::unit::UnitId;

use crate::support::scene::label;
use crate::support::{Desk, place, sign};
use crate::{Case, held, not_custodian, refused};

const SIGNER: &str = "forwarder.dock1";

fn load(on: &str) -> Action {
    Action::Load { conveyance: label(on) }
}

fn unload(from: &str) -> Action {
    Action::Unload { conveyance: label(from) }
}

fn depart(by: Option<&str>) -> Action {
    Action::Depart { conveyance: by.map(label) }
}

fn loaded(desk: &mut Desk) -> UnitId {
    let unit = desk.held("A");
    desk.put(SIGNER, &unit, load("LX1612"));
    unit
}

fn moving(desk: &mut Desk) -> UnitId {
    let unit = desk.held("A");
    desk.put(SIGNER, &unit, depart(None));
    unit
}

pub(super) const JOURNEYS: &[Case] = &[
    ("load", |desk| {
        let unit = desk.held("A");
        (desk.say(SIGNER, &unit, load("LX1612")), held("forwarder"))
    }),
    ("what is loaded is not loaded again", |desk| {
        let unit = loaded(desk);
        let event = desk.say(SIGNER, &unit, load("LX1612"));
        (event, refused(Rejection::WrongConveyance { unit }))
    }),
    ("nothing is loaded on the way", |desk| {
        let unit = moving(desk);
        (desk.say(SIGNER, &unit, load("LX1612")), refused(Rejection::Moving { unit }))
    }),
    ("unload", |desk| {
        let unit = loaded(desk);
        (desk.say(SIGNER, &unit, unload("LX1612")), held("forwarder"))
    }),
    ("not from another conveyance", |desk| {
        let unit = loaded(desk);
        let event = desk.say(SIGNER, &unit, unload("LX1613"));
        (event, refused(Rejection::WrongConveyance { unit }))
    }),
    ("not what is on none", |desk| {
        let unit = desk.held("A");
        let event = desk.say(SIGNER, &unit, unload("LX1612"));
        (event, refused(Rejection::WrongConveyance { unit }))
    }),
    ("not on the way", |desk| {
        let unit = moving(desk);
        (desk.say(SIGNER, &unit, unload("LX1612")), refused(Rejection::Moving { unit }))
    }),
    ("depart", |desk| {
        let unit = desk.held("A");
        (desk.say(SIGNER, &unit, depart(Some("truck-7"))), held("forwarder"))
    }),
    ("depart with what it is loaded on", |desk| {
        let unit = loaded(desk);
        (desk.say(SIGNER, &unit, depart(Some("LX1612"))), held("forwarder"))
    }),
    ("not with another", |desk| {
        let unit = loaded(desk);
        let event = desk.say(SIGNER, &unit, depart(Some("LX1613")));
        (event, refused(Rejection::WrongConveyance { unit }))
    }),
    ("from another place: counted, never refused", |desk| {
        let unit = desk.held("A");
        let event = desk.draft(SIGNER, &unit, depart(None));
        (sign(Event { place: Some(place(2)), ..event }), held("forwarder"))
    }),
    ("a departure says from where", |desk| {
        let unit = desk.held("A");
        let event = desk.draft(SIGNER, &unit, depart(None));
        let refusal = Rejection::PlaceMissing { kind: Kind::Depart };
        (sign(Event { place: None, ..event }), refused(refusal))
    }),
    ("what is on its way does not depart", |desk| {
        let unit = moving(desk);
        (desk.say(SIGNER, &unit, depart(None)), refused(Rejection::Moving { unit }))
    }),
    ("arrive", |desk| {
        let unit = moving(desk);
        (desk.say(SIGNER, &unit, Action::Arrive), held("forwarder"))
    }),
    ("an arrival says where", |desk| {
        let unit = moving(desk);
        let event = desk.draft(SIGNER, &unit, Action::Arrive);
        let refusal = Rejection::PlaceMissing { kind: Kind::Arrive };
        (sign(Event { place: None, ..event }), refused(refusal))
    }),
    ("what is at a place does not arrive", |desk| {
        let unit = desk.held("A");
        let event = desk.say(SIGNER, &unit, Action::Arrive);
        (event, refused(Rejection::NotMoving { unit, at: place(1) }))
    }),
    ("what is inside of another does not move by itself", |desk| {
        let (unit, parent) = desk.nested("A", "B");
        let event = desk.say(SIGNER, &unit, depart(None));
        (event, refused(Rejection::Contained { unit, parent }))
    }),
    ("only the custodian moves it", |desk| {
        let unit = desk.held("A");
        let event = desk.say("airline.dock1", &unit, depart(None));
        (event, not_custodian(&unit, "forwarder", "airline"))
    }),
    ("a closed unit does not move", |desk| {
        let unit = desk.delivered("A");
        (desk.say(SIGNER, &unit, depart(None)), refused(Rejection::Closed { unit }))
    }),
    ("a contested unit does not move", |desk| {
        let unit = desk.contested("A");
        (desk.say(SIGNER, &unit, depart(None)), refused(Rejection::Contested { unit }))
    }),
];

#[test]
fn what_was_loaded_is_still_aboard_where_it_arrives() {
    let mut desk = Desk::new();
    let unit = loaded(&mut desk);
    desk.put(SIGNER, &unit, depart(None));
    let conveyance = Some(label("LX1612"));
    assert_eq!(desk.unit(&unit).journey, Journey::Moving { conveyance, loaded: true });
    desk.put(SIGNER, &unit, Action::Arrive);
    let aboard = Some(label("LX1612"));
    assert_eq!(desk.unit(&unit).journey, Journey::At { place: place(1), aboard });
}

#[test]
fn a_conveyance_that_is_only_named_is_left_on_arrival() {
    let mut desk = Desk::new();
    let unit = desk.held("A");
    desk.put(SIGNER, &unit, depart(Some("truck-7")));
    desk.put(SIGNER, &unit, Action::Arrive);
    assert_eq!(desk.unit(&unit).journey, Journey::At { place: place(1), aboard: None });
}

#[test]
fn a_departure_from_elsewhere_is_one_discontinuity() {
    let mut desk = Desk::new();
    let unit = desk.held("A");
    let event = desk.draft(SIGNER, &unit, depart(None));
    desk.submit(Event { place: Some(place(2)), ..event }).unwrap();
    desk.put(SIGNER, &unit, Action::Arrive);
    desk.put(SIGNER, &unit, depart(None));
    let counters = Counters { discontinuities: 1, ..Counters::default() };
    assert_eq!(desk.unit(&unit).counters, counters);
}
