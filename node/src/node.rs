//! A node, put together: which part talks to which, and how it all stops.
//!
//! Three loops: the driver thread (consensus, and the only one that signs votes), the executor thread
//! (the only one that moves the tip) and tokio's workers (network, RPC, catch-up). A fault in either
//! thread ends the process.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;

use consign_consensus::{Config as EngineConfig, Timeouts};
use consign_rpc::server::Doors;
use consign_types::block::Height;
use consign_types::validator::ValidatorSet;
use tokio::sync::{mpsc as async_mpsc, watch};
use tracing::{info, warn};

use crate::config::Config;
use crate::cosign::Cosigner;
use crate::dispatch;
use crate::driver::{self, Wiring};
use crate::executor::{Executor, Job};
use crate::gather::Bodies;
use crate::identity::{self, Identity};
use crate::lease::{self, Leases};
use crate::metrics::Metrics;
use crate::p2p::{self, NetConfig};
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
    tasks::say_where_it_differs(identity.compare(&committed)?);
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
    let (dir, tip, set) = (
        config.data_dir.clone(),
        committed.tip().height(),
        ValidatorSet::clone(&committed.validators()),
    );
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
    let running = [
        tokio::spawn(dispatch::dispatch(parts.clone(), net_events, driver_tx.clone(), status_tx)),
        tokio::spawn(lease::ask_all(parts.clone(), driver_tx.clone())),
        tokio::spawn(tasks::forward_work(Arc::clone(&parts.pool), driver_tx.clone())),
        tokio::spawn(tasks::announce(parts.clone())),
        tokio::spawn(tasks::follow_roster(parts.clone(), config.clone(), driver_tx.clone())),
        tokio::spawn(crate::witness::run(parts.clone())),
        tokio::spawn(tasks::tick(parts.clone(), jobs_tx.clone())),
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
    let deciding =
        tokio::spawn(tasks::follow_params(Arc::clone(&parts.committed), Arc::clone(&entrance)));
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
    let running = running.iter().chain([&deciding, &reading]).chain(&numbers);
    running.for_each(tokio::task::JoinHandle::abort);
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
