//! The configuration of a node: one TOML file, with the environment and the command line above it.
//!
//! [`Config::load_from`] is the one way in: `consignd run` and `consignd config check` share it, so what
//! the check passes, the start passes. Paths in the file are relative to the file. Whatever is wrong is
//! said at once, each with its line and its mend.

mod doors;
mod limits;
mod listeners;
mod problem;
mod settings;
mod show;
mod tls;
mod tokens;
mod values;

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use consign_rpc::server::ServerLimits;
use consign_types::codec::Canonical as _;
use consign_types::digest::NetworkId;
use consign_types::genesis::Genesis;
use consign_types::party::PartyId;
use consign_types::validator::is_few;
use libp2p::Multiaddr;
use tracing_subscriber::EnvFilter;

use crate::keys::{KeyError, Keys, Passphrase, read_receipt_key};
use crate::pool::Quotas;
use consign_types::causes::on_one_line;

pub use doors::Doors;
pub use listeners::Listener;
pub use problem::{ConfigError, Place, Problem};
pub use settings::{Kind, SETTINGS, Setting, Unset};
pub use show::{Effective, effective};
pub use tls::{Tls, TlsFiles, TlsProblem};
pub use tokens::{TokensError, read_tokens};
pub use values::{Sources, Value};

use values::Values;

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
#[derive(Clone, Debug)]
pub struct Peer {
    /// The member.
    pub party: PartyId,
    /// Multiaddresses, without the peer id: that comes from the genesis.
    pub addresses: Vec<String>,
}

/// JSON-RPC and HTTP.
#[derive(Clone, Debug)]
pub struct Rpc {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// What callers may ask.
    pub limits: ServerLimits,
    /// Events a second that one device may hand in on average; twice as many at once.
    pub events_per_second_per_device_max: u32,
    /// The same for all devices of a member together.
    pub events_per_second_per_member_max: u32,
    /// The operator's Unix socket, where there is one.
    pub admin_socket: Option<PathBuf>,
    /// Who is let in.
    pub doors: Doors,
}

impl Rpc {
    /// What devices and members may hand in.
    pub fn quotas(&self) -> Quotas {
        Quotas::new(self.events_per_second_per_device_max, self.events_per_second_per_member_max)
    }
}

/// Logs.
#[derive(Clone, Debug)]
pub struct Log {
    /// A filter such as `info` or `info,libp2p=warn`.
    pub level: String,
    /// `json` or `text`.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::default() }
    }
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(format!("{text:?} is no form of a log")),
        }
    }
}

impl Config {
    /// Reads and checks the configuration in the file at `path`, and what it points to.
    ///
    /// # Errors
    /// [`ConfigError`], which says what to change.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_from(&Sources::file(path))
    }

    /// Reads and checks the configuration that all sources make together, and what it points to.
    ///
    /// # Errors
    /// [`ConfigError`], which says what to change.
    pub fn load_from(sources: &Sources) -> Result<Self, ConfigError> {
        let mut reader =
            Reader { base: directory_of(&sources.file).to_owned(), values: Values::read(sources)? };
        let config = reader.config();
        let problems = reader.values.problems();
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(ConfigError::new(problems.to_vec())),
        }
    }
}

/// Where a file lies. A bare name has the parent "", which is no directory that could be looked at.
fn directory_of(file: &Path) -> &Path {
    let named = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    named.unwrap_or_else(|| Path::new("."))
}

/// Makes values of this program of what stands in the file. `None` is always a problem that was noted.
struct Reader {
    base: PathBuf,
    values: Values,
}

impl Reader {
    fn config(&mut self) -> Option<Config> {
        // All parts are read before the first that is missing ends it: what is wrong is said at once.
        let genesis = self.genesis();
        let party = self.parsed::<PartyId>("node.party", "write the name that the genesis lists");
        let data_dir = self.data_dir();
        let keys = self.keys();
        let rpc = self.rpc(genesis.as_ref());
        let p2p_listen = self.p2p_listen();
        let peers = self.peers();
        let log = self.log();
        self.check_listeners(rpc.as_ref().map(|rpc| rpc.listen));
        if let Some(genesis) = &genesis {
            self.check_network(genesis, party.as_ref(), keys.as_ref());
            self.check_peers(genesis, party.as_ref(), &peers);
        }
        Some(Config {
            genesis: genesis?,
            party: party?,
            data_dir: data_dir?,
            keys: keys?,
            p2p_listen,
            peers: peers.into_iter().map(|(_, peer)| peer).collect(),
            rpc: rpc?,
            log: log?,
        })
    }

    fn genesis(&mut self) -> Option<Genesis> {
        let path = self.path("network.genesis")?;
        let name = "network.genesis";
        let bytes = fs::read(&path).map_err(|e| {
            let what = format!("cannot read {}: {e}", path.display());
            self.values.refuse(name, what, "name the file that the network's founder gave you");
        });
        let genesis = Genesis::from_bytes(&bytes.ok()?).map_err(|e| {
            let what = format!("{} holds no genesis document: {}", path.display(), on_one_line(&e));
            self.values.refuse(name, what, "name the file that the network's founder gave you");
        });
        let genesis = genesis.ok()?;
        if self.values.get("network.id").is_some() {
            let pinned = self
                .parsed::<NetworkId>("network.id", "write the 64 digits of the network's name")?;
            if pinned != genesis.network() {
                let what = format!(
                    "network.id is {pinned}, but {} is the genesis of {}",
                    path.display(),
                    genesis.network()
                );
                let mend = "name the genesis of the network that you mean, and compare its name with another member";
                self.values.refuse("network.id", what, mend);
                return None;
            }
        }
        Some(genesis)
    }

    fn data_dir(&mut self) -> Option<PathBuf> {
        let path = self.path("node.data_dir")?;
        self.check_directory("node.data_dir", &path)?;
        Some(path)
    }

    /// A directory that is there is one, and nobody else can change what is in it.
    fn check_directory(&mut self, name: &str, path: &Path) -> Option<()> {
        let Ok(found) = fs::metadata(path) else { return Some(()) };
        let mode = found.permissions().mode() & 0o777;
        if !found.is_dir() {
            let what = format!("{} is no directory", path.display());
            self.values.refuse(name, what, "name a directory");
            return None;
        }
        if mode & 0o022 != 0 {
            let what = format!("{} has mode {mode:04o}: others may write there", path.display());
            self.values.refuse(name, what, format!("chmod 700 {}", path.display()));
            return None;
        }
        Some(())
    }

    fn keys(&mut self) -> Option<Keys> {
        let receipt = self.path("node.receipt_key");
        let dir = self.path("node.keys_dir")?;
        self.check_directory("node.keys_dir", &dir)?;
        let refuse = |values: &mut Values, name: &str, error: &KeyError| {
            values.refuse(name, on_one_line(error), error.mend());
        };
        let named = self.path("node.passphrase_file").or_else(Passphrase::credential);
        let passphrase = named.map(|path| Passphrase::read(&path)).transpose();
        let passphrase =
            passphrase.map_err(|e| refuse(&mut self.values, "node.passphrase_file", &e)).ok()?;
        let passphrase = passphrase.as_ref();
        let keys =
            Keys::load(&dir, passphrase).map_err(|e| refuse(&mut self.values, "node.keys_dir", &e));
        let receipt = receipt.map(|path| read_receipt_key(&path, passphrase)).transpose();
        let receipt = receipt.map_err(|e| refuse(&mut self.values, "node.receipt_key", &e));
        Some(Keys { receipt: receipt.ok()?, ..keys.ok()? })
    }

    fn rpc(&mut self, genesis: Option<&Genesis>) -> Option<Rpc> {
        let listen = self.parsed("rpc.listen", "write an address and a port, 127.0.0.1:9101");
        let [per_device, per_member] =
            ["rpc.events_per_second_per_device_max", "rpc.events_per_second_per_member_max"]
                .map(|name| self.number(name).and_then(|number| u32::try_from(number).ok()));
        let limits = self.limits();
        let doors = self.doors(genesis);
        Some(Rpc {
            doors: doors?,
            admin_socket: self.admin_socket(),
            listen: listen?,
            limits: limits?,
            events_per_second_per_device_max: per_device?,
            events_per_second_per_member_max: per_member?,
        })
    }

    fn log(&mut self) -> Option<Log> {
        let level = self
            .parsed::<EnvFilter>("log.level", "write a level, info, or a filter, info,libp2p=warn");
        let format = self.parsed("log.format", "write \"json\" or \"text\"");
        let (text, _) = self.text("log.level")?;
        level.map(|_| ())?;
        Some(Log { level: text, format: format? })
    }

    fn p2p_listen(&mut self) -> Vec<String> {
        if matches!(self.values.get("p2p.listen"), Some((Value::Texts(texts), _)) if texts.is_empty())
        {
            let mend = "write a list of addresses, [\"/ip4/0.0.0.0/tcp/9201\"]";
            self.values.refuse("p2p.listen", "p2p.listen is empty", mend);
        }
        self.addresses("p2p.listen").unwrap_or_default()
    }

    /// Each peer with its place in the list.
    fn peers(&mut self) -> Vec<(usize, Peer)> {
        let mut peers = Vec::new();
        for i in 0..self.values.peers() {
            let party = self.parsed::<PartyId>(
                &format!("p2p.peer[{i}].party"),
                "write the name that the genesis lists",
            );
            let addresses = self.addresses(&format!("p2p.peer[{i}].addresses"));
            if let (Some(party), Some(addresses)) = (party, addresses) {
                peers.push((i, Peer { party, addresses }));
            }
        }
        peers
    }

    /// The multiaddresses of a list, those that are none noted and left out.
    fn addresses(&mut self, name: &str) -> Option<Vec<String>> {
        let Some((Value::Texts(texts), _)) = self.values.get(name).cloned() else { return None };
        let mut addresses = Vec::new();
        for (text, place) in texts {
            match Multiaddr::from_str(&text) {
                Ok(_) => addresses.push(text),
                Err(_) => {
                    let what = format!("{name}: {text:?} is not a multiaddress");
                    self.values.refuse_at(place, what, "write it as /ip4/192.0.2.1/tcp/9201");
                }
            }
        }
        Some(addresses)
    }

    /// No two listeners of the node want one port.
    fn check_listeners(&mut self, rpc: Option<SocketAddr>) {
        let mut taken: Vec<(Listener, String)> = Vec::new();
        if let Some(listen) = rpc {
            taken.push((Listener::tcp(listen), format!("rpc.listen {listen}")));
        }
        let Some((Value::Texts(texts), _)) = self.values.get("p2p.listen").cloned() else { return };
        for (text, place) in texts {
            let Ok(address) = Multiaddr::from_str(&text) else { continue };
            let Some(listener) = Listener::of(&address) else {
                let what = format!("p2p.listen: a node cannot listen on {text}");
                let mend = "write /ip4/ADDRESS/tcp/PORT or /ip4/ADDRESS/udp/PORT/quic-v1";
                self.values.refuse_at(place, what, mend);
                continue;
            };
            if let Some((_, other)) = taken.iter().find(|(other, _)| other.clashes(listener)) {
                let what = format!("p2p.listen {text} wants the port of {other}");
                self.values.refuse_at(place, what, "give each listener a port of its own");
            }
            taken.push((listener, format!("p2p.listen {text}")));
        }
    }

    fn check_network(&mut self, genesis: &Genesis, party: Option<&PartyId>, keys: Option<&Keys>) {
        let validators = genesis.validators().validators();
        if is_few(validators.len()) && !self.flag("network.allow_few_validators") {
            let what = format!(
                "the network has {} validators and survives no fault; 4 survive one",
                validators.len()
            );
            let mend = "for development set network.allow_few_validators = true";
            self.values.refuse("network.genesis", what, mend);
        }
        // Whoever came later, or has other keys by now, stands on the ledger, which the start compares with.
        let Some(party) = party.filter(|_| !self.flag("node.after_genesis")) else { return };
        if !genesis.members().iter().any(|member| member.party == *party) {
            let names: Vec<_> = genesis.members().iter().map(|m| m.party.as_str()).collect();
            let what = format!("node.party: {party} is not a member of this network");
            let mend = format!(
                "write one of {}; a party that was admitted later sets node.after_genesis = true",
                names.join(", ")
            );
            self.values.refuse("node.party", what, mend);
        }
        let own = validators.iter().find(|v| v.party == *party);
        let (Some(own), Some(keys)) = (own, keys) else { return };
        let pairs = [
            ("consensus", own.consensus_key, keys.consensus.public()),
            ("cosigner", own.cosigner_key, keys.cosigner.public()),
            ("network", own.network_key, keys.network.public()),
        ];
        if let Some((what, ..)) = pairs.into_iter().find(|(_, listed, held)| listed != held) {
            let what = format!(
                "the {what} key in node.keys_dir is not the one that the genesis lists for {party}"
            );
            let mend =
                "point node.keys_dir at that party's keys, or network.genesis at the right network";
            self.values.refuse("node.keys_dir", what, mend);
        }
    }

    fn check_peers(&mut self, genesis: &Genesis, own: Option<&PartyId>, peers: &[(usize, Peer)]) {
        let validators = genesis.validators().validators();
        for (at, (i, Peer { party, .. })) in peers.iter().enumerate() {
            let name = format!("p2p.peer[{i}].party");
            if !self.flag("node.after_genesis") && !validators.iter().any(|v| v.party == *party) {
                let names: Vec<_> = validators.iter().map(|v| v.party.as_str()).collect();
                let what = format!("{name}: {party} runs no validator of this network");
                self.values.refuse(&name, what, format!("write one of {}", names.join(", ")));
            } else if Some(party) == own {
                let what = format!("{name}: {party} is this node itself");
                self.values.refuse(&name, what, "list the other members' nodes alone");
            } else if peers[..at].iter().any(|(_, other)| other.party == *party) {
                let what = format!("{name}: {party} is listed twice");
                self.values.refuse(&name, what, "write all addresses of a peer in one list");
            }
        }
    }

    fn text(&self, name: &str) -> Option<(String, Place)> {
        match self.values.get(name) {
            Some((Value::Text(text), place)) => Some((text.clone(), place.clone())),
            _ => None,
        }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(|(text, _)| self.base.join(text))
    }

    fn flag(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some((Value::Flag(true), _)))
    }

    fn number(&self, name: &str) -> Option<u64> {
        match self.values.get(name) {
            Some((Value::Number(number), _)) => Some(*number),
            _ => None,
        }
    }

    fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, name: &str, mend: &str) -> Option<T> {
        let (text, place) = self.text(name)?;
        let value = text.parse().map_err(|e: T::Err| {
            // Some of the types say the value themselves.
            let why = e.to_string();
            let what = if why.contains(&text) { why } else { format!("{text:?}: {why}") };
            self.values.refuse_at(place, format!("{name}: {what}"), mend);
        });
        value.ok()
    }
}
