//! Receipts in text, C2SP `.tlog-proof`: one event, and the quorum that stands by it.
//!
//! A receipt does not carry the device's key: the event's own signature was checked by the validators before
//! they cosigned, and is not checked again.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use consign_types::block::BlockRecord;
use consign_types::causes::on_one_line;
use consign_types::checkpoint::{Checkpoint, NotProven, Proven};
use consign_types::codec::Canonical as _;
use consign_types::digest::NetworkId;
use consign_types::event::SignedEvent;
use consign_types::merkle::{self, InclusionProof};
use consign_types::receipt::Receipt;
use consign_types::time::Millis;
use consign_types::trust::Trust;

use super::{Answer, Verdict, Verification, assembled, broken, unfinished};

/// Verifies the receipt `text`.
pub(super) fn verify(text: &str, event: Option<&[u8]>, trust: Option<&Trust>) -> Verification {
    let receipt: Receipt = match text.parse() {
        Ok(receipt) => receipt,
        Err(error) => return broken("unreadable", on_one_line(&error)),
    };
    let claimed = match Checkpoint::from_text(receipt.checkpoint.text()) {
        Ok(claimed) => claimed,
        Err(error) => return broken("unreadable", on_one_line(&error)),
    };
    let Some(leaf) = event.or(receipt.extra.as_deref()) else {
        let why = "the receipt does not carry the event that it speaks of";
        return unfinished(
            &format!("leaf {}", receipt.index),
            Verdict::NotEstablished,
            why.to_owned(),
        );
    };
    let (subject, device_time, network) = describe(leaf);
    let proof =
        InclusionProof { index: receipt.index, size: claimed.size, path: receipt.path.clone() };
    if let Err(error) = proof.verify(merkle::leaf_hash(leaf), claimed.root) {
        return broken(&subject, format!("the bytes are not what the checkpoint covers: {error}"));
    }
    let integrity = Answer::new(
        Verdict::Ok,
        format!("leaf {} of {}, root {}", receipt.index, claimed.size, claimed.root),
    );
    let Some(trust) = trust else {
        let why = "no trust file says whom to believe";
        let trust = Answer::new(Verdict::NotEstablished, why);
        return assembled(subject, integrity, trust, unbounded(device_time));
    };
    if network.is_some_and(|network| network != trust.network) {
        return broken(&subject, "the event is meant for another network".to_owned());
    }
    match trust.verify_by_any(&receipt.checkpoint) {
        Ok(proven) => {
            let time = bounded(proven.time_s, device_time);
            assembled(subject, integrity, trusted(&proven, trust), time)
        }
        // An honest node never serves a cosignature that does not hold.
        Err(
            error @ (NotProven::Signature(_)
            | NotProven::WitnessSignature(_)
            | NotProven::Malformed(_)),
        ) => broken(&subject, on_one_line(&error)),
        Err(error) => {
            let trust = Answer::new(Verdict::NotEstablished, on_one_line(&error));
            assembled(subject, integrity, trust, unbounded(device_time))
        }
    }
}

/// Who of the witnesses stands by it, where the trust file knows any.
fn witnesses(proven: &Proven, trust: &Trust) -> String {
    let rule = &trust.witnesses;
    if rule.keys.is_empty() {
        return String::new();
    }
    let names = &proven.witnessed.names;
    let named = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    let needed = rule.needed;
    format!("; witnessed by {} of {}{named}; {needed} are needed", names.len(), rule.keys.len())
}

pub(super) fn trusted(proven: &Proven, trust: &Trust) -> Answer {
    // A set may have come back: the last time that it was in force.
    let (mut set, mut until) = (&trust.validators, String::new());
    let mut replaced = None;
    for (height, known) in trust.sets().rev() {
        if known.hash() == proven.set {
            set = known;
            until = replaced.map_or_else(String::new, |from| {
                format!("; as the trust file has it, they were in force before block {from}")
            });
            break;
        }
        replaced = Some(height);
    }
    let names: Vec<&str> = proven
        .validators
        .iter()
        .filter_map(|index| set.get(*index))
        .map(|validator| validator.party.as_str())
        .collect();
    let detail = format!(
        "cosigned by {} of {} validators ({}); {} are needed",
        names.len(),
        set.count(),
        names.join(", "),
        set.quorum()
    );
    let detail = format!("{detail}{until}{}", witnesses(proven, trust));
    Answer::new(Verdict::Ok, detail)
}

/// What a leaf is, what its device says about the time, and for which network it is meant.
pub(super) fn describe(leaf: &[u8]) -> (String, Option<Millis>, Option<NetworkId>) {
    if let Ok(signed) = SignedEvent::decode(leaf) {
        let event = signed.event();
        let subject = format!(
            "{} of {}, signed by {}, event {}",
            event.action.kind(),
            event.subject,
            event.signer,
            signed.id()
        );
        return (subject, Some(event.time), Some(event.network));
    }
    match BlockRecord::from_bytes(leaf) {
        Ok(record) => (format!("record of block {}", record.height), None, None),
        Err(_) => (format!("leaf of {} bytes that is no event", leaf.len()), None, None),
    }
}

fn bounded(time_s: u64, device_time: Option<Millis>) -> Answer {
    let cosigned = Millis(time_s.saturating_mul(1000));
    let claim = claim(device_time);
    Answer::new(Verdict::Bounded, format!("in the log by {cosigned}, as a quorum says{claim}"))
}

fn unbounded(device_time: Option<Millis>) -> Answer {
    let detail = format!("no trusted cosignature bounds it{}", claim(device_time));
    Answer::new(Verdict::NotEstablished, detail)
}

pub(super) fn claim(device_time: Option<Millis>) -> String {
    device_time.map(|time| format!("; the device claims {time}")).unwrap_or_default()
}
