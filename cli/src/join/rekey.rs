//! `consign node rekey`: other keys for a member's node, and the request to vote under them.
//!
//! New keys lie beside the present ones until members have decided; then the two change places while the node
//! is stopped ([`super::finish`]). What the node signed before stays where it is: its sign-state holds for every key.
//! No key is needed but those that the request shows.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use consign_rpc::join::ShownKey;
use consign_rpc::methods::GetMembers;
use consign_types::digest::NetworkId;
use consign_types::governance::Change;
use consign_types::key::SecretKey;
use consign_types::party::PartyId;
use serde::Serialize;

use super::finish::{Finished, finish};
use super::key_file;
use super::rekeying::{FORMAT, RekeyRequest, ShownValidator};
use crate::args::Global;
use crate::console::{Console, Report};
use crate::durable::{self, Mode};
use crate::failure::{Exit, Failure};
use crate::keys::{self, Purpose};
use crate::network;
use crate::node::{Node, within};

pub(super) const NEXT: &str = "keys.next";
pub(super) const BEFORE: &str = "keys.before";
/// In [`NEXT`]: the names of the files in it that are new, one a line.
pub(super) const REPLACED: &str = "replaced";

/// The keys that a node votes with, in the order in which members see them.
const VOTING: [Purpose; 3] = [Purpose::Consensus, Purpose::Cosigner, Purpose::Network];

/// `consign node rekey`.
#[derive(Args, Debug)]
#[command(after_help = "\
First the keys are made; members decide (`consign gov propose validator --request FILE`, for a member key
`consign gov propose key --request FILE`). Once it is in force, stop the node, run the same with --finish, start it.")]
pub struct RekeyArgs {
    /// The node's directory, with keys/, genesis.cbor and consignd.toml
    #[arg(long, value_name = "DIR")]
    home: PathBuf,
    /// Whose node it is
    #[arg(long, value_name = "PARTY", required_unless_present = "finish")]
    party: Option<PartyId>,
    /// A key to replace; repeat to name more. Those that vote where absent
    #[arg(long = "replace", value_name = "PURPOSE", value_enum)]
    replace: Vec<Replaced>,
    /// Where other nodes dial it from then on; repeat to name more. As the ledger has it where absent: a node is asked
    #[arg(long, value_name = "MULTIADDR")]
    announce: Vec<String>,
    /// Put the new keys in the place of the present ones; the node is stopped
    #[arg(long, conflicts_with_all = ["replace", "announce"])]
    finish: bool,
}

/// A key that can be replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Replaced {
    /// Speaks for the party. For one that is lost: who has it still signs `consign device rotate`.
    Member,
    /// Signs votes.
    Consensus,
    /// Cosigns checkpoints.
    Cosigner,
    /// Identity among nodes.
    Network,
    /// Signs checkpoints as the serving log: on no ledger, so nobody has to decide.
    Log,
}

impl Replaced {
    const fn purpose(self) -> Purpose {
        match self {
            Self::Member => Purpose::Member,
            Self::Consensus => Purpose::Consensus,
            Self::Cosigner => Purpose::Cosigner,
            Self::Network => Purpose::Network,
            Self::Log => Purpose::Log,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    keys: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<PathBuf>,
    fingerprint: Option<String>,
    validator_fingerprint: Option<String>,
}

impl Report for Made {
    fn text(&self) -> String {
        let request = self.request.as_ref().map_or_else(
            || "none: these keys are on no ledger, nobody has to decide".to_owned(),
            |path| path.display().to_string(),
        );
        let mut text = format!("keys       {}\nrequest    {request}", self.keys.display());
        let prints =
            [("member key", &self.fingerprint), ("validator", &self.validator_fingerprint)];
        for (whose, print) in prints {
            text += &print
                .as_ref()
                .map_or_else(String::new, |print| format!("\nfingerprint of the {whose} {print}"));
        }
        text
    }
}

#[derive(Serialize)]
struct InPlace {
    keys: PathBuf,
    before: PathBuf,
}

impl Report for InPlace {
    fn text(&self) -> String {
        format!(
            "keys       {}\nthe keys before lie in {}: destroy them when the node votes again",
            self.keys.display(),
            self.before.display()
        )
    }
}

/// Makes new keys, or puts them in force.
///
/// # Errors
/// When a file is missing, in the way, or cannot be written; or no node says where the party's is met.
pub async fn rekey(console: &Console, global: &Global, args: RekeyArgs) -> Result<(), Failure> {
    let RekeyArgs { home, party, replace, announce, finish: finishes } = args;
    let party = match party {
        _ if finishes => {
            let Finished { keys, before } = finish(&home)?;
            return console.result(&InPlace { keys, before });
        }
        Some(party) => party,
        None => return Err(Failure::usage("usage", "no party is named", "add --party")),
    };
    let mut named: Vec<Purpose> = Vec::new();
    for purpose in replace.iter().map(|replaced| replaced.purpose()) {
        if !named.contains(&purpose) {
            named.push(purpose);
        }
    }
    if named.is_empty() {
        named = VOTING.to_vec();
    }
    let network = network::read_genesis(&home.join("genesis.cbor"))?.network();
    let addresses = if announce.is_empty() && votes_under(&named) {
        present_addresses(global, network, &party).await?
    } else {
        announce
    };
    console.result(&make(&home, network, &party, &named, addresses)?)
}

/// Whether the node votes under other keys with these replaced.
fn votes_under(named: &[Purpose]) -> bool {
    VOTING.iter().any(|purpose| named.contains(purpose))
}

/// Where the party's node is met, as the ledger has it: a change of its keys without addresses would take them away.
async fn present_addresses(
    global: &Global,
    network: NetworkId,
    party: &PartyId,
) -> Result<Vec<String>, Failure> {
    let asked = async {
        let node = Node::first(global).await?;
        let other = within(global.patience(), node.status()).await?.network.0;
        if other != network {
            let message = format!("{} is of network {other}, not {network}", node.url());
            return Err(Failure::new(Exit::Refused, "foreign_network", message, ""));
        }
        within(global.patience(), node.call(GetMembers::default())).await
    };
    let help = "name its addresses with --announce, or with --node a node that says them";
    let view = asked.await.map_err(|failure| {
        let message = format!("nobody says where the node of {party} is met: {}", failure.message);
        Failure::new(failure.exit, &failure.code, message, help)
    })?;
    let member = view.members.into_iter().find(|member| member.party.0 == *party);
    let member = member.ok_or_else(|| {
        let message = format!("{party} is no member of this network");
        Failure::new(Exit::Refused, "unknown_party", message, "see `consign gov members`")
    })?;
    Ok(member.node.map(|node| node.addresses).unwrap_or_default())
}

fn make(
    home: &Path,
    network: NetworkId,
    party: &PartyId,
    named: &[Purpose],
    addresses: Vec<String>,
) -> Result<Made, Failure> {
    let next = home.join(NEXT);
    network::refuse_unless_empty(&next)?;
    let mut held: Vec<(Purpose, SecretKey)> = Vec::new();
    // What stays and is shown is read before anything is made: nothing half-made is left where it is not there.
    for purpose in VOTING.into_iter().filter(|stays| votes_under(named) && !named.contains(stays)) {
        held.push((purpose, keys::read(&key_file(&home.join("keys"), purpose), purpose)?));
    }
    keys::private_dir(&next)?;
    for purpose in named {
        held.push((*purpose, keys::create(&key_file(&next, *purpose), *purpose)?));
    }
    let request = request_of(&held, network, party, addresses);
    let asked = request.check().map_err(|why| {
        Failure::usage("bad_request", why, "remove keys.next, and name other --announce")
    })?;
    let path = home.join("rekey-request.json");
    let asks = asked.key.is_some() || asked.validator.is_some();
    if asks {
        let text = serde_json::to_string_pretty(&request).unwrap_or_default() + "\n";
        durable::replace(&path, text.as_bytes(), Mode::Shared)?;
    }
    // The last of it: where it lies, everything else does.
    let replaced: String =
        named.iter().map(|purpose| format!("{}.key\n", purpose.as_str())).collect();
    durable::replace(&next.join(REPLACED), replaced.as_bytes(), Mode::Private)?;
    let print = |change: &Change| change.fingerprint(network).map(|print| print.to_string());
    Ok(Made {
        keys: next,
        request: asks.then_some(path),
        fingerprint: asked.key.as_ref().and_then(print),
        validator_fingerprint: asked.validator.as_ref().and_then(print),
    })
}

/// What a party that holds these keys asks for. All three that vote are held, or none of them.
fn request_of(
    held: &[(Purpose, SecretKey)],
    network: NetworkId,
    party: &PartyId,
    addresses: Vec<String>,
) -> RekeyRequest {
    let shown = |wanted: Purpose| {
        let (_, key) = held.iter().find(|(purpose, _)| *purpose == wanted)?;
        Some(ShownKey::of(network, party, key))
    };
    let [consensus, cosigner, own] = VOTING.map(shown);
    let validator = consensus.zip(cosigner).zip(own);
    RekeyRequest {
        format: FORMAT.to_owned(),
        network: network.to_string(),
        party: party.to_string(),
        member_key: shown(Purpose::Member),
        validator: validator.map(|((consensus_key, cosigner_key), network_key)| ShownValidator {
            consensus_key,
            cosigner_key,
            network_key,
            addresses,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use consign_types::genesis::Params;
    use consign_types::time::Millis;

    use super::*;
    use crate::join::read_asking;
    use crate::network::{Ports, Spec};

    /// The airline's directory of a new network, without the member key: it is off the machine.
    fn airline(dir: &Path) -> (PathBuf, NetworkId, PartyId) {
        let parties = ["forwarder", "airline", "handler", "consignee"];
        let spec = Spec {
            origin: "devnet.example/consign".to_owned(),
            parties: parties.map(|name| name.parse().unwrap()).to_vec(),
            authorities: Vec::new(),
            ports: Ports { rpc: 9101, p2p: 9201 },
            time: Millis(1_700_000_000_000),
            params: Params::default(),
            witnesses: Vec::new(),
        };
        let out = dir.join("net");
        network::init(&out, &spec).unwrap();
        let home = out.join("airline");
        fs::remove_file(home.join("keys/member.key")).unwrap();
        let network = network::read_genesis(&home.join("genesis.cbor")).unwrap().network();
        (home, network, "airline".parse().unwrap())
    }

    fn names(dir: PathBuf) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// One voting key alone is replaced; the other two are shown as they are, and the member key by nobody.
    #[test]
    fn a_node_gets_another_key_where_the_member_key_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (home, network, party) = airline(dir.path());
        let own = |dir: &str, purpose| {
            keys::read(&key_file(&home.join(dir), purpose), purpose).unwrap().public()
        };
        let [_, cosigner_key, network_key] = VOTING.map(|purpose| own("keys", purpose));
        let addresses = vec!["/ip4/192.0.2.2/tcp/9201".to_owned()];
        let named = [Purpose::Consensus];
        let made = make(&home, network, &party, &named, addresses.clone()).unwrap();
        assert_eq!(names(home.join(NEXT)), ["consensus.key", "replaced"]);

        let asking = read_asking(&made.request.unwrap()).unwrap();
        assert_eq!(
            (asking.network(), asking.admission(false), asking.key()),
            (network, None, None)
        );
        let Some(Change::Validator { validator, addresses: said, .. }) = asking.validator() else {
            panic!("the node votes under another key: {asking:?}");
        };
        let consensus_key = own(NEXT, Purpose::Consensus);
        assert_eq!(validator.party, party);
        assert_eq!(
            [validator.consensus_key, validator.cosigner_key, validator.network_key],
            [consensus_key, cosigner_key, network_key]
        );
        assert_eq!(said, addresses);

        finish(&home).unwrap();
        assert_eq!(own("keys", Purpose::Consensus), consensus_key);
        let voting = ["consensus.key", "cosigner.key", "log.key", "network.key"];
        assert_eq!(names(home.join("keys")), voting);
    }

    #[test]
    fn a_lost_member_key_is_replaced_alone_and_a_log_key_asks_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let (home, network, party) = airline(dir.path());
        let made = make(&home, network, &party, &[Purpose::Member], Vec::new()).unwrap();
        let asking = read_asking(&made.request.unwrap()).unwrap();
        assert_eq!(asking.validator(), None);
        let key = asking.key().expect("it speaks under another key");
        // What it reads out is what members see beside the proposal.
        assert_eq!(made.fingerprint, key.fingerprint(network).map(|print| print.to_string()));
        finish(&home).unwrap();
        assert!(home.join("keys/member.key").is_file());

        let dir = tempfile::tempdir().unwrap();
        let (home, network, party) = airline(dir.path());
        let made = make(&home, network, &party, &[Purpose::Log], Vec::new()).unwrap();
        assert_eq!(
            (made.request, made.fingerprint, made.validator_fingerprint),
            (None, None, None)
        );
        assert_eq!(names(home.join(NEXT)), ["log.key", "replaced"]);
    }

    /// A voting key that stays is not there: nothing is left that would be in the way of the next attempt.
    #[test]
    fn what_cannot_be_shown_is_said_before_anything_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let (home, network, party) = airline(dir.path());
        fs::remove_file(home.join("keys/network.key")).unwrap();
        let refused = make(&home, network, &party, &[Purpose::Consensus], Vec::new());
        assert_eq!(refused.map(|_| ()).map_err(|failure| failure.code), Err("file".to_owned()));
        assert!(!home.join(NEXT).exists());
    }
}
