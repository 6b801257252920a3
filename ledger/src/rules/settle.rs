//! Rows that end a history or a dispute, and those that take a history up again.
//!
//! Whoever declares a unit lost or destroyed names in whose hands it was, so that a reader of the log knows
//! without a second look who answers for it.

use alloc::vec::Vec;

use consign_types::event::{Event, Kind};
use consign_types::limits::RETURN_WINDOW_MS;
use consign_types::party::PartyId;
use consign_types::unit::UnitId;

use super::custody::need_member;
use super::{Tx, consent};
use crate::entry::StateView;
use crate::errors::Rejection;
use crate::unit::{Closed, Custody, Journey, Proposal};

/// lost, destroyed | C with consent of O, or A alone (seizure) | neither closed nor contested, Free; the holder is the one named | Closed
pub fn close<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    holder: &PartyId,
    why: Closed,
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    tx.need_open(unit, &state)?;
    tx.need_free(unit, &state)?;
    // A dispute is resolved first: an end over it would leave its history without an answer.
    if let Custody::Contested { .. } = state.custody {
        return Err(Rejection::Contested { unit: unit.clone() });
    }
    let signer = event.signer.party();
    let authority = tx.is_authority(event);
    if !authority {
        tx.need_held(unit, &state, signer)?;
    }
    if state.holder() != holder {
        return Err(Rejection::NotCustodian {
            unit: unit.clone(),
            custodian: state.holder().clone(),
            signer: holder.clone(),
        });
    }
    if !authority && state.owner != *signer {
        let needed = Vec::from([state.owner.clone()]);
        return consent::propose(tx, unit, state, signer, Proposal::Close(why), needed);
    }
    state.custody = Custody::Closed { why, by: holder.clone(), at: tx.time() };
    tx.put_and_record(unit, state)
}

/// return | C | Held(C), Free | Held(signer), new leg, a new basis
///
/// After delivery: the last custodian or the booked receiver with consent of O, or O | Closed(Delivered),
/// within the window | the same
pub fn take_back<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    let signer = event.signer.party();
    if let Custody::Closed { why: Closed::Delivered, by, at } = &state.custody {
        let until = at.plus(tx.params().map_or(RETURN_WINDOW_MS, |p| p.return_window_ms));
        if until < tx.time() {
            return Err(Rejection::ReturnTooLate { unit: unit.clone(), until });
        }
        let expected = state.booking.as_ref().is_some_and(|booked| booked.receiver == *signer);
        if state.owner != *signer {
            if by != signer && !expected {
                let (unit, signer) = (unit.clone(), signer.clone());
                return Err(Rejection::NotInvolved { unit, signer });
            }
            let needed = Vec::from([state.owner.clone()]);
            return consent::propose(tx, unit, state, signer, Proposal::Return, needed);
        }
    } else {
        tx.need_held(unit, &state, signer)?;
        tx.need_free(unit, &state)?;
    }
    state.renew_basis(tx.id(), tx.time());
    // An offer that ran out is gone for good.
    state.custody = Custody::Held(signer.clone());
    state.booking = None;
    tx.put_and_record(unit, state)
}

/// resolve | A | consent of the contesting parties that are members; the holder is one of them or O, and a member | Held(holder), a new basis
pub fn resolve<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    to: &PartyId,
) -> Result<(), Rejection> {
    tx.need_authority(event)?;
    let state = tx.unit(unit)?;
    let Custody::Contested { holder, claimant } = &state.custody else {
        return Err(Rejection::NotContested { unit: unit.clone() });
    };
    if ![holder, claimant, &state.owner].contains(&to) {
        return Err(Rejection::NotAClaimant { unit: unit.clone(), holder: to.clone() });
    }
    need_member(tx, to)?;
    let signer = event.signer.party();
    // Who was expelled can sign no consent: a unit that it claims would be stopped for ever.
    let mut needed = Vec::from([holder.clone(), claimant.clone()]);
    needed.retain(|party| party != signer && need_member(tx, party).is_ok());
    consent::propose(tx, unit, state, signer, Proposal::Resolve { holder: to.clone() }, needed)
}

/// found | last custodian, O | Closed(Lost) | Held(signer), at the place of the event; a new basis
pub fn found<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    let Custody::Closed { why: Closed::Lost, by, .. } = &state.custody else {
        return Err(Rejection::NotLost { unit: unit.clone() });
    };
    let signer = event.signer.party();
    if signer != by && *signer != state.owner {
        return Err(Rejection::NotInvolved { unit: unit.clone(), signer: signer.clone() });
    }
    let place = event.place.clone().ok_or(Rejection::PlaceMissing { kind: Kind::Found })?;
    state.renew_basis(tx.id(), tx.time());
    state.custody = Custody::Held(signer.clone());
    state.journey = Journey::At { place, aboard: None };
    tx.put_and_record(unit, state)
}
