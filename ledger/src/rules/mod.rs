//! The custody rules, one function for each row of the table in the design, grouped by what they move.
//!
//! A rule reads and changes a [`Tx`]: a scratch copy of the entries that one event touches. A rule that
//! refuses leaves nothing behind.

mod condition;
mod consent;
mod contain;
mod correct;
mod custody;
mod device;
mod govern;
mod handover;
mod journey;
mod report;
mod seal;
mod settle;
mod tx;

use consign_types::block::LeafIndex;
use consign_types::event::{Action, Event, Kind, Verified};
use consign_types::party::SignerId;
use consign_types::time::Millis;
use consign_types::unit::UnitId;

use crate::apply::{BlockContext, Layer};
use crate::entry::StateView;
use crate::errors::Rejection;
use crate::signer::{BadNumber, SignerState, Status};
use crate::unit::{Booking, Closed};

pub use govern::settle;
pub use tx::{Change, Tx};

/// What `event` changes on top of `layer` on top of `view`.
///
/// # Errors
/// The rule that it breaks.
pub fn apply<V: StateView>(
    view: &V,
    layer: &Layer,
    context: &BlockContext,
    leaf: LeafIndex,
    event: &Verified,
) -> Result<Change, Rejection> {
    let mut tx = Tx::new(view, layer, context, leaf, event.signed().id());
    admit_signer(&mut tx, event)?;
    dispatch(&mut tx, event)?;
    Ok(tx.finish())
}

/// The signer is enrolled for this, under the key that was checked, and uses its number once.
fn admit_signer<V: StateView>(tx: &mut Tx<'_, V>, verified: &Verified) -> Result<(), Rejection> {
    let event = verified.event();
    if event.network != tx.context().network {
        return Err(Rejection::ForeignNetwork);
    }
    let signer = event.signer.clone();
    let mut state =
        tx.signer(&signer).ok_or_else(|| Rejection::UnknownDevice { signer: signer.clone() })?;
    if !state.signs(event.sequence, verified.signed().key_id()) {
        return Err(Rejection::WrongKey { signer });
    }
    may_sign(&signer, &state, tx.time())?;
    if tx.member(signer.party()).is_none_or(|member| member.expelled.is_some()) {
        return Err(Rejection::NotMember { party: signer.party().clone() });
    }
    let kind = event.action.kind();
    // Its key is everybody's own to change.
    if !state.kinds.has(kind) && kind != Kind::Rotate {
        return Err(Rejection::KindNotEnrolled { signer, kind });
    }
    let place_fits =
        state.places.is_empty() || event.place.as_ref().is_some_and(|p| state.places.contains(p));
    if !place_fits {
        return Err(Rejection::PlaceNotEnrolled { signer });
    }
    let class_fits =
        |unit: &UnitId| state.classes.is_empty() || state.classes.contains(&unit.class());
    if let Some(unit) = event.units().find(|unit| !class_fits(unit)) {
        return Err(Rejection::ClassNotEnrolled { signer, unit: unit.clone() });
    }
    let sequence = event.sequence;
    let high = state.sequence.high();
    state.sequence.take(sequence, event.floor).map_err(|bad| match bad {
        BadNumber::Used => Rejection::SequenceUsed { signer: signer.clone(), sequence },
        BadNumber::Gap => Rejection::SequenceGap { signer: signer.clone(), sequence, high },
        BadNumber::Floor => Rejection::FloorAboveSequence { sequence, floor: event.floor },
    })?;
    tx.put_signer(signer, state);
    match (&event.basis, kind) {
        (None, Kind::Offer) => Err(Rejection::BasisMissing),
        (Some(_), kind) if kind != Kind::Offer => Err(Rejection::BasisUnexpected { kind }),
        _ => Ok(()),
    }
}

/// Refuses whoever was stopped, or is past its end: what it signed before can be filed as testimony.
fn may_sign(signer: &SignerId, state: &SignerState, now: Millis) -> Result<(), Rejection> {
    let signer = signer.clone();
    match (state.status, state.until) {
        (Status::Active, Some(until)) if until < now => {
            Err(Rejection::DeviceExpired { signer, until })
        }
        (Status::Active, _) => Ok(()),
        (Status::Suspended { evidence }, _) => Err(Rejection::SuspendedKey { signer, evidence }),
        (Status::Revoked { at, .. }, _) => Err(Rejection::RevokedKey { signer, at }),
    }
}

fn dispatch<V: StateView>(tx: &mut Tx<'_, V>, verified: &Verified) -> Result<(), Rejection> {
    let event = verified.event();
    let unit = subject_unit(event);
    match &event.action {
        Action::Register => custody::register(tx, event, unit?),
        Action::Book { receiver, window, factors } => {
            let booking =
                Booking { receiver: receiver.clone(), window: *window, factors: *factors };
            custody::book(tx, event, unit?, booking)
        }
        Action::Offer { to, until, .. } => custody::offer(tx, event, unit?, to, *until),
        Action::Accept { .. } => custody::accept(tx, event, unit?),
        Action::Refuse { offer, .. } => custody::refuse(tx, event, unit?, offer),
        Action::Cancel { offer } => custody::cancel(tx, event, unit?, offer),
        Action::Handover { .. } => handover::handover(tx, verified, unit?),
        Action::Aggregate { children } => contain::aggregate(tx, event, unit?, children),
        Action::Disaggregate { children } => contain::disaggregate(tx, event, unit?, children),
        Action::Load { conveyance } => journey::load(tx, event, unit?, conveyance),
        Action::Unload { conveyance } => journey::unload(tx, event, unit?, conveyance),
        Action::Depart { conveyance } => journey::depart(tx, event, unit?, conveyance.as_ref()),
        Action::Arrive => journey::arrive(tx, event, unit?),
        Action::Observe { .. } => condition::observe(tx, event, unit?),
        Action::SealApply { ids } => seal::seal_apply(tx, event, unit?, ids),
        Action::SealVerify { ids } => seal::seal_verify(tx, event, unit?, ids),
        Action::SealBreak { .. } => seal::seal_break(tx, event, unit?),
        Action::Readings { first, last, .. } => {
            condition::readings(tx, event, unit?, *first, *last)
        }
        Action::Excursion { .. } => condition::excursion(tx, event, unit?),
        Action::CloseExcursion { verdict } => condition::close(tx, event, unit?, *verdict),
        Action::Hold { .. } => condition::hold(tx, event, unit?),
        Action::Release { hold } => condition::release(tx, event, unit?, hold),
        Action::Exception { .. } => condition::exception(tx, event, unit?),
        Action::Attempt { .. } => custody::attempt(tx, event, unit?),
        Action::Deliver { factors } => custody::deliver(tx, event, unit?, factors),
        Action::Return { .. } => settle::take_back(tx, event, unit?),
        Action::Enrol { .. } => device::enrol(tx, event),
        Action::Lost { holder, .. } => settle::close(tx, event, unit?, holder, Closed::Lost),
        Action::Destroyed { holder, .. } => {
            settle::close(tx, event, unit?, holder, Closed::Destroyed)
        }
        Action::Found => settle::found(tx, event, unit?),
        Action::Resolve { holder, .. } => settle::resolve(tx, event, unit?, holder),
        Action::Consent { proposal } => consent::consent(tx, event, unit?, proposal),
        Action::Correct { original, offer, .. } => {
            correct::correct(tx, event, unit?, original, offer.as_deref())
        }
        Action::Report { evidence } => report::report(tx, event, evidence),
        Action::Testimony { event: testified } => report::testimony(tx, event, testified),
        Action::Rotate { key, possession, first } => {
            device::rotate(tx, event, key, possession, *first)
        }
        Action::Propose { motion, until } => govern::propose(tx, event, motion, *until),
        Action::Ballot { proposal, approve } => govern::ballot(tx, event, *proposal, *approve),
        Action::Revoke { suspected_since } => device::revoke(tx, event, *suspected_since),
    }
}

fn subject_unit(event: &Event) -> Result<&UnitId, Rejection> {
    event.subject.unit().ok_or(Rejection::WrongSubject { kind: event.action.kind() })
}
