//! Passports: what this node has of a unit, as a file that proves itself.

use std::cell::RefCell;
use std::sync::Arc;

use consign_ledger::entry::EntryKey;
use consign_ledger::log;
use consign_ledger::map::{self, MapProof};
use consign_ledger::passport::{self, BuildError, Latest, Recorded, SetLink, Source};
use consign_rpc::errors::{ErrorKind, RpcError};
use consign_rpc::views::{Base64, PassportView};
use consign_types::block::{Height, LeafIndex, TreeSize};
use consign_types::checkpoint::Checkpoint;
use consign_types::codec::Canonical as _;
use consign_types::digest::NetworkId;
use consign_types::note::Note;
use consign_types::time::Millis;
use consign_types::unit::UnitId;

use super::Serving;
use crate::store::{Fault, Store};

impl Serving {
    /// The passport of a unit at the newest checkpoint with a quorum.
    pub(super) fn passport_view(
        &self,
        unit: &UnitId,
        since: Height,
    ) -> Result<PassportView, RpcError> {
        let source = Snapshot::newest(self, unit)?;
        let passport = passport::build(&source, unit, since).map_err(|error| match error {
            BuildError::Source(error) => error,
            BuildError::UnknownUnit(unit) => {
                RpcError::not_found(format!("{unit} is not registered at the newest checkpoint"))
            }
            BuildError::TooLong => RpcError::new(ErrorKind::ResponseTooLarge, error)
                .with_help("page through custody_getHistory, and prove single events"),
            BuildError::Inconsistent(_) | BuildError::Malformed(_) => RpcError::internal(error),
        })?;
        Ok(PassportView {
            unit: unit.clone().into(),
            size: source.latest.record_leaf().0 + 1,
            height: source.latest.record.height.0,
            passport: Base64(passport.to_bytes()),
        })
    }
}

/// What this node has as of one checkpoint.
pub(super) struct Snapshot<'s> {
    serving: &'s Serving,
    store: Arc<Store>,
    latest: At,
    /// Neighbours in a history mostly lie in one block.
    last_time: RefCell<Option<(LeafIndex, LeafIndex, Millis)>>,
}

struct At {
    note: Note,
    size: u64,
    record: consign_types::block::BlockRecord,
}

impl At {
    const fn record_leaf(&self) -> LeafIndex {
        LeafIndex(self.size - 1)
    }
}

impl<'s> Snapshot<'s> {
    fn newest(serving: &'s Serving, unit: &UnitId) -> Result<Self, RpcError> {
        let none = || RpcError::new(ErrorKind::ProofUnavailable, "no checkpoint has a quorum yet");
        let store = Arc::clone(serving.parts.committed.store());
        let parsed = |note: Option<String>| {
            let note: Note = note.ok_or_else(none)?.parse().map_err(RpcError::internal)?;
            let checkpoint = Checkpoint::from_text(note.text()).map_err(RpcError::internal)?;
            Ok::<_, RpcError>((note, checkpoint.size.0))
        };
        // What witnesses cosigned, unless something happened to the unit since.
        let (mut note, mut size) = parsed(serving.parts.cosigner.served_note(TreeSize(0)))?;
        let after = store.history_from(unit, LeafIndex(size)).map_err(internal)?;
        if !store.history(unit, after, 1).map_err(internal)?.is_empty() {
            (note, size) = parsed(serving.parts.cosigner.newest_note())?;
        }
        Self::at(serving, note, size)
    }

    /// As of the newest checkpoint with a quorum.
    pub(super) fn of_newest_note(serving: &'s Serving) -> Result<Self, RpcError> {
        let none = || RpcError::new(ErrorKind::ProofUnavailable, "no checkpoint has a quorum yet");
        let note = serving.parts.cosigner.newest_note().ok_or_else(none)?;
        let note: Note = note.parse().map_err(RpcError::internal)?;
        let size = Checkpoint::from_text(note.text()).map_err(RpcError::internal)?.size;
        Self::at(serving, note, size.0)
    }

    fn at(serving: &'s Serving, note: Note, size: u64) -> Result<Self, RpcError> {
        let store = Arc::clone(serving.parts.committed.store());
        let (_, block) = serving.block_of(LeafIndex(size.saturating_sub(1)));
        let record = store.record(&block).map_err(internal)?;
        let latest = At { note, size, record };
        Ok(Self { serving, store, latest, last_time: RefCell::default() })
    }

    /// The size of the log under the checkpoint.
    pub(super) const fn size(&self) -> TreeSize {
        TreeSize(self.latest.size)
    }

    fn time_of(&self, leaf: LeafIndex) -> Result<Millis, Fault> {
        if let Some((first, end, time)) = *self.last_time.borrow()
            && (first..end).contains(&leaf)
        {
            return Ok(time);
        }
        let (_, block) = self.serving.block_of(leaf);
        let time = self.store.record(&block)?.time;
        *self.last_time.borrow_mut() = Some((block.first, LeafIndex(block.size.0), time));
        Ok(time)
    }
}

impl Source for Snapshot<'_> {
    type Error = RpcError;

    fn network(&self) -> NetworkId {
        self.serving.parts.committed.domain().network
    }

    fn latest(&self) -> Result<Latest, RpcError> {
        let size = consign_types::block::TreeSize(self.latest.size);
        let proof = log::inclusion_proof(&*self.store, self.latest.record_leaf(), size)
            .map_err(RpcError::internal)?;
        Ok(Latest {
            note: self.latest.note.clone(),
            record: self.latest.record.clone(),
            path: proof.path,
            set: Arc::unwrap_or_clone(
                self.serving.parts.committed.validators_at(self.latest.record.height),
            ),
        })
    }

    fn history(
        &self,
        unit: &UnitId,
        from: LeafIndex,
        limit: usize,
    ) -> Result<Vec<Recorded>, RpcError> {
        let first = self.store.history_from(unit, from).map_err(internal)?;
        let events = self.store.history(unit, first, limit).map_err(internal)?;
        let recorded = events.into_iter().map(|event| {
            let missing = || self.store.damaged("log", "a leaf is missing");
            Ok(Recorded {
                leaf: event.leaf,
                event: self.store.leaf(event.leaf)?.ok_or_else(missing)?,
                time: self.time_of(event.leaf)?,
                around: event.around,
            })
        });
        recorded.collect::<Result<_, Fault>>().map_err(internal)
    }

    fn entry(&self, key: &EntryKey) -> Result<(Option<Vec<u8>>, MapProof), RpcError> {
        map::prove(&self.store.map(), self.latest.record.height.0, key).map_err(|error| {
            RpcError::new(ErrorKind::ProofUnavailable, error)
                .with_help("ask again after the next checkpoint, or another node")
        })
    }

    fn set_links(&self, since: Height) -> Result<Vec<SetLink>, RpcError> {
        self.serving.set_links(since, self.latest.record.height)
    }
}

fn internal(fault: Fault) -> RpcError {
    RpcError::internal(fault)
}
