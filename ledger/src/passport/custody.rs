//! Who held the unit from when, read off its steps.
//!
//! The custodian of a contained unit is that of the outermost container. A unit enters only what is in
//! the same hands, and leaves with its container's custodian, so one chain runs through all stays.
//!
//! What a handover did depends on the basis of the unit it names. That of the passport's own unit is
//! always known; that of a container is known from its first change during the stay on. Before that, a
//! handover of the container is decided by what follows: by whoever acts as its custodian, or by its entry.

use alloc::vec::Vec;

use consign_types::digest::EventId;
use consign_types::event::{Action, SignedEvent};
use consign_types::party::PartyId;
use consign_types::time::Millis;

use super::verify::{Stay, Step, custodian};
use crate::unit::UnitState;

/// Whose hands a unit is in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Custodian {
    /// Held.
    Held(PartyId),
    /// Two parties claim it.
    Contested {
        /// Who held it on the ledger.
        holder: PartyId,
        /// Who accepted on a spent basis, or on one that was stopped.
        claimant: PartyId,
    },
    /// Its history ended in these hands.
    Closed(PartyId),
}

/// A part of the custody chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holding {
    /// Since when, by block time; until the next begins.
    pub from: Millis,
    /// Whose.
    pub custodian: Custodian,
}

impl Custodian {
    /// The party that holds the unit on the ledger.
    pub const fn party(&self) -> &PartyId {
        match self {
            Self::Held(party) | Self::Closed(party) | Self::Contested { holder: party, .. } => {
                party
            }
        }
    }
}

/// The custody chain of a unit with this entry; `outermost` is the entry of the outermost container.
pub fn chain(steps: &[Step], state: &UnitState, outermost: Option<&UnitState>) -> Vec<Holding> {
    let mut chain = Chain { line: Vec::from([Title::default()]), ..Chain::default() };
    steps.iter().for_each(|step| chain.step(step));
    let last = steps.last().map(|step| step.time).unwrap_or_default();
    chain.end(custodian(&outermost.unwrap_or(state).custody), last);
    chain.holdings
}

/// How one unit of the line is held.
#[derive(Default)]
struct Title {
    /// `None` while unknown.
    basis: Option<EventId>,
    /// Who holds by it, as the unit's own entry says, which a container's handovers do not change.
    holder: Option<PartyId>,
    /// The basis before, and who held by it.
    spent: Option<(EventId, PartyId)>,
    offer: Option<(EventId, Millis)>,
    holds: Vec<EventId>,
}

/// A handover whose effect what follows will show.
struct Pending {
    time: Millis,
    taker: PartyId,
    basis: Option<EventId>,
    acceptance: EventId,
    /// Whether it can have moved custody; if not, it can only have begun a dispute.
    moves: bool,
}

#[derive(Default)]
struct Chain {
    line: Vec<Title>,
    holdings: Vec<Holding>,
    pending: Vec<Pending>,
}

impl Chain {
    fn push(&mut self, from: Millis, custodian: Custodian) {
        if self.holdings.last().is_none_or(|last| last.custodian != custodian) {
            self.holdings.push(Holding { from, custodian });
        }
    }

    fn holder(&self) -> Option<&PartyId> {
        self.holdings.last().map(|holding| holding.custodian.party())
    }

    fn step(&mut self, step: &Step) {
        let event = step.event.event();
        let (signer, id, time) = (event.signer.party(), step.event.id(), step.time);
        if custodian_acts(&event.action) {
            self.resolve(signer);
        }
        // Titles of what the event puts around the line; nothing that is offered or on hold is entered.
        while self.line.len() < step.depth + 1 + step.around.len() {
            self.line.push(Title::default());
        }
        // The unit named; of a disaggregation the innermost one, which leaves on a new basis.
        let at = step.depth;
        match &event.action {
            Action::Register => {
                self.rebase(at, id, Some(signer.clone()));
                self.push(time, Custodian::Held(signer.clone()));
            }
            Action::Offer { until, .. } => self.with(at, |title| title.offer = Some((id, *until))),
            Action::Refuse { .. } | Action::Cancel { .. } => self.with(at, |t| t.offer = None),
            Action::Accept { .. } => {
                self.rebase(at, id, Some(signer.clone()));
                self.push(time, Custodian::Held(signer.clone()));
            }
            Action::Return { .. } => self.rebase(at, id, Some(signer.clone())),
            Action::Deliver { .. } => self.push(time, Custodian::Closed(signer.clone())),
            Action::Hold { .. } => self.with(at, |title| title.holds.push(id)),
            Action::Release { hold } => self.with(at, |t| t.holds.retain(|held| held != hold)),
            Action::Handover { offer, acceptance } => self.handover(step, offer, acceptance),
            Action::Disaggregate { .. } if step.stay == Stay::Ends => {
                let holder = self.holder().cloned();
                self.rebase(at, id, holder);
            }
            _ => {}
        }
        if step.stay == Stay::Ends {
            self.line.truncate(at + 1);
        }
    }

    fn with(&mut self, at: usize, change: impl FnOnce(&mut Title)) {
        if let Some(title) = self.line.get_mut(at) {
            change(title);
        }
    }

    /// A new basis of the unit at this place in the line, by which `holder` holds it.
    fn rebase(&mut self, at: usize, basis: EventId, holder: Option<PartyId>) {
        self.with(at, |title| {
            title.spent = title.basis.zip(title.holder.take());
            (title.basis, title.holder, title.offer) = (Some(basis), holder, None);
        });
    }

    /// Mirrors `rules::handover`, as far as the steps tell.
    fn handover(&mut self, step: &Step, offer: &SignedEvent, acceptance: &SignedEvent) {
        let (time, at) = (step.time, step.depth);
        let (giver, taker) = (offer.event().signer.party(), acceptance.event().signer.party());
        let Some(holder) = self.holder().cloned() else { return };
        let contested = Custodian::Contested { holder, claimant: taker.clone() };
        if step.stay == Stay::Ends {
            return self.push(time, contested);
        }
        // Inside, and not taken out: on record alone. So is what comes after an end or a dispute.
        let held =
            matches!(self.holdings.last(), Some(Holding { custodian: Custodian::Held(_), .. }));
        let Some(title) = self.line.get(at).filter(|_| step.around.is_empty() && held) else {
            return;
        };
        let basis = offer.event().basis;
        let open = title.offer.is_some_and(|(open, until)| open == offer.id() && time <= until);
        let current = title.basis.is_some() && title.basis == basis;
        if open || (current && title.holds.is_empty()) {
            self.rebase(at, acceptance.id(), Some(taker.clone()));
            return self.push(time, Custodian::Held(taker.clone()));
        }
        if current {
            return self.push(time, contested);
        }
        // What a container's basis was before its stay in the file is not known either.
        let recent = match &title.spent {
            Some((spent, by)) => Some(*spent) == basis && by == giver,
            None => at > 0,
        };
        if recent || title.basis.is_none() {
            let (taker, acceptance) = (taker.clone(), acceptance.id());
            let moves = title.basis.is_none();
            self.pending.push(Pending { time, taker, basis, acceptance, moves });
        }
    }

    /// `party` is custodian, undisputed: the handovers by which it came to be took effect, others did not.
    fn resolve(&mut self, party: &PartyId) {
        let pending = core::mem::take(&mut self.pending);
        if pending.is_empty() || self.holder() == Some(party) {
            return;
        }
        let mut taken: Vec<&Pending> = Vec::new();
        for handover in pending.iter().rev().filter(|handover| handover.moves) {
            let leads = match taken.last() {
                None => handover.taker == *party,
                Some(later) => later.basis == Some(handover.acceptance),
            };
            if leads {
                taken.push(handover);
            }
        }
        for handover in taken.iter().rev() {
            self.push(handover.time, Custodian::Held(handover.taker.clone()));
        }
        let basis = taken.first().map(|handover| handover.acceptance);
        if let (Some(title), Some(basis)) = (self.line.last_mut(), basis) {
            title.basis = Some(basis);
        }
    }

    /// What the entries say at the end decides what is open, and is the last word.
    fn end(&mut self, custodian: Custodian, last: Millis) {
        if let Custodian::Contested { holder, claimant } = &custodian {
            let dispute = self.pending.iter().position(|handover| handover.taker == *claimant);
            let from = dispute.and_then(|at| self.pending.get(at)).map(|handover| handover.time);
            self.pending.truncate(dispute.unwrap_or_default());
            self.resolve(holder);
            if let Some(from) = from {
                self.push(from, custodian.clone());
            }
        } else {
            self.resolve(custodian.party());
        }
        self.push(last, custodian);
    }
}

/// Whether only the undisputed custodian signs such an event.
const fn custodian_acts(action: &Action) -> bool {
    matches!(
        action,
        Action::Offer { .. }
            | Action::Aggregate { .. }
            | Action::Disaggregate { .. }
            | Action::Load { .. }
            | Action::Unload { .. }
            | Action::Depart { .. }
            | Action::Arrive
            | Action::Attempt { .. }
            | Action::Deliver { .. }
            | Action::Return { .. }
    )
}
