//! Which of the blocks of one height are here, and which are to be asked for.
//!
//! A block is asked for once at a time. What could not be had is asked for again when somebody new
//! votes for it or own messages are repeated; what was untimely, when the clock no longer matters.

use std::collections::BTreeMap;

use consign_types::block::Height;
use consign_types::certificate::Round;
use consign_types::digest::BlockId;
use consign_types::validator::ValidatorIndex;

use crate::message::Proposal;
use crate::seam::{Effect, Verdict};
use crate::tally::Tally;

#[derive(Debug, Default)]
pub struct Bodies(BTreeMap<BlockId, Body>);

#[derive(Debug, Default)]
struct Body {
    state: State,
    proposed: Option<Proposed>,
    /// Holders that were named when it was asked for last.
    holders: usize,
    /// Whether the clock was to judge it when it was asked for last.
    fresh: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    /// Not asked for yet, or to be asked for again.
    #[default]
    Wanted,
    Asked,
    Judged(Verdict),
}

#[derive(Clone, Copy, Debug)]
struct Proposed {
    round: Round,
    proposer: ValidatorIndex,
    /// Made and met for the first time, so that the clock may judge it.
    fresh: bool,
}

impl Bodies {
    /// A verified proposal names the block. `replayed` when it came out of the log.
    pub fn proposed(&mut self, proposal: &Proposal, replayed: bool) {
        let body = self.0.entry(proposal.block).or_default();
        if body.proposed.is_none_or(|before| before.round < proposal.round) {
            let (round, proposer) = (proposal.round, proposal.validator);
            let fresh = proposal.valid_round.is_none() && !replayed;
            body.proposed = Some(Proposed { round, proposer, fresh });
            if let State::Judged(Verdict::Untimely | Verdict::Unavailable) = body.state {
                body.state = State::Wanted;
            }
        }
    }

    /// The block was judged, by the node or in the log.
    pub fn judged(&mut self, block: BlockId, verdict: Verdict) {
        let body = self.0.entry(block).or_default();
        // Untimely is no answer where the clock was not asked.
        let unasked = verdict == Verdict::Untimely && !body.fresh;
        if body.state != State::Judged(Verdict::Valid) {
            body.state = State::Judged(if unasked { Verdict::Unavailable } else { verdict });
        }
    }

    pub fn is_valid(&self, block: BlockId) -> bool {
        self.0.get(&block).is_some_and(|body| body.state == State::Judged(Verdict::Valid))
    }

    /// The round in which the block was proposed last.
    pub fn proposed_in(&self, block: BlockId) -> Option<Round> {
        self.0.get(&block)?.proposed.map(|proposed| proposed.round)
    }

    /// What is to be asked for now; `repeat` when own messages are being repeated.
    pub fn requests(&mut self, height: Height, tally: &Tally, repeat: bool) -> Vec<Effect> {
        let precommitted = tally.precommitted();
        for block in precommitted.keys() {
            self.0.entry(*block).or_default();
        }
        let mut requests = Vec::new();
        for (&block, body) in &mut self.0 {
            let holders = tally.holders(block);
            let quorum = tally.has_quorum(block);
            let ask = match body.state {
                State::Wanted => true,
                State::Asked | State::Judged(Verdict::Valid | Verdict::Invalid) => false,
                State::Judged(Verdict::Untimely) => quorum,
                State::Judged(Verdict::Unavailable) => {
                    repeat || (quorum && holders.len() > body.holders)
                }
            };
            if !ask {
                continue;
            }
            (body.holders, body.fresh) = (holders.len(), false);
            requests.push(match (precommitted.get(&block), body.proposed) {
                (Some(&round), _) => Effect::Fetch { height, round, block, holders },
                (None, Some(Proposed { round, proposer, fresh })) => {
                    let fresh = fresh && !quorum;
                    body.fresh = fresh;
                    Effect::Check { height, round, proposer, block, fresh, holders }
                }
                (None, None) => continue,
            });
            body.state = State::Asked;
        }
        requests
    }
}
