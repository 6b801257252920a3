//! Where an instance handles the effects of the core, one at a time.
//!
//! Signing and verifying are answered on the spot; everything else is put into the [`Outbox`] or noted
//! for when the core has come to rest. What the core asks to keep is what it has verified, so it is
//! here that votes are tallied and proposals are met.

use std::collections::BTreeSet;

use arc_malachitebft_core_consensus::{
    Effect as CoreEffect, Input as CoreInput, Resumable as _, Resume, SignedConsensusMsg,
};
use arc_malachitebft_core_types::{CertificateError, DoubleProposal, DoubleVote, SignedMessage};
use consign_types::block::Height;
use consign_types::certificate::{Certificate, Round, Statement};
use consign_types::codec::Canonical as _;
use consign_types::double_vote;
use consign_types::key::Signature;
use consign_types::validator::{ValidatorIndex, ValidatorSet};

use crate::bodies::Bodies;
use crate::context::{Address, Ctx};
use crate::entry::Entry;
use crate::instance::Env;
use crate::message::{Message, Proposal};
use crate::outbox::Outbox;
use crate::seam::{Reason, Timer, TimerKind, Verdict};
use crate::tally::Tally;
use crate::turn::Turn;
use crate::{convert, verify};

/// Everything but the core, so that the core's effects can be handled while it is borrowed.
pub struct Desk {
    pub height: Height,
    pub set: ValidatorSet,
    /// This node's place, if it signs at this height.
    me: Option<ValidatorIndex>,
    /// The log is being replayed: entries are read, not written.
    pub replaying: bool,
    pub resumed: bool,
    /// Own messages that the log holds.
    recorded: Vec<Entry>,
    pub timers: BTreeSet<Timer>,
    pub tally: Tally,
    pub bodies: Bodies,
    pub turn: Option<Turn>,
    /// The own proposal of the current round, for repetition.
    pub proposal: Option<Proposal>,
    reported: BTreeSet<(ValidatorIndex, Round, Statement, Statement)>,
    pub decided: Option<Certificate>,
    pub doubt: Option<Reason>,
}

impl Desk {
    pub fn new(
        height: Height,
        set: &ValidatorSet,
        me: Option<ValidatorIndex>,
        entries: &[Entry],
    ) -> Self {
        let own = |entry: &&Entry| entry.signed_by().is_some() && entry.signed_by() == me;
        Self {
            height,
            set: set.clone(),
            me,
            replaying: true,
            resumed: !entries.is_empty(),
            recorded: entries.iter().filter(own).cloned().collect(),
            timers: BTreeSet::new(),
            tally: Tally::new(set.quorum()),
            bodies: Bodies::default(),
            turn: None,
            proposal: None,
            reported: BTreeSet::new(),
            decided: None,
            doubt: None,
        }
    }

    /// One effect of the core; every answer it waits for is given on the spot.
    pub fn handle(&mut self, env: &mut Env<'_>, effect: CoreEffect<Ctx>) -> Resume<Ctx> {
        match effect {
            CoreEffect::CancelAllTimeouts(r) => {
                self.cancel_all(env.outbox);
                r.resume_with(())
            }
            CoreEffect::CancelTimeout(timeout, r) => {
                if let Some(timer) = convert::to_timer(self.height, timeout)
                    && self.timers.remove(&timer)
                {
                    env.outbox.cancel(timer);
                }
                r.resume_with(())
            }
            CoreEffect::ScheduleTimeout(timeout, r) => {
                if let Some(timer) = convert::to_timer(self.height, timeout) {
                    self.schedule(env, timer);
                }
                r.resume_with(())
            }
            CoreEffect::StartRound(_, _, _, _, r) => {
                self.turn = None;
                self.proposal = None;
                r.resume_with(())
            }
            CoreEffect::GetValue(_, round, _, r) => {
                self.begin_turn(env, convert::from_round(round).unwrap_or_default());
                r.resume_with(())
            }
            CoreEffect::PublishConsensusMsg(message, r) => {
                if let SignedConsensusMsg::Proposal(proposal) = &message {
                    self.proposal = Some(convert::from_proposal(proposal));
                }
                env.outbox.speak(convert::published(message));
                r.resume_with(())
            }
            CoreEffect::PublishLivenessMsg(message, r) => {
                env.outbox.repeat(convert::liveness(message));
                r.resume_with(())
            }
            CoreEffect::RepublishVote(vote, r) => {
                env.outbox.repeat(Message::Vote(convert::from_vote(&vote)));
                r.resume_with(())
            }
            CoreEffect::RepublishRoundCertificate(certificate, r) => {
                let certificate = convert::from_round_certificate(&certificate);
                env.outbox.repeat(Message::Round(certificate));
                r.resume_with(())
            }
            // Bodies are fetched by who needs them, from the proposer first.
            CoreEffect::RestreamProposal(_, _, _, _, _, r) => r.resume_with(()),
            CoreEffect::SignVote(vote, r) => {
                let (height, round, statement) = convert::vote_statement(&vote);
                match self.sign(env, height, round, &statement) {
                    Some(signature) => r.resume_with(SignedMessage::new(vote, signature)),
                    None => Resume::Continue,
                }
            }
            CoreEffect::SignProposal(proposal, r) => {
                let (height, round, statement) = convert::proposal_statement(&proposal);
                match self.sign(env, height, round, &statement) {
                    Some(signature) => r.resume_with(SignedMessage::new(proposal, signature)),
                    None => Resume::Continue,
                }
            }
            CoreEffect::VerifySignature(message, key, r) => {
                r.resume_with(verify::signed(env.domain, &message, &key))
            }
            CoreEffect::VerifyCommitCertificate(certificate, _, _, r) => {
                let certificate = convert::from_commit(&certificate);
                r.resume_with(match certificate.verify(env.domain, &self.set) {
                    Ok(()) => Ok(()),
                    Err(_) => Err(CertificateError::VerificationError(None)),
                })
            }
            CoreEffect::VerifyPolkaCertificate(certificate, _, _, r) => {
                r.resume_with(verify::polka(env.domain, &self.set, &certificate))
            }
            CoreEffect::VerifyRoundCertificate(certificate, _, _, r) => {
                r.resume_with(verify::round(env.domain, &self.set, &certificate))
            }
            CoreEffect::WalAppend(_, input, r) => {
                self.log(env, &input);
                r.resume_with(())
            }
            CoreEffect::Decide(certificate, _, r) => {
                self.decided = Some(convert::from_commit(&certificate));
                r.resume_with(())
            }
            // What was found in the very input that decided; the next height is the engine's to start.
            CoreEffect::Finalize(_, _, evidence, r) => {
                self.report_votes(env.outbox, evidence.votes.iter());
                self.report_proposals(env.outbox, evidence.proposals.iter());
                r.resume_with(())
            }
            // Catch-up does not go through the core, and vote extensions are off.
            CoreEffect::VerifyExtendedCommitCertificate(_, _, _, _, r) => {
                r.resume_with(Err(CertificateError::VerificationError(None)))
            }
            CoreEffect::CertVerifiedSyncValue(_, _, r) => r.resume_with(()),
            CoreEffect::CertRejectedSyncValue(_, _, _, r) => r.resume_with(()),
            CoreEffect::ExtendVote(_, _, _, _, r) => r.resume_with(None),
            CoreEffect::VerifyVoteExtension(_, _, _, _, _, _, r) => r.resume_with(Ok(())),
        }
    }

    fn sign(
        &mut self,
        env: &mut Env<'_>,
        height: Height,
        round: Round,
        statement: &Statement,
    ) -> Option<Signature> {
        match env.guard.sign(height, round, statement) {
            Ok(signature) => Some(signature),
            Err(reason) => {
                self.doubt.get_or_insert(reason);
                None
            }
        }
    }

    /// What the core keeps is what it has verified: it is written, and looked at here.
    fn log(&mut self, env: &mut Env<'_>, input: &CoreInput<Ctx>) {
        let Some(entry) = Entry::of(self.height, input) else { return };
        let own = entry.signed_by().is_some() && entry.signed_by() == self.me;
        // A replay may sign what the torn tail of the log had lost. That is new, and is written.
        let new = !self.replaying || (own && !self.recorded.contains(&entry));
        if self.me.is_some() && new {
            let frame = env.log.frame(&entry.to_bytes());
            env.outbox.append(frame);
        }
        match &entry {
            Entry::Message(Message::Vote(vote)) => self.tally.add(vote),
            Entry::Message(Message::Polka(polka)) => self.tally.add_polka(polka),
            Entry::Message(Message::Proposal(proposal)) if own => {
                self.turn = self.turn.filter(|turn| turn.round() != proposal.round);
            }
            Entry::Message(Message::Proposal(proposal)) => {
                self.bodies.proposed(proposal, self.replaying);
            }
            Entry::Judged { round, proposer, block, valid, .. } => {
                let verdict = if *valid { Verdict::Valid } else { Verdict::Invalid };
                self.bodies.judged(*block, verdict);
                if Some(*proposer) == self.me
                    && self.replaying
                    && let Some(turn) = &mut self.turn
                    && turn.round() == *round
                {
                    turn.answered(Some(*block));
                }
            }
            Entry::Message(Message::Round(_)) | Entry::Timeout(_) => {}
        }
    }

    fn begin_turn(&mut self, env: &mut Env<'_>, round: Round) {
        self.turn = Some(Turn::new(round));
        self.schedule(env, Timer { height: self.height, round, kind: TimerKind::Close });
    }

    /// Half of the propose timeout is over.
    pub fn close(&mut self, round: Round) {
        if let Some(turn) = self.turn.as_mut().filter(|turn| turn.round() == round) {
            turn.half_over();
        }
    }

    fn schedule(&mut self, env: &mut Env<'_>, timer: Timer) {
        self.timers.insert(timer);
        env.outbox.schedule(timer, env.timeouts.after_ms(timer.kind, timer.round));
    }

    pub fn cancel_all(&mut self, outbox: &mut Outbox) {
        for timer in std::mem::take(&mut self.timers) {
            outbox.cancel(timer);
        }
    }

    /// Reports each pair of votes that was not reported before.
    pub fn report_votes<'a>(
        &mut self,
        outbox: &mut Outbox,
        found: impl Iterator<Item = (&'a Address, &'a Vec<DoubleVote<Ctx>>)>,
    ) {
        for (address, (one, other)) in
            found.flat_map(|(a, pairs)| pairs.iter().map(move |p| (a, p)))
        {
            let (_, round, statement) = convert::vote_statement(&one.message);
            let (_, _, conflicting) = convert::vote_statement(&other.message);
            let (one, other) = ((statement, one.signature), (conflicting, other.signature));
            self.report(outbox, address.0, round, one, other);
        }
    }

    /// Reports each pair of proposals that was not reported before.
    pub fn report_proposals<'a>(
        &mut self,
        outbox: &mut Outbox,
        found: impl Iterator<Item = (&'a Address, &'a Vec<DoubleProposal<Ctx>>)>,
    ) {
        for (address, (one, other)) in
            found.flat_map(|(a, pairs)| pairs.iter().map(move |p| (a, p)))
        {
            let (_, round, statement) = convert::proposal_statement(&one.message);
            let (_, _, conflicting) = convert::proposal_statement(&other.message);
            let (one, other) = ((statement, one.signature), (conflicting, other.signature));
            self.report(outbox, address.0, round, one, other);
        }
    }

    fn report(
        &mut self,
        outbox: &mut Outbox,
        validator: ValidatorIndex,
        round: Round,
        one: (Statement, Signature),
        other: (Statement, Signature),
    ) {
        let Some(key) = self.set.get(validator).map(|v| v.consensus_key) else { return };
        let evidence =
            double_vote::DoubleVote::new((self.height, round), (validator, key), one, other);
        if self.reported.insert((validator, round, evidence.first.0, evidence.second.0)) {
            outbox.report(evidence);
        }
    }
}
