//! The parts of a node that its tasks share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use consign_types::block::Height;
use consign_types::digest::Digest;
use consign_types::key::PublicKey;

use crate::cosign::Cosigner;
use crate::gather::Bodies;
use crate::lease::Leases;
use crate::metrics::Metrics;
use crate::p2p::NetHandle;
use crate::pool::{Pool, Relay};
use crate::relayed::Relayed;
use crate::roster::Held;
use crate::state::Committed;
use crate::wire::Status;

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

    /// Where this node stands, as it tells its peers.
    pub fn own_status(&self) -> Status {
        let tip = self.committed.tip();
        let progress = *self.committed.progress().borrow();
        Status {
            height: tip.height(),
            block: tip.block,
            started: progress.started,
            proven: progress.proven,
        }
    }
}
