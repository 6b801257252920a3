//! `consign proof`: fetches proofs from a node, to be verified without it.

use std::fs;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use consign_rpc::params::{GetConsistency, GetInclusion, GetReceipt};
use consign_rpc::views::ConsistencyView;
use consign_types::block::TreeSize;
use consign_types::cose_receipt::Algorithm;
use consign_types::digest::EventId;
use consign_types::merkle::ConsistencyProof;
use serde::Serialize;

use crate::args::Global;
use crate::console::{Console, Report};
use crate::failure::{Exit, Failure};
use crate::node::{Node, within};

/// `consign proof`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fetch the proof of one event as a receipt
    Get {
        /// The event
        event: EventId,
        /// A .tlog-proof file with a checkpoint that a quorum cosigned, or the event with a COSE receipt
        /// (RFC 9942) that one log key signed
        #[arg(long, value_enum, default_value_t = Form::Tlog)]
        format: Form,
        /// How a COSE receipt is signed: ed25519, or es256 where the node has such a key
        #[arg(long, value_name = "ALGORITHM")]
        alg: Option<Algorithm>,
        /// File to write; standard output where absent
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Check that a node's log only grew from one size to another
    Consistency {
        /// The earlier size
        #[arg(long, value_name = "SIZE")]
        from: u64,
        /// The later size
        #[arg(long, value_name = "SIZE")]
        to: u64,
    },
}

/// The form of a receipt.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Form {
    /// C2SP tlog-proof: text, cosigned by a quorum.
    Tlog,
    /// RFC 9942: COSE, signed by one log key.
    Cose,
}

/// Carries out `consign proof`.
///
/// # Errors
/// When no node answers, or the proof does not hold.
pub async fn run(console: &Console, global: &Global, command: Command) -> Result<(), Failure> {
    let node = Node::first(global).await?;
    match command {
        Command::Get { event, format, alg, out } => {
            let bytes = within(global.patience(), fetch(&node, event, format, alg)).await?;
            let Some(out) = out else { return console.data(&bytes) };
            fs::write(&out, bytes).map_err(|e| Failure::file("write", &out, e))?;
            console.result(&Written { event: event.to_string(), file: out })
        }
        Command::Consistency { from, to } => {
            let proof = within(global.patience(), node.call(GetConsistency { from, to })).await?;
            check(&proof)?;
            console.result(&Consistent(proof))
        }
    }
}

/// The receipt of an event in this form, as a file's bytes.
async fn fetch(
    node: &Node,
    event: EventId,
    format: Form,
    alg: Option<Algorithm>,
) -> Result<Vec<u8>, Failure> {
    match format {
        Form::Tlog if alg.is_some() => {
            let message = "--alg is for COSE receipts: a .tlog-proof carries the log's checkpoint";
            Err(Failure::usage("bad_format", message, "add --format cose"))
        }
        Form::Tlog => Ok(receipt(node, event).await?.into_bytes()),
        Form::Cose => {
            let (event_id, alg) = (Some(event.into()), alg.unwrap_or_default().into());
            let params = GetReceipt { index: None, event_id, alg };
            Ok(node.call(params).await?.event_with_receipt.0)
        }
    }
}

/// The receipt of an event, as a file's text.
///
/// # Errors
/// When the node has none yet.
pub async fn receipt(node: &Node, event: EventId) -> Result<String, Failure> {
    let params = GetInclusion { event_id: Some(event.into()), ..GetInclusion::default() };
    node.call(params).await?.tlog_proof.ok_or_else(|| {
        let message = format!("no quorum has cosigned a checkpoint that covers {event} yet");
        Failure::new(
            Exit::Incomplete,
            "proof_unavailable",
            message,
            "wait until the event is proven",
        )
    })
}

#[derive(Serialize)]
struct Written {
    event: String,
    file: PathBuf,
}

impl Report for Written {
    fn text(&self) -> String {
        let file = self.file.display();
        format!("wrote {file}; next: consign verify {file} --trust network.trust.json")
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Consistent(ConsistencyView);

impl Report for Consistent {
    fn text(&self) -> String {
        let proof = &self.0;
        format!(
            "the log only grew from {} to {} leaves\nroot {}  {}\nroot {}  {}\n\
             compare the roots with checkpoints that you trust",
            proof.from, proof.to, proof.from, proof.from_root, proof.to, proof.to_root
        )
    }
}

/// The roots are the node's word; that the one grew out of the other is not.
fn check(view: &ConsistencyView) -> Result<(), Failure> {
    let proof = ConsistencyProof {
        from: TreeSize(view.from),
        to: TreeSize(view.to),
        path: view.path.iter().map(|hash| hash.0).collect(),
    };
    proof.verify(view.from_root.0, view.to_root.0).map_err(|e| {
        let message =
            format!("the node's proof from {} to {} does not hold: {e}", view.from, view.to);
        Failure::new(
            Exit::Integrity,
            "inconsistent",
            message,
            "keep the answer, and ask other nodes",
        )
    })
}
