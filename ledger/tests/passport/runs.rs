//! Random traffic of the model's kind: the passport of every unit tells what the ledger did.
//!
//! Runs are the same every time; `CONSIGN_TEST_SEED=N` gives others.

use std::collections::BTreeMap;

use consign_ledger::apply::apply;
use consign_ledger::passport::{Custodian, Flag, Verified, read, verify};
use consign_ledger::unit::{Custody, UnitState};
use consign_types::codec::Canonical as _;
use consign_types::digest::Digest;
use consign_types::time::Millis;
use consign_types::unit::UnitId;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::model::run::{Run, States, run};
use super::model::steps::steps;
use super::support::node::{Node, trust};

const RUNS: u32 = 100;

/// The unit itself and everything around it, innermost first.
fn line<'s>(states: &'s States, unit: &'s UnitId) -> Vec<(&'s UnitId, &'s UnitState)> {
    let mut line = vec![(unit, &states[unit])];
    while let Some(inside) = &line[line.len() - 1].1.inside {
        line.push((&inside.parent, &states[&inside.parent]));
    }
    line
}

fn custodian(states: &States, unit: &UnitId) -> Custodian {
    match &line(states, unit).pop().unwrap().1.custody {
        Custody::Held(by) | Custody::Offered { by, .. } => Custodian::Held(by.clone()),
        Custody::Contested { holder, claimant } => {
            Custodian::Contested { holder: holder.clone(), claimant: claimant.clone() }
        }
        Custody::Closed { by, .. } => Custodian::Closed(by.clone()),
    }
}

fn at(verified: &Verified, time: Millis) -> Option<Custodian> {
    let past = verified.custody.iter().take_while(|holding| holding.from <= time);
    past.last().map(|holding| holding.custodian.clone())
}

/// Whole states, counters as the model recounts them, and custody after every block of the past.
fn tells_what_happened(run: &Run, node: &Node, blocks: usize) -> (usize, usize) {
    let mut open = 0;
    let block = &run.blocks[blocks - 1];
    for (unit, state) in &block.ledger {
        let passport = node.passport(unit);
        let verified = read(&passport.to_bytes(), &trust()).unwrap_or_else(|bad| {
            panic!("{unit} after {blocks} blocks: {bad}");
        });
        assert_eq!(verified.state, *state);
        assert_eq!(verified.effective, block.recount[unit], "{unit}");
        let line = line(&block.ledger, unit);
        let around: Vec<_> = verified.around.iter().map(|(unit, state)| (unit, state)).collect();
        assert_eq!(around, line[1..]);
        // Ever, and where the file cannot tell.
        let states = run.blocks[..blocks].iter().map(|past| &past.ledger).chain([&block.ledger]);
        let contested = states
            .filter(|states| states.contains_key(unit))
            .any(|states| matches!(custodian(states, unit), Custodian::Contested { .. }));
        let unclear =
            verified.custody.iter().any(|holding| holding.custodian == Custodian::Undecided);
        let flags = verified.flags();
        assert_eq!(flags.contains(&Flag::Contested), contested || unclear, "{unit}");
        let damaged = line.iter().any(|(_, state)| state.damaged);
        assert_eq!(flags.contains(&Flag::Damaged), damaged);
        for past in &run.blocks[..blocks] {
            let expected = past.ledger.contains_key(unit).then(|| custodian(&past.ledger, unit));
            let (time, shown) = (past.context.time, at(&verified, past.context.time));
            let place = format!("{unit} at {time}, after {blocks} blocks");
            if shown == expected {
                continue;
            }
            // What the file cannot tell, it does not claim: of a container by its handovers, and whether a late
            // handover began a dispute.
            let told = past.ledger[unit].inside.is_none() && shown != Some(Custodian::Undecided);
            assert!(!told, "{place}: {shown:?} is not {expected:?}");
            open += 1;
            if shown != Some(Custodian::Undecided) {
                // The beginning of a dispute around it, where it left by a dispute of its own.
                let dispute = matches!(expected, Some(Custodian::Contested { .. }));
                let later = verified.custody.iter().any(|holding| {
                    holding.from > time && matches!(holding.custodian, Custodian::Contested { .. })
                });
                assert!(dispute && later, "{place}: {shown:?} is not {expected:?}");
                let (shown, expected) = (shown.unwrap(), expected.unwrap());
                assert_eq!(shown.party(), expected.party(), "{place}");
            }
        }
    }
    (block.ledger.len(), open)
}

fn each_run(name: &str, mut visit: impl FnMut(&Run)) {
    let seed: u64 = match std::env::var("CONSIGN_TEST_SEED") {
        Ok(text) => text.parse().expect("CONSIGN_TEST_SEED is a number"),
        Err(_) => 1,
    };
    println!("{name}: CONSIGN_TEST_SEED={seed}, {RUNS} runs");
    let bytes = Digest::of(&[&seed.to_be_bytes(), name.as_bytes()]).0;
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for _ in 0..RUNS {
        visit(&run(&steps(100..250).new_tree(&mut runner).unwrap().current()));
    }
}

#[test]
fn a_passport_tells_what_the_ledger_did() {
    let (mut passports, mut stays, mut open) = (0, 0, 0);
    each_run("passports", |run| {
        let (mut node, mut entries) = (Node::new(), run.genesis.clone());
        let mut done = 0;
        for block in &run.blocks {
            let outcome = apply(&entries, block.context, &block.events).unwrap();
            entries.absorb(&outcome);
            node.commit(&block.context, &block.events, &outcome);
            done += 1;
            if done % 16 == 0 || done == run.blocks.len() {
                let (told, left_open) = tells_what_happened(run, &node, done);
                (passports, open) = (passports + told, open + left_open);
            }
        }
        for unit in entries.units().keys() {
            stays += node.passport(unit).entered.iter().filter(|e| !e.begins.is_empty()).count();
        }
    });
    println!("{passports} passports, {stays} stays, {open} moments left open");
    assert!(passports > 1000 && stays > 500);
}

/// Any single event left out of any passport is missed.
#[test]
fn no_event_can_be_left_out() {
    let mut left_out: BTreeMap<usize, usize> = BTreeMap::new();
    each_run("left out", |run| {
        let (mut node, mut entries) = (Node::new(), run.genesis.clone());
        for block in &run.blocks {
            let outcome = apply(&entries, block.context, &block.events).unwrap();
            entries.absorb(&outcome);
            node.commit(&block.context, &block.events, &outcome);
        }
        for unit in entries.units().keys().take(4) {
            let passport = node.passport(unit);
            let verified = verify(&passport, &trust()).unwrap();
            for at in (0..passport.entered.len()).step_by(3) {
                let mut short = passport.clone();
                short.entered.remove(at);
                assert!(verify(&short, &trust()).is_err(), "{unit}, event {at}");
                *left_out.entry(verified.steps[at].depth).or_default() += 1;
            }
        }
    });
    println!("left out, by containers between: {left_out:?}");
    assert!(left_out.len() >= 3);
}
