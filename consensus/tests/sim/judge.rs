//! What must hold, checked as it happens.

use std::collections::{BTreeMap, BTreeSet};

use consign_consensus::{DoubleVote, Effect, Message, Reason};
use consign_types::block::Height;
use consign_types::certificate::{Certificate, Round, Statement};
use consign_types::codec::Canonical as _;
use consign_types::digest::BlockId;

use super::world::{NodeId, World};

/// Something that must never happen did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Violation {
    /// Two honest nodes committed two blocks at one height.
    Disagreement { height: Height },
    /// An honest node spoke two statements at one place.
    DoubleSign { node: NodeId, height: Height, round: Round },
    /// An own message left before the log was synced.
    SpokenBeforeSync { node: NodeId },
    /// The effects of a step are not in the order of the seam.
    Order { node: NodeId },
    /// A certificate that does not verify.
    BadCertificate { node: NodeId, height: Height },
    /// Evidence that does not verify, or names an honest node.
    BadEvidence { node: NodeId },
    /// An honest node halted.
    Halted { node: NodeId, reason: Reason },
    /// A block was committed that breaks a rule.
    InvalidCommitted { height: Height },
}

/// Collects violations and what there is to count.
#[derive(Debug, Default)]
pub struct Judge {
    pub violations: Vec<Violation>,
    pub byzantine: BTreeSet<NodeId>,
    pub evidence: Vec<DoubleVote>,
    /// How often each kind of effect came, honest nodes or not.
    pub seen: BTreeMap<&'static str, u64>,
    committed: BTreeMap<Height, BlockId>,
    spoken: BTreeMap<(NodeId, Height, Round, u8), Statement>,
}

impl Judge {
    /// A judge who expects nothing of the `byzantine`.
    pub fn new(byzantine: impl IntoIterator<Item = NodeId>) -> Self {
        Self { byzantine: byzantine.into_iter().collect(), ..Self::default() }
    }

    /// The order: truncate, append, one sync, one save, send, requests, commit, reports, halt.
    pub fn step(&mut self, node: NodeId, effects: &[Effect]) {
        let rank = |effect: &Effect| match effect {
            Effect::TruncateLog(_) => 0,
            Effect::Append(_) => 1,
            Effect::Sync => 2,
            Effect::SaveSignState(_) => 3,
            Effect::Send { .. } | Effect::Broadcast(_) => 4,
            Effect::Schedule { .. }
            | Effect::Cancel(_)
            | Effect::Started { .. }
            | Effect::Build { .. }
            | Effect::Check { .. }
            | Effect::Fetch { .. } => 5,
            Effect::Commit { .. } => 6,
            Effect::Report(_) => 7,
            Effect::Halt(_) => 8,
        };
        for effect in effects {
            *self.seen.entry(name(effect)).or_default() += 1;
        }
        let ranks: Vec<_> = effects.iter().map(rank).collect();
        let once = [0, 2, 3, 6].iter().all(|once| ranks.iter().filter(|r| *r == once).count() <= 1);
        if !once || !ranks.is_sorted() {
            self.violate(node, Violation::Order { node });
        }
    }

    /// `node` sends a message; `synced` says whether its log was.
    pub fn speaks(&mut self, world: &World, node: NodeId, message: &Message, synced: bool) {
        let (height, round) = (message.height(), message.round());
        let me = world.index(height, node);
        for (validator, statement, _) in message.statements() {
            if Some(validator) != me {
                continue;
            }
            let step = match statement {
                Statement::Proposal(..) => 0,
                Statement::Prevote(_) => 1,
                Statement::Precommit(_) => 2,
            };
            match self.spoken.get(&(node, height, round, step)) {
                Some(before) if *before != statement => {
                    self.violate(node, Violation::DoubleSign { node, height, round });
                }
                Some(_) => {}
                None => {
                    if !synced {
                        self.violate(node, Violation::SpokenBeforeSync { node });
                    }
                    self.spoken.insert((node, height, round, step), statement);
                }
            }
        }
    }

    pub fn commits(&mut self, world: &World, node: NodeId, block: BlockId, proof: &Certificate) {
        let height = proof.height;
        if proof.block != block || proof.verify(&world.domain, world.set(height)).is_err() {
            self.violate(node, Violation::BadCertificate { node, height });
        }
        if self.byzantine.contains(&node) {
            return;
        }
        if *self.committed.entry(height).or_insert(block) != block {
            self.violate(node, Violation::Disagreement { height });
        }
        if world.bodies.get(&block).is_none_or(|body| body.invalid || body.height != height) {
            self.violate(node, Violation::InvalidCommitted { height });
        }
    }

    pub fn reports(&mut self, world: &World, node: NodeId, evidence: DoubleVote) {
        let named = world.node(evidence.height, evidence.validator);
        let again = DoubleVote::from_bytes(&evidence.to_bytes());
        let holds = evidence.verify(&world.domain).is_ok()
            && again.as_ref() == Ok(&evidence)
            && named.is_some_and(|named| self.byzantine.contains(&named))
            && named.is_some_and(|named| world.keys[named].public() == evidence.key);
        if !holds {
            self.violate(node, Violation::BadEvidence { node });
        }
        self.evidence.push(evidence);
    }

    pub fn halts(&mut self, node: NodeId, reason: Reason) {
        self.violate(node, Violation::Halted { node, reason });
    }

    fn violate(&mut self, node: NodeId, violation: Violation) {
        if !self.byzantine.contains(&node) {
            self.violations.push(violation);
        }
    }
}

/// A name for what can be seen of an effect from outside.
fn name(effect: &Effect) -> &'static str {
    match effect {
        Effect::TruncateLog(_) => "truncate",
        Effect::Append(_) => "append",
        Effect::Sync => "sync",
        Effect::SaveSignState(_) => "save",
        Effect::Send { .. } => "send",
        Effect::Broadcast(Message::Proposal(p)) if p.valid_round.is_some() => "re-proposal",
        Effect::Broadcast(Message::Proposal(_)) => "proposal",
        Effect::Broadcast(Message::Vote(_)) => "vote",
        Effect::Broadcast(Message::Polka(_)) => "polka",
        Effect::Broadcast(Message::Round(_)) => "round certificate",
        Effect::Schedule { .. } => "schedule",
        Effect::Cancel(_) => "cancel",
        Effect::Started { .. } => "started",
        Effect::Build { record_only: true, .. } => "build of the record alone",
        Effect::Build { .. } => "build",
        Effect::Check { fresh: true, .. } => "fresh check",
        Effect::Check { .. } => "check",
        Effect::Fetch { .. } => "fetch",
        Effect::Commit { .. } => "commit",
        Effect::Report(_) => "report",
        Effect::Halt(_) => "halt",
    }
}
