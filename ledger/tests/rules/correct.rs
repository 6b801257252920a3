//! What was said wrongly, by those who said it.

use consign_ledger::errors::Rejection;
use consign_ledger::unit::{Pending, Proposal};
use consign_types::digest::{Digest, NetworkId};
use consign_types::event::{Action, Event, Fix, Kind, SignedEvent, Verified};
use consign_types::limits::CONSENT_WINDOW_MS;
use consign_types::unit::UnitId;

use crate::support::scene::{OBSERVE, RETURN, accept};
use crate::support::{Desk, key, party, sign};
use crate::{Case, delivered, held, refused};

const DOCK: &str = "forwarder.dock1";

fn of(original: &Verified, offer: Option<&Verified>) -> Action {
    let boxed = |event: &Verified| Box::new(event.signed().clone());
    let (original, offer) = (boxed(original), offer.map(boxed));
    Action::Correct { original, offer, fix: Fix::Place, right: Some(Digest([7; 32])) }
}

fn put(desk: &mut Desk, event: Verified) -> Verified {
    desk.submit_verified(&event).unwrap();
    event
}

/// A unit of the forwarder, and what the forwarder saw of it.
fn observed(desk: &mut Desk) -> (UnitId, Verified) {
    let unit = desk.held("A");
    let seen = put(desk, desk.say(DOCK, &unit, OBSERVE));
    (unit, seen)
}

/// An offer that the airline accepted.
fn taken(desk: &mut Desk) -> (UnitId, Verified, Verified) {
    let unit = desk.held("A");
    let offer = put(desk, sign(desk.offer(DOCK, &unit, "airline")));
    let acceptance = put(desk, desk.say("airline.dock1", &unit, accept(offer.signed().id())));
    (unit, offer, acceptance)
}

/// Two corrections of the airline's wait.
fn crowded(desk: &mut Desk) -> (UnitId, Verified, Verified) {
    let (unit, offer, acceptance) = taken(desk);
    let mut state = desk.unit(&unit);
    for n in 0..2 {
        state.pending.push(Pending {
            event: consign_types::digest::EventId(Digest([n; 32])),
            by: party("airline"),
            open: vec![party("forwarder")],
            until: desk.time.plus(CONSENT_WINDOW_MS),
            basis: state.basis,
            what: Proposal::Correct { original: consign_types::digest::EventId(Digest([n; 32])) },
        });
    }
    desk.set_unit(&unit, &state);
    (unit, offer, acceptance)
}

pub(crate) const CORRECTIONS: &[Case] = &[
    ("whoever said something corrects it", |desk| {
        let (unit, seen) = observed(desk);
        (desk.say(DOCK, &unit, of(&seen, None)), held("forwarder"))
    }),
    ("with another device of the party", |desk| {
        let (unit, seen) = observed(desk);
        (desk.say("forwarder.dock2", &unit, of(&seen, None)), held("forwarder"))
    }),
    ("and nobody else", |desk| {
        let (unit, seen) = observed(desk);
        let (event, signer) = (seen.signed().id(), party("customs"));
        let said = desk.say("customs.dock1", &unit, of(&seen, None));
        (said, refused(Rejection::NotItsSigner { event, signer }))
    }),
    ("what was delivered is corrected too", |desk| {
        let unit = desk.delivered("A");
        let at = delivered("forwarder", desk);
        desk.time = desk.time.plus(desk.tick_ms);
        let never = desk.say(DOCK, &unit, OBSERVE);
        let mut used = never.event().clone();
        used.sequence = 1;
        (desk.say(DOCK, &unit, of(&sign(used), None)), at)
    }),
    ("an acceptance by its taker, who asks the giver", |desk| {
        let (unit, offer, acceptance) = taken(desk);
        (desk.say("airline.dock1", &unit, of(&acceptance, Some(&offer))), held("airline"))
    }),
    ("an acceptance by its giver, who asks the taker", |desk| {
        let (unit, offer, acceptance) = taken(desk);
        (desk.say(DOCK, &unit, of(&acceptance, Some(&offer))), held("airline"))
    }),
    ("an acceptance by nobody else", |desk| {
        let (unit, offer, acceptance) = taken(desk);
        let (event, signer) = (acceptance.signed().id(), party("handler"));
        let said = desk.say("handler.dock1", &unit, of(&acceptance, Some(&offer)));
        (said, refused(Rejection::NotItsSigner { event, signer }))
    }),
    ("an offer is not corrected by whom it is for", |desk| {
        let (unit, offer, _) = taken(desk);
        let (event, signer) = (offer.signed().id(), party("airline"));
        let said = desk.say("airline.dock1", &unit, of(&offer, None));
        (said, refused(Rejection::NotItsSigner { event, signer }))
    }),
    ("an offer by its giver, who asks whom it is for", |desk| {
        let (unit, offer, _) = taken(desk);
        let proposal = desk.put(DOCK, &unit, of(&offer, None));
        (desk.say("airline.dock1", &unit, Action::Consent { proposal }), held("airline"))
    }),
    ("whoever is asked consents, and custody stays", |desk| {
        let (unit, offer, acceptance) = taken(desk);
        let proposal = desk.put("airline.dock1", &unit, of(&acceptance, Some(&offer)));
        (desk.say(DOCK, &unit, Action::Consent { proposal }), held("airline"))
    }),
    ("even when the unit went on", |desk| {
        let (unit, offer, acceptance) = taken(desk);
        let proposal = desk.put("airline.dock1", &unit, of(&acceptance, Some(&offer)));
        desk.put("airline.dock1", &unit, RETURN);
        (desk.say(DOCK, &unit, Action::Consent { proposal }), held("airline"))
    }),
    ("not after its 30 days", |desk| {
        let (unit, offer, acceptance) = taken(desk);
        let proposal = desk.put("airline.dock1", &unit, of(&acceptance, Some(&offer)));
        desk.time = desk.time.plus(CONSENT_WINDOW_MS + 1);
        let said = desk.say(DOCK, &unit, Action::Consent { proposal });
        (said, refused(Rejection::NoSuchProposal { unit, proposal }))
    }),
    ("another correction of the same event takes the place of the first", |desk| {
        let (unit, offer, acceptance) = taken(desk);
        let proposal = desk.put("airline.dock1", &unit, of(&acceptance, Some(&offer)));
        desk.put("airline.dock1", &unit, of(&acceptance, Some(&offer)));
        let said = desk.say(DOCK, &unit, Action::Consent { proposal });
        (said, refused(Rejection::NoSuchProposal { unit, proposal }))
    }),
    ("a correction of another event leaves the first", |desk| {
        let (unit, offer, acceptance) = taken(desk);
        let proposal = desk.put(DOCK, &unit, of(&acceptance, Some(&offer)));
        desk.put(DOCK, &unit, of(&offer, None));
        (desk.say("airline.dock1", &unit, Action::Consent { proposal }), held("airline"))
    }),
    ("no more than two corrections wait", |desk| {
        let (unit, offer, acceptance) = crowded(desk);
        let said = desk.say("airline.dock1", &unit, of(&acceptance, Some(&offer)));
        (said, refused(Rejection::TooManyPending { unit }))
    }),
    ("they leave room for other proposals", |desk| {
        let (unit, ..) = crowded(desk);
        let reason = consign_types::event::Reason::Other;
        let lost = Action::Lost { holder: party("airline"), reason };
        (desk.say("airline.dock1", &unit, lost), held("airline"))
    }),
    ("what never came to the log is not corrected", |desk| {
        let (unit, seen) = observed(desk);
        let mut never = seen.event().clone();
        never.sequence += 9;
        let never = sign(never);
        let event = never.signed().id();
        (desk.say(DOCK, &unit, of(&never, None)), refused(Rejection::NotOnRecord { event }))
    }),
    ("nor what was said of another unit", |desk| {
        let (_, seen) = observed(desk);
        let other = desk.held("B");
        let said = desk.say(DOCK, &other, of(&seen, None));
        (said, refused(Rejection::WrongSubject { kind: Kind::Correct }))
    }),
    ("nor on another network", |desk| {
        let (unit, seen) = observed(desk);
        let network = NetworkId(Digest([9; 32]));
        let said = sign(Event { network, ..seen.event().clone() });
        (desk.say(DOCK, &unit, of(&said, None)), refused(Rejection::ForeignNetwork))
    }),
    ("nor under a key that the signer has not", |desk| {
        let (unit, seen) = observed(desk);
        let signer = DOCK.parse().unwrap();
        let mut state = desk.signer(&signer).unwrap();
        state.key = key("another").public().into();
        desk.set_signer(&signer, &state);
        let said = desk.say("forwarder.dock2", &unit, of(&seen, None));
        (said, refused(Rejection::WrongKey { signer }))
    }),
    ("nor by somebody unknown", |desk| {
        let (unit, seen) = observed(desk);
        let signer: consign_types::party::SignerId = "forwarder.nobody".parse().unwrap();
        let said = sign(Event { signer: signer.clone(), ..seen.event().clone() });
        (desk.say(DOCK, &unit, of(&said, None)), refused(Rejection::UnknownDevice { signer }))
    }),
    ("nor what is registered nowhere", |desk| {
        let (_, seen) = observed(desk);
        let unit: UnitId = "trk/forwarder/NONE".parse().unwrap();
        let event = desk.say(DOCK, &unit, of(&seen, None));
        (event, refused(Rejection::UnknownUnit { unit }))
    }),
];

/// A correction is an overlay: all of the unit but its history and what waits stays as it was.
#[test]
fn a_correction_changes_the_head_and_what_waits_and_nothing_else() {
    let mut desk = Desk::new();
    let (unit, offer, acceptance) = taken(&mut desk);
    let before = desk.unit(&unit);
    let proposal = desk.put("airline.dock1", &unit, of(&acceptance, Some(&offer)));
    let asked = desk.unit(&unit);
    let waits = Pending {
        event: proposal,
        by: party("airline"),
        open: vec![party("forwarder")],
        until: desk.time.plus(CONSENT_WINDOW_MS),
        basis: before.basis,
        what: Proposal::Correct { original: acceptance.signed().id() },
    };
    assert_eq!(asked.pending, [Pending { until: asked.pending[0].until, ..waits }]);
    desk.put(DOCK, &unit, Action::Consent { proposal });
    let mut after = desk.unit(&unit);
    assert_ne!(after.head, before.head);
    (after.head, after.events) = (before.head, before.events);
    assert_eq!(after, before);
}

/// Decoded at the edge: an acceptance says whose consent its correction needs only beside its own offer.
#[test]
fn an_acceptance_is_corrected_with_its_own_offer_only() {
    let mut desk = Desk::new();
    let (unit, offer, acceptance) = taken(&mut desk);
    let other = sign(desk.offer(DOCK, &unit, "airline"));
    let bytes = |action: Action| desk.say("airline.dock1", &unit, action).into_signed();
    for (action, decodes) in [
        (of(&acceptance, Some(&offer)), true),
        (of(&offer, None), true),
        (of(&acceptance, None), false),
        (of(&acceptance, Some(&other)), false),
        (of(&acceptance, Some(&acceptance)), false),
    ] {
        let signed = bytes(action);
        assert_eq!(SignedEvent::decode(signed.bytes()).is_ok(), decodes, "{signed:?}");
    }
}
