//! What a file about the ledger hangs on: the way from a trust file to a validator set, its cosignatures
//! under a checkpoint, and the block record that is the last leaf there. The record names the root of
//! the unit map.

use alloc::vec::Vec;

use consign_types::block::{BlockRecord, Height, LeafIndex, TreeSize};
use consign_types::checkpoint::{Checkpoint, Proven as Cosigned};
use consign_types::codec::Canonical as _;
use consign_types::digest::Digest;
use consign_types::merkle::{self, BadProof, InclusionProof};
use consign_types::note::VerifierKey;
use consign_types::trust::{EarlierSet, Trust};
use consign_types::validator::ValidatorSet;

use super::lines;
use super::{BadEntry, BadPassport, BadSetLink, ProvenLog, SetLink};
use crate::entry::{EntryKey, LogState};

/// The parts of a file that establish a block record.
pub struct Anchor<'a> {
    pub sets: &'a [SetLink],
    pub checkpoint: &'a str,
    pub record: &'a BlockRecord,
    pub path: &'a [Digest],
    pub witnesses: Option<&'a ProvenLog>,
}

impl Anchor<'_> {
    /// Checks them, from the outside in.
    pub fn check(&self, trust: &Trust) -> Result<Cosigned, BadPassport> {
        let followed = follow_sets(self.sets, trust, Some(self.record.height))?;
        // Believed only once the record is: by the lines that are known without it.
        let others = self.other_witnesses()?;
        let cosigned = lines::check(self.checkpoint, trust, followed.set, &others)?;
        self.check_record(&cosigned.checkpoint, trust, followed)?;
        Ok(cosigned)
    }

    /// Witnesses that the network names, under the record's map root.
    fn other_witnesses(&self) -> Result<Vec<VerifierKey>, BadPassport> {
        let Some(ProvenLog { value, proof }) = self.witnesses else { return Ok(Vec::new()) };
        proof
            .verify(self.record.map_root, &EntryKey::Log, Some(value))
            .map_err(|why| BadPassport::Witnesses(BadEntry::Proof(why)))?;
        let malformed = |why| BadPassport::Witnesses(BadEntry::Value(why));
        let log = LogState::from_bytes(value).map_err(malformed)?;
        if log.addresses.is_none() || log.witnesses.is_empty() {
            return Err(BadPassport::Witnesses(BadEntry::Unused));
        }
        Ok(log.witnesses)
    }

    fn check_record(
        &self,
        checkpoint: &Checkpoint,
        trust: &Trust,
        Followed { set, until }: Followed<'_>,
    ) -> Result<(), BadPassport> {
        let record = self.record;
        let last_change = self.sets.last().map(|link| link.record.height);
        let too_early = last_change.is_some_and(|height| record.height <= height);
        let too_late = until.is_some_and(|until| record.height >= until);
        if record.set != set.hash() || too_early || too_late {
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

/// The set that must have cosigned.
#[derive(Clone, Copy)]
pub struct Followed<'a> {
    pub set: &'a ValidatorSet,
    /// The height at which the trust file says that another set took its place.
    pub until: Option<Height>,
}

/// The set that must have cosigned: that of the trust file that was in force at the first change, or else at
/// `height`, or the last of the changes since. What the trust file says of later sets the changes must say too.
pub fn follow_sets<'a>(
    sets: &'a [SetLink],
    trust: &'a Trust,
    height: Option<Height>,
) -> Result<Followed<'a>, BadPassport> {
    let begins = sets.first().map(|link| link.record.height).or(height);
    let mut known = trust.sets().peekable();
    // Of several that were in force before then the last; the oldest where none was.
    let in_force = |(from, _): &(Height, &ValidatorSet)| begins.is_none_or(|at| *from <= at);
    let (mut height, mut set) = known.next().unwrap_or((trust.height, &trust.validators));
    while let Some(later) = known.next_if(in_force) {
        (height, set) = later;
    }
    for (at, link) in sets.iter().enumerate() {
        check_link(link, trust, set, (height, at > 0))
            .map_err(|why| BadPassport::SetLink { at, why })?;
        if let Some((from, next)) = known.next()
            && (link.record.height.next() != from || link.set != *next)
        {
            return Err(BadPassport::SetLink { at, why: BadSetLink::Known });
        }
        (set, height) = (&link.set, link.record.height);
    }
    Ok(Followed { set, until: known.next().map(|(from, _)| from) })
}

/// A change from `set`, which is in force from the height on, or after it.
fn check_link(
    link: &SetLink,
    trust: &Trust,
    set: &ValidatorSet,
    (height, after): (Height, bool),
) -> Result<(), BadSetLink> {
    let record = &link.record;
    if record.set != set.hash() {
        return Err(BadSetLink::Set);
    }
    if record.epoch != trust.epoch {
        return Err(BadSetLink::Epoch);
    }
    if record.height < height || (after && record.height == height) {
        return Err(BadSetLink::Height);
    }
    let certificate = &link.certificate;
    let block = record.block_id(link.size, link.root);
    if certificate.block != block || certificate.height != record.height {
        return Err(BadSetLink::Block);
    }
    certificate.verify(&trust.domain(), set).map_err(BadSetLink::Certificate)?;
    if link.set.hash() != record.next_set {
        return Err(BadSetLink::NextSet);
    }
    if record.next_set == record.set {
        return Err(BadSetLink::Same);
    }
    Ok(())
}

/// The trust file after these changes: its set is the last of them, and those before are earlier ones.
///
/// # Errors
/// [`BadPassport::SetLink`] where a change does not hold.
pub fn advanced(trust: &Trust, sets: &[SetLink]) -> Result<Trust, BadPassport> {
    follow_sets(sets, trust, None)?;
    let mut advanced = trust.clone();
    for link in sets.iter().filter(|link| link.record.height >= trust.height) {
        let (height, validators) = (advanced.height, advanced.validators);
        advanced.earlier.push(EarlierSet { height, validators });
        (advanced.height, advanced.validators) = (link.record.height.next(), link.set.clone());
    }
    Ok(advanced)
}
