//! Networks: made once, then inspected.
//!
//! `init` writes a genesis and one directory for each party; a party's directory is all that its node
//! needs and can be carried to another machine.

mod init;
mod inspect;
mod params;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use consign_types::genesis::Params;
use consign_types::party::PartyId;
use consign_types::time::Millis;
use consign_types::witness::Witness;

pub use init::{Layout, Peer, Ports, Spec, init};
pub(crate) use init::{
    Seat, found, founding_config, joining_config, mark_new_key, refuse_if_there,
    refuse_unless_empty, write_file, write_shared,
};
pub use inspect::read_genesis;
pub use params::{ParamsArgs, readers};

use crate::args::Global;
use crate::console::Console;
use crate::failure::Failure;
use crate::instant;
use crate::join::{self, FoundArgs, InviteArgs, invite};

/// `consign network`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a network: a genesis, a trust file and one directory for each party, with fresh keys
    Init(Box<InitArgs>),
    /// Make a network of what its parties ask for, each with its own keys
    Found(Box<FoundArgs>),
    /// Make a string with which a party asks to join, once
    Invite(Box<InviteArgs>),
    /// Show what a genesis file says
    Inspect {
        /// The genesis file
        file: PathBuf,
    },
}

/// `consign network init`.
#[derive(Args, Debug)]
pub struct InitArgs {
    /// Directory to write; must be empty or absent
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// First line of every checkpoint: a name that you own, without a scheme
    #[arg(long, value_name = "NAME", default_value = "devnet.example/consign")]
    origin: String,
    /// A member that runs a validator; at least four, to survive one fault
    #[arg(long = "party", value_name = "PARTY", required = true)]
    parties: Vec<PartyId>,
    /// A party whose devices act as an authority (customs, quality)
    #[arg(long = "authority", value_name = "PARTY")]
    authorities: Vec<PartyId>,
    /// First JSON-RPC port; each party takes the next one
    #[arg(long, value_name = "PORT", default_value_t = 9101)]
    base_port: u16,
    /// First peer-to-peer port; each party takes the next one
    #[arg(long, value_name = "PORT", default_value_t = 9201)]
    p2p_base_port: u16,
    /// Time of the genesis block; the present where absent
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    time: Option<Millis>,
    /// A witness that the network asks, as `consign witness key` prints it
    #[arg(long = "witness", value_name = "VKEY@URL")]
    witnesses: Vec<Witness>,
    /// What all nodes share
    #[command(flatten)]
    params: ParamsArgs,
}

/// Carries out `consign network`.
///
/// # Errors
/// When the network cannot be made or read.
pub async fn run(console: &Console, global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Init(args) => {
            let ports = Ports { rpc: args.base_port, p2p: args.p2p_base_port };
            let spec = Spec {
                origin: args.origin,
                parties: args.parties,
                authorities: args.authorities,
                ports,
                time: args.time.unwrap_or_else(instant::now),
                params: args.params.on(Params::default()),
                witnesses: args.witnesses,
            };
            console.result(&init(&args.out, &spec)?)
        }
        Command::Found(args) => join::found(console, *args),
        Command::Invite(args) => invite(console, global, *args).await,
        Command::Inspect { file } => console.result(&inspect::inspect(&file)?),
    }
}
