//! What this validator signed last: the guard against signing two things at one place.
//!
//! Two slots of a fixed size hold it, each with a counter and a checksum. A save goes to the slot that
//! does not hold the newest state, so a torn write leaves the one before; and as the log is synced
//! first, what a torn save loses is found in the log. The state is checked before each signature:
//! the same statement may be signed again, a later place may be signed, nothing else.
//!
//! It is never part of a backup: an old state permits what was signed since. Where it is gone, the
//! engine stays in quarantine (see [`Recovered`]).

use consign_types::block::{Epoch, Height};
use consign_types::certificate::{Round, Statement};
use consign_types::digest::{BlockId, Digest};

use crate::seam::{Reason, Step};

/// Bytes of a slot. Keep the two on different disk sectors.
pub const SLOT_BYTES: usize = 192;
const CHECKED_BYTES: usize = SLOT_BYTES - 32;
const MAGIC: &[u8; 8] = b"CNSSIGN1";

/// One slot to be written and synced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slot {
    /// Which of the two: 0 or 1.
    pub index: u8,
    /// Its whole content.
    pub bytes: [u8; SLOT_BYTES],
}

/// What the two slots hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Recovered {
    /// Neither was ever written. A node whose chain is at genesis begins with this; any other has
    /// lost it.
    Absent,
    /// There were bytes and neither slot holds: what was signed is not known.
    Unreadable,
    /// The newer of what holds.
    Found(SignState),
}

/// The last statement signed, the lock, and whether signing ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignState {
    counter: u64,
    epoch: Epoch,
    signed: Option<Signed>,
    lock: Option<Lock>,
    halted: Option<Reason>,
}

/// A statement that was signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Signed {
    /// Its height.
    pub height: Height,
    /// Its round.
    pub round: Round,
    /// Its step.
    pub step: Step,
    /// The block it is about; `None` is nil.
    pub block: Option<BlockId>,
    /// SHA-256 of the bytes under the signature.
    pub statement: Digest,
}

/// The last precommit for a block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lock {
    /// Its height.
    pub height: Height,
    /// Its round.
    pub round: Round,
    /// The block.
    pub block: BlockId,
}

/// The statement stands at or below what was signed and is not the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("another statement was signed at this place, or a later one was")]
pub struct Conflict;

/// Reads the two slots, in order; an absent one is empty.
pub fn recover(slots: [&[u8]; 2]) -> Recovered {
    let found = slots.into_iter().filter_map(SignState::read).max_by_key(|state| state.counter);
    match found {
        Some(state) => Recovered::Found(state),
        None if slots.iter().all(|slot| slot.is_empty()) => Recovered::Absent,
        None => Recovered::Unreadable,
    }
}

impl SignState {
    /// The state of a key that has signed nothing. An operator who makes a key writes this.
    pub const fn fresh(epoch: Epoch) -> Self {
        Self { counter: 0, epoch, signed: None, lock: None, halted: None }
    }

    /// The slot to be written: the one that the state before is not in.
    pub fn slot(&self) -> Slot {
        Slot { index: (self.counter % 2) as u8, bytes: self.to_bytes() }
    }

    /// The incarnation of the network that this is about.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The last statement signed.
    pub const fn signed(&self) -> Option<&Signed> {
        self.signed.as_ref()
    }

    /// The last precommit for a block.
    pub const fn lock(&self) -> Option<&Lock> {
        self.lock.as_ref()
    }

    /// Why signing ended for good, if it did.
    pub const fn halted(&self) -> Option<Reason> {
        self.halted
    }

    /// The state once `next` is signed; `None` when the same bytes were signed before, so that nothing
    /// needs to be saved.
    ///
    /// # Errors
    /// When another statement stands at this place, or any at a later one.
    pub fn advance(&self, next: Signed) -> Result<Option<Self>, Conflict> {
        match &self.signed {
            Some(last) if last.place() > next.place() => return Err(Conflict),
            Some(last) if last.place() == next.place() => {
                return if last.statement == next.statement { Ok(None) } else { Err(Conflict) };
            }
            _ => {}
        }
        let lock = match (next.step, next.block) {
            (Step::Precommit, Some(block)) => {
                Some(Lock { height: next.height, round: next.round, block })
            }
            _ => self.lock,
        };
        let counter = self.counter + 1;
        Ok(Some(Self { counter, signed: Some(next), lock, ..self.clone() }))
    }

    /// The state once signing has ended for `reason`.
    #[must_use]
    pub fn halt(&self, reason: Reason) -> Self {
        Self { counter: self.counter + 1, halted: Some(reason), ..self.clone() }
    }

    fn to_bytes(&self) -> [u8; SLOT_BYTES] {
        let mut to = Vec::with_capacity(SLOT_BYTES);
        to.extend_from_slice(MAGIC);
        to.extend_from_slice(&self.counter.to_be_bytes());
        to.extend_from_slice(&self.epoch.0.to_be_bytes());
        match &self.signed {
            None => to.extend_from_slice(&[0; 78]),
            Some(signed) => {
                to.push(1 + signed.step as u8);
                to.extend_from_slice(&signed.height.0.to_be_bytes());
                to.extend_from_slice(&signed.round.0.to_be_bytes());
                to.extend_from_slice(signed.statement.as_bytes());
                to.push(u8::from(signed.block.is_some()));
                to.extend_from_slice(signed.block.unwrap_or_default().as_bytes());
            }
        }
        match &self.lock {
            None => to.extend_from_slice(&[0; 45]),
            Some(lock) => {
                to.push(1);
                to.extend_from_slice(&lock.height.0.to_be_bytes());
                to.extend_from_slice(&lock.round.0.to_be_bytes());
                to.extend_from_slice(lock.block.as_bytes());
            }
        }
        to.push(self.halted.map_or(0, Reason::code));
        to.resize(CHECKED_BYTES, 0);
        let checksum = checksum(&to);
        to.extend_from_slice(checksum.as_bytes());
        to.try_into().expect("the layout fills a slot exactly")
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SLOT_BYTES] = bytes.try_into().ok()?;
        let (checked, sum) = bytes.split_at_checked(CHECKED_BYTES)?;
        if checksum(checked).as_bytes() != sum {
            return None;
        }
        let mut from = Fields(checked);
        if from.take::<8>()? != *MAGIC {
            return None;
        }
        let (counter, epoch) = (from.u64()?, Epoch(from.u64()?));
        let step = from.u8()?;
        let (height, round) = (Height(from.u64()?), Round(from.u32()?));
        let statement = Digest(from.take()?);
        let block = from.optional_block()?;
        let signed = match step {
            0 => None,
            1 => Some(Step::Propose),
            2 => Some(Step::Prevote),
            3 => Some(Step::Precommit),
            _ => return None,
        }
        .map(|step| Signed { height, round, step, block, statement });
        let (locked, height, round) = (from.u8()?, Height(from.u64()?), Round(from.u32()?));
        let block = BlockId(Digest(from.take()?));
        let lock = (locked == 1).then_some(Lock { height, round, block });
        let halted = match from.u8()? {
            0 => None,
            code => Some(Reason::from_code(code)),
        };
        Some(Self { counter, epoch, signed, lock, halted })
    }
}

impl Signed {
    /// What is signed when `statement` is made at this height and round, as `bytes`.
    pub fn new(height: Height, round: Round, statement: &Statement, bytes: &[u8]) -> Self {
        let (step, block) = match statement {
            Statement::Proposal(block, _) => (Step::Propose, Some(*block)),
            Statement::Prevote(block) => (Step::Prevote, *block),
            Statement::Precommit(block) => (Step::Precommit, *block),
        };
        Self { height, round, step, block, statement: Digest::of(&[bytes]) }
    }

    /// Where it stands in the order in which an honest validator signs.
    pub const fn place(&self) -> (Height, Round, Step) {
        (self.height, self.round, self.step)
    }
}

impl Reason {
    const fn code(self) -> u8 {
        match self {
            Self::SignConflict => 1,
            Self::ReplayDivergence => 2,
            Self::LogUnreadable => 3,
            Self::Fork => 4,
            Self::Core => 5,
            Self::Unknown => 255,
        }
    }

    const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::SignConflict,
            2 => Self::ReplayDivergence,
            3 => Self::LogUnreadable,
            4 => Self::Fork,
            5 => Self::Core,
            _ => Self::Unknown,
        }
    }
}

fn checksum(checked: &[u8]) -> Digest {
    Digest::of(&[b"consign/sign-state/v1\0", checked])
}

/// The rest of a slot, read from the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn optional_block(&mut self) -> Option<Option<BlockId>> {
        let present = self.u8()?;
        let block = BlockId(Digest(self.take()?));
        Some((present == 1).then_some(block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: BlockId = BlockId(Digest([7; 32]));

    fn signed(height: u64, round: u32, statement: Statement) -> Signed {
        let bytes = format!("{height}/{round}/{statement:?}").into_bytes();
        Signed::new(Height(height), Round(round), &statement, &bytes)
    }

    fn after(statements: &[Signed]) -> SignState {
        let fresh = SignState::fresh(Epoch(0));
        statements.iter().fold(fresh, |state, next| state.advance(*next).unwrap().unwrap())
    }

    #[test]
    fn only_later_places_and_the_same_bytes_may_be_signed() {
        let state = after(&[signed(5, 1, Statement::Prevote(Some(BLOCK)))]);
        let (again, nil) = (Statement::Prevote(Some(BLOCK)), Statement::Prevote(None));
        let precommit = Statement::Precommit(None);
        let proposal = Statement::Proposal(BLOCK, None);
        let table = [
            ((5, 1, again), Ok(false)),
            ((5, 1, precommit), Ok(true)),
            ((5, 2, proposal), Ok(true)),
            ((6, 0, nil), Ok(true)),
            ((5, 1, nil), Err(Conflict)),
            ((5, 1, proposal), Err(Conflict)),
            ((5, 0, precommit), Err(Conflict)),
            ((4, 9, precommit), Err(Conflict)),
        ];
        for ((height, round, statement), expected) in table {
            let next = signed(height, round, statement);
            let found = state.advance(next).map(|state| state.is_some());
            assert_eq!(found, expected, "{height}/{round} {statement:?}");
        }
    }

    #[test]
    fn the_lock_is_the_last_precommit_for_a_block() {
        let state = after(&[
            signed(5, 0, Statement::Precommit(Some(BLOCK))),
            signed(5, 1, Statement::Prevote(Some(BLOCK))),
            signed(5, 1, Statement::Precommit(None)),
        ]);
        let lock = Lock { height: Height(5), round: Round(0), block: BLOCK };
        assert_eq!(state.lock(), Some(&lock));
    }

    #[test]
    fn the_newer_slot_wins_and_saves_alternate() {
        let older = after(&[signed(1, 0, Statement::Prevote(None))]);
        let newer = older.advance(signed(1, 0, Statement::Precommit(None))).unwrap().unwrap();
        let halted = newer.halt(Reason::Fork);
        assert_eq!((older.slot().index, newer.slot().index, halted.slot().index), (1, 0, 1));
        let (a, b) = (newer.slot().bytes, older.slot().bytes);
        assert_eq!(recover([&a, &b]), Recovered::Found(newer.clone()));
        assert_eq!(recover([&a, &halted.slot().bytes]), Recovered::Found(halted));
        assert_eq!(recover([&a, &[]]), Recovered::Found(newer));
    }

    #[test]
    fn a_slot_torn_or_flipped_anywhere_leaves_the_one_before() {
        let older = after(&[signed(1, 0, Statement::Prevote(None))]);
        let newer =
            older.advance(signed(1, 0, Statement::Precommit(Some(BLOCK)))).unwrap().unwrap();
        let (a, b) = (newer.slot().bytes, older.slot().bytes);
        for at in 0..SLOT_BYTES {
            assert_eq!(recover([&a[..at], &b]), Recovered::Found(older.clone()), "cut at {at}");
            for bit in 0..8 {
                let mut flipped = a;
                flipped[at] ^= 1 << bit;
                let found = recover([&flipped, &b]);
                assert_eq!(found, Recovered::Found(older.clone()), "bit {bit} of byte {at}");
            }
            // A write that stopped half way: new bytes, then what the slot held before.
            let mut half = a;
            half[at..].fill(0xff);
            assert_eq!(recover([&half, &b]), Recovered::Found(older.clone()), "half at {at}");
        }
    }

    #[test]
    fn nothing_written_is_told_from_something_lost() {
        assert_eq!(recover([&[], &[]]), Recovered::Absent);
        assert_eq!(recover([&[0; SLOT_BYTES], &[]]), Recovered::Unreadable);
        assert_eq!(recover([&[1, 2], &[3]]), Recovered::Unreadable);
    }
}
