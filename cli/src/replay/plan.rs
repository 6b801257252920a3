//! From shipments to custody events: who signs what, on which device, under which number.
//!
//! | milestone | signed by | event |
//! | --- | --- | --- |
//! | start of an inbound leg | forwarder | register |
//! | RCS of an inbound leg | forwarder, then airline | offer, accept |
//! | DEP, RCF | airline, the custodian | depart, arrive |
//! | DLV of an inbound leg | airline, then handler | offer, accept |
//! | consolidation | handler | register the outbound unit, aggregate what came in |
//! | RCS of the outbound leg | handler, then airline | offer, accept |
//! | DLV of the outbound leg | airline, then consignee | offer, accept |
//!
//! The plan is a function of the traffic and of its start alone, so that a second replay makes the
//! same events with the same ids. Steps stand in the order of their device times, which is the order
//! of the sequence numbers too, and no step stands before one that it rests on.

use std::collections::BTreeMap;
use std::fmt;

use consign_types::digest::Digest;
use consign_types::place::Place;
use consign_types::time::Millis;
use consign_types::unit::UnitId;

use super::shipment::{Leg, PlaceCode, Shipment, Traffic};
use crate::failure::Failure;

/// Start of the first shipment unless told otherwise: 2026-01-01T00:00:00Z.
pub const T0: Millis = Millis(1_767_225_600_000);
/// Devices of each party: their windows of numbers bound what is in flight.
pub const DEVICES: usize = 24;
/// From one shipment's start to the next one's. Made up: the data have no clock.
const STAGGER_MS: u64 = 15 * 60_000;
const MINUTE_MS: u64 = 60_000;

/// A party of the replay, by what it does. The data name none.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Ships what comes in.
    Forwarder,
    /// Carries.
    Airline,
    /// Runs the consolidation point.
    Handler,
    /// Receives what goes out.
    Consignee,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Forwarder, Self::Airline, Self::Handler, Self::Consignee];

    /// The name of the party.
    pub const fn party(self) -> &'static str {
        match self {
            Self::Forwarder => "forwarder",
            Self::Airline => "airline",
            Self::Handler => "handler",
            Self::Consignee => "consignee",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.party())
    }
}

/// A device of the replay: the `index`-th of a party, from zero.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct DeviceSlot {
    /// Whose.
    pub role: Role,
    /// Which.
    pub index: usize,
}

/// Position of a step in its plan.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StepIndex(pub usize);

/// What a step does; references to other events are to the steps that make them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Deed {
    /// Register the unit.
    Register,
    /// Offer the unit to `to`; `basis` is the step by which the signer came to hold it.
    Offer {
        /// The receiver.
        to: Role,
        /// A registration or an acceptance.
        basis: StepIndex,
        /// Commitment to the terms.
        terms: Digest,
    },
    /// Accept the offer made in that step.
    Accept(StepIndex),
    /// Depart from the place.
    Depart,
    /// Arrive at the place.
    Arrive,
    /// Put these units into the unit.
    Aggregate(Vec<UnitId>),
}

/// One event to be signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// Who signs.
    pub device: DeviceSlot,
    /// Its number, from 1.
    pub sequence: u64,
    /// What it is about.
    pub unit: UnitId,
    /// Device time; synthetic.
    pub time: Millis,
    /// Where.
    pub place: Place,
    /// What happens.
    pub deed: Deed,
    /// Steps that must stand before this one can.
    pub after: Vec<StepIndex>,
    /// Whether a milestone of the data is reached with this step.
    pub milestone: bool,
}

/// Everything that a replay signs and submits.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order of time, and of the sequence numbers of each device.
    pub steps: Vec<Step>,
    /// All units, and whether the data have them depart from where they did not arrive.
    pub units: BTreeMap<UnitId, bool>,
    /// Six digits that tell this traffic from any other.
    pub data_set: u32,
    /// Inbound legs that did not end where the outbound leg begins, and so were not consolidated.
    pub left_behind: usize,
}

impl Plan {
    /// The plan of `traffic` that starts at `t0`.
    ///
    /// # Errors
    /// When a number of the data does not fit into a unit's or a place's number.
    pub fn new(traffic: &Traffic, t0: Millis) -> Result<Self, Failure> {
        let digest = Digest::of(&[traffic.digest().as_bytes(), &t0.0.to_be_bytes()]);
        let [a, b, c, d, ..] = digest.0;
        let data_set = u32::from_be_bytes([a, b, c, d]) % 1_000_000;
        let mut draft = Draft {
            synthetic: traffic.synthetic,
            data_set,
            steps: Vec::new(),
            units: BTreeMap::new(),
            left_behind: 0,
        };
        for (i, shipment) in traffic.shipments.iter().enumerate() {
            draft.shipment(shipment, t0.plus(STAGGER_MS * i as u64)).map_err(|why| {
                let message = format!("shipment {}: {why}", shipment.number);
                Failure::usage("bad_traffic", message, "take the published data")
            })?;
        }
        let Draft { steps, units, left_behind, .. } = draft;
        Ok(Self { steps: in_order(steps), units, data_set, left_behind })
    }

    /// Steps that reach a milestone of the data.
    pub fn milestones(&self) -> u64 {
        self.steps.iter().filter(|step| step.milestone).count() as u64
    }

    /// Units that the data have depart from where they did not arrive.
    pub fn broken(&self) -> impl Iterator<Item = &UnitId> {
        self.units.iter().filter(|(_, broken)| **broken).map(|(unit, _)| unit)
    }
}

/// Sorts by time and deals each party's steps to its devices, one after the other.
fn in_order(drafted: Vec<Step>) -> Vec<Step> {
    let mut order: Vec<usize> = (0..drafted.len()).collect();
    order.sort_by_key(|at| (drafted[*at].time, *at));
    let mut place = vec![StepIndex(0); drafted.len()];
    for (to, from) in order.iter().enumerate() {
        place[*from] = StepIndex(to);
    }
    let mut dealt: BTreeMap<Role, usize> = BTreeMap::new();
    let mut drafted: Vec<Option<Step>> = drafted.into_iter().map(Some).collect();
    let mut steps = Vec::with_capacity(drafted.len());
    for from in order {
        let Some(mut step) = drafted[from].take() else { continue };
        let count = dealt.entry(step.device.role).or_default();
        step.device.index = *count % DEVICES;
        step.sequence = (*count / DEVICES) as u64 + 1;
        *count += 1;
        for before in &mut step.after {
            *before = place[before.0];
            assert!(before.0 < steps.len(), "a step rests on earlier ones alone");
        }
        match &mut step.deed {
            Deed::Offer { basis: other, .. } | Deed::Accept(other) => *other = place[other.0],
            Deed::Register | Deed::Depart | Deed::Arrive | Deed::Aggregate(_) => {}
        }
        steps.push(step);
    }
    steps
}

/// A plan in the order of the shipments; indices are drafted positions.
struct Draft {
    synthetic: bool,
    data_set: u32,
    steps: Vec<Step>,
    units: BTreeMap<UnitId, bool>,
    left_behind: usize,
}

/// A unit while its leg is drafted.
struct Track {
    unit: UnitId,
    holder: Role,
    basis: StepIndex,
    last: Vec<StepIndex>,
    at: Place,
    time: Millis,
}

impl Draft {
    fn shipment(&mut self, shipment: &Shipment, start: Millis) -> Result<(), String> {
        let mut came_in = Vec::new();
        for leg in &shipment.inbound {
            let mut track = self.register(leg, Role::Forwarder, start)?;
            self.travel(&mut track, leg, start, Role::Handler)?;
            came_in.push(track);
        }
        let leg = &shipment.outbound;
        // The leg starts when the last of what came in is delivered.
        let start = came_in.iter().map(|track| track.time).max().unwrap_or(start);
        let mut outbound = self.register(leg, Role::Handler, start)?;
        self.consolidate(&mut outbound, &came_in);
        self.travel(&mut outbound, leg, start, Role::Consignee)
    }

    fn register(&mut self, leg: &Leg, holder: Role, start: Millis) -> Result<Track, String> {
        let kind = u8::from(self.synthetic);
        // Extension digit, GS1's demonstration prefix, data set, leg.
        let body = format!("{kind}952{:06}{:07}", self.data_set, leg.id);
        let unit = UnitId::sscc(&body).map_err(|e| e.to_string())?;
        if self.units.insert(unit.clone(), leg.breaks() > 0).is_some() {
            return Err(format!("leg id {} is used twice", leg.id));
        }
        let nothing = StepIndex(0);
        let at = place(leg.origin())?;
        let mut track = Track { unit, holder, basis: nothing, last: Vec::new(), at, time: start };
        track.basis = self.step(&mut track, holder, Deed::Register, false);
        Ok(track)
    }

    /// From the check-in to the delivery to `receiver`.
    fn travel(
        &mut self,
        track: &mut Track,
        leg: &Leg,
        start: Millis,
        receiver: Role,
    ) -> Result<(), String> {
        let mut clock = start.plus(leg.checked_in_after * MINUTE_MS);
        self.hand_over(track, Role::Airline, clock);
        for hop in &leg.hops {
            clock = clock.plus(hop.departed_after * MINUTE_MS);
            self.milestone(track, Deed::Depart, place(hop.from)?, clock);
            clock = clock.plus(hop.received_after * MINUTE_MS);
            self.milestone(track, Deed::Arrive, place(hop.to)?, clock);
        }
        self.hand_over(track, receiver, clock.plus(leg.delivered_after * MINUTE_MS));
        Ok(())
    }

    fn hand_over(&mut self, track: &mut Track, to: Role, time: Millis) {
        track.time = track.time.max(time);
        let holder = track.holder;
        let count = (self.steps.len() as u64).to_be_bytes();
        let terms =
            Digest::of(&[b"consign/replay-terms/v1\0", track.unit.as_str().as_bytes(), &count]);
        let offer = Deed::Offer { to, basis: track.basis, terms };
        let offer = self.step(track, holder, offer, false);
        track.basis = self.step(track, to, Deed::Accept(offer), true);
        track.holder = to;
    }

    fn milestone(&mut self, track: &mut Track, deed: Deed, at: Place, time: Millis) {
        track.time = track.time.max(time);
        track.at = at;
        let holder = track.holder;
        self.step(track, holder, deed, true);
    }

    /// What came in to where the outbound unit is goes into it.
    fn consolidate(&mut self, outbound: &mut Track, came_in: &[Track]) {
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            came_in.iter().partition(|track| track.at == outbound.at);
        self.left_behind += elsewhere.len();
        if here.is_empty() {
            return;
        }
        let mut children: Vec<UnitId> = here.iter().map(|track| track.unit.clone()).collect();
        children.sort_unstable();
        outbound.last.extend(here.iter().flat_map(|track| &track.last));
        let holder = outbound.holder;
        self.step(outbound, holder, Deed::Aggregate(children), false);
    }

    /// Device and number are dealt once all steps are there.
    fn step(&mut self, track: &mut Track, role: Role, deed: Deed, milestone: bool) -> StepIndex {
        let at = StepIndex(self.steps.len());
        // A millisecond apart, so that the order of time is the order of events.
        track.time = track.time.plus(1);
        self.steps.push(Step {
            device: DeviceSlot { role, index: 0 },
            sequence: 0,
            unit: track.unit.clone(),
            time: track.time,
            place: track.at.clone(),
            deed,
            after: std::mem::replace(&mut track.last, vec![at]),
            milestone,
        });
        at
    }
}

/// A GLN of GS1's demonstration prefix for an anonymised airport.
fn place(code: PlaceCode) -> Result<Place, String> {
    Place::gln(&format!("95210000{:04}", code.0)).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::synthetic;

    #[test]
    fn a_plan_has_every_milestone_and_no_number_twice() {
        let traffic = synthetic::generate(3, 60);
        let plan = Plan::new(&traffic, T0).unwrap();
        assert_eq!(plan.milestones(), traffic.milestones());
        assert_eq!(plan.left_behind, 0);

        let mut last: BTreeMap<DeviceSlot, (u64, Millis)> = BTreeMap::new();
        for step in &plan.steps {
            let (sequence, time) = last.entry(step.device).or_insert((0, Millis(0)));
            assert_eq!(step.sequence, *sequence + 1, "numbers of a device ascend without a gap");
            assert!(step.time >= *time, "numbers follow the clock");
            (*sequence, *time) = (step.sequence, step.time);
        }
    }

    #[test]
    fn two_plans_of_one_traffic_are_the_same_and_of_another_share_no_unit() {
        let traffic = synthetic::generate(3, 20);
        let plan = Plan::new(&traffic, T0).unwrap();
        assert_eq!(plan.steps, Plan::new(&traffic, T0).unwrap().steps);
        let other = Plan::new(&synthetic::generate(4, 20), T0).unwrap();
        assert!(other.units.keys().all(|unit| !plan.units.contains_key(unit)));
    }
}
