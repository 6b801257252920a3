//! The duties of the engine at its seam, one engine at a time.

mod bench;

use bench::{Bench, PACE_MS, TIMEOUTS, block, spoken};
use consign_consensus::message::VoteKind::{Precommit, Prevote};
use consign_consensus::sign_state::{SLOT_BYTES, SignState, Signed};
use consign_consensus::{Effect, Input, Message, Reason, Signing, Timer, TimerKind, Verdict};
use consign_types::block::{Epoch, Height};
use consign_types::certificate::{Round, Statement};
use consign_types::time::Millis;
use consign_types::validator::ValidatorIndex;

const ONE: Height = Height(1);
const FIRST: Round = Round(0);

/// Validator 1 of four proposes at height 1, validator 2 at height 2.
fn four(me: u8) -> Bench {
    let mut bench = Bench::new(4, Some(me));
    assert_eq!(bench.start(0), []);
    bench
}

fn build(height: u64, record_only: bool) -> Effect {
    let deadline_ms = TIMEOUTS.propose_ms / 2;
    Effect::Build { height: Height(height), round: FIRST, deadline_ms, record_only }
}

fn timer(height: u64, kind: TimerKind) -> Timer {
    Timer { height: Height(height), round: FIRST, kind }
}

fn checked(n: u8, verdict: Verdict) -> Input {
    Input::Checked { height: ONE, round: FIRST, block: block(n), verdict }
}

/// Decides height 1 on block 1 by catch-up.
fn pass_first_height(bench: &mut Bench) {
    let others: Vec<_> = (0..4).filter(|n| bench.me != Some(*n)).take(3).map(u16::from).collect();
    let certificate = bench.certificate(&others, 1, block(1));
    let effects = bench.step(Input::Synced { block: block(1), certificate: certificate.clone() });
    assert!(effects.contains(&Effect::Commit { block: block(1), certificate }));
}

#[test]
fn no_height_begins_without_a_reason() {
    let mut bench = four(1);
    assert_eq!(bench.step(Input::Work(false)), []);
    let far = Input::Begun { from: ValidatorIndex(2), height: Height(9) };
    assert_eq!(bench.step(far), []);
    let mut broken = bench.vote(2, Prevote, 1, 0, None);
    if let Message::Vote(vote) = &mut broken {
        vote.signature.0[0] ^= 1;
    }
    assert_eq!(bench.receive(broken), []);
    assert_eq!((bench.status().round, bench.status().last_started), (None, Height(0)));

    let effects = bench.step(Input::Work(true));
    assert_eq!(effects[0], Effect::TruncateLog(ONE));
    assert!(effects.contains(&Effect::Started { height: ONE }));
    assert!(effects.contains(&build(1, false)));
}

#[test]
fn a_peer_that_has_begun_the_height_begins_it_here() {
    let reasons: [fn(&mut Bench) -> Vec<Effect>; 2] = [
        |bench| bench.step(Input::Begun { from: ValidatorIndex(2), height: ONE }),
        |bench| {
            let vote = bench.vote(2, Prevote, 1, 0, None);
            bench.receive(vote)
        },
    ];
    for begin in reasons {
        let mut bench = four(0);
        assert!(begin(&mut bench).contains(&Effect::Started { height: ONE }));
    }
}

/// One step holds all three signatures: one sync covers them, and the commit comes last.
#[test]
fn a_set_of_one_decides_in_one_step_with_one_sync() {
    let mut bench = Bench::new(1, Some(0));
    bench.start(0);
    assert!(bench.step(Input::Work(true)).contains(&build(1, false)));
    let effects = bench.step(Input::Built { height: ONE, round: FIRST, block: Some(block(1)) });
    let statements = [
        Statement::Proposal(block(1), None),
        Statement::Prevote(Some(block(1))),
        Statement::Precommit(Some(block(1))),
    ];
    assert_eq!(spoken(&effects), statements);
    let at = |wanted: fn(&Effect) -> bool| effects.iter().position(wanted).expect("the effect");
    let sync = at(|e| *e == Effect::Sync);
    let save = at(|e| matches!(e, Effect::SaveSignState(_)));
    let send = at(|e| matches!(e, Effect::Broadcast(_)));
    let commit = at(|e| matches!(e, Effect::Commit { .. }));
    assert!(sync < save && save < send && send < commit && commit == effects.len() - 1);
    assert_eq!(effects.iter().filter(|e| **e == Effect::Sync).count(), 1);
}

#[test]
fn the_first_height_goes_at_once_and_the_next_keeps_the_pace() {
    let mut bench = four(0);
    bench.step(Input::Work(true));
    pass_first_height(&mut bench);
    bench.now = bench.now.plus(30);
    let pace = timer(2, TimerKind::Pace);
    let wait = Effect::Schedule { timer: pace, after_ms: PACE_MS - 30 };
    assert_eq!(bench.committed(1), [wait]);
    bench.now = bench.now.plus(PACE_MS - 30);
    let effects = bench.step(Input::Timer(pace));
    assert!(effects.contains(&Effect::Started { height: Height(2) }));
}

/// Members decide the pace: it holds from the next height on, slower or faster.
#[test]
fn a_height_keeps_the_pace_that_came_with_the_one_before() {
    for pace_ms in [PACE_MS * 5, PACE_MS / 2] {
        let mut bench = four(0);
        bench.step(Input::Work(true));
        pass_first_height(&mut bench);
        let pace = timer(2, TimerKind::Pace);
        let wait = Effect::Schedule { timer: pace, after_ms: pace_ms };
        assert_eq!(bench.committed_at(1, pace_ms), [wait]);
    }
}

#[test]
fn a_proposer_without_work_closes_a_begun_height_after_half_its_timeout() {
    let mut bench = four(1);
    let effects = bench.step(Input::Begun { from: ValidatorIndex(2), height: ONE });
    let close = timer(1, TimerKind::Close);
    let after_ms = TIMEOUTS.propose_ms / 2;
    assert!(effects.contains(&Effect::Schedule { timer: close, after_ms }));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Build { .. })));
    assert!(bench.step(Input::Timer(close)).contains(&build(1, true)));
}

#[test]
fn a_proposer_whose_work_vanished_closes_the_height_too() {
    let mut bench = four(1);
    assert!(bench.step(Input::Work(true)).contains(&build(1, false)));
    bench.step(Input::Built { height: ONE, round: FIRST, block: None });
    let effects = bench.step(Input::Timer(timer(1, TimerKind::Close)));
    assert!(effects.contains(&build(1, true)));
}

#[test]
fn a_proposal_is_voted_for_once_its_body_is_here() {
    let mut bench = four(0);
    bench.step(Input::Work(true));
    let proposal = bench.proposal(1, 1, 0, block(1));
    let effects = bench.receive(proposal);
    let (proposer, holders) = (ValidatorIndex(1), Vec::new());
    let (height, round, block_1) = (ONE, FIRST, block(1));
    let check = Effect::Check { height, round, proposer, block: block_1, fresh: true, holders };
    assert!(effects.contains(&check));
    assert_eq!(spoken(&effects), []);
    let effects = bench.step(checked(1, Verdict::Valid));
    assert_eq!(spoken(&effects), [Statement::Prevote(Some(block(1)))]);
}

#[test]
fn an_unavailable_body_is_silence_and_is_asked_for_again() {
    let mut bench = four(0);
    bench.step(Input::Work(true));
    let proposal = bench.proposal(1, 1, 0, block(1));
    bench.receive(proposal);
    assert_eq!(bench.step(checked(1, Verdict::Unavailable)), []);
    let effects = bench.step(Input::Timer(timer(1, TimerKind::Rebroadcast)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Check { fresh: true, .. })));
    let effects = bench.step(checked(1, Verdict::Valid));
    assert_eq!(spoken(&effects), [Statement::Prevote(Some(block(1)))]);
}

/// The clock is one node's opinion: it costs the proposal this vote, never the block its decision.
#[test]
fn an_untimely_proposal_gets_nil_at_once_and_may_still_be_decided() {
    let mut bench = four(0);
    bench.step(Input::Work(true));
    let proposal = bench.proposal(1, 1, 0, block(1));
    bench.receive(proposal);
    let effects = bench.step(checked(1, Verdict::Untimely));
    assert_eq!(spoken(&effects), [Statement::Prevote(None)]);
    let mut effects = Vec::new();
    for from in 1..4 {
        let vote = bench.vote(from, Prevote, 1, 0, Some(block(1)));
        effects = bench.receive(vote);
    }
    let again = |effect: &Effect| matches!(effect, Effect::Check { fresh: false, .. });
    assert!(effects.iter().any(again), "{effects:?}");
    let effects = bench.step(checked(1, Verdict::Valid));
    assert_eq!(spoken(&effects), [Statement::Precommit(Some(block(1)))]);
}

#[test]
fn a_quorum_of_precommits_without_proposal_and_body_ends_in_a_commit() {
    let mut bench = four(0);
    let mut effects = Vec::new();
    for from in 1..4 {
        let vote = bench.vote(from, Precommit, 1, 0, Some(block(1)));
        effects = bench.receive(vote);
    }
    let holders = vec![ValidatorIndex(1), ValidatorIndex(2), ValidatorIndex(3)];
    let fetch = Effect::Fetch { height: ONE, round: FIRST, block: block(1), holders };
    assert!(effects.contains(&fetch), "{effects:?}");
    let effects = bench.step(checked(1, Verdict::Valid));
    let certificate = bench.certificate(&[1, 2, 3], 1, block(1));
    assert_eq!(effects.last(), Some(&Effect::Commit { block: block(1), certificate }));
}

#[test]
fn a_synced_block_needs_a_certificate_that_holds() {
    let mut bench = four(0);
    let good = bench.certificate(&[0, 2, 3], 1, block(1));
    let few = bench.certificate(&[0, 2], 1, block(1));
    let later = bench.certificate(&[0, 2, 3], 2, block(1));
    let mut broken = good.clone();
    broken.precommits[1].1.0[3] ^= 1;
    for certificate in [few, later, broken] {
        assert_eq!(bench.step(Input::Synced { block: block(1), certificate }), []);
    }
    let other = Input::Synced { block: block(2), certificate: good.clone() };
    assert_eq!(bench.step(other), []);
    let effects = bench.step(Input::Synced { block: block(1), certificate: good.clone() });
    assert_eq!(effects, [Effect::Commit { block: block(1), certificate: good }]);
}

#[test]
fn two_quorums_for_two_blocks_halt_for_good() {
    let mut bench = four(0);
    pass_first_height(&mut bench);
    let certificate = bench.certificate(&[1, 2, 3], 1, block(2));
    let effects = bench.step(Input::Synced { block: block(2), certificate });
    assert_eq!(effects.last(), Some(&Effect::Halt(Reason::Fork)));

    let (mut bench, _) = bench.restart(Some(0), 0);
    assert_eq!(bench.status().signing, Signing::Halted(Reason::Fork));
    let begin = bench.step(Input::Begun { from: ValidatorIndex(2), height: ONE });
    assert!(begin.contains(&Effect::Started { height: ONE }), "it still follows");
    let late = bench.step(Input::Timer(timer(1, TimerKind::Propose)));
    assert_eq!(spoken(&late), []);
}

#[test]
fn two_proposals_of_one_proposer_are_reported_once() {
    let mut bench = four(0);
    let mut reports = 0;
    for n in [1, 2, 1, 2] {
        let proposal = bench.proposal(1, 1, 0, block(n));
        let mut effects = bench.receive(proposal);
        effects.extend(bench.step(checked(n, Verdict::Valid)));
        for effect in effects {
            if let Effect::Report(evidence) = effect {
                assert_eq!(evidence.verify(&bench::DOMAIN), Ok(()));
                assert_eq!(evidence.validator, ValidatorIndex(1));
                reports += 1;
            }
        }
    }
    assert_eq!(reports, 1);
}

#[test]
fn who_still_votes_on_a_decided_height_is_told_the_decision() {
    let mut bench = four(0);
    pass_first_height(&mut bench);
    bench.committed(1);
    let late = bench.vote(3, Precommit, 1, 0, None);
    assert_eq!(bench.receive(late.clone()), [], "merely late");
    bench.now = bench.now.plus(2_000);
    let effects = bench.receive(late.clone());
    let [Effect::Send { to, message }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(*to, ValidatorIndex(3));
    assert_eq!(bench.receive(late), [], "told already");

    let mut stuck = four(3);
    let effects = stuck.receive(message.clone());
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Fetch { .. })), "{effects:?}");
    let effects = stuck.step(checked(1, Verdict::Valid));
    assert!(matches!(effects.last(), Some(Effect::Commit { .. })));
}

#[test]
fn a_follower_decides_with_the_others_and_writes_nothing() {
    let mut bench = Bench::new(4, None);
    bench.start(0);
    assert_eq!(bench.step(Input::Work(true)), []);
    let proposal = bench.proposal(1, 1, 0, block(1));
    bench.receive(proposal);
    let mut effects = bench.step(checked(1, Verdict::Valid));
    for kind in [Prevote, Precommit] {
        for from in 1..4 {
            let vote = bench.vote(from, kind, 1, 0, Some(block(1)));
            effects = bench.receive(vote);
        }
    }
    let certificate = bench.certificate(&[1, 2, 3], 1, block(1));
    assert_eq!(effects.last(), Some(&Effect::Commit { block: block(1), certificate }));
    assert_eq!((bench.log.len(), bench.status().signing), (0, Signing::Follower));
}

/// Lives through a round as validator 0: prevotes, then precommits block 1.
fn voted() -> (Bench, Vec<Statement>) {
    let mut bench = four(0);
    bench.step(Input::Work(true));
    let proposal = bench.proposal(1, 1, 0, block(1));
    bench.receive(proposal);
    let mut said = spoken(&bench.step(checked(1, Verdict::Valid)));
    for from in 1..3 {
        let vote = bench.vote(from, Prevote, 1, 0, Some(block(1)));
        said.extend(spoken(&bench.receive(vote)));
    }
    let expected = [Statement::Prevote(Some(block(1))), Statement::Precommit(Some(block(1)))];
    assert_eq!(said, expected);
    (bench, said)
}

#[test]
fn a_restart_resumes_the_height_and_says_the_same_again() {
    let (bench, said) = voted();
    let (bench, effects) = bench.restart(Some(0), 0);
    assert_eq!(spoken(&effects), said);
    assert!(effects.contains(&Effect::Sync), "what was read back may not be on disk yet");
    assert!(!effects.iter().any(|e| matches!(e, Effect::TruncateLog(_) | Effect::Append(_))));
    assert_eq!(bench.status().signing, Signing::Allowed);
}

/// The log cut at every byte, the sign-state as of each save. Where an own message is missing that
/// the sign-state knows of, nothing more is said at this height; otherwise nothing else than before.
#[test]
fn a_log_cut_anywhere_leads_to_the_same_words_or_to_silence() {
    let (bench, said) = voted();
    let (mut silences, mut words) = (0, 0);
    assert_eq!(bench.saves.len(), 3);
    for (save, slots) in bench.saves.iter().enumerate() {
        for cut in 0..=bench.log.len() {
            let mut again = Bench::new(4, Some(0));
            (again.log, again.slots) = (bench.log[..cut].to_vec(), slots.clone());
            let effects = again.start(0);
            let (status, spoken) = (again.status().signing, spoken(&effects));
            let what = format!("cut at {cut}, save {save}");
            if let Signing::Quarantined { through, .. } = status {
                assert_eq!((through, spoken.len()), (Some(ONE), 0), "{what}");
                silences += 1;
            } else {
                assert_eq!(status, Signing::Allowed, "{what}");
                assert!(said.starts_with(&spoken), "{what}: {spoken:?}");
                assert!(spoken.len() >= save, "{what}: it knows of more than it says");
                words += spoken.len();
            }
        }
    }
    assert!(silences > 100 && words > 100, "{silences} silences, {words} words");
}

/// A quarantine over one height ends with it.
#[test]
fn a_sign_state_ahead_of_the_log_is_silent_at_its_height_and_speaks_above() {
    let (mut bench, _) = voted();
    bench.log.clear();
    let (mut bench, _) = bench.restart(Some(0), 0);
    bench.step(Input::Begun { from: ValidatorIndex(2), height: ONE });
    assert_eq!(spoken(&bench.step(Input::Timer(timer(1, TimerKind::Propose)))), []);
    pass_first_height(&mut bench);
    bench.committed(1);
    bench.step(Input::Begun { from: ValidatorIndex(2), height: Height(2) });
    let effects = bench.step(Input::Timer(timer(2, TimerKind::Propose)));
    assert_eq!(spoken(&effects), [Statement::Prevote(None)]);
}

#[test]
fn a_log_that_contradicts_the_sign_state_halts() {
    let (mut bench, _) = voted();
    let statement = Statement::Precommit(None);
    let signed = Signed::new(ONE, FIRST, &statement, b"another statement");
    let state = SignState::fresh(Epoch(0)).advance(signed).unwrap().unwrap();
    bench.slots = [Vec::new(), state.slot().bytes.to_vec()];
    let (bench, effects) = bench.restart(Some(0), 0);
    assert_eq!(effects.last(), Some(&Effect::Halt(Reason::SignConflict)));
    assert_eq!(bench.status().signing, Signing::Halted(Reason::SignConflict));
}

#[test]
fn a_node_that_cannot_know_what_it_signed_is_in_quarantine() {
    let table: [(u64, [Vec<u8>; 2], bool); 4] = [
        (0, [vec![], vec![]], false),
        (5, [vec![], vec![]], true),
        (5, [vec![1; SLOT_BYTES], vec![]], true),
        (0, [vec![1; SLOT_BYTES], vec![2; 9]], true),
    ];
    for (tip, slots, quarantined) in table {
        let mut bench = Bench::new(4, Some(0));
        bench.slots = slots;
        bench.start(tip);
        let signing = bench.status().signing;
        assert_eq!(matches!(signing, Signing::Quarantined { .. }), quarantined, "{signing:?}");
    }
}

/// Others hold what this key signed. A sign-state that knows of less, or of something else, is an old one.
#[test]
fn a_sign_state_that_knows_less_than_others_is_in_quarantine() {
    let at = |height, round, statement: Statement, bytes: &[u8]| {
        Signed::new(Height(height), Round(round), &statement, bytes)
    };
    let own = at(5, 1, Statement::Prevote(None), b"own");
    let table = [
        (None, false),
        (Some(own), false),
        (Some(at(5, 0, Statement::Precommit(None), b"before")), false),
        (Some(at(4, 7, Statement::Precommit(None), b"before")), false),
        (Some(at(5, 1, Statement::Prevote(None), b"another")), true),
        (Some(at(5, 1, Statement::Precommit(None), b"later")), true),
        (Some(at(6, 0, Statement::Proposal(block(1), None), b"later")), true),
    ];
    for (heard, quarantined) in table {
        let mut bench = Bench::new(4, Some(0));
        let state = SignState::fresh(Epoch(0)).advance(own).unwrap().unwrap();
        bench.slots[usize::from(state.slot().index)] = state.slot().bytes.to_vec();
        bench.heard = heard;
        bench.start(5);
        let signing = bench.status().signing;
        assert_eq!(matches!(signing, Signing::Quarantined { .. }), quarantined, "{heard:?}");
    }
}

/// A certificate that others made holds this node's own precommit, of which its sign-state knows nothing.
#[test]
fn an_own_vote_in_a_certificate_from_others_is_a_reason_to_doubt_the_sign_state() {
    let table = [(&[0, 1, 2][..], true), (&[1, 2, 3], false)];
    for (voters, quarantined) in table {
        let mut bench = four(0);
        let certificate = bench.certificate(voters, 1, block(1));
        bench.step(Input::Synced { block: block(1), certificate });
        bench.committed(1);
        let signing = bench.status().signing;
        assert_eq!(matches!(signing, Signing::Quarantined { .. }), quarantined, "{voters:?}");
    }
}

/// An empty disk under a network that is under way: not a new network, a lost disk.
#[test]
fn an_empty_node_in_a_running_network_is_in_quarantine() {
    let mut bench = Bench::new(4, Some(0));
    bench.slots = Default::default();
    bench.start(0);
    for from in [2, 3] {
        assert_eq!(bench.status().signing, Signing::Allowed);
        bench.step(Input::Begun { from: ValidatorIndex(from), height: Height(40) });
    }
    assert!(matches!(bench.status().signing, Signing::Quarantined { .. }));
}

#[test]
fn a_node_that_is_behind_waits_for_catch_up_first() {
    let mut bench = four(0);
    for from in [1, 2] {
        let begun = Input::Begun { from: ValidatorIndex(from), height: Height(7) };
        let effects = bench.step(begun);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Started { .. })));
    }
    assert!(!bench.step(Input::Work(true)).contains(&Effect::Started { height: ONE }));
    bench.now = Millis(bench.now.0 + 2_000);
    let effects = bench.step(Input::Timer(timer(1, TimerKind::Pace)));
    assert!(effects.contains(&Effect::Started { height: ONE }), "catch-up may fail");
}

#[test]
fn a_broken_message_for_a_later_height_does_not_begin_it_later() {
    let mut bench = four(0);
    let mut broken = bench.vote(2, Prevote, 2, 0, None);
    if let Message::Vote(vote) = &mut broken {
        vote.signature.0[0] ^= 1;
    }
    bench.receive(broken);
    bench.step(Input::Begun { from: ValidatorIndex(2), height: ONE });
    pass_first_height(&mut bench);
    assert_eq!(bench.committed(1), []);
}

/// More than the buffer takes, from one peer, for heights far and near: bounded, and nothing of
/// another peer's is pushed out.
#[test]
fn a_flood_of_future_messages_pushes_nobody_out() {
    let mut bench = four(0);
    let good = bench.vote(1, Prevote, 2, 0, None);
    bench.receive(good);
    for round in 0..200 {
        for height in [2, 3, 4, 5, 6, 900, u64::MAX] {
            let vote = bench.vote(2, Prevote, height, round, None);
            let begun = Effect::Started { height: ONE };
            assert!(!bench.receive(vote).contains(&begun));
        }
    }
    pass_first_height(&mut bench);
    let effects = bench.committed(1);
    assert!(effects.contains(&Effect::Started { height: Height(2) }));
    // Validator 1's vote was kept, and of the flood the first: with the own vote, a quorum for nil.
    let effects = bench.step(Input::Timer(timer(2, TimerKind::Propose)));
    assert_eq!(spoken(&effects), [Statement::Prevote(None), Statement::Precommit(None)]);
}
