//! Who may say what, by role: the table, and for each kind of event a scene in which somebody may sign it.
//!
//! The airline has custody (C), the handler is the receiver where an offer is open and nobody where none is (R),
//! the forwarder registered the unit (O), customs is the authority (A); then the airline's and the handler's member
//! keys (M, N).

use consign_ledger::door::{Door, Refusal};
use consign_ledger::errors::Rejection;
use consign_types::digest::{Digest, EventId};
use consign_types::event::{
    Action, Event, FactorSet, Fix, Kind, Label, Reason, Subject, Verdict, Verified, Window,
};
use consign_types::party::SignerId;
use consign_types::time::Millis;
use consign_types::unit::UnitId;

use super::council::{interval, motion, proposed};
use super::faults::revoke;
use super::scene::{
    ATTEMPT, DAY_MS, DELIVER, EXCEPTION, EXCURSION, HOLD, OBSERVE, RETURN, SEAL_BREAK, accept,
    into, label, out_of, seals,
};
use super::{Desk, enrol, party, rotate, sign};

/// The columns of [`RIGHTS`].
pub const SIGNERS: [&str; 6] =
    ["airline.case", "handler.case", "forwarder.case", "customs.case", "airline", "handler"];

/// What becomes of each kind by C, R, O, A, M, N: `+`, or the code that it is refused with.
#[rustfmt::skip]
pub const RIGHTS: &[(Kind, [&str; 6])] = &[
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

fn signer(name: &str) -> SignerId {
    name.parse().unwrap()
}

/// Where a scene is played. Scenes on one desk have different names for what they are about.
pub struct Stage<'a> {
    pub desk: &'a mut Desk,
    pub name: String,
    /// Evidence against a device of this name.
    pub evidence: &'a dyn Fn(&mut Desk, &SignerId) -> Vec<u8>,
}

impl Stage<'_> {
    fn number(&self, of: &str) -> String {
        format!("{of}{}", self.name)
    }

    fn device(&self, of: &str) -> SignerId {
        signer(&self.number(of))
    }

    fn seal(&self) -> Label {
        label(&self.number("S"))
    }

    fn seals(&self) -> Action {
        seals(&[self.seal().as_str()])
    }

    /// The airline's unit, which the forwarder registered.
    fn carried(&mut self) -> UnitId {
        let number = self.number("A");
        self.desk.handed_over(&number).0
    }

    /// The same, offered to the handler.
    fn offered(&mut self) -> (UnitId, EventId) {
        let unit = self.carried();
        let offer = self.desk.offer("airline.dock1", &unit, "handler");
        (unit, self.desk.submit(offer).unwrap())
    }
}

/// Sets the scene for `kind`, and answers what `by` would say in it.
pub fn scene(stage: &mut Stage<'_>, kind: Kind, by: &str) -> Event {
    let conveyance = label("LH8400");
    let reason = Reason::Customs;
    let (unit, action) = match kind {
        Kind::Register => {
            let unit =
                format!("trk/{}/{}", signer(by).party(), stage.number("NEW")).parse().unwrap();
            (unit, Action::Register)
        }
        Kind::Book => {
            let number = stage.number("A");
            let unit = stage.desk.held(&number);
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
            let unit = stage.carried();
            let to = if by.starts_with("customs") { "handler" } else { "customs" };
            return stage.desk.offer(by, &unit, to);
        }
        Kind::Accept => {
            let (unit, offer) = stage.offered();
            (unit, accept(offer))
        }
        Kind::Refuse => {
            let (unit, offer) = stage.offered();
            (unit, Action::Refuse { offer, reason })
        }
        Kind::Cancel => {
            let (unit, offer) = stage.offered();
            (unit, Action::Cancel { offer })
        }
        Kind::Handover => {
            let unit = stage.carried();
            let basis = stage.desk.unit(&unit).basis;
            let carried = stage.desk.offline("airline.dock1", "handler.dock1", &unit, basis);
            (unit, carried.event().action.clone())
        }
        Kind::Aggregate => {
            let number = stage.number("B");
            let (inner, outer) = (stage.desk.handed_over(&number).0, stage.carried());
            (outer, into(&[&inner]))
        }
        Kind::Disaggregate => {
            let (inner, outer) = (stage.number("B"), stage.number("A"));
            let (inner, outer) = stage.desk.nested_and_handed_over(&inner, &outer);
            (outer, out_of(&[&inner]))
        }
        Kind::Load => (stage.carried(), Action::Load { conveyance }),
        Kind::Unload => {
            let unit = stage.carried();
            stage.desk.put("airline.dock1", &unit, Action::Load { conveyance: conveyance.clone() });
            (unit, Action::Unload { conveyance })
        }
        Kind::Depart => (stage.carried(), Action::Depart { conveyance: None }),
        Kind::Arrive => {
            let unit = stage.carried();
            stage.desk.put("airline.dock1", &unit, Action::Depart { conveyance: None });
            (unit, Action::Arrive)
        }
        Kind::Observe => (stage.offered().0, OBSERVE),
        Kind::SealApply => (stage.carried(), stage.seals()),
        Kind::SealVerify | Kind::SealBreak => {
            let unit = stage.carried();
            let seals = stage.seals();
            stage.desk.put("airline.dock1", &unit, seals);
            let offer = stage.desk.offer("airline.dock1", &unit, "handler");
            stage.desk.submit(offer).unwrap();
            let ids = vec![stage.seal()];
            (unit, if kind == Kind::SealVerify { Action::SealVerify { ids } } else { SEAL_BREAK })
        }
        Kind::Readings => (
            stage.offered().0,
            Action::Readings { root: Digest::ZERO, count: 1, first: 1, last: 1 },
        ),
        Kind::Excursion => (stage.offered().0, EXCURSION),
        Kind::CloseExcursion => {
            let unit = stage.carried();
            stage.desk.put("airline.dock1", &unit, EXCURSION);
            (unit, Action::CloseExcursion { verdict: Verdict::Sound })
        }
        Kind::Hold => (stage.carried(), HOLD),
        Kind::Release => {
            let unit = stage.carried();
            let hold = stage.desk.put("customs.dock1", &unit, HOLD);
            (unit, Action::Release { hold })
        }
        Kind::Exception => (stage.offered().0, EXCEPTION),
        Kind::Attempt => (stage.carried(), ATTEMPT),
        Kind::Deliver => (stage.carried(), DELIVER),
        Kind::Return => (stage.carried(), RETURN),
        Kind::Lost => (stage.carried(), Action::Lost { holder: party("airline"), reason }),
        Kind::Destroyed => {
            (stage.carried(), Action::Destroyed { holder: party("airline"), reason })
        }
        Kind::Found => {
            let unit = stage.carried();
            stage.desk.put(
                "customs.dock1",
                &unit,
                Action::Lost { holder: party("airline"), reason },
            );
            (unit, Action::Found)
        }
        Kind::Resolve => {
            let number = stage.number("A");
            let unit = stage.desk.contested(&number);
            (unit, Action::Resolve { holder: party("forwarder"), reason })
        }
        Kind::Consent => {
            let unit = stage.carried();
            let lost = Action::Lost { holder: party("airline"), reason };
            let proposal = stage.desk.put("airline.dock1", &unit, lost);
            (unit, Action::Consent { proposal })
        }
        Kind::Correct => {
            let unit = stage.carried();
            let seen = stage.desk.say("airline.dock1", &unit, OBSERVE);
            stage.desk.submit_verified(&seen).unwrap();
            let original = Box::new(seen.signed().clone());
            (unit, Action::Correct { original, offer: None, fix: Fix::Place, right: None })
        }
        Kind::Report => {
            let accused = stage.device("forwarder.twin");
            let evidence = (stage.evidence)(stage.desk, &accused);
            return stage.desk.event(by, Subject::Signer(accused), Action::Report { evidence });
        }
        Kind::Enrol => {
            let device = stage.device("airline.new");
            let action = enrol(stage.desk.network, &device, &[Kind::Observe]);
            return stage.desk.event(by, Subject::Signer(device), action);
        }
        Kind::Revoke => {
            let action = Action::Revoke { suspected_since: None };
            let device = stage.device("airline.lost");
            stage.desk.enrol(&device.to_string());
            return stage.desk.event(by, Subject::Signer(device), action);
        }
        Kind::Rotate => {
            let device = signer(by);
            let first = stage.desk.signer(&device).map_or(2, |entry| entry.sequence.high() + 2);
            let action = rotate(stage.desk.network, &device, 2, first);
            return stage.desk.event(by, Subject::Signer(device), action);
        }
        Kind::Testimony => {
            let unit = stage.carried();
            let device = stage.device("airline.lost").to_string();
            stage.desk.enrol(&device);
            let said = stage.desk.say(&device, &unit, OBSERVE);
            let stopped = revoke(stage.desk, "airline", &device);
            stage.desk.submit_verified(&stopped).unwrap();
            (unit, Action::Testimony { event: Box::new(said.signed().clone()) })
        }
        Kind::Propose => {
            let (motion, until) = (Box::new(motion(interval(300))), stage.desk.time.plus(DAY_MS));
            return stage.desk.event(
                by,
                Subject::Signer(signer(by)),
                Action::Propose { motion, until },
            );
        }
        Kind::Ballot => {
            let proposal = proposed(stage.desk, "customs", motion(interval(300)));
            let action = Action::Ballot { proposal, approve: true };
            return stage.desk.event(by, Subject::Signer(signer(by)), action);
        }
    };
    stage.desk.draft(by, &unit, action)
}

/// What becomes of the event: at the rules, and at the door of a node's pool, which must say the same.
pub fn outcome(desk: &mut Desk, event: &Verified) -> &'static str {
    let word = |refused: Option<Rejection>| refused.map_or("+", |refused| refused.code());
    let at_the_door = Door::new(&desk.entries, desk.context()).admit(&desk.entries, event).err();
    let at_the_door = word(at_the_door.map(|refused| match refused {
        Refusal::UnknownReference(why) | Refusal::Rule { rejection: why, .. } => why,
    }));
    let before = desk.entries.clone();
    let by_the_rules = word(desk.submit_verified(event).err());
    assert_eq!(at_the_door, by_the_rules, "the door says something else");
    assert!(by_the_rules == "+" || desk.entries == before, "a refusal changes nothing");
    by_the_rules
}

/// One cell of [`RIGHTS`] on a desk that it shares with all others.
pub struct Cell {
    pub by: &'static str,
    /// What sets the scene, in the order in which it was committed.
    pub setup: Vec<Verified>,
    pub event: Verified,
    pub right: &'static str,
}

/// Plays every scene on one desk, and commits what may be said. Answers the rows in the order in which they
/// were played: keys are changed last.
pub fn walk(
    desk: &mut Desk,
    evidence: &dyn Fn(&mut Desk, &SignerId) -> Vec<u8>,
) -> Vec<(Kind, Vec<Cell>)> {
    let mut rows: Vec<_> = RIGHTS.iter().enumerate().collect();
    rows.sort_by_key(|(_, (kind, _))| *kind == Kind::Rotate);
    let mut walked = Vec::new();
    for (row, (kind, rights)) in rows {
        let mut cells = Vec::new();
        for (column, (by, right)) in SIGNERS.into_iter().zip(*rights).enumerate() {
            let (from, name) = (desk.journal.len(), stage_name(row, column));
            let event = sign(scene(&mut Stage { desk, name, evidence }, *kind, by));
            let setup = desk.journal[from..].iter().flat_map(|(_, events, _)| events.clone());
            let setup = setup.collect();
            assert_eq!(outcome(desk, &event), right, "{kind:?} by {by}");
            cells.push(Cell { by, setup, event, right });
        }
        walked.push((*kind, cells));
    }
    walked
}

/// What a scene's own things are called after.
pub fn stage_name(row: usize, column: usize) -> String {
    format!("{row:02}{column}")
}
