//! `consign node init`: from an invitation to a node that waits to be admitted.
//!
//! Whoever is invited has no token yet: it asks for nothing that is not for everybody. Who invites says the
//! invitation, and its fingerprint is compared by voice.

use std::path::PathBuf;

use clap::Args;
use consign_rpc::methods::GetGenesis;
use consign_rpc::params::SubmitRequest;
use consign_types::codec::Canonical as _;
use consign_types::genesis::Genesis;
use consign_types::governance::Fingerprint;
use consign_types::invite::{Invite, Offered};
use consign_types::party::PartyId;
use serde::Serialize;

use super::found::init_founder;
use super::{Listen, init, read};
use crate::args::Global;
use crate::console::{Console, Report};
use crate::failure::{Exit, Failure};
use crate::instant;
use crate::network::Peer;
use crate::node::{Node, within};

/// `consign node init`.
#[derive(Args, Debug)]
pub struct InitArgs {
    /// The string that a member made with `consign network invite`
    #[arg(long, value_name = "STRING", required_unless_present = "found")]
    join: Option<Invite>,
    /// For a network that is not there yet: `consign network found` makes it of the parties' requests
    #[arg(long, conflicts_with = "join", requires = "party")]
    found: bool,
    /// Who you are, with --found; an invitation says it otherwise
    #[arg(long, value_name = "PARTY", conflicts_with = "join")]
    party: Option<PartyId>,
    /// Directory to make: keys, configuration, data; must be empty or absent
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Where the node will answer JSON-RPC and HTTP
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9101")]
    rpc: String,
    /// Where the node will listen for other nodes
    #[arg(long, value_name = "MULTIADDR", default_value = "/ip4/0.0.0.0/tcp/9201")]
    p2p: String,
    /// Where other nodes dial it, where that is another address; repeat to name more
    #[arg(long, value_name = "MULTIADDR")]
    announce: Vec<String>,
}

/// A node that waits to be admitted.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entered {
    network: String,
    party: String,
    invited_by: String,
    inviter_fingerprint: String,
    fingerprint: String,
    validator_fingerprint: String,
    config: PathBuf,
    request: PathBuf,
}

impl Report for Entered {
    fn text(&self) -> String {
        format!(
            "network    {}\n\
             invited by {}, fingerprint {}\n\
             you are    {}, fingerprint {}, as a validator {}\n\
             request    {}, handed in\n\
             Compare the fingerprints by voice, each side reading its own half: whoever differs stops here.\n\
             next: consignd run --config {}",
            self.network,
            self.invited_by,
            self.inviter_fingerprint,
            self.party,
            self.fingerprint,
            self.validator_fingerprint,
            self.request.display(),
            self.config.display()
        )
    }
}

/// Makes the node and hands its request in.
///
/// # Errors
/// When the invitation does not hold, a file cannot be written, or the request is not taken.
pub async fn enter(console: &Console, global: &Global, args: InitArgs) -> Result<(), Failure> {
    let listen = Listen { rpc: args.rpc, p2p: args.p2p, announce: args.announce };
    let invite = match (args.join, args.party) {
        (Some(invite), _) => invite,
        (None, Some(party)) => return init_founder(console, &args.out, &party, &listen),
        (None, None) => {
            return Err(Failure::usage("usage", "no invitation is given", "add --join"));
        }
    };
    let Offered { network, party, by, url, until, peers, .. } = invite.offered.clone();
    if until < instant::now() {
        let message = format!("the invitation ended at {until}");
        return Err(Failure::new(Exit::Refused, "invite_expired", message, "ask for another"));
    }
    let node = Node::of_another(global, &url)?;
    let answer = within(global.patience(), node.call(GetGenesis::default())).await?;
    let genesis = Genesis::from_bytes(&answer.genesis.0);
    let genesis = genesis.ok().filter(|genesis| genesis.network() == network).ok_or_else(|| {
        let message = format!("{url} has not the genesis of network {network}");
        let help = "ask whoever invited you; the invitation pins the network";
        Failure::new(Exit::Refused, "foreign_network", message, help)
    })?;
    let inviter_fingerprint = Fingerprint::of_inviter(network, &invite.key().into()).to_string();
    let peers: Vec<Peer> =
        peers.into_iter().map(|(party, addresses)| Peer { party, addresses }).collect();
    let path = init(&args.out, &genesis, &party, &listen, &peers)?;
    let joining = read(&path)?;
    let print = |change: &consign_types::governance::Change| {
        change.fingerprint(network).map(|f| f.to_string())
    };
    let entered = Entered {
        network: network.to_string(),
        party: party.to_string(),
        invited_by: by.to_string(),
        inviter_fingerprint,
        fingerprint: print(&joining.admission(false)).unwrap_or_default(),
        validator_fingerprint: print(&joining.validator()).unwrap_or_default(),
        config: args.out.join("consignd.toml"),
        request: path.clone(),
    };
    let text = std::fs::read_to_string(&path).map_err(|e| Failure::file("read", &path, e))?;
    let request = consign_rpc::join::JoinRequest::parse(&text)
        .map_err(|e| Failure::operational("request", e, "report this as a defect"))?;
    let submit = SubmitRequest { invite: invite.to_string(), request };
    if let Err(failure) = within(global.patience(), node.call(submit)).await {
        console.note(format!(
            "the node is made, and its request was not taken: give {} to a member in another way",
            path.display()
        ));
        return Err(failure);
    }
    console.result(&entered)
}
