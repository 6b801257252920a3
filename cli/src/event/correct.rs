//! `consign event correct`: the form of a correction, with the event that it is about fetched from a node.

use clap::Args;
use consign_rpc::params::GetEvent;
use consign_rpc::views::Base64;
use consign_types::digest::EventId;
use consign_types::event::{Action, SignedEvent};

use super::form::Form;
use super::{Built, bad_form};
use crate::args::Global;
use crate::console::Console;
use crate::failure::Failure;
use crate::instant;
use crate::node::{Node, within};

/// `consign event correct`.
#[derive(Args, Debug)]
pub struct CorrectArgs {
    /// The event on record; of a handover the acceptance inside is meant, unless --offer is given
    event: EventId,
    /// Of a handover, correct the offer inside
    #[arg(long)]
    offer: bool,
    /// What was wrong: did-not-occur, time, place, count, seals, condition, other
    #[arg(long, value_name = "FIX")]
    fix: String,
    /// Salted SHA-256 of what is right, which you keep
    #[arg(long, value_name = "HEX")]
    right: Option<String>,
}

/// Prints the event to sign.
///
/// # Errors
/// When no node answers or knows the event, or it is none that can be corrected.
pub(super) async fn run(
    console: &Console,
    global: &Global,
    args: CorrectArgs,
) -> Result<(), Failure> {
    let node = Node::first(global).await?;
    let signed = fetch(global, &node, args.event).await?;
    let (original, offer) = match &signed.event().action {
        Action::Handover { offer, .. } if args.offer => ((**offer).clone(), None),
        _ if args.offer => return Err(bad_form(format!("{} is no handover", args.event))),
        Action::Handover { offer, acceptance } => ((**acceptance).clone(), Some((**offer).clone())),
        Action::Accept { offer, .. } => {
            let offer = fetch(global, &node, *offer).await?;
            (signed, Some(offer))
        }
        _ => (signed, None),
    };
    let base64 = |event: &SignedEvent| Base64(event.bytes().to_vec()).to_string();
    let form = Form {
        kind: "correct".to_owned(),
        unit: original.event().subject.to_string(),
        time: Some(instant::now().to_string()),
        fix: Some(args.fix),
        right: args.right,
        original: Some(base64(&original)),
        original_offer: offer.as_ref().map(base64),
        ..Form::default()
    };
    form.check().map_err(bad_form)?;
    console.result(&Built(form))
}

async fn fetch(global: &Global, node: &Node, event: EventId) -> Result<SignedEvent, Failure> {
    let call = node.call(GetEvent { event_id: event.into(), with_proof: false });
    let view = within(global.patience(), call).await?;
    let signed = SignedEvent::decode(&view.envelope.0);
    // The node is asked for one event; whoever signs must not sign about another.
    signed.ok().filter(|signed| signed.id() == event).ok_or_else(|| {
        let why = format!("the node's answer is not event {event}");
        Failure::operational("bad_answer", why, "ask another node with --rpc")
    })
}
