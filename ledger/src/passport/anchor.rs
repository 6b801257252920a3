//! What a file about the ledger hangs on: the way from a trust file to a validator set, its cosignatures
//! under a checkpoint, and the block record that is the last leaf there. The record names the root of
//! the unit map.

use alloc::vec::Vec;

use consign_types::block::{BlockRecord, LeafIndex, TreeSize};
use consign_types::checkpoint::{Checkpoint, Proven as Cosigned};
use consign_types::codec::Canonical as _;
use consign_types::digest::Digest;
use consign_types::merkle::{self, BadProof, InclusionProof};
use consign_types::trust::Trust;
use consign_types::validator::ValidatorSet;

use super::lines;
use super::{BadPassport, BadSetLink, SetLink};

/// The parts of a file that establish a block record.
pub struct Anchor<'a> {
    pub sets: &'a [SetLink],
    pub checkpoint: &'a str,
    pub record: &'a BlockRecord,
    pub path: &'a [Digest],
}

impl Anchor<'_> {
    /// Checks them, from the outside in.
    pub fn check(&self, trust: &Trust) -> Result<Cosigned, BadPassport> {
        let set = follow_sets(self.sets, trust)?;
        let cosigned = lines::check(self.checkpoint, trust, set)?;
        self.check_record(&cosigned.checkpoint, trust, set)?;
        Ok(cosigned)
    }

    fn check_record(
        &self,
        checkpoint: &Checkpoint,
        trust: &Trust,
        set: &ValidatorSet,
    ) -> Result<(), BadPassport> {
        let record = self.record;
        let last_change = self.sets.last().map(|link| link.record.height);
        if record.set != set.hash() || last_change.is_some_and(|height| record.height <= height) {
            return Err(BadPassport::RecordSet);
        }
        if record.epoch != trust.epoch {
            return Err(BadPassport::RecordEpoch);
        }
        let TreeSize(size) = checkpoint.size;
        let index = size.checked_sub(1).ok_or(BadPassport::RecordInclusion(BadProof::Range))?;
        let proof = InclusionProof {
            index: LeafIndex(index),
            size: checkpoint.size,
            path: Vec::from(self.path),
        };
        let leaf = merkle::leaf_hash(&BlockRecord::to_bytes(record));
        proof.verify(leaf, checkpoint.root).map_err(BadPassport::RecordInclusion)
    }
}

/// The set that must have cosigned: the trust file's, or the last of the changes since.
pub fn follow_sets<'a>(
    sets: &'a [SetLink],
    trust: &'a Trust,
) -> Result<&'a ValidatorSet, BadPassport> {
    let (mut set, mut height) = (&trust.validators, trust.height);
    for (at, link) in sets.iter().enumerate() {
        let bad = |why| Err(BadPassport::SetLink { at, why });
        let record = &link.record;
        if record.set != set.hash() {
            return bad(BadSetLink::Set);
        }
        if record.epoch != trust.epoch {
            return bad(BadSetLink::Epoch);
        }
        if record.height < height || (at > 0 && record.height == height) {
            return bad(BadSetLink::Height);
        }
        let certificate = &link.certificate;
        let block = record.block_id(link.size, link.root);
        if certificate.block != block || certificate.height != record.height {
            return bad(BadSetLink::Block);
        }
        if let Err(why) = certificate.verify(&trust.domain(), set) {
            return bad(BadSetLink::Certificate(why));
        }
        if link.set.hash() != record.next_set {
            return bad(BadSetLink::NextSet);
        }
        if record.next_set == record.set {
            return bad(BadSetLink::Same);
        }
        (set, height) = (&link.set, record.height);
    }
    Ok(set)
}
