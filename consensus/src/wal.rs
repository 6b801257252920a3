//! The framing of the consensus write-ahead log.
//!
//! One log serves one height: a header that names it, then entries. Each entry is bound to the height
//! and to its place by a checksum, so neither a torn tail nor bytes that an earlier height left on the
//! disk ever pass for one. Reading stops at the first entry that does not hold; what stands before it
//! is what was written. Whether bytes that had been synced are missing is not told here but by the
//! [`sign_state`](crate::sign_state).
//!
//! ```text
//! header  "CNSWAL1\n" | height, 8 | checksum, 8
//! entry   length, 4   | checksum, 8 | payload          integers big-endian
//! ```
//!
//! This module sees bytes only. It knows no files, and of what an entry means only who signed it.

use std::collections::BTreeMap;

use consign_types::block::Height;
use consign_types::codec::Canonical as _;
use consign_types::digest::Digest;
use consign_types::validator::ValidatorIndex;

use crate::entry::Entry;
use crate::message::Message;

const MAGIC: &[u8; 8] = b"CNSWAL1\n";
const HEADER_BYTES: usize = 24;
const ENTRY_HEAD_BYTES: usize = 12;

/// The longest payload; more than the longest consensus message.
pub const ENTRY_BYTES_MAX: usize = 16 * 1024;

/// What a log still holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Recovered {
    /// The height that the log is for; `None` where even the header does not hold.
    pub height: Option<Height>,
    /// The payloads of the whole entries, in order.
    pub entries: Vec<Vec<u8>>,
    /// Bytes from the start that hold. The file is cut here before anything is appended.
    pub valid_bytes: u64,
    /// Whether bytes follow that do not hold.
    pub torn: bool,
}

impl Recovered {
    /// What each validator signed last, of what the log holds. It was verified before it was written.
    pub fn latest(&self) -> BTreeMap<ValidatorIndex, Message> {
        let mut latest = BTreeMap::<ValidatorIndex, Message>::new();
        for entry in &self.entries {
            let Ok(Entry::Message(message)) = Entry::from_bytes(entry) else { continue };
            let Some(author) = message.author() else { continue };
            if latest.get(&author).is_none_or(|last| last.place() < message.place()) {
                latest.insert(author, message);
            }
        }
        latest
    }
}

/// The bytes that the log for `height` begins with.
pub fn header(height: Height) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&height.0.to_be_bytes());
    bytes.extend_from_slice(&header_checksum(height));
    bytes
}

/// Reads a log back. Any bytes at all are an answer; none is an error.
pub fn recover(bytes: &[u8]) -> Recovered {
    let Some((height, mut rest)) = read_header(bytes) else {
        return Recovered { torn: !bytes.is_empty(), ..Recovered::default() };
    };
    let mut entries = Vec::new();
    while let Some((payload, after)) = read_entry(height, entries.len() as u64, rest) {
        entries.push(payload.to_vec());
        rest = after;
    }
    let valid_bytes = (bytes.len() - rest.len()) as u64;
    Recovered { height: Some(height), entries, valid_bytes, torn: !rest.is_empty() }
}

/// Frames the entries of one height's log, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Framer {
    height: Height,
    next_place: u64,
}

impl Framer {
    /// For the log of `height`, which holds `entries` already.
    pub(crate) const fn new(height: Height, entries: usize) -> Self {
        Self { height, next_place: entries as u64 }
    }

    /// The bytes that append `payload`.
    pub(crate) fn frame(&mut self, payload: &[u8]) -> Vec<u8> {
        assert!(payload.len() <= ENTRY_BYTES_MAX, "an entry is bounded by the message it holds");
        let mut bytes = Vec::with_capacity(ENTRY_HEAD_BYTES + payload.len());
        bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&entry_checksum(self.height, self.next_place, payload));
        bytes.extend_from_slice(payload);
        self.next_place += 1;
        bytes
    }
}

fn read_header(bytes: &[u8]) -> Option<(Height, &[u8])> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (height, rest) = rest.split_first_chunk::<8>()?;
    let (checksum, rest) = rest.split_first_chunk::<8>()?;
    let height = Height(u64::from_be_bytes(*height));
    (magic == MAGIC && *checksum == header_checksum(height)).then_some((height, rest))
}

fn read_entry(height: Height, place: u64, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<8>()?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > ENTRY_BYTES_MAX {
        return None;
    }
    let (payload, rest) = rest.split_at_checked(length)?;
    (*checksum == entry_checksum(height, place, payload)).then_some((payload, rest))
}

fn header_checksum(height: Height) -> [u8; 8] {
    truncate(Digest::of(&[b"consign/wal-header/v1\0", &height.0.to_be_bytes()]))
}

fn entry_checksum(height: Height, place: u64, payload: &[u8]) -> [u8; 8] {
    let (height, place) = (height.0.to_be_bytes(), place.to_be_bytes());
    truncate(Digest::of(&[b"consign/wal-entry/v1\0", &height, &place, payload]))
}

fn truncate(digest: Digest) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.as_bytes()[..8]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Vote, VoteKind};
    use consign_types::certificate::Round;
    use consign_types::key::Signature;

    /// A log of height 7 with five entries of different lengths, one of them empty, and the number
    /// of whole entries that stand before each offset.
    fn log() -> (Vec<u8>, Vec<Vec<u8>>, Vec<usize>) {
        let entries: Vec<Vec<u8>> =
            [3, 0, 40, 1, 17].iter().enumerate().map(|(i, n)| vec![i as u8 + 1; *n]).collect();
        let mut bytes = header(Height(7));
        let mut framer = Framer::new(Height(7), 0);
        let mut ends = vec![bytes.len()];
        for entry in &entries {
            bytes.extend(framer.frame(entry));
            ends.push(bytes.len());
        }
        (bytes, entries, ends)
    }

    fn check_prefix(bytes: &[u8], first_bad: usize, what: &str) {
        let (_, entries, ends) = log();
        let recovered = recover(bytes);
        let whole = ends.iter().filter(|end| **end <= first_bad).count();
        match whole.checked_sub(1) {
            None => assert_eq!((recovered.height, recovered.valid_bytes), (None, 0), "{what}"),
            Some(whole) => {
                assert_eq!(recovered.height, Some(Height(7)), "{what}");
                assert_eq!(recovered.entries, entries[..whole], "{what}");
                assert_eq!(recovered.valid_bytes, ends[whole] as u64, "{what}");
            }
        }
        assert_eq!(recovered.torn, recovered.valid_bytes < bytes.len() as u64, "{what}");
    }

    #[test]
    fn a_whole_log_is_read_back_whole() {
        let (bytes, entries, _) = log();
        let valid_bytes = bytes.len() as u64;
        let whole = Recovered { height: Some(Height(7)), entries, valid_bytes, torn: false };
        assert_eq!(recover(&bytes), whole);
        assert_eq!(recover(&[]), Recovered::default());
    }

    #[test]
    fn a_log_cut_anywhere_keeps_every_whole_entry() {
        let (bytes, ..) = log();
        for cut in 0..bytes.len() {
            check_prefix(&bytes[..cut], cut, &format!("cut at {cut}"));
        }
    }

    #[test]
    fn a_log_zeroed_from_anywhere_keeps_every_entry_before() {
        let (bytes, ..) = log();
        for from in 0..bytes.len() {
            let mut zeroed = bytes.clone();
            zeroed[from..].fill(0);
            // A byte that was zero already is no damage.
            let first_bad = (0..bytes.len()).find(|i| zeroed[*i] != bytes[*i]);
            check_prefix(&zeroed, first_bad.unwrap_or(bytes.len()), &format!("zeroed from {from}"));
        }
    }

    #[test]
    fn a_log_with_any_bit_flipped_keeps_every_entry_before() {
        let (bytes, ..) = log();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                check_prefix(&flipped, at, &format!("bit {bit} of byte {at}"));
            }
        }
    }

    #[test]
    fn an_entry_of_another_height_or_place_never_passes() {
        let (bytes, entries, ends) = log();
        let mut other = header(Height(8));
        other.extend_from_slice(&bytes[ends[0]..]);
        assert_eq!(recover(&other).entries, Vec::<Vec<u8>>::new());
        let mut skipped = bytes[..ends[1]].to_vec();
        skipped.extend_from_slice(&bytes[ends[2]..]);
        assert_eq!(recover(&skipped).entries, entries[..1]);
    }

    #[test]
    fn appending_goes_on_where_a_torn_log_was_cut() {
        let (bytes, entries, ends) = log();
        let torn = recover(&bytes[..ends[3] + 5]);
        assert!(torn.torn);
        let mut bytes = bytes[..torn.valid_bytes as usize].to_vec();
        bytes.extend(Framer::new(Height(7), torn.entries.len()).frame(b"next"));
        let expected: Vec<_> = entries[..3].iter().cloned().chain([b"next".to_vec()]).collect();
        assert_eq!((recover(&bytes).entries, recover(&bytes).torn), (expected, false));
    }

    #[test]
    fn the_latest_of_each_validator_is_found_among_what_the_log_holds() {
        let vote = |validator, round, kind| {
            let (height, round, signature) = (Height(7), Round(round), Signature([0; 64]));
            let validator = ValidatorIndex(validator);
            Message::Vote(Vote { height, round, kind, block: None, validator, signature })
        };
        let votes = [
            vote(0, 0, VoteKind::Prevote),
            vote(1, 0, VoteKind::Precommit),
            vote(0, 1, VoteKind::Prevote),
            vote(0, 0, VoteKind::Precommit),
            vote(1, 0, VoteKind::Prevote),
        ];
        let mut framer = Framer::new(Height(7), 0);
        let mut bytes = header(Height(7));
        for entry in votes.iter().cloned().map(Entry::Message) {
            bytes.extend(framer.frame(&entry.to_bytes()));
        }
        bytes.extend(framer.frame(b"no entry"));
        let latest = BTreeMap::from([
            (ValidatorIndex(0), votes[2].clone()),
            (ValidatorIndex(1), votes[1].clone()),
        ]);
        assert_eq!(recover(&bytes).latest(), latest);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_an_answer(tail in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let recovered = recover(&tail);
            proptest::prop_assert!(recovered.valid_bytes <= tail.len() as u64);
            let mut bytes = header(Height(1));
            bytes.extend_from_slice(&tail);
            let recovered = recover(&bytes);
            proptest::prop_assert_eq!(recovered.height, Some(Height(1)));
            proptest::prop_assert!(recovered.entries.is_empty());
        }
    }
}
