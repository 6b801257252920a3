//! What an audit says: as text, as JSON, and as a page that can be printed and filed.

use std::fmt::Write as _;

use consign_types::block::BlockRecord;
use consign_types::time::Millis;
use consign_types::trust::Trust;
use serde::Serialize;

use super::finding::Finding;
use super::judge::Judged;
use super::rerun::Rerun;
use crate::console::Report;

/// What a source's checkpoint says, and who stands by it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Covered {
    /// The source.
    pub source: String,
    /// Leaves.
    pub size: u64,
    /// Root, in hexadecimal.
    pub root: String,
    /// How many validators cosigned it.
    pub cosigned_by: usize,
    /// As of when, seconds since 1970: the quorum-th newest of their times.
    pub time_s: u64,
}

impl Covered {
    /// Of a checkpoint that was judged.
    pub fn of(source: &str, judged: &Judged) -> Self {
        let proven = &judged.proven;
        Self {
            source: source.to_owned(),
            size: proven.checkpoint.size.0,
            root: proven.checkpoint.root.to_string(),
            cosigned_by: proven.validators.len(),
            time_s: proven.time_s,
        }
    }
}

/// An audit.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// The network.
    pub network: String,
    /// Its log.
    pub origin: String,
    /// The checkpoints that were judged.
    pub covered: Vec<Covered>,
    /// Leaves that were hashed again.
    pub leaves: u64,
    /// Blocks whose rules were run again.
    pub blocks: u64,
    /// Events whose signatures were checked and whose rules were run again.
    pub events: u64,
    /// The last of those blocks.
    pub height: u64,
    /// Root of the unit map after it.
    pub map_root: String,
    /// Files of a larger log than the checkpoint's, which nothing vouches for yet.
    pub beyond: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Audit {
    /// An audit that has not looked at anything.
    pub fn new(trust: &Trust) -> Self {
        Self {
            network: trust.network.to_string(),
            origin: trust.origin.clone(),
            covered: Vec::new(),
            leaves: 0,
            blocks: 0,
            events: 0,
            height: 0,
            map_root: String::new(),
            beyond: 0,
            findings: Vec::new(),
        }
    }

    /// Takes up what running the rules gave.
    pub fn take(&mut self, run: &Rerun) {
        (self.blocks, self.events) = (run.blocks, run.events);
        if let Some(replay) = &run.replay {
            self.stands_at(replay.record());
        }
    }

    /// The rules were run up to the block of this record, now or before.
    pub fn stands_at(&mut self, record: &BlockRecord) {
        (self.height, self.map_root) = (record.height.0, record.map_root.to_string());
    }

    fn clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn verdict(&self) -> &'static str {
        if self.clean() { "NOTHING FOUND" } else { "FINDINGS" }
    }

    fn summary(&self) -> String {
        format!(
            "{} leaves hashed again, {} events checked and their rules run again in {} blocks, up to block {}",
            self.leaves, self.events, self.blocks, self.height
        )
    }

    /// A page by itself: no script, nothing fetched.
    pub fn html(&self) -> String {
        let mut page = String::from(HEAD);
        let _ = writeln!(page, "<h1>Audit of {}</h1>", escaped(&self.origin));
        let _ = writeln!(page, "<p>Network <code>{}</code></p>", escaped(&self.network));
        let _ =
            writeln!(page, "<p class=\"verdict\">{}</p><p>{}.</p>", self.verdict(), self.summary());
        page.push_str("<h2>Checkpoints</h2>\n<table><tr><th>source<th>leaves<th>root<th>cosigned by<th>as of</tr>\n");
        for covered in &self.covered {
            let _ = writeln!(
                page,
                "<tr><td>{}<td>{}<td><code>{}</code><td>{}<td>{}</tr>",
                escaped(&covered.source),
                covered.size,
                covered.root,
                covered.cosigned_by,
                Millis(covered.time_s.saturating_mul(1_000)),
            );
        }
        page.push_str("</table>\n<h2>Findings</h2>\n");
        if self.clean() {
            page.push_str("<p>None.</p>\n");
        }
        for finding in &self.findings {
            let code = serde_json::to_value(finding.code).unwrap_or_default();
            let _ = writeln!(
                page,
                "<section><h3>{}</h3><p>{}: {}{}</p><p>{}</p></section>",
                escaped(code.as_str().unwrap_or_default()),
                escaped(&finding.source),
                finding.leaf.map(|leaf| format!("leaf {leaf}: ")).unwrap_or_default(),
                escaped(&finding.detail),
                escaped(&helped(finding)),
            );
        }
        page.push_str("</main></html>\n");
        page
    }
}

impl Report for Audit {
    fn text(&self) -> String {
        let mut lines = Vec::new();
        for covered in &self.covered {
            lines.push(format!(
                "{}: {} leaves, root {}, cosigned by {} validators, as of {}",
                covered.source,
                covered.size,
                covered.root,
                covered.cosigned_by,
                Millis(covered.time_s.saturating_mul(1_000))
            ));
        }
        lines.push(self.summary());
        if !self.map_root.is_empty() {
            lines.push(format!("unit-map root {}", self.map_root));
        }
        if self.beyond > 0 {
            lines.push(format!(
                "{} files are of a larger log than the checkpoint: nothing vouches for them, and they were \
                 not looked at",
                self.beyond
            ));
        }
        for finding in &self.findings {
            let leaf = finding.leaf.map(|leaf| format!("leaf {leaf}: ")).unwrap_or_default();
            lines.push(format!("FINDING  {}: {leaf}{}", finding.source, finding.detail));
            lines.push(format!("         {}", helped(finding)));
        }
        lines.push(self.verdict().to_owned());
        lines.join("\n")
    }
}

fn helped(finding: &Finding) -> String {
    let mut text = finding.help().to_owned();
    if !finding.named.is_empty() {
        let _ = write!(text, "; named: {}", finding.named.join(", "));
    }
    if let Some(file) = &finding.evidence {
        let _ = write!(text, "; evidence: {0} (consign verify {0})", file.display());
    }
    text
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

const HEAD: &str = "<!doctype html>
<html lang=\"en\"><meta charset=\"utf-8\"><title>Audit</title>
<meta name=\"viewport\" content=\"width=device-width\">
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
code { font-size: .8em; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #999; padding: .3rem .6rem .3rem 0; text-align: left; vertical-align: top; }
.verdict { font-size: 1.4rem; font-weight: 600; }
section { border-left: 4px solid #b00; margin: 1rem 0; padding-left: 1rem; break-inside: avoid; }
@media print { body { margin: 0; max-width: none; } }
</style><main>
";
