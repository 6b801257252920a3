//! The methods: one table for server, client and document.
//!
//! Invariant: whatever is in the table is served, and nothing else is, but for the way back out of a
//! subscription. A test holds the three against each other.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::errors::ErrorKind;
use crate::params::{
    GetBlock, GetBlocks, GetCheckpoint, GetConsistency, GetDevice, GetDeviceHistory, GetEvent,
    GetEventStatus, GetEvidence, GetHistory, GetInclusion, GetPassport, GetProposal, GetReceipt,
    GetSets, GetUnit, ListDevices, ListProposals, Nothing, SubmitBatch, SubmitEvent,
    SubmitEvidence, SubmitRequest, SubscribeBlocks, SubscribeEvents, SubscribeStatus,
    SubscribeUnit,
};
use crate::scope::Scope;
use crate::views::{
    BatchItem, BlockHeader, BlockView, BlocksPage, CheckpointView, ConsistencyView,
    DeviceHistoryPage, DeviceView, DevicesPage, EventStatus, EventView, EvidencePage, EvidenceView,
    GenesisView, HistoryPage, InclusionView, MembersView, PassportView, ProposalView,
    ProposalsPage, ReceiptView, RequestView, RequestsView, SetsView, StatusView, Submitted,
    TokensView, UnitView,
};

/// Parameters of a call, which name its method and the type of its answer.
pub trait Call: Serialize + DeserializeOwned + Send + 'static {
    /// The method.
    const METHOD: &'static str;
    /// What it answers.
    type Answer: Serialize + DeserializeOwned + Clone + Send + 'static;
}

/// Parameters of a subscription, which name its method and the type of its items.
pub trait Subscribe: Serialize + DeserializeOwned + Clone + Send + 'static {
    /// The names.
    const FEED: Feed;
    /// What it tells.
    type Item: DeserializeOwned + Send + 'static;

    /// Where it begins.
    fn cursor_mut(&mut self) -> &mut Option<crate::page::Cursor>;
}

/// The names of a subscription.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Feed {
    /// Begins it.
    pub subscribe: &'static str,
    /// What its notifications are called.
    pub notification: &'static str,
    /// Ends it.
    pub unsubscribe: &'static str,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// What a caller must be allowed.
    pub scope: Scope,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// The errors that it adds to those that every call may meet.
    pub errors: &'static [ErrorKind],
    /// The names of its feed, where it is a subscription.
    pub feed: Option<Feed>,
}

impl Method {
    /// The row of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        METHODS.iter().find(|method| method.name == name)
    }
}

/// Describes the interface itself, as an OpenRPC document.
pub const DISCOVER: &str = "rpc.discover";

/// What every call may meet.
pub const ERRORS_OF_EVERY_CALL: &[ErrorKind] =
    &[ErrorKind::InvalidParams, ErrorKind::Internal, ErrorKind::RateLimited, ErrorKind::Busy];

/// What every call may meet that needs more than [`Scope::Public`].
pub const ERRORS_OF_SCOPES: &[ErrorKind] = &[ErrorKind::Unauthenticated, ErrorKind::ScopeMissing];

macro_rules! methods {
    (
        calls { $($call:ty = $scope:ident $name:literal -> $answer:ty, $summary:literal, [$($error:ident)*];)* }
        feeds { $($params:ty = $gate:ident $subscribe:literal / $notification:literal / $unsubscribe:literal
            -> $item:ty, $about:literal, [$($refusal:ident)*];)* }
    ) => {
        $(impl Call for $call {
            const METHOD: &'static str = $name;
            type Answer = $answer;
        })*

        $(impl Subscribe for $params {
            const FEED: Feed =
                Feed { subscribe: $subscribe, notification: $notification, unsubscribe: $unsubscribe };
            type Item = $item;

            fn cursor_mut(&mut self) -> &mut Option<crate::page::Cursor> {
                &mut self.from_cursor
            }
        })*

        /// Every method, calls first.
        pub const METHODS: &[Method] = &[
            $(Method {
                name: $name,
                scope: Scope::$scope,
                summary: $summary,
                errors: &[$(ErrorKind::$error),*],
                feed: None,
            },)*
            $(Method {
                name: $subscribe,
                scope: Scope::$gate,
                summary: $about,
                errors: &[$(ErrorKind::$refusal),*],
                feed: Some(<$params as Subscribe>::FEED),
            },)*
        ];

        /// The schemas of parameters and of answers or items, in the order of [`METHODS`].
        #[cfg(test)]
        pub(crate) fn schemas(
            of: &mut schemars::SchemaGenerator,
        ) -> Vec<(schemars::Schema, schemars::Schema)> {
            vec![
                $((of.root_schema_for::<$call>(), of.subschema_for::<$answer>()),)*
                $((
                    of.root_schema_for::<$params>(),
                    of.subschema_for::<crate::views::Notice<$item>>(),
                ),)*
            ]
        }
    };
}

/// Calls without parameters, each a type of its own: it names the method.
macro_rules! without_parameters {
    ($($method:literal = $name:ident;)*) => {
        $(#[doc = concat!("`", $method, "`.")]
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, serde::Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $name(Nothing);)*
    };
}

without_parameters! {
    "chain_getStatus" = GetStatus;
    "chain_getMembers" = GetMembers;
    "chain_getGenesis" = GetGenesis;
    "gov_listRequests" = ListRequests;
    "admin_listTokens" = ListTokens;
    "admin_reloadTokens" = ReloadTokens;
}

methods! {
    calls {
        SubmitEvent = Submit "custody_submitEvent" -> Submitted,
            "Takes a signed event. Sending it again is harmless and answers `duplicate`.",
            [Rejected BadSignature UnknownDevice RevokedKey SequenceConflict RuleViolation Quota PoolFull NoQuorum Syncing];
        SubmitBatch = Submit "custody_submitBatch" -> Vec<BatchItem>,
            "Takes up to 100 signed events and answers each of them, in order.",
            [Syncing];
        GetEventStatus = Read "custody_getEventStatus" -> EventStatus,
            "Tells how far an event has come.",
            [];
        GetEvent = Read "custody_getEvent" -> EventView,
            "Tells an event, with a proof where asked for.",
            [NotFound ProofUnavailable];
        GetUnit = Read "custody_getUnit" -> UnitView,
            "Tells a unit's state after the last block.",
            [NotFound];
        GetHistory = Read "custody_getHistory" -> HistoryPage,
            "Tells the events that name a unit, oldest first, page by page.",
            [NotFound StaleCursor];
        GetPassport = Read "custody_getPassport" -> PassportView,
            "Tells the whole history of a unit up to the newest checkpoint as a file that proves itself.",
            [NotFound ProofUnavailable ResponseTooLarge];
        GetCheckpoint = Public "proof_getCheckpoint" -> CheckpointView,
            "Tells the log's signed size and root.",
            [NotFound ProofUnavailable];
        GetInclusion = Read "proof_getInclusion" -> InclusionView,
            "Proves that a leaf is in the log.",
            [NotFound ProofUnavailable];
        GetConsistency = Public "proof_getConsistency" -> ConsistencyView,
            "Proves that the log only grew from one size to another.",
            [NotFound];
        GetStatus = Public "chain_getStatus" -> StatusView,
            "Tells how the node is doing.",
            [];
        GetBlock = Read "chain_getBlock" -> BlockView,
            "Tells a block, who decided it, and the names of its events.",
            [NotFound];
        GetBlocks = Read "chain_getBlocks" -> BlocksPage,
            "Tells blocks, page by page.",
            [StaleCursor];
        GetMembers = Read "chain_getMembers" -> MembersView,
            "Tells members, validators and their keys.",
            [];
        GetReceipt = Read "proof_getReceipt" -> ReceiptView,
            "Tells an event with a COSE receipt: this node's log key says that it is in the log.",
            [NotFound ProofUnavailable];
        SubmitEvidence = Submit "audit_submitEvidence" -> EvidenceView,
            "Takes an evidence file, checks it by the unit map and keeps it. It is not reported by that.",
            [RuleViolation PoolFull];
        GetEvidence = Read "audit_getEvidence" -> EvidencePage,
            "Tells the evidence that the node has, newest first, page by page; or one file by its id.",
            [NotFound StaleCursor];
        GetProposal = Read "gov_get" -> ProposalView,
            "Tells a proposal about the network and its votes.", [NotFound];
        ListProposals = Read "gov_list" -> ProposalsPage,
            "Tells every proposal about the network, newest first, page by page.", [StaleCursor];
        GetSets = Public "proof_getSets" -> SetsView,
            "Proves how the validator set changed: each change with the certificate of its block.", [];
        GetDevice = Read "device_get" -> DeviceView,
            "Tells whether a device may sign, what, under which key, and its next number.",
            [NotFound];
        ListDevices = Read "device_list" -> DevicesPage,
            "Tells devices in the order of their enrolment, page by page.",
            [StaleCursor];
        GetDeviceHistory = Read "device_history" -> DeviceHistoryPage,
            "Tells the events that a device signed or that are about it, oldest first, page by page.",
            [NotFound StaleCursor];
        GetGenesis = Public "chain_getGenesis" -> GenesisView,
            "Tells the genesis, which the network is named by.",
            [];
        SubmitRequest = Public "gov_submitRequest" -> RequestView,
            "Takes an invited party's request to join. Members decide; nothing is decided by that.",
            [RuleViolation PoolFull];
        ListRequests = Read "gov_listRequests" -> RequestsView,
            "Tells the requests to join that were handed in at this node.",
            [];
        ListTokens = Admin "admin_listTokens" -> TokensView,
            "Tells which tokens the node knows, without any secret.",
            [];
        ReloadTokens = Admin "admin_reloadTokens" -> TokensView,
            "Reads the file of tokens again: what is there now holds, at once. Where it cannot be read, what was before does.",
            [Unsupported BadConfiguration];
    }
    feeds {
        SubscribeBlocks = Read "chain_subscribeBlocks" / "chain_blocks" / "chain_unsubscribeBlocks"
            -> BlockHeader, "Tells each block once it is committed.", [StaleCursor TooManySubscriptions];
        SubscribeEvents = Read "custody_subscribeEvents" / "custody_events" / "custody_unsubscribeEvents"
            -> EventView, "Tells each event once it is committed, or proven, in the order of the log.",
            [StaleCursor TooManySubscriptions];
        SubscribeUnit = Read "custody_subscribeUnit" / "custody_unit" / "custody_unsubscribeUnit"
            -> EventView, "Tells each event that names a unit, once it is committed.",
            [StaleCursor TooManySubscriptions];
        SubscribeStatus = Read "custody_subscribeStatus" / "custody_status" / "custody_unsubscribeStatus"
            -> EventStatus, "Tells how far an event has come, and ends when it is proven or refused.",
            [StaleCursor TooManySubscriptions];
    }
}
