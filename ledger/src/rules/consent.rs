//! What one party proposes and others must agree to.
//!
//! A proposal lies on the log and in its unit's entry, and does nothing. The last consent gives it effect,
//! if what it needs still holds then and the unit is held as it was; else it lapses, and the consent is on
//! record alone.

use alloc::vec::Vec;

use consign_types::digest::EventId;
use consign_types::event::Event;
use consign_types::limits::{CONSENT_WINDOW_MS, CORRECTIONS_PENDING_MAX, PENDING_MAX};
use consign_types::party::PartyId;
use consign_types::unit::UnitId;

use super::Tx;
use crate::entry::StateView;
use crate::errors::Rejection;
use crate::unit::{Closed, Custody, Pending, Proposal, UnitState};

/// Lays down that `by` proposes `what`, for which each of `needed` must consent; where nobody need, it takes effect.
pub fn propose<V: StateView>(
    tx: &mut Tx<'_, V>,
    unit: &UnitId,
    mut state: UnitState,
    by: &PartyId,
    what: Proposal,
    mut needed: Vec<PartyId>,
) -> Result<(), Rejection> {
    needed.sort();
    let (now, basis) = (tx.time(), state.basis);
    // What ran out or lapsed makes room, and so does what the same party proposed before in its place.
    state.pending.retain(|pending| {
        let again = pending.by == *by && what.replaces(&pending.what);
        pending.is_open(basis, now) && !again
    });
    let corrections = state.pending.iter().filter(|pending| !pending.what.is_about_custody());
    let full = !what.is_about_custody() && corrections.count() == CORRECTIONS_PENDING_MAX;
    if full || state.pending.len() == PENDING_MAX {
        // Nobody keeps an authority from ending a dispute by proposing other things.
        if !matches!(what, Proposal::Resolve { .. }) {
            return Err(Rejection::TooManyPending { unit: unit.clone() });
        }
        state.pending.remove(0);
    }
    let (event, by, until) = (tx.id(), by.clone(), now.plus(CONSENT_WINDOW_MS));
    let pending = Pending { event, by, open: needed, until, basis, what };
    if pending.open.is_empty() {
        take_effect(tx, &mut state, &pending);
    } else {
        state.pending.push(pending);
    }
    tx.put_and_record(unit, state)
}

/// consent | whoever it needs | that event pending, not past its time | with the last one it takes effect, or lapses
pub fn consent<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    proposal: &EventId,
) -> Result<(), Rejection> {
    let mut state = tx.unit(unit)?;
    let signer = event.signer.party();
    let now = tx.time();
    let found = |pending: &Pending| pending.event == *proposal && pending.until >= now;
    let Some(at) = state.pending.iter().position(found) else {
        return Err(Rejection::NoSuchProposal { unit: unit.clone(), proposal: *proposal });
    };
    let mut pending = state.pending.remove(at);
    if !pending.open.contains(signer) {
        return Err(Rejection::ConsentNotAsked { unit: unit.clone(), signer: signer.clone() });
    }
    pending.open.retain(|party| party != signer);
    if pending.open.is_empty() {
        take_effect(tx, &mut state, &pending);
    } else {
        state.pending.insert(at, pending);
    }
    tx.put_and_record(unit, state)
}

/// Does what was proposed, if that can still be done.
fn take_effect<V: StateView>(tx: &Tx<'_, V>, state: &mut UnitState, pending: &Pending) {
    if state.basis != pending.basis {
        return;
    }
    let now = tx.time();
    match (&pending.what, state.custody_at(now)) {
        (Proposal::Return, Custody::Closed { why: Closed::Delivered, .. }) => {
            state.renew_basis(pending.event, now);
            state.custody = Custody::Held(pending.by.clone());
            state.booking = None;
        }
        (Proposal::Close(why), Custody::Held(by)) if state.inside.is_none() => {
            state.custody = Custody::Closed { why: *why, by, at: now };
        }
        (Proposal::Resolve { holder }, Custody::Contested { .. }) => {
            state.renew_basis(pending.event, now);
            state.custody = Custody::Held(holder.clone());
        }
        // A correction is on record alone; anything else has lapsed.
        _ => {}
    }
}
