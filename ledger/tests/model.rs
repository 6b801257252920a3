//! The ledger against an independent model of the design's custody rules.
//!
//! Random traffic of four parties over twelve nested units goes to both. First the verdicts and whole
//! entries are compared; then properties are read off the ledger's own states, without the model, so that
//! an error that both share is still noticed.
//!
//! Runs are the same every time. `CONSIGN_TEST_SEED=N` gives others; each test prints the seed that it used.

#[path = "model/mod.rs"]
mod model;
mod support;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use consign_ledger::apply::{BlockContext, Named, apply};
use consign_ledger::unit::{Closed, Counters, Custody, Proposal, Seal, UnitState};
use consign_types::block::LeafIndex;
use consign_types::digest::Digest;
use consign_types::event::{Action, Kind, Verified};
use consign_types::limits::DEPTH_MAX;
use consign_types::party::{PartyId, SignerId};
use consign_types::unit::UnitId;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use proptest::{prop_assert, prop_assert_eq};

use model::run::{Run, States, Transition, run};
use model::steps::steps;

type Checked = Result<(), TestCaseError>;

/// Tries `property` on random runs, and shows the shortest traffic that breaks it.
fn check(name: &str, cases: u32, property: impl Fn(&Run) -> Checked) {
    let seed: u64 = match std::env::var("CONSIGN_TEST_SEED") {
        Ok(text) => text.parse().expect("CONSIGN_TEST_SEED is a number"),
        Err(_) => 1,
    };
    println!("{name}: CONSIGN_TEST_SEED={seed}, {cases} runs");
    let bytes = Digest::of(&[&seed.to_be_bytes(), name.as_bytes()]).0;
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 3000,
        source_file: None,
        ..Config::default()
    };
    let outcome =
        TestRunner::new_with_rng(config, rng).run(&steps(1..220), |steps| property(&run(&steps)));
    if let Err(error) = outcome {
        panic!("seed {seed}: {error}");
    }
}

/// A property of every accepted event, given all units before and after it.
fn check_each(name: &str, property: impl Fn(&Transition<'_>) -> Checked) {
    check(name, 80, |run| {
        let mut verdict = Ok(());
        run.replay(|transition| {
            if verdict.is_ok() {
                verdict = property(transition);
            }
        });
        verdict
    });
}

#[test]
fn the_ledger_accepts_exactly_what_the_model_accepts() {
    let accepted = RefCell::new(BTreeMap::new());
    let refused = RefCell::new(BTreeMap::new());
    let deepest = RefCell::new(0);
    check("verdicts", 400, |run| {
        for attempt in run.attempts() {
            let (kind, ledger) = (attempt.event.event().action.kind(), attempt.ledger.is_ok());
            let event = attempt.event.event();
            prop_assert_eq!(
                ledger,
                attempt.model.is_ok(),
                "the ledger says {:?}, the model {:?} of {} by {} about {}",
                attempt.ledger,
                attempt.model,
                kind,
                event.signer,
                event.subject
            );
            match &attempt.ledger {
                Ok(()) => *accepted.borrow_mut().entry(kind.as_str()).or_insert(0) += 1,
                Err(refusal) => *refused.borrow_mut().entry(refusal.code()).or_insert(0) += 1,
            }
        }
        let depth = run.model.units.keys().map(|unit| run.model.around(unit).len()).max();
        let mut deepest = deepest.borrow_mut();
        *deepest = depth.unwrap_or(0).max(*deepest);
        Ok(())
    });
    let (accepted, refused) = (accepted.into_inner(), refused.into_inner());
    println!("accepted: {accepted:?}\nrefused: {refused:?}");
    // The traffic is no good where it does not reach every row and the bounds.
    // Proposals and ballots touch no unit; `rules/govern.rs` plays them.
    let of_units = |kind: &&Kind| !matches!(kind, Kind::Propose | Kind::Ballot);
    assert_eq!(accepted.len(), Kind::ALL.iter().filter(of_units).count(), "{accepted:?}");
    assert!(accepted.values().all(|count: &i32| *count >= 20), "{accepted:?}");
    assert!(refused.len() >= 35, "only {} codes: {refused:?}", refused.len());
    assert_eq!(deepest.into_inner(), DEPTH_MAX);
}

/// Counters, anchors, heads, counts of what is blocked inside: each entry to its last field.
#[test]
fn every_entry_is_what_the_model_tells_of_the_unit() {
    check("entries", 200, |run| {
        for block in run.blocks.iter().take_while(|_| run.agrees()) {
            for (unit, expected) in &block.model {
                prop_assert_eq!(block.ledger.get(unit), Some(expected), "unit {}", unit);
            }
            prop_assert_eq!(block.ledger.len(), block.model.len());
        }
        Ok(())
    });
}

/// What happened to the unit and to what it was in, while it was in it.
#[test]
fn effective_counters_are_what_a_recount_of_history_gives() {
    let (nested, grown) = (RefCell::new(0), RefCell::new(0));
    check("counters", 150, |run| {
        for block in run.blocks.iter().take_while(|_| run.agrees()) {
            for (unit, recount) in &block.recount {
                let state = &block.ledger[unit];
                prop_assert_eq!(effective(&block.ledger, state), *recount, "unit {}", unit);
                *nested.borrow_mut() += i32::from(state.inside.is_some());
                *grown.borrow_mut() += i32::from(state.counters != *recount);
            }
        }
        Ok(())
    });
    println!("nested: {nested:?}, with counts of containers: {grown:?}");
    assert!(*grown.borrow() > 300, "containers hardly counted: {grown:?}");
}

/// `effective(u) = own(u) + (inside p ? effective(p) - anchor(u) : 0)`.
fn effective(states: &States, state: &UnitState) -> Counters {
    match &state.inside {
        None => state.counters,
        Some(inside) => {
            let around = effective(states, &states[&inside.parent]);
            state.counters.plus(around.minus(inside.anchor))
        }
    }
}

/// The units around one, innermost first; gives up beyond any bound.
fn around(states: &States, unit: &UnitId) -> Vec<UnitId> {
    let mut around = Vec::new();
    let mut inner = unit.clone();
    while let Some(inside) = &states[&inner].inside {
        inner = inside.parent.clone();
        around.push(inner.clone());
        assert!(around.len() <= states.len(), "a cycle around {unit}");
    }
    around
}

fn root(states: &States, unit: &UnitId) -> UnitId {
    around(states, unit).pop().unwrap_or_else(|| unit.clone())
}

/// Who has a unit, by the entry of the outermost unit around it.
fn holder(states: &States, unit: &UnitId) -> PartyId {
    states[&root(states, unit)].holder().clone()
}

#[test]
fn a_unit_has_one_holder_and_it_changes_only_by_two_signatures() {
    check_each("custody", |t| {
        for unit in t.before.keys() {
            let (from, to) = (holder(t.before, unit), holder(&t.after, unit));
            if from == to {
                continue;
            }
            let moved = root(t.before, unit);
            match &t.event.event().action {
                Action::Accept { offer, .. } => {
                    let taker = t.event.event().signer.party();
                    prop_assert_eq!(taker, &to);
                    let is_offered = matches!(&t.before[&moved].custody,
                        Custody::Offered { by, to: taken, offer: open, .. }
                            if by == &from && taken == &to && open == offer);
                    prop_assert!(is_offered, "{} moved without an offer to {}", unit, to);
                }
                Action::Handover { offer, acceptance } => {
                    let Action::Offer { to: named, .. } = &offer.event().action else {
                        return Err(TestCaseError::fail("a handover without an offer"));
                    };
                    let Action::Accept { offer: signed, .. } = &acceptance.event().action else {
                        return Err(TestCaseError::fail("a handover without an acceptance"));
                    };
                    prop_assert_eq!(offer.event().signer.party(), &from);
                    prop_assert_eq!((named, acceptance.event().signer.party()), (&to, &to));
                    prop_assert_eq!(signed, &offer.id());
                    prop_assert_eq!(offer.event().subject.unit(), Some(&moved));
                    prop_assert_eq!(acceptance.event().subject.unit(), Some(&moved));
                }
                Action::Found => {
                    prop_assert_eq!(t.event.event().signer.party(), &to);
                    prop_assert_eq!(&t.before[&moved].owner, &to);
                    let was_lost = matches!(
                        &t.before[&moved].custody,
                        Custody::Closed { why: Closed::Lost, .. }
                    );
                    prop_assert!(was_lost, "{} was found and not lost", unit);
                }
                // What others agreed to: the one proposed, by all who were asked.
                Action::Consent { proposal } => {
                    let signer = t.event.event().signer.party();
                    let before = &t.before[&moved];
                    let waiting = before.pending.iter().find(|p| p.event == *proposal).unwrap();
                    prop_assert_eq!(&waiting.open, &vec![signer.clone()], "all the others did");
                    let named = match &waiting.what {
                        Proposal::Resolve { holder } => holder,
                        _ => &waiting.by,
                    };
                    prop_assert_eq!(named, &to);
                }
                // Of what was delivered, by its owner.
                Action::Return { .. } => {
                    let before = &t.before[&moved];
                    let delivered =
                        matches!(&before.custody, Custody::Closed { why: Closed::Delivered, .. });
                    prop_assert!(delivered && before.owner == to, "{} was taken back", unit);
                }
                other => {
                    let kind = other.kind();
                    return Err(TestCaseError::fail(format!("{kind} moved {unit} from {from}")));
                }
            }
        }
        Ok(())
    });
}

#[test]
fn a_basis_changes_only_with_the_title() {
    check_each("basis", |t| {
        for (unit, before) in t.before {
            let after = &t.after[unit];
            if before.basis != after.basis {
                let spent = after.spent.as_ref().expect("the earlier basis is kept");
                prop_assert_eq!(spent.basis, before.basis);
                prop_assert_eq!(spent.at, t.context.time);
                let new_title = match &t.event.event().action {
                    Action::Accept { .. } | Action::Return { .. } | Action::Found => true,
                    Action::Disaggregate { children } => children.contains(unit),
                    Action::Handover { acceptance, .. } => acceptance.id() == after.basis,
                    Action::Consent { proposal } => *proposal == after.basis,
                    _ => false,
                };
                prop_assert!(new_title, "{} got a new basis", unit);
            }
        }
        Ok(())
    });
}

#[test]
fn containment_is_a_forest_of_bounded_depth() {
    check_each("forest", |t| {
        for (unit, state) in &t.after {
            let around = around(&t.after, unit);
            prop_assert!(around.len() <= DEPTH_MAX);
            prop_assert!(!around.contains(unit));
            let mut children = [0; DEPTH_MAX];
            let inside = |(_, s): &(&UnitId, &UnitState)| {
                s.inside.as_ref().is_some_and(|i| i.parent == *unit)
            };
            for (_, child) in t.after.iter().filter(inside) {
                children[child.height()] += 1;
            }
            prop_assert_eq!(state.children, children, "children of {}", unit);
        }
        Ok(())
    });
}

#[test]
fn nothing_enters_or_leaves_a_sealed_unit_but_what_is_disputed() {
    let ejections = RefCell::new(0);
    check_each("sealed", |t| {
        for unit in t.before.keys() {
            let (before, after) = (around(t.before, unit), around(&t.after, unit));
            if before == after {
                continue;
            }
            let is_sealed = before
                .iter()
                .chain(&after)
                .filter(|container| before.contains(container) != after.contains(container))
                .any(|container| t.before[container].is_sealed());
            // The disputed unit leaves; what is in it goes with it.
            let own_root = root(&t.after, unit);
            let disputed = matches!(t.after[&own_root].custody, Custody::Contested { .. })
                && matches!(t.event.event().action, Action::Handover { .. })
                && t.event.event().subject.unit() == Some(&own_root);
            prop_assert!(!is_sealed || disputed, "{} left or entered a sealed unit", unit);
            *ejections.borrow_mut() += i32::from(is_sealed);
        }
        Ok(())
    });
    println!("ejected from sealed units: {ejections:?}");
    assert!(*ejections.borrow() > 5, "hardly any ejection: {ejections:?}");
}

#[test]
fn a_seal_id_is_used_once() {
    check("seals", 80, |run| {
        let mut used = BTreeSet::new();
        for event in run.blocks.iter().flat_map(|block| &block.events) {
            if let Action::SealApply { ids } = &event.event().action {
                for id in ids {
                    prop_assert!(used.insert(id.clone()), "{} was used twice", id);
                }
            }
        }
        prop_assert_eq!(run.entries.seals(), used.len());
        for state in run.entries.units().values() {
            if let Seal::Sealed(ids) = &state.seal {
                prop_assert!(ids.iter().all(|id| used.contains(id)));
            }
        }
        Ok(())
    });
}

#[test]
fn blocked_inside_counts_what_is_stopped_in_a_unit() {
    let blocked = RefCell::new(0);
    check_each("blocked", |t| {
        let mut counts: BTreeMap<UnitId, u32> = BTreeMap::new();
        for (unit, state) in &t.after {
            let disputed = matches!(state.custody, Custody::Contested { .. });
            for container in around(&t.after, unit) {
                *counts.entry(container).or_default() +=
                    state.holds.len() as u32 + u32::from(disputed);
            }
        }
        for (unit, state) in &t.after {
            let count = counts.get(unit).copied().unwrap_or(0);
            prop_assert_eq!(state.blocked_inside, count, "inside of {}", unit);
            *blocked.borrow_mut() += i32::from(count > 0);
        }
        Ok(())
    });
    assert!(*blocked.borrow() > 50, "hardly anything was blocked: {blocked:?}");
}

/// A closed unit, and what was in it, stays where it is; what comes late is a record without effect.
#[test]
fn terminal_stays_terminal() {
    let (closed, late) = (RefCell::new(0), RefCell::new(0));
    check_each("terminal", |t| {
        for (unit, before) in t.before {
            let own_root = root(t.before, unit);
            if !matches!(t.before[&own_root].custody, Custody::Closed { .. }) {
                continue;
            }
            let after = &t.after[unit];
            let found = t.event.event().action == Action::Found
                && t.event.event().subject.unit() == Some(&own_root);
            // What was delivered comes back, with its owner's will.
            let returned = t.event.event().subject.unit() == Some(&own_root)
                && matches!(
                    t.before[&own_root].custody,
                    Custody::Closed { why: Closed::Delivered, .. }
                )
                && matches!(t.event.event().action, Action::Return { .. } | Action::Consent { .. })
                && matches!(t.after[&own_root].custody, Custody::Held(_));
            if found || returned {
                continue;
            }
            *closed.borrow_mut() += 1;
            *late.borrow_mut() += i32::from(before.events != after.events);
            let unchanged = UnitState {
                head: after.head,
                events: after.events,
                pending: after.pending.clone(),
                ..before.clone()
            };
            prop_assert_eq!(after, &unchanged, "{} is in a closed unit", unit);
        }
        Ok(())
    });
    println!("looked at {closed:?} closed units, {late:?} late records");
    assert!(*closed.borrow() > 50 && *late.borrow() > 0);
}

/// What is inside of it may be contested in its turn, and leaves.
#[test]
fn a_contested_unit_stays_contested_until_all_consent_to_an_end() {
    let ends = RefCell::new(0);
    check_each("contested", |t| {
        for (unit, before) in t.before {
            if matches!(before.custody, Custody::Contested { .. }) {
                let after = &t.after[unit];
                if let (Action::Consent { proposal }, Custody::Held(holder)) =
                    (&t.event.event().action, &after.custody)
                {
                    prop_assert_eq!(proposal, &after.basis);
                    let waiting = before.pending.iter().find(|p| p.event == *proposal).unwrap();
                    let what = Proposal::Resolve { holder: holder.clone() };
                    prop_assert_eq!(&waiting.what, &what);
                    *ends.borrow_mut() += 1;
                    continue;
                }
                prop_assert_eq!(&after.custody, &before.custody);
                prop_assert_eq!(&after.basis, &before.basis);
                prop_assert_eq!(&after.journey, &before.journey);
                prop_assert_eq!(&after.inside, &None);
            }
        }
        Ok(())
    });
    println!("disputes that ended: {ends:?}");
    assert!(*ends.borrow() > 5, "hardly any dispute ended: {ends:?}");
}

#[test]
fn each_sequence_number_is_used_once() {
    check("sequence", 80, |run| {
        let mut used: BTreeMap<SignerId, BTreeSet<u64>> = BTreeMap::new();
        for event in run.blocks.iter().flat_map(|block| &block.events) {
            let mut events = vec![event.clone()];
            if let Some((offer, acceptance)) = event.inner() {
                // An offer that came on the log by itself used its number there.
                let on_log = |logged: &&Verified| logged.signed().id() == offer.signed().id();
                let known = run.blocks.iter().flat_map(|b| &b.events).any(|e| on_log(&e));
                events.extend((!known).then_some(offer));
                events.push(acceptance);
            }
            for event in &events {
                let (signer, number) = (&event.event().signer, event.event().sequence);
                let fresh = used.entry(signer.clone()).or_default().insert(number);
                prop_assert!(fresh, "number {} of {} twice", number, signer);
            }
        }
        Ok(())
    });
}

/// Only heads may differ, which cover the leaf index.
#[test]
fn one_block_or_many_give_the_same_states() {
    check("blocks", 80, |run| {
        let apart = run.replay(|_| ()).units();
        // The leaf indices were kept, so not even heads differ.
        prop_assert_eq!(&apart, &run.entries.units());
        let mut entries = run.genesis.clone();
        let mut leaf = 2;
        for block in &run.blocks {
            for event in &block.events {
                let context = BlockContext { first_leaf: LeafIndex(leaf), ..block.context };
                let outcome = apply(&entries, context, std::slice::from_ref(event));
                entries.absorb(&outcome.map_err(|e| TestCaseError::fail(format!("{e:?}")))?);
                leaf += 2;
            }
        }
        prop_assert_eq!(without_heads(entries.units()), without_heads(run.entries.units()));
        Ok(())
    });
}

fn without_heads(mut states: States) -> States {
    states.values_mut().for_each(|state| state.head = Digest::ZERO);
    states
}

#[test]
fn the_same_block_on_the_same_state_writes_the_same() {
    check("determinism", 60, |run| {
        let mut entries = run.genesis.clone();
        for block in &run.blocks {
            let outcomes = [(); 2].map(|()| apply(&entries, block.context, &block.events).unwrap());
            prop_assert_eq!(outcomes[0].writes(), outcomes[1].writes());
            prop_assert_eq!(outcomes[0].named(), outcomes[1].named());
            entries.absorb(&outcomes[0]);
            prop_assert_eq!(&entries.units(), &block.ledger);
        }
        Ok(())
    });
}

#[test]
fn positions_in_histories_are_without_gaps() {
    check("positions", 60, |run| {
        let mut lengths: BTreeMap<UnitId, u64> = BTreeMap::new();
        let mut entries = run.genesis.clone();
        for block in &run.blocks {
            let outcome = apply(&entries, block.context, &block.events).unwrap();
            prop_assert_eq!(outcome.named().len(), block.events.len());
            for Named { unit, position, .. } in outcome.named().iter().flatten() {
                let length = lengths.entry(unit.clone()).or_default();
                prop_assert_eq!(*position, *length, "of {}", unit);
                *length += 1;
            }
            entries.absorb(&outcome);
        }
        for (unit, state) in run.entries.units() {
            prop_assert_eq!(state.events, lengths[&unit]);
        }
        Ok(())
    });
}

#[test]
fn the_door_admits_in_order_exactly_what_a_block_takes() {
    check("door", 80, |run| {
        for attempt in run.attempts() {
            match (&attempt.door, &attempt.ledger) {
                (Ok(()), Ok(())) => {}
                (Err(refusal), Err(rejection)) => {
                    let said = match refusal {
                        consign_ledger::door::Refusal::UnknownReference(said) => said,
                        consign_ledger::door::Refusal::Rule { rejection: said, .. } => said,
                    };
                    prop_assert_eq!(said, rejection);
                }
                (door, block) => {
                    let why = format!("the door says {door:?}, the block {block:?}");
                    return Err(TestCaseError::fail(why));
                }
            }
        }
        Ok(())
    });
}
