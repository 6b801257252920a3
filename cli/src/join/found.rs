//! Founding a network whose parties sit in different buildings: each makes its own keys.
//!
//! `consign node init --found` makes a party's directory and its request, for no network yet.
//! `consign network found` makes the genesis of the requests. `consign node adopt` takes the genesis home, if
//! it lists the party's own keys.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use consign_rpc::join::{JoinRequest, Joining};
use consign_types::codec::Canonical as _;
use consign_types::digest::{Digest, NetworkId};
use consign_types::genesis::{Genesis, Params};
use consign_types::key::PublicKey;
use consign_types::party::PartyId;
use consign_types::time::Millis;
use consign_types::validator::is_few;
use consign_types::witness::Witness;
use serde::Serialize;

use super::{Listen, key_file, prepare, read};
use crate::console::{Console, Report};
use crate::failure::{Exit, Failure};
use crate::instant;
use crate::keys::{self, Purpose};
use crate::network::{self, Layout, ParamsArgs, Peer, Seat, readers};

/// What a request says where there is no network yet.
pub(super) const NOWHERE: NetworkId = NetworkId(Digest([0; 32]));

const REQUEST: &str = "founding-request.json";
const LISTEN: &str = "listen.json";
const REQUESTS: &str = "requests";

/// `consign network found`.
#[derive(Args, Debug)]
#[command(after_help = "\
Compare the fingerprint of each request by voice with its party before, and the name of the network with all after.")]
pub struct FoundArgs {
    /// A party's founding-request.json; at least four, to survive one fault
    #[arg(long = "request", value_name = "FILE", required = true)]
    requests: Vec<PathBuf>,
    /// Directory to write; must be empty or absent
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// First line of every checkpoint: a name that the network owns, without a scheme
    #[arg(long, value_name = "NAME")]
    origin: String,
    /// A party whose devices act as an authority (customs, quality)
    #[arg(long = "authority", value_name = "PARTY")]
    authorities: Vec<PartyId>,
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

/// `consign node adopt`.
#[derive(Args, Debug)]
pub struct AdoptArgs {
    /// The node's directory, as `consign node init --found` made it
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// What `consign network found` wrote
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Prepared {
    party: String,
    request: PathBuf,
    fingerprint: String,
    validator_fingerprint: String,
}

impl Report for Prepared {
    fn text(&self) -> String {
        format!(
            "you are    {}, fingerprint {}, as a validator {}\n\
             request    {}\n\
             next: send the request to whoever makes the genesis, and read it the fingerprints by voice",
            self.party,
            self.fingerprint,
            self.validator_fingerprint,
            self.request.display()
        )
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Founded {
    network: String,
    directory: PathBuf,
    open_reading: bool,
    parties: Vec<Founder>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Founder {
    party: String,
    fingerprint: String,
    validator_fingerprint: String,
}

impl Report for Founded {
    fn text(&self) -> String {
        let reading = readers(self.open_reading);
        let mut text = format!("network    {}\nreading    {reading}\n", self.network);
        for founder in &self.parties {
            text += &format!(
                "{:<10} fingerprint {}, as a validator {}\n",
                founder.party, founder.fingerprint, founder.validator_fingerprint
            );
        }
        text + &format!(
            "wrote {}; next: give it to each party, for `consign node adopt`",
            self.directory.display()
        )
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Adopted {
    network: String,
    config: PathBuf,
}

impl Report for Adopted {
    fn text(&self) -> String {
        format!(
            "network    {}\nCompare this name with the other parties by voice: it stands for everything in the genesis.\n\
             next: consignd run --config {}",
            self.network,
            self.config.display()
        )
    }
}

fn founder(joining: &Joining) -> Founder {
    let print = |change: &consign_types::governance::Change| {
        change.fingerprint(NOWHERE).map(|print| print.to_string()).unwrap_or_default()
    };
    Founder {
        party: joining.party.to_string(),
        fingerprint: print(&joining.admission(false)),
        validator_fingerprint: print(&joining.validator()),
    }
}

/// Makes a party's directory, for a network that is not there yet.
pub(super) fn init_founder(
    console: &Console,
    out: &Path,
    party: &PartyId,
    listen: &Listen,
) -> Result<(), Failure> {
    let request = prepare(out, NOWHERE, party, listen)?;
    let path = out.join(REQUEST);
    network::write_file(&path, request.to_text().as_bytes())?;
    let own = [&listen.rpc, &listen.p2p];
    let text = serde_json::to_string(&own).unwrap_or_default();
    network::write_file(&out.join(LISTEN), text.as_bytes())?;
    let Founder { party, fingerprint, validator_fingerprint } = founder(&read(&path)?);
    console.result(&Prepared { party, request: path, fingerprint, validator_fingerprint })
}

/// A request for no network yet, and its document.
fn founding(path: &Path) -> Result<(Joining, JoinRequest), Failure> {
    let joining = read(path)?;
    if joining.network != NOWHERE {
        let message = format!("{} asks to join a network that is there", path.display());
        let help = "ask the party for what `consign node init --found` wrote";
        return Err(Failure::new(Exit::Refused, "bad_request", message, help));
    }
    let text = fs::read_to_string(path).map_err(|e| Failure::file("read", path, e))?;
    let request = JoinRequest::parse(&text)
        .map_err(|e| Failure::new(Exit::Refused, "bad_request", e, "ask the party for another"))?;
    Ok((joining, request))
}

/// Makes the genesis of what the parties ask for.
///
/// # Errors
/// When a request is none, the parties contradict each other, or a file cannot be written.
pub fn found(console: &Console, args: FoundArgs) -> Result<(), Failure> {
    network::refuse_unless_empty(&args.out)?;
    let requests: Vec<_> =
        args.requests.iter().map(|path| founding(path)).collect::<Result<_, _>>()?;
    let stranger = args
        .authorities
        .iter()
        .find(|party| requests.iter().all(|(known, _)| known.party != **party));
    if let Some(party) = stranger {
        let message = format!("authority {party} is not one of the parties");
        return Err(Failure::usage("bad_network", message, "add its --request"));
    }
    let seats = requests.iter().map(|(joining, request)| {
        let log: PublicKey = request.log_key.parse().map_err(|e| {
            Failure::new(Exit::Refused, "bad_request", e, "ask the party for another")
        })?;
        let authority = args.authorities.contains(&joining.party);
        Ok(Seat::new(joining.member(authority), joining.seat(), log))
    });
    let seats: Vec<Seat> = seats.collect::<Result<_, Failure>>()?;
    let time = args.time.unwrap_or_else(instant::now);
    let params = args.params.on(Params::default());
    let genesis = network::found(&args.origin, time, params, args.witnesses, &seats)?;
    keys::private_dir(&args.out)?;
    let layout = Layout::new(&args.out);
    network::write_shared(&layout, &genesis, seats.into_iter().map(Seat::log).collect())?;
    let dir = args.out.join(REQUESTS);
    fs::create_dir(&dir).map_err(|e| Failure::file("create", &dir, e))?;
    for (joining, request) in &requests {
        let path = dir.join(format!("{}.json", joining.party));
        network::write_file(&path, request.to_text().as_bytes())?;
    }
    console.result(&Founded {
        network: genesis.network().to_string(),
        directory: args.out,
        open_reading: params.open_reading,
        parties: requests.iter().map(|(joining, _)| founder(joining)).collect(),
    })
}

/// Takes a genesis home.
///
/// # Errors
/// When it does not list the party under the keys that lie here, or a file cannot be written.
pub fn adopt(console: &Console, args: &AdoptArgs) -> Result<(), Failure> {
    let (own, request) = founding(&args.home.join(REQUEST))?;
    let theirs = Layout::new(&args.from);
    let genesis = network::read_genesis(&theirs.genesis())?;
    let keys_dir = args.home.join("keys");
    let held = |purpose| keys::read(&key_file(&keys_dir, purpose), purpose).map(|key| key.public());
    let [member, consensus, cosigner, net] =
        [Purpose::Member, Purpose::Consensus, Purpose::Cosigner, Purpose::Network].map(held);
    let (member, voting) = (member?, [consensus?, cosigner?, net?]);
    let listed = genesis.members().iter().any(|m| m.party == own.party && m.key == member);
    let validators = genesis.validators().validators().iter();
    let votes = validators
        .filter(|v| v.party == own.party)
        .any(|v| [v.consensus_key, v.cosigner_key, v.network_key] == voting);
    if !(listed && votes) {
        let message = format!(
            "the genesis does not list {} under the keys in {}",
            own.party,
            keys_dir.display()
        );
        let help = "whoever made it was given another request: compare the fingerprints by voice";
        return Err(Failure::new(Exit::Refused, "not_ours", message, help));
    }
    let peers = peers(&theirs, &genesis, &own.party)?;
    let path = args.home.join(LISTEN);
    let text = fs::read_to_string(&path).map_err(|e| Failure::file("read", &path, e))?;
    let [rpc, p2p]: [String; 2] = serde_json::from_str(&text).map_err(|e| {
        let message = format!("{}: {e}", path.display());
        Failure::new(Exit::Refused, "bad_request", message, "make the directory again")
    })?;
    let listen = Listen { rpc, p2p, announce: request.addresses };
    let config = args.home.join("consignd.toml");
    network::refuse_if_there(&config)?;
    network::write_file(&args.home.join("genesis.cbor"), &genesis.to_bytes())?;
    for (from, to) in [(theirs.trust(), "network.trust.json"), (theirs.policy(), "policy.txt")] {
        let to = args.home.join(to);
        fs::copy(&from, &to).map_err(|e| Failure::file("copy", &from, e))?;
    }
    let few = is_few(genesis.validators().count());
    let text = network::founding_config(genesis.network(), &own.party, &listen, &peers, few);
    network::write_file(&config, text.as_bytes())?;
    console.result(&Adopted { network: genesis.network().to_string(), config })
}

/// Where the other founders are met, by their own requests.
fn peers(theirs: &Layout, genesis: &Genesis, own: &PartyId) -> Result<Vec<Peer>, Failure> {
    let others = genesis.validators().validators().iter().filter(|v| v.party != *own);
    let peer = |party: &PartyId| {
        let path = theirs.root().join(REQUESTS).join(format!("{party}.json"));
        let (_, request) = founding(&path)?;
        Ok(Peer { party: party.clone(), addresses: request.addresses })
    };
    others.map(|validator| peer(&validator.party)).collect()
}
