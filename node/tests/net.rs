//! The network between nodes: real swarms on loopback, over TCP and over QUIC.
//!
//! Every wait is for a condition and has a deadline. That something does *not* come is shown by what came
//! after it instead, never by waiting a while.

mod support;

use std::time::{Duration, Instant};

use bytes::Bytes;
use consign_node::p2p::{
    self, Class, Inbox, NetConfig, NetError, NetEvent, NetHandle, NetLimits, PeerConfig,
};
use consign_types::key::PublicKey;
use tokio::task::JoinHandle;

use support::wait::{DEADLINE, next, until};
use support::{key, party};

const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// A swarm of a test.
struct Node {
    name: &'static str,
    address: String,
    net: NetHandle,
    events: Inbox,
    task: JoinHandle<()>,
}

impl Node {
    /// Starts a node that listens on `listen` and lets these in.
    async fn start(name: &'static str, listen: &str, peers: &[PeerConfig]) -> Self {
        let config = NetConfig {
            secret: key(name),
            listen: vec![listen.to_owned()],
            peers: peers.to_vec(),
            limits: NetLimits { dial_backoff_max: Duration::from_millis(500) },
        };
        let (net, mut events, task) = p2p::start(config).unwrap();
        let address = next("an address", &mut events, |event| match event {
            NetEvent::Listening(address) => Some(address),
            _ => None,
        })
        .await;
        Self { name, address, net, events, task }
    }

    /// Where and who this node is, for those that dial it.
    fn known(&self) -> PeerConfig {
        PeerConfig { addresses: vec![self.address.clone()], ..listed(self.name) }
    }

    fn key(&self) -> PublicKey {
        key(self.name).public()
    }

    fn send(&self, to: &Self, class: Class, text: &str) {
        self.net.send(&to.key(), class, Bytes::copy_from_slice(text.as_bytes()));
    }

    async fn connected(&mut self) -> PublicKey {
        next("a connection", &mut self.events, |event| match event {
            NetEvent::Connected(peer) => Some(peer),
            _ => None,
        })
        .await
    }

    async fn disconnected(&mut self) -> PublicKey {
        next("the end of a connection", &mut self.events, |event| match event {
            NetEvent::Disconnected(peer) => Some(peer),
            _ => None,
        })
        .await
    }

    /// The next message of a class, as text.
    async fn message(&mut self, class: Class) -> (PublicKey, String) {
        next("a message", &mut self.events, |event| match event {
            NetEvent::Message { from, class: of, bytes } if of == class => {
                Some((from, String::from_utf8_lossy(&bytes).into_owned()))
            }
            _ => None,
        })
        .await
    }

    async fn stop(self) {
        self.net.shutdown();
        tokio::time::timeout(DEADLINE, self.task).await.unwrap().unwrap();
    }
}

/// A peer that has to dial, because nobody knows where it is.
fn listed(name: &'static str) -> PeerConfig {
    PeerConfig { key: key(name).public(), party: party(name), addresses: Vec::new() }
}

/// Two nodes that let each other in, connected.
async fn pair(listen: &str) -> (Node, Node) {
    let mut a = Node::start("airline", listen, &[listed("customs")]).await;
    let mut b = Node::start("customs", listen, &[a.known()]).await;
    assert_eq!(a.connected().await, b.key());
    assert_eq!(b.connected().await, a.key());
    (a, b)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_each_class_arrive_in_order() {
    const COUNT: usize = 300;
    for listen in [TCP, QUIC] {
        let (mut a, mut b) = pair(listen).await;
        for n in 0..COUNT {
            for class in Class::ALL {
                a.send(&b, class, &n.to_string());
                b.send(&a, class, &n.to_string());
            }
        }
        for node in [&mut a, &mut b] {
            let mut came = [0; 4];
            while came != [COUNT; 4] {
                let (class, text) = next("a message", &mut node.events, |event| match event {
                    NetEvent::Message { class, bytes, .. } => {
                        Some((class, String::from_utf8_lossy(&bytes).into_owned()))
                    }
                    _ => None,
                })
                .await;
                let next = &mut came[class as usize];
                assert_eq!(text, next.to_string(), "{listen} {class:?}");
                *next += 1;
            }
        }
        let bytes = a.net.stats().bytes_out;
        until("all bytes counted", || b.net.stats().bytes_in == bytes).await;
        assert_eq!(a.net.stats().dropped, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_listed_is_refused_at_the_handshake() {
    for listen in [TCP, QUIC] {
        let mut a = Node::start("airline", listen, &[listed("customs")]).await;
        let stranger = Node::start("stranger", listen, &[a.known()]).await;
        until("a refused handshake", || a.net.stats().refused > 0).await;
        stranger.net.broadcast(Class::Consensus, Bytes::from_static(b"let me in"));
        until("another one", || a.net.stats().refused > 1).await;
        assert_eq!(a.net.stats().connected, 0);

        // The first that the node hears of anybody is of the one that it knows.
        let b = Node::start("customs", listen, &[a.known()]).await;
        let first = a.events.recv().await.unwrap();
        match first {
            NetEvent::Connected(peer) => assert_eq!(peer, b.key()),
            other => panic!("{listen}: {other:?}"),
        }
        assert_eq!(a.net.connected(), [b.key()]);
        assert_eq!(a.net.stats().bytes_in, 0);
    }
}

/// The dialler checks as well: whoever answers at a member's address must be that member.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_at_a_members_address_is_not_taken_for_the_member() {
    let stranger = Node::start("stranger", TCP, &[listed("airline")]).await;
    let posing = PeerConfig { addresses: vec![stranger.address.clone()], ..listed("customs") };
    let mut a = Node::start("airline", TCP, &[posing, listed("handler")]).await;
    let mut known = Node::start("handler", TCP, &[a.known()]).await;
    assert_eq!(a.connected().await, known.key());
    known.connected().await;
    until("a refused dial", || stranger.net.stats().connected == 0).await;
    assert_eq!(a.net.connected(), [known.key()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_restarts_is_connected_again() {
    for listen in [TCP, QUIC] {
        let (mut a, b) = pair(listen).await;
        let b_key = b.key();
        b.stop().await;
        assert_eq!(a.disconnected().await, b_key);
        until("nobody connected", || a.net.connected().is_empty()).await;

        let mut b = Node::start("customs", listen, &[a.known()]).await;
        assert_eq!(a.connected().await, b_key);
        b.connected().await;
        a.send(&b, Class::Status, "welcome back");
        assert_eq!(b.message(Class::Status).await, (a.key(), "welcome back".to_owned()));
        b.send(&a, Class::Status, "thanks");
        assert_eq!(a.message(Class::Status).await, (b.key(), "thanks".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_one_answer_and_no_answer_has_an_end() {
    for listen in [TCP, QUIC] {
        let (mut a, mut b) = pair(listen).await;
        let b_key = b.key();
        // As long as an answer may be for a range of blocks.
        let large = Bytes::from(vec![7; 8 * 1024 * 1024]);
        let (echo, answers) = (large.clone(), tokio::sync::mpsc::channel(4));
        let (kept, mut unanswered) = answers;
        let serving = tokio::spawn(async move {
            while let Some(event) = b.events.recv().await {
                if let NetEvent::Request { bytes, reply, .. } = event {
                    match &bytes[..] {
                        b"large" => reply.send(echo.clone()),
                        b"dropped" => drop(reply),
                        b"late" => kept.send(reply).await.unwrap(),
                        _ => reply.send(bytes),
                    }
                }
            }
        });
        let ask = |text: &'static str, timeout| {
            a.net.request(&b_key, Bytes::from_static(text.as_bytes()), timeout)
        };
        assert_eq!(ask("ping", DEADLINE).await.unwrap(), "ping");
        assert!(ask("large", DEADLINE).await.unwrap() == large);
        let many = (0..32).map(|_| ask("at once", DEADLINE));
        for answer in futures::future::join_all(many).await {
            assert_eq!(answer.unwrap(), "at once");
        }
        // Whoever drops a request tells the asker at once.
        let begun = Instant::now();
        let answer = ask("dropped", DEADLINE).await;
        assert!(matches!(answer, Err(NetError::NoAnswer)) && begun.elapsed() < DEADLINE);
        let answer = ask("late", Duration::from_millis(50)).await;
        assert!(matches!(answer, Err(NetError::NoAnswer)), "{answer:?}");
        // An answer that comes after that goes nowhere, and the next one is right.
        unanswered.recv().await.unwrap().send(Bytes::from_static(b"at last"));
        assert_eq!(ask("ping", DEADLINE).await.unwrap(), "ping");

        let nobody = key("handler").public();
        let answer = a.net.request(&nobody, Bytes::new(), DEADLINE).await;
        assert!(matches!(answer, Err(NetError::NotConnected)), "{answer:?}");
        serving.abort();
        a.events.close();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_taken_off_the_list_is_cut_off_and_stays_out() {
    for listen in [TCP, QUIC] {
        let (mut a, mut b) = pair(listen).await;
        a.net.allow(Vec::new());
        assert_eq!(a.disconnected().await, b.key());
        assert_eq!(b.disconnected().await, a.key());
        until("a refused handshake", || a.net.stats().refused > 0).await;
        assert!(a.net.connected().is_empty());

        a.net.allow(vec![listed("customs")]);
        assert_eq!(a.connected().await, b.key());
        b.connected().await;
    }
}

/// A node that does not read its pool messages as fast as they come still gets votes: the classes have
/// queues of their own, and the flood comes to rest at the sender.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_events_does_not_hold_back_votes() {
    const VOTES: usize = 50;
    let (a, mut b) = pair(TCP).await;
    let flood = Bytes::from(vec![0; Class::Pool.bytes_max()]);
    let (net, to) = (a.net.clone(), b.key());
    let flooding = tokio::spawn(async move {
        loop {
            net.send(&to, Class::Pool, flood.clone());
            tokio::task::yield_now().await;
        }
    });
    until("a queue that is full", || a.net.stats().dropped > 0).await;
    for n in 0..VOTES {
        let sent = Instant::now();
        a.send(&b, Class::Consensus, &n.to_string());
        assert_eq!(b.message(Class::Consensus).await, (a.key(), n.to_string()));
        assert!(sent.elapsed() < Duration::from_secs(5), "a vote took {:?}", sent.elapsed());
    }
    flooding.abort();
}

/// What a node would not read, it does not send either: the bound is checked on both sides.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_at_the_bound_arrives_and_one_above_it_is_not_sent() {
    for class in Class::ALL {
        let (a, mut b) = pair(TCP).await;
        let largest = "x".repeat(class.bytes_max());
        a.send(&b, class, &largest);
        assert_eq!(b.message(class).await.1.len(), largest.len());
        let over = std::panic::AssertUnwindSafe(|| a.send(&b, class, &format!("{largest}x")));
        assert!(std::panic::catch_unwind(over).is_err(), "{class:?}");
    }
}
