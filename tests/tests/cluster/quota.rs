//! A device that hands in more than its share.

use std::fs;

use consign_rpc::params::Wait;
use consign_tests::drill::Drill;
use consign_types::event::{Action, Kind, SignedEvent};

/// One event a second and two at once: of five events two are taken, and the others are told when to come again.
/// Sending again what was taken is free, another device has a share of its own, and another node counts by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_hands_in_too_many_events_is_told_to_wait() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    let (busy, calm) = (
        drill.enrol(&parties[3], "busy", &[Kind::Register]).await,
        drill.enrol(&parties[3], "calm", &[Kind::Register]).await,
    );
    drill.stop(&parties[3]);
    let path = &drill.home(&parties[3]).config;
    let config = fs::read_to_string(path).expect("its configuration");
    let share = "[rpc]\nevents_per_second_per_device_max = 1\n";
    fs::write(path, config.replacen("[rpc]\n", share, 1)).expect("it can be written");
    drill.restart(&parties[3]);
    drill.until("it is ready", || drill.is_ready(&parties[3])).await;

    let unit = |n: u64| format!("trk/{}/QUOTA-{n}", parties[3]);
    let events: Vec<SignedEvent> =
        (1..=5).map(|n| busy.signs(n, &unit(n), Action::Register)).collect();
    let bytes: Vec<&[u8]> = events.iter().map(SignedEvent::bytes).collect();
    let client = drill.client(&parties[3]);
    let answers = client.submit_batch(&bytes, Wait::Accepted, None).await.expect("an answer");
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.into_result()).collect();
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    // The batch may last long enough for one more.
    assert!((2..=3).contains(&refused.len()), "{answers:?}");
    for error in &refused {
        assert_eq!(error.kind.as_str(), "quota");
        assert!(error.retryable && (1..=1_001).contains(&error.retry_after_ms.expect("a wait")));
        let said = format!("{}.busy hands in more than 1 events a second; wait ", parties[3]);
        assert!(error.message.starts_with(&said), "{}", error.message);
    }
    let taken = events.len() - refused.len();
    for event in &events[..taken] {
        let again = client.submit_event(event.bytes(), Wait::Proven, Some(60_000)).await;
        assert!(again.expect("it is known").duplicate);
        drill.note_proven(event);
    }
    drill.prove(&parties[3], &calm.signs(1, &unit(9), Action::Register)).await;
    for event in &events[taken..] {
        drill.prove(&parties[0], event).await;
    }
    drill.finish().await;
}
