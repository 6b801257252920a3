//! Parties that join, vote, change keys and leave, by the page of the manual: its commands are what runs here.

use consign_rpc::join::JoinRequest;
use consign_rpc::methods::GetMembers;
use consign_rpc::params::SubmitRequest;
use consign_rpc::views::MemberView;
use consign_tests::drill::Drill;
use consign_tests::drill::command::{consign, shell};
use consign_tests::drill::council::two_ports;
use consign_tests::page::blocks;
use consign_types::party::PartyId;

const PAGE: &str = include_str!("../../../docs/operating/membership.md");

async fn member(drill: &Drill, at: &PartyId, party: &PartyId) -> Option<MemberView> {
    let view = drill.client(at).call(&GetMembers::default()).await.expect("members");
    view.members.into_iter().find(|member| member.party.0 == *party)
}

async fn votes(drill: &Drill, party: &PartyId) -> bool {
    drill.client(party).status().await.is_ok_and(|status| status.validators.voting)
}

/// The page from its first block to its last, with the ports of this network in the place of those on it.
#[tokio::test(flavor = "multi_thread")]
async fn members_come_and_go_as_the_manual_says() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    let [forwarder, airline] = [&parties[0], &parties[1]];
    let port: PartyId = "port".parse().expect("a name");
    let root = drill.devnet().layout().root().to_owned();
    let url = drill.home(forwarder).url.clone();
    let [rpc, p2p] = two_ports();
    let first = drill.p2p_port();
    let page = PAGE
        .replace("9105", &rpc.to_string())
        .replace("9205", &p2p.to_string())
        .replace("9202", &(first + 1).to_string())
        .replace("9201", &first.to_string());
    let mut blocks = blocks(&page).into_iter();
    let mut next = async |contains: &[&str]| {
        let (script, exit) = blocks.next().expect("the page has one more block");
        let ran = shell(&root, &url, &script).await;
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.code, exit, "{script}\n{said}");
        for text in contains {
            assert!(said.contains(text), "{script}\n{said}\nlacks {text:?}");
        }
        said
    };
    let fingerprint = |said: &str, before: &str| {
        let (_, after) = said.split_once(before).unwrap_or_else(|| panic!("no {before} in {said}"));
        after.chars().take(24).collect::<String>()
    };

    let invited = next(&["compare by voice"]).await;
    let entered = next(&["invited by forwarder", "handed in"]).await;
    // Either side reads the same.
    let own = fingerprint(&invited, "the fingerprint ");
    assert_eq!(fingerprint(&entered, "invited by forwarder, fingerprint "), own);
    let asked = fingerprint(&entered, "you are    port, fingerprint ");
    let invite = std::fs::read_to_string(root.join("invite.txt")).expect("the invitation");
    drill.adopt(&port, &format!("http://127.0.0.1:{rpc}"));
    assert_eq!(member(&drill, forwarder, &port).await, None);
    let admitted = next(&["stage     in force from height "]).await;
    assert_eq!(fingerprint(&admitted, "invited by forwarder; fingerprint "), asked);
    assert_eq!(fingerprint(&admitted, "keys      fingerprint "), asked);
    drill.until("it follows", || drill.is_ready(&port)).await;
    assert!(!votes(&drill, &port).await);

    // The invitation was good once: nobody else comes in by it.
    let again = root.join("again");
    let again = again.to_str().expect("text");
    let again = consign(["node", "init", "--join", invite.trim(), "--out", again]).await;
    assert_eq!(again.code, 7, "{}", again.stderr);
    assert!(again.stderr.contains("error[invite_used]"), "{}", again.stderr);

    // Nor does the node of anybody else take it.
    let text = std::fs::read_to_string(root.join("port/join-request.json")).expect("the request");
    let request = JoinRequest::parse(&text).expect("a request");
    let call = SubmitRequest { invite: invite.trim().to_owned(), request };
    let refused = drill.client(airline).call(&call).await.expect_err("it is not of airline");
    assert_eq!(
        (refused.rule(), refused.message.as_str()),
        (
            Some("bad_invite"),
            "forwarder invites, and this is the node of airline: hand the request in at the node of forwarder"
        )
    );

    next(&["n = 5, f = 1, quorum = 4", "stage     in force from height "]).await;
    drill.until("it votes", || votes(&drill, &port)).await;
    let before = member(&drill, airline, &port).await.expect("a member");

    // Whose key it is not, is told before anything is sent.
    let other = "consign gov propose retire airline --as forwarder --key airline/keys/member.key";
    let refused = shell(&root, &url, other).await;
    assert_eq!(refused.code, 7, "{}", refused.stderr);
    let why = "error[wrong_key]: the key file is not that of forwarder\n";
    assert!(refused.stderr.contains(why), "{}", refused.stderr);

    next(&[
        "parameter  block interval: 100 ms",
        "block interval: 100 ms -> 150 ms",
        "nothing was proposed",
    ])
    .await;

    // Made where the member key is not; what the validator reads out is what members see.
    let asked =
        next(&["request    port/rekey-request.json", "stage     in force from height "]).await;
    assert_eq!(
        fingerprint(&asked, "fingerprint of the validator "),
        fingerprint(&asked, "keys      fingerprint ")
    );
    // Its keys are nobody's any more: the network goes on without it until it has the new ones.
    drill.until("it is out", async || !votes(&drill, &port).await).await;
    drill.stop(&port);
    next(&["destroy them"]).await;
    drill.restart(&port);
    drill.until("it votes under the new keys", || votes(&drill, &port)).await;
    let after = member(&drill, airline, &port).await.expect("a member");
    assert_eq!(before.key, after.key);
    let keys = |of: MemberView| {
        let validator = of.validator.expect("it votes");
        [validator.consensus_key, validator.cosigner_key, validator.network_key]
    };
    let met = |of: &MemberView| of.node.clone().map(|node| node.addresses);
    let address = format!("/ip4/127.0.0.1/tcp/{p2p}");
    assert_eq!((met(&before), met(&after)), (Some(vec![address.clone()]), Some(vec![address])));
    let (old, new) = (keys(before), keys(after.clone()));
    assert!(old.iter().zip(&new).all(|(old, new)| old != new), "{old:?} {new:?}");

    let speaks = async |party: &str| {
        let party: PartyId = party.parse().expect("a name");
        member(&drill, airline, &party).await.expect("a member").key
    };
    let old = speaks("forwarder").await;
    next(&["forwarder speaks under key", "member.key.before", "proven: block", "before    "]).await;
    assert_ne!(speaks("forwarder").await, old);

    let asked =
        next(&["port speaks under another member key", "stage     in force from height "]).await;
    assert_eq!(
        fingerprint(&asked, "fingerprint of the member key "),
        fingerprint(&asked, "keys      fingerprint ")
    );
    let renewed = member(&drill, airline, &port).await.expect("a member");
    assert_ne!(renewed.key, after.key);
    next(&["port votes no more", "port is no member any more"]).await;
    drill.until("it is gone", async || member(&drill, airline, &port).await.is_none()).await;
    next(&["--accept \"3 validators survive no faulty one\""]).await;
    assert_eq!(blocks.next(), None, "every block of the page was run");

    let alone = async || {
        let status = drill.client(&port).status().await.expect("it answers");
        status.peers.iter().all(|peer| !peer.connected)
    };
    drill.until("it is cut off", alone).await;
    drill.leave(&port);
    let members = [parties, vec![port]].concat();
    drill.note_members(&members).await;
    drill.finish().await;
}
