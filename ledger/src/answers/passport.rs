//! Passports: the whole history of a unit, and what whoever relies on it asks of it.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use consign_types::causes::on_one_line;
use consign_types::checkpoint::NotProven;
use consign_types::time::Millis;
use consign_types::trust::Trust;

use super::receipt::trusted;
use super::{Answer, Asked, Told, Unmet, Verdict, Verification, assembled, broken, untrusted};
use crate::passport::{self, BadPassport, BadSetLink, Custodian, Flag, Verified};

/// Verifies the passport in `bytes`, `now` by this machine's clock.
pub(super) fn verify(
    bytes: &[u8],
    trust: Option<&Trust>,
    asked: &Asked,
    now: Millis,
) -> Verification {
    let Some(trust) = trust else {
        let why =
            "no trust file says whom to believe, and a passport is checked from there".to_owned();
        return untrusted("passport", why);
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
        completeness,
        unmet: unmet(verified, &flags, asked, age_s),
        told: Some(Told {
            holder: holder(verified),
            flags,
            story: passport::story(verified).iter().map(|line| line.to_string()).collect(),
        }),
        ..assembled(format!("passport of {}", verified.unit), integrity, trust, time)
    }
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
    if let Some(expected) = &asked.holder
        && held != Some(expected)
    {
        let detail = format!("{expected} does not hold the unit; holder: {}", holder(verified));
        unmet.push(Unmet { code: "other_holder", detail });
    }
    for not in &asked.not_flags {
        if flags.contains(not) {
            let detail = format!("the unit has the flag {not}");
            unmet.push(Unmet { code: "flagged", detail });
        }
    }
    if let Some(max) = asked.max_age_s
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
    let why = on_one_line(error);
    let nobody_stands_by_it = match error {
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
    if nobody_stands_by_it {
        return untrusted("passport", why);
    }
    broken("passport", why)
}

/// A length of time as people say it.
pub fn in_words(seconds: u64) -> String {
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
