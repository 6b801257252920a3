//! `consign replay`: freight traffic, real or made up, as signed custody events on a network.
//!
//! The data know no party and no clock: which party signs which milestone is fixed ([`plan`]) and
//! printed, start times are synthetic. A replay is a function of its traffic: the second one of the
//! same traffic makes the same events, and so adds nothing.

pub mod c2k;
pub mod conductor;
mod devices;
mod flags;
pub mod plan;
pub mod report;
pub mod schedule;
pub mod shipment;
pub mod sign;
pub mod synthetic;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use consign_types::time::Millis;

use crate::console::Console;
use crate::devnet::home::Devnet;
use crate::failure::{Exit, Failure};
use crate::instant;
use crate::node::Node;
use conductor::Nodes;
pub use devices::{enrol, kinds};
use plan::{Plan, Role};
use report::Figures;
use shipment::Traffic;

/// How long nothing may go on before a replay gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// `consign replay`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Replay the Cargo 2000 file, or a made-up day of traffic of the same shape
    C2k(C2kArgs),
}

/// `consign replay c2k`.
#[derive(Args, Debug)]
pub struct C2kArgs {
    /// The Cargo 2000 file, comma-separated; or the word synthetic
    source: String,
    /// Seed of the synthetic traffic
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Shipments to replay; all of a file, 400 of a synthetic day where absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    units: Option<u32>,
    /// Synthetic start of the first shipment
    #[arg(long, value_name = "TIME", value_parser = instant::parse, default_value = "2026-01-01T00:00:00Z")]
    t0: Millis,
    /// The development network, which holds the keys of all parties
    #[arg(long, value_name = "DIR", default_value = "./devnet")]
    dir: PathBuf,
}

/// Carries out `consign replay`.
///
/// # Errors
/// When the traffic cannot be read, the network does not go on, or something was refused.
pub async fn run(console: &Console, command: Command) -> Result<(), Failure> {
    let Command::C2k(args) = command;
    let traffic = traffic(&args.source, args.seed, args.units)?;
    let devnet = Devnet::open(&args.dir)?;
    let _lock = devnet.lock()?;
    let figures = replay(console, &devnet, &traffic, args.t0).await?.0;
    console.result(&figures)?;
    judged(&figures)
}

/// The traffic that `source` names: a file, or the word `synthetic`.
///
/// # Errors
/// When the file cannot be read, or is not the Cargo 2000 file.
pub fn traffic(source: &str, seed: u64, units: Option<u32>) -> Result<Traffic, Failure> {
    if source == "synthetic" {
        return Ok(synthetic::generate(seed, units.unwrap_or(synthetic::SHIPMENTS)));
    }
    let mut traffic = c2k::load(source.as_ref())?;
    if let Some(units) = units {
        traffic.shipments.truncate(units as usize);
        traffic.name = format!("Cargo 2000, first {} shipments", traffic.shipments.len());
    }
    Ok(traffic)
}

/// Replays `traffic` on `devnet`; answers with the figures and the plan.
///
/// # Errors
/// When the network does not go on.
pub async fn replay(
    console: &Console,
    devnet: &Devnet,
    traffic: &Traffic,
    t0: Millis,
) -> Result<(Figures, Replayed), Failure> {
    let plan = Plan::new(traffic, t0)?;
    let made_up = if traffic.synthetic {
        "This traffic is synthetic: nothing in it happened."
    } else {
        "Durations are real; start times and party names are synthetic."
    };
    console.note(format!("replay: {}, {} events. {made_up}", traffic.name, plan.steps.len()));
    console.note(
        "  forwarder ships, airline carries (RCS, DEP, RCF), handler consolidates, consignee receives (DLV)",
    );
    let nodes = nodes(devnet)?;
    let devices = devices::enrolled(devnet, &nodes, &plan, traffic.synthetic).await?;
    let events = sign::sign(&plan, devnet.genesis().network(), &devices)?;
    let last = events.last().map(consign_types::event::SignedEvent::id);

    let bar = console.bar(plan.steps.len() as u64);
    let conducted = conductor::conduct(&nodes, &plan, events, PATIENCE, &bar).await;
    bar.finish_and_clear();
    let mut figures = conducted?;
    figures.traffic.clone_from(&traffic.name);
    figures.synthetic = traffic.synthetic;
    figures.milestones = plan.milestones();
    figures.units = plan.units.len() as u64;
    figures.flagged = flags::flagged(&nodes, &plan).await?;
    figures.expected = plan.broken().map(ToString::to_string).collect();
    Ok((figures, Replayed { plan, last_event: last }))
}

/// What a replay left behind.
#[derive(Debug)]
pub struct Replayed {
    /// What was replayed.
    pub plan: Plan,
    /// The last event of the plan: a delivery.
    pub last_event: Option<consign_types::digest::EventId>,
}

/// Whether the figures are as they should be.
///
/// # Errors
/// What is not.
pub fn judged(figures: &Figures) -> Result<(), Failure> {
    if figures.holds() {
        return Ok(());
    }
    let (exit, why) = if figures.refused > 0 {
        (Exit::Refused, format!("{} events were refused", figures.refused))
    } else if figures.flagged != figures.expected {
        let (flagged, expected) = (figures.flagged.len(), figures.expected.len());
        (Exit::Integrity, format!("{flagged} units are flagged, the data have {expected}"))
    } else {
        (Exit::Incomplete, "not every event is proven".to_owned())
    };
    Err(Failure::new(exit, "replay", why, "look at the lines above, and at the nodes' logs"))
}

/// The nodes of the four parties.
///
/// # Errors
/// When the network has other parties.
pub fn nodes(devnet: &Devnet) -> Result<Nodes, Failure> {
    let of = |role: Role| Ok((role, Node::new(&devnet.node(&sign::party(role))?.url)?));
    Role::ALL.into_iter().map(of).collect::<Result<BTreeMap<_, _>, Failure>>()
}
