//! The configuration of a node: one TOML file, unknown keys refused.
//!
//! [`Config::load`] is the one way in: `consignd run` and `consignd config check` share it, so what
//! the check passes, the start passes. Paths in the file are relative to the file.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use consign_types::codec::Canonical as _;
use consign_types::genesis::Genesis;
use consign_types::party::PartyId;
use libp2p::Multiaddr;
use serde::Deserialize;

use crate::keys::{KeyError, Keys};

/// Everything that a node needs to start, checked.
#[derive(Debug)]
pub struct Config {
    /// The network's genesis.
    pub genesis: Genesis,
    /// The member whose node this is.
    pub party: PartyId,
    /// Where the node keeps what it must not lose.
    pub data_dir: PathBuf,
    /// The node's private keys.
    pub keys: Keys,
    /// Addresses to listen on for other nodes.
    pub p2p_listen: Vec<String>,
    /// Where other members' nodes are to be found.
    pub peers: Vec<Peer>,
    /// JSON-RPC and HTTP.
    pub rpc: Rpc,
    /// Logs.
    pub log: Log,
}

/// Where a member's node is to be found.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// The member.
    #[serde(deserialize_with = "parsed")]
    pub party: PartyId,
    /// Multiaddresses, without the peer id: that comes from the genesis.
    pub addresses: Vec<String>,
}

/// JSON-RPC and HTTP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rpc {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Connections at once.
    #[serde(default = "default_connections")]
    pub connections_max: u32,
    /// Subscriptions on one connection.
    #[serde(default = "default_subscriptions")]
    pub subscriptions_per_connection_max: u32,
    /// Requests a second from one address, on average.
    #[serde(default = "default_rate")]
    pub requests_per_second_max: u32,
    /// Time that a request's headers and body may take, milliseconds.
    #[serde(default = "default_read_timeout")]
    pub read_timeout_ms: u64,
}

const fn default_connections() -> u32 {
    512
}
const fn default_subscriptions() -> u32 {
    32
}
const fn default_rate() -> u32 {
    20_000
}
const fn default_read_timeout() -> u64 {
    5_000
}

/// Logs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// A filter such as `info` or `info,libp2p=warn`.
    #[serde(default = "default_level")]
    pub level: String,
    /// `json` or `text`.
    #[serde(default)]
    pub format: LogFormat,
}

fn default_level() -> String {
    "info".to_owned()
}

impl Default for Log {
    fn default() -> Self {
        Self { level: default_level(), format: LogFormat::default() }
    }
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    network: NetworkSection,
    node: NodeSection,
    p2p: P2pSection,
    rpc: Rpc,
    #[serde(default)]
    log: Log,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkSection {
    genesis: PathBuf,
    /// Set to start with fewer than four validators, which survive no fault.
    #[serde(default)]
    allow_few_validators: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeSection {
    #[serde(deserialize_with = "parsed")]
    party: PartyId,
    data_dir: PathBuf,
    keys_dir: PathBuf,
    /// A key on P-256 for COSE receipts; most nodes have none.
    receipt_key: Option<PathBuf>,
    /// The party was admitted, or its node got other keys, after the genesis: the ledger knows them.
    #[serde(default)]
    after_genesis: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct P2pSection {
    listen: Vec<String>,
    #[serde(default, rename = "peer")]
    peers: Vec<Peer>,
}

fn parsed<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text = String::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// Why a configuration is refused. Each says what to change.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong type; the message names line and column.
    #[error("{path} is not a valid configuration:\n{message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// With the line, as the TOML parser shows it.
        message: String,
    },
    /// The genesis file holds no genesis.
    #[error("{path} holds no genesis document")]
    Genesis {
        /// The file.
        path: PathBuf,
        /// Why.
        source: consign_types::codec::DecodeError,
    },
    /// A key file that cannot be used.
    #[error("the node's keys cannot be used")]
    Keys(#[source] KeyError),
    /// A party that the genesis does not list.
    #[error(
        "{0} is not a member of this network; node.party must be one of: {1}; a party \
         that was admitted later sets node.after_genesis = true"
    )]
    NotMember(PartyId, String),
    /// The keys are not the ones in the genesis.
    #[error(
        "the {what} key in keys_dir is not the one that the genesis lists for {party}; point \
         node.keys_dir at that party's keys, or network.genesis at the right network"
    )]
    KeyMismatch {
        /// Which key.
        what: &'static str,
        /// The member.
        party: PartyId,
    },
    /// An address that is none.
    #[error("{0:?} is not a multiaddress; write it as /ip4/192.0.2.1/tcp/9201")]
    Address(String),
    /// A peer that is no validator of this network.
    #[error("p2p.peer {0} runs no validator of this network")]
    UnknownPeer(PartyId),
    /// Too few validators, and nobody said that this is meant.
    #[error(
        "the network has {0} validators and survives no fault; 4 survive one. For development set \
         network.allow_few_validators = true"
    )]
    FewValidators(usize),
}

impl Config {
    /// Reads and checks the configuration in the file at `path`, and what it points to.
    ///
    /// # Errors
    /// [`ConfigError`], which says what to change.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
        };
        let text = String::from_utf8_lossy(&read(path)?).into_owned();
        let file: File = toml::from_str(&text)
            .map_err(|e| ConfigError::Parse { path: path.to_owned(), message: e.to_string() })?;
        let base = path.parent().unwrap_or_else(|| Path::new("."));
        let genesis_path = base.join(&file.network.genesis);
        let genesis = Genesis::from_bytes(&read(&genesis_path)?)
            .map_err(|source| ConfigError::Genesis { path: genesis_path, source })?;
        let receipt_key = file.node.receipt_key.as_ref().map(|path| base.join(path));
        let keys = Keys::load(&base.join(&file.node.keys_dir), receipt_key.as_deref());
        let keys = keys.map_err(ConfigError::Keys)?;

        let config = Self {
            party: file.node.party,
            data_dir: base.join(&file.node.data_dir),
            keys,
            p2p_listen: file.p2p.listen,
            peers: file.p2p.peers,
            rpc: file.rpc,
            log: file.log,
            genesis,
        };
        config.check(file.network.allow_few_validators, file.node.after_genesis)?;
        Ok(config)
    }

    fn check(&self, allow_few_validators: bool, after_genesis: bool) -> Result<(), ConfigError> {
        let members = self.genesis.members();
        if !after_genesis && !members.iter().any(|member| member.party == self.party) {
            let names: Vec<_> = members.iter().map(|member| member.party.as_str()).collect();
            return Err(ConfigError::NotMember(self.party.clone(), names.join(", ")));
        }
        let validators = self.genesis.validators().validators();
        if validators.len() < 4 && !allow_few_validators {
            return Err(ConfigError::FewValidators(validators.len()));
        }
        let own = validators.iter().find(|v| v.party == self.party && !after_genesis);
        if let Some(own) = own {
            let pairs = [
                ("consensus", own.consensus_key, self.keys.consensus.public()),
                ("cosigner", own.cosigner_key, self.keys.cosigner.public()),
                ("network", own.network_key, self.keys.network.public()),
            ];
            if let Some((what, ..)) = pairs.into_iter().find(|(_, listed, held)| listed != held) {
                return Err(ConfigError::KeyMismatch { what, party: self.party.clone() });
            }
        }
        let addresses = self.peers.iter().flat_map(|peer| &peer.addresses);
        for address in self.p2p_listen.iter().chain(addresses) {
            Multiaddr::from_str(address).map_err(|_| ConfigError::Address(address.clone()))?;
        }
        for peer in &self.peers {
            if !after_genesis && !validators.iter().any(|v| v.party == peer.party) {
                return Err(ConfigError::UnknownPeer(peer.party.clone()));
            }
        }
        Ok(())
    }
}
