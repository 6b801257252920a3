//! `consign verify` on a passport: the whole history of a unit, and what whoever relies on it asks of it.

use std::collections::BTreeSet;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use consign_ledger::passport::{self, BadPassport, BadSetLink, Custodian, Flag, Verified};
use consign_types::checkpoint::NotProven;
use consign_types::party::PartyId;
use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_types::unit::UnitId;
use serde::Serialize;

use super::{Answer, Verdict, Verification, broken, trusted, unfinished};
use crate::failure::chain;
use crate::instant;

/// What must be true of the unit besides, for `consign verify` to end well.
#[derive(Args, Clone, Debug, Default)]
pub struct Asked {
    /// The party that must hold the unit
    #[arg(long, value_name = "PARTY")]
    pub expect_holder: Option<PartyId>,
    /// What must never have happened to the unit: the passport proves that it did not
    #[arg(long, value_name = "FLAG", value_delimiter = ',', value_parser = flags())]
    pub not_flag: Vec<Flag>,
    /// The oldest that the passport may be: 90s, 5m, 12h, 30d
    #[arg(long, value_name = "AGE", value_parser = instant::age)]
    pub max_age: Option<u64>,
    /// The unit that the passport must be of
    #[arg(long, value_name = "UNIT")]
    pub unit: Option<UnitId>,
    /// Of a COSE receipt: one log key's word is enough
    #[arg(long)]
    pub accept_log_key: bool,
}

impl Asked {
    /// Only a passport answers for a unit: anything else leaves open what was asked.
    pub(super) fn of_no_passport(&self) -> Option<Unmet> {
        let asked = self.expect_holder.is_some()
            || !self.not_flag.is_empty()
            || self.max_age.is_some()
            || self.unit.is_some();
        let detail = "the file is no passport: it does not say what became of a unit".to_owned();
        asked.then_some(Unmet { code: "not_a_passport", detail })
    }
}

/// What a passport tells beside the four answers.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Who holds the unit.
    pub holder: String,
    /// What ever happened to it.
    pub flags: Vec<String>,
    /// Its history, a line for each event.
    pub story: Vec<String>,
}

/// A question of whoever relies on the file that it does not answer as hoped.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Unmet {
    /// Stable.
    pub code: &'static str,
    /// One sentence.
    pub detail: String,
}

/// The flags by their names.
fn flags() -> impl TypedValueParser<Value = Flag> {
    let names = Flag::ALL.iter().map(|flag| flag.as_str());
    PossibleValuesParser::new(names).map(|name| name.parse().expect("only names of flags pass"))
}

/// Verifies the passport in `bytes`, `now` by this machine's clock.
pub fn verify(bytes: &[u8], trust: Option<&Trust>, asked: &Asked, now: Millis) -> Verification {
    let Some(trust) = trust else {
        let why =
            "no trust file says whom to believe, and a passport is checked from there".to_owned();
        let unchecked = unfinished("passport", Verdict::NotEstablished, "not checked".to_owned());
        let trust = Answer::new(Verdict::NotEstablished, why);
        return Verification { trust, needs_trust: true, ..unchecked };
    };
    match passport::read(bytes, trust) {
        Ok(verified) => told(&verified, trust, asked, now),
        Err(error) => refused(&error),
    }
}

fn told(verified: &Verified, trust: &Trust, asked: &Asked, now: Millis) -> Verification {
    let proven = &verified.checkpoint;
    let cosigned = Millis(proven.time_s.saturating_mul(1_000));
    let age_s = now.0.saturating_sub(cosigned.0) / 1_000;
    let own = verified.steps.iter().filter(|step| step.depth == 0).count();
    let around = match verified.steps.len() - own {
        0 => String::new(),
        1 => ", and 1 of what it was in".to_owned(),
        more => format!(", and {more} of what it was in"),
    };
    let integrity = Answer::new(
        Verdict::Ok,
        format!("signatures, heads and entries lead to root {}", proven.checkpoint.root),
    );
    let completeness = Answer::new(
        Verdict::Ok,
        format!(
            "{} up to block {}, {}{around}",
            match own {
                1 => "the one event of the unit".to_owned(),
                more => format!("all {more} events of the unit"),
            },
            verified.height,
            verified.time
        ),
    );
    let time = Answer::new(
        Verdict::Bounded,
        format!(
            "as of {cosigned}, as a quorum says: {} ago by this machine's clock; \
             times are block times, what devices claim is not shown",
            in_words(age_s)
        ),
    );
    let trust = match verified.set_changes {
        _ if trust.sets().any(|(_, set)| set.hash() == proven.set) => trusted(proven, trust),
        changes => Answer::new(
            Verdict::Ok,
            format!(
                "cosigned by {} validators of the set that followed after {changes} certified changes",
                proven.validators.len()
            ),
        ),
    };
    let flags = verified.flags();
    Verification {
        told: Some(Told {
            holder: holder(verified),
            flags: flags.iter().map(|flag| flag.to_string()).collect(),
            story: passport::story(verified).iter().map(ToString::to_string).collect(),
        }),
        unmet: unmet(verified, &flags, asked, age_s),
        ..super::assembled(format!("passport of {}", verified.unit), integrity, trust, time)
    }
    .with_completeness(completeness)
}

/// Who holds the unit, in words.
pub fn holder(verified: &Verified) -> String {
    match verified.custody.last().map(|holding| &holding.custodian) {
        Some(Custodian::Held(party)) => party.to_string(),
        Some(Custodian::Contested { holder, claimant }) => {
            format!("contested: {holder} held it, {claimant} claims it")
        }
        Some(Custodian::Closed(party)) => format!("nobody: {party} held it to the end"),
        Some(Custodian::Undecided) => {
            "not decided by this file: it shows two readings of a dispute around the unit"
                .to_owned()
        }
        None => "nobody".to_owned(),
    }
}

fn unmet(verified: &Verified, flags: &BTreeSet<Flag>, asked: &Asked, age_s: u64) -> Vec<Unmet> {
    let mut unmet = Vec::new();
    if let Some(unit) = asked.unit.as_ref().filter(|unit| **unit != verified.unit) {
        let detail = format!("the passport is of {}, not of {unit}", verified.unit);
        unmet.push(Unmet { code: "other_unit", detail });
    }
    let held = match verified.custody.last().map(|holding| &holding.custodian) {
        Some(Custodian::Held(party)) => Some(party),
        _ => None,
    };
    if let Some(expected) = &asked.expect_holder
        && held != Some(expected)
    {
        let detail = format!("{expected} does not hold the unit; holder: {}", holder(verified));
        unmet.push(Unmet { code: "other_holder", detail });
    }
    for not in &asked.not_flag {
        if flags.contains(not) {
            let detail = format!("the unit has the flag {not}");
            unmet.push(Unmet { code: "flagged", detail });
        }
    }
    if let Some(max) = asked.max_age
        && age_s > max
    {
        let detail = format!(
            "the passport is {} old, more than {}; ask for a newer one",
            in_words(age_s),
            in_words(max)
        );
        unmet.push(Unmet { code: "stale", detail });
    }
    unmet
}

/// Whether bytes are wrong, or only nobody trusted stands by them.
fn refused(error: &BadPassport) -> Verification {
    let why = chain(error);
    let untrusted = match error {
        BadPassport::Checkpoint(cause) => !matches!(
            cause,
            NotProven::Signature(_) | NotProven::WitnessSignature(_) | NotProven::Malformed(_)
        ),
        BadPassport::SetLink { why, .. } => {
            matches!(why, BadSetLink::Set | BadSetLink::Certificate(_))
        }
        BadPassport::Network | BadPassport::RecordEpoch | BadPassport::RecordSet => true,
        _ => false,
    };
    if untrusted {
        let unchecked = unfinished("passport", Verdict::NotEstablished, "not checked".to_owned());
        let trust = Answer::new(Verdict::NotEstablished, why);
        return Verification { trust, needs_trust: true, ..unchecked };
    }
    broken("passport", why)
}

/// A length of time as people say it.
fn in_words(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_read_well() {
        let said = [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(in_words);
        assert_eq!(said, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days"]);
    }
}
