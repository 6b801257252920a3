//! One node of the simulation: an engine, its disk, its pool and its timers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use consign_consensus::{Config, Engine, Message, Timer};
use consign_types::block::Height;
use consign_types::digest::BlockId;

use super::disk::Disk;
use super::world::{NodeId, World};

/// Milliseconds between the starts of two heights.
pub const PACE_MS: u64 = 50;

/// A node; `engine` is there while it is up.
pub struct Host {
    pub node: NodeId,
    pub engine: Option<Engine>,
    /// Counts starts: what was on its way to an earlier run is lost.
    pub run: u32,
    pub disk: Disk,
    /// Bodies on disk.
    pub bodies: BTreeSet<BlockId>,
    /// Events that are not committed here. On disk, for simplicity.
    pub pool: BTreeSet<u64>,
    /// Events that are. What the chain says, kept for speed.
    pub committed: BTreeSet<u64>,
    /// What the engine was told of the pool last.
    pub told: bool,
    /// Live timers, each with the number of its last schedule.
    pub timers: BTreeMap<Timer, u64>,
    /// The last height that the engine began.
    pub started: Height,
    pub catching_up: bool,
    /// The latest that each of the others signed, as far as it came here. Not on disk.
    pub heard: BTreeMap<NodeId, Message>,
}

impl Host {
    pub fn new(node: NodeId, disk: Disk) -> Self {
        Self {
            node,
            engine: None,
            run: 0,
            disk,
            bodies: BTreeSet::new(),
            pool: BTreeSet::new(),
            committed: BTreeSet::new(),
            told: false,
            timers: BTreeMap::new(),
            started: Height(0),
            catching_up: false,
            heard: BTreeMap::new(),
        }
    }

    /// Notes what came from `from`, if it is the latest.
    pub fn hear(&mut self, from: NodeId, message: &Message) {
        let last = self.heard.get(&from).and_then(Message::place);
        if message.place() > last {
            self.heard.insert(from, message.clone());
        }
    }

    pub fn is_up(&self) -> bool {
        self.engine.is_some()
    }

    pub fn tip(&self) -> Height {
        Height(self.disk.chain.len() as u64)
    }

    pub fn tip_block(&self) -> BlockId {
        self.disk.chain.last().map(|(block, _)| *block).unwrap_or_default()
    }

    pub fn fresh_engine(&self, world: &World) -> Engine {
        Engine::new(Config {
            domain: world.domain,
            signer: Some(Arc::new(world.keys[self.node].clone())),
            timeouts: world.timeouts,
            pace_ms: PACE_MS,
        })
    }

    pub fn stop(&mut self) {
        self.engine = None;
        self.run += 1;
        self.timers.clear();
        self.heard.clear();
        self.told = false;
        self.catching_up = false;
    }
}
