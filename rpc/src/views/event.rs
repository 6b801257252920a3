//! Events and what became of them.

use consign_types::digest::{EventId, LeafHash};
use consign_types::event::{Kind, SignedEvent, Subject};
use consign_types::limits::{CLOCK_AHEAD_FLAG_MS, CLOCK_LATE_FLAG_MS};
use consign_types::party::SignerId;
use consign_types::place::Place;
use consign_types::time::Millis;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::chain::BlockHeader;
use super::log::InclusionView;
use super::text::{Base64, Moment, Text};
use crate::errors::RpcError;
use crate::page::{Cursor, Page};

/// How far an event has come. *Committed* is never undone; *proven* can be verified offline.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum EventStatus {
    /// This node knows nothing of it.
    Unknown,
    /// This node has checked it, holds it in its pool and passes it on. No promise of durability.
    Accepted,
    /// It is in a block that a quorum decided and that this node has on disk.
    Committed {
        /// Height of its block.
        height: u64,
        /// Its leaf.
        index: u64,
        /// Block time.
        record_time: Moment,
    },
    /// A quorum of validators has cosigned a checkpoint that covers it.
    Proven {
        /// Height of its block.
        height: u64,
        /// Its leaf.
        index: u64,
        /// Block time.
        record_time: Moment,
        /// Size of the smallest cosigned tree known to cover it.
        checkpoint_size: u64,
    },
    /// It was refused, or left the pool unordered.
    Refused {
        /// Stable code of the reason.
        code: String,
        /// One sentence.
        message: String,
        /// Whether it may be sent again.
        retryable: bool,
    },
}

impl EventStatus {
    /// Whether the event is in the log.
    pub const fn is_committed(&self) -> bool {
        matches!(self, Self::Committed { .. } | Self::Proven { .. })
    }

    /// Whether anyone can verify it offline.
    pub const fn is_proven(&self) -> bool {
        matches!(self, Self::Proven { .. })
    }

    /// The leaf, where it has one.
    pub const fn index(&self) -> Option<u64> {
        match self {
            Self::Committed { index, .. } | Self::Proven { index, .. } => Some(*index),
            Self::Unknown | Self::Accepted | Self::Refused { .. } => None,
        }
    }
}

/// What became of an event that was sent.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Submitted {
    /// Its name.
    pub event_id: Text<EventId>,
    /// How far it has come when the answer was written.
    pub status: EventStatus,
    /// Whether the node knew it already. Sending an event twice is harmless.
    pub duplicate: bool,
}

/// One answer of a batch: what became of the event at the same place.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum BatchItem {
    /// It was taken.
    Result(Submitted),
    /// It was not; the error is what a single call would have answered.
    Error(RpcError),
}

impl From<Result<Submitted, RpcError>> for BatchItem {
    fn from(result: Result<Submitted, RpcError>) -> Self {
        result.map_or_else(Self::Error, Self::Result)
    }
}

impl BatchItem {
    /// The same as a result.
    ///
    /// # Errors
    /// When the event was refused.
    pub fn into_result(self) -> Result<Submitted, RpcError> {
        match self {
            Self::Result(submitted) => Ok(submitted),
            Self::Error(error) => Err(error),
        }
    }
}

/// What a device signed, to read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EventContent {
    /// Name of the content.
    pub event_id: Text<EventId>,
    /// Name of this signed variant.
    pub leaf_hash: Text<LeafHash>,
    /// What kind of event.
    pub kind: Text<Kind>,
    /// What it is about.
    pub subject: Text<Subject>,
    /// Who signed it.
    pub signer: Text<SignerId>,
    /// Its number among the signer's events.
    pub sequence: u64,
    /// Missing numbers below this are closed for ever.
    pub floor: u64,
    /// The device's own clock: a claim.
    pub device_time: Moment,
    /// Where, as the device knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Text<Place>>,
    /// The event by which the offering party came to hold the unit; in an offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Text<EventId>>,
    /// The fields of its kind, by their names.
    pub fields: Map<String, Value>,
}

/// How a device's clock differs from block time by more than it should.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ClockFlag {
    /// The device says that it happened after it was recorded, by more than 5 minutes.
    Ahead,
    /// It was recorded more than 30 days after the device says that it happened.
    Late,
}

impl ClockFlag {
    /// The flag for these times, if they deserve one.
    pub const fn of(device: Millis, record: Millis) -> Option<Self> {
        if device.since(record) > CLOCK_AHEAD_FLAG_MS {
            Some(Self::Ahead)
        } else if record.since(device) > CLOCK_LATE_FLAG_MS {
            Some(Self::Late)
        } else {
            None
        }
    }
}

/// An event, where it stands, and its exact bytes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    /// What was signed.
    #[serde(flatten)]
    pub content: EventContent,
    /// How far it has come.
    pub status: EventStatus,
    /// Where the device's clock is far from block time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_flag: Option<ClockFlag>,
    /// Signers of it, by itself and inside, whose members say that somebody else may have had the key when it
    /// was dated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disputed: Vec<Text<SignerId>>,
    /// The signed bytes: what proofs are about.
    pub envelope: Base64,
    /// Proof that it is in the log; where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<InclusionView>,
}

impl EventView {
    /// The view of a signed event that has come as far as `status`.
    pub fn new(signed: &SignedEvent, status: EventStatus) -> Self {
        let clock_flag = match &status {
            EventStatus::Committed { record_time, .. }
            | EventStatus::Proven { record_time, .. } => {
                ClockFlag::of(signed.event().time, Millis(record_time.ms))
            }
            EventStatus::Unknown | EventStatus::Accepted | EventStatus::Refused { .. } => None,
        };
        let envelope = Base64(signed.bytes().to_vec());
        let disputed = Vec::new();
        Self { content: signed.into(), status, clock_flag, disputed, envelope, proof: None }
    }
}

impl From<&SignedEvent> for EventContent {
    fn from(signed: &SignedEvent) -> Self {
        let event = signed.event();
        Self {
            event_id: signed.id().into(),
            leaf_hash: signed.leaf_hash().into(),
            kind: event.action.kind().into(),
            subject: event.subject.clone().into(),
            signer: event.signer.clone().into(),
            sequence: event.sequence,
            floor: event.floor,
            device_time: event.time.into(),
            place: event.place.clone().map(Text),
            basis: event.basis.map(Text),
            fields: super::fields::of(&event.action),
        }
    }
}

/// A page of a unit's events.
pub type HistoryPage = Page<EventView>;

/// What a subscription tells.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Update {
    /// A block was committed.
    Block(Box<BlockHeader>),
    /// An event came as far as was asked for.
    Event(Box<EventView>),
    /// One event came further.
    Status(EventStatus),
}

/// One notification of a subscription.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Notice<T> {
    /// The first: from where on this subscription tells.
    Open {
        /// Resumes here.
        cursor: Cursor,
    },
    /// One more.
    Item {
        /// Resumes after this item.
        cursor: Cursor,
        /// The item.
        value: T,
    },
    /// The last: the subscriber was too slow, or the source broke off. Nothing is lost: subscribe
    /// again from the cursor.
    Lagged {
        /// Resumes after the last item that was sent.
        last_cursor: Cursor,
    },
    /// The last: there will never be more.
    Ended {
        /// Resumes after the last item, of which there are no more.
        last_cursor: Cursor,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_flagged_beyond_its_bounds_and_not_at_them() {
        let record = Millis(CLOCK_LATE_FLAG_MS * 2);
        let flag = |device| ClockFlag::of(Millis(device), record);
        assert_eq!(flag(record.0 + CLOCK_AHEAD_FLAG_MS), None);
        assert_eq!(flag(record.0 + CLOCK_AHEAD_FLAG_MS + 1), Some(ClockFlag::Ahead));
        assert_eq!(flag(record.0 - CLOCK_LATE_FLAG_MS), None);
        assert_eq!(flag(record.0 - CLOCK_LATE_FLAG_MS - 1), Some(ClockFlag::Late));
    }
}
