//! The engine seam: everything that passes between the engine and the node that drives it.
//!
//! The effects of one step are to be carried out in order, each before the next: the order carries
//! safety (a vote is on disk before it is spoken). Whatever needs time is answered by a later input.
//! A step never waits and never fails; a doubt about safety comes out as [`Effect::Halt`].

use core::fmt;
use std::sync::Arc;

use consign_types::block::Height;
use consign_types::certificate::{Certificate, Domain, Round};
use consign_types::digest::BlockId;
use consign_types::double_vote::DoubleVote;
use consign_types::key::Signer;
use consign_types::validator::{ValidatorIndex, ValidatorSet};

use crate::message::Message;
use crate::{sign_state, wal};

/// What an engine is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where signatures are valid.
    pub domain: Domain,
    /// The consensus key. A node without one, or whose key is not in the set, follows.
    pub signer: Option<Arc<dyn Signer>>,
    /// How long each part of a round is waited for.
    pub timeouts: Timeouts,
    /// Least milliseconds between the starts of two heights while there is work, until
    /// [`Input::Committed`] says otherwise. The first start after a pause goes at once.
    pub pace_ms: u64,
}

/// How long each part of a round is waited for: `base + step * round`, never above `max_ms`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// For a proposal, before a nil prevote. Building, sending and checking a block all fit in it.
    pub propose_ms: u64,
    /// For a quorum of prevotes on one thing, once there is one on anything.
    pub prevote_ms: u64,
    /// For a quorum of precommits on one thing, once there is one on anything.
    pub precommit_ms: u64,
    /// Between two repetitions of this node's last messages in a round that does not move.
    pub rebroadcast_ms: u64,
    /// What each round adds to each of them.
    pub step_ms: u64,
    /// The bound on all of them.
    pub max_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            propose_ms: 2_000,
            prevote_ms: 500,
            precommit_ms: 500,
            rebroadcast_ms: 2_000,
            step_ms: 250,
            max_ms: 10_000,
        }
    }
}

impl Timeouts {
    /// How long a timer of `kind` waits in `round`.
    pub fn after_ms(&self, kind: TimerKind, round: Round) -> u64 {
        let base_ms = match kind {
            TimerKind::Propose | TimerKind::Close => self.propose_ms,
            TimerKind::Prevote => self.prevote_ms,
            TimerKind::Precommit => self.precommit_ms,
            TimerKind::Rebroadcast | TimerKind::Pace => self.rebroadcast_ms,
        };
        let steps_ms = self.step_ms.saturating_mul(u64::from(round.0));
        let bounded_ms = base_ms.saturating_add(steps_ms).min(self.max_ms);
        if kind == TimerKind::Close { bounded_ms / 2 } else { bounded_ms }
    }
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// Once, first.
    Start {
        /// The last height committed on disk.
        tip: Height,
        /// The validator set in force at `tip + 1`.
        set: ValidatorSet,
        /// What [`wal::recover`] returned.
        log: wal::Recovered,
        /// What [`sign_state::recover`] returned.
        sign_state: sign_state::Recovered,
        /// What others hold of this node's key, if anything: the latest, its signature verified. A
        /// sign-state that does not know it is an old one.
        heard: Option<Box<sign_state::Signed>>,
    },
    /// There is something to order (the pool is not empty), or no longer.
    Work(bool),
    /// A validator says in its status that it has begun this height. Wakes an idle engine, and
    /// keeps one that is far behind from taking part before it has caught up.
    Begun {
        /// Who says so, as the transport authenticated it.
        from: ValidatorIndex,
        /// The last height that it has started.
        height: Height,
    },
    /// A peer's message: decoded, not yet verified.
    Message {
        /// The validator whose connection it came over; bounds what one peer can make this node hold.
        from: ValidatorIndex,
        /// The message.
        message: Message,
    },
    /// A timer rang. One that was cancelled or replaced may still ring: it is ignored.
    Timer(Timer),
    /// The answer to [`Effect::Build`]. The body is durable.
    Built {
        /// As asked.
        height: Height,
        /// As asked.
        round: Round,
        /// The block; `None` where nothing could be built.
        block: Option<BlockId>,
    },
    /// The answer to [`Effect::Check`] and [`Effect::Fetch`]. The body is durable when `Valid`.
    Checked {
        /// As asked.
        height: Height,
        /// As asked.
        round: Round,
        /// As asked.
        block: BlockId,
        /// What came of it.
        verdict: Verdict,
    },
    /// A block that catch-up fetched: executed and its roots compared by the node. The engine checks
    /// the certificate and answers with [`Effect::Commit`]; a bad certificate is ignored.
    Synced {
        /// The block; the certificate must name it.
        block: BlockId,
        /// Proof that it was decided, at `tip + 1`.
        certificate: Certificate,
    },
    /// [`Effect::Commit`] of `height` has been carried out and is on disk.
    Committed {
        /// The height committed.
        height: Height,
        /// The validator set in force at the next height.
        next_set: ValidatorSet,
        /// The pace in force at the next height, milliseconds.
        pace_ms: u64,
    },
}

/// What became of a block's body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Here, durable, and every rule holds.
    Valid,
    /// Here, and breaks a rule: for ever, whoever proposes it.
    Invalid,
    /// Here, every rule holds, but its time is outside the window of this round (only where
    /// [`Effect::Check`] said `fresh`). Gets a nil prevote and may still be decided.
    Untimely,
    /// Not here. Silence, never *invalid*; asked for again while it matters.
    Unavailable,
}

/// What is to be done, in the order given.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// The log restarts for this height: its whole content becomes [`wal::header`] of the height.
    TruncateLog(Height),
    /// These bytes, already framed, go to the end of the log; may be buffered.
    Append(Vec<u8>),
    /// Everything appended reaches the disk. At most once a step.
    Sync,
    /// The slot is written and synced before anything that follows.
    SaveSignState(sign_state::Slot),
    /// To one validator.
    Send {
        /// The receiver.
        to: ValidatorIndex,
        /// The message.
        message: Message,
    },
    /// To all other validators.
    Broadcast(Message),
    /// Ring [`Input::Timer`] after so long; replaces one that is the same.
    Schedule {
        /// Which timer.
        timer: Timer,
        /// Milliseconds from now.
        after_ms: u64,
    },
    /// Not needed any more.
    Cancel(Timer),
    /// The height has begun (for the status that peers are sent).
    Started {
        /// The height.
        height: Height,
    },
    /// Build a block on the tip, make its body durable, answer [`Input::Built`].
    Build {
        /// The height.
        height: Height,
        /// The round.
        round: Round,
        /// Milliseconds from now after which an answer is of no use.
        deadline_ms: u64,
        /// The height was begun and no work is left: a block of the record alone.
        record_only: bool,
    },
    /// Get the body (from the proposer, else from a holder), check it, make it durable, answer
    /// [`Input::Checked`].
    Check {
        /// The height.
        height: Height,
        /// The round of the proposal; the window for block time widens with it.
        round: Round,
        /// Who proposed it in this round.
        proposer: ValidatorIndex,
        /// The block.
        block: BlockId,
        /// Whether block time is judged against the clock: only a proposal made and met for the
        /// first time. Never a re-proposal, never in replay, never once a quorum prevoted it.
        fresh: bool,
        /// Validators that voted for it, so that the honest of them have the body.
        holders: Vec<ValidatorIndex>,
    },
    /// A quorum precommitted a block whose body is not here. As [`Effect::Check`], without the clock.
    Fetch {
        /// The height.
        height: Height,
        /// The round of the quorum.
        round: Round,
        /// The block.
        block: BlockId,
        /// Validators that voted for it.
        holders: Vec<ValidatorIndex>,
    },
    /// Commit durably, then answer [`Input::Committed`]. May come again after a restart: idempotent by
    /// height and block. The certificate is verified.
    Commit {
        /// The block.
        block: BlockId,
        /// Proof that a quorum decided it.
        certificate: Certificate,
    },
    /// One validator signed two conflicting messages. At least once: a replayed log reports again.
    Report(DoubleVote),
    /// A safety doubt ended signing, for good: a restart does not undo it.
    Halt(Reason),
}

/// Something that the engine waits for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Timer {
    /// The height it belongs to.
    pub height: Height,
    /// The round it belongs to; 0 where rounds do not matter.
    pub round: Round,
    /// What is waited for.
    pub kind: TimerKind,
}

/// What a [`Timer`] waits for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TimerKind {
    /// A proposal.
    Propose,
    /// A quorum of prevotes on one thing.
    Prevote,
    /// A quorum of precommits on one thing.
    Precommit,
    /// The next repetition of own messages.
    Rebroadcast,
    /// Work, before the proposer closes the height with a block of the record alone.
    Close,
    /// The next start of a height.
    Pace,
}

/// A message of a round, in the order in which a validator signs them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Step {
    /// The proposal.
    Propose,
    /// The first vote.
    Prevote,
    /// The second vote.
    Precommit,
}

/// Where the engine stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Status {
    /// The height that is decided next or being decided.
    pub height: Height,
    /// The round; `None` while the height has not begun.
    pub round: Option<Round>,
    /// The step; `None` while the height has not begun, or once it is decided.
    pub step: Option<Step>,
    /// The last height begun here.
    pub last_started: Height,
    /// The proposer of the current round; of round 0 while the height has not begun.
    pub proposer: ValidatorIndex,
    /// This node's place in the set in force.
    pub index: Option<ValidatorIndex>,
    /// Whether this node signs.
    pub signing: Signing,
}

/// Whether this node signs at the current height.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Signing {
    /// It does.
    Allowed,
    /// It has no key in the set in force.
    Follower,
    /// Not yet: it may have signed what it no longer knows.
    Quarantined {
        /// The last height at which it stays silent; `None` until the network's height is known.
        through: Option<Height>,
        /// What was lost.
        reason: &'static str,
    },
    /// Not now: too few other validators promise the key to this node. What decides that is the node,
    /// which then runs an engine without a key.
    Unleased {
        /// Another process has it.
        held_elsewhere: bool,
    },
    /// Never again with this sign-state.
    Halted(Reason),
}

/// Why signing ended for good.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The engine was about to sign something else than it had signed before.
    SignConflict,
    /// Replaying the log led to another message than the one that the log says was sent.
    ReplayDivergence,
    /// The log holds a whole entry that cannot be read.
    LogUnreadable,
    /// Two quorums decided two blocks at one height.
    Fork,
    /// The consensus core reported an error that it should never report.
    Core,
    /// A former run halted, for a reason that this version does not know.
    Unknown,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SignConflict => "about to sign against an earlier signature",
            Self::ReplayDivergence => "replay of the log diverged from what was sent",
            Self::LogUnreadable => "a whole entry of the log cannot be read",
            Self::Fork => "two quorums decided two blocks at one height",
            Self::Core => "the consensus core reported an internal error",
            Self::Unknown => "halted by a former run",
        })
    }
}
