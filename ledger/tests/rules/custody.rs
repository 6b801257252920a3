//! Rows that begin, move and end custody.

use consign_ledger::errors::Rejection;
use consign_ledger::unit::Custody;
use consign_types::digest::Digest;
use consign_types::event::{
    Action, Condition, DeliveryFactor, Event, ExceptionCode, FactorSet, Kind, Reason, Window,
};
use consign_types::governance::Motion;
use consign_types::time::Millis;
use consign_types::unit::UnitId;

use crate::support::council::{decided, expel, motion};
use crate::support::scene::{
    ATTEMPT, DAY_MS, DELIVER, HOLD, NOBODY, RETURN, accept, into, label, seals,
};
use crate::support::{Desk, party, sign, unit};
use crate::{Case, Expected, delivered, held, not_custodian, refused};

fn book(receiver: &str, factors: &[DeliveryFactor]) -> Action {
    let window = Window { from: Millis(1), to: Millis(2) };
    Action::Book { receiver: party(receiver), window, factors: FactorSet::of(factors) }
}

pub(super) const BEGIN: &[Case] = &[
    ("a unit is held by whoever registers it", |desk| {
        (desk.say("forwarder.dock1", &unit("A"), Action::Register), held("forwarder"))
    }),
    ("a number is registered once", |desk| {
        let unit = desk.held("A");
        let event = desk.say("airline.dock1", &unit, Action::Register);
        (event, refused(Rejection::UnitKnown { unit }))
    }),
    ("another member's own number is not registered", |desk| {
        let (unit, signer) = (unit("A"), party("airline"));
        let event = desk.say("airline.dock1", &unit, Action::Register);
        (event, refused(Rejection::ForeignNumber { unit, signer }))
    }),
    ("nor that of one whose name only begins alike", |desk| {
        let unit: UnitId = "trk/forwarders/A".parse().unwrap();
        let event = desk.say("forwarder.dock1", &unit, Action::Register);
        (event, refused(Rejection::ForeignNumber { unit, signer: party("forwarder") }))
    }),
    ("a number that is nobody's own is registered by anybody", |desk| {
        let unit = UnitId::sscc("10614141234567890").unwrap();
        (desk.say("airline.dock1", &unit, Action::Register), held("airline"))
    }),
    ("a registration says where", |desk| {
        let event = desk.draft("forwarder.dock1", &unit("A"), Action::Register);
        let refusal = Rejection::PlaceMissing { kind: Kind::Register };
        (sign(Event { place: None, ..event }), refused(refusal))
    }),
    ("the owner books while it holds the unit", |desk| {
        let unit = desk.held("A");
        (desk.say("forwarder.dock1", &unit, book("handler", &[])), held("forwarder"))
    }),
    ("an unknown unit is not booked", |desk| {
        let event = desk.say("forwarder.dock1", &unit("A"), book("handler", &[]));
        (event, refused(Rejection::UnknownUnit { unit: unit("A") }))
    }),
    ("only the owner books", |desk| {
        let (unit, _) = desk.handed_over("A");
        let event = desk.say("airline.dock1", &unit, book("handler", &[]));
        let (owner, signer) = (party("forwarder"), party("airline"));
        (event, refused(Rejection::NotOwner { unit, owner, signer }))
    }),
    ("the owner does not book what it handed over", |desk| {
        let (unit, _) = desk.handed_over("A");
        let event = desk.say("forwarder.dock1", &unit, book("handler", &[]));
        (event, not_custodian(&unit, "airline", "forwarder"))
    }),
    ("the owner does not book while an offer is open", |desk| {
        let (unit, offer) = desk.offered("A");
        let event = desk.say("forwarder.dock1", &unit, book("handler", &[]));
        (event, refused(Rejection::OfferOpen { unit, offer }))
    }),
    ("a booking for a stranger is refused", |desk| {
        let unit = desk.held("A");
        let event = desk.say("forwarder.dock1", &unit, book("stranger", &[]));
        (event, refused(Rejection::UnknownParty { party: party("stranger") }))
    }),
    ("and so is one for who was expelled", |desk| {
        let unit = desk.held("A");
        decided(desk, Motion { few: true, ..motion(expel("handler")) });
        let event = desk.say("forwarder.dock1", &unit, book("handler", &[]));
        (event, refused(Rejection::NotMember { party: party("handler") }))
    }),
];

/// The forwarder's offer of a unit that it holds, changed.
fn offer(desk: &Desk, number: &str, change: impl Fn(&mut Event)) -> Event {
    let mut event = desk.offer("forwarder.dock1", &unit(number), "airline");
    change(&mut event);
    event
}

fn with_until(event: &mut Event, end: Millis) {
    if let Action::Offer { until, .. } = &mut event.action {
        *until = end;
    }
}

fn acceptance(
    offer: consign_types::digest::EventId,
    found: &[&str],
    exceptions: &[ExceptionCode],
) -> Action {
    Action::Accept {
        offer,
        count: 1,
        seals: found.iter().map(|id| label(id)).collect(),
        condition: Condition::Sound,
        exceptions: exceptions.to_vec(),
    }
}

pub(super) const OFFERS: &[Case] = &[
    ("a custodian offers", |desk| {
        let unit = desk.held("A");
        let event = sign(desk.offer("forwarder.dock1", &unit, "airline"));
        let (by, to) = (party("forwarder"), party("airline"));
        let (until, offer) = (desk.time.plus(DAY_MS), event.signed().id());
        (event, Expected::Custody(Custody::Offered { by, to, until, offer }))
    }),
    ("an offer may end with the block that it is in", |desk| {
        desk.held("A");
        let now = desk.time;
        (sign(offer(desk, "A", |event| with_until(event, now))), Expected::Accepted)
    }),
    ("until its last millisecond an offer is open", |desk| {
        let (unit, offer) = desk.offered("A");
        desk.time = desk.time.plus(DAY_MS);
        let event = desk.say("forwarder.dock1", &unit, ATTEMPT);
        (event, refused(Rejection::OfferOpen { unit, offer }))
    }),
    ("an offer after one that ran out is accepted", |desk| {
        let (unit, _) = desk.offered("A");
        desk.time = desk.time.plus(DAY_MS + 1);
        (sign(desk.offer("forwarder.dock1", &unit, "handler")), Expected::Accepted)
    }),
    ("one offer at a time", |desk| {
        let (unit, open) = desk.offered("A");
        let event = sign(desk.offer("forwarder.dock2", &unit, "handler"));
        (event, refused(Rejection::OfferOpen { unit, offer: open }))
    }),
    ("who does not hold does not offer", |desk| {
        let unit = desk.held("A");
        let event = sign(desk.offer("airline.dock1", &unit, "handler"));
        (event, not_custodian(&unit, "forwarder", "airline"))
    }),
    ("what is inside of another is not offered", |desk| {
        let (unit, parent) = desk.nested("A", "B");
        let event = sign(desk.offer("forwarder.dock1", &unit, "airline"));
        (event, refused(Rejection::Contained { unit, parent }))
    }),
    ("what is on hold is not offered", |desk| {
        let unit = desk.held("A");
        desk.put("customs.dock1", &unit, HOLD);
        let event = sign(desk.offer("forwarder.dock1", &unit, "airline"));
        (event, refused(Rejection::OnHold { unit }))
    }),
    ("nor is what something on hold is in", |desk| {
        let (inner, unit) = desk.nested("A", "B");
        desk.put("customs.dock1", &inner, HOLD);
        let event = sign(desk.offer("forwarder.dock1", &unit, "airline"));
        (event, refused(Rejection::BlockedInside { unit }))
    }),
    ("nothing is offered to a stranger", |desk| {
        let unit = desk.held("A");
        let event = sign(desk.offer("forwarder.dock1", &unit, "stranger"));
        (event, refused(Rejection::UnknownParty { party: party("stranger") }))
    }),
    ("nor to who was expelled", |desk| {
        let unit = desk.held("A");
        decided(desk, Motion { few: true, ..motion(expel("handler")) });
        let event = sign(desk.offer("forwarder.dock1", &unit, "handler"));
        (event, refused(Rejection::NotMember { party: party("handler") }))
    }),
    ("nor to oneself", |desk| {
        let unit = desk.held("A");
        let event = sign(desk.offer("forwarder.dock1", &unit, "forwarder"));
        (event, refused(Rejection::OfferToSelf))
    }),
    ("an offer is not over before it begins", |desk| {
        desk.held("A");
        let until = Millis(desk.time.0 - 1);
        let event = offer(desk, "A", |event| with_until(event, until));
        (sign(event), refused(Rejection::OfferInPast { until }))
    }),
    ("an offer names a basis", |desk| {
        desk.held("A");
        let event = offer(desk, "A", |event| event.basis = None);
        (sign(event), refused(Rejection::BasisMissing))
    }),
    ("which is the present one", |desk| {
        let unit = desk.held("A");
        let event = offer(desk, "A", |event| event.basis = Some(NOBODY));
        (sign(event), refused(Rejection::UnknownBasis { unit, basis: NOBODY }))
    }),
    ("a spent basis is not the present one", |desk| {
        let (unit, basis) = desk.handed_over("A");
        let mut event = desk.offer("airline.dock1", &unit, "handler");
        event.basis = Some(basis);
        (sign(event), refused(Rejection::StaleBasis { unit, basis }))
    }),
    ("the receiver accepts", |desk| {
        let (unit, offer) = desk.offered("A");
        (desk.say("airline.dock2", &unit, accept(offer)), held("airline"))
    }),
    ("in the offer's last moment", |desk| {
        let (unit, offer) = desk.offered("A");
        desk.time = desk.time.plus(DAY_MS);
        (desk.say("airline.dock2", &unit, accept(offer)), held("airline"))
    }),
    ("and not after it", |desk| {
        let (unit, offer) = desk.offered("A");
        let until = desk.time.plus(DAY_MS);
        desk.time = until.plus(1);
        let event = desk.say("airline.dock2", &unit, accept(offer));
        (event, refused(Rejection::OfferExpired { offer, until }))
    }),
    ("nobody else accepts", |desk| {
        let (unit, offer) = desk.offered("A");
        let event = desk.say("handler.dock1", &unit, accept(offer));
        let (receiver, signer) = (party("airline"), party("handler"));
        (event, refused(Rejection::NotReceiver { receiver, signer }))
    }),
    ("an offer that is not there is not accepted", |desk| {
        let (unit, _) = desk.offered("A");
        let event = desk.say("airline.dock1", &unit, accept(NOBODY));
        (event, refused(Rejection::NoSuchOffer { unit, offer: NOBODY }))
    }),
    ("an offer is accepted once", |desk| {
        let (unit, offer) = desk.offered("A");
        desk.put("airline.dock1", &unit, accept(offer));
        let event = desk.say("airline.dock2", &unit, accept(offer));
        (event, refused(Rejection::NoSuchOffer { unit, offer }))
    }),
    ("a hold stops an acceptance", |desk| {
        let (unit, offer) = desk.offered("A");
        desk.put("customs.dock1", &unit, HOLD);
        let event = desk.say("airline.dock1", &unit, accept(offer));
        (event, refused(Rejection::OnHold { unit }))
    }),
    ("so does a hold inside", |desk| {
        let (inner, unit) = desk.nested("A", "B");
        let offer = desk.submit(desk.offer("forwarder.dock1", &unit, "airline")).unwrap();
        desk.put("customs.dock1", &inner, HOLD);
        let event = desk.say("airline.dock1", &unit, accept(offer));
        (event, refused(Rejection::BlockedInside { unit }))
    }),
    ("seals that differ are refused", |desk| {
        let (unit, offer) = desk.offered("A");
        desk.put("forwarder.dock1", &unit, seals(&["S1"]));
        let event = desk.say("airline.dock1", &unit, acceptance(offer, &["S2"], &[]));
        (event, refused(Rejection::SealsDiffer { unit }))
    }),
    ("a seal where none is on record is refused", |desk| {
        let (unit, offer) = desk.offered("A");
        let wet = [ExceptionCode::Wet];
        let event = desk.say("airline.dock1", &unit, acceptance(offer, &["S2"], &wet));
        (event, refused(Rejection::SealsDiffer { unit }))
    }),
    ("seals that differ are accepted with an exception that says so", |desk| {
        let (unit, offer) = desk.offered("A");
        desk.put("forwarder.dock1", &unit, seals(&["S1"]));
        let differ = [ExceptionCode::SealMismatch];
        (desk.say("airline.dock1", &unit, acceptance(offer, &["S2"], &differ)), held("airline"))
    }),
    ("a closed unit is not accepted", |desk| {
        let unit = desk.delivered("A");
        let event = desk.say("airline.dock1", &unit, accept(NOBODY));
        (event, refused(Rejection::Closed { unit }))
    }),
    ("nor a contested one", |desk| {
        let unit = desk.contested("A");
        let event = desk.say("handler.dock2", &unit, accept(NOBODY));
        (event, refused(Rejection::Contested { unit }))
    }),
    ("the receiver refuses", |desk| {
        let (unit, offer) = desk.offered("A");
        let reason = Reason::Declined;
        (desk.say("airline.dock1", &unit, Action::Refuse { offer, reason }), held("forwarder"))
    }),
    ("nobody else refuses", |desk| {
        let (unit, offer) = desk.offered("A");
        let reason = Reason::Declined;
        let event = desk.say("forwarder.dock1", &unit, Action::Refuse { offer, reason });
        let (receiver, signer) = (party("airline"), party("forwarder"));
        (event, refused(Rejection::NotReceiver { receiver, signer }))
    }),
    ("the custodian cancels", |desk| {
        let (unit, offer) = desk.offered("A");
        (desk.say("forwarder.dock2", &unit, Action::Cancel { offer }), held("forwarder"))
    }),
    ("the receiver does not cancel", |desk| {
        let (unit, offer) = desk.offered("A");
        let event = desk.say("airline.dock1", &unit, Action::Cancel { offer });
        (event, not_custodian(&unit, "forwarder", "airline"))
    }),
    ("what was refused is not cancelled", |desk| {
        let (unit, offer) = desk.offered("A");
        let reason = Reason::Declined;
        desk.put("airline.dock1", &unit, Action::Refuse { offer, reason });
        let event = desk.say("forwarder.dock1", &unit, Action::Cancel { offer });
        (event, refused(Rejection::NoSuchOffer { unit, offer }))
    }),
];

/// A unit that is booked with a photo, delivered with what is `shown`.
fn delivery(desk: &mut Desk, shown: &[DeliveryFactor]) -> consign_types::event::Verified {
    let unit = desk.held("A");
    desk.put("forwarder.dock1", &unit, book("handler", &[DeliveryFactor::Photo]));
    let factors = shown.iter().map(|factor| (*factor, Digest::ZERO)).collect();
    desk.say("forwarder.dock1", &unit, Action::Deliver { factors })
}

pub(super) const ENDS: &[Case] = &[
    ("an attempt is a record", |desk| {
        let unit = desk.held("A");
        (desk.say("forwarder.dock1", &unit, ATTEMPT), held("forwarder"))
    }),
    ("of the custodian", |desk| {
        let unit = desk.held("A");
        let event = desk.say("airline.dock1", &unit, ATTEMPT);
        (event, not_custodian(&unit, "forwarder", "airline"))
    }),
    ("while no offer is open", |desk| {
        let (unit, offer) = desk.offered("A");
        let event = desk.say("forwarder.dock1", &unit, ATTEMPT);
        (event, refused(Rejection::OfferOpen { unit, offer }))
    }),
    ("a delivery ends the history", |desk| {
        let unit = desk.held("A");
        let event = desk.say("forwarder.dock1", &unit, DELIVER);
        (event, delivered("forwarder", desk))
    }),
    ("with what was booked", |desk| {
        let shown = [DeliveryFactor::Signature, DeliveryFactor::Photo];
        (delivery(desk, &shown), delivered("forwarder", desk))
    }),
    ("and not without", |desk| {
        let factor = DeliveryFactor::Photo;
        let event = delivery(desk, &[DeliveryFactor::Signature]);
        (event, refused(Rejection::FactorMissing { factor }))
    }),
    ("what is on hold is not delivered", |desk| {
        let unit = desk.held("A");
        desk.put("customs.dock1", &unit, HOLD);
        let event = desk.say("forwarder.dock1", &unit, DELIVER);
        (event, refused(Rejection::OnHold { unit }))
    }),
    ("nor what is inside of another", |desk| {
        let (unit, parent) = desk.nested("A", "B");
        let event = desk.say("forwarder.dock1", &unit, DELIVER);
        (event, refused(Rejection::Contained { unit, parent }))
    }),
    ("nor what is closed", |desk| {
        let unit = desk.delivered("A");
        let event = desk.say("forwarder.dock1", &unit, DELIVER);
        (event, refused(Rejection::Closed { unit }))
    }),
    ("nor what is in something closed", |desk| {
        let (unit, outer) = desk.nested("A", "B");
        desk.put("forwarder.dock1", &outer, DELIVER);
        let event = desk.say("forwarder.dock1", &unit, DELIVER);
        (event, refused(Rejection::Closed { unit }))
    }),
    ("what was delivered is not put into anything", |desk| {
        let (closed, unit) = (desk.delivered("A"), desk.held("B"));
        let event = desk.say("forwarder.dock1", &unit, into(&[&closed]));
        (event, refused(Rejection::Closed { unit: closed }))
    }),
    ("a return begins a new leg", |desk| {
        let (unit, _) = desk.handed_over("A");
        (desk.say("airline.dock1", &unit, RETURN), held("airline"))
    }),
    ("an offer that ran out is gone with it", |desk| {
        let (unit, _) = desk.offered("A");
        desk.time = desk.time.plus(DAY_MS + 1);
        (desk.say("forwarder.dock1", &unit, RETURN), held("forwarder"))
    }),
    ("what is inside of another is not returned", |desk| {
        let (unit, parent) = desk.nested("A", "B");
        let event = desk.say("forwarder.dock1", &unit, RETURN);
        (event, refused(Rejection::Contained { unit, parent }))
    }),
];
