//! The engine: when heights begin, how they end, and what this node may sign.
//!
//! One height at a time. No height begins without a reason (work here, a peer that has begun it, a log
//! that was cut off in it), so an idle network is silent. A height ends with a certificate, by votes
//! or by catch-up, and the next one waits until the node has it on disk.
//!
//! It leaves bodies, execution and the status that peers exchange to the node.

use std::collections::BTreeMap;

use consign_types::block::Height;
use consign_types::certificate::{Certificate, Domain, Round, Statement};
use consign_types::codec::Canonical as _;
use consign_types::digest::BlockId;
use consign_types::time::Millis;
use consign_types::validator::{ValidatorIndex, ValidatorSet};

use crate::buffer::Buffer;
use crate::entry::Entry;
use crate::guard::Guard;
use crate::instance::{self, Env, Instance};
use crate::message::{Message, RoundCertificate};
use crate::outbox::Outbox;
use crate::seam::{
    Config, Effect, Input, Reason, Signing, Status, Timeouts, Timer, TimerKind, Verdict,
};
use crate::sign_state::Signed;
use crate::{sign_state, verify, wal};

/// How long a node that is known to be behind waits for catch-up before it begins a height itself.
const BEHIND_GRACE_MS: u64 = 2_000;

/// How long the tip stands before a peer that still votes on it is told the decision, and how long
/// that peer then waits to be told again. Until then its vote is only late.
const ANSWER_AFTER_MS: u64 = 1_000;

/// The consensus engine. See [`Input`] and [`Effect`] for what goes in and comes out.
pub struct Engine {
    domain: Domain,
    timeouts: Timeouts,
    pace_ms: u64,
    guard: Guard,
    /// `None` until [`Input::Start`].
    chain: Option<Chain>,
    instance: Option<Instance>,
    /// Decided and not yet known to be on disk.
    committing: Option<BlockId>,
    log: wal::Framer,
    /// Entries of a log that was cut off in the height after the tip.
    resume: Option<Vec<Entry>>,
    /// The log has entries that no sync has covered.
    unsynced: bool,
    work: bool,
    buffer: Buffer,
    /// The last height that each validator has begun, as it says.
    begun: BTreeMap<ValidatorIndex, Height>,
    last_started: Height,
    started_at: Option<Millis>,
    /// When the tip was last known to move.
    moved_at: Millis,
    pacing: Option<Timer>,
    /// The decision of the tip, if it was made here.
    decision: Option<Certificate>,
    answered: BTreeMap<ValidatorIndex, Millis>,
}

/// The end of the chain: what the next height stands on.
struct Chain {
    tip: Height,
    set: ValidatorSet,
}

/// Whether the next height begins.
enum Begin {
    Now,
    In { ms: u64 },
    Not,
}

impl Engine {
    /// An engine that waits for [`Input::Start`].
    pub fn new(config: Config) -> Self {
        let Config { domain, signer, timeouts, pace_ms } = config;
        Self {
            domain,
            timeouts,
            pace_ms,
            guard: Guard::new(domain, signer),
            chain: None,
            instance: None,
            committing: None,
            log: wal::Framer::new(Height(0), 0),
            resume: None,
            unsynced: false,
            work: false,
            buffer: Buffer::default(),
            begun: BTreeMap::new(),
            last_started: Height(0),
            started_at: None,
            moved_at: Millis(0),
            pacing: None,
            decision: None,
            answered: BTreeMap::new(),
        }
    }

    /// What follows from `input`, at `now`; to be carried out in order, all of it.
    pub fn step(&mut self, now: Millis, input: Input) -> Vec<Effect> {
        let mut outbox = Outbox::default();
        self.take(now, input, &mut outbox);
        self.conclude(&mut outbox);
        self.begin(now, &mut outbox);
        self.conclude(&mut outbox);
        if let Some(slot) = self.guard.take_unsaved() {
            outbox.save(slot);
        }
        outbox.into_effects(&mut self.unsynced)
    }

    /// Where the engine stands.
    pub fn status(&self) -> Status {
        let Some(Chain { tip, set }) = &self.chain else {
            return Status {
                height: Height(0),
                round: None,
                step: None,
                last_started: Height(0),
                proposer: ValidatorIndex(0),
                index: None,
                signing: Signing::Follower,
            };
        };
        let height = tip.next();
        let round = self.instance.as_ref().and_then(Instance::round);
        Status {
            height,
            round,
            step: self.instance.as_ref().and_then(Instance::step),
            last_started: self.last_started,
            proposer: instance::proposer(set, height, round.unwrap_or_default()),
            index: self.guard.key().and_then(|key| set.index_of(key)),
            signing: self.guard.signing(height, set),
        }
    }

    fn take(&mut self, now: Millis, input: Input, outbox: &mut Outbox) {
        match input {
            Input::Start { tip, set, log, sign_state, heard } => {
                self.start(now, Chain { tip, set }, log, sign_state, heard.as_deref(), outbox);
            }
            Input::Work(work) => {
                self.work = work;
                self.with_instance(outbox, |instance, env| instance.work(env));
            }
            Input::Begun { from, height } => self.begun(from, height),
            Input::Message { from, message } => self.message(now, from, message, outbox),
            Input::Timer(timer) => {
                if self.pacing == Some(timer) {
                    self.pacing = None;
                } else if self.is_current(timer.height) {
                    self.with_instance(outbox, |instance, env| instance.timer(env, timer));
                }
            }
            Input::Built { height, round, block } => {
                if self.is_current(height) {
                    self.with_instance(outbox, |instance, env| instance.built(env, round, block));
                }
            }
            Input::Checked { height, round, block, verdict } => {
                self.checked(height, round, block, verdict, outbox);
            }
            Input::Synced { block, certificate } => self.synced(block, certificate, outbox),
            Input::Committed { height, next_set, pace_ms } => {
                self.pace_ms = pace_ms;
                self.committed(now, height, next_set);
            }
        }
    }

    fn start(
        &mut self,
        now: Millis,
        chain: Chain,
        log: wal::Recovered,
        sign_state: sign_state::Recovered,
        heard: Option<&Signed>,
        outbox: &mut Outbox,
    ) {
        let next = chain.tip.next();
        self.last_started = chain.tip;
        self.moved_at = now;
        let me = self.guard.key().and_then(|key| chain.set.index_of(key));
        let entries = if log.height == Some(next) { log.entries } else { Vec::new() };
        let (tip, count) = (chain.tip, entries.len());
        self.chain = Some(chain);
        // Read back is not yet on disk: a process may have ended before its log was synced.
        self.unsynced = count > 0;
        self.log = wal::Framer::new(next, count);

        let entries: Option<Vec<Entry>> =
            entries.iter().map(|e| Entry::from_bytes(e).ok()).collect();
        let Some(entries) = entries.filter(|all| all.iter().all(|e| e.height() == next)) else {
            return self.halt(Reason::LogUnreadable, outbox);
        };
        let mut signed: Vec<Signed> = entries
            .iter()
            .filter(|entry| me.is_some() && entry.signed_by() == me)
            .filter_map(|entry| match entry {
                Entry::Message(message) => Some(message),
                _ => None,
            })
            .flat_map(|message| self.signed(message))
            .collect();
        signed.sort_by_key(Signed::place);
        match self.guard.start(tip, sign_state, &signed, heard) {
            Err(reason) => self.halt(reason, outbox),
            Ok(()) => self.resume = (count > 0).then_some(entries),
        }
    }

    /// What the sign-state says of an own message.
    fn signed(&self, message: &Message) -> Vec<Signed> {
        let (height, round) = (message.height(), message.round());
        let statements = message.statements().into_iter();
        let domain = &self.domain;
        let signed = |(_, statement, _)| {
            let bytes = domain.sign_bytes(height, round, &statement);
            Signed::new(height, round, &statement, &bytes)
        };
        statements.map(signed).collect()
    }

    /// Whether what this node's key signed, as others hold it, is covered by the sign-state.
    pub fn knows(&self, signed: &Signed) -> bool {
        self.guard.knows(signed)
    }

    /// Whether a decided height waits to be committed. Nothing is signed while one does.
    pub const fn is_committing(&self) -> bool {
        self.committing.is_some()
    }

    fn begun(&mut self, from: ValidatorIndex, height: Height) {
        let Some(chain) = &self.chain else { return };
        if chain.set.get(from).is_none() || self.guard.key() == key_of(&chain.set, from) {
            return;
        }
        // The last word counts: one lie must not wake this node at each height from then on.
        self.begun.insert(from, height);
        let network = self.network_height();
        self.guard.network_at(network);
    }

    /// The highest height that an honest validator has begun, as far as is known.
    fn network_height(&self) -> Height {
        let Some(Chain { tip, set }) = &self.chain else { return Height(0) };
        let mut heights: Vec<_> = self.begun.values().copied().collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        let one_is_honest = verify::more_than_a_third(set);
        heights.get(one_is_honest - 1).copied().unwrap_or(*tip)
    }

    fn message(
        &mut self,
        now: Millis,
        from: ValidatorIndex,
        message: Message,
        outbox: &mut Outbox,
    ) {
        let Some(Chain { tip, set }) = &self.chain else { return };
        let (tip, height) = (*tip, message.height());
        if height <= tip {
            return self.answer(now, from, &message, outbox);
        }
        if height == tip.next() {
            if self.committing.is_some() {
                return;
            }
            if self.instance.is_some() {
                return self.with_instance(outbox, |instance, env| instance.message(env, &message));
            }
            // It would begin the height: only a message that holds may do that.
            if !message.is_signed(&self.domain, set) {
                return;
            }
        }
        self.buffer.push(tip, from, message);
        self.begun(from, height);
    }

    /// A peer that votes on a height which is long decided here is told so. Who is further behind
    /// learns it from the status, and catches up.
    fn answer(
        &mut self,
        now: Millis,
        from: ValidatorIndex,
        message: &Message,
        outbox: &mut Outbox,
    ) {
        let Some(decision) = &self.decision else { return };
        let stuck = matches!(message, Message::Vote(vote) if vote.height == decision.height);
        let told = self.answered.get(&from).is_some_and(|at| now.since(*at) < ANSWER_AFTER_MS);
        if stuck && !told && now.since(self.moved_at) >= ANSWER_AFTER_MS {
            self.answered.insert(from, now);
            outbox.answer(from, Message::Round(RoundCertificate::of_decision(decision)));
        }
    }

    fn checked(
        &mut self,
        height: Height,
        round: Round,
        block: BlockId,
        verdict: Verdict,
        outbox: &mut Outbox,
    ) {
        if self.is_current(height) {
            self.with_instance(outbox, |instance, env| {
                instance.checked(env, round, block, verdict)
            });
        }
    }

    /// Catch-up brought the next block. Its certificate is all the proof that is needed: the core,
    /// whatever it was about to do at this height, is passed by.
    fn synced(&mut self, block: BlockId, certificate: Certificate, outbox: &mut Outbox) {
        let Some(Chain { tip, set }) = &self.chain else { return };
        let next = tip.next();
        let holds = certificate.height == next
            && certificate.block == block
            && certificate.verify(&self.domain, set).is_ok();
        if !holds {
            return;
        }
        match self.committing {
            Some(decided) if decided != block => self.halt(Reason::Fork, outbox),
            Some(_) => {}
            None => {
                if let Some(signed) = self.signed_in(&certificate) {
                    self.guard.hear(&signed);
                }
                self.guard.network_at(next.next());
                self.commit(certificate, outbox);
            }
        }
    }

    /// This node's own precommit in a certificate that others made.
    fn signed_in(&self, certificate: &Certificate) -> Option<Signed> {
        let set = &self.chain.as_ref()?.set;
        let me = set.index_of(self.guard.key()?)?;
        certificate.precommits.iter().find(|(index, _)| *index == me)?;
        let statement = Statement::Precommit(Some(certificate.block));
        let (height, round) = (certificate.height, certificate.round);
        let bytes = self.domain.sign_bytes(height, round, &statement);
        Some(Signed::new(height, round, &statement, &bytes))
    }

    fn committed(&mut self, now: Millis, height: Height, next_set: ValidatorSet) {
        let Some(chain) = &mut self.chain else { return };
        if height != chain.tip.next() {
            return;
        }
        assert!(self.instance.is_none(), "a height is committed only once it is over");
        if chain.set != next_set {
            // An index may name another validator now.
            self.begun.clear();
        }
        // The set that they must be signed by is known only now.
        let holds = |message: &Message| message.is_signed(&self.domain, &next_set);
        self.buffer.retain(height.next(), holds);
        *chain = Chain { tip: height, set: next_set };
        self.answered.clear();
        self.committing = None;
        self.resume = None;
        self.last_started = self.last_started.max(height);
        self.moved_at = now;
    }

    /// Ends a height that is decided, and everything when there is a doubt.
    fn conclude(&mut self, outbox: &mut Outbox) {
        let Some(instance) = &self.instance else { return };
        if let Some(reason) = instance.doubt() {
            return self.halt(reason, outbox);
        }
        if let Some(certificate) = instance.decided().cloned() {
            if !instance.resumed() {
                self.guard.decided_live(certificate.height);
            }
            self.commit(certificate, outbox);
        }
    }

    fn commit(&mut self, certificate: Certificate, outbox: &mut Outbox) {
        if let Some(instance) = self.instance.take() {
            instance.end(outbox);
        }
        self.committing = Some(certificate.block);
        self.decision = Some(certificate.clone());
        outbox.commit(certificate.block, certificate);
    }

    fn halt(&mut self, reason: Reason, outbox: &mut Outbox) {
        if let Some(instance) = self.instance.take() {
            instance.end(outbox);
        }
        self.resume = None;
        self.guard.halt(reason);
        outbox.halt(reason);
    }

    /// Begins the next height if there is a reason to.
    fn begin(&mut self, now: Millis, outbox: &mut Outbox) {
        if outbox.halts() {
            return;
        }
        let wait = self.begins(now);
        let Some(height) = self.chain.as_ref().map(|chain| chain.tip.next()) else { return };
        self.pace(&wait, height, outbox);
        let (Begin::Now, Some(chain)) = (wait, &self.chain) else { return };
        let set = chain.set.clone();
        let me = match self.guard.signing(height, &set) {
            Signing::Allowed => self.guard.key().and_then(|key| set.index_of(key)),
            _ => None,
        };
        let resume = self.resume.take();
        if resume.is_none() && me.is_some() {
            self.log = wal::Framer::new(height, 0);
            outbox.truncate(height);
        }
        self.last_started = height;
        self.started_at = Some(now);
        outbox.request(Effect::Started { height });
        let entries = resume.unwrap_or_default();
        let instance = {
            let mut env = self.env(outbox);
            Instance::start(height, &set, me, entries, &mut env)
        };
        self.instance = Some(instance);
        for (_, message) in self.buffer.take(height) {
            self.with_instance(outbox, |instance, env| instance.message(env, &message));
        }
    }

    /// Keeps the one timer that begins a height later, or none.
    fn pace(&mut self, wait: &Begin, height: Height, outbox: &mut Outbox) {
        let wanted = Timer { height, round: Round(0), kind: TimerKind::Pace };
        let kept = matches!(wait, Begin::In { .. }) && self.pacing == Some(wanted);
        if !kept && let Some(timer) = self.pacing.take() {
            outbox.cancel(timer);
        }
        if let Begin::In { ms } = wait {
            if !kept {
                outbox.schedule(wanted, *ms);
            }
            self.pacing = Some(wanted);
        }
    }

    fn begins(&self, now: Millis) -> Begin {
        let Some(Chain { tip, set }) = &self.chain else { return Begin::Not };
        let next = tip.next();
        if self.instance.is_some() || self.committing.is_some() {
            return Begin::Not;
        }
        if self.resume.is_some() {
            return Begin::Now;
        }
        if self.buffer.holds(next) {
            return Begin::Now;
        }
        if self.network_height() > next {
            // This height is decided: catch-up brings it, and to begin it would only be noise.
            return match BEHIND_GRACE_MS.saturating_sub(now.since(self.moved_at)) {
                0 => Begin::Now,
                ms => Begin::In { ms },
            };
        }
        // Who has begun a later height has this one on disk: catch-up brings it.
        if self.begun.values().any(|height| *height == next) {
            return Begin::Now;
        }
        if !self.work || self.guard.signing(next, set) != Signing::Allowed {
            return Begin::Not;
        }
        let since_start_ms = self.started_at.map_or(u64::MAX, |at| now.since(at));
        match self.pace_ms.saturating_sub(since_start_ms) {
            0 => Begin::Now,
            ms => Begin::In { ms },
        }
    }

    fn is_current(&self, height: Height) -> bool {
        self.chain.as_ref().is_some_and(|chain| chain.tip.next() == height)
    }

    fn with_instance(
        &mut self,
        outbox: &mut Outbox,
        act: impl FnOnce(&mut Instance, &mut Env<'_>),
    ) {
        if let Some(mut instance) = self.instance.take() {
            act(&mut instance, &mut self.env(outbox));
            self.instance = Some(instance);
        }
    }

    fn env<'a>(&'a mut self, outbox: &'a mut Outbox) -> Env<'a> {
        Env {
            domain: &self.domain,
            timeouts: &self.timeouts,
            guard: &mut self.guard,
            log: &mut self.log,
            outbox,
            work: self.work,
        }
    }
}

fn key_of(set: &ValidatorSet, index: ValidatorIndex) -> Option<&consign_types::key::PublicKey> {
    set.get(index).map(|validator| &validator.consensus_key)
}
