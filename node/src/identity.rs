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

/// What one of the listed keys is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role {
    Consensus,
    Cosigner,
    Network,
}

impl Role {
    const ALL: [Self; 3] = [Self::Consensus, Self::Cosigner, Self::Network];

    const fn name(self) -> &'static str {
        match self {
            Self::Consensus => "consensus",
            Self::Cosigner => "cosigner",
            Self::Network => "network",
        }
    }
}

/// A key of this node that the ledger lists for another party.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the {} key in node.keys_dir is that of {of}, and node.party is {party}; point node.keys_dir at the keys of {party}",
    key.name()
)]
pub struct Foreign {
    key: Role,
    of: PartyId,
    party: PartyId,
}

/// Keys of this node that are not those that the ledger lists for its party; at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Differs {
    keys: Vec<Role>,
    party: PartyId,
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { keys, party } = self;
        let keys = keys.iter().map(|role| role.name()).collect::<Vec<_>>().join(" and ");
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
        let mut listed: Vec<(Role, &PartyId, PublicKey)> = Vec::new();
        for validator in set.validators() {
            listed.push((Role::Consensus, &validator.party, validator.consensus_key));
            listed.push((Role::Cosigner, &validator.party, validator.cosigner_key));
        }
        listed.extend(nodes.iter().map(|(party, node)| (Role::Network, party, node.network_key)));
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
        match Role::ALL.into_iter().find(|role| self.key(*role) == listed) {
            Some(key) => Err(Foreign { key, of: of.clone(), party: self.party.clone() }),
            None => Ok(()),
        }
    }

    const fn key(&self, role: Role) -> PublicKey {
        match role {
            Role::Consensus => self.consensus,
            Role::Cosigner => self.cosigner,
            Role::Network => self.network,
        }
    }
}
