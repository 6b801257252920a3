//! A device under drill: it signs what a test wants said, right or wrong.
//!
//! Times and places are fixed by the sequence number, so the same event is the same bytes in every run
//! of one network.

use consign_cli::replay::sign::Device as Keyed;
use consign_types::digest::NetworkId;
use consign_types::event::{Action, Event, SignedEvent, Subject};
use consign_types::time::Millis;

/// Device time of the event with number 0.
const T0: u64 = 1_700_000_000_000;
const PLACE: &str = "414/9521321000018";

/// A device of a party.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its name and its key.
    pub keyed: Keyed,
    /// The network that it speaks on.
    pub network: NetworkId,
}

impl Device {
    /// What this device says of `unit` under the number `sequence`, not signed yet.
    ///
    /// # Panics
    /// When `unit` is no number of a unit.
    pub fn says(&self, sequence: u64, unit: &str, action: Action) -> Event {
        Event {
            network: self.network,
            signer: self.keyed.id.clone(),
            subject: Subject::Unit(unit.parse().expect("a unit number")),
            sequence,
            floor: 0,
            time: Millis(T0 + sequence),
            place: Some(PLACE.parse().expect("a place")),
            basis: None,
            action,
        }
    }

    /// The same, signed.
    ///
    /// # Panics
    /// As [`Self::says`].
    pub fn signs(&self, sequence: u64, unit: &str, action: Action) -> SignedEvent {
        self.sign(self.says(sequence, unit, action))
    }

    /// Signs whatever it is.
    pub fn sign(&self, event: Event) -> SignedEvent {
        SignedEvent::sign(event, &self.keyed.key)
    }
}
