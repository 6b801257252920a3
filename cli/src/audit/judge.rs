//! Judging checkpoints: whether those whom a trust file names stand by one.

use std::collections::BTreeSet;

use consign_types::checkpoint::{self, Checkpoint, NotProven, Proven, cosigner_key};
use consign_types::note::{KeyType, Note, VerifierKey};
use consign_types::trust::Trust;

use super::finding::{Code, Finding};
use crate::failure::chain;
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
        Finding::new(code, source, format!("its checkpoint is not to be trusted: {}", chain(why)))
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
