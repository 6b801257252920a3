//! Bringing an event to a node, and asking what became of it.

use std::fs;
use std::path::Path;
use std::time::Instant;

use clap::ValueEnum;
use consign_rpc::errors::{ErrorKind, rule_help};
use consign_rpc::params::{GetEvent, GetEventStatus, SubmitEvent, Wait};
use consign_rpc::views::{Base64, EventStatus, EventView, Submitted};
use consign_types::causes::on_one_line;
use consign_types::digest::EventId;
use consign_types::event::{Kind, SignedEvent};
use serde::Serialize;

use crate::args::Global;
use crate::console::{Console, Report};
use crate::failure::{Exit, Failure};
use crate::node::{Node, timed_out, within};
use crate::unit::stage;

const POLL: std::time::Duration = std::time::Duration::from_millis(100);

/// How far an event has come.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub enum Stage {
    /// One node has checked it and passes it on
    Accepted,
    /// It is in a block and never undone
    Committed,
    /// Anyone can verify it offline
    Proven,
}

impl From<Stage> for Wait {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Accepted => Self::Accepted,
            Stage::Committed => Self::Committed,
            Stage::Proven => Self::Proven,
        }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Sent(Submitted);

impl Report for Sent {
    fn text(&self) -> String {
        let before = if self.0.duplicate { " (the node knew it already)" } else { "" };
        format!("{}\n{}{before}", self.0.event_id, progress(&self.0.status))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown(EventView);

impl Report for Shown {
    fn text(&self) -> String {
        let content = &self.0.content;
        let mut lines = vec![
            format!("event     {}", content.event_id),
            format!("kind      {}", content.kind),
            format!("subject   {}", content.subject),
            format!("signer    {}, number {}", content.signer, content.sequence),
            format!("time      {} by the device's clock", content.device_time.rfc3339),
        ];
        lines.extend(content.place.as_ref().map(|place| format!("place     {place}")));
        lines.extend(content.basis.as_ref().map(|basis| format!("basis     {basis}")));
        lines.extend(content.fields.iter().map(|(name, value)| format!("{name:<9} {value}")));
        lines.push(format!("progress  {}{}", progress(&self.0.status), disputed(&self.0)));
        lines.join("\n")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Watched {
    event_id: String,
    status: EventStatus,
}

impl Report for Watched {
    fn text(&self) -> String {
        format!("{}\n{}", self.event_id, progress(&self.status))
    }
}

/// Sends the event in `bytes`, and waits until it is where `wait` says.
///
/// # Errors
/// When the bytes are no event, the node refuses it, or the wait takes too long.
pub(crate) async fn submit(
    console: &Console,
    global: &Global,
    bytes: &[u8],
    wait: Stage,
) -> Result<(), Failure> {
    let signed = SignedEvent::decode_submitted(bytes).map_err(|e| {
        let help = "make the bytes with `consign event sign`; nothing was sent";
        Failure::new(Exit::Refused, "malformed_event", on_one_line(&e), help)
    })?;
    let node = Node::first(global).await?;
    let sent = send(console, global, &node, &signed, wait).await?;
    console.result(&Sent(sent.clone()))?;
    settled(&sent.status, wait).map_err(|failure| with_cancel(failure, &signed))
}

/// Sends an event, and waits until it is where `wait` says; prints no result.
///
/// # Errors
/// When the node refuses it, or the wait takes too long.
pub(crate) async fn bring(
    console: &Console,
    global: &Global,
    node: &Node,
    signed: &SignedEvent,
    wait: Stage,
) -> Result<EventStatus, Failure> {
    let sent = send(console, global, node, signed, wait).await?;
    settled(&sent.status, wait).map_err(|failure| with_cancel(failure, signed))?;
    Ok(sent.status)
}

async fn send(
    console: &Console,
    global: &Global,
    node: &Node,
    signed: &SignedEvent,
    wait: Stage,
) -> Result<Submitted, Failure> {
    let submit = SubmitEvent {
        envelope: Base64(signed.bytes().to_vec()),
        wait: wait.into(),
        timeout_ms: Some(global.timeout.saturating_mul(1000)),
    };
    let sent = within(global.patience() * 2, node.call(submit)).await;
    let mut sent = sent.map_err(|failure| with_cancel(failure, signed))?;
    if !reached(&sent.status, wait) {
        // The node waits less long than it may have been asked to; sending again is harmless, but
        // asking is enough.
        sent.status = follow(console, global, node, signed.id(), wait).await?;
    }
    Ok(sent)
}

/// Shows an event, and writes its bytes where asked.
///
/// # Errors
/// When no node answers, or knows the event.
pub(super) async fn get(
    console: &Console,
    global: &Global,
    event: EventId,
    out: Option<&Path>,
) -> Result<(), Failure> {
    let node = Node::first(global).await?;
    let call = node.call(GetEvent { event_id: event.into(), with_proof: false });
    let view = within(global.patience(), call).await?;
    if let Some(out) = out {
        fs::write(out, &view.envelope.0).map_err(|e| Failure::file("write", out, e))?;
        console.note(format!("wrote the exact bytes to {}", out.display()));
    }
    console.result(&Shown(view))
}

/// Follows an event until it is proven or refused.
///
/// # Errors
/// When no node answers, or it takes too long.
pub(super) async fn watch(
    console: &Console,
    global: &Global,
    event: EventId,
) -> Result<(), Failure> {
    let node = Node::first(global).await?;
    let status = follow(console, global, &node, event, Stage::Proven).await?;
    console.result(&Watched { event_id: event.to_string(), status: status.clone() })?;
    settled(&status, Stage::Proven)
}

async fn follow(
    console: &Console,
    global: &Global,
    node: &Node,
    event: EventId,
    wait: Stage,
) -> Result<EventStatus, Failure> {
    let since = Instant::now();
    let mut told = "";
    loop {
        let status = node.call(GetEventStatus { event_id: event.into() }).await?;
        if stage(&status) != told {
            told = stage(&status);
            console.note(progress(&status));
        }
        if reached(&status, wait) || matches!(status, EventStatus::Refused { .. }) {
            return Ok(status);
        }
        if since.elapsed() > global.patience() {
            let what = format!("event {event} to go on from {told}");
            let late = timed_out(node.url(), &what, global.patience());
            return Err(Failure { exit: Exit::Incomplete, ..late });
        }
        tokio::time::sleep(POLL).await;
    }
}

fn reached(status: &EventStatus, wait: Stage) -> bool {
    match wait {
        Stage::Accepted => status.is_committed() || *status == EventStatus::Accepted,
        Stage::Committed => status.is_committed(),
        Stage::Proven => status.is_proven(),
    }
}

/// An offer that is refused was signed all the same, and whoever saw its bytes can accept it.
fn with_cancel(failure: Failure, signed: &SignedEvent) -> Failure {
    if signed.event().action.kind() != Kind::Offer || failure.exit != Exit::Refused {
        return failure;
    }
    let help = format!(
        "{}; and before you offer the unit to another, sign a cancel of {} and keep it: the offer is \
         signed, and two of them to two receivers are evidence against you",
        failure.help,
        signed.id()
    );
    Failure { help, ..failure }
}

fn settled(status: &EventStatus, wait: Stage) -> Result<(), Failure> {
    match status {
        EventStatus::Refused { code, message, .. } => {
            let help = rule_help(code).unwrap_or(ErrorKind::RuleViolation.help());
            Err(Failure::new(Exit::Refused, code, message, help))
        }
        status if reached(status, wait) => Ok(()),
        status => {
            let message = format!("the event is {}", stage(status));
            Err(Failure::new(
                Exit::Incomplete,
                "not_proven",
                message,
                "ask again with `consign event watch`",
            ))
        }
    }
}

/// Whose word is in doubt, as the rest of a line.
pub(crate) fn disputed(view: &EventView) -> String {
    let signers: Vec<String> = view.disputed.iter().map(ToString::to_string).collect();
    if signers.is_empty() {
        return String::new();
    }
    format!("; disputed: others may have had {}", signers.join(", "))
}

pub(crate) fn progress(status: &EventStatus) -> String {
    match status {
        EventStatus::Unknown => "unknown: the node has never seen it".to_owned(),
        EventStatus::Accepted => "accepted: the node holds it and passes it on".to_owned(),
        EventStatus::Committed { height, index, record_time } => {
            format!("committed: block {height}, leaf {index}, {}", record_time.rfc3339)
        }
        EventStatus::Proven { height, index, record_time, checkpoint_size } => format!(
            "proven: block {height}, leaf {index}, {}; covered at size {checkpoint_size}",
            record_time.rfc3339
        ),
        EventStatus::Refused { code, message, .. } => format!("refused: {code}: {message}"),
    }
}
