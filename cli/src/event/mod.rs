//! `consign event`: built, signed, submitted, looked up.
//!
//! `build` checks fields and prints JSON; `sign` makes the one event that a device says, as bytes;
//! `submit` brings bytes to a node. The bytes are the event: what a node, a log and a verifier see.

mod correct;
pub mod form;
mod handover;
mod sign;
mod submit;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use consign_types::digest::{EventId, NetworkId};
use consign_types::limits::EVENT_BYTES_MAX_NESTED;
use serde::Serialize;

use crate::args::Global;
use crate::console::{Console, Report};
use crate::failure::{Exit, Failure};
use crate::node::{Node, within};
use crate::{instant, verify};
use form::Form;

pub use submit::Stage;
pub(crate) use submit::{bring, disputed, progress, submit};

/// `consign event`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the fields of an event and print it as JSON, ready to be signed
    Build(Box<BuildArgs>),
    /// Build the correction of an event on record, ready to be signed
    Correct(correct::CorrectArgs),
    /// Put an offer and an acceptance that were signed without a network into one event, ready to be signed
    Handover(handover::HandoverArgs),
    /// Sign an event with a device's key; writes the exact bytes
    Sign(Box<sign::SignArgs>),
    /// Bring a signed event to a node
    Submit {
        /// The signed bytes; - for standard input
        file: PathBuf,
        /// What to wait for
        #[arg(long, value_enum, default_value_t = Stage::Accepted)]
        wait: Stage,
    },
    /// Show an event and how far it has come
    Get {
        /// The event
        event: EventId,
        /// File to write its exact bytes to
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Follow an event until it is proven or refused
    Watch {
        /// The event
        event: EventId,
    },
}

/// `consign event build`.
#[derive(Args, Debug)]
pub struct BuildArgs {
    /// Read the fields from a JSON object instead of flags; - for standard input
    #[arg(long, value_name = "FILE", exclusive = true)]
    json: Option<PathBuf>,
    /// The fields.
    #[command(flatten)]
    form: Form,
}

/// Carries out `consign event`.
///
/// # Errors
/// When a field, a file, or the node says no.
pub async fn run(console: &Console, global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Build(args) => console.result(&build(*args)?),
        Command::Correct(args) => correct::run(console, global, args).await,
        Command::Handover(args) => handover::run(console, &args),
        Command::Sign(args) => sign::run(console, global, *args).await,
        Command::Submit { file, wait } => {
            let bytes = read(&file)?;
            submit::submit(console, global, &bytes, wait).await
        }
        Command::Get { event, out } => submit::get(console, global, event, out.as_deref()).await,
        Command::Watch { event } => submit::watch(console, global, event).await,
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Built(Form);

impl Report for Built {
    fn text(&self) -> String {
        serde_json::to_string_pretty(&self.0).unwrap_or_default()
    }
}

fn build(args: BuildArgs) -> Result<Built, Failure> {
    let mut form = match args.json {
        Some(path) => parse_form(&read(&path)?)?,
        None => args.form,
    };
    // The device's claim of when it happened is fixed here, not when somebody gets round to signing.
    let time = form.time.get_or_insert_with(|| instant::now().to_string());
    instant::parse(time).map_err(bad_form)?;
    form.check().map_err(bad_form)?;
    Ok(Built(form))
}

/// The trust file knows the network; where none is named, the node is asked.
pub(crate) async fn network_of(global: &Global) -> Result<NetworkId, Failure> {
    if let Some(path) = &global.trust {
        return Ok(verify::read_trust(path)?.network);
    }
    network_at(global, &Node::first(global).await?).await
}

/// The network of a node; that of the trust file where there is one, and then the node must be of it.
pub(crate) async fn network_at(global: &Global, node: &Node) -> Result<NetworkId, Failure> {
    let network = within(global.patience(), node.status()).await?.network.0;
    if let Some(path) = &global.trust {
        let trusted = verify::read_trust(path)?.network;
        if trusted != network {
            let message =
                format!("{} is a node of network {network}, not of {trusted}", node.url());
            let help = "name a node of the trust file's network with --node";
            return Err(Failure::new(Exit::Refused, "foreign_network", message, help));
        }
    }
    Ok(network)
}

fn parse_form(bytes: &[u8]) -> Result<Form, Failure> {
    serde_json::from_slice(bytes).map_err(|e| bad_form(e.to_string()))
}

fn bad_form(why: String) -> Failure {
    Failure::usage("bad_event", why, "see `consign event build --help`")
}

/// Reads a file, or standard input where the path is `-`; no more than an event can have.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let bound = EVENT_BYTES_MAX_NESTED as u64 * 4;
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(bound).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(bound).read_to_end(&mut bytes))
    };
    read.map_err(|e| Failure::file("read", path, e))?;
    Ok(bytes)
}
