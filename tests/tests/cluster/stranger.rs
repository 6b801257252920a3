//! A node that nobody admitted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use consign_node::config::Config;
use consign_tests::drill::{Drill, Stranger, http};
use consign_types::event::{Action, Kind};
use consign_types::party::PartyId;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;

/// It knows all addresses and speaks the protocol; only its key is not in our genesis.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_at_the_handshake_and_changes_nothing() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    let desk = drill.enrol(&parties[0], "desk", &[Kind::Register]).await;
    let mut before = Vec::new();
    for party in &parties {
        before.push(handshakes_refused(&drill.home(party).url).await);
    }
    let stranger = Stranger::start(&drill);
    for (party, before) in parties.iter().zip(&before).take(3) {
        let url = &drill.home(party).url;
        let more = || async { handshakes_refused(url).await > before + 1 };
        drill.until(&format!("{party} refused it twice"), more).await;
    }

    // Each has the three peers that it had, by name and by count.
    for party in &parties {
        let status = drill.client(party).status().await.expect("a status");
        let others: Vec<_> = parties.iter().filter(|other| *other != party).collect();
        let seen: Vec<_> = status.peers.iter().map(|peer| &peer.party.0).collect();
        assert_eq!(seen, others);
        assert!(status.peers.iter().all(|peer| peer.connected), "{party}: {:?}", status.peers);
        assert_eq!(http::metric::<u64>(&drill.home(party).url, "consign_p2p_peers").await, 3);
    }
    let theirs = stranger.client().status().await.expect("it runs");
    assert_eq!(theirs.height, 0);
    assert!(theirs.peers.iter().all(|peer| !peer.connected), "{:?}", theirs.peers);
    let why = theirs.not_ready.expect("it is not ready");
    assert_eq!(why, "1 of the 3 validators that must agree can be reached");

    drill.prove(&parties[3], &desk.signs(1, "trk/forwarder/STRANGE-1", Action::Register)).await;
    drop(stranger);
    drill.finish().await;
}

/// It opens connections from several addresses, says nothing, and opens another wherever one is closed. A member
/// that comes back finds room beside it.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_do_not_keep_a_member_out() {
    const EACH: usize = 40;
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    let back = parties[3].clone();
    drill.stop(&back);
    let closed = Arc::new(AtomicUsize::new(0));
    let mut knocking = Vec::new();
    for party in &parties[..3] {
        let at = p2p_address(&drill, party);
        for from in 2..6 {
            let knock = || tokio::spawn(keep_silent(from, at, Arc::clone(&closed)));
            knocking.extend((0..EACH).map(|_| knock()));
        }
    }
    let crowded = || async { closed.load(Ordering::Relaxed) > knocking.len() };
    drill.until("the nodes hang up on some again and again", crowded).await;

    drill.restart(&back);
    let ready = || async {
        let status = drill.client(&back).status().await;
        status.is_ok_and(|status| status.peers.iter().all(|peer| peer.connected))
    };
    drill.until("it has all of its peers", ready).await;
    knocking.iter().for_each(tokio::task::JoinHandle::abort);
    drill.load(&parties, 2).await;
    drill.until_all_proven(&back).await;
    drill.finish().await;
}

/// Where the node of `party` listens for others.
fn p2p_address(drill: &Drill, party: &PartyId) -> SocketAddr {
    let config = Config::load(&drill.home(party).config).expect("its configuration");
    let parts: Vec<&str> = config.p2p_listen[0].split('/').collect();
    format!("{}:{}", parts[2], parts[4]).parse().expect("an address")
}

/// Holds a connection from `127.0.0.<from>` and says nothing; another one once it is closed.
async fn keep_silent(from: u8, to: SocketAddr, closed: Arc<AtomicUsize>) {
    loop {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, from], 0).into()).expect("an address of loopback");
        if let Ok(mut stream) = socket.connect(to).await {
            let mut heard = [0; 64];
            while stream.read(&mut heard).await.is_ok_and(|count| count > 0) {}
        }
        closed.fetch_add(1, Ordering::Relaxed);
    }
}

async fn handshakes_refused(url: &str) -> u64 {
    http::metric(url, "consign_p2p_handshakes_refused").await
}
