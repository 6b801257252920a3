//! How the four answers are told: lines for people, one object for programs, an exit code for scripts.

use consign_ledger::answers::{Answer, Unmet, Verdict, Verification};
use serde::{Serialize, Serializer};

use super::online::Online;
use crate::console::Report;
use crate::failure::{Exit, Failure};

/// What a proof file proves, and what members that were asked can prove besides.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the file proves.
    pub proof: Verification,
    /// What members said; nobody is asked without `--online`.
    pub online: Vec<Online>,
}

impl From<Verification> for Checked {
    fn from(proof: Verification) -> Self {
        Self { proof, online: Vec::new() }
    }
}

impl Report for Checked {
    fn text(&self) -> String {
        let Self { proof, online } = self;
        let line = |name: &str, says: &str| format!("{name:<13}{says}");
        let answer = |name: &str, answer: &Answer| {
            format!("{name:<13}{:<16} {}", in_capitals(answer.verdict), answer.detail)
        };
        let mut lines = Vec::new();
        if let Some(told) = &proof.told {
            lines.extend(told.story.iter().cloned());
            lines.push(String::new());
        }
        lines.push(line("Proof", &proof.subject));
        if let Some(told) = &proof.told {
            let flags: Vec<_> = told.flags.iter().map(|flag| flag.as_str()).collect();
            let flags = if flags.is_empty() { "none".to_owned() } else { flags.join(", ") };
            lines.push(line("Holder", &told.holder));
            lines.push(line("Flags", &flags));
        }
        lines.extend(proof.accused.iter().map(|accused| line("Named", accused)));
        lines.push(answer("Integrity", &proof.integrity));
        lines.push(answer("Trust", &proof.trust));
        lines.push(answer("Completeness", &proof.completeness));
        lines.push(answer("Time", &proof.time));
        lines.extend(online.iter().map(|o| line("Online", &format!("{}: {}", o.node, o.says))));
        lines.extend(proof.unmet.iter().map(|unmet| line("Not so", &unmet.detail)));
        let said = match (proof.verified, proof.unmet.is_empty()) {
            _ if !proof.accused.is_empty() => "MISBEHAVIOUR PROVEN",
            (true, true) => "VERIFIED",
            (true, false) => "VERIFIED, BUT NOT AS ASKED",
            (false, _) => "NOT VERIFIED",
        };
        lines.push(said.to_owned());
        lines.join("\n")
    }
}

const fn in_capitals(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "OK",
        Verdict::Failed => "FAILED",
        Verdict::NotEstablished => "NOT ESTABLISHED",
        Verdict::Bounded => "BOUNDED",
    }
}

impl Checked {
    /// Why the process does not end well, if it does not.
    ///
    /// # Errors
    /// [`Exit::Integrity`], [`Exit::Trust`], [`Exit::Incomplete`] or [`Exit::Misbehaviour`], as the first
    /// question that fails has it; what was asked besides comes last.
    pub fn outcome(&self) -> Result<(), Failure> {
        let Verification { integrity, trust, accused, unmet, .. } = &self.proof;
        let code = self.proof.code();
        let fail = |exit, message: &str, help| Err(Failure::new(exit, code, message, help));
        match code {
            "ok" => Ok(()),
            "integrity" => {
                let help = "do not rely on this file; ask a node for the proof again";
                fail(Exit::Integrity, &integrity.detail, help)
            }
            "incomplete" => {
                fail(Exit::Incomplete, &integrity.detail, "name the event with --event FILE")
            }
            "misbehaviour" => {
                let help = "keep the file: whoever holds the network's trust file can check it";
                fail(Exit::Misbehaviour, &accused.join("; "), help)
            }
            "log_key_alone" => {
                let help = "where one log key's word is enough, say so with --accept-log-key; else ask \
                            for a .tlog-proof or a passport";
                fail(Exit::Trust, &trust.detail, help)
            }
            "trust" | "bad_trust" => {
                let help = "name the network's trust file with --trust, or ask for a newer proof";
                fail(Exit::Trust, &trust.detail, help)
            }
            _ => {
                let why = unmet.first().map_or("", |unmet| unmet.detail.as_str());
                fail(Exit::Incomplete, why, "the file is genuine; what was asked of it is not so")
            }
        }
    }
}

/// The object that programs get.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    subject: &'a str,
    integrity: AnswerView<'a>,
    trust: AnswerView<'a>,
    completeness: AnswerView<'a>,
    time: AnswerView<'a>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    told: Option<ToldView<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    accused: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    online: &'a [Online],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unmet: Vec<UnmetView<'a>>,
    code: &'static str,
    verified: bool,
}

#[derive(Serialize)]
struct AnswerView<'a> {
    verdict: &'static str,
    detail: &'a str,
}

#[derive(Serialize)]
struct ToldView<'a> {
    holder: &'a str,
    flags: Vec<&'static str>,
    story: &'a [String],
}

#[derive(Serialize)]
struct UnmetView<'a> {
    code: &'static str,
    detail: &'a str,
}

impl<'a> From<&'a Answer> for AnswerView<'a> {
    fn from(answer: &'a Answer) -> Self {
        Self { verdict: answer.verdict.code(), detail: &answer.detail }
    }
}

impl<'a> From<&'a Unmet> for UnmetView<'a> {
    fn from(unmet: &'a Unmet) -> Self {
        Self { code: unmet.code, detail: &unmet.detail }
    }
}

impl Serialize for Checked {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { proof, online } = self;
        let view = View {
            subject: &proof.subject,
            integrity: (&proof.integrity).into(),
            trust: (&proof.trust).into(),
            completeness: (&proof.completeness).into(),
            time: (&proof.time).into(),
            told: proof.told.as_ref().map(|told| ToldView {
                holder: &told.holder,
                flags: told.flags.iter().map(|flag| flag.as_str()).collect(),
                story: &told.story,
            }),
            accused: &proof.accused,
            online,
            unmet: proof.unmet.iter().map(UnmetView::from).collect(),
            code: proof.code(),
            verified: proof.verified,
        };
        view.serialize(to)
    }
}
