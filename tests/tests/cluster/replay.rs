//! Freight traffic through the command line, as a user replays it: everything once, and the second time
//! nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use consign_cli::replay::plan::{Deed, Plan, Step, T0};
use consign_cli::replay::sign::party;
use consign_cli::replay::traffic;
use consign_tests::drill::Drill;
use consign_tests::drill::command::consign;
use consign_tests::drill::files::ServedLog;
use consign_types::event::{Kind, SignedEvent};
use serde_json::Value;

/// What the data's own README says: the inbound leg 1 of these two consolidations goes on from an airport
/// at which it never arrived, and no other leg does.
const BROKEN_CONSOLIDATIONS: [&str; 2] = ["1243", "1518"];

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_on_the_log_once_and_a_second_one_adds_nothing() {
    let drill = Drill::start().await;
    let units = 40;
    println!("seed 1");
    let plan = Plan::new(&traffic("synthetic", 1, Some(units)).expect("traffic"), T0);
    replayed_once(drill, &plan.expect("a plan"), &["synthetic", "--units", &units.to_string()])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cargo_2000_file_is_on_the_log_once_with_exactly_its_two_flagged_units() {
    let Some(file) = shared("cargo2000/c2k_part1.csv") else { return };
    let drill = Drill::start().await;
    let path = file.to_str().expect("a plain path");
    let plan = Plan::new(&traffic(path, 0, None).expect("the file"), T0).expect("a plan");
    let flagged = replayed_once(drill, &plan, &[path]).await;
    // Extension digit, prefix, data set, then the seven digits of the leg.
    let legs: Vec<&str> = flagged.iter().filter_map(|unit| unit.get(13..20)).collect();
    assert_eq!(legs, broken_legs(&file));
}

/// Replays twice, and holds the log against the plan; answers with the flagged units.
async fn replayed_once(mut drill: Drill, plan: &Plan, arguments: &[&str]) -> Vec<String> {
    let parties = drill.parties();
    let since = Instant::now();
    let first = replay(&drill, arguments).await;
    println!("{} events in {} s: {}", plan.steps.len(), since.elapsed().as_secs(), first);
    assert_eq!(first["submitted"], plan.steps.len());
    assert_eq!((&first["proven"], &first["duplicates"]), (&first["submitted"], &Value::from(0)));
    assert_eq!((first["refused"].as_u64(), first["dropped"].as_u64()), (Some(0), Some(0)));
    assert_eq!(first["milestonesProven"], plan.milestones());
    let broken: Vec<String> = plan.broken().map(ToString::to_string).collect();
    assert_eq!(first["flagged"], Value::from(broken.clone()));

    let size = drill.client(&parties[0]).status().await.expect("a status").size;
    let since = Instant::now();
    let second = replay(&drill, arguments).await;
    println!("again in {} s: {second}", since.elapsed().as_secs());
    assert_eq!((&second["proven"], &second["duplicates"]), (&Value::from(0), &first["submitted"]));
    assert_eq!(second["flagged"], first["flagged"]);
    assert_eq!(drill.client(&parties[0]).status().await.expect("a status").size, size);

    // What the figures say is what the log holds: each step of the plan, once.
    let url = &drill.home(&parties[3]).url;
    let log = ServedLog::read(url, drill.devnet().genesis()).await;
    let events = log.events();
    let replayed = events.iter().filter(|event| event.event().action.kind() != Kind::Enrol);
    let on_log: BTreeMap<_, u64> = counted(replayed.map(name_of));
    assert_eq!(on_log, counted(plan.steps.iter().map(name_in_plan)));
    assert!(on_log.values().all(|times| *times == 1), "a step has a name of its own");
    for event in &events {
        drill.note_proven(event);
    }
    drill.finish().await;
    broken
}

async fn replay(drill: &Drill, arguments: &[&str]) -> Value {
    let dir = drill.devnet().layout().root().to_str().expect("a plain path");
    let before = ["--output", "json", "--quiet", "replay", "c2k"];
    let ran = consign(before.iter().chain(arguments).chain(&["--dir", dir])).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).expect("figures")
}

/// Party, unit, kind and device time tell each step of a plan from every other.
type StepName = (String, String, Kind, u64);

fn name_of(signed: &SignedEvent) -> StepName {
    let event = signed.event();
    let (by, subject) = (event.signer.party().to_string(), event.subject.to_string());
    (by, subject, event.action.kind(), event.time.0)
}

fn name_in_plan(step: &Step) -> StepName {
    let kind = match step.deed {
        Deed::Register => Kind::Register,
        Deed::Offer { .. } => Kind::Offer,
        Deed::Accept(_) => Kind::Accept,
        Deed::Depart => Kind::Depart,
        Deed::Arrive => Kind::Arrive,
        Deed::Aggregate(_) => Kind::Aggregate,
    };
    (party(step.device.role).to_string(), step.unit.to_string(), kind, step.time.0)
}

fn counted<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

/// The legs that the README names, read from the file by nothing but their columns.
fn broken_legs(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("the file");
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let head = lines.next().expect("a head");
    let column = |name| head.iter().position(|column| *column == name).expect("a column");
    let (number, leg) = (column("nr"), column("i1_legid"));
    let rows = lines.filter(|row| BROKEN_CONSOLIDATIONS.contains(&row[number]));
    let mut legs: Vec<String> = rows.map(|row| format!("{:0>7}", row[leg])).collect();
    legs.sort_unstable();
    assert_eq!(legs.len(), BROKEN_CONSOLIDATIONS.len());
    legs
}

/// A shared data file; says loudly where it is missing.
fn shared(name: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let root = std::env::var_os("CONSIGN_SHARED").map_or_else(beside, PathBuf::from);
    let path = root.join("data").join(name);
    if path.is_file() {
        return Some(path);
    }
    println!("NOT RUN: {} is missing; set CONSIGN_SHARED", path.display());
    None
}
