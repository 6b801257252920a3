//! Keys that another takes the place of.

use consign_ledger::errors::Rejection;
use consign_ledger::signer::PastKey;
use consign_types::event::{Action, Event, Kind, Subject, Verified};
use consign_types::limits::{ROTATIONS_MAX, SEQUENCE_STEP_MAX};
use consign_types::party::SignerId;
use consign_types::signer_key::SignerSecret;

use crate::support::faults::{number, report, revoke};
use crate::support::scene::OBSERVE;
use crate::support::{Desk, key_after, rotate, sign, sign_with};
use crate::{Case, Expected, held, refused};

const DOCK: &str = "forwarder.dock1";

fn dock() -> SignerId {
    DOCK.parse().unwrap()
}

fn high(desk: &Desk) -> u64 {
    desk.signer(&dock()).unwrap().sequence.high()
}

/// The dock's next event changes its key, from `first` on.
fn changes(desk: &Desk, first: u64) -> Event {
    let action = rotate(desk.network, &dock(), 1, first);
    desk.event(DOCK, Subject::Signer(dock()), action)
}

/// The dock has its second key, whose first number is three above that of the rotation.
fn rotated(desk: &mut Desk) -> u64 {
    let first = high(desk) + 4;
    let event = sign(changes(desk, first));
    desk.submit_verified(&event).unwrap();
    first
}

fn under(event: Event, number: u64, secret: &SignerSecret) -> Verified {
    sign_with(Event { sequence: number, ..event }, secret)
}

pub(crate) const ROTATIONS: &[Case] = &[
    ("a device goes on under another key", |desk| {
        (sign(changes(desk, high(desk) + 2)), Expected::Accepted)
    }),
    ("whatever kinds it may sign", |desk| {
        let mut state = desk.signer(&dock()).unwrap();
        state.kinds = consign_types::event::KindSet::of(&[Kind::Observe]);
        desk.set_signer(&dock(), &state);
        (sign(changes(desk, high(desk) + 2)), Expected::Accepted)
    }),
    ("so does a member", |desk| {
        let member: SignerId = "forwarder".parse().unwrap();
        let first = desk.signer(&member).unwrap().sequence.high() + 2;
        let action = rotate(desk.network, &member, 1, first);
        (sign(desk.event("forwarder", Subject::Signer(member), action)), Expected::Accepted)
    }),
    ("from its first number on the new key signs", |desk| {
        let unit = desk.held("A");
        let first = rotated(desk);
        let event = desk.draft(DOCK, &unit, OBSERVE);
        (under(event, first, &key_after(&dock(), 1)), held("forwarder"))
    }),
    ("and the one before no more", |desk| {
        let unit = desk.held("A");
        let first = rotated(desk);
        let event = desk.draft(DOCK, &unit, OBSERVE);
        let event = under(event, first, &key_after(&dock(), 0));
        (event, refused(Rejection::WrongKey { signer: dock() }))
    }),
    ("what the key before signed below comes in later", |desk| {
        let unit = desk.held("A");
        let first = rotated(desk);
        let event = desk.draft(DOCK, &unit, OBSERVE);
        (under(event, first - 1, &key_after(&dock(), 0)), held("forwarder"))
    }),
    ("the new key signs nothing below", |desk| {
        let unit = desk.held("A");
        let first = rotated(desk);
        let event = desk.draft(DOCK, &unit, OBSERVE);
        let event = under(event, first - 1, &key_after(&dock(), 1));
        (event, refused(Rejection::WrongKey { signer: dock() }))
    }),
    ("nobody changes the key of another", |desk| {
        let action = rotate(desk.network, &dock(), 1, high(desk) + 9);
        let event = desk.event("forwarder.dock2", Subject::Signer(dock()), action);
        let signer = "forwarder.dock2".parse().unwrap();
        (sign(event), refused(Rejection::NotOwnKey { signer, subject: dock() }))
    }),
    ("a unit has no key", |desk| {
        let unit = desk.held("A");
        let action = rotate(desk.network, &dock(), 1, high(desk) + 9);
        (desk.say(DOCK, &unit, action), refused(Rejection::WrongSubject { kind: Kind::Rotate }))
    }),
    ("the new key shows that it is held", |desk| {
        let mut event = changes(desk, high(desk) + 2);
        if let Action::Rotate { possession, .. } = &mut event.action {
            *possession = key_after(&dock(), 1).sign(b"something else");
        }
        (sign(event), refused(Rejection::NoPossession { device: dock() }))
    }),
    ("a key does not follow itself", |desk| {
        let action = rotate(desk.network, &dock(), 0, high(desk) + 2);
        let event = desk.event(DOCK, Subject::Signer(dock()), action);
        (sign(event), refused(Rejection::KeyKnown { signer: dock() }))
    }),
    ("nor does one come back", |desk| {
        let first = rotated(desk);
        let action = rotate(desk.network, &dock(), 0, first + 9);
        let event = desk.event(DOCK, Subject::Signer(dock()), action);
        let event = under(event, first, &key_after(&dock(), 1));
        (event, refused(Rejection::KeyKnown { signer: dock() }))
    }),
    ("numbers that were used stay with the key before", |desk| {
        // The event that rotates has a number too.
        let (first, signer) = (high(desk) + 1, dock());
        let event = sign(changes(desk, first));
        (event, refused(Rejection::FirstNumberTaken { signer, first, high: first }))
    }),
    ("numbers are not left out without end", |desk| {
        // The event that rotates has a number too.
        let (signer, high) = (dock(), high(desk) + 1);
        let sequence = high + SEQUENCE_STEP_MAX + 1;
        let event = sign(changes(desk, sequence));
        (event, refused(Rejection::SequenceGap { signer, sequence, high }))
    }),
    ("seventeen keys are too many", |desk| {
        let mut state = desk.signer(&dock()).unwrap();
        let past = |n| PastKey { key: key_after(&dock(), 2 + n).public(), below: 0 };
        state.past = (0..ROTATIONS_MAX).map(past).collect();
        desk.set_signer(&dock(), &state);
        let event = sign(changes(desk, high(desk) + 2));
        (event, refused(Rejection::TooManyKeys { signer: dock() }))
    }),
    ("a revocation ends both keys", |desk| {
        let unit = desk.held("A");
        let first = rotated(desk);
        let stop = revoke(desk, "forwarder", DOCK);
        desk.submit_verified(&stop).unwrap();
        let event = desk.draft(DOCK, &unit, OBSERVE);
        let at = desk.signer(&dock()).map(|state| state.status).unwrap();
        let consign_ledger::signer::Status::Revoked { at, .. } = at else { panic!("{at:?}") };
        let event = under(event, first - 1, &key_after(&dock(), 0));
        (event, refused(Rejection::RevokedKey { signer: dock(), at }))
    }),
    ("nobody gets rid of evidence by another key", |desk| {
        let evidence = number(desk, DOCK, 1);
        rotated(desk);
        (report(desk, "airline.dock1", DOCK, &evidence), Expected::Accepted)
    }),
];
