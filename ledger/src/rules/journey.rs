//! Rows that move a unit through space. Custody does not move with it.

use consign_types::event::{Event, Kind, Label};
use consign_types::unit::UnitId;

use super::Tx;
use crate::entry::StateView;
use crate::errors::Rejection;
use crate::unit::{Journey, UnitState};

/// load | C | at a place, on no conveyance
pub fn load<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    conveyance: &Label,
) -> Result<(), Rejection> {
    let mut state = movable(tx, event, unit)?;
    match &mut state.journey {
        Journey::At { aboard: aboard @ None, .. } => *aboard = Some(conveyance.clone()),
        Journey::At { .. } => return Err(Rejection::WrongConveyance { unit: unit.clone() }),
        Journey::Moving { .. } => return Err(Rejection::Moving { unit: unit.clone() }),
    }
    tx.put_and_record(unit, state)
}

/// unload | C | at a place, on this conveyance
pub fn unload<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    conveyance: &Label,
) -> Result<(), Rejection> {
    let mut state = movable(tx, event, unit)?;
    match &mut state.journey {
        Journey::At { aboard, .. } if aboard.as_ref() == Some(conveyance) => *aboard = None,
        Journey::At { .. } => return Err(Rejection::WrongConveyance { unit: unit.clone() }),
        Journey::Moving { .. } => return Err(Rejection::Moving { unit: unit.clone() }),
    }
    tx.put_and_record(unit, state)
}

/// depart | C | at a place. Another place than the one of arrival is counted, never refused.
pub fn depart<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    conveyance: Option<&Label>,
) -> Result<(), Rejection> {
    let mut state = movable(tx, event, unit)?;
    let from = event.place.as_ref().ok_or(Rejection::PlaceMissing { kind: Kind::Depart })?;
    let Journey::At { place, aboard } = &state.journey else {
        return Err(Rejection::Moving { unit: unit.clone() });
    };
    if let (Some(aboard), Some(conveyance)) = (aboard, conveyance)
        && aboard != conveyance
    {
        return Err(Rejection::WrongConveyance { unit: unit.clone() });
    }
    if place != from {
        state.counters.discontinuities = state.counters.discontinuities.saturating_add(1);
    }
    let loaded = aboard.is_some();
    let conveyance = aboard.clone().or_else(|| conveyance.cloned());
    state.journey = Journey::Moving { conveyance, loaded };
    tx.put_and_record(unit, state)
}

/// arrive | C | on its way
pub fn arrive<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
) -> Result<(), Rejection> {
    let mut state = movable(tx, event, unit)?;
    let place = event.place.clone().ok_or(Rejection::PlaceMissing { kind: Kind::Arrive })?;
    state.journey = match state.journey {
        Journey::Moving { conveyance, loaded } => {
            Journey::At { place, aboard: conveyance.filter(|_| loaded) }
        }
        Journey::At { place: at, .. } => {
            return Err(Rejection::NotMoving { unit: unit.clone(), at });
        }
    };
    tx.put_and_record(unit, state)
}

/// A unit in the signer's custody that moves by itself: not inside of another.
fn movable<V: StateView>(
    tx: &Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
) -> Result<UnitState, Rejection> {
    let state = tx.unit(unit)?;
    tx.need_custodian(unit, &state, event.signer.party())?;
    tx.need_free(unit, &state)?;
    Ok(state)
}
