//! The four answers, in the words of `consign verify`.
//!
//! *Integrity*: do the bytes hold together? *Trust*: did a quorum of validators that the trust file
//! names stand by them? *Completeness*: is this everything? *Time*: how well is it bounded? No
//! question's answer stands in for another's.
//!
//! Receipts in text are here; passports, evidence and COSE in the modules of those names.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use consign_types::block::BlockRecord;
use consign_types::checkpoint::{Checkpoint, NotProven, Proven};
use consign_types::codec::Canonical as _;
use consign_types::digest::NetworkId;
use consign_types::event::SignedEvent;
use consign_types::limits::PASSPORT_BYTES_MAX;
use consign_types::merkle::{self, InclusionProof};
use consign_types::receipt::{RECEIPT_BYTES_MAX, Receipt};
use consign_types::time::Millis;
use consign_types::trust::Trust;

use crate::{cose, evidence, passport};

/// How one question is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Yes.
    Ok,
    /// No, and somebody should ask why.
    Failed,
    /// Nothing here says so.
    NotEstablished,
    /// As far as the file goes.
    Bounded,
}

impl Verdict {
    /// Stable.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::NotEstablished => "not-established",
            Self::Bounded => "bounded",
        }
    }
}

/// One question's answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Short.
    pub verdict: Verdict,
    /// Long.
    pub detail: String,
}

impl Answer {
    pub(crate) fn new(verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { verdict, detail: detail.into() }
    }
}

/// What must be true of the unit besides.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Asked<'a> {
    /// The party that must hold the unit.
    pub holder: Option<&'a str>,
    /// Names of flags that the unit must not have, with commas between.
    pub not_flags: &'a str,
    /// The oldest that the passport may be.
    pub max_age_s: Option<u64>,
}

/// What a passport tells beside the four answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told {
    /// Who holds the unit.
    pub holder: String,
    /// What ever happened to it.
    pub flags: Vec<&'static str>,
    /// Its history, a line for each event.
    pub story: Vec<String>,
}

/// A question of whoever relies on the file that it does not answer as hoped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unmet {
    /// Stable.
    pub code: &'static str,
    /// One sentence.
    pub detail: String,
}

/// What a proof file proves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verification {
    /// What it speaks of.
    pub subject: String,
    /// Do the bytes hold together?
    pub integrity: Answer,
    /// Did a quorum of trusted validators stand by them?
    pub trust: Answer,
    /// Is this everything?
    pub completeness: Answer,
    /// How well is the time bounded?
    pub time: Answer,
    /// What a passport tells besides.
    pub told: Option<Told>,
    /// Whom evidence names, and what each did.
    pub accused: Vec<String>,
    /// What was asked and is not so.
    pub unmet: Vec<Unmet>,
    /// Whether the next thing to do is to find somebody to trust.
    pub(crate) needs_trust: bool,
    /// Whether the proof holds. What was asked of it besides may still be unmet.
    pub verified: bool,
    /// Stable: `ok`, or the reason that comes first.
    pub code: &'static str,
}

/// Verifies the passport, the receipt or the evidence in `bytes`, `now` by the clock of whoever asks.
pub fn verify(
    bytes: &[u8],
    trust: Option<&str>,
    event: Option<&[u8]>,
    asked: &Asked<'_>,
    now: Millis,
) -> Verification {
    let read = trust.map(Trust::from_json).transpose().map(|trust| trust.map(|t| t.at(now)));
    let found = match (bytes.len() > RECEIPT_BYTES_MAX.max(PASSPORT_BYTES_MAX), read) {
        (true, _) => {
            let detail = format!("the file has {} bytes, more than a proof can have", bytes.len());
            broken("unreadable", detail)
        }
        (false, Err(error)) => {
            let why = format!("this is no trust file: {error}");
            let found = unfinished("proof", Verdict::NotEstablished, "not checked".to_owned());
            let trust = Answer::new(Verdict::Failed, why);
            return Verification { trust, code: "bad_trust", ..found };
        }
        (false, Ok(trust)) if bytes.starts_with(evidence::BEGINNING) => {
            no_passport(evidence::verify(bytes, trust.as_ref()), asked)
        }
        (false, Ok(trust)) if bytes.first() == Some(&cose::FIRST_BYTE) => {
            no_passport(cose::verify(bytes, event, trust.as_ref()), asked)
        }
        // A receipt is text, and a passport begins with a byte that no text begins with.
        (false, Ok(trust)) if matches!(bytes.first(), Some(0x80..)) => {
            passport::verify(bytes, trust.as_ref(), asked, now)
        }
        (false, Ok(trust)) => {
            no_passport(receipt(&String::from_utf8_lossy(bytes), event, trust.as_ref()), asked)
        }
    };
    Verification { code: code(&found), ..found }
}

/// Only a passport answers for a unit.
fn no_passport(found: Verification, asked: &Asked<'_>) -> Verification {
    let anything = Asked { holder: None, not_flags: "", max_age_s: None };
    let unmet = (*asked != anything).then(|| Unmet {
        code: "not_a_passport",
        detail: "the file is no passport: it does not say what became of a unit".to_owned(),
    });
    Verification { unmet: unmet.into_iter().collect(), ..found }
}

/// By the first question that fails; what was asked besides comes last.
fn code(found: &Verification) -> &'static str {
    match (found.integrity.verdict, found.trust.verdict) {
        (Verdict::Failed, _) => "integrity",
        (Verdict::NotEstablished, _) if !found.needs_trust => "incomplete",
        (_, Verdict::Ok) if !found.accused.is_empty() => "misbehaviour",
        (_, Verdict::Bounded) => "log_key_alone",
        (_, Verdict::Ok) => found.unmet.first().map_or("ok", |unmet| unmet.code),
        _ => "trust",
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn core::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Verifies the receipt `text`.
fn receipt(text: &str, event: Option<&[u8]>, trust: Option<&Trust>) -> Verification {
    let receipt: Receipt = match text.parse() {
        Ok(receipt) => receipt,
        Err(error) => return broken("unreadable", chain(&error)),
    };
    let claimed = match Checkpoint::from_text(receipt.checkpoint.text()) {
        Ok(claimed) => claimed,
        Err(error) => return broken("unreadable", chain(&error)),
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
        ) => broken(&subject, chain(&error)),
        Err(error) => {
            let trust = Answer::new(Verdict::NotEstablished, chain(&error));
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

pub(crate) fn trusted(proven: &Proven, trust: &Trust) -> Answer {
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
pub(crate) fn describe(leaf: &[u8]) -> (String, Option<Millis>, Option<NetworkId>) {
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

pub(crate) fn claim(device_time: Option<Millis>) -> String {
    device_time.map(|time| format!("; the device claims {time}")).unwrap_or_default()
}

pub(crate) fn assembled(
    subject: String,
    integrity: Answer,
    trust: Answer,
    time: Answer,
) -> Verification {
    let verified = integrity.verdict == Verdict::Ok && trust.verdict == Verdict::Ok;
    let completeness = Answer::new(Verdict::Bounded, "one event; not a history");
    let (told, accused, unmet, needs_trust) = (None, Vec::new(), Vec::new(), false);
    Verification {
        subject,
        integrity,
        trust,
        completeness,
        time,
        told,
        accused,
        unmet,
        needs_trust,
        verified,
        code: "",
    }
}

pub(crate) fn broken(subject: &str, why: String) -> Verification {
    unfinished(subject, Verdict::Failed, why)
}

pub(crate) fn unfinished(subject: &str, integrity: Verdict, why: String) -> Verification {
    let unchecked = || Answer::new(Verdict::NotEstablished, "not checked");
    Verification {
        completeness: unchecked(),
        ..assembled(subject.to_owned(), Answer::new(integrity, why), unchecked(), unchecked())
    }
}
