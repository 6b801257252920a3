//! Devices of both algorithms in one passport.

use consign_ledger::passport::{Passport, read};
use consign_types::codec::Canonical as _;
use consign_types::es256::is_high;
use consign_types::event::SignedEvent;
use consign_types::key::Signature;
use consign_types::signer_key::Algorithm;

use crate::support::node::{Node, trust};
use crate::support::{Desk, unit};
use crate::{desk, proven};

const GIVER: &str = "forwarder.dock-p256";
const TAKER: &str = "airline.dock1";

/// A unit that went from a device on P-256 to one on Ed25519 and back, by handovers of one event each.
fn to_and_fro() -> (Desk, consign_types::unit::UnitId) {
    let mut desk = desk();
    desk.enrol(GIVER);
    let unit = desk.held_by(GIVER, "A");
    for (from, to) in [(GIVER, TAKER), (TAKER, GIVER)] {
        let basis = desk.unit(&unit).basis;
        let handover = desk.offline(from, to, &unit, basis);
        desk.submit_verified(&handover).unwrap();
    }
    (desk, unit)
}

#[test]
fn a_passport_may_hold_events_of_both_algorithms() {
    let (desk, held) = to_and_fro();
    let verified = proven(&desk, &held);
    let by = |event: &SignedEvent| event.algorithm();
    let steps: Vec<_> = verified.steps.iter().map(|step| by(&step.event)).collect();
    assert_eq!(steps, [Algorithm::P256, Algorithm::Ed25519, Algorithm::P256]);
    let inner = verified.steps[1].event.event().action.inner().map(by);
    assert_eq!(inner.collect::<Vec<_>>(), [Algorithm::P256, Algorithm::Ed25519]);
    assert_eq!(held, unit("A"));
}

/// The other form of a signature is as valid, for whoever made the curve: here it is another passport.
#[test]
fn no_signature_in_a_passport_can_be_turned_into_its_other_form() {
    let (desk, unit) = to_and_fro();
    let passport = Node::of(&desk).passport(&unit);
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order = consign_types::digest::decode_hex(order).unwrap();
    let mut turned = 0;
    for at in 0..passport.entered.len() {
        let mut forged: Passport = passport.clone();
        let event = &mut forged.entered[at].event;
        let s = event.len() - 32;
        let mut borrow = 0;
        for (byte, order) in event[s..].iter_mut().zip(&order).rev() {
            let less = i16::from(*order) - i16::from(*byte) - borrow;
            borrow = i16::from(less < 0);
            *byte = less.rem_euclid(256) as u8;
        }
        let signature = Signature(event[s - 32..].try_into().unwrap());
        turned += usize::from(is_high(&signature));
        let refused = read(&forged.to_bytes(), &trust()).unwrap_err();
        assert!(refused.to_string().contains("event"), "{at}: {refused}");
    }
    assert!(turned >= 2, "both of the device on P-256 are among them");
}
