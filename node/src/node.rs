//! A node, put together: which part talks to which, and how it all stops.
//!
//! Three loops: the driver thread (consensus, and the only one that signs votes), the executor thread
//! (the only one that moves the tip) and tokio's workers (network, RPC, catch-up). A fault in either
//! thread ends the process.

use std::collections::HashMap;
use std::sync::mpsc::{self, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use consign_consensus::{Config as EngineConfig, Input, Message, Timeouts};
use consign_rpc::server::Doors;
use consign_types::block::Height;
use consign_types::codec::Canonical as _;
use consign_types::digest::Digest;
use consign_types::key::PublicKey;
use consign_types::validator::{ValidatorIndex, ValidatorSet};
use tokio::sync::{mpsc as async_mpsc, watch};
use tracing::{info, warn};

use crate::config::Config;
use crate::cosign::Cosigner;
use crate::driver::{self, Wiring};
use crate::executor::{Executor, Job};
use crate::gather::Bodies;
use crate::identity::{self, Differs, Identity};
use crate::lease::{self, Leases};
use crate::metrics::Metrics;
use crate::p2p::{self, Class, Inbox, NetConfig, NetEvent, NetHandle};
use crate::pool::{Pool, Relay};
use crate::relayed::Relayed;
use crate::roster::{self, Held};
use crate::serve::{self, Entrance, Serving};
use crate::start;
use crate::state::{Committed, fatal};
use crate::store::Fault;
use crate::sync::Sync;
use crate::wire::{Cosigned, PoolMessage, Request, Response, Status};

/// What waits for the consensus loop. What peers send beyond it is dropped; they say it again.
const DRIVER_INPUTS_MAX: usize = 8_192;
/// How often peers are told where this node stands when nothing happens.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// How often an unchanged checkpoint is cosigned again.
const FRESHEN_EVERY: Duration = Duration::from_secs(60);

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The node's store or files.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Its keys.
    #[error(transparent)]
    Keys(#[from] identity::Foreign),
    /// The peer-to-peer network.
    #[error("the peer-to-peer network did not start: {0}")]
    Net(String),
    /// The RPC address.
    #[error("cannot listen on rpc.listen {address}; choose another address or stop what uses it")]
    Rpc {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The operator's socket.
    #[error("cannot open rpc.admin_socket {path}; choose another path or stop what uses it")]
    AdminSocket {
        /// Where it should be.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Runs the node until `stop` says so. Whenever `again` changes, certificates and tokens are read again.
///
/// # Errors
/// When it cannot start.
pub async fn run(
    config: Config,
    mut stop: watch::Receiver<bool>,
    mut again: watch::Receiver<()>,
) -> Result<(), StartError> {
    let config = Arc::new(config);
    let metrics = Arc::new(Metrics::default());
    let committed = Arc::new(start::open(&config)?);
    let identity = Identity::of(&config);
    say_where_it_differs(identity.compare(&committed)?);
    let place = lease::place(&config.data_dir)?;
    let is_new = committed.tip().height() == Height(0);
    let leases = Leases::open(&config.data_dir, is_new, crate::clock::since_boot_ms())?;
    leases.recall(&config.data_dir, &committed)?;
    let leases = Arc::new(leases);
    let listener = tokio::net::TcpListener::bind(config.rpc.listen)
        .await
        .map_err(|source| StartError::Rpc { address: config.rpc.listen, source })?;
    let own = config.rpc.admin_socket.as_deref().map(|path| {
        serve::open_socket(path)
            .map_err(|source| StartError::AdminSocket { path: path.to_owned(), source })
    });
    let doors = Doors { port: listener, own: own.transpose()? };
    let (net, net_events, net_task) =
        p2p::start(net_config(&config, &committed)).map_err(|e| StartError::Net(e.to_string()))?;

    let relay = Arc::new(Relay::new(net.clone()));
    let pool = Pool::new(Arc::clone(&committed), Arc::clone(&relay), Arc::clone(&metrics));
    let pool = Arc::new(pool);
    let bodies = Arc::new(Bodies::default());
    let status = Arc::new(Mutex::new(None));
    let (heard, counted) = (Arc::clone(&status), Arc::clone(&metrics));
    let cosigner = Arc::new(Cosigner::new(&config, &committed, net.clone(), heard, counted)?);
    let (driver_tx, driver_rx) = mpsc::sync_channel(DRIVER_INPUTS_MAX);
    let (jobs_tx, jobs_rx) = mpsc::channel();
    let (status_tx, status_rx) = async_mpsc::channel(1024);

    let mut executor = Executor {
        committed: Arc::clone(&committed),
        pool: Arc::clone(&pool),
        relay: Arc::clone(&relay),
        bodies: Arc::clone(&bodies),
        net: net.clone(),
        cosigner: Arc::clone(&cosigner),
        driver: driver_tx.clone(),
        jobs: jobs_tx.clone(),
        runtime: tokio::runtime::Handle::current(),
        metrics: Arc::clone(&metrics),
        executed: Default::default(),
        last_commit: None,
    };
    let executor_thread = named("executor", move || {
        executor.run(&jobs_rx).unwrap_or_else(|fault| fatal(&fault));
    });
    let wiring = Wiring {
        executor: jobs_tx.clone(),
        net: net.clone(),
        metrics: Arc::clone(&metrics),
        committed: Arc::clone(&committed),
        status: Arc::clone(&status),
    };
    let engine = EngineConfig {
        domain: committed.domain(),
        signer: Some(Arc::clone(&config.keys.consensus)),
        timeouts: Timeouts::default(),
        pace_ms: u64::from(committed.params().block_interval_ms),
    };
    let (dir, tip, set) =
        (config.data_dir.clone(), committed.tip().height(), committed.validators());
    let driver_thread = named("consensus", move || {
        driver::run(&dir, engine, tip, set, wiring, &driver_rx)
            .unwrap_or_else(|fault| fatal(&fault));
    });

    let heights = Arc::default();
    let relayed = Relayed::new(Arc::clone(&pool), net.clone(), Arc::clone(&metrics));
    let relayed = Arc::new(relayed);
    let held = Held::default();
    let parts = Parts {
        committed,
        pool,
        relay,
        bodies,
        cosigner,
        net,
        metrics,
        heights,
        relayed,
        held,
        leases,
        place,
    };
    parts.cosigner.resume(&parts.committed);
    let tasks = [
        tokio::spawn(dispatch(parts.clone(), net_events, driver_tx.clone(), status_tx)),
        tokio::spawn(lease::ask_all(parts.clone(), driver_tx.clone())),
        tokio::spawn(forward_work(Arc::clone(&parts.pool), driver_tx.clone())),
        tokio::spawn(announce(parts.clone())),
        tokio::spawn(follow_roster(parts.clone(), config.clone(), driver_tx.clone())),
        tokio::spawn(crate::witness::run(parts.clone())),
        tokio::spawn(tick(parts.clone(), jobs_tx.clone())),
        tokio::spawn({
            let relay = Arc::clone(&parts.relay);
            async move { relay.run().await }
        }),
        tokio::spawn(
            Sync {
                committed: Arc::clone(&parts.committed),
                net: parts.net.clone(),
                executor: jobs_tx.clone(),
            }
            .run(status_rx),
        ),
    ];
    info!(
        code = "node.started",
        party = %config.party,
        height = parts.committed.tip().height().0,
        rpc = %config.rpc.listen,
        validators = parts.committed.validators().count(),
        survives = parts.committed.validators().faults(),
    );
    let serving = Serving::new(&parts, status, &config);
    let numbers =
        parts.pool.doubled().map(|doubled| tokio::spawn(serving.clone().watch_numbers(doubled)));
    let entrance = serving.entrance();
    let deciding = tokio::spawn(follow_params(Arc::clone(&parts.committed), Arc::clone(&entrance)));
    let reading = tokio::spawn(async move {
        while again.changed().await.is_ok() {
            let entrance = Arc::clone(&entrance);
            let _ = tokio::task::spawn_blocking(move || entrance.read_again()).await;
        }
    });
    let mut stopped = stop.clone();
    let until_stop = async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    if let Err(error) = serving.serve(doors, &config.rpc, until_stop).await {
        warn!(code = "rpc.server.failed", error = %error);
    }
    let _ = stop.wait_for(|stop| *stop).await;

    // First what speaks, then what writes: nothing is said after the last write.
    let _ = driver_tx.send(driver::Event::Stop);
    let _ = jobs_tx.send(Job::Stop);
    let tasks = tasks.iter().chain([&deciding, &reading]).chain(&numbers);
    tasks.for_each(tokio::task::JoinHandle::abort);
    let _ =
        tokio::task::spawn_blocking(move || (driver_thread.join(), executor_thread.join())).await;
    parts.net.shutdown();
    let _ = net_task.await;
    if let Some(path) = &config.rpc.admin_socket {
        // Another one is made at the next start in any case.
        let _ = std::fs::remove_file(path);
    }
    info!(code = "node.stopped", height = parts.committed.tip().height().0);
    Ok(())
}

/// The parts that tasks share.
#[derive(Clone)]
pub struct Parts {
    /// What is committed.
    pub committed: Arc<Committed>,
    /// What waits for a block.
    pub pool: Arc<Pool>,
    /// Events on their way to the others.
    pub relay: Arc<Relay>,
    /// Bodies that are not decided yet.
    pub bodies: Arc<Bodies>,
    /// Checkpoints and their cosignatures.
    pub cosigner: Arc<Cosigner>,
    /// The network.
    pub net: NetHandle,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where each peer said that it stands.
    pub heights: Arc<Mutex<HashMap<PublicKey, Height>>>,
    /// Events that peers passed on and that wait to be checked.
    pub relayed: Arc<Relayed>,
    /// Consensus messages of peers that are in no set yet.
    pub held: Held,
    /// What other validators were promised.
    pub leases: Arc<Leases>,
    /// Where this process runs, as the leases of its key name it.
    pub place: Digest,
}

impl Parts {
    /// Where each peer said that it stands.
    pub fn peers_at(&self) -> HashMap<PublicKey, Height> {
        self.heights.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn named(name: &str, body: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    let guarded = move || {
        // A panic in a thread that writes leaves nothing to go on with.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_err() {
            std::process::abort();
        }
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(guarded);
    thread.expect("the system can start a thread when the node starts")
}

fn net_config(config: &Config, committed: &Committed) -> NetConfig {
    NetConfig {
        secret: config.keys.network.clone(),
        listen: config.p2p_listen.clone(),
        peers: roster::peers(config, committed),
        limits: p2p::NetLimits::default(),
    }
}

/// Lets in who becomes a member's node and cuts off who is none any more, as soon as that is committed;
/// and hands on what those who vote now said before this node knew that they do.
async fn follow_roster(parts: Parts, config: Arc<Config>, driver: SyncSender<driver::Event>) {
    let mut changes = parts.committed.roster();
    while changes.changed().await.is_ok() {
        changes.borrow_and_update();
        let peers = roster::peers(&config, &parts.committed);
        info!(code = "net.roster.changed", peers = peers.len());
        parts.net.allow(peers);
        // Only the start refuses: a node that runs goes on serving what it has.
        say_where_it_differs(Identity::of(&config).compare(&parts.committed).ok().flatten());
        let set = parts.committed.validators();
        for (from, messages) in parts.held.take() {
            let Some(from) = index_of(&set, &from) else { continue };
            for message in messages {
                let input = Input::Message { from, message };
                // A full queue loses it; whoever said it says it again.
                let _ = driver.try_send(driver::Event::Input(Box::new(input)));
            }
        }
    }
}

/// Peers refuse a node by its keys and do not tell it why.
fn say_where_it_differs(differs: Option<Differs>) {
    if let Some(differs) = differs {
        warn!(code = "node.keys.differ", why = %differs, help = Differs::HELP);
    }
}

/// Opens and closes the door for reading as members decide.
async fn follow_params(committed: Arc<Committed>, entrance: Arc<Entrance>) {
    let mut changes = committed.params_changes();
    loop {
        let params = *changes.borrow_and_update();
        entrance.follow(&params);
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn index_of(set: &ValidatorSet, network_key: &PublicKey) -> Option<ValidatorIndex> {
    let at = set.validators().iter().position(|v| v.network_key == *network_key)?;
    Some(ValidatorIndex(at as u16))
}

/// Takes what comes from peers to where it belongs.
async fn dispatch(
    parts: Parts,
    mut events: Inbox,
    driver: SyncSender<driver::Event>,
    statuses: async_mpsc::Sender<(PublicKey, Status)>,
) {
    while let Some(event) = events.recv().await {
        match event {
            NetEvent::Connected(peer) => {
                info!(code = "net.peer.connected", peer = %peer);
                let status = own_status(&parts);
                parts.net.send(&peer, Class::Status, Bytes::from(status.to_bytes()));
                parts.cosigner.send_newest(&peer);
                tokio::spawn(fetch_checkpoint(parts.clone(), peer));
                tokio::spawn(lease::ask(parts.clone(), peer, driver.clone()));
            }
            NetEvent::Disconnected(peer) => {
                info!(code = "net.peer.disconnected", peer = %peer);
                parts.heights.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
            }
            NetEvent::Message { from, class, bytes } => {
                handle_message(&parts, &driver, &statuses, from, class, &bytes);
            }
            NetEvent::Request { from, bytes, reply } => {
                let parts = parts.clone();
                tokio::task::spawn_blocking(move || {
                    if let Ok(request) = Request::from_bytes(&bytes) {
                        reply.send(Bytes::from(
                            crate::answer::answer(&parts, &from, request).to_bytes(),
                        ));
                    }
                });
            }
            NetEvent::Listening(address) => info!(code = "net.listening", address),
        }
    }
}

fn handle_message(
    parts: &Parts,
    driver: &SyncSender<driver::Event>,
    statuses: &async_mpsc::Sender<(PublicKey, Status)>,
    from: PublicKey,
    class: Class,
    bytes: &Bytes,
) {
    let set = parts.committed.validators();
    let index = index_of(&set, &from);
    match class {
        Class::Consensus => match (index, Message::from_bytes(bytes)) {
            (Some(index), Ok(message)) => {
                if message.author() == Some(index) {
                    parts.leases.heard(&from, &message);
                }
                let from = index;
                let input = Input::Message { from, message };
                if driver.try_send(driver::Event::Input(Box::new(input))).is_err() {
                    parts.net.count_dropped();
                }
            }
            (None, Ok(message)) => parts.held.keep(from, message),
            (_, Err(_)) => {}
        },
        Class::Pool => match PoolMessage::from_bytes(bytes) {
            Ok(PoolMessage::Events(events)) => parts.relayed.offer(from, events),
            // Only a validator proposes. Who became one unknown to this node is asked for its bodies.
            Ok(PoolMessage::Body(block, body)) => {
                if let Some(from) = index {
                    parts.bodies.push(from, block, body);
                }
            }
            Err(error) => warn!(code = "net.message.malformed", peer = %from, error = %error),
        },
        Class::Cosignature => {
            if let Ok(cosigned) = Cosigned::from_bytes(bytes) {
                parts.cosigner.collect(&parts.committed, &from, &cosigned);
            }
        }
        Class::Status => {
            if let Ok(status) = Status::from_bytes(bytes) {
                if let Some(from) = index {
                    let begun = Input::Begun { from, height: status.started };
                    // A full queue loses it; the next status says it again.
                    let _ = driver.try_send(driver::Event::Input(Box::new(begun)));
                }
                let mut heights = parts.heights.lock().unwrap_or_else(PoisonError::into_inner);
                heights.insert(from, status.height);
                drop(heights);
                parts.cosigner.send_where_missing(&from, status.proven);
                // A full queue loses a status; the next one says the same.
                let _ = statuses.try_send((from, status));
            }
        }
    }
}

/// Asks a peer for the newest checkpoint that it has a quorum for.
async fn fetch_checkpoint(parts: Parts, peer: PublicKey) {
    const ANSWER_WAIT: Duration = Duration::from_secs(5);
    let request = Bytes::from(Request::Checkpoint.to_bytes());
    let Ok(answer) = parts.net.request(&peer, request, ANSWER_WAIT).await else { return };
    if let Ok(Response::Checkpoint(Some(note))) = Response::from_bytes(&answer) {
        // Checking a quorum of signatures is work, but little.
        parts.cosigner.adopt(&parts.committed, &note);
    }
}

/// Tells the engine whether there is work.
async fn forward_work(pool: Arc<Pool>, driver: SyncSender<driver::Event>) {
    let mut work = pool.work();
    loop {
        let now = *work.borrow_and_update();
        if driver.send(driver::Event::Input(Box::new(Input::Work(now)))).is_err()
            || work.changed().await.is_err()
        {
            return;
        }
    }
}

/// Tells peers where this node stands: on each change, and every few seconds.
async fn announce(parts: Parts) {
    let mut progress = parts.committed.progress();
    loop {
        let status = own_status(&parts);
        parts.net.broadcast(Class::Status, Bytes::from(status.to_bytes()));
        // An overrun of the wait is the regular repetition.
        let _ = tokio::time::timeout(STATUS_EVERY, progress.changed()).await;
        progress.borrow_and_update();
    }
}

/// Regular small duties.
async fn tick(parts: Parts, jobs: Sender<Job>) {
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    let mut seconds = 0_u64;
    loop {
        every_second.tick().await;
        seconds += 1;
        parts.pool.expire(Instant::now());
        if seconds.is_multiple_of(FRESHEN_EVERY.as_secs()) && jobs.send(Job::Freshen).is_err() {
            return;
        }
    }
}

fn own_status(parts: &Parts) -> Status {
    let tip = parts.committed.tip();
    let progress = *parts.committed.progress().borrow();
    Status {
        height: tip.height(),
        block: tip.block,
        started: progress.started,
        proven: progress.proven,
    }
}
