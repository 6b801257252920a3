//! Keys that are changed or stopped, and what is told of them.

use consign_ledger::evidence::{Case, Evidence};
use consign_types::block::LeafIndex;
use consign_types::codec::Canonical as _;
use consign_types::digest::EventId;
use consign_types::event::{Action, Event, SignedEvent, Subject, possession_message};

use super::rules::{Verdicted, need, take_number};
use super::{Model, Signer};

impl Signer {
    /// The id of the key that a number belongs to.
    pub fn key_for(&self, number: u64) -> [u8; 8] {
        let mut key = self.key;
        for (past, next) in self.past.iter().rev() {
            if number < *next {
                key = *past;
            }
        }
        key.key_id()
    }
}

impl Model {
    /// What the rules say of an event that is not about the state of a unit; none for any other.
    pub fn beside_units(
        &mut self,
        event: &Event,
        id: EventId,
        leaf: LeafIndex,
    ) -> Option<Verdicted> {
        match &event.action {
            Action::Revoke { .. } => Some(self.revoke(event)),
            Action::Rotate { .. } => Some(self.rotate(event)),
            Action::Report { evidence } => Some(self.report(event, evidence)),
            Action::Testimony { event: said } => Some(self.testify(event, said, id, leaf)),
            _ => None,
        }
    }

    fn rotate(&mut self, event: &Event) -> Verdicted {
        let Action::Rotate { key, possession, first } = &event.action else {
            return Err("no rotation".into());
        };
        need(event.subject == Subject::Signer(event.signer.clone()), "its own key")?;
        let signer = self.signers.get_mut(&event.signer).ok_or("not enrolled")?;
        let known = signer.past.iter().any(|(past, _)| past == key) || signer.key == *key;
        need(!known, "a new one")?;
        need(signer.used.iter().all(|used| used < first), "above all that it used")?;
        need(signer.past.len() < 16, "not for ever")?;
        let message = possession_message(self.network, &event.subject, key);
        need(key.verify(&message, possession).is_ok(), "that it holds")?;
        signer.past.push((signer.key, *first));
        signer.key = *key;
        Ok(())
    }

    fn revoke(&mut self, event: &Event) -> Verdicted {
        let Subject::Signer(device) = &event.subject else {
            return Err("not about a device".into());
        };
        need(event.signer.is_member() && !device.is_member(), "a member revokes a device")?;
        need(event.signer.party() == device.party(), "of its own")?;
        let signer = self.signers.get_mut(device).ok_or("not enrolled")?;
        need(!signer.stopped, "once")?;
        signer.stopped = true;
        Ok(())
    }

    /// The traffic reports votes alone.
    fn report(&mut self, event: &Event, evidence: &[u8]) -> Verdicted {
        let evidence = Evidence::from_bytes(evidence).map_err(|error| error.to_string())?;
        let Case::DoubleVote(votes) = evidence.case else { return Err("not votes".into()) };
        let accused = crate::support::PARTIES[usize::from(votes.validator.0)];
        need(event.subject.to_string() == accused, "about somebody else")?;
        need(self.faults.insert((accused, votes.height)), "reported before")
    }

    fn testify(
        &mut self,
        event: &Event,
        said: &SignedEvent,
        id: EventId,
        leaf: LeafIndex,
    ) -> Verdicted {
        need(said.event().subject == event.subject, "about something else")?;
        let (device, number) = (said.event().signer.clone(), said.event().sequence);
        need(event.signer.is_member() && !device.is_member(), "a member files for a device")?;
        need(event.signer.party() == device.party(), "of its own")?;
        let before = self.signers.get(&device).ok_or("not enrolled")?;
        need(before.is_stopped(self.now), "may speak for itself")?;
        need(before.key_for(number) == said.key_id(), "under another key")?;
        // Read as: what is missing far below is never filed.
        let floors = [said.event().floor, said.event().floor.max(number.saturating_sub(32))];
        let taken = floors.into_iter().find_map(|floor| {
            let mut after = before.clone();
            take_number(&mut after, number, floor).is_ok().then_some(after)
        });
        self.signers.insert(device, taken.ok_or("number used or closed")?);
        if let Subject::Unit(unit) = &event.subject
            && self.units.contains_key(unit)
        {
            self.record(unit, id, leaf);
        }
        Ok(())
    }
}
