//! Proposals in words.

use consign_rpc::views::{MemberView, MembersView, ProposalView, RequestView, RequestsView};
use serde::Serialize;

use super::change::{Plan, params_lines};
use crate::console::Report;

/// Every proposal.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Listed {
    /// Newest first.
    pub proposals: Vec<ProposalView>,
}

impl Report for Listed {
    fn text(&self) -> String {
        if self.proposals.is_empty() {
            return "nobody has proposed anything".to_owned();
        }
        let line = |view: &ProposalView| {
            let votes = format!("{} of {} needed", view.approvals.len(), view.needed);
            format!("{:>4}  {:<9} {votes:<13}  {}", view.number, view.stage, view.sentence)
        };
        self.proposals.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// One proposal.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Shown(pub ProposalView);

impl Report for Shown {
    fn text(&self) -> String {
        let view = &self.0;
        let names = |list: &[consign_rpc::views::Text<_>]| match list {
            [] => "nobody".to_owned(),
            list => list.iter().map(ToString::to_string).collect::<Vec<String>>().join(", "),
        };
        let mut lines = vec![
            format!("proposal  {}, by {}", view.number, view.by),
            format!("event     {}", view.proposal_id),
            format!("change    {}", view.sentence),
        ];
        // What to compare by voice before an approval.
        lines.extend(view.fingerprint.iter().map(|print| format!("keys      fingerprint {print}")));
        if view.from > 0 {
            lines.push(format!("from      height {}, or the one after the decision", view.from));
        }
        lines.push(format!("for       {}; {} are needed", names(&view.approvals), view.needed));
        lines.push(format!("against   {}", names(&view.rejections)));
        lines.push(format!("stage     {}", stage(view)));
        lines.join("\n")
    }
}

fn stage(view: &ProposalView) -> String {
    match (view.stage.as_str(), view.height) {
        ("open", _) => {
            format!("open until {}; next: consign gov approve {}", view.until.rfc3339, view.number)
        }
        ("decided", Some(height)) => {
            format!("decided at height {height}; in force from height {} on", view.from)
        }
        ("in-force", Some(height)) => format!("in force from height {height} on"),
        ("void", _) => {
            "void: it was not possible any more when its height came, or another change \
                        of the same took force first"
                .to_owned()
        }
        (stage, _) => stage.to_owned(),
    }
}

/// Who is in the network, and what holds in it.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Present(pub MembersView);

impl Report for Present {
    fn text(&self) -> String {
        let view = &self.0;
        let line = |member: &MemberView| {
            let node = match (&member.validator, &member.node) {
                (Some(_), _) => "its node votes",
                (None, Some(_)) => "its node follows",
                (None, None) => "no node",
            };
            let authority = if member.authority { ", an authority" } else { "" };
            format!("member     {:<16} {node}{authority}", member.party.to_string())
        };
        let mut lines: Vec<String> = view.members.iter().map(line).collect();
        lines.push(format!("validators {}", view.validators.sentence));
        let params = params_lines(&view.params).into_iter();
        lines.extend(params.map(|(name, value)| format!("parameter  {name}: {value}")));
        lines.push(format!("after      height {}", view.height));
        lines.join("\n")
    }
}

/// Requests to join.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Requested(pub RequestsView);

impl Report for Requested {
    fn text(&self) -> String {
        if self.0.requests.is_empty() {
            return "nobody asks to join at this node".to_owned();
        }
        let line = |view: &RequestView| {
            format!(
                "{:<12} invited by {}; fingerprint {}, as a validator {}; came {}",
                view.party.to_string(),
                view.invited_by,
                view.fingerprint,
                view.validator_fingerprint,
                view.received.rfc3339
            )
        };
        self.0.requests.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// What would be.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Planned(pub Plan);

impl Report for Planned {
    fn text(&self) -> String {
        let mut lines = self.0.sentences();
        lines.push("nothing was proposed".to_owned());
        lines.join("\n")
    }
}
