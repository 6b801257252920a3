//! Rows about devices. Each member enrols its own, with its member key.

use consign_types::event::{Action, Event, Kind, Subject, possession_message};

use super::Tx;
use crate::entry::StateView;
use crate::errors::Rejection;
use crate::signer::{Sequence, SignerState};

/// enrol | M | a device of M that is not enrolled, which showed that it holds its key
pub fn enrol<V: StateView>(tx: &mut Tx<'_, V>, event: &Event) -> Result<(), Rejection> {
    let Action::Enrol { key, possession, kinds, places, classes } = &event.action else {
        return Err(Rejection::WrongSubject { kind: event.action.kind() });
    };
    let Subject::Signer(device) = &event.subject else {
        return Err(Rejection::WrongSubject { kind: Kind::Enrol });
    };
    let own = event.signer.is_member() && event.signer.party() == device.party();
    if !own || device.is_member() {
        let (device, signer) = (device.clone(), event.signer.clone());
        return Err(Rejection::ForeignDevice { device, signer });
    }
    if tx.signer(device).is_some() {
        return Err(Rejection::DeviceKnown { device: device.clone() });
    }
    // A device enrols nobody: that stays with the member's key.
    if kinds.has(Kind::Enrol) {
        let (signer, kind) = (device.clone(), Kind::Enrol);
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
    };
    tx.put_signer(device.clone(), state);
    Ok(())
}
