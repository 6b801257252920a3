//! The history of a unit in plain English, for whoever reads a passport.
//!
//! Nothing is added to what the passport proves: record time, who signed, what, and where as the device
//! said. Events of containers are indented under the stay during which they happened.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use consign_types::event::{Action, Condition, Event, Fix, SignedEvent, Verdict};
use consign_types::party::SignerId;
use consign_types::time::Millis;

use super::verify::{Stay, Step, Verified};
use crate::correction::{Correction, names};

/// One event of the story.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// 0 for events of the unit itself, one more for each container between it and the unit named.
    pub indent: usize,
    /// Record time.
    pub time: Millis,
    /// Who did what, where.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {:indent$}{}", self.time, "", self.text, indent = 2 * self.indent)
    }
}

/// One line for each event, in the order of the log.
pub fn story(verified: &Verified) -> Vec<Line> {
    let corrections = verified.corrections();
    verified.steps.iter().map(|step| line(step, verified, &corrections)).collect()
}

fn line(step: &Step, verified: &Verified, corrections: &[Correction]) -> Line {
    let event = step.event.event();
    let mut text = format!("{} {}", event.signer, what(step));
    if let Some(place) = &event.place {
        text.push_str(" at ");
        text.push_str(place.as_str());
    }
    let names = if corrections.is_empty() { Vec::new() } else { names(&step.event) };
    for correction in corrections {
        if names.first() == Some(&correction.event) {
            text.push_str(&standing(correction));
        } else if correction.agreed.is_some() && names.contains(&correction.original) {
            text.push_str(&format!(" [corrected {}: {}]", correction.time, wrong(correction.fix)));
        }
    }
    for (signer, since) in disputed(&step.event, verified) {
        text.push_str(&format!(" [disputed: others may have had {signer} since {since}]"));
    }
    Line { indent: step.depth, time: step.time, text }
}

/// Those among the signers of an event, by itself and inside, who dated it after their key was in doubt.
fn disputed<'a>(signed: &SignedEvent, verified: &'a Verified) -> Vec<(&'a SignerId, Millis)> {
    let event = signed.event();
    let all = [event].into_iter().chain(event.action.inner().map(SignedEvent::event));
    let doubt = |event: &Event| {
        let (signer, since) = verified.suspected.get_key_value(&event.signer)?;
        (event.time >= *since).then_some((signer, *since))
    };
    let mut found: Vec<_> = all.filter_map(doubt).collect();
    found.sort();
    found.dedup();
    found
}

fn what(step: &Step) -> String {
    let unit = &step.unit;
    match &step.event.event().action {
        Action::Register => format!("registered {unit}"),
        Action::Book { receiver, window, .. } => {
            format!("booked {unit} for {receiver}, expected {} to {}", window.from, window.to)
        }
        Action::Offer { to, until, .. } => format!("offered {unit} to {to} until {until}"),
        Action::Accept { condition, exceptions, .. } => {
            format!("took over {unit}{}", found(*condition, exceptions))
        }
        Action::Refuse { reason, .. } => format!("refused the offer of {unit}: {reason}"),
        Action::Cancel { .. } => format!("took back the offer of {unit}"),
        Action::Handover { offer, acceptance } => handover(step, offer, acceptance.event()),
        Action::Aggregate { children } => match (step.stay, step.around.first()) {
            (Stay::Begins, Some(container)) => format!("put {unit} into {}", container.unit),
            _ => format!("put {} into {unit}", units(children.len())),
        },
        Action::Disaggregate { children } => match (step.stay, step.around.first()) {
            (Stay::Ends, Some(container)) => format!("took {unit} out of {}", container.unit),
            _ => format!("took {} out of {unit}", units(children.len())),
        },
        Action::Load { conveyance } => format!("loaded {unit} onto {conveyance}"),
        Action::Unload { conveyance } => format!("unloaded {unit} from {conveyance}"),
        Action::Depart { conveyance: Some(by) } => format!("departed with {unit} on {by}"),
        Action::Depart { conveyance: None } => format!("departed with {unit}"),
        Action::Arrive => format!("arrived with {unit}"),
        Action::Observe { .. } => format!("saw {unit}"),
        Action::SealApply { ids } => format!("sealed {unit} with {}", list(ids)),
        Action::SealVerify { ids } if ids.is_empty() => format!("found no seal on {unit}"),
        Action::SealVerify { ids } => format!("found seals {} on {unit}", list(ids)),
        Action::SealBreak { reason } => format!("broke the seal of {unit}: {reason}"),
        Action::Readings { count, .. } => format!("filed {count} readings of {unit}"),
        Action::Excursion { window } => {
            format!("reported an excursion of {unit} from {} to {}", window.from, window.to)
        }
        Action::CloseExcursion { verdict: Verdict::Sound } => {
            format!("closed the excursion of {unit}: no harm done")
        }
        Action::CloseExcursion { verdict: Verdict::Damaged } => {
            format!("closed the excursion of {unit}: damaged")
        }
        Action::Hold { reason } => format!("put {unit} on hold: {reason}"),
        Action::Release { .. } => format!("released a hold of {unit}"),
        Action::Exception { code, .. } => format!("reported an exception of {unit}: {code}"),
        Action::Attempt { reason } => format!("tried to deliver {unit} in vain: {reason}"),
        Action::Deliver { .. } => format!("delivered {unit}"),
        Action::Return { reason } => format!("sent {unit} back: {reason}"),
        Action::Lost { holder, reason } => {
            format!("declared {unit} lost, held by {holder}: {reason}")
        }
        Action::Destroyed { holder, reason } => {
            format!("declared {unit} destroyed, held by {holder}: {reason}")
        }
        Action::Found => format!("found {unit}"),
        Action::Resolve { holder, reason } => {
            format!("proposed that {unit} goes to {holder}, to end the dispute: {reason}")
        }
        Action::Consent { proposal } => format!("consented to {proposal} about {unit}"),
        Action::Correct { original, fix, .. } => {
            let (kind, id) = (original.event().action.kind(), original.id());
            format!("corrected {kind} {id} of {unit}: {}", wrong(*fix))
        }
        Action::Enrol { .. } => format!("enrolled {unit}"),
        Action::Testimony { event } => {
            let (said, kind) = (event.event(), event.event().action.kind());
            let (signer, time) = (&said.signer, said.time);
            format!(
                "filed as testimony, without effect: {kind} of {unit} by {signer}, dated {time}"
            )
        }
        Action::Report { .. } => format!("reported {unit}"),
        Action::Rotate { .. } => format!("rotated {unit}"),
        Action::Propose { motion, .. } => format!("proposed that {}", motion.change),
        Action::Ballot { approve: true, .. } => "approved a proposal".into(),
        Action::Ballot { approve: false, .. } => "rejected a proposal".into(),
        Action::Revoke { .. } => format!("revoked {unit}"),
    }
}

/// How far a correction has come.
fn standing(correction: &Correction) -> String {
    let mut text = String::new();
    if !correction.awaits.is_empty() {
        text.push_str("; awaits the consent of ");
        text.push_str(&list(&correction.awaits));
    }
    if !correction.found {
        text.push_str("; this history does not hold that event");
    }
    text
}

fn wrong(fix: Fix) -> String {
    match fix {
        Fix::DidNotOccur => "did not occur".to_string(),
        Fix::Other => "something else was wrong".to_string(),
        fix => format!("{fix} was wrong"),
    }
}

fn handover(step: &Step, offer: &SignedEvent, acceptance: &Event) -> String {
    let mut text = format!(
        "brought the handover of {} from {} to {}",
        step.unit,
        offer.event().signer,
        acceptance.signer
    );
    if let Action::Accept { condition, exceptions, .. } = &acceptance.action {
        text.push_str(&found(*condition, exceptions));
    }
    if let (Stay::Ends, Some(container)) = (step.stay, step.around.first()) {
        text.push_str(&format!("; contested, and out of {}", container.unit));
    }
    text
}

fn found(condition: Condition, exceptions: &[impl fmt::Display]) -> String {
    let mut text = String::new();
    if condition == Condition::Damaged {
        text.push_str(", damaged");
    }
    if !exceptions.is_empty() {
        text.push_str(", with exceptions ");
        text.push_str(&list(exceptions));
    }
    text
}

fn list(items: &[impl fmt::Display]) -> String {
    let items: Vec<String> = items.iter().map(|item| item.to_string()).collect();
    items.join(", ")
}

fn units(count: usize) -> String {
    if count == 1 { "a unit".to_string() } else { format!("{count} units") }
}
