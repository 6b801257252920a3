//! The effects of one step, put in the one order that is safe.
//!
//! The core yields effects as its rules fire: a decision before the precommit that completes it, a
//! vote before the timer of its round. Here they are collected and leave as: log, one sync, sign-state,
//! messages, requests and timers, commit, reports. A step that halts speaks of nothing else.

use consign_types::block::Height;
use consign_types::certificate::{Certificate, Round};
use consign_types::digest::BlockId;
use consign_types::double_vote::DoubleVote;
use consign_types::validator::ValidatorIndex;

use crate::message::{Message, VoteKind};
use crate::seam::{Effect, Reason, Timer};
use crate::sign_state::Slot;

#[derive(Debug, Default)]
pub struct Outbox {
    truncate: Option<Height>,
    appends: Vec<Vec<u8>>,
    /// Own messages of this step rest on the log.
    speaks: bool,
    slot: Option<Slot>,
    answers: Vec<(ValidatorIndex, Message)>,
    messages: Vec<Message>,
    requests: Vec<Effect>,
    commit: Option<(BlockId, Certificate)>,
    reports: Vec<DoubleVote>,
    halt: Option<Reason>,
}

impl Outbox {
    pub fn truncate(&mut self, height: Height) {
        self.truncate = Some(height);
    }

    pub fn append(&mut self, frame: Vec<u8>) {
        self.appends.push(frame);
    }

    /// A message made in this step or read back from the log: the log is synced before it leaves.
    pub fn speak(&mut self, message: Message) {
        self.speaks = true;
        self.messages.push(message);
    }

    /// A message made of what was spoken before.
    pub fn repeat(&mut self, message: Message) {
        self.messages.push(message);
    }

    /// A message of others' signatures for one validator.
    pub fn answer(&mut self, to: ValidatorIndex, message: Message) {
        self.answers.push((to, message));
    }

    pub fn save(&mut self, slot: Slot) {
        self.slot = Some(slot);
    }

    pub fn schedule(&mut self, timer: Timer, after_ms: u64) {
        self.requests.push(Effect::Schedule { timer, after_ms });
    }

    pub fn cancel(&mut self, timer: Timer) {
        self.requests.push(Effect::Cancel(timer));
    }

    pub fn request(&mut self, effect: Effect) {
        self.requests.push(effect);
    }

    pub fn commit(&mut self, block: BlockId, certificate: Certificate) {
        self.commit = Some((block, certificate));
    }

    pub fn report(&mut self, evidence: DoubleVote) {
        self.reports.push(evidence);
    }

    pub fn halt(&mut self, reason: Reason) {
        self.halt = Some(reason);
    }

    pub const fn halts(&self) -> bool {
        self.halt.is_some()
    }

    /// The effects, in order. `unsynced` says whether the log has entries that no sync has covered.
    pub fn into_effects(mut self, unsynced: &mut bool) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(reason) = self.halt {
            effects.extend(self.slot.map(Effect::SaveSignState));
            effects.extend(self.requests.into_iter().filter(|e| matches!(e, Effect::Cancel(_))));
            effects.extend(self.reports.into_iter().map(Effect::Report));
            effects.push(Effect::Halt(reason));
            return effects;
        }
        *unsynced |= !self.appends.is_empty();
        effects.extend(self.truncate.map(Effect::TruncateLog));
        effects.extend(self.appends.into_iter().map(Effect::Append));
        if *unsynced && (self.speaks || self.slot.is_some() || self.commit.is_some()) {
            effects.push(Effect::Sync);
            *unsynced = false;
        }
        effects.extend(self.slot.map(Effect::SaveSignState));
        // The core publishes what follows from a vote before the vote.
        self.messages.sort_by_key(order_within_a_height);
        let answers = self.answers.into_iter();
        effects.extend(answers.map(|(to, message)| Effect::Send { to, message }));
        effects.extend(self.messages.into_iter().map(Effect::Broadcast));
        effects.extend(self.requests);
        effects
            .extend(self.commit.map(|(block, certificate)| Effect::Commit { block, certificate }));
        effects.extend(self.reports.into_iter().map(Effect::Report));
        effects
    }
}

/// By round, and what justifies a message before it.
fn order_within_a_height(message: &Message) -> (Round, u8) {
    let step = match message {
        Message::Round(_) | Message::Polka(_) => 0,
        Message::Proposal(_) => 1,
        Message::Vote(vote) if vote.kind == VoteKind::Prevote => 2,
        Message::Vote(_) => 3,
    };
    (message.round(), step)
}
