//! `consign unit`: where a unit stands, and what happened to it, as a node tells it.
//!
//! What is printed here is a node's word. A proof is what `consign verify` checks.

use std::fmt::Write as _;

use clap::Subcommand;
use consign_rpc::page::PageLimit;
use consign_rpc::params::{GetHistory, GetUnit};
use consign_rpc::views::{
    ClosedWhy, ContainView, CustodyView, EventStatus, EventView, JourneyView, SealView, UnitView,
};
use consign_types::unit::UnitId;
use serde::Serialize;

use crate::args::Global;
use crate::console::{Console, Report};
use crate::event::disputed;
use crate::failure::Failure;
use crate::node::{Node, within};

/// `consign unit`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show who holds a unit, where it is and what ever happened to it
    Get {
        /// The unit: 00/<SSCC>, bic/<number>, ...
        unit: UnitId,
        /// As of this block; only the last one that the node committed is answered for
        #[arg(long, value_name = "HEIGHT")]
        at_height: Option<u64>,
    },
    /// Show all events that name a unit, oldest first
    History {
        /// The unit: 00/<SSCC>, bic/<number>, ...
        unit: UnitId,
    },
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown(UnitView);

/// Carries out `consign unit`.
///
/// # Errors
/// When no node answers, or knows the unit.
pub async fn run(console: &Console, global: &Global, command: Command) -> Result<(), Failure> {
    let node = Node::first(global).await?;
    match command {
        Command::Get { unit, at_height } => {
            let call = node.call(GetUnit { unit_id: unit.into(), at_height });
            console.result(&Shown(within(global.patience(), call).await?))
        }
        Command::History { unit } => console.result(&history(&node, global, &unit).await?),
    }
}

#[derive(Serialize)]
struct History {
    unit: String,
    events: Vec<EventView>,
}

async fn history(node: &Node, global: &Global, unit: &UnitId) -> Result<History, Failure> {
    let mut events = Vec::new();
    let mut cursor = None;
    loop {
        let limit = PageLimit::default();
        let page = node.call(GetHistory { unit_id: unit.clone().into(), cursor, limit });
        let page = within(global.patience(), page).await?;
        events.extend(page.data);
        cursor = page.next_cursor;
        if !page.has_next_page || cursor.is_none() {
            return Ok(History { unit: unit.to_string(), events });
        }
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        let unit = &self.0;
        let mut text = format!("unit        {}\n", unit.unit);
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<12}{value}");
        };
        line("custody", custody(&unit.custody));
        match &unit.contain {
            ContainView::Free => {}
            ContainView::In { around } => {
                let around: Vec<String> = around.iter().map(ToString::to_string).collect();
                line("inside", around.join(" in "));
                line(
                    "custodian",
                    unit.custodian.as_ref().map_or("none".into(), ToString::to_string),
                );
            }
        }
        line("journey", journey(&unit.journey));
        line("seal", seal(&unit.seal));
        let condition = unit.condition.effective;
        let words = [
            (condition.excursion, "excursion open"),
            (condition.damaged, "damaged"),
            (condition.hold, "on hold"),
        ];
        let words: Vec<&str> = words.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
        line("condition", if words.is_empty() { "ok".to_owned() } else { words.join(", ") });
        let (own, effective) = (unit.counters.own, unit.counters.effective);
        line(
            "ever",
            format!(
                "excursions {}, holds {}, seal breaks {}, exceptions {}, place discontinuities {} ({} own), reading gaps {}",
                effective.excursions,
                effective.holds,
                effective.seal_breaks,
                effective.exceptions,
                effective.discontinuities,
                own.discontinuities,
                effective.reading_gaps,
            ),
        );
        for pending in &unit.pending {
            let awaits: Vec<String> = pending.awaits.iter().map(ToString::to_string).collect();
            let to = pending.holder.as_ref().map_or(String::new(), |party| format!(" to {party}"));
            let of = pending.corrects.as_ref().map_or(String::new(), |event| format!(" {event}"));
            line(
                "proposed",
                format!(
                    "{}{to}{of} by {}, awaits the consent of {} until {} (event {})",
                    pending.kind,
                    pending.by,
                    awaits.join(" and "),
                    pending.until.rfc3339,
                    pending.event
                ),
            );
        }
        line("events", format!("{} as of block {}", unit.events, unit.height));
        line("basis", unit.basis.to_string());
        text.trim_end().to_owned()
    }
}

impl Report for History {
    fn text(&self) -> String {
        let line = |event: &EventView| {
            let content = &event.content;
            let place =
                content.place.as_ref().map_or(String::new(), |place| format!(" at {place}"));
            format!(
                "{:<9} {} {:<12} by {:<22}{place}  {}{}",
                stage(&event.status),
                content.device_time.rfc3339,
                content.kind.to_string(),
                content.signer.to_string(),
                content.event_id,
                disputed(event)
            )
        };
        let mut lines: Vec<String> = self.events.iter().map(line).collect();
        lines.insert(
            0,
            format!("{}: {} events; times are the devices' claims", self.unit, self.events.len()),
        );
        lines.join("\n")
    }
}

/// The word of progress.
pub fn stage(status: &EventStatus) -> &'static str {
    match status {
        EventStatus::Unknown => "unknown",
        EventStatus::Accepted => "accepted",
        EventStatus::Committed { .. } => "committed",
        EventStatus::Proven { .. } => "proven",
        EventStatus::Refused { .. } => "refused",
    }
}

fn custody(custody: &CustodyView) -> String {
    match custody {
        CustodyView::Held { custodian } => format!("held by {custodian}"),
        CustodyView::Offered { custodian, to, until, offer } => {
            format!("held by {custodian}, offered to {to} until {} (offer {offer})", until.rfc3339)
        }
        CustodyView::Contested { claimants } => {
            let names: Vec<String> = claimants.iter().map(ToString::to_string).collect();
            format!("contested by {}", names.join(" and "))
        }
        CustodyView::Closed { why, by } => {
            let why = match why {
                ClosedWhy::Delivered => "delivered",
                ClosedWhy::Lost => "lost",
                ClosedWhy::Destroyed => "destroyed",
            };
            format!("closed: {why} by {by}")
        }
    }
}

fn journey(journey: &JourneyView) -> String {
    let on = |label: &Option<_>| {
        label
            .as_ref()
            .map_or(String::new(), |label: &consign_rpc::views::Text<_>| format!(" on {label}"))
    };
    match journey {
        JourneyView::At { place, conveyance } => {
            let place = place.as_ref().map_or("an unnamed place".to_owned(), ToString::to_string);
            format!(
                "at {place}{}",
                on(conveyance as &Option<consign_rpc::views::Text<consign_types::event::Label>>)
            )
        }
        JourneyView::Moving { conveyance, from } => {
            let from = from.as_ref().map_or(String::new(), |place| format!(" from {place}"));
            format!("moving{from}{}", on(conveyance))
        }
    }
}

fn seal(seal: &SealView) -> String {
    match seal {
        SealView::None => "none".to_owned(),
        SealView::Sealed { ids } => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            format!("sealed with {}", ids.join(", "))
        }
        SealView::Broken { authorised: true } => "broken by authority".to_owned(),
        SealView::Broken { authorised: false } => "broken".to_owned(),
    }
}
