//! Writing a block: everything that it adds, in one synced batch, and then telling everybody.

use std::sync::Arc;
use std::time::Instant;

use consign_consensus::Input;
use consign_ledger::apply::enrolments;
use consign_ledger::entry::EntryKey;
use consign_ledger::governance::Proposal;
use consign_types::block::LeafIndex;
use consign_types::certificate::Certificate;
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, EventId};
use consign_types::event::{Action, SignedEvent};
use consign_types::merkle;
use consign_types::validator::ValidatorSet;
use tracing::{debug, info};

use super::Executor;
use super::block::{Executed, execute};
use crate::driver;
use crate::store::{Fault, SetInForce, StoredBlock, Tip, decode_body};
use crate::wire::Body;

/// Whether the entry says whose nodes may connect.
const fn is_roster(key: &EntryKey) -> bool {
    matches!(key, EntryKey::Member(_) | EntryKey::Governance)
}

impl Executor {
    /// Commits a decided block durably. A second time is answered and changes nothing.
    pub(super) fn commit(&mut self, block: BlockId, certificate: Certificate) -> Result<(), Fault> {
        let tip = self.committed.tip();
        if certificate.height > tip.height() {
            let executed = match self.executed.remove(&block) {
                Some(executed) => executed,
                None => self.recover(&tip, block)?,
            };
            self.write(executed, certificate)?;
            self.executed.clear();
        }
        let tip = self.committed.tip();
        let work = *self.pool.work().borrow();
        let committed = driver::Event::Committed {
            height: tip.height(),
            next_set: ValidatorSet::clone(&self.committed.validators()),
            pace_ms: u64::from(self.committed.params().block_interval_ms),
            work,
        };
        if self.driver.send(committed).is_err() {
            debug!(code = "node.driver.gone");
        }
        // What came meanwhile may have been told before this height was.
        let now = *self.pool.work().borrow();
        if now != work {
            self.tell(Input::Work(now));
        }
        Ok(())
    }

    /// After a restart: the body was made durable before the vote that the replayed log remembers.
    fn recover(&self, tip: &Tip, block: BlockId) -> Result<Executed, Fault> {
        let store = self.committed.store();
        let damaged = |why: String| store.damaged("undecided block", why);
        let bytes = store
            .body(tip.height().next(), &block)?
            .ok_or_else(|| damaged(format!("{block} was decided and its body is missing")))?;
        let (record, events) = decode_body(&bytes).map_err(|e| damaged(e.to_string()))?;
        let decoded = events
            .iter()
            .map(|bytes| SignedEvent::decode(bytes).map_err(|e| damaged(e.to_string())))
            .collect::<Result<Vec<_>, _>>()?;
        let enrolled = enrolments(decoded.iter());
        let names = events.iter().map(|bytes| merkle::leaf_hash(bytes)).collect();
        let verified = decoded
            .into_iter()
            .map(|event| {
                let key_of = &mut |signer: &_, id: &[u8; 8]| {
                    let known = self.committed.key_of(signer, id);
                    known.or_else(|| enrolled.get(&(Clone::clone(signer), *id)).copied())
                };
                event.verify(key_of).map(Arc::new).map_err(|e| damaged(e.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let body = Body { record, events: names };
        execute(&self.committed, tip, block, &body, verified)?.map_err(|e| damaged(e.to_string()))
    }

    fn write(&mut self, executed: Executed, certificate: Certificate) -> Result<(), Fault> {
        let begun = Instant::now();
        let parent = self.committed.tip();
        let store = Arc::clone(self.committed.store());
        let Executed { block, record, events, outcome, map, hashes, frontier, root } = executed;
        let (height, first) = (record.height, parent.size.next_index());
        let (rounds, size) = (certificate.round.0, frontier.size());
        let tip = Tip { record, block, size, root };

        let mut batch = store.block_batch();
        for (offset, event) in events.iter().enumerate() {
            let index = LeafIndex(first.0 + offset as u64);
            let signed = event.signed();
            let named = outcome.named().get(offset).map_or(&[][..], Vec::as_slice);
            batch.leaf(index, signed.bytes());
            batch.event(&signed.id(), index, named);
            batch.signer(index, signed.event());
            if let Action::Report { evidence } = &signed.event().action {
                batch.report(index, evidence)?;
            }
        }
        batch.leaf(LeafIndex(size.0 - 1), &tip.record.to_bytes());
        hashes.iter().for_each(|hash| batch.tile_hash(hash));
        batch.map(height.0, outcome.writes(), &map)?;
        batch.block(
            height,
            &StoredBlock { block, first, size, root, certificate: Some(certificate) },
        );
        batch.forget_bodies(height);
        batch.tip(&tip);
        for (key, value) in outcome.writes() {
            if let EntryKey::Proposal(id) = key {
                let proposal = Proposal::from_bytes(value);
                let proposal = proposal.map_err(|e| store.damaged("proposal entry", e))?;
                batch.proposal(proposal.number, id);
            }
        }
        let next = outcome.validators().map(|set| {
            let (from, above) = (height.next(), size);
            SetInForce { from, above, set: Arc::new(set.clone()) }
        });
        if let Some(next) = &next {
            batch.set(next);
        }
        // It cosigns only what it has committed, and its word lies in the block's own write.
        let cosigned = self.cosigner.prepare(&tip, &self.committed.validators_at(height));
        if let Some(state) = &cosigned {
            batch.cosigned(state);
        }
        batch.write()?;

        let ids: Vec<EventId> = events.iter().map(|event| event.signed().id()).collect();
        let (set_changes, settled) = (next.is_some(), outcome.writes().keys().any(is_roster));
        self.committed.advance(tip.clone(), next, frontier);
        if set_changes || settled {
            self.committed.note_roster();
        }
        if outcome.writes().contains_key(&EntryKey::Params) {
            self.committed.note_params();
        }
        if set_changes {
            self.cosigner.set_changed(tip.size);
            let set = self.committed.validators();
            info!(
                code = "ledger.validators.changed",
                from = height.next().0,
                validators = set.count(),
                survives = set.faults(),
                quorum = set.quorum(),
            );
        }
        if let Some(state) = cosigned {
            self.cosigner.publish(&self.committed, &state);
        }
        self.pool.committed(&ids);
        self.count(&tip, ids.len(), rounds, begun);
        Ok(())
    }

    fn count(&mut self, tip: &Tip, events: usize, rounds: u32, begun: Instant) {
        let metrics = &self.metrics;
        metrics.commit_seconds.observe(begun.elapsed().as_secs_f64());
        metrics.height.set(tip.height().0 as i64);
        metrics.tree_size.set(tip.size.0 as i64);
        metrics.events_committed.inc_by(events as u64);
        metrics.block_events.observe(events as f64);
        metrics.rounds_extra.inc_by(u64::from(rounds));
        if let Some(last) = self.last_commit.replace(Instant::now()) {
            metrics.block_interval_seconds.observe(last.elapsed().as_secs_f64());
        }
        info!(
            code = "ledger.block.committed",
            height = tip.height().0,
            events,
            round = rounds,
            size = tip.size.0,
            block = %tip.block,
        );
    }
}
