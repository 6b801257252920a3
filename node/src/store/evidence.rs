//! Evidence files: those that nobody reported yet, as files; those in committed reports, as their leaves.
//!
//! Each has one place in the order in which this node came by them. A file that is committed in a report
//! makes room: from then on it is read from the log. Nobody can fill the disk with files, and nobody can
//! push out what is kept; what this node found itself has room of its own.

use std::collections::HashSet;
use std::sync::PoisonError;

use consign_types::block::LeafIndex;
use consign_types::digest::Digest;
use consign_types::event::{Action, SignedEvent};
use rocksdb::{Direction, IteratorMode, WriteBatch};

use super::{BlockBatch, Fault, Store, cf};

/// Files that callers handed in and nobody reported, at most.
pub const EVIDENCE_FILES_MAX: usize = 1_024;
/// Their bytes together, at most.
pub const EVIDENCE_FILES_BYTES_MAX: usize = 16 << 20;

/// Id -> file that no committed report carries.
const FILE: u8 = b'f';
/// Id -> leaf of the first committed report with the file.
const LEAF: u8 = b'l';
/// Fault -> id of the first file here that shows it.
const FAULT: u8 = b'w';
/// Number -> id, in the order in which they came.
const ORDER: u8 = b'o';

/// A key and its value.
type Row = (Box<[u8]>, Box<[u8]>);

/// How full the store is of evidence.
#[derive(Default)]
pub(super) struct Kept {
    files: usize,
    bytes: usize,
    next: u64,
    /// In blocks that were written since the start, or are being written.
    committed: HashSet<Digest>,
}

/// Whether a file was kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Keeping {
    /// It is on disk.
    Kept,
    /// It was there already, as a file or in the log.
    Known,
    /// There is no room.
    Full,
}

/// Who came by a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// This node.
    Own,
    /// A caller.
    Caller,
}

impl Store {
    /// Counts what is stored.
    pub(super) fn count_evidence(&self) -> Result<Kept, Fault> {
        let mut kept = Kept::default();
        for row in self.evidence_rows(&[FILE], Direction::Forward) {
            let (key, value) = row?;
            if key.first() != Some(&FILE) {
                break;
            }
            kept.files += 1;
            kept.bytes += value.len();
        }
        if let Some(row) = self.evidence_rows(&order(u64::MAX), Direction::Reverse).next() {
            kept.next = number(&row?.0).map_or(0, |number| number + 1);
        }
        Ok(kept)
    }

    /// Keeps a file that was verified, synced to disk before it returns.
    ///
    /// # Errors
    /// When it cannot be written or synced.
    ///
    /// Of each fault one file is enough: others that show nothing but the same are known.
    pub fn put_evidence(
        &self,
        id: Digest,
        faults: &[Digest],
        file: &[u8],
        by: By,
    ) -> Result<Keeping, Fault> {
        let mut kept = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.committed.contains(&id) || self.has_evidence(&id)? {
            return Ok(Keeping::Known);
        }
        let mut news = faults.is_empty();
        for fault in faults {
            news |= self.get(cf::EVIDENCE, &named(FAULT, fault))?.is_none();
        }
        if !news {
            return Ok(Keeping::Known);
        }
        let room = if by == By::Own { 2 } else { 1 };
        if kept.files >= room * EVIDENCE_FILES_MAX
            || kept.bytes + file.len() > room * EVIDENCE_FILES_BYTES_MAX
        {
            return Ok(Keeping::Full);
        }
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(cf::EVIDENCE), named(FILE, &id), file);
        batch.put_cf(self.family(cf::EVIDENCE), order(kept.next), id.as_bytes());
        for fault in faults {
            batch.put_cf(self.family(cf::EVIDENCE), named(FAULT, fault), id.as_bytes());
        }
        self.write_synced(batch)?;
        kept.files += 1;
        kept.bytes += file.len();
        kept.next += 1;
        Ok(Keeping::Kept)
    }

    /// The file of this id, kept or in a committed report.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn evidence(&self, id: &Digest) -> Result<Option<Vec<u8>>, Fault> {
        if let Some(leaf) = self.get(cf::EVIDENCE, &named(LEAF, id))? {
            let index = self.index(&leaf)?;
            let bytes = self.leaf(index)?;
            let event = bytes.and_then(|bytes| SignedEvent::decode(&bytes).ok());
            return match event.map(|event| event.event().action.clone()) {
                Some(Action::Report { evidence }) => Ok(Some(evidence)),
                _ => Err(self.damaged("evidence", format!("leaf {} is no report", index.0))),
            };
        }
        self.get(cf::EVIDENCE, &named(FILE, id))
    }

    /// Ids with their numbers, newest first, from below `end` on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn evidence_below(&self, end: u64, limit: usize) -> Result<Vec<(u64, Digest)>, Fault> {
        let Some(last) = end.checked_sub(1) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for row in self.evidence_rows(&order(last), Direction::Reverse).take(limit) {
            let (key, value) = row?;
            let Some(number) = number(&key) else { break };
            let wrong = || self.damaged("evidence", "an id has the wrong length");
            found.push((number, Digest::from_slice(&value).ok_or_else(wrong)?));
        }
        Ok(found)
    }

    fn has_evidence(&self, id: &Digest) -> Result<bool, Fault> {
        Ok(self.get(cf::EVIDENCE, &named(LEAF, id))?.is_some()
            || self.get(cf::EVIDENCE, &named(FILE, id))?.is_some())
    }

    fn evidence_rows(
        &self,
        from: &[u8],
        direction: Direction,
    ) -> impl Iterator<Item = Result<Row, Fault>> {
        let mode = IteratorMode::From(from, direction);
        let rows = self.db.iterator_cf(self.family(cf::EVIDENCE), mode);
        rows.map(|row| row.map_err(|source| self.failed("read", source)))
    }
}

impl BlockBatch<'_> {
    /// Files in reports of this block are found by their ids, and read from the log.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn report(&mut self, index: LeafIndex, evidence: &[u8]) -> Result<(), Fault> {
        let id = Digest::of(&[evidence]);
        let store = self.store;
        let mut kept = store.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        if !kept.committed.insert(id) || store.get(cf::EVIDENCE, &named(LEAF, &id))?.is_some() {
            return Ok(());
        }
        let family = store.family(cf::EVIDENCE);
        match store.get(cf::EVIDENCE, &named(FILE, &id))? {
            Some(file) => {
                self.batch.delete_cf(family, named(FILE, &id));
                kept.files = kept.files.saturating_sub(1);
                kept.bytes = kept.bytes.saturating_sub(file.len());
            }
            None => {
                self.batch.put_cf(family, order(kept.next), id.as_bytes());
                kept.next += 1;
            }
        }
        self.batch.put_cf(family, named(LEAF, &id), index.0.to_be_bytes());
        Ok(())
    }
}

fn named(tag: u8, id: &Digest) -> [u8; 33] {
    let mut key = [tag; 33];
    key[1..].copy_from_slice(id.as_bytes());
    key
}

fn order(number: u64) -> [u8; 9] {
    let mut key = [ORDER; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

fn number(key: &[u8]) -> Option<u64> {
    let (tag, number) = key.split_first()?;
    (*tag == ORDER).then_some(())?;
    Some(u64::from_be_bytes(number.try_into().ok()?))
}
