//! The log as files, and the proofs that a node gives: verified with nothing but the genesis.

use consign_cli::audit::Source;
use consign_ledger::log;
use consign_tests::drill::Drill;
use consign_tests::drill::command::consign;
use consign_tests::drill::files::ServedLog;
use consign_types::block::TreeSize;
use consign_types::event::{Action, Kind};
use consign_types::merkle::{self, ConsistencyProof};
use consign_types::receipt::Receipt;
use consign_types::trust::Trust;

/// Digits of base64 that hold the key id before a signature.
const KEY_ID_DIGITS: usize = 6;

/// Every root, from the entries that each node serves; the same everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn the_files_that_each_node_serves_are_the_log_that_a_quorum_signed() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    // More than a tile, so that there is a second level.
    drill.load(&parties, 80).await;
    for party in &parties {
        drill.until_all_proven(party).await;
    }
    let mut logs = Vec::new();
    for party in &parties {
        let genesis = drill.devnet().genesis();
        logs.push(ServedLog::read(&drill.home(party).url, genesis).await);
    }
    let held = drill.finish().await;
    for log in &logs {
        assert_eq!((log.size, log.root), (held.size, held.root));
        assert_eq!(log.event_ids(), held.events);
        assert_eq!(log.entries, logs[0].entries);
        assert!(log.files.keys().any(|path| path.level == Some(1)));
    }
}

/// What an auditor is given, and what becomes of it with one byte changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_verifies_offline_and_fails_with_any_byte_flipped() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    let desk = drill.enrol(&parties[0], "desk", &[Kind::Register]).await;
    drill.load(&parties, 20).await;
    let event = desk.signs(1, "trk/forwarder/PROOF-1", Action::Register);
    drill.prove(&parties[0], &event).await;
    let other = drill.client(&parties[2]);
    let covered = || async { other.event_inclusion(event.id(), None).await.is_ok() };
    drill.until("another node can prove it too", covered).await;
    let view = other.event_inclusion(event.id(), None).await.expect("a proof");
    let text = view.tlog_proof.expect("a file");
    let genesis = drill.devnet().genesis();
    let trust = Trust::of_genesis(genesis, Vec::new());
    // The leaf is what the receipt itself carries: nothing else speaks of the event offline.
    let verdict = |text: &str| {
        let receipt: Receipt = text.parse().map_err(|e| format!("malformed: {e}"))?;
        let leaf = merkle::leaf_hash(receipt.extra.as_deref().ok_or("no event")?);
        let proven = receipt.verify(leaf, &trust);
        proven.map(|proven| (leaf, proven)).map_err(|e| e.to_string())
    };
    let (leaf, proven) = verdict(&text).expect("it verifies");
    assert_eq!(leaf, event.leaf_hash());
    assert_eq!(proven.checkpoint.size, TreeSize(view.tree_size));
    assert!(proven.validators.len() >= 3);

    // A cosignature beyond the quorum could be lost without harm, the log's own signature is not for a
    // verifier of quorums: of all else, not a byte may change.
    let log_line = text.lines().find(|line| line.starts_with(&format!("— {} ", genesis.origin())));
    let log_line = log_line.expect("the log's own signature");
    let unsigned = text.find(log_line).expect("it is in there");
    let unsigned = unsigned..unsigned + log_line.len();
    let mut passed = Vec::new();
    for at in (0..text.len()).filter(|at| !unsigned.contains(at)) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        if let Ok(flipped) = String::from_utf8(bytes)
            && verdict(&flipped).is_ok()
        {
            passed.push(at);
        }
    }
    // Name and key id of a cosignature: then it is nobody's, and the others are a quorum still.
    let names_nobody = |at: &usize| {
        let line = text[..*at].rfind('\n').map_or(0, |end| end + 1);
        let signature = text[line..].starts_with("— ").then(|| text[line + 4..].find(' '));
        signature.flatten().is_some_and(|name| *at <= line + 4 + name + KEY_ID_DIGITS)
    };
    assert!(passed.iter().all(names_nobody), "a changed byte was not noticed: {passed:?}");
    drill.finish().await;
}

/// From each of many sizes to the last one.
#[tokio::test(flavor = "multi_thread")]
async fn consistency_proofs_between_sizes_of_the_log_verify() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    drill.load(&parties, 5).await;
    drill.until_all_proven(&parties[1]).await;
    let dir = tempfile::tempdir().expect("a directory");
    let url = drill.home(&parties[1]).url.clone();
    let keep = |name: &str| {
        let source: Source = url.parse().expect("a source");
        let text = source.checkpoint().expect("an answer").expect("a checkpoint");
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.to_str().expect("text").to_owned()
    };
    let earlier = keep("earlier.checkpoint");
    drill.load(&parties, 20).await;
    drill.until_all_proven(&parties[1]).await;
    let later = keep("later.checkpoint");
    let served = ServedLog::read(&drill.home(&parties[1]).url, drill.devnet().genesis()).await;
    let tiles =
        log::Mirror::new(served.size, |path: &log::TilePath| served.files.get(path).cloned());
    let client = drill.client(&parties[1]);
    for from in 1..=served.size.0 {
        let view = client.consistency(from, served.size.0).await.expect("a proof");
        let root = log::root_at(&tiles, TreeSize(from)).expect("the tiles hold it");
        assert_eq!((view.from_root.0, view.to_root.0), (root, served.root), "from {from}");
        let path = view.path.iter().map(|node| node.0).collect();
        let proof = ConsistencyProof { from: TreeSize(from), to: served.size, path };
        assert_eq!(proof.verify(root, served.root), Ok(()), "from {from}");
    }

    // As a user runs it: by two checkpoints that a quorum cosigned, whichever comes first; or by sizes.
    let trust = drill.devnet().layout().trust();
    let asked = ["--trust", trust.to_str().expect("text"), "--node", &url];
    let proof = ["proof", "consistency"];
    for files in [[&earlier, &later], [&later, &earlier]] {
        let files = files.map(String::as_str);
        let ran = consign([&proof[..], &files, &asked].concat()).await;
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stdout.ends_with("in the trust file cosigned both\n"), "{}", ran.stdout);
    }
    let size = served.size.to_string();
    let ran = consign([&proof[..], &["--from", "3", "--to", &size], &asked].concat()).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("the roots are this node's own words"), "{}", ran.stdout);
    drill.finish().await;
}
