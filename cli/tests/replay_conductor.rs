//! The conductor against four doors of one ledger in memory, over real HTTP and WebSocket.
//!
//! The doors misbehave as nodes under load do: answers get lost after the events were taken, feeds
//! break off, pools are full. Every event must be on the ledger once all the same.

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use consign_cli::node::Node;
use consign_cli::replay::conductor::{Nodes, conduct};
use consign_cli::replay::plan::{Plan, Role, T0};
use consign_cli::replay::report::Figures;
use consign_cli::replay::sign::sign;
use consign_cli::replay::synthetic;
use consign_rpc::backend::{Backend, File, Leaf, Submitter, Topic, async_trait};
use consign_rpc::errors::{ErrorKind, RpcError};
use consign_rpc::join::JoinRequest;
use consign_rpc::page::{Cursor, Order, PageLimit};
use consign_rpc::params::Wait;
use consign_rpc::server::{ServerLimits, serve};
use consign_rpc::subscription::{Publisher, SubscriptionStream, feed};
use consign_rpc::views::{
    BlockView, BlocksPage, CheckpointView, ConsistencyView, DeviceHistoryPage, DeviceState,
    DeviceView, DevicesPage, EventStatus, EventView, EvidencePage, EvidenceView, GenesisView,
    HistoryPage, InclusionView, MembersView, PassportView, ProposalView, ProposalsPage,
    ReceiptView, RequestView, RequestsView, SetsView, StatusView, Submitted, TokensView, UnitView,
    Update,
};
use consign_types::block::{Height, TreeSize};
use consign_types::cose_receipt::Algorithm;
use consign_types::digest::{Digest, EventId};
use consign_types::event::SignedEvent;
use consign_types::party::{PartyId, SignerId};
use consign_types::time::Millis;
use consign_types::unit::UnitId;
use indicatif::ProgressBar;
use support::{Ledger, devices};
use tokio::sync::Semaphore;

const FEED: &str = "event";
const FEED_CAPACITY: usize = 10_000;
/// Bounds a test that hangs; nothing waits for it otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_on_the_ledger_once_although_answers_and_feeds_get_lost() {
    let traffic = synthetic::generate(11, 60);
    let plan = Plan::new(&traffic, T0).unwrap();
    let door = Arc::new(Door::new(5));
    let nodes = open(&door).await;

    let figures = replay(&nodes, &plan, &door).await;
    assert_eq!(figures.proven, plan.steps.len() as u64);
    assert_eq!((figures.duplicates, figures.refused, figures.dropped), (0, 0, 0));
    assert_eq!(figures.milestones_proven, traffic.milestones());
    assert_eq!(door.state.lock().unwrap().events.len(), plan.steps.len());
    for (unit, broken) in &plan.units {
        let state = door.state.lock().unwrap().ledger.unit(unit).unwrap();
        assert_eq!(state.counters.discontinuities > 0, *broken, "{unit}");
    }

    let again = replay(&nodes, &plan, &door).await;
    assert_eq!(again.proven + again.duplicates, plan.steps.len() as u64);
    assert_eq!(door.state.lock().unwrap().events.len(), plan.steps.len(), "nothing is added");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_replay_on_a_quiet_network_is_all_duplicates() {
    let plan = Plan::new(&synthetic::generate(12, 10), T0).unwrap();
    let door = Arc::new(Door::new(u64::MAX));
    let nodes = open(&door).await;
    assert_eq!(replay(&nodes, &plan, &door).await.proven, plan.steps.len() as u64);
    let again = replay(&nodes, &plan, &door).await;
    assert_eq!((again.proven, again.duplicates), (0, plan.steps.len() as u64));
    assert_eq!((again.submitted, again.milestones_proven), (again.duplicates, plan.milestones()));
}

/// The airline's node goes away when a tenth of the events are on the ledger, and stays away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_partys_node_is_away_another_one_takes_its_events() {
    let plan = Plan::new(&synthetic::generate(14, 20), T0).unwrap();
    let door = Arc::new(Door::new(u64::MAX));
    let nodes = open(&door).await;
    let leave = plan.steps.len() / 10;
    door.state.lock().unwrap().leave = Some((leave, door.leaving[1].clone()));
    let figures = replay(&nodes, &plan, &door).await;
    assert!(door.leaving[1].is_closed(), "the node has left");
    assert_eq!(figures.proven, plan.steps.len() as u64);
    assert_eq!((figures.duplicates, figures.refused), (0, 0));
}

/// The ledger of another network refuses all of it; nothing that rests on a refusal is sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_counted_and_told_and_ends_the_replay() {
    let plan = Plan::new(&synthetic::generate(13, 3), T0).unwrap();
    let door = Arc::new(Door::new(u64::MAX));
    let nodes = open(&door).await;
    let foreign = consign_types::digest::NetworkId(consign_types::digest::Digest::ZERO);
    let events = sign(&plan, foreign, &devices()).unwrap();
    let bar = ProgressBar::hidden();
    let figures = conduct(&nodes, &plan, events, PATIENCE, &bar).await.unwrap();
    assert_eq!(figures.proven, 0);
    assert!(figures.refused > 0);
    assert_eq!(figures.refused + figures.dropped, plan.steps.len() as u64);
    assert!(figures.refusals[0].starts_with("foreign_network: "), "{:?}", figures.refusals);
}

async fn replay(nodes: &Nodes, plan: &Plan, door: &Door) -> Figures {
    let network = door.state.lock().unwrap().ledger.genesis.network();
    let events = sign(plan, network, &devices()).unwrap();
    conduct(nodes, plan, events, PATIENCE, &ProgressBar::hidden()).await.unwrap()
}

/// Four servers in front of one door.
async fn open(door: &Arc<Door>) -> Nodes {
    let mut nodes = Nodes::new();
    for (role, leaving) in Role::ALL.into_iter().zip(&door.leaving) {
        let leaving = leaving.clone();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let backend: Arc<dyn Backend> = door.clone();
        let gone = async move {
            // Closed once the node is to leave.
            let _ = leaving.acquire().await;
        };
        tokio::spawn(serve(listener, backend, ServerLimits::default(), Arc::default(), gone));
        nodes.insert(role, Node::new(&url).unwrap());
    }
    nodes
}

/// One ledger; every `spoil`-th batch loses its answer, or breaks off the feeds.
struct Door {
    state: Mutex<State>,
    batches: AtomicU64,
    spoil: u64,
    /// One for each server, closed to have it leave.
    leaving: [Arc<Semaphore>; 4],
}

struct State {
    ledger: Ledger,
    events: Vec<SignedEvent>,
    index: HashMap<EventId, usize>,
    feeds: Vec<(Topic, Publisher)>,
    /// At how many events a server leaves.
    leave: Option<(usize, Arc<Semaphore>)>,
}

impl Door {
    fn new(spoil: u64) -> Self {
        let state = State {
            ledger: Ledger::with_devices(),
            events: Vec::new(),
            index: HashMap::new(),
            feeds: Vec::new(),
            leave: None,
        };
        let leaving = std::array::from_fn(|_| Arc::new(Semaphore::new(0)));
        Self { state: Mutex::new(state), batches: AtomicU64::new(1), spoil, leaving }
    }
}

fn proven(at: usize) -> EventStatus {
    let index = at as u64;
    let record_time = Millis(0).into();
    EventStatus::Proven { height: 1, index, record_time, checkpoint_size: index + 1 }
}

fn update(at: usize, event: &SignedEvent, topic: &Topic) -> Option<(Cursor, Update)> {
    let Topic::Events(filter) = topic else { return None };
    let cursor = Cursor::at(FEED, at as u64 + 1);
    let told = || Update::Event(Box::new(EventView::new(event, proven(at))));
    filter.admits(event.event()).then(|| (cursor, told()))
}

impl State {
    fn submit(&mut self, bytes: &[u8]) -> Result<Submitted, RpcError> {
        let event = SignedEvent::decode(bytes).map_err(RpcError::malformed_event)?;
        let event_id = event.id().into();
        if let Some(at) = self.index.get(&event.id()) {
            return Ok(Submitted { event_id, status: proven(*at), duplicate: true });
        }
        if let Some(Err(rejection)) = self.ledger.block(&[&event]).pop() {
            return Err(RpcError::rule(rejection.code(), &rejection, rejection.retryable()));
        }
        let at = self.events.len();
        self.feeds.retain(|(topic, feed)| match update(at, &event, topic) {
            Some((cursor, update)) => feed.try_send(cursor, update).is_ok(),
            None => true,
        });
        self.index.insert(event.id(), at);
        self.events.push(event);
        if let Some((at, server)) = &self.leave
            && self.events.len() >= *at
        {
            server.close();
        }
        Ok(Submitted { event_id, status: EventStatus::Accepted, duplicate: false })
    }
}

#[async_trait]
impl Backend for Door {
    async fn submit(
        &self,
        envelopes: Vec<Vec<u8>>,
        wait: Wait,
        _: Duration,
        _: &dyn Submitter,
    ) -> Vec<Result<Submitted, RpcError>> {
        let batch = self.batches.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock().unwrap();
        let full = || Err(RpcError::new(ErrorKind::PoolFull, "the pool is full"));
        if batch.is_multiple_of(self.spoil) && batch.is_multiple_of(3) {
            return envelopes.iter().map(|_| full()).collect();
        }
        let answers: Vec<_> = envelopes.iter().map(|bytes| state.submit(bytes)).collect();
        if batch.is_multiple_of(self.spoil) {
            state.feeds.clear();
            return envelopes.iter().map(|_| full()).collect();
        }
        if wait == Wait::Proven {
            let proven = |answer: Submitted| {
                let at = state.index[&answer.event_id.0];
                Submitted { status: proven(at), ..answer }
            };
            return answers.into_iter().map(|answer| answer.map(proven)).collect();
        }
        answers
    }

    async fn subscribe(
        &self,
        topic: Topic,
        from: Option<Cursor>,
    ) -> Result<SubscriptionStream, RpcError> {
        let mut state = self.state.lock().unwrap();
        let begin = match &from {
            None => state.events.len(),
            Some(cursor) => cursor.next_in(FEED).unwrap() as usize,
        };
        let (publisher, stream) = feed(FEED_CAPACITY, Cursor::at(FEED, begin as u64));
        for (at, event) in state.events.iter().enumerate().skip(begin) {
            if let Some((cursor, update)) = update(at, event, &topic) {
                publisher.try_send(cursor, update).unwrap();
            }
        }
        state.feeds.push((topic, publisher));
        Ok(stream)
    }

    async fn event_status(&self, _: EventId) -> Result<EventStatus, RpcError> {
        Err(absent())
    }
    async fn event(&self, _: EventId, _: bool) -> Result<EventView, RpcError> {
        Err(absent())
    }
    async fn unit(&self, _: UnitId, _: Option<Height>) -> Result<UnitView, RpcError> {
        Err(absent())
    }
    async fn history(
        &self,
        _: UnitId,
        _: Option<Cursor>,
        _: PageLimit,
    ) -> Result<HistoryPage, RpcError> {
        Err(absent())
    }
    async fn checkpoint(&self, _: Option<TreeSize>) -> Result<CheckpointView, RpcError> {
        Err(absent())
    }
    async fn inclusion(&self, _: Leaf, _: Option<TreeSize>) -> Result<InclusionView, RpcError> {
        Err(absent())
    }
    async fn passport(&self, _: UnitId, _: Height) -> Result<PassportView, RpcError> {
        Err(absent())
    }

    async fn receipt(&self, _: Leaf, _: Algorithm) -> Result<ReceiptView, RpcError> {
        Err(absent())
    }

    async fn consistency(&self, _: TreeSize, _: TreeSize) -> Result<ConsistencyView, RpcError> {
        Err(absent())
    }
    async fn device(&self, _: SignerId) -> Result<DeviceView, RpcError> {
        Err(absent())
    }
    async fn devices(
        &self,
        _: Option<PartyId>,
        _: Option<DeviceState>,
        _: Option<Cursor>,
        _: PageLimit,
    ) -> Result<DevicesPage, RpcError> {
        Err(absent())
    }
    async fn device_history(
        &self,
        _: SignerId,
        _: Option<Cursor>,
        _: PageLimit,
    ) -> Result<DeviceHistoryPage, RpcError> {
        Err(absent())
    }
    async fn status(&self) -> Result<StatusView, RpcError> {
        Err(absent())
    }
    async fn block(&self, _: Height) -> Result<BlockView, RpcError> {
        Err(absent())
    }
    async fn blocks(
        &self,
        _: Option<Cursor>,
        _: PageLimit,
        _: Order,
    ) -> Result<BlocksPage, RpcError> {
        Err(absent())
    }
    async fn proposal(&self, _: EventId) -> Result<ProposalView, RpcError> {
        Err(absent())
    }
    async fn proposals(&self, _: Option<Cursor>, _: PageLimit) -> Result<ProposalsPage, RpcError> {
        Err(absent())
    }
    async fn sets(&self, _: Height) -> Result<SetsView, RpcError> {
        Err(absent())
    }
    async fn genesis(&self) -> Result<GenesisView, RpcError> {
        Err(absent())
    }
    async fn submit_request(&self, _: String, _: JoinRequest) -> Result<RequestView, RpcError> {
        Err(absent())
    }
    async fn requests(&self) -> Result<RequestsView, RpcError> {
        Err(absent())
    }
    fn tokens(&self) -> TokensView {
        TokensView { tokens: Vec::new() }
    }
    async fn reload_tokens(&self) -> Result<TokensView, RpcError> {
        Err(absent())
    }
    async fn submit_evidence(&self, _: Vec<u8>) -> Result<EvidenceView, RpcError> {
        Err(absent())
    }
    async fn evidence(
        &self,
        _: Option<Digest>,
        _: Option<Cursor>,
        _: PageLimit,
    ) -> Result<EvidencePage, RpcError> {
        Err(absent())
    }
    async fn members(&self) -> Result<MembersView, RpcError> {
        Err(absent())
    }
    async fn file(&self, _: &str) -> Option<File> {
        None
    }
    fn metrics(&self) -> String {
        String::new()
    }
    fn live(&self) -> Result<(), String> {
        Ok(())
    }
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }
}

fn absent() -> RpcError {
    RpcError::not_found("not in this test")
}
