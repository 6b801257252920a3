//! Judging checkpoints: whether those whom a trust file names stand by one.

use std::collections::BTreeSet;

use consign_types::block::{BlockRecord, Height};
use consign_types::causes::on_one_line;
use consign_types::checkpoint::{self, Checkpoint, NotProven, Proven, cosigner_key};
use consign_types::codec::Canonical as _;
use consign_types::note::{KeyType, Note, VerifierKey};
use consign_types::trust::Trust;
use consign_types::validator::ValidatorSet;

use super::entries::{self, WIDTH};
use super::finding::{Code, Finding};
use super::source::Source;
use crate::instant;

/// A checkpoint that a quorum of the trusted validators cosigned.
#[derive(Clone, Debug)]
pub struct Judged {
    /// As it was served.
    pub text: String,
    /// What it says, and who says so.
    pub proven: Proven,
}

/// Judges the checkpoint that `source` serves.
///
/// # Errors
/// What is wrong with it.
pub fn judge(text: String, source: &str, trust: &Trust) -> Result<Judged, Finding> {
    let bad = |code, why: &dyn std::error::Error| {
        Finding::new(
            code,
            source,
            format!("its checkpoint is not to be trusted: {}", on_one_line(why)),
        )
    };
    let note: Note = text.parse().map_err(|e| bad(Code::BadCheckpoint, &e))?;
    let proven = trust.clone().at(instant::now()).verify_by_any(&note);
    let proven = proven.map_err(|e| {
        let forged = matches!(
            e,
            NotProven::Malformed(_) | NotProven::Signature(_) | NotProven::WitnessSignature(_)
        );
        if forged {
            return bad(Code::BadCheckpoint, &e);
        }
        let mut finding = bad(Code::NoQuorum, &e);
        finding.detail += "; if the members have changed the set since, `consign trust advance` takes the trust file there";
        finding
    })?;
    for (_, key) in &trust.logs {
        checkpoint::signed_by_log(&note, &trust.origin, *key)
            .map_err(|e| bad(Code::BadCheckpoint, &e))?;
    }
    if let Some(name) = unknown_signer(&note, trust) {
        let detail = format!(
            "its checkpoint has a line by {name:?}, which is under no key of the trust file: a witness \
             that the file does not name (`consign trust advance --witness`, `--log`), or a line that was \
             changed"
        );
        return Err(Finding::new(Code::UnknownSigner, source, detail));
    }
    Ok(Judged { text, proven })
}

/// Whether the set that was in force at the block that the checkpoint ends with cosigned it, as `record` of that
/// block and the trust file both have it. A quorum of any other set, its keys long retired, says nothing.
///
/// # Errors
/// What is wrong with it.
pub fn by_set_in_force(
    judged: &Judged,
    record: &BlockRecord,
    source: &str,
    trust: &Trust,
) -> Result<Proven, Finding> {
    let height = record.height;
    let bad = |why: String| {
        let detail = format!("its checkpoint ends with block {height}: {why}");
        Finding::new(Code::WrongSet, source, detail)
    };
    if record.epoch != trust.epoch {
        let (found, expected) = (record.epoch.0, trust.epoch.0);
        return Err(bad(format!("of epoch {found}, and the trust file is of {expected}")));
    }
    let (from, set) = in_force(trust, height);
    if record.set != set.hash() {
        return Err(bad(format!(
            "another validator set was in force there than the trust file has from block {from} on"
        )));
    }
    // One note may bear a quorum of several sets, where most keys stayed.
    let note: Note = judged.text.parse().map_err(|e| bad(on_one_line(&e)))?;
    let proven = checkpoint::verify(&note, &trust.origin, set).map_err(|e| {
        bad(format!("of the validator set that was in force there, {}", on_one_line(&e)))
    })?;
    Ok(Proven { witnessed: judged.proven.witnessed.clone(), ..proven })
}

/// As [`by_set_in_force`], of the last of the entries that `copy` holds: those that were hashed just now.
///
/// # Errors
/// What is wrong with the checkpoint.
pub fn ends_in_force(
    copy: &Source,
    judged: &Judged,
    source: &str,
    trust: &Trust,
) -> Result<(), Finding> {
    let size = judged.proven.checkpoint.size;
    let Some(last) = size.0.checked_sub(1) else { return Ok(()) };
    // What cannot be read back, or is no record, is found where the rules are run.
    let Ok(Ok(leaves)) = entries::bundle(copy, last / WIDTH, size) else { return Ok(()) };
    let record = leaves.last().and_then(|leaf| BlockRecord::from_bytes(leaf).ok());
    let Some(record) = record else { return Ok(()) };
    by_set_in_force(judged, &record, source, trust).map(|_| ())
}

/// The set that the trust file has for a height, and from when; the oldest where none of its sets is so old.
fn in_force(trust: &Trust, height: Height) -> (Height, &ValidatorSet) {
    let begun = trust.sets().take_while(|(from, _)| *from <= height).last();
    begun.or_else(|| trust.sets().next()).unwrap_or((trust.height, &trust.validators))
}

/// The first name under the note that is under none of the keys that the trust file gives it.
fn unknown_signer(note: &Note, trust: &Trust) -> Option<String> {
    let cosigners = trust.sets().flat_map(|(_, set)| set.validators());
    let cosigners =
        cosigners.filter_map(|v| cosigner_key(&trust.origin, &v.party, v.cosigner_key).ok());
    let logs = trust
        .logs
        .iter()
        .filter_map(|(_, key)| VerifierKey::new(&trust.origin, KeyType::Ed25519, *key).ok());
    let keys: Vec<VerifierKey> =
        cosigners.chain(logs).chain(trust.witnesses.keys.iter().cloned()).collect();
    let known: BTreeSet<(&str, [u8; 4])> = keys.iter().map(|k| (k.name(), k.key_id())).collect();
    let lines = note.signatures().iter();
    lines
        .filter(|line| !known.contains(&(&line.name, line.key_id)))
        .map(|line| line.name.clone())
        .next()
}

/// The checkpoint without its signatures, for messages.
pub fn in_words(checkpoint: &Checkpoint) -> String {
    format!("{} leaves, root {}", checkpoint.size, checkpoint.root)
}
