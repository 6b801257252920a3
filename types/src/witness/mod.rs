//! Witnesses: outsiders that run no node and cosign the growth of a log (C2SP tlog-witness).
//!
//! A witness goes by its own key name and cosigns as validators do, with `cosignature/v1`. It adds
//! nothing to a quorum: it says that whoever asks it and whoever reads is shown one log. How many of
//! them a verifier needs, and how recent, its trust file says.
//!
//! `desk` decides as a witness must; `request` is what it is asked.

mod desk;
mod request;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

pub use desk::{Refusal, Seen, decide, remember, state_file};
pub use request::{AddCheckpoint, REQUEST_BYTES_MAX, conflict_size};

use crate::checkpoint::{Checkpoint, Cosignature, NotProven};
use crate::codec::{DecodeError, Infallible as _, Reader, Writer};
use crate::key::PublicKey;
use crate::limits::{VALIDATORS_MAX, WITNESSES_MAX};
use crate::note::{KeyType, Note, SIGNATURES_MAX, VerifierKey};
use crate::time::Millis;

/// Longest name of a witness.
const NAME_BYTES_MAX: usize = 128;
/// Longest address of a witness.
const URL_BYTES_MAX: usize = 256;
/// Names that mean something else in a policy.
const RESERVED: [&str; 4] = ["none", "validators", "witnesses", "validators-and-witnesses"];

// Validators, witnesses and the log itself fit under one note.
const _: () = assert!(VALIDATORS_MAX + WITNESSES_MAX < SIGNATURES_MAX);

/// A witness that a network asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Witness {
    key: VerifierKey,
    url: String,
}

/// What makes no witness.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadWitness {
    /// A name that cannot stand in a note or a policy, or says something else there.
    #[error(
        "{0:?} is not the name of a witness: 1 to {NAME_BYTES_MAX} visible ASCII characters, no '+' or '@', no reserved word"
    )]
    Name(String),
    /// A key of another kind.
    #[error("the key of {0} is not one that cosigns (type 0x04)")]
    Kind(String),
    /// An address that is none.
    #[error(
        "{0:?} is not the address of a witness: http:// or https://, a host, no user, no query, no slash at the end"
    )]
    Url(String),
    /// Not in the form that is read.
    #[error("not of the form NAME+ID+KEY@URL: {0}")]
    Form(String),
    /// A name or key that stands in two places.
    #[error("{0} shares its name or key with another witness, a validator or the log")]
    Shared(String),
    /// Too many.
    #[error("{0} witnesses, more than {WITNESSES_MAX}")]
    TooMany(usize),
}

/// The key of the witness `name`.
///
/// # Errors
/// When the name cannot stand in a note or a policy.
pub fn witness_key(name: &str, key: PublicKey) -> Result<VerifierKey, BadWitness> {
    let wrong = || BadWitness::Name(name.chars().take(NAME_BYTES_MAX).collect());
    let plain = |b: u8| b.is_ascii_graphic() && b != b'@';
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(plain);
    if !fits || RESERVED.contains(&name) {
        return Err(wrong());
    }
    VerifierKey::new(name, KeyType::Cosignature, key).map_err(|_| wrong())
}

impl Witness {
    /// The witness with this key, at this address (the submission prefix of tlog-witness).
    ///
    /// # Errors
    /// When the key does not cosign, or the address is none.
    pub fn new(key: &VerifierKey, url: &str) -> Result<Self, BadWitness> {
        if key.kind() != KeyType::Cosignature {
            return Err(BadWitness::Kind(key.name().to_string()));
        }
        let key = witness_key(key.name(), *key.key())?;
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'@' | b'?' | b'#' | b'"' | b'\\');
        let fits = rest.is_some_and(|rest| {
            !rest.is_empty()
                && !rest.starts_with(['/', ':'])
                && !rest.ends_with('/')
                && rest.bytes().all(plain)
        });
        if !fits || url.len() > URL_BYTES_MAX {
            return Err(BadWitness::Url(url.chars().take(URL_BYTES_MAX).collect()));
        }
        Ok(Self { key, url: url.to_string() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.key.name()
    }

    /// Its key, under its name.
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Where it is asked.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.key, self.url)
    }
}

/// Writes witnesses, in a genesis and in a proposal alike.
pub(crate) fn write_witnesses(witnesses: &[Witness], to: &mut Writer<'_>) {
    to.array(witnesses.len() as u64).sure();
    for witness in witnesses {
        to.array(3).sure().str(witness.name()).sure();
        to.bytes(witness.key().key().as_bytes()).sure().str(witness.url()).sure();
    }
}

/// Reads what [`write_witnesses`] wrote: in ascending order of names.
pub(crate) fn read_witnesses(from: &mut Reader<'_>) -> Result<Vec<Witness>, DecodeError> {
    let witnesses = from.list(WITNESSES_MAX, |from| {
        from.array_of(3)?;
        let (name, key, url) = (from.text()?, PublicKey::read(from)?, from.text()?);
        let key = witness_key(name, key).map_err(|e| from.error(e))?;
        Witness::new(&key, url).map_err(|e| from.error(e))
    })?;
    if witnesses.windows(2).any(|pair| pair[0].name() >= pair[1].name()) {
        return Err(from.error("witnesses that are not in ascending order of their names"));
    }
    Ok(witnesses)
}

impl FromStr for Witness {
    type Err = BadWitness;

    fn from_str(text: &str) -> Result<Self, BadWitness> {
        let shown = || text.chars().take(NAME_BYTES_MAX).collect::<String>();
        let (key, url) = text.split_once('@').ok_or_else(|| BadWitness::Form(shown()))?;
        let key: VerifierKey =
            key.parse().map_err(|e: DecodeError| BadWitness::Form(e.to_string()))?;
        Self::new(&key, url)
    }
}

/// Checks that these witnesses can stand beside each other, beside the cosigners of the log `origin`,
/// which go by `<origin>/<party>`, and beside the keys of `others`.
///
/// # Errors
/// When there are too many, or one shares its name or its key.
pub fn distinct(
    keys: &[&VerifierKey],
    origin: &str,
    others: &[PublicKey],
) -> Result<(), BadWitness> {
    if keys.len() > WITNESSES_MAX {
        return Err(BadWitness::TooMany(keys.len()));
    }
    for (at, key) in keys.iter().enumerate() {
        let before = keys[..at].iter().any(|k| k.name() == key.name() || k.key() == key.key());
        let name = key.name().strip_prefix(origin);
        let of_log = name.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if before || of_log || others.contains(key.key()) {
            return Err(BadWitness::Shared(key.name().to_string()));
        }
    }
    Ok(())
}

/// Whom of the witnesses a verifier knows, and what it demands of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WitnessRule {
    /// The witnesses that count.
    pub keys: Vec<VerifierKey>,
    /// How many of them must have cosigned a checkpoint.
    pub needed: usize,
    /// How old the `needed`-th newest of their cosignatures may be, seconds.
    pub age_max_s: Option<u64>,
    /// What time it is, for whoever judges the age. In no file.
    pub now: Option<Millis>,
}

/// Which witnesses stand by a checkpoint.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Witnessed {
    /// Their names, in the order of the trust file.
    pub names: Vec<String>,
    /// The `needed`-th newest of their times, seconds since the epoch; `None` where none is needed.
    pub time_s: Option<u64>,
}

impl WitnessRule {
    /// Checks who of the witnesses cosigned the checkpoint in `note`, and that they suffice.
    ///
    /// # Errors
    /// When too few did, or too long ago, or nobody said what time it is where that counts. A wrong
    /// signature under the name and key id of a witness is an error, not a missing one.
    pub fn check(&self, note: &Note, checkpoint: &Checkpoint) -> Result<Witnessed, NotProven> {
        let (mut names, mut times) = (Vec::new(), Vec::new());
        for key in &self.keys {
            if let Some(newest) = newest(note, checkpoint, key)? {
                names.push(key.name().to_string());
                times.push(newest.time_s);
            }
        }
        let (found, needed) = (names.len(), self.needed);
        if found < needed {
            return Err(NotProven::NoWitnesses { found, needed });
        }
        times.sort_unstable_by(|a, b| b.cmp(a));
        let time_s = needed.checked_sub(1).and_then(|last| times.get(last).copied());
        if let (Some(max_s), Some(time_s)) = (self.age_max_s, time_s) {
            let now = self.now.ok_or(NotProven::NoTime)?;
            let age_s = now.seconds().saturating_sub(time_s);
            if age_s > max_s {
                return Err(NotProven::WitnessesOld { age_s, max_s });
            }
        }
        Ok(Witnessed { names, time_s })
    }
}

/// The newest cosignature under the name and id of a witness.
///
/// # Errors
/// When one of them does not hold.
pub fn newest(
    note: &Note,
    checkpoint: &Checkpoint,
    key: &VerifierKey,
) -> Result<Option<Cosignature>, NotProven> {
    let wrong = || NotProven::WitnessSignature(key.name().to_string());
    let mut newest: Option<Cosignature> = None;
    for line in note.by(key) {
        let cosignature = Cosignature::from_line(line).ok_or_else(wrong)?;
        checkpoint.check(key.key(), &cosignature).map_err(|_| wrong())?;
        if newest.is_none_or(|old| old.time_s <= cosignature.time_s) {
            newest = Some(cosignature);
        }
    }
    Ok(newest)
}
