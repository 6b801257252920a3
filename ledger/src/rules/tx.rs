//! The scratch copy of entries that one event touches, and what is asked of units by every rule.

use alloc::vec::Vec;

use consign_types::block::LeafIndex;
use consign_types::digest::{Digest, EventId};
use consign_types::event::{Event, Label};
use consign_types::genesis::Params;
use consign_types::limits::DEPTH_MAX;
use consign_types::party::{PartyId, SignerId};
use consign_types::time::Millis;
use consign_types::unit::UnitId;
use consign_types::validator::ValidatorSet;

use crate::apply::{BlockContext, Layer, Named};
use crate::entry::{EntryKey, FaultState, LogState, MemberState, StateView, read};
use crate::errors::Rejection;
use crate::governance::{Governance, Proposal};
use crate::signer::SignerState;
use crate::unit::{Around, Counters, Custody, UnitState, next_head};

/// What one event changes.
pub struct Change {
    /// Entries.
    pub(crate) layer: Layer,
    /// Units that the event names.
    pub(crate) named: Vec<Named>,
}

/// One event in execution.
pub struct Tx<'a, V> {
    view: &'a V,
    below: &'a Layer,
    context: &'a BlockContext,
    leaf: LeafIndex,
    id: EventId,
    changed: Layer,
    named: Vec<Named>,
}

impl<'a, V: StateView> Tx<'a, V> {
    /// Begins the event `id`, which will lie at `leaf`.
    pub fn new(
        view: &'a V,
        below: &'a Layer,
        context: &'a BlockContext,
        leaf: LeafIndex,
        id: EventId,
    ) -> Self {
        Self { view, below, context, leaf, id, changed: Layer::default(), named: Vec::new() }
    }

    /// What happens after the last event of a block.
    pub fn after(view: &'a V, below: &'a Layer, context: &'a BlockContext) -> Self {
        let leaf = LeafIndex(u64::MAX);
        Self::new(view, below, context, leaf, EventId::default())
    }

    /// What changed.
    pub fn finish(self) -> Change {
        Change { layer: self.changed, named: self.named }
    }

    /// The block.
    pub const fn context(&self) -> &BlockContext {
        self.context
    }

    /// Block time.
    pub const fn time(&self) -> Millis {
        self.context.time
    }

    /// The event's name.
    pub const fn id(&self) -> EventId {
        self.id
    }

    /// A signer's state.
    pub fn signer(&self, signer: &SignerId) -> Option<SignerState> {
        let changed = self.changed.signers.get(signer).or_else(|| self.below.signers.get(signer));
        changed.cloned().or_else(|| read(self.view, &EntryKey::Signer(signer.clone())))
    }

    /// Changes a signer's state.
    pub fn put_signer(&mut self, signer: SignerId, state: SignerState) {
        self.changed.signers.insert(signer, state);
    }

    /// Whether `party` is a member, and an authority.
    pub fn member(&self, party: &PartyId) -> Option<MemberState> {
        let changed = self.changed.members.get(party).or_else(|| self.below.members.get(party));
        changed.cloned().or_else(|| read(self.view, &EntryKey::Member(party.clone())))
    }

    /// Changes what is known of a member.
    pub fn put_member(&mut self, party: PartyId, state: MemberState) {
        self.changed.members.insert(party, state);
    }

    /// Whether a fault was reported.
    pub fn is_reported(&self, fault: &Digest) -> bool {
        self.changed.faults.contains_key(fault)
            || self.below.faults.contains_key(fault)
            || self.view.get(&EntryKey::Fault(*fault)).is_some()
    }

    /// Notes that a fault is reported.
    pub fn put_fault(&mut self, fault: Digest, state: FaultState) {
        self.changed.faults.insert(fault, state);
    }

    /// What checkpoints of the log are known by.
    pub fn log(&self) -> Option<LogState> {
        read(self.view, &EntryKey::Log)
    }

    /// What checkpoints will be known by, as far as it is decided.
    pub fn next_log(&self) -> Option<LogState> {
        let changed = self.changed.log.as_ref().or(self.below.log.as_ref());
        changed.cloned().or_else(|| self.log())
    }

    /// Changes what checkpoints are known by, from the next block on.
    pub fn put_log(&mut self, log: Option<LogState>) {
        self.changed.log = log;
    }

    /// The validator set in force.
    pub fn validators(&self) -> Option<ValidatorSet> {
        read(self.view, &EntryKey::Validators)
    }

    /// The validator set from the next block on, as far as it is decided.
    pub fn next_validators(&self) -> Option<ValidatorSet> {
        let changed = self.changed.validators.as_ref().or(self.below.validators.as_ref());
        changed.cloned().or_else(|| self.validators())
    }

    /// Changes the validator set from the next block on.
    pub fn put_validators(&mut self, set: Option<ValidatorSet>) {
        self.changed.validators = set;
    }

    /// Changes the parameters from the next block on.
    pub const fn put_params(&mut self, params: Option<Params>) {
        self.changed.params = params;
    }

    /// Who is a member, and which proposals wait.
    pub fn governance(&self) -> Governance {
        let changed = self.changed.governance.as_ref().or(self.below.governance.as_ref());
        changed.cloned().or_else(|| read(self.view, &EntryKey::Governance)).unwrap_or_default()
    }

    /// Changes who is a member, or which proposals wait.
    pub fn put_governance(&mut self, governance: Governance) {
        self.changed.governance = Some(governance);
    }

    /// A proposal about the network.
    pub fn motion(&self, id: &EventId) -> Option<Proposal> {
        let changed = self.changed.motions.get(id).or_else(|| self.below.motions.get(id));
        changed.cloned().or_else(|| read(self.view, &EntryKey::Proposal(*id)))
    }

    /// Changes a proposal about the network.
    pub fn put_motion(&mut self, id: EventId, proposal: Proposal) {
        self.changed.motions.insert(id, proposal);
    }

    /// The network's parameters.
    pub fn params(&self) -> Option<Params> {
        read(self.view, &EntryKey::Params)
    }

    /// Whether the signer's party is an authority.
    pub fn is_authority(&self, event: &Event) -> bool {
        self.member(event.signer.party()).is_some_and(|member| member.authority)
    }

    /// Refuses whoever is no authority.
    pub fn need_authority(&self, event: &Event) -> Result<(), Rejection> {
        if self.is_authority(event) {
            return Ok(());
        }
        Err(Rejection::NotAuthority { signer: event.signer.party().clone() })
    }

    /// A unit's state, if it is known.
    pub fn find(&self, unit: &UnitId) -> Option<UnitState> {
        let changed = self.changed.units.get(unit).or_else(|| self.below.units.get(unit));
        changed.cloned().or_else(|| read(self.view, &EntryKey::Unit(unit.clone())))
    }

    /// A unit's state.
    pub fn unit(&self, unit: &UnitId) -> Result<UnitState, Rejection> {
        self.find(unit).ok_or_else(|| Rejection::UnknownUnit { unit: unit.clone() })
    }

    /// Changes a unit's state.
    pub fn put(&mut self, unit: &UnitId, state: UnitState) {
        self.changed.units.insert(unit.clone(), state);
    }

    /// Whether a seal id was used.
    pub fn seal_used(&self, seal: &Label) -> bool {
        self.changed.seals.contains(seal)
            || self.below.seals.contains(seal)
            || self.view.get(&EntryKey::Seal(seal.clone())).is_some()
    }

    /// Notes that a seal id is used.
    pub fn use_seal(&mut self, seal: Label) {
        self.changed.seals.insert(seal);
    }

    /// The units around one, innermost first.
    pub fn around(&self, state: &UnitState) -> Vec<(UnitId, UnitState)> {
        let mut around: Vec<(UnitId, UnitState)> = Vec::new();
        let mut next = state.inside.as_ref().map(|inside| inside.parent.clone());
        while let Some(parent) = next {
            // Containment is a forest of bounded depth; the rules keep it so.
            assert!(around.len() < DEPTH_MAX, "a unit is inside of more than {DEPTH_MAX} others");
            let Some(container) = self.find(&parent) else {
                unreachable!("the unit around another is known")
            };
            next = container.inside.as_ref().map(|inside| inside.parent.clone());
            around.push((parent, container));
        }
        around
    }

    /// The outermost unit: whose custody and journey count.
    pub fn root(&self, unit: &UnitId, state: &UnitState) -> (UnitId, UnitState) {
        self.around(state).pop().unwrap_or_else(|| (unit.clone(), state.clone()))
    }

    /// Counters of everything that happened to a unit and to what it was in, while it was in it.
    pub fn effective(&self, state: &UnitState) -> Counters {
        let Some(inside) = &state.inside else { return state.counters };
        let Some(parent) = self.find(&inside.parent) else { return state.counters };
        state.counters.plus(self.effective(&parent).minus(inside.anchor))
    }

    /// Records the event in a unit's history: its head and its number of events.
    pub fn record(&mut self, unit: &UnitId) -> Result<(), Rejection> {
        let mut state = self.unit(unit)?;
        let around: Vec<Around> = self
            .around(&state)
            .into_iter()
            .map(|(unit, container)| Around {
                unit,
                head: container.head,
                effective: self.effective(&container),
            })
            .collect();
        state.head = next_head(&state.head, &self.id, self.leaf, self.context.time, &around);
        self.named.push(Named { unit: unit.clone(), position: state.events, around });
        state.events += 1;
        self.put(unit, state);
        Ok(())
    }

    /// Stores a unit's state and records the event in its history.
    pub fn put_and_record(&mut self, unit: &UnitId, state: UnitState) -> Result<(), Rejection> {
        self.put(unit, state);
        self.record(unit)
    }

    /// Custody of a unit now: that of the outermost one around it.
    pub fn custody(&self, unit: &UnitId, state: &UnitState) -> Custody {
        self.root(unit, state).1.custody_at(self.time())
    }

    /// Refuses whoever does not have custody. An open offer does not matter.
    pub fn need_custodian(
        &self,
        unit: &UnitId,
        state: &UnitState,
        signer: &PartyId,
    ) -> Result<(), Rejection> {
        match self.custody(unit, state) {
            Custody::Held(party) | Custody::Offered { by: party, .. } if party == *signer => Ok(()),
            Custody::Held(custodian) | Custody::Offered { by: custodian, .. } => {
                Err(Rejection::NotCustodian {
                    unit: unit.clone(),
                    custodian,
                    signer: signer.clone(),
                })
            }
            Custody::Contested { .. } => Err(Rejection::Contested { unit: unit.clone() }),
            Custody::Closed { .. } => Err(Rejection::Closed { unit: unit.clone() }),
        }
    }

    /// Refuses whoever does not have custody, and where an offer is open.
    pub fn need_held(
        &self,
        unit: &UnitId,
        state: &UnitState,
        signer: &PartyId,
    ) -> Result<(), Rejection> {
        self.need_custodian(unit, state, signer)?;
        match self.custody(unit, state) {
            Custody::Offered { offer, .. } => {
                Err(Rejection::OfferOpen { unit: unit.clone(), offer })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a unit that is inside of another.
    pub fn need_free(&self, unit: &UnitId, state: &UnitState) -> Result<(), Rejection> {
        match &state.inside {
            None => Ok(()),
            Some(inside) => {
                Err(Rejection::Contained { unit: unit.clone(), parent: inside.parent.clone() })
            }
        }
    }

    /// Refuses a unit that is on hold or has something inside that is stopped.
    pub fn need_unblocked(&self, unit: &UnitId, state: &UnitState) -> Result<(), Rejection> {
        if !state.holds.is_empty() {
            return Err(Rejection::OnHold { unit: unit.clone() });
        }
        if state.blocked_inside > 0 {
            return Err(Rejection::BlockedInside { unit: unit.clone() });
        }
        Ok(())
    }

    /// Refuses a unit whose history has ended, or whose custody two parties claim.
    pub fn need_open(&self, unit: &UnitId, state: &UnitState) -> Result<(), Rejection> {
        match self.custody(unit, state) {
            Custody::Closed { .. } => Err(Rejection::Closed { unit: unit.clone() }),
            _ => Ok(()),
        }
    }

    /// Refuses whoever is neither custodian, offered receiver, nor (where `owner_too`) owner.
    pub fn need_involved(
        &self,
        unit: &UnitId,
        state: &UnitState,
        signer: &PartyId,
        owner_too: bool,
    ) -> Result<(), Rejection> {
        let involved = match self.custody(unit, state) {
            Custody::Closed { .. } => return Err(Rejection::Closed { unit: unit.clone() }),
            Custody::Held(party) => party == *signer,
            Custody::Offered { by, to, .. } => by == *signer || to == *signer,
            Custody::Contested { holder, claimant } => holder == *signer || claimant == *signer,
        };
        if involved || (owner_too && state.owner == *signer) {
            return Ok(());
        }
        Err(Rejection::NotInvolved { unit: unit.clone(), signer: signer.clone() })
    }
}
