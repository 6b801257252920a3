//! Who may say what: every kind of event, by every kind of signer, in every state of the signer's device.
//!
//! For each kind there is a scene in which somebody may sign it. The airline has custody (C), the handler is the
//! receiver where an offer is open and nobody where none is (R), the forwarder registered the unit (O), customs is
//! the authority (A); then the airline's and the handler's member keys (M, N). [`RIGHTS`] says what becomes of
//! the event by each of them, in words: `+`, or the code that it is refused with. [`STATES`] says what
//! becomes of it where the device is not simply enrolled for it.

mod support;

use consign_ledger::door::{Door, Refusal};
use consign_ledger::errors::Rejection;
use consign_ledger::signer::Status;
use consign_types::codec::Canonical as _;
use consign_types::digest::{Digest, EventId};
use consign_types::event::{
    Action, Event, FactorSet, Fix, Kind, Reason, Subject, Verdict, Verified, Window,
};
use consign_types::party::SignerId;
use consign_types::signer_key::SignerSecret;
use consign_types::time::Millis;
use consign_types::unit::UnitId;

use support::council::{interval, motion, proposed};
use support::faults::{number, revoke};
use support::scene::{
    ATTEMPT, DAY_MS, DELIVER, EXCEPTION, EXCURSION, HOLD, OBSERVE, RETURN, SEAL_BREAK, accept,
    into, label, out_of, seals,
};
use support::{Desk, device_kinds, enrol, key_after, party, rotate, sign_with, signer_secret};

/// The columns of [`RIGHTS`].
const SIGNERS: [&str; 6] =
    ["airline.case", "handler.case", "forwarder.case", "customs.case", "airline", "handler"];

/// By kind: C, R, O, A, M, N.
#[rustfmt::skip]
const RIGHTS: &[(Kind, [&str; 6])] = &[
    (Kind::Register, ["+", "+", "+", "+", NO, NO]),
    (Kind::Book, ["not_owner", "not_owner", "+", "not_owner", NO, NO]),
    (Kind::Offer, ["+", NOT_C, NOT_C, NOT_C, NO, NO]),
    (Kind::Accept, ["not_receiver", "+", "not_receiver", "not_receiver", NO, NO]),
    (Kind::Refuse, ["not_receiver", "+", "not_receiver", "not_receiver", NO, NO]),
    (Kind::Cancel, ["+", NOT_C, NOT_C, NOT_C, NO, NO]),
    (Kind::Handover, ["+", "+", "+", "+", NO, NO]),
    (Kind::Aggregate, ["+", NOT_C, NOT_C, NOT_C, NO, NO]),
    (Kind::Disaggregate, ["+", NOT_C, NOT_C, NOT_C, NO, NO]),
    (Kind::Load, ["+", NOT_C, NOT_C, NOT_C, NO, NO]),
    (Kind::Unload, ["+", NOT_C, NOT_C, NOT_C, NO, NO]),
    (Kind::Depart, ["+", NOT_C, NOT_C, NOT_C, NO, NO]),
    (Kind::Arrive, ["+", NOT_C, NOT_C, NOT_C, NO, NO]),
    (Kind::Observe, ["+", "+", "not_involved", "not_involved", NO, NO]),
    (Kind::SealApply, ["+", NOT_C, NOT_C, NOT_C, NO, NO]),
    (Kind::SealVerify, ["+", "+", "not_involved", "not_involved", NO, NO]),
    (Kind::SealBreak, ["+", NOT_C, NOT_C, "+", NO, NO]),
    (Kind::Readings, ["+", "+", "+", "not_involved", NO, NO]),
    (Kind::Excursion, ["+", "+", "+", "not_involved", NO, NO]),
    (Kind::CloseExcursion, ["not_authority", "not_authority", "not_authority", "+", NO, NO]),
    (Kind::Hold, ["not_authority", "not_authority", "not_authority", "+", NO, NO]),
    (Kind::Release, ["not_authority", "not_authority", "not_authority", "+", NO, NO]),
    (Kind::Exception, ["+", "+", "+", "not_involved", NO, NO]),
    (Kind::Attempt, ["+", NOT_C, NOT_C, NOT_C, NO, NO]),
    (Kind::Deliver, ["+", NOT_C, NOT_C, NOT_C, NO, NO]),
    (Kind::Return, ["+", NOT_C, NOT_C, NOT_C, NO, NO]),
    (Kind::Enrol, [NO, NO, NO, NO, "+", "foreign_device"]),
    (Kind::Consent, ["consent_not_asked", "consent_not_asked", "+", "consent_not_asked", NO, NO]),
    (Kind::Correct, ["+", "not_its_signer", "not_its_signer", "not_its_signer", NO, NO]),
    (Kind::Resolve, ["not_authority", "not_authority", "not_authority", "+", NO, NO]),
    (Kind::Lost, ["+", NOT_C, NOT_C, "+", NO, NO]),
    (Kind::Destroyed, ["+", NOT_C, NOT_C, "+", NO, NO]),
    (Kind::Found, ["+", "not_involved", "+", "not_involved", NO, NO]),
    (Kind::Report, ["+", "+", "+", "+", "+", "+"]),
    (Kind::Testimony, [NO, NO, NO, NO, "+", "foreign_device"]),
    (Kind::Revoke, [NO, NO, NO, NO, "+", "foreign_device"]),
    (Kind::Rotate, ["+", "+", "+", "+", "+", "+"]),
    (Kind::Propose, [NO, NO, NO, NO, "+", "+"]),
    (Kind::Ballot, [NO, NO, NO, NO, "+", "+"]),
];

const NO: &str = "kind_not_enrolled";
const NOT_C: &str = "not_custodian";

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

/// The airline's unit, which the forwarder registered.
fn carried(desk: &mut Desk) -> UnitId {
    desk.handed_over("A").0
}

/// The same, offered to the handler.
fn offered(desk: &mut Desk) -> (UnitId, EventId) {
    let unit = carried(desk);
    let offer = desk.submit(desk.offer("airline.dock1", &unit, "handler")).unwrap();
    (unit, offer)
}

/// Sets the scene for `kind`, and answers what `by` would say in it.
fn scene(desk: &mut Desk, kind: Kind, by: &str) -> Event {
    let conveyance = label("LH8400");
    let reason = Reason::Customs;
    let (unit, action) = match kind {
        Kind::Register => {
            let unit = format!("trk/{}/NEW", signer(by).party()).parse().unwrap();
            (unit, Action::Register)
        }
        Kind::Book => {
            let unit = desk.held("A");
            (
                unit,
                Action::Book {
                    receiver: party("airline"),
                    window: Window { from: Millis(1), to: Millis(2) },
                    factors: FactorSet::default(),
                },
            )
        }
        Kind::Offer => {
            let unit = carried(desk);
            let to = if by.starts_with("customs") { "handler" } else { "customs" };
            return desk.offer(by, &unit, to);
        }
        Kind::Accept => {
            let (unit, offer) = offered(desk);
            (unit, accept(offer))
        }
        Kind::Refuse => {
            let (unit, offer) = offered(desk);
            (unit, Action::Refuse { offer, reason })
        }
        Kind::Cancel => {
            let (unit, offer) = offered(desk);
            (unit, Action::Cancel { offer })
        }
        Kind::Handover => {
            let unit = carried(desk);
            let basis = desk.unit(&unit).basis;
            let carried = desk.offline("airline.dock1", "handler.dock1", &unit, basis);
            (unit, carried.event().action.clone())
        }
        Kind::Aggregate => {
            let (inner, outer) = (desk.handed_over("B").0, carried(desk));
            (outer, into(&[&inner]))
        }
        Kind::Disaggregate => {
            let (inner, outer) = desk.nested_and_handed_over("B", "A");
            (outer, out_of(&[&inner]))
        }
        Kind::Load => (carried(desk), Action::Load { conveyance }),
        Kind::Unload => {
            let unit = carried(desk);
            desk.put("airline.dock1", &unit, Action::Load { conveyance: conveyance.clone() });
            (unit, Action::Unload { conveyance })
        }
        Kind::Depart => (carried(desk), Action::Depart { conveyance: None }),
        Kind::Arrive => {
            let unit = carried(desk);
            desk.put("airline.dock1", &unit, Action::Depart { conveyance: None });
            (unit, Action::Arrive)
        }
        Kind::Observe => (offered(desk).0, OBSERVE),
        Kind::SealApply => (carried(desk), seals(&["S1"])),
        Kind::SealVerify | Kind::SealBreak => {
            let unit = carried(desk);
            desk.put("airline.dock1", &unit, seals(&["S1"]));
            desk.submit(desk.offer("airline.dock1", &unit, "handler")).unwrap();
            let ids = vec![label("S1")];
            (unit, if kind == Kind::SealVerify { Action::SealVerify { ids } } else { SEAL_BREAK })
        }
        Kind::Readings => {
            (offered(desk).0, Action::Readings { root: Digest::ZERO, count: 1, first: 1, last: 1 })
        }
        Kind::Excursion => (offered(desk).0, EXCURSION),
        Kind::CloseExcursion => {
            let unit = carried(desk);
            desk.put("airline.dock1", &unit, EXCURSION);
            (unit, Action::CloseExcursion { verdict: Verdict::Sound })
        }
        Kind::Hold => (carried(desk), HOLD),
        Kind::Release => {
            let unit = carried(desk);
            let hold = desk.put("customs.dock1", &unit, HOLD);
            (unit, Action::Release { hold })
        }
        Kind::Exception => (offered(desk).0, EXCEPTION),
        Kind::Attempt => (carried(desk), ATTEMPT),
        Kind::Deliver => (carried(desk), DELIVER),
        Kind::Return => (carried(desk), RETURN),
        Kind::Lost => (carried(desk), Action::Lost { holder: party("airline"), reason }),
        Kind::Destroyed => (carried(desk), Action::Destroyed { holder: party("airline"), reason }),
        Kind::Found => {
            let unit = carried(desk);
            desk.put("customs.dock1", &unit, Action::Lost { holder: party("airline"), reason });
            (unit, Action::Found)
        }
        Kind::Resolve => {
            (desk.contested("A"), Action::Resolve { holder: party("forwarder"), reason })
        }
        Kind::Consent => {
            let unit = carried(desk);
            let lost = Action::Lost { holder: party("airline"), reason };
            let proposal = desk.put("airline.dock1", &unit, lost);
            (unit, Action::Consent { proposal })
        }
        Kind::Correct => {
            let unit = carried(desk);
            let seen = desk.say("airline.dock1", &unit, OBSERVE);
            desk.submit_verified(&seen).unwrap();
            let original = Box::new(seen.signed().clone());
            (unit, Action::Correct { original, offer: None, fix: Fix::Place, right: None })
        }
        Kind::Report => {
            let evidence = number(desk, "forwarder.dock2", 9);
            let (accused, bytes) = (signer("forwarder.dock2"), evidence.to_bytes());
            return desk.event(by, Subject::Signer(accused), Action::Report { evidence: bytes });
        }
        Kind::Enrol => {
            let device = signer("airline.new");
            let action = enrol(desk.network, &device, &[Kind::Observe]);
            return desk.event(by, Subject::Signer(device), action);
        }
        Kind::Revoke => {
            let action = Action::Revoke { suspected_since: None };
            return desk.event(by, Subject::Signer(signer("airline.dock2")), action);
        }
        Kind::Rotate => {
            let device = signer(by);
            let first = desk.signer(&device).map_or(2, |entry| entry.sequence.high() + 2);
            let action = rotate(desk.network, &device, 2, first);
            return desk.event(by, Subject::Signer(device), action);
        }
        Kind::Testimony => {
            let unit = carried(desk);
            let said = desk.say("airline.dock2", &unit, OBSERVE);
            let stopped = revoke(desk, "airline", "airline.dock2");
            desk.submit_verified(&stopped).unwrap();
            (unit, Action::Testimony { event: Box::new(said.signed().clone()) })
        }
        Kind::Propose => {
            let (motion, until) = (Box::new(motion(interval(300))), desk.time.plus(DAY_MS));
            return desk.event(by, Subject::Signer(signer(by)), Action::Propose { motion, until });
        }
        Kind::Ballot => {
            let proposal = proposed(desk, "customs", motion(interval(300)));
            let action = Action::Ballot { proposal, approve: true };
            return desk.event(by, Subject::Signer(signer(by)), action);
        }
    };
    desk.draft(by, &unit, action)
}

/// What becomes of the event: at the rules, and at the door of a node's pool, which must say the same.
fn outcome(desk: &mut Desk, event: &Verified) -> &'static str {
    let word = |refused: Option<Rejection>| refused.map_or("+", |refused| refused.code());
    let at_the_door = Door::new(desk.context()).admit(&desk.entries, event).err();
    let at_the_door = word(at_the_door.map(|refused| match refused {
        Refusal::UnknownReference(why) | Refusal::Rule { rejection: why, .. } => why,
    }));
    let before = desk.entries.clone();
    let by_the_rules = word(desk.submit_verified(event).err());
    assert_eq!(at_the_door, by_the_rules, "the door says something else");
    assert!(by_the_rules == "+" || desk.entries == before, "a refusal changes nothing");
    by_the_rules
}

fn cell(kind: Kind, by: &str, state: State) -> &'static str {
    let mut desk = Desk::new();
    // Before the scene: a signer that the scene is about is there already.
    let secret = prepare(&mut desk, by, kind, state);
    let event = scene(&mut desk, kind, by);
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

#[test]
fn the_table_names_each_kind_once() {
    let kinds: Vec<Kind> = RIGHTS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, Kind::ALL);
    let of_members = RIGHTS.iter().filter(|(kind, _)| kind.is_members_own());
    let by_devices: Vec<_> = of_members.flat_map(|(_, cells)| &cells[..4]).collect();
    assert!(by_devices.iter().all(|word| **word == "kind_not_enrolled"), "{by_devices:?}");
}
