//! What parts of a passport have in common and say once.
//!
//! Bytes are written as pieces, literal ones or the number of a *word*, one after another. Words are not
//! stated: they follow from the network, the unit, the signers' entries and the events that stand before.
//! Which pieces bytes have is fixed (leftmost word first, lowest number first), so that a file still has
//! one encoding.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound;

use consign_types::codec::{Canonical as _, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::{Digest, NetworkId};
use consign_types::event::{SignedEvent, Subject, header_start};
use consign_types::unit::UnitId;

use crate::correction::names;
use crate::signer::SignerState;

/// A part of what is written.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// The word of this number.
    Word(u64),
    /// These bytes.
    Bytes(&'a [u8]),
}

impl<'a> Piece<'a> {
    /// At most `max`, so that they take no more room than what they stand for.
    pub fn read_all(max: usize, from: &mut Reader<'a>) -> Result<Vec<Self>, DecodeError> {
        let mut pieces = Vec::new();
        for _ in 0..from.array()? {
            if pieces.len() == max {
                return Err(from.error("too many pieces"));
            }
            pieces.push(match from.maybe_u64()? {
                Some(number) => Piece::Word(number),
                None => Piece::Bytes(from.bytes()?),
            });
        }
        Ok(pieces)
    }
}

/// The network, the unit, how each signer's header begins, and the ids of events.
#[derive(Clone)]
pub struct Words {
    words: Vec<Vec<u8>>,
    /// What all headers begin with; nothing where there is no signer.
    common: Vec<u8>,
    /// How headers begin, and the first number of each. Lengths stand before names, so none begins another.
    headers: BTreeMap<Vec<u8>, usize>,
    /// How many words there were before the first event.
    fixed: usize,
    /// Ids of events by number, and the first number of each.
    ids: Vec<Digest>,
    numbers: BTreeMap<Digest, usize>,
}

/// Words before those of the signers.
const FIXED: usize = 2;
/// How a hash begins: a byte string of 32. Ids are looked for behind that alone.
const HASH: [u8; 2] = [0x58, 0x20];

impl Words {
    pub fn of(network: &NetworkId, unit: &UnitId) -> Self {
        let words = Vec::from([network.as_bytes().to_vec(), unit.as_str().as_bytes().to_vec()]);
        let (common, ids) = (Vec::new(), Vec::new());
        let (headers, numbers) = (BTreeMap::new(), BTreeMap::new());
        Self { words, common, headers, fixed: FIXED, ids, numbers }
    }

    /// Adds a word for each key of each signer among these entries.
    pub fn add_signers<'e>(&mut self, entries: impl Iterator<Item = (&'e Subject, &'e [u8])>) {
        for (key, value) in entries {
            // An entry that does not decode makes no word; the verifier refuses it by its name.
            if let Subject::Signer(signer) = key
                && let Ok(state) = SignerState::from_bytes(value)
            {
                for key in state.keys() {
                    let word = header_start(signer, key.algorithm(), key.key_id());
                    self.common = word.get(..8).unwrap_or_default().to_vec();
                    self.headers.entry(word.clone()).or_insert(self.words.len());
                    self.words.push(word);
                }
            }
        }
        self.fixed = self.words.len();
    }

    /// Adds the id of an event, and of a handover those of the two inside. What is no event makes no word.
    pub fn add_event(&mut self, event: &[u8]) {
        let Ok(event) = SignedEvent::decode(event) else { return };
        for id in names(&event) {
            self.numbers.entry(id.0).or_insert(self.fixed + self.ids.len());
            self.ids.push(id.0);
        }
    }

    fn get(&self, number: u64) -> Option<&[u8]> {
        let number = usize::try_from(number).ok()?;
        match number.checked_sub(self.fixed) {
            None => self.words.get(number).map(Vec::as_slice),
            Some(at) => self.ids.get(at).map(|id| id.0.as_slice()),
        }
    }

    /// The word at this place of `bytes`, of the lowest number: its number and length.
    fn find(&self, bytes: &[u8], at: usize) -> Option<(usize, usize)> {
        let rest = bytes.get(at..)?;
        let mut words = self.words.iter().take(FIXED).enumerate();
        if let Some((number, word)) = words.find(|(_, word)| rest.starts_with(word)) {
            return Some((number, word.len()));
        }
        if !self.common.is_empty() && rest.starts_with(&self.common) {
            // The last that is not above what comes; a file of many signers costs no more for each byte.
            let below = (Bound::Unbounded, Bound::Included(rest));
            let last = self.headers.range::<[u8], _>(below).next_back();
            if let Some((word, number)) = last.filter(|(word, _)| rest.starts_with(word)) {
                return Some((*number, word.len()));
            }
        }
        let id = rest.first_chunk::<32>().filter(|_| bytes.get(..at).is_some_and(ends_in_hash))?;
        self.numbers.get(&Digest(*id)).map(|number| (*number, id.len()))
    }

    /// Writes `bytes` as pieces.
    pub fn write(&self, bytes: &[u8], to: &mut Writer<'_>) {
        let (mut pieces, mut literal, mut at) = (Vec::new(), 0, 0);
        let flush = |pieces: &mut Vec<_>, from, to| match bytes.get(from..to) {
            Some(bytes) if !bytes.is_empty() => pieces.push(Piece::Bytes(bytes)),
            _ => {}
        };
        while at < bytes.len() {
            if let Some((number, len)) = self.find(bytes, at) {
                flush(&mut pieces, literal, at);
                pieces.push(Piece::Word(number as u64));
                at += len;
                literal = at;
            } else {
                at += 1;
            }
        }
        flush(&mut pieces, literal, at);
        to.array(pieces.len() as u64).sure();
        for piece in pieces {
            match piece {
                Piece::Word(number) => to.u64(number).sure(),
                Piece::Bytes(bytes) => to.bytes(bytes).sure(),
            };
        }
    }

    /// The pieces one after another; none where they are longer than `max`, or one names no word.
    pub fn join(&self, pieces: &[Piece<'_>], max: usize) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        for piece in pieces {
            let bytes = match piece {
                Piece::Bytes(bytes) => bytes,
                Piece::Word(number) => self.get(*number)?,
            };
            if all.len() + bytes.len() > max {
                return None;
            }
            all.extend_from_slice(bytes);
        }
        Some(all)
    }
}

fn ends_in_hash(before: &[u8]) -> bool {
    before.ends_with(&HASH)
}
