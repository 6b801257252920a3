//! What can be proposed, and what the network would be then.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use consign_ledger::governance::approvals_needed;
use consign_rpc::join::Joining;
use consign_rpc::methods::{GetMembers, ListRequests};
use consign_rpc::views::MembersView;
use consign_types::digest::NetworkId;
use consign_types::genesis::Params;
use consign_types::governance::{Change, Node as PeerNode};
use consign_types::key::PublicKey;
use consign_types::party::PartyId;
use consign_types::witness::Witness;
use serde::Serialize;

use super::Terms;
use crate::args::Global;
use crate::failure::{Exit, Failure};
use crate::join;
use crate::node::{Node, within};

/// What changes.
#[derive(Debug, Subcommand)]
pub enum Proposed {
    /// A party becomes a member, and its node follows
    Admit {
        /// What it asks for
        #[command(flatten)]
        asked: Asked,
        /// Its devices act as an authority (customs, quality)
        #[arg(long)]
        authority: bool,
        /// The terms.
        #[command(flatten)]
        terms: Terms,
    },
    /// A party is no member any more
    Expel {
        /// Which
        party: PartyId,
        /// The terms.
        #[command(flatten)]
        terms: Terms,
    },
    /// A member's node votes, or votes under other keys
    Validator {
        /// What it asks for
        #[command(flatten)]
        asked: Asked,
        /// The terms.
        #[command(flatten)]
        terms: Terms,
    },
    /// A member's node votes no more; it goes on following
    Retire {
        /// Whose
        party: PartyId,
        /// The terms.
        #[command(flatten)]
        terms: Terms,
    },
    /// A member has a node that follows, or none
    Node(NodeArgs),
    /// A member speaks under another key: the one before is lost, or in other hands
    Key {
        /// What it asks for
        #[command(flatten)]
        asked: Asked,
        /// The terms.
        #[command(flatten)]
        terms: Terms,
    },
    /// Other witnesses in the place of those before; none where none is named
    Witnesses(WitnessesArgs),
    /// The parameters; what is not named goes back to its default
    Params(ParamsArgs),
}

/// What a party asks for: in a file, or handed in at the node that is asked.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct Asked {
    /// What the party's `consign node init` or `rekey` wrote: join-request.json, rekey-request.json
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// An invited party, whose request waits at the node (`consign gov requests`)
    #[arg(long, value_name = "PARTY")]
    invited: Option<PartyId>,
}

/// `consign gov propose node`.
#[derive(Args, Debug)]
pub struct NodeArgs {
    /// Whose
    party: PartyId,
    /// Key of its libp2p identity; no node where absent
    #[arg(long, value_name = "HEX")]
    network_key: Option<PublicKey>,
    /// Where peers dial it; repeat to name more, best first
    #[arg(long = "address", value_name = "MULTIADDR", requires = "network_key")]
    addresses: Vec<String>,
    /// The terms.
    #[command(flatten)]
    terms: Terms,
}

/// `consign gov propose witnesses`.
#[derive(Args, Debug)]
pub struct WitnessesArgs {
    /// A witness, as `consign witness run` prints it, with its address: NAME+ID+KEY@URL; repeat to name all
    #[arg(long = "witness", value_name = "NAME+ID+KEY@URL")]
    witnesses: Vec<Witness>,
    /// The terms.
    #[command(flatten)]
    terms: Terms,
}

/// `consign gov propose params`.
#[derive(Args, Debug)]
pub struct ParamsArgs {
    /// Shortest time between two blocks when busy
    #[arg(long, value_name = "MS", default_value_t = Params::default().block_interval_ms)]
    block_interval_ms: u32,
    /// How long a spent basis still contests the present one
    #[arg(long, value_name = "MS", default_value_t = Params::default().contest_window_ms)]
    contest_window_ms: u64,
    /// How long after a delivery its taker may return the unit
    #[arg(long, value_name = "MS", default_value_t = Params::default().return_window_ms)]
    return_window_ms: u64,
    /// Whether everybody may read
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, default_value_t = true)]
    open_reading: bool,
    /// The terms.
    #[command(flatten)]
    terms: Terms,
}

impl Asked {
    async fn read(self, global: &Global, node: &Node) -> Result<Joining, Failure> {
        let party = match (self.request, self.invited) {
            (Some(path), _) => return join::read(&path),
            (None, Some(party)) => party,
            (None, None) => {
                return Err(Failure::usage("usage", "no request is named", "add --request"));
            }
        };
        let requests =
            within(global.patience(), node.call(ListRequests::default())).await?.requests;
        let view = requests.into_iter().find(|view| view.party.0 == party).ok_or_else(|| {
            let message = format!("no request of {party} waits at {}", node.url());
            let help = "ask the node of whoever invited it, or name its file with --request";
            Failure::new(Exit::Operational, "not_found", message, help)
        })?;
        // The node's word for a request is nothing: its keys speak for themselves.
        view.request.check().map_err(|e| {
            Failure::new(Exit::Refused, "bad_request", e, "ask the party for its join-request.json")
        })
    }
}

impl Proposed {
    /// The change that is meant, and the terms.
    pub async fn read(
        self,
        global: &Global,
        node: &Node,
        network: NetworkId,
    ) -> Result<(Change, Terms), Failure> {
        let joining = async |asked: Asked| {
            let joining = asked.read(global, node).await?;
            if joining.network == network {
                return Ok(joining);
            }
            let message = format!("the request is for network {}, not {network}", joining.network);
            Err(Failure::new(Exit::Refused, "foreign_network", message, "ask the right node"))
        };
        Ok(match self {
            Self::Admit { asked, authority, terms } => {
                (joining(asked).await?.admission(authority), terms)
            }
            Self::Expel { party, terms } => (Change::Expel { party }, terms),
            Self::Validator { asked, terms } => (joining(asked).await?.validator(), terms),
            Self::Key { asked, terms } => (joining(asked).await?.key(), terms),
            Self::Retire { party, terms } => (Change::Retire { party }, terms),
            Self::Node(NodeArgs { party, network_key, addresses, terms }) => {
                let node =
                    network_key.map(|network_key| Box::new(PeerNode { network_key, addresses }));
                (Change::Node { party, node }, terms)
            }
            Self::Witnesses(WitnessesArgs { mut witnesses, terms }) => {
                witnesses.sort_by(|a, b| a.name().cmp(b.name()));
                (Change::Witnesses(witnesses), terms)
            }
            Self::Params(args) => {
                let params = Params {
                    block_interval_ms: args.block_interval_ms,
                    contest_window_ms: args.contest_window_ms,
                    return_window_ms: args.return_window_ms,
                    open_reading: args.open_reading,
                };
                (Change::Params(params), args.terms)
            }
        })
    }
}

/// What the network would be, with its arithmetic.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    sentence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    members: Vec<String>,
    /// How many members must approve it now.
    needed: usize,
    validators: Vec<String>,
    /// How many of them may fail without harm.
    survives: usize,
    /// How many of them must agree.
    quorum: usize,
    validators_before: usize,
}

impl Plan {
    fn of(change: &Change, network: NetworkId, now: &MembersView) -> Self {
        let mut members: Vec<String> = now.members.iter().map(|m| m.party.to_string()).collect();
        let needed = approvals_needed(members.len());
        let mut voting: Vec<_> = now
            .members
            .iter()
            .filter_map(|member| Some((member.validator.as_ref()?.index, member.party.to_string())))
            .collect();
        voting.sort_unstable();
        let mut validators: Vec<String> = voting.into_iter().map(|(_, party)| party).collect();
        let validators_before = validators.len();
        let named = change.party().map(ToString::to_string).unwrap_or_default();
        match change {
            Change::Admit { .. } if !members.contains(&named) => {
                members.push(named);
                members.sort_unstable();
            }
            Change::Expel { .. } => {
                members.retain(|party| *party != named);
                validators.retain(|party| *party != named);
            }
            Change::Retire { .. } => validators.retain(|party| *party != named),
            Change::Validator { .. } if !validators.contains(&named) => validators.push(named),
            _ => {}
        }
        let count = validators.len();
        Self {
            sentence: change.to_string(),
            fingerprint: change.fingerprint(network).map(|print| print.to_string()),
            members,
            needed,
            survives: count.saturating_sub(1) / 3,
            quorum: 2 * count / 3 + 1,
            validators,
            validators_before,
        }
    }

    /// Whether fewer than four validators are accepted, in words.
    pub fn need_words(&self, said: Option<&str>) -> Result<bool, Failure> {
        let count = self.validators.len();
        if count >= 4 || count >= self.validators_before {
            return Ok(false);
        }
        let words = format!("{count} validators survive no faulty one");
        if said == Some(words.as_str()) {
            return Ok(true);
        }
        let message = format!("{count} validators would be left, fewer than four");
        let help = format!("if that is meant, say so: --accept \"{words}\"");
        Err(Failure::new(Exit::Refused, "too_few_validators", message, help))
    }

    /// For people.
    pub fn sentences(&self) -> Vec<String> {
        let mut lines = vec![format!("change      {}", self.sentence)];
        lines.extend(self.fingerprint.iter().map(|print| format!("fingerprint {print}")));
        lines.extend([
            format!("members     {} ({})", self.members.len(), self.members.join(", ")),
            format!(
                "validators  n = {}, f = {}, quorum = {} ({})",
                self.validators.len(),
                self.survives,
                self.quorum,
                self.validators.join(", ")
            ),
            format!("needed      {} members must approve", self.needed),
        ]);
        lines
    }
}

/// What the network would be with `change`.
pub async fn outlook(
    global: &Global,
    node: &Node,
    network: NetworkId,
    change: &Change,
) -> Result<Plan, Failure> {
    let now = within(global.patience(), node.call(GetMembers::default())).await?;
    Ok(Plan::of(change, network, &now))
}
