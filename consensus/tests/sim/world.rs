//! What all nodes of a simulation share: keys, the validator sets of each height, and block bodies.

use std::collections::BTreeMap;

use consign_consensus::Timeouts;
use consign_types::block::{Epoch, Height};
use consign_types::certificate::Domain;
use consign_types::digest::{BlockId, Digest, NetworkId};
use consign_types::key::SecretKey;
use consign_types::validator::{Validator, ValidatorIndex, ValidatorSet};

/// Nodes are numbered apart from validators: a set may leave one out, or order them anew.
pub type NodeId = usize;

/// A block, as the nodes of the simulation see it.
#[derive(Clone, Debug)]
pub struct Body {
    pub height: Height,
    /// Two builders never build the same block, so that nobody trusts another's bad one as its own.
    #[expect(dead_code, reason = "it is part of the id, through `Debug`")]
    pub builder: NodeId,
    pub parent: BlockId,
    pub events: Vec<u64>,
    /// Breaks a rule.
    pub invalid: bool,
    /// Its time is outside the window of rounds below this one.
    pub untimely_below: u32,
}

/// Keys, sets and bodies.
pub struct World {
    pub keys: Vec<SecretKey>,
    pub domain: Domain,
    pub timeouts: Timeouts,
    /// `(first height, members)`, by ascending height.
    sets: Vec<(u64, ValidatorSet, Vec<NodeId>)>,
    pub bodies: BTreeMap<BlockId, Body>,
}

impl World {
    pub fn new(nodes: usize, sets: &[(u64, &[NodeId])]) -> Self {
        let keys: Vec<_> = (0..nodes).map(|node| key(node, 1)).collect();
        let set = |members: &[NodeId]| {
            let validator = |node: &NodeId| Validator {
                party: format!("party-{node}").parse().expect("a party id"),
                consensus_key: keys[*node].public(),
                cosigner_key: key(*node, 2).public(),
                network_key: key(*node, 3).public(),
            };
            ValidatorSet::new(members.iter().map(validator).collect()).expect("distinct keys")
        };
        let sets = sets.iter().map(|(from, members)| (*from, set(members), members.to_vec()));
        let sets = sets.collect();
        let domain = Domain { network: NetworkId(Digest::of(&[b"simulation"])), epoch: Epoch(0) };
        let timeouts = Timeouts {
            propose_ms: 400,
            prevote_ms: 150,
            precommit_ms: 150,
            rebroadcast_ms: 600,
            step_ms: 100,
            max_ms: 3_000,
        };
        Self { keys, domain, timeouts, sets, bodies: BTreeMap::new() }
    }

    pub fn set(&self, height: Height) -> &ValidatorSet {
        &self.in_force(height).1
    }

    /// The place of `node` in the set at `height`.
    pub fn index(&self, height: Height, node: NodeId) -> Option<ValidatorIndex> {
        let members = &self.in_force(height).2;
        let place = members.iter().position(|member| *member == node)?;
        Some(ValidatorIndex(place as u16))
    }

    /// The node at `index` of the set at `height`.
    pub fn node(&self, height: Height, index: ValidatorIndex) -> Option<NodeId> {
        self.in_force(height).2.get(usize::from(index.0)).copied()
    }

    pub fn add(&mut self, body: Body) -> BlockId {
        let id = BlockId(Digest::of(&[format!("{body:?}").as_bytes()]));
        self.bodies.insert(id, body);
        id
    }

    fn in_force(&self, height: Height) -> &(u64, ValidatorSet, Vec<NodeId>) {
        let at = self.sets.iter().rposition(|(from, ..)| *from <= height.0);
        &self.sets[at.expect("the first set is in force from the start")]
    }
}

fn key(node: NodeId, role: u8) -> SecretKey {
    let mut seed = [node as u8 + 1; 32];
    seed[0] = role;
    SecretKey::from_seed(seed)
}
