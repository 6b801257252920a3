//! What a node offers to its doors.
//!
//! The server decodes, limits and counts; a [`Backend`] answers. It is handed checked values only and
//! never sees a connection.

use std::time::Duration;

use axum::body::Bytes;
use consign_types::block::{Height, LeafIndex, TreeSize};
use consign_types::cose_receipt::Algorithm;
use consign_types::digest::{Digest, EventId};
use consign_types::party::{PartyId, SignerId};
use consign_types::unit::UnitId;

pub use jsonrpsee::core::async_trait;

use crate::errors::RpcError;
use crate::join::JoinRequest;
use crate::page::{Cursor, Order, PageLimit};
use crate::params::{EventFilter, Wait};
use crate::subscription::SubscriptionStream;
use crate::views::{
    BlockView, BlocksPage, CheckpointView, ConsistencyView, DeviceHistoryPage, DeviceState,
    DeviceView, DevicesPage, EventStatus, EventView, EvidencePage, EvidenceView, GenesisView,
    HistoryPage, InclusionView, MembersView, PassportView, ProposalView, ProposalsPage,
    ReceiptView, RequestView, RequestsView, SetsView, StatusView, Submitted, TokensView, UnitView,
};

/// What a node answers. Cheap to call from many tasks at once; blocking work is moved off by the
/// implementation. A call may be dropped half-way when its caller goes away.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Takes signed events of `submitter` and answers each in order: exactly as many answers as envelopes. Waits for
    /// all of them until `wait` is reached, `timeout` is over or the submitter is hurried, then tells what was
    /// reached.
    async fn submit(
        &self,
        envelopes: Vec<Vec<u8>>,
        wait: Wait,
        timeout: Duration,
        submitter: &dyn Submitter,
    ) -> Vec<Result<Submitted, RpcError>>;

    /// How far an event has come; *unknown* is an answer.
    async fn event_status(&self, event: EventId) -> Result<EventStatus, RpcError>;

    /// An event, with a proof where asked for.
    async fn event(&self, event: EventId, with_proof: bool) -> Result<EventView, RpcError>;

    /// A unit's state after the block at `height`, or after the last.
    async fn unit(&self, unit: UnitId, height: Option<Height>) -> Result<UnitView, RpcError>;

    /// The events that name a unit, oldest first.
    async fn history(
        &self,
        unit: UnitId,
        cursor: Option<Cursor>,
        limit: PageLimit,
    ) -> Result<HistoryPage, RpcError>;

    /// The unit's whole history up to the newest checkpoint, for trust files of height `since`.
    async fn passport(&self, unit: UnitId, since: Height) -> Result<PassportView, RpcError>;

    /// The checkpoint of this size, or the latest with a quorum.
    async fn checkpoint(&self, size: Option<TreeSize>) -> Result<CheckpointView, RpcError>;

    /// Proof that a leaf is in the tree of this size, or of the latest with a quorum.
    async fn inclusion(
        &self,
        leaf: Leaf,
        size: Option<TreeSize>,
    ) -> Result<InclusionView, RpcError>;

    /// An event with a COSE receipt, at the latest checkpoint with a quorum.
    async fn receipt(&self, leaf: Leaf, algorithm: Algorithm) -> Result<ReceiptView, RpcError>;

    /// Proof that the log only grew. `from` is at most `to`.
    async fn consistency(&self, from: TreeSize, to: TreeSize) -> Result<ConsistencyView, RpcError>;

    /// Checks an evidence file and keeps it, with the answer that tells whom it names.
    async fn submit_evidence(&self, file: Vec<u8>) -> Result<EvidenceView, RpcError>;

    /// The evidence of this id with its bytes, alone in a page; or all without, newest first.
    async fn evidence(
        &self,
        id: Option<Digest>,
        cursor: Option<Cursor>,
        limit: PageLimit,
    ) -> Result<EvidencePage, RpcError>;

    /// The proposal that this event made.
    async fn proposal(&self, id: EventId) -> Result<ProposalView, RpcError>;

    /// Every proposal there was, newest first.
    async fn proposals(
        &self,
        cursor: Option<Cursor>,
        limit: PageLimit,
    ) -> Result<ProposalsPage, RpcError>;

    /// The certified changes of the validator set after the height `since`.
    async fn sets(&self, since: Height) -> Result<SetsView, RpcError>;
    /// A device, or a member's own key.
    async fn device(&self, device: SignerId) -> Result<DeviceView, RpcError>;

    /// Devices of a party, or of any, in a state, or in any; in the order of their enrolment.
    async fn devices(
        &self,
        party: Option<PartyId>,
        state: Option<DeviceState>,
        cursor: Option<Cursor>,
        limit: PageLimit,
    ) -> Result<DevicesPage, RpcError>;

    /// The events that a device signed or that are about it, oldest first.
    async fn device_history(
        &self,
        device: SignerId,
        cursor: Option<Cursor>,
        limit: PageLimit,
    ) -> Result<DeviceHistoryPage, RpcError>;

    /// How the node is doing.
    async fn status(&self) -> Result<StatusView, RpcError>;

    /// A block.
    async fn block(&self, height: Height) -> Result<BlockView, RpcError>;

    /// Blocks in order.
    async fn blocks(
        &self,
        cursor: Option<Cursor>,
        limit: PageLimit,
        order: Order,
    ) -> Result<BlocksPage, RpcError>;

    /// Who is in the network.
    async fn members(&self) -> Result<MembersView, RpcError>;

    /// The genesis.
    async fn genesis(&self) -> Result<GenesisView, RpcError>;

    /// Takes a request to join.
    async fn submit_request(
        &self,
        invite: String,
        request: JoinRequest,
    ) -> Result<RequestView, RpcError>;

    /// The tokens that the node knows, for its operator.
    fn tokens(&self) -> TokensView;

    /// Reads the tokens again; those that it finds hold from then on.
    async fn reload_tokens(&self) -> Result<TokensView, RpcError>;

    /// The requests to join that were handed in here.
    async fn requests(&self) -> Result<RequestsView, RpcError>;

    /// Opens a feed on `topic`: after `from`, or from now on.
    ///
    /// # Errors
    /// When the cursor is not one of this feed.
    async fn subscribe(
        &self,
        topic: Topic,
        from: Option<Cursor>,
    ) -> Result<SubscriptionStream, RpcError>;

    /// A file of the log by its path below `/tlog/`: `checkpoint`, `tile/0/000` and so on.
    async fn file(&self, path: &str) -> Option<File>;

    /// What the node counts, as OpenMetrics text.
    fn metrics(&self) -> String;

    /// Whether the process should go on; a sentence where it should be restarted.
    fn live(&self) -> Result<(), String>;

    /// Whether callers should be sent here; a sentence where they should not.
    fn ready(&self) -> Result<(), String>;
}

/// Whoever hands in events, as far as a backend cares.
#[async_trait]
pub trait Submitter: Send + Sync {
    /// So many of its events had a signature that does not hold. Told as soon as that is known, before anything is
    /// waited for: it is counted against whoever sent them.
    fn forged(&self, count: usize);

    /// Done when others need the place of the call: it should wait no longer.
    async fn hurried(&self);
}

/// A leaf, by either of its names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leaf {
    /// Its position.
    Index(LeafIndex),
    /// The event in it.
    Event(EventId),
}

/// What a subscription is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Topic {
    /// Each block: [`Update::Block`](crate::views::Update::Block).
    Blocks,
    /// Each event that fits: [`Update::Event`](crate::views::Update::Event).
    Events(EventFilter),
    /// Each event that names the unit: [`Update::Event`](crate::views::Update::Event).
    Unit(UnitId),
    /// How far one event comes: [`Update::Status`](crate::views::Update::Status). The present status
    /// first; the feed is finished after *proven* or *refused*.
    Status(EventId),
}

/// A file to serve.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct File {
    /// Its media type.
    pub content_type: &'static str,
    /// Its bytes.
    pub bytes: Bytes,
    /// Whether it will never change, so that caches may keep it for ever.
    pub immutable: bool,
}
