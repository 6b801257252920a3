//! The encoding of a passport: deterministic CBOR, in which what events have in common stands once.
//!
//! An event, and the entry of a unit, is written as pieces: literal bytes, or the number of a *word*.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use consign_types::block::{BlockRecord, LeafIndex, TreeSize};
use consign_types::certificate::Certificate;
use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::{Digest, NetworkId, TreeRoot};
use consign_types::event::Subject;
use consign_types::limits::{
    DEPTH_MAX, EVENT_BYTES_MAX_NESTED, PASSPORT_BYTES_MAX, PASSPORT_EVENTS_MAX, PASSPORT_SETS_MAX,
    PASSPORT_SIGNERS_MAX,
};
use consign_types::note::NOTE_BYTES_MAX;
use consign_types::time::Millis;
use consign_types::unit::UnitId;
use consign_types::validator::ValidatorSet;

use super::words::{Piece, Words};
use super::{Entered, Passport, Proven, ProvenLog, SetLink};
use crate::entry::LogState;
use crate::map::MapProof;
use crate::signer::SignerState;
use crate::unit::{COUNTERS, Counters, UnitState};

const TAG: &str = "consign/passport/v1";
/// Levels of the largest log.
pub(crate) const PATH_MAX: usize = 63;
/// Bits of a map key.
const SIBLINGS_MAX: usize = 256;
/// Entries: the unit, what is around it, and signers.
const ENTRIES_MAX: usize = 1 + DEPTH_MAX + PASSPORT_SIGNERS_MAX;
/// Pieces of a unit's entry: it names less than 40 events, and the unit itself a few times.
const ENTRY_PIECES_MAX: usize = 128;
/// Pieces of an event: a hundred numbers of units can each hold the text of another several times.
const EVENT_PIECES_MAX: usize = 4096;
/// Bytes of an entry's value.
const ENTRY_BYTES_MAX: usize = if UnitState::BYTES_MAX > SignerState::BYTES_MAX {
    UnitState::BYTES_MAX
} else {
    SignerState::BYTES_MAX
};

impl Canonical for Passport {
    const WHAT: &'static str = "passport";
    const BYTES_MAX: usize = PASSPORT_BYTES_MAX;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(9 + u64::from(self.witnesses.is_some()))
            .sure()
            .str(TAG)
            .sure()
            .bytes(self.network.as_bytes())
            .sure();
        to.str(self.unit.as_str()).sure().str(&self.checkpoint).sure();
        self.record.write(to);
        write_hashes(&self.path, to);
        let mut words = Words::of(&self.network, &self.unit);
        words.add_signers(self.entries.iter().map(|entry| (&entry.key, entry.value.as_slice())));
        // What stands before the events names them all; an event names those before it.
        let mut all = words.clone();
        self.entered.iter().for_each(|entered| all.add_event(&entered.event));
        to.array(self.entries.len() as u64).sure();
        for entry in &self.entries {
            to.array(3).sure().str(&entry.key.to_string()).sure();
            match entry.key {
                Subject::Unit(_) => all.write(&entry.value, to),
                Subject::Signer(_) => {
                    to.bytes(&entry.value).sure();
                }
            }
            write_hashes(entry.proof.siblings(), to);
        }
        to.array(self.entered.len() as u64).sure();
        for entered in &self.entered {
            entered.write(&words, to);
            words.add_event(&entered.event);
        }
        to.array(self.sets.len() as u64).sure();
        for link in &self.sets {
            write_link(link, to);
        }
        if let Some(ProvenLog { value, proof }) = &self.witnesses {
            to.array(2).sure().bytes(value).sure();
            write_hashes(proof.siblings(), to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let items = from.array()?;
        if !(9..=10).contains(&items) {
            return Err(from.error("neither 9 nor 10 items"));
        }
        if from.text()? != TAG {
            return Err(from.error("another tag"));
        }
        let (network, unit) = (NetworkId(from.digest()?), from.parse()?);
        let checkpoint = from.text()?;
        if checkpoint.len() > NOTE_BYTES_MAX {
            return Err(from.error("a checkpoint that is too long"));
        }
        let record = BlockRecord::read(from)?;
        let path = read_hashes(PATH_MAX, from)?;
        let entries = from.list(ENTRIES_MAX, Draft::read)?;
        let mut words = Words::of(&network, &unit);
        words.add_signers(entries.iter().filter_map(|entry| match entry.pieces.as_slice() {
            [Piece::Bytes(value)] => Some((&entry.key, *value)),
            _ => None,
        }));
        let mut left = PASSPORT_BYTES_MAX;
        let entered = from.list(PASSPORT_EVENTS_MAX, |from| {
            let entered = Entered::read(&words, &mut left, from)?;
            words.add_event(&entered.event);
            Ok(entered)
        })?;
        let finish = |draft: Draft<'_>| draft.finish(&words, from);
        let entries = entries.into_iter().map(finish).collect::<Result<Vec<_>, _>>()?;
        let sets = from.list(PASSPORT_SETS_MAX, read_link)?;
        let checkpoint = checkpoint.to_string();
        let witnesses = if items == 10 { Some(read_log(from)?) } else { None };
        Ok(Self { network, unit, checkpoint, record, path, entries, entered, sets, witnesses })
    }
}

fn read_log(from: &mut Reader<'_>) -> Result<ProvenLog, DecodeError> {
    from.array_of(2)?;
    let value = from.bytes()?;
    if value.len() > LogState::BYTES_MAX {
        return Err(from.error("an entry that is too long"));
    }
    let proof = MapProof::of_present(read_hashes(SIBLINGS_MAX, from)?);
    Ok(ProvenLog { value: value.to_vec(), proof })
}

pub(crate) fn write_entry(entry: &Proven, to: &mut Writer<'_>) {
    to.array(3).sure().str(&entry.key.to_string()).sure().bytes(&entry.value).sure();
    write_hashes(entry.proof.siblings(), to);
}

pub(crate) fn read_entry(from: &mut Reader<'_>) -> Result<Proven, DecodeError> {
    from.array_of(3)?;
    let (key, value) = (from.parse()?, from.bytes()?);
    if value.len() > ENTRY_BYTES_MAX {
        return Err(from.error("an entry that is too long"));
    }
    let proof = MapProof::of_present(read_hashes(SIBLINGS_MAX, from)?);
    Ok(Proven { key, value: value.to_vec(), proof })
}

/// An entry whose value may name events that stand further on.
struct Draft<'a> {
    key: Subject,
    pieces: Vec<Piece<'a>>,
    proof: MapProof,
}

impl<'a> Draft<'a> {
    fn read(from: &mut Reader<'a>) -> Result<Self, DecodeError> {
        from.array_of(3)?;
        let key = from.parse()?;
        let pieces = match key {
            Subject::Unit(_) => Piece::read_all(ENTRY_PIECES_MAX, from)?,
            // Words follow from those.
            Subject::Signer(_) => Vec::from([Piece::Bytes(from.bytes()?)]),
        };
        let proof = MapProof::of_present(read_hashes(SIBLINGS_MAX, from)?);
        Ok(Self { key, pieces, proof })
    }

    fn finish(self, words: &Words, at: &Reader<'_>) -> Result<Proven, DecodeError> {
        let value = words
            .join(&self.pieces, ENTRY_BYTES_MAX)
            .ok_or_else(|| at.error("an entry that is too long, or names no word"))?;
        Ok(Proven { key: self.key, value, proof: self.proof })
    }
}

impl Canonical for SetLink {
    const WHAT: &'static str = "change of the validator set";
    const BYTES_MAX: usize = 64 * 1024;

    fn write(&self, to: &mut Writer<'_>) {
        write_link(self, to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        read_link(from)
    }
}

pub(crate) fn write_link(link: &SetLink, to: &mut Writer<'_>) {
    to.array(5).sure();
    link.record.write(to);
    to.u64(link.size.0).sure().bytes(link.root.as_bytes()).sure();
    link.certificate.write(to);
    link.set.write(to);
}

pub(crate) fn read_link(from: &mut Reader<'_>) -> Result<SetLink, DecodeError> {
    from.array_of(5)?;
    Ok(SetLink {
        record: BlockRecord::read(from)?,
        size: TreeSize(from.u64()?),
        root: TreeRoot(from.digest()?),
        certificate: Certificate::read(from)?,
        set: ValidatorSet::read(from)?,
    })
}

impl Entered {
    fn write(&self, words: &Words, to: &mut Writer<'_>) {
        to.array(6).sure();
        words.write(&self.event, to);
        to.u64(self.leaf.0).sure().u64(self.time.0).sure();
        to.array(self.around.len() as u64).sure();
        for counters in &self.around {
            to.array(COUNTERS as u64).sure();
            for count in counters.to_array() {
                to.u32(count).sure();
            }
        }
        to.array(self.begins.len() as u64).sure();
        for (unit, head) in &self.begins {
            to.array(2).sure().str(unit.as_str()).sure().bytes(&head.0).sure();
        }
        to.bool(self.contested).sure();
    }

    fn read(words: &Words, left: &mut usize, from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(6)?;
        Ok(Self {
            event: {
                let pieces = Piece::read_all(EVENT_PIECES_MAX, from)?;
                let event = words.join(&pieces, EVENT_BYTES_MAX_NESTED.min(*left));
                let event =
                    event.ok_or_else(|| from.error("events that are too long, or name no word"))?;
                *left -= event.len();
                event
            },
            leaf: LeafIndex(from.u64()?),
            time: Millis(from.u64()?),
            around: from.list(DEPTH_MAX, |from| {
                from.array_of(COUNTERS as u64)?;
                let mut counts = [0; COUNTERS];
                for count in &mut counts {
                    *count = from.u32()?;
                }
                Ok(Counters::from_array(counts))
            })?,
            begins: from.list(DEPTH_MAX, |from| {
                from.array_of(2)?;
                Ok((from.parse::<UnitId>()?, from.digest()?))
            })?,
            contested: from.bool()?,
        })
    }
}

/// Hashes as one byte string: a header for each would cost two bytes of every 34.
pub(crate) fn write_hashes(hashes: &[Digest], to: &mut Writer<'_>) {
    let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.0).collect();
    to.bytes(&bytes).sure();
}

pub(crate) fn read_hashes(max: usize, from: &mut Reader<'_>) -> Result<Vec<Digest>, DecodeError> {
    let (hashes, rest) = from.bytes()?.as_chunks::<32>();
    if hashes.len() > max || !rest.is_empty() {
        return Err(from.error("hashes that are too many, or one that is not whole"));
    }
    Ok(hashes.iter().map(|hash| Digest(*hash)).collect())
}
