//! What the network has for the node: a bounded queue for each class, so that a flood of one class
//! never holds up another. A full queue stops the reading of its streams, and so the peer.

use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedReceiver, UnboundedSender};

use super::{Class, NetEvent};

/// Requests that wait for the node; one more is not answered.
const REQUESTS_MAX: usize = 64;

/// Where the node takes what came.
#[derive(Debug)]
pub struct Inbox {
    /// Who came and went: as many as there are handshakes of known peers.
    comings: UnboundedReceiver<NetEvent>,
    requests: Receiver<NetEvent>,
    by_class: [Receiver<NetEvent>; 4],
}

/// Where the network puts what came.
#[derive(Clone)]
pub(super) struct Outlets {
    pub(super) comings: UnboundedSender<NetEvent>,
    pub(super) requests: Sender<NetEvent>,
    by_class: [Sender<NetEvent>; 4],
}

pub(super) fn queues() -> (Outlets, Inbox) {
    let (comings, comings_rx) = mpsc::unbounded_channel();
    let (requests, requests_rx) = mpsc::channel(REQUESTS_MAX);
    let (senders, receivers): (Vec<_>, Vec<_>) =
        Class::ALL.iter().map(|class| mpsc::channel(class.inbound_max())).unzip();
    let four = "there is a queue for each class";
    let outlets =
        Outlets { comings, requests, by_class: senders.try_into().map_err(|_| four).expect(four) };
    let inbox = Inbox {
        comings: comings_rx,
        requests: requests_rx,
        by_class: receivers.try_into().map_err(|_| four).expect(four),
    };
    (outlets, inbox)
}

impl Outlets {
    pub(super) const fn class(&self, class: Class) -> &Sender<NetEvent> {
        &self.by_class[class.index()]
    }
}

impl Inbox {
    /// Takes nothing more: whoever sends finds the node gone.
    pub fn close(&mut self) {
        self.comings.close();
        self.requests.close();
        self.by_class.iter_mut().for_each(Receiver::close);
    }

    /// What is next: the smaller and more urgent classes first. `None` once the network has ended.
    pub async fn recv(&mut self) -> Option<NetEvent> {
        let [consensus, pool, cosignature, status] = &mut self.by_class;
        tokio::select! {
            biased;
            Some(event) = self.comings.recv() => Some(event),
            Some(event) = consensus.recv() => Some(event),
            Some(event) = cosignature.recv() => Some(event),
            Some(event) = status.recv() => Some(event),
            Some(event) = self.requests.recv() => Some(event),
            Some(event) = pool.recv() => Some(event),
            else => None,
        }
    }
}
