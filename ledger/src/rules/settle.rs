//! Rows that end a history without a delivery, and the one that takes it up again.
//!
//! Whoever declares a unit lost or destroyed names in whose hands it was, so that a reader of the log knows
//! without a second look who answers for it.

use consign_types::event::{Event, Kind};
use consign_types::party::PartyId;
use consign_types::unit::UnitId;

use super::Tx;
use crate::entry::StateView;
use crate::errors::Rejection;
use crate::unit::{Closed, Custody, Journey};

/// lost, destroyed | C who is O, or A alone (seizure) | neither closed nor contested, Free; the holder is the one named | Closed
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
    if !tx.is_authority(event) {
        let signer = event.signer.party();
        tx.need_held(unit, &state, signer)?;
        if state.owner != *signer {
            return Err(Rejection::ConsentNeeded { unit: unit.clone() });
        }
    }
    if state.holder() != holder {
        return Err(Rejection::NotCustodian {
            unit: unit.clone(),
            custodian: state.holder().clone(),
            signer: holder.clone(),
        });
    }
    state.custody = Custody::Closed { why, by: holder.clone(), at: tx.time() };
    tx.put_and_record(unit, state)
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
