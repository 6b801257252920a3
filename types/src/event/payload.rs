//! The payload of an event: a deterministic CBOR map with integer keys 0 to 23.
//!
//! Keys 0 to 7 are of every event; 8 to 23 are the fields of its kind. `docs/spec/event.md` has the table.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{
    Action, Condition, DeliveryFactor, Event, ExceptionCode, FactorSet, Fix, Kind, KindSet, Label,
    Reason, SignedEvent, Verdict, Window,
};
use crate::codec::{DecodeError, Infallible as _, Reader, Writer};
use crate::digest::{Digest, EventId, NetworkId};
use crate::governance::Motion;
use crate::key::Signature;
use crate::limits::{
    CHILDREN_MAX, ENROL_SCOPES_MAX, EVENT_BYTES_MAX, EVIDENCE_BYTES_MAX, EXCEPTIONS_MAX, SEALS_MAX,
};
use crate::party::{PartyId, SignerId};
use crate::signer_key::SignerKey;
use crate::time::Millis;
use crate::unit::UnitClass;

mod key {
    pub const NETWORK: u8 = 0;
    pub const KIND: u8 = 1;
    pub const SUBJECT: u8 = 2;
    pub const SEQUENCE: u8 = 3;
    pub const FLOOR: u8 = 4;
    pub const TIME: u8 = 5;
    pub const PLACE: u8 = 6;
    pub const BASIS: u8 = 7;
    pub const PARTY: u8 = 8;
    pub const UNTIL: u8 = 9;
    pub const REFERENCE: u8 = 10;
    pub const CHILDREN: u8 = 11;
    pub const SEALS: u8 = 12;
    pub const COUNT: u8 = 13;
    pub const REASON: u8 = 14;
    pub const DIGEST: u8 = 15;
    pub const WINDOW: u8 = 16;
    pub const CONVEYANCE: u8 = 17;
    pub const FACTORS: u8 = 18;
    pub const FINDING: u8 = 19;
    /// Of an offer, of what is testified, of evidence: whole bytes that stand inside.
    pub const OFFER: u8 = 20;
    pub const ACCEPTANCE: u8 = 21;
    /// Of an enrolment or a rotation the device, of a proposal what changes.
    pub const DEVICE: u8 = 22;
    pub const EXCEPTIONS: u8 = 23;
}

/// Writes the payload map of `event`.
pub(super) fn write(event: &Event, to: &mut Writer<'_>) {
    let optional = usize::from(event.place.is_some()) + usize::from(event.basis.is_some());
    to.map((6 + optional + field_count(&event.action)) as u64).sure();
    to.u8(key::NETWORK).sure().bytes(event.network.as_bytes()).sure();
    to.u8(key::KIND).sure().u8(event.action.kind().code()).sure();
    to.u8(key::SUBJECT).sure().str(&alloc::format!("{}", event.subject)).sure();
    to.u8(key::SEQUENCE).sure().u64(event.sequence).sure();
    to.u8(key::FLOOR).sure().u64(event.floor).sure();
    to.u8(key::TIME).sure().u64(event.time.0).sure();
    if let Some(place) = &event.place {
        to.u8(key::PLACE).sure().str(place.as_str()).sure();
    }
    if let Some(basis) = &event.basis {
        to.u8(key::BASIS).sure().bytes(basis.as_bytes()).sure();
    }
    write_fields(&event.action, to);
}

/// Reads a payload map; the signer stands in the protected header and is handed in.
pub(super) fn read(
    from: &mut Reader<'_>,
    signer: SignerId,
    depth: u8,
) -> Result<Event, DecodeError> {
    let mut fields = Fields { left: from.map()?, next: None, from };
    let network = NetworkId(fields.need(key::NETWORK, Reader::digest)?);
    let kind = fields.need(key::KIND, |r| {
        let code = r.u8()?;
        Kind::from_code(code).ok_or_else(|| r.error(alloc::format!("no kind has code {code}")))
    })?;
    let event = Event {
        network,
        signer,
        subject: fields.need(key::SUBJECT, Reader::parse)?,
        sequence: fields.need(key::SEQUENCE, Reader::u64)?,
        floor: fields.need(key::FLOOR, Reader::u64)?,
        time: Millis(fields.need(key::TIME, Reader::u64)?),
        place: fields.may(key::PLACE, Reader::parse)?,
        basis: fields.may(key::BASIS, |r| r.digest().map(EventId))?,
        action: read_fields(kind, &mut fields, depth)?,
    };
    fields.end()?;
    if event.sequence == 0 {
        return Err(from.error("sequence numbers begin at 1"));
    }
    Ok(event)
}

/// The entries of a map in ascending order of their keys.
struct Fields<'r, 'a> {
    from: &'r mut Reader<'a>,
    left: u64,
    next: Option<u8>,
}

impl<'a> Fields<'_, 'a> {
    fn peek(&mut self) -> Result<Option<u8>, DecodeError> {
        if self.next.is_none() && self.left > 0 {
            self.left -= 1;
            self.next = Some(self.from.u8()?);
        }
        Ok(self.next)
    }

    fn may<T>(
        &mut self,
        key: u8,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.peek()? != Some(key) {
            return Ok(None);
        }
        self.next = None;
        read(self.from).map(Some)
    }

    fn need<T>(
        &mut self,
        key: u8,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let missing = self.from.error(alloc::format!("field {key} is missing"));
        self.may(key, read)?.ok_or(missing)
    }

    fn end(&mut self) -> Result<(), DecodeError> {
        match self.peek()? {
            None => Ok(()),
            Some(key) => {
                Err(self.from.error(alloc::format!("field {key} is unknown or out of order")))
            }
        }
    }
}

/// Number of map entries that [`write_fields`] writes.
fn field_count(action: &Action) -> usize {
    match action {
        Action::Register | Action::Arrive | Action::Found => 0,
        Action::Cancel { .. }
        | Action::Consent { .. }
        | Action::Aggregate { .. }
        | Action::Disaggregate { .. }
        | Action::Load { .. }
        | Action::Unload { .. }
        | Action::SealApply { .. }
        | Action::SealVerify { .. }
        | Action::SealBreak { .. }
        | Action::Excursion { .. }
        | Action::CloseExcursion { .. }
        | Action::Hold { .. }
        | Action::Release { .. }
        | Action::Attempt { .. }
        | Action::Deliver { .. }
        | Action::Return { .. }
        | Action::Enrol { .. }
        | Action::Report { .. }
        | Action::Testimony { .. }
        | Action::Rotate { .. } => 1,
        Action::Revoke { suspected_since } => usize::from(suspected_since.is_some()),
        Action::Correct { offer, right, .. } => {
            2 + usize::from(offer.is_some()) + usize::from(right.is_some())
        }
        Action::Depart { conveyance } => usize::from(conveyance.is_some()),
        Action::Observe { note } => usize::from(note.is_some()),
        Action::Refuse { .. }
        | Action::Handover { .. }
        | Action::Exception { .. }
        | Action::Lost { .. }
        | Action::Destroyed { .. }
        | Action::Resolve { .. }
        | Action::Propose { .. }
        | Action::Ballot { .. } => 2,
        Action::Book { .. } | Action::Offer { .. } | Action::Readings { .. } => 3,
        Action::Accept { .. } => 5,
    }
}

fn write_fields(action: &Action, to: &mut Writer<'_>) {
    match action {
        Action::Register | Action::Arrive | Action::Found => {}
        Action::Book { receiver, window, factors } => {
            to.u8(key::PARTY).sure().str(receiver.as_str()).sure();
            to.u8(key::WINDOW).sure();
            window.write(to);
            to.u8(key::FACTORS).sure().u8(factors.bits()).sure();
        }
        Action::Offer { to: receiver, until, terms } => {
            to.u8(key::PARTY).sure().str(receiver.as_str()).sure();
            to.u8(key::UNTIL).sure().u64(until.0).sure();
            to.u8(key::DIGEST).sure().bytes(&terms.0).sure();
        }
        Action::Accept { offer, count, seals, condition, exceptions } => {
            to.u8(key::REFERENCE).sure().bytes(offer.as_bytes()).sure();
            write_labels(seals, to);
            to.u8(key::COUNT).sure().u32(*count).sure();
            to.u8(key::FINDING).sure();
            condition.write(to);
            to.u8(key::EXCEPTIONS).sure().array(exceptions.len() as u64).sure();
            exceptions.iter().for_each(|code| code.write(to));
        }
        Action::Refuse { offer, reason } => {
            to.u8(key::REFERENCE).sure().bytes(offer.as_bytes()).sure();
            write_reason(*reason, to);
        }
        Action::Cancel { offer: reference }
        | Action::Release { hold: reference }
        | Action::Consent { proposal: reference } => {
            to.u8(key::REFERENCE).sure().bytes(reference.as_bytes()).sure();
        }
        Action::Handover { offer, acceptance } => {
            to.u8(key::OFFER).sure().bytes(offer.bytes()).sure();
            to.u8(key::ACCEPTANCE).sure().bytes(acceptance.bytes()).sure();
        }
        Action::Aggregate { children } | Action::Disaggregate { children } => {
            to.u8(key::CHILDREN).sure().array(children.len() as u64).sure();
            for child in children {
                to.str(child.as_str()).sure();
            }
        }
        Action::Load { conveyance } | Action::Unload { conveyance } => {
            to.u8(key::CONVEYANCE).sure().str(conveyance.as_str()).sure();
        }
        Action::Depart { conveyance } => {
            if let Some(conveyance) = conveyance {
                to.u8(key::CONVEYANCE).sure().str(conveyance.as_str()).sure();
            }
        }
        Action::Observe { note } => {
            if let Some(note) = note {
                to.u8(key::DIGEST).sure().bytes(&note.0).sure();
            }
        }
        Action::SealApply { ids } | Action::SealVerify { ids } => write_labels(ids, to),
        Action::SealBreak { reason }
        | Action::Hold { reason }
        | Action::Attempt { reason }
        | Action::Return { reason } => write_reason(*reason, to),
        Action::Readings { root, count, first, last } => {
            to.u8(key::COUNT).sure().u32(*count).sure();
            to.u8(key::DIGEST).sure().bytes(&root.0).sure();
            to.u8(key::WINDOW).sure().array(2).sure().u64(*first).sure().u64(*last).sure();
        }
        Action::Excursion { window } => {
            to.u8(key::WINDOW).sure();
            window.write(to);
        }
        Action::CloseExcursion { verdict } => {
            to.u8(key::FINDING).sure();
            verdict.write(to);
        }
        Action::Exception { code, evidence } => {
            to.u8(key::REASON).sure();
            code.write(to);
            to.u8(key::DIGEST).sure().bytes(&evidence.0).sure();
        }
        Action::Deliver { factors } => {
            to.u8(key::FACTORS).sure().array(factors.len() as u64).sure();
            for (factor, proof) in factors {
                to.array(2).sure();
                factor.write(to);
                to.bytes(&proof.0).sure();
            }
        }
        Action::Lost { holder, reason }
        | Action::Destroyed { holder, reason }
        | Action::Resolve { holder, reason } => {
            to.u8(key::PARTY).sure().str(holder.as_str()).sure();
            write_reason(*reason, to);
        }
        Action::Correct { original, offer, fix, right } => {
            if let Some(right) = right {
                to.u8(key::DIGEST).sure().bytes(&right.0).sure();
            }
            to.u8(key::FINDING).sure();
            fix.write(to);
            // An acceptance stands behind its offer, as in a handover.
            let (first, second) = match offer {
                Some(offer) => (offer, Some(original)),
                None => (original, None),
            };
            to.u8(key::OFFER).sure().bytes(first.bytes()).sure();
            if let Some(second) = second {
                to.u8(key::ACCEPTANCE).sure().bytes(second.bytes()).sure();
            }
        }
        Action::Report { evidence } => {
            to.u8(key::OFFER).sure().bytes(evidence).sure();
        }
        Action::Testimony { event } => {
            to.u8(key::OFFER).sure().bytes(event.bytes()).sure();
        }
        Action::Revoke { suspected_since } => {
            if let Some(since) = suspected_since {
                to.u8(key::UNTIL).sure().u64(since.0).sure();
            }
        }
        Action::Rotate { key: device_key, possession, first } => {
            to.u8(key::DEVICE).sure().array(3).sure();
            to.bytes(device_key.as_bytes()).sure().bytes(&possession.0).sure().u64(*first).sure();
        }
        Action::Propose { motion, until } => {
            to.u8(key::UNTIL).sure().u64(until.0).sure();
            to.u8(key::DEVICE).sure();
            motion.write(to);
        }
        Action::Ballot { proposal, approve } => {
            to.u8(key::REFERENCE).sure().bytes(proposal.as_bytes()).sure();
            to.u8(key::FINDING).sure().bool(*approve).sure();
        }
        Action::Enrol { key: device_key, possession, kinds, places, classes, until } => {
            to.u8(key::DEVICE).sure().array(5 + u64::from(until.is_some())).sure();
            to.bytes(device_key.as_bytes()).sure().bytes(&possession.0).sure();
            to.u64(kinds.bits()).sure().array(places.len() as u64).sure();
            for place in places {
                to.str(place.as_str()).sure();
            }
            to.array(classes.len() as u64).sure();
            for class in classes {
                to.str(class.prefix()).sure();
            }
            if let Some(until) = until {
                to.u64(until.0).sure();
            }
        }
    }
}

fn write_labels(labels: &[Label], to: &mut Writer<'_>) {
    to.u8(key::SEALS).sure().array(labels.len() as u64).sure();
    for label in labels {
        to.str(label.as_str()).sure();
    }
}

fn write_reason(reason: Reason, to: &mut Writer<'_>) {
    to.u8(key::REASON).sure();
    reason.write(to);
}

fn read_fields(kind: Kind, f: &mut Fields<'_, '_>, depth: u8) -> Result<Action, DecodeError> {
    Ok(match kind {
        Kind::Register => Action::Register,
        Kind::Arrive => Action::Arrive,
        Kind::Found => Action::Found,
        Kind::Lost => {
            Action::Lost { holder: f.need(key::PARTY, Reader::parse)?, reason: read_reason(f)? }
        }
        Kind::Destroyed => Action::Destroyed {
            holder: f.need(key::PARTY, Reader::parse)?,
            reason: read_reason(f)?,
        },
        Kind::Resolve => {
            Action::Resolve { holder: f.need(key::PARTY, Reader::parse)?, reason: read_reason(f)? }
        }
        Kind::Consent => Action::Consent { proposal: read_reference(f)? },
        Kind::Book => Action::Book {
            receiver: f.need(key::PARTY, Reader::parse)?,
            window: f.need(key::WINDOW, Window::read)?,
            factors: f.need(key::FACTORS, |r| {
                let bits = r.u8()?;
                FactorSet::from_bits(bits).ok_or_else(|| r.error("an unknown delivery factor"))
            })?,
        },
        Kind::Offer => Action::Offer {
            to: f.need(key::PARTY, Reader::parse::<PartyId>)?,
            until: Millis(f.need(key::UNTIL, Reader::u64)?),
            terms: f.need(key::DIGEST, Reader::digest)?,
        },
        Kind::Accept => {
            let offer = f.need(key::REFERENCE, Reader::digest).map(EventId)?;
            let seals = read_labels(f)?;
            let count = f.need(key::COUNT, Reader::u32)?;
            let condition = f.need(key::FINDING, Condition::read)?;
            let exceptions =
                f.need(key::EXCEPTIONS, |r| ascending(r, EXCEPTIONS_MAX, ExceptionCode::read))?;
            Action::Accept { offer, count, seals, condition, exceptions }
        }
        Kind::Refuse => Action::Refuse { offer: read_reference(f)?, reason: read_reason(f)? },
        Kind::Cancel => Action::Cancel { offer: read_reference(f)? },
        Kind::Release => Action::Release { hold: read_reference(f)? },
        Kind::Handover => Action::Handover {
            offer: f.need(key::OFFER, |r| read_inner(r, Kind::Offer, depth))?,
            acceptance: f.need(key::ACCEPTANCE, |r| read_inner(r, Kind::Accept, depth))?,
        },
        Kind::Aggregate => Action::Aggregate { children: read_children(f)? },
        Kind::Disaggregate => Action::Disaggregate { children: read_children(f)? },
        Kind::Load => Action::Load { conveyance: f.need(key::CONVEYANCE, Reader::parse)? },
        Kind::Unload => Action::Unload { conveyance: f.need(key::CONVEYANCE, Reader::parse)? },
        Kind::Depart => Action::Depart { conveyance: f.may(key::CONVEYANCE, Reader::parse)? },
        Kind::Observe => Action::Observe { note: f.may(key::DIGEST, Reader::digest)? },
        Kind::SealApply => Action::SealApply { ids: read_some_labels(f)? },
        Kind::SealVerify => Action::SealVerify { ids: read_some_labels(f)? },
        Kind::SealBreak => Action::SealBreak { reason: read_reason(f)? },
        Kind::Hold => Action::Hold { reason: read_reason(f)? },
        Kind::Attempt => Action::Attempt { reason: read_reason(f)? },
        Kind::Return => Action::Return { reason: read_reason(f)? },
        Kind::Readings => {
            let count = f.need(key::COUNT, Reader::u32)?;
            let root = f.need(key::DIGEST, Reader::digest)?;
            let (first, last) = f.need(key::WINDOW, |r| {
                r.array_of(2)?;
                Ok((r.u64()?, r.u64()?))
            })?;
            if last < first {
                return Err(f.from.error("readings that end before they begin"));
            }
            Action::Readings { root, count, first, last }
        }
        Kind::Excursion => Action::Excursion { window: f.need(key::WINDOW, Window::read)? },
        Kind::CloseExcursion => {
            Action::CloseExcursion { verdict: f.need(key::FINDING, Verdict::read)? }
        }
        Kind::Exception => Action::Exception {
            code: f.need(key::REASON, ExceptionCode::read)?,
            evidence: f.need(key::DIGEST, Reader::digest)?,
        },
        Kind::Deliver => Action::Deliver {
            factors: f.need(key::FACTORS, |r| {
                let pair = |r: &mut Reader<'_>| {
                    r.array_of(2)?;
                    Ok((DeliveryFactor::read(r)?, r.digest()?))
                };
                let factors: Vec<(DeliveryFactor, Digest)> =
                    r.list(DeliveryFactor::ALL.len(), pair)?;
                if factors.windows(2).any(|w| w[0].0 >= w[1].0) {
                    return Err(r.error("delivery factors that do not ascend"));
                }
                Ok(factors)
            })?,
        },
        Kind::Correct => read_correction(f, depth)?,
        Kind::Report => Action::Report {
            evidence: f.need(key::OFFER, |r| {
                let bytes = r.bytes()?;
                if !(1..=EVIDENCE_BYTES_MAX).contains(&bytes.len()) {
                    return Err(r.error("evidence that is empty or too long"));
                }
                Ok(Vec::from(bytes))
            })?,
        },
        Kind::Testimony => {
            Action::Testimony { event: f.need(key::OFFER, |r| read_flat(r, depth))? }
        }
        Kind::Revoke => {
            Action::Revoke { suspected_since: f.may(key::UNTIL, Reader::u64)?.map(Millis) }
        }
        Kind::Rotate => f.need(key::DEVICE, |r| {
            r.array_of(3)?;
            let (key, possession) = (SignerKey::read(r)?, Signature(r.bytes_of()?));
            Ok(Action::Rotate { key, possession, first: r.u64()? })
        })?,
        Kind::Propose => Action::Propose {
            until: Millis(f.need(key::UNTIL, Reader::u64)?),
            motion: Box::new(f.need(key::DEVICE, Motion::read)?),
        },
        Kind::Ballot => Action::Ballot {
            proposal: read_reference(f)?,
            approve: f.need(key::FINDING, Reader::bool)?,
        },
        Kind::Enrol => f.need(key::DEVICE, |r| {
            let items = r.array()?;
            if !(5..=6).contains(&items) {
                return Err(r.error(alloc::format!("an array of {items} items, not 5 or 6")));
            }
            Ok(Action::Enrol {
                key: SignerKey::read(r)?,
                possession: Signature(r.bytes_of()?),
                kinds: {
                    let bits = r.u64()?;
                    KindSet::from_bits(bits).ok_or_else(|| r.error("an unknown kind of event"))?
                },
                places: ascending(r, ENROL_SCOPES_MAX, Reader::parse)?,
                classes: ascending(r, UnitClass::ALL.len(), |r| {
                    let prefix = r.text()?;
                    UnitClass::from_prefix(prefix).ok_or_else(|| r.error("an unknown unit class"))
                })?,
                until: if items == 6 { Some(Millis(r.u64()?)) } else { None },
            })
        })?,
    })
}

fn read_reference(f: &mut Fields<'_, '_>) -> Result<EventId, DecodeError> {
    f.need(key::REFERENCE, Reader::digest).map(EventId)
}

fn read_reason(f: &mut Fields<'_, '_>) -> Result<Reason, DecodeError> {
    f.need(key::REASON, Reason::read)
}

fn read_labels(f: &mut Fields<'_, '_>) -> Result<Vec<Label>, DecodeError> {
    f.need(key::SEALS, |r| ascending(r, SEALS_MAX, Reader::parse))
}

fn read_some_labels(f: &mut Fields<'_, '_>) -> Result<Vec<Label>, DecodeError> {
    let labels = read_labels(f)?;
    if labels.is_empty() { Err(f.from.error("no seal is named")) } else { Ok(labels) }
}

fn read_children(f: &mut Fields<'_, '_>) -> Result<Vec<crate::unit::UnitId>, DecodeError> {
    let children = f.need(key::CHILDREN, |r| ascending(r, CHILDREN_MAX, Reader::parse))?;
    if children.is_empty() { Err(f.from.error("no child is named")) } else { Ok(children) }
}

/// A list in strictly ascending order: a set has one encoding.
fn ascending<'a, T: Ord>(
    from: &mut Reader<'a>,
    max: usize,
    item: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let items = from.list(max, item)?;
    if items.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(from.error("a list that does not ascend"));
    }
    Ok(items)
}

/// A signed event inside of another: of the expected kind, and no deeper.
fn read_inner(
    from: &mut Reader<'_>,
    kind: Kind,
    depth: u8,
) -> Result<Box<SignedEvent>, DecodeError> {
    let inner = read_any_inner(from, depth)?;
    if inner.event().action.kind() != kind {
        return Err(from.error(alloc::format!("the inner event is not of kind {kind}")));
    }
    Ok(inner)
}

/// What a testimony holds, or a correction: of any kind that holds nothing itself.
fn read_flat(from: &mut Reader<'_>, depth: u8) -> Result<Box<SignedEvent>, DecodeError> {
    let inner = read_any_inner(from, depth)?;
    let kind = inner.event().action.kind();
    if kind.is_nested() {
        return Err(from.error(alloc::format!("an event of kind {kind} inside of another")));
    }
    Ok(inner)
}

fn read_correction(f: &mut Fields<'_, '_>, depth: u8) -> Result<Action, DecodeError> {
    let right = f.may(key::DIGEST, Reader::digest)?;
    let fix = f.need(key::FINDING, Fix::read)?;
    let first = f.need(key::OFFER, |r| read_flat(r, depth))?;
    let second = f.may(key::ACCEPTANCE, |r| read_inner(r, Kind::Accept, depth))?;
    let (original, offer) = match second {
        Some(acceptance) => (acceptance, Some(first)),
        None => (first, None),
    };
    let of = match &original.event().action {
        Action::Accept { offer, .. } => Some(*offer),
        _ => None,
    };
    let is_offer = |offer: &SignedEvent| offer.event().action.kind() == Kind::Offer;
    // Without the offer nobody knows whose consent the correction of its acceptance needs.
    if of != offer.as_ref().map(|offer| offer.id()) || !offer.as_deref().is_none_or(is_offer) {
        return Err(f.from.error("an acceptance without the offer that it names"));
    }
    Ok(Action::Correct { original, offer, fix, right })
}

fn read_any_inner(from: &mut Reader<'_>, depth: u8) -> Result<Box<SignedEvent>, DecodeError> {
    if depth > 0 {
        return Err(from.error("a signed event inside of one that is inside already"));
    }
    let bytes = from.bytes()?;
    if bytes.len() > EVENT_BYTES_MAX {
        let (what, bytes, max) = (SignedEvent::WHAT, bytes.len(), EVENT_BYTES_MAX);
        return Err(DecodeError::TooLong { what, bytes, max });
    }
    Ok(Box::new(SignedEvent::decode_at(bytes, depth + 1)?))
}
