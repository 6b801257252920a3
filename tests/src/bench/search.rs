//! The search for the highest rate that is sustained.
//!
//! A flood (as much as the nodes take, with a bounded number of events under way) gives an estimate.
//! An open loop at that rate follows, with a warm-up and a full window. It is
//! *sustained* when latency does not grow by more than 2 % of the time that passes and no node ran out
//! of room. From there the search goes up or down in steps of 6 % until one rate is sustained and the
//! next is not. Each try is a full measurement, so the figure that is told was itself measured at
//! length; what is told is what the slowest node had proven, never what was sent.

use tokio::time::Instant;

use super::bound::Bound;
use super::feed::Pace;
use super::phase::Seen;
use super::report::Tried;
use super::{Bench, Plan, UNDER_WAY_MAX, Wrong};

/// From one rate that is tried to the next.
const STEP: f64 = 0.06;

/// A window, and the bound right before and right after it.
pub(super) struct Measured {
    /// The window.
    pub(super) seen: Seen,
    /// Events a second that signatures would allow.
    pub(super) bounds: [f64; 2],
}

/// The search for the highest rate that is sustained.
pub(super) struct Search<'a> {
    plan: &'a Plan,
    bound: &'a Bound,
    /// The highest sustained rate so far, or the last one tried where none was.
    pub(super) best: Measured,
    /// Everything that was tried.
    pub(super) tried: Vec<Tried>,
}

impl<'a> Search<'a> {
    /// The first window, at the rate that a flood gives.
    pub(super) async fn new(
        plan: &'a Plan,
        bench: &mut Bench<'_>,
        bound: &'a Bound,
    ) -> Result<Self, Wrong> {
        let mut tried = Vec::new();
        let rate = match plan.rate {
            Some(rate) => rate,
            None => {
                let rate = flood_rate(plan, bench).await?;
                tried.push(Tried { offered_per_s: None, proven_per_s: rate, sustained: true });
                rate
            }
        };
        let best = measured(plan, bench, bound, rate).await?;
        tried.push(Tried::of(&best.seen));
        Ok(Self { plan, bound, best, tried })
    }

    /// Up while rates are sustained, or down until one is.
    pub(super) async fn run(&mut self, bench: &mut Bench<'_>) -> Result<(), Wrong> {
        let windows_max = self.plan.tries_max + usize::from(self.plan.rate.is_none());
        while self.plan.rate.is_none() && self.tried.len() < windows_max {
            let up = self.best.seen.is_sustained();
            let rate = if up {
                self.best.seen.offered_per_s * (1.0 + STEP)
            } else {
                self.best.seen.proven_per_s * (1.0 - STEP)
            };
            let next = measured(self.plan, bench, self.bound, rate).await?;
            self.tried.push(Tried::of(&next.seen));
            match (up, next.seen.is_sustained()) {
                (true, false) => break,
                (true, true) => self.best = next,
                (false, sustained) => {
                    self.best = next;
                    if sustained {
                        break;
                    }
                }
            }
        }
        if self.plan.rate.is_none() && !self.best.seen.is_sustained() {
            bench.faults.push("no rate that was tried is sustained".to_owned());
        }
        Ok(())
    }
}

impl Tried {
    fn of(seen: &Seen) -> Self {
        Self {
            offered_per_s: Some(seen.offered_per_s),
            proven_per_s: seen.proven_per_s,
            sustained: seen.is_sustained(),
        }
    }
}

/// What the nodes have proven a second while they were flooded, the first third not counted.
async fn flood_rate(plan: &Plan, bench: &mut Bench<'_>) -> Result<f64, Wrong> {
    let events = bench.workload.next(plan.flood_events);
    let first = bench.watch.next_height();
    let since = Instant::now();
    bench.flood(events, UNDER_WAY_MAX).await?;
    let from = since + since.elapsed() / 3;
    let last = Instant::now();
    let blocks = bench.watch.since(first)?;
    let per_node = blocks.iter().map(|(_, blocks)| -> u64 {
        blocks.iter().filter(|block| block.at >= from).map(|block| block.events).sum()
    });
    let proven = per_node.min().unwrap_or_default();
    let rate = proven as f64 / last.duration_since(from).as_secs_f64();
    (bench.say)(&format!("flooded: {rate:.0}/s proven"));
    Ok(rate)
}

async fn measured(
    plan: &Plan,
    bench: &mut Bench<'_>,
    bound: &Bound,
    rate: f64,
) -> Result<Measured, Wrong> {
    // The nodes are idle before a window, and once everything in it is proven.
    let before = tokio::task::block_in_place(|| bound.measure(plan.bound));
    let seen = bench.measure(Pace::full_calls(rate)).await?;
    let after = tokio::task::block_in_place(|| bound.measure(plan.bound));
    Ok(Measured { seen, bounds: [before, after] })
}
