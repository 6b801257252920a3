//! `consign audit compare`: the first event in which two copies of a log differ.

use consign_ledger::log::{Mirror, TilePath, root_at};
use consign_types::block::{BlockRecord, TreeSize};
use consign_types::checkpoint::Checkpoint;
use consign_types::codec::Canonical as _;
use consign_types::digest::TreeRoot;
use consign_types::event::SignedEvent;
use consign_types::merkle;
use consign_types::note::Note;
use serde::Serialize;

use super::LOG_SIZE_MAX;
use super::entries::{self, WIDTH};
use super::source::Source;
use crate::console::Report;
use crate::failure::{Exit, Failure};

/// How two copies compare.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Leaves of each copy, by its checkpoint.
    pub sizes: [u64; 2],
    /// Leaves that are the same in both.
    pub same: u64,
    /// What each has at the first leaf that differs; none where one copy is the beginning of the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differs: Option<[Shown; 2]>,
}

/// A leaf of one copy.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// The copy.
    pub source: String,
    /// Hash of the leaf.
    pub leaf_hash: String,
    /// What it is, in words.
    pub is: String,
}

impl Report for Comparison {
    fn text(&self) -> String {
        let [a, b] = self.sizes;
        let Some(differs) = &self.differs else {
            let same =
                if a == b { "the copies are the same" } else { "the shorter begins the longer" };
            return format!("{same}: {} leaves in both, {a} and {b} in all", self.same);
        };
        let mut lines = vec![format!(
            "the first {} leaves are the same; leaf {} differs",
            self.same, self.same
        )];
        for shown in differs {
            lines
                .push(format!("{}\n  {}\n  leaf hash {}", shown.source, shown.is, shown.leaf_hash));
        }
        lines.push("DIFFERENT".to_owned());
        lines.join("\n")
    }
}

impl Comparison {
    /// Whether one copy is the other, or its beginning.
    ///
    /// # Errors
    /// When they differ.
    pub fn outcome(&self) -> Result<(), Failure> {
        if self.differs.is_none() {
            return Ok(());
        }
        let message = format!("the copies differ from leaf {} on", self.same);
        let help = "audit each copy by itself: consign audit files DIR --trust FILE";
        Err(Failure::new(Exit::Integrity, "copies_differ", message, help))
    }
}

/// Compares two copies by the roots of their beginnings.
///
/// # Errors
/// When a copy cannot be read, or lacks files.
pub fn compare(sources: [&Source; 2]) -> Result<Comparison, Failure> {
    let mut sizes = [TreeSize(0); 2];
    for (size, source) in sizes.iter_mut().zip(sources) {
        *size = claimed(source)?;
    }
    let shorter = sizes[0].min(sizes[1]);
    let root = |at: usize, size: u64| root_of(sources[at], sizes[at], TreeSize(size));
    // The largest beginning with one root in both: equal up to it, different after it.
    let (mut same, mut end) = (0, shorter.0 + 1);
    while end - same > 1 {
        let middle = same + (end - same) / 2;
        if root(0, middle)? == root(1, middle)? {
            same = middle;
        } else {
            end = middle;
        }
    }
    let differs = if same == shorter.0 {
        None
    } else {
        Some([shown(sources[0], same, sizes[0])?, shown(sources[1], same, sizes[1])?])
    };
    Ok(Comparison { sizes: sizes.map(|size| size.0), same, differs })
}

/// How many leaves the copy says it has. Nobody's signature is asked for: two copies are compared here, and
/// not judged.
fn claimed(source: &Source) -> Result<TreeSize, Failure> {
    let none = |why: String| {
        let message = format!("{} has no checkpoint that can be read: {why}", source.name());
        Failure::new(
            Exit::Incomplete,
            "no_checkpoint",
            message,
            "a copy needs `checkpoint` beside `tile/`",
        )
    };
    let text = source.checkpoint()?.ok_or_else(|| none("there is none".to_owned()))?;
    let note: Note = text.parse().map_err(|e| none(format!("{e}")))?;
    let size = Checkpoint::from_text(note.text()).map_err(|e| none(format!("{e}")))?.size;
    if size.0 > LOG_SIZE_MAX {
        return Err(none(format!("it says {size} leaves, and no log is that long")));
    }
    Ok(size)
}

/// The root that the copy has for its first `size` leaves.
///
/// # Errors
/// When it lacks a tile.
pub fn root_of(source: &Source, whole: TreeSize, size: TreeSize) -> Result<TreeRoot, Failure> {
    let tiles = Mirror::new(whole, |path: &TilePath| source.file(path).ok().flatten());
    root_at(&tiles, size).map_err(|e| {
        let message = format!("{}: {e}", source.name());
        Failure::new(
            Exit::Incomplete,
            "missing_file",
            message,
            "fetch the missing tile, then compare again",
        )
    })
}

fn shown(source: &Source, index: u64, size: TreeSize) -> Result<Shown, Failure> {
    let bundle = entries::bundle(source, index / WIDTH, size)?;
    let bytes = bundle.map_err(|finding| {
        Failure::new(finding.code.exit(), "missing_file", &finding.detail, finding.help())
    })?;
    let leaf = bytes.into_iter().nth((index % WIDTH) as usize).unwrap_or_default();
    Ok(Shown {
        source: source.name(),
        leaf_hash: merkle::leaf_hash(&leaf).to_string(),
        is: in_words(&leaf),
    })
}

fn in_words(leaf: &[u8]) -> String {
    if let Ok(signed) = SignedEvent::decode(leaf) {
        let event = signed.event();
        return format!(
            "{} of {} by {}, number {}, event {}",
            event.action.kind(),
            event.subject,
            event.signer,
            event.sequence,
            signed.id()
        );
    }
    match BlockRecord::from_bytes(leaf) {
        Ok(record) => format!("record of block {}, {}", record.height, record.time),
        Err(_) => format!("{} bytes that are neither an event nor a record", leaf.len()),
    }
}
