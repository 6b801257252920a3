//! Strategies that make any event there can be.

use consign_types::digest::{Digest, EventId, NetworkId};
use consign_types::event::{
    Action, Condition, DeliveryFactor, Event, ExceptionCode, FactorSet, Kind, KindSet, Label,
    Reason, SignedEvent, Subject, Verdict, Window,
};
use consign_types::key::Signature;
use consign_types::party::{PartyId, SignerId};
use consign_types::place::Place;
use consign_types::signer_key::{Algorithm, SignerSecret};
use consign_types::time::Millis;
use consign_types::unit::{UnitClass, UnitId};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

pub fn key() -> impl Strategy<Value = SignerSecret> {
    (select(&Algorithm::ALL[..]), any::<[u8; 32]>())
        .prop_filter_map("a scalar of the curve", |(by, seed)| SignerSecret::from_seed(by, seed))
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn reference() -> impl Strategy<Value = EventId> {
    digest().prop_map(EventId)
}

fn party() -> impl Strategy<Value = PartyId> {
    "[a-z][a-z0-9-]{0,31}".prop_map(|text| text.parse().unwrap())
}

fn signer() -> impl Strategy<Value = SignerId> {
    (party(), option::of("[a-z][a-z0-9-]{0,31}")).prop_map(|(party, label)| match label {
        None => SignerId::member(party),
        Some(label) => SignerId::device(party, &label).unwrap(),
    })
}

fn unit() -> impl Strategy<Value = UnitId> {
    prop_oneof![
        "[0-9]{17}".prop_map(|body| UnitId::sscc(&body).unwrap()),
        (party(), "[A-Z0-9-]{1,30}").prop_map(|(p, n)| format!("trk/{p}/{n}").parse().unwrap()),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    "[0-9]{12}".prop_map(|body| Place::gln(&body).unwrap())
}

fn label() -> impl Strategy<Value = Label> {
    "[!-~]{1,35}".prop_map(|text| text.parse().unwrap())
}

fn labels(min: usize) -> impl Strategy<Value = Vec<Label>> {
    btree_set(label(), min..6).prop_map(|set| set.into_iter().collect())
}

fn window() -> impl Strategy<Value = Window> {
    (any::<u64>(), any::<u64>())
        .prop_map(|(a, b)| Window { from: Millis(a.min(b)), to: Millis(a.max(b)) })
}

fn reason() -> impl Strategy<Value = Reason> {
    select(Reason::ALL)
}

fn children() -> impl Strategy<Value = Vec<UnitId>> {
    btree_set(unit(), 1..9).prop_map(|set| set.into_iter().collect())
}

fn offer() -> impl Strategy<Value = Action> {
    (party(), any::<u64>(), digest()).prop_map(|(to, until, terms)| Action::Offer {
        to,
        until: Millis(until),
        terms,
    })
}

fn accept() -> impl Strategy<Value = Action> {
    let exceptions = btree_set(select(ExceptionCode::ALL), 0..5);
    (reference(), any::<u32>(), labels(0), select(Condition::ALL), exceptions).prop_map(
        |(offer, count, seals, condition, exceptions)| Action::Accept {
            offer,
            count,
            seals,
            condition,
            exceptions: exceptions.into_iter().collect(),
        },
    )
}

fn enrol() -> impl Strategy<Value = Action> {
    let places = btree_set(place(), 0..4);
    let classes = btree_set(select(&UnitClass::ALL[..]), 0..4);
    let kinds = vec(select(Kind::ALL), 0..9);
    let until = proptest::option::of(any::<u64>().prop_map(Millis));
    (key(), any::<[u8; 32]>(), kinds, places, classes, until).prop_map(
        |(key, half, kinds, places, classes, until)| {
            let mut possession = [0; 64];
            possession[..32].copy_from_slice(&half);
            Action::Enrol {
                key: key.public(),
                possession: Signature(possession),
                kinds: KindSet::of(&kinds),
                places: places.into_iter().collect(),
                classes: classes.into_iter().collect(),
                until,
            }
        },
    )
}

fn handover() -> impl Strategy<Value = Action> {
    (event(offer().boxed()), event(accept().boxed()), key(), key()).prop_map(
        |(offer, acceptance, giver, taker)| Action::Handover {
            offer: Box::new(SignedEvent::sign(offer, &giver)),
            acceptance: Box::new(SignedEvent::sign(acceptance, &taker)),
        },
    )
}

fn testimony() -> impl Strategy<Value = Action> {
    let said = prop_oneof![offer(), accept(), Just(Action::Register), enrol()];
    (event(said.boxed()), key()).prop_map(|(event, key)| Action::Testimony {
        event: Box::new(SignedEvent::sign(event, &key)),
    })
}

pub fn action() -> BoxedStrategy<Action> {
    let factors = btree_set(select(DeliveryFactor::ALL), 0..5);
    prop_oneof![
        Just(Action::Register),
        (party(), window(), vec(select(DeliveryFactor::ALL), 0..5)).prop_map(
            |(receiver, window, f)| {
                Action::Book { receiver, window, factors: FactorSet::of(&f) }
            }
        ),
        offer(),
        accept(),
        (reference(), reason()).prop_map(|(offer, reason)| Action::Refuse { offer, reason }),
        reference().prop_map(|offer| Action::Cancel { offer }),
        handover(),
        children().prop_map(|children| Action::Aggregate { children }),
        children().prop_map(|children| Action::Disaggregate { children }),
        label().prop_map(|conveyance| Action::Load { conveyance }),
        label().prop_map(|conveyance| Action::Unload { conveyance }),
        option::of(label()).prop_map(|conveyance| Action::Depart { conveyance }),
        Just(Action::Arrive),
        option::of(digest()).prop_map(|note| Action::Observe { note }),
        labels(1).prop_map(|ids| Action::SealApply { ids }),
        labels(1).prop_map(|ids| Action::SealVerify { ids }),
        reason().prop_map(|reason| Action::SealBreak { reason }),
        (digest(), any::<u32>(), window()).prop_map(|(root, count, w)| Action::Readings {
            root,
            count,
            first: w.from.0,
            last: w.to.0
        }),
        window().prop_map(|window| Action::Excursion { window }),
        select(Verdict::ALL).prop_map(|verdict| Action::CloseExcursion { verdict }),
        reason().prop_map(|reason| Action::Hold { reason }),
        reference().prop_map(|hold| Action::Release { hold }),
        (select(ExceptionCode::ALL), digest())
            .prop_map(|(code, evidence)| Action::Exception { code, evidence }),
        reason().prop_map(|reason| Action::Attempt { reason }),
        (factors, digest()).prop_map(|(factors, proof)| Action::Deliver {
            factors: factors.into_iter().map(|factor| (factor, proof)).collect()
        }),
        reason().prop_map(|reason| Action::Return { reason }),
        (party(), reason()).prop_map(|(holder, reason)| Action::Lost { holder, reason }),
        (party(), reason()).prop_map(|(holder, reason)| Action::Destroyed { holder, reason }),
        Just(Action::Found),
        (party(), reason()).prop_map(|(holder, reason)| Action::Resolve { holder, reason }),
        reference().prop_map(|proposal| Action::Consent { proposal }),
        enrol(),
        vec(any::<u8>(), 1..300).prop_map(|evidence| Action::Report { evidence }),
        testimony(),
        option::of(any::<u64>())
            .prop_map(|since| Action::Revoke { suspected_since: since.map(Millis) }),
    ]
    .boxed()
}

pub fn event(action: BoxedStrategy<Action>) -> impl Strategy<Value = Event> {
    let subject = prop_oneof![unit().prop_map(Subject::Unit), signer().prop_map(Subject::Signer)];
    let numbers = (1..=u64::MAX, any::<u64>(), any::<u64>());
    (digest(), signer(), subject, numbers, option::of(place()), option::of(reference()), action)
        .prop_map(|(network, signer, subject, (sequence, floor, time), place, basis, action)| {
            Event {
                network: NetworkId(network),
                signer,
                subject,
                sequence,
                floor,
                time: Millis(time),
                place,
                basis,
                action,
            }
        })
}
