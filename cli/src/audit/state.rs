//! What an auditor keeps between runs: whom to believe, whom to ask, what was seen, and the log itself.
//!
//! A folder. Nothing in it is secret; all of it is the auditor's own, so it is what an answer is checked
//! against. `mirror/` is a folder of tiles like any other.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use consign_ledger::log::{Mirror, TilePath, frontier_at, read_tile};
use consign_types::block::TreeSize;
use consign_types::causes::on_one_line;
use consign_types::checkpoint::Checkpoint;
use consign_types::digest::Digest;
use consign_types::note::Note;
use consign_types::trust::Trust;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::entries::WIDTH;
use super::fetch::write;
use super::scan::Scan;
use super::source::Source;
use crate::failure::Failure;
use crate::verify::read_trust;

const FORMAT: &str = "consign-audit-v1";
const SETTINGS: &str = "audit.json";
const TRUST: &str = "trust.json";

/// An auditor's folder, held by one process at a time.
#[derive(Debug)]
pub struct State {
    folder: PathBuf,
    /// Whom to believe.
    pub trust: Trust,
    /// Whom to ask.
    pub sources: Vec<Source>,
    _lock: File,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    format: String,
    sources: Vec<String>,
}

impl State {
    /// Makes the folder.
    ///
    /// # Errors
    /// When it is one already, or cannot be written.
    pub fn init(folder: &Path, trust: &Path, sources: &[Source]) -> Result<(), Failure> {
        // Read before it is copied: what cannot be read later is refused now.
        read_trust(trust)?;
        let settings = folder.join(SETTINGS);
        if settings.exists() {
            let message = format!("{} is an auditor's folder already", folder.display());
            let help = "run it: consign audit run --dir; or name another folder";
            return Err(Failure::usage("exists", message, help));
        }
        fs::create_dir_all(folder).map_err(|e| Failure::file("make", folder, e))?;
        let copy = folder.join(TRUST);
        fs::copy(trust, &copy).map_err(|e| Failure::file("write", &copy, e))?;
        let named = Settings {
            format: FORMAT.to_owned(),
            sources: sources.iter().map(Source::name).collect(),
        };
        let text = serde_json::to_string_pretty(&named).unwrap_or_default();
        write(&settings, text.as_bytes())
    }

    /// Opens the folder.
    ///
    /// # Errors
    /// When it is none, or another process has it open.
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        let settings = folder.join(SETTINGS);
        let bad = |why: String| {
            let message = format!("{} is not an auditor's folder: {why}", folder.display());
            let help =
                "make one: consign audit init --dir DIR --trust FILE --source URL --source URL";
            Failure::usage("no_audit", message, help)
        };
        let text = fs::read_to_string(&settings).map_err(|e| bad(e.to_string()))?;
        let settings: Settings = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
        if settings.format != FORMAT {
            return Err(bad(format!("format {:?} is not {FORMAT:?}", settings.format)));
        }
        let sources = settings.sources.iter().map(|source| source.parse());
        let sources = sources.collect::<Result<Vec<_>, _>>().map_err(bad)?;
        let lock = folder.join("lock");
        let lock = File::create(&lock).map_err(|e| Failure::file("write", &lock, e))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            let message = format!("{} is in use by another audit", folder.display());
            Failure::operational("in_use", message, "wait for it, or use a folder of its own")
        })?;
        let trust = read_trust(&folder.join(TRUST))?;
        Ok(Self { folder: folder.to_owned(), trust, sources, _lock: lock })
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The auditor's own copy of the log.
    pub fn mirror(&self) -> Source {
        Source::Folder(self.path("mirror"))
    }

    /// The checkpoint that the mirror leads to.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn mirrored(&self) -> Result<Option<Checkpoint>, Failure> {
        self.mirror()
            .checkpoint()?
            .map(|text| self.checkpoint("mirror/checkpoint", &text))
            .transpose()
    }

    /// What was last seen at a source.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn seen(&self, source: usize) -> Result<Option<(String, Checkpoint)>, Failure> {
        let name = format!("seen/{source}.checkpoint");
        match fs::read_to_string(self.path(&name)) {
            Ok(text) => {
                let checkpoint = self.checkpoint(&name, &text)?;
                Ok(Some((text, checkpoint)))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Failure::file("read", &self.path(&name), e)),
        }
    }

    fn checkpoint(&self, name: &str, text: &str) -> Result<Checkpoint, Failure> {
        let parsed = text.parse::<Note>().and_then(|note| Checkpoint::from_text(note.text()));
        parsed.map_err(|e| {
            let message = format!("{} is damaged: {}", self.path(name).display(), on_one_line(&e));
            Failure::operational(
                "damaged",
                message,
                "begin again in a new folder: consign audit init",
            )
        })
    }

    /// The hashes of the mirror at its right edge, to go on from there.
    ///
    /// # Errors
    /// When the mirror lacks a tile.
    pub fn scan(&self, size: TreeSize) -> Result<Scan, Failure> {
        let source = self.mirror();
        let tiles = Mirror::new(size, |path: &TilePath| source.file(path).ok().flatten());
        let damaged = |why: String| {
            let message = format!("the mirror in {} is damaged: {why}", self.folder.display());
            Failure::operational(
                "damaged",
                message,
                "begin again in a new folder: consign audit init",
            )
        };
        let frontier = frontier_at(&tiles, size).map_err(|e| damaged(e.to_string()))?;
        let mut open: [Vec<Digest>; 8] = Default::default();
        for (level, row) in open.iter_mut().enumerate() {
            let width = ((size.0 >> (8 * level)) % WIDTH) as u16;
            if width > 0 {
                let index = (size.0 >> (8 * level)) / WIDTH;
                let path = TilePath { level: Some(level as u8), index, width };
                let bytes =
                    source.file(&path)?.ok_or_else(|| damaged(format!("{path} is missing")))?;
                *row = read_tile(&path, &bytes).map_err(|e| damaged(e.to_string()))?;
            }
        }
        Ok(Scan::resume(frontier, open))
    }

    /// Keeps a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        write(&self.path(name), bytes)
    }
}
