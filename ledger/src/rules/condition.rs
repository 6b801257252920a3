//! Rows about the condition of a unit: what sensors and people report, and what an authority decides.

use consign_types::digest::EventId;
use consign_types::event::{Event, Verdict};
use consign_types::limits::HOLDS_MAX;
use consign_types::unit::UnitId;

use super::{Tx, contain};
use crate::entry::StateView;
use crate::errors::Rejection;

/// observe | C, R | known unit | the record
pub fn observe<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
) -> Result<(), Rejection> {
    let state = tx.unit(unit)?;
    tx.need_involved(unit, &state, event.signer.party(), false)?;
    tx.record(unit)
}

/// readings | S | record; a gap in the sensor's own counter counts
pub fn readings<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    first: u64,
    last: u64,
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    tx.need_involved(unit, &state, event.signer.party(), true)?;
    // Batches arrive in any order, through several gateways: one that comes late is no second gap.
    if state.last_reading.is_some_and(|highest| first > highest.saturating_add(1)) {
        state.counters.reading_gaps = state.counters.reading_gaps.saturating_add(1);
    }
    state.last_reading = state.last_reading.max(Some(last.min(u64::MAX - 1)));
    tx.put_and_record(unit, state)
}

/// excursion | S, C | Excursion
pub fn excursion<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    tx.need_involved(unit, &state, event.signer.party(), true)?;
    state.excursion_open = true;
    state.counters.excursions = state.counters.excursions.saturating_add(1);
    tx.put_and_record(unit, state)
}

/// close excursion | A | Excursion | Ok or Damaged
pub fn close<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    verdict: Verdict,
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    tx.need_authority(event)?;
    tx.need_open(unit, &state)?;
    if !state.excursion_open {
        return Err(Rejection::NoExcursion { unit: unit.clone() });
    }
    state.excursion_open = false;
    state.damaged |= verdict == Verdict::Damaged;
    tx.put_and_record(unit, state)
}

/// hold | A | Hold
pub fn hold<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    tx.need_authority(event)?;
    tx.need_open(unit, &state)?;
    if state.holds.len() == HOLDS_MAX {
        return Err(Rejection::TooManyHolds { unit: unit.clone() });
    }
    state.holds.push(tx.id());
    state.counters.holds = state.counters.holds.saturating_add(1);
    tx.put_and_record(unit, state)?;
    contain::change_blocked(tx, unit, |count| count.saturating_add(1))
}

/// release | A | a hold that stands
pub fn release<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    hold: &EventId,
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    tx.need_authority(event)?;
    tx.need_open(unit, &state)?;
    let Some(at) = state.holds.iter().position(|standing| standing == hold) else {
        return Err(Rejection::NoSuchHold { unit: unit.clone(), hold: *hold });
    };
    state.holds.remove(at);
    tx.put_and_record(unit, state)?;
    contain::change_blocked(tx, unit, |count| count.saturating_sub(1))
}

/// exception | C, R, O | counts
pub fn exception<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    tx.need_involved(unit, &state, event.signer.party(), true)?;
    state.counters.exceptions = state.counters.exceptions.saturating_add(1);
    tx.put_and_record(unit, state)
}
