//! One height of consensus: the core, and what an engine owes it.
//!
//! An instance is made for a height and dropped when the height is decided: nothing of one height
//! leaks into the next. It draws the core's effects into the [`Outbox`], asks for bodies, takes the
//! proposer's turn, and finds two things that the core does not say: a decision whose proposal or body
//! never came, and evidence as soon as there is any.
//!
//! Invariant: an instance that does not sign (`me` is `None`) writes no log.

use std::convert::Infallible;

use arc_malachitebft_core_consensus::{
    Error as CoreError, Input as CoreInput, LocallyProposedValue, Params, State, process,
};
use arc_malachitebft_core_types::{self as core_types, ValuePayload, VoteExtensionPolicy};
use consign_types::block::Height;
use consign_types::certificate::{Certificate, Domain, Round};
use consign_types::digest::BlockId;
use consign_types::validator::{ValidatorIndex, ValidatorSet};

use crate::context::{Address, At, Ctx, Validators, Value};
use crate::desk::Desk;
use crate::entry::Entry;
use crate::guard::Guard;
use crate::message::Message;
use crate::outbox::Outbox;
use crate::seam::{Effect, Reason, Step, Timeouts, Timer, TimerKind, Verdict};
use crate::turn::Move;
use crate::{convert, wal};

/// Inputs for other heights never reach the core, so its own queue stays empty.
const CORE_QUEUE: usize = 1;

/// What an instance works with, lent by the engine for one step.
pub struct Env<'a> {
    pub domain: &'a Domain,
    pub timeouts: &'a Timeouts,
    pub guard: &'a mut Guard,
    pub log: &'a mut wal::Framer,
    pub outbox: &'a mut Outbox,
    /// There is something to order.
    pub work: bool,
}

/// A height that has begun.
pub struct Instance {
    core: State<Ctx>,
    desk: Desk,
}

impl Instance {
    /// Begins a height, or resumes it where its log ended.
    pub fn start(
        height: Height,
        set: &ValidatorSet,
        me: Option<ValidatorIndex>,
        entries: Vec<Entry>,
        env: &mut Env<'_>,
    ) -> Self {
        let validators = Validators::from(set);
        let params = Params {
            address: me.map_or(Address::NOBODY, Address),
            threshold_params: Default::default(),
            value_payload: ValuePayload::ProposalAndParts,
            enabled: me.is_some(),
        };
        let at = At(height);
        let core = State::new(Ctx, at, validators.clone(), params, CORE_QUEUE, CORE_QUEUE);
        let mut instance = Self { core, desk: Desk::new(height, set, me, &entries) };
        // No target time: the core would read a clock for it. Pace is kept by the engine.
        let begin =
            CoreInput::StartHeight(at, validators, false, None, VoteExtensionPolicy::Disabled);
        instance.drive(env, begin);
        let inputs: Vec<_> = entries.iter().filter_map(Entry::input).collect();
        instance.core.index_wal_entries(&inputs);
        for input in inputs {
            instance.drive(env, input);
        }
        instance.core.reset_entries_index();
        instance.desk.replaying = false;
        instance.settle(env, false);
        instance
    }

    /// A peer's message for this height.
    pub fn message(&mut self, env: &mut Env<'_>, message: &Message) {
        if let Message::Round(certificate) = message
            && let Some(decision) = certificate.decision(&self.desk.set)
            && decision.verify(env.domain, &self.desk.set).is_ok()
        {
            // Whatever round the core is in by now, this is a decision.
            self.desk.tally.add_decision(&decision);
        }
        self.drive(env, convert::input(message));
        self.settle(env, false);
    }

    /// A timer rang.
    pub fn timer(&mut self, env: &mut Env<'_>, timer: Timer) {
        if !self.desk.timers.remove(&timer) {
            return;
        }
        let repeat = timer.kind == TimerKind::Rebroadcast;
        match convert::to_timeout(timer) {
            Some(timeout) => self.drive(env, CoreInput::TimeoutElapsed(timeout)),
            None => self.desk.close(timer.round),
        }
        if repeat && let Some(proposal) = &self.desk.proposal {
            env.outbox.repeat(Message::Proposal(proposal.clone()));
        }
        self.settle(env, repeat);
    }

    /// There is something to order, or no longer.
    pub fn work(&mut self, env: &mut Env<'_>) {
        if let Some(turn) = self.desk.turn.as_mut().filter(|_| env.work) {
            turn.work_came();
        }
        self.settle(env, false);
    }

    /// The answer to [`Effect::Build`].
    pub fn built(&mut self, env: &mut Env<'_>, round: Round, block: Option<BlockId>) {
        if let Some(turn) = self.desk.turn.as_mut().filter(|turn| turn.round() == round) {
            turn.answered(block);
        }
        self.settle(env, false);
    }

    /// The answer to [`Effect::Check`] and [`Effect::Fetch`].
    pub fn checked(&mut self, env: &mut Env<'_>, round: Round, block: BlockId, verdict: Verdict) {
        let judged = |valid| Entry::Judged {
            height: self.desk.height,
            round,
            proposer: proposer(&self.desk.set, self.desk.height, round),
            block,
            valid,
        };
        let input = match verdict {
            Verdict::Valid => judged(true).input(),
            Verdict::Invalid => judged(false).input(),
            Verdict::Untimely if self.desk.bodies.proposed_in(block) == self.round() => {
                self.give_up_proposal()
            }
            Verdict::Untimely | Verdict::Unavailable => None,
        };
        self.desk.bodies.judged(block, verdict);
        if let Some(input) = input {
            self.drive(env, input);
        }
        self.settle(env, false);
    }

    /// Whether this height began with what an earlier run had logged.
    pub const fn resumed(&self) -> bool {
        self.desk.resumed
    }

    /// Proof of the decision, once there is one.
    pub const fn decided(&self) -> Option<&Certificate> {
        self.desk.decided.as_ref()
    }

    /// Why this instance must not go on.
    pub const fn doubt(&self) -> Option<Reason> {
        self.desk.doubt
    }

    /// The current round.
    pub fn round(&self) -> Option<Round> {
        convert::from_round(self.core.round())
    }

    /// The current step; `None` once decided.
    pub fn step(&self) -> Option<Step> {
        let driver = &self.core.driver;
        match () {
            () if driver.step_is_propose() => Some(Step::Propose),
            () if driver.step_is_prevote() => Some(Step::Prevote),
            () if driver.step_is_precommit() => Some(Step::Precommit),
            () => None,
        }
    }

    /// Cancels every timer: the height is over.
    pub fn end(mut self, outbox: &mut Outbox) {
        self.desk.cancel_all(outbox);
    }

    /// Feeds the core and handles its effects until it rests.
    fn drive(&mut self, env: &mut Env<'_>, input: CoreInput<Ctx>) {
        let Self { core, desk } = self;
        if desk.doubt.is_some() || desk.decided.is_some() {
            return;
        }
        let result: Result<(), CoreError<Ctx>> = process!(
            input: input,
            state: core,
            metrics: &(),
            with: effect => Ok::<_, Infallible>(desk.handle(env, effect))
        );
        if let Err(error) = result {
            let reason = match error {
                CoreError::ReplayDivergence(..) => Reason::ReplayDivergence,
                _ => Reason::Core,
            };
            // Where signing was refused, the core's own error only follows from that.
            desk.doubt.get_or_insert(reason);
        }
    }

    /// After the core has come to rest: what it does not do by itself.
    fn settle(&mut self, env: &mut Env<'_>, repeat: bool) {
        self.take_turn(env);
        self.report(env);
        self.decide_by_tally();
        if self.desk.decided.is_none() {
            let (height, tally) = (self.desk.height, &self.desk.tally);
            for request in self.desk.bodies.requests(height, tally, repeat) {
                env.outbox.request(request);
            }
        }
    }

    /// Proposes what was built, or asks for a block.
    fn take_turn(&mut self, env: &mut Env<'_>) {
        let Some(turn) = &mut self.desk.turn else { return };
        let (height, round) = (self.desk.height, turn.round());
        let in_turn = self.core.round() == convert::to_round(round);
        if !in_turn || !self.core.driver.step_is_propose() {
            self.desk.turn = None;
            return;
        }
        match turn.next(env.work) {
            Move::Wait => {}
            Move::Build { record_only } => {
                // The other half of the timeout is for sending and checking.
                let deadline_ms = env.timeouts.after_ms(TimerKind::Close, round);
                env.outbox.request(Effect::Build { height, round, deadline_ms, record_only });
            }
            Move::Propose(block) => {
                self.desk.turn = None;
                let round = convert::to_round(round);
                let value = LocallyProposedValue::new(At(height), round, Value(block));
                self.drive(env, CoreInput::Propose(value));
            }
        }
    }

    /// A quorum precommitted a block that is here: decided, whether or not its proposal came.
    fn decide_by_tally(&mut self) {
        let desk = &mut self.desk;
        let precommitted = desk.tally.precommitted();
        if precommitted.len() > 1 {
            desk.doubt.get_or_insert(Reason::Fork);
        }
        if let Some((&block, &round)) = precommitted.first_key_value()
            && desk.bodies.is_valid(block)
            && desk.decided.is_none()
        {
            desk.decided = Some(desk.tally.certificate(desk.height, round, block));
        }
    }

    /// Reports what the core found, and did not yet hand over with a decision.
    fn report(&mut self, env: &mut Env<'_>) {
        let driver = &self.core.driver;
        self.desk.report_votes(env.outbox, driver.votes().evidence().iter());
        self.desk.report_proposals(env.outbox, driver.proposals().evidence().iter());
    }

    /// The propose timeout, early: the proposal is here and gets no vote.
    fn give_up_proposal(&self) -> Option<CoreInput<Ctx>> {
        let timeout = core_types::Timeout::propose(self.core.round());
        self.core.driver.step_is_propose().then_some(CoreInput::TimeoutElapsed(timeout))
    }
}

/// Who proposes in `round` of `height`.
pub fn proposer(set: &ValidatorSet, height: Height, round: Round) -> ValidatorIndex {
    use core_types::{Context as _, Validator as _};
    let validators = Validators::from(set);
    Ctx.select_proposer(&validators, At(height), convert::to_round(round)).address().0
}
