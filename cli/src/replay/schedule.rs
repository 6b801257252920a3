//! Which step of a plan may go next.
//!
//! A step is ready when everything that it rests on is settled, and when its number is less than 32
//! above the oldest unsettled number of its device: then no order of arrival makes a node refuse it
//! for missing numbers. The steps of a plan stand in an order in which each rests on earlier ones, so
//! the oldest unsettled step is always ready or under way: a schedule never waits for itself.

use std::collections::{BTreeMap, VecDeque};

use consign_types::limits::MISSING_SEQUENCES_MAX;

use super::plan::{DeviceSlot, Role, Step, StepIndex};

/// How far a step has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Progress {
    Waiting,
    Ready,
    UnderWay,
    Settled,
    Dropped,
}

/// Hands out steps and takes back what became of them.
#[derive(Debug)]
pub struct Schedule {
    progress: Vec<Progress>,
    device: Vec<DeviceSlot>,
    place: Vec<usize>,
    unsettled_before: Vec<usize>,
    dependents: Vec<Vec<usize>>,
    windows: BTreeMap<DeviceSlot, Window>,
    ready: BTreeMap<Role, VecDeque<StepIndex>>,
    left: usize,
}

/// The steps of one device in the order of their numbers, and the first that is not settled.
#[derive(Debug, Default)]
struct Window {
    steps: Vec<usize>,
    first: usize,
}

impl Schedule {
    /// The schedule of these steps, of which none is under way.
    pub fn new(steps: &[Step]) -> Self {
        let mut schedule = Self {
            progress: vec![Progress::Waiting; steps.len()],
            device: steps.iter().map(|step| step.device).collect(),
            place: Vec::with_capacity(steps.len()),
            unsettled_before: steps.iter().map(|step| step.after.len()).collect(),
            dependents: vec![Vec::new(); steps.len()],
            windows: BTreeMap::new(),
            ready: BTreeMap::new(),
            left: steps.len(),
        };
        for (at, step) in steps.iter().enumerate() {
            for before in &step.after {
                schedule.dependents[before.0].push(at);
            }
            let window = schedule.windows.entry(step.device).or_default();
            schedule.place.push(window.steps.len());
            window.steps.push(at);
        }
        for at in 0..steps.len() {
            schedule.offer(at);
        }
        schedule
    }

    /// Steps that are neither settled nor dropped.
    pub const fn left(&self) -> usize {
        self.left
    }

    /// Up to `most` ready steps of this party, which are under way from now on.
    pub fn take(&mut self, role: Role, most: usize) -> Vec<StepIndex> {
        let Some(ready) = self.ready.get_mut(&role) else { return Vec::new() };
        let taken: Vec<StepIndex> = ready.drain(..ready.len().min(most)).collect();
        for step in &taken {
            self.progress[step.0] = Progress::UnderWay;
        }
        taken
    }

    /// The step came back and is to be tried again.
    pub fn again(&mut self, step: StepIndex) {
        if self.progress[step.0] == Progress::UnderWay {
            self.progress[step.0] = Progress::Waiting;
            self.offer(step.0);
        }
    }

    /// The step is on the log for good. Whether that is news.
    pub fn settle(&mut self, step: StepIndex) -> bool {
        if !self.finish(step.0, Progress::Settled) {
            return false;
        }
        for dependent in self.dependents[step.0].clone() {
            self.unsettled_before[dependent] -= 1;
            self.offer(dependent);
        }
        true
    }

    /// The step was refused for good, so nothing that rests on it can follow. All that are dropped.
    pub fn drop_with_dependents(&mut self, step: StepIndex) -> usize {
        let mut dropped = 0;
        let mut open = vec![step.0];
        while let Some(at) = open.pop() {
            if self.finish(at, Progress::Dropped) {
                dropped += 1;
                open.extend(&self.dependents[at]);
            }
        }
        dropped
    }

    fn finish(&mut self, at: usize, progress: Progress) -> bool {
        if matches!(self.progress[at], Progress::Settled | Progress::Dropped) {
            return false;
        }
        self.progress[at] = progress;
        self.left -= 1;
        self.advance(self.device[at]);
        true
    }

    /// Moves a device's window past what is over, and offers what comes into it.
    fn advance(&mut self, device: DeviceSlot) {
        let Some(window) = self.windows.get_mut(&device) else { return };
        let over = |at: &usize| matches!(self.progress[*at], Progress::Settled | Progress::Dropped);
        let passed = window.steps[window.first..].iter().take_while(|at| over(at)).count();
        if passed == 0 {
            return;
        }
        let before = (window.first + MISSING_SEQUENCES_MAX).min(window.steps.len());
        window.first += passed;
        let after = (window.first + MISSING_SEQUENCES_MAX).min(window.steps.len());
        let entering: Vec<usize> = window.steps[before..after].into();
        for at in entering {
            self.offer(at);
        }
    }

    fn offer(&mut self, at: usize) {
        let device = self.device[at];
        let first = self.windows.get(&device).map_or(0, |window| window.first);
        let inside = self.place[at] < first + MISSING_SEQUENCES_MAX;
        if self.progress[at] == Progress::Waiting && self.unsettled_before[at] == 0 && inside {
            self.progress[at] = Progress::Ready;
            self.ready.entry(device.role).or_default().push_back(StepIndex(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::plan::{Plan, T0};
    use crate::replay::synthetic;

    /// Steps settle in an order drawn from a seed; every one is handed out once, after what it rests
    /// on, and never further than its device's window.
    #[test]
    fn every_step_goes_once_after_what_it_rests_on_and_within_its_window() {
        let plan = Plan::new(&synthetic::generate(5, 300), T0).unwrap();
        let mut schedule = Schedule::new(&plan.steps);
        let mut settled = vec![false; plan.steps.len()];
        let mut oldest: BTreeMap<DeviceSlot, u64> = BTreeMap::new();
        let mut under_way: Vec<StepIndex> = Vec::new();
        let mut seed = 5_u64;
        println!("seed {seed}");
        while schedule.left() > 0 {
            for role in Role::ALL {
                for at in schedule.take(role, 7) {
                    let step = &plan.steps[at.0];
                    assert!(step.after.iter().all(|before| settled[before.0]));
                    let oldest = oldest.get(&step.device).copied().unwrap_or(1);
                    assert!(step.sequence < oldest + MISSING_SEQUENCES_MAX as u64);
                    under_way.push(at);
                }
            }
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = under_way.swap_remove((seed >> 33) as usize % under_way.len());
            assert!(schedule.settle(at) && !schedule.settle(at));
            settled[at.0] = true;
            let device = plan.steps[at.0].device;
            let open =
                plan.steps.iter().enumerate().filter(|(i, s)| s.device == device && !settled[*i]);
            oldest.insert(device, open.map(|(_, s)| s.sequence).min().unwrap_or(u64::MAX / 2));
        }
        assert!(settled.into_iter().all(|settled| settled));
    }

    #[test]
    fn what_rests_on_a_refused_step_is_dropped_and_the_rest_goes_on() {
        let plan = Plan::new(&synthetic::generate(6, 2), T0).unwrap();
        let mut schedule = Schedule::new(&plan.steps);
        let refused = schedule.take(Role::Forwarder, 1)[0];
        let dropped = schedule.drop_with_dependents(refused);
        assert!(dropped > 1);
        let mut settled = 0;
        while schedule.left() > 0 {
            for role in Role::ALL {
                for at in schedule.take(role, 100) {
                    settled += usize::from(schedule.settle(at));
                }
            }
        }
        assert_eq!(settled + dropped, plan.steps.len());
    }
}
