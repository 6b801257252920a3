//! One validator's key, set back in time or in two places: whatever happens, nothing is ever signed twice.
//!
//! The validator logs each proposal and vote that leaves it, in all its lives; a place (height, round, step) with
//! two of them fails the drill, whether or not another node noticed. `CONSIGN_ROUNDS` says how often each
//! drill goes round; `make drill` goes round often.

use std::fs;

use consign_tests::drill::Drill;
use consign_tests::drill::twin::{Signed, Twin, copy_dir, signed};
use consign_types::party::PartyId;

const HELD: &str = "another process has this validator's key, or had it until just now; this node votes once that \
                    one has been stopped for 12 s, and it should be stopped if it is not yours";
const OUTDATED: &str = "others hold a later signature of this key than its sign-state knows";

fn rounds() -> usize {
    std::env::var("CONSIGN_ROUNDS").ok().and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// Four nodes; the third one's votes are recorded.
async fn recorded() -> (Drill, PartyId, Vec<PartyId>) {
    let drill = Drill::start().await;
    let mut others = drill.parties();
    let party = others.remove(2);
    drill.stop(&party);
    drill.record_votes(&party);
    drill.restart(&party);
    drill.until("the third votes", || drill.votes(&party)).await;
    (drill, party, others)
}

/// Has all of `parties` hand in events for some heights, and then for one more that is not waited for.
async fn work(drill: &mut Drill, parties: &[PartyId]) {
    for _ in 0..5 {
        drill.load(parties, 2).await;
        drill.until_all_proven(&parties[0]).await;
    }
    drill.load(parties, 5).await;
}

/// Decides heights until the node has no doubt any more. One that has signed nothing since its last doubt
/// doubts again when it is restarted.
async fn until_it_votes(drill: &mut Drill, party: &PartyId, others: &[PartyId]) {
    while !drill.votes(party).await {
        drill.load(&others[..1], 1).await;
        drill.until_all_proven(&others[0]).await;
    }
}

/// Decides heights until it is the third that proposes first at the next one; answers the last one. Who does goes
/// round by height, in the order of the set.
async fn until_its_turn(drill: &mut Drill, party: &PartyId, others: &[PartyId]) -> u64 {
    let parties = drill.parties();
    let turn = parties.iter().position(|of| of == party).expect("it is one of them") as u64;
    loop {
        drill.until_all_proven(party).await;
        let tip = drill.height(party).await.expect("it answers");
        if (tip + 1) % parties.len() as u64 == turn {
            return tip;
        }
        drill.load(&others[..1], 1).await;
    }
}

fn assert_once(signed: &Signed, round: usize) {
    let twice: Vec<_> = signed.iter().filter(|(_, digests)| digests.len() > 1).collect();
    assert!(twice.is_empty(), "round {round}: signed twice: {twice:?}");
}

async fn finish(mut drill: Drill, party: &PartyId) {
    let all = drill.parties();
    work(&mut drill, &all).await;
    let signed = signed(&drill.home(party).log);
    println!("{party} signed {} statements, none of them against another", signed.len());
    // Those of the last work alone are more, however slow the machine is.
    assert!(signed.len() > 5, "only {} places", signed.len());
    assert_eq!(drill.evidence_count().await, 0);
    drill.finish().await;
}

/// Its whole directory is set back to a copy made before it signed more.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_restored_from_an_old_backup_never_signs_twice() {
    let (mut drill, party, others) = recorded().await;
    let all = drill.parties();
    let copy = tempfile::tempdir().expect("a directory");
    for round in 0..rounds() {
        drill.stop(&party);
        let (data, kept) = (drill.data(&party), copy.path().join(round.to_string()));
        copy_dir(&data, &kept);
        drill.restart(&party);
        until_it_votes(&mut drill, &party, &others).await;
        work(&mut drill, &all).await;
        drill.kill(&party);
        fs::remove_dir_all(&data).expect("it can be removed");
        copy_dir(&kept, &data);
        drill.restart(&party);
        drill.load(&others, 10).await;
        let why = drill.until_quarantined(&party).await;
        assert!(why == HELD || why.starts_with(OUTDATED), "round {round}: {why}");
        until_it_votes(&mut drill, &party, &others).await;
        assert_once(&signed(&drill.home(&party).log), round);
        fs::remove_dir_all(&kept).expect("it can be removed");
    }
    finish(drill, &party).await;
}

/// All are cut off while a height is open, and it alone comes back from a copy made before. What the others
/// heard of it is on their disks, and the height can only be decided with it: it must not vote there.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_restored_while_all_were_down_never_signs_twice() {
    let (mut drill, party, others) = recorded().await;
    let all = drill.parties();
    let copy = tempfile::tempdir().expect("a directory");
    for round in 0..rounds() {
        drill.stop(&party);
        let (data, kept) = (drill.data(&party), copy.path().join(round.to_string()));
        copy_dir(&data, &kept);
        drill.restart(&party);
        until_it_votes(&mut drill, &party, &others).await;
        work(&mut drill, &all).await;
        let tip = until_its_turn(&mut drill, &party, &others).await;
        // The two that are left decide nothing, and the proposal reaches the other one of them.
        drill.kill(&others[1]);
        drill.kill(&others[2]);
        drill.load(&others[..1], 1).await;
        let proposed = || async {
            let signed = signed(&drill.home(&party).log);
            signed.keys().any(|(height, _, step)| *height > tip && step == "Propose")
        };
        drill.until("it has proposed at the open height", proposed).await;
        drill.kill(&party);
        drill.kill(&others[0]);
        fs::remove_dir_all(&data).expect("it can be removed");
        copy_dir(&kept, &data);
        for node in [&others[0], &others[1], &party] {
            drill.restart(node);
        }
        let outdated = || async {
            let doubt = drill.quarantine(&party).await;
            doubt.is_some_and(|why| why.starts_with(OUTDATED)) || drill.votes(&party).await
        };
        drill.until("it has heard of its former life, or votes", outdated).await;
        drill.restart(&others[2]);
        drill.until_all_proven(&others[0]).await;
        until_it_votes(&mut drill, &party, &others).await;
        assert_once(&signed(&drill.home(&party).log), round);
        fs::remove_dir_all(&kept).expect("it can be removed");
    }
    finish(drill, &party).await;
}

/// Its sign-state is an old one, and the log that could tell is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_an_old_sign_state_never_signs_twice() {
    let (mut drill, party, others) = recorded().await;
    let all = drill.parties();
    let state = drill.data(&party).join("sign-state");
    for round in 0..rounds() {
        let old = fs::read(&state).expect("a sign-state");
        work(&mut drill, &all).await;
        drill.kill(&party);
        fs::write(&state, &old).expect("it can be written");
        fs::remove_file(state.with_file_name("consensus.log")).expect("it can be removed");
        drill.restart(&party);
        let why = drill.until_quarantined(&party).await;
        assert!(why.starts_with(OUTDATED), "round {round}: {why}");
        until_it_votes(&mut drill, &party, &others).await;
        assert_once(&signed(&drill.home(&party).log), round);
    }
    finish(drill, &party).await;
}

/// Its log is gone, in the middle of work.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_log_was_deleted_never_signs_twice() {
    let (mut drill, party, others) = recorded().await;
    let all = drill.parties();
    for round in 0..rounds() {
        work(&mut drill, &all).await;
        drill.kill(&party);
        let log = drill.data(&party).join("consensus.log");
        fs::remove_file(log).expect("it can be removed");
        drill.restart(&party);
        drill.load(&others, 10).await;
        drill.until_all_proven(&others[0]).await;
        until_it_votes(&mut drill, &party, &others).await;
        assert_once(&signed(&drill.home(&party).log), round);
    }
    finish(drill, &party).await;
}

/// A copy of it runs at the same time. The copy waits, says why, and takes over only once the original is gone;
/// and then the original is the one that has to wait, and to learn what was signed meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_with_one_key_never_sign_both() {
    let (mut drill, party, others) = recorded().await;
    let all = drill.parties();
    for round in 0..rounds() {
        drill.stop(&party);
        let twin = Twin::of(&drill, &party);
        drill.restart(&party);
        until_it_votes(&mut drill, &party, &others).await;
        twin.start();
        drill.until("the twin waits", || async { twin.quarantine().await.is_some() }).await;
        assert_eq!(twin.quarantine().await.as_deref(), Some(HELD), "round {round}");
        work(&mut drill, &all).await;
        assert_eq!(signed(&twin.home().log), Signed::new(), "round {round}: the twin signed");
        // What the others send may go to the twin for a while, and the original fetches it.
        drill.until_signing(&party, "the original votes on").await;
        drill.kill(&party);
        while !twin.votes().await {
            drill.load(&others[..1], 1).await;
            drill.until_all_proven(&others[0]).await;
        }
        work(&mut drill, &others).await;
        drill.until_all_proven(&others[0]).await;
        let mut both = signed(&drill.home(&party).log);
        let by_twin = signed(&twin.home().log);
        assert!(!by_twin.is_empty(), "round {round}: the twin took over");
        for (place, digests) in by_twin {
            both.entry(place).or_default().extend(digests);
        }
        assert_once(&both, round);

        twin.stop();
        drill.restart(&party);
        drill.until_quarantined(&party).await;
        until_it_votes(&mut drill, &party, &others).await;
        for (place, digests) in signed(&twin.home().log) {
            let mine = signed(&drill.home(&party).log);
            let both = mine.get(&place).is_some_and(|mine| *mine != digests);
            assert!(!both, "round {round}: {place:?} was signed by both, differently");
        }
        assert_once(&signed(&drill.home(&party).log), round);
    }
    finish(drill, &party).await;
}
