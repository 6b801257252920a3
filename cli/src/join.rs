//! Joining a network: fresh keys, a node's directory, and the request that members decide on.
//!
//! The request is public: keys, each with its proof of possession, and where the node is met. What speaks
//! for the party stays in its directory.

use std::fs;
use std::path::{Path, PathBuf};

use consign_types::codec::Canonical as _;
use consign_types::digest::NetworkId;
use consign_types::event::{Subject, possession_message};
use consign_types::genesis::Genesis;
use consign_types::governance::{Change, Node};
use consign_types::key::{PublicKey, SecretKey, Signature};
use consign_types::limits::{ADDRESS_BYTES_MAX, ADDRESSES_MAX};
use consign_types::party::{PartyId, SignerId};
use consign_types::validator::Validator;
use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure};
use crate::keys::{self, Purpose};
use crate::network::{self, Peer};

const FORMAT: &str = "consign-join-v1";
const REQUEST_BYTES_MAX: u64 = 16 * 1024;

/// What a party asks the members of a network for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    format: String,
    network: String,
    party: String,
    member_key: Shown,
    consensus_key: Shown,
    cosigner_key: Shown,
    network_key: Shown,
    /// Signs checkpoints as the serving log; goes into trust files, not on the ledger.
    log_key: String,
    addresses: Vec<String>,
}

/// A key, and its own word that whoever asks has it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Shown {
    key: String,
    possession: String,
}

/// A request whose keys are shown to be held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Joining {
    /// The network.
    pub network: NetworkId,
    /// Who asks.
    pub party: PartyId,
    member_key: (PublicKey, Signature),
    validator: Validator,
    possession: [Signature; 3],
    addresses: Vec<String>,
}

impl Joining {
    /// The party becomes a member, and its node follows.
    pub fn admission(&self, authority: bool) -> Change {
        let node =
            Node { network_key: self.validator.network_key, addresses: self.addresses.clone() };
        let (party, (key, possession)) = (self.party.clone(), self.member_key);
        Change::Admit { party, key, possession, authority, node: Some(Box::new(node)) }
    }

    /// The member's node votes.
    pub fn validator(&self) -> Change {
        Change::Validator {
            validator: Box::new(self.validator.clone()),
            possession: Box::new(self.possession),
            addresses: self.addresses.clone(),
        }
    }
}

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
    network::refuse_unless_empty(out)?;
    keys::private_dir(out)?;
    keys::private_dir(&out.join("keys"))?;
    network::mark_new_key(&out.join("data"))?;
    let network = genesis.network();
    let new = |purpose: Purpose| {
        let path = out.join("keys").join(format!("{}.key", purpose.as_str()));
        keys::create(&path, purpose)
    };
    let shown = |purpose| Ok::<_, Failure>(show(network, party, &new(purpose)?));
    let own = std::slice::from_ref(&listen.p2p);
    let announced = if listen.announce.is_empty() { own } else { &listen.announce };
    let request = Request {
        format: FORMAT.to_owned(),
        network: network.to_string(),
        party: party.to_string(),
        member_key: shown(Purpose::Member)?,
        consensus_key: shown(Purpose::Consensus)?,
        cosigner_key: shown(Purpose::Cosigner)?,
        network_key: shown(Purpose::Network)?,
        log_key: new(Purpose::Log)?.public().to_string(),
        addresses: announced.to_vec(),
    };
    network::write_file(&out.join("genesis.cbor"), &genesis.to_bytes())?;
    let config = network::joining_config(party, &listen.rpc, &listen.p2p, peers);
    network::write_file(&out.join("consignd.toml"), config.as_bytes())?;
    let path = out.join("join-request.json");
    let text = serde_json::to_string_pretty(&request).unwrap_or_default();
    network::write_file(&path, text.as_bytes())?;
    Ok(path)
}

fn show(network: NetworkId, party: &PartyId, secret: &SecretKey) -> Shown {
    let (subject, key) = (Subject::Signer(SignerId::member(party.clone())), secret.public());
    let possession = secret.sign(&possession_message(network, &subject, &key));
    Shown { key: key.to_string(), possession: possession.to_hex() }
}

/// Reads a request, and checks that its keys are held by whoever asks.
///
/// # Errors
/// When the file is none, or a signature in it does not hold.
pub fn read(path: &Path) -> Result<Joining, Failure> {
    let size = fs::metadata(path).map_err(|e| Failure::file("read", path, e))?.len();
    let bad = |why: String| {
        let message = format!("{} is no request to join: {why}", path.display());
        let help = "ask the party for the join-request.json that `consign node init` wrote";
        Failure::new(Exit::Refused, "bad_request", message, help)
    };
    if size > REQUEST_BYTES_MAX {
        return Err(bad(format!("{size} bytes, more than {REQUEST_BYTES_MAX}")));
    }
    let text = fs::read_to_string(path).map_err(|e| Failure::file("read", path, e))?;
    parse(&text).map_err(bad)
}

fn parse(text: &str) -> Result<Joining, String> {
    let request: Request = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if request.format != FORMAT {
        return Err(format!("format {:?} is not {FORMAT:?}", request.format));
    }
    let pair = |shown: &Shown| {
        let key: PublicKey = shown.key.parse().map_err(|e| format!("{e}"))?;
        let possession = shown.possession.parse().map_err(|e| format!("{e}"))?;
        Ok::<_, String>((key, possession))
    };
    let plain = |address: &String| {
        (1..=ADDRESS_BYTES_MAX).contains(&address.len())
            && address.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if request.addresses.len() > ADDRESSES_MAX || !request.addresses.iter().all(plain) {
        return Err("too many addresses, or one that is none".to_owned());
    }
    let party: PartyId = request.party.parse().map_err(|e| format!("{e}"))?;
    let (consensus_key, first) = pair(&request.consensus_key)?;
    let (cosigner_key, second) = pair(&request.cosigner_key)?;
    let (network_key, third) = pair(&request.network_key)?;
    let joining = Joining {
        network: request.network.parse().map_err(|e| format!("{e}"))?,
        party: party.clone(),
        member_key: pair(&request.member_key)?,
        validator: Validator { party, consensus_key, cosigner_key, network_key },
        possession: [first, second, third],
        addresses: request.addresses,
    };
    let network = joining.network;
    let held = joining.admission(false).possession_holds(network)
        && joining.validator().possession_holds(network);
    held.then_some(joining).ok_or_else(|| "a key in it is not shown to be held".to_owned())
}
