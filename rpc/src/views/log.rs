//! Checkpoints and proofs. What they prove is verified from the texts and hashes, never from the view.

use consign_types::digest::{Digest, LeafHash, TreeRoot};
use consign_types::party::PartyId;
use consign_types::unit::UnitId;
use serde::{Deserialize, Serialize};

use super::text::{Base64, Moment, Text};

/// The log at some size, signed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CheckpointView {
    /// Number of leaves.
    pub size: u64,
    /// Root over them.
    pub root: Text<TreeRoot>,
    /// Height of the block that ends there.
    pub height: u64,
    /// The signed note, as C2SP tlog-checkpoint and tlog-cosignature say.
    pub note: String,
    /// Validators whose cosignatures are in the note.
    pub cosigned_by: Vec<Text<PartyId>>,
    /// Whether they are a quorum: from there on the leaves are proven.
    pub quorum: bool,
    /// The quorum-th newest time of cosigning: at least a quorum stood by it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Moment>,
}

/// Proof that a leaf is in the log (RFC 6962, 2.1.1).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InclusionView {
    /// The leaf.
    pub leaf_index: u64,
    /// The tree that it is proven in.
    pub tree_size: u64,
    /// Hash of the leaf.
    pub leaf_hash: Text<LeafHash>,
    /// Siblings, bottom up.
    pub path: Vec<Text<Digest>>,
    /// The signed note for that tree; none where no cosigned one of that size is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// Leaf, path and checkpoint as one C2SP tlog-proof file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tlog_proof: Option<String>,
}

/// A passport: the whole history of a unit, which proves itself to whoever has a trust file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PassportView {
    /// The unit.
    pub unit: Text<UnitId>,
    /// Number of leaves under its checkpoint.
    pub size: u64,
    /// Height of the block that ends there.
    pub height: u64,
    /// The file.
    pub passport: Base64,
}

/// One log key's word that an event is in the log (RFC 9942).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReceiptView {
    /// The leaf.
    pub leaf_index: u64,
    /// The tree whose root is signed; a quorum has cosigned its checkpoint.
    pub tree_size: u64,
    /// Hash of the leaf.
    pub leaf_hash: Text<LeafHash>,
    /// The receipt: a `COSE_Sign1` whose payload, the root, is left out.
    pub receipt: Base64,
    /// The event with the receipt in its unprotected header (RFC 9943, transparent statement).
    pub event_with_receipt: Base64,
}

/// Proof that the log only grew from one size to another (RFC 6962, 2.1.2).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConsistencyView {
    /// The earlier size.
    pub from: u64,
    /// Root at the earlier size.
    pub from_root: Text<TreeRoot>,
    /// The later size.
    pub to: u64,
    /// Root at the later size.
    pub to_root: Text<TreeRoot>,
    /// Nodes in the order of RFC 6962.
    pub path: Vec<Text<Digest>>,
}
