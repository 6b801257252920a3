//! What a witness is asked: `POST /add-checkpoint` of tlog-witness, as text.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::block::TreeSize;
use crate::codec::DecodeError;
use crate::digest::Digest;
use crate::note::{NOTE_BYTES_MAX, Note};

const WHAT: &str = "request to a witness";
/// Hashes of a consistency proof: a client must not send more.
const PATH_MAX: usize = 63;
/// Bytes of the line with the old size, at most.
const OLD_LINE_MAX: usize = 32;
/// Bytes of a request: the old size, a proof in lines of 45, an empty line, a checkpoint.
pub const REQUEST_BYTES_MAX: usize = OLD_LINE_MAX + PATH_MAX * 45 + 1 + NOTE_BYTES_MAX;

/// Asks a witness to cosign a checkpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddCheckpoint {
    /// The size that the witness is thought to have cosigned last; 0 where it is not known.
    pub old: TreeSize,
    /// Consistency proof from there to the checkpoint.
    pub path: Vec<Digest>,
    /// The checkpoint, with the log's signature.
    pub checkpoint: Note,
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.path {
            writeln!(f, "{}", STANDARD.encode(hash.0))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for AddCheckpoint {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        if text.len() > REQUEST_BYTES_MAX {
            let (bytes, max) = (text.len(), REQUEST_BYTES_MAX);
            return Err(DecodeError::TooLong { what: WHAT, bytes, max });
        }
        let bad = |why: &str| DecodeError::malformed(WHAT, why);
        let (head, note) = text.split_once("\n\n").ok_or_else(|| bad("no empty line"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(size);
        let old = old.ok_or_else(|| bad("the first line is not `old` and a size"))?;
        let path = lines
            .map(|line| {
                let hash = STANDARD.decode(line).ok().and_then(|bytes| Digest::from_slice(&bytes));
                hash.ok_or_else(|| bad("a line of the proof is not 32 bytes of base64"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if path.len() > PATH_MAX {
            return Err(bad("the proof has more than 63 lines"));
        }
        Ok(Self { old, path, checkpoint: note.parse()? })
    }
}

/// The size in the body of a 409 answer (`text/x.tlog.size`).
pub fn conflict_size(body: &str) -> Option<TreeSize> {
    size(body.strip_suffix('\n')?)
}

/// A size in its one decimal form.
fn size(digits: &str) -> Option<TreeSize> {
    let size: u64 = digits.parse().ok()?;
    (size.to_string() == digits).then_some(TreeSize(size))
}

/// The body of a 409 answer.
pub(super) fn conflict_body(size: TreeSize) -> String {
    format!("{size}\n")
}
