//! The smoke event: one unit registered, to see that the network does its work.

use std::time::{Duration, Instant};

use consign_rpc::params::{GetEventStatus, Wait};
use consign_rpc::views::EventStatus;
use consign_types::digest::EventId;
use consign_types::event::{Action, Event, Kind, SignedEvent, Subject};

use super::devices::DeviceBook;
use super::home::{Devnet, NodeHome};
use crate::failure::{Exit, Failure};
use crate::instant;
use crate::node::{Node, failure, timed_out};
use crate::replay::enrol;

const LABEL: &str = "smoke";
const POLL: Duration = Duration::from_millis(20);

/// Sees to it that the party's smoke device is enrolled.
///
/// # Errors
/// When the enrolment is refused or takes too long.
pub(super) async fn enrolled(devnet: &Devnet, home: &NodeHome) -> Result<(), Failure> {
    let mut book = DeviceBook::open(devnet.layout(), &home.party)?;
    book.ensure(LABEL, &[Kind::Register])?;
    let enrolment = book.enrolment(devnet.genesis().network(), LABEL)?;
    enrol(&Node::new(&home.url)?, &[enrolment]).await
}

/// Sends a smoke event through the party's node, which takes it into its pool.
///
/// # Errors
/// When the node does not answer, or refuses it.
pub(super) async fn send(devnet: &Devnet, home: &NodeHome) -> Result<EventId, Failure> {
    let mut book = DeviceBook::open(devnet.layout(), &home.party)?;
    let number = book.take_number(LABEL)?;
    let device = book.device(LABEL)?;
    let unit = format!("trk/{}/SMOKE-{number}", home.party);
    let unit = unit.parse().map_err(|e| Failure::operational("defect", e, "report this"))?;
    let event = Event {
        network: devnet.genesis().network(),
        signer: device.id,
        subject: Subject::Unit(unit),
        sequence: number,
        floor: 0,
        time: instant::now(),
        place: Some(place()?),
        basis: None,
        action: Action::Register,
    };
    let signed = SignedEvent::sign(event, &device.key);
    let node = Node::new(&home.url)?;
    let sent = node.client().submit_event(signed.bytes(), Wait::Accepted, None).await;
    match sent.map_err(|e| failure(node.url(), e))?.status {
        EventStatus::Refused { code, message, .. } => {
            Err(Failure::new(Exit::Refused, &code, message, "look at the node's log"))
        }
        _ => Ok(signed.id()),
    }
}

/// Waits until `event` is proven on every one of `homes`; answers with the time that it took.
///
/// # Errors
/// Which node does not prove it.
pub(super) async fn proven_on(
    homes: &[&NodeHome],
    event: EventId,
    patience: Duration,
) -> Result<Duration, Failure> {
    let since = Instant::now();
    for home in homes {
        let node = Node::new(&home.url)?;
        loop {
            let status = node.call(GetEventStatus { event_id: event.into() }).await;
            match status {
                Ok(EventStatus::Proven { .. }) => break,
                Ok(EventStatus::Refused { code, message, .. }) => {
                    return Err(Failure::new(
                        Exit::Refused,
                        &code,
                        message,
                        "look at the node's log",
                    ));
                }
                _ if since.elapsed() > patience => {
                    return Err(timed_out(home.party.as_str(), "an event to be proven", patience));
                }
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }
    Ok(since.elapsed())
}

/// A GLN of GS1's demonstration prefix.
fn place() -> Result<consign_types::place::Place, Failure> {
    consign_types::place::Place::gln("952100000000")
        .map_err(|e| Failure::operational("defect", e, "report this"))
}
