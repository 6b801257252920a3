//! Whether this validator may sign now: promised to its place by enough others, and nothing is known of its
//! key that its sign-state does not know.

use std::collections::BTreeMap;

use consign_consensus::Message;
use consign_consensus::sign_state::Signed;
use consign_types::certificate::Domain;
use consign_types::key::PublicKey;
use consign_types::validator::ValidatorSet;

use crate::wire::Leased;

/// What a peer said of the lease that it was asked for (see [`crate::lease`]).
#[derive(Clone, Debug)]
pub struct Promise {
    /// Who said it, by its network key.
    pub from: PublicKey,
    /// What it said.
    pub leased: Leased,
    /// Until when it is counted on, in milliseconds since the machine was started.
    pub until_ms: u64,
    /// The latest that it knows this node's key to have signed; not yet verified.
    pub latest: Option<Message>,
}

/// The promises that are counted on.
pub struct Gate {
    domain: Domain,
    key: Option<PublicKey>,
    granted: BTreeMap<PublicKey, u64>,
    /// Who said that another place has the key, and until when that is believed.
    refused: BTreeMap<PublicKey, u64>,
    heard: Option<Signed>,
}

impl Gate {
    /// A gate that is closed. `key` is the consensus key, where there is one.
    pub const fn new(domain: Domain, key: Option<PublicKey>) -> Self {
        let (granted, refused) = (BTreeMap::new(), BTreeMap::new());
        Self { domain, key, granted, refused, heard: None }
    }

    /// Takes what a peer said.
    pub fn take(&mut self, promise: &Promise) {
        let signed = promise.latest.as_ref().zip(self.key);
        // Whoever echoes what the key never signed says nothing.
        let signed = signed.and_then(|(latest, key)| latest.signed_by(&self.domain, &key));
        if signed.map(|s| s.place()) > self.heard.map(|s| s.place()) {
            self.heard = signed;
        }
        match promise.leased {
            Leased::Granted => {
                self.refused.remove(&promise.from);
                let until_ms = self.granted.entry(promise.from).or_default();
                *until_ms = promise.until_ms.max(*until_ms);
            }
            // A promise that was given lasts as long as it was given for: who gave it keeps it.
            Leased::Held => {
                self.refused.insert(promise.from, promise.until_ms);
            }
            Leased::NotValidator => {}
        }
    }

    /// Whether enough of the others in `set` promise the key to this place.
    pub fn is_open(&self, set: &ValidatorSet, now_ms: u64) -> bool {
        let Some(key) = self.key else { return false };
        let others = set.validators().iter().filter(|v| v.consensus_key != key);
        let promised = |network: &PublicKey| self.granted.get(network).is_some_and(|t| *t > now_ms);
        1 + others.filter(|v| promised(&v.network_key)).count() >= set.quorum()
    }

    /// Whether somebody says that another place has the key.
    pub fn is_held_elsewhere(&self, now_ms: u64) -> bool {
        self.refused.values().any(|until_ms| *until_ms > now_ms)
    }

    /// The latest that this node's key signed, as others hold it.
    pub const fn heard(&self) -> Option<Signed> {
        self.heard
    }
}
