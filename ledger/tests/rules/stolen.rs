//! A member's key in other hands: whatever is signed with it, the members replace it.

use consign_ledger::entry::{EntryKey, read};
use consign_ledger::errors::Rejection;
use consign_ledger::governance::{Proposal, Stage};
use consign_ledger::signer::PastKey;
use consign_types::event::{Event, Subject};
use consign_types::limits::{ROTATIONS_MAX, SEQUENCE_STEP_MAX};
use consign_types::party::SignerId;

use crate::support::council::{another_key, motion, proposed, voted, votes};
use crate::support::{Desk, party, rotate, sign, sign_with};

/// Whoever stole the key may have rotated it as often as a signer can.
#[test]
fn a_members_key_is_replaced_however_often_it_was_rotated() {
    let mut desk = Desk::new();
    let signer = SignerId::member(party("airline"));
    let mut state = desk.signer(&signer).unwrap();
    let first = state.sequence.next();
    let past =
        |n| PastKey { key: another_key(&desk, "airline", n).1.public().into(), below: first };
    state.past = (1..=ROTATIONS_MAX).map(past).collect();
    desk.set_signer(&signer, &state);
    let (change, secret) = another_key(&desk, "airline", 0);
    let id = proposed(&mut desk, "customs", motion(change));
    for by in ["forwarder", "handler"] {
        voted(&mut desk, by, id, true);
    }
    let after = desk.signer(&signer).unwrap();
    assert_eq!((after.key, after.past.len()), (secret.public().into(), ROTATIONS_MAX + 1));
    let again = rotate(desk.network, &signer, 1, after.sequence.next() + 1);
    let event = desk.event("airline", Subject::Signer(signer.clone()), again);
    assert_eq!(
        desk.submit_verified(&sign_with(event, &secret)),
        Err(Rejection::TooManyKeys { signer })
    );
}

/// A thief's last word under the stolen key: it leaves numbers for the next one.
#[test]
fn no_number_keeps_members_from_replacing_a_key() {
    let mut desk = Desk::new();
    let signer = SignerId::member(party("airline"));
    let vote = |desk: &Desk, proposal, number| {
        let event = votes(desk, "airline", proposal, true).event().clone();
        sign(Event { sequence: number, floor: number, ..event })
    };
    let (change, _) = another_key(&desk, "airline", 1);
    let id = proposed(&mut desk, "customs", motion(change));
    let high = desk.signer(&signer).unwrap().sequence.high();
    let gap = Rejection::SequenceGap { signer: signer.clone(), sequence: u64::MAX, high };
    assert_eq!(desk.submit_verified(&vote(&desk, id, u64::MAX)), Err(gap));
    let last = high + SEQUENCE_STEP_MAX;
    desk.submit_verified(&vote(&desk, id, last)).unwrap();
    voted(&mut desk, "forwarder", id, true);
    let decided: Proposal = read(&desk.entries, &EntryKey::Proposal(id)).unwrap();
    assert!(matches!(decided.stage, Stage::InForce(_)));
    let after = desk.signer(&signer).unwrap();
    assert_eq!(after.sequence.next(), last + 1);
    assert_eq!(after.past.last().map(|past| past.below), Some(last + 1));
}
