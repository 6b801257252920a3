//! `consign device list`, `show` and `history`: devices as a node tells them.

use std::fmt::Write as _;

use clap::Args;
use consign_rpc::params::{GetDevice, GetDeviceHistory, ListDevices};
use consign_rpc::views::{DeviceStatus, DeviceView, EventView, Text};
use consign_types::party::{PartyId, SignerId};
use serde::Serialize;

use super::State;
use crate::args::Global;
use crate::console::{Console, Report};
use crate::event::{disputed, progress};
use crate::failure::Failure;
use crate::node::{Node, within};

/// `consign device list`.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Of this member alone
    #[arg(long, value_name = "PARTY")]
    party: Option<PartyId>,
    /// In this state alone
    #[arg(long, value_enum)]
    state: Option<State>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown(DeviceView);

impl Report for Shown {
    fn text(&self) -> String {
        let view = &self.0;
        let mut text = format!("device    {}\n", view.device);
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<10}{value}");
        };
        line("state", state(&view.status));
        line("key", format!("{} {} (id {})", view.algorithm, view.key, view.key_id));
        for past in &view.past_keys {
            line(
                "before",
                format!("{} (id {}), numbers below {}", past.key, past.key_id, past.below),
            );
        }
        line("may", words(&view.kinds));
        line("places", any(words(&view.places)));
        line("units", any(view.classes.join(", ")));
        if let Some(until) = &view.until {
            line("until", until.rfc3339.clone());
        }
        let missing: Vec<String> = view.missing.iter().map(ToString::to_string).collect();
        let missing = match missing.is_empty() {
            true => String::new(),
            false => format!("; {} still open", missing.join(", ")),
        };
        line("number", format!("{} is next{missing}", view.next_sequence));
        line("as of", format!("block {}", view.height));
        text.trim_end().to_owned()
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Listed(Vec<DeviceView>);

impl Report for Listed {
    fn text(&self) -> String {
        if self.0.is_empty() {
            return "no such device is enrolled".to_owned();
        }
        let names: Vec<String> = self.0.iter().map(|view| view.device.to_string()).collect();
        let wide = names.iter().map(String::len).max().unwrap_or_default();
        let line = |(view, name): (&DeviceView, &String)| {
            let (key, next) = (&view.key_id, view.next_sequence);
            format!("{name:<wide$}  key {key}  next {next:<6}  {}", state(&view.status))
        };
        self.0.iter().zip(&names).map(line).collect::<Vec<_>>().join("\n")
    }
}

#[derive(Serialize)]
struct History {
    device: String,
    events: Vec<EventView>,
}

impl Report for History {
    fn text(&self) -> String {
        let line = |view: &EventView| {
            let content = &view.content;
            let (signer, number) = (&content.signer, content.sequence);
            format!(
                "{signer} {number}  {} {}  {}\n  {}{}",
                content.kind,
                content.subject,
                content.event_id,
                progress(&view.status),
                disputed(view)
            )
        };
        self.events.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Lists devices.
///
/// # Errors
/// When no node answers.
pub async fn list(console: &Console, global: &Global, args: ListArgs) -> Result<(), Failure> {
    let node = Node::first(global).await?;
    let state = args.state.map(Into::into);
    let params = ListDevices { party: args.party.map(Into::into), state, ..Default::default() };
    console.result(&Listed(all(global, &node, params).await?))
}

/// Every page of a list.
///
/// # Errors
/// When the node does not answer.
pub async fn all(
    global: &Global,
    node: &Node,
    mut params: ListDevices,
) -> Result<Vec<DeviceView>, Failure> {
    let mut devices = Vec::new();
    loop {
        let page = within(global.patience(), node.call(params.clone())).await?;
        devices.extend(page.data);
        params.cursor = page.next_cursor;
        if !page.has_next_page || params.cursor.is_none() {
            return Ok(devices);
        }
    }
}

/// Shows one.
///
/// # Errors
/// When no node answers, or knows it.
pub async fn show(console: &Console, global: &Global, device: &SignerId) -> Result<(), Failure> {
    let node = Node::first(global).await?;
    let call = node.call(GetDevice { device_id: device.clone().into() });
    console.result(&Shown(within(global.patience(), call).await?))
}

/// Shows what one signed, and what was said about it.
///
/// # Errors
/// When no node answers, or knows it.
pub async fn history(console: &Console, global: &Global, device: SignerId) -> Result<(), Failure> {
    let node = Node::first(global).await?;
    let mut history = History { device: device.to_string(), events: Vec::new() };
    let device_id = Text(device);
    let mut params = GetDeviceHistory { device_id, cursor: None, limit: Default::default() };
    loop {
        let page = within(global.patience(), node.call(params.clone())).await?;
        history.events.extend(page.data);
        params.cursor = page.next_cursor;
        if !page.has_next_page || params.cursor.is_none() {
            return console.result(&history);
        }
    }
}

/// Whether it may sign, in words.
pub fn state(status: &DeviceStatus) -> String {
    match status {
        DeviceStatus::Active => "active".to_owned(),
        DeviceStatus::Expired { at } => format!("expired at {}", at.rfc3339),
        DeviceStatus::Suspended { evidence } => format!("suspended by evidence {evidence}"),
        DeviceStatus::Revoked { at, suspected_since: None } => format!("revoked at {}", at.rfc3339),
        DeviceStatus::Revoked { at, suspected_since: Some(since) } => {
            format!("revoked at {}, suspected since {}", at.rfc3339, since.rfc3339)
        }
    }
}

fn words<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn any(words: String) -> String {
    if words.is_empty() { "any".to_owned() } else { words }
}
