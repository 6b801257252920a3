//! The command line: what can be asked, and how it is said.
//!
//! Flags that concern every command stand here; those of one command stand with the command.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::console::Format;
use crate::{
    audit, commitment, config, device, devnet, doctor, event, evidence, gov, keys, network,
    passport, proof, replay, token, trust, unit, verify, witness,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or verified
  1  operational error: network, disk, timeout
  2  the command line means nothing
  3  not verified: integrity failed
  4  integrity holds, trust is not established
  5  not proven yet, or evidence is incomplete
  6  proof of misbehaviour was found
  7  refused by a rule, a permission or a version";

/// The custody record that the parties share
///
/// Data goes to standard output, progress and errors to standard error.
#[derive(Debug, Parser)]
#[command(name = "consign", version, after_long_help = EXIT_CODES, propagate_version = true)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, help_heading = "Global options")]
    pub output: Format,
    /// Node to ask; repeat to name more, the first that answers is asked
    #[arg(
        long = "node",
        global = true,
        value_name = "URL",
        env = "CONSIGN_NODE",
        value_delimiter = ',',
        help_heading = "Global options"
    )]
    pub nodes: Vec<String>,
    /// Trust file of the network: what to believe before checking anything
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CONSIGN_TRUST",
        help_heading = "Global options"
    )]
    pub trust: Option<PathBuf>,
    /// File of mode 0600 with the token that is shown to nodes, or lines of a node's address and its token
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CONSIGN_TOKEN_FILE",
        help_heading = "Global options"
    )]
    pub token_file: Option<PathBuf>,
    /// Certificates of the authorities that nodes are believed by over TLS, in PEM, instead of this machine's
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CONSIGN_CA",
        help_heading = "Global options"
    )]
    pub ca: Option<PathBuf>,
    /// Certificate that is shown to nodes, in PEM
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CONSIGN_CLIENT_CERT",
        help_heading = "Global options"
    )]
    pub client_cert: Option<PathBuf>,
    /// Private key of that certificate, in PEM, of mode 0600
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CONSIGN_CLIENT_KEY",
        help_heading = "Global options"
    )]
    pub client_key: Option<PathBuf>,
    /// Seconds to wait for an answer
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400), help_heading = "Global options")]
    pub timeout: u64,
    /// Print results and errors alone
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub quiet: bool,
}

impl Global {
    /// How long to wait for an answer.
    pub const fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a network of four parties on this machine
    #[command(subcommand)]
    Devnet(devnet::Command),
    /// Make and inspect networks
    #[command(subcommand)]
    Network(network::Command),
    /// Make keys
    #[command(subcommand)]
    Key(keys::Command),
    /// Build, sign, submit and look up events
    #[command(subcommand)]
    Event(event::Command),
    /// Make and check what stands in an event for a text that travels outside of it
    #[command(subcommand)]
    Commitment(commitment::Command),
    /// Look up units
    #[command(subcommand)]
    Unit(unit::Command),
    /// Fetch the whole history of a unit, as a file that proves itself
    #[command(subcommand)]
    Passport(passport::Command),
    /// Fetch proofs
    #[command(subcommand)]
    Proof(proof::Command),
    /// Read a trust file, and follow the changes of validators since it was made
    #[command(subcommand)]
    Trust(trust::Command),
    /// Verify a proof file offline
    Verify(verify::VerifyArgs),
    /// Check a whole log: hashes, signatures, rules, forks
    #[command(subcommand)]
    Audit(audit::Command),
    /// Take a log, or what concerns some units, away
    #[command(subcommand)]
    Export(audit::Export),
    /// Replay freight traffic as signed custody events
    #[command(subcommand)]
    Replay(replay::Command),
    /// Check and show a node's configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Ask whether nodes are well
    Health,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Cosign the growth of networks, without running a node
    #[command(subcommand)]
    Witness(witness::Command),
    /// Hand in, report, list and fetch evidence of misbehaviour
    #[command(subcommand)]
    Evidence(evidence::Command),
    /// Propose, decide and list changes of the network
    #[command(subcommand)]
    Gov(gov::Command),
    /// Make, enrol, list, rotate, revoke and watch devices
    #[command(subcommand)]
    Device(Box<device::Command>),
    /// Look after your own node
    #[command(subcommand)]
    Node(doctor::Command),
    /// Make tokens that open a node's door
    #[command(subcommand)]
    Token(token::Command),
}
