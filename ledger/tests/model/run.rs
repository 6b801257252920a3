//! Both sides driven through the same traffic, and what came of it.

use std::collections::BTreeMap;

use consign_ledger::apply::{BlockContext, Executor};
use consign_ledger::door::{Door, Refusal};
use consign_ledger::errors::Rejection;
use consign_ledger::unit::{Counters, UnitState};
use consign_types::block::{Epoch, Height, LeafIndex};
use consign_types::event::Verified;
use consign_types::unit::UnitId;

use super::Model;
use super::rules::Verdicted;
use super::steps::{self, Step};
use crate::support::{Entries, genesis_entries, sign};

/// Every unit's state at some moment.
pub type States = BTreeMap<UnitId, UnitState>;

/// An event that was tried, and what everybody said.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub event: Verified,
    pub ledger: Result<(), Rejection>,
    pub door: Result<(), Refusal>,
    pub model: Verdicted,
}

/// A block of the accepted events.
#[derive(Clone, Debug)]
pub struct Block {
    pub context: BlockContext,
    pub attempts: Vec<Attempt>,
    pub events: Vec<Verified>,
    /// What the ledger's entries say after it, and what the model does.
    pub ledger: States,
    pub model: States,
    /// Counters of every unit, recounted by the model.
    pub recount: BTreeMap<UnitId, Counters>,
}

/// A whole run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The state before the first block.
    pub genesis: Entries,
    pub blocks: Vec<Block>,
    /// The model and the ledger at the end.
    pub model: Model,
    pub entries: Entries,
}

/// One accepted event: every unit before and after it.
pub struct Transition<'a> {
    pub event: &'a Verified,
    pub context: BlockContext,
    pub before: &'a States,
    pub after: States,
}

/// Devices are enrolled in a first block; each gap in time begins another.
pub fn run(steps: &[Step]) -> Run {
    let model = Model::new();
    let entries = genesis_entries();
    let mut run = Run { genesis: entries.clone(), blocks: Vec::new(), model, entries };
    let enrolments = steps::enrolments(&run.model);
    run.block(1, enrolments.into_iter().map(|event| move |_: &Model| Some(sign(event))));
    let mut rest = steps;
    while let Some((first, others)) = rest.split_first() {
        let len = 1 + others.iter().take_while(|step| step.gap_ms.is_none()).count();
        let (block, later) = rest.split_at(len);
        let gap_ms = first.gap_ms.unwrap_or(1);
        run.block(gap_ms, block.iter().map(|step| move |model: &Model| steps::event(model, step)));
        rest = later;
    }
    run
}

impl Run {
    fn block<F>(&mut self, gap_ms: u64, events: impl Iterator<Item = F>)
    where
        F: FnOnce(&Model) -> Option<Verified>,
    {
        self.model.now = self.model.now.plus(gap_ms);
        let first_leaf = self.blocks.iter().map(|block| block.events.len() as u64 + 1).sum::<u64>();
        let context = BlockContext {
            network: self.model.network,
            epoch: Epoch(0),
            height: Height(self.blocks.len() as u64 + 1),
            time: self.model.now,
            first_leaf: LeafIndex(2 + first_leaf),
        };
        let mut executor = Executor::new(&self.entries, context);
        let mut door = Door::new(&self.entries, context);
        let (mut attempts, mut accepted) = (Vec::new(), Vec::new());
        for make in events {
            let Some(event) = make(&self.model) else { continue };
            let leaf = LeafIndex(context.first_leaf.0 + accepted.len() as u64);
            let door = door.admit(&self.entries, &event);
            let ledger = executor.push(&event);
            let model = self.model.judge(&event, leaf);
            if ledger.is_ok() {
                accepted.push(event.clone());
            }
            let agreed = ledger.is_ok() == model.is_ok();
            attempts.push(Attempt { event, ledger, door, model });
            if !agreed {
                // What follows would only say so again.
                break;
            }
        }
        let outcome = executor.finish();
        self.entries.absorb(&outcome);
        let (ledger, model) = (self.entries.units(), self.model.all_expected());
        let recount = self.model.units.keys().map(|u| (u.clone(), self.model.recount(u)));
        let recount = recount.collect();
        self.blocks.push(Block { context, attempts, events: accepted, ledger, model, recount });
    }

    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.blocks.iter().flat_map(|block| &block.attempts)
    }

    /// Whether both sides said the same of every event.
    pub fn agrees(&self) -> bool {
        self.attempts().all(|attempt| attempt.ledger.is_ok() == attempt.model.is_ok())
    }

    /// Hands every accepted event to `visit`, with the units before and after it. Each is executed again
    /// as a block of its own.
    pub fn replay(&self, mut visit: impl FnMut(&Transition<'_>)) -> Entries {
        let mut entries = self.genesis.clone();
        let mut before = entries.units();
        for block in &self.blocks {
            for (n, event) in block.events.iter().enumerate() {
                let first_leaf = LeafIndex(block.context.first_leaf.0 + n as u64);
                let context = BlockContext { first_leaf, ..block.context };
                let mut executor = Executor::new(&entries, context);
                executor.push(event).expect("it was accepted among others");
                let outcome = executor.finish();
                entries.absorb(&outcome);
                let after = entries.units();
                visit(&Transition { event, context, before: &before, after: after.clone() });
                before = after;
            }
        }
        entries
    }
}
