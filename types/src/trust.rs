//! The trust file: what an auditor believes before checking anything.
//!
//! It names a network by its genesis hash and gives the whole entries of the validator set in force at
//! some height. JSON, because people read and compare it; unknown fields are refused, because a field
//! that a verifier does not understand may be one that limits trust.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::block::{Epoch, Height};
use crate::certificate::Domain;
use crate::checkpoint::{self, NotProven, Proven};
use crate::codec::DecodeError;
use crate::digest::NetworkId;
use crate::es256::Es256Key;
use crate::genesis::Genesis;
use crate::key::PublicKey;
use crate::note::Note;
use crate::party::PartyId;
use crate::time::Millis;
use crate::validator::{Validator, ValidatorSet};
use crate::witness::{self, WitnessRule, witness_key};

/// Bytes of a trust file.
pub const TRUST_BYTES_MAX: usize = 1024 * 1024;
/// Earlier sets in a trust file.
pub const EARLIER_SETS_MAX: usize = 256;

const WHAT: &str = "trust file";
const FORMAT: &str = "consign-trust-v1";

/// What an auditor believes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trust {
    /// First line of the network's checkpoints.
    pub origin: String,
    /// The network.
    pub network: NetworkId,
    /// Its incarnation.
    pub epoch: Epoch,
    /// Height at which `validators` is in force.
    pub height: Height,
    /// The validators in force at `height`.
    pub validators: ValidatorSet,
    /// Sets before that one, oldest first: each in force from its height until the next one's.
    pub earlier: Vec<EarlierSet>,
    /// Log keys of the nodes that serve the log; each signs checkpoints under the origin's name.
    pub logs: Vec<(PartyId, PublicKey)>,
    /// Keys on P-256 with which nodes make COSE receipts for tools that know no Ed25519.
    pub receipt_keys: Vec<(PartyId, Es256Key)>,
    /// Whom of the witnesses to count, and what is demanded of them.
    pub witnesses: WitnessRule,
}

/// A validator set that another took the place of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EarlierSet {
    /// The first height at which it was in force.
    pub height: Height,
    /// The set.
    pub validators: ValidatorSet,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    origin: String,
    network: String,
    epoch: u64,
    height: u64,
    validators: Vec<FileValidator>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<FileSet>,
    #[serde(default)]
    logs: Vec<FileLog>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    receipt_keys: Vec<FileLog>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    witnesses: Vec<FileWitness>,
    #[serde(default, skip_serializing_if = "is_zero")]
    witnesses_needed: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    witness_age_max_s: Option<u64>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FileSet {
    height: u64,
    validators: Vec<FileValidator>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FileWitness {
    name: String,
    key: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FileValidator {
    party: String,
    consensus_key: String,
    cosigner_key: String,
    network_key: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FileLog {
    party: String,
    key: String,
}

impl Trust {
    /// Trust in the validators that a genesis names.
    pub fn of_genesis(genesis: &Genesis, logs: Vec<(PartyId, PublicKey)>) -> Self {
        Self {
            origin: genesis.origin().to_string(),
            network: genesis.network(),
            epoch: Epoch(0),
            height: Height(0),
            validators: genesis.validators().clone(),
            earlier: Vec::new(),
            logs,
            receipt_keys: Vec::new(),
            witnesses: WitnessRule {
                keys: genesis.witnesses().iter().map(|witness| witness.key().clone()).collect(),
                ..WitnessRule::default()
            },
        }
    }

    /// The same, for judging ages at `now`. Without it a trust file that limits the age of witnesses
    /// trusts nothing.
    pub fn at(mut self, now: Millis) -> Self {
        self.witnesses.now = Some(now);
        self
    }

    /// The same, with witnesses known and none demanded: for what does not grow stale.
    pub fn undemanding(&self) -> Self {
        let witnesses = WitnessRule { needed: 0, age_max_s: None, ..self.witnesses.clone() };
        Self { witnesses, ..self.clone() }
    }

    /// Checks that the checkpoint in `note` is of this network's log, that a quorum of `set` cosigned it,
    /// and as many witnesses as this file demands. `set` is [`Self::validators`] or what followed from it.
    ///
    /// # Errors
    /// As [`checkpoint::verify`], and where the witnesses do not suffice.
    pub fn verify(&self, note: &Note, set: &ValidatorSet) -> Result<Proven, NotProven> {
        let proven = checkpoint::verify(note, &self.origin, set)?;
        let witnessed = self.witnesses.check(note, &proven.checkpoint)?;
        Ok(Proven { witnessed, ..proven })
    }

    /// The sets that this file names and the heights from which they are in force, oldest first; the last is
    /// [`Self::validators`].
    pub fn sets(&self) -> impl DoubleEndedIterator<Item = (Height, &ValidatorSet)> + Clone {
        let earlier = self.earlier.iter().map(|set| (set.height, &set.validators));
        earlier.chain([(self.height, &self.validators)])
    }

    /// As [`Self::verify`], by whichever set of this file cosigned it: a note does not say its height.
    ///
    /// # Errors
    /// As [`Self::verify`] by [`Self::validators`].
    pub fn verify_by_any(&self, note: &Note) -> Result<Proven, NotProven> {
        let by_present = self.verify(note, &self.validators);
        let mut earlier = self.earlier.iter().rev().map(|set| self.verify(note, &set.validators));
        by_present.or_else(|why| earlier.find_map(Result::ok).ok_or(why))
    }

    /// Where consensus signatures are valid.
    pub const fn domain(&self) -> Domain {
        Domain { network: self.network, epoch: self.epoch }
    }

    /// The file's text, ending in a newline.
    ///
    /// # Panics
    /// Never: a file of strings and numbers always serialises.
    pub fn to_json(&self) -> String {
        let entry = |v: &Validator| FileValidator {
            party: v.party.to_string(),
            consensus_key: v.consensus_key.to_string(),
            cosigner_key: v.cosigner_key.to_string(),
            network_key: v.network_key.to_string(),
        };
        let entries = |set: &ValidatorSet| set.validators().iter().map(entry).collect();
        let earlier = self
            .earlier
            .iter()
            .map(|set| FileSet { height: set.height.0, validators: entries(&set.validators) });
        let logs = self
            .logs
            .iter()
            .map(|(party, key)| FileLog { party: party.to_string(), key: key.to_string() });
        let receipt_keys = self
            .receipt_keys
            .iter()
            .map(|(party, key)| FileLog { party: party.to_string(), key: key.to_string() });
        let file = File {
            format: FORMAT.to_string(),
            origin: self.origin.clone(),
            network: self.network.to_string(),
            epoch: self.epoch.0,
            height: self.height.0,
            validators: entries(&self.validators),
            earlier: earlier.collect(),
            logs: logs.collect(),
            receipt_keys: receipt_keys.collect(),
            witnesses: self
                .witnesses
                .keys
                .iter()
                .map(|key| FileWitness { name: key.name().to_string(), key: key.key().to_string() })
                .collect(),
            witnesses_needed: self.witnesses.needed,
            witness_age_max_s: self.witnesses.age_max_s,
        };
        let mut text = serde_json::to_string_pretty(&file).expect("strings and numbers serialise");
        text.push('\n');
        text
    }

    /// Reads a trust file.
    ///
    /// # Errors
    /// When the text is too long, is not the expected JSON, or its values do not hold together.
    pub fn from_json(text: &str) -> Result<Self, DecodeError> {
        if text.len() > TRUST_BYTES_MAX {
            let (bytes, max) = (text.len(), TRUST_BYTES_MAX);
            return Err(DecodeError::TooLong { what: WHAT, bytes, max });
        }
        let bad = |why: &dyn core::fmt::Display| DecodeError::malformed(WHAT, why.to_string());
        let file: File = serde_json::from_str(text).map_err(|e| bad(&e))?;
        if file.format != FORMAT {
            return Err(bad(&alloc::format!("format {:?} is not {FORMAT:?}", file.format)));
        }
        let key = |text: &str| text.parse::<PublicKey>().map_err(|e| bad(&e));
        let party = |text: &str| text.parse::<PartyId>().map_err(|e| bad(&e));
        let entry = |v: &FileValidator| {
            Ok(Validator {
                party: party(&v.party)?,
                consensus_key: key(&v.consensus_key)?,
                cosigner_key: key(&v.cosigner_key)?,
                network_key: key(&v.network_key)?,
            })
        };
        let set = |entries: &[FileValidator]| {
            let entries = entries.iter().map(entry).collect::<Result<Vec<_>, DecodeError>>()?;
            ValidatorSet::new(entries).map_err(|e| bad(&e))
        };
        if file.earlier.len() > EARLIER_SETS_MAX {
            return Err(bad(&"it names more earlier sets than a verifier takes"));
        }
        let earlier = file.earlier.iter().map(|earlier| {
            let (height, validators) = (Height(earlier.height), set(&earlier.validators)?);
            Ok(EarlierSet { height, validators })
        });
        let earlier = earlier.collect::<Result<Vec<_>, DecodeError>>()?;
        let logs = file
            .logs
            .iter()
            .map(|log| Ok((party(&log.party)?, key(&log.key)?)))
            .collect::<Result<Vec<_>, DecodeError>>()?;
        let receipt_key = |text: &str| text.parse::<Es256Key>().map_err(|e| bad(&e));
        let receipt_keys = file
            .receipt_keys
            .iter()
            .map(|log| Ok((party(&log.party)?, receipt_key(&log.key)?)))
            .collect::<Result<Vec<_>, DecodeError>>()?;
        let validators = set(&file.validators)?;
        let keys = file
            .witnesses
            .iter()
            .map(|witness| witness_key(&witness.name, key(&witness.key)?).map_err(|e| bad(&e)))
            .collect::<Result<Vec<_>, DecodeError>>()?;
        let all = validators.validators().iter();
        let others = all.flat_map(|v| [v.consensus_key, v.cosigner_key, v.network_key]);
        witness::distinct(
            &keys.iter().collect::<Vec<_>>(),
            &file.origin,
            &others.collect::<Vec<_>>(),
        )
        .map_err(|e| bad(&e))?;
        let (needed, age_max_s) = (file.witnesses_needed, file.witness_age_max_s);
        if needed > keys.len() {
            return Err(bad(&"it needs more witnesses than it names"));
        }
        if age_max_s.is_some() && needed == 0 {
            return Err(bad(&"it limits the age of witnesses and needs none"));
        }
        let trust = Self {
            origin: file.origin,
            network: file.network.parse().map_err(|e| bad(&e))?,
            epoch: Epoch(file.epoch),
            height: Height(file.height),
            validators,
            earlier,
            logs,
            receipt_keys,
            witnesses: WitnessRule { keys, needed, age_max_s, now: None },
        };
        let sets: Vec<_> = trust.sets().collect();
        if sets.windows(2).any(|pair| pair[0].0 >= pair[1].0 || pair[0].1 == pair[1].1) {
            return Err(bad(
                &"its sets do not follow one another in height, or one follows itself",
            ));
        }
        Ok(trust)
    }
}
