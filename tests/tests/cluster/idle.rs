//! Nothing to do, and nothing done.

use std::time::{Duration, Instant};

use consign_tests::drill::Drill;
use consign_types::event::{Action, Kind};

const WINDOW: Duration = Duration::from_secs(60);

/// No block, next to no processor; and the next event goes at once. How soon it was proven is printed, not
/// asserted: that is a measurement, and good for the machine it was made on.
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
    let submitted = Instant::now();
    drill.prove(&parties[1], &desk.signs(1, "trk/forwarder/WAKE-1", Action::Register)).await;
    println!("after the pause an event was proven in {} ms", submitted.elapsed().as_millis());
    drill.finish().await;
}
