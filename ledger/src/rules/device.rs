//! Rows about devices. Each member enrols and revokes its own, with its member key.

use alloc::vec::Vec;

use consign_types::event::{Action, Event, Kind, Subject, possession_message};
use consign_types::key::Signature;
use consign_types::limits::{ROTATIONS_MAX, SEQUENCE_STEP_MAX};
use consign_types::party::SignerId;
use consign_types::signer_key::SignerKey;
use consign_types::time::Millis;

use super::Tx;
use crate::entry::StateView;
use crate::errors::Rejection;
use crate::signer::{PastKey, Sequence, SignerState, Status};

/// enrol | M | a device of M that is not enrolled, which showed that it holds its key
pub fn enrol<V: StateView>(tx: &mut Tx<'_, V>, event: &Event) -> Result<(), Rejection> {
    let Action::Enrol { key, possession, kinds, places, classes, until } = &event.action else {
        return Err(Rejection::WrongSubject { kind: event.action.kind() });
    };
    let Subject::Signer(device) = &event.subject else {
        return Err(Rejection::WrongSubject { kind: Kind::Enrol });
    };
    need_own(event, device)?;
    if tx.signer(device).is_some() {
        return Err(Rejection::DeviceKnown { device: device.clone() });
    }
    // A device answers for no other: that stays with the member's key.
    if let Some(kind) = kinds.iter().find(|kind| kind.is_members_own()) {
        let signer = device.clone();
        return Err(Rejection::KindNotEnrolled { signer, kind });
    }
    if let Some(until) = until.filter(|until| *until < tx.time()) {
        return Err(Rejection::EndInPast { until });
    }
    key.verify(&possession_message(event.network, &event.subject, key), possession)
        .map_err(|_| Rejection::NoPossession { device: device.clone() })?;
    let state = SignerState {
        key: *key,
        past: Vec::new(),
        kinds: *kinds,
        places: places.clone(),
        classes: classes.clone(),
        until: *until,
        sequence: Sequence::default(),
        status: Status::Active,
    };
    tx.put_signer(device.clone(), state);
    Ok(())
}

/// revoke | M | a device of M that is not revoked | nothing by that key applies from here on
pub fn revoke<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    suspected_since: Option<Millis>,
) -> Result<(), Rejection> {
    let Subject::Signer(device) = &event.subject else {
        return Err(Rejection::WrongSubject { kind: Kind::Revoke });
    };
    need_own(event, device)?;
    let unknown = || Rejection::UnknownDevice { signer: device.clone() };
    let mut state = tx.signer(device).ok_or_else(unknown)?;
    if let Status::Revoked { .. } = state.status {
        return Err(Rejection::DeviceRevoked { device: device.clone() });
    }
    state.status = Status::Revoked { at: tx.time(), suspected_since };
    tx.put_signer(device.clone(), state);
    Ok(())
}

/// rotate | the signer itself, under the key before | another key, which it showed to hold; above all its numbers
///
/// What was signed under a number below `first` verifies under the key before, until the signer is revoked.
pub fn rotate<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    key: &SignerKey,
    possession: &Signature,
    first: u64,
) -> Result<(), Rejection> {
    let Subject::Signer(subject) = &event.subject else {
        return Err(Rejection::WrongSubject { kind: Kind::Rotate });
    };
    let signer = event.signer.clone();
    if *subject != signer {
        return Err(Rejection::NotOwnKey { signer, subject: subject.clone() });
    }
    let unknown = || Rejection::UnknownDevice { signer: signer.clone() };
    let mut state = tx.signer(&signer).ok_or_else(unknown)?;
    // By the id: it is all that an event says of its key.
    if state.keys().any(|known| known.key_id() == key.key_id()) {
        return Err(Rejection::KeyKnown { signer });
    }
    let high = state.sequence.high();
    if first <= high {
        return Err(Rejection::FirstNumberTaken { signer, first, high });
    }
    if first - high > SEQUENCE_STEP_MAX {
        return Err(Rejection::SequenceGap { signer, sequence: first, high });
    }
    if state.past.len() >= ROTATIONS_MAX {
        return Err(Rejection::TooManyKeys { signer });
    }
    key.verify(&possession_message(event.network, &event.subject, key), possession)
        .map_err(|_| Rejection::NoPossession { device: signer.clone() })?;
    state.past.push(PastKey { key: state.key, below: first });
    state.key = *key;
    tx.put_signer(signer, state);
    Ok(())
}

/// Refuses whoever is not the member that the device belongs to.
pub fn need_own(event: &Event, device: &SignerId) -> Result<(), Rejection> {
    let own = event.signer.is_member() && event.signer.party() == device.party();
    if own && !device.is_member() {
        return Ok(());
    }
    let (device, signer) = (device.clone(), event.signer.clone());
    Err(Rejection::ForeignDevice { device, signer })
}
