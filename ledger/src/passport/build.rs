//! Making a passport out of what a node has.
//!
//! It follows the unit and, while they are around it, its containers through their histories in the order
//! of the log. It believes the source; a verifier will not.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use consign_types::block::{BlockRecord, Height, LeafIndex};
use consign_types::checkpoint::Checkpoint;
use consign_types::codec::{Canonical as _, DecodeError};
use consign_types::digest::{Digest, NetworkId};
use consign_types::event::{SignedEvent, Subject};
use consign_types::limits::{
    PASSPORT_BYTES_MAX, PASSPORT_EVENTS_MAX, PASSPORT_SETS_MAX, PASSPORT_SIGNERS_MAX,
};
use consign_types::note::Note;
use consign_types::party::SignerId;
use consign_types::time::Millis;
use consign_types::unit::UnitId;
use consign_types::validator::ValidatorSet;

use super::lines;
use super::replay::{Change, touch};
use super::verify::each_signer;
use super::{Entered, Passport, Proven, ProvenLog, SetLink};
use crate::entry::{EntryKey, LogState};
use crate::map::MapProof;
use crate::unit::{Around, UnitState};

/// Events that are asked for at once.
const PAGE: usize = 64;

/// What a node has. All answers are as of one checkpoint, the one of [`Source::latest`].
pub trait Source {
    /// Why it has no answer.
    type Error;

    /// The network.
    fn network(&self) -> NetworkId;

    /// The checkpoint, and the block that it ends with.
    ///
    /// # Errors
    /// When it has none.
    fn latest(&self) -> Result<Latest, Self::Error>;

    /// Events that name `unit`, from the leaf `from` on, ascending, at most `limit`. May go beyond the
    /// checkpoint. Empty where there are no more.
    ///
    /// # Errors
    /// When it cannot read them.
    fn history(
        &self,
        unit: &UnitId,
        from: LeafIndex,
        limit: usize,
    ) -> Result<Vec<Recorded>, Self::Error>;

    /// The value of an entry under the record's map root, and the proof.
    ///
    /// # Errors
    /// When it cannot read the map at that version.
    fn entry(&self, key: &EntryKey) -> Result<(Option<Vec<u8>>, MapProof), Self::Error>;

    /// Changes of the validator set at the height `since` or after, ascending.
    ///
    /// # Errors
    /// When it cannot read them.
    fn set_links(&self, since: Height) -> Result<Vec<SetLink>, Self::Error>;
}

/// A cosigned checkpoint and what it ends with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Latest {
    /// The checkpoint, with whatever signatures the node has.
    pub note: Note,
    /// The last leaf under it.
    pub record: BlockRecord,
    /// The record's way to the root.
    pub path: Vec<Digest>,
    /// The set that cosigns it.
    pub set: ValidatorSet,
}

/// An event in the history of a unit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recorded {
    /// Its place in the log.
    pub leaf: LeafIndex,
    /// Its exact bytes.
    pub event: Vec<u8>,
    /// Block time.
    pub time: Millis,
    /// What stood around the unit, as [`crate::apply::Named`] gave it.
    pub around: Vec<Around>,
}

/// Why there is no passport.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BuildError<E> {
    /// The node has no answer.
    #[error("the node could not say what a passport needs")]
    Source(E),
    /// No such unit at the checkpoint.
    #[error("{0} is not registered at the checkpoint")]
    UnknownUnit(UnitId),
    /// Too long a history for one file.
    #[error("the history is longer than a passport may be")]
    TooLong,
    /// What the node says does not fit together.
    #[error("what the node has does not fit together: {0}")]
    Inconsistent(&'static str),
    /// Bytes that the node should not have.
    #[error("the node has bytes that do not decode")]
    Malformed(#[source] DecodeError),
}

impl<E> From<DecodeError> for BuildError<E> {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

/// The passport of `unit`, for trust files of height `since`.
///
/// # Errors
/// When the unit is unknown or its history too long, or the source fails or contradicts itself.
pub fn build<S: Source>(
    source: &S,
    unit: &UnitId,
    since: Height,
) -> Result<Passport, BuildError<S::Error>> {
    let latest = source.latest().map_err(BuildError::Source)?;
    let checkpoint = Checkpoint::from_text(latest.note.text())?;
    let end = LeafIndex(checkpoint.size.0.saturating_sub(1));
    let (entered, around, signers) = follow(source, unit, end)?;

    // Ascending: units before signers, as `Subject` orders them.
    let units = around.into_iter().chain([unit.clone()]).map(Subject::Unit);
    let keys: BTreeSet<Subject> = units.chain(signers.into_iter().map(Subject::Signer)).collect();
    let mut entries = Vec::with_capacity(keys.len());
    for key in keys {
        let (value, proof) = source.entry(&super::entry_key(&key)).map_err(BuildError::Source)?;
        let value = value.ok_or(BuildError::Inconsistent("an entry is missing"))?;
        entries.push(Proven { key, value, proof });
    }
    let sets = source.set_links(since).map_err(BuildError::Source)?;
    if sets.len() > PASSPORT_SETS_MAX {
        return Err(BuildError::TooLong);
    }
    let cosigned = lines::cosigned(&latest.note, &checkpoint, &latest.set)?;
    let witnesses = witnesses(source, &cosigned)?;
    let passport = Passport {
        network: source.network(),
        unit: unit.clone(),
        checkpoint: cosigned,
        record: latest.record,
        path: latest.path,
        entries,
        entered,
        sets,
        witnesses,
    };
    let bytes: usize = passport.entered.iter().map(|entered| entered.event.len()).sum();
    if bytes.max(passport.to_bytes().len()) > PASSPORT_BYTES_MAX {
        return Err(BuildError::TooLong);
    }
    Ok(passport)
}

/// The entry that names the witnesses, where a line is by one that the genesis may not name.
fn witnesses<S: Source>(
    source: &S,
    cosigned: &str,
) -> Result<Option<ProvenLog>, BuildError<S::Error>> {
    let note: Note = cosigned.parse()?;
    if !lines::has_outsiders(&note) {
        return Ok(None);
    }
    let (value, proof) = source.entry(&EntryKey::Log).map_err(BuildError::Source)?;
    let value = value.ok_or(BuildError::Inconsistent("the log's entry is missing"))?;
    let log = LogState::from_bytes(&value)?;
    let decided = log.addresses.is_some() && lines::has_line_of(&note, &log.witnesses);
    Ok(decided.then_some(ProvenLog { value, proof }))
}

type Followed = (Vec<Entered>, Vec<UnitId>, BTreeSet<SignerId>);

/// The events of the unit and of what is around it; what is around it at the end; and who signed.
fn follow<S: Source>(
    source: &S,
    unit: &UnitId,
    end: LeafIndex,
) -> Result<Followed, BuildError<S::Error>> {
    let mut line = Vec::from([Cursor::new(source, unit.clone(), LeafIndex(0), end)]);
    let (mut entered, mut signers) = (Vec::new(), BTreeSet::new());
    while let Some(leaf) = earliest(&mut line)? {
        if entered.len() == PASSPORT_EVENTS_MAX || signers.len() > PASSPORT_SIGNERS_MAX {
            return Err(BuildError::TooLong);
        }
        // What the innermost unit has of it tells all: what stood around it stood around the others.
        let mut innermost = None;
        for cursor in &mut line {
            if cursor.peek()?.is_some_and(|recorded| recorded.leaf == leaf) {
                let taken = cursor.page.pop_front();
                innermost = innermost.or(taken);
            }
        }
        let recorded = innermost.ok_or(BuildError::Inconsistent("an event is gone"))?;
        let event = SignedEvent::decode(&recorded.event)?;
        each_signer(event.event(), &mut |signer| {
            signers.insert(signer.clone());
        });
        let names: Vec<&UnitId> = line.iter().map(|cursor| &cursor.unit).collect();
        let touch = touch(&names, event.event())
            .ok_or(BuildError::Inconsistent("an event is in the history of another unit"))?;
        let mut begins = Vec::new();
        let mut contested = false;
        match touch.stay {
            Change::Same | Change::Ends => {}
            Change::Begins(_) => {
                for around in &recorded.around {
                    begins.push((around.unit.clone(), around.head));
                    let from = LeafIndex(leaf.0.saturating_add(1));
                    line.push(Cursor::new(source, around.unit.clone(), from, end));
                }
            }
            Change::EndsIfContested => {
                let named = line.get_mut(touch.inner);
                let named = named.ok_or(BuildError::Inconsistent("a unit is gone"))?;
                contested = named.is_free_after()?;
            }
        }
        if touch.stay == Change::Ends || contested {
            line.truncate(touch.inner + 1);
        }
        entered.push(Entered {
            event: recorded.event,
            leaf,
            time: recorded.time,
            around: recorded.around.iter().map(|around| around.effective).collect(),
            begins,
            contested,
        });
    }
    if entered.is_empty() {
        return Err(BuildError::UnknownUnit(unit.clone()));
    }
    let around = line.into_iter().skip(1).map(|cursor| cursor.unit).collect();
    Ok((entered, around, signers))
}

fn earliest<S: Source>(
    line: &mut [Cursor<'_, S>],
) -> Result<Option<LeafIndex>, BuildError<S::Error>> {
    let mut earliest: Option<LeafIndex> = None;
    for cursor in line {
        let next = cursor.peek()?.map(|recorded| recorded.leaf);
        earliest = earliest.into_iter().chain(next).min();
    }
    Ok(earliest)
}

/// A place in the history of one unit.
struct Cursor<'s, S> {
    source: &'s S,
    unit: UnitId,
    next: LeafIndex,
    end: LeafIndex,
    page: VecDeque<Recorded>,
    finished: bool,
}

impl<'s, S: Source> Cursor<'s, S> {
    const fn new(source: &'s S, unit: UnitId, next: LeafIndex, end: LeafIndex) -> Self {
        Self { source, unit, next, end, page: VecDeque::new(), finished: false }
    }

    fn peek(&mut self) -> Result<Option<&Recorded>, BuildError<S::Error>> {
        if self.page.is_empty() && !self.finished {
            let page =
                self.source.history(&self.unit, self.next, PAGE).map_err(BuildError::Source)?;
            let ascends = page.is_sorted_by(|a, b| a.leaf < b.leaf)
                && page.first().is_none_or(|first| first.leaf >= self.next);
            if !ascends {
                return Err(BuildError::Inconsistent("a history does not ascend"));
            }
            self.page = page.into_iter().filter(|recorded| recorded.leaf < self.end).collect();
            match self.page.back() {
                Some(last) => self.next = LeafIndex(last.leaf.0 + 1),
                None => self.finished = true,
            }
        }
        Ok(self.page.front())
    }

    /// Whether the unit is in no container from here on: its next event says so, or its entry.
    fn is_free_after(&mut self) -> Result<bool, BuildError<S::Error>> {
        if let Some(next) = self.peek()? {
            return Ok(next.around.is_empty());
        }
        let key = EntryKey::Unit(self.unit.clone());
        let (value, _) = self.source.entry(&key).map_err(BuildError::Source)?;
        let value = value.ok_or(BuildError::Inconsistent("an entry is missing"))?;
        Ok(UnitState::from_bytes(&value)?.inside.is_none())
    }
}
