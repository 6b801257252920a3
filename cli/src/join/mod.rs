//! Joining a network: an invitation, fresh keys, a node's directory, and the request that members decide on.
//!
//! The request is public ([`consign_rpc::join`]). What speaks for the party stays in its directory.

mod enter;
mod finish;
mod found;
mod invite;
mod rekey;
mod rekeying;

use std::fs;
use std::path::{Path, PathBuf};

use consign_rpc::join::{FORMAT, JoinRequest, Joining, ShownKey};
use consign_types::codec::Canonical as _;
use consign_types::digest::NetworkId;
use consign_types::genesis::Genesis;
use consign_types::governance::Change;
use consign_types::party::PartyId;

pub use enter::{InitArgs, enter};
pub use found::{AdoptArgs, FoundArgs, adopt, found};
pub use invite::{InviteArgs, invite};
pub use rekey::{RekeyArgs, rekey};
use rekeying::RekeyRequest;
pub use rekeying::Rekeying;
use serde::Deserialize;

use crate::failure::{Exit, Failure};
use crate::keys::{self, Purpose};
use crate::network::{self, Peer};

const REQUEST_BYTES_MAX: u64 = 16 * 1024;

/// The keys that a request shows, in the order of the document.
const SHOWN: [Purpose; 4] =
    [Purpose::Member, Purpose::Consensus, Purpose::Cosigner, Purpose::Network];

/// Where a new node listens.
#[derive(Clone, Debug)]
pub struct Listen {
    /// JSON-RPC and HTTP.
    pub rpc: String,
    /// Peer-to-peer; others dial it there too, unless `announce` says otherwise.
    pub p2p: String,
    /// Where others dial it.
    pub announce: Vec<String>,
}

/// Makes the directory of a party's node, as `network init` does, and its request beside it. Answers where
/// the request lies.
///
/// # Errors
/// When `out` is not empty or a file cannot be written.
pub fn init(
    out: &Path,
    genesis: &Genesis,
    party: &PartyId,
    listen: &Listen,
    peers: &[Peer],
) -> Result<PathBuf, Failure> {
    let request = prepare(out, genesis.network(), party, listen)?;
    network::write_file(&out.join("genesis.cbor"), &genesis.to_bytes())?;
    let config = network::joining_config(genesis.network(), party, listen, peers);
    network::write_file(&out.join("consignd.toml"), config.as_bytes())?;
    let path = out.join("join-request.json");
    network::write_file(&path, request.to_text().as_bytes())?;
    Ok(path)
}

/// A directory with fresh keys, and what their party asks for.
fn prepare(
    out: &Path,
    network: NetworkId,
    party: &PartyId,
    listen: &Listen,
) -> Result<JoinRequest, Failure> {
    network::refuse_unless_empty(out)?;
    keys::private_dir(out)?;
    let dir = out.join("keys");
    keys::private_dir(&dir)?;
    network::mark_new_key(&out.join("data"))?;
    for purpose in SHOWN.into_iter().chain([Purpose::Log]) {
        keys::create(&key_file(&dir, purpose), purpose)?;
    }
    let own = std::slice::from_ref(&listen.p2p);
    let announced = if listen.announce.is_empty() { own } else { &listen.announce };
    request_of(&dir, network, party, announced)
}

fn key_file(dir: &Path, purpose: Purpose) -> PathBuf {
    dir.join(format!("{}.key", purpose.as_str()))
}

/// What a party with the keys in `dir` asks for.
fn request_of(
    dir: &Path,
    network: NetworkId,
    party: &PartyId,
    addresses: &[String],
) -> Result<JoinRequest, Failure> {
    let shown = |purpose| {
        let secret = keys::read(&key_file(dir, purpose), purpose)?;
        Ok::<_, Failure>(ShownKey::of(network, party, &secret))
    };
    let [member_key, consensus_key, cosigner_key, network_key] = SHOWN.map(shown);
    Ok(JoinRequest {
        format: FORMAT.to_owned(),
        network: network.to_string(),
        party: party.to_string(),
        member_key: member_key?,
        consensus_key: consensus_key?,
        cosigner_key: cosigner_key?,
        network_key: network_key?,
        log_key: keys::read(&key_file(dir, Purpose::Log), Purpose::Log)?.public().to_string(),
        addresses: addresses.to_vec(),
    })
}

/// What a party asks for in a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Asking {
    /// A party that is no member yet, or was none when it asked.
    Join(Box<Joining>),
    /// A member that goes on under other keys.
    Rekey(Box<Rekeying>),
}

impl Asking {
    /// The network that it concerns.
    pub fn network(&self) -> NetworkId {
        match self {
            Self::Join(joining) => joining.network,
            Self::Rekey(rekeying) => rekeying.network,
        }
    }

    /// The party becomes a member, where it asks for that.
    pub fn admission(&self, authority: bool) -> Option<Change> {
        match self {
            Self::Join(joining) => Some(joining.admission(authority)),
            Self::Rekey(_) => None,
        }
    }

    /// Its node votes, where it asks for that.
    pub fn validator(&self) -> Option<Change> {
        match self {
            Self::Join(joining) => Some(joining.validator()),
            Self::Rekey(rekeying) => rekeying.validator.clone(),
        }
    }

    /// It speaks under another key, where it asks for that.
    pub fn key(&self) -> Option<Change> {
        match self {
            Self::Join(joining) => Some(joining.key()),
            Self::Rekey(rekeying) => rekeying.key.clone(),
        }
    }
}

/// Reads a request to join, and checks that its keys are held by whoever asks.
///
/// # Errors
/// When the file is none, or a signature in it does not hold.
pub fn read(path: &Path) -> Result<Joining, Failure> {
    let request = JoinRequest::parse(&text_of(path)?).map_err(|e| bad(path, e))?;
    request.check().map_err(|e| bad(path, e))
}

/// Reads what a party asks for: to join, or to go on under other keys.
///
/// # Errors
/// As [`read`].
pub fn read_asking(path: &Path) -> Result<Asking, Failure> {
    #[derive(Deserialize)]
    struct Form {
        format: String,
    }
    let text = text_of(path)?;
    let form: Form = serde_json::from_str(&text).map_err(|e| bad(path, e))?;
    if form.format != rekeying::FORMAT {
        return read(path).map(Box::new).map(Asking::Join);
    }
    let request: RekeyRequest = serde_json::from_str(&text).map_err(|e| bad(path, e))?;
    request.check().map(Box::new).map(Asking::Rekey).map_err(|e| bad(path, e))
}

fn text_of(path: &Path) -> Result<String, Failure> {
    let size = fs::metadata(path).map_err(|e| Failure::file("read", path, e))?.len();
    if size > REQUEST_BYTES_MAX {
        return Err(bad(path, format!("{size} bytes, more than {REQUEST_BYTES_MAX}")));
    }
    fs::read_to_string(path).map_err(|e| Failure::file("read", path, e))
}

fn bad(path: &Path, why: impl std::fmt::Display) -> Failure {
    let message = format!("{}: {why}", path.display());
    let help = "ask the party for what `consign node init` or `rekey` wrote: join-request.json, rekey-request.json";
    Failure::new(Exit::Refused, "bad_request", message, help)
}
