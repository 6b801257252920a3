//! Checkpoints and their cosignatures (C2SP tlog-checkpoint v1, tlog-cosignature v1).
//!
//! A checkpoint names a log, its size and its root. Validators cosign it; a quorum of them is exactly a
//! group of C2SP's tlog-policy, so other tools check our finality without knowing our protocol. The
//! log's own signature stands beside them for tools that ask for one: it says who served the note,
//! and adds nothing to the quorum.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::block::TreeSize;
use crate::codec::DecodeError;
use crate::digest::{Digest, SetHash, TreeRoot};
use crate::key::{BadSignature, PublicKey, Signature, Signer};
use crate::note::{KeyType, Note, NoteSignature, VerifierKey};
use crate::party::PartyId;
use crate::validator::{ValidatorIndex, ValidatorSet};
use crate::witness::Witnessed;

const WHAT: &str = "checkpoint";
/// Latest time that a cosignature may name (tlog-cosignature, "Format").
const TIME_S_MAX: u64 = i64::MAX as u64;

/// What a log was at a size.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// The log.
    pub origin: String,
    /// Number of leaves.
    pub size: TreeSize,
    /// Its root.
    pub root: TreeRoot,
}

/// A cosigner's word that it saw the log like this, at a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cosignature {
    /// Seconds since the epoch, below 2^63.
    pub time_s: u64,
    /// Over the message of tlog-cosignature.
    pub signature: Signature,
}

/// A checkpoint whose quorum was checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proven {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The set that they are of.
    pub set: SetHash,
    /// Validators whose cosignatures hold, ascending.
    pub validators: Vec<ValidatorIndex>,
    /// The quorum-th newest of their times, seconds since the epoch: how fresh it is.
    pub time_s: u64,
    /// Witnesses whose cosignatures hold; nobody where no trust file says whom to count.
    pub witnessed: Witnessed,
}

/// Why a checkpoint is not trusted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotProven {
    /// Not a checkpoint.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// Of another log.
    #[error("the checkpoint is of log {found:?}, not {expected:?}")]
    Origin {
        /// The log that it names.
        found: String,
        /// The log that is trusted.
        expected: String,
    },
    /// A cosignature under a validator's name and key id that does not hold.
    #[error("the cosignature of {0} does not hold")]
    Signature(PartyId),
    /// Too few.
    #[error("{found} of the {quorum} cosignatures that are needed hold")]
    NoQuorum {
        /// Validators that cosigned.
        found: usize,
        /// How many must have.
        quorum: usize,
    },
    /// A cosignature under a witness' name and key id that does not hold.
    #[error("the cosignature of the witness {0} does not hold")]
    WitnessSignature(String),
    /// Too few witnesses.
    #[error("{found} of the {needed} witnesses that are needed cosigned")]
    NoWitnesses {
        /// Witnesses that cosigned.
        found: usize,
        /// How many must have.
        needed: usize,
    },
    /// Witnesses that cosigned too long ago.
    #[error("the witnesses cosigned {age_s} s ago, and no more than {max_s} s are allowed")]
    WitnessesOld {
        /// How long ago.
        age_s: u64,
        /// How long it may be.
        max_s: u64,
    },
    /// An age to be judged by nobody's clock.
    #[error("the trust file limits the age of witnesses, and nobody said what time it is")]
    NoTime,
}

impl Checkpoint {
    /// The text of the note: origin, size, root, each on a line.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.as_bytes()))
    }

    /// Reads the text of a note. Extension lines are refused.
    ///
    /// # Errors
    /// When the text is not the one form of a checkpoint.
    pub fn from_text(text: &str) -> Result<Self, DecodeError> {
        let bad = |why: &str| DecodeError::malformed(WHAT, why);
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), Some(""), None) =
            (lines.next(), lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(bad("not three lines"));
        };
        let root = STANDARD.decode(root).ok().and_then(|bytes| Digest::from_slice(&bytes));
        let parsed = Self {
            origin: origin.to_string(),
            size: TreeSize(size.parse().map_err(|_| bad("the size is no number"))?),
            root: TreeRoot(root.ok_or_else(|| bad("the root is not 32 bytes of base64"))?),
        };
        if parsed.origin.is_empty() || parsed.text() != text {
            return Err(DecodeError::NotCanonical { what: WHAT });
        }
        Ok(parsed)
    }

    /// Cosigns this checkpoint at `time_s`.
    pub fn cosign(&self, key: &dyn Signer, time_s: u64) -> Cosignature {
        Cosignature {
            time_s,
            signature: key.sign(cosignature_message(&self.text(), time_s).as_bytes()),
        }
    }

    /// Checks a cosignature.
    ///
    /// # Errors
    /// When it does not hold.
    pub fn check(&self, key: &PublicKey, cosignature: &Cosignature) -> Result<(), BadSignature> {
        let message = cosignature_message(&self.text(), cosignature.time_s);
        key.verify(message.as_bytes(), &cosignature.signature)
    }

    /// This checkpoint as a note, signed by a log's own key under the origin's name.
    ///
    /// # Errors
    /// When the origin cannot name a key.
    pub fn signed(&self, log_key: &dyn Signer) -> Result<Note, DecodeError> {
        let text = self.text();
        let key = VerifierKey::new(&self.origin, KeyType::Ed25519, log_key.public())?;
        let signature = log_key.sign(text.as_bytes()).0.to_vec();
        let mut note = Note::new(text)?;
        note.add(NoteSignature { name: self.origin.clone(), key_id: key.key_id(), signature });
        Ok(note)
    }
}

impl Cosignature {
    /// The line under a note.
    pub fn line(&self, key: &VerifierKey) -> NoteSignature {
        let mut signature = Vec::from(self.time_s.to_be_bytes());
        signature.extend_from_slice(&self.signature.0);
        NoteSignature { name: key.name().to_string(), key_id: key.key_id(), signature }
    }

    /// Reads the bytes of a signature line; `None` where they are not a time and 64 bytes.
    pub fn from_line(line: &NoteSignature) -> Option<Self> {
        let (time, signature) = line.signature.split_first_chunk::<8>()?;
        let signature = Signature(signature.try_into().ok()?);
        let time_s = u64::from_be_bytes(*time);
        (time_s <= TIME_S_MAX).then_some(Self { time_s, signature })
    }
}

/// The key under which `party` cosigns the log `origin`.
///
/// # Errors
/// When the origin cannot name a key.
pub fn cosigner_key(
    origin: &str,
    party: &PartyId,
    key: PublicKey,
) -> Result<VerifierKey, DecodeError> {
    VerifierKey::new(&format!("{origin}/{party}"), KeyType::Cosignature, key)
}

/// Checks that a quorum of `set` cosigned the checkpoint in `note`, which must be of the log `origin`.
/// Of witnesses it knows nothing: whoever has a trust file asks [`Trust::verify`].
///
/// [`Trust::verify`]: crate::trust::Trust::verify
///
/// # Errors
/// [`NotProven`] says what is missing. A wrong signature under a validator's name is an error, not a
/// missing one: an honest node never serves it.
pub fn verify(note: &Note, origin: &str, set: &ValidatorSet) -> Result<Proven, NotProven> {
    let checkpoint = Checkpoint::from_text(note.text())?;
    if checkpoint.origin != origin {
        let expected = origin.to_string();
        return Err(NotProven::Origin { found: checkpoint.origin, expected });
    }
    let (mut validators, mut times) = (Vec::new(), Vec::new());
    for (at, validator) in set.validators().iter().enumerate() {
        let key = cosigner_key(origin, &validator.party, validator.cosigner_key)?;
        let mut newest = None;
        for line in note.by(&key) {
            let wrong = || NotProven::Signature(validator.party.clone());
            let cosignature = Cosignature::from_line(line).ok_or_else(wrong)?;
            checkpoint.check(&validator.cosigner_key, &cosignature).map_err(|_| wrong())?;
            newest = newest.max(Some(cosignature.time_s));
        }
        if let Some(time) = newest {
            validators.push(ValidatorIndex(at as u16));
            times.push(time);
        }
    }
    let (found, quorum) = (validators.len(), set.quorum());
    if found < quorum {
        return Err(NotProven::NoQuorum { found, quorum });
    }
    times.sort_unstable_by(|a, b| b.cmp(a));
    let witnessed = Witnessed::default();
    let set = set.hash();
    Ok(Proven { checkpoint, set, validators, time_s: times[quorum - 1], witnessed })
}

/// Whether the log whose key is `key` signed the note, under the name `origin`.
///
/// # Errors
/// When a signature under that name and key id does not hold: the note is not to be trusted at all.
pub fn signed_by_log(note: &Note, origin: &str, key: PublicKey) -> Result<bool, BadSignature> {
    // What cannot name a key has signed nothing.
    let Ok(log) = VerifierKey::new(origin, KeyType::Ed25519, key) else { return Ok(false) };
    let mut signed = false;
    for line in note.by(&log) {
        let signature = line.signature.as_slice().try_into().map_err(|_| BadSignature)?;
        key.verify(note.text().as_bytes(), &Signature(signature))?;
        signed = true;
    }
    Ok(signed)
}

fn cosignature_message(text: &str, time_s: u64) -> String {
    format!("cosignature/v1\ntime {time_s}\n{text}")
}
