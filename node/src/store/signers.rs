//! Devices in the order of their enrolment, and where the events of each signer lie.
//!
//! Made of the log alone: a store that was written before there was such a list makes it when it opens.

use consign_types::block::LeafIndex;
use consign_types::digest::Digest;
use consign_types::event::{Action, Event, SignedEvent, Subject};
use consign_types::party::{PartyId, SignerId};
use rocksdb::{ColumnFamily, Direction, IteratorMode, WriteBatch};

use super::{BlockBatch, Fault, Store, cf, keys};

/// Leaf of the enrolment -> the device.
const ENROLLED: u8 = 1;
/// Hash of the party, leaf of the enrolment -> the device.
const OF_PARTY: u8 = 2;
/// Hash of the signer, leaf -> nothing: an event that concerns it.
const EVENT: u8 = 3;
/// Leaves that are read at once where the list is made anew.
const LEAVES: u64 = 1_024;

impl Store {
    /// Devices, `limit` of them, each with the leaf of its enrolment, from the leaf `from` on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn devices(
        &self,
        party: Option<&PartyId>,
        from: LeafIndex,
        limit: usize,
    ) -> Result<Vec<(LeafIndex, SignerId)>, Fault> {
        let prefix = party.map_or_else(|| vec![ENROLLED], |party| named(OF_PARTY, party.as_str()));
        let rows = self.signer_rows(&prefix, from, limit)?;
        let device = |(leaf, value): (LeafIndex, Vec<u8>)| {
            let name = str::from_utf8(&value).ok().and_then(|name| name.parse().ok());
            let name = name.ok_or_else(|| self.damaged("list of devices", "a name is none"))?;
            Ok((leaf, name))
        };
        rows.into_iter().map(device).collect()
    }

    /// Leaves with events that concern a signer, `limit` of them from `from` on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn signer_events(
        &self,
        signer: &SignerId,
        from: LeafIndex,
        limit: usize,
    ) -> Result<Vec<LeafIndex>, Fault> {
        let rows = self.signer_rows(&named(EVENT, &signer.to_string()), from, limit)?;
        Ok(rows.into_iter().map(|(leaf, _)| leaf).collect())
    }

    fn signer_rows(
        &self,
        prefix: &[u8],
        from: LeafIndex,
        limit: usize,
    ) -> Result<Vec<(LeafIndex, Vec<u8>)>, Fault> {
        let start = at(prefix, from);
        let mode = IteratorMode::From(&start, Direction::Forward);
        let mut found = Vec::new();
        for row in self.db.iterator_cf(self.family(cf::SIGNERS), mode).take(limit) {
            let (key, value) = row.map_err(|e| self.failed("read", e))?;
            match key.strip_prefix(prefix) {
                Some(leaf) => found.push((self.index(leaf)?, value.into_vec())),
                None => break,
            }
        }
        Ok(found)
    }

    /// Makes the list of the log where there is none.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub(super) fn list_signers(&self) -> Result<(), Fault> {
        if self.get(cf::META, keys::SIGNERS)?.is_some() {
            return Ok(());
        }
        let size = self.tip()?.map_or(0, |tip| tip.size.0);
        for first in (0..size).step_by(LEAVES as usize) {
            let mut batch = WriteBatch::default();
            let leaves = self.leaves(LeafIndex(first), LEAVES.min(size - first))?;
            for (index, leaf) in (first..).zip(&leaves) {
                // Records and the genesis document are leaves too.
                if let Ok(signed) = SignedEvent::decode(leaf) {
                    list(&mut batch, self.family(cf::SIGNERS), LeafIndex(index), signed.event());
                }
            }
            self.write_synced(batch)?;
        }
        // Last: what broke off before is begun again.
        let mut batch = WriteBatch::default();
        batch.put_cf(self.family(cf::META), keys::SIGNERS, [1]);
        self.write_synced(batch)
    }
}

impl BlockBatch<'_> {
    /// Whose event it is, and whether it enrols a device.
    pub fn signer(&mut self, index: LeafIndex, event: &Event) {
        list(&mut self.batch, self.store.family(cf::SIGNERS), index, event);
    }
}

fn list(batch: &mut WriteBatch, family: &ColumnFamily, index: LeafIndex, event: &Event) {
    for signer in event.concerns() {
        batch.put_cf(family, at(&named(EVENT, &signer.to_string()), index), []);
    }
    if let (Action::Enrol { .. }, Subject::Signer(subject)) = (&event.action, &event.subject) {
        let name = subject.to_string();
        batch.put_cf(family, at(&[ENROLLED], index), &name);
        batch.put_cf(family, at(&named(OF_PARTY, subject.party().as_str()), index), &name);
    }
}

/// 16 bytes of the hash keep what belongs to one name together.
fn named(tag: u8, name: &str) -> Vec<u8> {
    let mut key = vec![tag];
    key.extend_from_slice(&Digest::of(&[name.as_bytes()]).0[..16]);
    key
}

fn at(prefix: &[u8], leaf: LeafIndex) -> Vec<u8> {
    [prefix, &keys::leaf(leaf)].concat()
}
