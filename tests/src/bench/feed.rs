//! Sends events to the nodes: at a rate, whatever the nodes do (an open loop); or as fast as they take
//! them, with a bound on what is under way.
//!
//! An event that a node cannot take *now* (its pool is full) is sent again until it does, because
//! others refer to it; its time counts from when it was first due. A refusal for good is told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use consign_rpc::client::Client;
use consign_rpc::params::Wait;
use consign_rpc::views::EventStatus;
use consign_types::digest::EventId;
use consign_types::limits::SUBMIT_BATCH_MAX;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Wrong;
use super::watch::Watch;
use super::workload::{NodeIndex, Ready};
use crate::wait::Looks;

/// How long until what was refused for now is sent again.
const TRY_AGAIN: Duration = Duration::from_millis(100);
/// How long an event may be refused for now.
const PATIENCE: Duration = Duration::from_secs(60);
/// Batches that are on their way to one node at once while flooding.
const BATCHES_AT_ONCE: usize = 4;

/// How events are sent in an open loop.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Events a second, to all nodes together.
    pub per_s: f64,
    /// Events in one call at most.
    pub per_call: usize,
}

impl Pace {
    /// Full calls: for throughput.
    pub fn full_calls(per_s: f64) -> Self {
        Self { per_s, per_call: SUBMIT_BATCH_MAX }
    }

    /// Calls with what became due for one node within `collect`: for latency.
    pub fn collecting(per_s: f64, nodes: usize, collect: Duration) -> Self {
        let due = per_s / nodes as f64 * collect.as_secs_f64();
        Self { per_s, per_call: (due as usize).clamp(1, SUBMIT_BATCH_MAX) }
    }
}

/// What became of the events that were sent.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// When each was due, and where.
    pub due: HashMap<EventId, (Instant, NodeIndex)>,
    /// Refusals for good, as the nodes said them.
    pub refused: Vec<String>,
    /// Times that an event had to be sent again.
    pub again: u64,
}

#[derive(Default)]
struct Delivered {
    refused: Vec<String>,
    again: u64,
}

/// Sends `events` from `start` on at their pace. Each event is due at its own time, evenly spaced; a
/// call goes out when its last event is due, whether or not earlier calls were answered. Ends when
/// every call was answered.
///
/// # Errors
/// When a node cannot be reached.
pub async fn open_loop(
    clients: &[Client],
    events: Vec<Ready>,
    pace: Pace,
    start: Instant,
) -> Result<Sent, Wrong> {
    let mut sent = Sent::default();
    let mut calls: Vec<Vec<(Instant, Vec<Ready>)>> = vec![Vec::new(); clients.len()];
    for (position, ready) in events.into_iter().enumerate() {
        let due = start + Duration::from_secs_f64(position as f64 / pace.per_s);
        sent.due.insert(ready.id, (due, ready.node));
        let calls = &mut calls[ready.node.0];
        match calls.last_mut() {
            Some((goes_out, call)) if call.len() < pace.per_call => {
                *goes_out = due;
                call.push(ready);
            }
            _ => calls.push((due, vec![ready])),
        }
    }
    let mut feeders = JoinSet::new();
    for (client, calls) in clients.iter().zip(calls) {
        let client = client.clone();
        feeders.spawn(async move {
            let mut under_way = JoinSet::new();
            for (goes_out, call) in calls {
                tokio::time::sleep_until(goes_out).await;
                under_way.spawn(deliver(client.clone(), call));
            }
            gather(under_way).await
        });
    }
    sent.add(gather(feeders).await?);
    Ok(sent)
}

/// Sends `events` in order, as fast as their nodes take them while at most `under_way_max` are sent and
/// not proven.
///
/// # Errors
/// When a node cannot be reached, or nothing goes on.
pub async fn flood(
    clients: &[Client],
    events: Vec<Ready>,
    watch: &Watch,
    under_way_max: u64,
) -> Result<Sent, Wrong> {
    let proven_before = watch.proven();
    let mut sent = Sent::default();
    let limit = Arc::new(tokio::sync::Semaphore::new(BATCHES_AT_ONCE * clients.len()));
    let mut under_way = JoinSet::new();
    let mut count = 0_u64;
    // A round fills one call for each node: an event is sent once those before it were.
    let round = SUBMIT_BATCH_MAX * clients.len();
    let mut events = events.into_iter().peekable();
    while events.peek().is_some() {
        // There is room for a round once so many are proven.
        let needed = (count + round as u64).saturating_sub(under_way_max);
        watch.until(proven_before + needed, PATIENCE).await?;
        let mut calls: Vec<Vec<Ready>> = vec![Vec::new(); clients.len()];
        for ready in events.by_ref().take(round) {
            sent.due.insert(ready.id, (Instant::now(), ready.node));
            calls[ready.node.0].push(ready);
            count += 1;
        }
        for (client, call) in clients.iter().zip(calls) {
            for part in call.chunks(SUBMIT_BATCH_MAX) {
                let permit = Arc::clone(&limit).acquire_owned().await.map_err(Wrong::of)?;
                let (client, part) = (client.clone(), part.to_vec());
                under_way.spawn(async move {
                    let delivered = deliver(client, part).await;
                    drop(permit);
                    delivered
                });
            }
        }
    }
    sent.add(gather(under_way).await?);
    Ok(sent)
}

/// Sends one call, and again what its node cannot take now.
async fn deliver(client: Client, events: Vec<Ready>) -> Result<Delivered, Wrong> {
    let mut left: Vec<Left> = events.into_iter().map(|ready| Left { ready, why: None }).collect();
    let mut delivered = Delivered::default();
    let mut looks = Looks::within(PATIENCE, TRY_AGAIN);
    while !left.is_empty() && looks.again().await {
        send(&client, &mut left, &mut delivered).await?;
        delivered.again += left.len() as u64;
    }
    // Refused for now for too long.
    delivered.refused.extend(left.into_iter().filter_map(|left| left.why));
    Ok(delivered)
}

/// An event that is not taken yet, and what its node said last.
struct Left {
    ready: Ready,
    why: Option<String>,
}

/// Sends what is left once. What may be taken later stays left; a refusal for good is noted.
async fn send(
    client: &Client,
    left: &mut Vec<Left>,
    delivered: &mut Delivered,
) -> Result<(), Wrong> {
    let bytes: Vec<&[u8]> = left.iter().map(|left| left.ready.bytes.as_slice()).collect();
    let wait_ms = u64::try_from(PATIENCE.as_millis()).ok();
    let items = client.submit_batch(&bytes, Wait::Accepted, wait_ms).await.map_err(Wrong::of)?;
    for (Left { ready, .. }, item) in std::mem::take(left).into_iter().zip(items) {
        let (code, message, retryable) = match item.into_result() {
            Ok(submitted) => match submitted.status {
                EventStatus::Refused { code, message, retryable } => (code, message, retryable),
                _ => continue,
            },
            Err(error) => {
                let code = error.code.as_deref().unwrap_or("refused").to_owned();
                (code, error.message.into_string(), error.retryable)
            }
        };
        let why = format!("{code}: {message} ({})", ready.id);
        if retryable {
            left.push(Left { ready, why: Some(why) });
        } else {
            delivered.refused.push(why);
        }
    }
    Ok(())
}

async fn gather(mut tasks: JoinSet<Result<Delivered, Wrong>>) -> Result<Delivered, Wrong> {
    let mut sum = Delivered::default();
    while let Some(ended) = tasks.join_next().await {
        let delivered = ended.map_err(Wrong::of)??;
        sum.refused.extend(delivered.refused);
        sum.again += delivered.again;
    }
    Ok(sum)
}

impl Sent {
    fn add(&mut self, delivered: Delivered) {
        self.refused.extend(delivered.refused);
        self.again += delivered.again;
    }
}
