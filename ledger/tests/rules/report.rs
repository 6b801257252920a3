//! Keys that are stopped: by their member, or by evidence; and what they signed before.

use consign_ledger::entry::{EntryKey, MemberState, read};
use consign_ledger::errors::Rejection;
use consign_ledger::evidence::{Case as Deed, Evidence, Notes};
use consign_ledger::signer::Status;
use consign_types::codec::Canonical as _;
use consign_types::digest::{Digest, NetworkId};
use consign_types::event::{Action, Event, Subject, Verified};
use consign_types::party::SignerId;
use consign_types::time::Millis;

use crate::support::faults::{number, report, revoke, said_twice, testimony, votes};
use crate::support::scene::{OBSERVE, accept};
use crate::support::{Desk, enrol, party, sign, unit};
use crate::{Case, Expected, refused};

const DOCK: &str = "forwarder.dock1";

fn signer(name: &str) -> SignerId {
    name.parse().unwrap()
}

fn stop(desk: &mut Desk, device: &str) {
    let member = device.split('.').next().unwrap();
    let event = revoke(desk, member, device);
    desk.submit_verified(&event).unwrap();
}

fn suspend(desk: &mut Desk, device: &str) -> Digest {
    let evidence = number(desk, device, 9);
    let event = report(desk, "airline.dock1", device, &evidence);
    desk.submit_verified(&event).unwrap();
    evidence.id().0
}

fn revoked(desk: &Desk) -> Expected {
    refused(Rejection::RevokedKey { signer: signer(DOCK), at: desk.time })
}

/// What the dock says about a unit that it registered; both are stopped by now.
fn said_before(desk: &mut Desk) -> Verified {
    let unit = desk.held("A");
    let said = desk.say(DOCK, &unit, OBSERVE);
    stop(desk, DOCK);
    said
}

pub(crate) const REVOCATIONS: &[Case] = &[
    ("a member revokes a device of its own", |desk| {
        (revoke(desk, "forwarder", DOCK), Expected::Accepted)
    }),
    ("what a revoked device signs is refused", |desk| (said_before(desk), revoked(desk))),
    ("so is its offer inside of a handover", |desk| {
        let unit = desk.held("A");
        let handover = desk.offline(DOCK, "handler.dock1", &unit, desk.unit(&unit).basis);
        stop(desk, DOCK);
        (handover, revoked(desk))
    }),
    ("so is its acceptance inside of a handover", |desk| {
        let unit = desk.held_by("handler.dock1", "A");
        let handover = desk.offline("handler.dock1", DOCK, &unit, desk.unit(&unit).basis);
        stop(desk, DOCK);
        // The envelope is of the same device, and is looked at first.
        let (offer, acceptance) = handover.inner().unwrap();
        let action = Action::Handover {
            offer: offer.into_signed().into(),
            acceptance: acceptance.into_signed().into(),
        };
        (desk.say("airline.dock1", &unit, action), revoked(desk))
    }),
    ("an offer that was on the log before is still accepted", |desk| {
        let (unit, offer) = desk.offered("A");
        stop(desk, DOCK);
        (desk.say("airline.dock1", &unit, accept(offer)), Expected::Accepted)
    }),
    ("the other devices of the member go on", |desk| {
        let unit = desk.held("A");
        stop(desk, DOCK);
        (desk.say("forwarder.dock2", &unit, OBSERVE), Expected::Accepted)
    }),
    ("a suspended device is revoked as well", |desk| {
        suspend(desk, DOCK);
        (revoke(desk, "forwarder", DOCK), Expected::Accepted)
    }),
    ("a revoked device is not revoked again", |desk| {
        stop(desk, DOCK);
        let refusal = Rejection::DeviceRevoked { device: signer(DOCK) };
        (revoke(desk, "forwarder", DOCK), refused(refusal))
    }),
    ("nor is it enrolled again", |desk| {
        stop(desk, DOCK);
        let action = enrol(desk.network, &signer(DOCK), &[]);
        let event = desk.event("forwarder", Subject::Signer(signer(DOCK)), action);
        (sign(event), refused(Rejection::DeviceKnown { device: signer(DOCK) }))
    }),
    ("another member's device is not revoked", |desk| {
        let (device, signer) = (signer(DOCK), signer("airline"));
        (revoke(desk, "airline", DOCK), refused(Rejection::ForeignDevice { device, signer }))
    }),
    ("a member does not revoke its own key", |desk| {
        let (device, signer) = (signer("airline"), signer("airline"));
        let refusal = Rejection::ForeignDevice { device, signer };
        (revoke(desk, "airline", "airline"), refused(refusal))
    }),
    ("nor a device that it never enrolled", |desk| {
        let unknown = signer("forwarder.dock9");
        let refusal = Rejection::UnknownDevice { signer: unknown };
        (revoke(desk, "forwarder", "forwarder.dock9"), refused(refusal))
    }),
    ("a device revokes none", |desk| {
        let kind = consign_types::event::Kind::Revoke;
        let refusal = Rejection::KindNotEnrolled { signer: signer(DOCK), kind };
        (revoke(desk, DOCK, "forwarder.dock2"), refused(refusal))
    }),
    ("a unit is not revoked", |desk| {
        let event = desk.say("forwarder", &unit("A"), Action::Revoke { suspected_since: None });
        let kind = consign_types::event::Kind::Revoke;
        (event, refused(Rejection::WrongSubject { kind }))
    }),
];

pub(crate) const REPORTS: &[Case] = &[
    ("a device reports a validator that voted twice", |desk| {
        (report(desk, DOCK, "customs", &votes(1, 4, 1)), Expected::Accepted)
    }),
    ("a member's own key reports too", |desk| {
        (report(desk, "forwarder", "customs", &votes(1, 4, 1)), Expected::Accepted)
    }),
    ("a device reports another that used a number twice", |desk| {
        let evidence = number(desk, "handler.dock1", 9);
        (report(desk, DOCK, "handler.dock1", &evidence), Expected::Accepted)
    }),
    ("a device that was named signs nothing any more", |desk| {
        let unit = desk.held("A");
        let evidence = suspend(desk, DOCK);
        let refusal = Rejection::SuspendedKey { signer: signer(DOCK), evidence };
        (desk.say(DOCK, &unit, OBSERVE), refused(refusal))
    }),
    ("what was reported is not reported again", |desk| {
        let event = report(desk, DOCK, "customs", &votes(1, 4, 1));
        desk.submit_verified(&event).unwrap();
        let evidence = votes(1, 4, 1).id().0;
        let event = report(desk, "airline.dock1", "customs", &votes(1, 4, 1));
        (event, refused(Rejection::EvidenceKnown { evidence }))
    }),
    ("nor by another file about the same vote", |desk| {
        let event = report(desk, DOCK, "customs", &votes(1, 4, 1));
        desk.submit_verified(&event).unwrap();
        let evidence = votes(1, 4, 2);
        let event = report(desk, DOCK, "customs", &evidence);
        (event, refused(Rejection::EvidenceKnown { evidence: evidence.id().0 }))
    }),
    ("another vote of the same validator is another fault", |desk| {
        let event = report(desk, DOCK, "customs", &votes(1, 4, 1));
        desk.submit_verified(&event).unwrap();
        (report(desk, DOCK, "customs", &votes(1, 5, 1)), Expected::Accepted)
    }),
    ("a report names as its subject whom the evidence names", |desk| {
        let (subject, accused) = (signer("airline"), signer("customs"));
        let event = report(desk, DOCK, "airline", &votes(1, 4, 1));
        (event, refused(Rejection::NotAccused { subject, accused }))
    }),
    ("a report is not about a unit", |desk| {
        let evidence = votes(1, 4, 1).to_bytes();
        let event = desk.say(DOCK, &unit("A"), Action::Report { evidence });
        let kind = consign_types::event::Kind::Report;
        (event, refused(Rejection::WrongSubject { kind }))
    }),
    ("evidence of another network proves nothing here", |desk| {
        let evidence = Evidence { network: NetworkId(Digest::ZERO), ..votes(1, 4, 1) };
        let why = "the network of the evidence does not hold: it is of another network than the \
                   trust file";
        let event = report(desk, DOCK, "customs", &evidence);
        (event, refused(Rejection::BadEvidence { why: why.into() }))
    }),
    ("bytes that are no evidence are refused", |desk| {
        let subject = Subject::Signer(signer("customs"));
        let action = Action::Report { evidence: vec![0x80] };
        let event = sign(desk.event(DOCK, subject, action));
        let why = consign_types::codec::Canonical::from_bytes(&[0x80]);
        let why: Result<Evidence, consign_types::codec::DecodeError> = why;
        let why = format!("{}", why.unwrap_err());
        (event, refused(Rejection::BadEvidence { why }))
    }),
    ("the ledger knows no log keys", |desk| {
        let notes = Notes { first: String::new(), second: String::new() };
        let evidence = Evidence { case: Deed::LogSignature(notes), ..votes(1, 4, 1) };
        let event = report(desk, DOCK, "customs", &evidence);
        let why = "log keys are no entries of the unit map".into();
        (event, refused(Rejection::EvidenceNotJudged { why }))
    }),
];

pub(crate) const TESTIMONIES: &[Case] = &[
    ("a member files what its revoked device signed", |desk| {
        let said = said_before(desk);
        (testimony(desk, "forwarder", &said), Expected::Accepted)
    }),
    ("and what its suspended device signed", |desk| {
        let unit = desk.held("A");
        let said = desk.say(DOCK, &unit, OBSERVE);
        suspend(desk, DOCK);
        (testimony(desk, "forwarder", &said), Expected::Accepted)
    }),
    ("and what it signed of a unit that nobody registered", |desk| {
        let said = desk.say(DOCK, &unit("A"), OBSERVE);
        stop(desk, DOCK);
        (testimony(desk, "forwarder", &said), Expected::Accepted)
    }),
    ("what is missing far below does not stand in the way", |desk| {
        let unit = desk.held("A");
        let draft = desk.draft(DOCK, &unit, OBSERVE);
        let said = sign(Event { sequence: draft.sequence + 1000, ..draft });
        stop(desk, DOCK);
        (testimony(desk, "forwarder", &said), Expected::Accepted)
    }),
    ("a device that may speak speaks for itself", |desk| {
        let unit = desk.held("A");
        let said = desk.say(DOCK, &unit, OBSERVE);
        let refusal = Rejection::NotStopped { device: signer(DOCK) };
        (testimony(desk, "forwarder", &said), refused(refusal))
    }),
    ("what is on the log is not filed as well", |desk| {
        let unit = desk.held("A");
        let said = desk.say(DOCK, &unit, OBSERVE);
        desk.submit_verified(&said).unwrap();
        stop(desk, DOCK);
        let (signer, sequence) = (signer(DOCK), said.event().sequence);
        let refusal = Rejection::SequenceUsed { signer, sequence };
        (testimony(desk, "forwarder", &said), refused(refusal))
    }),
    ("nor is anything filed twice", |desk| {
        let said = said_before(desk);
        let event = testimony(desk, "forwarder", &said);
        desk.submit_verified(&event).unwrap();
        let (signer, sequence) = (signer(DOCK), said.event().sequence);
        let refusal = Rejection::SequenceUsed { signer, sequence };
        (testimony(desk, "forwarder", &said), refused(refusal))
    }),
    ("a floor above its own number makes no testimony", |desk| {
        let unit = desk.held("A");
        let draft = desk.draft(DOCK, &unit, OBSERVE);
        let (sequence, floor) = (draft.sequence, draft.sequence + 1);
        let said = sign(Event { floor, ..draft });
        stop(desk, DOCK);
        let refusal = Rejection::FloorAboveSequence { sequence, floor };
        (testimony(desk, "forwarder", &said), refused(refusal))
    }),
    ("another member files nothing of it", |desk| {
        let said = said_before(desk);
        let (device, signer) = (signer(DOCK), signer("airline"));
        let refusal = Rejection::ForeignDevice { device, signer };
        (testimony(desk, "airline", &said), refused(refusal))
    }),
    ("a device files none", |desk| {
        let said = said_before(desk);
        let (signer, kind) = (signer("forwarder.dock2"), consign_types::event::Kind::Testimony);
        let refusal = Rejection::KindNotEnrolled { signer, kind };
        (testimony(desk, "forwarder.dock2", &said), refused(refusal))
    }),
    ("a testimony is about what the event inside is about", |desk| {
        let event = Box::new(said_before(desk).into_signed());
        let event = desk.say("forwarder", &unit("B"), Action::Testimony { event });
        let kind = consign_types::event::Kind::Testimony;
        (event, refused(Rejection::WrongSubject { kind }))
    }),
    ("what was said to another network is none here", |desk| {
        let unit = desk.held("A");
        let draft = desk.draft(DOCK, &unit, OBSERVE);
        let said = sign(Event { network: NetworkId(Digest::ZERO), ..draft });
        stop(desk, DOCK);
        (testimony(desk, "forwarder", &said), refused(Rejection::ForeignNetwork))
    }),
    ("nor what somebody signed whom nobody enrolled", |desk| {
        let unit = desk.held("A");
        let said = desk.say("forwarder.dock9", &unit, OBSERVE);
        let refusal = Rejection::UnknownDevice { signer: signer("forwarder.dock9") };
        (testimony(desk, "forwarder", &said), refused(refusal))
    }),
];

fn member(desk: &Desk, name: &str) -> MemberState {
    read(&desk.entries, &EntryKey::Member(party(name))).unwrap()
}

fn status(desk: &Desk, name: &str) -> Status {
    desk.signer(&signer(name)).unwrap().status
}

#[test]
fn a_report_suspends_the_device_and_counts_against_its_member() {
    let mut desk = Desk::new();
    let before = desk.entries.clone();
    assert_eq!(member(&desk, "forwarder"), MemberState { faults: 0, ..MemberState::default() });
    let evidence = suspend(&mut desk, DOCK);
    assert_eq!(status(&desk, DOCK), Status::Suspended { evidence });
    assert_eq!(member(&desk, "forwarder"), MemberState { faults: 1, ..MemberState::default() });
    assert_eq!(status(&desk, "forwarder.dock2"), Status::Active);
    assert_ne!(desk.entries, before);
    // Another number is another fault, and leaves the device as it is.
    let again = number(&desk, DOCK, 10);
    let event = report(&desk, "airline.dock1", DOCK, &again);
    desk.submit_verified(&event).unwrap();
    assert_eq!(status(&desk, DOCK), Status::Suspended { evidence });
    assert_eq!(member(&desk, "forwarder").faults, 2);
}

#[test]
fn a_revoked_device_stays_revoked_whatever_is_proven_of_it() {
    let mut desk = Desk::new();
    let since = Some(Millis(5));
    let subject = Subject::Signer(signer(DOCK));
    let event = desk.event("forwarder", subject, Action::Revoke { suspected_since: since });
    desk.submit(event).unwrap();
    let revoked = Status::Revoked { at: desk.time, suspected_since: since };
    assert_eq!(status(&desk, DOCK), revoked);
    suspend(&mut desk, DOCK);
    assert_eq!(status(&desk, DOCK), revoked);
    assert_eq!(member(&desk, "forwarder").faults, 1);
}

/// Only it can revoke its devices and file what they signed.
#[test]
fn a_member_key_that_is_named_is_counted_and_not_stopped() {
    let mut desk = Desk::new();
    let said = [None, Some(Millis(5))].map(|suspected_since| {
        let subject = Subject::Signer(signer(DOCK));
        let event = desk.event("forwarder", subject, Action::Revoke { suspected_since });
        sign(Event { sequence: 9, ..event }).into_signed()
    });
    let evidence = said_twice(&desk, "forwarder", &said).unwrap();
    let event = report(&desk, "airline.dock1", "forwarder", &evidence);
    desk.submit_verified(&event).unwrap();
    assert_eq!(status(&desk, "forwarder"), Status::Active);
    assert_eq!(member(&desk, "forwarder").faults, 1);
    stop(&mut desk, DOCK);
}

#[test]
fn a_testimony_extends_the_history_and_changes_nothing_else() {
    let mut desk = Desk::new();
    let (unit, offer) = desk.offered("A");
    let other = desk.held("B");
    let said = desk.say(DOCK, &unit, Action::Cancel { offer });
    stop(&mut desk, DOCK);
    let before = desk.unit(&unit);
    let event = testimony(&desk, "forwarder", &said);
    desk.submit_verified(&event).unwrap();
    let after = desk.unit(&unit);
    assert_ne!(after.head, before.head);
    let (head, events) = (after.head, before.events + 1);
    assert_eq!(after, consign_ledger::unit::UnitState { head, events, ..before });
    assert_eq!(desk.unit(&other).events, 1);
}

#[test]
fn an_event_is_stopped_by_a_revocation_before_it_in_the_block() {
    let mut desk = Desk::new();
    let unit = desk.held("A");
    let said = desk.say(DOCK, &unit, OBSERVE);
    let stop = revoke(&desk, "forwarder", DOCK);
    let refusal = Rejection::RevokedKey { signer: signer(DOCK), at: desk.time };
    assert_eq!(desk.submit_block(&[stop.clone(), said.clone()]).err(), Some((1, refusal)));
    assert!(desk.submit_block(&[said, stop]).is_ok());
}
