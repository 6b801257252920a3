//! Rows that end a history without a delivery, and the one that takes it up again.

use consign_ledger::errors::Rejection;
use consign_ledger::unit::{Closed, Custody};
use consign_types::event::{Action, Event, Kind, Reason, Verified};
use consign_types::unit::UnitId;

use crate::support::scene::{DAY_MS, HOLD, into};
use crate::support::{Desk, party, sign};
use crate::{Case, Expected, contested, held, not_custodian, refused};

fn lost(holder: &str) -> Action {
    Action::Lost { holder: party(holder), reason: Reason::Other }
}

fn destroyed(holder: &str) -> Action {
    Action::Destroyed { holder: party(holder), reason: Reason::Customs }
}

fn closed(why: Closed, by: &str, desk: &Desk) -> Expected {
    Expected::Custody(Custody::Closed { why, by: party(by), at: desk.time })
}

/// A unit of the forwarder that the airline held when customs gave it up.
fn lost_by_airline(desk: &mut Desk) -> UnitId {
    let (unit, _) = desk.handed_over("A");
    desk.put("customs.dock1", &unit, lost("airline"));
    unit
}

fn not_involved(unit: UnitId, event: Verified, signer: &str) -> (Verified, Expected) {
    (event, refused(Rejection::NotInvolved { unit, signer: party(signer) }))
}

pub(super) const ENDINGS: &[Case] = &[
    ("an owner that holds its unit says that it is lost", |desk| {
        let unit = desk.held("A");
        let event = desk.say("forwarder.dock1", &unit, lost("forwarder"));
        (event, closed(Closed::Lost, "forwarder", desk))
    }),
    ("or destroyed", |desk| {
        let unit = desk.held("A");
        let event = desk.say("forwarder.dock1", &unit, destroyed("forwarder"));
        (event, closed(Closed::Destroyed, "forwarder", desk))
    }),
    ("an authority says so alone, of whoever holds it", |desk| {
        let (unit, _) = desk.handed_over("A");
        let event = desk.say("customs.dock1", &unit, destroyed("airline"));
        (event, closed(Closed::Destroyed, "airline", desk))
    }),
    ("even of a unit that is on hold", |desk| {
        let unit = desk.held("A");
        desk.put("customs.dock1", &unit, HOLD);
        let event = desk.say("customs.dock1", &unit, destroyed("forwarder"));
        (event, closed(Closed::Destroyed, "forwarder", desk))
    }),
    ("but not of one that is contested", |desk| {
        let unit = desk.contested("A");
        let event = desk.say("customs.dock1", &unit, destroyed("forwarder"));
        (event, refused(Rejection::Contested { unit }))
    }),
    ("or offered", |desk| {
        let (unit, _) = desk.offered("A");
        let event = desk.say("customs.dock1", &unit, lost("forwarder"));
        (event, closed(Closed::Lost, "forwarder", desk))
    }),
    ("an owner that does not hold the unit has no say", |desk| {
        let (unit, _) = desk.handed_over("A");
        let event = desk.say("forwarder.dock1", &unit, destroyed("airline"));
        (event, not_custodian(&unit, "airline", "forwarder"))
    }),
    ("nor while its offer is open", |desk| {
        let (unit, offer) = desk.offered("A");
        let event = desk.say("forwarder.dock1", &unit, lost("forwarder"));
        (event, refused(Rejection::OfferOpen { unit, offer }))
    }),
    ("nor while the unit is contested", |desk| {
        let unit = desk.contested("A");
        let event = desk.say("forwarder.dock1", &unit, lost("forwarder"));
        (event, refused(Rejection::Contested { unit }))
    }),
    ("nobody is named who does not hold it", |desk| {
        let (unit, _) = desk.handed_over("A");
        let event = desk.say("customs.dock1", &unit, lost("forwarder"));
        (event, not_custodian(&unit, "airline", "forwarder"))
    }),
    ("what is inside of another is taken out first", |desk| {
        let (unit, parent) = desk.nested("A", "B");
        let event = desk.say("customs.dock1", &unit, destroyed("forwarder"));
        (event, refused(Rejection::Contained { unit, parent }))
    }),
    ("what is closed is not lost", |desk| {
        let unit = desk.delivered("A");
        let event = desk.say("customs.dock1", &unit, lost("forwarder"));
        (event, refused(Rejection::Closed { unit }))
    }),
    ("nor what is in something closed", |desk| {
        let (unit, outer) = desk.nested("A", "B");
        desk.put("forwarder.dock1", &outer, lost("forwarder"));
        let event = desk.say("customs.dock1", &unit, lost("forwarder"));
        (event, refused(Rejection::Closed { unit }))
    }),
    ("the last custodian finds it", |desk| {
        let unit = lost_by_airline(desk);
        (desk.say("airline.dock1", &unit, Action::Found), held("airline"))
    }),
    ("or the owner does", |desk| {
        let unit = lost_by_airline(desk);
        (desk.say("forwarder.dock1", &unit, Action::Found), held("forwarder"))
    }),
    ("and nobody else, not even an authority", |desk| {
        let unit = lost_by_airline(desk);
        let event = desk.say("customs.dock1", &unit, Action::Found);
        not_involved(unit, event, "customs")
    }),
    ("whoever finds it says where", |desk| {
        let unit = lost_by_airline(desk);
        let event = desk.draft("airline.dock1", &unit, Action::Found);
        let refusal = Rejection::PlaceMissing { kind: Kind::Found };
        (sign(Event { place: None, ..event }), refused(refusal))
    }),
    ("what is held is not found", |desk| {
        let unit = desk.held("A");
        let event = desk.say("forwarder.dock1", &unit, Action::Found);
        (event, refused(Rejection::NotLost { unit }))
    }),
    ("nor what was destroyed", |desk| {
        let unit = desk.held("A");
        desk.put("forwarder.dock1", &unit, destroyed("forwarder"));
        let event = desk.say("forwarder.dock1", &unit, Action::Found);
        (event, refused(Rejection::NotLost { unit }))
    }),
    ("nor what was delivered", |desk| {
        let unit = desk.delivered("A");
        let event = desk.say("forwarder.dock1", &unit, Action::Found);
        (event, refused(Rejection::NotLost { unit }))
    }),
    ("what was lost goes nowhere before it is found", |desk| {
        let (unit, outer) = (lost_by_airline(desk), desk.held_by("airline.dock1", "B"));
        let event = desk.say("airline.dock1", &outer, into(&[&unit]));
        (event, refused(Rejection::Closed { unit }))
    }),
    ("a hold outlives the loss", |desk| {
        let unit = desk.held("A");
        desk.put("customs.dock1", &unit, HOLD);
        desk.put("forwarder.dock1", &unit, lost("forwarder"));
        desk.put("forwarder.dock1", &unit, Action::Found);
        let event = sign(desk.offer("forwarder.dock1", &unit, "airline"));
        (event, refused(Rejection::OnHold { unit }))
    }),
    ("to be found is a new basis: one made before the loss contests it", |desk| {
        let (unit, _) = desk.handed_over("A");
        let basis = desk.unit(&unit).basis;
        desk.put("customs.dock1", &unit, lost("airline"));
        desk.time = desk.time.plus(DAY_MS);
        desk.put("forwarder.dock1", &unit, Action::Found);
        let event = desk.offline("airline.dock1", "handler.dock1", &unit, basis);
        (event, contested("forwarder", "handler"))
    }),
];
