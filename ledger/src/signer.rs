//! A signer's entry: its key, what it may sign, and which sequence numbers it used.

use alloc::vec::Vec;

use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::Digest;
use consign_types::event::{Kind, KindSet};
use consign_types::limits::{
    ENROL_SCOPES_MAX, MISSING_SEQUENCES_MAX, PAST_KEYS_MAX, SEQUENCE_STEP_MAX,
};
use consign_types::place::Place;
use consign_types::signer_key::SignerKey;
use consign_types::time::Millis;
use consign_types::unit::UnitClass;

/// What is known of a device, or of a member's own key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignerState {
    /// Its key.
    pub key: SignerKey,
    /// The keys before, in their order.
    pub past: Vec<PastKey>,
    /// Kinds of event that it may sign.
    pub kinds: KindSet,
    /// Places it may sign for; empty for any.
    pub places: Vec<Place>,
    /// Classes of unit it may sign for; empty for any.
    pub classes: Vec<UnitClass>,
    /// Until when it may sign, by block time; without an end where absent.
    pub until: Option<Millis>,
    /// Which of its numbers were used.
    pub sequence: Sequence,
    /// Whether it may sign at all.
    pub status: Status,
}

/// A key that another took the place of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PastKey {
    /// The key.
    pub key: SignerKey,
    /// Its numbers are below this, and not below that of the key before.
    pub below: u64,
}

/// Whether a signer may sign. Nothing leads back.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Status {
    /// It may.
    #[default]
    Active,
    /// No more, since evidence named it.
    Suspended {
        /// SHA-256 of the evidence file.
        evidence: Digest,
    },
    /// No more, since its member revoked it.
    Revoked {
        /// Block time of the revocation.
        at: Millis,
        /// Since when somebody else may have had the key, by the member's own word.
        suspected_since: Option<Millis>,
    },
}

/// Which sequence numbers were used: all up to `high`, but for `missing` ones.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sequence {
    high: u64,
    missing: Vec<u64>,
    floor: u64,
}

/// Why a number cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadNumber {
    /// Used, or closed by a floor.
    Used,
    /// It would leave too many missing, or it is too far above the others.
    Gap,
    /// The floor is above the number.
    Floor,
}

impl Sequence {
    /// The highest number used.
    pub const fn high(&self) -> u64 {
        self.high
    }

    /// The numbers below that which are still open.
    pub fn missing(&self) -> &[u64] {
        &self.missing
    }

    /// Missing numbers below this are closed for ever.
    pub const fn floor(&self) -> u64 {
        self.floor
    }

    /// Whether `number` was used or closed.
    pub fn is_used(&self, number: u64) -> bool {
        number <= self.high && !self.missing.contains(&number)
    }

    /// Uses `number` and closes what is missing below `floor`.
    ///
    /// # Errors
    /// When the number was used or closed, leaves more than 32 missing, is more than 2^32 above the highest, or lies
    /// below its floor.
    pub fn take(&mut self, number: u64, floor: u64) -> Result<(), BadNumber> {
        if floor > number {
            return Err(BadNumber::Floor);
        }
        if self.is_used(number) || number < self.floor {
            return Err(BadNumber::Used);
        }
        let floor = self.floor.max(floor);
        let mut missing: Vec<u64> =
            self.missing.iter().copied().filter(|m| *m >= floor && *m != number).collect();
        if number > self.high {
            if number - self.high > SEQUENCE_STEP_MAX {
                return Err(BadNumber::Gap);
            }
            let first = floor.max(self.high + 1);
            // Compared before anything is allocated: the gap may be astronomic.
            if number - first.min(number) > (MISSING_SEQUENCES_MAX - missing.len()) as u64 {
                return Err(BadNumber::Gap);
            }
            missing.extend(first..number);
            self.high = number;
        }
        self.missing = missing;
        self.floor = floor;
        Ok(())
    }

    /// The first number above all that were used. Steps are too small for anybody to come to the last number there is.
    pub const fn next(&self) -> u64 {
        self.high.saturating_add(1)
    }

    /// Closes what is missing.
    fn close(&mut self) {
        self.missing = Vec::new();
        self.floor = self.next();
    }
}

impl SignerState {
    /// The key under which the event of this number is signed.
    pub fn key_of(&self, number: u64) -> SignerKey {
        let past = self.past.iter().find(|past| number < past.below);
        past.map_or(self.key, |past| past.key)
    }

    /// Whether the event of this number may be under the key with this id.
    pub fn signs(&self, number: u64, key_id: [u8; 8]) -> bool {
        self.key_of(number).key_id() == key_id
    }

    /// Every key it ever had, the present one last.
    pub fn keys(&self) -> impl Iterator<Item = SignerKey> {
        self.past.iter().map(|past| past.key).chain([self.key])
    }

    /// Its key with this id. Whether it is the one for a number says [`Self::signs`].
    pub fn key_with(&self, key_id: &[u8; 8]) -> Option<SignerKey> {
        self.keys().find(|key| key.key_id() == *key_id)
    }

    /// Goes on under another key, without a word of the one before: nothing more is taken by that one, not
    /// even numbers that were left out.
    pub fn replace_key(&mut self, key: SignerKey) {
        self.sequence.close();
        let first = self.sequence.next();
        for past in &mut self.past {
            past.below = past.below.min(first);
        }
        self.past.push(PastKey { key: self.key, below: first });
        self.key = key;
    }

    /// Since when its member says that somebody else may have had its key. What it dates from then on is
    /// disputed: shown so, and nothing else.
    pub const fn suspected_since(&self) -> Option<Millis> {
        match self.status {
            Status::Revoked { suspected_since, .. } => suspected_since,
            Status::Active | Status::Suspended { .. } => None,
        }
    }

    /// A member's own key: it enrols and revokes, files testimony and reports, votes, and moves no unit.
    pub fn of_member(key: SignerKey) -> Self {
        Self {
            key,
            past: Vec::new(),
            kinds: KindSet::of(&[
                Kind::Enrol,
                Kind::Report,
                Kind::Testimony,
                Kind::Revoke,
                Kind::Propose,
                Kind::Ballot,
            ]),
            places: Vec::new(),
            classes: Vec::new(),
            until: None,
            sequence: Sequence::default(),
            status: Status::Active,
        }
    }
}

impl Canonical for SignerState {
    const WHAT: &'static str = "signer entry";
    const BYTES_MAX: usize = 4096;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(9 + u64::from(self.until.is_some()))
            .sure()
            .bytes(self.key.as_bytes())
            .sure()
            .u64(self.kinds.bits())
            .sure();
        to.array(self.places.len() as u64).sure();
        for place in &self.places {
            to.str(place.as_str()).sure();
        }
        to.array(self.classes.len() as u64).sure();
        for class in &self.classes {
            to.str(class.prefix()).sure();
        }
        to.u64(self.sequence.high).sure().u64(self.sequence.floor).sure();
        to.array(self.sequence.missing.len() as u64).sure();
        for number in &self.sequence.missing {
            to.u64(*number).sure();
        }
        match &self.status {
            Status::Active => to.null().sure(),
            Status::Suspended { evidence } => {
                to.array(2).sure().u8(0).sure().bytes(evidence.as_bytes()).sure()
            }
            Status::Revoked { at, suspected_since: None } => {
                to.array(2).sure().u8(1).sure().u64(at.0).sure()
            }
            Status::Revoked { at, suspected_since: Some(since) } => {
                to.array(3).sure().u8(1).sure().u64(at.0).sure().u64(since.0).sure()
            }
        };
        to.array(self.past.len() as u64).sure();
        for past in &self.past {
            to.array(2).sure().bytes(past.key.as_bytes()).sure().u64(past.below).sure();
        }
        if let Some(until) = self.until {
            to.u64(until.0).sure();
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let items = from.array()?;
        if !(9..=10).contains(&items) {
            return Err(from.error("neither 9 nor 10 items"));
        }
        Ok(Self {
            // Enrolment checked it; entries are this ledger's own.
            key: SignerKey::read_own(from)?,
            kinds: {
                let bits = from.u64()?;
                KindSet::from_bits(bits).ok_or_else(|| from.error("an unknown kind"))?
            },
            places: from.list(ENROL_SCOPES_MAX, Reader::parse)?,
            classes: from.list(UnitClass::ALL.len(), |from| {
                let prefix = from.text()?;
                UnitClass::from_prefix(prefix).ok_or_else(|| from.error("an unknown class"))
            })?,
            sequence: Sequence {
                high: from.u64()?,
                floor: from.u64()?,
                missing: from.list(MISSING_SEQUENCES_MAX, Reader::u64)?,
            },
            status: read_status(from)?,
            past: from.list(PAST_KEYS_MAX, |from| {
                from.array_of(2)?;
                Ok(PastKey { key: SignerKey::read_own(from)?, below: from.u64()? })
            })?,
            until: if items == 10 { Some(Millis(from.u64()?)) } else { None },
        })
    }
}

fn read_status(from: &mut Reader<'_>) -> Result<Status, DecodeError> {
    if from.null()? {
        return Ok(Status::Active);
    }
    match (from.array()?, from.u8()?) {
        (2, 0) => Ok(Status::Suspended { evidence: from.digest()? }),
        (2, 1) => Ok(Status::Revoked { at: Millis(from.u64()?), suspected_since: None }),
        (3, 1) => {
            let (at, since) = (Millis(from.u64()?), Millis(from.u64()?));
            Ok(Status::Revoked { at, suspected_since: Some(since) })
        }
        _ => Err(from.error("no such status")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_used_once_in_any_order() {
        let mut sequence = Sequence::default();
        for number in [1, 3, 2, 33] {
            assert_eq!(sequence.take(number, 0), Ok(()), "{number}");
            assert_eq!(sequence.take(number, 0), Err(BadNumber::Used), "{number}");
        }
        assert_eq!(sequence.missing, (4..33).collect::<Vec<_>>());
    }

    #[test]
    fn a_gap_of_more_than_32_is_refused_and_changes_nothing() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.take(34, 0), Err(BadNumber::Gap));
        assert_eq!(sequence.take(u64::MAX, 0), Err(BadNumber::Gap));
        assert_eq!(sequence, Sequence::default());
        assert_eq!(sequence.take(33, 0), Ok(()));
        assert_eq!(sequence.take(34, 0), Ok(()));
        assert_eq!(sequence.take(36, 0), Err(BadNumber::Gap));
    }

    #[test]
    fn no_floor_leads_near_the_last_number_there_is() {
        let mut sequence = Sequence::default();
        for number in [u64::MAX, SEQUENCE_STEP_MAX + 1] {
            assert_eq!(sequence.take(number, number), Err(BadNumber::Gap), "{number}");
        }
        assert_eq!(sequence, Sequence::default());
        let high = u64::MAX - 1;
        let mut sequence = Sequence { high, missing: Vec::new(), floor: 0 };
        assert_eq!(sequence.take(u64::MAX, u64::MAX), Ok(()));
        sequence.close();
        let closed = Sequence { high: u64::MAX, missing: Vec::new(), floor: u64::MAX };
        assert_eq!(sequence, closed);
    }

    #[test]
    fn a_floor_closes_missing_numbers_for_ever() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.take(SEQUENCE_STEP_MAX, SEQUENCE_STEP_MAX), Ok(()));
        assert_eq!(sequence.take(7, 0), Err(BadNumber::Used));
        let mut sequence = Sequence::default();
        assert_eq!(sequence.take(10, 9), Ok(()));
        assert_eq!(sequence, Sequence { high: 10, missing: [9].into(), floor: 9 });
        assert_eq!(sequence.take(9, 0), Ok(()));
        assert_eq!(sequence.take(8, 0), Err(BadNumber::Used));
        assert_eq!(sequence.take(11, 12), Err(BadNumber::Floor));
        // A lower floor opens nothing.
        assert_eq!(sequence.take(11, 3), Ok(()));
        assert_eq!(sequence, Sequence { high: 11, missing: Vec::new(), floor: 9 });
    }
}
