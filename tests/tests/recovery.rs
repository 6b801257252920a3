//! Crashes of real nodes: nothing that was proven is lost, nothing forks, and commits go on or resume.

use std::time::{Duration, Instant};

use consign_tests::drill::Drill;

/// f = 1 of 4: the others go on, and the one that was killed catches up.
#[tokio::test(flavor = "multi_thread")]
async fn commits_go_on_without_one_of_four_and_it_catches_up() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    drill.load(&parties, 100).await;
    drill.kill(&parties[2]);
    let alive = [parties[0].clone(), parties[1].clone(), parties[3].clone()];
    drill.load(&alive, 100).await;
    drill.until_all_proven(&alive[0]).await;
    drill.restart(&parties[2]);
    drill.load(&alive, 50).await;
    let held = drill.finish().await;
    assert_eq!(held.events.len(), 4 + 400 + 300 + 150);
}

/// Two of four are no quorum: nothing is committed until one comes back, and then everything is.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_committed_by_two_of_four_and_commits_resume() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    drill.load(&parties, 50).await;
    drill.until_all_proven(&parties[0]).await;
    drill.kill(&parties[1]);
    drill.kill(&parties[3]);
    let alive = [parties[0].clone(), parties[2].clone()];
    for party in &alive {
        drill.until("it says so", || async { drill.not_ready(party).await.is_some() }).await;
    }
    let before = drill.height(&alive[0]).await;
    drill.load(&alive, 50).await;
    // Long enough for several rounds of proposing.
    let end = Instant::now() + Duration::from_secs(8);
    drill
        .until("the window is over", || async {
            assert_eq!(drill.height(&alive[0]).await, before, "two of four committed a block");
            assert_eq!(drill.height(&alive[1]).await, before, "two of four committed a block");
            Instant::now() > end
        })
        .await;
    assert!(!drill.all_proven(&alive[0]).await);
    drill.restart(&parties[1]);
    drill.until_all_proven(&alive[0]).await;
    drill.restart(&parties[3]);
    let held = drill.finish().await;
    assert_eq!(held.events.len(), 4 + 200 + 100);
}

/// A power cut for everybody at once: what was proven is there, what was only accepted is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn all_four_killed_at_once_lose_nothing_that_was_proven() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    for round in 0..3 {
        drill.load(&parties, 60).await;
        drill.until_all_proven(&parties[round]).await;
        for party in &parties {
            drill.kill(party);
        }
        for party in &parties {
            drill.restart(party);
        }
        for party in &parties {
            drill.until(&format!("{party} is back"), || drill.is_ready(party)).await;
        }
    }
    let held = drill.finish().await;
    assert_eq!(held.events.len(), 4 + 3 * 240);
}
