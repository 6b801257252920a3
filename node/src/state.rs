//! What is committed, as the rest of the node sees it: the tip, the entries, and how far things are.
//!
//! The tip is moved by the executor alone, after the block is on disk; everybody else reads.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use consign_ledger::apply::{BlockContext, signer_key};
use consign_ledger::entry::{EntryKey, LogState, StateView, read};
use consign_ledger::log::Frontier;
use consign_types::block::{Epoch, Height, LeafIndex, TreeSize};
use consign_types::certificate::Domain;
use consign_types::codec::Canonical as _;
use consign_types::digest::EventId;
use consign_types::genesis::{Genesis, Params};
use consign_types::party::SignerId;
use consign_types::signer_key::SignerKey;
use consign_types::time::Millis;
use consign_types::validator::ValidatorSet;
use consign_types::witness::Witness;
use tokio::sync::watch;
use tracing::{error, info};

use crate::clock;
use crate::executor;
use crate::store::{Fault, SetInForce, Store, Tip};
use consign_types::causes::on_one_line;

/// How far the chain is here.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// Last committed height.
    pub height: Height,
    /// Leaves in the log.
    pub size: TreeSize,
    /// Leaves under a checkpoint with a quorum of cosignatures.
    pub proven: TreeSize,
    /// Last height that was begun.
    pub started: Height,
}

struct At {
    tip: Tip,
    /// The set of the genesis and those after it; never empty.
    sets: Vec<SetInForce>,
    frontier: Frontier,
}

impl At {
    fn set_where(&self, decides: impl Fn(&SetInForce) -> bool) -> &Arc<ValidatorSet> {
        let last = self.sets.iter().rfind(|set| decides(set)).or_else(|| self.sets.first());
        &last.expect("a network has a validator set").set
    }
}

/// What is committed on this node.
pub struct Committed {
    store: Arc<Store>,
    genesis: Genesis,
    domain: Domain,
    tip: RwLock<At>,
    progress: watch::Sender<Progress>,
    roster: watch::Sender<u64>,
    params: watch::Sender<Params>,
    started_at: Instant,
}

impl Committed {
    /// What `store` holds, whose tip is `tip`.
    ///
    /// # Errors
    /// When the log in the store does not lead to the tip's root.
    pub fn new(
        store: Arc<Store>,
        genesis: Genesis,
        tip: Tip,
        proven: TreeSize,
    ) -> Result<Self, Fault> {
        let (from, above) = (Height(0), TreeSize(0));
        let set = Arc::new(genesis.validators().clone());
        let mut sets = vec![SetInForce { from, above, set }];
        sets.extend(store.sets()?);
        if sets.last().map(|last| last.set.hash()) != Some(tip.record.next_set) {
            return Err(store.damaged("validator set", "it is not the one that the tip names"));
        }
        let frontier = store.frontier(tip.size)?;
        if frontier.root() != tip.root {
            return Err(store.damaged("log", "its root is not that of the tip"));
        }
        let progress =
            Progress { height: tip.height(), size: tip.size, proven, started: tip.height() };
        let params = params_in(&store)?;
        Ok(Self {
            store,
            domain: genesis.domain(),
            genesis,
            tip: RwLock::new(At { tip, sets, frontier }),
            progress: watch::channel(progress).0,
            roster: watch::channel(0).0,
            params: watch::channel(params).0,
            started_at: Instant::now(),
        })
    }

    /// The database.
    pub const fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The network's genesis.
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Where consensus signatures are valid.
    pub const fn domain(&self) -> Domain {
        self.domain
    }

    /// The network's incarnation.
    pub const fn epoch(&self) -> Epoch {
        self.domain.epoch
    }

    /// When this process began.
    pub const fn started_at(&self) -> Instant {
        self.started_at
    }

    /// The last committed block.
    pub fn tip(&self) -> Tip {
        self.tip.read().unwrap_or_else(PoisonError::into_inner).tip.clone()
    }

    /// The last committed block, and the right edge of the log after it.
    pub fn end(&self) -> (Tip, Frontier) {
        let at = self.tip.read().unwrap_or_else(PoisonError::into_inner);
        (at.tip.clone(), at.frontier.clone())
    }

    /// The validator set in force at the next height.
    pub fn validators(&self) -> Arc<ValidatorSet> {
        let at = self.tip.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(at.set_where(|_| true))
    }

    /// The validator set that decides, or decided, the block of this height.
    pub fn validators_at(&self, height: Height) -> Arc<ValidatorSet> {
        let at = self.tip.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(at.set_where(|set| set.from <= height))
    }

    /// The validator set that decided the block after which the log has this size: its cosigners.
    pub fn validators_of(&self, size: TreeSize) -> Arc<ValidatorSet> {
        let at = self.tip.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(at.set_where(|set| set.above < size))
    }

    /// Changes of the validator set in the heights `after < from <= through`.
    pub fn sets_between(&self, after: Height, through: Height) -> Vec<SetInForce> {
        let at = self.tip.read().unwrap_or_else(PoisonError::into_inner);
        let between = |set: &&SetInForce| set.from > after && set.from <= through;
        at.sets.iter().filter(between).cloned().collect()
    }

    /// Wakes when members, their nodes or validators change.
    pub fn roster(&self) -> watch::Receiver<u64> {
        self.roster.subscribe()
    }

    /// Members, their nodes or validators changed.
    pub fn note_roster(&self) {
        self.roster.send_modify(|changes| *changes += 1);
    }

    /// The parameters in force at the next height.
    pub fn params(&self) -> Params {
        *self.params.borrow()
    }

    /// Wakes when the parameters change.
    pub fn params_changes(&self) -> watch::Receiver<Params> {
        self.params.subscribe()
    }

    /// The parameters changed.
    pub fn note_params(&self) {
        let now = sure(params_in(&self.store));
        self.params.send_replace(now);
        info!(
            code = "ledger.params.changed",
            block_interval_ms = now.block_interval_ms,
            contest_window_ms = now.contest_window_ms,
            return_window_ms = now.return_window_ms,
            open_reading = now.open_reading,
        );
    }

    /// The right edge of the log.
    pub fn frontier(&self) -> Frontier {
        self.tip.read().unwrap_or_else(PoisonError::into_inner).frontier.clone()
    }

    /// The next block as the door expects it: right after the tip, as soon as it can be.
    pub fn context(&self) -> BlockContext {
        let tip = self.tip();
        let time = Millis(clock::now().0.max(tip.record.time.0 + 1));
        executor::context(self, &tip, time)
    }

    /// How far things are, and a wake-up whenever that changes.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// A block is on disk.
    pub fn advance(&self, tip: Tip, next: Option<SetInForce>, frontier: Frontier) {
        let (height, size) = (tip.height(), tip.size);
        let mut at = self.tip.write().unwrap_or_else(PoisonError::into_inner);
        (at.tip, at.frontier) = (tip, frontier);
        at.sets.extend(next);
        drop(at);
        self.progress.send_modify(|progress| {
            progress.height = height;
            progress.size = size;
        });
    }

    /// A checkpoint of this size has its quorum.
    pub fn note_proven(&self, size: TreeSize) {
        self.progress.send_if_modified(|progress| {
            let later = size > progress.proven;
            progress.proven = progress.proven.max(size);
            later
        });
    }

    /// A height has begun.
    pub fn note_started(&self, height: Height) {
        self.progress.send_modify(|progress| progress.started = progress.started.max(height));
    }

    /// Where an event lies in the log.
    pub fn event_index(&self, id: &EventId) -> Option<LeafIndex> {
        sure(self.store.event_index(id))
    }

    /// Whether a signer is enrolled, under whatever key.
    pub fn knows(&self, signer: &SignerId) -> bool {
        self.get(&EntryKey::Signer(signer.clone())).is_some()
    }

    /// The witnesses that the network asks, by what is committed.
    pub fn witnesses(&self) -> Vec<Witness> {
        let log = read::<LogState>(self, &EntryKey::Log);
        log.map_or_else(Vec::new, |log| log.asked(self.genesis()))
    }

    /// The key of a signer, by what is committed.
    pub fn key_of(&self, signer: &SignerId, id: &[u8; 8]) -> Option<SignerKey> {
        signer_key(self, signer, id)
    }
}

fn params_in(store: &Store) -> Result<Params, Fault> {
    let entry = store.entry(&EntryKey::Params.map_key())?;
    let entry = entry.ok_or_else(|| store.damaged("parameters", "they are missing"))?;
    Params::from_bytes(&entry).map_err(|e| store.damaged("parameters", e))
}

impl StateView for Committed {
    fn get(&self, key: &EntryKey) -> Option<Arc<[u8]>> {
        sure(self.store.entry(&key.map_key()))
    }
}

/// The value, or the end of the process: a store that cannot be read is no store to go on with.
pub fn sure<T>(result: Result<T, Fault>) -> T {
    result.unwrap_or_else(|fault| fatal(&fault))
}

/// Says what failed, with its causes, and ends the process.
pub fn fatal(fault: &Fault) -> ! {
    error!(
        code = "node.fault",
        fault = on_one_line(fault),
        help = "the node stops; it recovers on restart"
    );
    std::process::exit(1)
}
