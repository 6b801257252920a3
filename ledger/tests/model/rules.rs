//! The table of the design, row by row, as checks and changes of plain values.
//!
//! A reading that the design leaves open is marked with "read as".

use std::sync::Arc;

use consign_ledger::unit::{Booking, Closed, Custody, Journey, Pending, Proposal, Seal};
use consign_types::block::LeafIndex;
use consign_types::digest::EventId;
use consign_types::event::{
    Action, Condition, Event, ExceptionCode, Kind, Subject, Verdict, Verified, possession_message,
};
use consign_types::party::PartyId;
use consign_types::unit::UnitId;

use super::{Counted, DEPTH, Model, Signer, Unit};

/// Why an event is refused; for people who read a failed test.
pub type Verdicted = Result<(), String>;

fn is_delivered(custody: &Custody) -> bool {
    matches!(custody, Custody::Closed { why: Closed::Delivered, .. })
}

pub fn need(holds: bool, why: &str) -> Verdicted {
    if holds { Ok(()) } else { Err(why.to_string()) }
}

impl Model {
    /// Applies an event whole, or refuses it and changes nothing.
    pub fn judge(&mut self, event: &Verified, leaf: LeafIndex) -> Verdicted {
        let mut next = self.clone();
        next.admit(event)?;
        next.perform(event, leaf)?;
        let signed = event.signed();
        if !signed.event().action.kind().is_nested() {
            next.said.push(Arc::new(signed.clone()));
        } else if signed.event().action.kind() == Kind::Handover {
            next.said.extend(signed.event().action.inner().map(|inner| Arc::new(inner.clone())));
        }
        *self = next;
        Ok(())
    }

    /// What holds for every event, the ones inside of a handover included.
    fn admit(&mut self, verified: &Verified) -> Verdicted {
        let event = verified.event();
        need(event.network == self.network, "foreign network")?;
        let (kind, now) = (event.action.kind(), self.now);
        let signer = self.signers.get_mut(&event.signer).ok_or("not enrolled")?;
        need(signer.key_for(event.sequence) == verified.signed().key_id(), "another key")?;
        need(!signer.is_stopped(now), "stopped")?;
        need(signer.kinds.has(kind) || kind == Kind::Rotate, "kind not enrolled")?;
        let place = event.place.as_ref();
        let here = signer.places.is_empty() || place.is_some_and(|p| signer.places.contains(p));
        need(here, "place not enrolled")?;
        let mut named: Vec<UnitId> = event.subject.unit().cloned().into_iter().collect();
        if let Action::Aggregate { children } | Action::Disaggregate { children } = &event.action {
            named.extend_from_slice(children);
        }
        for unit in named {
            let fits = signer.classes.is_empty() || signer.classes.contains(&unit.class());
            need(fits, "class not enrolled")?;
        }
        take_number(signer, event.sequence, event.floor)?;
        need(event.basis.is_some() == (kind == Kind::Offer), "an offer names a basis, nothing else")
    }

    fn perform(&mut self, verified: &Verified, leaf: LeafIndex) -> Verdicted {
        let event = verified.event();
        let id = verified.signed().id();
        let signer = event.signer.party().clone();
        if let Action::Enrol { .. } = event.action {
            return self.enrol(event);
        }
        if let Some(verdict) = self.beside_units(event, id, leaf) {
            return verdict;
        }
        let Subject::Unit(unit) = &event.subject else { return Err("not about a unit".into()) };
        if event.action == Action::Register {
            return self.register(event, unit, id, leaf);
        }
        need(self.units.contains_key(unit), "unknown unit")?;
        match &event.action {
            Action::Handover { .. } => return self.handover(verified, unit, leaf),
            Action::Aggregate { children } => {
                return self.aggregate(&signer, unit, children, id, leaf);
            }
            Action::Disaggregate { children } => {
                return self.disaggregate(&signer, unit, children, id, leaf);
            }
            Action::Load { .. }
            | Action::Unload { .. }
            | Action::Depart { .. }
            | Action::Arrive => self.travel(event, unit)?,
            Action::Book { .. }
            | Action::Offer { .. }
            | Action::Accept { .. }
            | Action::Refuse { .. }
            | Action::Cancel { .. }
            | Action::Attempt { .. }
            | Action::Deliver { .. }
            | Action::Return { .. }
            | Action::Lost { .. }
            | Action::Destroyed { .. }
            | Action::Found => self.move_custody(event, unit, id)?,
            Action::Resolve { .. } | Action::Consent { .. } => self.agree(event, unit, id)?,
            Action::Correct { .. } => self.correct(event, unit, id)?,
            _ => self.condition(event, unit, id)?,
        }
        if let Action::Offer { .. } = event.action {
            self.offers.push(verified.signed().clone());
        }
        self.record(unit, id, leaf);
        Ok(())
    }

    fn enrol(&mut self, event: &Event) -> Verdicted {
        let Action::Enrol { key, possession, kinds, places, classes, until } = &event.action else {
            return Err("no enrolment".into());
        };
        let Subject::Signer(device) = &event.subject else {
            return Err("not about a device".into());
        };
        need(event.signer.is_member() && !device.is_member(), "a member enrols a device")?;
        need(event.signer.party() == device.party(), "of its own")?;
        need(!self.signers.contains_key(device), "once")?;
        let own = [Kind::Enrol, Kind::Testimony, Kind::Revoke];
        need(!own.iter().any(|kind| kinds.has(*kind)), "that answers for nobody itself")?;
        need(until.is_none_or(|until| self.now <= until), "for a time to come")?;
        let message = possession_message(self.network, &event.subject, key);
        need(key.verify(&message, possession).is_ok(), "and holds its key")?;
        let signer = Signer {
            key: *key,
            past: Vec::new(),
            kinds: *kinds,
            places: places.clone(),
            classes: classes.clone(),
            used: Default::default(),
            floors: vec![0],
            until: *until,
            stopped: false,
        };
        self.signers.insert(device.clone(), signer);
        Ok(())
    }

    fn register(&mut self, e: &Event, unit: &UnitId, id: EventId, leaf: LeafIndex) -> Verdicted {
        need(!self.units.contains_key(unit), "known")?;
        let place = e.place.clone().ok_or("a registration says where")?;
        let owner = e.signer.party().clone();
        let own = unit.as_str().starts_with(&format!("trk/{owner}/"));
        need(own || !unit.as_str().starts_with("trk/"), "another member's number")?;
        let state = Unit {
            custody: Custody::Held(owner.clone()),
            owner: owner.clone(),
            titles: Vec::new(),
            seal: Seal::None,
            damaged: false,
            excursion_open: false,
            holds: Vec::new(),
            pending: Vec::new(),
            journey: Journey::At { place, aboard: None },
            booking: None,
            readings: Vec::new(),
            events: Vec::new(),
            head: Default::default(),
        };
        self.units.insert(unit.clone(), state);
        self.hold_by(unit, &owner, id);
        self.record(unit, id, leaf);
        Ok(())
    }

    /// C, whether or not an offer is open.
    fn is_custodian(&self, unit: &UnitId, party: &PartyId) -> bool {
        matches!(self.custody(unit),
            Custody::Held(by) | Custody::Offered { by, .. } if by == *party)
    }

    /// Held(C): no offer is open.
    fn is_held_by(&self, unit: &UnitId, party: &PartyId) -> bool {
        self.custody(unit) == Custody::Held(party.clone())
    }

    /// C or R; a contested unit has both who claim it.
    fn is_involved(&self, unit: &UnitId, party: &PartyId) -> bool {
        match self.custody(unit) {
            Custody::Held(by) => by == *party,
            Custody::Offered { by, to, .. } => by == *party || to == *party,
            Custody::Contested { holder, claimant } => holder == *party || claimant == *party,
            Custody::Closed { .. } => false,
        }
    }

    fn is_closed(&self, unit: &UnitId) -> bool {
        matches!(self.custody(unit), Custody::Closed { .. })
    }

    fn no_hold_nothing_blocked(&self, unit: &UnitId) -> Verdicted {
        need(self.units[unit].holds.is_empty(), "on hold")?;
        need(self.blocked_inside(unit) == 0, "blocked inside")
    }

    /// Who offered to whom, where this offer is open and has not run out.
    fn open_offer(&self, unit: &UnitId, wanted: &EventId) -> Option<(PartyId, PartyId)> {
        match self.custody(unit) {
            Custody::Offered { by, to, offer, .. } if offer == *wanted && self.is_free(unit) => {
                Some((by, to))
            }
            _ => None,
        }
    }

    fn move_custody(&mut self, event: &Event, unit: &UnitId, id: EventId) -> Verdicted {
        let signer = event.signer.party().clone();
        let now = self.now;
        match &event.action {
            Action::Book { receiver, window, factors } => {
                need(self.units[unit].owner == signer, "not the owner")?;
                need(self.is_held_by(unit, &signer), "not held by the owner")?;
                need(self.is_member(receiver), "no member")?;
                let booking =
                    Booking { receiver: receiver.clone(), window: *window, factors: *factors };
                self.units.get_mut(unit).unwrap().booking = Some(booking);
            }
            Action::Offer { to, until, .. } => {
                need(self.is_held_by(unit, &signer), "not held by the signer")?;
                need(self.is_free(unit), "contained")?;
                self.no_hold_nothing_blocked(unit)?;
                need(self.is_member(to) && *to != signer, "no other member")?;
                need(*until >= now, "over before it begins")?;
                let current = self.units[unit].titles.last().unwrap().basis;
                need(event.basis == Some(current), "not the present basis")?;
                let (to, until) = (to.clone(), *until);
                self.units.get_mut(unit).unwrap().custody =
                    Custody::Offered { by: signer, to, until, offer: id };
            }
            Action::Accept { offer, .. } => {
                let (_, to) = self.open_offer(unit, offer).ok_or("no such offer is open")?;
                need(to == signer, "not the offered receiver")?;
                self.no_hold_nothing_blocked(unit)?;
                self.take_over(event, unit, id)?;
            }
            Action::Refuse { offer, .. } => {
                let (by, to) = self.open_offer(unit, offer).ok_or("no such offer is open")?;
                need(to == signer, "not the offered receiver")?;
                self.units.get_mut(unit).unwrap().custody = Custody::Held(by);
            }
            Action::Cancel { offer } => {
                let (by, _) = self.open_offer(unit, offer).ok_or("no such offer is open")?;
                need(by == signer, "offered by another")?;
                self.units.get_mut(unit).unwrap().custody = Custody::Held(by);
            }
            Action::Attempt { .. } => need(self.is_held_by(unit, &signer), "not held")?,
            Action::Deliver { factors } => {
                need(self.is_held_by(unit, &signer), "not held by the signer")?;
                need(self.is_free(unit), "contained")?;
                self.no_hold_nothing_blocked(unit)?;
                if let Some(booking) = &self.units[unit].booking {
                    let shown = |wanted| factors.iter().any(|(factor, _)| *factor == wanted);
                    need(booking.factors.iter().all(shown), "a booked factor is missing")?;
                }
                self.units.get_mut(unit).unwrap().custody =
                    Custody::Closed { why: Closed::Delivered, by: signer, at: now };
            }
            Action::Return { .. } if is_delivered(&self.units[unit].custody) => {
                let Custody::Closed { by, at, .. } = self.units[unit].custody.clone() else {
                    return Err("not closed".into());
                };
                need(now.0 <= at.0 + self.return_window_ms, "too late")?;
                let state = &self.units[unit];
                let booked = state.booking.as_ref().map(|booking| booking.receiver.clone());
                if state.owner == signer {
                    self.hold_by(unit, &signer, id);
                    self.units.get_mut(unit).unwrap().booking = None;
                } else {
                    need(by == signer || booked == Some(signer.clone()), "not involved")?;
                    let owner = state.owner.clone();
                    self.propose(unit, &signer, id, Proposal::Return, &[owner])?;
                }
            }
            Action::Return { .. } => {
                // Read as: a new leg begins for a unit that moves by itself, so not inside of another.
                need(
                    self.is_held_by(unit, &signer) && self.is_free(unit),
                    "not held, or contained",
                )?;
                self.hold_by(unit, &signer, id);
                self.units.get_mut(unit).unwrap().booking = None;
            }
            Action::Lost { holder, .. } | Action::Destroyed { holder, .. } => {
                need(!self.is_closed(unit), "closed already")?;
                let contested = matches!(self.custody(unit), Custody::Contested { .. });
                need(!contested, "contested")?;
                need(self.is_free(unit), "contained")?;
                need(self.in_hand(unit) == *holder, "held by another than it says")?;
                let authority = self.is_authority(&signer);
                need(authority || self.is_held_by(unit, &signer), "not held by the signer")?;
                let lost = matches!(event.action, Action::Lost { .. });
                let why = if lost { Closed::Lost } else { Closed::Destroyed };
                let owner = self.units[unit].owner.clone();
                if !authority && owner != signer {
                    return self.propose(unit, &signer, id, Proposal::Close(why), &[owner]);
                }
                self.units.get_mut(unit).unwrap().custody =
                    Custody::Closed { why, by: holder.clone(), at: now };
            }
            Action::Found => {
                let Custody::Closed { why: Closed::Lost, by, .. } = &self.units[unit].custody
                else {
                    return Err("not lost".into());
                };
                need(*by == signer || self.units[unit].owner == signer, "neither of the two")?;
                let place = event.place.clone().ok_or("no place")?;
                self.hold_by(unit, &signer, id);
                self.units.get_mut(unit).unwrap().journey = Journey::At { place, aboard: None };
            }
            _ => return Err("not about custody".into()),
        }
        Ok(())
    }

    /// Somebody asks others to agree.
    pub fn propose(
        &mut self,
        unit: &UnitId,
        by: &PartyId,
        event: EventId,
        what: Proposal,
        open: &[PartyId],
    ) -> Verdicted {
        let (now, basis) = (self.now, self.units[unit].titles.last().unwrap().basis);
        let state = self.units.get_mut(unit).unwrap();
        let mut waiting = state.pending.clone();
        let is_correction = |what: &Proposal| matches!(what, Proposal::Correct { .. });
        waiting.retain(|other| other.until >= now);
        waiting.retain(|other| is_correction(&other.what) || other.basis == basis);
        waiting.retain(|other| {
            let alike = other.what.kind() == what.kind();
            other.by != *by || if is_correction(&what) { other.what != what } else { !alike }
        });
        let corrections = waiting.iter().filter(|other| is_correction(&other.what)).count();
        need(!is_correction(&what) || corrections < 2, "too many corrections")?;
        if waiting.len() == 4 {
            need(matches!(what, Proposal::Resolve { .. }), "too many")?;
            waiting.remove(0);
        }
        let mut open = open.to_vec();
        open.sort();
        let until = now.plus(30 * 24 * 3_600_000);
        waiting.push(Pending { event, by: by.clone(), open, until, basis, what });
        state.pending = waiting;
        Ok(())
    }

    /// What ends a dispute, and what others say to it and to other proposals.
    fn agree(&mut self, event: &Event, unit: &UnitId, id: EventId) -> Verdicted {
        let signer = event.signer.party().clone();
        let custody = self.units[unit].custody.clone();
        if let Action::Resolve { holder: to, .. } = &event.action {
            need(self.is_authority(&signer), "no authority")?;
            let Custody::Contested { holder, claimant } = custody else {
                return Err("not contested".into());
            };
            need([&holder, &claimant, &self.units[unit].owner].contains(&to), "who is that")?;
            let parties: Vec<PartyId> =
                [holder, claimant].into_iter().filter(|party| *party != signer).collect();
            let what = Proposal::Resolve { holder: to.clone() };
            return self.propose(unit, &signer, id, what, &parties);
        }
        let Action::Consent { proposal } = &event.action else { return Err("what else".into()) };
        let now = self.now;
        let waiting = &self.units[unit].pending;
        let at = waiting.iter().position(|p| p.event == *proposal && now <= p.until);
        let at = at.ok_or("nothing waits by this name")?;
        let mut asked = waiting[at].clone();
        need(asked.open.contains(&signer), "not asked")?;
        asked.open.retain(|party| *party != signer);
        if !asked.open.is_empty() {
            self.units.get_mut(unit).unwrap().pending[at] = asked;
            return Ok(());
        }
        self.units.get_mut(unit).unwrap().pending.remove(at);
        if self.units[unit].titles.last().unwrap().basis != asked.basis {
            return Ok(());
        }
        match (&asked.what, custody) {
            (Proposal::Return, custody) if is_delivered(&custody) => {
                self.hold_by(unit, &asked.by, asked.event);
                self.units.get_mut(unit).unwrap().booking = None;
            }
            (Proposal::Close(why), _) if self.is_free(unit) && self.is_held_by(unit, &asked.by) => {
                self.units.get_mut(unit).unwrap().custody =
                    Custody::Closed { why: *why, by: asked.by, at: now };
            }
            (Proposal::Resolve { holder }, Custody::Contested { .. }) => {
                self.hold_by(unit, holder, asked.event);
            }
            _ => {}
        }
        Ok(())
    }

    /// What an acceptance does once nothing forbids it.
    fn take_over(&mut self, acceptance: &Event, unit: &UnitId, basis: EventId) -> Verdicted {
        let Action::Accept { seals, condition, exceptions, .. } = &acceptance.action else {
            return Err("no acceptance".into());
        };
        let on_record = match &self.units[unit].seal {
            Seal::Sealed(ids) => ids.clone(),
            Seal::None | Seal::Broken { .. } => Vec::new(),
        };
        let says_so = exceptions.contains(&ExceptionCode::SealMismatch);
        need(*seals == on_record || says_so, "seals differ and no exception says so")?;
        for _ in exceptions {
            self.count(unit, Counted::Exception);
        }
        if *condition == Condition::Damaged {
            self.units.get_mut(unit).unwrap().damaged = true;
        }
        self.hold_by(unit, acceptance.signer.party(), basis);
        Ok(())
    }

    fn handover(&mut self, verified: &Verified, unit: &UnitId, leaf: LeafIndex) -> Verdicted {
        let id = verified.signed().id();
        let (offer, acceptance) = verified.inner().ok_or("nothing inside")?;
        let (Action::Offer { to, until, .. }, Action::Accept { offer: accepted, .. }) =
            (&offer.event().action, &acceptance.event().action)
        else {
            return Err("not an offer and an acceptance".into());
        };
        let subjects =
            [&offer, &acceptance].map(|inner| inner.event().subject.unit() == Some(unit));
        need(subjects == [true, true], "about other units")?;
        need(*accepted == offer.signed().id(), "the acceptance signs another offer")?;
        let (giver, taker) = (offer.event().signer.party(), acceptance.event().signer.party());
        need(to == taker && giver != taker, "not the offered receiver")?;
        need(self.now <= *until, "past its time")?;

        if self.open_offer(unit, &offer.signed().id()).is_some() {
            // It used its number when it came on the log; it is simply accepted.
            self.admit(&acceptance)?;
            self.no_hold_nothing_blocked(unit)?;
            self.take_over(acceptance.event(), unit, acceptance.signed().id())?;
            self.record(unit, id, leaf);
            return Ok(());
        }
        self.admit(&offer)?;
        self.admit(&acceptance)?;

        let basis = offer.event().basis;
        let (current, earlier) = self.units[unit].titles.split_last().unwrap();
        let is_current = basis == Some(current.basis);
        let is_recent = earlier.last().is_some_and(|title| {
            basis == Some(title.basis)
                && title.holder == *giver
                && self.now.0 - title.spent_at.unwrap().0 <= self.contest_window_ms
        });
        let already_contested = matches!(self.units[unit].custody, Custody::Contested { .. });
        if self.is_closed(unit) || already_contested || !(is_current || is_recent) {
            // What comes too early waits for its basis; what is too old is a record without effect.
            let is_old = earlier.last().is_some_and(|title| basis == Some(title.basis))
                || self.remembered(unit).iter().any(|title| basis == Some(title.basis));
            let waits = !self.is_closed(unit) && !already_contested && !is_old && !is_current;
            need(!waits, "the basis is not known yet")?;
            self.record(unit, id, leaf);
            return Ok(());
        }
        if is_current {
            need(current.holder == *giver, "the giver did not hold by this basis")?;
            if self.is_free(unit) && self.units[unit].holds.is_empty() {
                need(self.is_held_by(unit, giver), "another offer is open")?;
                need(self.blocked_inside(unit) == 0, "blocked inside")?;
                self.take_over(acceptance.event(), unit, acceptance.signed().id())?;
                self.record(unit, id, leaf);
                return Ok(());
            }
        }
        let holder = self.in_hand(unit);
        self.record(unit, id, leaf);
        // Nobody has a dispute with itself: who took it has it, by title or with what it is in.
        if [&holder, &self.units[unit].titles.last().unwrap().holder].contains(&taker) {
            return Ok(());
        }
        self.leave(unit);
        // Whoever has it in hand when a dispute begins answers for it.
        self.units.get_mut(unit).unwrap().titles.last_mut().unwrap().holder = holder.clone();
        self.units.get_mut(unit).unwrap().custody =
            Custody::Contested { holder, claimant: taker.clone() };
        Ok(())
    }

    /// The parent can be opened: held by the signer, nothing from it outwards sealed or on hold.
    fn is_accessible(&self, signer: &PartyId, parent: &UnitId) -> Verdicted {
        need(self.is_held_by(parent, signer), "the parent is not held by the signer")?;
        for unit in std::iter::once(parent.clone()).chain(self.around(parent)) {
            need(!matches!(self.units[&unit].seal, Seal::Sealed(_)), "sealed")?;
            need(self.units[&unit].holds.is_empty(), "on hold")?;
        }
        Ok(())
    }

    fn aggregate(
        &mut self,
        signer: &PartyId,
        parent: &UnitId,
        children: &[UnitId],
        id: EventId,
        leaf: LeafIndex,
    ) -> Verdicted {
        self.is_accessible(signer, parent)?;
        let Journey::At { place: here, .. } = self.units[&self.root(parent)].journey.clone() else {
            return Err("the parent moves".into());
        };
        for child in children {
            need(self.units.contains_key(child), "unknown child")?;
            need(self.is_held_by(child, signer) && self.is_free(child), "child not held and free")?;
            let there = matches!(&self.units[child].journey,
                Journey::At { place, .. } if *place == here);
            need(there, "child elsewhere")?;
            need(*child != *parent && !self.around(parent).contains(child), "cycle")?;
            let depth = self.around(parent).len() + 1 + self.height(child);
            need(depth <= DEPTH, "too deep")?;
        }
        // An event that names both updates the container first.
        self.record(parent, id, leaf);
        for child in children {
            self.enter(child, parent);
            self.record(child, id, leaf);
        }
        Ok(())
    }

    fn disaggregate(
        &mut self,
        signer: &PartyId,
        parent: &UnitId,
        children: &[UnitId],
        id: EventId,
        leaf: LeafIndex,
    ) -> Verdicted {
        self.is_accessible(signer, parent)?;
        for child in children {
            need(self.units.contains_key(child), "unknown child")?;
            need(self.around(child).first() == Some(parent), "not inside")?;
        }
        self.record(parent, id, leaf);
        for child in children {
            // Read as: the stay ends with this event, which still belongs to it.
            self.record(child, id, leaf);
            let holder = self.in_hand(child);
            self.leave(child);
            self.hold_by(child, &holder, id);
        }
        Ok(())
    }

    /// Custody does not move with the journey.
    fn travel(&mut self, event: &Event, unit: &UnitId) -> Verdicted {
        need(self.is_custodian(unit, event.signer.party()), "not the custodian")?;
        need(self.is_free(unit), "contained: the outermost unit travels")?;
        let journey = match (&event.action, self.units[unit].journey.clone()) {
            (Action::Load { conveyance }, Journey::At { place, aboard: None }) => {
                Journey::At { place, aboard: Some(conveyance.clone()) }
            }
            (Action::Unload { conveyance }, Journey::At { place, aboard: Some(on) }) => {
                need(on == *conveyance, "on another conveyance")?;
                Journey::At { place, aboard: None }
            }
            (Action::Depart { conveyance }, Journey::At { place, aboard }) => {
                let from = event.place.as_ref().ok_or("a departure says from where")?;
                if let (Some(on), Some(by)) = (&aboard, conveyance) {
                    need(on == by, "on another conveyance")?;
                }
                if place != *from {
                    self.count(unit, Counted::Discontinuity);
                }
                let loaded = aboard.is_some();
                Journey::Moving { conveyance: aboard.or(conveyance.clone()), loaded }
            }
            (Action::Arrive, Journey::Moving { conveyance, loaded }) => {
                let place = event.place.clone().ok_or("an arrival says where")?;
                Journey::At { place, aboard: if loaded { conveyance } else { None } }
            }
            _ => return Err("does not match the journey".into()),
        };
        self.units.get_mut(unit).unwrap().journey = journey;
        Ok(())
    }

    fn condition(&mut self, event: &Event, unit: &UnitId, id: EventId) -> Verdicted {
        let signer = event.signer.party().clone();
        let involved = self.is_involved(unit, &signer);
        // Read as: the owner may report, and pair a sensor, wherever the unit is.
        let reports = involved || (!self.is_closed(unit) && self.units[unit].owner == signer);
        let decides = self.is_authority(&signer) && !self.is_closed(unit);
        let seal = self.units[unit].seal.clone();
        match &event.action {
            Action::Observe { .. } => need(involved, "not involved")?,
            Action::SealApply { ids } => {
                need(self.is_custodian(unit, &signer), "not the custodian")?;
                need(!matches!(seal, Seal::Sealed(_)), "sealed")?;
                need(ids.iter().all(|id| !self.seals.contains(id)), "seal id used before")?;
                self.seals.extend(ids.iter().cloned());
                self.units.get_mut(unit).unwrap().seal = Seal::Sealed(ids.clone());
            }
            Action::SealVerify { ids } => {
                need(involved, "not involved")?;
                let Seal::Sealed(on_record) = seal else { return Err("not sealed".into()) };
                if on_record != *ids {
                    self.count(unit, Counted::Exception);
                }
            }
            Action::SealBreak { .. } => {
                need(
                    self.is_custodian(unit, &signer) || decides,
                    "neither custodian nor authority",
                )?;
                need(matches!(seal, Seal::Sealed(_)), "not sealed")?;
                let authorised = self.is_authority(&signer);
                self.units.get_mut(unit).unwrap().seal = Seal::Broken { authorised };
                self.count(unit, Counted::SealBreak);
            }
            Action::Readings { first, last, .. } => {
                need(reports, "not involved")?;
                let before = self.units[unit].readings.last().copied();
                if before.is_some_and(|(_, end)| end + 1 != *first) {
                    self.count(unit, Counted::ReadingGap);
                }
                self.units.get_mut(unit).unwrap().readings.push((*first, *last));
            }
            Action::Excursion { .. } => {
                need(reports, "not involved")?;
                self.units.get_mut(unit).unwrap().excursion_open = true;
                self.count(unit, Counted::Excursion);
            }
            Action::CloseExcursion { verdict } => {
                need(decides, "no authority, or closed")?;
                let state = self.units.get_mut(unit).unwrap();
                need(state.excursion_open, "no excursion is open")?;
                state.excursion_open = false;
                state.damaged = state.damaged || *verdict == Verdict::Damaged;
            }
            Action::Hold { .. } => {
                need(decides, "no authority, or closed")?;
                let holds = &mut self.units.get_mut(unit).unwrap().holds;
                need(holds.len() < 4, "four holds stand")?;
                holds.push(id);
                self.count(unit, Counted::Hold);
            }
            Action::Release { hold } => {
                need(decides, "no authority, or closed")?;
                let holds = &mut self.units.get_mut(unit).unwrap().holds;
                need(holds.contains(hold), "no such hold")?;
                holds.retain(|standing| standing != hold);
            }
            Action::Exception { .. } => {
                need(reports, "not involved")?;
                self.count(unit, Counted::Exception);
            }
            _ => return Err("not about the condition".into()),
        }
        Ok(())
    }
}

/// Each number is used once, in any order; at most 32 may be missing above the highest floor.
pub fn take_number(signer: &mut Signer, number: u64, floor: u64) -> Verdicted {
    need(floor <= number, "the floor is above the number")?;
    let closed_below = signer.floors.iter().copied().max().unwrap_or(0).max(1);
    need(number >= closed_below && !signer.used.contains(&number), "used or closed")?;
    signer.used.insert(number);
    signer.floors.push(floor);
    let lowest = closed_below.max(floor);
    let high = signer.used.last().copied().unwrap_or(0);
    let missing = (high - lowest) - signer.used.range(lowest..high).count() as u64;
    need(missing <= 32, "too many missing")
}
