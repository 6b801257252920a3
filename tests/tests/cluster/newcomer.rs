//! A node that lost its disk.

use consign_rpc::views::StatusView;
use consign_tests::drill::Drill;
use consign_types::event::{Action, Kind};
use consign_types::party::PartyId;

/// The key signed before, and nobody knows what: the node follows, says why it does not vote, cosigns
/// nothing either, and votes again once the network has gone so far that nothing it may have signed can
/// matter.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_an_empty_disk_catches_up_and_signs_only_when_that_is_safe() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    let lost = parties[3].clone();
    let desk = drill.enrol(&parties[0], "desk", &[Kind::Register]).await;
    drill.load(&parties, 100).await;
    drill.until_all_proven(&parties[0]).await;

    drill.stop(&lost);
    let data = drill.devnet().layout().party(&lost).join("data");
    std::fs::remove_dir_all(&data).expect("the disk is lost, sign-state and all");
    drill.restart(&lost);
    let reached = drill.height(&parties[0]).await;
    drill.until("it caught up", || async { drill.height(&lost).await >= reached }).await;
    // For as long as their promises last, the others keep the key for its former life. That takes time and no block.
    let promised = || async {
        let why = status(&drill, &lost).await.and_then(|status| status.quarantine);
        why.is_some_and(|why| why.starts_with("the sign-state is missing"))
    };
    drill.until("the others promise it its key again", promised).await;
    // As soon as it sees a block being decided it knows how far it has to stay out. One that was decided
    // before it was connected again it only fetches, so that may take another.
    let mut sequence = 0;
    while !knows_its_end(&drill, &lost).await {
        sequence += 1;
        assert!(sequence < 20, "it does not say when it votes again");
        let unit = format!("trk/forwarder/NEW-{sequence}");
        // It follows, and older checkpoints carry what it signed before it lost its disk.
        drill.prove(&lost, &desk.signs(sequence, &unit, Action::Register)).await;
    }
    let status_now = status(&drill, &lost).await.expect("it answers");
    let why = status_now.quarantine.expect("a reason");
    let until = why
        .strip_prefix(
            "the sign-state is missing or unreadable; this node votes again after height ",
        )
        .and_then(|height| height.parse::<u64>().ok());
    let until = until.unwrap_or_else(|| panic!("{why}"));
    assert!(!status_now.validators.voting);
    assert!(!cosigned_by(&drill, &lost, &lost).await, "it cosigns though it may have before");

    while drill.height(&lost).await.expect("it answers") <= until {
        sequence += 1;
        assert!(sequence < 60, "no block comes");
        let unit = format!("trk/forwarder/NEW-{sequence}");
        // It follows: what the three decide is proven there too.
        drill.prove(&lost, &desk.signs(sequence, &unit, Action::Register)).await;
    }
    let votes = || async {
        let status = status(&drill, &lost).await;
        status.is_some_and(|status| status.quarantine.is_none() && status.validators.voting)
    };
    drill.until("it votes again", votes).await;
    let unit = "trk/forwarder/NEW-LAST";
    drill.prove(&lost, &desk.signs(sequence + 1, unit, Action::Register)).await;
    drill.until("it cosigns again", || cosigned_by(&drill, &lost, &lost)).await;
    drill.finish().await;
}

/// Whether it says at which height its quarantine ends.
async fn knows_its_end(drill: &Drill, party: &PartyId) -> bool {
    let why = status(drill, party).await.and_then(|status| status.quarantine);
    why.is_some_and(|why| why.contains("votes again after height"))
}

async fn status(drill: &Drill, party: &PartyId) -> Option<StatusView> {
    drill.client(party).status().await.ok()
}

/// Whether the newest checkpoint on `node` carries the cosignature of `party`. A node collects its own
/// first, so on itself that is whether it cosigned.
async fn cosigned_by(drill: &Drill, node: &PartyId, party: &PartyId) -> bool {
    let view = drill.client(node).checkpoint(None).await;
    view.is_ok_and(|view| view.cosigned_by.iter().any(|by| by.0 == *party))
}
