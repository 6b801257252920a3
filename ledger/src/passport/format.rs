//! The encoding of a passport: deterministic CBOR, in which what events have in common stands once.
//!
//! An event is written as pieces, literal bytes or the number of a *word*; its bytes are the pieces one
//! after another. Words are not stated: they follow from the network, the unit and the signers' entries.
//! Which pieces an event has is fixed (leftmost word first, lowest number first), so that a file still has
//! one encoding.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use consign_types::block::{BlockRecord, LeafIndex, TreeSize};
use consign_types::certificate::Certificate;
use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::{Digest, NetworkId, TreeRoot};
use consign_types::event::{Subject, header_start};
use consign_types::limits::{
    DEPTH_MAX, EVENT_BYTES_MAX_NESTED, PASSPORT_BYTES_MAX, PASSPORT_EVENTS_MAX, PASSPORT_SETS_MAX,
    PASSPORT_SIGNERS_MAX,
};
use consign_types::note::NOTE_BYTES_MAX;
use consign_types::time::Millis;
use consign_types::unit::UnitId;
use consign_types::validator::ValidatorSet;

use super::{Entered, Passport, Proven, SetLink};
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

impl Canonical for Passport {
    const WHAT: &'static str = "passport";
    const BYTES_MAX: usize = PASSPORT_BYTES_MAX;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(9).sure().str(TAG).sure().bytes(self.network.as_bytes()).sure();
        to.str(self.unit.as_str()).sure().str(&self.checkpoint).sure();
        self.record.write(to);
        write_hashes(&self.path, to);
        to.array(self.entries.len() as u64).sure();
        for entry in &self.entries {
            write_entry(entry, to);
        }
        let words = Words::of(&self.network, &self.unit, &self.entries);
        to.array(self.entered.len() as u64).sure();
        for entered in &self.entered {
            entered.write(&words, to);
        }
        to.array(self.sets.len() as u64).sure();
        for link in &self.sets {
            write_link(link, to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(9)?;
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
        let entries = from.list(ENTRIES_MAX, read_entry)?;
        let words = Words::of(&network, &unit, &entries);
        let mut left = PASSPORT_BYTES_MAX;
        let entered =
            from.list(PASSPORT_EVENTS_MAX, |from| Entered::read(&words, &mut left, from))?;
        let sets = from.list(PASSPORT_SETS_MAX, read_link)?;
        let checkpoint = checkpoint.to_string();
        Ok(Self { network, unit, checkpoint, record, path, entries, entered, sets })
    }
}

pub(crate) fn write_entry(entry: &Proven, to: &mut Writer<'_>) {
    to.array(3).sure().str(&entry.key.to_string()).sure().bytes(&entry.value).sure();
    write_hashes(entry.proof.siblings(), to);
}

pub(crate) fn read_entry(from: &mut Reader<'_>) -> Result<Proven, DecodeError> {
    from.array_of(3)?;
    let (key, value) = (from.parse()?, from.bytes()?);
    if value.len() > UnitState::BYTES_MAX.max(SignerState::BYTES_MAX) {
        return Err(from.error("an entry that is too long"));
    }
    let proof = MapProof::of_present(read_hashes(SIBLINGS_MAX, from)?);
    Ok(Proven { key, value: value.to_vec(), proof })
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
            event: words.read(left, from)?,
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

/// What events of one file have in common: the network, the unit, and how each signer's header begins.
struct Words {
    words: Vec<Vec<u8>>,
    /// What all headers begin with; nothing where there is no signer.
    common: Vec<u8>,
}

/// Words before those of the signers.
const FIXED: usize = 2;

impl Words {
    fn of(network: &NetworkId, unit: &UnitId, entries: &[Proven]) -> Self {
        let mut words = Vec::from([network.as_bytes().to_vec(), unit.as_str().as_bytes().to_vec()]);
        let mut common = Vec::new();
        for entry in entries {
            // An entry that does not decode makes no word; the verifier refuses it by its name.
            if let Subject::Signer(signer) = &entry.key
                && let Ok(state) = SignerState::from_bytes(&entry.value)
            {
                let word = header_start(signer, state.key.key_id());
                common = word.get(..8).unwrap_or_default().to_vec();
                words.push(word);
            }
        }
        Self { words, common }
    }

    /// The word that `bytes` begin with, of the lowest number.
    fn begins(&self, bytes: &[u8]) -> Option<(usize, &[u8])> {
        let header = !self.common.is_empty() && bytes.starts_with(&self.common);
        let count = if header { self.words.len() } else { FIXED };
        let mut words = self.words.iter().take(count).enumerate();
        let (number, word) = words.find(|(_, word)| bytes.starts_with(word))?;
        Some((number, word))
    }

    fn write(&self, event: &[u8], to: &mut Writer<'_>) {
        enum Piece<'a> {
            Word(usize),
            Bytes(&'a [u8]),
        }
        let (mut pieces, mut literal, mut at) = (Vec::new(), 0, 0);
        let flush = |pieces: &mut Vec<_>, from, to| match event.get(from..to) {
            Some(bytes) if !bytes.is_empty() => pieces.push(Piece::Bytes(bytes)),
            _ => {}
        };
        while let Some(rest) = event.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some((number, word)) = self.begins(rest) {
                flush(&mut pieces, literal, at);
                pieces.push(Piece::Word(number));
                at += word.len();
                literal = at;
            } else {
                at += 1;
            }
        }
        flush(&mut pieces, literal, at);
        to.array(pieces.len() as u64).sure();
        for piece in pieces {
            match piece {
                Piece::Word(number) => to.u64(number as u64).sure(),
                Piece::Bytes(bytes) => to.bytes(bytes).sure(),
            };
        }
    }

    /// Reads an event; `left` are the bytes that all events of the file may still have.
    fn read(&self, left: &mut usize, from: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
        let mut event = Vec::new();
        for _ in 0..from.array()? {
            let piece = match from.maybe_u64()? {
                None => from.bytes()?,
                Some(number) => {
                    let word = usize::try_from(number).ok().and_then(|at| self.words.get(at));
                    word.ok_or_else(|| from.error("the number of no word"))?
                }
            };
            if event.len() + piece.len() > EVENT_BYTES_MAX_NESTED.min(*left) {
                return Err(from.error("events that are too long"));
            }
            event.extend_from_slice(piece);
        }
        *left -= event.len();
        Ok(event)
    }
}
