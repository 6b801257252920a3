//! The log as files (C2SP tlog-tiles): immutable but for the checkpoint, so any cache can serve them.

use consign_ledger::log::{TilePath, entry_bundle};
use consign_rpc::backend::File;
use consign_types::block::LeafIndex;

use super::Serving;
use crate::state::sure;

const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

impl Serving {
    pub(super) fn tlog_file(&self, path: &str) -> Option<File> {
        if path == "checkpoint" {
            let note = self.parts.cosigner.followed_note()?;
            return Some(File { content_type: TEXT, bytes: note.into(), immutable: false });
        }
        let tile: TilePath = path.parse().ok()?;
        let committed = &self.parts.committed;
        // Only what a quorum has cosigned is served: a tile is for ever.
        if !tile.exists_at(committed.progress().borrow().proven) {
            return None;
        }
        let width = usize::from(tile.width);
        let bytes = match tile.level {
            Some(level) => {
                let hashes = sure(committed.store().tile_hashes(level, tile.first(), width));
                if hashes.len() < width {
                    return None;
                }
                hashes.iter().flat_map(|hash| hash.0).collect()
            }
            None => {
                let first = LeafIndex(tile.first());
                let leaves = sure(committed.store().leaves(first, u64::from(tile.width)));
                if leaves.len() < width {
                    return None;
                }
                entry_bundle(&leaves)
            }
        };
        Some(File { content_type: BYTES, bytes: bytes.into(), immutable: true })
    }
}
