//! The task that owns the swarm: who may connect, who is dialled, who is there.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use consign_types::key::PublicKey;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use libp2p::allow_block_list::{AllowedPeers, Behaviour as AllowList};
use libp2p::connection_limits::{Behaviour as Limits, ConnectionLimits};
use libp2p::request_response::{
    Event as RequestEvent, Message, OutboundRequestId, ResponseChannel,
};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ListenError, NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, noise, ping, tcp, yamux};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};

use consign_types::causes::on_one_line;

use super::inbox::Outlets;
use super::pending::{Pending, TooMany};
use super::{
    Class, Command, NetConfig, NetError, NetEvent, NetHandle, PeerConfig, Queues, Reply, peer_id,
    request, streams,
};

/// Connections of one peer: two, because both sides may dial at once.
const CONNECTIONS_PER_PEER_MAX: u32 = 2;
/// How often absent peers are looked at.
const DIAL_TICK: Duration = Duration::from_millis(200);
/// A connection whose ping fails is dead: noticed within 15 s.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(8);
/// Streams live as long as their connection.
const IDLE_FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

#[derive(NetworkBehaviour)]
struct Behaviour {
    allowed: AllowList<AllowedPeers>,
    limits: Limits,
    pending: Pending,
    ping: ping::Behaviour,
    streams: libp2p_stream::Behaviour,
    requests: libp2p::request_response::Behaviour<request::Frames>,
}

/// An answer of this node that is not ready yet; `None` where none came.
type LateReply = BoxFuture<'static, Option<(ResponseChannel<Bytes>, Bytes)>>;

struct Known {
    key: PublicKey,
    addresses: Vec<Multiaddr>,
    next_dial: Instant,
    pause: Duration,
}

/// The network's one task.
pub struct Network {
    swarm: Swarm<Behaviour>,
    handle: NetHandle,
    outlets: Outlets,
    known: HashMap<PeerId, Known>,
    answers: HashMap<OutboundRequestId, oneshot::Sender<Bytes>>,
    /// Answers of this node that are not ready yet.
    replies: FuturesUnordered<LateReply>,
    pause_max: Duration,
    /// When it was last said that handshakes were refused for want of room.
    said_crowded: Option<Instant>,
}

impl Network {
    /// A network that listens already.
    pub fn new(config: &NetConfig, handle: NetHandle, outlets: Outlets) -> Result<Self, NetError> {
        let mut seed = config.secret.to_seed();
        let transport = |e: &dyn std::fmt::Display| NetError::Transport(e.to_string());
        let keypair =
            libp2p::identity::Keypair::ed25519_from_bytes(&mut *seed).map_err(|e| transport(&e))?;
        let limits = ConnectionLimits::default()
            .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX));
        let ping = ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT);
        let mut swarm = libp2p::SwarmBuilder::with_existing_identity(keypair)
            .with_tokio()
            .with_tcp(
                tcp::Config::default().nodelay(true),
                noise::Config::new,
                yamux::Config::default,
            )
            .map_err(|e| transport(&e))?
            .with_quic()
            .with_behaviour(|_| Behaviour {
                allowed: AllowList::default(),
                limits: Limits::new(limits),
                pending: Pending::default(),
                ping: ping::Behaviour::new(ping),
                streams: libp2p_stream::Behaviour::new(),
                requests: request::behaviour(),
            })
            .map_err(|e| transport(&e))?
            .with_swarm_config(|c| c.with_idle_connection_timeout(IDLE_FOR_EVER))
            .build();
        for address in &config.listen {
            let failed = |why: String| NetError::Listen(address.clone(), why);
            let parsed: Multiaddr = address.parse().map_err(|e| failed(format!("{e}")))?;
            swarm.listen_on(parsed).map_err(|e| failed(on_one_line(&e)))?;
        }
        let mut network = Self {
            swarm,
            handle,
            outlets,
            known: HashMap::new(),
            answers: HashMap::new(),
            replies: FuturesUnordered::new(),
            pause_max: config.limits.dial_backoff_max,
            said_crowded: None,
        };
        network.allow(config.peers.clone());
        network.accept_streams()?;
        Ok(network)
    }

    fn accept_streams(&self) -> Result<(), NetError> {
        for class in Class::ALL {
            let mut control = self.swarm.behaviour().streams.new_control();
            let incoming = control
                .accept(StreamProtocol::new(class.protocol()))
                .map_err(|e| NetError::Transport(e.to_string()))?;
            let (handle, outlets) = (self.handle.clone(), self.outlets.clone());
            tokio::spawn(streams::accept(incoming, class, handle, outlets));
        }
        Ok(())
    }

    /// Serves until it is told to stop or every handle is gone.
    pub async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut tick = tokio::time::interval(DIAL_TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm(event),
                command = commands.recv() => match command {
                    Some(Command::Request { to, bytes, answer }) => {
                        let id = self.swarm.behaviour_mut().requests.send_request(&to, bytes);
                        self.answers.insert(id, answer);
                    }
                    Some(Command::Allow(peers)) => self.allow(peers),
                    Some(Command::Disconnect(peer)) => {
                        // Gone already is as good.
                        let _ = self.swarm.disconnect_peer_id(peer);
                    }
                    Some(Command::HangUp(peer)) => {
                        if let Some(known) = self.known.get_mut(&peer) {
                            known.pause = self.pause_max;
                            known.next_dial = Instant::now() + self.pause_max;
                        }
                        let _ = self.swarm.disconnect_peer_id(peer);
                    }
                    Some(Command::Shutdown) | None => return,
                },
                Some(reply) = self.replies.next(), if !self.replies.is_empty() => {
                    if let Some((channel, bytes)) = reply {
                        // The asker may be gone.
                        let _ = self.swarm.behaviour_mut().requests.send_response(channel, bytes);
                    }
                }
                _ = tick.tick() => self.dial_absent(),
            }
        }
    }

    fn allow(&mut self, peers: Vec<PeerConfig>) {
        let mut listed: HashMap<PeerId, PeerConfig> =
            peers.into_iter().map(|peer| (peer_id(&peer.key), peer)).collect();
        let gone: Vec<_> =
            self.known.keys().filter(|id| !listed.contains_key(*id)).copied().collect();
        for id in gone {
            self.known.remove(&id);
            // Disallowing closes the connections that there are.
            self.swarm.behaviour_mut().allowed.disallow_peer(id);
        }
        for (id, peer) in listed.drain() {
            self.swarm.behaviour_mut().allowed.allow_peer(id);
            let addresses = peer.addresses.iter().filter_map(|a| a.parse().ok()).collect();
            let now = Instant::now();
            let known = Known { key: peer.key, addresses, next_dial: now, pause: DIAL_TICK };
            self.known.insert(id, known);
        }
        let addresses = self.known.values().flat_map(|known| &known.addresses);
        self.swarm.behaviour_mut().pending.list(addresses);
        let allowed = self.known.iter().map(|(id, known)| (*id, known.key)).collect();
        *self.handle.allowed.write().unwrap_or_else(PoisonError::into_inner) = allowed;
    }

    fn dial_absent(&mut self) {
        let now = Instant::now();
        let own = *self.swarm.local_peer_id();
        for (id, known) in &mut self.known {
            let there = self.swarm.is_connected(id);
            if there {
                known.pause = DIAL_TICK;
                // Whose id is the smaller dials first; the other lets it.
                let patience = if own < *id { Duration::ZERO } else { Duration::from_secs(1) };
                known.next_dial = now + patience;
                continue;
            }
            if known.addresses.is_empty() || known.next_dial > now {
                continue;
            }
            // Spread over half the pause, so that nodes that restart together do not dial together.
            let spread = u32::from(id.to_bytes().last().copied().unwrap_or_default());
            known.next_dial = now + known.pause + known.pause * spread / 512;
            known.pause = (known.pause * 2).min(self.pause_max);
            let options = DialOpts::peer_id(*id)
                .addresses(known.addresses.clone())
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .build();
            if let Err(error) = self.swarm.dial(options) {
                debug!(code = "net.dial.skipped", peer = %id, error = %error);
            }
        }
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => {
                self.came(NetEvent::Listening(address.to_string()));
            }
            SwarmEvent::ConnectionEstablished { peer_id, num_established, .. }
                if num_established.get() == 1 =>
            {
                self.on_connected(peer_id);
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                let gone = self
                    .handle
                    .connected
                    .write()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&peer_id);
                if let Some(queues) = gone {
                    self.came(NetEvent::Disconnected(queues.key));
                }
            }
            SwarmEvent::IncomingConnectionError { error, send_back_addr, .. } => {
                let why = on_one_line(&error);
                if let ListenError::Denied { cause } = &error
                    && cause.downcast_ref::<TooMany>().is_some()
                {
                    self.say_crowded(&send_back_addr, &why);
                } else if matches!(error, ListenError::Denied { .. }) {
                    self.handle.counters.refused.fetch_add(1, Ordering::Relaxed);
                    info!(code = "net.peer.refused", from = %send_back_addr, why);
                } else {
                    debug!(code = "net.handshake.failed", from = %send_back_addr, why);
                }
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                debug!(code = "net.dial.failed", peer = ?peer_id, error = %error);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event {
                connection,
                result: Err(error),
                peer,
            })) => {
                warn!(code = "net.ping.failed", peer = %peer, error = %error);
                self.swarm.close_connection(connection);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Requests(event)) => self.on_request(event),
            _ => {}
        }
    }

    /// Many are refused in a row where one is: it is said once in a while.
    fn say_crowded(&mut self, from: &Multiaddr, why: &str) {
        const EVERY: Duration = Duration::from_secs(60);
        if self.said_crowded.is_none_or(|at| at.elapsed() >= EVERY) {
            self.said_crowded = Some(Instant::now());
            warn!(code = "net.handshakes.crowded", from = %from, why,
                help = "keep the peer-to-peer port to the members' addresses in a firewall");
        }
    }

    fn on_connected(&mut self, peer: PeerId) {
        let Some(known) = self.known.get(&peer) else { return };
        let key = known.key;
        let by_class = Class::ALL.map(|class| {
            let (sender, queue) = mpsc::channel(class.queue_max());
            let control = self.swarm.behaviour().streams.new_control();
            let counters = Arc::clone(&self.handle.counters);
            tokio::spawn(streams::write(control, peer, class, queue, counters));
            sender
        });
        self.handle
            .connected
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(peer, Queues { key, by_class });
        self.came(NetEvent::Connected(key));
    }

    fn came(&self, event: NetEvent) {
        // Nobody listens any more once the node stops.
        let _ = self.outlets.comings.send(event);
    }

    fn on_request(&mut self, event: RequestEvent<Bytes, Bytes>) {
        match event {
            RequestEvent::Message { peer, message, .. } => match message {
                Message::Request { request, channel, .. } => {
                    let Some(known) = self.known.get(&peer) else { return };
                    let (reply, answered) = oneshot::channel();
                    let from = known.key;
                    let event = NetEvent::Request { from, bytes: request, reply: Reply(reply) };
                    // Dropped without an answer, the request fails at its asker.
                    if self.outlets.requests.try_send(event).is_err() {
                        debug!(code = "net.request.refused", peer = %peer);
                        return;
                    }
                    self.replies.push(Box::pin(async move {
                        answered.await.ok().map(|bytes| (channel, bytes))
                    }));
                }
                Message::Response { request_id, response } => {
                    if let Some(answer) = self.answers.remove(&request_id) {
                        let _ = answer.send(response);
                    }
                }
            },
            RequestEvent::OutboundFailure { request_id, error, peer, .. } => {
                debug!(code = "net.request.failed", peer = %peer, error = %error);
                self.answers.remove(&request_id);
            }
            RequestEvent::InboundFailure { .. } | RequestEvent::ResponseSent { .. } => {}
        }
    }
}
