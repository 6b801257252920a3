//! Breaking something on purpose, and seeing what the network does.
//!
//! What is expected is said before, what was seen is said after, and the exit code is about the
//! second. An idle network commits nothing, so an event is sent to see whether it still can.

use std::time::Duration;

use clap::Subcommand;
use consign_rpc::params::GetEventStatus;
use consign_types::party::PartyId;
use serde::Serialize;

use super::home::{Devnet, NodeHome};
use super::{Dir, process, smoke, up};
use crate::console::{Console, Report};
use crate::failure::{Exit, Failure};
use crate::node::Node;

const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// How long the network may take to go on without the node.
const GO_ON_PATIENCE: Duration = Duration::from_secs(30);
/// How long a network without a quorum is watched for doing nothing.
const STAND_STILL: Duration = Duration::from_secs(5);
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(60);

/// `consign devnet fault`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// End a node as a power cut would, and see whether the others go on
    Kill {
        /// Whose node
        party: PartyId,
        /// Where the network lies.
        #[command(flatten)]
        dir: Dir,
    },
    /// Start a node again, and see whether it catches up
    Restart {
        /// Whose node
        party: PartyId,
        /// Where the network lies.
        #[command(flatten)]
        dir: Dir,
    },
}

/// What was seen.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    left: usize,
    height_before: u64,
    height_after: u64,
    forks: usize,
    seconds: f64,
    sentence: String,
}

impl Report for Seen {
    fn text(&self) -> String {
        format!(
            "{:.1} s later: height {} -> {}, {} forks; {}",
            self.seconds, self.height_before, self.height_after, self.forks, self.sentence
        )
    }
}

/// Carries out `consign devnet fault`.
///
/// # Errors
/// When the network does not do what it promises.
pub(super) async fn run(console: &Console, command: Command) -> Result<(), Failure> {
    match command {
        Command::Kill { party, dir } => kill(console, &Devnet::open(&dir.dir)?, &party).await,
        Command::Restart { party, dir } => restart(console, &Devnet::open(&dir.dir)?, &party).await,
    }
}

async fn kill(console: &Console, devnet: &Devnet, party: &PartyId) -> Result<(), Failure> {
    let _lock = devnet.lock()?;
    if !process::kill(devnet.node(party)?, KILL_PATIENCE)? {
        let help = format!("start it with `consign devnet fault restart {party}`");
        return Err(Failure::usage("not_running", format!("{party} does not run"), help));
    }
    let left: Vec<&NodeHome> =
        devnet.nodes().iter().filter(|home| process::running(home).is_some()).collect();
    let set = devnet.genesis().validators();
    let goes_on = left.len() >= set.quorum();
    let must = if goes_on { "must go on" } else { "must stop, and must not fork" };
    console.note(format!(
        "{party} is killed. {} of {} validators are left, a quorum is {}: the network {must}.",
        left.len(),
        set.count(),
        set.quorum()
    ));
    let Some(first) = left.first() else {
        console.note("no node is left; start one with `consign devnet up`");
        return Ok(());
    };
    let before = height(first).await?;
    let event = smoke::send(devnet, first).await?;
    let since = std::time::Instant::now();
    let sentence = if goes_on {
        let took = smoke::proven_on(&left, event, GO_ON_PATIENCE).await?;
        format!(
            "an event sent after the kill is proven on {} nodes in {} ms",
            left.len(),
            took.as_millis()
        )
    } else {
        tokio::time::sleep(STAND_STILL).await;
        "an event sent after the kill waits in the pool".to_owned()
    };
    let seen = Seen {
        left: left.len(),
        height_before: before,
        height_after: height(first).await?,
        forks: forks(&left).await?,
        seconds: since.elapsed().as_secs_f64(),
        sentence,
    };
    console.result(&seen)?;
    if seen.forks > 0 {
        let message = format!("{} nodes disagree about a block", seen.forks);
        return Err(Failure::new(
            Exit::Misbehaviour,
            "fork",
            message,
            "keep all directories as they are",
        ));
    }
    let status = Node::new(&first.url)?.call(GetEventStatus { event_id: event.into() }).await?;
    if !goes_on && status.is_committed() {
        let message = "an event was committed without a quorum of validators";
        return Err(Failure::new(
            Exit::Misbehaviour,
            "no_quorum",
            message,
            "keep all directories as they are",
        ));
    }
    Ok(())
}

async fn restart(console: &Console, devnet: &Devnet, party: &PartyId) -> Result<(), Failure> {
    let _lock = devnet.lock()?;
    let home = devnet.node(party)?;
    let since = std::time::Instant::now();
    let mut child = process::start(&process::consignd()?, home)?;
    if child.is_none() {
        console.note(format!("{party} runs already"));
    }
    up::answers(home, child.as_mut()).await?;
    let before = height(home).await?;
    let mut target = before;
    let running: Vec<&NodeHome> =
        devnet.nodes().iter().filter(|home| process::running(home).is_some()).collect();
    for other in &running {
        target = target.max(height(other).await?);
    }
    let what = format!("height {target}");
    let node = Node::new(&home.url)?;
    let status = node.until(CATCH_UP_PATIENCE, &what, |status| status.height >= target).await?;
    let seen = Seen {
        left: running.len(),
        height_before: before,
        height_after: status.height,
        forks: forks(&running).await?,
        seconds: since.elapsed().as_secs_f64(),
        sentence: format!(
            "{party} is back; {} of {} nodes run",
            running.len(),
            devnet.nodes().len()
        ),
    };
    console.result(&seen)
}

async fn height(home: &NodeHome) -> Result<u64, Failure> {
    Ok(Node::new(&home.url)?.status().await?.height)
}

/// How many nodes have another block than the first one at the height that all have.
async fn forks(homes: &[&NodeHome]) -> Result<usize, Failure> {
    let mut heights = Vec::new();
    for home in homes {
        heights.push(height(home).await?);
    }
    let Some(common) = heights.into_iter().min() else { return Ok(0) };
    let mut blocks = Vec::new();
    for home in homes {
        let call = consign_rpc::params::GetBlock { height: common };
        blocks.push(Node::new(&home.url)?.call(call).await?.header.block_id);
    }
    Ok(blocks.iter().skip(1).filter(|block| Some(*block) != blocks.first()).count())
}
