//! The row about what was said wrongly: an overlay, never a change.

use consign_types::event::{Event, Kind, SignedEvent};
use consign_types::unit::UnitId;

use super::{Tx, consent};
use crate::correction::{asked, is_signer};
use crate::entry::StateView;
use crate::errors::Rejection;
use crate::unit::Proposal;

/// correct | a signer of the original | the original on record; consent of its other signers | record; nothing else changes
///
/// Of a unit in any state: what was said of it can be wrong however it ended.
pub fn correct<V: StateView>(
    tx: &mut Tx<'_, V>,
    event: &Event,
    unit: &UnitId,
    original: &SignedEvent,
    offer: Option<&SignedEvent>,
) -> Result<(), Rejection> {
    let state = tx.unit(unit)?;
    for said in offer.into_iter().chain([original]) {
        need_recorded(tx, event, said)?;
    }
    let signer = event.signer.party();
    let (said, offer) = (original.event(), offer.map(SignedEvent::event));
    if !is_signer(signer, said, offer) {
        let (event, signer) = (original.id(), signer.clone());
        return Err(Rejection::NotItsSigner { event, signer });
    }
    let others = asked(signer, said, offer);
    if others.is_empty() {
        return tx.put_and_record(unit, state);
    }
    let what = Proposal::Correct { original: original.id() };
    consent::propose(tx, unit, state, signer, what, others)
}

/// Refuses what the signer never brought to this log, or signed under another key or about something else.
fn need_recorded<V: StateView>(
    tx: &Tx<'_, V>,
    event: &Event,
    said: &SignedEvent,
) -> Result<(), Rejection> {
    let inner = said.event();
    if inner.subject != event.subject {
        return Err(Rejection::WrongSubject { kind: Kind::Correct });
    }
    if inner.network != event.network {
        return Err(Rejection::ForeignNetwork);
    }
    let signer = inner.signer.clone();
    let Some(state) = tx.signer(&signer) else { return Err(Rejection::UnknownDevice { signer }) };
    if !state.signs(inner.sequence, said.key_id()) {
        return Err(Rejection::WrongKey { signer });
    }
    // The map holds no list of events. A number that is used is as much as it knows; whoever has the history
    // sees whether it was for this one.
    if !state.sequence.is_used(inner.sequence) {
        return Err(Rejection::NotOnRecord { event: said.id() });
    }
    Ok(())
}
