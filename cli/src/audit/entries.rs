//! The entries of a log, bundle by bundle.

use consign_ledger::log::{TilePath, read_entry_bundle};
use consign_types::block::TreeSize;

use super::finding::{Code, Finding};
use super::source::Source;
use crate::failure::Failure;

/// Entries of a full bundle.
pub const WIDTH: u64 = 256;

/// A bundle that was read, or why it is no use.
pub type Read = Result<Vec<Vec<u8>>, Finding>;

/// The entries of bundle `index` that a log of `size` has. A partial bundle may be gone once there is a
/// full one.
///
/// # Errors
/// When the source cannot be read. That what it has is wrong is the inner error.
pub fn bundle(source: &Source, index: u64, size: TreeSize) -> Result<Read, Failure> {
    let width = (size.0 - index * WIDTH).min(WIDTH) as u16;
    let path = TilePath { level: None, index, width };
    let (path, bytes) = match source.file(&path)? {
        Some(bytes) => (path, bytes),
        None => match source.file(&path.full())? {
            Some(bytes) => (path.full(), bytes),
            None => {
                let detail = format!("{path} is missing");
                let finding = Finding::new(Code::MissingFile, &source.name(), detail);
                return Ok(Err(finding.at(index * WIDTH)));
            }
        },
    };
    match read_entry_bundle(&path, &bytes) {
        Ok(entries) => {
            let entries = entries.into_iter().take(usize::from(width));
            Ok(Ok(entries.map(<[u8]>::to_vec).collect()))
        }
        Err(why) => {
            let finding = Finding::new(Code::BadFile, &source.name(), why.to_string());
            Ok(Err(finding.at(index * WIDTH)))
        }
    }
}
