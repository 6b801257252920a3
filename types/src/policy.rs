//! The trust file as a C2SP tlog-policy: what other tools need to check our finality.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::checkpoint::cosigner_key;
use crate::codec::DecodeError;
use crate::note::{KeyType, VerifierKey};
use crate::trust::Trust;

/// The policy text: the logs' keys, each validator as a witness, and a quorum of them as a group.
///
/// # Errors
/// When the origin cannot name a key.
pub fn policy(trust: &Trust) -> Result<String, DecodeError> {
    let mut text = String::new();
    for (_, key) in &trust.logs {
        let key = VerifierKey::new(&trust.origin, KeyType::Ed25519, *key)?;
        text.push_str(&format!("log {key}\n"));
    }
    let mut names = Vec::new();
    for validator in trust.validators.validators() {
        let key = cosigner_key(&trust.origin, &validator.party, validator.cosigner_key)?;
        text.push_str(&format!("witness {} {key}\n", validator.party));
        names.push(validator.party.as_str());
    }
    let quorum = trust.validators.quorum();
    text.push_str(&format!("group validators {quorum} {}\nquorum validators\n", names.join(" ")));
    Ok(text)
}
