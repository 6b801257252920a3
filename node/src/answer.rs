//! Answers to what other nodes ask. Only what was checked when it was stored is served.

use consign_types::block::{Height, LeafIndex};
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, Digest, LeafHash};
use consign_types::key::PublicKey;
use tracing::error;

use crate::clock;
use crate::node::Parts;
use crate::store::Fault;
use crate::wire::{Body, Bundle, Leased, RANGE_BLOCKS_MAX, RANGE_BYTES_MAX, Request, Response};

/// The answer to what `from` requests; what is not here is answered with nothing.
pub fn answer(parts: &Parts, from: &PublicKey, request: Request) -> Response {
    match request {
        Request::Body(block) => Response::Body(body(parts, &block)),
        Request::Events(block, names) => Response::Events(events(parts, &block, &names)),
        Request::Blocks(from) => Response::Blocks(blocks(parts, from).unwrap_or_else(|fault| {
            error!(code = "store.read.failed", fault = %fault);
            Vec::new()
        })),
        Request::Checkpoint => Response::Checkpoint(parts.cosigner.newest_note()),
        Request::Lease(place) => lease(parts, from, place),
    }
}

fn lease(parts: &Parts, from: &PublicKey, place: Digest) -> Response {
    let set = parts.committed.validators();
    if !set.validators().iter().any(|validator| validator.network_key == *from) {
        return Response::Lease(Leased::NotValidator, None);
    }
    match parts.leases.ask(from, place, clock::since_boot_ms()) {
        Ok((leased, latest)) => Response::Lease(leased, latest),
        // What is not on disk is not promised.
        Err(fault) => {
            error!(code = "consensus.lease.failed", fault = %fault);
            Response::Lease(Leased::Held, None)
        }
    }
}

fn body(parts: &Parts, block: &BlockId) -> Option<Body> {
    parts.bodies.get(block).or_else(|| stored(parts, block).map(|(body, _)| body))
}

fn events(parts: &Parts, block: &BlockId, names: &[LeafHash]) -> Vec<Vec<u8>> {
    let mut found = std::collections::HashMap::new();
    parts.pool.take_known(names, &mut found);
    let mut events: Vec<_> = found.values().map(|event| event.signed().bytes().to_vec()).collect();
    if found.len() < names.len()
        && let Some((body, bytes)) = stored(parts, block)
    {
        let wanted = body.events.into_iter().zip(bytes);
        let missing = wanted.filter(|(name, _)| names.contains(name) && !found.contains_key(name));
        events.extend(missing.map(|(_, bytes)| bytes));
    }
    events
}

/// A block that is durable but not decided, or was decided as the last one.
fn stored(parts: &Parts, block: &BlockId) -> Option<(Body, Vec<Vec<u8>>)> {
    let tip = parts.committed.tip();
    if tip.block == *block {
        let bundle = bundle(parts, tip.height()).ok().flatten()?;
        return Some(split(bundle));
    }
    let bytes = parts.committed.store().body(tip.height().next(), block).ok().flatten()?;
    let (record, events) = crate::store::decode_body(&bytes).ok()?;
    let names = events.iter().map(|bytes| consign_types::merkle::leaf_hash(bytes)).collect();
    Some((Body { record, events: names }, events))
}

fn split(bundle: Bundle) -> (Body, Vec<Vec<u8>>) {
    let names = bundle.events.iter().map(|bytes| consign_types::merkle::leaf_hash(bytes)).collect();
    (Body { record: bundle.record, events: names }, bundle.events)
}

fn blocks(parts: &Parts, from: Height) -> Result<Vec<Bundle>, Fault> {
    let tip = parts.committed.tip().height();
    let (mut bundles, mut bytes) = (Vec::new(), 0);
    let mut height = Height(from.0.max(1));
    while height <= tip && bundles.len() < RANGE_BLOCKS_MAX {
        let Some(bundle) = bundle(parts, height)? else { break };
        bytes += bundle.to_bytes().len();
        if bytes > RANGE_BYTES_MAX && !bundles.is_empty() {
            break;
        }
        bundles.push(bundle);
        height = height.next();
    }
    Ok(bundles)
}

fn bundle(parts: &Parts, height: Height) -> Result<Option<Bundle>, Fault> {
    let store = parts.committed.store();
    let Some(block) = store.block(height)? else { return Ok(None) };
    let Some(certificate) = block.certificate.clone() else { return Ok(None) };
    let events = block.size.0.saturating_sub(1).saturating_sub(block.first.0);
    let record = store.record(&block)?;
    let events = store.leaves(LeafIndex(block.first.0), events)?;
    Ok(Some(Bundle { certificate, record, events }))
}
