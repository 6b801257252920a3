//! The encoding of evidence: deterministic CBOR, the parts of each kind in one order.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use consign_types::block::{BlockRecord, LeafIndex};
use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::{LeafHash, NetworkId};
use consign_types::double_vote::DoubleVote;
use consign_types::limits::{
    EVIDENCE_BETWEEN_MAX, EVIDENCE_BYTES_MAX, PASSPORT_SETS_MAX, PASSPORT_SIGNERS_MAX,
};

use super::{Anchor, Case, DoubleOffer, Evidence, Leaf, Notes};
use crate::passport::format::{
    PATH_MAX, read_entry, read_hashes, read_link, write_entry, write_hashes, write_link,
};

const TAG: &str = "consign/evidence/v1";

impl Canonical for Evidence {
    const WHAT: &'static str = "evidence";
    const BYTES_MAX: usize = EVIDENCE_BYTES_MAX;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(5).sure().str(TAG).sure().bytes(self.network.as_bytes()).sure();
        to.u8(self.case.kind() as u8).sure().array(self.sets.len() as u64).sure();
        for link in &self.sets {
            write_link(link, to);
        }
        match &self.case {
            Case::DoubleVote(votes) => votes.write(to),
            Case::TwoRoots(notes) | Case::Rollback(notes) | Case::LogSignature(notes) => {
                to.array(2).sure().str(&notes.first).sure().str(&notes.second).sure();
            }
            Case::Growth { notes, index, first, second } => {
                to.array(5).sure().str(&notes.first).sure().str(&notes.second).sure();
                to.u64(index.0).sure();
                for leaf in [first, second] {
                    to.array(2).sure().bytes(leaf.hash.as_bytes()).sure();
                    write_hashes(&leaf.path, to);
                }
            }
            Case::SameNumber { anchor, first, second } => {
                to.array(6).sure().str(&anchor.checkpoint).sure();
                anchor.record.write(to);
                write_hashes(&anchor.path, to);
                write_entry(&anchor.entry, to);
                to.bytes(first).sure().bytes(second).sure();
            }
            Case::DoubleOffer(double) => double.write(to),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(5)?;
        if from.text()? != TAG {
            return Err(from.error("another tag"));
        }
        let network = NetworkId(from.digest()?);
        let kind = from.u8()?;
        let sets = from.list(PASSPORT_SETS_MAX, read_link)?;
        let case = match kind {
            1 => Case::DoubleVote(DoubleVote::read(from)?),
            2 => Case::TwoRoots(read_notes(from, 2)?),
            3 => Case::Growth {
                notes: read_notes(from, 5)?,
                index: LeafIndex(from.u64()?),
                first: read_leaf(from)?,
                second: read_leaf(from)?,
            },
            4 => Case::Rollback(read_notes(from, 2)?),
            5 => {
                from.array_of(6)?;
                let checkpoint = text(from)?;
                let record = BlockRecord::read(from)?;
                let path = read_hashes(PATH_MAX, from)?;
                let anchor = Anchor { checkpoint, record, path, entry: read_entry(from)? };
                Case::SameNumber { anchor, first: bytes(from)?, second: bytes(from)? }
            }
            6 => Case::DoubleOffer(DoubleOffer::read(from)?),
            7 => Case::LogSignature(read_notes(from, 2)?),
            _ => return Err(from.error(alloc::format!("no kind of evidence has code {kind}"))),
        };
        Ok(Self { network, sets, case })
    }
}

impl DoubleOffer {
    fn write(&self, to: &mut Writer<'_>) {
        to.array(7).sure().bytes(&self.passport).sure().array(self.signers.len() as u64).sure();
        for entry in &self.signers {
            write_entry(entry, to);
        }
        for event in self.offers.iter().chain(&self.acceptances) {
            to.bytes(event).sure();
        }
        to.array(self.between.len() as u64).sure();
        for event in &self.between {
            to.bytes(event).sure();
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(7)?;
        Ok(Self {
            passport: bytes(from)?,
            signers: from.list(PASSPORT_SIGNERS_MAX, read_entry)?,
            offers: [bytes(from)?, bytes(from)?],
            acceptances: [bytes(from)?, bytes(from)?],
            between: from.list(EVIDENCE_BETWEEN_MAX, bytes)?,
        })
    }
}

fn read_notes(from: &mut Reader<'_>, parts: u64) -> Result<Notes, DecodeError> {
    from.array_of(parts)?;
    Ok(Notes { first: text(from)?, second: text(from)? })
}

fn read_leaf(from: &mut Reader<'_>) -> Result<Leaf, DecodeError> {
    from.array_of(2)?;
    Ok(Leaf { hash: LeafHash(from.digest()?), path: read_hashes(PATH_MAX, from)? })
}

/// A text; the whole file is bounded, and so is each of its parts.
fn text(from: &mut Reader<'_>) -> Result<String, DecodeError> {
    from.text().map(|text| text.to_string())
}

fn bytes(from: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    from.bytes().map(Vec::from)
}
