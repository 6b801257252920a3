//! Rows that begin, move and end custody. It moves only by two signatures over the same terms.

use consign_types::digest::{Digest, EventId};
use consign_types::event::{
    Action, Condition, DeliveryFactor, Event, ExceptionCode, FactorSet, Kind,
};
use consign_types::party::PartyId;
use consign_types::time::Millis;
use consign_types::unit::UnitId;

use super::Tx;
use crate::entry::StateView;
use crate::errors::Rejection;
use crate::unit::{Booking, Closed, Custody, Seal, UnitState};

/// register | O | Unborn | Held(O)
pub fn register<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
) -> Result<(), Rejection> {
    if tx.find(unit).is_some() {
        return Err(Rejection::UnitKnown { unit: unit.clone() });
    }
    let owner = event.signer.party();
    // Nobody takes another's numbers, by mistake or to keep them from it.
    if unit.member().is_some_and(|member| member != *owner) {
        return Err(Rejection::ForeignNumber { unit: unit.clone(), signer: owner.clone() });
    }
    let place = event.place.clone().ok_or(Rejection::PlaceMissing { kind: Kind::Register })?;
    let state = UnitState::registered(owner.clone(), tx.id(), place);
    tx.put_and_record(unit, state)
}

/// book | O | Held(O) | receiver and delivery factors fixed
pub fn book<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    booking: Booking,
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    let signer = event.signer.party();
    if state.owner != *signer {
        let (owner, signer) = (state.owner, signer.clone());
        return Err(Rejection::NotOwner { unit: unit.clone(), owner, signer });
    }
    tx.need_held(unit, &state, signer)?;
    need_member(tx, &booking.receiver)?;
    state.booking = Some(booking);
    tx.put_and_record(unit, state)
}

/// offer | C | Held(C), Free, no Hold, nothing blocked inside; names its basis | Offered
pub fn offer<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    to: &PartyId,
    until: Millis,
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    let signer = event.signer.party();
    // One whose basis never was is not late but early: the handover by which its party came to hold the unit
    // may still be on its way.
    let early = event.basis.filter(|basis| *basis != state.basis && !state.is_spent(basis));
    let unknown = |basis| Rejection::UnknownBasis { unit: unit.clone(), basis };
    match (tx.need_held(unit, &state, signer), early) {
        (Err(Rejection::NotCustodian { .. }), Some(basis)) => return Err(unknown(basis)),
        (held, _) => held?,
    }
    tx.need_free(unit, &state)?;
    tx.need_unblocked(unit, &state)?;
    need_member(tx, to)?;
    if to == signer {
        return Err(Rejection::OfferToSelf);
    }
    if until < tx.time() {
        return Err(Rejection::OfferInPast { until });
    }
    let basis = event.basis.ok_or(Rejection::BasisMissing)?;
    if early.is_some() {
        return Err(unknown(basis));
    }
    if basis != state.basis {
        return Err(Rejection::StaleBasis { unit: unit.clone(), basis });
    }
    state.custody = Custody::Offered { by: signer.clone(), to: to.clone(), until, offer: tx.id() };
    tx.put_and_record(unit, state)
}

/// accept | R | Offered to R, not expired, no Hold, nothing blocked inside | Held(R); a new basis
pub fn accept<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
) -> Result<(), Rejection> {
    let Action::Accept { offer, .. } = &event.action else {
        return Err(Rejection::WrongSubject { kind: Kind::Accept });
    };
    let state = tx.unit(unit)?;
    let open = open_offer(tx, unit, &state, offer)?;
    need_receiver(&open.1, event.signer.party())?;
    tx.need_unblocked(unit, &state)?;
    let state = taken_over(tx, unit, state, event, tx.id())?;
    tx.put_and_record(unit, state)
}

/// The state after `event`, an acceptance named `basis`, took the unit over. Compares the seals and
/// counts what was wrong.
pub fn taken_over<V: StateView>(
    tx: &Tx<'_, V>,
    unit: &UnitId,
    mut state: UnitState,
    event: &Event,
    basis: EventId,
) -> Result<UnitState, Rejection> {
    let Action::Accept { seals, condition, exceptions, .. } = &event.action else {
        return Err(Rejection::WrongSubject { kind: Kind::Accept });
    };
    let as_recorded = match &state.seal {
        Seal::Sealed(ids) => ids == seals,
        Seal::None | Seal::Broken { .. } => seals.is_empty(),
    };
    if !as_recorded && !exceptions.contains(&ExceptionCode::SealMismatch) {
        return Err(Rejection::SealsDiffer { unit: unit.clone() });
    }
    state.counters.exceptions = state.counters.exceptions.saturating_add(exceptions.len() as u32);
    state.damaged |= *condition == Condition::Damaged;
    state.renew_basis(basis, tx.time());
    state.custody = Custody::Held(event.signer.party().clone());
    Ok(state)
}

/// refuse | R | Offered to R | Held(C), by the old basis
pub fn refuse<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    offer: &EventId,
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    let (by, to) = open_offer(tx, unit, &state, offer)?;
    need_receiver(&to, event.signer.party())?;
    state.custody = Custody::Held(by);
    tx.put_and_record(unit, state)
}

/// cancel | C | Offered by C | Held(C), by the old basis
pub fn cancel<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    offer: &EventId,
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    tx.need_custodian(unit, &state, event.signer.party())?;
    let (by, _) = open_offer(tx, unit, &state, offer)?;
    state.custody = Custody::Held(by);
    tx.put_and_record(unit, state)
}

/// attempt | C | Held(C) | record
pub fn attempt<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
) -> Result<(), Rejection> {
    let state = tx.unit(unit)?;
    tx.need_held(unit, &state, event.signer.party())?;
    tx.record(unit)
}

/// deliver | C | Held(C), Free, no Hold, nothing blocked inside | Closed(Delivered)
pub fn deliver<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    factors: &[(DeliveryFactor, Digest)],
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    let signer = event.signer.party();
    tx.need_held(unit, &state, signer)?;
    tx.need_free(unit, &state)?;
    tx.need_unblocked(unit, &state)?;
    let booked = state.booking.as_ref().map_or(FactorSet::default(), |booking| booking.factors);
    let missing = booked.iter().find(|factor| factors.iter().all(|(shown, _)| shown != factor));
    if let Some(factor) = missing {
        return Err(Rejection::FactorMissing { factor });
    }
    state.custody = Custody::Closed { why: Closed::Delivered, by: signer.clone(), at: tx.time() };
    tx.put_and_record(unit, state)
}

/// Who offered and who may accept, where `offer` is open.
fn open_offer<V: StateView>(
    tx: &Tx<'_, V>,
    unit: &UnitId,
    state: &UnitState,
    offer: &EventId,
) -> Result<(PartyId, PartyId), Rejection> {
    match &state.custody {
        Custody::Closed { .. } => Err(Rejection::Closed { unit: unit.clone() }),
        Custody::Contested { .. } => Err(Rejection::Contested { unit: unit.clone() }),
        Custody::Offered { by, to, until, offer: open } if open == offer => {
            if *until < tx.time() {
                return Err(Rejection::OfferExpired { offer: *offer, until: *until });
            }
            Ok((by.clone(), to.clone()))
        }
        _ => Err(Rejection::NoSuchOffer { unit: unit.clone(), offer: *offer }),
    }
}

fn need_receiver(receiver: &PartyId, signer: &PartyId) -> Result<(), Rejection> {
    if receiver == signer {
        return Ok(());
    }
    Err(Rejection::NotReceiver { receiver: receiver.clone(), signer: signer.clone() })
}

/// The party can take what is meant for it.
pub fn need_member<V: StateView>(tx: &Tx<'_, V>, party: &PartyId) -> Result<(), Rejection> {
    match tx.member(party) {
        Some(member) if member.expelled.is_none() => Ok(()),
        Some(_) => Err(Rejection::NotMember { party: party.clone() }),
        None => Err(Rejection::UnknownParty { party: party.clone() }),
    }
}
