//! The one loop that drives consensus: the place where time passes and votes reach the disk.
//!
//! The engine is told what happened and answers with effects, carried out here in order. The loop owns
//! the consensus log, the sign-state and the timers; blocks are built, checked and committed by the
//! [executor](crate::executor), whose answers come back as inputs. A fault on the write path ends
//! the loop and with it the process: nothing is said that is not on disk.

pub mod files;
mod gate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use consign_consensus::{
    Config, Effect, Engine, Input, Message, Signing, Status, Timer, sign_state, wal,
};
use consign_types::block::Height;
use consign_types::codec::Canonical as _;
use consign_types::digest::Digest;
use consign_types::time::Millis;
use consign_types::validator::{ValidatorIndex, ValidatorSet};
use tracing::{debug, error, info, warn};

use self::files::{LogFile, SignStateFile};
use self::gate::Gate;
pub use self::gate::{Promise, doubt};
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
    /// A committed height: the loop notes the set and the pace before the engine does.
    Committed {
        /// The height.
        height: Height,
        /// The validator set in force at the next one.
        next_set: ValidatorSet,
        /// The pace in force at the next one, milliseconds.
        pace_ms: u64,
        /// Whether there is still something to order. It comes with the height: told apart it may come after the next
        /// one was begun, which then holds nothing.
        work: bool,
    },
    /// What a peer said of the lease of this node's key.
    Promise(Box<Promise>),
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

/// Messages of a height that are kept for the engine that will sign at it.
const KEPT_MESSAGES_MAX: usize = 1_024;

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
    let (mut sign_state, recovered_state) = SignStateFile::open(dir)?;
    if recovered_state == sign_state::Recovered::Absent
        && let Some(mark) = files::NewKey::find(dir)
    {
        // The key was just made and has signed nothing; that is known this once.
        sign_state.save(&sign_state::SignState::fresh(config.domain.epoch).slot())?;
        mark.clear()?;
    }
    if recovered_log.torn {
        warn!(code = "consensus.log.torn", height = recovered_log.height.map(|h| h.0));
    }
    let key = config.signer.as_ref().map(|signer| signer.public());
    let mut driver = Driver {
        engine: Engine::new(Config { signer: None, ..config.clone() }),
        signs: false,
        gate: Gate::new(config.domain, key),
        dir: dir.to_owned(),
        config,
        log,
        sign_state,
        tip,
        set,
        work: false,
        begun: BTreeMap::new(),
        told: None,
        kept: Vec::new(),
        timers: BTreeMap::new(),
        wiring,
    };
    driver.keep_pace(driver.config.pace_ms);
    driver.begin_anew(false)?;
    driver.serve(events)
}

/// Runs one of two engines: one that signs, while the [gate](gate) is open, and one that follows without a
/// key. Where the gate opens or closes, the other one takes over as after a restart of the process,
/// from what is on disk.
struct Driver {
    engine: Engine,
    /// The engine has the key.
    signs: bool,
    gate: Gate,
    dir: PathBuf,
    config: Config,
    log: LogFile,
    sign_state: SignStateFile,
    tip: Height,
    set: ValidatorSet,
    work: bool,
    begun: BTreeMap<ValidatorIndex, Height>,
    /// What others hold of the key, as the engine was told at its start.
    told: Option<sign_state::Signed>,
    /// What came while the engine followed, for the one that will sign.
    kept: Vec<(ValidatorIndex, Message)>,
    timers: BTreeMap<Timer, Instant>,
    wiring: Wiring,
}

impl Driver {
    fn serve(&mut self, events: &Receiver<Event>) -> Result<(), Fault> {
        const NOTHING_PENDING: Duration = Duration::from_secs(60);
        loop {
            self.mind_the_gate()?;
            let next = self.timers.iter().min_by_key(|(_, at)| **at).map(|(t, at)| (*t, *at));
            let wait = next
                .map_or(NOTHING_PENDING, |(_, at)| at.saturating_duration_since(Instant::now()));
            let event = match events.recv_timeout(wait) {
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
            };
            // Time passed while it was waited.
            self.mind_the_gate()?;
            match event {
                Some(Event::Input(input)) => {
                    self.note(&input);
                    self.step(*input)?;
                }
                Some(Event::Committed { height, next_set, pace_ms, work }) => {
                    if self.set != next_set {
                        self.begun.clear();
                    }
                    (self.tip, self.set) = (height, next_set.clone());
                    self.keep_pace(pace_ms);
                    self.kept.retain(|(_, message)| message.height() > height);
                    let work = Input::Work(work);
                    self.note(&work);
                    self.step(work)?;
                    self.step(Input::Committed { height, next_set, pace_ms })?;
                }
                Some(Event::Promise(promise)) => {
                    self.gate.take(&promise);
                    self.show();
                }
                Some(Event::Stop) | None => {}
            }
            // Rung after every input too: a flood of messages must not hold back time.
            while let Some(timer) = self.take_due() {
                self.mind_the_gate()?;
                self.step(Input::Timer(timer))?;
            }
        }
    }

    /// Notes the pace that members decided, for the engine that takes over and for whoever looks on.
    fn keep_pace(&mut self, pace_ms: u64) {
        self.config.pace_ms = pace_ms;
        self.wiring.metrics.pace_seconds.set(Duration::from_millis(pace_ms).as_secs_f64());
    }

    /// What an engine that takes over must be told again.
    fn note(&mut self, input: &Input) {
        match input {
            Input::Work(work) => self.work = *work,
            Input::Begun { from, height } => {
                self.begun.insert(*from, *height);
            }
            Input::Message { from, message }
                if !self.signs
                    && message.height() > self.tip
                    && self.kept.len() < KEPT_MESSAGES_MAX =>
            {
                self.kept.push((*from, message.clone()));
            }
            _ => {}
        }
    }

    /// Lets the engine take over that the gate asks for. Not while a height is being committed: nothing is
    /// signed then, and what follows is only known afterwards.
    fn mind_the_gate(&mut self) -> Result<(), Fault> {
        if self.engine.is_committing() {
            return Ok(());
        }
        let open = self.gate.is_open(&self.set, clock::since_boot_ms());
        // Others hold more of this key than the engine that signs knows of, or was told at its start.
        let heard = self.gate.heard().filter(|_| self.signs && self.gate.heard() != self.told);
        let doubted = heard.is_some_and(|signed| !self.engine.knows(&signed));
        if open != self.signs || doubted {
            info!(code = "consensus.gate", open, doubted, height = self.tip.next().0);
            self.begin_anew(open)?;
        }
        Ok(())
    }

    /// Begins with another engine, as a process does that was just started.
    fn begin_anew(&mut self, signs: bool) -> Result<(), Fault> {
        self.log.sync()?;
        let (log, recovered_log) = LogFile::open(&self.dir)?;
        let (sign_state, recovered) = SignStateFile::open(&self.dir)?;
        (self.log, self.sign_state, self.signs) = (log, sign_state, signs);
        let sign_state = match recovered {
            // An empty disk without the mark is a lost disk, at whatever height the network is.
            sign_state::Recovered::Absent => sign_state::Recovered::Unreadable,
            found => found,
        };
        let signer = self.config.signer.clone().filter(|_| signs);
        self.engine = Engine::new(Config { signer, ..self.config.clone() });
        self.timers.clear();
        // Who only follows neither resumes a log nor writes one.
        let log = if signs { recovered_log } else { wal::Recovered::default() };
        let (tip, set) = (self.tip, self.set.clone());
        self.told = self.gate.heard();
        let heard = self.told.map(Box::new);
        self.step(Input::Start { tip, set, log, sign_state, heard })?;
        for (from, height) in self.begun.clone() {
            self.step(Input::Begun { from, height })?;
        }
        self.step(Input::Work(self.work))?;
        for (from, message) in std::mem::take(&mut self.kept) {
            self.step(Input::Message { from, message })?;
        }
        Ok(())
    }

    /// Where the node stands: a follower for want of promises says so.
    fn status(&self) -> Status {
        let mut status = self.engine.status();
        let key = self.config.signer.as_ref().map(|signer| signer.public());
        let index = key.and_then(|key| self.set.index_of(&key));
        if !self.signs && index.is_some() && status.signing == Signing::Follower {
            let held_elsewhere = self.gate.is_held_elsewhere(clock::since_boot_ms());
            status.signing = Signing::Unleased { held_elsewhere };
            status.index = index;
        }
        status
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
        self.show();
        for effect in effects {
            self.carry_out(effect)?;
        }
        Ok(())
    }

    /// Shows where the node stands to whoever asks.
    fn show(&self) {
        let now = self.status();
        if let Ok(mut status) = self.wiring.status.lock() {
            *status = Some(now);
        }
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
            // To get it onto the disk may have taken longer than the promises last.
            Effect::Send { .. } | Effect::Broadcast(_) if !self.may_speak() => {}
            Effect::Send { to, message } => self.send(to, &message),
            Effect::Broadcast(message) => {
                let bytes = message.to_bytes();
                if let Some((height, round, step)) = message.place() {
                    debug!(code = "consensus.said", height = height.0, round = round.0, step = ?step,
                        digest = %Digest::of(&[&bytes]));
                }
                self.wiring.net.broadcast(Class::Consensus, Bytes::from(bytes));
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

    fn may_speak(&self) -> bool {
        !self.signs || self.gate.is_open(&self.set, clock::since_boot_ms())
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
