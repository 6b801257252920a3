//! The receipt: proof that one leaf is in the log (C2SP tlog-proof v1, `.tlog-proof`).
//!
//! Index, inclusion path and a cosigned checkpoint in one text file. A receipt speaks of one event; it
//! says nothing of what else happened to a unit. `extra` is authenticated by nothing but the leaf hash:
//! trust it only as the data that hash to the leaf that was verified.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::block::LeafIndex;
use crate::checkpoint::{Checkpoint, NotProven, Proven};
use crate::codec::DecodeError;
use crate::digest::{Digest, LeafHash};
use crate::limits::LOG_ENTRY_BYTES_MAX;
use crate::merkle::{BadProof, InclusionProof};
use crate::note::{NOTE_BYTES_MAX, Note};
use crate::trust::Trust;

const WHAT: &str = "receipt";
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Levels of the largest tree.
const PATH_MAX: usize = 63;
/// Bytes of the lines that are left: header, index, and what stands before the data in `extra`.
const LINES_MAX: usize = 128;
/// Bytes of a receipt: checkpoint, path in lines of 45, and the largest leaf in base64.
pub const RECEIPT_BYTES_MAX: usize =
    LINES_MAX + LOG_ENTRY_BYTES_MAX.div_ceil(3) * 4 + PATH_MAX * 45 + NOTE_BYTES_MAX;

/// Proof that one leaf is in the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// The leaf's data, where the receipt carries them (`extra` of tlog-proof); never empty.
    pub extra: Option<Vec<u8>>,
    /// The leaf.
    pub index: LeafIndex,
    /// Siblings, bottom up.
    pub path: Vec<Digest>,
    /// The cosigned checkpoint.
    pub checkpoint: Note,
}

/// Why a receipt proves nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadReceipt {
    /// The path does not lead from the leaf to the root.
    #[error("the inclusion proof does not lead from the event to the checkpoint's root")]
    Inclusion(#[source] BadProof),
    /// The checkpoint is not cosigned by a quorum.
    #[error("the checkpoint is not established")]
    Checkpoint(#[source] NotProven),
}

impl Receipt {
    /// The file's text.
    pub fn text(&self) -> String {
        self.to_string()
    }

    /// Checks that `leaf` is in the log as a quorum of validators of one of the sets that `trust` names, and the
    /// witnesses that it demands, cosigned it.
    ///
    /// # Errors
    /// [`BadReceipt::Inclusion`] where the hashes do not fit, [`BadReceipt::Checkpoint`] where the
    /// cosignatures do not suffice.
    pub fn verify(&self, leaf: LeafHash, trust: &Trust) -> Result<Proven, BadReceipt> {
        let malformed = |e| BadReceipt::Checkpoint(NotProven::Malformed(e));
        let claimed = Checkpoint::from_text(self.checkpoint.text()).map_err(malformed)?;
        let proof =
            InclusionProof { index: self.index, size: claimed.size, path: self.path.clone() };
        proof.verify(leaf, claimed.root).map_err(BadReceipt::Inclusion)?;
        trust.verify_by_any(&self.checkpoint).map_err(BadReceipt::Checkpoint)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", STANDARD.encode(hash.0))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for Receipt {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        if text.len() > RECEIPT_BYTES_MAX {
            let (bytes, max) = (text.len(), RECEIPT_BYTES_MAX);
            return Err(DecodeError::TooLong { what: WHAT, bytes, max });
        }
        let bad = |why: &str| DecodeError::malformed(WHAT, why);
        let (head, note) = text.split_once("\n\n").ok_or_else(|| bad("no blank line"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(bad("another header"));
        }
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            Some(encoded) => {
                let extra = STANDARD.decode(encoded).map_err(|_| bad("extra is not base64"))?;
                if extra.is_empty() {
                    return Err(bad("extra without data"));
                }
                lines.next();
                Some(extra)
            }
            None => None,
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = index.and_then(|digits| digits.parse().ok()).ok_or_else(|| bad("no index"))?;
        let path = lines
            .map(|line| {
                let hash = STANDARD.decode(line).ok().and_then(|bytes| Digest::from_slice(&bytes));
                hash.ok_or_else(|| bad("a hash is not 32 bytes of base64"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if path.len() > PATH_MAX {
            return Err(bad("the path is longer than any tree is high"));
        }
        let receipt = Self { extra, index: LeafIndex(index), path, checkpoint: note.parse()? };
        // Leading zeros, other base64: whatever prints differently was not the one form.
        if receipt.text() != text {
            return Err(DecodeError::NotCanonical { what: WHAT });
        }
        Ok(receipt)
    }
}
