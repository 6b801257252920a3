//! Who may say what: every kind of event, by every kind of signer, in every state of the signer's device.
//!
//! By role says [`RIGHTS`] (in `support/rights.rs`); [`STATES`] says what becomes of it where the device is not
//! simply enrolled for it. A network of real nodes is asked the same (`tests/tests/cluster/roles.rs`).

mod support;

use consign_ledger::signer::Status;
use consign_types::codec::Canonical as _;
use consign_types::digest::Digest;
use consign_types::event::{Action, Kind, Subject};
use consign_types::party::SignerId;
use consign_types::signer_key::SignerSecret;
use consign_types::time::Millis;

use support::faults::{number, revoke};
use support::rights::{RIGHTS, SIGNERS, Stage, outcome, scene, walk};
use support::{Desk, device_kinds, enrol, key_after, rotate, sign_with, signer_secret};

/// What a device is, and what it is then refused with; `+` where it may sign what it might sign otherwise.
const STATES: &[(State, &str)] = &[
    (State::NotEnrolled, "unknown_device"),
    (State::ForOtherKinds, "kind_not_enrolled"),
    (State::AtAnotherPlace, "place_not_enrolled"),
    (State::RotatedByTheNewKey, "+"),
    (State::RotatedByTheOldKey, "wrong_key"),
    (State::Expired, "device_expired"),
    (State::Suspended, "suspended_key"),
    (State::Revoked, "revoked_key"),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Enrolled,
    NotEnrolled,
    ForOtherKinds,
    AtAnotherPlace,
    RotatedByTheNewKey,
    RotatedByTheOldKey,
    Expired,
    Suspended,
    Revoked,
}

fn signer(name: &str) -> SignerId {
    name.parse().unwrap()
}

/// Brings the device into its state; and the key that it then signs with. A member's key is what it is.
fn prepare(desk: &mut Desk, name: &str, kind: Kind, state: State) -> SignerSecret {
    let device = signer(name);
    if !name.contains('.') || state == State::NotEnrolled {
        return signer_secret(name);
    }
    let kinds = match state {
        State::ForOtherKinds => device_kinds().into_iter().filter(|other| *other != kind).collect(),
        _ => device_kinds(),
    };
    let member = device.party().to_string();
    let mut action = enrol(desk.network, &device, &kinds);
    if let (State::AtAnotherPlace, Action::Enrol { places, .. }) = (state, &mut action) {
        places.push(support::place(77));
    }
    let event = desk.event(&member, Subject::Signer(device.clone()), action);
    desk.submit(event).unwrap();
    match state {
        State::RotatedByTheNewKey | State::RotatedByTheOldKey => {
            let action = rotate(desk.network, &device, 1, 2);
            let event = desk.event(name, Subject::Signer(device.clone()), action);
            desk.submit(event).unwrap();
        }
        State::Revoked => {
            let event = revoke(desk, &member, name);
            desk.submit_verified(&event).unwrap();
        }
        State::Expired | State::Suspended => {
            let mut entry = desk.signer(&device).unwrap();
            match state {
                State::Expired => entry.until = Some(Millis(desk.time.0 - 1)),
                _ => entry.status = Status::Suspended { evidence: Digest::ZERO },
            }
            desk.set_signer(&device, &entry);
        }
        _ => {}
    }
    if state == State::RotatedByTheNewKey { key_after(&device, 1) } else { signer_secret(name) }
}

/// It gave one number to two events.
fn evidence(desk: &mut Desk, accused: &SignerId) -> Vec<u8> {
    let accused = accused.to_string();
    desk.enrol(&accused);
    number(desk, &accused, 9).to_bytes()
}

fn cell(kind: Kind, by: &str, state: State) -> &'static str {
    let mut desk = Desk::new();
    // Before the scene: a signer that the scene is about is there already.
    let secret = prepare(&mut desk, by, kind, state);
    let stage = &mut Stage { desk: &mut desk, name: String::new(), evidence: &evidence };
    let event = scene(stage, kind, by);
    let event = sign_with(event, &secret);
    outcome(&mut desk, &event)
}

/// `UPDATE=1` prints the rows as the ledger says them now.
#[test]
fn each_kind_of_event_may_be_signed_by_those_who_may_sign_it() {
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let cells = SIGNERS.map(|by| cell(*kind, by, State::Enrolled));
        rows.push((*kind, cells));
    }
    if std::env::var_os("UPDATE").is_some() {
        for (kind, cells) in &rows {
            println!("    (Kind::{kind:?}, {cells:?}),");
        }
    }
    assert_eq!(rows, RIGHTS);
}

/// Whatever a device might say: where it is not enrolled for it, or not any more, nothing comes of it.
#[test]
fn a_device_signs_only_while_it_is_enrolled_for_it() {
    for (kind, rights) in RIGHTS {
        for (by, right) in SIGNERS.iter().zip(rights).take(4) {
            for (state, refused) in STATES {
                let expected = match (*refused, *state) {
                    ("+", _) => *right,
                    // A device cannot be enrolled for what members alone sign; a stopped one is told that first.
                    (_, State::AtAnotherPlace) if kind.is_members_own() => *right,
                    // Its key is everybody's own to change.
                    (_, State::ForOtherKinds) if *kind == Kind::Rotate => *right,
                    (code, _) => code,
                };
                assert_eq!(cell(*kind, by, *state), expected, "{kind:?} by {by}, {state:?}");
            }
        }
    }
}

/// What is said in one scene changes no other.
#[test]
fn one_ledger_answers_the_whole_table() {
    let mut desk = Desk::new();
    for by in &SIGNERS[..4] {
        desk.enrol(by);
    }
    let rows = walk(&mut desk, &evidence);
    assert_eq!(rows.len(), Kind::ALL.len());
}

#[test]
fn the_table_names_each_kind_once() {
    let kinds: Vec<Kind> = RIGHTS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, Kind::ALL);
    let of_members = RIGHTS.iter().filter(|(kind, _)| kind.is_members_own());
    let by_devices: Vec<_> = of_members.flat_map(|(_, cells)| &cells[..4]).collect();
    assert!(by_devices.iter().all(|word| **word == "kind_not_enrolled"), "{by_devices:?}");
}
