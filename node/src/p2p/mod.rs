//! The peer-to-peer network: one libp2p swarm, a full mesh of few, known peers.
//!
//! Only members' keys are admitted, at the handshake; TCP with noise, and QUIC. Each class of message
//! has a long-lived stream of its own to each peer, in order, so that bulk never delays a vote.
//! Everything is bounded: frames, queues, connections. A peer that overruns a bound is disconnected.
//!
//! Delivery is not promised: what matters is repeated by who sends it. `libp2p-stream` carries the
//! streams: it is the maintainers' own crate for exactly this, pinned to its version.

mod inbox;
mod pending;
mod request;
mod streams;
mod swarm;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use consign_types::key::{PublicKey, SecretKey};
use consign_types::party::PartyId;
use libp2p::PeerId;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub use inbox::Inbox;

/// What a network is started with.
pub struct NetConfig {
    /// The node's network key: its identity.
    pub secret: SecretKey,
    /// Multiaddresses to listen on.
    pub listen: Vec<String>,
    /// Who may connect, and where they are.
    pub peers: Vec<PeerConfig>,
    /// Bounds.
    pub limits: NetLimits,
}

/// A peer that may connect.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// Its network key.
    pub key: PublicKey,
    /// Whose node it is.
    pub party: PartyId,
    /// Multiaddresses, without the peer id.
    pub addresses: Vec<String>,
}

/// Bounds that concern this node alone.
#[derive(Clone, Copy, Debug)]
pub struct NetLimits {
    /// Longest pause between two attempts to reach a peer.
    pub dial_backoff_max: Duration,
}

impl Default for NetLimits {
    fn default() -> Self {
        Self { dial_backoff_max: Duration::from_secs(10) }
    }
}

/// What a message is about; each class has a stream and bounds of its own.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Class {
    /// Proposals and votes.
    Consensus,
    /// Events and block bodies.
    Pool,
    /// Cosignatures.
    Cosignature,
    /// Where a node stands.
    Status,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 4] = [Self::Consensus, Self::Pool, Self::Cosignature, Self::Status];

    /// Name of its protocol.
    const fn protocol(self) -> &'static str {
        match self {
            Self::Consensus => "/consign/consensus/1",
            Self::Pool => "/consign/pool/1",
            Self::Cosignature => "/consign/cosignature/1",
            Self::Status => "/consign/status/1",
        }
    }

    /// Longest message, bytes.
    pub const fn bytes_max(self) -> usize {
        match self {
            Self::Consensus => 64 * 1024,
            Self::Pool => 1024 * 1024,
            Self::Cosignature | Self::Status => 4 * 1024,
        }
    }

    /// Messages that wait for one peer; with [`Self::bytes_max`], a bound in bytes.
    const fn queue_max(self) -> usize {
        match self {
            Self::Consensus => 1_024,
            Self::Pool => 128,
            Self::Cosignature | Self::Status => 64,
        }
    }

    /// Messages of all peers that wait for the node.
    const fn inbound_max(self) -> usize {
        match self {
            Self::Consensus => 1_024,
            Self::Pool => 32,
            Self::Cosignature | Self::Status => 256,
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// What the network tells the node.
#[derive(Debug)]
pub enum NetEvent {
    /// A peer is connected.
    Connected(PublicKey),
    /// A peer is gone.
    Disconnected(PublicKey),
    /// A message.
    Message {
        /// Who sent it.
        from: PublicKey,
        /// What it is about.
        class: Class,
        /// Its bytes.
        bytes: Bytes,
    },
    /// A request that wants an answer.
    Request {
        /// Who asks.
        from: PublicKey,
        /// Its bytes.
        bytes: Bytes,
        /// Where the answer goes.
        reply: Reply,
    },
    /// An address that this node listens on.
    Listening(String),
}

/// Where an answer goes. Dropped without one, the asker's request fails.
#[derive(Debug)]
pub struct Reply(oneshot::Sender<Bytes>);

impl Reply {
    /// Answers.
    pub fn send(self, bytes: Bytes) {
        // The asker may have given up.
        let _ = self.0.send(bytes);
    }
}

/// Why the network could not start, or a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// An address that is none, or cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(String, String),
    /// The swarm could not be made.
    #[error("cannot set up the transport: {0}")]
    Transport(String),
    /// The peer is not connected.
    #[error("the peer is not connected")]
    NotConnected,
    /// The peer did not answer in time, or refused.
    #[error("the peer did not answer")]
    NoAnswer,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetStats {
    /// Peers connected.
    pub connected: usize,
    /// Bytes of messages sent.
    pub bytes_out: u64,
    /// Bytes of messages received.
    pub bytes_in: u64,
    /// Handshakes of unknown peers refused.
    pub refused: u64,
    /// Messages dropped because a queue was full.
    pub dropped: u64,
}

#[derive(Default)]
struct Counters {
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
}

/// A peer's outgoing queues, while it is connected.
struct Queues {
    key: PublicKey,
    by_class: [mpsc::Sender<Bytes>; 4],
}

type Connected = Arc<RwLock<HashMap<PeerId, Queues>>>;
/// Who may connect. A stream may be there before its connection is noted, so streams are judged by this.
type Allowed = Arc<RwLock<HashMap<PeerId, PublicKey>>>;

enum Command {
    Request { to: PeerId, bytes: Bytes, answer: oneshot::Sender<Bytes> },
    Disconnect(PeerId),
    HangUp(PeerId),
    Allow(Vec<PeerConfig>),
    Shutdown,
}

/// A handle on the network; cheap to clone.
#[derive(Clone)]
pub struct NetHandle {
    commands: mpsc::UnboundedSender<Command>,
    connected: Connected,
    allowed: Allowed,
    counters: Arc<Counters>,
}

impl NetHandle {
    /// Sends one way. Never waits: what a full queue or an absent peer would need is dropped and counted.
    pub fn send(&self, to: &PublicKey, class: Class, bytes: Bytes) {
        let connected = self.connected.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(queues) = connected.get(&peer_id(to)) {
            self.enqueue(queues, class, bytes);
        }
    }

    /// Sends one way to every connected peer.
    pub fn broadcast(&self, class: Class, bytes: Bytes) {
        let connected = self.connected.read().unwrap_or_else(PoisonError::into_inner);
        for queues in connected.values() {
            self.enqueue(queues, class, bytes.clone());
        }
    }

    fn enqueue(&self, queues: &Queues, class: Class, bytes: Bytes) {
        assert!(bytes.len() <= class.bytes_max(), "a {class:?} message of {} bytes", bytes.len());
        if queues.by_class[class.index()].try_send(bytes).is_err() {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Asks `to`, and waits for the answer no longer than `timeout`.
    ///
    /// # Errors
    /// When the peer is not connected or does not answer in time.
    pub async fn request(
        &self,
        to: &PublicKey,
        bytes: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, NetError> {
        let to = peer_id(to);
        if !self.connected.read().unwrap_or_else(PoisonError::into_inner).contains_key(&to) {
            return Err(NetError::NotConnected);
        }
        let (answer, answered) = oneshot::channel();
        let command = Command::Request { to, bytes, answer };
        self.commands.send(command).map_err(|_| NetError::NotConnected)?;
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(bytes)) => Ok(bytes),
            _ => Err(NetError::NoAnswer),
        }
    }

    /// Peers connected now, in the order of their keys.
    pub fn connected(&self) -> Vec<PublicKey> {
        let connected = self.connected.read().unwrap_or_else(PoisonError::into_inner);
        let mut keys: Vec<_> = connected.values().map(|queues| queues.key).collect();
        keys.sort_unstable();
        keys
    }

    /// Replaces the list of who may connect; who is no longer on it is cut off.
    pub fn allow(&self, peers: Vec<PeerConfig>) {
        // Where the swarm is gone there is nobody to cut off.
        let _ = self.commands.send(Command::Allow(peers));
    }

    /// Ends the connections with `peer`, and dials it only after the longest pause.
    pub fn hang_up(&self, peer: &PublicKey) {
        let _ = self.commands.send(Command::HangUp(peer_id(peer)));
    }

    /// Ends the network.
    pub fn shutdown(&self) {
        let _ = self.commands.send(Command::Shutdown);
    }

    /// Counts a message that came and that the node had no room for.
    pub fn count_dropped(&self) {
        self.counters.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted.
    pub fn stats(&self) -> NetStats {
        NetStats {
            connected: self.connected.read().unwrap_or_else(PoisonError::into_inner).len(),
            bytes_out: self.counters.bytes_out.load(Ordering::Relaxed),
            bytes_in: self.counters.bytes_in.load(Ordering::Relaxed),
            refused: self.counters.refused.load(Ordering::Relaxed),
            dropped: self.counters.dropped.load(Ordering::Relaxed),
        }
    }
}

/// Starts the network on the present tokio runtime.
///
/// # Errors
/// When an address cannot be listened on.
pub fn start(config: NetConfig) -> Result<(NetHandle, Inbox, JoinHandle<()>), NetError> {
    let (commands, commands_rx) = mpsc::unbounded_channel();
    let (outlets, inbox) = inbox::queues();
    let handle = NetHandle {
        commands,
        connected: Connected::default(),
        allowed: Allowed::default(),
        counters: Arc::new(Counters::default()),
    };
    let swarm = swarm::Network::new(&config, handle.clone(), outlets)?;
    let task = tokio::spawn(swarm.run(commands_rx));
    Ok((handle, inbox, task))
}

/// The libp2p name of a network key.
pub fn peer_id(key: &PublicKey) -> PeerId {
    let key = libp2p::identity::ed25519::PublicKey::try_from_bytes(key.as_bytes());
    let key = key.expect("a public key of ours is a canonical point");
    libp2p::identity::PublicKey::from(key).to_peer_id()
}
