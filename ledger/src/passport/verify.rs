//! Checking a passport against a trust file.
//!
//! From the outside in: the way to the validator set, its cosignatures, the record, the entries, the
//! signatures, and then the play-back whose heads must come out as the entries say. Whatever is refused
//! is refused by the name of its part.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use consign_types::block::{Height, LeafIndex};
use consign_types::certificate::BadCertificate;
use consign_types::checkpoint::{NotProven, Proven as Cosigned};
use consign_types::codec::{Canonical as _, DecodeError};
use consign_types::digest::Digest;
use consign_types::event::{Event, NotVerified, SignedEvent, Subject};
use consign_types::limits::{DEPTH_MAX, PASSPORT_EVENTS_MAX};
use consign_types::merkle::BadProof;
use consign_types::party::{PartyId, SignerId};
use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_types::unit::UnitId;

use super::Flag;
use super::anchor::Anchor;
use super::custody::{self, Custodian, Holding};
use super::replay::{Change, touch};
use super::{Entered, Passport, Proven};
use crate::correction::{Correction, corrections};
use crate::map::BadMapProof;
use crate::signer::SignerState;
use crate::unit::{Around, Counters, Custody, UnitState, next_head};

/// A passport that holds: everything in here hangs on the cosigned root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    /// The unit.
    pub unit: UnitId,
    /// Its entry.
    pub state: UnitState,
    /// Containers around it now with their entries, innermost first.
    pub around: Vec<(UnitId, UnitState)>,
    /// Its own counters, and those of what it was in while it was in it.
    pub effective: Counters,
    /// Everything that happened to it, and to what it was in while it was in it, in the log's order.
    pub steps: Vec<Step>,
    /// Who held it from when; ascending.
    pub custody: Vec<Holding>,
    /// Signers of the history whose members say since when somebody else may have had the key.
    pub suspected: BTreeMap<SignerId, Millis>,
    /// The checkpoint, who cosigned it, and how fresh it is.
    pub checkpoint: Cosigned,
    /// Height of the block that the checkpoint ends with.
    pub height: Height,
    /// Block time there: as of when the history is complete.
    pub time: Millis,
    /// Changes of the validator set between the trust file and the checkpoint.
    pub set_changes: usize,
}

/// One event in the history.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// The event; its signatures, inner ones included, were checked.
    pub event: SignedEvent,
    /// Its place in the log.
    pub leaf: LeafIndex,
    /// Its record time.
    pub time: Millis,
    /// The innermost unit of the passport that it names.
    pub unit: UnitId,
    /// How many containers stand between that unit and the passport's: 0 for the passport's own.
    pub depth: usize,
    /// What stands around `unit`, innermost first, as it went into its head.
    pub around: Vec<Around>,
    /// What becomes of the stay of `unit`.
    pub stay: Stay,
}

/// What an event does to the stay of a unit in a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stay {
    /// Nothing.
    Same,
    /// It begins one: the event is the first with `around`.
    Begins,
    /// It ends it: the event is the last with `around`.
    Ends,
}

/// Why a passport proves nothing. Each names the part that is wrong; events are counted from 0.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadPassport {
    /// Not a passport.
    #[error("the file is not a passport")]
    Decode(#[source] DecodeError),
    /// Of another network.
    #[error("the passport is of another network than the trust file")]
    Network,
    /// A change of the validator set.
    #[error("change {at} of the validator set does not hold")]
    SetLink {
        /// Which.
        at: usize,
        /// Why.
        #[source]
        why: BadSetLink,
    },
    /// The checkpoint is not cosigned as it must be.
    #[error("the checkpoint is not established")]
    Checkpoint(#[source] NotProven),
    /// Lines under the checkpoint that are not one of each validator and each witness, in order.
    #[error(
        "the checkpoint carries something else than cosignatures of its validators and witnesses, in order"
    )]
    CheckpointLines,
    /// The record is of another validator set than the one that the passport leads to.
    #[error("the block record names another validator set, or no later height")]
    RecordSet,
    /// The record is of another incarnation.
    #[error("the block record is of another epoch than the trust file")]
    RecordEpoch,
    /// The record is not the checkpoint's last leaf.
    #[error("the block record is not the last leaf under the checkpoint")]
    RecordInclusion(#[source] BadProof),
    /// An entry.
    #[error("the entry of {key} does not hold")]
    Entry {
        /// Whose.
        key: Subject,
        /// Why.
        #[source]
        why: BadEntry,
    },
    /// The entry that says who the witnesses are.
    #[error("the entry that names the network's witnesses does not hold")]
    Witnesses(#[source] BadEntry),
    /// Entries out of order, or twice.
    #[error("entries are not in ascending order, each once")]
    EntryOrder,
    /// More events than a passport may hold.
    #[error("the passport has {found} events, more than {PASSPORT_EVENTS_MAX}")]
    TooManyEvents {
        /// How many.
        found: usize,
    },
    /// Bytes that are no event.
    #[error("event {at} is not an event")]
    Event {
        /// Which.
        at: usize,
        /// Why.
        #[source]
        why: DecodeError,
    },
    /// An event that is meant for another network.
    #[error("event {at} is for another network")]
    EventNetwork {
        /// Which.
        at: usize,
    },
    /// A signature of an event, or of one inside of it.
    #[error("event {at} is not signed as it says")]
    EventSignature {
        /// Which.
        at: usize,
        /// Why.
        #[source]
        why: NotVerified,
    },
    /// Events are not in the order of the log.
    #[error("event {at} does not follow the one before in the log")]
    EventOrder {
        /// Which.
        at: usize,
    },
    /// An event that names neither the unit nor what is around it.
    #[error("event {at} names neither the unit nor anything around it")]
    EventUnit {
        /// Which.
        at: usize,
    },
    /// Not as many counters as there are containers.
    #[error("event {at} gives counters for other containers than stand around its unit")]
    EventAround {
        /// Which.
        at: usize,
    },
    /// A stay that begins or ends where it does not.
    #[error("event {at} does not begin or end a stay as the passport says")]
    EventStay {
        /// Which.
        at: usize,
    },
    /// More or fewer events than the entry counts.
    #[error("the passport has {found} events of the unit, its entry counts {expected}")]
    Count {
        /// In the file.
        found: u64,
        /// In the entry.
        expected: u64,
    },
    /// The events lead to another head than the entry has: one was left out, added, moved or changed, or
    /// a time, a place in the log, or what stood around.
    #[error("the events do not lead to the head of {unit}")]
    Head {
        /// The unit, or the container around it.
        unit: UnitId,
    },
    /// The entry has the unit elsewhere than its events do.
    #[error("the entry of {unit} has it inside of something else than its events do")]
    Inside {
        /// The unit, or the container around it.
        unit: UnitId,
    },
}

/// Why a change of the validator set does not hold.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadSetLink {
    /// Not made by the set that is trusted up to there.
    #[error("the block was made by another validator set than the one trusted up to here")]
    Set,
    /// Of another incarnation.
    #[error("the block is of another epoch than the trust file")]
    Epoch,
    /// Not after the one before.
    #[error("the block is not after the change before, or before the trust file")]
    Height,
    /// The certificate is of another block.
    #[error("the certificate is of another block")]
    Block,
    /// The certificate does not hold.
    #[error("the certificate does not hold")]
    Certificate(#[source] BadCertificate),
    /// The next set is not the one that the record names.
    #[error("the next set is not the one that the block names")]
    NextSet,
    /// Nothing changes.
    #[error("the next set is the same")]
    Same,
    /// The trust file names another set after the present one, or another height.
    #[error("the trust file says otherwise of the set that came next")]
    Known,
}

/// Why an entry does not hold.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadEntry {
    /// Not there.
    #[error("the passport needs it and does not have it")]
    Missing,
    /// Nothing needs it.
    #[error("nothing in the passport needs it")]
    Unused,
    /// Not under the root.
    #[error("the unit map says otherwise")]
    Proof(#[source] BadMapProof),
    /// Bytes that are no such entry.
    #[error("its value is malformed")]
    Value(#[source] DecodeError),
}

/// Reads a passport and checks it.
///
/// # Errors
/// [`BadPassport`] names the part.
pub fn read(bytes: &[u8], trust: &Trust) -> Result<Verified, BadPassport> {
    verify(&Passport::from_bytes(bytes).map_err(BadPassport::Decode)?, trust)
}

/// Checks a passport.
///
/// # Errors
/// [`BadPassport`] names the part.
pub fn verify(passport: &Passport, trust: &Trust) -> Result<Verified, BadPassport> {
    if passport.network != trust.network {
        return Err(BadPassport::Network);
    }
    let record = &passport.record;
    let cosigned = Anchor {
        sets: &passport.sets,
        checkpoint: &passport.checkpoint,
        record,
        path: &passport.path,
        witnesses: passport.witnesses.as_ref(),
    }
    .check(trust)?;
    let entries = Entries::check(passport)?;
    let events = check_events(passport, &entries)?;
    let played = play(passport, &entries, events)?;

    let state = entries.unit(&passport.unit)?;
    let around = played.around;
    entries.check_used(&passport.unit, &around, &played.steps)?;
    let custody = custody::chain(&played.steps, state, around.last().map(|(_, state)| state));
    Ok(Verified {
        unit: passport.unit.clone(),
        effective: effective(state, &around),
        state: state.clone(),
        around,
        steps: played.steps,
        custody,
        suspected: entries.suspected(),
        checkpoint: cosigned,
        height: record.height,
        time: record.time,
        set_changes: passport.sets.len(),
    })
}

impl Verified {
    /// What its signers say was wrong in events of the history.
    pub fn corrections(&self) -> Vec<Correction> {
        corrections(self.steps.iter().map(|step| (&step.event, step.time)))
    }

    /// Who held the unit at `time`, by block time; `None` before it was registered, and where
    /// [`Custodian::Undecided`]. Of two parties that claim it, the one that held it on the ledger.
    pub fn holder(&self, time: Millis) -> Option<&PartyId> {
        let until = self.custody.partition_point(|holding| holding.from <= time);
        self.custody.get(until.checked_sub(1)?)?.custodian.party()
    }

    /// Everything that the history is marked by. Whatever is not in the set did not happen up to
    /// [`Verified::time`].
    pub fn flags(&self) -> BTreeSet<Flag> {
        let states = || core::iter::once(&self.state).chain(self.around.iter().map(|(_, s)| s));
        let counted = self.effective;
        // What the file leaves open may have been a dispute.
        let disputed = |custodian: &Custodian| {
            matches!(custodian, Custodian::Contested { .. } | Custodian::Undecided)
        };
        let contested = self.custody.iter().any(|holding| disputed(&holding.custodian));
        let flags = [
            (Flag::Excursion, counted.excursions > 0),
            (Flag::ExcursionOpen, states().any(|state| state.excursion_open)),
            (Flag::Hold, counted.holds > 0),
            (Flag::HoldStanding, states().any(|state| !state.holds.is_empty())),
            (Flag::SealBroken, counted.seal_breaks > 0),
            (Flag::Exception, counted.exceptions > 0),
            (Flag::Discontinuity, counted.discontinuities > 0),
            (Flag::ReadingGap, counted.reading_gaps > 0),
            (Flag::Damaged, states().any(|state| state.damaged)),
            (Flag::Contested, contested),
        ];
        flags.into_iter().filter_map(|(flag, is)| is.then_some(flag)).collect()
    }
}

/// Entries that were proven, decoded.
struct Entries {
    units: BTreeMap<UnitId, UnitState>,
    signers: BTreeMap<SignerId, SignerState>,
}

impl Entries {
    fn check(passport: &Passport) -> Result<Self, BadPassport> {
        if !passport.entries.is_sorted_by(|a, b| a.key < b.key) {
            return Err(BadPassport::EntryOrder);
        }
        let mut entries = Self { units: BTreeMap::new(), signers: BTreeMap::new() };
        for Proven { key, value, proof } in &passport.entries {
            let bad = |why| BadPassport::Entry { key: key.clone(), why };
            // First proven, then decoded: decoders of entries trust the ledger that wrote them.
            proof
                .verify(passport.record.map_root, &super::entry_key(key), Some(value))
                .map_err(|why| bad(BadEntry::Proof(why)))?;
            let malformed = |why| bad(BadEntry::Value(why));
            match key {
                Subject::Unit(unit) => {
                    let state = UnitState::from_bytes(value).map_err(malformed)?;
                    entries.units.insert(unit.clone(), state);
                }
                Subject::Signer(signer) => {
                    let state = SignerState::from_bytes(value).map_err(malformed)?;
                    entries.signers.insert(signer.clone(), state);
                }
            }
        }
        Ok(entries)
    }

    fn suspected(&self) -> BTreeMap<SignerId, Millis> {
        let suspected = self.signers.iter();
        suspected.filter_map(|(id, state)| Some((id.clone(), state.suspected_since()?))).collect()
    }

    fn unit(&self, unit: &UnitId) -> Result<&UnitState, BadPassport> {
        self.units.get(unit).ok_or_else(|| missing(Subject::Unit(unit.clone())))
    }

    /// No entry that nothing needs.
    fn check_used(
        &self,
        unit: &UnitId,
        around: &[(UnitId, UnitState)],
        steps: &[Step],
    ) -> Result<(), BadPassport> {
        let unused = |key| Err(BadPassport::Entry { key, why: BadEntry::Unused });
        let needed = |known: &UnitId| known == unit || around.iter().any(|(name, _)| name == known);
        if let Some(known) = self.units.keys().find(|known| !needed(known)) {
            return unused(Subject::Unit(known.clone()));
        }
        let mut signers = BTreeSet::new();
        steps.iter().for_each(|step| {
            each_signer(step.event.event(), &mut |signer| {
                signers.insert(signer.clone());
            })
        });
        match self.signers.keys().find(|known| !signers.contains(*known)) {
            Some(known) => unused(Subject::Signer(known.clone())),
            None => Ok(()),
        }
    }
}

fn missing(key: Subject) -> BadPassport {
    BadPassport::Entry { key, why: BadEntry::Missing }
}

/// Who signed the event and those inside of it.
pub fn each_signer(event: &Event, to: &mut impl FnMut(&SignerId)) {
    to(&event.signer);
    event.action.inner().for_each(|inner| each_signer(inner.event(), to));
}

/// Decodes every event and checks its signatures under the proven keys.
fn check_events(passport: &Passport, entries: &Entries) -> Result<Vec<SignedEvent>, BadPassport> {
    let found = passport.entered.len();
    if found > PASSPORT_EVENTS_MAX {
        return Err(BadPassport::TooManyEvents { found });
    }
    let mut events = Vec::with_capacity(found);
    let mut before = None;
    for (at, entered) in passport.entered.iter().enumerate() {
        if before >= Some(entered.leaf) {
            return Err(BadPassport::EventOrder { at });
        }
        before = Some(entered.leaf);
        let event =
            SignedEvent::decode(&entered.event).map_err(|why| BadPassport::Event { at, why })?;
        if !of_network(&event, passport) {
            return Err(BadPassport::EventNetwork { at });
        }
        let mut unknown = None;
        each_signer(event.event(), &mut |signer| {
            if !entries.signers.contains_key(signer) {
                unknown = Some(signer.clone());
            }
        });
        if let Some(signer) = unknown {
            return Err(missing(Subject::Signer(signer)));
        }
        let mut key_of =
            |signer: &SignerId, id: &[u8; 8]| entries.signers.get(signer)?.key_with(id);
        let own = |event: &SignedEvent| {
            let (said, key_id) = (event.event(), event.key_id());
            let state = entries.signers.get(&said.signer);
            state.is_some_and(|state| state.signs(said.sequence, key_id))
        };
        // A number belongs to one of a signer's keys.
        if !own(&event) || !event.event().action.inner().all(own) {
            let why = NotVerified::UnknownKey(event.event().signer.clone());
            return Err(BadPassport::EventSignature { at, why });
        }
        let verified =
            event.verify(&mut key_of).map_err(|why| BadPassport::EventSignature { at, why })?;
        events.push(verified.into_signed());
    }
    Ok(events)
}

fn of_network(event: &SignedEvent, passport: &Passport) -> bool {
    let mut inner = event.event().action.inner();
    inner.all(|inner| of_network(inner, passport)) && event.event().network == passport.network
}

/// What the play-back yields.
struct Played {
    steps: Vec<Step>,
    around: Vec<(UnitId, UnitState)>,
}

/// A unit in the line, with its head so far.
struct Member {
    unit: UnitId,
    head: Digest,
}

/// Extends heads event by event, and compares them with the entries at the end.
fn play(
    passport: &Passport,
    entries: &Entries,
    events: Vec<SignedEvent>,
) -> Result<Played, BadPassport> {
    let state = entries.unit(&passport.unit)?;
    let mut line = Vec::from([Member { unit: passport.unit.clone(), head: Digest::ZERO }]);
    let (mut steps, mut own) = (Vec::with_capacity(events.len()), 0_u64);
    for (at, (entered, event)) in passport.entered.iter().zip(events).enumerate() {
        let step = advance(&mut line, at, entered, event)?;
        own += u64::from(step.depth == 0);
        steps.push(step);
    }
    if own != state.events {
        return Err(BadPassport::Count { found: own, expected: state.events });
    }
    let mut around = Vec::new();
    for (at, member) in line.iter().enumerate() {
        let (unit, next) = (&member.unit, line.get(at + 1).map(|next| &next.unit));
        let state = entries.unit(unit)?;
        if state.head != member.head {
            return Err(BadPassport::Head { unit: unit.clone() });
        }
        if state.inside.as_ref().map(|inside| &inside.parent) != next {
            return Err(BadPassport::Inside { unit: unit.clone() });
        }
        if at > 0 {
            around.push((unit.clone(), state.clone()));
        }
    }
    Ok(Played { steps, around })
}

fn advance(
    line: &mut Vec<Member>,
    at: usize,
    entered: &Entered,
    event: SignedEvent,
) -> Result<Step, BadPassport> {
    let names: Vec<&UnitId> = line.iter().map(|member| &member.unit).collect();
    let touch = touch(&names, event.event()).ok_or(BadPassport::EventUnit { at })?;
    let (inner, outer) = (touch.inner, touch.outer);
    let stay = match touch.stay {
        Change::Begins(parent) => {
            if entered.begins.first().map(|(unit, _)| unit) != Some(parent) {
                return Err(BadPassport::EventStay { at });
            }
            Stay::Begins
        }
        Change::Ends => Stay::Ends,
        Change::EndsIfContested if entered.contested => Stay::Ends,
        Change::EndsIfContested | Change::Same => Stay::Same,
    };
    let may_contest = touch.stay == Change::EndsIfContested;
    let fits =
        (stay == Stay::Begins || entered.begins.is_empty()) && (may_contest || !entered.contested);
    if !fits {
        return Err(BadPassport::EventStay { at });
    }
    for (unit, head) in &entered.begins {
        // Containment is a forest of bounded depth.
        if line.len() > DEPTH_MAX || line.iter().any(|member| member.unit == *unit) {
            return Err(BadPassport::EventStay { at });
        }
        line.push(Member { unit: unit.clone(), head: *head });
    }
    if entered.around.len() + inner + 1 != line.len() {
        return Err(BadPassport::EventAround { at });
    }
    // The container first: what is in it covers the container's head after the event.
    let mut around = Vec::new();
    for record in (inner..=outer).rev() {
        let effective = entered.around.iter().skip(record - inner);
        around = line
            .iter()
            .skip(record + 1)
            .zip(effective)
            .map(|(member, counters)| Around {
                unit: member.unit.clone(),
                head: member.head,
                effective: *counters,
            })
            .collect();
        if let Some(member) = line.get_mut(record) {
            let (id, leaf, time) = (event.id(), entered.leaf, entered.time);
            member.head = next_head(&member.head, &id, leaf, time, &around);
        }
    }
    let unit = line.get(inner).map(|member| member.unit.clone());
    let unit = unit.ok_or(BadPassport::EventUnit { at })?;
    if stay == Stay::Ends {
        line.truncate(inner + 1);
    }
    let (leaf, time) = (entered.leaf, entered.time);
    Ok(Step { event, leaf, time, unit, depth: inner, around, stay })
}

/// Own counters, and the difference of everything around since it entered.
fn effective(state: &UnitState, around: &[(UnitId, UnitState)]) -> Counters {
    match (&state.inside, around.split_first()) {
        (Some(inside), Some(((_, parent), further))) => {
            state.counters.plus(effective(parent, further).minus(inside.anchor))
        }
        _ => state.counters,
    }
}

/// The custodian that an entry names.
pub fn custodian(custody: &Custody) -> Custodian {
    match custody {
        Custody::Held(party) | Custody::Offered { by: party, .. } => Custodian::Held(party.clone()),
        Custody::Contested { holder, claimant } => {
            Custodian::Contested { holder: holder.clone(), claimant: claimant.clone() }
        }
        Custody::Closed { by, .. } => Custodian::Closed(by.clone()),
    }
}
