//! `consign audit files`: everything in a folder of tiles, with no node and no network.
//!
//! Every byte of every file counts: entries are hashed again up to the root that the checkpoint names, every
//! tile is compared with those hashes, and the rules are run again over the entries.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use consign_ledger::log::{TilePath, tile_bytes};
use consign_types::block::TreeSize;
use consign_types::digest::Digest;
use consign_types::trust::Trust;

use super::entries::{self, WIDTH};
use super::finding::{Code, Finding};
use super::judge::{Judged, by_set_in_force, in_words, judge};
use super::report::{Audit, Covered};
use super::rerun::rerun;
use super::scan::Scan;
use super::source::Source;
use crate::failure::Failure;

/// Findings after which looking on tells nothing new.
const FINDINGS_MAX: usize = 100;

/// Audits the files in `folder`. `progress` is told how many of how many leaves are done.
///
/// # Errors
/// When the folder cannot be read. What is wrong with what is in it is in the answer.
pub fn audit(
    folder: &Path,
    trust: &Trust,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Audit, Failure> {
    let source = Source::folder(folder);
    let name = source.name();
    let mut audit = Audit::new(trust);
    let Some(text) = source.checkpoint()? else {
        audit.findings.push(Finding::new(Code::NoCheckpoint, &name, "there is no checkpoint"));
        return Ok(audit);
    };
    let judged = match judge(text, &name, trust) {
        Ok(judged) => judged,
        Err(finding) => {
            audit.findings.push(finding);
            return Ok(audit);
        }
    };
    let checkpoint = &judged.proven.checkpoint;
    audit.covered.push(Covered::of(&name, &judged));
    let size = checkpoint.size;

    let files = Files::list(&source, size)?;
    let mut scan = Scan::default();
    for index in 0..size.0.div_ceil(WIDTH) {
        let leaves = match entries::bundle(&source, index, size)? {
            Ok(leaves) => leaves,
            Err(finding) => {
                audit.findings.push(finding);
                return Ok(audit);
            }
        };
        files.compare_bundles(&source, index, &leaves, &mut audit.findings)?;
        let mut tiles: Vec<(TilePath, Vec<Digest>)> = Vec::new();
        for leaf in &leaves {
            scan.leaf(leaf, |path, hashes| tiles.push((path, hashes.to_vec())));
        }
        for (path, hashes) in tiles {
            files.compare(&source, path, &hashes, &mut audit.findings)?;
        }
        // Half of the work is hashing, half is running the rules.
        progress(scan.size().0 / 2, size.0);
        if audit.findings.len() >= FINDINGS_MAX {
            return Ok(audit);
        }
    }
    for (path, hashes) in scan.partial() {
        files.compare(&source, path, hashes, &mut audit.findings)?;
    }
    files.missing(&name, size, &mut audit.findings);
    audit.beyond = files.beyond.len() as u64;
    audit.leaves = size.0;
    let root = scan.frontier().root();
    if root != checkpoint.root {
        let detail = format!(
            "its {} entries lead to root {root}; its checkpoint says {}",
            size,
            in_words(checkpoint)
        );
        audit.findings.push(Finding::new(Code::WrongRoot, &name, detail));
        return Ok(audit);
    }
    let run = rerun(&source, trust.network, size, None, |replay, _| {
        progress((size.0 + replay.frontier().size().0) / 2, size.0);
    })?;
    audit.take(&run);
    if let (None, Some(replay)) = (&run.finding, &run.replay) {
        match by_set_in_force(&judged, replay.record(), &name, trust) {
            Ok(proven) => audit.covered = vec![Covered::of(&name, &Judged { proven, ..judged })],
            Err(finding) => audit.findings.push(finding),
        }
    }
    audit.findings.extend(run.finding);
    Ok(audit)
}

/// The files that a folder has.
struct Files {
    /// By level and index, every width that there is.
    widths: BTreeMap<(Option<u8>, u64), Vec<u16>>,
    /// Files of a larger tree than the checkpoint's: nothing vouches for them yet.
    beyond: BTreeSet<TilePath>,
}

impl Files {
    fn list(source: &Source, size: TreeSize) -> Result<Self, Failure> {
        let mut files = Self { widths: BTreeMap::new(), beyond: BTreeSet::new() };
        let Source::Folder(folder) = source else { return Ok(files) };
        let mut open = vec![folder.join("tile")];
        while let Some(dir) = open.pop() {
            if !dir.is_dir() {
                continue;
            }
            for entry in fs::read_dir(&dir).map_err(|e| Failure::file("read", &dir, e))? {
                let path = entry.map_err(|e| Failure::file("read", &dir, e))?.path();
                if path.is_dir() {
                    open.push(path);
                    continue;
                }
                let inner = path.strip_prefix(folder).ok().and_then(Path::to_str);
                let Some(tile) = inner.and_then(|inner| inner.parse::<TilePath>().ok()) else {
                    continue;
                };
                if tile.exists_at(size) {
                    files.widths.entry((tile.level, tile.index)).or_default().push(tile.width);
                } else {
                    files.beyond.insert(tile);
                }
            }
        }
        Ok(files)
    }

    fn widths(&self, level: Option<u8>, index: u64) -> Vec<u16> {
        self.widths.get(&(level, index)).cloned().unwrap_or_default()
    }

    /// Compares every file of the tile with its hashes.
    fn compare(
        &self,
        source: &Source,
        path: TilePath,
        hashes: &[Digest],
        findings: &mut Vec<Finding>,
    ) -> Result<(), Failure> {
        for width in self.widths(path.level, path.index) {
            let path = TilePath { width, ..path };
            let Some(held) = source.file(&path)? else { continue };
            let expected = tile_bytes(&hashes[..usize::from(width).min(hashes.len())]);
            if held == expected {
                continue;
            }
            let wrong = held.chunks(32).zip(expected.chunks(32)).position(|(a, b)| a != b);
            let finding = match wrong {
                Some(at) => {
                    let detail = format!("{path}: hash {at} is not that of what lies below it");
                    let finding = Finding::new(Code::WrongHash, &source.name(), detail);
                    let first =
                        (path.first() + at as u64) << (8 * u32::from(path.level.unwrap_or(0)));
                    finding.at(first)
                }
                None => {
                    let detail = format!("{path} does not hold {width} hashes");
                    Finding::new(Code::BadFile, &source.name(), detail)
                }
            };
            findings.push(finding);
        }
        Ok(())
    }

    /// Compares every other file of the bundle with its entries.
    fn compare_bundles(
        &self,
        source: &Source,
        index: u64,
        leaves: &[Vec<u8>],
        findings: &mut Vec<Finding>,
    ) -> Result<(), Failure> {
        for width in self.widths(None, index) {
            let path = TilePath { level: None, index, width };
            let Some(held) = source.file(&path)? else { continue };
            let shown = &leaves[..usize::from(width).min(leaves.len())];
            let expected = consign_ledger::log::entry_bundle(shown);
            // A full bundle of a larger tree begins with what this tree has of it.
            if !held.starts_with(&expected)
                || (shown.len() == usize::from(width) && held != expected)
            {
                let detail = format!("{path} is not the first {width} entries of its bundle");
                findings.push(Finding::new(Code::BadFile, &source.name(), detail).at(path.first()));
            }
        }
        Ok(())
    }

    /// Files that a log of `size` has, and that are neither here nor within a wider one.
    fn missing(&self, source: &str, size: TreeSize, findings: &mut Vec<Finding>) {
        for path in TilePath::new_between(TreeSize(0), size) {
            let held = self.widths(path.level, path.index);
            let wider = |tile: &TilePath| (tile.level, tile.index) == (path.level, path.index);
            if !held.contains(&path.width) && !self.beyond.iter().any(wider) {
                let detail = format!("{path} is missing");
                findings.push(Finding::new(Code::MissingFile, source, detail).at(path.first()));
            }
        }
    }
}
