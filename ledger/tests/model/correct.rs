//! What was said wrongly.

use consign_ledger::unit::Proposal;
use consign_types::digest::EventId;
use consign_types::event::{Action, Event, Kind, SignedEvent};
use consign_types::party::PartyId;
use consign_types::unit::UnitId;

use super::Model;
use super::rules::{Verdicted, need};

impl Model {
    /// Those who put their names to an event: its signer; of an acceptance the giver; of an offer whoever it is for.
    pub fn parties_to(original: &SignedEvent, offer: Option<&SignedEvent>) -> [PartyId; 2] {
        let own = original.event().signer.party().clone();
        let other = match (&original.event().action, offer) {
            (Action::Offer { to, .. }, _) => to.clone(),
            (Action::Accept { .. }, Some(offer)) => offer.event().signer.party().clone(),
            _ => own.clone(),
        };
        [own, other]
    }

    pub fn correct(&mut self, event: &Event, unit: &UnitId, id: EventId) -> Verdicted {
        let Action::Correct { original, offer, .. } = &event.action else {
            return Err("no correction".into());
        };
        for said in [Some(original), offer.as_ref()].into_iter().flatten() {
            self.was_said(said, event)?;
        }
        let signer = event.signer.party().clone();
        let parties = Self::parties_to(original, offer.as_deref());
        let is_word = parties.contains(&signer) && original.event().action.kind() != Kind::Offer;
        need(is_word || parties[0] == signer, "somebody else's words")?;
        match parties.into_iter().find(|party| *party != signer) {
            None => Ok(()),
            Some(other) => {
                let what = Proposal::Correct { original: original.id() };
                self.propose(unit, &signer, id, what, &[other])
            }
        }
    }

    fn was_said(&self, said: &SignedEvent, event: &Event) -> Verdicted {
        let inner = said.event();
        need(inner.subject == event.subject, "about something else")?;
        need(inner.network == event.network, "on another network")?;
        let signer = self.signers.get(&inner.signer).ok_or("by nobody known")?;
        need(signer.key_for(inner.sequence) == said.key_id(), "under another key")?;
        // Read as: a number that was given up counts as used.
        let closed = signer.floors.iter().any(|floor| inner.sequence < *floor);
        need(signer.used.contains(&inner.sequence) || closed, "and never recorded")
    }
}
