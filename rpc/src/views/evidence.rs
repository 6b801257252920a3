//! Evidence that a node has: whom it names, and whether the ledger knows.

use consign_types::digest::{Digest, EventId};
use consign_types::party::SignerId;
use serde::{Deserialize, Serialize};

use super::text::{Base64, Text};
use crate::page::Page;

/// An evidence file that verifies by the node's own unit map.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EvidenceView {
    /// SHA-256 of the file.
    pub evidence_id: Text<Digest>,
    /// What kind of evidence it is: `double-vote`, `same-number` and so on.
    pub kind: String,
    /// Length of the file, bytes.
    pub bytes: u64,
    /// Whom it names, in the order of the file.
    pub accused: Vec<AccusedView>,
    /// The report of the first of them, where the ledger knows the faults of all; none until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<ReportedView>,
    /// The file; only where it was asked for by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Base64>,
}

/// Somebody whom evidence names.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AccusedView {
    /// A member, a device, or the name of an outsider's key.
    pub who: String,
    /// The subject of a report about it; none for an outsider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Text<SignerId>>,
    /// What it did, as the rest of a sentence.
    pub did: String,
    /// What the fault is known by, whatever file shows it.
    pub fault: Text<Digest>,
    /// The event that reported the fault, with this file or another; none until it is on the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<ReportedView>,
}

/// A committed report.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReportedView {
    /// Height of its block.
    pub height: u64,
    /// The report.
    pub event_id: Text<EventId>,
}

/// Evidence, newest first.
pub type EvidencePage = Page<EvidenceView>;
