//! The methods, bound to a backend.

use std::sync::{Arc, LazyLock};

use consign_types::block::{Height, LeafIndex, TreeSize};
use consign_types::digest::EventId;
use consign_types::limits::SUBMIT_BATCH_MAX;
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::Value;

use super::read::read;
use super::submitting::Submitting;
use crate::backend::{Backend, Leaf};
use crate::errors::RpcError;
use crate::methods::{
    Call, DISCOVER, GetGenesis, GetMembers, GetStatus, ListRequests, ListTokens, ReloadTokens,
};
use crate::openrpc::OPENRPC;
use crate::params::{
    GetBlock, GetBlocks, GetCheckpoint, GetConsistency, GetDevice, GetDeviceHistory, GetEvent,
    GetEventStatus, GetEvidence, GetHistory, GetInclusion, GetPassport, GetProposal, GetReceipt,
    GetSets, GetUnit, ListDevices, ListProposals, SubmitBatch, SubmitEvent, SubmitEvidence,
    SubmitRequest, wait_timeout,
};
use crate::views::{
    Base64, BatchItem, ConsistencyView, EvidenceView, InclusionView, ReceiptView, Submitted, Text,
};

/// Requests that a file of evidence is counted as: a node may check all signatures of a set to judge it.
const EVIDENCE_COST: usize = 20;

pub(crate) type Node = Arc<dyn Backend>;
type Module = RpcModule<Node>;

/// Registers every call of the table.
pub(crate) fn register(to: &mut Module) -> Result<(), RegisterMethodError> {
    submission(to, submit_event)?;
    submission(to, submit_batch)?;
    call(to, |n: Node, p: GetEventStatus| async move { n.event_status(p.event_id.0).await })?;
    call(to, |n: Node, p: GetEvent| async move { n.event(p.event_id.0, p.with_proof).await })?;
    call(
        to,
        |n: Node, p: GetUnit| async move { n.unit(p.unit_id.0, p.at_height.map(Height)).await },
    )?;
    call(
        to,
        |n: Node, p: GetHistory| async move { n.history(p.unit_id.0, p.cursor, p.limit).await },
    )?;
    call(to, |n: Node, p: GetPassport| async move {
        n.passport(p.unit_id.0, Height(p.since_height.unwrap_or_default())).await
    })?;
    call(to, |n: Node, p: GetCheckpoint| async move { n.checkpoint(p.size.map(TreeSize)).await })?;
    call(to, inclusion)?;
    call(to, consistency)?;
    call(to, |n: Node, _: GetStatus| async move { n.status().await })?;
    call(to, |n: Node, p: GetBlock| async move { n.block(Height(p.height)).await })?;
    call(to, |n: Node, p: GetBlocks| async move { n.blocks(p.cursor, p.limit, p.order).await })?;
    call(to, |n: Node, _: GetMembers| async move { n.members().await })?;
    call(to, receipt)?;
    submission(to, submit_evidence)?;
    call(to, |n: Node, p: GetEvidence| async move {
        n.evidence(p.evidence_id.map(|id| id.0), p.cursor, p.limit).await
    })?;
    call(to, |n: Node, p: GetProposal| async move { n.proposal(p.proposal_id.0).await })?;
    call(to, |n: Node, p: ListProposals| async move { n.proposals(p.cursor, p.limit).await })?;
    call(to, |n: Node, p: GetSets| async move { n.sets(Height(p.since_height)).await })?;
    call(to, |n: Node, p: GetDevice| async move { n.device(p.device_id.0).await })?;
    call(to, |n: Node, p: ListDevices| async move {
        n.devices(p.party.map(|party| party.0), p.state, p.cursor, p.limit).await
    })?;
    call(to, |n: Node, p: GetDeviceHistory| async move {
        n.device_history(p.device_id.0, p.cursor, p.limit).await
    })?;
    call(to, |n: Node, _: GetGenesis| async move { n.genesis().await })?;
    call(
        to,
        |n: Node, p: SubmitRequest| async move { n.submit_request(p.invite, p.request).await },
    )?;
    call(to, |n: Node, _: ListRequests| async move { n.requests().await })?;
    call(to, |n: Node, _: ListTokens| async move { Ok(n.tokens()) })?;
    call(to, |n: Node, _: ReloadTokens| async move { n.reload_tokens().await })?;
    to.register_method(DISCOVER, |_, _, _| DOCUMENT.clone())?;
    Ok(())
}

/// Our own constant; a test reads it too.
static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(OPENRPC).expect("the document is JSON"));

fn call<C: Call, F, A>(to: &mut Module, answer: F) -> Result<(), RegisterMethodError>
where
    F: Fn(Node, C) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<C::Answer, RpcError>> + Send,
{
    to.register_async_method(C::METHOD, move |params, node, _| {
        let answer = answer.clone();
        async move {
            let params = read(&params)?;
            answer(Node::clone(&node), params).await.map_err(ErrorObjectOwned::from)
        }
    })?;
    Ok(())
}

/// The same for a call that hands in events.
fn submission<C: Call, F, A>(to: &mut Module, answer: F) -> Result<(), RegisterMethodError>
where
    F: Fn(Node, C, Submitting) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Result<C::Answer, RpcError>> + Send,
{
    to.register_async_method(C::METHOD, move |params, node, extensions| {
        let answer = answer.clone();
        async move {
            let submitting = extensions.get::<Submitting>().cloned();
            let submitting =
                submitting.ok_or_else(|| RpcError::internal("nobody knows who asks"))?;
            let params = read(&params)?;
            answer(Node::clone(&node), params, submitting).await.map_err(ErrorObjectOwned::from)
        }
    })?;
    Ok(())
}

async fn submit_event(
    node: Node,
    params: SubmitEvent,
    by: Submitting,
) -> Result<Submitted, RpcError> {
    let timeout = wait_timeout(params.timeout_ms);
    let mut answers = node.submit(vec![params.envelope.0], params.wait, timeout, &by).await;
    answers.pop().unwrap_or_else(|| Err(RpcError::internal("the node gave no answer")))
}

async fn submit_batch(
    node: Node,
    params: SubmitBatch,
    by: Submitting,
) -> Result<Vec<BatchItem>, RpcError> {
    let count = params.envelopes.len();
    if !(1..=SUBMIT_BATCH_MAX).contains(&count) {
        let message = format!("{count} envelopes; 1 to {SUBMIT_BATCH_MAX} are taken at once");
        return Err(RpcError::invalid_params("envelopes", message));
    }
    by.count(count)?;
    // One that is not base64 is answered in its place; the node sees the others.
    let mut envelopes = Vec::with_capacity(count);
    let mut undecoded = Vec::new();
    for (place, text) in params.envelopes.iter().enumerate() {
        match text.parse::<Base64>() {
            Ok(bytes) => envelopes.push(bytes.0),
            Err(error) => undecoded.push((place, RpcError::malformed_event(error))),
        }
    }
    let decoded = envelopes.len();
    let timeout = wait_timeout(params.timeout_ms);
    let answers = node.submit(envelopes, params.wait, timeout, &by).await;
    assert_eq!(answers.len(), decoded, "a node answers each envelope");
    let mut items: Vec<BatchItem> = answers.into_iter().map(BatchItem::from).collect();
    for (place, error) in undecoded {
        // Ascending places: what stands before each is complete by then.
        items.insert(place, BatchItem::Error(error));
    }
    Ok(items)
}

async fn submit_evidence(
    node: Node,
    params: SubmitEvidence,
    by: Submitting,
) -> Result<EvidenceView, RpcError> {
    by.count(EVIDENCE_COST)?;
    node.submit_evidence(params.evidence.0).await
}

async fn inclusion(node: Node, params: GetInclusion) -> Result<InclusionView, RpcError> {
    let leaf = leaf(params.index, params.event_id)?;
    node.inclusion(leaf, params.size.map(TreeSize)).await
}

async fn receipt(node: Node, params: GetReceipt) -> Result<ReceiptView, RpcError> {
    node.receipt(leaf(params.index, params.event_id)?, params.alg.0).await
}

fn leaf(index: Option<u64>, event: Option<Text<EventId>>) -> Result<Leaf, RpcError> {
    match (index, event) {
        (Some(index), None) => Ok(Leaf::Index(LeafIndex(index))),
        (None, Some(event)) => Ok(Leaf::Event(event.0)),
        (None, None) | (Some(_), Some(_)) => {
            let message = "give exactly one of index and eventId";
            Err(RpcError::invalid_params("index", message))
        }
    }
}

async fn consistency(node: Node, params: GetConsistency) -> Result<ConsistencyView, RpcError> {
    let (from, to) = (params.from, params.to);
    if from > to {
        let message = format!("from is {from}, which is above to, {to}");
        return Err(RpcError::invalid_params("from", message));
    }
    node.consistency(TreeSize(from), TreeSize(to)).await
}
