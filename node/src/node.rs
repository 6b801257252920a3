//! A node, put together: which part talks to which, and how it all stops.
//!
//! Three loops: the driver thread (consensus, and the only one that signs votes), the executor thread
//! (the only one that moves the tip) and tokio's workers (network, RPC, catch-up). A fault in either
//! thread ends the process.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use consign_consensus::{Config as EngineConfig, Status as EngineStatus, Timeouts};
use consign_rpc::server::Doors;
use consign_types::block::Height;
use consign_types::digest::Digest;
use consign_types::validator::ValidatorSet;
use tokio::sync::{mpsc as async_mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::config::Config;
use crate::cosign::Cosigner;
use crate::dispatch;
use crate::driver::{self, Wiring};
use crate::executor::{Executor, Job};
use crate::identity::{self, Identity};
use crate::lease::{self, Leases};
use crate::metrics::Metrics;
use crate::p2p::{self, Inbox, NetConfig, NetHandle};
use crate::parts::Parts;
use crate::pool::{Pool, Relay};
use crate::relayed::Relayed;
use crate::roster::{self, Held};
use crate::serve::{self, Serving};
use crate::start;
use crate::state::{Committed, fatal};
use crate::store::Fault;
use crate::sync::Sync;
use crate::tasks;

/// What waits for the consensus loop. What peers send beyond it is dropped; they say it again.
const DRIVER_INPUTS_MAX: usize = 8_192;
/// Statuses of peers that wait for catch-up; the next ones say the same.
const STATUSES_MAX: usize = 1_024;

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
    again: watch::Receiver<()>,
) -> Result<(), StartError> {
    let config = Arc::new(config);
    let opened = open(&config)?;
    let doors = doors(&config).await?;
    let (net, net_events, net_task) = p2p::start(net_config(&config, &opened.committed))
        .map_err(|e| StartError::Net(e.to_string()))?;
    let shown = Shown::default();
    let parts = wire(&config, opened, net, &shown)?;
    let (driver, driver_rx) = mpsc::sync_channel(DRIVER_INPUTS_MAX);
    let (jobs, jobs_rx) = mpsc::channel();
    let lines = Lines { driver, jobs };
    let executor_thread = start_executor(&parts, &lines, jobs_rx);
    let driver_thread = start_driver(&config, &parts, &lines, &shown, driver_rx);
    parts.cosigner.resume(&parts.committed);
    let mut running = spawn(&config, &parts, &lines, net_events);
    info!(
        code = "node.started",
        party = %config.party,
        height = parts.committed.tip().height().0,
        rpc = %config.rpc.listen,
        validators = parts.committed.validators().count(),
        survives = parts.committed.validators().faults(),
    );

    let serving = Serving::new(&parts, shown, &config);
    running.extend(spawn_beside(&serving, &parts, again));
    let mut stopped = stop.clone();
    let until_stop = async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    if let Err(error) = serving.serve(doors, &config.rpc, until_stop).await {
        warn!(code = "rpc.server.failed", error = %error);
    }
    let _ = stop.wait_for(|stop| *stop).await;

    // First what speaks, then what writes: nothing is said after the last write.
    let _ = lines.driver.send(driver::Event::Stop);
    let _ = lines.jobs.send(Job::Stop);
    running.iter().for_each(JoinHandle::abort);
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

/// Where the engine shows how it stands.
type Shown = Arc<Mutex<Option<EngineStatus>>>;

/// To the two threads.
struct Lines {
    driver: driver::Events,
    jobs: Sender<Job>,
}

/// What lies on disk.
struct Opened {
    committed: Arc<Committed>,
    leases: Arc<Leases>,
    place: Digest,
}

fn open(config: &Config) -> Result<Opened, StartError> {
    let committed = Arc::new(start::open(config)?);
    tasks::say_where_it_differs(Identity::of(config).compare(&committed)?);
    let place = lease::place(&config.data_dir)?;
    let is_new = committed.tip().height() == Height(0);
    let leases = Leases::open(&config.data_dir, is_new, crate::clock::since_boot_ms())?;
    leases.recall(&config.data_dir, &committed)?;
    Ok(Opened { committed, leases: Arc::new(leases), place })
}

/// What this node can be asked at, taken before anything begins.
async fn doors(config: &Config) -> Result<Doors, StartError> {
    let port = tokio::net::TcpListener::bind(config.rpc.listen)
        .await
        .map_err(|source| StartError::Rpc { address: config.rpc.listen, source })?;
    let own = config.rpc.admin_socket.as_deref().map(|path| {
        serve::open_socket(path)
            .map_err(|source| StartError::AdminSocket { path: path.to_owned(), source })
    });
    Ok(Doors { port, own: own.transpose()? })
}

fn wire(
    config: &Config,
    opened: Opened,
    net: NetHandle,
    shown: &Shown,
) -> Result<Parts, StartError> {
    let Opened { committed, leases, place } = opened;
    let metrics = Arc::new(Metrics::default());
    let relay = Arc::new(Relay::new(net.clone()));
    let pool = Pool::new(Arc::clone(&committed), Arc::clone(&relay), Arc::clone(&metrics));
    let pool = Arc::new(pool);
    let (heard, counted) = (Arc::clone(shown), Arc::clone(&metrics));
    let cosigner = Arc::new(Cosigner::new(config, &committed, net.clone(), heard, counted)?);
    let relayed = Relayed::new(Arc::clone(&pool), net.clone(), Arc::clone(&metrics));
    Ok(Parts {
        committed,
        pool,
        relay,
        bodies: Arc::default(),
        cosigner,
        net,
        metrics,
        heights: Arc::default(),
        relayed: Arc::new(relayed),
        held: Held::default(),
        leases,
        place,
    })
}

fn start_executor(parts: &Parts, lines: &Lines, jobs: Receiver<Job>) -> thread::JoinHandle<()> {
    let mut executor = Executor {
        committed: Arc::clone(&parts.committed),
        pool: Arc::clone(&parts.pool),
        relay: Arc::clone(&parts.relay),
        bodies: Arc::clone(&parts.bodies),
        net: parts.net.clone(),
        cosigner: Arc::clone(&parts.cosigner),
        driver: lines.driver.clone(),
        jobs: lines.jobs.clone(),
        runtime: tokio::runtime::Handle::current(),
        metrics: Arc::clone(&parts.metrics),
        executed: Default::default(),
        last_commit: None,
    };
    named("executor", move || executor.run(&jobs).unwrap_or_else(|fault| fatal(&fault)))
}

fn start_driver(
    config: &Config,
    parts: &Parts,
    lines: &Lines,
    shown: &Shown,
    inputs: Receiver<driver::Event>,
) -> thread::JoinHandle<()> {
    let committed = &parts.committed;
    let wiring = Wiring {
        executor: lines.jobs.clone(),
        net: parts.net.clone(),
        metrics: Arc::clone(&parts.metrics),
        committed: Arc::clone(committed),
        status: Arc::clone(shown),
    };
    let engine = EngineConfig {
        domain: committed.domain(),
        signer: Some(Arc::clone(&config.keys.consensus)),
        timeouts: Timeouts::default(),
        pace_ms: u64::from(committed.params().block_interval_ms),
    };
    let (dir, tip) = (config.data_dir.clone(), committed.tip().height());
    let set = ValidatorSet::clone(&committed.validators());
    named("consensus", move || {
        driver::run(&dir, engine, tip, set, wiring, &inputs).unwrap_or_else(|fault| fatal(&fault));
    })
}

/// What runs from the start to the stop.
fn spawn(
    config: &Arc<Config>,
    parts: &Parts,
    lines: &Lines,
    net_events: Inbox,
) -> Vec<JoinHandle<()>> {
    let (status_tx, status_rx) = async_mpsc::channel(STATUSES_MAX);
    let (driver, config) = (lines.driver.clone(), Arc::clone(config));
    let relay = Arc::clone(&parts.relay);
    let sync = Sync {
        committed: Arc::clone(&parts.committed),
        net: parts.net.clone(),
        executor: lines.jobs.clone(),
    };
    vec![
        tokio::spawn(dispatch::dispatch(parts.clone(), net_events, driver.clone(), status_tx)),
        tokio::spawn(lease::ask_all(parts.clone(), driver.clone())),
        tokio::spawn(tasks::forward_work(Arc::clone(&parts.pool), driver.clone())),
        tokio::spawn(tasks::announce(parts.clone())),
        tokio::spawn(tasks::follow_roster(parts.clone(), config, driver)),
        tokio::spawn(crate::witness::run(parts.clone())),
        tokio::spawn(tasks::tick(parts.clone(), lines.jobs.clone())),
        tokio::spawn(async move { relay.run().await }),
        tokio::spawn(sync.run(status_rx)),
    ]
}

/// What runs beside the door: who is let in, and what was signed twice.
fn spawn_beside(
    serving: &Serving,
    parts: &Parts,
    mut again: watch::Receiver<()>,
) -> Vec<JoinHandle<()>> {
    let entrance = serving.entrance();
    let following = tasks::follow_params(Arc::clone(&parts.committed), Arc::clone(&entrance));
    let reading = async move {
        while again.changed().await.is_ok() {
            let entrance = Arc::clone(&entrance);
            let _ = tokio::task::spawn_blocking(move || entrance.read_again()).await;
        }
    };
    let mut running = vec![tokio::spawn(following), tokio::spawn(reading)];
    if let Some(doubled) = parts.pool.doubled() {
        running.push(tokio::spawn(serving.clone().watch_numbers(doubled)));
    }
    running
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
