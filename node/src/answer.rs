//! Answers to what other nodes ask. Only what was checked when it was stored is served.

use std::collections::{BTreeSet, HashMap};

use consign_types::block::{Height, LeafIndex};
use consign_types::causes::on_one_line;
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, Digest, LeafHash};
use consign_types::key::PublicKey;
use consign_types::limits::BLOCK_BYTES_MAX;
use consign_types::merkle::leaf_hash;
use tracing::error;

use crate::clock;
use crate::parts::Parts;
use crate::store::{Fault, decode_body};
use crate::wire::{Body, Bundle, Leased, RANGE_BLOCKS_MAX, RANGE_BYTES_MAX, Request, Response};

/// The answer to what `from` requests; what is not here is answered with nothing.
pub fn answer(parts: &Parts, from: &PublicKey, request: Request) -> Response {
    match request {
        Request::Body(block) => Response::Body(body(parts, &block)),
        Request::Events(block, names) => Response::Events(events(parts, &block, &names)),
        Request::Blocks(from) => Response::Blocks(or_nothing(blocks(parts, from))),
        Request::Checkpoint => Response::Checkpoint(parts.cosigner.newest_note()),
        Request::Lease(place) => lease(parts, from, place),
    }
}

fn lease(parts: &Parts, from: &PublicKey, place: Digest) -> Response {
    let set = parts.committed.validators();
    if !set.validators().iter().any(|validator| validator.network_key == *from) {
        return Response::Lease(Leased::NotValidator, None);
    }
    let now_ms = clock::since_boot_ms();
    parts.leases.make_room(&set, now_ms);
    match parts.leases.ask(from, place, now_ms) {
        Ok((leased, latest)) => Response::Lease(leased, latest),
        // What is not on disk is not promised.
        Err(fault) => {
            error!(code = "consensus.lease.failed", fault = %fault);
            Response::Lease(Leased::Held, None)
        }
    }
}

fn body(parts: &Parts, block: &BlockId) -> Option<Body> {
    let kept = parts.bodies.get(block);
    kept.or_else(|| or_nothing(stored(parts, block)).map(|(body, _)| body))
}

fn events(parts: &Parts, block: &BlockId, names: &[LeafHash]) -> Vec<Vec<u8>> {
    let mut pooled = HashMap::new();
    parts.pool.take_known(names, &mut pooled);
    let mut wanted = Wanted::of(names);
    for (name, event) in names.iter().filter_map(|name| pooled.get_key_value(name)) {
        wanted.take(name, event.signed().bytes());
    }
    if !wanted.names.is_empty()
        && let Some((body, bytes)) = or_nothing(stored(parts, block))
    {
        body.events.iter().zip(&bytes).for_each(|(name, bytes)| wanted.take(name, bytes));
    }
    wanted.taken
}

/// Events that somebody asks for by name, as far as they fit a block. Whoever asks for more asks for no block.
struct Wanted {
    names: BTreeSet<LeafHash>,
    room: usize,
    taken: Vec<Vec<u8>>,
}

impl Wanted {
    fn of(names: &[LeafHash]) -> Self {
        let names = names.iter().copied().collect();
        Self { names, room: BLOCK_BYTES_MAX, taken: Vec::new() }
    }

    /// Takes the event if it is wanted, not taken yet, and there is room.
    fn take(&mut self, name: &LeafHash, bytes: &[u8]) {
        if bytes.len() <= self.room && self.names.remove(name) {
            self.room -= bytes.len();
            self.taken.push(bytes.to_vec());
        }
    }
}

/// What was read; where this node's store fails, nothing, and a word to its operator.
fn or_nothing<T: Default>(read: Result<T, Fault>) -> T {
    read.unwrap_or_else(|fault| {
        error!(code = "store.read.failed", fault = on_one_line(&fault));
        T::default()
    })
}

/// A body, and the bytes of the events that it names.
type Whole = (Body, Vec<Vec<u8>>);

/// A block that is durable but not decided, or was decided as the last one.
fn stored(parts: &Parts, block: &BlockId) -> Result<Option<Whole>, Fault> {
    let (tip, store) = (parts.committed.tip(), parts.committed.store());
    if tip.block == *block {
        return Ok(bundle(parts, tip.height())?.map(split));
    }
    let Some(bytes) = store.body(tip.height().next(), block)? else { return Ok(None) };
    let (record, events) =
        decode_body(&bytes).map_err(|e| store.damaged("undecided block", e.to_string()))?;
    let names = events.iter().map(|bytes| leaf_hash(bytes)).collect();
    Ok(Some((Body { record, events: names }, events)))
}

fn split(bundle: Bundle) -> Whole {
    let names = bundle.events.iter().map(|bytes| leaf_hash(bytes)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use consign_types::limits::{BLOCK_EVENTS_MAX, EVENT_BYTES_MAX_NESTED};

    fn name(n: usize) -> LeafHash {
        leaf_hash(&n.to_be_bytes())
    }

    /// All names that may be asked for at once, of events as long as they get: 192 MiB.
    #[test]
    fn events_are_answered_up_to_the_bytes_of_a_block() {
        let names: Vec<_> = (0..BLOCK_EVENTS_MAX).map(name).collect();
        let long = vec![7; EVENT_BYTES_MAX_NESTED];
        let mut wanted = Wanted::of(&names);
        names.iter().for_each(|name| wanted.take(name, &long));
        let fit = BLOCK_BYTES_MAX / EVENT_BYTES_MAX_NESTED;
        assert_eq!(wanted.taken, vec![long; fit]);
        assert_eq!(wanted.names.len(), BLOCK_EVENTS_MAX - fit);

        // Those that are left are asked of the next, and short ones fit still.
        wanted.take(&names[fit], &[1]);
        assert_eq!(wanted.taken.last(), Some(&vec![1]));
    }

    #[test]
    fn an_event_is_answered_once_and_only_if_it_was_asked_for() {
        let mut wanted = Wanted::of(&[name(1), name(2), name(1)]);
        for n in [3, 1, 1, 2] {
            wanted.take(&name(n), &[n as u8]);
        }
        assert_eq!(wanted.taken, [[1], [2]]);
        assert!(wanted.names.is_empty());
    }
}
