//! Whether a log only grew from one checkpoint to another.
//!
//! Two checkpoint files are judged by the trust file, and the proof by their roots. Two sizes are the node's
//! word: its roots fit each other, and nobody else has to have seen them.

use std::fs;
use std::path::Path;

use consign_rpc::params::GetConsistency;
use consign_rpc::views::ConsistencyView;
use consign_types::block::TreeSize;
use consign_types::causes::on_one_line;
use consign_types::checkpoint::{Checkpoint, NotProven};
use consign_types::digest::TreeRoot;
use consign_types::merkle::{BadProof, ConsistencyProof};
use consign_types::note::{NOTE_BYTES_MAX, Note};
use consign_types::trust::Trust;
use serde::Serialize;

use crate::args::Global;
use crate::console::{Console, Report};
use crate::failure::{Exit, Failure};
use crate::instant;
use crate::node::{Node, within};
use crate::verify::read_trust;

#[derive(Serialize)]
struct Consistent {
    #[serde(flatten)]
    proof: ConsistencyView,
    /// Whether a quorum stands by the roots, and not one node.
    cosigned: bool,
}

impl Report for Consistent {
    fn text(&self) -> String {
        let proof = &self.proof;
        let roots = format!(
            "the log only grew from {} to {} leaves\nroot {}  {}\nroot {}  {}\n",
            proof.from, proof.to, proof.from, proof.from_root, proof.to, proof.to_root
        );
        let whose = if self.cosigned {
            "a quorum of the validators in the trust file cosigned both"
        } else {
            "the roots are this node's own words: name two checkpoint files to check what others saw"
        };
        roots + whose
    }
}

/// By the node's own roots.
pub async fn of_sizes(
    console: &Console,
    global: &Global,
    from: u64,
    to: u64,
) -> Result<(), Failure> {
    let node = Node::first(global).await?;
    let proof = within(global.patience(), node.call(GetConsistency { from, to })).await?;
    let own = [(TreeSize(from), proof.from_root.0), (TreeSize(to), proof.to_root.0)];
    check(&proof, own).map_err(|why| {
        let message = format!("the node's proof from {from} to {to} does not hold: {why}");
        let help = "keep the answer, and ask other nodes";
        Failure::new(Exit::Integrity, "inconsistent", message, help)
    })?;
    let proof = ConsistencyView { from, to, ..proof };
    console.result(&Consistent { proof, cosigned: false })
}

/// By roots that a quorum cosigned, each in a file.
pub async fn of_files(
    console: &Console,
    global: &Global,
    files: [&Path; 2],
) -> Result<(), Failure> {
    let trust = global.trust.as_deref().ok_or_else(|| {
        let message = "no trust file says whose cosignatures count";
        Failure::new(
            Exit::Trust,
            "no_trust",
            message,
            "name the network's trust file: --trust FILE",
        )
    })?;
    let trust = read_trust(trust)?.at(instant::now());
    let [one, other] = files;
    let mut known = [cosigned(one, &trust)?, cosigned(other, &trust)?];
    known.sort_by_key(|checkpoint| checkpoint.size);
    let [from, to] = known;
    if from.size == to.size {
        return same_size(console, &from, &to);
    }
    let node = Node::first(global).await?;
    let params = GetConsistency { from: from.size.0, to: to.size.0 };
    let proof = within(global.patience(), node.call(params)).await?;
    check(&proof, [(from.size, from.root), (to.size, to.root)]).map_err(|why| {
        let message = format!(
            "{} does not prove that the log only grew from {} to {} leaves: {why}",
            node.url(),
            from.size,
            to.size
        );
        let help = "ask other nodes; where none proves it the log forked: keep both files, and see \
                    `consign evidence make` and `consign audit run`";
        Failure::new(Exit::Integrity, "inconsistent", message, help)
    })?;
    let proof = ConsistencyView {
        from: from.size.0,
        from_root: from.root.into(),
        to: to.size.0,
        to_root: to.root.into(),
        path: proof.path,
    };
    console.result(&Consistent { proof, cosigned: true })
}

/// No node is needed to compare two roots.
fn same_size(console: &Console, one: &Checkpoint, other: &Checkpoint) -> Result<(), Failure> {
    if one.root != other.root {
        let message = format!(
            "two roots for {} leaves, both cosigned: {} and {}",
            one.size, one.root, other.root
        );
        let help = "the log forked: consign evidence make FILE FILE --out fork.evidence names who signed both";
        return Err(Failure::new(Exit::Misbehaviour, "forked", message, help));
    }
    let (size, root) = (one.size.0, one.root.into());
    let proof =
        ConsistencyView { from: size, from_root: root, to: size, to_root: root, path: Vec::new() };
    console.result(&Consistent { proof, cosigned: true })
}

/// The checkpoint in a file, which a quorum cosigned.
fn cosigned(path: &Path, trust: &Trust) -> Result<Checkpoint, Failure> {
    let failed = |e| Failure::file("read", path, e);
    if fs::metadata(path).map_err(failed)?.len() > NOTE_BYTES_MAX as u64 {
        return Err(no_checkpoint(path, "it is larger than any checkpoint"));
    }
    let bytes = fs::read(path).map_err(failed)?;
    let note: Note = String::from_utf8_lossy(&bytes)
        .parse()
        .map_err(|e| no_checkpoint(path, &on_one_line(&e)))?;
    let proven = trust.verify_by_any(&note).map_err(|e| {
        let message = format!("{} is not to be trusted: {}", path.display(), on_one_line(&e));
        let forged = matches!(
            e,
            NotProven::Malformed(_) | NotProven::Signature(_) | NotProven::WitnessSignature(_)
        );
        if forged {
            let help = "fetch the checkpoint again; keep this one";
            return Failure::new(Exit::Integrity, "bad_checkpoint", message, help);
        }
        let help = "check that the trust file is the network's, and no older than its validators";
        Failure::new(Exit::Trust, "untrusted_checkpoint", message, help)
    })?;
    Ok(proven.checkpoint)
}

fn no_checkpoint(path: &Path, why: &str) -> Failure {
    let message = format!("{} is no checkpoint: {why}", path.display());
    let help = "fetch one: wget http://NODE/tlog/checkpoint";
    Failure::new(Exit::Integrity, "bad_checkpoint", message, help)
}

/// Whether the hashes that a node gave connect these roots of these sizes.
fn check(view: &ConsistencyView, [from, to]: [(TreeSize, TreeRoot); 2]) -> Result<(), BadProof> {
    let path = view.path.iter().map(|hash| hash.0).collect();
    ConsistencyProof { from: from.0, to: to.0, path }.verify(from.1, to.1)
}
