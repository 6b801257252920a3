//! Random traffic that mostly fits the rules.
//!
//! A step is a few numbers; what they mean is decided on the model's present state, so that a step still
//! means something when proptest has taken others away. Most steps look for a unit and a signer for which
//! the rule holds; one in eight takes any.

mod keys;
mod settle;

use consign_ledger::unit::{Closed, Custody, Journey, Seal};
use consign_types::digest::{Digest, EventId};
use consign_types::event::{
    Action, Condition, DeliveryFactor, Event, ExceptionCode, FactorSet, Kind, Label, Reason,
    SignedEvent, Subject, Verdict, Verified, Window,
};
use consign_types::party::{PartyId, SignerId};
use consign_types::time::Millis;
use consign_types::unit::{UnitClass, UnitId};
use proptest::prelude::*;
use proptest::sample::select;

use super::Model;
use crate::support::{self, DEVICES, PARTIES, key_after, party, place, sign_with, unit};

const UNITS: usize = 12;
const SEALS: usize = 24;
const HOUR_MS: u64 = 3_600_000;

/// How often each kind is tried.
const WEIGHTS: [(Kind, usize); 37] = [
    (Kind::Register, 14),
    (Kind::Book, 3),
    (Kind::Offer, 7),
    (Kind::Accept, 8),
    (Kind::Refuse, 2),
    (Kind::Cancel, 2),
    (Kind::Handover, 7),
    (Kind::Aggregate, 24),
    (Kind::Disaggregate, 7),
    (Kind::Load, 3),
    (Kind::Unload, 3),
    (Kind::Depart, 2),
    (Kind::Arrive, 8),
    (Kind::Observe, 2),
    (Kind::SealApply, 7),
    (Kind::SealVerify, 3),
    (Kind::SealBreak, 6),
    (Kind::Readings, 4),
    (Kind::Excursion, 6),
    (Kind::CloseExcursion, 4),
    (Kind::Hold, 4),
    (Kind::Release, 8),
    (Kind::Exception, 4),
    (Kind::Attempt, 1),
    (Kind::Deliver, 1),
    (Kind::Return, 2),
    (Kind::Enrol, 2),
    (Kind::Lost, 1),
    (Kind::Destroyed, 1),
    (Kind::Found, 3),
    (Kind::Consent, 16),
    (Kind::Resolve, 9),
    (Kind::Correct, 5),
    (Kind::Report, 1),
    (Kind::Testimony, 3),
    (Kind::Revoke, 2),
    (Kind::Rotate, 3),
];

#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub kind: Kind,
    /// Which of the units that fit.
    pub unit: u8,
    /// Anything else that there is to choose.
    pub other: u16,
    /// Whether the choice heeds the rule.
    pub flaw: u8,
    /// Time from the block before to the one that begins here; none where the block goes on.
    pub gap_ms: Option<u64>,
}

pub fn steps(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Step>> {
    let kinds: Vec<Kind> =
        WEIGHTS.iter().flat_map(|(kind, weight)| std::iter::repeat_n(*kind, *weight)).collect();
    let gap = prop_oneof![
        5 => Just(None),
        2 => (1..2000_u64).prop_map(Some),
        2 => Just(Some(HOUR_MS)),
        1 => Just(Some(30 * HOUR_MS)),
        1 => Just(Some(7 * 24 * HOUR_MS)),
    ];
    let step = (select(kinds), any::<u8>(), any::<u16>(), any::<u8>(), gap);
    let step =
        step.prop_map(|(kind, unit, other, flaw, gap_ms)| Step { kind, unit, other, flaw, gap_ms });
    proptest::collection::vec(step, count)
}

/// The number of the `n`th unit: mostly the forwarder's own, some that anybody may register.
fn number(n: usize) -> UnitId {
    if n % 3 == 2 { UnitId::sscc(&format!("{n:017}")).unwrap() } else { unit(&format!("U{n:02}")) }
}

/// The event that a step means now; `None` where there is nothing that it could be about.
pub fn event(model: &Model, step: &Step) -> Option<Verified> {
    Choice { model, step }.event()
}

/// Enrolment of every device, one after the other: what a run begins with.
pub fn enrolments(model: &Model) -> Vec<Event> {
    let devices = PARTIES.iter().flat_map(|p| DEVICES.map(|d| (*p, format!("{p}.{d}"))));
    let enrol = |(n, (party, device)): (usize, (&str, String))| {
        let device: SignerId = device.parse().unwrap();
        let action = support::enrol(model.network, &device, &support::device_kinds());
        Event {
            network: model.network,
            signer: party.parse().unwrap(),
            subject: Subject::Signer(device),
            sequence: (n % DEVICES.len()) as u64 + 1,
            floor: 0,
            time: model.now,
            place: None,
            basis: None,
            action,
        }
    };
    devices.enumerate().map(enrol).collect()
}

struct Choice<'a> {
    model: &'a Model,
    step: &'a Step,
}

impl Choice<'_> {
    fn is_flawed(&self) -> bool {
        self.step.flaw.is_multiple_of(8)
    }

    /// A number below `bound` that differs between the things chosen for one step.
    fn roll(&self, salt: u64, bound: usize) -> usize {
        let seed = (u64::from(self.step.other) << 8 | u64::from(self.step.unit)) + (salt << 24);
        let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed >> 33) % bound as u64) as usize
    }

    fn one<T: Clone>(&self, salt: u64, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.roll(salt, from.len())].clone()) }
    }

    /// A unit for which the rule holds; any unit in a flawed step, and sometimes where there is none.
    fn fitting(&self, fits: impl Fn(&UnitId) -> bool) -> Option<UnitId> {
        let all: Vec<UnitId> = self.model.units.keys().cloned().collect();
        let good: Vec<UnitId> = all.iter().filter(|unit| fits(unit)).cloned().collect();
        let any = self.is_flawed() || (good.is_empty() && self.step.flaw % 8 == 3);
        self.one(1, if any { &all } else { &good })
    }

    fn any_party(&self, salt: u64) -> PartyId {
        party(PARTIES[self.roll(salt, PARTIES.len())])
    }

    /// A device of `wanted`; of anybody in a flawed step of another sort.
    fn device(&self, wanted: &PartyId, salt: u64) -> SignerId {
        let wanted =
            if self.step.flaw % 16 == 1 { self.any_party(salt + 1) } else { wanted.clone() };
        let devices: Vec<SignerId> = self
            .model
            .signers
            .keys()
            .filter(|signer| *signer.party() == wanted && !signer.is_member())
            .filter(|signer| {
                self.is_flawed() || !self.model.signers[*signer].is_stopped(self.model.now)
            })
            .cloned()
            .collect();
        self.one(salt, &devices).unwrap()
    }

    /// Number and floor of the signer's next event: mostly the next, some skipped, a few wrong.
    fn number(&self, signer: &SignerId, taken: u64) -> (u64, u64) {
        let used = &self.model.signers[signer].used;
        let next = used.last().copied().unwrap_or(0) + 1 + taken;
        match self.step.flaw {
            // Left out for now, to come later.
            2 | 18 => (next + 1 + self.roll(9, 3) as u64, 0),
            // One that was left out, or one that was used.
            3 | 19 => (1 + self.roll(9, next as usize) as u64, 0),
            4 => (next + 20 + self.roll(9, 20) as u64, 0),
            5 => (next, next.saturating_sub(self.roll(9, 3) as u64)),
            6 => (next, next + 1),
            _ => (next, 0),
        }
    }

    /// Signs with the key that the number belongs to.
    fn sign(&self, event: Event) -> Verified {
        let signer = &self.model.signers[&event.signer];
        let rotations = signer.past.iter().filter(|(_, first)| event.sequence >= *first).count();
        sign_with(event.clone(), &key_after(&event.signer, rotations))
    }

    fn make(&self, signer: SignerId, unit: &UnitId, action: Action) -> Event {
        let (sequence, floor) = self.number(&signer, 0);
        Event {
            network: self.model.network,
            signer,
            subject: Subject::Unit(unit.clone()),
            sequence,
            floor,
            time: self.model.now,
            place: None,
            basis: None,
            action,
        }
    }

    /// The unit's custodian says it.
    fn by_custodian(&self, unit: &UnitId, action: Action) -> Option<Verified> {
        let device = self.device(&self.model.in_hand(unit), 2);
        Some(self.sign(self.make(device, unit, action)))
    }

    fn by(&self, party: &PartyId, unit: &UnitId, action: Action) -> Option<Verified> {
        Some(self.sign(self.make(self.device(party, 2), unit, action)))
    }

    fn authority(&self) -> PartyId {
        party("customs")
    }

    fn is_held(&self, unit: &UnitId) -> bool {
        matches!(self.model.custody(unit), Custody::Held(_))
    }

    fn is_movable(&self, unit: &UnitId) -> bool {
        self.is_held(unit)
            && self.model.is_free(unit)
            && self.model.units[unit].holds.is_empty()
            && self.model.blocked_inside(unit) == 0
    }

    fn is_sealed(&self, unit: &UnitId) -> bool {
        matches!(self.model.units[unit].seal, Seal::Sealed(_))
    }

    fn open_offer(&self, unit: &UnitId) -> Option<(PartyId, PartyId, EventId)> {
        match self.model.custody(unit) {
            Custody::Offered { by, to, offer, .. } => Some((by, to, offer)),
            _ => None,
        }
    }

    fn reason(&self) -> Reason {
        Reason::ALL[self.roll(5, Reason::ALL.len())]
    }

    fn conveyance(&self) -> Label {
        ["LX1612", "truck-7"][self.roll(6, 2)].parse().unwrap()
    }

    /// Ascending seal ids, new ones unless the step is flawed.
    fn new_seals(&self) -> Vec<Label> {
        let all = (0..SEALS).map(|n| format!("S{n:02}").parse::<Label>().unwrap());
        let fits = |seal: &Label| self.is_flawed() || !self.model.seals.contains(seal);
        let good: Vec<Label> = all.filter(fits).collect();
        let from = self.roll(7, good.len().max(1));
        good.into_iter().skip(from).take(1 + self.roll(8, 2)).collect()
    }

    /// Seals as found: those on record, mostly.
    fn found_seals(&self, unit: &UnitId) -> Vec<Label> {
        match &self.model.units[unit].seal {
            Seal::Sealed(ids) if self.roll(10, 5) > 0 => ids.clone(),
            Seal::Sealed(_) => vec!["S99".parse().unwrap()],
            _ if self.roll(10, 8) > 0 => Vec::new(),
            _ => vec!["S98".parse().unwrap()],
        }
    }

    fn acceptance(&self, unit: &UnitId, offer: EventId) -> Action {
        let seals = self.found_seals(unit);
        let mut exceptions = Vec::new();
        if self.roll(11, 6) == 0 {
            exceptions.push(ExceptionCode::Shortage);
        }
        if self.roll(12, 3) == 0 {
            exceptions.push(ExceptionCode::SealMismatch);
        }
        let condition = if self.roll(13, 8) == 0 { Condition::Damaged } else { Condition::Sound };
        Action::Accept { offer, count: 1, seals, condition, exceptions }
    }

    fn event(&self) -> Option<Verified> {
        match self.step.kind {
            Kind::Register => self.register(),
            Kind::Enrol => self.enrol(),
            Kind::Handover => self.handover(),
            Kind::Aggregate => self.aggregate(),
            Kind::Disaggregate => self.disaggregate(),
            Kind::Load | Kind::Unload | Kind::Depart | Kind::Arrive => self.travel(),
            Kind::Book
            | Kind::Offer
            | Kind::Accept
            | Kind::Refuse
            | Kind::Cancel
            | Kind::Attempt
            | Kind::Deliver
            | Kind::Return => self.move_custody(),
            Kind::Lost | Kind::Destroyed | Kind::Found => self.settle(),
            Kind::Resolve => self.resolve(),
            Kind::Consent => self.consent(),
            Kind::Correct => self.correct(),
            Kind::Revoke => self.revoke(),
            Kind::Rotate => self.rotate(),
            Kind::Report => self.report(),
            Kind::Testimony => self.testimony(),
            _ => self.condition(),
        }
    }

    /// Mostly by one party at one place, so that there is something to put together.
    fn register(&self) -> Option<Verified> {
        let unborn = (0..UNITS).map(number);
        let unborn: Vec<UnitId> =
            unborn.filter(|u| !self.model.units.contains_key(u)).take(1).collect();
        let unit = match self.one(1, &unborn) {
            Some(unit) if !self.is_flawed() => unit,
            _ => self.fitting(|_| true)?,
        };
        let own = unit.class() == UnitClass::Own && !self.is_flawed();
        let usual = own || self.roll(14, 2) > 0;
        let owner = if usual { party("forwarder") } else { self.any_party(15) };
        let mut event = self.make(self.device(&owner, 2), &unit, Action::Register);
        event.place = (self.roll(16, 20) > 0).then(|| place(self.roll(17, 10) as u32 / 9));
        Some(self.sign(event))
    }

    fn offer_action(&self, to: PartyId) -> Action {
        let after = [0, HOUR_MS, 40 * HOUR_MS, 400 * HOUR_MS, 400 * HOUR_MS][self.roll(18, 5)];
        Action::Offer { to, until: self.model.now.plus(after), terms: Digest::ZERO }
    }

    fn another_party(&self, than: &PartyId) -> PartyId {
        let others: Vec<PartyId> =
            PARTIES.iter().map(|name| party(name)).filter(|p| p != than).collect();
        self.one(19, &others).unwrap()
    }

    fn move_custody(&self) -> Option<Verified> {
        match self.step.kind {
            Kind::Book => {
                let unit = self.fitting(|unit| {
                    let owner = self.model.units[unit].owner.clone();
                    self.model.custody(unit) == Custody::Held(owner)
                })?;
                let window = Window { from: self.model.now, to: self.model.now };
                let factors = FactorSet::of(&DeliveryFactor::ALL[..self.roll(3, 3)]);
                let action = Action::Book { receiver: self.any_party(4), window, factors };
                self.by(&self.model.units[&unit].owner.clone(), &unit, action)
            }
            Kind::Offer => {
                let unit = self.fitting(|unit| self.is_movable(unit))?;
                let holder = self.model.in_hand(&unit);
                let action = self.offer_action(self.another_party(&holder));
                let mut event = self.make(self.device(&holder, 2), &unit, action);
                let titles = &self.model.units[&unit].titles;
                let back = usize::from(self.step.flaw.is_multiple_of(11)).min(titles.len() - 1);
                event.basis = Some(titles[titles.len() - 1 - back].basis);
                Some(self.sign(event))
            }
            Kind::Accept => {
                let unit = self.fitting(|unit| self.open_offer(unit).is_some())?;
                let (_, to, offer) = self.open_offer(&unit).unwrap_or_else(|| {
                    (self.any_party(3), self.any_party(4), EventId(Digest::ZERO))
                });
                self.by(&to, &unit, self.acceptance(&unit, offer))
            }
            Kind::Refuse => {
                let unit = self.fitting(|unit| self.open_offer(unit).is_some())?;
                let (_, to, offer) = self.open_offer(&unit)?;
                self.by(&to, &unit, Action::Refuse { offer, reason: self.reason() })
            }
            Kind::Cancel => {
                let unit = self.fitting(|unit| self.open_offer(unit).is_some())?;
                let (by, _, offer) = self.open_offer(&unit)?;
                self.by(&by, &unit, Action::Cancel { offer })
            }
            Kind::Attempt => {
                let unit = self.fitting(|unit| self.is_held(unit))?;
                self.by_custodian(&unit, Action::Attempt { reason: self.reason() })
            }
            Kind::Deliver => {
                let unit = self.fitting(|unit| self.is_movable(unit))?;
                let shown = &DeliveryFactor::ALL[..self.roll(3, 4)];
                let factors = shown.iter().map(|factor| (*factor, Digest::ZERO)).collect();
                self.by_custodian(&unit, Action::Deliver { factors })
            }
            // Of what was delivered: by its owner, by whoever had it, or by somebody else.
            _ if self.roll(18, 2) == 0 => {
                let delivered = |unit: &UnitId| {
                    let custody = &self.model.units[unit].custody;
                    matches!(custody, Custody::Closed { why: Closed::Delivered, .. })
                };
                let unit = self.fitting(delivered)?;
                let by = match self.roll(3, 4) {
                    0 => self.model.units[&unit].owner.clone(),
                    1 => self.any_party(5),
                    _ => self.model.in_hand(&unit),
                };
                self.by(&by, &unit, Action::Return { reason: self.reason() })
            }
            _ => {
                let unit = self.fitting(|u| self.is_held(u) && self.model.is_free(u))?;
                self.by_custodian(&unit, Action::Return { reason: self.reason() })
            }
        }
    }

    /// Made by two devices without a network: on the present basis, the one before, or an older one; or
    /// the acceptance of an offer that is open on the log.
    fn handover(&self) -> Option<Verified> {
        let unit = self.fitting(|unit| match self.roll(20, 8) {
            0 => self.model.around(unit).iter().any(|container| self.is_sealed(container)),
            4 => !self.model.is_free(unit),
            1 => self.model.units[unit].titles.len() > 1,
            2 | 3 => self.open_offer(unit).is_some() && self.model.is_free(unit),
            5 => self.open_offer(unit).is_some() || !self.model.units[unit].holds.is_empty(),
            _ => self.is_movable(unit),
        })?;
        if let (2 | 3, Some((_, to, offer))) = (self.roll(20, 8), self.open_offer(&unit)) {
            let offer = self.model.offers.iter().find(|signed| signed.id() == offer)?.clone();
            let acceptance = self.acceptance(&unit, offer.id());
            return self.carry(&unit, offer, &to, acceptance);
        }
        let titles = &self.model.units[&unit].titles;
        let back = match self.roll(20, 8) {
            1 => 1 + self.roll(21, 2),
            _ => usize::from(self.step.flaw.is_multiple_of(11)),
        };
        let title = &titles[titles.len() - 1 - back.min(titles.len() - 1)];
        let giver = if self.is_flawed() { self.any_party(22) } else { title.holder.clone() };
        let taker = self.another_party(&giver);
        let mut offer = self.make(self.device(&giver, 23), &unit, self.offer_action(taker.clone()));
        offer.basis = Some(title.basis);
        if self.roll(33, 12) == 0 {
            // One that is not on the log: as if what it rests on were on its way.
            offer.basis = Some(EventId(Digest::ZERO));
        }
        if self.step.flaw % 16 == 9 {
            offer.time = Millis(self.step.other.into());
        }
        let signed_offer = self.sign(offer).into_signed();
        let acceptance = self.acceptance(&unit, signed_offer.id());
        self.carry(&unit, signed_offer, &taker, acceptance)
    }

    /// The handover event around an offer and an acceptance of it; each device counts on.
    fn carry(
        &self,
        unit: &UnitId,
        offer: SignedEvent,
        taker: &PartyId,
        acceptance: Action,
    ) -> Option<Verified> {
        let mut acceptance = self.make(self.device(taker, 24), unit, acceptance);
        let mut used = vec![(offer.event().signer.clone(), offer.event().sequence)];
        acceptance.sequence = after(&used, &acceptance);
        used.push((acceptance.signer.clone(), acceptance.sequence));
        let acceptance = self.sign(acceptance).into_signed();
        let carrier = self.device(&self.any_party(25), 26);
        let action = Action::Handover { offer: Box::new(offer), acceptance: Box::new(acceptance) };
        let mut event = self.make(carrier, unit, action);
        event.sequence = after(&used, &event);
        Some(self.sign(event))
    }

    fn aggregate(&self) -> Option<Verified> {
        let opens = |unit: &UnitId| {
            let mut all = std::iter::once(unit.clone()).chain(self.model.around(unit));
            self.is_held(unit)
                && all.all(|u| !self.is_sealed(&u) && self.model.units[&u].holds.is_empty())
        };
        let fits = |parent: &UnitId, child: &UnitId| {
            let root = self.model.root(parent);
            self.is_held(child)
                && self.model.is_free(child)
                && *child != root
                && self.model.in_hand(child) == self.model.in_hand(parent)
                && self.model.units[child].journey == self.model.units[&root].journey
        };
        let all: Vec<UnitId> = self.model.units.keys().cloned().collect();
        let useful = |parent: &UnitId| opens(parent) && all.iter().any(|child| fits(parent, child));
        // Mostly into the deepest, so that the bound on the depth is met.
        let deepest = all.iter().filter(|parent| useful(parent));
        let deepest = deepest.max_by_key(|parent| self.model.around(parent).len());
        let parent = match deepest {
            Some(parent) if !self.is_flawed() && self.roll(27, 4) > 0 => parent.clone(),
            _ => self.fitting(useful)?,
        };
        let heeds = !self.is_flawed();
        let all: Vec<UnitId> =
            all.into_iter().filter(|child| !heeds || fits(&parent, child)).collect();
        let from = self.roll(28, all.len().max(1));
        let children: Vec<UnitId> =
            all.into_iter().skip(from).take(1 + self.roll(29, 4) / 3).collect();
        if children.is_empty() {
            return None;
        }
        let signer = self.model.in_hand(&parent);
        self.by(&signer, &parent, Action::Aggregate { children })
    }

    fn disaggregate(&self) -> Option<Verified> {
        let parent = self.fitting(|unit| !self.model.children(unit).is_empty())?;
        let inside = self.model.children(&parent);
        let all = if self.step.flaw.is_multiple_of(16) || inside.is_empty() {
            self.model.units.keys().cloned().collect()
        } else {
            inside
        };
        let from = self.roll(28, all.len());
        let children = all.into_iter().skip(from).take(1 + self.roll(29, 3)).collect();
        self.by_custodian(&parent, Action::Disaggregate { children })
    }

    fn travel(&self) -> Option<Verified> {
        let at = |unit: &UnitId, aboard: bool| {
            self.model.is_free(unit)
                && matches!(&self.model.units[unit].journey,
                    Journey::At { aboard: on, .. } if on.is_some() == aboard)
        };
        let moving =
            |unit: &UnitId| matches!(self.model.units[unit].journey, Journey::Moving { .. });
        let conveyance = self.conveyance();
        let (unit, action) = match self.step.kind {
            Kind::Load => (self.fitting(|u| at(u, false))?, Action::Load { conveyance }),
            Kind::Unload => {
                let unit = self.fitting(|u| at(u, true))?;
                let conveyance = match &self.model.units[&unit].journey {
                    Journey::At { aboard: Some(on), .. } if !self.is_flawed() => on.clone(),
                    _ => conveyance,
                };
                (unit, Action::Unload { conveyance })
            }
            Kind::Depart => {
                let conveyance = (self.roll(30, 2) == 0).then_some(conveyance);
                (self.fitting(|u| at(u, self.roll(31, 2) == 0))?, Action::Depart { conveyance })
            }
            _ => (self.fitting(|u| self.model.is_free(u) && moving(u))?, Action::Arrive),
        };
        let device = self.device(&self.model.in_hand(&unit), 2);
        let mut event = self.make(device, &unit, action);
        event.place = (self.roll(16, 12) > 0).then(|| place(self.roll(17, 8) as u32 / 7));
        Some(self.sign(event))
    }

    fn condition(&self) -> Option<Verified> {
        let any =
            || self.fitting(|unit| !matches!(self.model.custody(unit), Custody::Closed { .. }));
        match self.step.kind {
            Kind::Observe => self.by_custodian(&any()?, Action::Observe { note: None }),
            Kind::SealApply => {
                let unit = self.fitting(|u| self.is_held(u) && !self.is_sealed(u))?;
                let ids = self.new_seals();
                if ids.is_empty() {
                    None
                } else {
                    self.by_custodian(&unit, Action::SealApply { ids })
                }
            }
            Kind::SealVerify => {
                let unit = self.fitting(|u| self.is_sealed(u))?;
                let ids = self.found_seals(&unit);
                if ids.is_empty() {
                    None
                } else {
                    self.by_custodian(&unit, Action::SealVerify { ids })
                }
            }
            Kind::SealBreak => {
                let unit = self.fitting(|u| self.is_sealed(u))?;
                let custodian = self.model.in_hand(&unit);
                let by = if self.roll(3, 4) == 0 { self.authority() } else { custodian };
                self.by(&by, &unit, Action::SealBreak { reason: self.reason() })
            }
            Kind::Readings => {
                let unit = any()?;
                let next = self.model.units[&unit].readings.last().map_or(0, |(_, last)| last + 1);
                let first = next + u64::from(self.roll(3, 4) == 0);
                let last = first + self.roll(4, 9) as u64;
                let action = Action::Readings { root: Digest::ZERO, count: 1, first, last };
                self.by(&self.model.units[&unit].owner.clone(), &unit, action)
            }
            Kind::Excursion => {
                let window = Window { from: self.model.now, to: self.model.now };
                self.by_custodian(&any()?, Action::Excursion { window })
            }
            Kind::CloseExcursion => {
                let unit = self.fitting(|unit| self.model.units[unit].excursion_open)?;
                let verdict = Verdict::ALL[self.roll(3, 2)];
                self.by(&self.authority(), &unit, Action::CloseExcursion { verdict })
            }
            Kind::Hold => {
                let unit = any()?;
                self.by(&self.authority(), &unit, Action::Hold { reason: self.reason() })
            }
            Kind::Release => {
                let unit = self.fitting(|unit| !self.model.units[unit].holds.is_empty())?;
                let hold = self.one(3, &self.model.units[&unit].holds);
                let hold = hold.unwrap_or(EventId(Digest::ZERO));
                self.by(&self.authority(), &unit, Action::Release { hold })
            }
            _ => {
                let (unit, evidence) = (any()?, Digest::ZERO);
                let action = Action::Exception { code: ExceptionCode::Wet, evidence };
                let owner = self.model.units[&unit].owner.clone();
                if self.roll(3, 2) == 0 {
                    self.by(&owner, &unit, action)
                } else {
                    self.by_custodian(&unit, action)
                }
            }
        }
    }
}

/// The number that `event` would have, or the one after what its signer used for those before it.
fn after(used: &[(SignerId, u64)], event: &Event) -> u64 {
    let last = used.iter().filter(|(signer, _)| *signer == event.signer).map(|(_, n)| n + 1).max();
    last.map_or(event.sequence, |next| next.max(event.sequence))
}
