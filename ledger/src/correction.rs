//! What was corrected: whose word an event is, and whether all of them took it back.
//!
//! A correction is an overlay. The event stays, with all that it did; whoever reads a history sees beside it
//! what its signers say was wrong, and who has not agreed yet.

use alloc::vec::Vec;

use consign_types::digest::{Digest, EventId};
use consign_types::event::{Action, Event, Fix, Kind, SignedEvent};
use consign_types::party::PartyId;
use consign_types::time::Millis;

/// A correction, as a history shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Correction {
    /// The event that corrects.
    pub event: EventId,
    /// Who says so.
    pub by: PartyId,
    /// When, by record time.
    pub time: Millis,
    /// The event that is corrected.
    pub original: EventId,
    /// Its kind.
    pub kind: Kind,
    /// Whether the history holds that event, by itself or inside of a handover.
    pub found: bool,
    /// What was wrong.
    pub fix: Fix,
    /// Salted commitment to what is right.
    pub right: Option<Digest>,
    /// Signers of the original that have not agreed, ascending.
    pub awaits: Vec<PartyId>,
    /// Since when all of them agree.
    pub agreed: Option<Millis>,
}

/// Whether the original is the word of `party`. An acceptance says again what its offer says: both answer for it.
pub fn is_signer(party: &PartyId, original: &Event, offer: Option<&Event>) -> bool {
    [Some(original), offer].into_iter().flatten().any(|event| event.signer.party() == party)
}

/// Who must agree when `by` corrects the original, ascending.
pub fn asked(by: &PartyId, original: &Event, offer: Option<&Event>) -> Vec<PartyId> {
    let mut parties = Vec::from([original.signer.party().clone()]);
    parties.extend(offer.map(|offer| offer.signer.party().clone()));
    // Nobody rewrites an offer alone: whoever takes it over signs its content by its name.
    if let Action::Offer { to, .. } = &original.action {
        parties.push(to.clone());
    }
    parties.retain(|party| party != by);
    parties.sort();
    parties.dedup();
    parties
}

/// The corrections among `events`, which were recorded at these times, in their order.
pub fn corrections<'e>(
    events: impl Iterator<Item = (&'e SignedEvent, Millis)> + Clone,
) -> Vec<Correction> {
    let mut all: Vec<Correction> = Vec::new();
    let mut known: Vec<EventId> = events.clone().flat_map(|(event, _)| names(event)).collect();
    known.sort();
    for (signed, time) in events {
        let event = signed.event();
        let by = event.signer.party();
        match &event.action {
            Action::Correct { original, offer, fix, right } => {
                let awaits = asked(by, original.event(), offer.as_ref().map(|o| o.event()));
                all.push(Correction {
                    event: signed.id(),
                    by: by.clone(),
                    time,
                    original: original.id(),
                    kind: original.event().action.kind(),
                    found: known.binary_search(&original.id()).is_ok(),
                    fix: *fix,
                    right: *right,
                    agreed: awaits.is_empty().then_some(time),
                    awaits,
                });
            }
            // The rules let only consents onto the log that something waits for.
            Action::Consent { proposal } => {
                for correction in all.iter_mut().filter(|c| c.event == *proposal) {
                    correction.awaits.retain(|party| party != by);
                    if correction.awaits.is_empty() {
                        correction.agreed = correction.agreed.or(Some(time));
                    }
                }
            }
            _ => {}
        }
    }
    all
}

/// What a correction can call an event by: its id, and of a handover those of the two inside.
pub fn names(signed: &SignedEvent) -> Vec<EventId> {
    let action = &signed.event().action;
    let inner = action.inner().filter(|_| action.kind() == Kind::Handover);
    core::iter::once(signed.id()).chain(inner.map(SignedEvent::id)).collect()
}
