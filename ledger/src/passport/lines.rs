//! The lines under the checkpoint of a passport: each cosigner once, in one order, and nothing beside.
//!
//! First the validators, in the order of their indices, then the witnesses, by name and key id. A line of
//! anybody else is one too many, so that no two files say the same: a trust file names all witnesses of
//! the network, whether it demands them or not.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use consign_types::checkpoint::{Checkpoint, Cosignature, NotProven, Proven, cosigner_key};
use consign_types::codec::DecodeError;
use consign_types::limits::WITNESSES_MAX;
use consign_types::note::{Note, NoteSignature, VerifierKey};
use consign_types::trust::Trust;
use consign_types::validator::ValidatorSet;
use consign_types::witness::newest;

use super::verify::BadPassport;

/// The note with the newest cosignature of each validator, and then those of witnesses. Whether a witness'
/// holds, whoever serves the note has checked.
pub fn cosigned(
    note: &Note,
    checkpoint: &Checkpoint,
    set: &ValidatorSet,
) -> Result<String, DecodeError> {
    let mut lines = Note::new(checkpoint.text())?;
    for validator in set.validators() {
        let key = cosigner_key(&checkpoint.origin, &validator.party, validator.cosigner_key)?;
        let holds = |cosignature: &Cosignature| {
            checkpoint.check(&validator.cosigner_key, cosignature).is_ok()
        };
        let found = note.by(&key).filter_map(Cosignature::from_line).filter(holds);
        if let Some(newest) = found.max_by_key(|cosignature| cosignature.time_s) {
            lines.add(newest.line(&key));
        }
    }
    let outside = note.signatures().iter().filter(|line| may_witness(line, &checkpoint.origin));
    let outside: BTreeMap<_, _> = outside.map(|line| (key_of(line), line)).collect();
    outside.values().take(WITNESSES_MAX).for_each(|line| lines.add((*line).clone()));
    Ok(lines.to_string())
}

/// Checks the checkpoint of a passport: its quorum, its witnesses, and that its lines are in order.
pub(super) fn check(
    checkpoint: &str,
    trust: &Trust,
    set: &ValidatorSet,
    others: &[VerifierKey],
) -> Result<Proven, BadPassport> {
    let malformed = |why| BadPassport::Checkpoint(NotProven::Malformed(why));
    let note: Note = checkpoint.parse().map_err(malformed)?;
    let proven = trust.verify(&note, set).map_err(BadPassport::Checkpoint)?;
    let mut lines = note.signatures().iter();
    for index in &proven.validators {
        let validator = set.get(*index).ok_or(BadPassport::CheckpointLines)?;
        let key = cosigner_key(&trust.origin, &validator.party, validator.cosigner_key)
            .map_err(malformed)?;
        let line = lines.next().ok_or(BadPassport::CheckpointLines)?;
        if line.name != key.name() || line.key_id != key.key_id() {
            return Err(BadPassport::CheckpointLines);
        }
    }
    let outside: Vec<_> = lines.collect();
    let ascending = outside.windows(2).all(|pair| key_of(pair[0]) < key_of(pair[1]));
    // That those hold whom the trust file names was checked with the demand for them. Of others the network may
    // say who they are: the members may have decided on witnesses since the file was made.
    let known = |line: &NoteSignature| {
        trust.witnesses.keys.iter().chain(others).any(|key| names(key, line))
    };
    if !ascending || !outside.iter().all(|line| known(line)) {
        return Err(BadPassport::CheckpointLines);
    }
    for key in others {
        newest(&note, &proven.checkpoint, key).map_err(BadPassport::Checkpoint)?;
    }
    // Whoever says who they are says it for somebody.
    if !others.is_empty() && !has_line_of(&note, others) {
        return Err(BadPassport::CheckpointLines);
    }
    Ok(proven)
}

fn names(key: &VerifierKey, line: &NoteSignature) -> bool {
    (key.name(), key.key_id()) == key_of(line)
}

/// Whether one of these witnessed it.
pub fn has_line_of(note: &Note, keys: &[VerifierKey]) -> bool {
    note.signatures().iter().any(|line| keys.iter().any(|key| names(key, line)))
}

#[cfg(feature = "tree")]
/// The text of the note without the lines of witnesses: for whoever believes the validators alone.
pub fn without_outsiders(checkpoint: &str) -> Result<String, DecodeError> {
    let note: Note = checkpoint.parse()?;
    let origin = note.text().lines().next().unwrap_or_default();
    let mut own = Note::new(note.text().to_string())?;
    let lines = note.signatures().iter().filter(|line| !may_witness(line, origin));
    lines.for_each(|line| own.add(line.clone()));
    Ok(own.to_string())
}

#[cfg(feature = "tree")]
/// Whether somebody may have witnessed it.
pub fn has_outsiders(note: &Note) -> bool {
    let origin = note.text().lines().next().unwrap_or_default();
    note.signatures().iter().any(|line| may_witness(line, origin))
}

/// What lines of witnesses are in order of.
fn key_of(line: &NoteSignature) -> (&str, [u8; 4]) {
    (&line.name, line.key_id)
}

/// Whether a witness may have made the line: a cosignature, under a name that is not the log's.
fn may_witness(line: &NoteSignature, origin: &str) -> bool {
    let name = line.name.strip_prefix(origin);
    let of_log = name.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    !of_log && Cosignature::from_line(line).is_some()
}
