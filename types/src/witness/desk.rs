//! What a witness cosigns, and what it refuses (tlog-witness, "add-checkpoint").
//!
//! Invariant: for each log, what is cosigned only ever grows. Whoever runs a witness keeps [`Seen`] on
//! disk before the cosignature leaves, and asks again with the newest one: one request at a time.
//!
//! A log's signature alone would let one member's node lead a witness into a fork that nobody else
//! follows. So a checkpoint must carry what the trust file believes: a quorum of the validators, and
//! beside it the signature of one of the log keys, where the file lists any.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::block::TreeSize;
use crate::checkpoint::{self, Checkpoint, Cosignature, NotProven};
use crate::codec::DecodeError;
use crate::digest::{Digest, TreeRoot, encode_hex};
use crate::key::SecretKey;
use crate::merkle::{self, BadProof, ConsistencyProof};
use crate::note::{KeyType, Note, VerifierKey};
use crate::trust::Trust;

use super::request::{AddCheckpoint, conflict_body};

/// What a witness cosigned last of a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seen {
    /// How large the log was; 0 where nothing was cosigned yet.
    pub size: TreeSize,
    /// Its root.
    pub root: TreeRoot,
    /// When, seconds since the epoch; the next time is not before it.
    pub time_s: u64,
}

impl Default for Seen {
    fn default() -> Self {
        Self { size: TreeSize(0), root: merkle::empty_root(), time_s: 0 }
    }
}

/// Why a witness does not cosign.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// 400: not a request, or an old size above the checkpoint's.
    #[error("not a request to add a checkpoint: {0}")]
    Malformed(String),
    /// 403: not signed as the trust file asks.
    #[error("the checkpoint is not signed by keys that this witness trusts: {0}")]
    Untrusted(String),
    /// 404: not a log of this witness.
    #[error("this witness does not know the log {0:?}")]
    UnknownLog(String),
    /// 409: the old size is not what was cosigned last, or its root is another.
    #[error("this witness cosigned size {0} last")]
    Conflict(TreeSize),
    /// 422: the log did not only grow, or nothing proves that it did.
    #[error("the consistency proof does not hold")]
    Inconsistent(#[source] BadProof),
}

impl Refusal {
    /// The status of the HTTP answer.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Untrusted(_) => 403,
            Self::UnknownLog(_) => 404,
            Self::Conflict(_) => 409,
            Self::Inconsistent(_) => 422,
        }
    }

    /// Content type and body of the HTTP answer.
    pub fn body(&self) -> (&'static str, String) {
        match self {
            Self::Conflict(size) => ("text/x.tlog.size", conflict_body(*size)),
            other => ("text/plain; charset=utf-8", format!("{other}\n")),
        }
    }
}

/// Reads a request and decides it: the checkpoint to cosign, and the log that it is of.
///
/// `logs` are the networks that this witness knows, `seen` what it cosigned last of one.
///
/// # Errors
/// [`Refusal`], in the order of the specification.
pub fn decide<'t>(
    body: &[u8],
    logs: &'t [Trust],
    seen: impl FnOnce(&Trust) -> Seen,
) -> Result<(&'t Trust, Checkpoint, AddCheckpoint), Refusal> {
    let malformed = |e: &dyn core::fmt::Display| Refusal::Malformed(e.to_string());
    let text = str::from_utf8(body).map_err(|e| malformed(&e))?;
    let request: AddCheckpoint = text.parse().map_err(|e| malformed(&e))?;
    let note = &request.checkpoint;
    let checkpoint = Checkpoint::from_text(note.text()).map_err(|e| malformed(&e))?;
    let log = logs
        .iter()
        .find(|log| log.origin == checkpoint.origin)
        .ok_or_else(|| Refusal::UnknownLog(checkpoint.origin.chars().take(128).collect()))?;
    trusted(note, log)?;
    if request.old > checkpoint.size {
        return Err(malformed(&"the old size is above the checkpoint's"));
    }
    let seen = seen(log);
    if request.old != seen.size {
        return Err(Refusal::Conflict(seen.size));
    }
    if request.old == checkpoint.size && seen.root != checkpoint.root {
        return Err(Refusal::Conflict(seen.size));
    }
    let proof =
        ConsistencyProof { from: seen.size, to: checkpoint.size, path: request.path.clone() };
    proof.verify(seen.root, checkpoint.root).map_err(Refusal::Inconsistent)?;
    // What leaves a decision never went back.
    assert!(checkpoint.size >= seen.size, "a witness never cosigns a smaller tree");
    Ok((log, checkpoint, request))
}

fn trusted(note: &Note, log: &Trust) -> Result<(), Refusal> {
    let untrusted = |e: &dyn core::fmt::Display| Refusal::Untrusted(e.to_string());
    checkpoint::verify(note, &log.origin, &log.validators).map_err(|e| untrusted(&e))?;
    let mut signed = log.logs.is_empty();
    for (_, key) in &log.logs {
        let by_key = checkpoint::signed_by_log(note, &log.origin, *key);
        signed |= by_key.map_err(|e| untrusted(&e))?;
    }
    if signed { Ok(()) } else { Err(untrusted(&"no log key of the trust file signed it")) }
}

/// What a witness keeps of a checkpoint that it cosigns, and serves: the text, the signatures of the
/// log, and its own cosignature as the last line.
///
/// # Errors
/// When the note cannot be made.
pub fn remember(
    request: &AddCheckpoint,
    log: &Trust,
    checkpoint: &Checkpoint,
    key: &VerifierKey,
    secret: &SecretKey,
    time_s: u64,
) -> Result<(Note, Cosignature), DecodeError> {
    let mut note = Note::new(checkpoint.text())?;
    // Only what was checked: lines of strangers are not passed on.
    let mut known = Vec::new();
    for (_, key) in &log.logs {
        known.push(VerifierKey::new(&log.origin, KeyType::Ed25519, *key)?);
    }
    for validator in log.validators.validators() {
        let key = validator.cosigner_key;
        known.push(checkpoint::cosigner_key(&log.origin, &validator.party, key)?);
    }
    for line in known.iter().filter_map(|key| request.checkpoint.by(key).next()) {
        if !note.signatures().contains(line) {
            note.add(line.clone());
        }
    }
    let cosignature = checkpoint.cosign(secret, time_s);
    note.add(cosignature.line(key));
    Ok((note, cosignature))
}

impl Seen {
    /// What a note that [`remember`] made says.
    ///
    /// # Errors
    /// When it is of another log, or `key` did not cosign it.
    pub fn from_note(note: &Note, origin: &str, key: &VerifierKey) -> Result<Self, NotProven> {
        let checkpoint = Checkpoint::from_text(note.text())?;
        if checkpoint.origin != origin {
            let expected = origin.to_string();
            return Err(NotProven::Origin { found: checkpoint.origin, expected });
        }
        let own = super::newest(note, &checkpoint, key)?;
        let own = own.ok_or(NotProven::NoWitnesses { found: 0, needed: 1 })?;
        Ok(Self { size: checkpoint.size, root: checkpoint.root, time_s: own.time_s })
    }
}

/// SHA-256 of an origin in hexadecimal: what the log is called in the paths of a witness.
pub fn state_file(origin: &str) -> String {
    encode_hex(&Digest::of(&[origin.as_bytes()]).0)
}
