//! Devices: who they are, what they may sign, and whether they still may.

use consign_types::digest::Digest;
use consign_types::event::Kind;
use consign_types::party::{PartyId, SignerId};
use consign_types::place::Place;
use consign_types::signer_key::{Algorithm, SignerKey};
use serde::{Deserialize, Serialize};

use super::event::EventView;
use super::text::{Moment, Text};
use crate::page::Page;

/// A device, or a member's own key, after the block at `height`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DeviceView {
    /// Its name.
    pub device: Text<SignerId>,
    /// The member that answers for it.
    pub party: Text<PartyId>,
    /// The block after which this is so.
    pub height: u64,
    /// Whether it may sign.
    pub status: DeviceStatus,
    /// How it signs.
    pub algorithm: Text<Algorithm>,
    /// Its key now.
    pub key: Text<SignerKey>,
    /// The id under which its events name the key: 16 hexadecimal digits.
    pub key_id: String,
    /// Keys before, in their order.
    #[serde(default)]
    pub past_keys: Vec<PastKeyView>,
    /// Kinds of event that it may sign.
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub kinds: Vec<Text<Kind>>,
    /// Places that it may sign for; any where empty.
    #[serde(default)]
    pub places: Vec<Text<Place>>,
    /// Classes of unit that it may sign for, by their prefixes; any where empty.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Until when it may sign, by block time; without an end where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// The lowest number that was never used: that of its next event, unless some are on their way.
    pub next_sequence: u64,
    /// Numbers below that are still open.
    #[serde(default)]
    pub missing: Vec<u64>,
    /// Missing numbers below this are closed for ever.
    pub floor: u64,
}

/// A key that another took the place of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PastKeyView {
    /// The key.
    pub key: Text<SignerKey>,
    /// Its id.
    pub key_id: String,
    /// Its numbers are below this, and not below that of the key before.
    pub below: u64,
}

/// Whether a device may sign. Nothing leads back to *active*.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum DeviceStatus {
    /// It may.
    Active,
    /// No more: its enrolment had an end.
    Expired {
        /// When that was, by block time.
        at: Moment,
    },
    /// No more, since evidence named it.
    Suspended {
        /// The evidence file.
        evidence: Text<Digest>,
    },
    /// No more, since its member revoked it.
    Revoked {
        /// Block time of the revocation.
        at: Moment,
        /// Since when somebody else may have had the key, by the member's own word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        suspected_since: Option<Moment>,
    },
}

impl DeviceStatus {
    /// The state, by itself.
    pub const fn state(&self) -> DeviceState {
        match self {
            Self::Active => DeviceState::Active,
            Self::Expired { .. } => DeviceState::Expired,
            Self::Suspended { .. } => DeviceState::Suspended,
            Self::Revoked { .. } => DeviceState::Revoked,
        }
    }
}

/// The state of a device, by itself.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum DeviceState {
    /// It may sign.
    Active,
    /// Its enrolment ended.
    Expired,
    /// Evidence named it.
    Suspended,
    /// Its member revoked it.
    Revoked,
}

/// Devices, in the order of their enrolment.
pub type DevicesPage = Page<DeviceView>;

/// Events that a device signed, or that are about it, oldest first.
pub type DeviceHistoryPage = Page<EventView>;
