//! Keys that are stopped, and what is told of them.

use consign_ledger::evidence::{Case, Evidence};
use consign_types::block::LeafIndex;
use consign_types::codec::Canonical as _;
use consign_types::digest::EventId;
use consign_types::event::{Action, Event, SignedEvent, Subject};

use super::Model;
use super::rules::{Verdicted, need, take_number};

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
            Action::Report { evidence } => Some(self.report(event, evidence)),
            Action::Testimony { event: said } => Some(self.testify(event, said, id, leaf)),
            _ => None,
        }
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
        need(before.stopped, "may speak for itself")?;
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
