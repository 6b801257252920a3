//! The auditor's own copy: whether it still is what was hashed and cosigned when it was made.
//!
//! What lies on this machine's disk is held to the checkpoint that it led to before anybody is held to it: a disk
//! that forgets a bit is the auditor's own trouble, and no validator answers for it.

use std::fs;

use consign_ledger::log::{
    Frontier, Mirror, TileHashes, TilePath, consistency_proof, inclusion_proof, root_at,
};
use consign_ledger::replay::Replay;
use consign_types::block::{BlockRecord, LeafIndex, TreeSize};
use consign_types::checkpoint::Checkpoint;
use consign_types::codec::Canonical as _;
use consign_types::digest::TreeRoot;
use consign_types::merkle;

use super::entries::{self, WIDTH};
use super::finding::{Code, Finding};
use super::source::Source;
use super::state::State;

/// The mirror as its checkpoint has it.
pub struct Own<'s> {
    state: &'s State,
    mirror: Source,
    checkpoint: Checkpoint,
}

impl<'s> Own<'s> {
    /// The mirror, which has some leaves; what is wrong with it where its tiles do not lead to its root.
    pub fn new(state: &'s State, checkpoint: Checkpoint) -> Result<Self, Finding> {
        let own = Self { state, mirror: state.mirror(), checkpoint };
        let root = root_at(&own.tiles(), own.checkpoint.size);
        match root {
            Ok(root) if root == own.checkpoint.root => Ok(own),
            Ok(root) => Err(own.damaged(format!(
                "its tiles lead to root {root}, and its checkpoint says {}",
                own.checkpoint.root
            ))),
            Err(e) => Err(own.damaged(e.to_string())),
        }
    }

    /// Its checkpoint.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    fn tiles(&self) -> impl TileHashes {
        Mirror::new(self.checkpoint.size, |path: &TilePath| self.mirror.file(path).ok().flatten())
    }

    fn damaged(&self, why: impl std::fmt::Display) -> Finding {
        let detail = format!("the auditor's own copy of the log is damaged: {why}");
        Finding::new(Code::Damaged, &self.mirror.name(), detail)
    }

    /// The root at a size that it had on the way to its own.
    pub fn root_at(&self, size: TreeSize) -> Result<TreeRoot, Finding> {
        let tiles = self.tiles();
        let root = root_at(&tiles, size).map_err(|e| self.damaged(e))?;
        let proof = consistency_proof(&tiles, size, self.checkpoint.size);
        let proof = proof.map_err(|e| self.damaged(e))?;
        proof.verify(root, self.checkpoint.root).map_err(|_| {
            self.damaged(format!("its tiles at {size} leaves are no beginning of its own"))
        })?;
        Ok(root)
    }

    /// The entries of one of its bundles.
    fn bundle(&self, index: u64) -> Result<Vec<Vec<u8>>, Finding> {
        let read = entries::bundle(&self.mirror, index, self.checkpoint.size);
        let read = read.map_err(|failure| self.damaged(failure.message))?;
        read.map_err(|finding| self.damaged(finding.detail))
    }

    /// The record of the block that ends at `size`; none where the leaf there is none.
    pub fn record_at(&self, size: TreeSize) -> Result<Option<BlockRecord>, Finding> {
        let Some(index) = size.0.checked_sub(1) else { return Ok(None) };
        let leaves = self.bundle(index / WIDTH)?;
        let leaf = leaves.get((index % WIDTH) as usize).map(Vec::as_slice).unwrap_or_default();
        let proof = inclusion_proof(&self.tiles(), LeafIndex(index), self.checkpoint.size);
        let proof = proof.map_err(|e| self.damaged(e))?;
        proof.verify(merkle::leaf_hash(leaf), self.checkpoint.root).map_err(|_| {
            self.damaged(format!("leaf {index} is not the one that was hashed")).at(index)
        })?;
        Ok(BlockRecord::from_bytes(leaf).ok())
    }

    /// Whether its entries still lead from `from` to its root: only then is what they break somebody else's doing.
    pub fn entries_hold(&self, mut from: Frontier) -> Result<(), Finding> {
        let (begin, size) = (from.size(), self.checkpoint.size);
        let tiles = self.tiles();
        for index in begin.0 / WIDTH..size.0.div_ceil(WIDTH) {
            let leaves = self.bundle(index)?;
            let known = begin.0.saturating_sub(index * WIDTH) as usize;
            for leaf in leaves.iter().skip(known) {
                let (at, hash) = (from.size().0, merkle::leaf_hash(leaf));
                if tiles.tile_hash(0, at) != Some(hash.0) {
                    let why = format!("leaf {at} is not the one that was hashed");
                    return Err(self.damaged(why).at(at));
                }
                from.append(hash, |_| ());
            }
        }
        self.leads_here(&from)
    }

    /// Whether a tree of its size has its root.
    pub fn leads_here(&self, end: &Frontier) -> Result<(), Finding> {
        if end.root() == self.checkpoint.root {
            return Ok(());
        }
        Err(self.damaged(format!(
            "its {} entries lead to root {}, and its checkpoint says {}",
            end.size(),
            end.root(),
            self.checkpoint.root
        )))
    }

    /// Where the rules were run to before, if that is of this log. What is not, or cannot be read, is made again:
    /// nothing hangs on it but time.
    pub fn replay(&self, kept: Option<Replay>) -> Result<Option<Replay>, Finding> {
        let read = || Replay::from_bytes(&self.written()?).ok();
        let Some(replay) = kept.or_else(read) else { return Ok(None) };
        let (frontier, record) = (replay.frontier(), replay.record());
        let named = record.block_id(frontier.size(), frontier.root());
        let fits = replay.genesis().network() == self.state.trust.network
            && replay.block_id() == named
            && self.passes(frontier, record)?;
        Ok(fits.then_some(replay))
    }

    /// The last record, where the rules were run over all of it before; without building the state anew.
    pub fn done(&self, kept: Option<&Replay>) -> Result<Option<BlockRecord>, Finding> {
        let head = match kept {
            Some(replay) => Some((replay.record().clone(), replay.frontier().clone())),
            None => self.written().and_then(|bytes| Replay::head(&bytes).ok()),
        };
        let Some((record, frontier)) = head else { return Ok(None) };
        let whole = frontier.size() == self.checkpoint.size && self.passes(&frontier, &record)?;
        Ok(whole.then_some(record))
    }

    fn written(&self) -> Option<Vec<u8>> {
        fs::read(self.state.path("replay.cbor")).ok()
    }

    /// Whether the log went through this tree, whose last leaf is this record.
    fn passes(&self, frontier: &Frontier, record: &BlockRecord) -> Result<bool, Finding> {
        let size = frontier.size();
        if size > self.checkpoint.size || size.0 == 0 || self.root_at(size)? != frontier.root() {
            return Ok(false);
        }
        Ok(self.record_at(size)?.as_ref() == Some(record))
    }
}
