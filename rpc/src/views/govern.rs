//! What members decide: proposals and their votes, and how one validator set led to the next.

use consign_types::digest::{EventId, NetworkId};
use consign_types::party::PartyId;
use serde::{Deserialize, Serialize};

use super::text::{Base64, Moment, Text};
use crate::join::JoinRequest;
use crate::page::Page;

/// A proposal, as far as it is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProposalView {
    /// The event that made it.
    pub proposal_id: Text<EventId>,
    /// Which of the network's proposals it is, from 1.
    pub number: u32,
    /// Who made it.
    pub by: Text<PartyId>,
    /// What kind of change: `admit`, `expel`, `node`, `validator`, `retire`, `params`,
    /// `witnesses` or `key`.
    pub change: String,
    /// What changes, as a sentence.
    pub sentence: String,
    /// What people compare by voice with whoever holds the keys that get a say; none where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Whom it is about; none for parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Text<PartyId>>,
    /// The first height that it is to be in force at; where it is decided later, the next one.
    pub from: u64,
    /// Until when members may vote, by block time.
    pub until: Moment,
    /// Who is for it.
    pub approvals: Vec<Text<PartyId>>,
    /// Who is against it.
    pub rejections: Vec<Text<PartyId>>,
    /// How many members must approve, of those who are members now.
    pub needed: u64,
    /// `open`, `decided`, `in-force`, `rejected`, `expired` or `void`.
    pub stage: String,
    /// Of a decided one the height of that block, of one in force the first height that it is in force at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
}

/// Proposals, newest first.
pub type ProposalsPage = Page<ProposalView>;

/// The genesis.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GenesisView {
    /// The network's name: SHA-256 of the document.
    pub network: Text<NetworkId>,
    /// The document.
    pub genesis: Base64,
}

/// A request to join that an invited party handed in here.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RequestView {
    /// Who asks.
    pub party: Text<PartyId>,
    /// The member that invited it.
    pub invited_by: Text<PartyId>,
    /// What people compare by voice before they admit it: of its member key and its node's network key.
    pub fingerprint: String,
    /// The same of the keys that its node would vote with.
    pub validator_fingerprint: String,
    /// When it came, by this node's clock.
    pub received: Moment,
    /// What it asks for.
    pub request: JoinRequest,
}

/// Requests to join, in the order of their invitations' names; at most 64.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RequestsView {
    /// The requests.
    pub requests: Vec<RequestView>,
}

/// How one validator set led to the next.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SetsView {
    /// The last height that is covered.
    pub height: u64,
    /// Certified changes, oldest first, each as a passport carries it.
    pub links: Vec<Base64>,
}
