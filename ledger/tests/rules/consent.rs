//! What one party proposes and others agree to.

use consign_ledger::errors::Rejection;
use consign_ledger::unit::{Closed, Custody, Pending, Proposal};
use consign_types::digest::EventId;
use consign_types::event::{Action, Reason};
use consign_types::governance::Motion;
use consign_types::limits::{CONSENT_WINDOW_MS, RETURN_WINDOW_MS};
use consign_types::unit::UnitId;

use crate::support::council::{decided, expel, motion, proposed as moved, voted};
use crate::support::scene::{DAY_MS, DELIVER, HOLD};
use crate::support::{Desk, party};
use crate::{Case, Expected, contested, delivered, held, not_custodian, refused};

const RETURN: Action = Action::Return { reason: Reason::Declined };

fn lost(holder: &str) -> Action {
    Action::Lost { holder: party(holder), reason: Reason::Other }
}

fn destroyed(holder: &str) -> Action {
    Action::Destroyed { holder: party(holder), reason: Reason::Damaged }
}

fn resolve(holder: &str) -> Action {
    Action::Resolve { holder: party(holder), reason: Reason::Other }
}

const fn consent(proposal: EventId) -> Action {
    Action::Consent { proposal }
}

/// The forwarder's unit that the airline has, and says is lost.
fn proposed(desk: &mut Desk) -> (UnitId, EventId) {
    let (unit, _) = desk.handed_over("A");
    let proposal = desk.put("airline.dock1", &unit, lost("airline"));
    (unit, proposal)
}

/// The forwarder's unit that the airline delivered and would take back.
fn taken_back(desk: &mut Desk) -> (UnitId, EventId) {
    let (unit, _) = desk.handed_over("A");
    desk.put("airline.dock1", &unit, DELIVER);
    let proposal = desk.put("airline.dock1", &unit, RETURN);
    (unit, proposal)
}

/// A unit that forwarder and handler claim, and customs would give to the handler.
fn to_handler(desk: &mut Desk) -> (UnitId, EventId) {
    let unit = desk.contested("A");
    let proposal = desk.put("customs.dock1", &unit, resolve("handler"));
    (unit, proposal)
}

pub(super) const CONSENTS: &[Case] = &[
    ("a custodian that is not the owner proposes, and nothing moves", |desk| {
        let (unit, _) = desk.handed_over("A");
        (desk.say("airline.dock1", &unit, lost("airline")), held("airline"))
    }),
    ("with the owner's consent the unit is lost", |desk| {
        let (unit, proposal) = proposed(desk);
        let event = desk.say("forwarder.dock1", &unit, consent(proposal));
        let at = desk.time;
        let lost = Custody::Closed { why: Closed::Lost, by: party("airline"), at };
        (event, Expected::Custody(lost))
    }),
    ("to the last moment of its window", |desk| {
        let (unit, proposal) = proposed(desk);
        desk.time = desk.time.plus(CONSENT_WINDOW_MS);
        let event = desk.say("forwarder.dock1", &unit, consent(proposal));
        let at = desk.time;
        let lost = Custody::Closed { why: Closed::Lost, by: party("airline"), at };
        (event, Expected::Custody(lost))
    }),
    ("and not later", |desk| {
        let (unit, proposal) = proposed(desk);
        desk.time = desk.time.plus(CONSENT_WINDOW_MS + 1);
        let event = desk.say("forwarder.dock1", &unit, consent(proposal));
        (event, refused(Rejection::NoSuchProposal { unit, proposal }))
    }),
    ("whoever is not asked does not consent", |desk| {
        let (unit, proposal) = proposed(desk);
        let event = desk.say("handler.dock1", &unit, consent(proposal));
        (event, refused(Rejection::ConsentNotAsked { unit, signer: party("handler") }))
    }),
    ("nor the one who proposes", |desk| {
        let (unit, proposal) = proposed(desk);
        let event = desk.say("airline.dock1", &unit, consent(proposal));
        (event, refused(Rejection::ConsentNotAsked { unit, signer: party("airline") }))
    }),
    ("one consents once", |desk| {
        let (unit, proposal) = proposed(desk);
        desk.put("forwarder.dock1", &unit, consent(proposal));
        let event = desk.say("forwarder.dock2", &unit, consent(proposal));
        (event, refused(Rejection::NoSuchProposal { unit, proposal }))
    }),
    ("a proposal about a unit that went on lapses: the consent is a record", |desk| {
        let (unit, proposal) = proposed(desk);
        desk.put("airline.dock1", &unit, RETURN);
        (desk.say("forwarder.dock1", &unit, consent(proposal)), held("airline"))
    }),
    ("so does one whose unit is offered by then", |desk| {
        let (unit, proposal) = proposed(desk);
        let offer = desk.offer("airline.dock1", &unit, "handler");
        desk.submit(offer).unwrap();
        let event = desk.say("forwarder.dock1", &unit, consent(proposal));
        (event, Expected::Custody(desk.unit(&unit).custody))
    }),
    ("the same proposal again takes the place of the first", |desk| {
        let (unit, proposal) = proposed(desk);
        desk.put("airline.dock1", &unit, lost("airline"));
        let event = desk.say("forwarder.dock1", &unit, consent(proposal));
        (event, refused(Rejection::NoSuchProposal { unit, proposal }))
    }),
    ("a custodian cannot name another", |desk| {
        let (unit, _) = desk.handed_over("A");
        let event = desk.say("airline.dock1", &unit, destroyed("forwarder"));
        (event, not_custodian(&unit, "airline", "forwarder"))
    }),
    ("an owner takes back what was delivered", |desk| {
        let (unit, _) = desk.handed_over("A");
        desk.put("airline.dock1", &unit, DELIVER);
        (desk.say("forwarder.dock1", &unit, RETURN), held("forwarder"))
    }),
    ("to the last moment of its window", |desk| {
        let unit = desk.delivered("A");
        desk.time = desk.time.plus(RETURN_WINDOW_MS);
        (desk.say("forwarder.dock1", &unit, RETURN), held("forwarder"))
    }),
    ("and not later", |desk| {
        let unit = desk.delivered("A");
        let until = desk.time.plus(RETURN_WINDOW_MS);
        desk.time = until.plus(1);
        let event = desk.say("forwarder.dock1", &unit, RETURN);
        (event, refused(Rejection::ReturnTooLate { unit, until }))
    }),
    ("who delivered it proposes to take it back", |desk| {
        let (unit, _) = desk.handed_over("A");
        desk.put("airline.dock1", &unit, DELIVER);
        (desk.say("airline.dock1", &unit, RETURN), delivered("airline", desk))
    }),
    ("and does so with the owner's consent", |desk| {
        let (unit, proposal) = taken_back(desk);
        (desk.say("forwarder.dock1", &unit, consent(proposal)), held("airline"))
    }),
    ("nobody else proposes it", |desk| {
        let unit = desk.delivered("A");
        let event = desk.say("handler.dock1", &unit, RETURN);
        (event, refused(Rejection::NotInvolved { unit, signer: party("handler") }))
    }),
    ("what the owner took back meanwhile is not taken back again", |desk| {
        let (unit, proposal) = taken_back(desk);
        desk.put("forwarder.dock1", &unit, RETURN);
        (desk.say("forwarder.dock1", &unit, consent(proposal)), held("forwarder"))
    }),
    ("an authority proposes how a dispute ends", |desk| {
        let unit = desk.contested("A");
        let event = desk.say("customs.dock1", &unit, resolve("handler"));
        (event, contested("forwarder", "handler"))
    }),
    ("one of two consents does not end it", |desk| {
        let (unit, proposal) = to_handler(desk);
        let event = desk.say("handler.dock1", &unit, consent(proposal));
        (event, contested("forwarder", "handler"))
    }),
    ("the second does", |desk| {
        let (unit, proposal) = to_handler(desk);
        desk.put("handler.dock1", &unit, consent(proposal));
        (desk.say("forwarder.dock1", &unit, consent(proposal)), held("handler"))
    }),
    ("who was expelled is not asked", |desk| {
        let unit = desk.contested("A");
        decided(desk, Motion { few: true, ..motion(expel("handler")) });
        let proposal = desk.put("customs.dock1", &unit, resolve("forwarder"));
        (desk.say("forwarder.dock1", &unit, consent(proposal)), held("forwarder"))
    }),
    ("and is not given the unit", |desk| {
        let unit = desk.contested("A");
        decided(desk, Motion { few: true, ..motion(expel("handler")) });
        let event = desk.say("customs.dock1", &unit, resolve("handler"));
        (event, refused(Rejection::NotMember { party: party("handler") }))
    }),
    ("where both were expelled an authority ends it alone", |desk| {
        let (unit, _) = desk.handed_over("A");
        desk.put("customs.dock1", &unit, HOLD);
        let basis = desk.unit(&unit).basis;
        let handover = desk.offline("airline.dock1", "handler.dock1", &unit, basis);
        desk.submit_verified(&handover).unwrap();
        for gone in ["airline", "handler"] {
            let id = moved(desk, "customs", Motion { few: true, ..motion(expel(gone)) });
            for by in ["forwarder", "handler"] {
                voted(desk, by, id, true);
            }
        }
        (desk.say("customs.dock1", &unit, resolve("forwarder")), held("forwarder"))
    }),
    ("nobody else proposes how it ends", |desk| {
        let unit = desk.contested("A");
        let event = desk.say("forwarder.dock1", &unit, resolve("forwarder"));
        (event, refused(Rejection::NotAuthority { signer: party("forwarder") }))
    }),
    ("it goes to somebody who claims or owns the unit", |desk| {
        let unit = desk.contested("A");
        let event = desk.say("customs.dock1", &unit, resolve("airline"));
        (event, refused(Rejection::NotAClaimant { unit, holder: party("airline") }))
    }),
    ("what nobody disputes is not resolved", |desk| {
        let unit = desk.held("A");
        let event = desk.say("customs.dock1", &unit, resolve("forwarder"));
        (event, refused(Rejection::NotContested { unit }))
    }),
    ("no more than four proposals wait", |desk| {
        let unit = crowded(desk);
        let event = desk.say("airline.dock1", &unit, destroyed("airline"));
        (event, refused(Rejection::TooManyPending { unit }))
    }),
    ("one that ran out makes room", |desk| {
        let unit = crowded(desk);
        desk.time = desk.time.plus(CONSENT_WINDOW_MS + DAY_MS);
        (desk.say("airline.dock1", &unit, destroyed("airline")), held("airline"))
    }),
];

/// A unit of the airline's hands with four proposals that nobody of this network would make.
fn crowded(desk: &mut Desk) -> UnitId {
    let (unit, _) = desk.handed_over("A");
    let mut state = desk.unit(&unit);
    for n in 0..4 {
        state.pending.push(Pending {
            event: EventId(consign_types::digest::Digest([n; 32])),
            by: party("handler"),
            open: vec![party("forwarder")],
            until: desk.time.plus(CONSENT_WINDOW_MS),
            basis: state.basis,
            what: Proposal::Close(Closed::Lost),
        });
    }
    desk.set_unit(&unit, &state);
    unit
}
