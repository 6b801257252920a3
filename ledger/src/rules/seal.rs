//! Rows about seals. A seal id is used once, ever.

use consign_types::event::{Event, Label};
use consign_types::unit::UnitId;

use super::Tx;
use crate::entry::StateView;
use crate::errors::Rejection;
use crate::unit::Seal;

/// seal apply | C | not Sealed; ids never used before | Sealed
pub fn seal_apply<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    ids: &[Label],
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    tx.need_custodian(unit, &state, event.signer.party())?;
    if state.is_sealed() {
        return Err(Rejection::Sealed { unit: unit.clone() });
    }
    if let Some(used) = ids.iter().find(|id| tx.seal_used(id)) {
        return Err(Rejection::SealUsed { seal: used.clone() });
    }
    ids.iter().for_each(|id| tx.use_seal(id.clone()));
    state.seal = Seal::Sealed(ids.to_vec());
    tx.put_and_record(unit, state)
}

/// seal verify | C, R | Sealed | record; a mismatch counts as an exception
pub fn seal_verify<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    found: &[Label],
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    tx.need_involved(unit, &state, event.signer.party(), false)?;
    let Seal::Sealed(ids) = &state.seal else {
        return Err(Rejection::NotSealed { unit: unit.clone() });
    };
    if ids != found {
        state.counters.exceptions = state.counters.exceptions.saturating_add(1);
    }
    tx.put_and_record(unit, state)
}

/// seal break | C, A | Sealed | Broken, authorised if an authority signed
pub fn seal_break<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    let authorised = tx.is_authority(event);
    if authorised {
        tx.need_open(unit, &state)?;
    } else {
        tx.need_custodian(unit, &state, event.signer.party())?;
    }
    if !state.is_sealed() {
        return Err(Rejection::NotSealed { unit: unit.clone() });
    }
    state.seal = Seal::Broken { authorised };
    state.counters.seal_breaks = state.counters.seal_breaks.saturating_add(1);
    tx.put_and_record(unit, state)
}
