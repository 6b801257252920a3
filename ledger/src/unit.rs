//! A unit's entry: everything that a rule reads of it, and the head over all that happened to it.

mod pending;

use alloc::vec::Vec;

use consign_types::block::LeafIndex;
use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::{Digest, EventId};
use consign_types::event::{FactorSet, Label, Window};
use consign_types::limits::{DEPTH_MAX, HOLDS_MAX, PENDING_MAX, SEALS_MAX};
use consign_types::party::PartyId;
use consign_types::place::Place;
use consign_types::time::Millis;
use consign_types::unit::UnitId;

pub use pending::{Pending, Proposal};

/// Spent bases that a unit remembers before the last one; the oldest is forgotten first.
pub const PAST_BASES_MAX: usize = 16;

/// Number of [`Counters`].
pub const COUNTERS: usize = 6;

/// How often something ever happened. Openings are counted, closings never.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Excursions begun.
    pub excursions: u32,
    /// Holds placed.
    pub holds: u32,
    /// Seals broken.
    pub seal_breaks: u32,
    /// Exceptions, seal mismatches among them.
    pub exceptions: u32,
    /// Departures from another place than the one of arrival.
    pub discontinuities: u32,
    /// Gaps in a sensor's own counter.
    pub reading_gaps: u32,
}

impl Counters {
    /// The counts in the order in which they are hashed and encoded.
    pub const fn to_array(self) -> [u32; COUNTERS] {
        [
            self.excursions,
            self.holds,
            self.seal_breaks,
            self.exceptions,
            self.discontinuities,
            self.reading_gaps,
        ]
    }

    /// Counts from that order.
    pub const fn from_array(a: [u32; COUNTERS]) -> Self {
        Self {
            excursions: a[0],
            holds: a[1],
            seal_breaks: a[2],
            exceptions: a[3],
            discontinuities: a[4],
            reading_gaps: a[5],
        }
    }

    fn zip(self, other: Self, with: impl Fn(u32, u32) -> u32) -> Self {
        let (mut a, b) = (self.to_array(), other.to_array());
        for (left, right) in a.iter_mut().zip(b) {
            *left = with(*left, right);
        }
        Self::from_array(a)
    }

    /// Sums, held at the largest number where they overflow.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.zip(other, u32::saturating_add)
    }

    /// Differences; counts only grow, so none is negative.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.zip(other, u32::saturating_sub)
    }
}

/// Who has custody, as the unit's own entry says; inside of another unit the outermost one's counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Custody {
    /// Held.
    Held(PartyId),
    /// Offered: held by `by` until it is accepted.
    Offered {
        /// Who holds it.
        by: PartyId,
        /// Who may accept.
        to: PartyId,
        /// Until when, by block time.
        until: Millis,
        /// The offer.
        offer: EventId,
    },
    /// Two parties claim it.
    Contested {
        /// Who held it on the ledger.
        holder: PartyId,
        /// Who accepted on a spent basis.
        claimant: PartyId,
    },
    /// An end.
    Closed {
        /// Which.
        why: Closed,
        /// The last custodian.
        by: PartyId,
        /// When, by block time.
        at: Millis,
    },
}

/// How a unit's history ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Closed {
    /// Delivered to somebody without a key.
    Delivered,
    /// Lost; whoever finds it opens it again.
    Lost,
    /// Destroyed, or seized for good.
    Destroyed,
}

/// Inside of another unit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Inside {
    /// The container.
    pub parent: UnitId,
    /// Its effective counters when the unit entered.
    pub anchor: Counters,
}

/// Whether a unit is sealed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seal {
    /// Never was.
    None,
    /// By these ids, ascending.
    Sealed(Vec<Label>),
    /// Was, and the seal was broken.
    Broken {
        /// By an authority.
        authorised: bool,
    },
}

/// Where a unit is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Journey {
    /// At a place; on a conveyance where it was loaded and not unloaded.
    At {
        /// The place.
        place: Place,
        /// The conveyance.
        aboard: Option<Label>,
    },
    /// On its way.
    Moving {
        /// By what, where anybody said.
        conveyance: Option<Label>,
        /// Whether it was loaded onto it, and stays on it after arrival.
        loaded: bool,
    },
}

/// What the owner booked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Booking {
    /// Expected receiver.
    pub receiver: PartyId,
    /// When it is expected.
    pub window: Window,
    /// What a delivery must show.
    pub factors: FactorSet,
}

/// The basis before the present one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Spent {
    /// The event.
    pub basis: EventId,
    /// Who held by it.
    pub holder: PartyId,
    /// When it was spent, by block time.
    pub at: Millis,
}

/// The state of a unit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnitState {
    /// Who registered it.
    pub owner: PartyId,
    /// Custody.
    pub custody: Custody,
    /// The event by which the holder came to hold it.
    pub basis: EventId,
    /// The basis before.
    pub spent: Option<Spent>,
    /// Bases before that one, oldest first: what tells an old handover from one that came too early.
    pub past: Vec<EventId>,
    /// Free, or inside of another unit.
    pub inside: Option<Inside>,
    /// For each height of a direct child (0 for one without children), how many there are.
    pub children: [u32; DEPTH_MAX],
    /// Seal.
    pub seal: Seal,
    /// Whether it is damaged.
    pub damaged: bool,
    /// Whether an excursion is open.
    pub excursion_open: bool,
    /// Holds that stand, in the order in which they were placed.
    pub holds: Vec<EventId>,
    /// What waits for consents, oldest first.
    pub pending: Vec<Pending>,
    /// Where it is.
    pub journey: Journey,
    /// What the owner booked.
    pub booking: Option<Booking>,
    /// Its own counters.
    pub counters: Counters,
    /// Holds and disputes on units inside, at any depth.
    pub blocked_inside: u32,
    /// Highest counter of its sensor.
    pub last_reading: Option<u64>,
    /// Events on the log that name it.
    pub events: u64,
    /// Hash over all of them, in order.
    pub head: Digest,
}

impl UnitState {
    /// A unit as it is registered, before its head covers the event.
    pub fn registered(owner: PartyId, basis: EventId, place: Place) -> Self {
        Self {
            custody: Custody::Held(owner.clone()),
            owner,
            basis,
            spent: None,
            past: Vec::new(),
            inside: None,
            children: [0; DEPTH_MAX],
            seal: Seal::None,
            damaged: false,
            excursion_open: false,
            holds: Vec::new(),
            pending: Vec::new(),
            journey: Journey::At { place, aboard: None },
            booking: None,
            counters: Counters::default(),
            blocked_inside: 0,
            last_reading: None,
            events: 0,
            head: Digest::ZERO,
        }
    }

    /// Custody at `time`: an offer that ran out is none. Nothing is written for that.
    pub fn custody_at(&self, time: Millis) -> Custody {
        match &self.custody {
            Custody::Offered { by, until, .. } if *until < time => Custody::Held(by.clone()),
            other => other.clone(),
        }
    }

    /// Who has the unit in hand by its own entry.
    pub const fn holder(&self) -> &PartyId {
        match &self.custody {
            Custody::Held(party)
            | Custody::Offered { by: party, .. }
            | Custody::Contested { holder: party, .. }
            | Custody::Closed { by: party, .. } => party,
        }
    }

    /// A new basis takes the place of the present one, which the holder spends at `at`.
    pub fn renew_basis(&mut self, basis: EventId, at: Millis) {
        let holder = self.holder().clone();
        let spent = Spent { basis: self.basis, holder, at };
        if let Some(older) = self.spent.replace(spent) {
            if self.past.len() == PAST_BASES_MAX {
                self.past.remove(0);
            }
            self.past.push(older.basis);
        }
        self.basis = basis;
    }

    /// Whether a party came to hold the unit by `basis` once, and does not any more.
    pub fn is_spent(&self, basis: &EventId) -> bool {
        self.spent.as_ref().is_some_and(|spent| spent.basis == *basis) || self.past.contains(basis)
    }

    /// How many things stop this unit itself.
    pub fn blocks(&self) -> u32 {
        self.holds.len() as u32 + u32::from(matches!(self.custody, Custody::Contested { .. }))
    }

    /// Levels of units below this one.
    pub fn height(&self) -> usize {
        self.children.iter().rposition(|count| *count > 0).map_or(0, |at| at + 1)
    }

    /// Whether its seal is on.
    pub const fn is_sealed(&self) -> bool {
        matches!(self.seal, Seal::Sealed(_))
    }
}

/// A unit around another, as it stands when an event is recorded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Around {
    /// Its number.
    pub unit: UnitId,
    /// Its head.
    pub head: Digest,
    /// Its effective counters.
    pub effective: Counters,
}

/// The head after an event: it covers the event, its place on the log, its record time, and what stood
/// around the unit, innermost first.
pub fn next_head(
    head: &Digest,
    event: &EventId,
    leaf: LeafIndex,
    time: Millis,
    around: &[Around],
) -> Digest {
    let mut bytes = Vec::with_capacity(128 + around.len() * 128);
    bytes.extend_from_slice(b"consign/head/v1\0");
    bytes.extend_from_slice(&head.0);
    bytes.extend_from_slice(event.as_bytes());
    bytes.extend_from_slice(&leaf.0.to_be_bytes());
    bytes.extend_from_slice(&time.0.to_be_bytes());
    bytes.push(around.len() as u8);
    for container in around {
        let number = container.unit.as_str().as_bytes();
        bytes.push(number.len() as u8);
        bytes.extend_from_slice(number);
        bytes.extend_from_slice(&container.head.0);
        for count in container.effective.to_array() {
            bytes.extend_from_slice(&count.to_be_bytes());
        }
    }
    Digest::of(&[&bytes])
}

impl Canonical for UnitState {
    const WHAT: &'static str = "unit entry";
    const BYTES_MAX: usize = 6144;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(18).sure().str(self.owner.as_str()).sure();
        self.custody.write(to);
        to.bytes(self.basis.as_bytes()).sure();
        match &self.spent {
            None => {
                to.null().sure();
            }
            Some(spent) => {
                to.array(3).sure().bytes(spent.basis.as_bytes()).sure();
                to.str(spent.holder.as_str()).sure().u64(spent.at.0).sure();
            }
        }
        write_ids(&self.past, to);
        match &self.inside {
            None => {
                to.null().sure();
            }
            Some(inside) => {
                to.array(2).sure().str(inside.parent.as_str()).sure();
                write_counts(&inside.anchor.to_array(), to);
            }
        }
        write_counts(&self.children, to);
        match &self.seal {
            Seal::None => {
                to.null().sure();
            }
            Seal::Broken { authorised } => {
                to.bool(*authorised).sure();
            }
            Seal::Sealed(ids) => {
                to.array(ids.len() as u64).sure();
                for id in ids {
                    to.str(id.as_str()).sure();
                }
            }
        }
        to.bool(self.damaged).sure().bool(self.excursion_open).sure();
        write_ids(&self.holds, to);
        to.array(self.pending.len() as u64).sure();
        self.pending.iter().for_each(|pending| pending.write(to));
        self.journey.write(to);
        match &self.booking {
            None => {
                to.null().sure();
            }
            Some(booking) => {
                to.array(4).sure().str(booking.receiver.as_str()).sure();
                to.u64(booking.window.from.0).sure().u64(booking.window.to.0).sure();
                to.u8(booking.factors.bits()).sure();
            }
        }
        write_counts(&self.counters.to_array(), to);
        to.u32(self.blocked_inside).sure();
        // Absent is 0, n is n + 1; the largest counter shares a code with its predecessor.
        to.u64(self.last_reading.map_or(0, |n| n.saturating_add(1))).sure();
        to.array(2).sure().u64(self.events).sure().bytes(&self.head.0).sure();
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(18)?;
        Ok(Self {
            owner: from.parse()?,
            custody: Custody::read(from)?,
            basis: EventId(from.digest()?),
            spent: if from.null()? {
                None
            } else {
                from.array_of(3)?;
                let basis = EventId(from.digest()?);
                Some(Spent { basis, holder: from.parse()?, at: Millis(from.u64()?) })
            },
            past: from.list(PAST_BASES_MAX, |from| from.digest().map(EventId))?,
            inside: if from.null()? {
                None
            } else {
                from.array_of(2)?;
                let parent = from.parse()?;
                Some(Inside { parent, anchor: Counters::from_array(read_counts(from)?) })
            },
            children: read_counts(from)?,
            seal: Seal::read(from)?,
            damaged: from.bool()?,
            excursion_open: from.bool()?,
            holds: from.list(HOLDS_MAX, |from| from.digest().map(EventId))?,
            pending: from.list(PENDING_MAX, Pending::read)?,
            journey: Journey::read(from)?,
            booking: if from.null()? {
                None
            } else {
                from.array_of(4)?;
                let receiver = from.parse()?;
                let window = Window { from: Millis(from.u64()?), to: Millis(from.u64()?) };
                let bits = from.u8()?;
                let factors =
                    FactorSet::from_bits(bits).ok_or_else(|| from.error("an unknown factor"))?;
                Some(Booking { receiver, window, factors })
            },
            counters: Counters::from_array(read_counts(from)?),
            blocked_inside: from.u32()?,
            last_reading: from.u64()?.checked_sub(1),
            events: {
                from.array_of(2)?;
                from.u64()?
            },
            head: from.digest()?,
        })
    }
}

impl Custody {
    fn write(&self, to: &mut Writer<'_>) {
        match self {
            Self::Held(party) => {
                to.array(2).sure().u8(0).sure().str(party.as_str()).sure();
            }
            Self::Offered { by, to: receiver, until, offer } => {
                to.array(5).sure().u8(1).sure().str(by.as_str()).sure();
                to.str(receiver.as_str()).sure().u64(until.0).sure();
                to.bytes(offer.as_bytes()).sure();
            }
            Self::Contested { holder, claimant } => {
                to.array(3).sure().u8(2).sure().str(holder.as_str()).sure();
                to.str(claimant.as_str()).sure();
            }
            Self::Closed { why, by, at } => {
                let code = match why {
                    Closed::Delivered => 3,
                    Closed::Lost => 4,
                    Closed::Destroyed => 5,
                };
                to.array(3).sure().u8(code).sure().str(by.as_str()).sure().u64(at.0).sure();
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = from.array()?;
        Ok(match (from.u8()?, len) {
            (0, 2) => Self::Held(from.parse()?),
            (1, 5) => Self::Offered {
                by: from.parse()?,
                to: from.parse()?,
                until: Millis(from.u64()?),
                offer: EventId(from.digest()?),
            },
            (2, 3) => Self::Contested { holder: from.parse()?, claimant: from.parse()? },
            (code @ 3..=5, 3) => {
                let why = match code {
                    3 => Closed::Delivered,
                    4 => Closed::Lost,
                    _ => Closed::Destroyed,
                };
                Self::Closed { why, by: from.parse()?, at: Millis(from.u64()?) }
            }
            _ => return Err(from.error("an unknown custody")),
        })
    }
}

impl Seal {
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if from.null()? {
            return Ok(Self::None);
        }
        if let Some(authorised) = from.maybe_bool()? {
            return Ok(Self::Broken { authorised });
        }
        from.list(SEALS_MAX, Reader::parse).map(Self::Sealed)
    }
}

impl Journey {
    fn write(&self, to: &mut Writer<'_>) {
        let (place, label, loaded) = match self {
            Self::At { place, aboard } => (Some(place.as_str()), aboard, aboard.is_some()),
            Self::Moving { conveyance, loaded } => (None, conveyance, *loaded),
        };
        to.array(3).sure();
        match place {
            Some(place) => to.str(place).sure(),
            None => to.null().sure(),
        };
        match label {
            Some(label) => to.str(label.as_str()).sure(),
            None => to.null().sure(),
        };
        to.bool(loaded).sure();
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(3)?;
        let place = if from.null()? { None } else { Some(from.parse()?) };
        let label = if from.null()? { None } else { Some(from.parse()?) };
        let loaded = from.bool()?;
        Ok(match place {
            Some(place) => Self::At { place, aboard: label },
            None => Self::Moving { conveyance: label, loaded },
        })
    }
}

fn write_ids(ids: &[EventId], to: &mut Writer<'_>) {
    to.array(ids.len() as u64).sure();
    for id in ids {
        to.bytes(id.as_bytes()).sure();
    }
}

fn write_counts<const N: usize>(counts: &[u32; N], to: &mut Writer<'_>) {
    to.array(N as u64).sure();
    for count in counts {
        to.u32(*count).sure();
    }
}

fn read_counts<const N: usize>(from: &mut Reader<'_>) -> Result<[u32; N], DecodeError> {
    from.array_of(N as u64)?;
    let mut counts = [0; N];
    for count in &mut counts {
        *count = from.u32()?;
    }
    Ok(counts)
}
