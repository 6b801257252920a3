//! Blocks, members, and how a node is doing.

use consign_types::digest::{BlockId, EventId, MapRoot, NetworkId, SetHash, TreeRoot};
use consign_types::genesis::Params;
use consign_types::key::PublicKey;
use consign_types::party::PartyId;
use consign_types::signer_key::SignerKey;
use consign_types::validator::ValidatorSet;
use serde::{Deserialize, Serialize};

use super::text::{Moment, Text};
use crate::page::Page;

/// A block without its events.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BlockHeader {
    /// Position in the chain.
    pub height: u64,
    /// Its name.
    pub block_id: Text<BlockId>,
    /// The block before.
    pub parent: Text<BlockId>,
    /// Incarnation of the network.
    pub epoch: u64,
    /// Block time.
    pub time: Moment,
    /// Its first leaf. Its events are this leaf and the next ones, its record the one after them.
    pub first_index: u64,
    /// Number of its events.
    pub events: u32,
    /// Size of the log after it.
    pub size: u64,
    /// Root of the log after it.
    pub root: Text<TreeRoot>,
    /// Root of the unit map after it.
    pub map_root: Text<MapRoot>,
    /// Validator set in force.
    pub set: Text<SetHash>,
    /// Validator set in force at the next height.
    pub next_set: Text<SetHash>,
}

/// A block, who decided it, and its events.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BlockView {
    /// The block.
    #[serde(flatten)]
    pub header: BlockHeader,
    /// Round in which this node saw it decided; may differ between honest nodes. None for genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// Whose precommits are in this node's certificate.
    pub signers: Vec<Text<PartyId>>,
    /// Its events in order.
    pub event_ids: Vec<Text<EventId>>,
}

/// A page of blocks.
pub type BlocksPage = Page<BlockHeader>;

/// How a node is doing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    /// The network.
    pub network: Text<NetworkId>,
    /// First line of its checkpoints.
    pub origin: String,
    /// Incarnation of the network.
    pub epoch: u64,
    /// The member whose node this is.
    pub party: Text<PartyId>,
    /// Version of the software.
    pub version: String,
    /// Last committed height.
    pub height: u64,
    /// Name of the block there.
    pub block_id: Text<BlockId>,
    /// Leaves in the log.
    pub size: u64,
    /// Root of the log.
    pub root: Text<TreeRoot>,
    /// Root of the unit map.
    pub map_root: Text<MapRoot>,
    /// Leaves covered by a checkpoint that a quorum cosigned.
    pub proven_size: u64,
    /// Block time of the last block.
    pub time: Moment,
    /// Milliseconds since this node committed its last block; none before its first. An idle network
    /// commits nothing, so a high age alone is no fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_commit_age_ms: Option<u64>,
    /// Catching up.
    pub syncing: SyncView,
    /// Who decides, and what it survives.
    pub validators: ValidatorsView,
    /// Why this node signs nothing, when it does not: a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
    /// What a commit withstands.
    pub finality: Finality,
    /// Why the node is not ready, when it is not: a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_ready: Option<String>,
    /// The other validators.
    pub peers: Vec<PeerView>,
    /// Events that wait for a block.
    pub pool: PoolView,
}

/// Whether a node is behind.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SyncView {
    /// Whether it fetches blocks that others decided.
    pub active: bool,
    /// The height that the network has reached, by the word of more validators than may be faulty.
    pub target_height: u64,
}

/// What a commit withstands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Finality {
    /// Validators that lie, up to the bound.
    Bft,
    /// Validators that stop, and none that lie.
    CrashOnly,
}

/// Who decides.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ValidatorsView {
    /// Number of validators, `n`.
    pub count: u32,
    /// How many may be faulty without harm, `f = floor((n-1)/3)`.
    pub faults: u32,
    /// How many must agree, `floor(2n/3) + 1`.
    pub quorum: u32,
    /// The same in words.
    pub sentence: String,
    /// Whether this node is one of them.
    pub voting: bool,
}

impl ValidatorsView {
    /// The bounds of `set`, for a node that is in it or not.
    pub fn of(set: &ValidatorSet, voting: bool) -> Self {
        let (n, f, quorum) = (set.count(), set.faults(), set.quorum());
        let sentence = match (n, f) {
            (1, _) => "1 validator: for development; it may not fail".to_owned(),
            (_, 0) => format!("{n} validators: {quorum} must agree; none may be faulty"),
            _ => format!("{n} validators: {quorum} must agree; {f} may be faulty"),
        };
        // A set has at most 21 entries.
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { count: small(n), faults: small(f), quorum: small(quorum), sentence, voting }
    }
}

/// Another validator, as this node sees it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PeerView {
    /// The member whose node it is.
    pub party: Text<PartyId>,
    /// Whether it is connected.
    pub connected: bool,
    /// The height that it last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
}

/// Events that wait for a block.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PoolView {
    /// Checked, and ready for a block.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Waiting for an event that they refer to.
    pub parked: u64,
}

/// Who is in the network.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MembersView {
    /// The block after which this holds.
    pub height: u64,
    /// Validator set in force.
    pub set: Text<SetHash>,
    /// What it survives.
    pub validators: ValidatorsView,
    /// The parameters in force.
    pub params: ParamsView,
    /// The members in order of their names.
    pub members: Vec<MemberView>,
}

/// Parameters that all nodes share.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ParamsView {
    /// Shortest time between two blocks when busy, milliseconds.
    pub block_interval_ms: u32,
    /// How long a spent basis still contests the current one, milliseconds of block time.
    pub contest_window_ms: u64,
    /// How long after a delivery its taker may return the unit, milliseconds of block time.
    pub return_window_ms: u64,
    /// Whether everybody may read, where a node's operator does not ask for more.
    pub open_reading: bool,
}

impl From<Params> for ParamsView {
    fn from(params: Params) -> Self {
        let Params { block_interval_ms, contest_window_ms, return_window_ms, open_reading } =
            params;
        Self { block_interval_ms, contest_window_ms, return_window_ms, open_reading }
    }
}

impl From<ParamsView> for Params {
    fn from(view: ParamsView) -> Self {
        let ParamsView { block_interval_ms, contest_window_ms, return_window_ms, open_reading } =
            view;
        Self { block_interval_ms, contest_window_ms, return_window_ms, open_reading }
    }
}

/// A member.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MemberView {
    /// Its name.
    pub party: Text<PartyId>,
    /// Signs enrolments and other events of the member itself.
    pub key: Text<SignerKey>,
    /// Whether its devices act as an authority.
    pub authority: bool,
    /// Its validator, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validator: Option<ValidatorView>,
    /// Where its node is met, where a proposal said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeView>,
}

/// Where a member's node is met.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NodeView {
    /// Ed25519 key of its libp2p identity.
    pub network_key: Text<PublicKey>,
    /// Multiaddresses that peers dial, best first.
    pub addresses: Vec<String>,
}

/// A validator.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ValidatorView {
    /// Position in the set.
    pub index: u16,
    /// Signs proposals and votes.
    pub consensus_key: Text<PublicKey>,
    /// Cosigns checkpoints.
    pub cosigner_key: Text<PublicKey>,
    /// Ed25519 key of its libp2p identity.
    pub network_key: Text<PublicKey>,
}
