//! A witness that others wrote, in front of the network's checkpoints.

use consign_cli::keys::{self, Purpose};
use consign_tests::drill::Drill;
use consign_types::block::TreeSize;
use consign_types::checkpoint::{Checkpoint, Cosignature};
use consign_types::digest::{Digest, TreeRoot};
use consign_types::note::{NoteSignature, VerifierKey};
use serde::Deserialize;
use serde_json::json;

use crate::proofs::{checkpoint, log_key};
use crate::tools::{ask, python};

#[derive(Deserialize)]
struct Answered {
    vkey: String,
    answers: Vec<(u16, String)>,
}

/// The body of `POST /add-checkpoint` (C2SP tlog-witness).
fn add_checkpoint(old: TreeSize, proof: &[Digest], note: &str) -> String {
    let lines: Vec<String> = proof
        .iter()
        .map(|node| format!("{}\n", consign_rpc::views::Base64(node.0.to_vec())))
        .collect();
    format!("old {old}\n{}\n{note}", lines.concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_of_others_cosigns_growth_and_refuses_a_fork() {
    let mut drill = Drill::start().await;
    let party = drill.parties()[0].clone();
    let url = drill.home(&party).url.clone();
    let mut served = Vec::new();
    for _ in 0..3 {
        drill.load(std::slice::from_ref(&party), 7).await;
        drill.until_all_proven(&party).await;
        served.push(checkpoint(&url).await);
    }
    let [(first_note, first), (second_note, second), (third_note, third)] = &served[..] else {
        unreachable!("three rounds")
    };
    let client = drill.client(&party);
    let mut proofs = Vec::new();
    for (from, to) in [(first, second), (second, third)] {
        let view = client.consistency(from.size.0, to.size.0).await.expect("a proof");
        proofs.push(view.path.into_iter().map(|node| node.0).collect::<Vec<_>>());
    }
    let key = drill.devnet().layout().key(&party, Purpose::Log);
    let key = keys::read(&key, Purpose::Log).expect("the log's key");
    // The log itself tells another story of the same size, under its own signature.
    let forked = Checkpoint { root: TreeRoot(Digest::of(&[b"another story"])), ..second.clone() };
    let forked = forked.signed(&key).expect("a note").to_string();
    let grown = Checkpoint { root: TreeRoot(Digest::of(&[b"another story"])), ..third.clone() };
    let grown = grown.signed(&key).expect("a note").to_string();
    let mut wrong = proofs[1].clone();
    wrong[0].0[0] ^= 1;
    let requests = [
        add_checkpoint(TreeSize(0), &[], first_note),
        add_checkpoint(first.size, &proofs[0], second_note),
        add_checkpoint(second.size, &[], &forked),
        add_checkpoint(second.size, &proofs[1], &grown),
        add_checkpoint(second.size, &wrong, third_note),
        add_checkpoint(first.size, &proofs[0], second_note),
        add_checkpoint(second.size, &proofs[1], third_note),
    ];
    let Some(command) = python("witness.py", &[]) else { return };
    let vkey = log_key(&drill, &party).to_string();
    let asked = json!({ "origin": first.origin, "vkey": vkey, "requests": requests });
    let Answered { vkey, answers } = ask(command, &asked).await;

    let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
    // Growth twice; a fork of one size, one of a larger, a proof with a bit flipped; stale; growth again.
    assert_eq!(statuses, [200, 200, 422, 422, 422, 409, 200], "{answers:?}");
    assert_eq!(answers[5].1.trim(), second.size.to_string(), "the size that it has seen");
    let witness: VerifierKey = vkey.parse().expect("a verifier key");
    for (answer, cosigned) in [(0, first), (1, second), (6, third)] {
        let line = answers[answer].1.trim_end_matches('\n');
        let line: NoteSignature = line.parse().expect("a signature line");
        assert_eq!((line.name.as_str(), line.key_id), (witness.name(), witness.key_id()));
        let cosignature = Cosignature::from_line(&line).expect("a cosignature");
        assert_eq!(cosigned.check(witness.key(), &cosignature), Ok(()));
    }
    drill.finish().await;
}
