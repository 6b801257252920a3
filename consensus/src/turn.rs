//! The proposer's turn: what it does between the start of its round and its proposal.
//!
//! With work it asks for a block at once. Without, it waits for work through half of the propose
//! timeout and then closes the height, which somebody has begun, with a block of the record alone.

use consign_types::certificate::Round;
use consign_types::digest::BlockId;

#[derive(Clone, Copy, Debug)]
pub struct Turn {
    round: Round,
    built: Option<BlockId>,
    /// An answer to a request for a block is awaited.
    asked: bool,
    /// The work that there was is gone.
    refused: bool,
    /// Half of the propose timeout is over.
    closing: bool,
    /// A block of the record alone was asked for.
    closed: bool,
}

/// What is to be done in a turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Move {
    Propose(BlockId),
    Build { record_only: bool },
    Wait,
}

impl Turn {
    pub const fn new(round: Round) -> Self {
        let (asked, refused, closing, closed) = (false, false, false, false);
        Self { round, built: None, asked, refused, closing, closed }
    }

    pub const fn round(&self) -> Round {
        self.round
    }

    /// The answer came: a block, or that there is nothing to build.
    pub const fn answered(&mut self, block: Option<BlockId>) {
        self.asked = false;
        self.built = block;
        self.refused = block.is_none();
    }

    /// There is work, or new work.
    pub const fn work_came(&mut self) {
        self.refused = false;
    }

    /// Half of the propose timeout is over.
    pub const fn half_over(&mut self) {
        self.closing = true;
    }

    /// The next move; a request for a block is made only once until it is answered.
    pub const fn next(&mut self, work: bool) -> Move {
        if let Some(block) = self.built {
            return Move::Propose(block);
        }
        let ordinary = work && !self.refused;
        let record_only = !ordinary && self.closing && !self.closed;
        if self.asked || !(ordinary || record_only) {
            return Move::Wait;
        }
        self.asked = true;
        self.closed |= record_only;
        Move::Build { record_only }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_types::digest::Digest;

    const BLOCK: BlockId = BlockId(Digest([1; 32]));

    #[test]
    fn with_work_a_block_is_asked_for_once_and_proposed() {
        let mut turn = Turn::new(Round(0));
        assert_eq!(turn.next(true), Move::Build { record_only: false });
        assert_eq!(turn.next(true), Move::Wait);
        turn.answered(Some(BLOCK));
        assert_eq!(turn.next(true), Move::Propose(BLOCK));
    }

    #[test]
    fn without_work_the_height_is_closed_at_half_time_and_not_before() {
        let mut turn = Turn::new(Round(0));
        assert_eq!(turn.next(false), Move::Wait);
        turn.half_over();
        assert_eq!(turn.next(false), Move::Build { record_only: true });
        turn.answered(None);
        assert_eq!(turn.next(false), Move::Wait, "nothing could be built: silence");
        turn.work_came();
        assert_eq!(turn.next(true), Move::Build { record_only: false });
    }

    /// The pool is not empty, but what is in it does not fit: it must not keep the height open.
    #[test]
    fn work_that_cannot_be_built_closes_the_height_too() {
        let mut turn = Turn::new(Round(0));
        assert_eq!(turn.next(true), Move::Build { record_only: false });
        turn.half_over();
        turn.answered(None);
        assert_eq!(turn.next(true), Move::Build { record_only: true });
    }
}
