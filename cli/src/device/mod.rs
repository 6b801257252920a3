//! `consign device`: made, enrolled, shown, rotated, stopped, watched.
//!
//! A device makes its key where it is and hands out a claim; its member enrols it by that. What the device
//! itself needs lies in its own directory; what its member does needs the member's key.

pub mod book;
mod claim;
mod enrol;
mod rotate;
mod scope;
mod show;
mod stop;
mod table;
mod watch;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use consign_rpc::views::DeviceState;
use consign_types::claim::DeviceClass;
use consign_types::digest::{NetworkId, encode_hex};
use consign_types::event::{Subject, possession_message};
use consign_types::party::{PartyId, SignerId};
use consign_types::signer_key::{Algorithm, SignerKey};
use serde::Serialize;

use crate::args::Global;
use crate::console::{Console, Report};
use crate::event;
use crate::failure::Failure;
use book::Book;

/// `consign device`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a device with a key of its own; prints the claim that its member enrols it by
    New(NewArgs),
    /// Write what a key in hardware signs to show that the device holds it
    Possession(PossessionArgs),
    /// Enrol the device that a claim is of
    Claim(claim::ClaimArgs),
    /// Enrol many devices, one in each row of a table
    Enrol(enrol::EnrolArgs),
    /// List devices in the order of their enrolment
    List(show::ListArgs),
    /// Show what a device may sign, whether it still may, and its next number
    Show {
        /// The device: handler.dock7; or a member, for its own key
        device: SignerId,
    },
    /// Show the events that a device signed or that are about it, oldest first
    History {
        /// The device: handler.dock7; or a member, for its own key
        device: SignerId,
    },
    /// Stop a device for ever
    Revoke(stop::RevokeArgs),
    /// Take a device to a new key, made here, without a pause
    Rotate(rotate::RotateArgs),
    /// File what a stopped device signed: on record, without effect
    Testimony(stop::TestimonyArgs),
    /// Follow the events of a device until stopped
    Watch(watch::WatchArgs),
}

/// `consign device new`.
#[derive(Args, Debug)]
pub struct NewArgs {
    /// What it is: scanner, gateway, vehicle, locker, sensor, office
    #[arg(long, value_name = "CLASS")]
    class: DeviceClass,
    /// What its member calls it: dock7
    #[arg(long, value_name = "LABEL")]
    name: String,
    /// The member that will enrol it
    #[arg(long, value_name = "PARTY")]
    party: PartyId,
    /// How it signs: ed25519, or p256 for what has nothing else
    #[arg(long, value_name = "ALGORITHM", default_value_t)]
    algorithm: Algorithm,
    /// Its network; else that of the trust file, or of the node
    #[arg(long, value_name = "HEX")]
    network: Option<NetworkId>,
    /// Directory to make for it, of mode 0700
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// `consign device possession`.
#[derive(Args, Debug)]
pub struct PossessionArgs {
    /// The device's whole name: handler.probe2
    device: SignerId,
    /// Its public key: 64 hexadecimal digits of Ed25519, or 130 of an uncompressed point on P-256
    #[arg(long, value_name = "HEX")]
    key: SignerKey,
    /// Its network; else that of the trust file, or of the node
    #[arg(long, value_name = "HEX")]
    network: Option<NetworkId>,
    /// File to write the bytes to; as hexadecimal digits on standard output where absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The words of [`DeviceState`] on the command line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum State {
    /// May sign
    Active,
    /// Past the end of its enrolment
    Expired,
    /// Named by evidence
    Suspended,
    /// Revoked by its member
    Revoked,
}

impl From<State> for DeviceState {
    fn from(state: State) -> Self {
        match state {
            State::Active => Self::Active,
            State::Expired => Self::Expired,
            State::Suspended => Self::Suspended,
            State::Revoked => Self::Revoked,
        }
    }
}

/// Carries out `consign device`.
///
/// # Errors
/// When a file, the node or a rule says no.
pub async fn run(console: &Console, global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::New(args) => new(console, global, args).await,
        Command::Possession(args) => possession(console, global, args).await,
        Command::Claim(args) => claim::run(console, global, args).await,
        Command::Enrol(args) => enrol::run(console, global, args).await,
        Command::List(args) => show::list(console, global, args).await,
        Command::Show { device } => show::show(console, global, &device).await,
        Command::History { device } => show::history(console, global, device).await,
        Command::Revoke(args) => stop::revoke(console, global, args).await,
        Command::Rotate(args) => rotate::run(console, global, args).await,
        Command::Testimony(args) => stop::testimony(console, global, args).await,
        Command::Watch(args) => watch::run(console, global, args).await,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    device: String,
    class: String,
    network: String,
    key_id: String,
    claim: String,
    dir: PathBuf,
}

impl Report for Made {
    fn text(&self) -> String {
        format!(
            "{} has a key in {} (0600); compare its id when it is enrolled: {}\n{}\n\
             next, at the member: consign device claim CLAIM --key MEMBERKEY",
            self.device,
            self.dir.join("device.key").display(),
            self.key_id,
            self.claim,
        )
    }
}

#[derive(Serialize)]
struct Possession {
    device: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

impl Report for Possession {
    fn text(&self) -> String {
        match &self.file {
            Some(file) => {
                format!("wrote {}: what the key of {} signs", file.display(), self.device)
            }
            None => self.message.clone(),
        }
    }
}

async fn possession(
    console: &Console,
    global: &Global,
    args: PossessionArgs,
) -> Result<(), Failure> {
    let network = match args.network {
        Some(network) => network,
        None => event::network_of(global).await?,
    };
    let message = possession_message(network, &Subject::Signer(args.device.clone()), &args.key);
    if let Some(out) = &args.out {
        std::fs::write(out, &message).map_err(|e| Failure::file("write", out, e))?;
    }
    let (device, message) = (args.device.to_string(), encode_hex(&message));
    console.result(&Possession { device, message, file: args.out })
}

async fn new(console: &Console, global: &Global, args: NewArgs) -> Result<(), Failure> {
    let device = SignerId::device(args.party, &args.name)
        .map_err(|e| Failure::usage("bad_device", e, "choose another --name"))?;
    let network = match args.network {
        Some(network) => network,
        None => event::network_of(global).await?,
    };
    let (_, claim) = Book::create(&args.out, network, device, args.class, args.algorithm)?;
    console.result(&Made {
        device: claim.device().to_string(),
        class: args.class.to_string(),
        network: network.to_string(),
        key_id: encode_hex(&claim.key().key_id()),
        claim: claim.to_string(),
        dir: args.out,
    })
}
