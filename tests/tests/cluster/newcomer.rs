//! A node that lost its disk.

use consign_tests::drill::Drill;
use consign_types::event::{Action, Kind};

/// The key signed before, and nobody knows what: the node follows, says why it does not vote, and votes
/// again once the network has gone so far that nothing it may have signed can matter.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_an_empty_disk_catches_up_and_votes_only_when_that_is_safe() {
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
    drill.until_all_proven(&lost).await;
    // As soon as it sees a block being decided it knows how far it has to stay out.
    drill.prove(&parties[0], &desk.signs(1, "trk/forwarder/NEW-1", Action::Register)).await;
    let told = || async {
        let status = drill.client(&lost).status().await.expect("a status");
        status.quarantine.is_some_and(|why| why.contains("votes again after height"))
    };
    drill.until("it says when it votes again", told).await;
    let status = drill.client(&lost).status().await.expect("a status");
    let why = status.quarantine.expect("a reason");
    let reason = "the sign-state is missing and the network is past its first height";
    let until = why.strip_prefix(reason).and_then(|rest| {
        rest.strip_prefix("; this node votes again after height ")?.parse::<u64>().ok()
    });
    let until = until.unwrap_or_else(|| panic!("{why}"));
    assert!(!status.validators.voting);

    let mut sequence = 1;
    while drill.height(&lost).await.expect("it answers") <= until {
        sequence += 1;
        assert!(sequence < 40, "no block comes");
        let unit = format!("trk/forwarder/NEW-{sequence}");
        // It follows: what the three decide is proven there too.
        drill.prove(&lost, &desk.signs(sequence, &unit, Action::Register)).await;
    }
    let votes = || async {
        let status = drill.client(&lost).status().await.expect("a status");
        status.quarantine.is_none() && status.validators.voting
    };
    drill.until("it votes again", votes).await;
    drill.finish().await;
}
