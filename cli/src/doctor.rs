//! `consign node`: a member's own node. What needs its disk and its keys, `consignd` does.

use clap::{Args, Subcommand};

use crate::args::Global;
use crate::config::{Named, ask};
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::join::{AdoptArgs, InitArgs, RekeyArgs, adopt, enter, rekey};

/// `consign node`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look whether this machine can run this node: clock, disk, ports, peers, versions, keys
    Doctor(DoctorArgs),
    /// Make a node for a party that was invited, and ask to join; or for a network that is to be founded
    Init(Box<InitArgs>),
    /// Take the genesis of a new network home
    Adopt(AdoptArgs),
    /// Make other keys for a node, and the request to vote under them
    Rekey(RekeyArgs),
}

/// `consign node doctor`.
#[derive(Args, Debug)]
#[command(after_help = "Nodes named with --node are compared with: their clocks and versions.")]
pub struct DoctorArgs {
    #[command(flatten)]
    named: Named,
    /// How many syncs of the disk are measured
    #[arg(long, value_name = "N", default_value_t = 100)]
    fsyncs: u32,
}

/// Carries out `consign node`.
///
/// # Errors
/// When `consignd` cannot be run, or something fails.
pub async fn run(console: &Console, global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Doctor(args) => doctor(global, &args),
        Command::Init(args) => enter(console, global, *args).await,
        Command::Adopt(args) => adopt(console, &args),
        Command::Rekey(args) => rekey(console, global, args).await,
    }
}

fn doctor(global: &Global, args: &DoctorArgs) -> Result<(), Failure> {
    let DoctorArgs { named, fsyncs } = args;
    let mut words = vec!["doctor".to_owned(), "--fsyncs".to_owned(), fsyncs.to_string()];
    words.extend(global.nodes.iter().flat_map(|url| ["--peer-rpc".to_owned(), url.clone()]));
    if let Some(ca) = &global.ca {
        words.extend(["--ca".to_owned(), ca.display().to_string()]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match ask(global, &words, named)? {
        None => Ok(()),
        Some(Exit::Usage) => {
            Err(Failure::usage("usage", "the doctor was not understood", "see the lines above"))
        }
        Some(exit) => {
            let message = format!("a check of {} fails", named.config().display());
            Err(Failure::new(exit, "unwell", message, "do what the lines with FAIL say"))
        }
    }
}
