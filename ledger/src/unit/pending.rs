//! What waits in a unit's entry for the consents of others.

use alloc::vec::Vec;

use consign_types::codec::{DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::EventId;
use consign_types::event::Kind;
use consign_types::limits::CONSENTS_MAX;
use consign_types::party::PartyId;
use consign_types::time::Millis;

use super::Closed;

/// Something proposed that waits for consents.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pending {
    /// The event that proposes it.
    pub event: EventId,
    /// The party that does.
    pub by: PartyId,
    /// Parties that have not consented yet, ascending.
    pub open: Vec<PartyId>,
    /// Until when, by block time.
    pub until: Millis,
    /// How the unit was held then: under another basis what is about custody lapses.
    pub basis: EventId,
    /// What it is.
    pub what: Proposal,
}

/// What takes effect with the last consent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Proposal {
    /// What was delivered is taken back.
    Return,
    /// The unit is lost or destroyed in the hands of the one who proposes it.
    Close(Closed),
    /// A dispute ends.
    Resolve {
        /// Who holds the unit then.
        holder: PartyId,
    },
    /// An event is corrected: on record, and nothing of the unit changes.
    Correct {
        /// The event.
        original: EventId,
    },
}

impl Proposal {
    /// The kind of event that proposes this.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Return => Kind::Return,
            Self::Close(Closed::Delivered) => Kind::Deliver,
            Self::Close(Closed::Lost) => Kind::Lost,
            Self::Close(Closed::Destroyed) => Kind::Destroyed,
            Self::Resolve { .. } => Kind::Resolve,
            Self::Correct { .. } => Kind::Correct,
        }
    }

    /// Whether it lapses once the unit is held in another way. What was wrong stays wrong.
    pub const fn is_about_custody(&self) -> bool {
        !matches!(self, Self::Correct { .. })
    }

    /// Whether this takes the place of what the same party proposed before.
    pub fn replaces(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Correct { original }, Self::Correct { original: before }) => original == before,
            _ => self.kind() == before.kind(),
        }
    }
}

impl Pending {
    /// Whether a consent can still do something.
    pub fn is_open(&self, basis: EventId, now: Millis) -> bool {
        self.until >= now && (self.basis == basis || !self.what.is_about_custody())
    }

    pub(super) fn write(&self, to: &mut Writer<'_>) {
        to.array(7).sure().bytes(self.event.as_bytes()).sure().str(self.by.as_str()).sure();
        to.array(self.open.len() as u64).sure();
        for party in &self.open {
            to.str(party.as_str()).sure();
        }
        to.u64(self.until.0).sure().bytes(self.basis.as_bytes()).sure();
        match &self.what {
            Proposal::Return => to.u8(0).sure().null().sure(),
            Proposal::Close(Closed::Delivered) => to.u8(3).sure().null().sure(),
            Proposal::Close(Closed::Lost) => to.u8(4).sure().null().sure(),
            Proposal::Close(Closed::Destroyed) => to.u8(5).sure().null().sure(),
            Proposal::Resolve { holder } => to.u8(6).sure().str(holder.as_str()).sure(),
            Proposal::Correct { original } => to.u8(7).sure().bytes(original.as_bytes()).sure(),
        };
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(7)?;
        Ok(Self {
            event: EventId(from.digest()?),
            by: from.parse()?,
            open: from.list(CONSENTS_MAX, Reader::parse)?,
            until: Millis(from.u64()?),
            basis: EventId(from.digest()?),
            what: Proposal::read(from)?,
        })
    }
}

impl Proposal {
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let what = match from.u8()? {
            0 => Self::Return,
            3 => Self::Close(Closed::Delivered),
            4 => Self::Close(Closed::Lost),
            5 => Self::Close(Closed::Destroyed),
            6 => return Ok(Self::Resolve { holder: from.parse()? }),
            7 => return Ok(Self::Correct { original: EventId(from.digest()?) }),
            _ => return Err(from.error("an unknown proposal")),
        };
        if from.null()? { Ok(what) } else { Err(from.error("more about a proposal than it has")) }
    }
}
