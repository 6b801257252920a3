//! What each method takes. Always by name; an unknown name is refused, because it may be a
//! misspelt one that would have changed the answer.

use std::time::Duration;

use consign_types::cose_receipt::Algorithm;
use consign_types::digest::{Digest, EventId};
use consign_types::event::{Event, Kind};
use consign_types::party::{PartyId, SignerId};
use consign_types::unit::UnitId;
use serde::{Deserialize, Serialize};

use crate::join::JoinRequest;
use crate::page::{Cursor, Order, PageLimit};
use crate::views::DeviceState;
use crate::views::text::{Base64, Text};

/// How long a submission waits where the caller does not say, milliseconds.
pub const WAIT_DEFAULT_MS: u64 = 10_000;

/// How long a submission waits at most, milliseconds.
pub const WAIT_MAX_MS: u64 = 60_000;

/// What an answer to a submission waits for. Whatever was reached in time is answered.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Wait {
    /// For nothing: the bytes are an event. Whether it is taken is learnt from its status.
    None,
    /// Until this node has checked it and holds it.
    #[default]
    Accepted,
    /// Until it is in a block.
    Committed,
    /// Until it can be verified offline.
    Proven,
}

/// Of `custody_submitEvent`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubmitEvent {
    /// The signed event, exactly as it is to stand in the log.
    pub envelope: Base64,
    /// What the answer waits for; `accepted` unless said.
    #[serde(default)]
    pub wait: Wait,
    /// How long it waits, milliseconds; 10 s unless said, 60 s at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// Of `custody_submitBatch`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubmitBatch {
    /// Signed events in base64, at most 100. Each is answered by itself: one that cannot be decoded
    /// does not spoil the others, so they are texts here.
    #[cfg_attr(test, schemars(length(min = 1, max = 100)))]
    pub envelopes: Vec<String>,
    /// What the answer waits for, for each of them; `accepted` unless said.
    #[serde(default)]
    pub wait: Wait,
    /// How long it waits for all of them, milliseconds; 10 s unless said, 60 s at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// The time that a caller will wait, within its bounds.
pub fn wait_timeout(timeout_ms: Option<u64>) -> Duration {
    Duration::from_millis(timeout_ms.unwrap_or(WAIT_DEFAULT_MS).min(WAIT_MAX_MS))
}

/// Of `custody_getEventStatus`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetEventStatus {
    /// The event.
    pub event_id: Text<EventId>,
}

/// Of `custody_getEvent`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetEvent {
    /// The event.
    pub event_id: Text<EventId>,
    /// Whether the answer carries a proof that it is in the log.
    #[serde(default)]
    pub with_proof: bool,
}

/// Of `custody_getUnit`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetUnit {
    /// The unit.
    pub unit_id: Text<UnitId>,
    /// After which block; the last unless said. Any other is refused with `proof_unavailable` for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_height: Option<u64>,
}

/// Of `custody_getPassport`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetPassport {
    /// The unit.
    pub unit_id: Text<UnitId>,
    /// Height of the trust file that it will be checked with: the passport shows the changes of the
    /// validator set from there on. That of the genesis unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_height: Option<u64>,
}

/// Of `gov_get`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetProposal {
    /// The event that made the proposal.
    pub proposal_id: Text<EventId>,
}

/// Of `gov_list`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListProposals {
    /// Where to go on; the newest unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Entries at most.
    #[serde(default)]
    pub limit: PageLimit,
}

/// Of `gov_submitRequest`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubmitRequest {
    /// The invitation, as it was given to the party.
    pub invite: String,
    /// What the party asks for.
    pub request: JoinRequest,
}

/// Of `proof_getSets`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetSets {
    /// Height of the trust file that the changes begin at; that of the genesis unless said.
    #[serde(default)]
    pub since_height: u64,
}

/// Of `custody_getHistory`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetHistory {
    /// The unit.
    pub unit_id: Text<UnitId>,
    /// Where to go on; the first event unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Entries at most.
    #[serde(default)]
    pub limit: PageLimit,
}

/// Of `proof_getCheckpoint`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetCheckpoint {
    /// Of which size; the latest with a quorum unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// Of `proof_getInclusion`: exactly one of `index` and `eventId`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetInclusion {
    /// The leaf. Give this or `eventId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The event. Give this or `index`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<Text<EventId>>,
    /// In the tree of which size; the latest with a quorum unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// Of `proof_getReceipt`: exactly one of `index` and `eventId`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetReceipt {
    /// The leaf. Give this or `eventId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The event. Give this or `index`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<Text<EventId>>,
    /// How it is signed; with the log's Ed25519 key unless said. Not every node has a key for `es256`.
    #[serde(default)]
    pub alg: Text<Algorithm>,
}

/// Of `proof_getConsistency`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetConsistency {
    /// The earlier size.
    pub from: u64,
    /// The later size.
    pub to: u64,
}

/// Of `audit_submitEvidence`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubmitEvidence {
    /// The evidence file.
    pub evidence: Base64,
}

/// Of `audit_getEvidence`: one file by its id, or a page of all.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetEvidence {
    /// The one file that the page is to hold, with its bytes; all unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_id: Option<Text<Digest>>,
    /// Where to go on; the newest unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Entries at most.
    #[serde(default)]
    pub limit: PageLimit,
}

/// Of `device_get`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetDevice {
    /// The device; or a member, for its own key.
    pub device_id: Text<SignerId>,
}

/// Of `device_list`. Everything that is named must fit.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListDevices {
    /// Of this party; of any unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Text<PartyId>>,
    /// In this state; in any unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeviceState>,
    /// Where to go on; the first that was enrolled unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Entries at most. A page may hold fewer and still have a successor.
    #[serde(default)]
    pub limit: PageLimit,
}

/// Of `device_history`: the events that concern a device.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetDeviceHistory {
    /// The device; or a member, for its own key.
    pub device_id: Text<SignerId>,
    /// Where to go on; the first event unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Entries at most. A page may hold fewer and still have a successor.
    #[serde(default)]
    pub limit: PageLimit,
}

/// Of methods that take nothing.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Of `chain_getBlock`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetBlock {
    /// Position in the chain.
    pub height: u64,
}

/// Of `chain_getBlocks`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetBlocks {
    /// Where to go on; the first in `order` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Entries at most.
    #[serde(default)]
    pub limit: PageLimit,
    /// Oldest or newest first; oldest unless said. A cursor goes on in the order it came from.
    #[serde(default)]
    pub order: Order,
}

/// Of `chain_subscribeBlocks`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscribeBlocks {
    /// Where to go on; from now on unless said, `start` for everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_cursor: Option<Cursor>,
}

/// Of `custody_subscribeEvents`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscribeEvents {
    /// Which events; all unless said.
    #[serde(default)]
    pub filter: EventFilter,
    /// Where to go on; from now on unless said, `start` for everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_cursor: Option<Cursor>,
}

/// Which events a subscription tells. Everything that is named must fit.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventFilter {
    /// How far an event must have come to be told.
    #[serde(default)]
    pub stage: Stage,
    /// Of these kinds; any where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, schemars(length(max = 32)))]
    pub kinds: Vec<Text<Kind>>,
    /// Signed by a device of this party.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Text<PartyId>>,
    /// Signed by this device, by itself or inside of another event, or about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Text<SignerId>>,
}

/// How far an event must have come to be told.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// In a block.
    #[default]
    Committed,
    /// Verifiable offline.
    Proven,
}

impl EventFilter {
    /// Whether this event is told.
    pub fn admits(&self, event: &Event) -> bool {
        let concerns = |device: &Text<SignerId>| event.concerns().any(|signer| *signer == device.0);
        (self.kinds.is_empty() || self.kinds.contains(&Text(event.action.kind())))
            && self.party.as_ref().is_none_or(|wanted| wanted.0 == *event.signer.party())
            && self.device.as_ref().is_none_or(concerns)
    }
}

/// Of `custody_subscribeUnit`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscribeUnit {
    /// The unit.
    pub unit_id: Text<UnitId>,
    /// Where to go on; from now on unless said, `start` for everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_cursor: Option<Cursor>,
}

/// Of `custody_subscribeStatus`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscribeStatus {
    /// The event.
    pub event_id: Text<EventId>,
    /// Where to go on. The present status is told first unless the cursor is past it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_cursor: Option<Cursor>,
}

#[cfg(test)]
mod tests {
    use consign_types::digest::NetworkId;
    use consign_types::event::Action;
    use consign_types::time::Millis;

    use super::*;

    fn says(signer: &str, subject: &str, action: Action) -> Event {
        Event {
            network: NetworkId(Digest([0; 32])),
            signer: signer.parse().expect("a name"),
            subject: subject.parse().expect("a subject"),
            sequence: 1,
            floor: 0,
            time: Millis(0),
            place: None,
            basis: None,
            action,
        }
    }

    #[test]
    fn a_filter_admits_what_fits_everything_it_names() {
        let filter = |json: &str| serde_json::from_str::<EventFilter>(json).expect("json");
        let arrive = |signer| says(signer, "00/106141412345678908", Action::Arrive);
        let consent = |signer| {
            let proposal = EventId(Digest([0; 32]));
            says(signer, "00/106141412345678908", Action::Consent { proposal })
        };
        let wanted = filter(r#"{"kinds":["consent","offer"],"party":"handler"}"#);
        assert!(wanted.admits(&consent("handler.dock7")));
        assert!(!wanted.admits(&consent("airline.gate")));
        assert!(!wanted.admits(&arrive("handler.dock7")));
        assert!(EventFilter::default().admits(&arrive("airline.gate")));

        let dock7 = filter(r#"{"device":"handler.dock7"}"#);
        assert!(dock7.admits(&arrive("handler.dock7")));
        assert!(!dock7.admits(&arrive("handler.dock8")));
        let revoke = |device| says("handler", device, Action::Revoke { suspected_since: None });
        assert!(dock7.admits(&revoke("handler.dock7")), "what is about it, too");
        assert!(!dock7.admits(&revoke("handler.dock8")));
    }

    #[test]
    fn a_wait_is_bounded() {
        assert_eq!(wait_timeout(None), Duration::from_secs(10));
        assert_eq!(wait_timeout(Some(u64::MAX)), Duration::from_secs(60));
    }

    #[test]
    fn defaults_are_not_needed_and_unknown_names_are_refused() {
        let id = "0".repeat(64);
        let read: GetEvent =
            serde_json::from_str(&format!(r#"{{"eventId":"{id}"}}"#)).expect("json");
        assert!(!read.with_proof);
        let misspelt = format!(r#"{{"eventId":"{id}","withproof":true}}"#);
        assert!(serde_json::from_str::<GetEvent>(&misspelt).is_err());
        assert!(serde_json::from_str::<Nothing>(r#"{"x":1}"#).is_err());
    }
}
