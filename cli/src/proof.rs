//! `consign proof`: fetches proofs from a node, to be verified without it.

mod consistency;

use std::fs;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use consign_rpc::params::{GetInclusion, GetReceipt};
use consign_types::cose_receipt::Algorithm;
use consign_types::digest::EventId;
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
    /// Check that a log only grew from one checkpoint to another
    #[command(after_help = "\
Of two checkpoint files the cosignatures are checked with the trust file, and a node's proof against their roots: nothing is
believed of the node. Of two sizes the roots are the node's own words: the proof says that they fit each other, and no more.")]
    Consistency {
        /// Two checkpoints, whichever is the earlier: files as nodes serve them at /tlog/checkpoint
        #[arg(value_name = "CHECKPOINT", num_args = 2, required_unless_present_any = ["from", "to"])]
        checkpoints: Vec<PathBuf>,
        /// The earlier size
        #[arg(long, value_name = "SIZE", requires = "to", conflicts_with = "checkpoints")]
        from: Option<u64>,
        /// The later size
        #[arg(long, value_name = "SIZE", requires = "from", conflicts_with = "checkpoints")]
        to: Option<u64>,
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
    match command {
        Command::Get { event, format, alg, out } => {
            let node = Node::first(global).await?;
            let bytes = within(global.patience(), fetch(&node, event, format, alg)).await?;
            let Some(out) = out else { return console.data(&bytes) };
            fs::write(&out, bytes).map_err(|e| Failure::file("write", &out, e))?;
            console.result(&Written { event: event.to_string(), file: out })
        }
        Command::Consistency { checkpoints, from, to } => match (&checkpoints[..], from, to) {
            ([one, other], ..) => consistency::of_files(console, global, [one, other]).await,
            (_, Some(from), Some(to)) => consistency::of_sizes(console, global, from, to).await,
            _ => {
                let message = "neither two checkpoints nor two sizes are named";
                Err(Failure::usage("no_sizes", message, "see `consign proof consistency --help`"))
            }
        },
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
