//! The replay against the custody rules: every event of a plan is admitted, and exactly the units that
//! depart from where they did not arrive are flagged.
//!
//! Runs the ledger's own rules in memory, block by block; no node, no network.

mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;

use consign_cli::replay::plan::{Plan, Role, StepIndex, T0};
use consign_cli::replay::schedule::Schedule;
use consign_cli::replay::shipment::Traffic;
use consign_cli::replay::sign::sign;
use consign_cli::replay::{c2k, synthetic};
use consign_types::event::SignedEvent;
use consign_types::unit::UnitId;
use support::{Ledger, devices};

const EVENTS_OF_A_BLOCK: usize = 700;

/// The whole published file, where it is at hand: 28,156 milestones, two breaks in place.
#[test]
fn the_rules_admit_every_event_of_the_cargo_2000_file_and_flag_its_two_breaks() {
    let Some(file) = shared("cargo2000/c2k_part1.csv") else { return };
    let traffic = c2k::load(&file).unwrap();
    assert_eq!(traffic.shipments.len(), 1_999);
    assert_eq!(traffic.milestones(), 28_156);
    let broken: Vec<u32> = traffic
        .shipments
        .iter()
        .filter(|s| s.legs().any(|l| l.breaks() > 0))
        .map(|s| s.number)
        .collect();
    assert_eq!(broken, [1243, 1518]);

    let plan = Plan::new(&traffic, T0).unwrap();
    assert_eq!(plan.milestones(), 28_156);
    assert_eq!(plan.left_behind, 0);
    let order = (0..plan.steps.len()).map(StepIndex).collect::<Vec<_>>();
    let flagged = replay(&traffic, &plan, &order);
    let expected: BTreeSet<UnitId> = traffic
        .shipments
        .iter()
        .filter(|shipment| [1243, 1518].contains(&shipment.number))
        .flat_map(|shipment| plan.units.keys().filter(|unit| is_leg(unit, shipment.inbound[0].id)))
        .cloned()
        .collect();
    assert_eq!(flagged, expected);
    assert_eq!(flagged.len(), 2);
}

/// Steps settle in an order drawn from a seed, as they do on a network with four nodes.
#[test]
fn the_rules_admit_a_synthetic_day_in_every_order_that_the_schedule_allows() {
    for mut seed in [1_u64, 2, 3] {
        println!("seed {seed}");
        let traffic = synthetic::generate(seed, 80);
        let plan = Plan::new(&traffic, T0).unwrap();
        let mut schedule = Schedule::new(&plan.steps);
        let mut order = Vec::new();
        let mut open = Vec::new();
        while schedule.left() > 0 {
            open.extend(Role::ALL.into_iter().flat_map(|role| schedule.take(role, 100)));
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let step = open.swap_remove((seed >> 33) as usize % open.len());
            schedule.settle(step);
            order.push(step);
        }
        let flagged = replay(&traffic, &plan, &order);
        assert_eq!(flagged, plan.broken().cloned().collect());
        assert!(!flagged.is_empty());
    }
}

/// The second replay of one traffic is the first one again: nothing is left to be added.
#[test]
fn a_second_replay_of_one_traffic_makes_the_same_events() {
    let traffic = synthetic::generate(9, 30);
    let ledger = Ledger::with_devices();
    let ids = || {
        let plan = Plan::new(&traffic, T0).unwrap();
        let events = sign(&plan, ledger.genesis.network(), &devices()).unwrap();
        events.iter().map(SignedEvent::id).collect::<Vec<_>>()
    };
    let first = ids();
    assert_eq!(first, ids());
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), first.len());
}

/// Executes the plan in `order`; answers with the units that are flagged.
fn replay(traffic: &Traffic, plan: &Plan, order: &[StepIndex]) -> BTreeSet<UnitId> {
    println!("replay of {}: {} events", traffic.name, plan.steps.len());
    let mut ledger = Ledger::with_devices();
    let events = sign(plan, ledger.genesis.network(), &devices()).unwrap();
    for block in order.chunks(EVENTS_OF_A_BLOCK) {
        let block: Vec<_> = block.iter().map(|step| &events[step.0]).collect();
        for (event, admitted) in block.iter().zip(ledger.block(&block)) {
            assert_eq!(admitted, Ok(()), "{:?}", event.event());
        }
    }
    let flagged = |id: &&UnitId| {
        let unit = ledger.unit(id).expect("every unit is registered");
        unit.counters.discontinuities > 0
    };
    plan.units.keys().filter(flagged).cloned().collect()
}

fn is_leg(unit: &UnitId, leg: u32) -> bool {
    // 00/, extension digit and prefix, data set, leg, check digit.
    unit.as_str().get(13..20) == Some(format!("{leg:07}").as_str())
}

/// A shared data file; says loudly where it is missing.
fn shared(name: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let root = std::env::var_os("CONSIGN_SHARED")
        .map_or_else(beside, |root| PathBuf::from(root).join("data"));
    let path = root.join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("NOT RUN: {} is missing; set CONSIGN_SHARED", path.display());
    None
}
