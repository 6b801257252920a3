//! Which nodes may connect: those of validators and of members, as the ledger has it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use consign_ledger::entry::{EntryKey, MemberState, read};
use consign_ledger::governance::Governance;
use consign_types::governance::Node;
use consign_types::key::PublicKey;
use consign_types::party::PartyId;

use crate::config::Config;
use crate::p2p::PeerConfig;
use crate::state::Committed;

/// Messages of one peer that wait until its place in the validator set is known.
const HELD_OF_PEER_MAX: usize = 32;

/// Consensus messages of admitted peers that are in no set yet: they may be in the next one, which this
/// node has not committed.
#[derive(Clone, Default)]
pub struct Held(Arc<Mutex<HashMap<PublicKey, Vec<consign_consensus::Message>>>>);

impl Held {
    /// Keeps a message; the oldest makes room.
    pub fn keep(&self, from: PublicKey, message: consign_consensus::Message) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = held.entry(from).or_default();
        if of_peer.len() == HELD_OF_PEER_MAX {
            of_peer.remove(0);
        }
        of_peer.push(message);
    }

    /// Everything that was kept.
    pub fn take(&self) -> HashMap<PublicKey, Vec<consign_consensus::Message>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The node of each party that has one, as the ledger has it.
pub fn nodes(committed: &Committed) -> BTreeMap<PartyId, Node> {
    let mut nodes = BTreeMap::new();
    let governance: Option<Governance> = read(committed, &EntryKey::Governance);
    for party in governance.map(|governance| governance.members).unwrap_or_default() {
        let state: Option<MemberState> = read(committed, &EntryKey::Member(party.clone()));
        if let Some(node) = state.and_then(|state| state.node) {
            nodes.insert(party, node);
        }
    }
    for validator in committed.validators().validators() {
        let addresses = nodes.remove(&validator.party).map(|node: Node| node.addresses);
        let network_key = validator.network_key;
        let node = Node { network_key, addresses: addresses.unwrap_or_default() };
        nodes.insert(validator.party.clone(), node);
    }
    nodes
}

/// The other nodes that may connect now. Addresses of the configuration come before those of the ledger.
pub fn peers(config: &Config, committed: &Committed) -> Vec<PeerConfig> {
    let own = config.keys.network.public();
    nodes(committed)
        .into_iter()
        .filter(|(_, node)| node.network_key != own)
        .map(|(party, node)| {
            let configured = config.peers.iter().filter(|peer| peer.party == party);
            let addresses = configured.flat_map(|peer| peer.addresses.clone());
            let addresses = addresses.chain(node.addresses).collect();
            PeerConfig { key: node.network_key, addresses, party }
        })
        .collect()
}
