//! The consensus log and the sign-state: two small files with their own fsync.
//!
//! The log serves one height and is rewritten for the next; the sign-state is two slots on sectors of
//! their own in one file. Neither is ever part of a backup. What the bytes mean is the business of
//! [`consign_consensus`]; this module only gets them onto the disk, and says when they are there.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use consign_consensus::{sign_state, wal};
use consign_types::block::Height;

use crate::store::Fault;

/// The slots lie this far apart, so that no torn sector hits both.
const SLOT_STRIDE: u64 = 4096;
/// A consensus log never grows beyond this: some hundred rounds of a full set.
const LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The write-ahead log of the height being decided.
pub struct LogFile {
    file: File,
    path: PathBuf,
    buffer: Vec<u8>,
}

impl LogFile {
    /// Opens the log in `dir` and reads what holds of it; what does not is cut off.
    ///
    /// # Errors
    /// When the file cannot be opened, read or cut.
    pub fn open(dir: &Path) -> Result<(Self, wal::Recovered), Fault> {
        let path = dir.join("consensus.log");
        let mut file = open(&path)?;
        let mut bytes = Vec::new();
        io::Read::by_ref(&mut file)
            .take(LOG_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(|source| failed(&path, "read", source))?;
        let recovered = wal::recover(&bytes);
        file.set_len(recovered.valid_bytes)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(|source| failed(&path, "cut", source))?;
        Ok((Self { file, path, buffer: Vec::new() }, recovered))
    }

    /// Reads what holds of the log in `dir`, and leaves it as it is.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn look(dir: &Path) -> Result<wal::Recovered, Fault> {
        let path = dir.join("consensus.log");
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(LOG_BYTES_MAX).read_to_end(&mut bytes)) {
            Ok(_) => Ok(wal::recover(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(wal::Recovered::default()),
            Err(source) => Err(failed(&path, "read", source)),
        }
    }

    /// The log restarts for `height`. What it held is decided and on disk elsewhere.
    ///
    /// # Errors
    /// When the file cannot be cut.
    pub fn restart(&mut self, height: Height) -> Result<(), Fault> {
        self.buffer = wal::header(height);
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .map_err(|source| failed(&self.path, "restart", source))
    }

    /// Buffers an entry.
    pub fn append(&mut self, entry: &[u8]) {
        self.buffer.extend_from_slice(entry);
    }

    /// Writes what is buffered and syncs it.
    ///
    /// # Errors
    /// When the write or the sync fails; the process must end then.
    pub fn sync(&mut self) -> Result<(), Fault> {
        self.file
            .write_all(&self.buffer)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| failed(&self.path, "sync", source))?;
        self.buffer.clear();
        Ok(())
    }
}

/// What this validator signed last.
pub struct SignStateFile {
    file: File,
    path: PathBuf,
}

impl SignStateFile {
    /// Opens the file in `dir` and reads its slots.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn open(dir: &Path) -> Result<(Self, sign_state::Recovered), Fault> {
        let path = dir.join("sign-state");
        let mut file = open(&path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|source| failed(&path, "read", source))?;
        let slot = |index: u64| {
            let start = (index * SLOT_STRIDE) as usize;
            let end = bytes.len().min(start + sign_state::SLOT_BYTES);
            bytes.get(start..end).unwrap_or_default()
        };
        let blank = |slot: &[u8]| slot.iter().all(|b| *b == 0);
        let slots = match [slot(0), slot(1)] {
            // A file of zeros was a sign-state once: it is unreadable, not absent.
            [first, second] if blank(first) && blank(second) => [first, second],
            // A slot that was never written reads as zeros where the other one lies behind it.
            slots => slots.map(|slot| if blank(slot) { &[][..] } else { slot }),
        };
        let recovered = sign_state::recover(slots);
        Ok((Self { file, path }, recovered))
    }

    /// Writes one slot and syncs it.
    ///
    /// # Errors
    /// When the write or the sync fails; the process must end then.
    pub fn save(&mut self, slot: &sign_state::Slot) -> Result<(), Fault> {
        self.file
            .write_all_at(&slot.bytes, u64::from(slot.index) * SLOT_STRIDE)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| failed(&self.path, "sync", source))
    }
}

/// The mark that whoever made the consensus key leaves in the data directory: it has signed nothing
/// yet. Without it an empty disk is a lost disk, and the node stays silent until it cannot do harm.
pub struct NewKey(PathBuf);

impl NewKey {
    /// The mark in `dir`, if it is there.
    pub fn find(dir: &Path) -> Option<Self> {
        let path = dir.join("new-consensus-key");
        path.exists().then_some(Self(path))
    }

    /// Removes the mark for good.
    ///
    /// # Errors
    /// When it cannot be removed or the directory cannot be synced.
    pub fn clear(self) -> Result<(), Fault> {
        let sync = |dir: Option<&Path>| dir.map_or(Ok(()), |dir| File::open(dir)?.sync_all());
        std::fs::remove_file(&self.0)
            .and_then(|()| sync(self.0.parent()))
            .map_err(|source| failed(&self.0, "remove", source))
    }
}

fn open(path: &Path) -> Result<File, Fault> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .and_then(|file| {
            // The name must survive a power cut as well as the content.
            if let Some(dir) = path.parent() {
                File::open(dir)?.sync_all()?;
            }
            Ok(file)
        })
        .map_err(|source| failed(path, "open", source))
}

fn failed(path: &Path, what: &'static str, source: io::Error) -> Fault {
    Fault::File { path: path.to_owned(), what, source }
}
