//! The votes for blocks that were verified at one height.
//!
//! Kept beside the core's own count for two things that the core has no effect for: who holds a body,
//! and that a quorum precommitted a block which is not here. A validator that votes twice counts for
//! both: each quorum found here is one that everybody accepts.

use std::collections::{BTreeMap, BTreeSet};

use consign_types::block::Height;
use consign_types::certificate::{Certificate, Round};
use consign_types::digest::BlockId;
use consign_types::key::Signature;
use consign_types::validator::ValidatorIndex;

use crate::message::{PolkaCertificate, Vote, VoteKind};

#[derive(Debug)]
pub struct Tally {
    quorum: usize,
    votes: BTreeMap<(VoteKind, Round, BlockId), BTreeMap<ValidatorIndex, Signature>>,
}

impl Tally {
    pub const fn new(quorum: usize) -> Self {
        Self { quorum, votes: BTreeMap::new() }
    }

    pub fn add(&mut self, vote: &Vote) {
        if let Some(block) = vote.block {
            let votes = self.votes.entry((vote.kind, vote.round, block)).or_default();
            votes.entry(vote.validator).or_insert(vote.signature);
        }
    }

    pub fn add_polka(&mut self, polka: &PolkaCertificate) {
        let key = (VoteKind::Prevote, polka.round, polka.block);
        self.votes.entry(key).or_default().extend(polka.prevotes.iter().copied());
    }

    pub fn add_decision(&mut self, decision: &Certificate) {
        let key = (VoteKind::Precommit, decision.round, decision.block);
        self.votes.entry(key).or_default().extend(decision.precommits.iter().copied());
    }

    /// Validators that voted for `block`: the honest of them have it.
    pub fn holders(&self, block: BlockId) -> Vec<ValidatorIndex> {
        let votes = self.votes.iter().filter(|((_, _, of), _)| *of == block);
        let holders: BTreeSet<_> = votes.flat_map(|(_, votes)| votes.keys().copied()).collect();
        holders.into_iter().collect()
    }

    /// Whether a quorum voted for `block` in one round.
    pub fn has_quorum(&self, block: BlockId) -> bool {
        self.votes.iter().any(|((_, _, of), votes)| *of == block && votes.len() >= self.quorum)
    }

    /// The blocks that a quorum precommitted, with the first round in which it did.
    pub fn precommitted(&self) -> BTreeMap<BlockId, Round> {
        let mut blocks = BTreeMap::new();
        for ((kind, round, block), votes) in &self.votes {
            if *kind == VoteKind::Precommit && votes.len() >= self.quorum {
                blocks.entry(*block).or_insert(*round);
            }
        }
        blocks
    }

    /// The precommits for `block` in `round`.
    pub fn certificate(&self, height: Height, round: Round, block: BlockId) -> Certificate {
        let votes = self.votes.get(&(VoteKind::Precommit, round, block));
        let precommits = votes.into_iter().flatten().map(|(v, s)| (*v, *s)).collect();
        Certificate { height, round, block, precommits }
    }
}
