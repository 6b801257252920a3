//! Evidence that a custodian gave one unit to two receivers.
//!
//! A device that signed an offer signs none to another receiver on the same basis before the first has
//! ended: the log shows a cancel or a refusal of it, or its time is past by the device's clock or by the
//! log's, or the device itself signed a cancel in between. That last is what makes it hold without a
//! network: whatever the device did between the two offers stands here, number by number.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use consign_types::codec::Canonical as _;
use consign_types::digest::EventId;
use consign_types::event::{Action, SignedEvent, Subject};
use consign_types::party::{PartyId, SignerId};
use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_types::unit::UnitId;

use super::{Accused, BadEvidence, DoubleOffer, Part, Who, Why};
use crate::passport::{self, BadPassport, Passport, Proven, Verified};
use crate::signer::SignerState;

/// Checks a double offer.
pub fn double_offer(double: &DoubleOffer, trust: &Trust) -> Result<Vec<Accused>, BadEvidence> {
    let bad = |why: BadPassport| Part::Passport.bad(Why::Passport(why));
    let file =
        Passport::from_bytes(&double.passport).map_err(|why| bad(BadPassport::Decode(why)))?;
    let history = passport::verify(&file, trust).map_err(bad)?;
    let keys = Keys::check(double, &file)?;
    let unit = &history.unit;

    let [first, second] = &double.offers;
    let first = Offer::read(first, Part::Offer(0), unit, trust, &keys)?;
    let second = Offer::read(second, Part::Offer(1), unit, trust, &keys)?;
    let later = Part::Offer(1);
    if second.signer != first.signer {
        return Err(later.bad(Why::OtherSigner));
    }
    if second.number <= first.number {
        return Err(later.bad(Why::Order));
    }
    if second.basis != first.basis || second.to == first.to {
        return Err(later.bad(Why::NoConflict));
    }
    // By its own clock the first was open.
    if second.time > first.until {
        return Err(later.bad(Why::Past));
    }
    open_on_log(&history, &first, &second)?;
    check_between(double, &first, &second, trust, &keys)?;
    for (at, (offer, bytes)) in [&first, &second].into_iter().zip(&double.acceptances).enumerate() {
        check_acceptance(bytes, Part::Acceptance(at), offer, unit, trust, &keys)?;
    }
    keys.check_used(double, &[&first.signer], &double.acceptances)?;
    let did = format!(
        "offered {unit} by {} under numbers {} and {} to {} and to {} on one basis, and both accepted",
        first.signer, first.number, second.number, first.to, second.to
    );
    Ok(Vec::from([Accused { who: Who::Party(first.signer.party().clone()), did }]))
}

/// An offer of the unit.
struct Offer {
    id: EventId,
    signer: SignerId,
    number: u64,
    time: Millis,
    basis: EventId,
    to: PartyId,
    until: Millis,
}

impl Offer {
    fn read(
        bytes: &[u8],
        part: Part,
        unit: &UnitId,
        trust: &Trust,
        keys: &Keys,
    ) -> Result<Self, BadEvidence> {
        let signed = keys.event(bytes, part, trust)?;
        let event = signed.event();
        let (Action::Offer { to, until, .. }, Some(basis), Some(about)) =
            (&event.action, event.basis, event.subject.unit())
        else {
            return Err(part.bad(Why::OtherEvent));
        };
        if about != unit {
            return Err(part.bad(Why::OtherEvent));
        }
        Ok(Self {
            id: signed.id(),
            signer: event.signer.clone(),
            number: event.sequence,
            time: event.time,
            basis,
            to: to.clone(),
            until: *until,
        })
    }
}

/// The second came on the log before the first was past there, and before anything there had ended it.
fn open_on_log(history: &Verified, first: &Offer, second: &Offer) -> Result<(), BadEvidence> {
    for step in &history.steps {
        let event = step.event.event();
        let inner = match &event.action {
            Action::Handover { offer, .. } => Some(offer.id()),
            _ => None,
        };
        if step.event.id() == second.id || inner == Some(second.id) {
            let past = step.time > first.until;
            return if past { Err(Part::Offer(1).bad(Why::Past)) } else { Ok(()) };
        }
        match &event.action {
            Action::Cancel { offer } | Action::Refuse { offer, .. } if *offer == first.id => {
                return Err(Part::Passport.bad(Why::Ended));
            }
            _ => {}
        }
    }
    Err(Part::Offer(1).bad(Why::NotOnLog))
}

/// Every number between the two, and none of them a cancel of the first.
fn check_between(
    double: &DoubleOffer,
    first: &Offer,
    second: &Offer,
    trust: &Trust,
    keys: &Keys,
) -> Result<(), BadEvidence> {
    let mut number = first.number;
    for (at, bytes) in double.between.iter().enumerate() {
        let part = Part::Between(at);
        let event = keys.event(bytes, part, trust)?;
        let event = event.event();
        if event.signer != first.signer {
            return Err(part.bad(Why::OtherSigner));
        }
        number = number.saturating_add(1);
        if event.sequence != number || number >= second.number {
            return Err(part.bad(Why::Number));
        }
        if matches!(&event.action, Action::Cancel { offer } if *offer == first.id) {
            return Err(part.bad(Why::Ended));
        }
    }
    if number.saturating_add(1) != second.number {
        return Err(Part::Between(double.between.len()).bad(Why::Number));
    }
    Ok(())
}

fn check_acceptance(
    bytes: &[u8],
    part: Part,
    of: &Offer,
    unit: &UnitId,
    trust: &Trust,
    keys: &Keys,
) -> Result<(), BadEvidence> {
    let signed = keys.event(bytes, part, trust)?;
    let event = signed.event();
    let Action::Accept { offer, .. } = &event.action else {
        return Err(part.bad(Why::OtherEvent));
    };
    let fits = *offer == of.id
        && event.subject.unit() == Some(unit)
        && *event.signer.party() == of.to
        && of.to != *of.signer.party();
    if fits { Ok(()) } else { Err(part.bad(Why::Acceptance)) }
}

/// Keys that are proven under the passport's record.
struct Keys {
    known: BTreeMap<SignerId, SignerState>,
    /// The signers that the passport does not have itself, by their place in the file.
    beside: Vec<SignerId>,
}

impl Keys {
    fn check(double: &DoubleOffer, file: &Passport) -> Result<Self, BadEvidence> {
        let mut keys = Self { known: BTreeMap::new(), beside: Vec::new() };
        for entry in &file.entries {
            if let Subject::Signer(signer) = &entry.key {
                let state = SignerState::from_bytes(&entry.value)
                    .map_err(|why| Part::Passport.bad(Why::Malformed(why)))?;
                keys.known.insert(signer.clone(), state);
            }
        }
        for (at, entry) in double.signers.iter().enumerate() {
            keys.add(Part::Signer(at), entry, file)?;
        }
        Ok(keys)
    }

    fn add(&mut self, part: Part, entry: &Proven, file: &Passport) -> Result<(), BadEvidence> {
        let Subject::Signer(signer) = &entry.key else {
            return Err(part.bad(Why::OtherEntry));
        };
        if self.beside.last().is_some_and(|before| before >= signer) {
            return Err(part.bad(Why::Order));
        }
        if self.known.contains_key(signer) {
            return Err(part.bad(Why::Unused));
        }
        entry
            .proof
            .verify(file.record.map_root, &entry.entry_key(), Some(&entry.value))
            .map_err(|why| part.bad(Why::MapProof(why)))?;
        let state =
            SignerState::from_bytes(&entry.value).map_err(|why| part.bad(Why::Malformed(why)))?;
        self.known.insert(signer.clone(), state);
        self.beside.push(signer.clone());
        Ok(())
    }

    /// An event of the network, signed under a proven key.
    fn event(&self, bytes: &[u8], part: Part, trust: &Trust) -> Result<SignedEvent, BadEvidence> {
        let event = SignedEvent::decode(bytes).map_err(|why| part.bad(Why::Malformed(why)))?;
        if event.event().network != trust.network {
            return Err(part.bad(Why::Network));
        }
        let signer = &event.event().signer;
        let state = self.known.get(signer).ok_or_else(|| part.bad(Why::NoKey(signer.clone())))?;
        event
            .check_with(&state.key_of(event.event().sequence))
            .map_err(|_| part.bad(Why::Signature))?;
        Ok(event)
    }

    /// No entry beside the passport that nothing needs.
    fn check_used(
        &self,
        double: &DoubleOffer,
        givers: &[&SignerId],
        acceptances: &[Vec<u8>],
    ) -> Result<(), BadEvidence> {
        let takers: Vec<SignerId> = acceptances
            .iter()
            .filter_map(|bytes| SignedEvent::decode(bytes).ok())
            .map(|event| event.event().signer.clone())
            .collect();
        debug_assert_eq!(self.beside.len(), double.signers.len());
        for (at, signer) in self.beside.iter().enumerate() {
            if !givers.contains(&signer) && !takers.contains(signer) {
                return Err(Part::Signer(at).bad(Why::Unused));
            }
        }
        Ok(())
    }
}
