//! What a proof file proves: four answers, none of which stands in for another.
//!
//! *Integrity*: do the bytes hold together? *Trust*: did a quorum of validators that the trust file
//! names stand by them? *Completeness*: is this everything? *Time*: how well is it bounded?
//!
//! Reads evidence, which names who misbehaved; passports, the whole history of a unit; and receipts, one
//! event: C2SP `.tlog-proof`, or COSE (RFC 9942), which shows one log key's word and no quorum. The command
//! line and the browser say what is said here, in these words; neither judges a file by itself.

mod cose;
mod evidence;
mod passport;
mod receipt;

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use consign_types::limits::PASSPORT_BYTES_MAX;
use consign_types::party::PartyId;
use consign_types::receipt::RECEIPT_BYTES_MAX;
use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_types::unit::UnitId;

pub use self::passport::{holder, in_words};
use crate::passport::Flag;

/// The largest file that can be a proof, in bytes.
pub const FILE_BYTES_MAX: usize =
    if RECEIPT_BYTES_MAX > PASSPORT_BYTES_MAX { RECEIPT_BYTES_MAX } else { PASSPORT_BYTES_MAX };

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
    /// An answer in these words.
    pub fn new(verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { verdict, detail: detail.into() }
    }
}

/// What must be true besides. Nothing is asked where nothing is named.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Asked {
    /// The unit that the passport must be of.
    pub unit: Option<UnitId>,
    /// The party that must hold the unit.
    pub holder: Option<PartyId>,
    /// What must never have happened to the unit.
    pub not_flags: Vec<Flag>,
    /// The oldest that the passport may be, in seconds.
    pub max_age_s: Option<u64>,
    /// Of a COSE receipt: one log key's word is enough.
    pub accept_log_key: bool,
}

impl Asked {
    /// Only a passport answers for a unit: anything else leaves open what was asked.
    fn of_no_passport(&self) -> Option<Unmet> {
        let unasked = Self { accept_log_key: self.accept_log_key, ..Self::default() };
        let detail = "the file is no passport: it does not say what became of a unit".to_owned();
        (*self != unasked).then_some(Unmet { code: "not_a_passport", detail })
    }
}

/// What a passport tells beside the four answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Told {
    /// Who holds the unit.
    pub holder: String,
    /// What ever happened to it.
    pub flags: BTreeSet<Flag>,
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
    needs_trust: bool,
    /// Whether the proof holds. What was asked of it besides may still be unmet.
    pub verified: bool,
}

impl Verification {
    /// Nobody could be believed, because what should say whom to believe says nothing.
    pub fn without_trust(why: String) -> Self {
        let trust = Answer::new(Verdict::Failed, why);
        Self { trust, ..unfinished("proof", Verdict::NotEstablished, "not checked".to_owned()) }
    }

    /// Stable: `ok`, or the first question that fails. What was asked besides comes last.
    pub fn code(&self) -> &'static str {
        match (self.integrity.verdict, self.trust.verdict) {
            (_, Verdict::Failed) => "bad_trust",
            (Verdict::Failed, _) => "integrity",
            (Verdict::NotEstablished, _) if !self.needs_trust => "incomplete",
            (_, Verdict::Ok) if !self.accused.is_empty() => "misbehaviour",
            (_, Verdict::Bounded) if !self.verified => "log_key_alone",
            (_, Verdict::Ok | Verdict::Bounded) => self.unmet.first().map_or("ok", |not| not.code),
            (_, Verdict::NotEstablished) => "trust",
        }
    }

    /// The same, where one log key's word is enough.
    fn accepting_log_key(self) -> Self {
        let holds = self.integrity.verdict == Verdict::Ok && self.trust.verdict == Verdict::Bounded;
        Self { verified: self.verified || holds, ..self }
    }
}

/// Verifies the passport, the receipt or the evidence in `file`.
///
/// `event` holds the event's exact bytes, where a receipt does not carry them. `now` is the clock of whoever
/// asks; the age of a passport is measured by it, and nothing else.
pub fn verify(
    file: &[u8],
    event: Option<&[u8]>,
    trust: Option<&Trust>,
    asked: &Asked,
    now: Millis,
) -> Verification {
    if file.len() > FILE_BYTES_MAX {
        let why =
            format!("the file has more than {FILE_BYTES_MAX} bytes, more than a proof can have");
        return broken("unreadable", why);
    }
    // Receipts are text, and a passport begins with a byte that no text begins with.
    let mut found = match file.first() {
        _ if file.starts_with(evidence::BEGINNING) => evidence::verify(file, trust),
        Some(&cose::FIRST_BYTE) => {
            let found = cose::verify(file, event, trust);
            if asked.accept_log_key { found.accepting_log_key() } else { found }
        }
        Some(0x80..) => return passport::verify(file, trust, asked, now),
        _ => receipt::verify(&String::from_utf8_lossy(file), event, trust),
    };
    found.unmet.extend(asked.of_no_passport());
    found
}

fn assembled(subject: String, integrity: Answer, trust: Answer, time: Answer) -> Verification {
    let verified = integrity.verdict == Verdict::Ok && trust.verdict == Verdict::Ok;
    Verification {
        subject,
        integrity,
        trust,
        completeness: Answer::new(Verdict::Bounded, "one event; not a history"),
        time,
        told: None,
        accused: Vec::new(),
        unmet: Vec::new(),
        needs_trust: false,
        verified,
    }
}

fn broken(subject: &str, why: String) -> Verification {
    unfinished(subject, Verdict::Failed, why)
}

fn unfinished(subject: &str, integrity: Verdict, why: String) -> Verification {
    let unchecked = || Answer::new(Verdict::NotEstablished, "not checked");
    Verification {
        completeness: unchecked(),
        ..assembled(subject.to_owned(), Answer::new(integrity, why), unchecked(), unchecked())
    }
}

/// What could be checked only by whoever is told whom to believe.
fn untrusted(subject: &str, why: String) -> Verification {
    let unchecked = unfinished(subject, Verdict::NotEstablished, "not checked".to_owned());
    Verification {
        trust: Answer::new(Verdict::NotEstablished, why),
        needs_trust: true,
        ..unchecked
    }
}
