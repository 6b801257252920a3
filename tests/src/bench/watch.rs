//! When each node had each block proven.
//!
//! A subscription tells a block once it is committed; then the node's status is asked every few
//! milliseconds until a checkpoint with a quorum covers the block. An idle node is asked nothing, and
//! no event is told one by one: what watching costs does not spoil what is watched.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use consign_rpc::client::Client;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Wrong;
use super::workload::NodeIndex;
use crate::wait::Looks;

/// How often an unproven block is asked after: the resolution of every latency.
const POLL: Duration = Duration::from_millis(5);
/// How long a committed block may stay unproven.
const PATIENCE: Duration = Duration::from_secs(120);

/// A block that one node had proven.
#[derive(Clone, Copy, Debug)]
pub struct ProvenBlock {
    /// Its height.
    pub height: u64,
    /// Events in it.
    pub events: u64,
    /// When.
    pub at: Instant,
}

/// Watches all nodes, until dropped.
#[derive(Debug)]
pub struct Watch {
    nodes: Vec<Watched>,
    tasks: JoinSet<Result<(), Wrong>>,
}

#[derive(Clone, Debug)]
struct Watched {
    blocks: Arc<Mutex<Vec<ProvenBlock>>>,
    /// Events proven since the watch began.
    events: Arc<watch::Sender<u64>>,
}

impl Watch {
    /// Watches the nodes behind `clients` from now on.
    ///
    /// # Errors
    /// When a subscription is refused.
    pub async fn begin(clients: &[Client]) -> Result<Self, Wrong> {
        let mut nodes = Vec::new();
        let mut tasks = JoinSet::new();
        for client in clients {
            let watched = Watched { blocks: Arc::default(), events: Arc::new(watch::channel(0).0) };
            let mut feed = client.follow_blocks(None);
            feed.open().await.map_err(Wrong::of)?;
            let (client, own) = (client.clone(), watched.clone());
            tasks.spawn(async move {
                let mut proven = 0;
                while let Some(block) = feed.next().await.map_err(Wrong::of)? {
                    let block = block.value;
                    let mut looks = Looks::within(PATIENCE, POLL);
                    while proven < block.size && looks.again().await {
                        proven = client.status().await.map_err(Wrong::of)?.proven_size;
                    }
                    if proven < block.size {
                        return Err(Wrong::new(format!("block {} is not proven", block.height)));
                    }
                    let (height, events) = (block.height, u64::from(block.events));
                    own.lock().push(ProvenBlock { height, events, at: Instant::now() });
                    own.events.send_modify(|sum| *sum += events);
                }
                Err(Wrong::new("a node stopped telling blocks"))
            });
            nodes.push(watched);
        }
        Ok(Self { nodes, tasks })
    }

    /// Events proven on the slowest node since the watch began.
    pub fn proven(&self) -> u64 {
        self.nodes.iter().map(|node| *node.events.borrow()).min().unwrap_or_default()
    }

    /// Waits until the slowest node has `events` proven since the watch began.
    ///
    /// # Errors
    /// When nothing goes on for longer than `patience`.
    pub async fn until(&self, events: u64, patience: Duration) -> Result<(), Wrong> {
        for node in &self.nodes {
            let mut proven = node.events.subscribe();
            loop {
                let now = *proven.borrow_and_update();
                if now >= events {
                    break;
                }
                if tokio::time::timeout(patience, proven.changed()).await.is_err() {
                    let message = format!(
                        "{now} of {events} events are proven on a node, and none was for {} s",
                        patience.as_secs()
                    );
                    return Err(Wrong::new(message));
                }
            }
        }
        Ok(())
    }

    /// The blocks of each node from `height` on, and what went wrong with the watch if anything did.
    ///
    /// # Errors
    /// When a node could not be watched all the time.
    pub fn since(&mut self, height: u64) -> Result<Vec<(NodeIndex, Vec<ProvenBlock>)>, Wrong> {
        if let Some(ended) = self.tasks.try_join_next() {
            ended.map_err(Wrong::of)??;
        }
        let of = |(index, node): (usize, &Watched)| {
            let blocks = node.lock();
            let from = blocks.partition_point(|block| block.height < height);
            (NodeIndex(index), blocks[from..].to_vec())
        };
        Ok(self.nodes.iter().enumerate().map(of).collect())
    }

    /// The height after the last block that every node has proven.
    pub fn next_height(&self) -> u64 {
        let last = |node: &Watched| node.lock().last().map_or(0, |block| block.height);
        self.nodes.iter().map(last).max().unwrap_or_default() + 1
    }
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, Vec<ProvenBlock>> {
        // A list of copies: whole after every push.
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
