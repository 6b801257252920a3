//! The trust file as a C2SP tlog-policy: what other tools need to check our finality.
//!
//! Derived and never read back: the trust file is what Consign believes. A checkpoint passes when one
//! of the logs signed it and a quorum of the validators cosigned it.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::checkpoint::cosigner_key;
use crate::codec::DecodeError;
use crate::note::{KeyType, VerifierKey};
use crate::trust::Trust;

/// The policy text: the logs' keys, each validator as a witness, and a quorum of them as a group; beside
/// it, where the trust file demands outsiders, as many of them as a second one. An age has no words there.
///
/// A witness goes by its cosigner name, `<origin>/<party>`. The bare party will not do: witnesses and
/// groups share one namespace with the word `none`, and a party may be called `none` or `validators`.
///
/// # Errors
/// When the origin cannot name a key.
pub fn policy(trust: &Trust) -> Result<String, DecodeError> {
    let mut text = String::new();
    // Two nodes may serve under one log key; a policy with a duplicate is refused.
    let logs: BTreeSet<_> = trust.logs.iter().map(|(_, key)| *key).collect();
    for key in logs {
        let key = VerifierKey::new(&trust.origin, KeyType::Ed25519, key)?;
        text.push_str(&format!("log {key}\n"));
    }
    let mut names = Vec::new();
    for validator in trust.validators.validators() {
        let key = cosigner_key(&trust.origin, &validator.party, validator.cosigner_key)?;
        text.push_str(&format!("witness {} {key}\n", key.name()));
        names.push(key.name().to_string());
    }
    let quorum = trust.validators.quorum();
    text.push_str(&format!("group validators {quorum} {}\n", names.join(" ")));
    let rule = &trust.witnesses;
    // Outsiders that nobody demands are named still: a reader sees whom it may ask for.
    for key in &rule.keys {
        text.push_str(&format!("witness {} {key}\n", key.name()));
    }
    if rule.needed == 0 {
        text.push_str("quorum validators\n");
        return Ok(text);
    }
    let names: Vec<_> = rule.keys.iter().map(VerifierKey::name).collect();
    text.push_str(&format!(
        "group witnesses {} {}\n\
         group validators-and-witnesses all validators witnesses\n\
         quorum validators-and-witnesses\n",
        rule.needed,
        names.join(" ")
    ));
    Ok(text)
}
