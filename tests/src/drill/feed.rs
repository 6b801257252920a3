//! Events that come in all the time, while something else is done to the network.

use consign_rpc::client::Client;
use consign_rpc::params::Wait;
use consign_types::event::{Action, SignedEvent};
use consign_types::party::PartyId;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Drill;
use super::device::Device;

/// Somebody who registers one unit after the other, each as soon as the one before is committed: there is always
/// something to decide.
pub struct Feed {
    end: oneshot::Sender<()>,
    task: JoinHandle<Vec<SignedEvent>>,
}

impl Drill {
    /// Has `device` register units at the node of `party`, which must stay up.
    pub fn feed(&self, party: &PartyId, device: Device) -> Feed {
        let (end, ended) = oneshot::channel();
        Feed { end, task: tokio::spawn(register(self.client(party), device, ended)) }
    }
}

impl Feed {
    /// Ends it. What it brought is looked for at the end of the drill.
    ///
    /// # Panics
    /// When the node refused an event, or did not commit one.
    pub async fn end(self, drill: &mut Drill) {
        self.end.send(()).expect("it goes on until it is told");
        for event in self.task.await.expect("every event was committed") {
            drill.note_proven(&event);
        }
    }
}

async fn register(
    client: Client,
    device: Device,
    mut ended: oneshot::Receiver<()>,
) -> Vec<SignedEvent> {
    let mut events: Vec<SignedEvent> = Vec::new();
    while ended.try_recv().is_err() {
        let number = events.len() as u64 + 1;
        let unit = format!("trk/{}/FED-{number}", device.keyed.id.party());
        let event = device.signs(number, &unit, Action::Register);
        let sent = client.submit_event(event.bytes(), Wait::Committed, Some(60_000)).await;
        let status = sent.unwrap_or_else(|e| panic!("event {number} is refused: {e}")).status;
        assert!(status.is_committed(), "event {number} is not committed: {status:?}");
        events.push(event);
    }
    events
}
