//! `consign verify --online`: whether members know more of a unit than the passport at hand.
//!
//! A passport proves everything up to its checkpoint and nothing after it. Each member that is named is asked
//! for a newer one, which is checked like any other: what a node says without proof counts for nothing. That
//! there is nothing newer is proven by a young checkpoint alone: who sends the same old file again, or stands
//! still since days, proves nothing.

use consign_ledger::answers::{Unmet, holder, in_words};
use consign_ledger::passport::{self, Verified};
use consign_rpc::params::GetPassport;
use consign_types::causes::on_one_line;
use consign_types::time::Millis;
use consign_types::trust::Trust;
use serde::Serialize;

use crate::args::Global;
use crate::node::{Node, urls, within};

/// What a member proved, or why it proved nothing.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Online {
    /// Whom was asked.
    pub node: String,
    /// In words.
    pub says: String,
    #[serde(skip)]
    answer: Result<Compared, ()>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Compared {
    Same,
    /// The same, under a checkpoint that is too old to say that nothing came since.
    Stale,
    Newer,
    Older,
    Other,
}

/// How old an answer may be for its silence to count, where nobody named an age: validators cosign every minute.
const AGE_MAX_S: u64 = 600;

/// By what the age of an answer is judged.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    now: Millis,
    age_max_s: u64,
}

impl Fresh {
    /// By this clock; no older than what was asked for.
    pub fn by(now: Millis, age_max_s: Option<u64>) -> Self {
        Self { now, age_max_s: age_max_s.unwrap_or(AGE_MAX_S) }
    }
}

/// Asks every node on the command line.
pub async fn ask(global: &Global, trust: &Trust, known: &Verified, fresh: Fresh) -> Vec<Online> {
    let mut answers = Vec::new();
    for url in urls(global) {
        let asked = async {
            let node = Node::named(global, &url)?;
            let since_height = Some(trust.height.0);
            node.call(GetPassport { unit_id: known.unit.clone().into(), since_height }).await
        };
        let answer = match within(global.patience(), asked).await {
            Err(failure) => Err(failure.message),
            Ok(view) => passport::read(&view.passport.0, trust)
                .map_err(|e| format!("what it sent does not verify: {}", on_one_line(&e))),
        };
        answers.push(match answer {
            Err(says) => Online { node: url, says, answer: Err(()) },
            Ok(found) => compared(url, known, &found, fresh),
        });
    }
    answers
}

/// What the passport `found` at a node says beyond the one that is `known`.
pub fn compared(node: String, known: &Verified, found: &Verified, fresh: Fresh) -> Online {
    let ids = |of: &Verified| of.steps.iter().map(|step| step.event.id()).collect::<Vec<_>>();
    let (ours, theirs) = (ids(known), ids(found));
    let age_s = fresh.now.seconds().saturating_sub(found.checkpoint.time_s);
    let upto = format!("up to block {}, cosigned {} ago", found.height, in_words(age_s));
    let (says, answer) = if theirs == ours && age_s > fresh.age_max_s {
        let max = in_words(fresh.age_max_s);
        (format!("nothing more {upto}: too old to count, more than {max}"), Compared::Stale)
    } else if theirs == ours {
        (format!("nothing more {upto}"), Compared::Same)
    } else if theirs.starts_with(&ours) {
        let more = theirs.len() - ours.len();
        (format!("{more} more events {upto}; holder: {}", holder(found)), Compared::Newer)
    } else if ours.starts_with(&theirs) {
        (format!("less than the file: it is behind, {upto}"), Compared::Older)
    } else {
        (format!("another history {upto}; holder: {}", holder(found)), Compared::Other)
    };
    Online { node, says, answer: Ok(answer) }
}

/// What the answers leave unmet.
pub fn unmet(answers: &[Online]) -> Option<Unmet> {
    let any = |wanted| answers.iter().find(|online| online.answer == Ok(wanted));
    if let Some(online) = any(Compared::Other) {
        let detail = format!(
            "{} proves {}: keep both files, the log may be forked",
            online.node, online.says
        );
        return Some(Unmet { code: "contradicted", detail });
    }
    if let Some(online) = any(Compared::Newer) {
        let detail = format!("{} proves {}; ask for the newer passport", online.node, online.says);
        return Some(Unmet { code: "superseded", detail });
    }
    // One that is behind the file, or stands still, confirms nothing.
    if any(Compared::Same).is_none() {
        let detail = "no member that was asked proves that there is nothing newer".to_owned();
        return Some(Unmet { code: "nobody_answered", detail });
    }
    None
}
