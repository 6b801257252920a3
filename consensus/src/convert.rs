//! Between our wire types and the core's.
//!
//! Total in both directions: what a peer sends always converts, and says nothing about whether it
//! holds. A nil round of the core is `None` here.

use arc_malachitebft_core_consensus::{LivenessMsg, SignedConsensusMsg};
use arc_malachitebft_core_types as core_types;
use consign_types::block::Height;
use consign_types::certificate::{Certificate, Round, Statement};
use consign_types::digest::BlockId;
use consign_types::validator::ValidatorIndex;
use core_types::{
    CommitCertificate, NilOrVal, PolkaSignature, RoundCertificateType, RoundSignature,
    SignedMessage, SignedProposal, SignedVote, Timeout, TimeoutKind, VoteType,
};

use crate::context::{self, Address, At, Ctx, Value};
use crate::message::{
    Message, PolkaCertificate, Proposal, RoundCertificate, RoundReason, Vote, VoteKind,
};
use crate::seam::{Timer, TimerKind};

/// The core's input of a peer's message.
pub fn input(message: &Message) -> arc_malachitebft_core_consensus::Input<Ctx> {
    use arc_malachitebft_core_consensus::Input;
    match message {
        Message::Proposal(m) => Input::Proposal(to_proposal(m)),
        Message::Vote(m) => Input::Vote(to_vote(m)),
        Message::Polka(m) => Input::PolkaCertificate(to_polka(m)),
        Message::Round(m) => Input::RoundCertificate(to_round_certificate(m)),
    }
}

/// The message that the core publishes.
pub fn published(message: SignedConsensusMsg<Ctx>) -> Message {
    match message {
        SignedConsensusMsg::Vote(vote) => Message::Vote(from_vote(&vote)),
        SignedConsensusMsg::Proposal(proposal) => Message::Proposal(from_proposal(&proposal)),
    }
}

/// The message that the core publishes so that others advance.
pub fn liveness(message: LivenessMsg<Ctx>) -> Message {
    match message {
        LivenessMsg::Vote(vote) => Message::Vote(from_vote(&vote)),
        LivenessMsg::PolkaCertificate(polka) => Message::Polka(from_polka(&polka)),
        LivenessMsg::SkipRoundCertificate(certificate) => {
            Message::Round(from_round_certificate(&certificate))
        }
    }
}

pub fn to_round(round: Round) -> core_types::Round {
    core_types::Round::new(round.0)
}

pub fn from_round(round: core_types::Round) -> Option<Round> {
    round.as_u32().map(Round)
}

/// A round that the core has entered.
fn entered(round: core_types::Round) -> Round {
    from_round(round).unwrap_or_default()
}

fn to_value(block: Option<BlockId>) -> NilOrVal<BlockId> {
    block.map_or(NilOrVal::Nil, NilOrVal::Val)
}

fn from_value(value: &NilOrVal<BlockId>) -> Option<BlockId> {
    match value {
        NilOrVal::Nil => None,
        NilOrVal::Val(block) => Some(*block),
    }
}

fn to_kind(kind: VoteKind) -> VoteType {
    match kind {
        VoteKind::Prevote => VoteType::Prevote,
        VoteKind::Precommit => VoteType::Precommit,
    }
}

fn from_kind(kind: VoteType) -> VoteKind {
    match kind {
        VoteType::Prevote => VoteKind::Prevote,
        VoteType::Precommit => VoteKind::Precommit,
    }
}

/// Height, round and statement of a vote.
pub fn vote_statement(vote: &context::Vote) -> (Height, Round, Statement) {
    let statement = from_kind(vote.kind).statement(from_value(&vote.value));
    (vote.height.0, entered(vote.round), statement)
}

/// Height, round and statement of a proposal.
pub fn proposal_statement(proposal: &context::Proposal) -> (Height, Round, Statement) {
    let statement = Statement::Proposal(proposal.value.0, from_round(proposal.valid_round));
    (proposal.height.0, entered(proposal.round), statement)
}

pub fn to_vote(m: &Vote) -> SignedVote<Ctx> {
    let vote = context::Vote {
        kind: to_kind(m.kind),
        height: At(m.height),
        round: to_round(m.round),
        value: to_value(m.block),
        address: Address(m.validator),
    };
    SignedMessage::new(vote, m.signature)
}

pub fn from_vote(vote: &SignedVote<Ctx>) -> Vote {
    Vote {
        height: vote.message.height.0,
        round: entered(vote.message.round),
        kind: from_kind(vote.message.kind),
        block: from_value(&vote.message.value),
        validator: vote.message.address.0,
        signature: vote.signature,
    }
}

pub fn to_proposal(m: &Proposal) -> SignedProposal<Ctx> {
    let proposal = context::Proposal {
        height: At(m.height),
        round: to_round(m.round),
        value: Value(m.block),
        valid_round: m.valid_round.map_or(core_types::Round::Nil, to_round),
        address: Address(m.validator),
    };
    SignedMessage::new(proposal, m.signature)
}

pub fn from_proposal(proposal: &SignedProposal<Ctx>) -> Proposal {
    Proposal {
        height: proposal.message.height.0,
        round: entered(proposal.message.round),
        block: proposal.message.value.0,
        valid_round: from_round(proposal.message.valid_round),
        validator: proposal.message.address.0,
        signature: proposal.signature,
    }
}

fn to_polka(m: &PolkaCertificate) -> core_types::PolkaCertificate<Ctx> {
    let signature = |(v, s): &(ValidatorIndex, _)| PolkaSignature::new(Address(*v), *s);
    core_types::PolkaCertificate {
        height: At(m.height),
        round: to_round(m.round),
        value_id: m.block,
        polka_signatures: m.prevotes.iter().map(signature).collect(),
    }
}

pub fn from_polka(polka: &core_types::PolkaCertificate<Ctx>) -> PolkaCertificate {
    PolkaCertificate {
        height: polka.height.0,
        round: entered(polka.round),
        block: polka.value_id,
        prevotes: polka.polka_signatures.iter().map(|s| (s.address.0, s.signature)).collect(),
    }
}

fn to_round_certificate(m: &RoundCertificate) -> core_types::RoundCertificate<Ctx> {
    let votes = m.votes.iter().map(|(kind, block, validator, signature)| {
        RoundSignature::new(to_kind(*kind), to_value(*block), Address(*validator), *signature)
    });
    core_types::RoundCertificate {
        height: At(m.height),
        round: to_round(m.round),
        cert_type: match m.reason {
            RoundReason::Skip => RoundCertificateType::Skip,
            RoundReason::Precommits => RoundCertificateType::Precommit,
        },
        round_signatures: votes.collect(),
    }
}

pub fn from_round_certificate(certificate: &core_types::RoundCertificate<Ctx>) -> RoundCertificate {
    let votes = certificate.round_signatures.iter().map(|vote| {
        let (kind, block) = (from_kind(vote.vote_type), from_value(&vote.value_id));
        (kind, block, vote.address.0, vote.signature)
    });
    RoundCertificate {
        height: certificate.height.0,
        round: entered(certificate.round),
        reason: match certificate.cert_type {
            RoundCertificateType::Skip => RoundReason::Skip,
            RoundCertificateType::Precommit => RoundReason::Precommits,
        },
        votes: votes.collect(),
    }
}

/// The certificate of a decision, its signers in order.
pub fn from_commit(certificate: &CommitCertificate<Ctx>) -> Certificate {
    let signatures = certificate.commit_signatures.iter();
    let mut precommits: Vec<_> = signatures.map(|s| (s.address.0, s.signature)).collect();
    precommits.sort_unstable();
    Certificate {
        height: certificate.height.0,
        round: entered(certificate.round),
        block: certificate.value_id,
        precommits,
    }
}

/// The core's timeout of a timer; `None` for the timers that are ours alone.
pub fn to_timeout(timer: Timer) -> Option<Timeout> {
    let kind = match timer.kind {
        TimerKind::Propose => TimeoutKind::Propose,
        TimerKind::Prevote => TimeoutKind::Prevote,
        TimerKind::Precommit => TimeoutKind::Precommit,
        TimerKind::Rebroadcast => TimeoutKind::Rebroadcast,
        TimerKind::Close | TimerKind::Pace => return None,
    };
    Some(Timeout::new(to_round(timer.round), kind))
}

/// The timer of a timeout; `None` for the one that needs `target_time`, which is never set.
pub fn to_timer(height: Height, timeout: Timeout) -> Option<Timer> {
    let kind = match timeout.kind {
        TimeoutKind::Propose => TimerKind::Propose,
        TimeoutKind::Prevote => TimerKind::Prevote,
        TimeoutKind::Precommit => TimerKind::Precommit,
        TimeoutKind::Rebroadcast => TimerKind::Rebroadcast,
        TimeoutKind::FinalizeHeight(_) => return None,
    };
    Some(Timer { height, round: entered(timeout.round), kind })
}
