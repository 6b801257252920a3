//! COSE receipts as an operator and an auditor meet them: fetched and judged by `consign`.

use std::path::Path;

use consign_tests::drill::Drill;
use consign_tests::drill::command::{Ran, consign};
use consign_types::event::{Action, Kind};
use consign_types::trust::Trust;

use crate::receipts::give_receipt_key;

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

async fn verify(file: &Path, more: &[&str]) -> Ran {
    consign([&["verify", text(file)], more].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_fetches_and_judges_a_cose_receipt() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    let desk = drill.enrol(&parties[0], "desk", &[Kind::Register]).await;
    let events =
        [1, 2].map(|at| desk.signs(at, &format!("trk/forwarder/CLI-{at}"), Action::Register));
    for event in &events {
        drill.prove(&parties[0], event).await;
    }
    let key = give_receipt_key(&drill, &parties[0]).await;
    let [with_key, without_key] = [0, 1].map(|at| drill.home(&parties[at]).url.clone());
    let trust = drill.devnet().layout().trust();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("receipt.cose");

    let id = events[0].id().to_string();
    let get = |url: &str, more: &[&str]| {
        let file = text(&file);
        let head = ["--node", url, "proof", "get", &id, "--format", "cose", "--out", file];
        consign([&head, more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let ran = get(&with_key, &[]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);

    // Whom to believe: nobody; the network; the network, but not this log.
    let ran = verify(&file, &[]).await;
    assert_eq!(ran.code, 4, "{}", ran.stdout);
    let ran = verify(&file, &["--trust", text(&trust)]).await;
    assert_eq!(ran.code, 4, "one log key is no quorum: {}", ran.stdout);
    assert!(ran.stderr.contains("log_key_alone"), "{}", ran.stderr);
    let ran = verify(&file, &["--trust", text(&trust), "--accept-log-key"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.ends_with("\nVERIFIED\n"), "{}", ran.stdout);
    let says = format!(
        "one log key, that of {}, says so; that a quorum of validators made it final is not shown",
        parties[0]
    );
    assert!(ran.stdout.contains(&says), "{}", ran.stdout);
    let believed = std::fs::read_to_string(&trust).expect("the trust file");
    let believed = Trust::from_json(&believed).expect("a trust file");
    let narrow = dir.path().join("narrow.trust.json");
    let others = believed.logs.iter().filter(|(party, _)| *party != parties[0]).cloned();
    let other_logs = Trust { logs: others.collect(), ..believed.clone() };
    std::fs::write(&narrow, other_logs.to_json()).expect("it can be written");
    let ran = verify(&file, &["--trust", text(&narrow)]).await;
    assert_eq!(ran.code, 4, "{}", ran.stdout);

    // The event beside it must be the one inside; flipped bytes; an event that nobody gave a receipt.
    let beside = dir.path().join("event.cose");
    for (event, code) in [(&events[0], 0), (&events[1], 3)] {
        std::fs::write(&beside, event.bytes()).expect("it can be written");
        let more = ["--trust", text(&trust), "--accept-log-key", "--event", text(&beside)];
        assert_eq!(verify(&file, &more).await.code, code);
    }
    assert_eq!(verify(&beside, &["--trust", text(&trust)]).await.code, 3);
    let whole = std::fs::read(&file).expect("the file");
    let forged = dir.path().join("forged.cose");
    for at in [10, 150, 250, whole.len() - 80, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&forged, bytes).expect("it can be written");
        let ran = verify(&forged, &["--trust", text(&trust)]).await;
        assert_eq!(ran.code, 3, "byte {at}: {}", ran.stdout);
    }

    // ES256: only from a node with a key, and only for who lists it.
    let ran = get(&without_key, &["--alg", "es256"]).await;
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    let ran = get(&with_key, &["--alg", "es256"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(verify(&file, &["--trust", text(&trust)]).await.code, 4);
    let listed = vec![(parties[0].clone(), key.parse().expect("a key"))];
    let wide = dir.path().join("wide.trust.json");
    let with_receipt_key = Trust { receipt_keys: listed, ..believed };
    std::fs::write(&wide, with_receipt_key.to_json()).expect("it can be written");
    let ran = verify(&file, &["--trust", text(&wide), "--accept-log-key"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    drill.finish().await;
}
