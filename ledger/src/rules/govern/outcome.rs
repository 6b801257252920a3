//! What a change does to the ledger, and whether it can.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use consign_types::genesis::Params;
use consign_types::governance::{Change, Motion, Node};
use consign_types::key::PublicKey;
use consign_types::limits::{MEMBERS_MAX, PAST_KEYS_MAX};
use consign_types::note::VerifierKey;
use consign_types::party::{PartyId, SignerId};
use consign_types::signer_key::SignerKey;
use consign_types::validator::{Validator, ValidatorSet, is_few};
use consign_types::witness::{self, Witness};

use crate::entry::{LogState, MemberState, StateView};
use crate::errors::Rejection;
use crate::governance::Governance;
use crate::rules::Tx;
use crate::signer::SignerState;

/// What one change does, before it is written.
#[derive(Default)]
pub(super) struct Outcome {
    members: Vec<PartyId>,
    set: Option<ValidatorSet>,
    member: Option<(PartyId, MemberState)>,
    signer: Option<(SignerId, SignerState)>,
    params: Option<Params>,
    log: Option<LogState>,
}

impl Outcome {
    /// What `motion` does as things stand.
    ///
    /// # Errors
    /// It is not possible, and why.
    pub fn of<V: StateView>(
        tx: &Tx<'_, V>,
        governance: &Governance,
        motion: &Motion,
    ) -> Result<Self, Rejection> {
        let mut outcome = Self {
            members: governance.members.clone(),
            set: tx.next_validators(),
            log: tx.next_log(),
            ..Self::default()
        };
        outcome.take(motion, &|party| tx.member(party), &|signer| tx.signer(signer))?;
        Ok(outcome)
    }

    /// Puts it in force.
    pub fn write<V: StateView>(self, tx: &mut Tx<'_, V>, governance: &mut Governance) {
        let Self { members, set, member, signer, params, log } = self;
        governance.members = members;
        if let Some((party, state)) = member {
            tx.put_member(party, state);
        }
        if let Some((signer, state)) = signer {
            tx.put_signer(signer, state);
        }
        if set.is_some() && set != tx.next_validators() {
            tx.put_validators(set);
        }
        if params.is_some() {
            tx.put_params(params);
        }
        if log != tx.next_log() {
            tx.put_log(log);
        }
    }

    fn take(
        &mut self,
        motion: &Motion,
        member_of: &dyn Fn(&PartyId) -> Option<MemberState>,
        signer_of: &dyn Fn(&SignerId) -> Option<SignerState>,
    ) -> Result<(), Rejection> {
        let no = |why: &str| Err(Rejection::ChangeNotPossible { why: String::from(why) });
        let is_member = |party: &PartyId| self.members.binary_search(party).is_ok();
        match &motion.change {
            Change::Admit { party, key, authority, node, .. } => {
                let Err(at) = self.members.binary_search(party) else {
                    return no("the party is a member already");
                };
                if self.members.len() == MEMBERS_MAX {
                    return no("there are as many members as there can be");
                }
                self.need_new_network_key(party, node.as_deref(), member_of)?;
                let signer = SignerId::member(party.clone());
                let faults = member_of(party).map_or(0, |before| before.faults);
                // Who comes back has its numbers and keys behind it: it goes on where it was.
                let state = match signer_of(&signer) {
                    None => SignerState::of_member((*key).into()),
                    Some(before) if before.key == (*key).into() => before,
                    Some(before) => with_another_key(before, *key)?,
                };
                self.members.insert(at, party.clone());
                self.signer = Some((signer, state));
                let node = node.as_deref().cloned();
                let state = MemberState { authority: *authority, faults, node, expelled: None };
                self.member = Some((party.clone(), state));
            }
            _ if motion.change.party().is_some_and(|party| !is_member(party)) => {
                return no("the party is no member");
            }
            Change::Expel { party } => {
                if self.members.len() == 1 {
                    return no("nobody would be left");
                }
                self.members.retain(|member| member != party);
                let state = member_of(party).map(|member| (party.clone(), member));
                self.member = state.map(|(party, member)| {
                    (party, MemberState { node: None, expelled: Some(motion.from), ..member })
                });
                if self.validator(party).is_some() {
                    self.retire(party, motion.few)?;
                }
            }
            Change::Node { party, node } => {
                if self.validator(party).is_some() {
                    return no("the party's node votes: change its validator");
                }
                self.need_new_network_key(party, node.as_deref(), member_of)?;
                self.put_node(party, node.as_deref().cloned(), member_of);
            }
            Change::Validator { validator, addresses, .. } => {
                let (party, network_key) = (&validator.party, validator.network_key);
                let node = Node { network_key, addresses: addresses.clone() };
                let mut entries = self.entries();
                match entries.iter_mut().find(|entry| entry.party == *party) {
                    Some(entry) if *entry == **validator => {
                        return no("the party's node votes under these keys already");
                    }
                    Some(entry) => *entry = Validator::clone(validator),
                    None => entries.push(Validator::clone(validator)),
                }
                self.replace(entries)?;
                let Validator { consensus_key, cosigner_key, .. } = **validator;
                let keys = [consensus_key, cosigner_key, network_key];
                self.need_no_members_node(party, &keys, member_of)?;
                let log = self.log.clone();
                let witnesses = log.iter().flat_map(|log| &log.witnesses);
                self.need_apart(&witnesses.collect::<Vec<_>>())?;
                self.put_node(party, Some(node), member_of);
            }
            Change::Retire { party } => {
                if self.validator(party).is_none() {
                    return no("the party's node does not vote");
                }
                let network_key = self.validator(party).map(|entry| entry.network_key);
                self.retire(party, motion.few)?;
                // It stays a member's node: peers admit it, and it follows.
                let known = member_of(party).and_then(|member| member.node);
                let follows = |network_key| Node { network_key, addresses: Vec::new() };
                let node = known.or_else(|| network_key.map(follows));
                self.put_node(party, node, member_of);
            }
            Change::Key { party, key, .. } => {
                let signer = SignerId::member(party.clone());
                let Some(before) = signer_of(&signer) else { return no("the party has no key") };
                self.signer = Some((signer, with_another_key(before, *key)?));
            }
            Change::Witnesses(witnesses) => {
                let keys: Vec<&VerifierKey> = witnesses.iter().map(Witness::key).collect();
                self.need_apart(&keys)?;
                self.log = self.log.take().map(|log| log.with_witnesses(witnesses));
            }
            Change::Params(params) => {
                if !(1..=60_000).contains(&params.block_interval_ms) {
                    return no("the block interval is outside of 1 to 60000 ms");
                }
                self.params = Some(*params);
            }
        }
        Ok(())
    }

    fn entries(&self) -> Vec<Validator> {
        self.set.as_ref().map(|set| set.validators().to_vec()).unwrap_or_default()
    }

    fn validator(&self, party: &PartyId) -> Option<&Validator> {
        self.set.as_ref()?.validators().iter().find(|entry| entry.party == *party)
    }

    fn replace(&mut self, entries: Vec<Validator>) -> Result<(), Rejection> {
        let set = ValidatorSet::new(entries);
        self.set = Some(set.map_err(|e| Rejection::ChangeNotPossible { why: e.to_string() })?);
        Ok(())
    }

    /// Witnesses are outsiders: none goes by the name or key of another, of a validator or of the log.
    fn need_apart(&self, witnesses: &[&VerifierKey]) -> Result<(), Rejection> {
        let keys = |entry: &Validator| [entry.consensus_key, entry.cosigner_key, entry.network_key];
        let others: Vec<PublicKey> = self.entries().iter().flat_map(keys).collect();
        let origin = self.log.as_ref().map_or("", |log| &log.origin);
        witness::distinct(witnesses, origin, &others)
            .map_err(|e| Rejection::ChangeNotPossible { why: e.to_string() })
    }

    fn retire(&mut self, party: &PartyId, few: bool) -> Result<(), Rejection> {
        let mut entries = self.entries();
        entries.retain(|entry| entry.party != *party);
        if is_few(entries.len()) && !few {
            return Err(Rejection::TooFewValidators { left: entries.len() as u32 });
        }
        self.replace(entries)
    }

    /// A node that follows stands beside those that vote: no two have one identity.
    fn need_new_network_key(
        &self,
        party: &PartyId,
        node: Option<&Node>,
        member_of: &dyn Fn(&PartyId) -> Option<MemberState>,
    ) -> Result<(), Rejection> {
        let Some(Node { network_key, .. }) = node else { return Ok(()) };
        let keys = |entry: &Validator| [entry.consensus_key, entry.cosigner_key, entry.network_key];
        let taken = |entry: &Validator| keys(entry).contains(network_key) && entry.party != *party;
        if self.entries().iter().any(taken) {
            let why = "the node's network key is a validator's".to_string();
            return Err(Rejection::ChangeNotPossible { why });
        }
        self.need_no_members_node(party, &[*network_key], member_of)
    }

    /// None of these keys of a node of `party` is the identity of another member's node.
    fn need_no_members_node(
        &self,
        party: &PartyId,
        keys: &[PublicKey],
        member_of: &dyn Fn(&PartyId) -> Option<MemberState>,
    ) -> Result<(), Rejection> {
        let others = self.members.iter().filter(|member| *member != party);
        let mut nodes = others.filter_map(|member| member_of(member)?.node);
        if nodes.any(|node| keys.contains(&node.network_key)) {
            let why = "a key of the node is the network key of another member's".to_string();
            return Err(Rejection::ChangeNotPossible { why });
        }
        Ok(())
    }

    fn put_node(
        &mut self,
        party: &PartyId,
        node: Option<Node>,
        member_of: &dyn Fn(&PartyId) -> Option<MemberState>,
    ) {
        self.member =
            member_of(party).map(|member| (party.clone(), MemberState { node, ..member }));
    }
}

fn with_another_key(mut state: SignerState, key: PublicKey) -> Result<SignerState, Rejection> {
    let key = SignerKey::from(key);
    let no = |why: &str| Err(Rejection::ChangeNotPossible { why: String::from(why) });
    if state.keys().any(|known| known.key_id() == key.key_id()) {
        return no("that is a key of the party already, or was one");
    }
    if state.past.len() >= PAST_KEYS_MAX {
        return no("the party had as many keys as a signer can have");
    }
    state.replace_key(key);
    Ok(state)
}
