//! `consign witness`: cosigns the growth of networks without running a node (C2SP tlog-witness).
//!
//! It believes its trust files, cosigns what a quorum of their validators stands by, and never a smaller or
//! another log than before. What it decides lies in `consign-types`; here are the disk and the network.

mod serve;
mod state;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use consign_types::note::VerifierKey;
use consign_types::trust::Trust;
use consign_types::witness::{Witness, witness_key};
use serde::Serialize;

use self::state::State;
use crate::args::Global;
use crate::console::{Console, Report};
use crate::failure::Failure;
use crate::keys::{self, Purpose};
use crate::verify::read_trust;

/// `consign witness`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the key of a witness; prints what a network needs of it
    Key {
        /// Its name: a domain that you own, and what you like behind it
        #[arg(long, value_name = "NAME")]
        name: String,
        /// Where networks will ask it
        #[arg(long, value_name = "URL")]
        url: String,
        /// New file to write, of mode 0600
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Answer networks that ask for cosignatures, until stopped
    Run {
        /// The key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where it keeps what it cosigned; losing it ends this witness
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// Address to listen on
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9301")]
        listen: SocketAddr,
        /// Its name, where no trust file has its key
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Trust file of one more network to cosign for
        #[arg(long, value_name = "FILE")]
        also: Vec<PathBuf>,
    },
}

/// What a network needs of a witness.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    name: String,
    key: String,
    vkey: String,
    witness: String,
}

impl Report for Made {
    fn text(&self) -> String {
        format!(
            "vkey     {}\ngenesis  consign network init --witness {}\ntrust    {{ \"name\": \"{}\", \"key\": \"{}\" }}",
            self.vkey, self.witness, self.name, self.key
        )
    }
}

/// A witness that answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    vkey: String,
    listen: String,
    logs: Vec<Followed>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Followed {
    origin: String,
    size: u64,
}

impl Report for Ready {
    fn text(&self) -> String {
        let logs = self.logs.iter().map(|log| format!("\n  {} at size {}", log.origin, log.size));
        format!(
            "witness {}\nlistens at http://{}{}",
            self.vkey,
            self.listen,
            logs.collect::<String>()
        )
    }
}

/// Carries out `consign witness`.
///
/// # Errors
/// When the key cannot be made or read, what was cosigned is lost, or the address is taken.
pub async fn run(console: &Console, global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Key { name, url, out } => {
            let bad = |e: &dyn std::fmt::Display| {
                Failure::usage("bad_witness", e, "see `consign witness key --help`")
            };
            let secret = keys::generate()?;
            let key = witness_key(&name, secret.public()).map_err(|e| bad(&e))?;
            let witness = Witness::new(&key, &url).map_err(|e| bad(&e))?;
            keys::write(&out, Purpose::Cosigner, &secret)?;
            state::mark_new(&out)?;
            console.result(&Made {
                name,
                key: secret.public().to_string(),
                vkey: key.to_string(),
                witness: witness.to_string(),
            })
        }
        Command::Run { key, state, listen, name, also } => {
            let reread = || logs(global.trust.as_deref(), &also);
            let logs = reread()?;
            let secret = keys::read(&key, Purpose::Cosigner)?;
            let own = own_key(&logs, secret.public(), name.as_deref())?;
            let state = State::open(&state, &key, own.clone(), secret, logs)?;
            let listener = serve::bind(listen).await?;
            let address = listener.local_addr().map_or(listen, |address| address);
            let followed = state.sizes().into_iter();
            console.result(&Ready {
                vkey: own.to_string(),
                listen: address.to_string(),
                logs: followed.map(|(origin, size)| Followed { origin, size: size.0 }).collect(),
            })?;
            serve::until_stopped(console, listener, state, reread).await
        }
    }
}

fn logs(trust: Option<&Path>, also: &[PathBuf]) -> Result<Vec<Trust>, Failure> {
    let files = trust.into_iter().chain(also.iter().map(PathBuf::as_path));
    let logs = files.map(read_trust).collect::<Result<Vec<_>, _>>()?;
    if logs.is_empty() {
        let message = "a witness needs to know whose log it cosigns";
        return Err(Failure::usage("no_trust", message, "name a trust file with --trust"));
    }
    for (at, log) in logs.iter().enumerate() {
        if logs[..at].iter().any(|other| other.origin == log.origin) {
            let message = format!("two trust files are of the log {}", log.origin);
            return Err(Failure::usage("bad_trust", message, "name each network once"));
        }
    }
    Ok(logs)
}

/// The key under the name that a trust file gives it, or that was said.
fn own_key(
    logs: &[Trust],
    public: consign_types::key::PublicKey,
    name: Option<&str>,
) -> Result<VerifierKey, Failure> {
    let named = logs.iter().flat_map(|log| &log.witnesses.keys).find(|key| *key.key() == public);
    match (named, name) {
        (Some(key), None) => Ok(key.clone()),
        (Some(key), Some(name)) if key.name() == name => Ok(key.clone()),
        (Some(key), Some(_)) => {
            let message = format!("a trust file calls this witness {}", key.name());
            Err(Failure::usage("bad_witness", message, "leave --name out"))
        }
        (None, Some(name)) => witness_key(name, public)
            .map_err(|e| Failure::usage("bad_witness", e, "choose another --name")),
        (None, None) => {
            let message = "no trust file names the witness that has this key";
            Err(Failure::usage("bad_witness", message, "say its name with --name"))
        }
    }
}
