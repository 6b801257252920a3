//! What the node answers at its RPC door.
//!
//! Reads come from the store and the tip; nothing here changes anything but the pool. Blocking work runs
//! off the async workers.

mod admin;
mod device;
mod evidence;
mod feeds;
mod files;
mod govern;
mod numbers;
mod pages;
mod passport;
mod proofs;
mod ready;
mod submit;
mod unit;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use consign_consensus::{Signing, Status as EngineStatus};
use consign_rpc::backend::{Backend, File, Leaf, Submitter, Topic, async_trait};
use consign_rpc::errors::RpcError;
use consign_rpc::join::JoinRequest;
use consign_rpc::page::{Cursor, Order, PageLimit};
use consign_rpc::params::Wait;
use consign_rpc::server::Doors;
use consign_rpc::subscription::SubscriptionStream;
use consign_rpc::views::{
    Base64, BlockHeader, BlockView, BlocksPage, CheckpointView, ConsistencyView, DeviceHistoryPage,
    DeviceState, DeviceView, DevicesPage, EventStatus, EventView, EvidencePage, EvidenceView,
    Finality, GenesisView, HistoryPage, InclusionView, MembersView, PassportView, PeerView,
    PoolView, ProposalView, ProposalsPage, ReceiptView, RequestView, RequestsView, SetsView,
    StatusView, Submitted, SyncView, Text, TokensView, UnitView, ValidatorsView,
};
use consign_types::block::{Height, LeafIndex, TreeSize};
use consign_types::codec::Canonical as _;
use consign_types::cose_receipt::Algorithm;
use consign_types::digest::{Digest, EventId};
use consign_types::event::SignedEvent;
use consign_types::party::{PartyId, SignerId};
use consign_types::unit::UnitId;
use tokio::sync::Semaphore;

pub use self::admin::{Entrance, open_socket};
use self::pages::place;
use self::proofs::ReceiptKeys;
use crate::clock;
use crate::config::{Config, Rpc};
use crate::driver;
use crate::identity::Identity;
use crate::parts::Parts;
use crate::pool::Quotas;
use crate::state::sure;
use crate::store::StoredBlock;

/// The node behind its RPC door. Cheap to clone.
#[derive(Clone)]
pub struct Serving {
    parts: Parts,
    engine: Arc<Mutex<Option<EngineStatus>>>,
    party: PartyId,
    identity: Identity,
    last_block: Arc<Mutex<Option<(Height, StoredBlock)>>>,
    receipt_keys: Arc<ReceiptKeys>,
    quotas: Arc<Quotas>,
    entrance: Arc<Entrance>,
    /// Turns of feeds that read the store.
    feeding: Arc<Semaphore>,
    /// Held while a request to join is taken: an invitation is good once.
    joining: Arc<Mutex<()>>,
}

impl Serving {
    /// The door of this node.
    pub fn new(parts: &Parts, engine: Arc<Mutex<Option<EngineStatus>>>, config: &Config) -> Self {
        Self {
            parts: parts.clone(),
            engine,
            party: config.party.clone(),
            identity: Identity::of(config),
            last_block: Arc::default(),
            receipt_keys: Arc::new(ReceiptKeys::of(&config.keys)),
            quotas: Arc::new(config.rpc.quotas()),
            entrance: Arc::new(Entrance::of(&config.rpc.doors, &parts.committed.params())),
            feeding: Arc::new(Semaphore::new(feeds::AT_ONCE)),
            joining: Arc::default(),
        }
    }

    /// Who is let in.
    pub fn entrance(&self) -> Arc<Entrance> {
        Arc::clone(&self.entrance)
    }

    /// Serves until `stop` is done.
    ///
    /// # Errors
    /// When the server cannot start.
    pub async fn serve(
        self,
        doors: Doors,
        rpc: &Rpc,
        stop: impl Future<Output = ()> + Send,
    ) -> std::io::Result<()> {
        let limits = rpc.limits;
        let access = Arc::clone(&self.entrance.access);
        consign_rpc::server::serve(doors, Arc::new(self), limits, access, stop).await
    }

    /// Runs `work` where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, RpcError> + Send + 'static,
    ) -> Result<T, RpcError> {
        let own = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&own)).await;
        done.unwrap_or_else(|_| Err(RpcError::internal("the node is stopping")))
    }

    fn status_of(&self, id: &EventId) -> EventStatus {
        if let Some(index) = self.parts.committed.event_index(id) {
            return self.committed_status(index);
        }
        if self.parts.pool.holds(id) {
            return EventStatus::Accepted;
        }
        match self.parts.pool.refusal(id) {
            Some(refused) => EventStatus::Refused {
                code: refused.code().to_owned(),
                message: refused.to_string(),
                retryable: refused.retryable(),
            },
            None => EventStatus::Unknown,
        }
    }

    fn committed_status(&self, index: LeafIndex) -> EventStatus {
        let (height, block) = self.block_of(index);
        let record_time = sure(self.parts.committed.store().record(&block)).time.into();
        let proven = self.parts.committed.progress().borrow().proven;
        let (height, index) = (height.0, index.0);
        if index < proven.0 {
            return EventStatus::Proven { height, index, record_time, checkpoint_size: proven.0 };
        }
        EventStatus::Committed { height, index, record_time }
    }

    /// The block whose leaves include `index`. Neighbours are asked for together, so the last answer is
    /// tried first.
    fn block_of(&self, index: LeafIndex) -> (Height, StoredBlock) {
        let holds = |block: &StoredBlock| (block.first.0..block.size.0).contains(&index.0);
        let last = || self.last_block.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last().clone();
        if let Some(found) = known.filter(|(_, block)| holds(block)) {
            return found;
        }
        // Nobody waits while the store is read.
        let found = self.bisect(index);
        *last() = Some(found.clone());
        found
    }

    /// Blocks lie one behind the other.
    fn bisect(&self, index: LeafIndex) -> (Height, StoredBlock) {
        let store = self.parts.committed.store();
        let (mut low, mut high) = (0, self.parts.committed.tip().height().0);
        while low < high {
            let middle = low + (high - low) / 2;
            let block = sure(store.block(Height(middle)));
            match block {
                Some(block) if block.size.0 <= index.0 => low = middle + 1,
                _ => high = middle,
            }
        }
        let block = sure(store.block(Height(low)));
        let missing = || store.damaged("block", format!("height {low} is missing"));
        (Height(low), sure(block.ok_or_else(missing)))
    }

    fn header(&self, height: Height, block: &StoredBlock) -> BlockHeader {
        let record = sure(self.parts.committed.store().record(block));
        BlockHeader {
            height: height.0,
            block_id: block.block.into(),
            parent: record.parent.into(),
            epoch: record.epoch.0,
            time: record.time.into(),
            first_index: block.first.0,
            events: record.events,
            size: block.size.0,
            root: block.root.into(),
            map_root: record.map_root.into(),
            set: record.set.into(),
            next_set: record.next_set.into(),
        }
    }

    fn signing(&self) -> Option<Signing> {
        let engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        engine.as_ref().map(|status| status.signing.clone())
    }

    fn quarantine(&self) -> Option<String> {
        self.signing().as_ref().and_then(driver::doubt)
    }

    fn event_view(&self, index: LeafIndex) -> Option<EventView> {
        let bytes = sure(self.parts.committed.store().leaf(index))?;
        let signed = SignedEvent::decode(&bytes).ok()?;
        Some(self.view(&signed, self.committed_status(index)))
    }
}

#[async_trait]
impl Backend for Serving {
    async fn submit(
        &self,
        envelopes: Vec<Vec<u8>>,
        wait: Wait,
        timeout: Duration,
        submitter: &dyn Submitter,
    ) -> Vec<Result<Submitted, RpcError>> {
        self.take(envelopes, wait, timeout, submitter).await
    }

    async fn event_status(&self, event: EventId) -> Result<EventStatus, RpcError> {
        self.blocking(move |own| Ok(own.status_of(&event))).await
    }

    async fn event(&self, event: EventId, with_proof: bool) -> Result<EventView, RpcError> {
        self.blocking(move |own| {
            if let Some(index) = own.parts.committed.event_index(&event) {
                let mut view = own
                    .event_view(index)
                    .ok_or_else(|| RpcError::internal("the event's leaf cannot be read"))?;
                if with_proof {
                    view.proof = Some(own.inclusion_view(index, None)?);
                }
                return Ok(view);
            }
            match own.parts.pool.get(&event) {
                Some(pooled) => Ok(own.view(pooled.signed(), EventStatus::Accepted)),
                None => Err(RpcError::not_found(format!("no event {event} is known here"))),
            }
        })
        .await
    }

    async fn unit(&self, unit: UnitId, height: Option<Height>) -> Result<UnitView, RpcError> {
        self.blocking(move |own| own.unit_view(&unit, height)).await
    }

    async fn history(
        &self,
        unit: UnitId,
        cursor: Option<Cursor>,
        limit: PageLimit,
    ) -> Result<HistoryPage, RpcError> {
        self.blocking(move |own| {
            let feed = feeds::unit_feed(&unit);
            let from = place(cursor.as_ref(), &feed, 0)?;
            let store = own.parts.committed.store();
            let rows = sure(store.history(&unit, from, limit.entries() + 1));
            if rows.is_empty() && from == 0 {
                return Err(RpcError::not_found(format!("{unit} is not registered")));
            }
            let more = rows.len() > limit.entries();
            let rows = &rows[..rows.len().min(limit.entries())];
            let next = rows.last().map_or(from, |event| event.position + 1);
            let data = rows.iter().filter_map(|event| own.event_view(event.leaf)).collect();
            Ok(HistoryPage {
                data,
                next_cursor: Some(Cursor::at(&feed, next)),
                has_next_page: more,
            })
        })
        .await
    }

    async fn passport(&self, unit: UnitId, since: Height) -> Result<PassportView, RpcError> {
        self.blocking(move |own| own.passport_view(&unit, since)).await
    }

    async fn checkpoint(&self, size: Option<TreeSize>) -> Result<CheckpointView, RpcError> {
        self.blocking(move |own| own.checkpoint_view(size)).await
    }

    async fn inclusion(
        &self,
        leaf: Leaf,
        size: Option<TreeSize>,
    ) -> Result<InclusionView, RpcError> {
        self.blocking(move |own| own.inclusion_view(own.leaf_index(leaf)?, size)).await
    }

    async fn receipt(&self, leaf: Leaf, algorithm: Algorithm) -> Result<ReceiptView, RpcError> {
        self.blocking(move |own| own.receipt_view(own.leaf_index(leaf)?, algorithm)).await
    }

    async fn consistency(&self, from: TreeSize, to: TreeSize) -> Result<ConsistencyView, RpcError> {
        self.blocking(move |own| own.consistency_view(from, to)).await
    }

    async fn submit_evidence(&self, file: Vec<u8>) -> Result<EvidenceView, RpcError> {
        self.blocking(move |own| own.submit_evidence_view(&file)).await
    }

    async fn evidence(
        &self,
        id: Option<Digest>,
        cursor: Option<Cursor>,
        limit: PageLimit,
    ) -> Result<EvidencePage, RpcError> {
        self.blocking(move |own| match id {
            Some(id) => own.evidence_of(&id),
            None => own.evidence_page(cursor.as_ref(), limit),
        })
        .await
    }

    async fn device(&self, device: SignerId) -> Result<DeviceView, RpcError> {
        self.blocking(move |own| own.device_view(&device)).await
    }

    async fn devices(
        &self,
        party: Option<PartyId>,
        state: Option<DeviceState>,
        cursor: Option<Cursor>,
        limit: PageLimit,
    ) -> Result<DevicesPage, RpcError> {
        self.blocking(move |own| own.devices_page(party.as_ref(), state, cursor.as_ref(), limit))
            .await
    }

    async fn device_history(
        &self,
        device: SignerId,
        cursor: Option<Cursor>,
        limit: PageLimit,
    ) -> Result<DeviceHistoryPage, RpcError> {
        self.blocking(move |own| own.device_history_page(&device, cursor.as_ref(), limit)).await
    }

    async fn status(&self) -> Result<StatusView, RpcError> {
        self.blocking(|own| Ok(own.status_view())).await
    }

    async fn block(&self, height: Height) -> Result<BlockView, RpcError> {
        self.blocking(move |own| {
            let store = own.parts.committed.store();
            let block = sure(store.block(height)).ok_or_else(|| {
                RpcError::not_found(format!("no block {height} is committed here"))
            })?;
            let header = own.header(height, &block);
            let leaves = sure(store.leaves(block.first, u64::from(header.events)));
            let decoded = leaves.iter().filter_map(|bytes| SignedEvent::decode(bytes).ok());
            let event_ids = decoded.map(|event| event.id().into()).collect();
            let set = own.parts.committed.validators_at(height);
            let certificate = block.certificate.as_ref();
            let signers = certificate.map_or_else(Vec::new, |certificate| {
                let by = certificate.precommits.iter().filter_map(|(index, _)| set.get(*index));
                by.map(|validator| validator.party.clone().into()).collect()
            });
            Ok(BlockView { header, round: certificate.map(|c| c.round.0), signers, event_ids })
        })
        .await
    }

    async fn blocks(
        &self,
        cursor: Option<Cursor>,
        limit: PageLimit,
        order: Order,
    ) -> Result<BlocksPage, RpcError> {
        self.blocking(move |own| own.blocks_page(cursor.as_ref(), limit, order)).await
    }

    async fn members(&self) -> Result<MembersView, RpcError> {
        self.blocking(|own| own.members_view()).await
    }

    async fn proposal(&self, id: EventId) -> Result<ProposalView, RpcError> {
        self.blocking(move |own| own.proposal_view(id)).await
    }

    async fn proposals(
        &self,
        cursor: Option<Cursor>,
        limit: PageLimit,
    ) -> Result<ProposalsPage, RpcError> {
        self.blocking(move |own| own.proposals_page(cursor.as_ref(), limit)).await
    }

    async fn sets(&self, since: Height) -> Result<SetsView, RpcError> {
        self.blocking(move |own| own.sets_view(since)).await
    }

    async fn genesis(&self) -> Result<GenesisView, RpcError> {
        let genesis = self.parts.committed.genesis();
        Ok(GenesisView { network: genesis.network().into(), genesis: Base64(genesis.to_bytes()) })
    }

    fn tokens(&self) -> TokensView {
        TokensView::of(&self.entrance.access.tokens())
    }

    async fn reload_tokens(&self) -> Result<TokensView, RpcError> {
        self.blocking(|own| own.entrance.read_tokens_again()).await
    }

    async fn submit_request(
        &self,
        invite: String,
        request: JoinRequest,
    ) -> Result<RequestView, RpcError> {
        self.blocking(move |own| own.take_request(&invite, request)).await
    }

    async fn requests(&self) -> Result<RequestsView, RpcError> {
        self.blocking(|own| Ok(own.requests_view())).await
    }

    async fn subscribe(
        &self,
        topic: Topic,
        from: Option<Cursor>,
    ) -> Result<SubscriptionStream, RpcError> {
        self.blocking(move |own| feeds::open(own, topic, from.as_ref())).await
    }

    async fn file(&self, path: &str) -> Option<File> {
        let path = path.to_owned();
        self.blocking(move |own| Ok(own.tlog_file(&path))).await.ok().flatten()
    }

    fn metrics(&self) -> String {
        let (metrics, stats) = (&self.parts.metrics, self.parts.net.stats());
        let progress = *self.parts.committed.progress().borrow();
        metrics.height.set(progress.height.0 as i64);
        metrics.tree_size.set(progress.size.0 as i64);
        metrics.proven_size.set(progress.proven.0 as i64);
        metrics.peers.set(self.validators_connected() as i64);
        metrics.handshakes_refused.set(stats.refused);
        metrics.messages_dropped.set(stats.dropped);
        let way = |way: &'static str| metrics.net_bytes.get_or_create(&[("way", way)]).clone();
        way("in").set(stats.bytes_in as i64);
        way("out").set(stats.bytes_out as i64);
        metrics.text()
    }

    fn live(&self) -> Result<(), String> {
        Ok(())
    }

    fn ready(&self) -> Result<(), String> {
        self.not_ready().map_or(Ok(()), Err)
    }
}

impl Serving {
    pub(super) fn validators_view(&self) -> ValidatorsView {
        let voting = matches!(self.signing(), Some(Signing::Allowed));
        ValidatorsView::of(&self.parts.committed.validators(), voting)
    }

    fn status_view(&self) -> StatusView {
        let committed = &self.parts.committed;
        let tip = committed.tip();
        let progress = *committed.progress().borrow();
        let (behind, target) = self.behind();
        let connected = self.parts.net.connected();
        let heights: HashMap<_, _> = self.parts.peers_at();
        let peers = committed
            .validators()
            .validators()
            .iter()
            .filter(|v| v.party != self.party)
            .map(|v| PeerView {
                party: v.party.clone().into(),
                connected: connected.contains(&v.network_key),
                height: heights.get(&v.network_key).map(|height| height.0),
            })
            .collect();
        let (events, bytes) = self.parts.pool.load();
        let age = clock::now().since(tip.record.time);
        StatusView {
            network: committed.domain().network.into(),
            origin: committed.genesis().origin().to_owned(),
            epoch: committed.epoch().0,
            party: self.party.clone().into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            height: tip.height().0,
            block_id: tip.block.into(),
            size: tip.size.0,
            root: tip.root.into(),
            map_root: tip.record.map_root.into(),
            proven_size: progress.proven.0,
            time: tip.record.time.into(),
            last_commit_age_ms: (tip.height().0 > 0).then_some(age),
            syncing: SyncView { active: behind, target_height: target.0 },
            validators: self.validators_view(),
            quarantine: self.quarantine(),
            finality: Finality::Bft,
            not_ready: self.not_ready(),
            peers,
            pool: PoolView {
                events: events as u64,
                bytes: bytes as u64,
                parked: self.parts.pool.parked() as u64,
            },
        }
    }

    fn blocks_page(
        &self,
        cursor: Option<&Cursor>,
        limit: PageLimit,
        order: Order,
    ) -> Result<BlocksPage, RpcError> {
        let tip = self.parts.committed.tip().height().0;
        let feed = match order {
            Order::Asc => "blocks",
            Order::Desc => "blocks-desc",
        };
        let start = match order {
            Order::Asc => place(cursor, feed, 0)?,
            Order::Desc => place(cursor, feed, tip)?.min(tip),
        };
        let count = limit.entries() as u64;
        let heights: Vec<u64> = match order {
            Order::Asc => (start..=tip).take(limit.entries()).collect(),
            Order::Desc => (0..=start).rev().take(limit.entries()).collect(),
        };
        let mut data = Vec::with_capacity(heights.len());
        for height in &heights {
            if let Some(block) = sure(self.parts.committed.store().block(Height(*height))) {
                data.push(self.header(Height(*height), &block));
            }
        }
        let (next, more) = match order {
            Order::Asc => (start + heights.len() as u64, start.saturating_add(count) <= tip),
            Order::Desc => (start.saturating_sub(count), start >= count),
        };
        let next_cursor = (order == Order::Asc || more).then(|| Cursor::at(feed, next));
        Ok(BlocksPage { data, next_cursor, has_next_page: more })
    }
}

/// A view of a value that prints and parses.
fn text<T>(value: T) -> Text<T> {
    Text(value)
}
