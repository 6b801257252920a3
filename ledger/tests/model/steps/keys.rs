//! Traffic about keys: devices that come and go, and what is told of them.

use consign_types::codec::Canonical as _;
use consign_types::event::{Action, Event, Kind, Subject, Verified};
use consign_types::party::SignerId;
use consign_types::unit::UnitClass;

use super::{Choice, number};
use crate::support::faults::votes;
use crate::support::{self, DEVICES, PARTIES, party, place};

impl Choice<'_> {
    pub(super) fn enrol(&self) -> Option<Verified> {
        let member = self.any_party(3);
        let owner = if self.is_flawed() { self.any_party(4) } else { member.clone() };
        let device =
            SignerId::device(owner, ["extra0", "extra1", "extra-p256"][self.roll(5, 3)]).unwrap();
        let kinds: Vec<Kind> = if self.roll(6, 6) == 0 {
            Kind::ALL.to_vec()
        } else {
            support::device_kinds()
                .into_iter()
                .filter(|k| (*k as usize).is_multiple_of(2))
                .collect()
        };
        let mut action = support::enrol(self.model.network, &device, &kinds);
        if let Action::Enrol { places, classes, until, .. } = &mut action {
            places.extend((self.roll(7, 4) == 0).then(|| place(0)));
            classes.extend(
                self.one(8, &[None, Some(UnitClass::Sscc), Some(UnitClass::Own)]).flatten(),
            );
            let lasts_ms = self.one(9, &[None, None, None, Some(0), Some(5_000), Some(600_000)]);
            *until = lasts_ms.flatten().map(|ms| self.model.now.plus(ms));
        }
        Some(self.sign(self.about(SignerId::member(member), Subject::Signer(device), action)))
    }

    fn about(&self, signer: SignerId, subject: Subject, action: Action) -> Event {
        let (sequence, floor) = self.number(&signer, 0);
        let (network, time) = (self.model.network, self.model.now);
        let (place, basis) = (None, None);
        Event { network, signer, subject, sequence, floor, time, place, basis, action }
    }

    /// Of a device that was enrolled late, so that the traffic goes on; of any in a flawed step.
    pub(super) fn revoke(&self) -> Option<Verified> {
        let late = |id: &&SignerId| id.to_string().contains(".extra") && self.may_speak(id);
        // One device of each party stays, whatever happens.
        let first = |id: &&SignerId| id.to_string().ends_with(DEVICES[0]);
        let all = self.model.signers.keys();
        let devices: Vec<SignerId> =
            all.filter(|id| self.is_flawed() && !first(id) || late(id)).cloned().collect();
        let device = self.one(3, &devices)?;
        let by = if self.roll(4, 16) == 0 { self.any_party(5) } else { device.party().clone() };
        let action = Action::Revoke { suspected_since: None };
        Some(self.sign(self.about(SignerId::member(by), Subject::Signer(device), action)))
    }

    /// Mostly of one that still has the key before, from a number a little above.
    pub(super) fn rotate(&self) -> Option<Verified> {
        let signer = if self.roll(3, 12) == 0 {
            SignerId::member(self.any_party(4))
        } else {
            self.device(&self.any_party(4), 5)
        };
        let (number, _) = self.number(&signer, 0);
        let first =
            (number + 1 + self.roll(6, 4) as u64).saturating_sub(u64::from(self.is_flawed()));
        let known = self.model.signers[&signer].past.len();
        let next = if self.roll(7, 12) == 0 { known } else { known + 1 };
        let action = support::rotate(self.model.network, &signer, next, first);
        let subject = Subject::Signer(if self.roll(8, 16) == 0 {
            SignerId::member(self.any_party(9))
        } else {
            signer.clone()
        });
        Some(self.sign(self.about(signer, subject, action)))
    }

    fn may_speak(&self, signer: &SignerId) -> bool {
        !self.model.signers[signer].is_stopped(self.model.now)
    }

    /// Two votes of a validator; which two does not matter.
    pub(super) fn report(&self) -> Option<Verified> {
        let at = self.roll(3, PARTIES.len());
        let evidence = votes(at, self.roll(4, 6) as u64, self.roll(5, 3) as u8).to_bytes();
        let accused = if self.is_flawed() { self.any_party(6) } else { party(PARTIES[at]) };
        let (by, subject) = (self.any_party(7), Subject::Signer(SignerId::member(accused)));
        Some(self.sign(self.about(self.device(&by, 2), subject, Action::Report { evidence })))
    }

    pub(super) fn testimony(&self) -> Option<Verified> {
        let unit = self.fitting(|_| true).unwrap_or_else(|| number(0));
        let all = self.model.signers.keys();
        let stopped = |id: &&SignerId| self.is_flawed() || !self.may_speak(id);
        let said_by = self.one(3, &all.filter(stopped).cloned().collect::<Vec<_>>())?;
        let mut said = self.make(said_by.clone(), &unit, Action::Observe { note: None });
        said.sequence += self.roll(5, 60) as u64 / 20 * 20;
        let event = Box::new(self.sign(said).into_signed());
        let by = if self.roll(4, 16) == 0 { self.any_party(6) } else { said_by.party().clone() };
        let subject = Subject::Unit(if self.roll(7, 20) == 0 { number(1) } else { unit });
        Some(self.sign(self.about(SignerId::member(by), subject, Action::Testimony { event })))
    }
}
