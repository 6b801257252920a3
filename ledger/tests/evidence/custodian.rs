//! Custodians that give one unit to two receivers, and honest ones that look like it.

use consign_ledger::evidence::{Believed, Case, DoubleOffer, Evidence, Part, Why, double_offer};
use consign_types::digest::EventId;
use consign_types::event::{Action, Event, Reason, SignedEvent};
use consign_types::party::SignerId;
use consign_types::time::Millis;
use consign_types::unit::UnitId;

use super::support::node::Node;
use super::support::scene::{DAY_MS, OBSERVE, accept};
use super::support::{DEVICES, Desk, PARTIES, sign};
use super::{SIGNER, desk, named, refused, trust};

const TAKERS: [&str; 3] = ["airline.dock1", "customs.dock1", "handler.dock1"];

/// A desk, a unit of the forwarder, and everything that was signed about it.
struct Scene {
    desk: Desk,
    unit: UnitId,
    basis: EventId,
    number: u64,
    said: Vec<SignedEvent>,
}

impl Scene {
    fn new() -> Self {
        Self::of("A")
    }

    fn of(number: &str) -> Self {
        let mut desk = desk();
        let unit = desk.held(number);
        let basis = desk.unit(&unit).basis;
        let signer: SignerId = SIGNER.parse().unwrap();
        let number = desk.signer(&signer).unwrap().sequence.high();
        Self { desk, unit, basis, number, said: Vec::new() }
    }

    fn keep(&mut self, event: Event) -> SignedEvent {
        let event = sign(event).into_signed();
        self.said.push(event.clone());
        event
    }

    /// What the forwarder's device says next, at its own time.
    fn says(&mut self, action: Action, time: Millis) -> SignedEvent {
        self.number += 1;
        let is_offer = matches!(action, Action::Offer { .. });
        let basis = is_offer.then_some(self.basis);
        let draft = self.desk.draft(SIGNER, &self.unit, action);
        self.keep(Event { sequence: self.number, time, basis, ..draft })
    }

    fn offers(&mut self, to: &str, time: Millis) -> SignedEvent {
        let (to, until) = (to.parse().unwrap(), time.max(self.now()).plus(DAY_MS));
        self.says(Action::Offer { to, until, terms: Default::default() }, time)
    }

    fn accepts(&mut self, taker: &str, offer: &SignedEvent) -> SignedEvent {
        let event = self.desk.draft(taker, &self.unit, accept(offer.id()));
        self.keep(event)
    }

    /// The taker brings both to the log.
    fn brings(&mut self, taker: &str, offer: &SignedEvent, acceptance: &SignedEvent) -> bool {
        let (offer, acceptance) = (offer.clone().into(), acceptance.clone().into());
        let action = Action::Handover { offer, acceptance };
        let mut event = self.desk.draft(taker, &self.unit, action);
        event.sequence += 1;
        let event = self.keep(event);
        self.put(&event)
    }

    /// Brings an event to the log as it is; whether it was taken.
    fn put(&mut self, event: &SignedEvent) -> bool {
        let verified = sign(event.event().clone());
        self.desk.submit_verified(&verified).is_ok()
    }

    fn now(&self) -> Millis {
        self.desk.time
    }

    /// Whatever can be made out of all of it, by somebody who has everything.
    fn evidence(&self) -> Option<Evidence> {
        let node = Node::of(&self.desk);
        let devices = PARTIES.iter().flat_map(|party| DEVICES.map(|at| format!("{party}.{at}")));
        let signers: Vec<_> = devices.map(|name| node.signer(&name)).collect();
        let passport = node.passport(&self.unit);
        double_offer(Believed::from(&trust()), &passport, &signers, &self.said)
    }
}

/// Offered to the airline, then, something else in between, to the handler; both without a network. The
/// handler brings its handover to the log, the airline does not.
pub fn example(between: usize) -> Evidence {
    let mut scene = Scene::new();
    let now = scene.now();
    let first = scene.offers("airline", now);
    scene.accepts("airline.dock1", &first);
    for _ in 0..between {
        scene.says(OBSERVE, now);
    }
    let second = scene.offers("handler", now);
    let acceptance = scene.accepts("handler.dock1", &second);
    assert!(scene.brings("handler.dock1", &second, &acceptance));
    scene.evidence().unwrap()
}

#[test]
fn one_unit_given_to_two_receivers_names_the_custodian() {
    let said = |first, second| {
        format!(
            "forwarder offered trk/forwarder/A by forwarder.dock1 under numbers {first} and {second} \
             to airline and to handler on one basis, and both accepted"
        )
    };
    assert_eq!(named(&example(0)), [said(2, 3)]);
    assert_eq!(named(&example(3)), [said(2, 6)]);
}

/// The first was offered and accepted on the log; the second came there as a handover, and contested it.
#[test]
fn a_second_handover_of_what_was_accepted_on_the_log_names_the_custodian() {
    let mut scene = Scene::new();
    let now = scene.now();
    let first = scene.offers("airline", now);
    assert!(scene.put(&first));
    let acceptance = scene.accepts("airline.dock1", &first);
    assert!(scene.put(&acceptance));
    let second = scene.offers("handler", now);
    let acceptance = scene.accepts("handler.dock1", &second);
    assert!(scene.brings("handler.dock1", &second, &acceptance));
    assert_eq!(named(&scene.evidence().unwrap()).len(), 1);
}

/// Each line of this table is an honest custodian, and receivers that sign whatever hurts it.
#[test]
fn a_custodian_whose_first_offer_had_ended_is_not_named() {
    type Ends = fn(&mut Scene, &SignedEvent) -> Millis;
    let ways: [(&str, Ends); 5] = [
        ("the device signed a cancel, which never came on the log", |scene, first| {
            scene.says(Action::Cancel { offer: first.id() }, scene.now());
            scene.now()
        }),
        ("refused on the log", |scene, first| {
            assert!(scene.put(first));
            let (offer, reason) = (first.id(), Reason::Declined);
            let refusal = Action::Refuse { offer, reason };
            let refusal = scene.desk.say("airline.dock1", &scene.unit, refusal).into_signed();
            assert!(scene.put(&refusal));
            scene.now()
        }),
        ("cancelled on the log by another device", |scene, first| {
            assert!(scene.put(first));
            let cancel = Action::Cancel { offer: first.id() };
            let cancel = scene.desk.say("forwarder.dock2", &scene.unit, cancel).into_signed();
            assert!(scene.put(&cancel));
            scene.now()
        }),
        ("past by the device's clock, which is fast", |scene, _| scene.now().plus(DAY_MS + 1)),
        ("past by the log, and the device's clock is slow", |scene, _| {
            let slow = scene.now();
            scene.desk.time = slow.plus(DAY_MS + 1);
            slow
        }),
    ];
    for (what, ends) in ways {
        let mut scene = Scene::new();
        let now = scene.now();
        let first = scene.offers("airline", now);
        let time = ends(&mut scene, &first);
        // The airline accepts what has ended, in good faith or not.
        scene.accepts("airline.dock1", &first);
        let second = scene.offers("handler", time);
        let acceptance = scene.accepts("handler.dock1", &second);
        assert!(scene.brings("handler.dock1", &second, &acceptance), "{what}");
        assert_eq!(scene.evidence(), None, "{what}");
    }
}

/// What the rule leaves out, because it cannot be told from what is honest.
#[test]
fn what_cannot_be_shown_for_certain_names_nobody() {
    // To one receiver twice: a second try.
    let mut scene = Scene::new();
    let now = scene.now();
    for _ in 0..2 {
        let offer = scene.offers("airline", now);
        let acceptance = scene.accepts("airline.dock1", &offer);
        scene.brings("airline.dock1", &offer, &acceptance);
    }
    assert_eq!(scene.evidence(), None);
    // By two devices of one party, of which neither knows what the other offered.
    let mut scene = Scene::new();
    let first = scene.offers("airline", now);
    scene.accepts("airline.dock1", &first);
    let basis = scene.basis;
    let other = scene.desk.offline("forwarder.dock2", "handler.dock1", &scene.unit.clone(), basis);
    scene.said.push(other.signed().clone());
    assert!(scene.desk.submit_verified(&other).is_ok());
    assert_eq!(scene.evidence(), None);
    // Nobody brought the second to the log: nothing bounds when it was signed.
    let mut scene = Scene::new();
    for taker in ["airline.dock1", "handler.dock1"] {
        let offer = scene.offers(taker.split('.').next().unwrap(), now);
        scene.accepts(taker, &offer);
    }
    assert_eq!(scene.evidence(), None);
    // The receiver of the first never accepted.
    let mut scene = Scene::new();
    scene.offers("airline", now);
    let second = scene.offers("handler", now);
    let acceptance = scene.accepts("handler.dock1", &second);
    assert!(scene.brings("handler.dock1", &second, &acceptance));
    assert_eq!(scene.evidence(), None);
    // A number between is not accounted for: it may be a cancel.
    let mut scene = Scene::new();
    let first = scene.offers("airline", now);
    scene.accepts("airline.dock1", &first);
    scene.number += 1;
    let second = scene.offers("handler", now);
    let acceptance = scene.accepts("handler.dock1", &second);
    assert!(scene.brings("handler.dock1", &second, &acceptance));
    assert_eq!(scene.evidence(), None);
}

fn double(evidence: Evidence) -> DoubleOffer {
    match evidence.case {
        Case::DoubleOffer(double) => double,
        other => panic!("{other:?}"),
    }
}

/// Whoever holds all signatures and leaves out the cancel does not get far.
#[test]
fn a_cancel_cannot_be_hidden() {
    let mut scene = Scene::new();
    let now = scene.now();
    let first = scene.offers("airline", now);
    let one = scene.accepts("airline.dock1", &first);
    let cancel = scene.says(Action::Cancel { offer: first.id() }, now);
    let second = scene.offers("handler", now);
    let other = scene.accepts("handler.dock1", &second);
    assert!(scene.brings("handler.dock1", &second, &other));
    let shown = |between: &[&SignedEvent]| {
        let like = example(0);
        let node = Node::of(&scene.desk);
        let double = DoubleOffer {
            passport: consign_types::codec::Canonical::to_bytes(&node.passport(&scene.unit)),
            signers: vec![node.signer("airline.dock1")],
            offers: [&first, &second].map(|event| event.bytes().to_vec()),
            acceptances: [&one, &other].map(|event| event.bytes().to_vec()),
            between: between.iter().map(|event| event.bytes().to_vec()).collect(),
        };
        let bad = refused(&Evidence { case: Case::DoubleOffer(double), ..like });
        (bad.part, bad.why)
    };
    assert_eq!(shown(&[&cancel]), (Part::Between(0), Why::Ended));
    assert_eq!(shown(&[]), (Part::Between(0), Why::Number));
    assert_eq!(shown(&[&first]), (Part::Between(0), Why::Number));
    assert_eq!(shown(&[&one]), (Part::Between(0), Why::OtherSigner));
    let forged = super::support::sign_with(
        Event { action: OBSERVE, ..cancel.event().clone() },
        &super::support::key("airline"),
    );
    assert_eq!(shown(&[forged.signed()]), (Part::Between(0), Why::Signature));
}

#[test]
fn evidence_without_a_proven_key_names_nobody() {
    let whole = example(0);
    let mut without = double(whole.clone());
    without.signers.clear();
    let bad = refused(&Evidence { case: Case::DoubleOffer(without), ..whole.clone() });
    let airline = "airline.dock1".parse().unwrap();
    assert_eq!((bad.part, bad.why), (Part::Acceptance(0), Why::NoKey(airline)));
    // And no more entries than it needs.
    let mut scene = Scene::new();
    let now = scene.now();
    let first = scene.offers("airline", now);
    scene.accepts("airline.dock1", &first);
    let second = scene.offers("handler", now);
    let acceptance = scene.accepts("handler.dock1", &second);
    assert!(scene.brings("handler.dock1", &second, &acceptance));
    let mut more = double(scene.evidence().unwrap());
    let node = Node::of(&scene.desk);
    more.signers.push(node.signer("customs.dock1"));
    let bad = refused(&Evidence { case: Case::DoubleOffer(more.clone()), ..whole.clone() });
    assert_eq!((bad.part, bad.why), (Part::Signer(1), Why::Unused));
    more.signers[1] = node.signer("handler.dock1");
    let bad = refused(&Evidence { case: Case::DoubleOffer(more), ..whole });
    assert_eq!((bad.part, bad.why), (Part::Signer(1), Why::Unused));
}

/// Numbers that follow from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % bound
    }
}

/// One device that offers one unit again and again, with a clock that is wrong, on and off the log; every
/// receiver accepts everything, late too, and brings to the log what it will take.
fn run(seed: u64, honest: bool) -> Scene {
    let mut random = Random(seed);
    let mut scene = Scene::new();
    let skew = random.below(5) * 8 * 3_600_000;
    let behind = random.below(2) == 0;
    let clock = |log: Millis| Millis(if behind { log.0 - skew } else { log.0 + skew });
    let mut open: Option<(EventId, Millis)> = None;
    let mut pairs: Vec<(&str, SignedEvent, SignedEvent)> = Vec::new();
    for _ in 0..6 {
        scene.desk.time = scene.desk.time.plus(random.below(4) * 7 * 3_600_000 + 1);
        let (log, time) = (scene.now(), clock(scene.now()));
        if random.below(3) == 0 {
            let event = scene.says(OBSERVE, time);
            if random.below(2) == 0 {
                scene.put(&event);
            }
        }
        if let Some((offer, until)) = open {
            // It has ended by either clock; or the log has an end of it; or the device ends it itself.
            let past = log > until || time > until;
            if !past && honest {
                scene.says(Action::Cancel { offer }, time);
            }
        }
        let taker = TAKERS[random.below(3) as usize];
        let offer = scene.offers(taker.split('.').next().unwrap(), time);
        open = Some((offer.id(), time.max(log).plus(DAY_MS)));
        if random.below(3) == 0 {
            scene.put(&offer);
            if random.below(2) == 0 {
                let (offer, reason) = (offer.id(), Reason::Declined);
                let refusal = Action::Refuse { offer, reason };
                let refusal = scene.desk.say(taker, &scene.unit, refusal).into_signed();
                if scene.put(&refusal) {
                    open = None;
                }
            }
        }
        let acceptance = scene.accepts(taker, &offer);
        pairs.push((taker, offer, acceptance));
        while random.below(2) == 0 && !pairs.is_empty() {
            let at = random.below(pairs.len() as u64) as usize;
            let (taker, offer, acceptance) = pairs.remove(at);
            scene.brings(taker, &offer, &acceptance);
        }
    }
    for (taker, offer, acceptance) in pairs {
        scene.brings(taker, &offer, &acceptance);
    }
    scene
}

/// Sixty-four custodians that keep to the rule, and as many that do the same without a cancel.
#[test]
fn a_custodian_that_ends_what_it_offered_is_never_named() {
    let mut caught = 0;
    for seed in 0..64 {
        let scene = run(seed, true);
        assert_eq!(scene.evidence(), None, "seed {seed}");
        caught += u32::from(run(seed, false).evidence().is_some());
    }
    println!("{caught} of 64 that did not");
    assert!(caught > 40, "{caught}");
}

/// Of another unit, by another custodian, with nothing in common.
pub fn another() -> Evidence {
    let mut scene = Scene::of("B");
    let now = scene.now();
    scene.number = 20;
    let first = scene.offers("customs", now);
    scene.accepts("customs.dock1", &first);
    for _ in 0..2 {
        scene.says(OBSERVE, now);
    }
    let second = scene.offers("airline", now);
    let acceptance = scene.accepts("airline.dock1", &second);
    assert!(scene.brings("airline.dock1", &second, &acceptance));
    scene.evidence().unwrap()
}
