//! `consign devnet`: a network of four parties on this machine, without containers.
//!
//! Four `consignd` processes, each with its own keys, its own store and its own ports. `up` returns
//! once a signed event is proven on all four; what is printed was measured.

mod demo;
pub mod devices;
mod fault;
pub mod home;
pub mod process;
mod smoke;
mod status;
mod up;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use consign_types::party::PartyId;
use consign_types::witness::Witness;

use crate::console::Console;
use crate::failure::Failure;
use crate::network::Ports;
use home::Devnet;

/// How long a node may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// Where a development network lies.
#[derive(Args, Clone, Debug)]
pub struct Dir {
    /// Directory of the development network
    #[arg(long, value_name = "DIR", default_value = "./devnet")]
    dir: PathBuf,
}

/// Where a new development network listens.
#[derive(Args, Clone, Copy, Debug)]
pub struct PortArgs {
    /// First JSON-RPC port of a new network; each party takes the next one
    #[arg(long, value_name = "PORT", default_value_t = 9101)]
    base_port: u16,
    /// First peer-to-peer port of a new network; each party takes the next one
    #[arg(long, value_name = "PORT", default_value_t = 9201)]
    p2p_base_port: u16,
}

impl PortArgs {
    const fn ports(self) -> Ports {
        Ports { rpc: self.base_port, p2p: self.p2p_base_port }
    }
}

/// `consign devnet`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the network, made anew where there is none, and wait until an event is proven on all nodes
    Up {
        /// Where the network lies.
        #[command(flatten)]
        dir: Dir,
        /// Where a new network listens.
        #[command(flatten)]
        ports: PortArgs,
        /// A witness that a new network asks, as `consign witness key` prints it
        #[arg(long = "witness", value_name = "VKEY@URL")]
        witnesses: Vec<Witness>,
    },
    /// Show how the nodes are doing
    Status {
        /// Where the network lies.
        #[command(flatten)]
        dir: Dir,
    },
    /// Show what the nodes log
    Logs {
        /// One party's node; all where absent
        party: Option<PartyId>,
        /// Go on showing what is added
        #[arg(short, long)]
        follow: bool,
        /// Lines of each log
        #[arg(long, value_name = "N", default_value_t = 20)]
        lines: usize,
        /// Where the network lies.
        #[command(flatten)]
        dir: Dir,
    },
    /// Stop the nodes and keep the ledger
    Down {
        /// Where the network lies.
        #[command(flatten)]
        dir: Dir,
    },
    /// Stop the nodes and erase the network with all that it recorded
    Reset {
        /// Where the network lies.
        #[command(flatten)]
        dir: Dir,
    },
    /// Break something, and see what the network does
    #[command(subcommand)]
    Fault(fault::Command),
    /// Start the network, replay a day of traffic, and verify a proof offline
    Demo(demo::DemoArgs),
}

/// Carries out `consign devnet`.
///
/// # Errors
/// When the network does not do what was asked.
pub async fn run(console: &Console, command: Command) -> Result<(), Failure> {
    match command {
        Command::Up { dir, ports, witnesses } => {
            let (_, ready) = up::up(console, &dir.dir, ports.ports(), witnesses).await?;
            console.result(&ready)
        }
        Command::Status { dir } => console.result(&status::status(&Devnet::open(&dir.dir)?).await?),
        Command::Logs { party, follow, lines, dir } => {
            status::logs(console, &Devnet::open(&dir.dir)?, party.as_ref(), lines, follow).await
        }
        Command::Down { dir } => {
            let devnet = Devnet::open(&dir.dir)?;
            let _lock = devnet.lock()?;
            console.result(&down(&devnet)?)
        }
        Command::Reset { dir } => {
            let devnet = Devnet::open(&dir.dir)?;
            let _lock = devnet.lock()?;
            down(&devnet)?;
            let root = devnet.layout().root().to_owned();
            devnet.remove()?;
            console.note(format!("erased {}", root.display()));
            Ok(())
        }
        Command::Fault(command) => fault::run(console, command).await,
        Command::Demo(args) => demo::run(console, args).await,
    }
}

/// Stops all nodes, one after the other; one that will not stop does not keep the others up.
fn down(devnet: &Devnet) -> Result<status::Stopped, Failure> {
    let mut stopped = Vec::new();
    let mut failed = None;
    for node in devnet.nodes() {
        match process::stop(node, STOP_PATIENCE) {
            Ok(true) => stopped.push(node.party.to_string()),
            Ok(false) => {}
            // The others are stopped all the same.
            Err(failure) => failed = Some(failure),
        }
    }
    match failed {
        Some(failure) => Err(failure),
        None => Ok(status::Stopped { stopped, kept: devnet.layout().root().to_owned() }),
    }
}
