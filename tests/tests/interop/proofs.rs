//! Checkpoint, tiles, entries and proofs.

use consign_rpc::client::Client;
use consign_tests::drill::files::ServedLog;
use consign_tests::drill::{Drill, http};
use consign_types::checkpoint::Checkpoint;
use consign_types::note::{KeyType, Note, VerifierKey};
use consign_types::party::PartyId;
use consign_types::trust::Trust;
use serde_json::{Value, json};

use crate::cases::{Case, base64, flipped};
use crate::tools::Tool;

/// The key under which the node of `party` signs checkpoints.
pub fn log_key(drill: &Drill, party: &PartyId) -> VerifierKey {
    let text = std::fs::read_to_string(drill.devnet().layout().trust()).expect("the trust file");
    let trust = Trust::from_json(&text).expect("a trust file");
    let (_, key) = trust.logs.iter().find(|(own, _)| own == party).expect("its log key");
    VerifierKey::new(&trust.origin, KeyType::Ed25519, *key).expect("an origin names a key")
}

/// The newest checkpoint that a node serves.
pub async fn checkpoint(url: &str) -> (String, Checkpoint) {
    let text = http::get(url, "/tlog/checkpoint").await.text();
    let note: Note = text.parse().expect("a signed note");
    let checkpoint = Checkpoint::from_text(note.text()).expect("a checkpoint");
    (text, checkpoint)
}

#[tokio::test(flavor = "multi_thread")]
async fn log_tools_of_others_accept_what_a_network_serves_and_refuse_it_with_a_bit_flipped() {
    let mut drill = Drill::start().await;
    let parties = drill.parties();
    // More than a tile, so that there is a second level.
    drill.load(&parties, 65).await;
    let party = parties[1].clone();
    drill.until_all_proven(&party).await;
    let url = drill.home(&party).url.clone();
    let served = ServedLog::read(&url, drill.devnet().genesis()).await;
    let (note, newest) = checkpoint(&url).await;
    assert_eq!((newest.size, newest.root), (served.size, served.root));

    let client = drill.client(&party);
    let mut cases = checkpoints(&log_key(&drill, &party), &note, &newest);
    cases.extend(tiles(&served));
    cases.extend(inclusions(&client, &served).await);
    cases.extend(consistencies(&client, &served).await);
    for tool in [Tool::GoSumdb, Tool::Sigstore, Tool::SigstoreJs] {
        tool.judges(&cases).await;
    }
    drill.finish().await;
}

fn checkpoints(key: &VerifierKey, note: &str, checkpoint: &Checkpoint) -> Vec<Case> {
    let input = json!({
        "vkey": key.to_string(),
        "note": note,
        "size": checkpoint.size.0,
        "root": base64(checkpoint.root.as_bytes()),
    });
    let genuine = Case::genuine("checkpoint", "checkpoint", input);
    let mut cases = Vec::new();
    // Origin, size, root, and the log's own signature; the middle of each.
    let signed = format!("— {} ", key.name());
    let mut at = 0;
    for line in note.split_inclusive('\n') {
        let of_text = at < note.find("\n\n").expect("a text and signatures");
        if of_text || line.starts_with(&signed) {
            let middle = at + if of_text { (line.len() - 1) / 2 } else { line.len() - 40 };
            let forged = String::from_utf8(flipped(note.as_bytes(), middle)).expect("still text");
            cases.push(genuine.forged(&format!("byte {middle}"), "note", json!(forged)));
        }
        at += line.len();
    }
    assert_eq!(cases.len(), 4, "{note}");
    cases.push(genuine);
    cases
}

fn tiles(served: &ServedLog) -> Vec<Case> {
    let hashes = served.files.iter().filter(|(path, _)| path.level.is_some());
    let files: serde_json::Map<String, Value> =
        hashes.map(|(path, bytes)| (path.to_string(), base64(bytes))).collect();
    let input = json!({
        "size": served.size.0,
        "root": base64(served.root.as_bytes()),
        "files": files,
        "entries": served.entries.iter().map(|entry| base64(entry)).collect::<Vec<_>>(),
    });
    let genuine = Case::genuine("tiles", "tiles", input);
    let mut cases = Vec::new();
    for (path, bytes) in served.files.iter().filter(|(path, _)| path.level.is_some()) {
        let mut files = files.clone();
        files.insert(path.to_string(), base64(&flipped(bytes, bytes.len() / 2)));
        cases.push(genuine.forged(&path.to_string(), "files", Value::Object(files)));
    }
    assert!(cases.len() >= 3, "two tiles of leaves, one above them");
    let mut entries = genuine.input["entries"].as_array().expect("a list").clone();
    let last = served.entries.last().expect("an entry");
    *entries.last_mut().expect("an entry") = base64(&flipped(last, last.len() / 2));
    cases.push(genuine.forged("last entry", "entries", Value::Array(entries)));
    cases.push(genuine);
    cases
}

/// One, powers of two and their neighbours, and the whole log.
fn sizes(served: &ServedLog) -> Vec<u64> {
    let near = (1..9).flat_map(|k| [(1 << k) - 1, 1 << k, (1 << k) + 1]);
    let mut sizes: Vec<u64> = near.filter(|size| *size < served.size.0).collect();
    sizes.push(served.size.0);
    sizes.dedup();
    assert!(sizes.contains(&257), "the log has {} leaves", served.size);
    sizes
}

async fn inclusions(client: &Client, served: &ServedLog) -> Vec<Case> {
    let mut cases = Vec::new();
    for size in sizes(served) {
        let root = client.consistency(size, served.size.0).await.expect("a proof").from_root;
        let mut indexes = vec![0, size / 2, size - 1];
        indexes.dedup();
        for index in indexes {
            let view = client.leaf_inclusion(index, Some(size)).await.expect("a proof");
            let path: Vec<Value> = view.path.iter().map(|node| base64(&node.0.0)).collect();
            let leaf = &served.entries[index as usize];
            let input = json!({
                "leaf": base64(leaf), "index": index, "size": size, "path": path,
                "root": base64(root.0.as_bytes()),
            });
            let genuine = Case::genuine("inclusion", format!("leaf {index} of {size}"), input);
            let change = |what: &str, field: &str, to: Value| genuine.forged(what, field, to);
            cases.push(change("leaf", "leaf", base64(&flipped(leaf, leaf.len() / 2))));
            cases.push(change("root", "root", base64(&flipped(root.0.as_bytes(), 31))));
            for (at, node) in view.path.iter().enumerate() {
                let mut forged = path.clone();
                forged[at] = base64(&flipped(&node.0.0, 0));
                cases.push(change(&format!("hash {at}"), "path", Value::Array(forged)));
            }
            if let Some(shorter) = path.len().checked_sub(1) {
                let shorter = Value::Array(path[..shorter].to_vec());
                cases.push(change("a hash dropped", "path", shorter));
                let index = json!(index ^ 1);
                cases.push(change("index", "index", index));
            }
            cases.push(genuine);
        }
    }
    cases
}

async fn consistencies(client: &Client, served: &ServedLog) -> Vec<Case> {
    let sizes = sizes(served);
    let mut pairs: Vec<(u64, u64)> = sizes.iter().map(|from| (*from, served.size.0)).collect();
    pairs.extend(sizes.windows(2).map(|two| (two[0], two[1])));
    pairs.retain(|(from, to)| from < to);
    pairs.sort_unstable();
    pairs.dedup();
    let mut cases = Vec::new();
    for (from, to) in pairs {
        let view = client.consistency(from, to).await.expect("a proof");
        let path: Vec<Value> = view.path.iter().map(|node| base64(&node.0.0)).collect();
        let (from_root, to_root) = (view.from_root.0, view.to_root.0);
        let input = json!({
            "from": from, "fromRoot": base64(from_root.as_bytes()),
            "to": to, "toRoot": base64(to_root.as_bytes()), "path": path,
        });
        let genuine = Case::genuine("consistency", format!("from {from} to {to}"), input);
        let change = |what: &str, field: &str, to: Value| genuine.forged(what, field, to);
        cases.push(change("old root", "fromRoot", base64(&flipped(from_root.as_bytes(), 0))));
        cases.push(change("new root", "toRoot", base64(&flipped(to_root.as_bytes(), 0))));
        for (at, node) in view.path.iter().enumerate() {
            let mut forged = path.clone();
            forged[at] = base64(&flipped(&node.0.0, 0));
            cases.push(change(&format!("hash {at}"), "path", Value::Array(forged)));
        }
        cases.push(genuine);
    }
    cases
}
