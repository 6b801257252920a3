//! The one loop that drives consensus: the place where time passes and votes reach the disk.
//!
//! The engine is told what happened and answers with effects, carried out here in order. The loop owns
//! the consensus log, the sign-state and the timers; blocks are built, checked and committed by the
//! [executor](crate::executor), whose answers come back as inputs. A fault on the write path ends
//! the loop and with it the process: nothing is said that is not on disk.

pub mod files;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use consign_consensus::{Config, Effect, Engine, Input, Message, Status, Timer, sign_state};
use consign_types::block::Height;
use consign_types::codec::Canonical as _;
use consign_types::time::Millis;
use consign_types::validator::{ValidatorIndex, ValidatorSet};
use tracing::{error, info, warn};

use self::files::{LogFile, SignStateFile};
use crate::executor::Job;
use crate::metrics::Metrics;
use crate::p2p::{Class, NetHandle};
use crate::state::Committed;
use crate::store::Fault;
use crate::{clock, evidence};

/// What the loop waits for.
#[derive(Debug)]
pub enum Event {
    /// Something for the engine.
    Input(Box<Input>),
    /// A committed height: the loop notes the set before the engine does.
    Committed(Height, ValidatorSet),
    /// The node stops.
    Stop,
}

/// What the loop needs besides the engine's configuration.
pub struct Wiring {
    /// Blocks are built, checked and committed there.
    pub executor: Sender<Job>,
    /// Votes go out here.
    pub net: NetHandle,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Evidence is kept there.
    pub committed: Arc<Committed>,
    /// Where the engine stands, for whoever asks.
    pub status: Arc<Mutex<Option<Status>>>,
}

/// Drives the engine until [`Event::Stop`] or a fault.
///
/// # Errors
/// A [`Fault`] on the write path.
pub fn run(
    dir: &Path,
    config: Config,
    tip: Height,
    set: ValidatorSet,
    wiring: Wiring,
    events: &Receiver<Event>,
) -> Result<(), Fault> {
    let (log, recovered_log) = LogFile::open(dir)?;
    let (mut sign_state, mut recovered_state) = SignStateFile::open(dir)?;
    if recovered_state == sign_state::Recovered::Absent
        && let Some(mark) = files::NewKey::find(dir)
    {
        // The key was just made and has signed nothing; that is known this once.
        let fresh = sign_state::SignState::fresh(config.domain.epoch);
        sign_state.save(&fresh.slot())?;
        mark.clear()?;
        recovered_state = sign_state::Recovered::Found(fresh);
    }
    if recovered_state == sign_state::Recovered::Absent {
        // An empty disk without the mark is a lost disk, at whatever height the network is.
        recovered_state = sign_state::Recovered::Unreadable;
    }
    if recovered_log.torn {
        warn!(code = "consensus.log.torn", height = recovered_log.height.map(|h| h.0));
    }
    let engine = Engine::new(config);
    let mut driver =
        Driver { engine, log, sign_state, set: set.clone(), timers: BTreeMap::new(), wiring };
    driver.step(Input::Start { tip, set, log: recovered_log, sign_state: recovered_state })?;
    driver.serve(events)
}

struct Driver {
    engine: Engine,
    log: LogFile,
    sign_state: SignStateFile,
    set: ValidatorSet,
    timers: BTreeMap<Timer, Instant>,
    wiring: Wiring,
}

impl Driver {
    fn serve(&mut self, events: &Receiver<Event>) -> Result<(), Fault> {
        const NOTHING_PENDING: Duration = Duration::from_secs(60);
        loop {
            let next = self.timers.iter().min_by_key(|(_, at)| **at).map(|(t, at)| (*t, *at));
            let wait = next
                .map_or(NOTHING_PENDING, |(_, at)| at.saturating_duration_since(Instant::now()));
            match events.recv_timeout(wait) {
                Ok(Event::Input(input)) => self.step(*input)?,
                Ok(Event::Committed(height, next_set)) => {
                    self.set = next_set.clone();
                    self.step(Input::Committed { height, next_set })?;
                }
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // Rung after every input too: a flood of messages must not hold back time.
            while let Some(timer) = self.take_due() {
                self.step(Input::Timer(timer))?;
            }
        }
    }

    fn take_due(&mut self) -> Option<Timer> {
        let now = Instant::now();
        let due = self.timers.iter().filter(|(_, at)| **at <= now).min_by_key(|(_, at)| **at);
        let timer = due.map(|(timer, _)| *timer)?;
        self.timers.remove(&timer);
        Some(timer)
    }

    fn step(&mut self, input: Input) -> Result<(), Fault> {
        let effects = self.engine.step(clock::now(), input);
        // First, because what the effects lead to asks whether this node signs.
        if let Ok(mut status) = self.wiring.status.lock() {
            *status = Some(self.engine.status());
        }
        for effect in effects {
            self.carry_out(effect)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect) -> Result<(), Fault> {
        match effect {
            Effect::TruncateLog(height) => self.log.restart(height)?,
            Effect::Append(entry) => self.log.append(&entry),
            // A vote is on disk before it is spoken.
            Effect::Sync => {
                let begun = Instant::now();
                self.log.sync()?;
                self.wiring.metrics.fsync(begun.elapsed());
            }
            Effect::SaveSignState(slot) => {
                let begun = Instant::now();
                self.sign_state.save(&slot)?;
                self.wiring.metrics.fsync(begun.elapsed());
            }
            Effect::Send { to, message } => self.send(to, &message),
            Effect::Broadcast(message) => {
                self.wiring.net.broadcast(Class::Consensus, Bytes::from(message.to_bytes()));
            }
            Effect::Schedule { timer, after_ms } => {
                self.timers.insert(timer, Instant::now() + Duration::from_millis(after_ms));
            }
            Effect::Cancel(timer) => {
                self.timers.remove(&timer);
            }
            Effect::Started { height } => self.job(Job::Started(height)),
            Effect::Build { height, round, record_only, .. } => {
                self.job(Job::Build { height, round, record_only });
            }
            Effect::Check { height, round, proposer, block, fresh, mut holders } => {
                holders.retain(|holder| *holder != proposer);
                holders.insert(0, proposer);
                let judged_in = fresh.then_some((round, clock::now()));
                self.job(Job::Check { height, round, block, judged_in, holders });
            }
            Effect::Fetch { height, round, block, holders } => {
                self.job(Job::Check { height, round, block, judged_in: None, holders });
            }
            Effect::Commit { block, certificate } => self.job(Job::Commit { block, certificate }),
            Effect::Report(votes) => {
                evidence::found(&self.wiring.committed, votes)?;
                self.wiring.metrics.evidence.inc();
            }
            Effect::Halt(reason) => {
                error!(code = "consensus.signing.halted", reason = %reason,
                    help = "this node follows but signs nothing; see docs/operating before touching its data");
                self.wiring.metrics.signing_halted.set(1);
            }
        }
        Ok(())
    }

    fn send(&self, to: ValidatorIndex, message: &Message) {
        if let Some(validator) = self.set.get(to) {
            let bytes = Bytes::from(message.to_bytes());
            self.wiring.net.send(&validator.network_key, Class::Consensus, bytes);
        }
    }

    fn job(&self, job: Job) {
        // The executor only goes away when the node stops.
        if self.wiring.executor.send(job).is_err() {
            info!(code = "node.executor.gone");
        }
    }
}

/// Sends of events to the loop, from wherever they come.
pub type Events = SyncSender<Event>;

/// Block time as a validator judges it.
pub const fn within_window(time: Millis, now: Millis, round: u32) -> bool {
    /// Clocks of honest validators differ by less than this.
    const PRECISION_MS: u64 = 2_000;
    /// A proposal arrives within this, more in later rounds: no bad bound halts the chain for ever.
    const DELAY_MS: u64 = 4_000;
    let delay = DELAY_MS.saturating_mul(1 + round as u64);
    time.0 <= now.0.saturating_add(PRECISION_MS + delay - DELAY_MS)
        && time.0.saturating_add(delay + PRECISION_MS) >= now.0
}
