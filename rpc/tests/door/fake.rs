//! A node made of memory, and a server in front of it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use consign_rpc::backend::{Backend, File, Leaf, Submitter, Topic, async_trait};
use consign_rpc::client::Client;
use consign_rpc::errors::{ErrorKind, RpcError};
use consign_rpc::join::JoinRequest;
use consign_rpc::page::{Cursor, Order, Page, PageLimit};
use consign_rpc::params::Wait;
use consign_rpc::server::{Access, ServerLimits, serve};
use consign_rpc::subscription::{Publisher, SubscriptionStream, feed};
use consign_rpc::views::{
    Base64, BlockView, BlocksPage, CheckpointView, ConsistencyView, DeviceHistoryPage, DeviceState,
    DeviceView, DevicesPage, EventStatus, EventView, EvidencePage, EvidenceView, GenesisView,
    HistoryPage, InclusionView, MembersView, PassportView, ProposalView, ProposalsPage,
    ReceiptView, RequestView, RequestsView, SetsView, StatusView, Submitted, TokensView, Update,
};
use consign_types::block::{Height, LeafIndex, TreeSize};
use consign_types::cose_receipt::Algorithm;
use consign_types::digest::{Digest, EventId};
use consign_types::event::SignedEvent;
use consign_types::party::{PartyId, SignerId};
use consign_types::unit::UnitId;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::samples;

/// A node made of memory.
pub struct Fake {
    /// How many blocks there are; feeds follow it.
    pub height: watch::Sender<u64>,
    /// Feeds that found their subscriber gone.
    pub gone: watch::Sender<u64>,
    /// What was submitted, in order.
    pub submitted: Mutex<Vec<EventId>>,
    /// What the node says of itself.
    pub ready: Mutex<Result<(), String>>,
    /// How many of each submission's signatures do not hold.
    pub forged: AtomicUsize,
    /// Whether a submission that waits does so until it is hurried.
    pub nothing_becomes_final: AtomicBool,
    /// How many submissions wait, or have waited.
    pub waiting: watch::Sender<u64>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            height: watch::Sender::new(0),
            gone: watch::Sender::new(0),
            submitted: Mutex::default(),
            ready: Mutex::new(Ok(())),
            forged: AtomicUsize::new(0),
            nothing_becomes_final: AtomicBool::new(false),
            waiting: watch::Sender::new(0),
        }
    }
}

/// The name of an event whose status is an error of `kind`.
pub fn event_that_fails_with(kind: ErrorKind) -> EventId {
    let place = ErrorKind::ALL.iter().position(|known| *known == kind).expect("a known kind");
    let mut bytes = [0xee; 32];
    bytes[0] = place as u8;
    EventId(consign_types::digest::Digest(bytes))
}

fn failure_of(event: EventId) -> Option<RpcError> {
    let bytes = event.as_bytes();
    let kind = ErrorKind::ALL.get(usize::from(bytes[0]))?;
    let error = || RpcError::new(*kind, format_args!("this is {kind}")).with_event(event);
    bytes[1..].iter().all(|byte| *byte == 0xee).then(error)
}

impl Fake {
    fn accept(&self, bytes: &[u8], wait: Wait) -> Result<Submitted, RpcError> {
        let event = SignedEvent::decode(bytes).map_err(RpcError::malformed_event)?;
        let mut submitted = self.submitted.lock().expect("no panic");
        let duplicate = submitted.contains(&event.id());
        if !duplicate {
            submitted.push(event.id());
        }
        let status = match wait {
            Wait::None | Wait::Accepted => EventStatus::Accepted,
            Wait::Committed => samples::committed(),
            Wait::Proven => samples::proven(),
        };
        Ok(Submitted { event_id: event.id().into(), status, duplicate })
    }

    /// Tells every block from `next` on, for as long as somebody listens.
    async fn tell_blocks(publisher: Publisher, mut height: watch::Receiver<u64>, mut next: u64) {
        loop {
            let last = *height.borrow_and_update();
            while next < last {
                let update = Update::Block(Box::new(samples::header(next)));
                next += 1;
                if publisher.send(Cursor::at("block", next), update).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = publisher.closed() => return,
                changed = height.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Tells without end, and says when nobody takes it any more.
    async fn tell_for_ever(publisher: Publisher, gone: watch::Sender<u64>, mut next: u64) {
        loop {
            next += 1;
            let update = Update::Event(Box::new(samples::event_view()));
            if publisher.send(Cursor::at("event", next), update).await.is_err() {
                gone.send_modify(|count| *count += 1);
                return;
            }
        }
    }
}

#[async_trait]
impl Backend for Fake {
    async fn submit(
        &self,
        envelopes: Vec<Vec<u8>>,
        mut wait: Wait,
        _: Duration,
        submitter: &dyn Submitter,
    ) -> Vec<Result<Submitted, RpcError>> {
        submitter.forged(self.forged.load(Ordering::Relaxed));
        if wait != Wait::None && self.nothing_becomes_final.load(Ordering::Relaxed) {
            self.waiting.send_modify(|count| *count += 1);
            submitter.hurried().await;
            wait = Wait::Accepted;
        }
        envelopes.iter().map(|bytes| self.accept(bytes, wait)).collect()
    }

    async fn event_status(&self, event: EventId) -> Result<EventStatus, RpcError> {
        failure_of(event).map_or(Ok(EventStatus::Unknown), Err)
    }

    async fn event(&self, event: EventId, with_proof: bool) -> Result<EventView, RpcError> {
        let mut view = samples::event_view();
        if view.content.event_id.0 != event {
            let message = format!("event {event} is not in the log");
            return Err(RpcError::not_found(message).with_event(event));
        }
        view.proof = with_proof.then(|| samples::inclusion(4, 7));
        Ok(view)
    }

    async fn unit(
        &self,
        unit: UnitId,
        height: Option<Height>,
    ) -> Result<consign_rpc::views::UnitView, RpcError> {
        Ok(samples::unit_view(unit, height.map_or(9, |height| height.0)))
    }

    async fn history(
        &self,
        _: UnitId,
        cursor: Option<Cursor>,
        limit: PageLimit,
    ) -> Result<HistoryPage, RpcError> {
        let from = cursor.unwrap_or_else(Cursor::start);
        let Some(next) = from.next_in("history") else {
            return Err(RpcError::stale_cursor(format!("{from} is no cursor of this history")));
        };
        // Three events, all alike: pages are what is tested.
        let count = (3_u64.saturating_sub(next) as usize).min(limit.entries());
        let after = next + count as u64;
        Ok(Page {
            data: vec![samples::event_view(); count],
            next_cursor: Some(Cursor::at("history", after)),
            has_next_page: after < 3,
        })
    }

    async fn checkpoint(&self, size: Option<TreeSize>) -> Result<CheckpointView, RpcError> {
        Ok(samples::checkpoint(size.map_or(7, |size| size.0)))
    }

    async fn inclusion(
        &self,
        leaf: Leaf,
        size: Option<TreeSize>,
    ) -> Result<InclusionView, RpcError> {
        let LeafIndex(index) = match leaf {
            Leaf::Index(index) => index,
            Leaf::Event(_) => LeafIndex(4),
        };
        Ok(samples::inclusion(index, size.map_or(7, |size| size.0)))
    }

    async fn receipt(&self, leaf: Leaf, alg: Algorithm) -> Result<ReceiptView, RpcError> {
        match (leaf, alg) {
            (Leaf::Index(index), Algorithm::Ed25519) => Ok(samples::receipt(index.0)),
            (Leaf::Event(_), Algorithm::Ed25519) => Ok(samples::receipt(4)),
            (_, Algorithm::Es256) => Ok(samples::receipt(5)),
        }
    }

    async fn passport(&self, _: UnitId, since: Height) -> Result<PassportView, RpcError> {
        Ok(samples::passport(since.0))
    }

    async fn proposal(&self, id: EventId) -> Result<ProposalView, RpcError> {
        let view = samples::proposal();
        let known = id == view.proposal_id.0;
        known.then_some(view).ok_or_else(|| RpcError::not_found("no such proposal"))
    }

    async fn proposals(&self, _: Option<Cursor>, _: PageLimit) -> Result<ProposalsPage, RpcError> {
        Ok(Page { data: vec![samples::proposal()], next_cursor: None, has_next_page: false })
    }

    async fn sets(&self, since: Height) -> Result<SetsView, RpcError> {
        Ok(SetsView { height: since.0 + 1, links: vec![Base64(vec![1, 2, 3])] })
    }

    async fn genesis(&self) -> Result<GenesisView, RpcError> {
        Ok(samples::genesis())
    }

    async fn submit_request(
        &self,
        invite: String,
        request: JoinRequest,
    ) -> Result<RequestView, RpcError> {
        let invited_by = invite.parse().map_err(|e| RpcError::invalid_params("invite", e))?;
        Ok(RequestView { invited_by, request, ..samples::request() })
    }

    async fn requests(&self) -> Result<RequestsView, RpcError> {
        Ok(RequestsView { requests: vec![samples::request()] })
    }

    fn tokens(&self) -> TokensView {
        samples::tokens()
    }

    async fn reload_tokens(&self) -> Result<TokensView, RpcError> {
        Ok(samples::tokens())
    }

    async fn submit_evidence(&self, file: Vec<u8>) -> Result<EvidenceView, RpcError> {
        Ok(EvidenceView { bytes: file.len() as u64, ..samples::evidence() })
    }

    async fn evidence(
        &self,
        id: Option<Digest>,
        _: Option<Cursor>,
        _: PageLimit,
    ) -> Result<EvidencePage, RpcError> {
        let mut view = samples::evidence();
        match id {
            None => view.evidence = None,
            Some(id) if id == view.evidence_id.0 => {}
            Some(id) => return Err(RpcError::not_found(format!("no evidence {id} is kept here"))),
        }
        Ok(Page { data: vec![view], next_cursor: None, has_next_page: false })
    }

    async fn device(&self, device: SignerId) -> Result<DeviceView, RpcError> {
        Ok(DeviceView { device: device.into(), ..samples::device() })
    }

    async fn devices(
        &self,
        party: Option<PartyId>,
        state: Option<DeviceState>,
        _: Option<Cursor>,
        _: PageLimit,
    ) -> Result<DevicesPage, RpcError> {
        let device = samples::device();
        let fits = party.is_none_or(|party| party == device.party.0)
            && state.is_none_or(|state| state == device.status.state());
        let data = if fits { vec![device] } else { vec![] };
        Ok(Page { data, next_cursor: None, has_next_page: false })
    }

    async fn device_history(
        &self,
        _: SignerId,
        _: Option<Cursor>,
        _: PageLimit,
    ) -> Result<DeviceHistoryPage, RpcError> {
        let data = vec![samples::event_view()];
        Ok(Page { data, next_cursor: None, has_next_page: false })
    }

    async fn consistency(&self, from: TreeSize, to: TreeSize) -> Result<ConsistencyView, RpcError> {
        Ok(samples::consistency(from.0, to.0))
    }

    async fn status(&self) -> Result<StatusView, RpcError> {
        Ok(samples::status(*self.height.borrow()))
    }

    async fn block(&self, height: Height) -> Result<BlockView, RpcError> {
        Ok(samples::block(height.0))
    }

    async fn blocks(
        &self,
        _: Option<Cursor>,
        limit: PageLimit,
        order: Order,
    ) -> Result<BlocksPage, RpcError> {
        let mut data: Vec<_> = (0..limit.entries().min(3) as u64).map(samples::header).collect();
        if order == Order::Desc {
            data.reverse();
        }
        Ok(Page { data, next_cursor: None, has_next_page: false })
    }

    async fn members(&self) -> Result<MembersView, RpcError> {
        Ok(samples::members())
    }

    async fn subscribe(
        &self,
        topic: Topic,
        from: Option<Cursor>,
    ) -> Result<SubscriptionStream, RpcError> {
        let name = match &topic {
            Topic::Blocks => "block",
            Topic::Events(_) => "event",
            Topic::Unit(_) => "unit",
            Topic::Status(_) => "status",
        };
        let now = if topic == Topic::Blocks { *self.height.borrow() } else { 0 };
        let from = from.unwrap_or_else(|| Cursor::at(name, now));
        let Some(next) = from.next_in(name) else {
            return Err(RpcError::stale_cursor(format!("{from} is no cursor of this feed")));
        };
        let (publisher, stream) = feed(1, from);
        match topic {
            Topic::Blocks => {
                tokio::spawn(Self::tell_blocks(publisher, self.height.subscribe(), next));
            }
            Topic::Events(_) => {
                tokio::spawn(Self::tell_for_ever(publisher, self.gone.clone(), next));
            }
            // One item, and then the source breaks off: the subscriber has to come back for the next.
            Topic::Unit(_) => {
                let update = Update::Event(Box::new(samples::event_view()));
                let _ = publisher.try_send(Cursor::at("unit", next + 1), update);
            }
            Topic::Status(event) => {
                if let Some(error) = failure_of(event) {
                    return Err(error);
                }
                tokio::spawn(async move {
                    let statuses = [EventStatus::Accepted, samples::committed(), samples::proven()];
                    for (at, status) in (1..).zip(statuses).skip(next as usize) {
                        let update = Update::Status(status);
                        if publisher.send(Cursor::at("status", at), update).await.is_err() {
                            return;
                        }
                    }
                    publisher.finish().await;
                });
            }
        }
        Ok(stream)
    }

    async fn file(&self, path: &str) -> Option<File> {
        let (content_type, bytes, immutable): (_, &'static [u8], _) = match path {
            "checkpoint" => ("text/plain; charset=utf-8", b"a note", false),
            "tile/0/000" => ("application/octet-stream", b"a tile", true),
            "tile/entries/000" => ("application/octet-stream", b"events", true),
            _ => return None,
        };
        Some(File { content_type, bytes: Bytes::from_static(bytes), immutable })
    }

    fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }

    fn live(&self) -> Result<(), String> {
        Ok(())
    }

    fn ready(&self) -> Result<(), String> {
        self.ready.lock().expect("no panic").clone()
    }
}

/// A server in front of a fake.
pub struct Door {
    /// What stands behind it.
    pub fake: Arc<Fake>,
    /// Where it listens.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Door {
    /// Opens on a free port.
    pub async fn open(limits: ServerLimits) -> Self {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::open_at(anywhere, Arc::default(), limits).await
    }

    /// Opens at `address`.
    pub async fn open_at(address: SocketAddr, fake: Arc<Fake>, limits: ServerLimits) -> Self {
        Self::open_for(address, fake, limits, Arc::default()).await
    }

    /// Opens at `address` for those whom `access` lets in.
    pub async fn open_for(
        address: SocketAddr,
        fake: Arc<Fake>,
        limits: ServerLimits,
        access: Arc<Access>,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let address = listener.local_addr().expect("it listens");
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(serve(listener, fake.clone(), limits, access, shutdown));
        Self { fake, address, stop: Some(stop), task }
    }

    /// Stops, and waits until everything has ended.
    pub async fn close(mut self) -> Arc<Fake> {
        drop(self.stop.take());
        (&mut self.task).await.expect("no panic").expect("no error");
        self.fake.clone()
    }

    /// Where it listens, for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::connect(&self.url()).expect("an address")
    }
}

/// What must happen happens within this time, on a machine as slow as may be.
pub async fn within<T>(happens: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), happens).await.expect("it did not happen")
}
