//! One node's executor at a bench: the real thread, pool, store and network, without a consensus loop.
//!
//! The test stands where consensus is: it sends jobs and reads what the loop would be told. The node is
//! the airline's. A peer, customs, proposes: it answers requests with whatever the test gave it.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use consign_consensus::{Input, Verdict};
use consign_node::cosign::Cosigner;
use consign_node::driver;
use consign_node::executor::{Executor, Job, execute};
use consign_node::gather::{Bodies, Gathered, Gatherer};
use consign_node::metrics::Metrics;
use consign_node::p2p::{
    self, Class, Inbox, NetConfig, NetEvent, NetHandle, NetLimits, PeerConfig,
};
use consign_node::pool::{Pool, Relay};
use consign_node::relayed::Relayed;
use consign_node::start;
use consign_node::state::Committed;
use consign_node::wire::{Body, PoolMessage, Request, Response};
use consign_types::certificate::Round;
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, LeafHash};
use consign_types::event::SignedEvent;
use consign_types::time::Millis;
use consign_types::validator::ValidatorIndex;

use super::forge::{Proposal, certificate};
use super::wait::{next, next_blocking};
use super::{config, genesis, key, party};

/// Whose node is at the bench, and who proposes.
const NODE: &str = "airline";
const PROPOSER: &str = "customs";
const PROPOSER_INDEX: ValidatorIndex = ValidatorIndex(1);

/// A node's executor and what it works with.
pub struct Bench {
    pub committed: Arc<Committed>,
    pub pool: Arc<Pool>,
    pub bodies: Arc<Bodies>,
    pub relay: Arc<Relay>,
    pub cosigner: Arc<Cosigner>,
    /// What the proposer was passed on of the pool, in order.
    pub passed_on: Receiver<Vec<Vec<u8>>>,
    jobs: Sender<Job>,
    told: Receiver<driver::Event>,
    pub metrics: Arc<Metrics>,
    relayed: Arc<Relayed>,
    net: NetHandle,
    proposer: NetHandle,
    served: Arc<Mutex<Served>>,
    hung_up: Arc<AtomicUsize>,
    executor: Option<JoinHandle<()>>,
}

/// What the proposer answers with.
#[derive(Default)]
struct Served {
    /// One for each time that it is asked; the last for every further time.
    bodies: BTreeMap<BlockId, VecDeque<Body>>,
    events: BTreeMap<LeafHash, Vec<u8>>,
}

impl Served {
    fn next_body(&mut self, block: &BlockId) -> Option<Body> {
        let in_turn = self.bodies.get_mut(block)?;
        if in_turn.len() > 1 { in_turn.pop_front() } else { in_turn.front().cloned() }
    }
}

impl Bench {
    /// A node on what lies in `dir`, connected to the proposer.
    pub async fn start(dir: &Path) -> Self {
        let config = config(dir, NODE, genesis());
        let committed = Arc::new(start::open(&config).unwrap());
        let Peering { net, proposer, served, passed_on, hung_up } = connected().await;
        let metrics = Arc::new(Metrics::default());
        let relay = Arc::new(Relay::new(net.clone()));
        let pool = Pool::new(Arc::clone(&committed), Arc::clone(&relay), Arc::clone(&metrics));
        let pool = Arc::new(pool);
        let bodies = Arc::new(Bodies::default());
        let cosigner =
            Cosigner::new(&config, &committed, net.clone(), Arc::default(), Arc::clone(&metrics))
                .unwrap();
        let cosigner = Arc::new(cosigner);
        let (driver, told) = mpsc::sync_channel(8_192);
        let (jobs, jobs_rx) = mpsc::channel();
        let mut executor = Executor {
            committed: Arc::clone(&committed),
            pool: Arc::clone(&pool),
            relay: Arc::clone(&relay),
            bodies: Arc::clone(&bodies),
            net: net.clone(),
            cosigner: Arc::clone(&cosigner),
            driver,
            jobs: jobs.clone(),
            runtime: tokio::runtime::Handle::current(),
            metrics: Arc::clone(&metrics),
            executed: BTreeMap::default(),
            last_commit: None,
        };
        let executor = std::thread::spawn(move || executor.run(&jobs_rx).unwrap());
        let executor = Some(executor);
        let relayed = Relayed::new(Arc::clone(&pool), net.clone(), Arc::clone(&metrics));
        let relayed = Arc::new(relayed);
        Self {
            committed,
            pool,
            bodies,
            relay,
            cosigner,
            passed_on,
            jobs,
            told,
            metrics,
            relayed,
            net,
            proposer,
            served,
            hung_up,
            executor,
        }
    }

    /// Has the proposer serve this and nothing else.
    pub fn serve(&self, proposal: &Proposal) {
        self.serve_in_turn(proposal, [proposal.body.clone()]);
    }

    /// Has the proposer serve this, but with these bodies, one for each time that it is asked.
    pub fn serve_in_turn(&self, proposal: &Proposal, bodies: impl IntoIterator<Item = Body>) {
        let bodies = BTreeMap::from([(proposal.block, bodies.into_iter().collect())]);
        *self.served.lock().unwrap() = Served { bodies, events: proposal.events.clone() };
    }

    /// Has the proposer serve nothing.
    pub fn serve_nothing(&self) {
        *self.served.lock().unwrap() = Served::default();
    }

    /// Has the proposer push a body under the name of a block.
    pub fn push(&self, block: BlockId, body: Body) {
        self.bodies.push(PROPOSER_INDEX, block, body);
    }

    /// Has the node take what the proposer passed on to it.
    pub fn pass_on(&self, events: &[SignedEvent]) {
        let events = events.iter().map(|event| event.bytes().to_vec()).collect();
        self.relayed.offer(key(&format!("{PROPOSER} network")).public(), events);
    }

    /// How often the connection with the proposer ended.
    pub fn hung_up(&self) -> usize {
        self.hung_up.load(Ordering::Relaxed)
    }

    /// What consensus is told of a block at the next height.
    pub fn verdict(&self, block: BlockId, judged_in: Option<(Round, Millis)>) -> Verdict {
        self.verdict_with(1, block, judged_in)
    }

    /// The same where so many holders can be asked, all of whom the proposer answers for.
    pub fn verdict_with(
        &self,
        holders: usize,
        block: BlockId,
        judged_in: Option<(Round, Millis)>,
    ) -> Verdict {
        let height = self.committed.tip().height().next();
        self.job(Job::Check {
            height,
            round: Round(0),
            block,
            judged_in,
            holders: vec![PROPOSER_INDEX; holders],
        });
        next_blocking("a verdict", &self.told, |event| match event {
            driver::Event::Input(input) => match *input {
                Input::Checked { block: of, verdict, .. } if of == block => Some(verdict),
                _ => None,
            },
            _ => None,
        })
    }

    /// Why a block gets no vote, in the node's words; nothing where it gets one.
    pub async fn reason(&self, block: BlockId) -> Option<String> {
        let gatherer = Gatherer {
            bodies: Arc::clone(&self.bodies),
            pool: Arc::clone(&self.pool),
            net: self.net.clone(),
            frontier: self.committed.frontier(),
        };
        match gatherer.gather(block, &[key(&format!("{PROPOSER} network")).public()]).await {
            Gathered::Unavailable => Some("unavailable".to_owned()),
            Gathered::Invalid(why) => Some(why),
            Gathered::Ready(body, events) => {
                let tip = self.committed.tip();
                let executed = execute(&self.committed, &tip, block, &body, events).unwrap();
                executed.err().map(|why| why.to_string())
            }
        }
    }

    /// Has the node build the next block of what is in its pool.
    pub fn build(&self, record_only: bool) -> Option<BlockId> {
        let height = self.committed.tip().height().next();
        self.job(Job::Build { height, round: Round(0), record_only });
        next_blocking("a block", &self.told, |event| match event {
            driver::Event::Input(input) => match *input {
                Input::Built { block, .. } => Some(block),
                _ => None,
            },
            _ => None,
        })
    }

    /// Has a quorum decide `block` and the node commit it.
    pub fn commit(&self, block: BlockId) {
        let tip = self.committed.tip();
        let certificate = certificate(&self.committed, &tip, block, &[0, 1, 2]);
        self.job(Job::Commit { block, certificate });
        let height = next_blocking("the commit", &self.told, |event| match event {
            driver::Event::Committed { height, .. } => Some(height),
            driver::Event::Input(_) | driver::Event::Promise(_) | driver::Event::Stop => None,
        });
        assert_eq!((height, self.committed.tip().block), (tip.height().next(), block));
    }

    /// Commits a block of these events, fetched from the proposer.
    pub fn commit_events(&self, time: Millis, events: &[SignedEvent]) -> BlockId {
        let proposal = Proposal::of(&self.committed, time, events);
        self.serve(&proposal);
        assert_eq!(self.verdict(proposal.block, None), Verdict::Valid);
        self.commit(proposal.block);
        proposal.block
    }

    /// Sends the executor any job.
    pub fn job(&self, job: Job) {
        self.jobs.send(job).unwrap();
    }

    /// Stops the node, so that its store can be opened again.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.jobs.send(Job::Stop);
        if let Some(executor) = self.executor.take() {
            // A panic over there was printed there, and a waiting test has failed by it.
            let _ = executor.join();
        }
        self.net.shutdown();
        self.proposer.shutdown();
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.end();
    }
}

/// The node's network, and the proposer's that is connected to it.
struct Peering {
    net: NetHandle,
    proposer: NetHandle,
    served: Arc<Mutex<Served>>,
    passed_on: Receiver<Vec<Vec<u8>>>,
    hung_up: Arc<AtomicUsize>,
}

/// Two networks that are connected; the second answers with what is served.
async fn connected() -> Peering {
    let (node, mut node_events, _) = p2p::start(net_config(NODE, PROPOSER, None)).unwrap();
    let address = next("an address", &mut node_events, |event| match event {
        NetEvent::Listening(address) => Some(address),
        _ => None,
    })
    .await;
    let dialling = net_config(PROPOSER, NODE, Some(address));
    let (proposer, proposer_events, _) = p2p::start(dialling).unwrap();
    let connected = |event| matches!(event, NetEvent::Connected(_)).then_some(());
    next("a connection", &mut node_events, connected).await;
    let served = Arc::default();
    let (pooled, passed_on) = mpsc::channel();
    tokio::spawn(answer(Arc::clone(&served), pooled, proposer_events));
    // What else the network says has no reader here; it must not fill up.
    let hung_up = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&hung_up);
    tokio::spawn(async move {
        while let Some(event) = node_events.recv().await {
            if matches!(event, NetEvent::Disconnected(_)) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    Peering { net: node, proposer, served, passed_on, hung_up }
}

async fn answer(served: Arc<Mutex<Served>>, pooled: Sender<Vec<Vec<u8>>>, mut events: Inbox) {
    while let Some(event) = events.recv().await {
        if let NetEvent::Message { class: Class::Pool, bytes, .. } = &event
            && let Ok(PoolMessage::Events(events)) = PoolMessage::from_bytes(bytes)
        {
            // Most tests do not look.
            let _ = pooled.send(events);
        }
        let NetEvent::Request { bytes, reply, .. } = event else { continue };
        let mut served = served.lock().unwrap();
        let response = match Request::from_bytes(&bytes) {
            Ok(Request::Body(block)) => Response::Body(served.next_body(&block)),
            Ok(Request::Events(_, names)) => {
                let found = names.iter().filter_map(|name| served.events.get(name).cloned());
                Response::Events(found.collect())
            }
            other => panic!("unexpected request: {other:?}"),
        };
        reply.send(Bytes::from(response.to_bytes()));
    }
}

fn net_config(own: &str, peer: &str, address: Option<String>) -> NetConfig {
    NetConfig {
        secret: key(&format!("{own} network")),
        listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
        peers: vec![PeerConfig {
            key: key(&format!("{peer} network")).public(),
            party: party(peer),
            addresses: address.into_iter().collect(),
        }],
        limits: NetLimits::default(),
    }
}
