//! Looking at a development network: a line for each node, and what they log.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use consign_types::party::PartyId;
use serde::Serialize;

use super::home::{Devnet, NodeHome};
use super::process;
use crate::console::{Console, Report};
use crate::failure::Failure;
use crate::node::{Node, within};

const PATIENCE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(250);

/// How the nodes are doing.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    nodes: Vec<NodeStatus>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeStatus {
    party: String,
    rpc: String,
    pid: Option<i32>,
    height: Option<u64>,
    size: Option<u64>,
    proven_size: Option<u64>,
    peers: Option<usize>,
    sentence: String,
}

/// Nodes that were stopped.
#[derive(Debug, Serialize)]
pub(super) struct Stopped {
    pub stopped: Vec<String>,
    pub kept: PathBuf,
}

/// Asks every node.
///
/// # Errors
/// When an address is none.
pub(super) async fn status(devnet: &Devnet) -> Result<Status, Failure> {
    let mut nodes = Vec::new();
    for home in devnet.nodes() {
        nodes.push(node_status(home).await?);
    }
    Ok(Status { nodes })
}

async fn node_status(home: &NodeHome) -> Result<NodeStatus, Failure> {
    let pid = process::running(home).map(|pid| pid.as_raw_nonzero().get());
    let node = Node::new(&home.url)?;
    let answer = match pid {
        Some(_) => within(PATIENCE, node.status()).await.map_err(|failure| failure.message),
        None => Err("stopped".to_owned()),
    };
    let (party, rpc) = (home.party.to_string(), home.url.clone());
    Ok(match answer {
        Ok(status) => NodeStatus {
            party,
            rpc,
            pid,
            height: Some(status.height),
            size: Some(status.size),
            proven_size: Some(status.proven_size),
            peers: Some(status.peers.iter().filter(|peer| peer.connected).count()),
            sentence: status.not_ready.or(status.quarantine).unwrap_or_else(|| "ready".to_owned()),
        },
        Err(sentence) => NodeStatus {
            party,
            rpc,
            pid,
            height: None,
            size: None,
            proven_size: None,
            peers: None,
            sentence,
        },
    })
}

impl Report for Status {
    fn text(&self) -> String {
        let number = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
        let mut lines = vec![format!(
            "{:<12}{:<24}{:>8}{:>8}{:>9}{:>9}{:>6}  {}",
            "party", "rpc", "process", "height", "size", "proven", "peers", "state"
        )];
        lines.extend(self.nodes.iter().map(|node| {
            format!(
                "{:<12}{:<24}{:>8}{:>8}{:>9}{:>9}{:>6}  {}",
                node.party,
                node.rpc,
                node.pid.map_or("-".to_owned(), |pid| pid.to_string()),
                number(node.height),
                number(node.size),
                number(node.proven_size),
                number(node.peers.map(|peers| peers as u64)),
                node.sentence
            )
        }));
        lines.join("\n")
    }
}

impl Report for Stopped {
    fn text(&self) -> String {
        let kept = self.kept.display();
        match self.stopped.as_slice() {
            [] => format!("nothing ran; the ledger is in {kept}"),
            names => format!("stopped {}; the ledger is kept in {kept}", names.join(", ")),
        }
    }
}

/// Prints the last `lines` of the logs, and goes on where `follow` says so.
///
/// # Errors
/// When a log cannot be read, or standard output is closed.
pub(super) async fn logs(
    console: &Console,
    devnet: &Devnet,
    party: Option<&PartyId>,
    lines: usize,
    follow: bool,
) -> Result<(), Failure> {
    let homes: Vec<&NodeHome> = match party {
        Some(party) => vec![devnet.node(party)?],
        None => devnet.nodes().iter().collect(),
    };
    let mut positions = Vec::new();
    for home in &homes {
        let size = std::fs::metadata(&home.log).map_or(0, |metadata| metadata.len());
        let tail = process::log_tail(home, lines);
        console.data(labelled(home, &tail, homes.len() > 1).as_bytes())?;
        positions.push(size);
    }
    loop {
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
        for (home, position) in homes.iter().zip(&mut positions) {
            let added = added(home, position)?;
            console.data(labelled(home, &added, homes.len() > 1).as_bytes())?;
        }
    }
}

/// Whole lines that were added after `position`, which moves past them.
fn added(home: &NodeHome, position: &mut u64) -> Result<String, Failure> {
    let failed = |e| Failure::file("read", &home.log, e);
    let mut file = File::open(&home.log).map_err(failed)?;
    file.seek(SeekFrom::Start(*position)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    bytes.truncate(whole);
    *position += whole as u64;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn labelled(home: &NodeHome, text: &str, label: bool) -> String {
    let line =
        |line| if label { format!("{:<12}{line}\n", home.party) } else { format!("{line}\n") };
    text.lines().map(line).collect()
}
