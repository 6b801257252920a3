//! What JavaScript asks, as texts, made into what the ledger judges.

use alloc::format;
use alloc::vec::Vec;

use consign_ledger::answers::{self, Asked, Unmet, Verification};
use consign_types::time::Millis;
use consign_types::trust::Trust;

/// A question as it was typed. Nothing is asked where a text is empty.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Question<'a> {
    /// The text of the trust file.
    pub trust: &'a str,
    /// The event's exact bytes, where a receipt does not carry them.
    pub event: &'a [u8],
    /// The unit that the passport must be of.
    pub unit: &'a str,
    /// The party that must hold it.
    pub holder: &'a str,
    /// Names of flags that it must not have, with commas between.
    pub not_flags: &'a str,
    /// The oldest that the passport may be.
    pub max_age_s: Option<u64>,
    /// Whether one log key's word is enough.
    pub accept_log_key: bool,
}

/// Verifies the passport, the receipt or the evidence in `file`, `now` by the clock of whoever asks.
pub fn verify(file: &[u8], question: &Question<'_>, now: Millis) -> Verification {
    let trust = match question.trust {
        "" => None,
        text => match Trust::from_json(text) {
            Ok(trust) => Some(trust.at(now)),
            Err(error) => {
                return Verification::without_trust(format!("this is no trust file: {error}"));
            }
        },
    };
    let event = (!question.event.is_empty()).then_some(question.event);
    let (asked, meaningless) = asked(question);
    let mut found = answers::verify(file, event, trust.as_ref(), &asked, now);
    found.unmet.extend(meaningless);
    found
}

/// What is asked, and what means nothing: nobody is told that it is so.
fn asked(question: &Question<'_>) -> (Asked, Vec<Unmet>) {
    let mut meaningless = Vec::new();
    let mut no = |code, what, text: &str| {
        meaningless.push(Unmet { code, detail: format!("{text:?} is no {what}") });
    };
    let mut asked = Asked {
        max_age_s: question.max_age_s,
        accept_log_key: question.accept_log_key,
        ..Asked::default()
    };
    match question.unit {
        "" => {}
        text => match text.parse() {
            Ok(unit) => asked.unit = Some(unit),
            Err(_) => no("other_unit", "number of a unit", text),
        },
    }
    match question.holder {
        "" => {}
        text => match text.parse() {
            Ok(party) => asked.holder = Some(party),
            Err(_) => no("other_holder", "name of a party", text),
        },
    }
    for text in question.not_flags.split(',').filter(|text| !text.is_empty()) {
        match text.parse() {
            Ok(flag) => asked.not_flags.push(flag),
            Err(_) => no("unknown_flag", "flag", text),
        }
    }
    (asked, meaningless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_nothing_is_unmet_and_never_passed_over() {
        let question = Question {
            unit: "00/1",
            holder: "No Party",
            not_flags: "hold,,held",
            ..Question::default()
        };
        let (asked, meaningless) = asked(&question);
        assert_eq!(asked.not_flags, [consign_ledger::passport::Flag::Hold]);
        let said: Vec<_> = meaningless.iter().map(|no| (no.code, no.detail.as_str())).collect();
        assert_eq!(
            said,
            [
                ("other_unit", "\"00/1\" is no number of a unit"),
                ("other_holder", "\"No Party\" is no name of a party"),
                ("unknown_flag", "\"held\" is no flag"),
            ]
        );
    }

    #[test]
    fn a_trust_file_that_is_none_is_said_before_anything_else() {
        let question = Question { trust: "{}", ..Question::default() };
        let found = verify(b"", &question, Millis(0));
        assert_eq!((found.code(), found.verified), ("bad_trust", false));
    }
}
