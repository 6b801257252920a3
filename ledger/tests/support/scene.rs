//! Short words for setting a scene: units held, offered, nested, sealed, closed.
//!
//! Whatever is said here is accepted; a scene that the rules refuse is a mistake of the test.

use consign_types::digest::{Digest, EventId};
use consign_types::event::{
    Action, Condition, Event, ExceptionCode, Label, Reason, Subject, Verified, Window,
};
use consign_types::time::Millis;
use consign_types::unit::UnitId;

use super::{Desk, party, sign};

pub const DAY_MS: u64 = 24 * 3_600_000;

pub const HOLD: Action = Action::Hold { reason: Reason::Customs };
pub const RETURN: Action = Action::Return { reason: Reason::Declined };
pub const ATTEMPT: Action = Action::Attempt { reason: Reason::NobodyThere };
pub const SEAL_BREAK: Action = Action::SealBreak { reason: Reason::Customs };
pub const OBSERVE: Action = Action::Observe { note: None };
pub const DELIVER: Action = Action::Deliver { factors: Vec::new() };
pub const EXCURSION: Action =
    Action::Excursion { window: Window { from: Millis(1), to: Millis(2) } };
pub const EXCEPTION: Action =
    Action::Exception { code: ExceptionCode::Wet, evidence: Digest::ZERO };
pub const NOBODY: EventId = EventId(Digest::ZERO);

pub fn label(text: &str) -> Label {
    text.parse().unwrap()
}

pub fn accept(offer: EventId) -> Action {
    let (seals, exceptions) = (Vec::new(), Vec::new());
    Action::Accept { offer, count: 1, seals, condition: Condition::Sound, exceptions }
}

pub fn seals(ids: &[&str]) -> Action {
    Action::SealApply { ids: ids.iter().map(|id| label(id)).collect() }
}

pub fn into(children: &[&UnitId]) -> Action {
    Action::Aggregate { children: children.iter().copied().cloned().collect() }
}

pub fn out_of(children: &[&UnitId]) -> Action {
    Action::Disaggregate { children: children.iter().copied().cloned().collect() }
}

impl Desk {
    /// An event about a unit, signed and not yet submitted.
    pub fn say(&self, signer: &str, unit: &UnitId, action: Action) -> Verified {
        sign(self.draft(signer, unit, action))
    }

    pub fn draft(&self, signer: &str, unit: &UnitId, action: Action) -> Event {
        self.event(signer, Subject::Unit(unit.clone()), action)
    }

    /// An event about a unit, committed.
    pub fn put(&mut self, signer: &str, unit: &UnitId, action: Action) -> EventId {
        let event = self.say(signer, unit, action);
        self.submit_verified(&event).unwrap_or_else(|refusal| panic!("the scene: {refusal}"))
    }

    /// A unit of the forwarder at place 1.
    pub fn held(&mut self, number: &str) -> UnitId {
        self.held_by("forwarder.dock1", number)
    }

    pub fn held_by(&mut self, signer: &str, number: &str) -> UnitId {
        let party = signer.split('.').next().unwrap();
        let unit = format!("trk/{party}/{number}").parse().unwrap();
        self.put(signer, &unit, Action::Register);
        unit
    }

    /// An offer on the present basis, valid for a day.
    pub fn offer(&self, signer: &str, unit: &UnitId, to: &str) -> Event {
        let until = self.time.plus(DAY_MS);
        let action = Action::Offer { to: party(to), until, terms: Digest::ZERO };
        let mut event = self.draft(signer, unit, action);
        event.basis = Some(self.unit(unit).basis);
        event
    }

    /// A unit that the forwarder holds and offered to the airline.
    pub fn offered(&mut self, number: &str) -> (UnitId, EventId) {
        let unit = self.held(number);
        let offer = self.submit(self.offer("forwarder.dock1", &unit, "airline")).unwrap();
        (unit, offer)
    }

    /// A unit that the forwarder handed to the airline, and the event by which the forwarder held it.
    pub fn handed_over(&mut self, number: &str) -> (UnitId, EventId) {
        let (unit, offer) = self.offered(number);
        let basis = self.unit(&unit).basis;
        self.put("airline.dock1", &unit, accept(offer));
        (unit, basis)
    }

    /// A unit inside of another, both of the forwarder.
    pub fn nested(&mut self, inner: &str, outer: &str) -> (UnitId, UnitId) {
        let (inner, outer) = (self.held(inner), self.held(outer));
        self.put("forwarder.dock1", &outer, into(&[&inner]));
        (inner, outer)
    }

    /// A unit of the forwarder inside of another, which the airline has by now.
    pub fn nested_and_handed_over(&mut self, inner: &str, outer: &str) -> (UnitId, UnitId) {
        let (inner, outer) = self.nested(inner, outer);
        let offer = self.submit(self.offer("forwarder.dock1", &outer, "airline")).unwrap();
        self.put("airline.dock1", &outer, accept(offer));
        (inner, outer)
    }

    pub fn delivered(&mut self, number: &str) -> UnitId {
        let unit = self.held(number);
        self.put("forwarder.dock1", &unit, DELIVER);
        unit
    }

    /// A handover that the two devices make on `basis`, carried by the taker.
    pub fn offline(&self, giver: &str, taker: &str, unit: &UnitId, basis: EventId) -> Verified {
        let to = taker.split('.').next().unwrap();
        let mut offer = self.offer(giver, unit, to);
        offer.basis = Some(basis);
        self.carried(taker, offer, accept)
    }

    /// A handover event around an offer and the acceptance that `accept` makes of it.
    pub fn carried(
        &self,
        taker: &str,
        offer: Event,
        accept: impl Fn(EventId) -> Action,
    ) -> Verified {
        let unit = offer.subject.unit().unwrap().clone();
        let offer = sign(offer).into_signed();
        let acceptance = self.draft(taker, &unit, accept(offer.id()));
        let number = acceptance.sequence + 1;
        let acceptance = sign(acceptance).into_signed();
        let action = Action::Handover { offer: offer.into(), acceptance: acceptance.into() };
        sign(Event { sequence: number, ..self.draft(taker, &unit, action) })
    }

    /// A unit that the forwarder holds by its entry and that the handler claims.
    pub fn contested(&mut self, number: &str) -> UnitId {
        let unit = self.held(number);
        self.put("customs.dock1", &unit, HOLD);
        let basis = self.unit(&unit).basis;
        let handover = self.offline("forwarder.dock1", "handler.dock1", &unit, basis);
        self.submit_verified(&handover).unwrap();
        unit
    }
}
