//! A node that nobody admitted.

use consign_tests::drill::{Drill, Stranger, http};
use consign_types::event::{Action, Kind};

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
        assert_eq!(metric(&drill.home(party).url, "consign_p2p_peers").await, 3);
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

async fn handshakes_refused(url: &str) -> u64 {
    metric(url, "consign_p2p_handshakes_refused").await
}

async fn metric(url: &str, name: &str) -> u64 {
    let text = http::get(url, "/metrics").await.text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
}
