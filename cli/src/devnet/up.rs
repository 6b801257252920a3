//! Starting the network: ready means that a signed event is proven on every node.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use consign_types::witness::Witness;
use serde::Serialize;

use super::home::{Devnet, Founders, NodeHome, ports_are_free};
use super::{process, smoke};
use crate::console::{Console, Report};
use crate::failure::Failure;
use crate::network::Ports;
use crate::node::{Node, timed_out};

/// How long a node may take until it answers.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long a smoke event may take.
const SMOKE_PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
const LOG_LINES: usize = 8;

/// A network that does its work.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ready {
    network: String,
    directory: String,
    trust: String,
    nodes: Vec<ReadyNode>,
    smoke_event: String,
    smoke_ms: u64,
    ready_ms: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReadyNode {
    party: String,
    rpc: String,
    pid: Option<i32>,
}

impl Ready {
    /// A line for each node.
    pub(super) fn addresses(&self) -> Vec<String> {
        let line = |node: &ReadyNode| {
            let pid = node.pid.map_or("-".to_owned(), |pid| pid.to_string());
            format!("{:<12}{}  process {pid}", node.party, node.rpc)
        };
        self.nodes.iter().map(line).collect()
    }

    /// Where the network lies.
    pub(super) fn directory(&self) -> &str {
        &self.directory
    }

    /// Where its trust file lies.
    pub(super) fn trust(&self) -> &str {
        &self.trust
    }

    /// From the command to the proof on all nodes.
    pub(super) const fn ready_ms(&self) -> u64 {
        self.ready_ms
    }
}

impl Report for Ready {
    fn text(&self) -> String {
        let mut lines = self.addresses();
        let (dir, seconds) = (&self.directory, self.ready_ms as f64 / 1000.0);
        lines.push(format!(
            "READY {seconds:.1} s: a signed event is proven on {0} of {0} nodes ({1} ms)",
            self.nodes.len(),
            self.smoke_ms
        ));
        lines.push(String::new());
        lines.push(format!("Look     consign devnet status --dir {dir}"));
        lines.push(format!("Replay   consign replay c2k synthetic --dir {dir}"));
        lines.push(format!("Break    consign devnet fault kill handler --dir {dir}"));
        lines.push(format!(
            "Stop     consign devnet down --dir {dir}    (keeps the ledger; `reset` erases it)"
        ));
        lines.join("\n")
    }
}

/// Starts the network in `root`, made anew where there is none, and waits until it is ready.
///
/// # Errors
/// When a node does not start, or the smoke event is not proven everywhere in time.
pub(super) async fn up(
    console: &Console,
    root: &Path,
    ports: Ports,
    witnesses: Vec<Witness>,
) -> Result<(Devnet, Ready), Failure> {
    let since = Instant::now();
    // Found first: a network that nothing can run is not made.
    let consignd = process::consignd()?;
    let devnet = if Devnet::exists(root) {
        Devnet::open(root)?
    } else {
        ports_are_free(ports)?;
        let founders = Founders { witnesses, ..Founders::default() };
        let devnet = Devnet::create_with(root, ports, founders)?;
        let network = devnet.genesis().network().to_string();
        console.note(format!(
            "wrote {} (4 parties, keys 0600, network {:.12})",
            root.display(),
            network
        ));
        devnet
    };
    let lock = devnet.lock()?;
    let mut children = Vec::new();
    for home in devnet.nodes() {
        children.push(process::start(&consignd, home)?);
    }
    for (home, child) in devnet.nodes().iter().zip(&mut children) {
        answers(home, child.as_mut()).await?;
        console.note(format!("{:<12}answers at {}", home.party.as_str(), home.url));
    }
    for home in devnet.nodes() {
        smoke::enrolled(&devnet, home).await?;
    }
    let Some(first) = devnet.nodes().first() else {
        return Err(Failure::operational("no_nodes", "the network has no node", "reset it"));
    };
    let event = smoke::send(&devnet, first).await?;
    let all: Vec<&NodeHome> = devnet.nodes().iter().collect();
    let smoke = smoke::proven_on(&all, event, SMOKE_PATIENCE).await?;
    let node = |home: &NodeHome| ReadyNode {
        party: home.party.to_string(),
        rpc: home.url.clone(),
        pid: process::running(home).map(|pid| pid.as_raw_nonzero().get()),
    };
    let ready = Ready {
        network: devnet.genesis().network().to_string(),
        directory: root.display().to_string(),
        trust: devnet.layout().trust().display().to_string(),
        nodes: devnet.nodes().iter().map(node).collect(),
        smoke_event: event.to_string(),
        smoke_ms: millis(smoke),
        ready_ms: millis(since.elapsed()),
    };
    drop(lock);
    Ok((devnet, ready))
}

/// Waits until the node answers; a process that ended tells its last words.
pub(super) async fn answers(home: &NodeHome, mut child: Option<&mut Child>) -> Result<(), Failure> {
    let node = Node::new(&home.url)?;
    let since = Instant::now();
    loop {
        if let Ok(status) = node.status().await {
            if status.party.0 == home.party {
                return Ok(());
            }
            let message = format!("{} is answered by another node, of {}", home.url, status.party);
            return Err(Failure::operational("port_taken", message, "stop what listens there"));
        }
        if let Some(child) = child.as_deref_mut()
            && let Ok(Some(status)) = child.try_wait()
        {
            let message = format!("{} did not start: {status}", home.party);
            let help = format!(
                "its last words, in {}:\n{}",
                home.log.display(),
                process::log_tail(home, LOG_LINES)
            );
            return Err(Failure::operational("node_ended", message, help));
        }
        if since.elapsed() > START_PATIENCE {
            return Err(timed_out(home.party.as_str(), "an answer", START_PATIENCE));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
