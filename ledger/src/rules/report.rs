//! Rows about what was done or said elsewhere: evidence that a report brings, and testimony.
//!
//! Evidence is judged against entries of the map alone. Who is named is stopped or counted once for each
//! fault, however many files show it; nobody is named by anything but its own signatures.

use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::error::Error;

use consign_types::block::Height;
use consign_types::causes::on_one_line;
use consign_types::codec::Canonical as _;
use consign_types::event::{Event, Kind, SignedEvent, Subject};
use consign_types::limits::MISSING_SEQUENCES_MAX;
use consign_types::party::SignerId;
use consign_types::trust::Trust;
use consign_types::witness::WitnessRule;

use super::{Tx, device};
use crate::entry::{FaultState, StateView};
use crate::errors::Rejection;
use crate::evidence::{self, Accused, Believed, Case, Evidence, Who};
use crate::signer::{BadNumber, Status};

/// report | anyone enrolled | evidence that verifies | devices named are suspended, parties counted
pub fn report<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    bytes: &[u8],
) -> Result<(), Rejection> {
    let Subject::Signer(subject) = &event.subject else {
        return Err(Rejection::WrongSubject { kind: Kind::Report });
    };
    let bad = |error: &dyn Error| Rejection::BadEvidence { why: on_one_line(error) };
    let file = Evidence::from_bytes(bytes).map_err(|error| bad(&error))?;
    if let Case::LogSignature(_) = file.case {
        let why = "log keys are no entries of the unit map".to_string();
        return Err(Rejection::EvidenceNotJudged { why });
    }
    let trust = trust(tx)?;
    // Outsiders are no members: there is nothing to count against them.
    let believed = Believed { trust: &trust, witnesses: &[] };
    let accused = evidence::verify(&file, believed).map_err(|error| bad(&error))?;
    same_key(tx, &file, &accused)?;
    if let Some(first) = accused.first().and_then(|accused| signer(&accused.who))
        && first != *subject
    {
        return Err(Rejection::NotAccused { subject: subject.clone(), accused: first });
    }
    let id = file.id().0;
    let mut news = false;
    for Accused { who, .. } in &accused {
        let fault = file.fault(who).0;
        if tx.is_reported(&fault) {
            continue;
        }
        news = true;
        tx.put_fault(fault, FaultState { evidence: id, report: tx.id() });
        if let Some(party) = who.party()
            && let Some(mut member) = tx.member(party)
        {
            member.faults = member.faults.saturating_add(1);
            tx.put_member(party.clone(), member);
        }
        // Without its own key a member could not even revoke its devices: it is counted, not stopped.
        if let Who::Device(device) = who
            && !device.is_member()
            && let Some(mut state) = tx.signer(device)
            && state.status == Status::Active
        {
            state.status = Status::Suspended { evidence: id };
            tx.put_signer(device.clone(), state);
        }
    }
    if news { Ok(()) } else { Err(Rejection::EvidenceKnown { evidence: id }) }
}

/// testimony | M | signed by a device of M that is stopped | record; nothing else changes
pub fn testimony<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    testified: &SignedEvent,
) -> Result<(), Rejection> {
    let said = testified.event();
    if event.subject != said.subject {
        return Err(Rejection::WrongSubject { kind: Kind::Testimony });
    }
    if said.network != tx.context().network {
        return Err(Rejection::ForeignNetwork);
    }
    let device = said.signer.clone();
    device::need_own(event, &device)?;
    let unknown = || Rejection::UnknownDevice { signer: device.clone() };
    let mut state = tx.signer(&device).ok_or_else(unknown)?;
    if !state.signs(said.sequence, testified.key_id()) {
        return Err(Rejection::WrongKey { signer: device });
    }
    if super::may_sign(&device, &state, tx.time()).is_ok() {
        return Err(Rejection::NotStopped { device });
    }
    // Its number is used up, so that one event is not filed twice, and none that applied. The device
    // cannot raise its floor any more: what is missing far below closes by itself.
    let (sequence, floor) = (said.sequence, said.floor);
    let near = floor.max(sequence.saturating_sub(MISSING_SEQUENCES_MAX as u64));
    let taken = state.sequence.take(sequence, floor).or_else(|bad| match bad {
        BadNumber::Gap => state.sequence.take(sequence, near),
        bad => Err(bad),
    });
    taken.map_err(|bad| match bad {
        BadNumber::Floor => Rejection::FloorAboveSequence { sequence, floor },
        BadNumber::Used | BadNumber::Gap => {
            Rejection::SequenceUsed { signer: device.clone(), sequence }
        }
    })?;
    tx.put_signer(device, state);
    match said.subject.unit().filter(|unit| tx.find(unit).is_some()) {
        Some(unit) => tx.record(unit),
        None => Ok(()),
    }
}

/// What the map believes: the validators in force, the log, and no key besides.
fn trust<V: StateView>(tx: &Tx<'_, V>) -> Result<Trust, Rejection> {
    let (Some(log), Some(validators)) = (tx.log(), tx.validators()) else {
        let why = "the unit map has no log or no validators".to_string();
        return Err(Rejection::EvidenceNotJudged { why });
    };
    Ok(Trust {
        origin: log.origin,
        network: tx.context().network,
        epoch: tx.context().epoch,
        height: Height(0),
        validators,
        earlier: Vec::new(),
        logs: Vec::new(),
        receipt_keys: Vec::new(),
        witnesses: WitnessRule { keys: log.witnesses, ..WitnessRule::default() },
    })
}

/// Refuses evidence against a device under a key that was not the one of that number.
fn same_key<V: StateView>(
    tx: &Tx<'_, V>,
    file: &Evidence,
    accused: &[Accused],
) -> Result<(), Rejection> {
    let Case::SameNumber { first, .. } = &file.case else { return Ok(()) };
    let Ok(first) = SignedEvent::decode(first) else { return Ok(()) };
    let (number, key_id) = (first.event().sequence, first.key_id());
    for Accused { who, .. } in accused {
        let Who::Device(device) = who else { continue };
        if !tx.signer(device).is_some_and(|state| state.signs(number, key_id)) {
            return Err(Rejection::WrongKey { signer: device.clone() });
        }
    }
    Ok(())
}

/// The signer that a report about somebody is about; none for an outsider.
fn signer(who: &Who) -> Option<SignerId> {
    match who {
        Who::Party(party) => Some(SignerId::member(party.clone())),
        Who::Device(device) => Some(device.clone()),
        Who::Witness(_) => None,
    }
}
