//! From a plan to signed events.
//!
//! References between events are their ids, and an id is known once an event is signed: so steps are
//! signed in their order, each looking up those it names.

use std::collections::BTreeMap;

use consign_types::digest::{EventId, NetworkId};
use consign_types::event::{Action, Condition, Event, SignedEvent, Subject};
use consign_types::party::{PartyId, SignerId};
use consign_types::signer_key::SignerSecret;
use consign_types::time::Millis;

use super::plan::{Deed, DeviceSlot, Plan, Role, Step};
use crate::failure::Failure;

/// Offers of a replay stand until 2100: their device times are made up, block time is not.
const UNTIL: Millis = Millis(4_102_444_800_000);

/// A device that signs for a slot.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its name.
    pub id: SignerId,
    /// Its key.
    pub key: SignerSecret,
}

/// The events of `plan` on `network`, step by step.
///
/// # Errors
/// When a device of the plan is missing.
pub fn sign(
    plan: &Plan,
    network: NetworkId,
    devices: &BTreeMap<DeviceSlot, Device>,
) -> Result<Vec<SignedEvent>, Failure> {
    let mut signed: Vec<SignedEvent> = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        let device = devices.get(&step.device).ok_or_else(|| {
            let message = format!("{} has no device {}", step.device.role, step.device.index);
            Failure::operational("device_missing", message, "run `consign devnet up` first")
        })?;
        signed.push(SignedEvent::sign(event(step, network, device, &signed), &device.key));
    }
    Ok(signed)
}

fn event(step: &Step, network: NetworkId, device: &Device, signed: &[SignedEvent]) -> Event {
    // A plan's references are to earlier steps: its constructor asserts it.
    let id = |at: super::plan::StepIndex| -> EventId { signed[at.0].id() };
    let basis = match &step.deed {
        Deed::Offer { basis, .. } => Some(id(*basis)),
        _ => None,
    };
    let action = match &step.deed {
        Deed::Register => Action::Register,
        Deed::Offer { to, terms, .. } => {
            Action::Offer { to: party(*to), until: UNTIL, terms: *terms }
        }
        Deed::Accept(offer) => Action::Accept {
            offer: id(*offer),
            count: 1,
            seals: Vec::new(),
            condition: Condition::Sound,
            exceptions: Vec::new(),
        },
        Deed::Depart => Action::Depart { conveyance: None },
        Deed::Arrive => Action::Arrive,
        Deed::Aggregate(children) => Action::Aggregate { children: children.clone() },
    };
    Event {
        network,
        signer: device.id.clone(),
        subject: Subject::Unit(step.unit.clone()),
        sequence: step.sequence,
        floor: 0,
        time: step.time,
        place: Some(step.place.clone()),
        basis,
        action,
    }
}

/// The party that plays a role.
///
/// # Panics
/// Never: the names are names.
pub fn party(role: Role) -> PartyId {
    role.party().parse().expect("a role is named as a party")
}
