//! Events whose signer nobody here knows yet: its enrolment may be on the way.
//!
//! Nothing of them can be checked, so anybody can write as many as they like, in anybody's name. They have a
//! small room of their own and take none from events that were checked; they are not passed on, and none is
//! tried before its signer is named by an enrolment. Where the room is full, the oldest of the party in whose
//! name the most bytes wait makes room: who floods it in one name pushes out its own.

use std::collections::BTreeMap;
use std::time::Instant;

use consign_types::digest::EventId;
use consign_types::event::SignedEvent;
use consign_types::party::PartyId;

/// Events that wait at once.
const STRANGERS_MAX: usize = 256;
const STRANGERS_BYTES_MAX: usize = 1024 * 1024;

/// Events that nobody can check yet, in order of arrival; bounded.
#[derive(Default)]
pub struct Strangers {
    waiting: Vec<Stranger>,
    bytes: usize,
}

/// One that waits.
pub struct Stranger {
    pub event: Box<SignedEvent>,
    pub until: Instant,
    /// Whether a caller of this node handed it in: then nobody else passes it on.
    pub own: bool,
}

impl Strangers {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether an event with this id waits, under whatever signature.
    pub fn holds(&self, id: &EventId) -> bool {
        self.waiting.iter().any(|one| one.event.id() == *id)
    }

    /// Whether these bytes wait. Anybody can write an event whose signature nobody can check: it stands for
    /// its own bytes alone, and keeps no other signature out.
    pub fn stands_for(&self, event: &SignedEvent) -> bool {
        self.waiting.iter().any(|one| one.event.leaf_hash() == event.leaf_hash())
    }

    /// Lets one more wait, and returns what had to make room for it.
    pub fn push(&mut self, stranger: Stranger) -> Vec<Stranger> {
        self.bytes += stranger.event.bytes().len();
        self.waiting.push(stranger);
        let mut gone = Vec::new();
        while self.waiting.len() > STRANGERS_MAX || self.bytes > STRANGERS_BYTES_MAX {
            let Some(at) = self.first_of_most() else { break };
            let one = self.waiting.remove(at);
            self.bytes -= one.event.bytes().len();
            gone.push(one);
        }
        gone
    }

    /// Takes those that `ready` says, in order of arrival.
    pub fn take_if(&mut self, mut ready: impl FnMut(&Stranger) -> bool) -> Vec<Stranger> {
        let taken: Vec<Stranger> = self.waiting.extract_if(.., |one| ready(one)).collect();
        self.bytes -= taken.iter().map(|one| one.event.bytes().len()).sum::<usize>();
        taken
    }

    /// The oldest of the party in whose name the most bytes wait.
    fn first_of_most(&self) -> Option<usize> {
        let mut by_party: BTreeMap<&PartyId, usize> = BTreeMap::new();
        for one in &self.waiting {
            *by_party.entry(one.party()).or_default() += one.event.bytes().len();
        }
        let (most, _) = by_party.into_iter().max_by_key(|(_, bytes)| *bytes)?;
        self.waiting.iter().position(|one| one.party() == most)
    }
}

impl Stranger {
    fn party(&self) -> &PartyId {
        self.event.event().signer.party()
    }
}
