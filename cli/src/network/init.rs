//! Making a network: fresh keys, a genesis, what follows from it, and a directory for each party.
//!
//! Nothing is overwritten: the directory is empty before. A private key is written once, into the
//! directory of the party that it belongs to, and nowhere else.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use consign_types::codec::Canonical as _;
use consign_types::digest::NetworkId;
use consign_types::genesis::{Genesis, Member, Params};
use consign_types::key::PublicKey;
use consign_types::party::PartyId;
use consign_types::policy::policy;

use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_types::validator::{Validator, ValidatorSet, is_few};
use consign_types::witness::Witness;
use serde::Serialize;

use super::params::readers;
use crate::console::Report;
use crate::failure::{Exit, Failure};
use crate::join::Listen;
use crate::keys::{self, Purpose};

/// First ports of the nodes; each party takes the next one.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// JSON-RPC and HTTP.
    pub rpc: u16,
    /// Peer-to-peer.
    pub p2p: u16,
}

/// What a new network is made of.
#[derive(Clone, Debug)]
pub struct Spec {
    /// First line of every checkpoint.
    pub origin: String,
    /// Members, each with one validator, in the order of their ports.
    pub parties: Vec<PartyId>,
    /// Those whose devices act as an authority.
    pub authorities: Vec<PartyId>,
    /// First ports.
    pub ports: Ports,
    /// Time of the genesis block.
    pub time: Millis,
    /// What all nodes share.
    pub params: Params,
    /// Outsiders that cosign.
    pub witnesses: Vec<Witness>,
}

/// Where the files of a network lie.
#[derive(Clone, Debug)]
pub struct Layout(PathBuf);

impl Layout {
    /// The files below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// The genesis document.
    pub fn genesis(&self) -> PathBuf {
        self.0.join("genesis.cbor")
    }

    /// What an auditor believes.
    pub fn trust(&self) -> PathBuf {
        self.0.join("network.trust.json")
    }

    /// The same, as C2SP tools read it.
    pub fn policy(&self) -> PathBuf {
        self.0.join("policy.txt")
    }

    /// What a party takes home.
    pub fn party(&self, party: &PartyId) -> PathBuf {
        self.0.join(party.as_str())
    }

    /// The configuration of a party's node.
    pub fn config(&self, party: &PartyId) -> PathBuf {
        self.party(party).join("consignd.toml")
    }

    /// The file of a party's key.
    pub fn key(&self, party: &PartyId, purpose: Purpose) -> PathBuf {
        self.party(party).join("keys").join(format!("{}.key", purpose.as_str()))
    }
}

/// A network that was made.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    directory: PathBuf,
    network: String,
    origin: String,
    open_reading: bool,
    parties: Vec<MadeParty>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MadeParty {
    party: String,
    rpc: String,
    p2p: String,
    config: PathBuf,
}

impl Report for Made {
    fn text(&self) -> String {
        let (network, origin) = (&self.network, &self.origin);
        let reading = readers(self.open_reading);
        let mut text = format!("network {network}\norigin  {origin}\nreading {reading}\n");
        for party in &self.parties {
            let _ = writeln!(text, "  {:<12} rpc {}  p2p {}", party.party, party.rpc, party.p2p);
        }
        let _ = write!(
            text,
            "wrote {0}; next: consignd run --config {1}",
            self.directory.display(),
            self.parties.first().map(|p| p.config.display().to_string()).unwrap_or_default()
        );
        text
    }
}

/// Makes the network that `spec` describes, in `out`.
///
/// # Errors
/// When `out` is not empty, the values contradict each other, or a file cannot be written.
pub fn init(out: &Path, spec: &Spec) -> Result<Made, Failure> {
    refuse_unless_empty(out)?;
    let stranger = spec.authorities.iter().find(|party| !spec.parties.contains(party));
    if let Some(party) = stranger {
        let message = format!("authority {party} is not one of the parties");
        return Err(Failure::usage("bad_network", message, "add it with --party"));
    }
    let addresses = addresses(spec)?;
    keys::private_dir(out)?;

    let layout = Layout::new(out);
    let mut seats = Vec::new();
    for party in &spec.parties {
        keys::private_dir(&layout.party(party).join("keys"))?;
        mark_new_key(&layout.party(party).join("data"))?;
        let new = |purpose| Ok(keys::create(&layout.key(party, purpose), purpose)?.public());
        let authority = spec.authorities.contains(party);
        let member = Member { party: party.clone(), key: new(Purpose::Member)?, authority };
        let validator = Validator {
            party: party.clone(),
            consensus_key: new(Purpose::Consensus)?,
            cosigner_key: new(Purpose::Cosigner)?,
            network_key: new(Purpose::Network)?,
        };
        seats.push(Seat { member, validator, log: new(Purpose::Log)? });
    }
    let genesis = found(&spec.origin, spec.time, spec.params, spec.witnesses.clone(), &seats)?;
    write_shared(&layout, &genesis, seats.into_iter().map(Seat::log).collect())?;
    for own in &addresses {
        let party = &own.party;
        write_file(&layout.party(party).join("genesis.cbor"), &genesis.to_bytes())?;
        let few = is_few(spec.parties.len());
        let config = node_config(genesis.network(), own, &addresses, few);
        write_file(&layout.config(party), config.as_bytes())?;
    }
    Ok(made(&layout, genesis.network(), spec, addresses))
}

/// Where one party's node listens.
#[derive(Clone, Debug)]
struct Address {
    party: PartyId,
    rpc: String,
    p2p: String,
}

fn addresses(spec: &Spec) -> Result<Vec<Address>, Failure> {
    let port = |base: u16, i: usize| {
        u16::try_from(i).ok().and_then(|i| base.checked_add(i)).ok_or_else(|| {
            let parties = spec.parties.len();
            let message = format!("ports from {base} on do not suffice for {parties} parties");
            Failure::usage("bad_network", message, "choose a lower --base-port")
        })
    };
    let of = |(i, party): (usize, &PartyId)| {
        Ok(Address {
            party: party.clone(),
            rpc: format!("127.0.0.1:{}", port(spec.ports.rpc, i)?),
            p2p: format!("/ip4/127.0.0.1/tcp/{}", port(spec.ports.p2p, i)?),
        })
    };
    spec.parties.iter().enumerate().map(of).collect()
}

/// A party of a new network: a member whose node votes, and the key of the log that it serves.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    member: Member,
    validator: Validator,
    log: PublicKey,
}

impl Seat {
    pub(crate) const fn new(member: Member, validator: Validator, log: PublicKey) -> Self {
        Self { member, validator, log }
    }

    /// For the trust file.
    pub(crate) fn log(self) -> (PartyId, PublicKey) {
        (self.member.party, self.log)
    }
}

/// The genesis of these parties.
///
/// # Errors
/// When they contradict each other.
pub(crate) fn found(
    origin: &str,
    time: Millis,
    params: Params,
    witnesses: Vec<Witness>,
    seats: &[Seat],
) -> Result<Genesis, Failure> {
    let bad = |e: &dyn std::error::Error| {
        Failure::usage("bad_network", e, "see `consign network init --help`")
    };
    let mut members: Vec<_> = seats.iter().map(|seat| seat.member.clone()).collect();
    members.sort_by(|a, b| a.party.cmp(&b.party));
    let validators = seats.iter().map(|seat| seat.validator.clone()).collect();
    let set = ValidatorSet::new(validators).map_err(|e| bad(&e))?;
    Genesis::new(origin, time, members, set, params)
        .and_then(|genesis| genesis.with_witnesses(witnesses))
        .map_err(|e| bad(&e))
}

pub(crate) fn write_shared(
    layout: &Layout,
    genesis: &Genesis,
    logs: Vec<(PartyId, PublicKey)>,
) -> Result<(), Failure> {
    write_file(&layout.genesis(), &genesis.to_bytes())?;
    let trust = Trust::of_genesis(genesis, logs);
    let policy =
        policy(&trust).map_err(|e| Failure::usage("bad_network", e, "choose another --origin"))?;
    write_file(&layout.trust(), trust.to_json().as_bytes())?;
    write_file(&layout.policy(), policy.as_bytes())
}

fn made(layout: &Layout, network: NetworkId, spec: &Spec, addresses: Vec<Address>) -> Made {
    let party = |address: Address| MadeParty {
        config: layout.config(&address.party),
        party: address.party.to_string(),
        rpc: format!("http://{}", address.rpc),
        p2p: address.p2p,
    };
    Made {
        directory: layout.root().to_owned(),
        network: network.to_string(),
        origin: spec.origin.clone(),
        open_reading: spec.params.open_reading,
        parties: addresses.into_iter().map(party).collect(),
    }
}

/// The configuration of one node, as `consignd config check` reads it.
fn node_config(network: NetworkId, own: &Address, all: &[Address], few: bool) -> String {
    let party = &own.party;
    let mut text = format!(
        "# The node of {party}. Paths are relative to this file; `consignd config check` reads it as\n\
         # the start does.\n\n\
         [network]\ngenesis = \"genesis.cbor\"\n\
         # The name of the network; another genesis is refused.\nid = \"{network}\"\n"
    );
    if few {
        text.push_str("# Fewer than four validators survive no fault: for development only.\n");
        text.push_str("allow_few_validators = true\n");
    }
    let _ = write!(
        text,
        "\n[node]\nparty = \"{party}\"\ndata_dir = \"data\"\nkeys_dir = \"keys\"\n\
         \n[rpc]\nlisten = \"{}\"\n\n[p2p]\nlisten = [\"{}\"]\n",
        own.rpc, own.p2p
    );
    for peer in all.iter().filter(|peer| peer.party != *party) {
        let _ = write!(
            text,
            "\n[[p2p.peer]]\nparty = \"{}\"\naddresses = [\"{}\"]\n",
            peer.party, peer.p2p
        );
    }
    text
}

/// Where a node that is there already is met.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Whose.
    pub party: PartyId,
    /// Multiaddresses.
    pub addresses: Vec<String>,
}

const AFTER_GENESIS: &str =
    "# Not of the genesis: the ledger says who it is.\nafter_genesis = true\n";

/// The configuration of a node that joins: the ledger says whose it is, and who else is there.
pub(crate) fn joining_config(
    network: NetworkId,
    party: &PartyId,
    listen: &Listen,
    peers: &[Peer],
) -> String {
    let Listen { rpc, p2p, .. } = listen;
    let mut text = format!(
        "# The node of {party}. Paths are relative to this file; `consignd config check` reads it as\n\
         # the start does.\n\n\
         [network]\ngenesis = \"genesis.cbor\"\n\
         # The name of the network; another genesis is refused.\nid = \"{network}\"\n\
         \n[node]\nparty = \"{party}\"\ndata_dir = \"data\"\nkeys_dir = \"keys\"\n\
         {AFTER_GENESIS}\
         \n[rpc]\nlisten = \"{rpc}\"\n\n[p2p]\nlisten = [\"{p2p}\"]\n"
    );
    for peer in peers {
        let addresses: Vec<_> = peer.addresses.iter().map(|a| format!("\"{a}\"")).collect();
        let _ = write!(
            text,
            "\n[[p2p.peer]]\nparty = \"{}\"\naddresses = [{}]\n",
            peer.party,
            addresses.join(", ")
        );
    }
    text
}

/// The configuration of a founder's node.
pub(crate) fn founding_config(
    network: NetworkId,
    party: &PartyId,
    listen: &Listen,
    peers: &[Peer],
    few: bool,
) -> String {
    let text = joining_config(network, party, listen, peers);
    let (first, rest) = text.split_once(AFTER_GENESIS).unwrap_or((&text, ""));
    let few = if few {
        "# Fewer than four validators survive no fault: for development only.\nallow_few_validators = true\n"
    } else {
        ""
    };
    format!("{first}{rest}").replacen("\n[node]\n", &format!("{few}\n[node]\n"), 1)
}

/// Refuses to write over a file.
///
/// # Errors
/// When it is there.
pub(crate) fn refuse_if_there(path: &Path) -> Result<(), Failure> {
    if !path.exists() {
        return Ok(());
    }
    let message = format!("{} is there already and is not overwritten", path.display());
    let help = "choose another directory, or remove the file yourself";
    Err(Failure::new(Exit::Refused, "file_exists", message, help))
}

/// Leaves the mark that the consensus key has signed nothing yet. The node takes it away at its first
/// start; an empty disk without it is a lost disk, on which the node does not sign.
pub(crate) fn mark_new_key(data: &Path) -> Result<(), Failure> {
    keys::private_dir(data)?;
    let path = data.join("new-consensus-key");
    fs::write(&path, "").map_err(|e| Failure::file("write", &path, e))
}

pub(crate) fn refuse_unless_empty(out: &Path) -> Result<(), Failure> {
    let entries = match fs::read_dir(out) {
        Ok(entries) => entries.count(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => 0,
        Err(e) => return Err(Failure::file("read", out, e)),
    };
    if entries == 0 {
        return Ok(());
    }
    let message = format!("{} is not empty and is not overwritten", out.display());
    let help = "choose another directory, or remove this one yourself";
    Err(Failure::new(Exit::Refused, "directory_not_empty", message, help))
}

pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    fs::write(path, bytes).map_err(|e| Failure::file("write", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_types::digest::Digest;

    fn spec() -> Spec {
        Spec {
            origin: "devnet.example/consign".to_owned(),
            parties: ["forwarder", "airline", "handler", "consignee"]
                .map(|name| name.parse().unwrap())
                .to_vec(),
            authorities: vec!["handler".parse().unwrap()],
            ports: Ports { rpc: 9101, p2p: 9201 },
            time: Millis(1_700_000_000_000),
            params: Params::default(),
            witnesses: Vec::new(),
        }
    }

    #[test]
    fn the_genesis_file_names_the_network_and_the_trust_file_agrees() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("net");
        let made = init(&out, &spec()).unwrap();
        let layout = Layout::new(&out);

        let bytes = fs::read(layout.genesis()).unwrap();
        assert_eq!(Digest::of(&[&bytes]).to_string(), made.network);
        let genesis = Genesis::from_bytes(&bytes).unwrap();
        let trust = Trust::from_json(&fs::read_to_string(layout.trust()).unwrap()).unwrap();
        assert_eq!(trust.network, genesis.network());
        assert_eq!(&trust.validators, genesis.validators());
        for party in &spec().parties {
            assert_eq!(fs::read(layout.party(party).join("genesis.cbor")).unwrap(), bytes);
            let member = keys::read(&layout.key(party, Purpose::Member), Purpose::Member).unwrap();
            let listed = genesis.members().iter().find(|m| m.party == *party).unwrap();
            assert_eq!(listed.key, member.public());
            assert_eq!(listed.authority, party.as_str() == "handler");
        }
    }

    #[test]
    fn a_directory_that_holds_something_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("precious"), b"x").unwrap();
        assert_eq!(init(dir.path(), &spec()).unwrap_err().code, "directory_not_empty");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_node_configuration_is_toml_with_every_other_party_as_a_peer() {
        let addresses = addresses(&spec()).unwrap();
        let network = NetworkId(Digest::of(&[b"network"]));
        let text = node_config(network, &addresses[1], &addresses, false);
        let parsed: toml::Table = text.parse().unwrap();
        assert_eq!(parsed["p2p"]["peer"].as_array().unwrap().len(), 3);
        insta::assert_snapshot!(text);
    }
}
