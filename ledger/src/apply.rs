//! Executing a block: its events in order, on the state of its parent.
//!
//! Everything that a node compares comes out of here: an event that breaks a rule at its place makes the
//! block invalid. An event is applied whole or not at all.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use consign_types::block::{Epoch, Height, LeafIndex};
use consign_types::codec::Canonical as _;
use consign_types::digest::{Digest, EventId, NetworkId};
use consign_types::event::{Action, Label, SignedEvent, Subject, Verified};
use consign_types::genesis::Params;
use consign_types::limits::{BLOCK_EVENTS_MAX, BLOCK_MAP_WRITES_MAX};
use consign_types::party::{PartyId, SignerId};
use consign_types::signer_key::SignerKey;
use consign_types::time::Millis;
use consign_types::unit::UnitId;
use consign_types::validator::ValidatorSet;

use crate::entry::{EntryKey, FaultState, LogState, MemberState, StateView, read};
use crate::errors::Rejection;
use crate::governance::{Governance, Proposal};
use crate::rules;
use crate::signer::SignerState;
use crate::unit::{Around, UnitState};

/// The block that events are executed in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlockContext {
    /// The network.
    pub network: NetworkId,
    /// Its incarnation.
    pub epoch: Epoch,
    /// The block's height.
    pub height: Height,
    /// Block time: the record time of every event in it.
    pub time: Millis,
    /// Where the first event of the block will lie in the log.
    pub first_leaf: LeafIndex,
}

/// One unit that an event names, and what of it went into the unit's head.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Named {
    /// The unit.
    pub unit: UnitId,
    /// Position of the event in the unit's history, from 0.
    pub position: u64,
    /// What stood around the unit, innermost first: a passport gives it again.
    pub around: Vec<Around>,
}

/// What a block writes, and which units each of its events names.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    writes: BTreeMap<EntryKey, Vec<u8>>,
    named: Vec<Vec<Named>>,
    validators: Option<ValidatorSet>,
}

impl Outcome {
    /// The validator set from the next height on, where this block changes it.
    pub const fn validators(&self) -> Option<&ValidatorSet> {
        self.validators.as_ref()
    }

    /// New content of entries, by key.
    pub const fn writes(&self) -> &BTreeMap<EntryKey, Vec<u8>> {
        &self.writes
    }

    /// For each event the units that it names, in the order in which their heads were extended.
    pub fn named(&self) -> &[Vec<Named>] {
        &self.named
    }
}

/// Entries changed on top of a view, decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    pub(crate) units: BTreeMap<UnitId, UnitState>,
    pub(crate) signers: BTreeMap<SignerId, SignerState>,
    pub(crate) seals: BTreeSet<Label>,
    pub(crate) members: BTreeMap<PartyId, MemberState>,
    pub(crate) faults: BTreeMap<Digest, FaultState>,
    pub(crate) motions: BTreeMap<EventId, Proposal>,
    pub(crate) governance: Option<Governance>,
    /// In force from the next block on.
    pub(crate) validators: Option<ValidatorSet>,
    /// In force from the next block on.
    pub(crate) params: Option<Params>,
    /// In force from the next block on.
    pub(crate) log: Option<LogState>,
}

impl Layer {
    pub(crate) fn merge(&mut self, newer: Self) {
        self.units.extend(newer.units);
        self.signers.extend(newer.signers);
        self.seals.extend(newer.seals);
        self.members.extend(newer.members);
        self.faults.extend(newer.faults);
        self.motions.extend(newer.motions);
        self.governance = newer.governance.or_else(|| self.governance.take());
        self.validators = newer.validators.or_else(|| self.validators.take());
        self.params = newer.params.or(self.params);
        self.log = newer.log.or_else(|| self.log.take());
    }

    pub(crate) fn len(&self) -> usize {
        let reported = self.members.len() + self.faults.len() + self.motions.len();
        self.units.len() + self.signers.len() + self.seals.len() + reported
    }

    /// How many entries there would be with those of `newer`.
    fn len_with(&self, newer: &Self) -> usize {
        let units = newer.units.keys().filter(|k| !self.units.contains_key(*k)).count();
        let signers = newer.signers.keys().filter(|k| !self.signers.contains_key(*k)).count();
        let members = newer.members.keys().filter(|k| !self.members.contains_key(*k)).count();
        let others = newer.seals.len() + newer.faults.len() + newer.motions.len();
        self.len() + units + signers + members + others
    }
}

/// A block in execution.
pub struct Executor<'v, V> {
    view: &'v V,
    context: BlockContext,
    layer: Layer,
    named: Vec<Vec<Named>>,
}

impl<'v, V: StateView> Executor<'v, V> {
    /// A block without events yet, on the state that `view` reads.
    pub const fn new(view: &'v V, context: BlockContext) -> Self {
        let layer = Layer {
            units: BTreeMap::new(),
            signers: BTreeMap::new(),
            seals: BTreeSet::new(),
            members: BTreeMap::new(),
            faults: BTreeMap::new(),
            motions: BTreeMap::new(),
            governance: None,
            validators: None,
            params: None,
            log: None,
        };
        Self { view, context, layer, named: Vec::new() }
    }

    /// Applies the next event, whole or not at all.
    ///
    /// # Errors
    /// The rule that it breaks at this place.
    pub fn push(&mut self, event: &Verified) -> Result<(), Rejection> {
        if self.named.len() == BLOCK_EVENTS_MAX {
            return Err(Rejection::BlockFull);
        }
        let leaf = LeafIndex(self.context.first_leaf.0 + self.named.len() as u64);
        let change = rules::apply(self.view, &self.layer, &self.context, leaf, event)?;
        if self.layer.len_with(&change.layer) > BLOCK_MAP_WRITES_MAX {
            return Err(Rejection::BlockFull);
        }
        self.layer.merge(change.layer);
        self.named.push(change.named);
        Ok(())
    }

    /// What the block writes.
    pub fn finish(mut self) -> Outcome {
        rules::settle(self.view, &mut self.layer, &self.context);
        let Layer { units, signers, seals, members, faults, motions, .. } = self.layer;
        let Layer { governance, validators, params, log, .. } = self.layer;
        let mut writes = BTreeMap::new();
        writes.extend(units.into_iter().map(|(k, v)| (EntryKey::Unit(k), v.to_bytes())));
        writes.extend(signers.into_iter().map(|(k, v)| (EntryKey::Signer(k), v.to_bytes())));
        // That a seal id was used is all there is to say of it: the CBOR value true.
        writes.extend(seals.into_iter().map(|k| (EntryKey::Seal(k), alloc::vec![0xf5])));
        writes.extend(members.into_iter().map(|(k, v)| (EntryKey::Member(k), v.to_bytes())));
        writes.extend(faults.into_iter().map(|(k, v)| (EntryKey::Fault(k), v.to_bytes())));
        writes.extend(motions.into_iter().map(|(k, v)| (EntryKey::Proposal(k), v.to_bytes())));
        writes.extend(governance.map(|v| (EntryKey::Governance, v.to_bytes())));
        writes.extend(validators.as_ref().map(|v| (EntryKey::Validators, v.to_bytes())));
        writes.extend(params.map(|v| (EntryKey::Params, v.to_bytes())));
        writes.extend(log.map(|v| (EntryKey::Log, v.to_bytes())));
        Outcome { writes, named: self.named, validators }
    }
}

/// Executes all `events` as one block.
///
/// # Errors
/// Position and rule of the first event that breaks one.
pub fn apply<V: StateView>(
    view: &V,
    context: BlockContext,
    events: &[Verified],
) -> Result<Outcome, (usize, Rejection)> {
    let mut executor = Executor::new(view, context);
    for (index, event) in events.iter().enumerate() {
        executor.push(event).map_err(|rejection| (index, rejection))?;
    }
    Ok(executor.finish())
}

/// The key of a signer that has this id: the present one, or one before.
pub fn signer_key(view: &impl StateView, signer: &SignerId, key_id: &[u8; 8]) -> Option<SignerKey> {
    let state: SignerState = read(view, &EntryKey::Signer(signer.clone()))?;
    state.key_with(key_id)
}

/// Keys by signer and key id.
pub type Keys = BTreeMap<(SignerId, [u8; 8]), SignerKey>;

/// Keys that these events enrol, or rotate to: a block may hold that, and what was signed under the new key.
pub fn enrolments<'a>(events: impl IntoIterator<Item = &'a SignedEvent>) -> Keys {
    let mut keys = Keys::new();
    for event in events {
        if let (Subject::Signer(device), Action::Enrol { key, .. } | Action::Rotate { key, .. }) =
            (&event.event().subject, &event.event().action)
        {
            keys.insert((device.clone(), key.key_id()), *key);
        }
    }
    keys
}
