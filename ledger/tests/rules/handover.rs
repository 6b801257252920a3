//! Handovers made without a network: on the present basis, on one spent before, on older ones.

use consign_ledger::door::{Door, Refusal};
use consign_ledger::errors::Rejection;
use consign_ledger::unit::{Custody, PAST_BASES_MAX, UnitState};
use consign_types::digest::EventId;
use consign_types::event::{Action, Event, Verified};
use consign_types::limits::CONTEST_WINDOW_MS;
use consign_types::unit::UnitId;

use crate::support::scene::{DAY_MS, DELIVER, HOLD, NOBODY, RETURN, accept, into, out_of, seals};
use crate::support::{Desk, party, sign};
use crate::{Case, Expected, contested, delivered, held, not_custodian, refused};

const GIVER: &str = "forwarder.dock2";
const TAKER: &str = "handler.dock2";

/// The forwarder gave the unit to the airline online, and to the handler on the same basis offline; the
/// latter comes this long after the former.
fn on_spent_basis(desk: &mut Desk, after_ms: u64) -> Verified {
    let (unit, basis) = desk.handed_over("A");
    desk.time = desk.time.plus(after_ms);
    desk.offline(GIVER, TAKER, &unit, basis)
}

/// A unit that the forwarder has, and the basis from `returns` returns ago.
fn returned(desk: &mut Desk, returns: usize) -> (UnitId, EventId) {
    let unit = desk.held("A");
    let basis = desk.unit(&unit).basis;
    for _ in 0..returns {
        desk.put("forwarder.dock1", &unit, RETURN);
    }
    (unit, basis)
}

/// A handover event around an offer that is on the log already.
fn around_open_offer(desk: &Desk, offer: Event) -> Verified {
    desk.carried("airline.dock2", offer, accept)
}

fn refused_handover(why: &str) -> Expected {
    refused(Rejection::HandoverMismatch { why: why.to_string() })
}

pub(super) const HANDOVERS: &[Case] = &[
    ("on the present basis custody moves", |desk| {
        let unit = desk.held("A");
        let basis = desk.unit(&unit).basis;
        (desk.offline(GIVER, TAKER, &unit, basis), held("handler"))
    }),
    ("anyone enrolled may bring it", |desk| {
        let unit = desk.held("A");
        let basis = desk.unit(&unit).basis;
        let inner = desk.offline(GIVER, TAKER, &unit, basis).event().action.clone();
        (desk.say("customs.dock1", &unit, inner), held("handler"))
    }),
    ("after an offer that ran out custody moves", |desk| {
        let (unit, _) = desk.offered("A");
        desk.time = desk.time.plus(DAY_MS + 1);
        let basis = desk.unit(&unit).basis;
        (desk.offline(GIVER, TAKER, &unit, basis), held("handler"))
    }),
    ("an offer that is open on the log is simply accepted", |desk| {
        let unit = desk.held("A");
        let offer = desk.offer(GIVER, &unit, "airline");
        desk.submit(offer.clone()).unwrap();
        (around_open_offer(desk, offer), held("airline"))
    }),
    ("but not while the unit is on hold", |desk| {
        let unit = desk.held("A");
        let offer = desk.offer(GIVER, &unit, "airline");
        desk.submit(offer.clone()).unwrap();
        desk.put("customs.dock1", &unit, HOLD);
        (around_open_offer(desk, offer), refused(Rejection::OnHold { unit }))
    }),
    ("an offer that was cancelled used its number", |desk| {
        let unit = desk.held("A");
        let offer = desk.offer(GIVER, &unit, "airline");
        let id = desk.submit(offer.clone()).unwrap();
        desk.put("forwarder.dock1", &unit, Action::Cancel { offer: id });
        let (signer, sequence) = (offer.signer.clone(), offer.sequence);
        let event = around_open_offer(desk, offer);
        (event, refused(Rejection::SequenceUsed { signer, sequence }))
    }),
    ("an acceptance that was applied is a duplicate", |desk| {
        let unit = desk.held("A");
        let offer = desk.offer(GIVER, &unit, "airline");
        let id = desk.submit(offer.clone()).unwrap();
        let acceptance = desk.draft("airline.dock2", &unit, accept(id));
        desk.submit(acceptance.clone()).unwrap();
        let (offer, acceptance) = (sign(offer).into_signed(), sign(acceptance).into_signed());
        let (signer, sequence) = (offer.event().signer.clone(), offer.event().sequence);
        let action = Action::Handover { offer: offer.into(), acceptance: acceptance.into() };
        let event = desk.say("customs.dock1", &unit, action);
        (event, refused(Rejection::SequenceUsed { signer, sequence }))
    }),
    ("so is a handover that is brought twice", |desk| {
        let unit = desk.held("A");
        let basis = desk.unit(&unit).basis;
        let first = desk.offline(GIVER, TAKER, &unit, basis);
        let (offer, _) = first.inner().unwrap();
        desk.submit_verified(&first).unwrap();
        let event = desk.say("customs.dock1", &unit, first.event().action.clone());
        let (signer, sequence) = (offer.event().signer.clone(), offer.event().sequence);
        (event, refused(Rejection::SequenceUsed { signer, sequence }))
    }),
    ("while another offer is open it is refused", |desk| {
        let (unit, open) = desk.offered("A");
        let basis = desk.unit(&unit).basis;
        let event = desk.offline(GIVER, TAKER, &unit, basis);
        (event, refused(Rejection::OfferOpen { unit, offer: open }))
    }),
    ("what something on hold is in does not move", |desk| {
        let (inner, unit) = desk.nested("A", "B");
        desk.put("customs.dock1", &inner, HOLD);
        let basis = desk.unit(&unit).basis;
        let event = desk.offline(GIVER, TAKER, &unit, basis);
        (event, refused(Rejection::BlockedInside { unit }))
    }),
    ("seals that differ are refused", |desk| {
        let unit = desk.held("A");
        desk.put("forwarder.dock1", &unit, seals(&["S1"]));
        let basis = desk.unit(&unit).basis;
        (desk.offline(GIVER, TAKER, &unit, basis), refused(Rejection::SealsDiffer { unit }))
    }),
    ("past its time it is refused", |desk| {
        let unit = desk.held("A");
        let basis = desk.unit(&unit).basis;
        let event = desk.offline(GIVER, TAKER, &unit, basis);
        let (offer, until) = (event.inner().unwrap().0.signed().id(), desk.time.plus(DAY_MS));
        desk.time = until.plus(1);
        (event, refused(Rejection::OfferExpired { offer, until }))
    }),
    ("who did not hold by the present basis does not give", |desk| {
        let unit = desk.held("A");
        let basis = desk.unit(&unit).basis;
        let event = desk.offline("airline.dock1", TAKER, &unit, basis);
        (event, not_custodian(&unit, "forwarder", "airline"))
    }),
    ("on a basis spent a moment ago custody is contested", |desk| {
        (on_spent_basis(desk, 0), contested("airline", "handler"))
    }),
    ("on a basis spent seven days ago as well", |desk| {
        (on_spent_basis(desk, CONTEST_WINDOW_MS), contested("airline", "handler"))
    }),
    ("to the one who took it online on the same basis it is a record", |desk| {
        let (unit, basis) = desk.handed_over("A");
        (desk.offline(GIVER, "airline.dock2", &unit, basis), held("airline"))
    }),
    ("even where that one offered it on", |desk| {
        let (unit, basis) = desk.handed_over("A");
        let (by, to, until) = (party("airline"), party("customs"), desk.time.plus(DAY_MS));
        let offer = desk.submit(desk.offer("airline.dock1", &unit, "customs")).unwrap();
        let offered = Expected::Custody(Custody::Offered { by, to, until, offer });
        (desk.offline(GIVER, "airline.dock2", &unit, basis), offered)
    }),
    ("or it is on hold there", |desk| {
        let (unit, basis) = desk.handed_over("A");
        desk.put("customs.dock1", &unit, HOLD);
        (desk.offline(GIVER, "airline.dock2", &unit, basis), held("airline"))
    }),
    ("or went on in another", |desk| {
        let (unit, basis) = desk.handed_over("A");
        let outer = desk.held_by("airline.dock1", "B");
        desk.put("airline.dock1", &outer, into(&[&unit]));
        let offer = desk.submit(desk.offer("airline.dock1", &outer, "customs")).unwrap();
        desk.put("customs.dock1", &outer, accept(offer));
        (desk.offline(GIVER, "airline.dock2", &unit, basis), held("airline"))
    }),
    ("to who has it with what it is in it is a record", |desk| {
        let (unit, _) = desk.nested_and_handed_over("A", "B");
        let basis = desk.unit(&unit).basis;
        (desk.offline(GIVER, "airline.dock2", &unit, basis), held("forwarder"))
    }),
    ("on one spent before that it is a record", |desk| {
        (on_spent_basis(desk, CONTEST_WINDOW_MS + 1), held("airline"))
    }),
    ("on the basis before the one before it is a record", |desk| {
        let (unit, basis) = desk.handed_over("A");
        let offer = desk.submit(desk.offer("airline.dock1", &unit, "customs")).unwrap();
        desk.put("customs.dock1", &unit, accept(offer));
        (desk.offline(GIVER, TAKER, &unit, basis), held("customs"))
    }),
    ("on the oldest basis that is remembered it is a record", |desk| {
        let (unit, basis) = returned(desk, PAST_BASES_MAX + 1);
        (desk.offline(GIVER, TAKER, &unit, basis), held("forwarder"))
    }),
    ("one that was forgotten is taken for one that is on its way", |desk| {
        let (unit, basis) = returned(desk, PAST_BASES_MAX + 2);
        let event = desk.offline(GIVER, TAKER, &unit, basis);
        (event, refused(Rejection::UnknownBasis { unit, basis }))
    }),
    ("on a basis that is not known yet it waits", |desk| {
        let unit = desk.held("A");
        let event = desk.offline(GIVER, TAKER, &unit, NOBODY);
        (event, refused(Rejection::UnknownBasis { unit, basis: NOBODY }))
    }),
    ("on the basis of another unit it waits as well", |desk| {
        let (unit, other) = (desk.held("A"), desk.held("B"));
        let basis = desk.unit(&other).basis;
        let event = desk.offline(GIVER, TAKER, &unit, basis);
        (event, refused(Rejection::UnknownBasis { unit, basis }))
    }),
    ("of a closed unit it waits for nothing", |desk| {
        let unit = desk.delivered("A");
        let mut offer = desk.offer(GIVER, &unit, "handler");
        offer.basis = Some(NOBODY);
        let end = delivered("forwarder", desk);
        (desk.carried(TAKER, offer, accept), end)
    }),
    ("nor of a contested one", |desk| {
        let unit = desk.contested("A");
        (desk.offline(GIVER, "airline.dock1", &unit, NOBODY), contested("forwarder", "handler"))
    }),
    ("by who did not hold on the spent basis it is a record", |desk| {
        let (unit, basis) = desk.handed_over("A");
        (desk.offline("customs.dock1", TAKER, &unit, basis), held("airline"))
    }),
    ("of a unit put into another since then it is contested", |desk| {
        let (unit, _) = desk.nested("A", "B");
        let basis = desk.unit(&unit).basis;
        (desk.offline(GIVER, TAKER, &unit, basis), contested("forwarder", "handler"))
    }),
    ("whoever holds the outermost unit is the one who is contested", |desk| {
        let (unit, _) = desk.nested_and_handed_over("A", "B");
        let basis = desk.unit(&unit).basis;
        (desk.offline(GIVER, TAKER, &unit, basis), contested("airline", "handler"))
    }),
    ("even out of a sealed unit", |desk| {
        let (unit, outer) = desk.nested("A", "B");
        desk.put("forwarder.dock1", &outer, seals(&["S1"]));
        let basis = desk.unit(&unit).basis;
        (desk.offline(GIVER, TAKER, &unit, basis), contested("forwarder", "handler"))
    }),
    ("of a unit put on hold since then it is contested", |desk| {
        let unit = desk.held("A");
        desk.put("customs.dock1", &unit, HOLD);
        let basis = desk.unit(&unit).basis;
        (desk.offline(GIVER, TAKER, &unit, basis), contested("forwarder", "handler"))
    }),
    ("of one on hold while another offer is open it is contested as well", |desk| {
        let (unit, _) = desk.offered("A");
        desk.put("customs.dock1", &unit, HOLD);
        let basis = desk.unit(&unit).basis;
        (desk.offline(GIVER, TAKER, &unit, basis), contested("forwarder", "handler"))
    }),
    ("of one in a container that is offered as well", |desk| {
        let (unit, outer) = desk.nested("A", "B");
        desk.submit(desk.offer("forwarder.dock1", &outer, "airline")).unwrap();
        let basis = desk.unit(&unit).basis;
        (desk.offline(GIVER, TAKER, &unit, basis), contested("forwarder", "handler"))
    }),
    ("on the basis from before it was taken out of another it is contested", |desk| {
        let (unit, outer) = desk.nested("A", "B");
        let basis = desk.unit(&unit).basis;
        desk.put("forwarder.dock1", &outer, out_of(&[&unit]));
        (desk.offline(GIVER, TAKER, &unit, basis), contested("forwarder", "handler"))
    }),
    ("a contested unit stays as it is, and the story is on record", |desk| {
        let unit = desk.contested("A");
        let basis = desk.unit(&unit).basis;
        let event = desk.offline(GIVER, "airline.dock1", &unit, basis);
        (event, contested("forwarder", "handler"))
    }),
    ("also where another than the giver holds it", |desk| {
        let (unit, _) = desk.nested_and_handed_over("A", "B");
        let basis = desk.unit(&unit).basis;
        let first = desk.offline(GIVER, TAKER, &unit, basis);
        desk.submit_verified(&first).unwrap();
        let second = desk.offline(GIVER, "customs.dock1", &unit, basis);
        (second, contested("airline", "handler"))
    }),
    ("a closed unit stays closed, and the story is on record", |desk| {
        let unit = desk.held("A");
        let basis = desk.unit(&unit).basis;
        let event = desk.offline(GIVER, TAKER, &unit, basis);
        desk.put("forwarder.dock1", &unit, DELIVER);
        let end = delivered("forwarder", desk);
        (event, end)
    }),
    ("so does a unit in one that was closed", |desk| {
        let (unit, outer) = desk.nested("A", "B");
        desk.put("forwarder.dock1", &outer, DELIVER);
        let basis = desk.unit(&unit).basis;
        // Its own entry is as it was; the outermost one says that it is closed.
        (desk.offline(GIVER, TAKER, &unit, basis), held("forwarder"))
    }),
    ("an unknown unit is not handed over", |desk| {
        let (known, unknown) = (desk.held("A"), crate::support::unit("B"));
        let mut offer = desk.offer(GIVER, &known, "handler");
        offer.subject = consign_types::event::Subject::Unit(unknown.clone());
        (desk.carried(TAKER, offer, accept), refused(Rejection::UnknownUnit { unit: unknown }))
    }),
    ("the acceptance is of the offer beside it", |desk| {
        let unit = desk.held("A");
        let offer = desk.offer(GIVER, &unit, "handler");
        let event = desk.carried(TAKER, offer, |_| accept(NOBODY));
        (event, refused_handover("the acceptance is of another offer"))
    }),
    ("both are about the unit of the handover", |desk| {
        let (unit, other) = (desk.held("A"), desk.held("B"));
        let inner = desk.offline(GIVER, TAKER, &unit, desk.unit(&unit).basis);
        let event = desk.say("customs.dock1", &other, inner.event().action.clone());
        (event, refused_handover("they are about another unit"))
    }),
    ("the taker is the one who was offered", |desk| {
        let unit = desk.held("A");
        let offer = desk.offer(GIVER, &unit, "airline");
        let (receiver, signer) = (party("airline"), party("handler"));
        let event = desk.carried(TAKER, offer, accept);
        (event, refused(Rejection::NotReceiver { receiver, signer }))
    }),
    ("nobody gives to itself", |desk| {
        let unit = desk.held("A");
        let basis = desk.unit(&unit).basis;
        let event = desk.offline("forwarder.dock1", GIVER, &unit, basis);
        (event, refused(Rejection::OfferToSelf))
    }),
    ("the inner offer names a basis", |desk| {
        let unit = desk.held("A");
        let offer = Event { basis: None, ..desk.offer(GIVER, &unit, "handler") };
        (desk.carried(TAKER, offer, accept), refused(Rejection::BasisMissing))
    }),
    ("the inner messages are of enrolled devices", |desk| {
        let unit = desk.held("A");
        let event = desk.carried("handler.dock9", desk.offer(GIVER, &unit, "handler"), accept);
        let inner = event.event().action.clone();
        let signer = "handler.dock9".parse().unwrap();
        let event = desk.say("customs.dock1", &unit, inner);
        (event, refused(Rejection::UnknownDevice { signer }))
    }),
];

/// The forwarder gives to the handler, the handler to the airline, the airline to customs, all without a
/// network; the last taker brings all three. Each acceptance is the basis of the next offer.
#[test]
fn a_chain_of_handovers_commits_oldest_first() {
    let mut desk = Desk::new();
    let unit = desk.held("A");
    let mut basis = desk.unit(&unit).basis;
    let mut chain = Vec::new();
    for (giver, taker) in [
        ("forwarder.dock1", "handler.dock1"),
        ("handler.dock2", "airline.dock1"),
        ("airline.dock2", "customs.dock1"),
    ] {
        let handover = desk.offline(giver, taker, &unit, basis);
        let (_, acceptance) = handover.inner().unwrap();
        basis = acceptance.signed().id();
        chain.push(handover);
    }
    desk.submit_block(&chain).unwrap();
    let state = desk.unit(&unit);
    assert_eq!(state.holder(), &party("customs"));
    assert_eq!(state.basis, basis);
    assert_eq!(state.spent.unwrap().holder, party("airline"));
    assert_eq!(state.events, 4);
}

/// The same chain the other way round: the newer one waits, uses up nothing, and is taken afterwards.
#[test]
fn a_handover_that_comes_before_the_one_it_rests_on_waits() {
    let mut desk = Desk::new();
    let unit = desk.held("A");
    let basis = desk.unit(&unit).basis;
    let first = desk.offline("forwarder.dock1", "handler.dock1", &unit, basis);
    let between = first.inner().unwrap().1.signed().id();
    let second = desk.offline("handler.dock2", "airline.dock1", &unit, between);
    let refusal = Rejection::UnknownBasis { unit: unit.clone(), basis: between };
    assert!(refusal.waits() && refusal.retryable());
    let before = desk.entries.clone();
    let newest_first = [second.clone(), first.clone()];
    assert_eq!(desk.submit_block(&newest_first).unwrap_err(), (0, refusal.clone()));
    assert_eq!(desk.entries, before);

    let mut door = Door::new(&desk.entries, desk.context());
    let early = Refusal::UnknownReference(refusal);
    assert_eq!(door.admit(&desk.entries, &second), Err(early));
    assert_eq!(door.admit(&desk.entries, &first), Ok(()));
    assert_eq!(door.admit(&desk.entries, &second), Ok(()));

    desk.submit_verified(&first).unwrap();
    desk.submit_verified(&second).unwrap();
    assert_eq!(desk.unit(&unit).holder(), &party("airline"));
    assert_eq!(desk.unit(&unit).past, [basis]);
}

/// The giver took the unit over offline and gives it on online, before its own handover was sent.
#[test]
fn an_offer_that_comes_before_the_handover_it_rests_on_waits() {
    let mut desk = Desk::new();
    let unit = desk.held("A");
    let basis = desk.unit(&unit).basis;
    let handover = desk.offline("forwarder.dock1", "handler.dock1", &unit, basis);
    let own = handover.inner().unwrap().1.signed().id();
    let mut offer = desk.offer("handler.dock2", &unit, "airline");
    offer.basis = Some(own);
    let offer = sign(offer);
    let refusal = Rejection::UnknownBasis { unit: unit.clone(), basis: own };
    assert_eq!(desk.submit_verified(&offer), Err(refusal.clone()));

    let mut door = Door::new(&desk.entries, desk.context());
    assert_eq!(door.admit(&desk.entries, &offer), Err(Refusal::UnknownReference(refusal)));
    assert_eq!(door.admit(&desk.entries, &handover), Ok(()));
    assert_eq!(door.admit(&desk.entries, &offer), Ok(()));
    desk.submit_block(&[handover, offer.clone()]).unwrap();
    let custody = &desk.unit(&unit).custody;
    let offered = matches!(custody, Custody::Offered { by, offer: open, .. }
        if *by == party("handler") && *open == offer.signed().id());
    assert!(offered, "{custody:?}");

    // Who gives on what it gave away has no such excuse.
    let mut late = desk.offer("forwarder.dock1", &unit, "airline");
    late.basis = Some(basis);
    assert_eq!(desk.submit(late), Err(not_custodian_of(&unit, "handler", "forwarder")));
}

fn not_custodian_of(unit: &UnitId, custodian: &str, signer: &str) -> Rejection {
    let (unit, custodian, signer) = (unit.clone(), party(custodian), party(signer));
    Rejection::NotCustodian { unit, custodian, signer }
}

/// Both devices scanned, and both were on the log as well: the second story leaves everything as it is.
#[test]
fn one_change_of_hands_told_twice_changes_the_history_alone() {
    let mut desk = Desk::new();
    let (unit, basis) = desk.handed_over("A");
    let handover = desk.offline(GIVER, "airline.dock2", &unit, basis);
    let before = desk.unit(&unit);
    desk.submit_verified(&handover).unwrap();
    let after = desk.unit(&unit);
    assert_ne!(after.head, before.head);
    assert_eq!(after, UnitState { head: after.head, events: before.events + 1, ..before });
}

/// A disputed unit takes its contents along and leaves what it was in without a trace of being stopped.
#[test]
fn an_ejected_unit_takes_its_contents_along() {
    let mut desk = Desk::new();
    let (inner, middle) = desk.nested("A", "B");
    let outer = desk.held("C");
    desk.put("forwarder.dock1", &outer, into(&[&middle]));
    desk.put("forwarder.dock1", &outer, seals(&["S1"]));
    desk.put("customs.dock1", &inner, HOLD);
    assert_eq!(desk.unit(&outer).blocked_inside, 1);
    let basis = desk.unit(&middle).basis;
    let handover = desk.offline(GIVER, TAKER, &middle, basis);
    desk.submit_verified(&handover).unwrap();
    assert_eq!(desk.unit(&middle).inside, None);
    assert_eq!(desk.unit(&inner).inside.unwrap().parent, middle);
    assert_eq!(desk.unit(&outer).blocked_inside, 0);
    assert_eq!(desk.unit(&middle).blocked_inside, 1);
    assert_eq!(desk.unit(&outer).children, [0; 6]);
}

/// An authority stopped a trailer; a parcel in it is disputed and leaves it. What the authority stopped stays
/// stopped, and is let go by the same name.
#[test]
fn a_disputed_unit_takes_the_holds_around_it_along() {
    let mut desk = Desk::new();
    let (unit, trailer) = (desk.held("A"), desk.held("T"));
    let basis = desk.unit(&unit).basis;
    let late = desk.offline(GIVER, TAKER, &unit, basis);
    desk.put("forwarder.dock1", &trailer, into(&[&unit]));
    let hold = desk.put("customs.dock1", &trailer, HOLD);
    desk.submit_verified(&late).unwrap();
    assert_eq!(desk.unit(&unit).inside, None);
    assert_eq!(desk.unit(&unit).holds, [hold]);

    let release = Action::Release { hold };
    desk.put("customs.dock1", &unit, release.clone());
    assert_eq!(desk.unit(&unit).holds, []);
    assert_eq!(desk.unit(&trailer).holds, [hold]);
    assert_eq!(desk.unit(&trailer).blocked_inside, 0);
    desk.put("customs.dock1", &trailer, release);
    assert_eq!(desk.unit(&trailer).holds, []);
}
