//! A model of the custody rules: plain, slow, obvious, and written from the design alone.
//!
//! It keeps everything that ever happened and answers every question by walking over it: which units
//! were around which at any moment, what was counted while they were, who held by which event. It shares
//! value types with the ledger, and the hash that makes a head; not one rule and no arithmetic.
//!
//! `rules` is the table of the design, `steps` makes events that mostly fit it, `run` drives both sides.

mod correct;
pub mod rules;
pub mod run;
pub mod steps;
mod stopped;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use consign_ledger::unit::{
    Around, Booking, Counters, Custody, Inside, Journey, Pending, Seal, Spent, UnitState, next_head,
};
use consign_types::block::{Height, LeafIndex};
use consign_types::digest::{Digest, EventId, NetworkId};
use consign_types::event::{Kind, KindSet, Label, SignedEvent};
use consign_types::party::{PartyId, SignerId};
use consign_types::place::Place;
use consign_types::signer_key::SignerKey;
use consign_types::time::Millis;
use consign_types::unit::{UnitClass, UnitId};

use crate::support;

/// Containers around a unit, at most.
pub const DEPTH: usize = 6;

/// Something that is counted, in the order in which the counters are hashed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Counted {
    Excursion,
    Hold,
    SealBreak,
    Exception,
    Discontinuity,
    ReadingGap,
}

/// At which moment something that is counted happened to which unit.
#[derive(Clone, Debug)]
pub struct Happening {
    pub tick: u64,
    pub unit: UnitId,
    pub what: Counted,
}

/// A unit was inside of another, from one moment to before another.
#[derive(Clone, Debug)]
pub struct Stay {
    pub child: UnitId,
    pub parent: UnitId,
    pub from: u64,
    pub to: Option<u64>,
}

/// By which event who came to hold a unit, and when that was over.
#[derive(Clone, Debug)]
pub struct Title {
    pub basis: EventId,
    pub holder: PartyId,
    pub spent_at: Option<Millis>,
}

#[derive(Clone, Debug)]
pub struct Unit {
    pub owner: PartyId,
    pub custody: Custody,
    /// All there ever were; the last one is the present one.
    pub titles: Vec<Title>,
    pub seal: Seal,
    pub damaged: bool,
    pub excursion_open: bool,
    pub holds: Vec<EventId>,
    pub pending: Vec<Pending>,
    pub journey: Journey,
    pub booking: Option<Booking>,
    pub readings: Vec<(u64, u64)>,
    pub events: Vec<EventId>,
    pub head: Digest,
}

#[derive(Clone, Debug)]
pub struct Signer {
    pub key: SignerKey,
    /// Keys before, each with the first number of the next.
    pub past: Vec<(SignerKey, u64)>,
    pub kinds: KindSet,
    pub places: Vec<Place>,
    pub classes: Vec<UnitClass>,
    pub used: BTreeSet<u64>,
    pub floors: Vec<u64>,
    /// Until when it may sign.
    pub until: Option<Millis>,
    /// Revoked or suspended.
    pub stopped: bool,
}

impl Signer {
    /// Whether nothing by it applies at `now`.
    pub fn is_stopped(&self, now: Millis) -> bool {
        self.stopped || self.until.is_some_and(|until| now > until)
    }
}

#[derive(Clone, Debug)]
pub struct Model {
    pub network: NetworkId,
    pub now: Millis,
    pub contest_window_ms: u64,
    pub return_window_ms: u64,
    pub signers: BTreeMap<SignerId, Signer>,
    pub units: BTreeMap<UnitId, Unit>,
    pub seals: Vec<Label>,
    pub happenings: Vec<Happening>,
    pub stays: Vec<Stay>,
    /// Offers that came on the log by themselves.
    pub offers: Vec<SignedEvent>,
    /// All that can be corrected.
    pub said: Vec<Arc<SignedEvent>>,
    /// Who voted twice at which height.
    pub faults: BTreeSet<(&'static str, Height)>,
    tick: u64,
}

impl Model {
    /// The network of the tests, after its genesis and without a device.
    pub fn new() -> Self {
        let genesis = support::genesis();
        let mut model = Self {
            network: genesis.network(),
            now: support::GENESIS_TIME,
            contest_window_ms: 7 * 24 * 3_600_000,
            return_window_ms: 30 * 24 * 3_600_000,
            signers: BTreeMap::new(),
            units: BTreeMap::new(),
            seals: Vec::new(),
            happenings: Vec::new(),
            stays: Vec::new(),
            offers: Vec::new(),
            said: Vec::new(),
            faults: BTreeSet::new(),
            tick: 0,
        };
        for name in support::PARTIES {
            let member = Signer {
                key: support::signer_secret(name).public(),
                past: Vec::new(),
                kinds: KindSet::of(&[
                    Kind::Enrol,
                    Kind::Report,
                    Kind::Testimony,
                    Kind::Revoke,
                    Kind::Propose,
                    Kind::Ballot,
                ]),
                places: Vec::new(),
                classes: Vec::new(),
                used: BTreeSet::new(),
                floors: vec![0],
                until: None,
                stopped: false,
            };
            model.signers.insert(name.parse().unwrap(), member);
        }
        model
    }

    pub fn is_member(&self, party: &PartyId) -> bool {
        support::PARTIES.contains(&party.as_str())
    }

    pub fn is_authority(&self, party: &PartyId) -> bool {
        party.as_str() == "customs"
    }

    /// A new moment, later than all before.
    fn next_tick(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }

    pub fn count(&mut self, unit: &UnitId, what: Counted) {
        let tick = self.next_tick();
        self.happenings.push(Happening { tick, unit: unit.clone(), what });
    }

    /// The units around one at a moment, innermost first.
    pub fn around_at(&self, unit: &UnitId, tick: u64) -> Vec<UnitId> {
        let mut around = Vec::new();
        let mut inner = unit;
        while let Some(stay) = self.stays.iter().find(|stay| {
            stay.child == *inner && stay.from <= tick && stay.to.is_none_or(|to| tick < to)
        }) {
            inner = &stay.parent;
            around.push(inner.clone());
            assert!(around.len() < 100, "a cycle");
        }
        around
    }

    /// The units around one now, innermost first.
    pub fn around(&self, unit: &UnitId) -> Vec<UnitId> {
        self.around_at(unit, self.tick)
    }

    /// The outermost unit around one: itself, where it is free.
    pub fn root(&self, unit: &UnitId) -> UnitId {
        self.around(unit).pop().unwrap_or_else(|| unit.clone())
    }

    pub fn is_free(&self, unit: &UnitId) -> bool {
        self.around(unit).is_empty()
    }

    /// Direct children, ascending.
    pub fn children(&self, unit: &UnitId) -> Vec<UnitId> {
        let inside = |child: &&UnitId| self.around(child).first() == Some(unit);
        self.units.keys().filter(inside).cloned().collect()
    }

    /// Levels of units below one.
    pub fn height(&self, unit: &UnitId) -> usize {
        self.children(unit).iter().map(|child| 1 + self.height(child)).max().unwrap_or(0)
    }

    /// Holds and disputes on units inside of one, at any depth.
    pub fn blocked_inside(&self, unit: &UnitId) -> usize {
        let inside = self.units.iter().filter(|(other, _)| self.around(other).contains(unit));
        inside
            .map(|(_, state)| {
                state.holds.len() + usize::from(matches!(state.custody, Custody::Contested { .. }))
            })
            .sum()
    }

    /// Custody now: that of the outermost unit, where an offer that ran out is none.
    pub fn custody(&self, unit: &UnitId) -> Custody {
        match self.units[&self.root(unit)].custody.clone() {
            Custody::Offered { by, until, .. } if self.now > until => Custody::Held(by),
            other => other,
        }
    }

    /// Who has a unit in hand, whatever its custody is called.
    pub fn in_hand(&self, unit: &UnitId) -> PartyId {
        match self.custody(unit) {
            Custody::Held(party)
            | Custody::Offered { by: party, .. }
            | Custody::Contested { holder: party, .. }
            | Custody::Closed { by: party, .. } => party,
        }
    }

    /// Counters recounted: what had happened by `tick` to the unit, and to what it was in at the time.
    pub fn recount_at(&self, unit: &UnitId, tick: u64) -> Counters {
        let mut counts = [0; 6];
        for happening in self.happenings.iter().filter(|happening| happening.tick <= tick) {
            let reached = happening.unit == *unit
                || self.around_at(unit, happening.tick).contains(&happening.unit);
            counts[happening.what as usize] += u32::from(reached);
        }
        Counters::from_array(counts)
    }

    pub fn recount(&self, unit: &UnitId) -> Counters {
        self.recount_at(unit, self.tick)
    }

    /// The present stay of a unit that is inside of another.
    fn stay(&self, unit: &UnitId) -> Option<&Stay> {
        self.stays.iter().find(|stay| stay.child == *unit && stay.to.is_none())
    }

    /// Puts a unit into another. An excursion that is open there reaches it from now on.
    pub fn enter(&mut self, child: &UnitId, parent: &UnitId) {
        let open = self.units[parent].excursion_open
            || self.around(parent).iter().any(|around| self.units[around].excursion_open);
        let from = self.next_tick();
        self.stays.push(Stay { child: child.clone(), parent: parent.clone(), from, to: None });
        if open {
            self.count(child, Counted::Excursion);
        }
    }

    /// Takes a unit out of what it is in. What holds around it holds for it: it is copied.
    pub fn leave(&mut self, child: &UnitId) {
        let around: Vec<Unit> = self.around(child).iter().map(|u| self.units[u].clone()).collect();
        let Some(root) = around.last() else { return };
        let holder = self.in_hand(child);
        let state = self.units.get_mut(child).unwrap();
        state.journey = root.journey.clone();
        state.custody = Custody::Held(holder);
        state.excursion_open |= around.iter().any(|unit| unit.excursion_open);
        state.damaged |= around.iter().any(|unit| unit.damaged);
        let mut holds: Vec<EventId> = state.holds.clone();
        holds.extend(around.iter().flat_map(|unit| unit.holds.clone()));
        holds.truncate(4);
        state.holds = holds;
        let to = self.next_tick();
        let stay = self.stays.iter_mut().find(|s| s.child == *child && s.to.is_none());
        stay.unwrap().to = Some(to);
    }

    /// `party` holds the unit from now on, by the event `basis`.
    pub fn hold_by(&mut self, unit: &UnitId, party: &PartyId, basis: EventId) {
        let now = self.now;
        let state = self.units.get_mut(unit).unwrap();
        if let Some(last) = state.titles.last_mut() {
            last.spent_at = Some(now);
        }
        state.titles.push(Title { basis, holder: party.clone(), spent_at: None });
        state.custody = Custody::Held(party.clone());
    }

    /// Of the titles before the last spent one those that an entry remembers: the last 16, oldest first.
    pub fn remembered(&self, unit: &UnitId) -> &[Title] {
        let titles = &self.units[unit].titles;
        let older = &titles[..titles.len().saturating_sub(2)];
        &older[older.len().saturating_sub(16)..]
    }

    /// The event goes into the unit's history, with what stands around the unit now.
    pub fn record(&mut self, unit: &UnitId, event: EventId, leaf: LeafIndex) {
        let around = self.around(unit).into_iter().map(|container| Around {
            head: self.units[&container].head,
            effective: self.recount(&container),
            unit: container,
        });
        let around: Vec<Around> = around.collect();
        let now = self.now;
        let state = self.units.get_mut(unit).unwrap();
        state.head = next_head(&state.head, &event, leaf, now, &around);
        state.events.push(event);
    }

    /// What the ledger's entry of this unit must be, to the last field.
    pub fn expected(&self, unit: &UnitId) -> UnitState {
        let state = &self.units[unit];
        let stay = self.stay(unit);
        let anchor = stay.map(|stay| self.recount_at(&stay.parent, stay.from));
        let of_containers = match (stay, anchor) {
            (Some(stay), Some(anchor)) => minus(self.recount(&stay.parent), anchor),
            _ => Counters::default(),
        };
        let mut children = [0; DEPTH];
        for child in self.children(unit) {
            children[self.height(&child)] += 1;
        }
        let (current, earlier) = state.titles.split_last().unwrap();
        UnitState {
            owner: state.owner.clone(),
            custody: state.custody.clone(),
            basis: current.basis,
            spent: earlier.last().map(|title| Spent {
                basis: title.basis,
                holder: title.holder.clone(),
                at: title.spent_at.unwrap(),
            }),
            past: self.remembered(unit).iter().map(|title| title.basis).collect(),
            inside: stay
                .zip(anchor)
                .map(|(stay, anchor)| Inside { parent: stay.parent.clone(), anchor }),
            children,
            seal: state.seal.clone(),
            damaged: state.damaged,
            excursion_open: state.excursion_open,
            holds: state.holds.clone(),
            pending: state.pending.clone(),
            journey: state.journey.clone(),
            booking: state.booking.clone(),
            counters: minus(self.recount(unit), of_containers),
            blocked_inside: self.blocked_inside(unit) as u32,
            last_reading: state.readings.last().map(|(_, last)| *last),
            events: state.events.len() as u64,
            head: state.head,
        }
    }

    /// What the ledger's entry of every unit must be.
    pub fn all_expected(&self) -> BTreeMap<UnitId, UnitState> {
        self.units.keys().map(|unit| (unit.clone(), self.expected(unit))).collect()
    }
}

/// Differences that must not be negative: a count that shrank would be a bug of one side.
fn minus(a: Counters, b: Counters) -> Counters {
    let (mut left, right) = (a.to_array(), b.to_array());
    for (l, r) in left.iter_mut().zip(right) {
        *l = l.checked_sub(r).expect("counts only grow");
    }
    Counters::from_array(left)
}
