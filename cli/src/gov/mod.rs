//! `consign gov`: what members decide together. Proposals are data, votes are signed, the ledger counts.

mod ballot;
mod change;
mod report;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use consign_rpc::methods::{GetMembers, ListRequests};
use consign_rpc::params::{GetProposal, ListProposals};
use consign_rpc::views::ProposalView;
use consign_types::block::Height;
use consign_types::digest::{EventId, NetworkId};
use consign_types::event::{Action, SignedEvent, Subject};
use consign_types::governance::Motion;
use consign_types::party::{PartyId, SignerId};

use crate::args::Global;
use crate::console::Console;
use crate::event::{self, Stage};
use crate::failure::{Exit, Failure};
use crate::instant;
use crate::member::Member;
use crate::node::{Node, within};
use change::{Plan, Proposed};
use report::{Listed, Planned, Present, Requested, Shown};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// `consign gov`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Propose a change of the network; whoever proposes approves
    Propose {
        /// What changes
        #[command(subcommand)]
        change: Proposed,
    },
    /// Approve a proposal
    Approve(BallotArgs),
    /// Vote against a proposal
    Reject(BallotArgs),
    /// List proposals, newest first
    List,
    /// Show who is a member, whose nodes vote, and the parameters in force
    Members,
    /// List requests to join that invited parties handed in at the node
    Requests,
    /// Show a proposal and its votes
    Show {
        /// Its number, or the event that made it
        proposal: Named,
    },
}

/// A proposal as people name it.
#[derive(Clone, Copy, Debug)]
pub enum Named {
    /// The network's number of it.
    Number(u32),
    /// The event that made it.
    Event(EventId),
}

impl std::str::FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number) => Ok(Self::Number(number)),
            Err(_) => text.parse().map(Self::Event).map_err(|_| {
                "a proposal is named by its number, or by the 64 digits of its event".to_owned()
            }),
        }
    }
}

/// Who speaks, and until when it is waited.
#[derive(Args, Debug)]
pub struct Speaker {
    /// The member that speaks
    #[arg(id = "as", long = "as", value_name = "PARTY")]
    party: PartyId,
    /// Key file of the member
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Number of this event among the member's own; asked of the node where absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    sequence: Option<u64>,
    /// What to wait for
    #[arg(long, value_enum, default_value_t = Stage::Committed)]
    wait: Stage,
}

/// From when on, how long to vote, and what is accepted.
#[derive(Args, Debug)]
pub struct Terms {
    /// First height that it is to be in force at; the one after the decision where absent
    #[arg(long, value_name = "HEIGHT", default_value_t = 0)]
    from_height: u64,
    /// Days that members have to vote
    #[arg(long, value_name = "DAYS", default_value_t = 14, value_parser = clap::value_parser!(u64).range(1..=90))]
    vote_days: u64,
    /// Accept a network of fewer than four validators; in the words that the refusal says
    #[arg(long, value_name = "WORDS")]
    accept: Option<String>,
    /// Show what would be, with its arithmetic, and propose nothing
    #[arg(long)]
    dry_run: bool,
    /// Who proposes
    #[command(flatten)]
    speaker: Speaker,
}

/// `consign gov approve` and `reject`.
#[derive(Args, Debug)]
pub struct BallotArgs {
    /// Its number, or the event that made it
    proposal: Named,
    /// The fingerprint that the party read out: the proposal must have it
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
    /// Who votes
    #[command(flatten)]
    speaker: Speaker,
}

/// Carries out `consign gov`.
///
/// # Errors
/// When a file is none, or the node says no.
pub async fn run(console: &Console, global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Propose { change } => propose(console, global, change).await,
        Command::Approve(args) => ballot::cast(console, global, args, true).await,
        Command::Reject(args) => ballot::cast(console, global, args, false).await,
        Command::List => {
            let node = Node::first(global).await?;
            console.result(&Listed { proposals: all(global, &node).await? })
        }
        Command::Members => {
            let node = Node::first(global).await?;
            let view = within(global.patience(), node.call(GetMembers::default())).await?;
            console.result(&Present(view))
        }
        Command::Requests => {
            let node = Node::first(global).await?;
            let view = within(global.patience(), node.call(ListRequests::default())).await?;
            console.result(&Requested(view))
        }
        Command::Show { proposal } => {
            let node = Node::first(global).await?;
            console.result(&Shown(find(global, &node, proposal).await?))
        }
    }
}

async fn propose(console: &Console, global: &Global, proposed: Proposed) -> Result<(), Failure> {
    let node = Node::first(global).await?;
    let status = within(global.patience(), node.status()).await?;
    let network = status.network.0;
    let now = within(global.patience(), node.call(GetMembers::default())).await?;
    let (change, terms) = proposed.read(global, &node, network, &now).await?;
    let plan = Plan::of(&change, network, &now);
    let few = plan.need_words(terms.accept.as_deref())?;
    let motion = Motion { change, from: Height(terms.from_height), few };
    if terms.dry_run {
        return console.result(&Planned(plan));
    }
    let until = instant::now().plus(terms.vote_days.saturating_mul(DAY_MS));
    let action = Action::Propose { motion: Box::new(motion), until };
    let signed = speak(global, &node, network, &terms.speaker, action).await?;
    console.note(plan.sentences().join("\n"));
    event::submit(console, global, signed.bytes(), terms.speaker.wait).await?;
    if terms.speaker.wait == Stage::Accepted {
        return Ok(());
    }
    console.result(&Shown(find(global, &node, Named::Event(signed.id())).await?))
}

/// A member's own event.
async fn speak(
    global: &Global,
    node: &Node,
    network: NetworkId,
    speaker: &Speaker,
    action: Action,
) -> Result<SignedEvent, Failure> {
    let member = Member::new(speaker.party.clone(), network, &speaker.key)?;
    let sequence = match speaker.sequence {
        Some(sequence) => sequence,
        None => member.next_number(global, node).await?,
    };
    let subject = Subject::Signer(SignerId::member(speaker.party.clone()));
    Ok(member.sign(subject, action, sequence))
}

async fn all(global: &Global, node: &Node) -> Result<Vec<ProposalView>, Failure> {
    let (mut all, mut params) = (Vec::new(), ListProposals::default());
    loop {
        let page = within(global.patience(), node.call(params.clone())).await?;
        all.extend(page.data);
        params.cursor = page.next_cursor;
        if !page.has_next_page || params.cursor.is_none() {
            return Ok(all);
        }
    }
}

async fn find(global: &Global, node: &Node, named: Named) -> Result<ProposalView, Failure> {
    match named {
        Named::Event(id) => {
            let params = GetProposal { proposal_id: id.into() };
            within(global.patience(), node.call(params)).await
        }
        Named::Number(number) => {
            let found = all(global, node).await?.into_iter().find(|view| view.number == number);
            found.ok_or_else(|| {
                let message = format!("there is no proposal {number}");
                Failure::new(Exit::Operational, "not_found", message, "see `consign gov list`")
            })
        }
    }
}
