//! Events that wait for something they refer to, in order of arrival.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use consign_types::digest::EventId;
use consign_types::event::{SignedEvent, Verified};

/// Events that wait at once.
const PARKED_MAX: usize = 4_096;

/// The waiting events of a pool; bounded.
#[derive(Default)]
pub struct Parking {
    waiting: Vec<Parked>,
    /// How many wait under an id: most events that are asked about are not here.
    ids: HashMap<EventId, usize>,
}

/// One that waits.
pub struct Parked {
    pub event: Waiting,
    pub until: Instant,
}

/// A parked event: its signer may not be known yet, or what it refers to.
pub enum Waiting {
    Unverified(Box<SignedEvent>),
    Verified(Arc<Verified>),
}

impl Parking {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_full(&self) -> bool {
        self.waiting.len() >= PARKED_MAX
    }

    /// Whether an event with this id waits, under whatever signature.
    pub fn holds(&self, id: &EventId) -> bool {
        self.ids.contains_key(id)
    }

    /// Whether `event` need not wait as well.
    pub fn stands_for(&self, event: &SignedEvent) -> bool {
        self.holds(&event.id()) && self.waiting.iter().any(|one| one.event.stands_for(event))
    }

    pub fn push(&mut self, parked: Parked) {
        *self.ids.entry(parked.event.id()).or_default() += 1;
        self.waiting.push(parked);
    }

    /// Takes all, in order of arrival.
    pub fn take(&mut self) -> Vec<Parked> {
        self.ids.clear();
        std::mem::take(&mut self.waiting)
    }

    /// Takes what has waited too long as of `now`.
    pub fn take_late(&mut self, now: Instant) -> Vec<Parked> {
        if self.waiting.iter().all(|parked| parked.until > now) {
            return Vec::new();
        }
        let (late, waiting) = self.take().into_iter().partition(|parked| parked.until <= now);
        let waiting: Vec<Parked> = waiting;
        waiting.into_iter().for_each(|parked| self.push(parked));
        late
    }
}

impl Waiting {
    pub fn signed(&self) -> &SignedEvent {
        match self {
            Self::Unverified(event) => event,
            Self::Verified(event) => event.signed(),
        }
    }

    pub fn id(&self) -> EventId {
        self.signed().id()
    }

    /// Whether `event` need not wait as well. Anybody can write an event whose signature nobody can
    /// check yet: it stands for its own bytes alone, and keeps no other signature out.
    fn stands_for(&self, event: &SignedEvent) -> bool {
        match self {
            Self::Unverified(own) => own.leaf_hash() == event.leaf_hash(),
            Self::Verified(own) => own.signed().id() == event.id(),
        }
    }
}
