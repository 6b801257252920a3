//! The fields of each kind of event, by name. To read only: JSON is never signed.

use consign_types::event::{Action, Label, SignedEvent, Window};
use serde_json::{Map, Value, json};

use super::event::EventContent;
use super::text::{Base64, Moment};

/// The fields of `action`.
pub(crate) fn of(action: &Action) -> Map<String, Value> {
    let fields = match action {
        Action::Register | Action::Arrive | Action::Found => json!({}),
        Action::Book { receiver, window, factors } => json!({
            "receiver": text(receiver),
            "window": span(window),
            "factors": factors.iter().map(text).collect::<Vec<_>>(),
        }),
        Action::Offer { to, until, terms } => json!({
            "to": text(to), "until": Moment::from(*until), "terms": text(terms),
        }),
        Action::Accept { offer, count, seals, condition, exceptions } => json!({
            "offer": text(offer),
            "count": count,
            "seals": labels(seals),
            "condition": text(condition),
            "exceptions": exceptions.iter().map(text).collect::<Vec<_>>(),
        }),
        Action::Refuse { offer, reason } => json!({ "offer": text(offer), "reason": text(reason) }),
        Action::Cancel { offer } => json!({ "offer": text(offer) }),
        Action::Handover { offer, acceptance } => json!({
            "offer": inner(offer), "acceptance": inner(acceptance),
        }),
        Action::Aggregate { children } | Action::Disaggregate { children } => json!({
            "children": children.iter().map(text).collect::<Vec<_>>(),
        }),
        Action::Load { conveyance } | Action::Unload { conveyance } => json!({
            "conveyance": text(conveyance),
        }),
        Action::Depart { conveyance } => json!({ "conveyance": conveyance.as_ref().map(text) }),
        Action::Observe { note } => json!({ "note": note.as_ref().map(text) }),
        Action::SealApply { ids } | Action::SealVerify { ids } => json!({ "ids": labels(ids) }),
        Action::SealBreak { reason }
        | Action::Hold { reason }
        | Action::Attempt { reason }
        | Action::Return { reason } => json!({ "reason": text(reason) }),
        Action::Readings { root, count, first, last } => json!({
            // A sensor's counter may use all of its 64 bits.
            "root": text(root), "count": count, "first": text(first), "last": text(last),
        }),
        Action::Excursion { window } => json!({ "window": span(window) }),
        Action::CloseExcursion { verdict } => json!({ "verdict": text(verdict) }),
        Action::Release { hold } => json!({ "hold": text(hold) }),
        Action::Exception { code, evidence } => json!({
            "code": text(code), "evidence": text(evidence),
        }),
        Action::Deliver { factors } => json!({
            "factors": factors
                .iter()
                .map(|(factor, proof)| json!({ "factor": text(factor), "proof": text(proof) }))
                .collect::<Vec<_>>(),
        }),
        Action::Lost { holder, reason }
        | Action::Destroyed { holder, reason }
        | Action::Resolve { holder, reason } => json!({
            "holder": text(holder), "reason": text(reason),
        }),
        Action::Consent { proposal } => json!({ "proposal": text(proposal) }),
        Action::Enrol { key, possession, kinds, places, classes, until } => json!({
            "key": text(key),
            "possession": possession.to_hex(),
            "kinds": kinds.iter().map(text).collect::<Vec<_>>(),
            "places": places.iter().map(text).collect::<Vec<_>>(),
            "classes": classes.iter().map(|class| class.prefix()).collect::<Vec<_>>(),
            "until": until.map(Moment::from),
        }),
        Action::Correct { original, offer, fix, right } => json!({
            "original": inner(original),
            "offer": offer.as_deref().map(inner),
            "fix": text(fix),
            "right": right.as_ref().map(text),
        }),
        Action::Report { evidence } => json!({ "evidence": Base64(evidence.clone()) }),
        Action::Testimony { event } => json!({ "event": inner(event) }),
        Action::Rotate { key, possession, first } => json!({
            "key": text(key), "possession": possession.to_hex(), "first": first,
        }),
        Action::Propose { motion, until } => json!({
            "change": motion.change.as_str(),
            "sentence": text(&motion.change),
            "party": motion.change.party().map(text),
            "from": motion.from.0,
            "few": motion.few,
            "until": Moment::from(*until),
        }),
        Action::Ballot { proposal, approve } => json!({
            "proposal": text(proposal), "approve": approve,
        }),
        Action::Revoke { suspected_since } => json!({
            "suspectedSince": suspected_since.map(Moment::from),
        }),
    };
    match fields {
        Value::Object(fields) => fields,
        // Every arm above is an object.
        _ => Map::new(),
    }
}

fn text(value: impl ToString) -> String {
    value.to_string()
}

fn labels(labels: &[Label]) -> Vec<&str> {
    labels.iter().map(Label::as_str).collect()
}

fn span(window: &Window) -> Value {
    json!({ "from": Moment::from(window.from), "to": Moment::from(window.to) })
}

/// A signed message inside of another event; it holds none itself.
fn inner(signed: &SignedEvent) -> Value {
    // A struct of strings and numbers always serialises.
    serde_json::to_value(EventContent::from(signed)).unwrap_or_default()
}
