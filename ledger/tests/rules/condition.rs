//! Rows about the condition of a unit, and about its seals.

use consign_ledger::errors::Rejection;
use consign_ledger::unit::{Counters, Seal};
use consign_types::digest::{Digest, EventId};
use consign_types::event::{Action, Verdict};
use consign_types::limits::HOLDS_MAX;
use consign_types::unit::UnitId;

use crate::support::scene::{
    EXCEPTION, EXCURSION, HOLD, NOBODY, OBSERVE, SEAL_BREAK, label, seals,
};
use crate::support::{Desk, party, unit};
use crate::{Case, Expected, not_custodian, refused};

const SIGNER: &str = "forwarder.dock1";
const AUTHORITY: &str = "customs.dock1";

const CLOSE: Action = Action::CloseExcursion { verdict: Verdict::Sound };

fn readings(first: u64, last: u64) -> Action {
    Action::Readings { root: Digest::ZERO, count: 1, first, last }
}

fn verify(id: &str) -> Action {
    Action::SealVerify { ids: vec![label(id)] }
}

fn not_involved(unit: UnitId, signer: &str) -> Expected {
    refused(Rejection::NotInvolved { unit, signer: party(signer) })
}

fn not_authority(signer: &str) -> Expected {
    refused(Rejection::NotAuthority { signer: party(signer) })
}

fn sealed(desk: &mut Desk) -> UnitId {
    let unit = desk.held("A");
    desk.put(SIGNER, &unit, seals(&["S1"]));
    unit
}

pub(super) const CONDITIONS: &[Case] = &[
    ("the custodian observes", |desk| {
        let unit = desk.held("A");
        (desk.say(SIGNER, &unit, OBSERVE), Expected::Accepted)
    }),
    ("so does the offered receiver", |desk| {
        let (unit, _) = desk.offered("A");
        (desk.say("airline.dock1", &unit, OBSERVE), Expected::Accepted)
    }),
    ("so does who claims it", |desk| {
        let unit = desk.contested("A");
        (desk.say("handler.dock2", &unit, OBSERVE), Expected::Accepted)
    }),
    ("and the custodian of what it is in", |desk| {
        let (unit, _) = desk.nested("A", "B");
        (desk.say(SIGNER, &unit, OBSERVE), Expected::Accepted)
    }),
    ("nobody else observes", |desk| {
        let unit = desk.held("A");
        (desk.say("airline.dock1", &unit, OBSERVE), not_involved(unit, "airline"))
    }),
    ("nor does the owner of what it handed over", |desk| {
        let (unit, _) = desk.handed_over("A");
        (desk.say(SIGNER, &unit, OBSERVE), not_involved(unit, "forwarder"))
    }),
    ("an unknown unit is not observed", |desk| {
        let event = desk.say(SIGNER, &unit("A"), OBSERVE);
        (event, refused(Rejection::UnknownUnit { unit: unit("A") }))
    }),
    ("nor a closed one", |desk| {
        let unit = desk.delivered("A");
        (desk.say(SIGNER, &unit, OBSERVE), refused(Rejection::Closed { unit }))
    }),
    ("a sensor reports", |desk| {
        let unit = desk.held("A");
        (desk.say(SIGNER, &unit, readings(1, 9)), Expected::Accepted)
    }),
    ("a stranger's sensor does not", |desk| {
        let unit = desk.held("A");
        (desk.say("airline.dock1", &unit, readings(1, 9)), not_involved(unit, "airline"))
    }),
    ("an excursion is reported", |desk| {
        let unit = desk.held("A");
        (desk.say(SIGNER, &unit, EXCURSION), Expected::Accepted)
    }),
    ("but not by strangers", |desk| {
        let unit = desk.held("A");
        (desk.say("airline.dock1", &unit, EXCURSION), not_involved(unit, "airline"))
    }),
    ("an authority closes it", |desk| {
        let unit = desk.held("A");
        desk.put(SIGNER, &unit, EXCURSION);
        (desk.say(AUTHORITY, &unit, CLOSE), Expected::Accepted)
    }),
    ("the custodian alone does not", |desk| {
        let unit = desk.held("A");
        desk.put(SIGNER, &unit, EXCURSION);
        (desk.say(SIGNER, &unit, CLOSE), not_authority("forwarder"))
    }),
    ("where none is open there is none to close", |desk| {
        let unit = desk.held("A");
        (desk.say(AUTHORITY, &unit, CLOSE), refused(Rejection::NoExcursion { unit }))
    }),
    ("nor on a closed unit", |desk| {
        let unit = desk.delivered("A");
        (desk.say(AUTHORITY, &unit, CLOSE), refused(Rejection::Closed { unit }))
    }),
    ("an authority holds", |desk| {
        let unit = desk.held("A");
        (desk.say(AUTHORITY, &unit, HOLD), Expected::Accepted)
    }),
    ("the custodian alone does not", |desk| {
        let unit = desk.held("A");
        (desk.say(SIGNER, &unit, HOLD), not_authority("forwarder"))
    }),
    ("a closed unit is not held", |desk| {
        let unit = desk.delivered("A");
        (desk.say(AUTHORITY, &unit, HOLD), refused(Rejection::Closed { unit }))
    }),
    ("4 holds at once and no 5th", |desk| {
        let unit = desk.held("A");
        for _ in 0..HOLDS_MAX {
            desk.put(AUTHORITY, &unit, HOLD);
        }
        (desk.say(AUTHORITY, &unit, HOLD), refused(Rejection::TooManyHolds { unit }))
    }),
    ("an authority releases", |desk| {
        let unit = desk.held("A");
        let hold = desk.put(AUTHORITY, &unit, HOLD);
        (desk.say("customs.dock2", &unit, Action::Release { hold }), Expected::Accepted)
    }),
    ("the custodian does not", |desk| {
        let unit = desk.held("A");
        let hold = desk.put(AUTHORITY, &unit, HOLD);
        (desk.say(SIGNER, &unit, Action::Release { hold }), not_authority("forwarder"))
    }),
    ("a release names a hold", |desk| {
        let unit = desk.held("A");
        desk.put(AUTHORITY, &unit, HOLD);
        let event = desk.say(AUTHORITY, &unit, Action::Release { hold: NOBODY });
        (event, refused(Rejection::NoSuchHold { unit, hold: NOBODY }))
    }),
    ("the owner reports an exception wherever the unit is", |desk| {
        let (unit, _) = desk.handed_over("A");
        (desk.say(SIGNER, &unit, EXCEPTION), Expected::Accepted)
    }),
    ("a stranger does not", |desk| {
        let unit = desk.held("A");
        (desk.say("airline.dock1", &unit, EXCEPTION), not_involved(unit, "airline"))
    }),
];

pub(super) const SEALS: &[Case] = &[
    ("the custodian seals", |desk| {
        let unit = desk.held("A");
        (desk.say(SIGNER, &unit, seals(&["S1", "S2"])), Expected::Accepted)
    }),
    ("nobody else does", |desk| {
        let unit = desk.held("A");
        let event = desk.say("airline.dock1", &unit, seals(&["S1"]));
        (event, not_custodian(&unit, "forwarder", "airline"))
    }),
    ("what is sealed is not sealed again", |desk| {
        let unit = sealed(desk);
        (desk.say(SIGNER, &unit, seals(&["S2"])), refused(Rejection::Sealed { unit }))
    }),
    ("a seal id is used once", |desk| {
        sealed(desk);
        let unit = desk.held("B");
        let event = desk.say(SIGNER, &unit, seals(&["S0", "S1"]));
        (event, refused(Rejection::SealUsed { seal: label("S1") }))
    }),
    ("also on the same unit after it was broken", |desk| {
        let unit = sealed(desk);
        desk.put(SIGNER, &unit, SEAL_BREAK);
        let event = desk.say(SIGNER, &unit, seals(&["S1"]));
        (event, refused(Rejection::SealUsed { seal: label("S1") }))
    }),
    ("a new one may follow a broken one", |desk| {
        let unit = sealed(desk);
        desk.put(SIGNER, &unit, SEAL_BREAK);
        (desk.say(SIGNER, &unit, seals(&["S2"])), Expected::Accepted)
    }),
    ("seals are verified", |desk| {
        let unit = sealed(desk);
        (desk.say(SIGNER, &unit, verify("S1")), Expected::Accepted)
    }),
    ("also where they differ", |desk| {
        let unit = sealed(desk);
        (desk.say(SIGNER, &unit, verify("S2")), Expected::Accepted)
    }),
    ("not by strangers", |desk| {
        let unit = sealed(desk);
        (desk.say("airline.dock1", &unit, verify("S1")), not_involved(unit, "airline"))
    }),
    ("where there is no seal there is none to verify", |desk| {
        let unit = desk.held("A");
        (desk.say(SIGNER, &unit, verify("S1")), refused(Rejection::NotSealed { unit }))
    }),
    ("the custodian breaks a seal", |desk| {
        let unit = sealed(desk);
        (desk.say(SIGNER, &unit, SEAL_BREAK), Expected::Accepted)
    }),
    ("an authority does, too", |desk| {
        let unit = sealed(desk);
        (desk.say(AUTHORITY, &unit, SEAL_BREAK), Expected::Accepted)
    }),
    ("nobody else does", |desk| {
        let unit = sealed(desk);
        let event = desk.say("airline.dock1", &unit, SEAL_BREAK);
        (event, not_custodian(&unit, "forwarder", "airline"))
    }),
    ("where there is no seal there is none to break", |desk| {
        let unit = desk.held("A");
        (desk.say(SIGNER, &unit, SEAL_BREAK), refused(Rejection::NotSealed { unit }))
    }),
    ("not on a closed unit", |desk| {
        let unit = sealed(desk);
        desk.put(SIGNER, &unit, crate::support::scene::DELIVER);
        (desk.say(AUTHORITY, &unit, SEAL_BREAK), refused(Rejection::Closed { unit }))
    }),
];

/// Each opening is counted once; no closing is.
#[test]
fn counters_count_openings() {
    let mut desk = Desk::new();
    let unit = sealed(&mut desk);
    desk.put(SIGNER, &unit, verify("S1"));
    assert_eq!(desk.unit(&unit).counters, Counters::default());
    desk.put(SIGNER, &unit, verify("S2"));
    desk.put(SIGNER, &unit, EXCEPTION);
    desk.put(SIGNER, &unit, SEAL_BREAK);
    desk.put(SIGNER, &unit, EXCURSION);
    desk.put(AUTHORITY, &unit, CLOSE);
    let hold: EventId = desk.put(AUTHORITY, &unit, HOLD);
    desk.put(AUTHORITY, &unit, Action::Release { hold });
    desk.put(SIGNER, &unit, readings(5, 9));
    desk.put(SIGNER, &unit, readings(10, 12));
    desk.put(SIGNER, &unit, readings(14, u64::MAX));
    let expected = Counters {
        excursions: 1,
        holds: 1,
        seal_breaks: 1,
        exceptions: 2,
        discontinuities: 0,
        reading_gaps: 1,
    };
    assert_eq!(desk.unit(&unit).counters, expected);
}

#[test]
fn a_break_is_authorised_where_an_authority_signed() {
    for (signer, authorised) in [(SIGNER, false), (AUTHORITY, true)] {
        let mut desk = Desk::new();
        let unit = sealed(&mut desk);
        desk.put(signer, &unit, SEAL_BREAK);
        assert_eq!(desk.unit(&unit).seal, Seal::Broken { authorised }, "{signer}");
    }
}

#[test]
fn a_release_lets_only_its_own_hold_go() {
    let mut desk = Desk::new();
    let unit = desk.held("A");
    let holds = [(); 3].map(|()| desk.put(AUTHORITY, &unit, HOLD));
    desk.put(AUTHORITY, &unit, Action::Release { hold: holds[1] });
    assert_eq!(desk.unit(&unit).holds, [holds[0], holds[2]]);
}
