//! Rows about the network itself: members propose and vote, and what is decided takes force between two blocks.
//!
//! A change is checked when it is proposed, and again when it takes force: others may have come in between.
//! What is not possible then is void, and says so.
//!
//! Invariant: outside of [`settle`], no open proposal has as many votes as end it, whoever became a member or ceased
//! to be one.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use consign_types::block::Height;
use consign_types::digest::EventId;
use consign_types::event::{Event, Kind, Subject};
use consign_types::governance::{Change, Motion, Node};
use consign_types::key::PublicKey;
use consign_types::limits::{
    MEMBERS_MAX, MOTION_HEIGHTS_MAX, MOTION_WINDOW_MAX_MS, MOTIONS_IN_ALL_MAX, MOTIONS_MAX,
    MOTIONS_OF_MEMBER_MAX, PAST_KEYS_MAX,
};
use consign_types::note::VerifierKey;
use consign_types::party::{PartyId, SignerId};
use consign_types::signer_key::SignerKey;
use consign_types::time::Millis;
use consign_types::validator::{Validator, ValidatorSet};
use consign_types::witness::{self, Witness};

use super::Tx;
use crate::apply::{BlockContext, Layer};
use crate::entry::{LogState, MemberState, StateView};
use crate::errors::Rejection;
use crate::governance::{Governance, Proposal, Stage};
use crate::signer::SignerState;

/// Fewer than this many validators survive no faulty one.
const VALIDATORS_FEW: usize = 4;

/// propose | M | a change that is possible now, and a time to vote on it | an open proposal that M approves
pub fn propose<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    motion: &Motion,
    until: Millis,
) -> Result<(), Rejection> {
    about_itself(event)?;
    let window_ms = until.since(tx.time());
    if window_ms == 0 || window_ms > MOTION_WINDOW_MAX_MS {
        return Err(Rejection::MotionWindow { until });
    }
    if !motion.change.possession_holds(event.network) {
        let why = "a key in it is not shown to be whose it says".to_string();
        return Err(Rejection::ChangeNotPossible { why });
    }
    let mut governance = tx.governance();
    expire(tx, &mut governance);
    if motion.from.0 > tx.context().height.0.saturating_add(MOTION_HEIGHTS_MAX) {
        let why = format!("it would be put off by more than {MOTION_HEIGHTS_MAX} heights");
        return Err(Rejection::ChangeNotPossible { why });
    }
    possible(tx, &governance, motion)?;
    need_room(tx, &governance, event.signer.party())?;
    governance.proposals += 1;
    let Some(proposal) = Proposal::of(event, governance.proposals) else {
        return Err(Rejection::WrongSubject { kind: Kind::Propose });
    };
    let id = tx.id();
    governance.open.push(id);
    decide(tx, governance, id, proposal);
    Ok(())
}

/// Of the places that members share each has eight, and everybody one, taken or not: no number of members keeps
/// another from proposing.
fn need_room<V: StateView>(
    tx: &Tx<'_, V>,
    governance: &Governance,
    party: &PartyId,
) -> Result<(), Rejection> {
    let waiting = || governance.open.iter().chain(&governance.due);
    let own = waiting().filter(|id| tx.motion(id).is_some_and(|of| of.by == *party)).count();
    let all = waiting().count();
    let shared = own < MOTIONS_OF_MEMBER_MAX && all < MOTIONS_MAX;
    // So many wait only where as many parties became members and were expelled within the time of a vote.
    if shared || (own == 0 && all < MOTIONS_IN_ALL_MAX) {
        return Ok(());
    }
    Err(Rejection::TooManyMotions { party: party.clone() })
}

/// ballot | M | a proposal that is open, or decided and not yet in force | M's last word on it; with enough of them it is decided, or ended
pub fn ballot<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    id: EventId,
    approve: bool,
) -> Result<(), Rejection> {
    about_itself(event)?;
    let unknown = || Rejection::UnknownMotion { proposal: id };
    let mut proposal = tx.motion(&id).ok_or_else(unknown)?;
    let is_voted_on = match proposal.stage {
        Stage::Open => tx.time() <= proposal.until,
        Stage::Decided(_) => true,
        Stage::InForce(_) | Stage::Rejected | Stage::Expired | Stage::Void => false,
    };
    if !is_voted_on {
        return Err(Rejection::MotionClosed { proposal: id });
    }
    let party = event.signer.party();
    let known = if approve { &proposal.approvals } else { &proposal.rejections };
    if known.contains(party) {
        return Err(Rejection::BallotKnown { party: party.clone(), proposal: id });
    }
    proposal.vote(party, approve);
    let governance = tx.governance();
    decide(tx, governance, id, proposal);
    Ok(())
}

/// The member speaks for itself.
fn about_itself(event: &Event) -> Result<(), Rejection> {
    match &event.subject {
        Subject::Signer(subject) if *subject == event.signer => Ok(()),
        _ => Err(Rejection::WrongSubject { kind: event.action.kind() }),
    }
}

/// Ends what nobody can vote on any more.
fn expire<V: StateView>(tx: &mut Tx<'_, V>, governance: &mut Governance) {
    let now = tx.time();
    let mut expired = Vec::new();
    governance.open.retain(|id| match tx.motion(id) {
        Some(proposal) if now > proposal.until => {
            expired.push((*id, proposal));
            false
        }
        _ => true,
    });
    for (id, proposal) in expired {
        tx.put_motion(id, Proposal { stage: Stage::Expired, ..proposal });
    }
}

fn decide<V: StateView>(
    tx: &mut Tx<'_, V>,
    mut governance: Governance,
    id: EventId,
    proposal: Proposal,
) {
    count(tx, &mut governance, id, proposal);
    tx.put_governance(governance);
}

/// Counts the votes on a proposal, and notes what comes of it.
fn count<V: StateView>(
    tx: &mut Tx<'_, V>,
    governance: &mut Governance,
    id: EventId,
    mut proposal: Proposal,
) {
    if let Some(approved) = proposal.count(&governance.members) {
        governance.open.retain(|open| *open != id);
        governance.due.retain(|due| *due != id);
        proposal.stage = if approved {
            governance.due.push(id);
            Stage::Decided(tx.context().height)
        } else {
            Stage::Rejected
        };
    }
    tx.put_motion(id, proposal);
}

/// Whether `motion` can take force as things stand.
fn possible<V: StateView>(
    tx: &Tx<'_, V>,
    governance: &Governance,
    motion: &Motion,
) -> Result<(), Rejection> {
    let mut scratch = Scratch {
        members: governance.members.clone(),
        set: tx.next_validators(),
        log: tx.next_log(),
        ..Scratch::default()
    };
    scratch.take(motion, &|party| tx.member(party), &|signer| tx.signer(signer))
}

/// What one change does, before it is written.
#[derive(Default)]
struct Scratch {
    members: Vec<PartyId>,
    set: Option<ValidatorSet>,
    member: Option<(PartyId, MemberState)>,
    signer: Option<(SignerId, SignerState)>,
    params: Option<consign_types::genesis::Params>,
    log: Option<LogState>,
}

impl Scratch {
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
        if entries.len() < VALIDATORS_FEW && !few {
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
    if state.keys().any(|known| known == key) {
        return no("that is a key of the party already, or was one");
    }
    if state.past.len() == PAST_KEYS_MAX {
        return no("the party had as many keys as a signer can have");
    }
    state.replace_key(key);
    Ok(state)
}

/// Puts in force what is due at the height after this block.
pub fn settle<V: StateView>(view: &V, layer: &mut Layer, context: &BlockContext) {
    let mut tx = Tx::after(view, layer, context);
    let mut governance = tx.governance();
    if governance.due.is_empty() {
        return;
    }
    let next = context.height.next();
    // One after the other: with a change of members, another proposal may be decided, and be due itself.
    while let Some((id, mut proposal)) = first_due(&tx, &governance, next) {
        governance.due.retain(|due| *due != id);
        let motion = Motion { from: next, ..Motion::clone(&proposal.motion) };
        let done = put_in_force(&mut tx, &mut governance, &motion);
        proposal.stage = if done.is_ok() { Stage::InForce(next) } else { Stage::Void };
        tx.put_motion(id, proposal);
        if done.is_ok() {
            count_again(&mut tx, &mut governance, &motion.change);
        }
    }
    tx.put_governance(governance);
    let change = tx.finish();
    layer.merge(change.layer);
}

/// What was decided first of what is due at this height.
fn first_due<V: StateView>(
    tx: &Tx<'_, V>,
    governance: &Governance,
    height: Height,
) -> Option<(EventId, Proposal)> {
    let due = |id: &EventId| Some((*id, tx.motion(id).filter(|of| of.motion.from <= height)?));
    governance.due.iter().find_map(due)
}

fn put_in_force<V: StateView>(
    tx: &mut Tx<'_, V>,
    governance: &mut Governance,
    motion: &Motion,
) -> Result<(), Rejection> {
    let mut scratch = Scratch {
        members: governance.members.clone(),
        set: tx.next_validators(),
        log: tx.next_log(),
        ..Scratch::default()
    };
    scratch.take(motion, &|party| tx.member(party), &|signer| tx.signer(signer))?;
    write(tx, governance, scratch);
    Ok(())
}

/// After a change of who votes: forgets what the party said under a key that is not its own any more, or as the
/// member that it is not any more, and counts what waits by those who are members now. What was decided stays so,
/// until as many as it takes to decide are against it.
fn count_again<V: StateView>(tx: &mut Tx<'_, V>, governance: &mut Governance, change: &Change) {
    let gone = match change {
        Change::Key { party, .. } | Change::Expel { party } => Some(party),
        Change::Admit { .. } => None,
        Change::Node { .. }
        | Change::Validator { .. }
        | Change::Retire { .. }
        | Change::Params(_)
        | Change::Witnesses(_) => return,
    };
    expire(tx, governance);
    let waiting: Vec<EventId> = governance.open.iter().chain(&governance.due).copied().collect();
    for id in waiting {
        let Some(mut proposal) = tx.motion(&id) else { continue };
        let forgotten = gone.is_some_and(|party| proposal.forget_vote(party));
        if forgotten || proposal.count(&governance.members).is_some() {
            count(tx, governance, id, proposal);
        }
    }
}

fn write<V: StateView>(tx: &mut Tx<'_, V>, governance: &mut Governance, scratch: Scratch) {
    let Scratch { members, set, member, signer, params, log } = scratch;
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
