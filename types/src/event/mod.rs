//! Events: what devices sign.
//!
//! An [`Event`] is the content; a [`SignedEvent`] is one signed variant of it with its exact bytes.
//! The [`EventId`] names the content and does not depend on the signature; the leaf hash names the
//! variant. Bytes become a `SignedEvent` only in canonical form; a signature is checked by
//! [`SignedEvent::verify`], which yields the only value that the ledger applies.

mod action;
mod envelope;
mod fields;
mod payload;

pub use action::possession_message;
pub use action::{Action, Kind, KindSet};
pub use envelope::{NotVerified, SignedEvent, Verified, header_start};
pub use fields::{
    Condition, DeliveryFactor, ExceptionCode, FactorSet, Fix, Label, Reason, Verdict, Window,
};

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::digest::{EventId, NetworkId};
use crate::party::SignerId;
use crate::place::Place;
use crate::time::Millis;
use crate::unit::UnitId;

/// What an event is about: the CWT claim `sub`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Subject {
    /// A unit.
    Unit(UnitId),
    /// A device, or a member.
    Signer(SignerId),
}

impl Subject {
    /// The unit, where the subject is one.
    pub const fn unit(&self) -> Option<&UnitId> {
        match self {
            Self::Unit(unit) => Some(unit),
            Self::Signer(_) => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit(unit) => unit.fmt(f),
            Self::Signer(signer) => signer.fmt(f),
        }
    }
}

impl FromStr for Subject {
    type Err = String;

    /// Unit numbers hold a `/`, names of signers do not.
    fn from_str(text: &str) -> Result<Self, String> {
        use alloc::string::ToString as _;
        if text.contains('/') {
            text.parse().map(Self::Unit).map_err(|e: crate::unit::BadUnit| e.to_string())
        } else {
            text.parse().map(Self::Signer).map_err(|e: crate::party::BadName| e.to_string())
        }
    }
}

/// The content of an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// The network that it is meant for; an event means nothing on another.
    pub network: NetworkId,
    /// Who says it.
    pub signer: SignerId,
    /// What it is about.
    pub subject: Subject,
    /// Number of this event among the signer's, from 1; each is used once, in any order.
    pub sequence: u64,
    /// Numbers below this that are still missing are closed for ever.
    pub floor: u64,
    /// The device's own clock: a claim, on which no rule rests.
    pub time: Millis,
    /// Where, as the device knows it.
    pub place: Option<Place>,
    /// The event by which the offering party came to hold the unit; in an offer, and nowhere else.
    pub basis: Option<EventId>,
    /// What happened.
    pub action: Action,
}

impl Event {
    /// The units that it names, the subject first. The events inside of a handover name their own.
    pub fn units(&self) -> impl Iterator<Item = &UnitId> {
        let children = match &self.action {
            Action::Aggregate { children } | Action::Disaggregate { children } => &children[..],
            _ => &[],
        };
        self.subject.unit().into_iter().chain(children)
    }

    /// The signers that it concerns, some of them perhaps twice: its own, whom it is about, and those of the
    /// events inside of it.
    pub fn concerns(&self) -> impl Iterator<Item = &SignerId> {
        let about = match &self.subject {
            Subject::Signer(signer) => Some(signer),
            Subject::Unit(_) => None,
        };
        let inner = self.action.inner().map(|inner| &inner.event().signer);
        [&self.signer].into_iter().chain(about).chain(inner)
    }
}
