//! Fetching a log into a folder, hashing it on the way.

use std::fs;
use std::io;
use std::path::Path;

use consign_ledger::log::{TilePath, entry_bundle, tile_bytes};
use consign_types::block::TreeSize;
use consign_types::digest::Digest;
use consign_types::merkle;

use super::entries::{self, WIDTH};
use super::finding::{Code, Finding};
use super::scan::Scan;
use super::source::Source;
use crate::durable::{self, Mode};
use crate::failure::Failure;

/// Fetches the leaves from where `scan` stands up to `size` into `folder`, and every tile that is full with
/// them. The folder is a mirror once [`keep_partial`] was called and a checkpoint of the same root lies in it.
/// Leaves that `scan` has taken already come again where it stands within a bundle: they must be the same.
///
/// # Errors
/// When the folder cannot be written. What is wrong with the source is the inner error.
pub fn fetch(
    source: &Source,
    size: TreeSize,
    mut scan: Scan,
    folder: &Path,
    mut progress: impl FnMut(u64),
) -> Result<Result<Scan, Finding>, Failure> {
    let from = scan.size();
    for index in from.0 / WIDTH..size.0.div_ceil(WIDTH) {
        let leaves = match entries::bundle(source, index, size) {
            Ok(Ok(leaves)) => leaves,
            Ok(Err(finding)) => return Ok(Err(finding)),
            Err(failure) => {
                return Ok(Err(Finding::new(Code::Unreachable, &source.name(), failure.message)));
            }
        };
        let path = TilePath { level: None, index, width: leaves.len() as u16 };
        let known = from.0.saturating_sub(index * WIDTH) as usize;
        if let Some(at) = changed(&leaves[..known.min(leaves.len())], scan.edge()) {
            let leaf = path.first() + at as u64;
            let detail = format!("{path}: leaf {leaf} is not the one that was hashed here before");
            let finding = Finding::new(Code::BadFile, &source.name(), detail);
            return Ok(Err(finding.at(leaf)));
        }
        let mut full = Vec::new();
        for leaf in leaves.iter().skip(known) {
            scan.leaf(leaf, |path, hashes| full.push((path, hashes.to_vec())));
        }
        for (path, hashes) in full {
            keep_tile(folder, &path, &hashes)?;
        }
        write(&folder.join(path.to_string()), &entry_bundle(&leaves))?;
        progress(scan.size().0);
    }
    Ok(Ok(scan))
}

/// The first of `leaves` whose hash is not the one that is known.
fn changed(leaves: &[Vec<u8>], known: &[Digest]) -> Option<usize> {
    let hashes = leaves.iter().map(|leaf| merkle::leaf_hash(leaf).0);
    hashes.zip(known).position(|(hash, known)| hash != *known)
}

/// Removes from `folder`, a mirror of `from` leaves, what a fetch up to `reached` wrote and nobody stands by:
/// files of a larger tree would be taken for this log's once it is as large.
///
/// # Errors
/// When they cannot be removed.
pub fn discard(folder: &Path, from: TreeSize, reached: TreeSize) -> Result<(), Failure> {
    for path in TilePath::new_between(from, reached) {
        let file = folder.join(path.to_string());
        match fs::remove_file(&file) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::file("remove", &file, e));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Keeps the tiles at the right edge, which are not full.
///
/// # Errors
/// When they cannot be written.
pub fn keep_partial(scan: &Scan, folder: &Path) -> Result<(), Failure> {
    scan.partial().try_for_each(|(path, hashes)| keep_tile(folder, &path, hashes))
}

fn keep_tile(folder: &Path, path: &TilePath, hashes: &[Digest]) -> Result<(), Failure> {
    write(&folder.join(path.to_string()), &tile_bytes(hashes))
}

/// Writes a file whole or not at all, and the directories above it.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| Failure::file("create", folder, e))?;
    }
    durable::replace(path, bytes, Mode::Shared)
}
