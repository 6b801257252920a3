//! Seeded simulations of whole clusters of engines.
//!
//! A failure names its seed; the seed is the whole history.

mod sim;

use std::collections::BTreeMap;

use consign_consensus::Signing;
use sim::cluster::{Cluster, Plan};
use sim::disk::Lies;
use sim::judge::Violation;

/// Everything that a network and machines do, but no liar.
fn rough() -> Plan {
    Plan {
        loss_permille: 50,
        repeat_permille: 20,
        crashes: true,
        partitions: true,
        bad_blocks: true,
        ..Plan::default()
    }
}

/// As many seeds as the test takes by itself, or as `SIMULATION_SEEDS` says for a longer search.
fn seeds(from: u64, count: u64) -> std::ops::Range<u64> {
    let asked = std::env::var("SIMULATION_SEEDS").ok().and_then(|count| count.parse().ok());
    let from = if asked.is_some() { from * 1_000 } else { from };
    from..from + asked.unwrap_or(count)
}

/// Lets a cluster live through `plan`, then in calm; it must agree throughout and finish at the end.
fn check(seed: u64, mut cluster: Cluster) -> Cluster {
    cluster.run(40_000);
    cluster.calm();
    let before = cluster.tips();
    cluster.run(10_000);
    cluster.stop_submitting();
    cluster.run(30_000);
    assert_eq!(cluster.judge.violations, [], "seed {seed}");
    let after = cluster.tips();
    assert!(cluster.is_drained(), "seed {seed}: tips {before:?}, in calm {after:?}");
    assert!(before.iter().max() < after.iter().min(), "seed {seed}: {before:?} {after:?}");
    cluster
}

#[test]
fn a_calm_cluster_commits_every_event_and_then_is_silent() {
    for seed in seeds(0, 3) {
        let mut cluster = check(seed, Cluster::four(seed, Plan::default()));
        let (tips, messages) = (cluster.tips(), cluster.messages);
        cluster.run(60_000);
        assert_eq!((cluster.tips(), cluster.messages), (tips, messages), "seed {seed}");
    }
}

#[test]
fn four_validators_agree_through_loss_partitions_and_crashes() {
    let (mut crashes, mut seen) = (0, BTreeMap::new());
    for seed in seeds(100, 24) {
        let cluster = check(seed, Cluster::four(seed, rough()));
        crashes += cluster.crashes;
        for (effect, times) in cluster.judge.seen {
            *seen.entry(effect).or_default() += times;
        }
    }
    assert!(crashes > 300, "only {crashes} crashes: the plan is too mild to show anything");
    // What was never asked for was never tried. No honest cluster reports or halts.
    for effect in [
        "truncate",
        "append",
        "sync",
        "save",
        "send",
        "proposal",
        "re-proposal",
        "vote",
        "polka",
        "round certificate",
        "schedule",
        "cancel",
        "started",
        "build",
        "build of the record alone",
        "check",
        "fresh check",
        "fetch",
        "commit",
    ] {
        assert!(seen.get(effect).is_some_and(|times: &u64| *times >= 5), "{effect}: {seen:?}");
    }
}

#[test]
fn one_equivocator_among_four_splits_nothing_and_is_the_only_one_named() {
    let mut evidence = 0;
    for seed in seeds(200, 16) {
        let plan = Plan { equivocator: Some((seed % 4) as usize), ..rough() };
        evidence += check(seed, Cluster::four(seed, plan)).judge.evidence.len();
    }
    assert!(evidence > 50, "only {evidence} pieces of evidence");
}

#[test]
fn one_seed_is_one_history() {
    for seed in [1, 2, 3] {
        let plan = Plan { equivocator: Some(0), ..rough() };
        let trace = || {
            let mut cluster = Cluster::four(seed, plan.clone());
            cluster.run(20_000);
            cluster.trace()
        };
        assert_eq!(trace(), trace(), "seed {seed}");
    }
}

#[test]
fn a_set_of_one_commits_alone_through_crashes() {
    for seed in seeds(300, 10) {
        let plan = Plan { crashes: true, ..Plan::default() };
        check(seed, Cluster::new(seed, 1, &[(0, &[0])], plan));
    }
}

/// A validator leaves, another joins, and the rest change places.
#[test]
fn the_set_changes_at_its_height() {
    for seed in seeds(400, 6) {
        let sets: &[(u64, &[usize])] =
            &[(0, &[0, 1, 2, 3]), (12, &[4, 2, 0, 1]), (25, &[1, 4, 3, 0, 2])];
        let plan = Plan { bad_blocks: false, ..rough() };
        let cluster = check(seed, Cluster::new(seed, 5, sets, plan));
        assert!(cluster.tips().iter().all(|tip| *tip > 30), "seed {seed}: {:?}", cluster.tips());
    }
}

/// Tests the tests: where syncs are only claimed, crashes make honest validators sign twice, and the
/// checks say so.
#[test]
fn a_disk_that_does_not_sync_is_caught() {
    let double_sign = |seed: u64| {
        let lies = Lies { log: true, slots: true };
        let mut cluster = Cluster::four(seed, Plan { lies, ..rough() });
        cluster.run(40_000);
        let violations = cluster.judge.violations.iter();
        violations.filter(|v| matches!(v, Violation::DoubleSign { .. })).count() > 0
    };
    assert!((500..520).any(double_sign));
}

/// Where the log lies and the sign-state does not, the engine notices and stays silent instead.
#[test]
fn a_log_behind_its_sign_state_ends_in_quarantine_and_never_in_two_signatures() {
    let mut quarantined = 0;
    for seed in seeds(600, 12) {
        let lies = Lies { log: true, slots: false };
        let mut cluster = Cluster::four(seed, Plan { lies, ..rough() });
        cluster.run(40_000);
        let signed_twice = |v: &&Violation| !matches!(v, Violation::SpokenBeforeSync { .. });
        let violations: Vec<_> = cluster.judge.violations.iter().filter(signed_twice).collect();
        assert!(violations.is_empty(), "seed {seed}: {violations:?}");
        quarantined += cluster.quarantined;
    }
    assert!(quarantined > 5, "only {quarantined} quarantines");
}

/// A validator that lost its sign-state follows, and votes again once the network is past it.
#[test]
fn a_validator_without_its_sign_state_votes_again_later() {
    for seed in seeds(700, 3) {
        let mut cluster = Cluster::four(seed, Plan::default());
        cluster.run(5_000);
        cluster.crash(2, true);
        cluster.hosts[2].disk.forget_slots();
        cluster.start(2);
        cluster.run(100);
        let signing = |cluster: &Cluster| {
            cluster.hosts[2].engine.as_ref().map(|engine| engine.status().signing)
        };
        let found = signing(&cluster);
        assert!(matches!(found, Some(Signing::Quarantined { .. })), "seed {seed}: {found:?}");
        cluster.run(30_000);
        assert_eq!(signing(&cluster), Some(Signing::Allowed), "seed {seed}");
        check(seed, cluster);
    }
}

/// A machine is set back to a copy of its disk that is some seconds old. What others heard of its key, and what
/// stands in the certificates that it catches up by, tell it that it signed more than it knows.
#[test]
fn a_validator_set_back_to_an_old_copy_of_its_disk_never_signs_twice() {
    let mut quarantined = 0;
    for seed in seeds(800, 12) {
        let plan = Plan { loss_permille: 50, repeat_permille: 20, ..Plan::default() };
        let mut cluster = Cluster::four(seed, plan);
        cluster.run(2_000 + 37 * (seed % 100));
        let copy = cluster.hosts[2].disk.clone();
        cluster.run(50 + 61 * (seed % 40));
        cluster.crash(2, false);
        cluster.hosts[2].disk = copy;
        cluster.start(2);
        cluster.run(100);
        quarantined += cluster.quarantined;
        check(seed, cluster);
    }
    assert!(quarantined > 6, "only {quarantined} quarantines");
}
