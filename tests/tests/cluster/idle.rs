//! Nothing to do, and nothing done.

use std::time::Duration;

use consign_tests::drill::Drill;
use consign_types::event::{Action, Kind};

const WINDOW: Duration = Duration::from_secs(10);

/// No block, next to no processor; and the next event goes at once. That it is proven within a second is
/// measured by the benchmark, on a machine that does nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_network_commits_nothing_takes_no_processor_and_wakes() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    let desk = drill.enrol(&parties[0], "desk", &[Kind::Register]).await;
    drill.load(&parties, 50).await;
    for party in &parties {
        drill.until_all_proven(party).await;
    }
    let idle = drill.leave_alone(WINDOW).await;
    println!("{idle:?}");
    for (party, idle) in parties.iter().zip(&idle) {
        assert_eq!(idle.blocks, 0, "{party} committed without work");
        assert!(idle.cpu_share < 0.02, "{party} took {:.1} % of a core", idle.cpu_share * 100.0);
    }
    drill.prove(&parties[1], &desk.signs(1, "trk/forwarder/WAKE-1", Action::Register)).await;
    drill.finish().await;
}
