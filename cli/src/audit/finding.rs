//! What an audit finds: a code, a sentence, and how bad it is.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::failure::{Exit, Failure};

/// What is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// A source does not answer.
    Unreachable,
    /// A source has no checkpoint.
    NoCheckpoint,
    /// A checkpoint that is none, or carries a signature that does not hold.
    BadCheckpoint,
    /// A checkpoint without a quorum of those whom the trust file names.
    NoQuorum,
    /// A checkpoint that a quorum of a set cosigned which was not in force then.
    WrongSet,
    /// A line under a checkpoint by nobody whom the trust file names.
    UnknownSigner,
    /// A file that must be there is not.
    MissingFile,
    /// A file that is not what its name says.
    BadFile,
    /// A hash in a tile that is not the one of what lies below.
    WrongHash,
    /// Entries that lead to another root than the checkpoint's.
    WrongRoot,
    /// A leaf that does not follow from those before: a signature, a record, a root of the unit map.
    WrongLeaf,
    /// An event that breaks a custody rule, and a quorum let it pass.
    RuleBroken,
    /// A source that shows less than it showed before.
    RolledBack,
    /// Two histories of one log, both cosigned.
    Fork,
    /// The auditor's own copy is not what it was when it was made.
    Damaged,
}

impl Code {
    /// What an audit that finds it exits with.
    pub const fn exit(self) -> Exit {
        match self {
            Self::Unreachable | Self::Damaged => Exit::Operational,
            Self::BadCheckpoint | Self::BadFile | Self::WrongHash | Self::WrongRoot => {
                Exit::Integrity
            }
            Self::NoQuorum | Self::WrongSet | Self::UnknownSigner => Exit::Trust,
            Self::NoCheckpoint | Self::MissingFile => Exit::Incomplete,
            Self::WrongLeaf | Self::RuleBroken | Self::RolledBack | Self::Fork => {
                Exit::Misbehaviour
            }
        }
    }

    /// What to do about it.
    const fn help(self) -> &'static str {
        match self {
            Self::Unreachable => "check the source's address; the other sources were still audited",
            Self::NoCheckpoint => "a mirror needs the file `checkpoint` beside `tile/`",
            Self::BadCheckpoint => "fetch the checkpoint again; keep this one",
            Self::NoQuorum => {
                "check that the trust file is the network's, and no older than its validators"
            }
            Self::WrongSet => {
                "where members changed the set, `consign trust advance` takes the trust file there; where it \
                 stays so, keep the checkpoint: keys that were retired signed it"
            }
            Self::UnknownSigner => {
                "add the witness to the trust file, or fetch the checkpoint again"
            }
            Self::MissingFile => "fetch the file, and audit again",
            Self::BadFile | Self::WrongHash | Self::WrongRoot => {
                "fetch the file again; where it stays so, the source alters what it serves: keep it"
            }
            Self::WrongLeaf | Self::RuleBroken => {
                "keep the mirror and its checkpoint: every validator that cosigned it answers for this"
            }
            Self::RolledBack => "ask the source's operator; keep both checkpoints",
            Self::Fork => "keep the evidence, and show it to the members",
            Self::Damaged => {
                "check this machine's disk, and begin again in a new folder: consign audit init; nobody else is \
                 to blame"
            }
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Stable.
    pub code: Code,
    /// Where it was seen.
    pub source: String,
    /// The leaf, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// One sentence, lower case, with the values.
    pub detail: String,
    /// Who is named by the evidence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<String>,
    /// File that proves it to others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<PathBuf>,
}

impl Finding {
    /// A finding about a source as a whole.
    pub fn new(code: Code, source: &str, detail: impl Into<String>) -> Self {
        let (source, detail) = (source.to_owned(), detail.into());
        Self { code, source, leaf: None, detail, named: Vec::new(), evidence: None }
    }

    /// A finding about a leaf.
    pub fn at(self, leaf: u64) -> Self {
        Self { leaf: Some(leaf), ..self }
    }

    /// What it is known by from round to round, a name for each party that is named: a log that stays forked is one
    /// finding, however large it grows and in however many files that is shown, and whoever joins in is another.
    pub fn names(&self) -> Vec<String> {
        let code = serde_json::to_value(self.code).unwrap_or_default();
        let code = code.as_str().unwrap_or_default();
        let leaf = self.leaf.map(|leaf| leaf.to_string()).unwrap_or_default();
        // `growth-1a2b3c4d5e6f.evidence`: the kind, and which file.
        let stem = self.evidence.as_deref().and_then(Path::file_stem).and_then(OsStr::to_str);
        let kind = stem.and_then(|stem| stem.rsplit_once('-')).map_or("", |(kind, _)| kind);
        let name = |who: &str| format!("{code} {} {leaf} {kind} {who}", self.source);
        if self.named.is_empty() {
            return vec![name("")];
        }
        // Who it is comes first; what it did names sizes.
        let who = self.named.iter().filter_map(|named| named.split(' ').next());
        who.map(name).collect()
    }

    /// What to do about it.
    pub const fn help(&self) -> &'static str {
        self.code.help()
    }
}

/// How an audit with these findings ends: the worst of them decides.
///
/// # Errors
/// When there is a finding.
pub fn outcome(findings: &[Finding]) -> Result<(), Failure> {
    // In this order: a proof of misbehaviour outweighs a broken file, that one a missing one.
    const WORST_FIRST: [Exit; 5] =
        [Exit::Misbehaviour, Exit::Integrity, Exit::Trust, Exit::Incomplete, Exit::Operational];
    let worst = WORST_FIRST
        .into_iter()
        .find_map(|exit| findings.iter().find(|finding| finding.code.exit() == exit));
    let Some(worst) = worst else { return Ok(()) };
    let code = serde_json::to_value(worst.code).unwrap_or_default();
    let message = match findings.len() {
        1 => worst.detail.clone(),
        count => format!("{} ({count} findings in all)", worst.detail),
    };
    Err(Failure::new(worst.code.exit(), code.as_str().unwrap_or("finding"), message, worst.help()))
}
