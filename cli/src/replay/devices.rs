//! The devices of a replay: enrolled once, kept with the network.
//!
//! Their labels tell the traffic, because a device's numbers belong to one plan: two different
//! replays on one network share no device.

use std::collections::BTreeMap;
use std::time::Duration;

use consign_rpc::params::Wait;
use consign_types::event::{Kind, SignedEvent};

use super::conductor::Nodes;
use super::plan::{DEVICES, DeviceSlot, Plan, Role};
use super::sign::{Device, party};
use crate::devnet::devices::DeviceBook;
use crate::devnet::home::Devnet;
use crate::failure::{Exit, Failure};
use crate::node::{Node, failure, timed_out};

const PATIENCE: Duration = Duration::from_secs(60);

/// What the devices of a role may sign: no more than the plan has them do.
pub const fn kinds(role: Role) -> &'static [Kind] {
    match role {
        Role::Forwarder => &[Kind::Register, Kind::Offer],
        Role::Airline => &[Kind::Offer, Kind::Accept, Kind::Depart, Kind::Arrive],
        Role::Handler => &[Kind::Register, Kind::Offer, Kind::Accept, Kind::Aggregate],
        Role::Consignee => &[Kind::Accept],
    }
}

/// The devices that `plan` needs, proven to be enrolled.
///
/// # Errors
/// When an enrolment is refused, or takes too long.
pub(super) async fn enrolled(
    devnet: &Devnet,
    nodes: &Nodes,
    plan: &Plan,
    synthetic: bool,
) -> Result<BTreeMap<DeviceSlot, Device>, Failure> {
    let network = devnet.genesis().network();
    let mut devices = BTreeMap::new();
    for (role, node) in nodes {
        let mut book = DeviceBook::open(devnet.layout(), &party(*role))?;
        let mut enrolments = Vec::new();
        for index in 0..DEVICES {
            let source = if synthetic { "syn" } else { "c2k" };
            let label = format!("{source}-{:06}-{:02}", plan.data_set, index + 1);
            book.ensure(&label, kinds(*role))?;
            enrolments.push(book.enrolment(network, &label)?);
            devices.insert(DeviceSlot { role: *role, index }, book.device(&label)?);
        }
        enrol(node, &enrolments).await?;
    }
    Ok(devices)
}

/// Sends enrolments, and waits until each is proven. Those that are, are duplicates.
///
/// # Errors
/// When one is refused, or the wait takes too long.
pub async fn enrol(node: &Node, enrolments: &[SignedEvent]) -> Result<(), Failure> {
    let since = std::time::Instant::now();
    let bytes: Vec<&[u8]> = enrolments.iter().map(SignedEvent::bytes).collect();
    while since.elapsed() < PATIENCE {
        let wait_ms = u64::try_from(PATIENCE.as_millis()).ok();
        let items = node.client().submit_batch(&bytes, Wait::Proven, wait_ms).await;
        let items = items.map_err(|e| failure(node.url(), e))?;
        let mut open = false;
        for item in items {
            match item.into_result() {
                Ok(submitted) => open |= !submitted.status.is_proven(),
                Err(e) if e.retryable => open = true,
                Err(e) => {
                    let code = e.code.as_deref().unwrap_or(e.kind.as_str());
                    return Err(Failure::new(Exit::Refused, code, &e.message, &e.help));
                }
            }
        }
        if !open {
            return Ok(());
        }
    }
    Err(timed_out(node.url(), "the enrolment of devices", PATIENCE))
}
