//! `consign network invite`: a string with which one party asks to join, once.

use std::path::PathBuf;

use clap::Args;
use consign_rpc::methods::GetMembers;
use consign_types::governance::Fingerprint;
use consign_types::invite::Offered;
use consign_types::party::PartyId;
use serde::Serialize;

use crate::args::Global;
use crate::console::{Console, Report};
use crate::failure::{Exit, Failure};
use crate::instant;
use crate::keys::{self, Purpose};
use crate::node::{Node, within};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// `consign network invite`.
#[derive(Args, Debug)]
#[command(after_help = "\
The string is good for one request of this party, at this member's node, until its end. It admits nobody: members
vote on the request (`consign gov requests`, `consign gov propose admit --invited PARTY`). Whoever sees the string
first can use it first: compare the fingerprint by voice.")]
pub struct InviteArgs {
    /// Who is invited: the name that it will have
    party: PartyId,
    /// The member that invites
    #[arg(id = "as", long = "as", value_name = "PARTY")]
    by: PartyId,
    /// Key file of that member
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where the invited party reaches this member's node; the node that is asked where absent
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Where nodes of members are met by others; repeat to name more
    #[arg(long = "peer", value_name = "PARTY=MULTIADDR", required = true, value_parser = peer)]
    peers: Vec<(PartyId, String)>,
    /// Days that the invitation is good
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=30))]
    days: u64,
}

fn peer(text: &str) -> Result<(PartyId, String), String> {
    let (party, address) = text
        .split_once('=')
        .ok_or_else(|| "write it as airline=/ip4/192.0.2.1/tcp/9201".to_owned())?;
    if !address.starts_with('/') {
        return Err(format!("{address} is no multiaddress: write /ip4/192.0.2.1/tcp/9201"));
    }
    Ok((party.parse().map_err(|e| format!("{e}"))?, address.to_owned()))
}

/// An invitation that was made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    invite: String,
    party: String,
    fingerprint: String,
    until: String,
}

impl Report for Made {
    fn text(&self) -> String {
        self.invite.clone()
    }
}

/// Makes the invitation.
///
/// # Errors
/// When the member or the party is not what it has to be.
pub async fn invite(console: &Console, global: &Global, args: InviteArgs) -> Result<(), Failure> {
    let node = Node::first(global).await?;
    let status = within(global.patience(), node.status()).await?;
    let network = status.network.0;
    if args.url.is_none() && status.party.0 != args.by {
        let (url, party, by) = (node.url(), &status.party, &args.by);
        let message =
            format!("{url} is the node of {party}, which takes no request that {by} invites");
        let help = format!("ask the node of {by}, or name it with --url");
        return Err(Failure::new(Exit::Refused, "other_node", message, help));
    }
    let members = within(global.patience(), node.call(GetMembers::default())).await?.members;
    let key = keys::read(&args.key, Purpose::Member)?;
    let by = members.iter().find(|member| member.party.0 == args.by);
    if by.is_none_or(|by| by.key.0 != key.public().into()) {
        let message = format!("{} is not the member key of {}", args.key.display(), args.by);
        let help = "name the member that you speak for, and its present key";
        return Err(Failure::new(Exit::Refused, "not_member", message, help));
    }
    if members.iter().any(|member| member.party.0 == args.party) {
        let message = format!("{} is a member already", args.party);
        let help =
            "invite a party under a name that is free: `consign gov list` and chain_getMembers";
        return Err(Failure::new(Exit::Refused, "already_member", message, help));
    }
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)
        .map_err(|e| Failure::operational("random", e, "the system gives no random numbers"))?;
    let mut peers: Vec<(PartyId, Vec<String>)> = Vec::new();
    for (party, address) in args.peers {
        match peers.iter_mut().find(|(known, _)| *known == party) {
            Some((_, addresses)) => addresses.push(address),
            None => peers.push((party, vec![address])),
        }
    }
    let until = instant::now().plus(args.days * DAY_MS);
    let url = args.url.unwrap_or_else(|| node.url().to_owned());
    let offered = Offered { network, party: args.party, by: args.by, url, until, nonce, peers };
    let party = offered.party.to_string();
    let invite = offered.sign(&key).to_string();
    // Whoever reads it must take what was made.
    invite
        .parse::<consign_types::invite::Invite>()
        .map_err(|e| Failure::usage("usage", e, "name fewer nodes, or shorter addresses"))?;
    let fingerprint = Fingerprint::of_inviter(network, &key.public().into()).to_string();
    console.note(format!(
        "give the string to {party}; `consign node init` shows it the fingerprint {fingerprint}: compare by voice"
    ));
    console.result(&Made { invite, party, fingerprint, until: until.to_string() })
}
