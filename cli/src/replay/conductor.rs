//! Brings a plan onto a network: what is ready is sent, what is proven makes more ready.
//!
//! Each event goes to the node of the party that signs it, in batches; one feed per node tells which
//! of its party's events are proven. Sending twice is harmless, so whatever gets lost on the way (a
//! node killed under load, a full pool) is sent again until it is on the log or refused for good. While
//! a party's node is away, another one takes its events.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use consign_rpc::client::ClientError;
use consign_rpc::errors::ErrorKind;
use consign_rpc::params::{EventFilter, Stage, Wait};
use consign_rpc::views::{BatchItem, EventStatus, Submitted};
use consign_types::digest::EventId;
use consign_types::event::SignedEvent;
use consign_types::limits::SUBMIT_BATCH_MAX;
use indicatif::ProgressBar;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::plan::{Plan, Role, StepIndex};
use super::report::Figures;
use super::schedule::Schedule;
use super::sign::party;
use crate::failure::Failure;
use crate::node::{Node, failure};

/// Batches that are on their way to one node at once.
const BATCHES_AT_ONCE: usize = 4;
/// How long an accepted event may stay unproven before it is sent again.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// How long until what was refused for now is sent again.
const TRY_AGAIN: Duration = Duration::from_millis(50);
/// How long a node that did not answer is passed over.
const PASS_OVER: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(25);
const REFUSALS_TOLD: usize = 5;

/// The nodes of the parties.
pub type Nodes = BTreeMap<Role, Node>;

/// Brings `events`, the signed steps of `plan`, onto the log.
///
/// # Errors
/// When nothing goes on for longer than `patience`.
pub async fn conduct(
    nodes: &Nodes,
    plan: &Plan,
    events: Vec<SignedEvent>,
    patience: Duration,
    bar: &ProgressBar,
) -> Result<Figures, Failure> {
    let (tell, mut news) = unbounded_channel();
    let mut tasks = JoinSet::new();
    for (role, node) in nodes {
        watch(*role, node, &tell, &mut tasks).await?;
    }
    let by_id = events.iter().enumerate().map(|(i, e)| (e.id(), StepIndex(i))).collect();
    let mut conductor = Conductor {
        plan,
        schedule: Schedule::new(&plan.steps),
        events: events.into(),
        by_id,
        sent: vec![None; plan.steps.len()],
        repeated: HashSet::new(),
        taken: BTreeMap::new(),
        later: Vec::new(),
        batches: BTreeMap::new(),
        away: BTreeMap::new(),
        latencies: Vec::new(),
        figures: Figures::default(),
        started: Instant::now(),
        moved: Instant::now(),
    };
    let done = conductor.run(nodes, &tell, &mut news, &mut tasks, patience, bar).await;
    tasks.abort_all();
    done.map(|()| conductor.finish())
}

/// What happened.
enum News {
    Answered(Answered),
    Proven(EventId),
}

/// What a node said of a batch.
struct Answered {
    role: Role,
    via: Role,
    steps: Vec<StepIndex>,
    answer: Result<Vec<BatchItem>, ClientError>,
}

struct Conductor<'a> {
    plan: &'a Plan,
    schedule: Schedule,
    events: Arc<[SignedEvent]>,
    by_id: HashMap<EventId, StepIndex>,
    /// When a step was first sent.
    sent: Vec<Option<Instant>>,
    /// Steps that were sent more than once: a node may know them from this very replay.
    repeated: HashSet<StepIndex>,
    /// Steps that a node took and that are not proven yet, by when to ask again.
    taken: BTreeMap<StepIndex, Instant>,
    /// Steps to be sent again, and when.
    later: Vec<(Instant, StepIndex)>,
    batches: BTreeMap<Role, usize>,
    /// Nodes that did not answer, and until when they are passed over.
    away: BTreeMap<Role, Instant>,
    latencies: Vec<u64>,
    figures: Figures,
    started: Instant,
    /// When something last got settled.
    moved: Instant,
}

impl Conductor<'_> {
    async fn run(
        &mut self,
        nodes: &Nodes,
        tell: &UnboundedSender<News>,
        news: &mut UnboundedReceiver<News>,
        tasks: &mut JoinSet<()>,
        patience: Duration,
        bar: &ProgressBar,
    ) -> Result<(), Failure> {
        while self.schedule.left() > 0 {
            self.send(nodes, tell, tasks);
            if let Ok(Some(first)) = tokio::time::timeout(TICK, news.recv()).await {
                self.hear(first);
                // Whatever else has come in is heard before the next batch is made.
                while let Ok(more) = news.try_recv() {
                    self.hear(more);
                }
            }
            self.wake();
            while tasks.try_join_next().is_some() {}
            bar.set_position((self.plan.steps.len() - self.schedule.left()) as u64);
            bar.set_message(format!(
                "proven {}  refused {}",
                self.figures.proven, self.figures.refused
            ));
            if self.moved.elapsed() > patience {
                let message = format!(
                    "{} of {} events are not proven, and none was for {} s",
                    self.schedule.left(),
                    self.plan.steps.len(),
                    patience.as_secs()
                );
                let help =
                    "look at `consign devnet status`; the same replay goes on where it stopped";
                return Err(Failure::operational("stalled", message, help));
            }
        }
        Ok(())
    }

    /// Sends what is ready, as far as batches may be on their way.
    fn send(&mut self, nodes: &Nodes, tell: &UnboundedSender<News>, tasks: &mut JoinSet<()>) {
        for role in nodes.keys() {
            while self.batches.get(role).copied().unwrap_or(0) < BATCHES_AT_ONCE {
                let Some((via, node)) = self.door(*role, nodes) else { break };
                let steps = self.schedule.take(*role, SUBMIT_BATCH_MAX);
                if steps.is_empty() {
                    break;
                }
                *self.batches.entry(*role).or_default() += 1;
                let now = Instant::now();
                for step in &steps {
                    if self.sent[step.0].is_some() {
                        self.repeated.insert(*step);
                    }
                    self.sent[step.0].get_or_insert(now);
                }
                // Another party's node does not tell of these events in its feed: its answer must.
                let wait = if via == *role { Wait::Accepted } else { Wait::Proven };
                let wait_ms = u64::try_from(ASK_AGAIN.as_millis()).ok();
                let (node, events) = (node.clone(), self.events.clone());
                let (tell, role) = (tell.clone(), *role);
                tasks.spawn(async move {
                    let bytes: Vec<&[u8]> =
                        steps.iter().map(|step| events[step.0].bytes()).collect();
                    let answer = node.client().submit_batch(&bytes, wait, wait_ms).await;
                    // Nobody listens any more: the replay is over.
                    let _ = tell.send(News::Answered(Answered { role, via, steps, answer }));
                });
            }
        }
    }

    /// The party's own node, or the next one that is not away.
    fn door<'n>(&self, role: Role, nodes: &'n Nodes) -> Option<(Role, &'n Node)> {
        let now = Instant::now();
        let here = |via: &Role| self.away.get(via).is_none_or(|until| *until <= now);
        let own = nodes.get_key_value(&role);
        let first = own.filter(|(via, _)| here(via));
        let other = || nodes.iter().find(|(via, _)| here(via));
        first.or_else(other).or(own).map(|(via, node)| (*via, node))
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Proven(event) => {
                if let Some(step) = self.by_id.get(&event).copied() {
                    self.proven(step, false);
                }
            }
            News::Answered(answered) => self.answered(answered),
        }
    }

    fn answered(&mut self, Answered { role, via, steps, answer }: Answered) {
        if let Some(batches) = self.batches.get_mut(&role) {
            *batches -= 1;
        }
        match answer {
            Ok(items) => {
                for (step, item) in steps.into_iter().zip(items) {
                    match item.into_result() {
                        Ok(submitted) => self.told(step, &submitted),
                        Err(e) if e.retryable => self.try_again(step),
                        Err(e) => self.refused(step, e.code.as_deref(), &e.message),
                    }
                }
            }
            // Nobody knows what the node took. Sending again tells.
            Err(error) => {
                if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::TimedOut) {
                    self.away.insert(via, Instant::now() + PASS_OVER);
                }
                steps.into_iter().for_each(|step| self.try_again(step));
            }
        }
    }

    fn told(&mut self, step: StepIndex, submitted: &Submitted) {
        match &submitted.status {
            EventStatus::Proven { .. } => self.proven(step, submitted.duplicate),
            EventStatus::Refused { retryable: true, .. } => self.try_again(step),
            EventStatus::Refused { code, message, .. } => {
                let (code, message) = (code.clone(), message.clone());
                self.refused(step, Some(&code), &message);
            }
            EventStatus::Unknown | EventStatus::Accepted | EventStatus::Committed { .. } => {
                self.taken.insert(step, Instant::now() + ASK_AGAIN);
            }
        }
    }

    fn proven(&mut self, step: StepIndex, known_before: bool) {
        self.taken.remove(&step);
        if !self.schedule.settle(step) {
            return;
        }
        self.moved = Instant::now();
        let sent = self.sent[step.0];
        if known_before && !self.repeated.contains(&step) {
            self.figures.duplicates += 1;
        } else {
            self.figures.proven += 1;
            let waited = sent.map_or(0, |sent| sent.elapsed().as_millis());
            self.latencies.push(u64::try_from(waited).unwrap_or(u64::MAX));
        }
        self.figures.milestones_proven += u64::from(self.plan.steps[step.0].milestone);
    }

    fn refused(&mut self, step: StepIndex, code: Option<&str>, message: &str) {
        self.taken.remove(&step);
        self.moved = Instant::now();
        let dropped = self.schedule.drop_with_dependents(step);
        self.figures.refused += 1;
        self.figures.dropped += dropped.saturating_sub(1) as u64;
        if self.figures.refusals.len() < REFUSALS_TOLD {
            let signer = &self.events[step.0].event().signer;
            let code = code.unwrap_or("refused");
            self.figures
                .refusals
                .push(format!("{code}: {message} ({signer}, {})", self.events[step.0].id()));
        }
    }

    fn try_again(&mut self, step: StepIndex) {
        self.later.push((Instant::now() + TRY_AGAIN, step));
    }

    /// Makes ready again whatever has waited long enough.
    fn wake(&mut self) {
        let now = Instant::now();
        let (due, later) = self.later.drain(..).partition::<Vec<_>, _>(|(at, _)| *at <= now);
        self.later = later;
        due.into_iter().for_each(|(_, step)| self.schedule.again(step));
        let silent: Vec<StepIndex> =
            self.taken.iter().filter(|(_, at)| **at <= now).map(|(step, _)| *step).collect();
        for step in silent {
            self.taken.remove(&step);
            self.schedule.again(step);
        }
    }

    fn finish(mut self) -> Figures {
        let seconds = self.moved.duration_since(self.started).as_secs_f64();
        let mut figures = std::mem::take(&mut self.figures);
        figures.submitted = figures.proven + figures.duplicates + figures.refused;
        figures.seconds = seconds;
        if seconds > 0.0 {
            // Counts of events stay far below 2^53.
            figures.events_per_s = figures.proven as f64 / seconds;
        }
        figures.set_latencies(self.latencies);
        figures
    }
}

/// Listens to what a node says of its own party's events, before anything is sent.
async fn watch(
    role: Role,
    node: &Node,
    tell: &UnboundedSender<News>,
    tasks: &mut JoinSet<()>,
) -> Result<(), Failure> {
    let filter = EventFilter {
        party: Some(party(role).into()),
        stage: Stage::Proven,
        ..EventFilter::default()
    };
    let mut feed = node.client().follow_events(filter, None);
    feed.open().await.map_err(|e| failure(node.url(), e))?;
    let tell = tell.clone();
    tasks.spawn(async move {
        loop {
            match feed.next().await {
                Ok(Some(item)) => {
                    if tell.send(News::Proven(item.value.content.event_id.0)).is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                // The node is gone for now; the feed goes on where it stopped once it is back.
                Err(_) => tokio::time::sleep(TRY_AGAIN).await,
            }
        }
    });
    Ok(())
}
