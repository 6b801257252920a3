//! Events that were checked and wait for something they refer to, in order of arrival.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use consign_types::digest::EventId;
use consign_types::event::{SignedEvent, Verified};
use consign_types::limits::{POOL_BYTES_MAX, POOL_EVENTS_MAX};
use consign_types::unit::UnitId;

/// Events that are let wait at once.
const PARKED_MAX: usize = 4_096;
const PARKED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The waiting events of a pool; bounded.
#[derive(Default)]
pub struct Parking {
    waiting: Vec<Parked>,
    bytes: usize,
    /// Most events that are asked about are not here. One content is here once.
    ids: HashSet<EventId>,
}

/// One that waits.
pub struct Parked {
    pub event: Arc<Verified>,
    pub until: Instant,
    /// The unit without whose news it need not be tried again; `None` where that is not known.
    pub awaits: Option<UnitId>,
}

impl Parking {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a new event may not wait.
    pub fn is_full_for(&self, event: &SignedEvent) -> bool {
        self.is_full(event, PARKED_MAX, PARKED_BYTES_MAX)
    }

    /// Whether not even one of the pool may wait: as much as a pool holds waits already.
    pub fn is_full_for_pooled(&self, event: &SignedEvent) -> bool {
        self.is_full(event, POOL_EVENTS_MAX, POOL_BYTES_MAX)
    }

    fn is_full(&self, event: &SignedEvent, events_max: usize, bytes_max: usize) -> bool {
        self.waiting.len() >= events_max || self.bytes + event.bytes().len() > bytes_max
    }

    /// Whether an event with this id waits, under whatever signature.
    pub fn holds(&self, id: &EventId) -> bool {
        self.ids.contains(id)
    }

    pub fn push(&mut self, parked: Parked) {
        let signed = parked.event.signed();
        self.bytes += signed.bytes().len();
        self.ids.insert(signed.id());
        self.waiting.push(parked);
    }

    /// Takes those that `ready` says, in order of arrival.
    pub fn take_if(&mut self, mut ready: impl FnMut(&Parked) -> bool) -> Vec<Parked> {
        let taken: Vec<Parked> = self.waiting.extract_if(.., |parked| ready(parked)).collect();
        for Parked { event, .. } in &taken {
            self.bytes -= event.signed().bytes().len();
            self.ids.remove(&event.signed().id());
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_types::digest::{Digest, NetworkId};
    use consign_types::event::{Action, Event, Subject};
    use consign_types::key::SecretKey;
    use consign_types::signer_key::SignerKey;
    use consign_types::time::Millis;

    fn large(sequence: u64) -> Arc<Verified> {
        let key = SecretKey::from_seed([1; 32]);
        let event = Event {
            network: NetworkId(Digest::ZERO),
            signer: "airline.dock1".parse().expect("a device"),
            subject: Subject::Signer("airline.dock2".parse().expect("a device")),
            sequence,
            floor: 0,
            time: Millis(0),
            place: None,
            basis: None,
            action: Action::Report { evidence: vec![0; 40 * 1024] },
        };
        let verified =
            SignedEvent::sign(event, &key).verify(&mut |_, _| Some(SignerKey::from(key.public())));
        Arc::new(verified.expect("its signature holds"))
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_and_has_room_again_once_some_goes() {
        let mut parking = Parking::default();
        let until = Instant::now();
        let mut sequence = 0;
        let one = large(0);
        let size = one.signed().bytes().len();
        while !parking.is_full_for(one.signed()) {
            sequence += 1;
            parking.push(Parked { event: large(sequence), until, awaits: None });
        }
        assert_eq!(parking.len(), PARKED_BYTES_MAX / size);
        assert!(!parking.is_full_for_pooled(one.signed()), "what was pooled has more room");
        assert_eq!(parking.take_if(|parked| parked.event.event().sequence == 1).len(), 1);
        assert!(!parking.is_full_for(one.signed()));
        assert!(!parking.holds(&large(1).signed().id()));
        assert!(parking.holds(&large(2).signed().id()));
    }
}
