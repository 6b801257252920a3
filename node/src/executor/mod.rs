//! Building, checking and committing blocks: the one thread that moves the tip.
//!
//! A block is executed before anybody votes for it; its id covers the new roots, so the same block
//! gives the same roots everywhere or is not voted for. What was executed is kept until the height is
//! committed and then written in one synced batch. A body is durable before any vote for it.

mod block;
mod commit;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use consign_consensus::{Input, Verdict};
use consign_types::block::Height;
use consign_types::certificate::{Certificate, Round};
use consign_types::codec::Canonical as _;
use consign_types::digest::BlockId;
use consign_types::event::Verified;
use consign_types::time::Millis;
use consign_types::validator::ValidatorIndex;
use tracing::{debug, info, warn};

pub use block::{Executed, Rejected, context, execute};

use crate::clock;
use crate::cosign::Cosigner;
use crate::driver;
use crate::gather::{Bodies, Gathered, Gatherer};
use crate::metrics::Metrics;
use crate::p2p::{Class, NetHandle};
use crate::pool::{Pool, Relay};
use crate::state::Committed;
use crate::store::Fault;
use crate::wire::{Body, PoolMessage};

/// What the driver and catch-up ask for.
#[derive(Debug)]
pub enum Job {
    /// A height has begun.
    Started(Height),
    /// Build a block on the tip.
    Build {
        /// The height.
        height: Height,
        /// The round.
        round: Round,
        /// A block of the record alone.
        record_only: bool,
    },
    /// Get a block and check it.
    Check {
        /// The height.
        height: Height,
        /// The round of the answer.
        round: Round,
        /// The block.
        block: BlockId,
        /// Round and clock by which block time is judged; none where it is not.
        judged_in: Option<(Round, Millis)>,
        /// Whom to ask for what is missing, the likeliest first.
        holders: Vec<ValidatorIndex>,
    },
    /// Everything for a check is here, or cannot be had.
    Gathered {
        /// The height.
        height: Height,
        /// The round of the answer.
        round: Round,
        /// The block.
        block: BlockId,
        /// Round and clock by which block time is judged.
        judged_in: Option<(Round, Millis)>,
        /// What came.
        gathered: Gathered,
    },
    /// A decided block that catch-up fetched; its certificate was verified.
    Fetched {
        /// Proof that it was decided.
        certificate: Certificate,
        /// The body.
        body: Body,
        /// Its events.
        events: Vec<Arc<Verified>>,
    },
    /// Write a block.
    Commit {
        /// The block.
        block: BlockId,
        /// Proof that it was decided.
        certificate: Certificate,
    },
    /// Cosign the unchanged checkpoint again.
    Freshen,
    /// The node stops.
    Stop,
}

/// The executor and what it needs.
pub struct Executor {
    /// What is committed.
    pub committed: Arc<Committed>,
    /// What waits for a block.
    pub pool: Arc<Pool>,
    /// Events on their way to the others.
    pub relay: Arc<Relay>,
    /// Bodies that are not decided yet.
    pub bodies: Arc<Bodies>,
    /// The network.
    pub net: NetHandle,
    /// Cosigns checkpoints and collects those of others.
    pub cosigner: Arc<Cosigner>,
    /// The consensus loop.
    pub driver: driver::Events,
    /// Jobs for this thread, from tasks that it starts.
    pub jobs: Sender<Job>,
    /// Where tasks run.
    pub runtime: tokio::runtime::Handle,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Blocks executed at the next height, by name.
    pub executed: BTreeMap<BlockId, Executed>,
    /// When the last block was committed.
    pub last_commit: Option<Instant>,
}

impl Executor {
    /// Works through `jobs` until [`Job::Stop`].
    ///
    /// # Errors
    /// A [`Fault`] on the write path; the process must end.
    pub fn run(&mut self, jobs: &Receiver<Job>) -> Result<(), Fault> {
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Started(height) => self.committed.note_started(height),
                Job::Build { height, round, record_only } => {
                    let block = self.build(height, record_only)?;
                    self.tell(Input::Built { height, round, block });
                }
                Job::Check { height, round, block, judged_in, holders } => {
                    self.gather(height, round, block, judged_in, &holders);
                }
                Job::Gathered { height, round, block, judged_in, gathered } => {
                    let verdict = self.check(height, block, judged_in, gathered)?;
                    self.tell(Input::Checked { height, round, block, verdict });
                }
                Job::Fetched { certificate, body, events } => {
                    self.take_fetched(certificate, body, events)?;
                }
                Job::Commit { block, certificate } => self.commit(block, certificate)?,
                Job::Freshen => self.cosigner.freshen(&self.committed)?,
                Job::Stop => return Ok(()),
            }
        }
        Ok(())
    }

    fn tell(&self, input: Input) {
        // The driver only goes away when the node stops.
        if self.driver.send(driver::Event::Input(Box::new(input))).is_err() {
            debug!(code = "node.driver.gone");
        }
    }

    fn build(&mut self, height: Height, record_only: bool) -> Result<Option<BlockId>, Fault> {
        let tip = self.committed.tip();
        if height != tip.height().next() {
            return Ok(None);
        }
        let begun = Instant::now();
        let candidates =
            if record_only { Vec::new() } else { self.pool.oldest(block::CANDIDATES_MAX) };
        let time = Millis(clock::now().0.max(tip.record.time.0 + 1));
        let block::Built { executed, refused, waiting } =
            block::build(&self.committed, &tip, time, candidates)?;
        if !refused.is_empty() {
            self.pool.evict(refused);
        }
        if !waiting.is_empty() {
            self.pool.set_aside(waiting);
        }
        if executed.events.is_empty() && !record_only {
            return Ok(None);
        }
        let (block, body) = (executed.block, executed.body());
        self.committed.store().put_body(height, &block, &executed.durable_body())?;
        // Events first: on one stream they arrive before the body that names them.
        self.relay.flush();
        self.bodies.put(block, body.clone());
        self.net.broadcast(Class::Pool, PoolMessage::Body(block, body).to_bytes().into());
        self.executed.insert(block, executed);
        self.metrics.build_seconds.observe(begun.elapsed().as_secs_f64());
        Ok(Some(block))
    }

    /// Asks for the block on a task of its own; the answer comes back as a job.
    fn gather(
        &self,
        height: Height,
        round: Round,
        block: BlockId,
        judged_in: Option<(Round, Millis)>,
        holders: &[ValidatorIndex],
    ) {
        let (tip, frontier) = self.committed.end();
        if height != tip.height().next() {
            return self.tell(Input::Checked {
                height,
                round,
                block,
                verdict: Verdict::Unavailable,
            });
        }
        let set = self.committed.validators();
        let holders: Vec<_> =
            holders.iter().filter_map(|index| set.get(*index)).map(|v| v.network_key).collect();
        let gatherer = Gatherer {
            bodies: Arc::clone(&self.bodies),
            pool: Arc::clone(&self.pool),
            net: self.net.clone(),
            frontier,
        };
        let jobs = self.jobs.clone();
        self.runtime.spawn(async move {
            let gathered = gatherer.gather(block, &holders).await;
            let job = Job::Gathered { height, round, block, judged_in, gathered };
            if jobs.send(job).is_err() {
                debug!(code = "node.executor.gone");
            }
        });
    }

    fn check(
        &mut self,
        height: Height,
        block: BlockId,
        judged_in: Option<(Round, Millis)>,
        gathered: Gathered,
    ) -> Result<Verdict, Fault> {
        let tip = self.committed.tip();
        if height != tip.height().next() {
            return Ok(Verdict::Unavailable);
        }
        let (body, events) = match gathered {
            Gathered::Ready(body, events) => (body, events),
            Gathered::Unavailable => return Ok(Verdict::Unavailable),
            Gathered::Invalid(why) => {
                warn!(code = "block.proposal.invalid", height = height.0, block = %block, why);
                return Ok(Verdict::Invalid);
            }
        };
        let time = body.record.time;
        let untimely =
            judged_in.is_some_and(|(round, now)| !driver::within_window(time, now, round.0));
        if !self.executed.contains_key(&block) {
            let begun = Instant::now();
            match execute(&self.committed, &tip, block, &body, events)? {
                Ok(executed) => {
                    self.committed.store().put_body(height, &block, &executed.durable_body())?;
                    self.executed.insert(block, executed);
                }
                Err(why) => {
                    warn!(code = "block.proposal.invalid", height = height.0, block = %block, why = %why);
                    return Ok(Verdict::Invalid);
                }
            }
            self.metrics.execute_seconds.observe(begun.elapsed().as_secs_f64());
        }
        if untimely {
            info!(code = "block.proposal.untimely", height = height.0, time = %time);
            return Ok(Verdict::Untimely);
        }
        Ok(Verdict::Valid)
    }

    /// A block from catch-up goes through the engine like any other, so that one place commits.
    fn take_fetched(
        &mut self,
        certificate: Certificate,
        body: Body,
        events: Vec<Arc<Verified>>,
    ) -> Result<(), Fault> {
        let tip = self.committed.tip();
        let block = certificate.block;
        if certificate.height != tip.height().next() {
            return Ok(());
        }
        if !self.executed.contains_key(&block) {
            match execute(&self.committed, &tip, block, &body, events)? {
                Ok(executed) => {
                    self.committed.store().put_body(
                        tip.height().next(),
                        &block,
                        &executed.durable_body(),
                    )?;
                    self.executed.insert(block, executed);
                }
                Err(why) => {
                    // A quorum decided what this node's rules refuse: never follow blindly.
                    warn!(code = "sync.block.refused", height = certificate.height.0, why = %why);
                    return Ok(());
                }
            }
        }
        self.tell(Input::Synced { block, certificate });
        Ok(())
    }
}
