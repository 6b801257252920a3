//! Events that end histories and disputes, and what others say to them.

use std::sync::Arc;

use consign_ledger::unit::{Closed, Custody};
use consign_types::digest::{Digest, EventId};
use consign_types::event::{Action, Fix, Kind, SignedEvent, Verified};
use consign_types::unit::UnitId;

use super::Choice;
use crate::model::Model;
use crate::support::place;

impl Choice<'_> {
    /// By the owner while it holds the unit, or by an authority; found by the last holder or the owner.
    pub(super) fn settle(&self) -> Option<Verified> {
        let lost = |unit: &UnitId| {
            matches!(self.model.units[unit].custody, Custody::Closed { why: Closed::Lost, .. })
        };
        if self.step.kind == Kind::Found {
            let unit = self.fitting(lost)?;
            let owner = self.model.units[&unit].owner.clone();
            let last = self.model.in_hand(&unit);
            let by = if self.roll(3, 2) == 0 { owner } else { last };
            let mut event = self.make(self.device(&by, 2), &unit, Action::Found);
            event.place = (self.roll(16, 12) > 0).then(|| place(self.roll(17, 8) as u32 / 7));
            return Some(self.sign(event));
        }
        let fits = |unit: &UnitId| {
            // Seldom one with units inside: what is closed does nothing any more.
            (self.roll(6, 4) == 0 || self.model.children(unit).is_empty())
                && self.model.is_free(unit)
                && !matches!(self.model.custody(unit), Custody::Closed { .. })
        };
        let unit = self.fitting(fits)?;
        let holder = self.model.in_hand(&unit);
        let by = if self.roll(3, 2) == 0 { self.authority() } else { holder.clone() };
        let holder = if self.roll(4, 12) == 0 { self.any_party(5) } else { holder };
        let reason = self.reason();
        let action = match self.step.kind {
            Kind::Lost => Action::Lost { holder, reason },
            _ => Action::Destroyed { holder, reason },
        };
        self.by(&by, &unit, action)
    }

    /// By an authority, for one who claims the unit or for anybody.
    pub(super) fn resolve(&self) -> Option<Verified> {
        let contested =
            |unit: &UnitId| matches!(self.model.units[unit].custody, Custody::Contested { .. });
        let unit = self.fitting(contested)?;
        let Custody::Contested { holder, claimant } = self.model.units[&unit].custody.clone()
        else {
            return None;
        };
        let to = match self.roll(3, 5) {
            0 => self.any_party(5),
            1 | 2 => holder,
            _ => claimant,
        };
        let by = if self.roll(4, 12) == 0 { to.clone() } else { self.authority() };
        self.by(&by, &unit, Action::Resolve { holder: to, reason: self.reason() })
    }

    /// Of something on record, by one who signed it; some of what was never said, by anybody.
    pub(super) fn correct(&self) -> Option<Verified> {
        let unit = self.fitting(|_| true)?;
        let about = |said: &&Arc<SignedEvent>| said.event().subject.unit() == Some(&unit);
        let said: Vec<_> = self.model.said.iter().filter(about).cloned().collect();
        let two_sided = |said: &&Arc<SignedEvent>| {
            matches!(said.event().action.kind(), Kind::Offer | Kind::Accept)
        };
        let shared: Vec<_> = said.iter().filter(two_sided).cloned().collect();
        let from = if self.roll(3, 3) > 0 && !shared.is_empty() { &shared } else { &said };
        let mut original = (*self.one(4, from)?).clone();
        let offer = match &original.event().action {
            Action::Accept { offer, .. } => {
                let named = |said: &&Arc<SignedEvent>| said.id() == *offer;
                Some(Box::new((**self.model.said.iter().find(named)?).clone()))
            }
            _ => None,
        };
        if self.roll(5, 12) == 0 {
            let mut never = original.event().clone();
            never.sequence += self.roll(6, 40) as u64;
            original = self.sign(never).into_signed();
        }
        let parties = Model::parties_to(&original, offer.as_deref());
        let by = if self.roll(7, 12) == 0 {
            self.any_party(8)
        } else {
            parties[self.roll(9, 2)].clone()
        };
        let fix = Fix::ALL[self.roll(10, Fix::ALL.len())];
        let unit = if self.roll(11, 20) == 0 { self.fitting(|_| true)? } else { unit };
        let action = Action::Correct { original: Box::new(original), offer, fix, right: None };
        self.by(&by, &unit, action)
    }

    /// By one that is asked, mostly.
    pub(super) fn consent(&self) -> Option<Verified> {
        let ends = |unit: &UnitId| {
            let contested = matches!(self.model.units[unit].custody, Custody::Contested { .. });
            let asked = &self.model.units[unit].pending;
            contested && asked.iter().any(|p| p.what.kind() == Kind::Resolve)
        };
        let waits = |unit: &UnitId| !self.model.units[unit].pending.is_empty();
        let unit = self.fitting(|unit| if self.roll(19, 3) > 0 { ends(unit) } else { waits(unit) });
        let unit = unit.or_else(|| self.fitting(waits))?;
        let pending = &self.model.units[&unit].pending;
        if pending.is_empty() {
            let proposal = EventId(Digest::ZERO);
            return self.by(&self.any_party(5), &unit, Action::Consent { proposal });
        }
        let asked = &pending[self.roll(3, pending.len())];
        let by = if self.roll(4, 12) == 0 {
            self.any_party(5)
        } else {
            asked.open[self.roll(6, asked.open.len())].clone()
        };
        self.by(&by, &unit, Action::Consent { proposal: asked.event })
    }
}
