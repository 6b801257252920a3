//! Checkpoints and proofs as views; what they prove is verified from their texts.

use std::sync::Arc;

use consign_ledger::log;
use consign_rpc::backend::Leaf;
use consign_rpc::errors::{ErrorKind, RpcError};
use consign_rpc::views::{Base64, CheckpointView, ConsistencyView, InclusionView, ReceiptView};
use consign_types::block::{LeafIndex, TreeSize};
use consign_types::checkpoint::{self, Checkpoint};
use consign_types::codec::Canonical as _;
use consign_types::cose_receipt::{Algorithm, CoseReceipt, ReceiptSecret, TransparentEvent};
use consign_types::es256::Es256SecretKey;
use consign_types::event::SignedEvent;
use consign_types::key::Signer;
use consign_types::merkle;
use consign_types::note::Note;
use consign_types::receipt::Receipt;
use consign_types::time::Millis;

use super::{Serving, text};
use crate::keys::Keys;
use crate::state::sure;

/// The keys that make COSE receipts.
pub(super) struct ReceiptKeys {
    log: Arc<dyn Signer>,
    es256: Option<Es256SecretKey>,
}

impl ReceiptKeys {
    pub(super) fn of(keys: &Keys) -> Self {
        Self { log: Arc::clone(&keys.log), es256: keys.receipt.clone() }
    }

    fn secret(&self, algorithm: Algorithm) -> Result<ReceiptSecret<'_>, RpcError> {
        match (algorithm, &self.es256) {
            (Algorithm::Ed25519, _) => Ok(ReceiptSecret::Ed25519(self.log.as_ref())),
            (Algorithm::Es256, Some(key)) => Ok(ReceiptSecret::Es256(key)),
            (Algorithm::Es256, None) => {
                let why = "this node has no key for receipts with es256";
                Err(RpcError::new(ErrorKind::ProofUnavailable, why)
                    .with_help("ask for ed25519, or another node"))
            }
        }
    }
}

impl Serving {
    pub(super) fn leaf_index(&self, leaf: Leaf) -> Result<LeafIndex, RpcError> {
        let id = match leaf {
            Leaf::Index(index) => return Ok(index),
            Leaf::Event(id) => id,
        };
        self.parts.committed.event_index(&id).ok_or_else(|| {
            if self.parts.pool.holds(&id) {
                RpcError::new(ErrorKind::ProofUnavailable, "the event is not in a block yet")
            } else {
                RpcError::not_found(format!("no event {id} is known here"))
            }
        })
    }

    /// An event with this node's word for it. Only a root that a quorum has cosigned is signed.
    pub(super) fn receipt_view(
        &self,
        index: LeafIndex,
        algorithm: Algorithm,
    ) -> Result<ReceiptView, RpcError> {
        let secret = self.receipt_keys.secret(algorithm)?;
        let unavailable = |why: &str| RpcError::new(ErrorKind::ProofUnavailable, why);
        let internal = |e: &dyn std::fmt::Display| RpcError::internal(e.to_string());
        let note = self.parts.cosigner.newest_note();
        let note = note.ok_or_else(|| unavailable("no checkpoint has a quorum yet"))?;
        let note: Note = note.parse().map_err(|e| internal(&e))?;
        let checkpoint = Checkpoint::from_text(note.text()).map_err(|e| internal(&e))?;
        if index.0 >= checkpoint.size.0 {
            return Err(unavailable("the leaf is not covered by a checkpoint with a quorum yet"));
        }
        let store = self.parts.committed.store();
        let data = sure(store.leaf(index)).ok_or_else(|| RpcError::not_found("no such leaf"))?;
        let event = SignedEvent::decode(&data)
            .map_err(|_| RpcError::not_found(format!("leaf {index} holds no event")))?;
        let proof = log::inclusion_proof(&**store, index, checkpoint.size);
        let path = proof.map_err(|e| internal(&e))?.path;
        let receipt = CoseReceipt::issue(&event, index, path, &checkpoint, secret);
        let receipt = receipt.map_err(|e| internal(&e))?;
        let (leaf_hash, bytes) = (event.leaf_hash().into(), Base64(receipt.to_bytes()));
        Ok(ReceiptView {
            leaf_index: index.0,
            tree_size: checkpoint.size.0,
            leaf_hash,
            receipt: bytes,
            event_with_receipt: Base64(TransparentEvent { event, receipt }.to_bytes()),
        })
    }

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
        let claimed = Checkpoint::from_text(parsed.text()).map_err(|e| internal(&e))?;
        let (origin, set) = (committed.genesis().origin(), committed.validators_of(claimed.size));
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
