//! Checkpoints and proofs as views; what they prove is verified from their texts.

use consign_ledger::log;
use consign_rpc::errors::{ErrorKind, RpcError};
use consign_rpc::views::{CheckpointView, ConsistencyView, InclusionView};
use consign_types::block::{LeafIndex, TreeSize};
use consign_types::checkpoint::{self, Checkpoint};
use consign_types::merkle;
use consign_types::note::Note;
use consign_types::receipt::Receipt;
use consign_types::time::Millis;

use super::{Serving, text};
use crate::state::sure;

impl Serving {
    pub(super) fn checkpoint_view(
        &self,
        size: Option<TreeSize>,
    ) -> Result<CheckpointView, RpcError> {
        let committed = &self.parts.committed;
        let note = match size {
            None => self.parts.cosigner.followed_note(),
            Some(size) => sure(committed.store().note(size)),
        };
        let note = note.ok_or_else(|| {
            RpcError::new(ErrorKind::ProofUnavailable, "no such checkpoint has a quorum here")
        })?;
        let internal = |e: &dyn std::fmt::Display| RpcError::internal(e.to_string());
        let parsed: Note = note.parse().map_err(|e| internal(&e))?;
        let (origin, set) = (committed.genesis().origin(), committed.validators());
        let proven = checkpoint::verify(&parsed, origin, &set).map_err(|e| internal(&e))?;
        let last = LeafIndex(proven.checkpoint.size.0.saturating_sub(1));
        let cosigned_by = proven.validators.iter().filter_map(|index| set.get(*index));
        Ok(CheckpointView {
            size: proven.checkpoint.size.0,
            root: proven.checkpoint.root.into(),
            height: self.block_of(last).0.0,
            note,
            cosigned_by: cosigned_by.map(|v| v.party.clone().into()).collect(),
            quorum: true,
            time: Some(Millis(proven.time_s.saturating_mul(1000)).into()),
        })
    }

    pub(super) fn inclusion_view(
        &self,
        index: LeafIndex,
        size: Option<TreeSize>,
    ) -> Result<InclusionView, RpcError> {
        let committed = &self.parts.committed;
        let unavailable = |why: &str| RpcError::new(ErrorKind::ProofUnavailable, why);
        let note = match size {
            None => self.parts.cosigner.served_note(TreeSize(index.0.saturating_add(1))),
            Some(size) => sure(committed.store().note(size)),
        };
        let parsed = note.as_deref().and_then(|note| note.parse::<Note>().ok());
        let size = match (size, &parsed) {
            (Some(size), _) => size,
            (None, Some(note)) => {
                Checkpoint::from_text(note.text())
                    .map_err(|e| RpcError::internal(e.to_string()))?
                    .size
            }
            (None, None) => return Err(unavailable("no checkpoint has a quorum yet")),
        };
        if size > committed.tip().size {
            return Err(unavailable("the log is not that large here"));
        }
        if index.0 >= size.0 {
            return Err(unavailable("the leaf is not covered by that checkpoint yet"));
        }
        let store = committed.store();
        let data = sure(store.leaf(index)).ok_or_else(|| RpcError::not_found("no such leaf"))?;
        let proof = log::inclusion_proof(&**store, index, size)
            .map_err(|e| RpcError::internal(e.to_string()))?;
        let leaf_hash = merkle::leaf_hash(&data);
        let receipt = parsed.map(|checkpoint| Receipt {
            extra: Some(data),
            index,
            path: proof.path.clone(),
            checkpoint,
        });
        Ok(InclusionView {
            leaf_index: index.0,
            tree_size: size.0,
            leaf_hash: leaf_hash.into(),
            path: proof.path.into_iter().map(text).collect(),
            checkpoint: note,
            tlog_proof: receipt.map(|receipt| receipt.text()),
        })
    }

    pub(super) fn consistency_view(
        &self,
        from: TreeSize,
        to: TreeSize,
    ) -> Result<ConsistencyView, RpcError> {
        let committed = &self.parts.committed;
        if to > committed.tip().size {
            let why = "the log is not that large here";
            return Err(RpcError::new(ErrorKind::ProofUnavailable, why));
        }
        let store = &**committed.store();
        let internal = |e: log::MissingNode| RpcError::internal(e.to_string());
        let proof = log::consistency_proof(store, from, to).map_err(internal)?;
        Ok(ConsistencyView {
            from: from.0,
            from_root: log::root_at(store, from).map_err(internal)?.into(),
            to: to.0,
            to_root: log::root_at(store, to).map_err(internal)?.into(),
            path: proof.path.into_iter().map(text).collect(),
        })
    }
}
