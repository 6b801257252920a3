//! What members decided, and what they are deciding: the entries of governance.

use alloc::boxed::Box;
use alloc::vec::Vec;

use consign_types::block::Height;
use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::EventId;
use consign_types::event::{Action, Event};
use consign_types::governance::Motion;
use consign_types::limits::{EVENT_BYTES_MAX, MEMBERS_MAX, MOTIONS_IN_ALL_MAX};
use consign_types::party::PartyId;
use consign_types::time::Millis;
use consign_types::validator::quorum;

/// How many of `members` must approve: `floor(2n/3) + 1`, as of validators.
pub const fn approvals_needed(members: usize) -> usize {
    quorum(members)
}

/// Who is a member, and which proposals wait.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Governance {
    /// The members, ascending.
    pub members: Vec<PartyId>,
    /// How many proposals there ever were.
    pub proposals: u32,
    /// Proposals that are voted on, oldest first.
    pub open: Vec<EventId>,
    /// Proposals that are decided and not yet in force, oldest first.
    pub due: Vec<EventId>,
}

impl Governance {
    /// Proposals that may still come in force, as they are now: those that are voted on, then those that are decided.
    pub fn waiting(&self) -> Vec<EventId> {
        self.open.iter().chain(&self.due).copied().collect()
    }
}

/// A proposal and its votes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proposal {
    /// Which of the network's proposals it is, from 1.
    pub number: u32,
    /// Who made it.
    pub by: PartyId,
    /// What changes.
    pub motion: Box<Motion>,
    /// Until when members may vote.
    pub until: Millis,
    /// Who is for it, ascending.
    pub approvals: Vec<PartyId>,
    /// Who is against it, ascending.
    pub rejections: Vec<PartyId>,
    /// How far it is.
    pub stage: Stage,
}

/// How far a proposal is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// It is voted on.
    Open,
    /// Enough members approved, in the block of this height.
    Decided(Height),
    /// In force from this height on.
    InForce(Height),
    /// So many are against it that it cannot be decided any more; or, once it was decided, as many as it took to
    /// decide it.
    Rejected,
    /// Its time ran out.
    Expired,
    /// It was decided, and at its height it was not possible any more.
    Void,
}

impl Stage {
    /// Stable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Decided(_) => "decided",
            Self::InForce(_) => "in-force",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Void => "void",
        }
    }
}

impl Canonical for Governance {
    const WHAT: &'static str = "governance entry";
    const BYTES_MAX: usize = MEMBERS_MAX * 40 + MOTIONS_IN_ALL_MAX * 2 * 40;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(4).sure();
        write_parties(&self.members, to);
        to.u32(self.proposals).sure();
        for list in [&self.open, &self.due] {
            to.array(list.len() as u64).sure();
            for id in list {
                to.bytes(id.as_bytes()).sure();
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(4)?;
        Ok(Self {
            members: from.list(MEMBERS_MAX, Reader::parse)?,
            proposals: from.u32()?,
            open: from.list(MOTIONS_IN_ALL_MAX, |from| from.digest().map(EventId))?,
            due: from.list(MOTIONS_IN_ALL_MAX, |from| from.digest().map(EventId))?,
        })
    }
}

impl Canonical for Proposal {
    const WHAT: &'static str = "proposal entry";
    const BYTES_MAX: usize = EVENT_BYTES_MAX + MEMBERS_MAX * 80;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(7).sure().u32(self.number).sure().str(self.by.as_str()).sure();
        self.motion.write(to);
        to.u64(self.until.0).sure();
        write_parties(&self.approvals, to);
        write_parties(&self.rejections, to);
        let (code, height) = match self.stage {
            Stage::Open => (0, None),
            Stage::Decided(height) => (1, Some(height)),
            Stage::InForce(height) => (2, Some(height)),
            Stage::Rejected => (3, None),
            Stage::Expired => (4, None),
            Stage::Void => (5, None),
        };
        to.array(1 + u64::from(height.is_some())).sure().u8(code).sure();
        if let Some(height) = height {
            to.u64(height.0).sure();
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(7)?;
        Ok(Self {
            number: from.u32()?,
            by: from.parse()?,
            motion: Box::new(Motion::read(from)?),
            until: Millis(from.u64()?),
            approvals: from.list(MEMBERS_MAX, Reader::parse)?,
            rejections: from.list(MEMBERS_MAX, Reader::parse)?,
            stage: match (from.array()?, from.u8()?) {
                (1, 0) => Stage::Open,
                (2, 1) => Stage::Decided(Height(from.u64()?)),
                (2, 2) => Stage::InForce(Height(from.u64()?)),
                (1, 3) => Stage::Rejected,
                (1, 4) => Stage::Expired,
                (1, 5) => Stage::Void,
                _ => return Err(from.error("no such stage")),
            },
        })
    }
}

fn write_parties(parties: &[PartyId], to: &mut Writer<'_>) {
    to.array(parties.len() as u64).sure();
    for party in parties {
        to.str(party.as_str()).sure();
    }
}

impl Proposal {
    /// The proposal that `event` makes, approved by whoever makes it; `None` where it makes none.
    pub fn of(event: &Event, number: u32) -> Option<Self> {
        let Action::Propose { motion, until } = &event.action else { return None };
        let by = event.signer.party().clone();
        let approvals = alloc::vec![by.clone()];
        let (motion, until) = (motion.clone(), *until);
        let (rejections, stage) = (Vec::new(), Stage::Open);
        Some(Self { number, by, motion, until, approvals, rejections, stage })
    }

    /// Takes the vote of `party`, its last.
    pub fn vote(&mut self, party: &PartyId, approve: bool) {
        self.forget_vote(party);
        let list = if approve { &mut self.approvals } else { &mut self.rejections };
        let at = list.partition_point(|known| known < party);
        list.insert(at, party.clone());
    }

    /// Forgets the vote of `party`. Answers whether there was one.
    pub fn forget_vote(&mut self, party: &PartyId) -> bool {
        let count = self.approvals.len() + self.rejections.len();
        for list in [&mut self.approvals, &mut self.rejections] {
            list.retain(|known| known != party);
        }
        self.approvals.len() + self.rejections.len() < count
    }

    /// Counts the votes of those who are `members` now: `Some(true)` decided, `Some(false)` never to be.
    ///
    /// What is decided and not yet in force is ended by as many members as it takes to decide, and by no fewer.
    pub fn count(&self, members: &[PartyId]) -> Option<bool> {
        let of = |list: &[PartyId]| {
            list.iter().filter(|party| members.binary_search(party).is_ok()).count()
        };
        let needed = approvals_needed(members.len());
        if matches!(self.stage, Stage::Decided(_)) {
            return (of(&self.rejections) >= needed).then_some(false);
        }
        if of(&self.approvals) >= needed {
            return Some(true);
        }
        (of(&self.rejections) > members.len().saturating_sub(needed)).then_some(false)
    }
}
