//! `consign passport show`: what a passport file says, to read. Nothing of it is checked here.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use consign_ledger::passport::Passport;
use consign_rpc::views::{Base64, EventContent, Moment};
use consign_types::causes::on_one_line;
use consign_types::codec::Canonical as _;
use consign_types::event::SignedEvent;
use consign_types::limits::PASSPORT_BYTES_MAX;
use serde::Serialize;

use crate::console::{Console, Report};
use crate::failure::{Exit, Failure};

/// The JSON view of a passport: all that stands in the file, but for the proofs, which mean nothing to a reader.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    format: &'static str,
    /// Always false: a view proves nothing.
    verified: bool,
    network: String,
    unit: String,
    checkpoint: String,
    height: u64,
    /// Block time of the checkpoint's last block.
    time: Moment,
    map_root: String,
    set_changes: usize,
    entries: Vec<Entry>,
    events: Vec<Entered>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    key: String,
    value: Base64,
    siblings: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entered {
    leaf: u64,
    record_time: Moment,
    /// Containers that the event puts around the unit, innermost first.
    begins: Vec<String>,
    /// The event; absent where its bytes are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<EventContent>,
    envelope: Base64,
}

/// Shows the passport in `file`.
///
/// # Errors
/// When it cannot be read, or is no passport.
pub(super) fn run(console: &Console, file: &Path) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    let open = File::open(file).map(|open| open.take(PASSPORT_BYTES_MAX as u64 + 1));
    open.and_then(|mut open| open.read_to_end(&mut bytes))
        .map_err(|e| Failure::file("read", file, e))?;
    let passport = Passport::from_bytes(&bytes).map_err(|e| {
        let message = format!("{} is no passport: {}", file.display(), on_one_line(&e));
        Failure::new(
            Exit::Integrity,
            "unreadable",
            message,
            "fetch it again with `consign passport get`",
        )
    })?;
    console.result(&Shown::of(&passport))
}

impl Shown {
    fn of(passport: &Passport) -> Self {
        let entry = |entry: &consign_ledger::passport::Proven| Entry {
            key: entry.key.to_string(),
            value: Base64(entry.value.clone()),
            siblings: entry.proof.siblings().len(),
        };
        let entered = |entered: &consign_ledger::passport::Entered| Entered {
            leaf: entered.leaf.0,
            record_time: entered.time.into(),
            begins: entered.begins.iter().map(|(unit, _)| unit.to_string()).collect(),
            content: SignedEvent::decode(&entered.event).ok().as_ref().map(EventContent::from),
            envelope: Base64(entered.event.clone()),
        };
        Self {
            format: "consign-passport-v1",
            verified: false,
            network: passport.network.to_string(),
            unit: passport.unit.to_string(),
            checkpoint: passport.checkpoint.clone(),
            height: passport.record.height.0,
            time: passport.record.time.into(),
            map_root: passport.record.map_root.to_string(),
            set_changes: passport.sets.len(),
            entries: passport.entries.iter().map(entry).collect(),
            events: passport.entered.iter().map(entered).collect(),
        }
    }
}

impl Report for Shown {
    fn text(&self) -> String {
        let mut text = format!(
            "passport of {}, block {}, {}; NOT CHECKED: consign verify does that\n",
            self.unit, self.height, self.time.rfc3339
        );
        for event in &self.events {
            let (leaf, time) = (event.leaf, &event.record_time.rfc3339);
            let said = event.content.as_ref().map_or_else(
                || "bytes that are no event".to_owned(),
                |content| {
                    let (kind, subject, signer) =
                        (&content.kind, &content.subject, &content.signer);
                    format!("{kind} of {subject} by {signer}")
                },
            );
            let _ = writeln!(text, "{leaf:>8}  {time}  {said}");
        }
        for entry in &self.entries {
            let _ = writeln!(text, "entry     {}, {} bytes", entry.key, entry.value.0.len());
        }
        let _ = write!(text, "the whole of it: --output json");
        text
    }
}
