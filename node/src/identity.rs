//! Whether the keys of this node are those that the ledger lists for its party.
//!
//! Other keys than the listed ones are a new node's, or those of one that changes its keys; the keys of
//! another party are a mistake that no node starts with. What the ledger says here may be old: peers that
//! know of a change refuse a node that does not.

use std::fmt;

use consign_types::key::PublicKey;
use consign_types::party::PartyId;

use crate::config::Config;
use crate::roster;
use crate::state::Committed;

/// Whose node this is, and its public keys.
#[derive(Clone, Debug)]
pub struct Identity {
    party: PartyId,
    consensus: PublicKey,
    cosigner: PublicKey,
    network: PublicKey,
}

/// A key of this node that the ledger lists for another party.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the {key} key in node.keys_dir is that of {of}, and node.party is {party}; point node.keys_dir at the keys of {party}"
)]
pub struct Foreign {
    key: &'static str,
    of: PartyId,
    party: PartyId,
}

/// Keys of this node that are not those that the ledger lists for its party; at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Differs {
    keys: Vec<&'static str>,
    party: PartyId,
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keys, party } = self;
        let keys = keys.join(" and ");
        write!(f, "the ledger lists another {keys} key for {party} than node.keys_dir holds")
    }
}

impl Differs {
    /// What to do about it.
    pub const HELP: &'static str = "if the members have decided on other keys run `consign node rekey --finish` \
        and start the node again, else point node.keys_dir at the keys that the ledger lists";
}

impl Identity {
    /// As the configuration has it.
    pub fn of(config: &Config) -> Self {
        Self {
            party: config.party.clone(),
            consensus: config.keys.consensus.public(),
            cosigner: config.keys.cosigner.public(),
            network: config.keys.network.public(),
        }
    }

    /// Compares with what is committed here. A party that is not listed yet has nothing to differ from.
    ///
    /// # Errors
    /// Where one of the keys is another party's.
    pub fn compare(&self, committed: &Committed) -> Result<Option<Differs>, Foreign> {
        let set = committed.validators();
        let nodes = roster::nodes(committed);
        let mut listed: Vec<(&'static str, &PartyId, PublicKey)> = Vec::new();
        for validator in set.validators() {
            listed.push(("consensus", &validator.party, validator.consensus_key));
            listed.push(("cosigner", &validator.party, validator.cosigner_key));
        }
        listed.extend(nodes.iter().map(|(party, node)| ("network", party, node.network_key)));
        let mut differing = Vec::new();
        for (role, party, key) in listed {
            if *party != self.party {
                self.need_own(party, key)?;
            } else if self.key(role) != key {
                differing.push(role);
            }
        }
        let party = self.party.clone();
        Ok((!differing.is_empty()).then_some(Differs { keys: differing, party }))
    }

    /// Adds to the reason why peers are not reached that they may refuse this node by its keys.
    pub fn explain(&self, committed: &Committed, why: String) -> String {
        match self.compare(committed) {
            Ok(Some(differs)) => format!("{why}; {differs}: {}", Differs::HELP),
            _ => why,
        }
    }

    /// No key of this node is the one that is listed for another party, in whatever role.
    fn need_own(&self, of: &PartyId, listed: PublicKey) -> Result<(), Foreign> {
        let roles = ["consensus", "cosigner", "network"];
        match roles.into_iter().find(|role| self.key(role) == listed) {
            Some(key) => Err(Foreign { key, of: of.clone(), party: self.party.clone() }),
            None => Ok(()),
        }
    }

    fn key(&self, role: &str) -> PublicKey {
        match role {
            "consensus" => self.consensus,
            "cosigner" => self.cosigner,
            _ => self.network,
        }
    }
}
