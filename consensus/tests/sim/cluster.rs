//! The cluster: the queue of what is to come, the network, the faults, and the hands that carry out
//! what the engines ask.

use std::collections::{BTreeMap, BTreeSet};

use consign_consensus::sign_state::Signed;
use consign_consensus::{Effect, Input, Message, Signing, Timer, Verdict, sign_state};
use consign_types::block::{Epoch, Height};
use consign_types::certificate::Round;
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, Digest};
use consign_types::time::Millis;
use consign_types::validator::{ValidatorIndex, ValidatorSet};

use super::disk::{Disk, Lies};
use super::host::{Host, PACE_MS};
use super::judge::Judge;
use super::liar;
use super::rng::Rng;
use super::world::{Body, NodeId, World};

/// Events in one block at most.
const BLOCK_EVENTS_MAX: usize = 8;
const STATUS_EVERY_MS: u64 = 1_000;

/// What goes wrong, and how often.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub loss_permille: u64,
    pub repeat_permille: u64,
    pub crashes: bool,
    pub partitions: bool,
    /// Proposers that build invalid or untimely blocks now and then, or nothing.
    pub bad_blocks: bool,
    pub lies: Lies,
    /// This node signs two things wherever it signs one.
    pub equivocator: Option<NodeId>,
}

#[derive(Clone, Debug)]
enum Event {
    Step { node: NodeId, run: u32, input: Input },
    Deliver { to: NodeId, from: NodeId, run: u32, bytes: Vec<u8> },
    Ring { node: NodeId, timer: Timer, schedule: u64 },
    Look { node: NodeId, run: u32, height: Height, round: Round, block: BlockId, at: Source },
    Status { to: NodeId, from: NodeId, run: u32, started: Height, tip: Height, pool: BTreeSet<u64> },
    CatchUp { node: NodeId, from: NodeId, run: u32 },
    Tick { node: NodeId },
    Start { node: NodeId },
    Submit,
    Fault,
    Heal,
}

#[derive(Clone, Debug)]
struct Source {
    fresh: bool,
    nodes: Vec<NodeId>,
}

/// A cluster in virtual time.
pub struct Cluster {
    pub world: World,
    pub hosts: Vec<Host>,
    pub judge: Judge,
    pub now_ms: u64,
    /// Consensus messages handed to the network.
    pub messages: u64,
    pub crashes: u64,
    pub quarantined: u64,
    plan: Plan,
    faults: bool,
    queue: BTreeMap<(u64, u64), Event>,
    next: u64,
    rng: Rng,
    sides: Vec<bool>,
    trace: Digest,
    events: u64,
    submitting: bool,
}

impl Cluster {
    pub fn new(seed: u64, nodes: usize, sets: &[(u64, &[NodeId])], plan: Plan) -> Self {
        let first = sign_state::SignState::fresh(Epoch(0)).slot();
        let hosts = (0..nodes).map(|node| Host::new(node, Disk::new(plan.lies, first)));
        let mut cluster = Self {
            world: World::new(nodes, sets),
            hosts: hosts.collect(),
            judge: Judge::new(plan.equivocator),
            now_ms: 1_000_000,
            messages: 0,
            crashes: 0,
            quarantined: 0,
            faults: true,
            queue: BTreeMap::new(),
            next: 0,
            rng: Rng::new(seed),
            sides: vec![false; nodes],
            trace: Digest::ZERO,
            events: 0,
            submitting: true,
            plan,
        };
        for node in 0..nodes {
            let after_ms = cluster.rng.range(0, 100);
            cluster.push(after_ms, Event::Start { node });
            cluster.push(500 + after_ms, Event::Tick { node });
        }
        cluster.push(200, Event::Submit);
        cluster.push(300, Event::Fault);
        cluster
    }

    /// The ends of the four-validator set used by most tests.
    pub fn four(seed: u64, plan: Plan) -> Self {
        Self::new(seed, 4, &[(0, &[0, 1, 2, 3])], plan)
    }

    /// Lets `ms` pass.
    pub fn run(&mut self, ms: u64) {
        let until_ms = self.now_ms + ms;
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= until_ms) {
            self.now_ms = entry.key().0;
            let event = entry.remove();
            self.happen(event);
        }
        self.now_ms = until_ms;
    }

    /// No more faults: everything lost by then is lost, everybody is up and connected.
    pub fn calm(&mut self) {
        self.faults = false;
        self.sides.fill(false);
        for node in 0..self.hosts.len() {
            if !self.hosts[node].is_up() {
                self.push(1, Event::Start { node });
            }
        }
    }

    /// No more events are submitted from now on.
    pub fn stop_submitting(&mut self) {
        self.submitting = false;
    }

    /// Everything that happened, in one digest.
    pub fn trace(&self) -> Digest {
        self.trace
    }

    /// The heights that the honest nodes have committed.
    pub fn tips(&self) -> Vec<u64> {
        let honest = self.hosts.iter().filter(|h| !self.judge.byzantine.contains(&h.node));
        honest.map(|host| host.tip().0).collect()
    }

    /// Whether no honest node has anything left to order, and none lags. A liar may go on waking
    /// the others, so that the last height is just being committed.
    pub fn is_drained(&self) -> bool {
        let honest = self.hosts.iter().filter(|h| !self.judge.byzantine.contains(&h.node));
        let drained = honest.clone().all(|host| host.is_up() && host.pool.is_empty());
        let tips = self.tips();
        let spread = tips.iter().max().unwrap_or(&0) - tips.iter().min().unwrap_or(&0);
        drained && spread <= u64::from(self.plan.equivocator.is_some())
    }

    /// Takes the node down; with the power, what was not synced goes too.
    pub fn crash(&mut self, node: NodeId, power: bool) {
        if !self.hosts[node].is_up() {
            return;
        }
        self.crashes += 1;
        self.mix(&[b"crash", &[node as u8]]);
        if power {
            self.hosts[node].disk.lose_power(&mut self.rng);
        }
        self.hosts[node].stop();
    }

    /// Brings the node up again.
    pub fn start(&mut self, node: NodeId) {
        self.push(0, Event::Start { node });
    }

    fn push(&mut self, after_ms: u64, event: Event) {
        self.next += 1;
        self.queue.insert((self.now_ms + after_ms, self.next), event);
    }

    fn mix(&mut self, parts: &[&[u8]]) {
        let mut all: Vec<&[u8]> = vec![self.trace.as_bytes()];
        all.extend_from_slice(parts);
        self.trace = Digest::of(&all);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Step { node, run, input } if self.hosts[node].run == run => {
                self.step(node, input);
            }
            Event::Deliver { to, from, run, bytes } if self.hosts[to].run == run => {
                // By its place in the set in force here; a stranger's message is not taken.
                let height = self.hosts[to].tip().next();
                let message = Message::from_bytes(&bytes).expect("own bytes decode");
                self.hosts[to].hear(from, &message);
                if let Some(from) = self.world.index(height, from) {
                    self.step(to, Input::Message { from, message });
                }
            }
            Event::Ring { node, timer, schedule }
                if self.hosts[node].timers.get(&timer) == Some(&schedule) =>
            {
                self.hosts[node].timers.remove(&timer);
                self.step(node, Input::Timer(timer));
            }
            Event::Look { node, run, height, round, block, at } if self.hosts[node].run == run => {
                let verdict = self.look(node, round, block, &at);
                self.step(node, Input::Checked { height, round, block, verdict });
            }
            Event::Status { to, from, run, started, tip, pool } if self.hosts[to].run == run => {
                self.status(to, from, started, tip, pool);
            }
            Event::CatchUp { node, from, run } if self.hosts[node].run == run => {
                self.catch_up(node, from);
            }
            Event::Tick { node } => {
                self.tell(node);
                self.push(STATUS_EVERY_MS, Event::Tick { node });
            }
            Event::Start { node } => self.bring_up(node),
            Event::Submit => self.submit(),
            Event::Fault => self.fault(),
            Event::Heal => self.sides.fill(false),
            // It was on its way to an earlier run of the node.
            _ => {}
        }
    }

    fn bring_up(&mut self, node: NodeId) {
        if self.hosts[node].is_up() {
            return;
        }
        let host = &mut self.hosts[node];
        let (tip, log, sign_state) = host.disk.recover();
        host.engine = Some(host.fresh_engine(&self.world));
        host.started = tip;
        let set = self.world.set(tip.next()).clone();
        let heard = self.heard_of(node, &set);
        self.step(node, Input::Start { tip, set, log, sign_state, heard: heard.map(Box::new) });
        if let Some(engine) = &self.hosts[node].engine {
            let signing = engine.status().signing;
            self.quarantined += u64::from(matches!(signing, Signing::Quarantined { .. }));
        }
        self.tell_work(node);
        self.tell(node);
        for other in 0..self.hosts.len() {
            self.tell(other);
        }
    }

    /// What a node that starts is told of its own key by as many others as make a quorum with it.
    fn heard_of(&mut self, node: NodeId, set: &ValidatorSet) -> Option<Signed> {
        let mut others: Vec<NodeId> = (0..self.hosts.len()).filter(|n| *n != node).collect();
        while others.len() >= set.quorum() {
            let at = self.rng.range(0, others.len() as u64) as usize;
            others.swap_remove(at);
        }
        let key = self.world.keys[node].public();
        let told = others.iter().filter_map(|other| self.hosts[*other].heard.get(&node));
        let signed = told.filter_map(|message| message.signed_by(&self.world.domain, &key));
        signed.max_by_key(Signed::place)
    }

    /// One step of an engine, its effects carried out in order; perhaps not all of them.
    fn step(&mut self, node: NodeId, input: Input) {
        let now = Millis(self.now_ms);
        let Some(engine) = &mut self.hosts[node].engine else { return };
        let effects = engine.step(now, input);
        self.judge.step(node, &effects);
        let dies = self.faults && self.plan.crashes && self.rng.chance(2);
        let last = if dies { self.rng.range(0, effects.len() as u64 + 1) } else { u64::MAX };
        for (place, effect) in effects.into_iter().enumerate() {
            if place as u64 == last {
                if let Effect::SaveSignState(slot) = &effect {
                    let at = self.rng.range(0, sign_state::SLOT_BYTES as u64) as usize;
                    self.hosts[node].disk.tear(slot, at);
                }
                break;
            }
            self.carry_out(node, effect);
        }
        if dies {
            let power = self.rng.chance(700);
            self.crash(node, power);
            let after_ms = self.rng.range(1, 2_000);
            self.push(after_ms, Event::Start { node });
        }
    }

    fn carry_out(&mut self, node: NodeId, effect: Effect) {
        match &effect {
            Effect::Append(bytes) => self.mix(&[&[node as u8], bytes]),
            Effect::SaveSignState(slot) => self.mix(&[&[node as u8], &slot.bytes]),
            Effect::Broadcast(message) => self.mix(&[&[node as u8], &message.to_bytes()]),
            other => self.mix(&[&[node as u8], format!("{other:?}").as_bytes()]),
        }
        match effect {
            Effect::TruncateLog(height) => self.hosts[node].disk.truncate(height),
            Effect::Append(bytes) => self.hosts[node].disk.append(&bytes),
            Effect::Sync => self.hosts[node].disk.sync(),
            Effect::SaveSignState(slot) => self.hosts[node].disk.save(&slot),
            Effect::Broadcast(message) => self.broadcast(node, &message),
            Effect::Send { to, message } => {
                let height = self.hosts[node].tip().next();
                if let Some(to) = self.world.node(height, to) {
                    self.send(node, to, &message);
                }
            }
            Effect::Schedule { timer, after_ms } => {
                let schedule = self.next;
                self.hosts[node].timers.insert(timer, schedule);
                self.push(after_ms, Event::Ring { node, timer, schedule });
            }
            Effect::Cancel(timer) => {
                self.hosts[node].timers.remove(&timer);
            }
            Effect::Started { height } => {
                self.hosts[node].started = height;
                self.tell(node);
            }
            Effect::Build { height, round, record_only, .. } => {
                self.build(node, height, round, record_only);
            }
            Effect::Check { height, round, proposer, block, fresh, holders } => {
                let mut from = vec![proposer];
                from.extend(holders);
                self.ask(node, height, round, block, fresh, &from);
            }
            Effect::Fetch { height, round, block, holders } => {
                self.ask(node, height, round, block, false, &holders);
            }
            Effect::Commit { block, certificate } => self.commit(node, block, certificate),
            Effect::Report(evidence) => self.judge.reports(&self.world, node, evidence),
            Effect::Halt(reason) => self.judge.halts(node, reason),
        }
    }

    fn build(&mut self, node: NodeId, height: Height, round: Round, record_only: bool) {
        let host = &self.hosts[node];
        let events: Vec<u64> = host.pool.iter().copied().take(BLOCK_EVENTS_MAX).collect();
        let bad = self.plan.bad_blocks && self.faults;
        let lazy = bad && self.rng.chance(50);
        let block = (!lazy && (record_only || !events.is_empty())).then(|| {
            let events = if record_only { Vec::new() } else { events };
            let untimely_below = if bad && self.rng.chance(50) { 3 } else { 0 };
            let invalid = bad && self.rng.chance(50);
            let parent = host.tip_block();
            let builder = node;
            self.world.add(Body { height, builder, parent, events, invalid, untimely_below })
        });
        self.hosts[node].bodies.extend(block);
        let (run, after_ms) = (self.hosts[node].run, self.rng.range(1, 6));
        let input = Input::Built { height, round, block };
        self.push(after_ms, Event::Step { node, run, input });
    }

    fn ask(
        &mut self,
        node: NodeId,
        height: Height,
        round: Round,
        block: BlockId,
        fresh: bool,
        from: &[ValidatorIndex],
    ) {
        let nodes = from.iter().filter_map(|index| self.world.node(height, *index)).collect();
        let at = Source { fresh, nodes };
        let (run, after_ms) = (self.hosts[node].run, self.rng.range(2, 40));
        self.push(after_ms, Event::Look { node, run, height, round, block, at });
    }

    fn look(&mut self, node: NodeId, round: Round, block: BlockId, at: &Source) -> Verdict {
        let reachable = |other: &NodeId| {
            let there = &self.hosts[*other];
            self.sides[*other] == self.sides[node] && there.is_up() && there.bodies.contains(&block)
        };
        let here = self.hosts[node].bodies.contains(&block);
        let lost = self.faults && self.rng.chance(self.plan.loss_permille);
        if !here && (lost || !at.nodes.iter().any(reachable)) {
            return Verdict::Unavailable;
        }
        let (body, host) = (&self.world.bodies[&block], &mut self.hosts[node]);
        let follows = body.parent == host.tip_block() && body.height == host.tip().next();
        if body.invalid || !follows {
            return Verdict::Invalid;
        }
        host.bodies.insert(block);
        match at.fresh && round.0 < body.untimely_below {
            true => Verdict::Untimely,
            false => Verdict::Valid,
        }
    }

    fn commit(
        &mut self,
        node: NodeId,
        block: BlockId,
        certificate: consign_types::certificate::Certificate,
    ) {
        self.judge.commits(&self.world, node, block, &certificate);
        let height = certificate.height;
        let host = &mut self.hosts[node];
        assert!(host.bodies.contains(&block), "a block is decided only where its body is durable");
        if host.tip().next() == height {
            host.disk.chain.push((block, certificate));
            for event in &self.world.bodies[&block].events {
                host.pool.remove(event);
                host.committed.insert(*event);
            }
        }
        let next_set = self.world.set(height.next()).clone();
        let (run, input) = (host.run, Input::Committed { height, next_set, pace_ms: PACE_MS });
        self.push(1, Event::Step { node, run, input });
        self.tell_work(node);
        self.tell(node);
    }

    /// Tells the engine when its pool fills or empties.
    fn tell_work(&mut self, node: NodeId) {
        let host = &mut self.hosts[node];
        let work = !host.pool.is_empty();
        if host.is_up() && host.told != work {
            host.told = work;
            let run = host.run;
            self.push(0, Event::Step { node, run, input: Input::Work(work) });
        }
    }

    /// Sends the node's status, and its pool with it, to all others.
    fn tell(&mut self, from: NodeId) {
        let host = &self.hosts[from];
        if !host.is_up() {
            return;
        }
        let (mut started, tip, pool) = (host.started, host.tip(), host.pool.clone());
        if self.plan.equivocator == Some(from) && self.rng.chance(200) {
            started = Height(self.rng.next());
        }
        for to in 0..self.hosts.len() {
            if to != from && self.passes(from, to) {
                let (run, after_ms) = (self.hosts[to].run, self.rng.range(1, 40));
                let pool = pool.clone();
                self.push(after_ms, Event::Status { to, from, run, started, tip, pool });
            }
        }
    }

    fn status(
        &mut self,
        to: NodeId,
        from: NodeId,
        started: Height,
        tip: Height,
        pool: BTreeSet<u64>,
    ) {
        let host = &mut self.hosts[to];
        host.pool.extend(pool.difference(&host.committed));
        self.tell_work(to);
        let height = self.hosts[to].tip().next();
        if let Some(from) = self.world.index(height, from) {
            self.step(to, Input::Begun { from, height: started });
        }
        let host = &mut self.hosts[to];
        if tip > host.tip() && !host.catching_up && host.is_up() {
            host.catching_up = true;
            let (run, node) = (host.run, to);
            self.push(20, Event::CatchUp { node, from, run });
        }
    }

    fn catch_up(&mut self, node: NodeId, from: NodeId) {
        let have = self.hosts[node].disk.chain.len();
        let there = &self.hosts[from];
        let reachable = there.is_up() && self.sides[from] == self.sides[node];
        let Some((block, certificate)) = there.disk.chain.get(have).cloned().filter(|_| reachable)
        else {
            self.hosts[node].catching_up = false;
            return;
        };
        self.hosts[node].bodies.insert(block);
        let run = self.hosts[node].run;
        self.step(node, Input::Synced { block, certificate });
        self.push(5, Event::CatchUp { node, from, run });
    }

    fn submit(&mut self) {
        let after_ms = self.rng.range(10, 400);
        self.push(after_ms, Event::Submit);
        if !self.submitting {
            return;
        }
        self.events += 1;
        let node = self.rng.range(0, self.hosts.len() as u64) as NodeId;
        if self.hosts[node].is_up() {
            self.hosts[node].pool.insert(self.events);
            self.tell_work(node);
            self.tell(node);
        }
    }

    fn fault(&mut self) {
        let after_ms = self.rng.range(200, 3_000);
        self.push(after_ms, Event::Fault);
        if !self.faults {
            return;
        }
        let kind = self.rng.range(0, 10);
        if self.plan.crashes && kind < 5 {
            let most = [4, 2, 1, 1, 1][kind as usize];
            let power = self.rng.chance(500);
            for _ in 0..most {
                let node = self.rng.range(0, self.hosts.len() as u64) as NodeId;
                self.crash(node, power);
                let after_ms = self.rng.range(1, 3_000);
                self.push(after_ms, Event::Start { node });
            }
        } else if self.plan.partitions && kind < 8 {
            for node in 0..self.sides.len() {
                self.sides[node] = self.rng.chance(500);
            }
            let after_ms = self.rng.range(100, 4_000);
            self.push(after_ms, Event::Heal);
        }
    }

    fn passes(&mut self, from: NodeId, to: NodeId) -> bool {
        let lost = self.faults && self.rng.chance(self.plan.loss_permille);
        self.sides[from] == self.sides[to] && !lost
    }

    fn broadcast(&mut self, from: NodeId, message: &Message) {
        let synced = self.hosts[from].disk.is_synced();
        self.judge.speaks(&self.world, from, message, synced);
        let lies = self.plan.equivocator == Some(from);
        let other = lies.then(|| liar::contradict(&mut self.world, &mut self.rng, from, message));
        let other = other.flatten();
        if let Some(Message::Proposal(proposal)) = &other
            && self.rng.chance(700)
        {
            self.hosts[from].bodies.insert(proposal.block);
        }
        for to in (0..self.hosts.len()).filter(|to| *to != from) {
            if other.is_some() && self.rng.chance(100) {
                let garbage = liar::garble(&self.world, &mut self.rng, from, message);
                self.send(from, to, &garbage);
            }
            match (&other, self.rng.range(0, 4)) {
                (None, _) | (_, 0) => self.send(from, to, message),
                (Some(other), 1) => self.send(from, to, other),
                (Some(other), 2) => {
                    self.send(from, to, other);
                    self.send(from, to, message);
                }
                _ => {}
            }
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: &Message) {
        self.messages += 1;
        let bytes = message.to_bytes();
        let times = 1 + u64::from(self.faults && self.rng.chance(self.plan.repeat_permille));
        for _ in 0..times {
            if self.passes(from, to) {
                let (run, after_ms) = (self.hosts[to].run, self.rng.range(1, 40));
                self.push(after_ms, Event::Deliver { to, from, run, bytes: bytes.clone() });
            }
        }
    }
}
