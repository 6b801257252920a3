//! What members decided: validator sets, each with the height from which it is in force, and proposals.

use std::path::Path;
use std::sync::Arc;

use consign_types::block::{Height, TreeSize};
use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::{Digest, EventId};
use consign_types::validator::ValidatorSet;
use rocksdb::{DB, Direction, IteratorMode, WriteBatch};

use super::{BlockBatch, Fault, Store, cf};

/// Height -> the validator set that decides it and what follows.
const SET: u8 = b's';
/// Number -> the event that made the proposal.
const PROPOSAL: u8 = b'p';

/// Name of an invitation -> when its request came, and the request. Of this node alone.
const REQUEST: u8 = b'r';

/// Requests to join that are kept at once.
pub const REQUESTS_MAX: usize = 64;

/// Name of the invitation, and the bytes of the request.
pub type StoredRequest = (Vec<u8>, Vec<u8>);

/// A validator set, and the blocks that it decides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SetInForce {
    /// The first height that it decides.
    pub from: Height,
    /// Size of the log before that block.
    pub above: TreeSize,
    /// The set.
    pub set: Arc<ValidatorSet>,
}

impl Canonical for SetInForce {
    const WHAT: &'static str = "validator set in force";
    const BYTES_MAX: usize = ValidatorSet::BYTES_MAX + 32;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(3).sure().u64(self.from.0).sure().u64(self.above.0).sure();
        self.set.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(3)?;
        let (height, above) = (Height(from.u64()?), TreeSize(from.u64()?));
        Ok(Self { from: height, above, set: Arc::new(ValidatorSet::read(from)?) })
    }
}

impl Store {
    /// The newest set of the database in `path`, which is looked at and not changed, also while a node runs on it;
    /// none where the set of the genesis still decides.
    ///
    /// # Errors
    /// When it cannot be opened or read.
    pub fn newest_set(path: &Path) -> Result<Option<ValidatorSet>, Fault> {
        let fault = |what, source| Fault::Store { path: path.to_owned(), what, source };
        let options = rocksdb::Options::default();
        let db = DB::open_cf_for_read_only(&options, path, [cf::GOVERNANCE], false)
            .map_err(|source| fault("open", source))?;
        let Some(family) = db.cf_handle(cf::GOVERNANCE) else { return Ok(None) };
        // The sets lie in the order of their heights.
        let end = [SET + 1];
        let mode = IteratorMode::From(&end, Direction::Reverse);
        let Some(row) = db.iterator_cf(family, mode).next() else { return Ok(None) };
        let (key, value) = row.map_err(|source| fault("read", source))?;
        if key.first() != Some(&SET) {
            return Ok(None);
        }
        let set = SetInForce::from_bytes(&value).map_err(|e| Fault::Damaged {
            path: path.to_owned(),
            what: "validator set",
            why: e.to_string(),
        })?;
        Ok(Some(Arc::unwrap_or_clone(set.set)))
    }

    /// Every set after that of the genesis, in the order of their heights.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn sets(&self) -> Result<Vec<SetInForce>, Fault> {
        let mode = IteratorMode::From(&[SET], Direction::Forward);
        let mut sets = Vec::new();
        for row in self.db.iterator_cf(self.family(cf::GOVERNANCE), mode) {
            let (key, value) = row.map_err(|source| self.failed("read", source))?;
            if key.first() != Some(&SET) {
                break;
            }
            let set = SetInForce::from_bytes(&value);
            sets.push(set.map_err(|e| self.damaged("validator set", e))?);
        }
        Ok(sets)
    }

    /// The event that made the proposal of this number.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn proposal(&self, number: u32) -> Result<Option<EventId>, Fault> {
        let id = self.get(cf::GOVERNANCE, &numbered(PROPOSAL, u64::from(number)))?;
        let wrong = || self.damaged("proposal", "an id has the wrong length");
        id.map(|id| Digest::from_slice(&id).map(EventId).ok_or_else(wrong)).transpose()
    }

    /// The requests to join that are kept: names of their invitations, and the bytes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn requests(&self) -> Result<Vec<StoredRequest>, Fault> {
        let mode = IteratorMode::From(&[REQUEST], Direction::Forward);
        let rows = self.db.iterator_cf(self.family(cf::GOVERNANCE), mode);
        let mut requests = Vec::new();
        for row in rows {
            let (key, value) = row.map_err(|source| self.failed("read", source))?;
            match key.split_first() {
                Some((&REQUEST, name)) => requests.push((name.to_vec(), value.to_vec())),
                _ => break,
            }
        }
        Ok(requests)
    }

    /// Keeps a request in the place of those named in `gone`; on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_request(&self, name: &[u8], request: &[u8], gone: &[Vec<u8>]) -> Result<(), Fault> {
        let (family, mut batch) = (self.family(cf::GOVERNANCE), WriteBatch::default());
        for name in gone {
            batch.delete_cf(family, [&[REQUEST], &name[..]].concat());
        }
        batch.put_cf(family, [&[REQUEST], name].concat(), request);
        self.write_synced(batch)
    }
}

impl BlockBatch<'_> {
    /// Another set is in force from some height on.
    pub fn set(&mut self, set: &SetInForce) {
        let family = self.store.family(cf::GOVERNANCE);
        self.batch.put_cf(family, numbered(SET, set.from.0), set.to_bytes());
    }

    /// A proposal is found by its number.
    pub fn proposal(&mut self, number: u32, id: &EventId) {
        let family = self.store.family(cf::GOVERNANCE);
        self.batch.put_cf(family, numbered(PROPOSAL, u64::from(number)), id.as_bytes());
    }
}

fn numbered(tag: u8, number: u64) -> [u8; 9] {
    let mut key = [tag; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}
