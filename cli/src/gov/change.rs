//! What can be proposed, and what the network would be then.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use consign_ledger::governance::approvals_needed;
use consign_rpc::methods::ListRequests;
use consign_rpc::views::{MembersView, ParamsView, RequestView};
use consign_types::digest::NetworkId;
use consign_types::genesis::Params;
use consign_types::governance::{Change, Node as PeerNode};
use consign_types::key::PublicKey;
use consign_types::party::PartyId;
use consign_types::validator::{faults, is_few, quorum};
use consign_types::witness::Witness;
use serde::Serialize;

use super::Terms;
use crate::args::Global;
use crate::failure::{Exit, Failure};
use crate::join::{self, Asking};
use crate::network::ParamsArgs;
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
    /// The parameters; what is not named stays as it is
    Params(ChangedParams),
}

/// What a party asks for.
#[derive(Args, Debug)]
pub struct Asked {
    /// Where it is
    #[command(flatten)]
    from: AskedIn,
    /// The fingerprint that the party read out: the request must have it
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
}

/// Where a request is: in a file, or handed in at the node that is asked.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct AskedIn {
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
pub struct ChangedParams {
    /// Which.
    #[command(flatten)]
    params: ParamsArgs,
    /// The terms.
    #[command(flatten)]
    terms: Terms,
}

impl Asked {
    /// The change that is asked for, as `change` makes it of a request.
    async fn read(
        self,
        global: &Global,
        node: &Node,
        network: NetworkId,
        change: impl Fn(&Asking) -> Option<Change>,
    ) -> Result<Change, Failure> {
        let asked = match (self.from.request, self.from.invited) {
            (Some(path), _) => vec![join::read_asking(&path)?],
            (None, Some(party)) => {
                let requests = within(global.patience(), node.call(ListRequests::default()));
                of_party(requests.await?.requests, &party, node.url())?
            }
            (None, None) => {
                return Err(Failure::usage("usage", "no request is named", "add --request"));
            }
        };
        if let Some(foreign) = asked.iter().map(Asking::network).find(|asked| *asked != network) {
            let message = format!("the request is for network {foreign}, not {network}");
            return Err(Failure::new(
                Exit::Refused,
                "foreign_network",
                message,
                "ask the right node",
            ));
        }
        let changes: Vec<Change> = asked.iter().filter_map(change).collect();
        if changes.is_empty() {
            let message = "the request asks for something else: it shows no key for that";
            let help =
                "propose what it is for: validator, or key; `admit` takes a join-request.json";
            return Err(Failure::new(Exit::Refused, "bad_request", message, help));
        }
        the_one(changes, network, self.fingerprint.as_deref())
    }
}

/// What `party` asks for in the requests that wait at `url`. The node's word for a request is nothing: its keys
/// speak for themselves.
fn of_party(
    requests: Vec<RequestView>,
    party: &PartyId,
    url: &str,
) -> Result<Vec<Asking>, Failure> {
    let of_party = requests.into_iter().filter(|view| view.party.0 == *party);
    let (asked, bad): (Vec<_>, Vec<_>) =
        of_party.map(|view| view.request.check()).partition(Result::is_ok);
    let asked: Vec<Asking> =
        asked.into_iter().flatten().map(|joining| Asking::Join(Box::new(joining))).collect();
    match bad.into_iter().find_map(Result::err) {
        _ if !asked.is_empty() => Ok(asked),
        Some(bad) => {
            let help = "ask the party for its join-request.json";
            Err(Failure::new(Exit::Refused, "bad_request", bad, help))
        }
        None => {
            let message = format!("no request of {party} waits at {url}");
            let help = "ask the node of whoever invited it, or name its file with --request";
            Err(Failure::new(Exit::Operational, "not_found", message, help))
        }
    }
}

/// The one change that is meant. Anybody who saw an invitation can have handed in a request of his own keys:
/// where there are several, the fingerprint says which, and nothing else does.
fn the_one(
    mut changes: Vec<Change>,
    network: NetworkId,
    fingerprint: Option<&str>,
) -> Result<Change, Failure> {
    let print = |change: &Change| change.fingerprint(network).map(|print| print.to_string());
    let prints =
        |changes: &[Change]| changes.iter().filter_map(print).collect::<Vec<_>>().join(", ");
    let all = prints(&changes);
    if let Some(wanted) = fingerprint {
        changes.retain(|change| print(change).is_some_and(|own| is_same(&own, wanted)));
    }
    changes.dedup();
    match <[Change; 1]>::try_from(changes) {
        Ok([change]) => Ok(change),
        Err(none) if none.is_empty() => {
            let message = format!("no request has that fingerprint, but {all}");
            let help = "stop: these are not the keys that the party read out; ask it for its join-request.json";
            Err(Failure::new(Exit::Refused, "other_fingerprint", message, help))
        }
        Err(several) => {
            let (count, prints) = (several.len(), prints(&several));
            let message =
                format!("{count} requests of the party wait, with the fingerprints {prints}");
            let help = "have the party read its own out, and name it with --fingerprint";
            Err(Failure::new(Exit::Refused, "several_requests", message, help))
        }
    }
}

/// Whether a fingerprint is what somebody typed.
pub fn is_same(own: &str, typed: &str) -> bool {
    own.eq_ignore_ascii_case(typed.trim())
}

/// What is named, and for the rest what is in force.
fn changed(args: &ParamsArgs, now: Params) -> Result<Params, Failure> {
    let params = args.on(now);
    if params == now {
        let help =
            "name a parameter with another value than the one in force: `consign gov members`";
        return Err(Failure::usage("no_change", "no parameter would change", help));
    }
    Ok(params)
}

impl Proposed {
    /// The change that is meant, and the terms.
    pub async fn read(
        self,
        global: &Global,
        node: &Node,
        network: NetworkId,
        now: &MembersView,
    ) -> Result<(Change, Terms), Failure> {
        Ok(match self {
            Self::Admit { asked, authority, terms } => {
                let admission = |asking: &Asking| asking.admission(authority);
                (asked.read(global, node, network, admission).await?, terms)
            }
            Self::Expel { party, terms } => (Change::Expel { party }, terms),
            Self::Validator { asked, terms } => {
                (asked.read(global, node, network, Asking::validator).await?, terms)
            }
            Self::Key { asked, terms } => {
                (asked.read(global, node, network, Asking::key).await?, terms)
            }
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
            Self::Params(ChangedParams { params, terms }) => {
                (Change::Params(changed(&params, now.params.into())?), terms)
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
    /// Each parameter, as it is and as it would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<ParamsPlan>,
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

/// The parameters as they are, and as they would be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
struct ParamsPlan {
    now: ParamsView,
    then: ParamsView,
}

impl ParamsPlan {
    fn sentences(&self) -> Vec<String> {
        params_lines(&self.now)
            .into_iter()
            .zip(params_lines(&self.then))
            .map(|((name, now), (_, then))| {
                if now == then {
                    format!("parameter   {name}: {now}, as it is")
                } else {
                    format!("parameter   {name}: {now} -> {then}")
                }
            })
            .collect()
    }
}

/// Each parameter by its name and value, for people.
pub fn params_lines(params: &ParamsView) -> [(&'static str, String); 4] {
    let reading = if params.open_reading { "open" } else { "for members" };
    [
        ("block interval", format!("{} ms", params.block_interval_ms)),
        ("contest window", format!("{} ms", params.contest_window_ms)),
        ("return window", format!("{} ms", params.return_window_ms)),
        ("reading", reading.to_owned()),
    ]
}

impl Plan {
    /// What the network would be with `change`.
    pub fn of(change: &Change, network: NetworkId, now: &MembersView) -> Self {
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
            params: match change {
                Change::Params(then) => Some(ParamsPlan { now: now.params, then: (*then).into() }),
                _ => None,
            },
            members,
            needed,
            survives: faults(count),
            quorum: quorum(count),
            validators,
            validators_before,
        }
    }

    /// Whether fewer than four validators are accepted, in words.
    pub fn need_words(&self, said: Option<&str>) -> Result<bool, Failure> {
        let count = self.validators.len();
        if !is_few(count) || count >= self.validators_before {
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
        lines.extend(self.params.iter().flat_map(ParamsPlan::sentences));
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

#[cfg(test)]
mod tests {
    use super::*;
    use consign_rpc::join::{FORMAT, JoinRequest, Joining, ShownKey};
    use consign_types::digest::Digest;
    use consign_types::key::SecretKey;

    const NETWORK: NetworkId = NetworkId(Digest([7; 32]));

    /// Contest window alone: reading stays as closed as it is.
    #[test]
    fn a_parameter_that_is_not_named_stays_as_it_is() {
        let now = Params { block_interval_ms: 50, open_reading: false, ..Params::default() };
        let args = ParamsArgs { contest_window_ms: Some(1), ..ParamsArgs::default() };
        assert_eq!(changed(&args, now), Ok(Params { contest_window_ms: 1, ..now }));
        let then = Params { contest_window_ms: 1, ..now };
        let plan = ParamsPlan { now: now.into(), then: then.into() };
        assert_eq!(
            plan.sentences(),
            [
                "parameter   block interval: 50 ms, as it is",
                "parameter   contest window: 604800000 ms -> 1 ms",
                "parameter   return window: 2592000000 ms, as it is",
                "parameter   reading: for members, as it is",
            ]
        );
    }

    #[test]
    fn parameters_as_they_are_are_no_change() {
        let args = ParamsArgs { open_reading: Some(true), ..ParamsArgs::default() };
        let unchanged = changed(&args, Params::default());
        assert_eq!(unchanged.map_err(|e| e.code), Err("no_change".to_owned()));
    }

    fn joining(whose: &str) -> Joining {
        let party = "port".parse().expect("a name");
        let key = |purpose: &str| {
            SecretKey::from_seed(Digest::of(&[whose.as_bytes(), purpose.as_bytes()]).0)
        };
        let shown = |purpose| ShownKey::of(NETWORK, &party, &key(purpose));
        let request = JoinRequest {
            format: FORMAT.to_owned(),
            network: NETWORK.to_string(),
            party: party.to_string(),
            member_key: shown("member"),
            consensus_key: shown("consensus"),
            cosigner_key: shown("cosigner"),
            network_key: shown("network"),
            log_key: key("log").public().to_string(),
            addresses: Vec::new(),
        };
        request.check().expect("a request that holds")
    }

    /// An impostor handed in a request by the same invitation, at another node or before: only what people compared
    /// by voice tells the two apart.
    #[test]
    fn of_several_requests_of_a_party_the_fingerprint_says_which() {
        let [own, other] = ["port", "impostor"].map(|whose| joining(whose).admission(false));
        let print = |of: &Change| of.fingerprint(NETWORK).expect("keys").to_string();
        let both = || vec![other.clone(), own.clone()];
        let code = |refused: Failure| refused.code;
        assert_eq!(the_one(vec![own.clone()], NETWORK, None), Ok(own.clone()));
        assert_eq!(the_one(vec![own.clone(), own.clone()], NETWORK, None), Ok(own.clone()));
        assert_eq!(
            the_one(both(), NETWORK, None).map_err(code),
            Err("several_requests".to_owned())
        );
        let typed = format!(" {} ", print(&own).to_uppercase());
        assert_eq!(the_one(both(), NETWORK, Some(&typed)), Ok(own.clone()));
        let refused = the_one(vec![other.clone()], NETWORK, Some(&print(&own)));
        assert_eq!(refused.map_err(code), Err("other_fingerprint".to_owned()));
    }
}
