//! Requests to join: which a node takes.

mod support;

use consign_node::join::{self, Refused};
use consign_node::{clock, start};
use consign_rpc::join::{FORMAT, JoinRequest, ShownKey};
use consign_types::digest::NetworkId;
use consign_types::invite::Offered;

use support::{config, genesis, key, party};

fn request(network: NetworkId, whose: &str) -> JoinRequest {
    let shown =
        |purpose: &str| ShownKey::of(network, &party("port"), &key(&format!("{whose} {purpose}")));
    JoinRequest {
        format: FORMAT.to_owned(),
        network: network.to_string(),
        party: "port".to_owned(),
        member_key: shown("member"),
        consensus_key: shown("consensus"),
        cosigner_key: shown("cosigner"),
        network_key: shown("network"),
        log_key: key("log").public().to_string(),
        addresses: Vec::new(),
    }
}

fn invite(network: NetworkId, by: &str, nonce: u8) -> String {
    let offered = Offered {
        network,
        party: party("port"),
        by: party(by),
        url: "http://127.0.0.1:9101".to_owned(),
        until: clock::now().plus(60_000),
        nonce: [nonce; 16],
        peers: Vec::new(),
    };
    offered.sign(&key(by)).to_string()
}

/// A string that somebody else saw brings one request to one node. At the nodes of other members it is nothing, so
/// neither does it bring an impostor in there, nor can a member fill their places.
#[test]
fn an_invitation_is_good_once_and_at_the_node_of_whoever_invites_alone() {
    let dir = tempfile::tempdir().unwrap();
    let committed = start::open(&config(dir.path(), "airline", genesis())).unwrap();
    let network = committed.genesis().network();
    let airline = party("airline");
    let (own, other) = (invite(network, "airline", 1), invite(network, "handler", 2));
    let take = |invite: &str, whose| {
        join::take(&committed, &airline, invite, request(network, whose)).map(|kept| kept.request)
    };
    let elsewhere = "handler invites, and this is the node of airline: hand the request in at the node of handler";
    assert_eq!(take(&other, "port"), Err(Refused::BadInvite(elsewhere.to_owned())));
    assert_eq!(take(&own, "port"), Ok(request(network, "port")));
    assert_eq!(take(&own, "port"), Ok(request(network, "port")), "the same is answered as before");
    assert_eq!(take(&own, "impostor"), Err(Refused::Used));
    let waiting = join::waiting(&committed).into_iter().map(|kept| kept.request);
    assert_eq!(waiting.collect::<Vec<_>>(), [request(network, "port")]);
}
