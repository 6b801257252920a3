//! Four `consignd` processes on this machine, as an operator would run them, but for two lines of their
//! configuration: a request rate that a benchmark may use, and logs of warnings alone.
//!
//! Invariant: whatever ends the benchmark ends the processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use consign_cli::devnet::home::{Devnet, NodeHome, ports_are_free};
use consign_cli::devnet::process;
use consign_cli::keys::{self, Purpose};
use consign_cli::network::Ports;
use consign_rpc::client::Client;
use consign_rpc::views::StatusView;
use consign_types::digest::NetworkId;
use consign_types::key::SecretKey;
use consign_types::party::PartyId;

use super::Wrong;
use crate::wait;

/// Ports are looked for from here upwards.
const PORTS: Ports = Ports { rpc: 19_101, p2p: 19_201 };
const PORT_STEP: u16 = 200;
const PORT_TRIES: u16 = 20;
const START_PATIENCE: Duration = Duration::from_secs(60);
const STOP_PATIENCE: Duration = Duration::from_secs(60);
const AGREE_PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
const LOG_LINES: usize = 8;
const REQUESTS_PER_SECOND: u32 = 1_000_000;
/// Data directories that are verified at once.
const CHECKS_AT_ONCE: usize = 2;

/// The nodes, running.
#[derive(Debug)]
pub struct Cluster {
    devnet: Devnet,
    consignd: PathBuf,
    nodes: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    home: NodeHome,
    child: Child,
    client: Client,
}

/// What every node says of its ledger, the same on all.
#[derive(Clone, Debug)]
pub struct Agreed {
    /// Last block.
    pub height: u64,
    /// Leaves.
    pub size: u64,
    /// Root of the log.
    pub root: String,
    /// Root of the unit map.
    pub map_root: String,
    /// Version of the software.
    pub version: String,
}

impl Cluster {
    /// Makes a network in `dir`, which does not exist yet, and starts its nodes.
    ///
    /// # Errors
    /// When a node does not start.
    pub async fn start(dir: &Path) -> Result<Self, Wrong> {
        let consignd = process::consignd().map_err(Wrong::of)?;
        let devnet = Devnet::create(dir, free_ports()?).map_err(Wrong::of)?;
        let mut cluster = Self { consignd, nodes: Vec::new(), devnet };
        for home in cluster.devnet.nodes() {
            configure(&home.config)?;
            let child = process::start(&cluster.consignd, home).map_err(Wrong::of)?;
            let child = child.ok_or_else(|| Wrong::new("a node runs already"))?;
            let client = Client::connect(&home.url).map_err(Wrong::of)?;
            cluster.nodes.push(Running { home: home.clone(), child, client });
        }
        for node in &mut cluster.nodes {
            node.answers().await?;
        }
        Ok(cluster)
    }

    /// The network that they run.
    pub fn network(&self) -> NetworkId {
        self.devnet.genesis().network()
    }

    /// The parties in the order of their nodes, each with its member key.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub fn members(&self) -> Result<Vec<(PartyId, SecretKey)>, Wrong> {
        let layout = self.devnet.layout();
        let member = |home: &NodeHome| {
            let path = layout.key(&home.party, Purpose::Member);
            let key = keys::read(&path, Purpose::Member).map_err(Wrong::of)?;
            Ok((home.party.clone(), key))
        };
        self.devnet.nodes().iter().map(member).collect()
    }

    /// A client of each node.
    pub fn clients(&self) -> Vec<Client> {
        self.nodes.iter().map(|node| node.client.clone()).collect()
    }

    /// The trust file of the network.
    pub fn trust(&self) -> PathBuf {
        self.devnet.layout().trust()
    }

    /// Where each node answers.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.home.url.clone()).collect()
    }

    /// The process of each node, with its party.
    pub fn pids(&self) -> Vec<(String, u32)> {
        self.nodes.iter().map(|node| (node.home.party.to_string(), node.child.id())).collect()
    }

    /// Waits until all nodes tell the same ledger, fully proven.
    ///
    /// # Errors
    /// What they tell instead.
    pub async fn agree(&self) -> Result<Agreed, Wrong> {
        let of = |s: &StatusView| (s.height, s.size, s.root.0, s.map_root.0, s.proven_size);
        let mut told = Vec::new();
        let agreed = wait::until(AGREE_PATIENCE, POLL, async || {
            told.clear();
            for node in &self.nodes {
                match node.client.status().await {
                    Ok(status) => told.push(status),
                    Err(error) => return Some(Err(Wrong::of(error))),
                }
            }
            let first = told.first()?;
            let same = told.iter().all(|status| of(status) == of(first));
            (same && first.proven_size == first.size).then(|| {
                Ok(Agreed {
                    height: first.height,
                    size: first.size,
                    root: first.root.to_string(),
                    map_root: first.map_root.to_string(),
                    version: first.version.clone(),
                })
            })
        });
        let agreed = agreed.await;
        agreed.unwrap_or_else(|| {
            let told: Vec<_> = told.iter().map(of).collect();
            Err(Wrong::new(format!("the nodes do not agree: {told:?}")))
        })
    }

    /// Stops the nodes, as an operator does; their data directories are left as they are at rest.
    ///
    /// # Errors
    /// When one does not stop, or says that it did not stop well.
    pub async fn stop(mut self) -> Result<AtRest, Wrong> {
        for node in &self.nodes {
            node.signal_stop()?;
        }
        for node in &mut self.nodes {
            let child = &mut node.child;
            let ended = wait::until(STOP_PATIENCE, POLL, async || child.try_wait().transpose());
            let late = || Wrong::new(format!("{} does not stop", node.home.party));
            let status = ended.await.ok_or_else(late)?.map_err(Wrong::of)?;
            if !status.success() {
                return Err(node.ended(status));
            }
        }
        let configs = self.nodes.iter().map(|node| node.home.config.clone()).collect();
        Ok(AtRest { consignd: self.consignd.clone(), configs })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            // Children of our own: the pid is theirs until they were waited for.
            let _ = node.child.kill();
            let _ = node.child.wait();
        }
    }
}

impl Running {
    async fn answers(&mut self) -> Result<(), Wrong> {
        let (client, child) = (&self.client, &mut self.child);
        let ended = wait::until(START_PATIENCE, POLL, async || match child.try_wait() {
            Ok(None) => client.status().await.is_ok().then_some(Ok(None)),
            ended => Some(ended),
        });
        match ended.await {
            Some(Ok(None)) => Ok(()),
            Some(Ok(Some(status))) => Err(self.ended(status)),
            Some(Err(error)) => Err(Wrong::of(error)),
            None => Err(Wrong::new(format!("{} does not answer", self.home.party))),
        }
    }

    fn signal_stop(&self) -> Result<(), Wrong> {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or_else(|| Wrong::new("a process without a number"))?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).map_err(Wrong::of)
    }

    fn ended(&self, status: std::process::ExitStatus) -> Wrong {
        let tail = process::log_tail(&self.home, LOG_LINES);
        Wrong::new(format!("{} ended with {status}:\n{tail}", self.home.party))
    }
}

/// The data that stopped nodes left behind.
#[derive(Debug)]
pub struct AtRest {
    consignd: PathBuf,
    configs: Vec<PathBuf>,
}

impl AtRest {
    /// The nodes' data directories.
    pub fn data_dirs(&self) -> Vec<PathBuf> {
        self.configs.iter().map(|config| config.with_file_name("data")).collect()
    }

    /// Verifies everything that the nodes stored, from bytes alone: how each check ended. Blocks its
    /// thread, for minutes where the ledger is long.
    ///
    /// # Errors
    /// When a check cannot be started.
    pub fn check(&self) -> Result<Vec<bool>, Wrong> {
        let mut passed = Vec::new();
        for configs in self.configs.chunks(CHECKS_AT_ONCE) {
            let start = |config: &PathBuf| {
                Command::new(&self.consignd)
                    .arg("check")
                    .arg("--config")
                    .arg(config)
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .spawn()
            };
            let running: Vec<_> =
                configs.iter().map(start).collect::<Result<_, _>>().map_err(Wrong::of)?;
            for mut child in running {
                passed.push(child.wait().map_err(Wrong::of)?.success());
            }
        }
        Ok(passed)
    }
}

fn free_ports() -> Result<Ports, Wrong> {
    let shifted = |by: u16| Ports { rpc: PORTS.rpc + by, p2p: PORTS.p2p + by };
    let mut tried = (0..PORT_TRIES).map(|n| shifted(n * PORT_STEP));
    let free = tried.find(|ports| ports_are_free(*ports).is_ok());
    free.ok_or_else(|| Wrong::new(format!("no free ports from {} on", PORTS.rpc)))
}

fn configure(config: &Path) -> Result<(), Wrong> {
    let text = fs::read_to_string(config).map_err(Wrong::of)?;
    let rate =
        ["requests_per_second", "events_per_second_per_device", "events_per_second_per_member"]
            .map(|what| format!("{what}_max = {REQUESTS_PER_SECOND}\n"))
            .concat();
    let rate = format!("[rpc]\n{rate}");
    let text = text.replacen("[rpc]\n", &rate, 1);
    fs::write(config, format!("{text}\n[log]\nlevel = \"warn\"\n")).map_err(Wrong::of)
}
