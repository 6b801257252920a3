//! Rows about devices. Each member enrols and revokes its own, with its member key.

use consign_types::event::{Action, Event, Kind, Subject, possession_message};
use consign_types::party::SignerId;
use consign_types::time::Millis;

use super::Tx;
use crate::entry::StateView;
use crate::errors::Rejection;
use crate::signer::{Sequence, SignerState, Status};

/// enrol | M | a device of M that is not enrolled, which showed that it holds its key
pub fn enrol<V: StateView>(tx: &mut Tx<'_, V>, event: &Event) -> Result<(), Rejection> {
    let Action::Enrol { key, possession, kinds, places, classes } = &event.action else {
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
    key.verify(&possession_message(event.network, &event.subject, key), possession)
        .map_err(|_| Rejection::NoPossession { device: device.clone() })?;
    let state = SignerState {
        key: *key,
        kinds: *kinds,
        places: places.clone(),
        classes: classes.clone(),
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

/// Refuses whoever is not the member that the device belongs to.
pub fn need_own(event: &Event, device: &SignerId) -> Result<(), Rejection> {
    let own = event.signer.is_member() && event.signer.party() == device.party();
    if own && !device.is_member() {
        return Ok(());
    }
    let (device, signer) = (device.clone(), event.signer.clone());
    Err(Rejection::ForeignDevice { device, signer })
}
