//! What a node tells consensus of a proposal: a valid one gets its vote, an invalid one never does.
//!
//! Each proposal is fetched from a peer over the real network, executed on a real store, and judged by
//! the executor's own thread. A forged one is consistent in all but one thing: see `support::forge`.

mod support;

use consign_consensus::Verdict;
use consign_types::block::{Epoch, Height};
use consign_types::certificate::Round;
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, Digest, MapRoot, NetworkId, SetHash, TreeRoot};
use consign_types::event::{Action, SignedEvent, Subject};
use consign_types::limits::{BLOCK_BYTES_MAX, BLOCK_EVENTS_MAX, CHILDREN_MAX};
use consign_types::merkle;
use consign_types::time::Millis;
use consign_types::validator::ValidatorIndex;

use support::bench::Bench;
use support::forge::Proposal;
use support::variant::{spoiled, variant};
use support::{GENESIS_TIME, Scribe, genesis, key, sign, unit};

/// Time of the first block, and the clock by which the second one is judged.
const FIRST: Millis = GENESIS_TIME.plus(1_000);
const NOW: Millis = GENESIS_TIME.plus(3_600_000);

/// One proposal and what is to come of it.
struct Case {
    what: &'static str,
    proposal: Proposal,
    /// By which it is judged; none for a re-proposal.
    judged_in: Option<(Round, Millis)>,
    verdict: Verdict,
    /// A part of the node's reason; empty where there is none.
    why: &'static str,
    /// Whether the body comes unasked instead of on request.
    pushed: bool,
}

impl Case {
    fn new(what: &'static str, proposal: Proposal, verdict: Verdict, why: &'static str) -> Self {
        let judged_in = Some((Round(0), NOW));
        Self { what, proposal, judged_in, verdict, why, pushed: false }
    }

    fn invalid(what: &'static str, proposal: Proposal, why: &'static str) -> Self {
        Self::new(what, proposal, Verdict::Invalid, why)
    }

    fn valid(what: &'static str, proposal: Proposal) -> Self {
        Self::new(what, proposal, Verdict::Valid, "")
    }

    fn judged(mut self, judged_in: Option<(Round, Millis)>) -> Self {
        self.judged_in = judged_in;
        self
    }

    fn pushed(mut self) -> Self {
        self.pushed = true;
        self
    }

    /// Judges it twice, through the executor's thread and by itself for the reason.
    async fn run(&self, bench: &Bench) {
        let Self { what, proposal, .. } = self;
        bench.serve(proposal);
        if self.pushed {
            bench.push(proposal.block, proposal.body.clone());
        }
        assert_eq!(bench.verdict(proposal.block, self.judged_in), self.verdict, "{what}");
        let why = bench.reason(proposal.block).await;
        match &why {
            None => assert_eq!(self.why, "", "{what}: gives no reason"),
            Some(why) => {
                println!("{what}: {why}");
                assert!(!self.why.is_empty() && why.contains(self.why), "{what}: {why}");
            }
        }
        // A body is durable before any vote for it; what can get no vote leaves nothing behind.
        let height = bench.committed.tip().height().next();
        let durable = bench.committed.store().body(height, &proposal.block).unwrap().is_some();
        let may_be_decided = matches!(self.verdict, Verdict::Valid | Verdict::Untimely);
        assert_eq!(durable, may_be_decided, "{what}: whether its body is durable");
    }
}

/// What the proposals of a test are made of: a node at height 1, where every device is enrolled and the
/// handler holds one unit, and who writes events for it.
struct Scene {
    bench: Bench,
    scribe: Scribe,
    registered: SignedEvent,
    _dir: tempfile::TempDir,
}

impl Scene {
    async fn set() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bench = Bench::start(dir.path()).await;
        let mut scribe = Scribe::new(&genesis());
        let mut events = scribe.enrol_all();
        // The same block enrols the device and holds what it signed.
        let registered = scribe.register("handler.dock1", &unit("A"));
        events.push(registered.clone());
        bench.commit_events(FIRST, &events);
        Self { bench, scribe, registered, _dir: dir }
    }

    /// The honest block of these events at the present time.
    fn block(&self, events: &[SignedEvent]) -> Proposal {
        self.block_at(NOW, events)
    }

    fn block_at(&self, time: Millis, events: &[SignedEvent]) -> Proposal {
        Proposal::of(&self.bench.committed, time, events)
    }

    /// A handover of the unit: an offer and its acceptance.
    fn handover(&mut self) -> [SignedEvent; 2] {
        let scribe = &mut self.scribe;
        let offer = scribe.offer("handler.dock1", &unit("A"), "airline", self.registered.id());
        let accept = scribe.accept("airline.dock1", &unit("A"), offer.id());
        [offer, accept]
    }

    /// Two events that do not depend on each other.
    fn observations(&mut self) -> [SignedEvent; 2] {
        ["handler.dock1", "handler.dock2"].map(|by| self.scribe.observe(by, &unit("A")))
    }

    async fn run(&self, cases: impl IntoIterator<Item = Case>) {
        for case in cases {
            case.run(&self.bench).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_proposal_gets_its_vote() {
    let mut scene = Scene::set().await;
    let handover = scene.handover();
    let fetched = scene.block(&handover);
    scene
        .run([
            Case::valid("fetched whole", fetched),
            Case::valid("body pushed", scene.block(&handover[..1])).pushed(),
            Case::valid("of the record alone", scene.block(&[])),
        ])
        .await;

    // With its events in the pool, nothing but the body is asked for.
    let pooled = scene.observations();
    scene.bench.pool.offer(pooled.to_vec());
    scene.run([Case::valid("events pooled", scene.block(&pooled).withheld())]).await;

    // What this node builds itself passes its own check, and that of whoever works it out again.
    let built = scene.bench.build(false).unwrap();
    assert_eq!(scene.bench.verdict(built, None), Verdict::Valid);
    let body = scene.bench.bodies.get(&built).unwrap();
    let again = scene.block_at(body.record.time, &pooled);
    assert_eq!((built, body), (again.block, again.body));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_whose_record_lies_gets_no_vote() {
    let mut scene = Scene::set().await;
    let handover = scene.handover();
    let honest = || scene.block(&handover);
    let other = Digest::of(&[b"other"]);
    let tip = scene.bench.committed.tip();
    let set = |hash: &mut SetHash| *hash = SetHash(other);
    scene
        .run([
            Case::invalid(
                "map root",
                honest().record(|r| r.map_root = MapRoot(other)),
                "execution leads to another record",
            ),
            Case::invalid(
                "map root of the parent",
                honest().record(|r| r.map_root = tip.record.map_root),
                "execution leads to another record",
            ),
            Case::invalid(
                "parent",
                honest().record(|r| r.parent = BlockId(other)),
                "the parent does not follow the tip",
            ),
            Case::invalid(
                "height ahead",
                honest().record(|r| r.height = Height(3)),
                "the height does not follow the tip",
            ),
            Case::invalid(
                "height of the tip",
                honest().record(|r| r.height = Height(1)),
                "the height does not follow the tip",
            ),
            Case::invalid(
                "epoch",
                honest().record(|r| r.epoch = Epoch(1)),
                "execution leads to another record",
            ),
            Case::invalid(
                "set in force",
                honest().record(|r| set(&mut r.set)),
                "execution leads to another record",
            ),
            Case::invalid(
                "next set",
                honest().record(|r| set(&mut r.next_set)),
                "execution leads to another record",
            ),
            Case::invalid("more events said", honest().record(|r| r.events = 3), "2 events named"),
            Case::invalid("fewer events said", honest().record(|r| r.events = 0), "2 events named"),
            Case::valid("nothing at all, at last", honest()),
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_with_a_bad_time_gets_no_vote() {
    let mut scene = Scene::set().await;
    let events = scene.observations();
    let at = |time| scene.block_at(time, &events);
    let not_after = "the block time does not follow the tip";
    let untimely = |what, time| Case::new(what, at(time), Verdict::Untimely, "");
    let behind = |ms| Millis(NOW.0 - ms);
    scene
        .run([
            Case::invalid("the parent's time", at(FIRST), not_after).judged(None),
            Case::invalid("before the parent", at(GENESIS_TIME), not_after).judged(None),
            Case::invalid("time zero", at(Millis(0)), not_after).judged(None),
            untimely("too far ahead", NOW.plus(2_001)),
            untimely("as far ahead as can be", Millis(u64::MAX)),
            untimely("too far behind", behind(6_001)),
            untimely("right after the parent", FIRST.plus(1)),
            Case::valid("as far ahead as may be", at(NOW.plus(2_000))),
            Case::valid("as far behind as may be", at(behind(6_000))),
        ])
        .await;
    // The window grows with the round, and a re-proposal is not judged by any clock.
    let late = at(behind(9_000));
    scene
        .run([
            Case::new("fresh", late.clone(), Verdict::Untimely, ""),
            Case::valid("in a later round", late.clone()).judged(Some((Round(1), NOW))),
            Case::valid("proposed again", late).judged(None),
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_over_its_bounds_gets_no_vote() {
    let mut scene = Scene::set().await;
    let names = |count| (0..count).map(|n: usize| merkle::leaf_hash(&n.to_be_bytes())).collect();
    let many = scene
        .block(&[])
        .names(|all| *all = names(BLOCK_EVENTS_MAX + 1))
        .record(|r| r.events = BLOCK_EVENTS_MAX as u32 + 1);

    // The widest events that there are: a hundred long numbers in each.
    let children: Vec<_> = (0..CHILDREN_MAX).map(|n| unit(&format!("{n:030}"))).collect();
    let mut wide = Vec::new();
    while wide.iter().map(|e: &SignedEvent| e.bytes().len()).sum::<usize>() <= BLOCK_BYTES_MAX {
        let action = Action::Aggregate { children: children.clone() };
        wide.push(sign(scene.scribe.draft("handler.dock1", Subject::Unit(unit("A")), action)));
    }
    assert!(wide.len() <= BLOCK_EVENTS_MAX);
    let heavy = scene.block(&wide);
    scene
        .run([
            // Whoever asks for such a body gets bytes that are none.
            Case::new("events, asked for", many.clone(), Verdict::Unavailable, "unavailable"),
            Case::invalid("events", many, "4097 events named").pushed(),
            Case::invalid("bytes", heavy, "over its bounds: bytes of events"),
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_with_an_event_that_a_rule_forbids_gets_no_vote() {
    let mut scene = Scene::set().await;
    let [offer, accept] = scene.handover();
    let [first, second] = scene.observations();
    let accept_again = scene.scribe.accept("airline.dock2", &unit("A"), offer.id());
    let registered = scene.registered.clone();
    let scribe = &mut scene.scribe;
    let stranger = scribe.observe("forwarder.dock1", &unit("A"));
    let theft = scribe.offer("forwarder.dock2", &unit("A"), "airline", registered.id());
    let other_basis = scribe.offer("handler.dock1", &unit("A"), "airline", offer.id());
    let unborn = scribe.observe("airline.dock2", &unit("B"));
    let mut foreign = scribe.draft("handler.dock2", Subject::Unit(unit("C")), Action::Register);
    foreign.network = NetworkId(Digest::of(&[b"another network"]));
    let mut far = scribe.draft("customs.dock1", Subject::Unit(unit("A")), Action::Arrive);
    far.sequence = 100;
    let cases = [
        ("twice in the block", vec![first.clone(), first.clone()], "an event is named twice"),
        ("committed before", vec![registered.clone()], "event 0 breaks a rule"),
        ("committed, signed anew", vec![variant(&registered)], "event 0 breaks a rule"),
        ("here, signed anew", vec![second.clone(), variant(&second)], "event 1 breaks a rule"),
        ("accepted before it is offered", vec![accept.clone(), offer.clone()], "is not open"),
        ("accepted and never offered", vec![accept.clone()], "is not open"),
        ("accepted twice", vec![offer, accept, accept_again], "event 2 breaks a rule"),
        ("of one not involved", vec![stranger], "is neither custodian"),
        ("offered by one who has it not", vec![theft], "held by handler"),
        ("offered on another basis", vec![other_basis], "is not an event by which"),
        ("of a unit that is not", vec![unborn], "event 0 breaks a rule"),
        ("of another network", vec![sign(foreign)], "network"),
        ("far ahead in its numbers", vec![sign(far)], "event 0 breaks a rule"),
    ];
    for (what, events, why) in cases {
        Case::invalid(what, scene.block(&events), why).run(&scene.bench).await;
    }

    // Both observations are fine; in another order, or without one, they are another block.
    let both = || scene.block(&[first.clone(), second.clone()]);
    let differs = "execution leads to another record";
    scene
        .run([
            Case::invalid("events swapped", both().names(|names| names.reverse()), differs),
            Case::invalid(
                "an event left out",
                both().names(|names| names.truncate(1)).record(|r| r.events = 1),
                differs,
            ),
            Case::valid("as they were executed", both()),
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_with_an_event_that_is_not_what_it_says_gets_no_vote() {
    let mut scene = Scene::set().await;
    let subject = || Subject::Unit(unit("A"));
    let observe = Action::Observe { note: None };
    let honest = scene.scribe.observe("handler.dock1", &unit("A"));
    let ghost = scene.scribe.observe("handler.ghost", &unit("A"));
    let posed = scene.scribe.draft("handler.dock2", subject(), observe);
    let posed = SignedEvent::sign(posed, &key("airline.dock1"));
    let garbage = b"no event at all".to_vec();
    let no_event = {
        let mut proposal = scene
            .block(&[])
            .names(|n| n.push(merkle::leaf_hash(&garbage)))
            .record(|r| r.events = 1);
        proposal.events.insert(merkle::leaf_hash(&garbage), garbage);
        proposal
    };
    let spoiled_one = spoiled(&honest);
    scene
        .run([
            Case::invalid(
                "bad signature",
                scene.block(std::slice::from_ref(&spoiled_one)),
                "the signature of handler.dock1 does not match",
            ),
            Case::invalid(
                "bad signature beside a good one",
                scene.block(&[honest.clone(), spoiled_one]),
                "the signature of handler.dock1 does not match",
            ),
            Case::invalid(
                "signed by another device",
                scene.block(&[posed]),
                "no key of handler.dock2",
            ),
            Case::invalid(
                "device never enrolled",
                scene.block(&[ghost]),
                "no key of handler.ghost",
            ),
            Case::invalid("bytes that are no event", no_event, "event"),
            Case::valid("the same, signed well", scene.block(&[honest])),
        ])
        .await;
}

/// Not to have it is no fault of the block: it must not be remembered as one.
#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_that_cannot_be_had_whole_is_unavailable_and_not_invalid() {
    let mut scene = Scene::set().await;
    let handover = scene.handover();
    let whole = scene.block(&handover);
    let unavailable =
        |what, proposal| Case::new(what, proposal, Verdict::Unavailable, "unavailable");
    let nameless = whole
        .clone()
        .names(|names| names.push(Proposal::nameless()))
        .record(|record| record.events = 3);
    scene
        .run([
            unavailable("events withheld", whole.clone().withheld()),
            unavailable("an event that nobody has", nameless),
            unavailable("other bytes under the name", whole.clone().served_as(vec![0; 100])),
        ])
        .await;

    // Nobody has the body either.
    scene.bench.serve_nothing();
    let unknown = BlockId(Digest::of(&[b"nobody has this block"]));
    assert_eq!(scene.bench.verdict(unknown, None), Verdict::Unavailable);

    // What was missing comes, and the same block is valid.
    scene.run([Case::valid("everything came", whole)]).await;
}

/// A body under an id that it does not lead to says nothing of the block that the id names.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_lead_to_its_block_id_is_none_of_the_block() {
    let mut scene = Scene::set().await;
    let handover = scene.handover();
    let honest = || scene.block(&handover);
    let other = Digest::of(&[b"other"]);
    let foreign = |what, proposal| Case::new(what, proposal, Verdict::Unavailable, "unavailable");
    scene
        .run([
            foreign("tree root", honest().tree_root(TreeRoot(other))),
            foreign("block id", honest().block_id(BlockId(other))),
            foreign("tree root, pushed", honest().tree_root(TreeRoot(other))).pushed(),
            foreign("block id, pushed", honest().block_id(BlockId(other))).pushed(),
        ])
        .await;
}

/// A faulty proposer, or whoever voted for a block, gives this node another body under its id. Another holder
/// has the true one: the block must get this node's vote, or a height might never end.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_body_does_not_stand_in_the_way_of_the_true_one() {
    let mut scene = Scene::set().await;
    let handover = scene.handover();
    let wrong = scene.block(&[]).body;
    let true_block = |ms| scene.block_at(NOW.plus(ms), &handover);
    let bench = &scene.bench;

    // Asked for: it comes from the next holder.
    let asked = true_block(0);
    bench.serve_in_turn(&asked, [wrong.clone(), asked.body.clone()]);
    assert_eq!(bench.verdict_with(2, asked.block, None), Verdict::Valid, "the next holder");

    // Nobody has it yet, and once somebody does, it is asked for again.
    let late = true_block(1);
    bench.serve_in_turn(&late, [wrong.clone()]);
    assert_eq!(bench.verdict_with(2, late.block, None), Verdict::Unavailable);
    bench.serve(&late);
    assert_eq!(bench.verdict(late.block, None), Verdict::Valid, "after a wrong one alone");

    // Pushed: each sender's room is its own, before and after the true one came.
    let pushed = true_block(2);
    bench.serve_in_turn(&pushed, []);
    let flood = || {
        for from in [0, 2].map(ValidatorIndex) {
            for n in 0..100_u8 {
                bench.bodies.push(from, BlockId(Digest::of(&[&[n]])), wrong.clone());
            }
            bench.bodies.push(from, pushed.block, wrong.clone());
        }
    };
    flood();
    bench.push(pushed.block, pushed.body.clone());
    flood();
    assert_eq!(bench.verdict(pushed.block, None), Verdict::Valid, "pushed among wrong ones");

    // What was found to be the body stays it.
    flood();
    assert_eq!(bench.bodies.get(&pushed.block), Some(pushed.body.clone()));
}

/// The record travels beside the names; the two cannot be pulled apart in what was made durable.
#[tokio::test(flavor = "multi_thread")]
async fn the_durable_body_of_a_checked_block_is_the_block() {
    let mut scene = Scene::set().await;
    let handover = scene.handover();
    let proposal = scene.block(&handover);
    scene.bench.serve(&proposal);
    assert_eq!(scene.bench.verdict(proposal.block, None), Verdict::Valid);
    let stored = scene.bench.committed.store().body(Height(2), &proposal.block).unwrap().unwrap();
    let (record, events) = consign_node::store::decode_body(&stored).unwrap();
    let names: Vec<_> = events.iter().map(|bytes| merkle::leaf_hash(bytes)).collect();
    assert_eq!(record.to_bytes(), proposal.body.record.to_bytes());
    assert_eq!(names, proposal.body.events);
}
