//! The pool: bounded, answers what it knows at once, and forgets nothing in silence.
//!
//! A real pool over a real store; blocks are committed by the executor, as in a node.

mod support;

use std::time::{Duration, Instant};

use consign_consensus::Verdict;
use consign_ledger::errors::Rejection;
use consign_node::pool::{Admission, Quotas, Refused};
use consign_types::block::Height;
use consign_types::digest::EventId;
use consign_types::event::{Action, NotVerified, SignedEvent, Subject, possession_message};
use consign_types::governance::{Change, Motion, Node};
use consign_types::limits::{POOL_EVENTS_MAX, POOL_ORPHAN_MS};
use consign_types::time::Millis;
use rayon::prelude::*;

use support::bench::Bench;
use support::forge::Proposal;
use support::variant::{spoiled, variant};
use support::wait::{next_blocking, until};
use support::{GENESIS_TIME, Scribe, genesis, key, party, sign, unit};

/// Events that may wait for what they refer to.
const PARKED_MAX: usize = 4_096;
/// Events that may wait for their signer to be enrolled.
const STRANGERS_MAX: usize = 256;
const STRANGERS_BYTES_MAX: usize = 1024 * 1024;

/// A node where every device is enrolled, and who writes events for it.
struct Scene {
    bench: Bench,
    scribe: Scribe,
    _dir: tempfile::TempDir,
}

impl Scene {
    async fn set() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bench = Bench::start(dir.path()).await;
        let mut scribe = Scribe::new(&genesis());
        let enrolments = scribe.enrol_all();
        bench.commit_events(GENESIS_TIME.plus(1_000), &enrolments);
        Self { bench, scribe, _dir: dir }
    }

    fn offer(&self, event: &SignedEvent) -> Admission {
        self.offer_all(std::slice::from_ref(event)).remove(0)
    }

    fn offer_all(&self, events: &[SignedEvent]) -> Vec<Admission> {
        self.bench.pool.offer(events.to_vec())
    }

    /// Ids in the pool, in order of arrival.
    fn pooled(&self) -> Vec<EventId> {
        let events = self.bench.pool.oldest(usize::MAX);
        events.iter().map(|event| event.signed().id()).collect()
    }

    fn refusal_code(&self, event: &SignedEvent) -> Option<&'static str> {
        self.bench.pool.refusal(&event.id()).map(|refused| refused.code())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_accepted_once_known_while_it_waits_and_committed_after() {
    let mut scene = Scene::set().await;
    let event = scene.scribe.register("handler.dock1", &unit("A"));
    let twice = [event.clone(), event.clone()];
    assert_eq!(scene.offer_all(&twice), [Admission::Accepted, Admission::Known]);
    assert_eq!(scene.offer(&event), Admission::Known);
    // Another signature over the same content is the same event.
    assert_eq!(scene.offer(&variant(&event)), Admission::Known);
    assert_eq!(scene.bench.pool.load(), (1, event.bytes().len()));
    assert!(*scene.bench.pool.work().borrow());

    let block = scene.bench.build(false).unwrap();
    scene.bench.commit(block);
    assert_eq!(scene.bench.pool.load(), (0, 0));
    assert!(!*scene.bench.pool.work().borrow());
    assert_eq!(scene.offer(&event), Admission::Committed);
    assert_eq!(scene.offer(&variant(&event)), Admission::Committed);
    assert_eq!(scene.bench.pool.load(), (0, 0));
}

/// Anybody can write somebody else's event with a signature that does not hold: that must not stick.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_signature_is_refused_and_does_not_stand_in_the_way_of_a_good_one() {
    let mut scene = Scene::set().await;
    let event = scene.scribe.register("handler.dock1", &unit("A"));
    let signer = event.event().signer.clone();
    let refused = Admission::Refused(Refused::NotVerified(NotVerified::Signature(signer)));
    assert_eq!(scene.offer(&spoiled(&event)), refused);
    assert_eq!(scene.bench.pool.refusal(&event.id()), None);
    assert_eq!(scene.offer(&event), Admission::Accepted);
}

/// A node passes on only what it checked itself: a peer that passes on forged events makes others work for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_passes_on_forged_events_is_hung_up_on_and_not_listened_to() {
    const FORGED_MAX: usize = 16;
    let mut scene = Scene::set().await;
    let register = |n: usize| scene.scribe.register("handler.dock1", &unit(&format!("F{n:02}")));
    let events: Vec<SignedEvent> = (0..=FORGED_MAX).map(register).collect();
    let forged: Vec<_> = events[1..].iter().map(spoiled).collect();
    let bench = &scene.bench;

    // A few are refused, and no more.
    bench.pass_on(&forged[1..]);
    bench.pass_on(&events[..1]);
    until("the good one is taken", || bench.pool.holds(&events[0].id())).await;
    assert_eq!((bench.pool.load().0, bench.hung_up()), (1, 0));

    bench.pass_on(&forged[..1]);
    until("it is hung up on", || bench.hung_up() > 0).await;
    let dropped = || bench.metrics.relayed_dropped.get();
    assert_eq!(dropped(), 0);
    bench.pass_on(&events[1..]);
    assert_eq!((dropped(), bench.pool.load().0), (FORGED_MAX as u64, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_waits_for_what_it_refers_to_and_is_admitted_behind_it() {
    let mut scene = Scene::set().await;
    let registered = scene.scribe.register("handler.dock1", &unit("A"));
    let offer = scene.scribe.offer("handler.dock1", &unit("A"), "airline", registered.id());
    let accept = scene.scribe.accept("airline.dock1", &unit("A"), offer.id());
    let observed = scene.scribe.observe("airline.dock2", &unit("A"));

    assert_eq!(scene.offer(&accept), Admission::Parked);
    assert_eq!(scene.offer(&accept), Admission::Parked);
    assert_eq!(scene.offer(&observed), Admission::Parked);
    assert_eq!((scene.bench.pool.parked(), scene.bench.pool.load().0), (2, 0));
    assert!(scene.bench.pool.holds(&accept.id()));
    assert!(!*scene.bench.pool.work().borrow(), "what waits is no work");

    assert_eq!(
        scene.offer_all(&[registered.clone(), offer.clone()]),
        [Admission::Accepted, Admission::Accepted]
    );
    assert_eq!(scene.bench.pool.parked(), 0);
    assert_eq!(
        scene.pooled(),
        [registered.id(), offer.id(), accept.id(), observed.id()],
        "in an order that a block can take"
    );
    let block = scene.bench.build(false).unwrap();
    assert_eq!(scene.bench.bodies.get(&block).unwrap().events.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_device_waits_for_its_enrolment() {
    let mut scene = Scene::set().await;
    let registered = scene.scribe.register("handler.new", &unit("A"));
    let enrolment = scene.scribe.enrol("handler.new");
    assert_eq!(scene.offer(&registered), Admission::Parked);
    assert_eq!(scene.offer(&enrolment), Admission::Accepted);
    assert_eq!(scene.pooled(), [enrolment.id(), registered.id()]);
}

/// Before the enrolment is here nobody can tell a forged signature from a good one: both wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_event_that_waits_does_not_keep_the_good_one_out() {
    let mut scene = Scene::set().await;
    let registered = scene.scribe.register("handler.new", &unit("A"));
    let enrolment = scene.scribe.enrol("handler.new");
    assert_eq!(scene.offer(&spoiled(&registered)), Admission::Parked);
    assert_eq!(scene.offer(&registered), Admission::Parked);
    assert_eq!(scene.offer(&enrolment), Admission::Accepted);
    assert_eq!(scene.pooled(), [enrolment.id(), registered.id()]);
    assert_eq!(scene.bench.pool.parked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_in_time_is_refused_and_said_so() {
    let mut scene = Scene::set().await;
    let orphan = scene.scribe.observe("handler.dock1", &unit("A"));
    let begun = Instant::now();
    assert_eq!(scene.offer(&orphan), Admission::Parked);
    scene.bench.pool.expire(begun);
    assert!(scene.bench.pool.holds(&orphan.id()));
    assert_eq!(scene.bench.pool.refusal(&orphan.id()), None);

    scene.bench.pool.expire(Instant::now() + Duration::from_millis(POOL_ORPHAN_MS));
    assert!(!scene.bench.pool.holds(&orphan.id()));
    assert_eq!(scene.bench.pool.refusal(&orphan.id()), Some(Refused::Orphaned));
    // It may be tried again, and waits again.
    assert_eq!(scene.offer(&orphan), Admission::Parked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_remembered_until_the_event_gets_in() {
    let mut scene = Scene::set().await;
    let registered = scene.scribe.register("handler.dock1", &unit("A"));
    let again = scene.scribe.register("handler.dock1", &unit("A"));
    let theirs = scene.scribe.observe("forwarder.dock1", &unit("A"));
    assert_eq!(scene.offer(&registered), Admission::Accepted);
    // Resting on what is pooled only, this may be otherwise later; the other one is not.
    for (event, code, rests) in [(&again, "unit_known", true), (&theirs, "not_involved", true)] {
        match scene.offer(event) {
            Admission::Refused(Refused::Rule { rejection, rests_on_pooled }) => {
                assert_eq!((rejection.code(), rests_on_pooled), (code, rests));
            }
            other => panic!("{code}: {other:?}"),
        }
        assert_eq!(scene.refusal_code(event), Some(code));
    }

    let block = scene.bench.build(false).unwrap();
    scene.bench.commit(block);
    assert_eq!(scene.refusal_code(&again), Some("unit_known"));
    match scene.offer(&again) {
        Admission::Refused(refused) => assert!(!refused.retryable(), "{refused}"),
        other => panic!("{other:?}"),
    }

    // An offer to the forwarder makes it a party to the unit, and its event gets in.
    let offer = scene.scribe.offer("handler.dock2", &unit("A"), "forwarder", registered.id());
    assert_eq!(
        scene.offer_all(&[offer, theirs.clone()]),
        [Admission::Accepted, Admission::Accepted]
    );
    assert_eq!(scene.refusal_code(&theirs), None);
}

/// Two events under one number: one in this node's pool, the other in a block of another node's.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_committed_block_made_impossible_is_refused_when_the_next_is_built() {
    let mut scene = Scene::set().await;
    let pooled = scene.scribe.register("handler.dock1", &unit("A"));
    let rival = {
        let mut draft =
            scene.scribe.draft("handler.dock1", Subject::Unit(unit("B")), Action::Register);
        draft.sequence = pooled.event().sequence;
        sign(draft)
    };
    let stays = scene.scribe.register("handler.dock2", &unit("C"));
    assert_eq!(
        scene.offer_all(&[pooled.clone(), stays.clone()]),
        [Admission::Accepted, Admission::Accepted]
    );

    let time = GENESIS_TIME.plus(2_000);
    let block = Proposal::of(&scene.bench.committed, time, std::slice::from_ref(&rival));
    scene.bench.serve(&block);
    assert_eq!(scene.bench.verdict(block.block, None), Verdict::Valid);
    scene.bench.commit(block.block);
    assert_eq!(scene.offer(&rival), Admission::Committed);

    let next = scene.bench.build(false).unwrap();
    assert_eq!(scene.bench.bodies.get(&next).unwrap().events, [stays.leaf_hash()]);
    assert_eq!(scene.pooled(), [stays.id()]);
    assert_eq!(scene.refusal_code(&pooled), Some("sequence_used"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_from_elsewhere_empties_the_pool_of_its_events_alone() {
    let mut scene = Scene::set().await;
    let [a, b, c] = ["A", "B", "C"].map(|n| scene.scribe.register("handler.dock1", &unit(n)));
    let other = "trk/airline/D".parse().unwrap();
    let elsewhere = scene.scribe.register("airline.dock1", &other);
    scene.offer_all(&[a.clone(), b.clone(), c.clone()]);
    scene.bench.commit_events(Millis(GENESIS_TIME.0 + 2_000), &[b.clone(), elsewhere.clone()]);
    assert_eq!(scene.pooled(), [a.id(), c.id()]);
    assert_eq!(scene.bench.pool.load(), (2, a.bytes().len() + c.bytes().len()));
    assert_eq!(scene.offer_all(&[b, elsewhere]), [Admission::Committed, Admission::Committed]);
}

/// The pool is never empty meanwhile: what it knew of the members is not what it goes by for long.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_members_events_are_taken_as_soon_as_it_is_one() {
    let mut scene = Scene::set().await;
    let stays = scene.scribe.register("handler.dock1", &unit("A"));
    assert_eq!(scene.offer(&stays), Admission::Accepted);
    let time = scene.bench.committed.context().time;
    let own = |by: &str| Subject::Signer(by.parse().unwrap());
    let secret = key("port");
    let network = scene.bench.committed.genesis().network();
    let possession =
        secret.sign(&possession_message(network, &own("port"), &secret.public().into()));
    let (party, key) = (party("port"), secret.public());
    let change = Change::Admit { party, key, possession, authority: false, node: None };
    let motion = Box::new(Motion { change, from: Height(0), few: false });
    let propose = Action::Propose { motion, until: time.plus(1_000_000) };
    let propose = sign(scene.scribe.draft("airline", own("airline"), propose));
    let mut decision = vec![propose.clone()];
    for by in ["customs", "forwarder"] {
        let ballot = Action::Ballot { proposal: propose.id(), approve: true };
        decision.push(sign(scene.scribe.draft(by, own(by), ballot)));
    }
    assert!(scene.offer_all(&decision).iter().all(|answer| *answer == Admission::Accepted));
    scene.bench.commit_events(time, &decision);
    assert_eq!(scene.pooled(), [stays.id()]);
    let (network_key, addresses) = (support::key("port network").public(), Vec::new());
    let node = Some(Box::new(Node { network_key, addresses }));
    let change = Change::Node { party: support::party("port"), node };
    let motion = Box::new(Motion { change, from: Height(0), few: false });
    let about_itself = Action::Propose { motion, until: time.plus(1_000_000) };
    let about_itself = sign(scene.scribe.draft("port", own("port"), about_itself));
    assert_eq!(scene.offer(&about_itself), Admission::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_wait_are_bounded() {
    let mut scene = Scene::set().await;
    // So many numbers of a device may be missing.
    const EACH: usize = 32;
    let devices: Vec<_> = (0..=PARKED_MAX / EACH).map(|n| format!("handler.d{n}")).collect();
    let enrolments: Vec<_> = devices.iter().map(|device| scene.scribe.enrol(device)).collect();
    scene.bench.commit_events(GENESIS_TIME.plus(2_000), &enrolments);
    let mut early: Vec<_> = devices
        .iter()
        .flat_map(|device| std::iter::repeat_n(device, EACH))
        .map(|device| scene.scribe.observe(device, &unit("A")))
        .take(PARKED_MAX + 1)
        .collect();
    let over = early.pop().unwrap();
    let parked = scene.offer_all(&early);
    assert!(parked.iter().all(|admission| *admission == Admission::Parked));
    let rejection = Rejection::UnknownUnit { unit: unit("A") };
    let refused = Refused::Rule { rejection, rests_on_pooled: true };
    assert!(refused.retryable());
    assert_eq!(scene.offer(&over), Admission::Refused(refused.clone()));
    assert_eq!(scene.bench.pool.refusal(&over.id()), Some(refused));
    assert_eq!(scene.bench.pool.parked(), PARKED_MAX);
    // What needs not wait is not kept out by what does.
    let event = scene.scribe.register("handler.dock2", &unit("B"));
    assert_eq!(scene.offer(&event), Admission::Accepted);
}

/// Whoever has no key can name any device. That takes no room from events that were checked, and none from
/// a device of another member that is being enrolled.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_invented_devices_crowd_out_only_each_other() {
    let mut scene = Scene::set().await;
    let fresh = scene.scribe.register("handler.new", &unit("A"));
    assert_eq!(scene.offer(&fresh), Admission::Parked);
    let ghosts: Vec<_> = (0..PARKED_MAX + STRANGERS_MAX)
        .map(|n| scene.scribe.observe(&format!("customs.ghost{}", n % 500), &unit("A")))
        .collect();
    assert!(scene.offer_all(&ghosts).iter().all(|answer| *answer == Admission::Parked));
    assert_eq!(scene.bench.pool.parked(), STRANGERS_MAX);
    assert_eq!(scene.refusal_code(&ghosts[0]), Some("unknown_device"), "it made room");
    assert!(scene.bench.pool.holds(&ghosts.last().unwrap().id()));

    let early = scene.scribe.observe("handler.dock1", &unit("A"));
    assert_eq!(scene.offer(&early), Admission::Parked);
    assert_eq!(scene.bench.pool.parked(), STRANGERS_MAX + 1);
    let enrolment = scene.scribe.enrol("handler.new");
    assert_eq!(scene.offer(&enrolment), Admission::Accepted);
    assert_eq!(scene.pooled(), [enrolment.id(), fresh.id(), early.id()]);
    assert_eq!(scene.bench.pool.parked(), STRANGERS_MAX - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_invented_devices_are_bounded_in_bytes() {
    let mut scene = Scene::set().await;
    let large = |scene: &mut Scene| {
        let subject = Subject::Signer("airline.dock1".parse().unwrap());
        let report = Action::Report { evidence: vec![0; 40 * 1024] };
        sign(scene.scribe.draft("customs.ghost", subject, report))
    };
    let ghosts: Vec<_> = (0..64).map(|_| large(&mut scene)).collect();
    assert!(scene.offer_all(&ghosts).iter().all(|answer| *answer == Admission::Parked));
    let fit = STRANGERS_BYTES_MAX / ghosts[63].bytes().len();
    assert_eq!(scene.bench.pool.parked(), fit);
    let held: Vec<_> = ghosts.iter().filter(|e| scene.bench.pool.holds(&e.id())).collect();
    assert_eq!(held, ghosts[64 - fit..].iter().collect::<Vec<_>>(), "the oldest make room");
}

/// Nobody else can check them either: they are passed on once they were found to hold, behind the enrolment.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_an_unknown_device_is_passed_on_once_it_is_checked() {
    let mut scene = Scene::set().await;
    let quotas = Quotas::new(100, 100);
    let submit = |event: &SignedEvent| scene.bench.pool.submit(vec![event.clone()], &quotas);
    let fresh = scene.scribe.register("handler.new", &unit("A"));
    let known = scene.scribe.register("handler.dock1", &unit("B"));
    let enrolment = scene.scribe.enrol("handler.new");
    assert_eq!(submit(&fresh), [Admission::Parked]);
    assert_eq!(submit(&known), [Admission::Accepted]);
    scene.bench.relay.flush();
    let passed_on = || next_blocking("events", &scene.bench.passed_on, Some);
    assert_eq!(passed_on(), [known.bytes()]);
    assert_eq!(submit(&enrolment), [Admission::Accepted]);
    scene.bench.relay.flush();
    assert_eq!(passed_on(), [enrolment.bytes(), fresh.bytes()]);
}

/// A device's events of the same batch as its enrolment need not wait at all.
#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_and_a_backlog_come_in_together() {
    let mut scene = Scene::set().await;
    let mut batch = vec![scene.scribe.enrol("handler.new")];
    for n in 0..2 * STRANGERS_MAX {
        batch.push(scene.scribe.register("handler.new", &unit(&n.to_string())));
    }
    assert!(scene.offer_all(&batch).iter().all(|answer| *answer == Admission::Accepted));
    assert_eq!(scene.pooled(), batch.iter().map(SignedEvent::id).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pool_says_so_and_has_room_again_after_a_block() {
    let mut scene = Scene::set().await;
    let drafts: Vec<_> = (0..=POOL_EVENTS_MAX)
        .map(|n| {
            let subject = Subject::Unit(unit(&n.to_string()));
            scene.scribe.draft("handler.dock1", subject, Action::Register)
        })
        .collect();
    let mut events: Vec<_> = drafts.into_par_iter().map(sign).collect();
    let over = events.pop().unwrap();
    assert!(scene.offer_all(&events).iter().all(|a| *a == Admission::Accepted));
    assert_eq!(scene.bench.pool.load().0, POOL_EVENTS_MAX);
    assert_eq!(scene.offer(&over), Admission::Refused(Refused::Full));
    assert_eq!(scene.bench.pool.load().0, POOL_EVENTS_MAX);
    assert!(Refused::Full.retryable());
    // What is known is still answered as known, not as too much.
    assert_eq!(scene.offer(&events[0]), Admission::Known);

    let block = scene.bench.build(false).unwrap();
    scene.bench.commit(block);
    assert_eq!(scene.offer(&over), Admission::Accepted);
}
