//! Entries of the unit map: one value, one encoding; no bytes panic a decoder; heads are pinned.

use std::collections::BTreeSet;

use consign_ledger::entry::{EntryKey, FaultState, LogState, MemberState};
use consign_ledger::signer::{PastKey, Sequence, SignerState, Status};
use consign_ledger::unit::{
    Around, Booking, Closed, Counters, Custody, Inside, Journey, PAST_BASES_MAX, Pending, Proposal,
    Seal, Spent, UnitState, next_head,
};
use consign_types::block::{Height, LeafIndex};
use consign_types::codec::{Canonical, DecodeError};
use consign_types::digest::{Digest, EventId};
use consign_types::event::{DeliveryFactor, FactorSet, Kind, KindSet, Label, Window};
use consign_types::governance::Node;
use consign_types::key::SecretKey;
use consign_types::limits::{
    ADDRESSES_MAX, CONSENTS_MAX, HOLDS_MAX, MISSING_SEQUENCES_MAX, PENDING_MAX, SEALS_MAX,
    WITNESSES_MAX,
};
use consign_types::note::{KeyType, VerifierKey};
use consign_types::party::PartyId;
use consign_types::place::Place;
use consign_types::signer_key::{Algorithm, SignerKey, SignerSecret};
use consign_types::time::Millis;
use consign_types::unit::{UnitClass, UnitId};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn party() -> impl Strategy<Value = PartyId> {
    "[a-z][a-z0-9-]{0,31}".prop_map(|text| text.parse().unwrap())
}

fn unit() -> impl Strategy<Value = UnitId> {
    "[0-9]{17}".prop_map(|body| UnitId::sscc(&body).unwrap())
}

fn place() -> impl Strategy<Value = Place> {
    "[0-9]{12}".prop_map(|body| Place::gln(&body).unwrap())
}

fn label() -> impl Strategy<Value = Label> {
    "[!-~]{1,35}".prop_map(|text| text.parse().unwrap())
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn event_id() -> impl Strategy<Value = EventId> {
    digest().prop_map(EventId)
}

fn millis() -> impl Strategy<Value = Millis> {
    any::<u64>().prop_map(Millis)
}

fn counters() -> impl Strategy<Value = Counters> {
    any::<[u32; 6]>().prop_map(Counters::from_array)
}

fn custody() -> impl Strategy<Value = Custody> {
    prop_oneof![
        party().prop_map(Custody::Held),
        (party(), party(), millis(), event_id())
            .prop_map(|(by, to, until, offer)| Custody::Offered { by, to, until, offer }),
        (party(), party()).prop_map(|(holder, claimant)| Custody::Contested { holder, claimant }),
        (party(), millis()).prop_map(|(by, at)| Custody::Closed { why: Closed::Delivered, by, at }),
        (party(), millis()).prop_map(|(by, at)| Custody::Closed { why: Closed::Lost, by, at }),
        (party(), millis()).prop_map(|(by, at)| Custody::Closed { why: Closed::Destroyed, by, at }),
    ]
}

fn pending() -> impl Strategy<Value = Pending> {
    let what = prop_oneof![
        Just(Proposal::Return),
        select(&[Closed::Delivered, Closed::Lost, Closed::Destroyed][..]).prop_map(Proposal::Close),
        party().prop_map(|holder| Proposal::Resolve { holder }),
    ];
    (event_id(), party(), vec(party(), 0..=CONSENTS_MAX), millis(), event_id(), what).prop_map(
        |(event, by, open, until, basis, what)| Pending { event, by, open, until, basis, what },
    )
}

fn seal() -> impl Strategy<Value = Seal> {
    prop_oneof![
        Just(Seal::None),
        any::<bool>().prop_map(|authorised| Seal::Broken { authorised }),
        btree_set(label(), 1..=SEALS_MAX).prop_map(|ids| Seal::Sealed(ids.into_iter().collect())),
    ]
}

fn journey() -> impl Strategy<Value = Journey> {
    prop_oneof![
        (place(), option::of(label())).prop_map(|(place, aboard)| Journey::At { place, aboard }),
        (option::of(label()), any::<bool>())
            .prop_map(|(conveyance, loaded)| Journey::Moving { conveyance, loaded }),
    ]
}

fn booking() -> impl Strategy<Value = Booking> {
    (party(), any::<[u64; 2]>(), vec(select(DeliveryFactor::ALL), 0..5)).prop_map(
        |(receiver, [from, to], factors)| Booking {
            receiver,
            window: Window { from: Millis(from.min(to)), to: Millis(from.max(to)) },
            factors: FactorSet::of(&factors),
        },
    )
}

fn unit_state() -> impl Strategy<Value = UnitState> {
    let spent = option::of((event_id(), party(), millis()))
        .prop_map(|spent| spent.map(|(basis, holder, at)| Spent { basis, holder, at }));
    let inside = option::of((unit(), counters()))
        .prop_map(|inside| inside.map(|(parent, anchor)| Inside { parent, anchor }));
    // The counter of a sensor stops one short of the largest number; the rule for readings sees to it.
    let last_reading = option::of(0..u64::MAX);
    (
        (party(), custody(), event_id(), spent, vec(event_id(), 0..=PAST_BASES_MAX)),
        (inside, any::<[u32; 6]>(), seal()),
        (
            any::<bool>(),
            any::<bool>(),
            vec(event_id(), 0..=HOLDS_MAX),
            journey(),
            vec(pending(), 0..=PENDING_MAX),
        ),
        (option::of(booking()), counters(), any::<u32>(), last_reading, any::<u64>(), digest()),
    )
        .prop_map(|(title, first, second, third)| UnitState {
            owner: title.0,
            custody: title.1,
            basis: title.2,
            spent: title.3,
            past: title.4,
            inside: first.0,
            children: first.1,
            seal: first.2,
            damaged: second.0,
            excursion_open: second.1,
            holds: second.2,
            journey: second.3,
            pending: second.4,
            booking: third.0,
            counters: third.1,
            blocked_inside: third.2,
            last_reading: third.3,
            events: third.4,
            head: third.5,
        })
}

/// A state that taking numbers leads to, in whatever order and with whatever floors.
fn sequence() -> impl Strategy<Value = Sequence> {
    vec((1..200_u64, 0..200_u64), 0..40).prop_map(|numbers| {
        let mut sequence = Sequence::default();
        for (number, floor) in numbers {
            // What is refused changes nothing.
            let before = sequence.clone();
            if sequence.take(number, floor).is_err() {
                assert_eq!(sequence, before);
            }
        }
        sequence
    })
}

fn signer_key() -> impl Strategy<Value = SignerKey> {
    (select(&Algorithm::ALL[..]), any::<[u8; 32]>())
        .prop_filter_map("a scalar", |(by, seed)| Some(SignerSecret::from_seed(by, seed)?.public()))
}

fn signer_state() -> impl Strategy<Value = SignerState> {
    let places = btree_set(place(), 0..=32);
    let classes = btree_set(select(&UnitClass::ALL[..]), 0..=UnitClass::ALL.len());
    let status = prop_oneof![
        Just(Status::Active),
        digest().prop_map(|evidence| Status::Suspended { evidence }),
        (millis(), option::of(millis()))
            .prop_map(|(at, suspected_since)| Status::Revoked { at, suspected_since }),
    ];
    let lists = (vec(select(Kind::ALL), 0..9), places, classes);
    let past =
        vec((signer_key(), any::<u64>()).prop_map(|(key, below)| PastKey { key, below }), 0..=16);
    (signer_key(), lists, sequence(), status, past, option::of(millis())).prop_map(
        |(key, (kinds, places, classes), sequence, status, past, until)| SignerState {
            key,
            kinds: KindSet::of(&kinds),
            places: places.into_iter().collect(),
            classes: classes.into_iter().collect(),
            sequence,
            status,
            past,
            until,
        },
    )
}

fn node() -> impl Strategy<Value = Node> {
    let network_key = any::<[u8; 32]>().prop_map(|seed| SecretKey::from_seed(seed).public());
    let addresses = vec("/ip4/[0-9]{1,3}/tcp/[0-9]{1,5}", 0..=ADDRESSES_MAX);
    (network_key, addresses).prop_map(|(network_key, addresses)| Node { network_key, addresses })
}

fn log_state() -> impl Strategy<Value = LogState> {
    let key = |(name, seed): (String, [u8; 32])| {
        VerifierKey::new(&name, KeyType::Cosignature, SecretKey::from_seed(seed).public()).unwrap()
    };
    let keys = vec(("[a-z.]{1,40}", any::<[u8; 32]>()).prop_map(key), 0..=WITNESSES_MAX);
    ("[a-z0-9./-]{1,128}", keys, any::<bool>()).prop_map(|(origin, witnesses, urls)| LogState {
        addresses: urls.then(|| vec!["https://w.example".to_owned(); witnesses.len()]),
        origin,
        witnesses,
    })
}

/// Whatever is decoded is encoded to the same bytes again; whatever is not is refused, without a panic.
fn check_bytes<T: Canonical>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(value) = T::from_bytes(bytes) {
        prop_assert_eq!(value.to_bytes(), bytes);
    }
    Ok(())
}

/// A value survives; its bytes cut, lengthened or altered are another value's or nobody's.
fn check_value<T: Canonical + PartialEq + std::fmt::Debug>(
    value: &T,
    at: Index,
    bit: u8,
) -> Result<(), TestCaseError> {
    let bytes = value.to_bytes();
    prop_assert!(bytes.len() <= T::BYTES_MAX, "{} bytes", bytes.len());
    prop_assert!(T::from_bytes(&bytes).as_ref() == Ok(value));
    let at = at.index(bytes.len());
    prop_assert!(T::from_bytes(&bytes[..at]).is_err());
    let mut longer = bytes.clone();
    longer.push(0);
    prop_assert!(T::from_bytes(&longer).is_err());
    let mut altered = bytes;
    altered[at] ^= 1 << bit;
    prop_assert!(T::from_bytes(&altered).as_ref() != Ok(value));
    check_bytes::<T>(&altered)
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn a_unit_entry_has_one_encoding(state in unit_state(), at: Index, bit in 0..8_u8) {
        check_value(&state, at, bit)?;
    }

    #[test]
    fn a_signer_entry_has_one_encoding(state in signer_state(), at: Index, bit in 0..8_u8) {
        check_value(&state, at, bit)?;
    }

    #[test]
    fn entries_about_faults_have_one_encoding(
        (authority, faults) in any::<(bool, u32)>(), node in option::of(node()),
        expelled in option::of(any::<u64>().prop_map(Height)), evidence in digest(), report in event_id(),
        log in log_state(), at: Index, bit in 0..8_u8,
    ) {
        check_value(&MemberState { authority, faults, node, expelled }, at, bit)?;
        check_value(&FaultState { evidence, report }, at, bit)?;
        check_value(&log, at, bit)?;
    }

    #[test]
    fn no_bytes_panic_a_decoder_of_entries(bytes in vec(any::<u8>(), 0..600)) {
        check_bytes::<UnitState>(&bytes)?;
        check_bytes::<SignerState>(&bytes)?;
        check_bytes::<MemberState>(&bytes)?;
        check_bytes::<FaultState>(&bytes)?;
        check_bytes::<LogState>(&bytes)?;
    }

    /// Numbers against a set that remembers them all.
    #[test]
    fn a_number_is_taken_once_and_never_below_a_floor(
        numbers in vec((0..120_u64, 0..60_u64), 0..120),
    ) {
        let mut sequence = Sequence::default();
        let (mut used, mut floor) = (BTreeSet::new(), 1);
        for (number, lowest) in numbers {
            let new_floor = floor.max(lowest);
            let high = used.last().copied().unwrap_or(0).max(number);
            let open = (new_floor..high).filter(|n| !used.contains(n) && *n != number).count();
            let may = lowest <= number
                && number >= floor
                && !used.contains(&number)
                && open <= MISSING_SEQUENCES_MAX;
            prop_assert_eq!(sequence.take(number, lowest).is_ok(), may, "{} {}", number, lowest);
            if may {
                used.insert(number);
                floor = new_floor;
            }
            prop_assert_eq!(sequence.high(), used.last().copied().unwrap_or(0));
        }
    }
}

#[test]
fn the_largest_unit_entry_there_can_be_is_decoded() {
    let party: PartyId = "a".repeat(32).parse().unwrap();
    let label = |n: usize| format!("{n:02}{}", "x".repeat(33)).parse().unwrap();
    let (largest, id) = (Millis(u64::MAX), EventId(Digest([0xff; 32])));
    let counters = Counters::from_array([u32::MAX; 6]);
    let parent = format!("trk/{party}/{}", "9".repeat(30)).parse().unwrap();
    let window = Window { from: largest, to: largest };
    let pending = Pending {
        event: id,
        by: party.clone(),
        open: vec![party.clone(); CONSENTS_MAX],
        until: largest,
        basis: id,
        what: Proposal::Resolve { holder: party.clone() },
    };
    let state = UnitState {
        owner: party.clone(),
        custody: Custody::Offered {
            by: party.clone(),
            to: party.clone(),
            until: largest,
            offer: id,
        },
        basis: id,
        spent: Some(Spent { basis: id, holder: party.clone(), at: largest }),
        past: vec![id; PAST_BASES_MAX],
        inside: Some(Inside { parent, anchor: counters }),
        children: [u32::MAX; 6],
        seal: Seal::Sealed((0..SEALS_MAX).map(label).collect()),
        damaged: true,
        excursion_open: true,
        holds: vec![id; HOLDS_MAX],
        pending: vec![pending; PENDING_MAX],
        journey: Journey::Moving { conveyance: Some(label(0)), loaded: true },
        booking: Some(Booking {
            receiver: party,
            window,
            factors: FactorSet::of(DeliveryFactor::ALL),
        }),
        counters,
        blocked_inside: u32::MAX,
        last_reading: Some(u64::MAX - 1),
        events: u64::MAX,
        head: id.0,
    };
    assert_eq!(UnitState::from_bytes(&state.to_bytes()), Ok(state));
}

#[test]
fn more_bytes_than_an_entry_has_are_refused_unread() {
    let bytes = vec![0x90; UnitState::BYTES_MAX + 1];
    assert!(matches!(UnitState::from_bytes(&bytes), Err(DecodeError::TooLong { .. })));
}

/// Pinned: SHA-256 over tag, head, event id, leaf index, block time, number of containers, and for each
/// container the length of its number, the number, its head and its six effective counters. Computed apart
/// from this code.
#[test]
fn a_head_is_the_hash_that_the_design_names() {
    let (head, event) = (Digest([0x11; 32]), EventId(Digest([0x22; 32])));
    let (leaf, time) = (LeafIndex(7), Millis(1_700_000_000_123));
    let free = next_head(&head, &event, leaf, time, &[]);
    let expected = "b382da51ec8930f06454d6347bc27bfe3b1aa79e57dc159d5753eeabddcb3ee6";
    assert_eq!(free.to_string(), expected);
    let around = [
        Around {
            unit: "00/106141412345678908".parse().unwrap(),
            head: Digest([0x33; 32]),
            effective: Counters::from_array([1, 2, 3, 4, 5, 6]),
        },
        Around {
            unit: "bic/CSQU3054383".parse().unwrap(),
            head: Digest([0x44; 32]),
            effective: Counters::from_array([7, 8, 9, 10, 11, u32::MAX]),
        },
    ];
    let inside = next_head(&head, &event, leaf, time, &around);
    let expected = "7f0513653d739a7a60cd0f75eac9406c0ae9c6f5c127c57f234ff4678b5ca6ba";
    assert_eq!(inside.to_string(), expected);
}

#[test]
fn a_head_covers_everything_that_goes_into_it() {
    let (head, event) = (Digest([0x11; 32]), EventId(Digest([0x22; 32])));
    let around = Around {
        unit: "bic/CSQU3054383".parse().unwrap(),
        head: Digest([0x33; 32]),
        effective: Counters::default(),
    };
    let counted =
        Around { effective: Counters { reading_gaps: 1, ..Counters::default() }, ..around.clone() };
    let elsewhere = Around { unit: "bic/TOLU4734787".parse().unwrap(), ..around.clone() };
    let later = Around { head: Digest([0x34; 32]), ..around.clone() };
    let one = std::slice::from_ref(&around);
    let (leaf, time) = (LeafIndex(7), Millis(8));
    let heads = [
        next_head(&head, &event, leaf, time, one),
        next_head(&Digest::ZERO, &event, leaf, time, one),
        next_head(&head, &EventId(Digest::ZERO), leaf, time, one),
        next_head(&head, &event, LeafIndex(8), time, one),
        next_head(&head, &event, leaf, Millis(7), one),
        next_head(&head, &event, leaf, time, &[]),
        next_head(&head, &event, leaf, time, &[counted]),
        next_head(&head, &event, leaf, time, &[elsewhere]),
        next_head(&head, &event, leaf, time, &[later]),
        next_head(&head, &event, leaf, time, &[around.clone(), around]),
    ];
    assert_eq!(BTreeSet::from(heads).len(), heads.len());
}

/// Names of one kind are never names of another.
#[test]
fn map_keys_of_different_entries_differ() {
    let keys = [
        EntryKey::Unit("trk/a/A".parse().unwrap()),
        EntryKey::Signer("a".parse().unwrap()),
        EntryKey::Signer("a.a".parse().unwrap()),
        EntryKey::Seal("a".parse().unwrap()),
        EntryKey::Seal("trk/a/A".parse().unwrap()),
        EntryKey::Member("a".parse().unwrap()),
        EntryKey::Validators,
        EntryKey::Params,
        EntryKey::Fault(Digest::ZERO),
        EntryKey::Fault(Digest([1; 32])),
        EntryKey::Log,
    ];
    let hashed: BTreeSet<[u8; 32]> = keys.iter().map(EntryKey::map_key).collect();
    assert_eq!(hashed.len(), keys.len());
}
