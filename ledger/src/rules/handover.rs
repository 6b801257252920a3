//! A handover made without a network: an offer and an acceptance, brought by whoever is online first.
//!
//! The inner messages are ordinary events: they use up their sequence numbers, and the acceptance's id is
//! the new basis. Where the basis is current, custody moves. Where it was spent a short while ago, two
//! parties claim the unit and nothing moves until that is resolved. Anything older is on record alone, and
//! what rests on an event that is not on the log yet waits for it.

use alloc::string::ToString as _;

use consign_types::event::{Action, Verified};
use consign_types::party::PartyId;
use consign_types::unit::UnitId;

use super::{Tx, admit_signer, contain, custody};
use crate::entry::StateView;
use crate::errors::Rejection;
use crate::unit::{Custody, UnitState};

/// handover | anyone enrolled | both signed messages inside | Held(R), or Contested, or a record
pub fn handover<V: StateView>(
    tx: &mut Tx<'_, V>,
    verified: &Verified,
    unit: &UnitId,
) -> Result<(), Rejection> {
    let mismatch = |why: &str| Rejection::HandoverMismatch { why: why.to_string() };
    let Some((offer, acceptance)) = verified.inner() else {
        return Err(mismatch("there is no offer and acceptance inside"));
    };
    let (Action::Offer { to, until, .. }, Action::Accept { offer: accepted, .. }) =
        (&offer.event().action, &acceptance.event().action)
    else {
        return Err(mismatch("there is no offer and acceptance inside"));
    };
    if *accepted != offer.signed().id() {
        return Err(mismatch("the acceptance is of another offer"));
    }
    if offer.event().subject.unit() != Some(unit) || acceptance.event().subject.unit() != Some(unit)
    {
        return Err(mismatch("they are about another unit"));
    }
    let (giver, taker) = (offer.event().signer.party(), acceptance.event().signer.party());
    if to != taker {
        return Err(Rejection::NotReceiver { receiver: to.clone(), signer: taker.clone() });
    }
    if giver == taker {
        return Err(Rejection::OfferToSelf);
    }
    if *until < tx.time() {
        return Err(Rejection::OfferExpired { offer: offer.signed().id(), until: *until });
    }
    let state = tx.unit(unit)?;
    let open = matches!(state.custody_at(tx.time()),
        Custody::Offered { offer: open, .. } if open == offer.signed().id());
    // An offer that is open on the log used its number there.
    if !open {
        admit_signer(tx, &offer)?;
    }
    admit_signer(tx, &acceptance)?;
    if open {
        tx.need_unblocked(unit, &state)?;
        return take_over(tx, unit, state, &acceptance);
    }
    let basis = offer.event().basis.ok_or(Rejection::BasisMissing)?;
    // What ended, by itself or with what it is in, stays ended; what is contested waits for its end.
    if let Custody::Closed { .. } = tx.custody(unit, &state) {
        return tx.record(unit);
    }
    if let Custody::Contested { .. } = state.custody {
        return tx.record(unit);
    }
    if basis == state.basis {
        return on_current_basis(tx, unit, state, giver, &acceptance);
    }
    let window = contest_window(tx);
    let recent = state.spent.as_ref().is_some_and(|spent| {
        spent.basis == basis && spent.holder == *giver && tx.time().since(spent.at) <= window
    });
    if recent {
        return contest(tx, unit, state, taker);
    }
    // One whose basis never was is not late but early: what it rests on may still be on its way, and to
    // record it now would use up its numbers for nothing.
    if state.is_spent(&basis) {
        return tx.record(unit);
    }
    Err(Rejection::UnknownBasis { unit: unit.clone(), basis })
}

fn on_current_basis<V: StateView>(
    tx: &mut Tx<'_, V>,
    unit: &UnitId,
    state: UnitState,
    giver: &PartyId,
    acceptance: &Verified,
) -> Result<(), Rejection> {
    if state.holder() != giver {
        return Err(Rejection::NotCustodian {
            unit: unit.clone(),
            custodian: state.holder().clone(),
            signer: giver.clone(),
        });
    }
    // Put into a container or stopped since the two made it: both stories stay visible. An offer that is
    // open besides does not hide that.
    if state.inside.is_some() || !state.holds.is_empty() {
        return contest(tx, unit, state, acceptance.event().signer.party());
    }
    if let Custody::Offered { offer, .. } = state.custody_at(tx.time()) {
        return Err(Rejection::OfferOpen { unit: unit.clone(), offer });
    }
    if state.blocked_inside > 0 {
        return Err(Rejection::BlockedInside { unit: unit.clone() });
    }
    take_over(tx, unit, state, acceptance)
}

fn take_over<V: StateView>(
    tx: &mut Tx<'_, V>,
    unit: &UnitId,
    state: UnitState,
    acceptance: &Verified,
) -> Result<(), Rejection> {
    let basis = acceptance.signed().id();
    let state = custody::taken_over(tx, unit, state, acceptance.event(), basis)?;
    tx.put_and_record(unit, state)
}

/// Two parties claim the unit: it leaves its container, even a sealed one, and nothing moves.
///
/// Where the taker has the unit already, by its own title or with what the unit is in, nobody disputes
/// anything: the same change of hands was made online too. That is on record alone.
fn contest<V: StateView>(
    tx: &mut Tx<'_, V>,
    unit: &UnitId,
    state: UnitState,
    claimant: &PartyId,
) -> Result<(), Rejection> {
    let holder = match tx.custody(unit, &state) {
        Custody::Held(party)
        | Custody::Offered { by: party, .. }
        | Custody::Contested { holder: party, .. }
        | Custody::Closed { by: party, .. } => party,
    };
    if holder == *claimant || state.holder() == claimant {
        return tx.record(unit);
    }
    // What stood around it belongs to this event's place in its history.
    tx.record(unit)?;
    let basis = state.basis;
    if state.inside.is_some() {
        contain::leave(tx, unit, basis)?;
    }
    let mut state = tx.unit(unit)?;
    state.custody = Custody::Contested { holder, claimant: claimant.clone() };
    tx.put(unit, state);
    Ok(())
}

fn contest_window<V: StateView>(tx: &Tx<'_, V>) -> u64 {
    tx.params().map_or(consign_types::limits::CONTEST_WINDOW_MS, |p| p.contest_window_ms)
}
