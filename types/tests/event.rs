//! Events: one value, one encoding; whatever else arrives is refused without a panic.

mod support;

use consign_types::codec::DecodeError;
use consign_types::digest::NetworkId;
use consign_types::event::{Action, Event, NotVerified, SignedEvent, Subject};
use consign_types::key::{SecretKey, Signature};
use consign_types::limits::{EVENT_BYTES_MAX, EVENT_BYTES_MAX_NESTED};
use consign_types::signer_key::{Algorithm, SignerKey, SignerSecret};
use consign_types::time::Millis;
use proptest::prelude::*;

fn register() -> Event {
    Event {
        network: NetworkId::default(),
        signer: "forwarder.dock1".parse().unwrap(),
        subject: Subject::Unit("00/106141412345678908".parse().unwrap()),
        sequence: 1,
        floor: 1,
        time: Millis(1_700_000_000_000),
        place: Some("414/9521321000018".parse().unwrap()),
        basis: None,
        action: Action::Register,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn an_event_survives_its_encoding(event in support::event(support::action()), key in support::key()) {
        let signed = SignedEvent::sign(event.clone(), &key);
        prop_assume!(signed.bytes().len() <= EVENT_BYTES_MAX);
        let read = SignedEvent::decode(signed.bytes()).unwrap();
        prop_assert_eq!(read.event(), &event);
        prop_assert_eq!(&read, &signed);
        prop_assert!(read.check_with(&key.public()).is_ok());
    }

    /// The id names the content: another signer's key or signature changes the leaf, not the meaning.
    #[test]
    fn the_id_does_not_depend_on_the_signature(event in support::event(support::action()), key in support::key()) {
        let signed = SignedEvent::sign(event, &key);
        let mut other = signed.bytes().to_vec();
        let last = other.len() - 1;
        other[last] ^= 1;
        let other = SignedEvent::decode(&other).unwrap();
        prop_assert_eq!(other.id(), signed.id());
        prop_assert_ne!(other.leaf_hash(), signed.leaf_hash());
        prop_assert!(other.check_with(&key.public()).is_err());
    }

    #[test]
    fn one_flipped_bit_is_refused_or_unverifiable(
        event in support::event(support::action()), key in support::key(), at in any::<prop::sample::Index>(), bit in 0..8u8,
    ) {
        let signed = SignedEvent::sign(event, &key);
        let mut bytes = signed.bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(read) = SignedEvent::decode(&bytes) {
            prop_assert_eq!(read.bytes(), &bytes[..]);
            prop_assert!(read.check_with(&key.public()).is_err());
        }
    }

    #[test]
    fn cut_or_lengthened_bytes_are_refused(event in support::event(support::action()), key in support::key(), cut in any::<prop::sample::Index>()) {
        let signed = SignedEvent::sign(event, &key);
        prop_assert!(SignedEvent::decode(&signed.bytes()[..cut.index(signed.bytes().len())]).is_err());
        let mut longer = signed.bytes().to_vec();
        longer.push(0);
        prop_assert!(SignedEvent::decode(&longer).is_err());
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(read) = SignedEvent::decode(&bytes) {
            prop_assert_eq!(read.bytes(), &bytes[..]);
        }
    }

    /// Noise inside of a valid envelope reaches the payload decoder, which random bytes seldom do.
    #[test]
    fn no_payload_makes_the_decoder_panic(event in support::event(support::action()), key in support::key(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let signed = SignedEvent::sign(event, &key);
        let mut bytes = signed.bytes().to_vec();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(read) = SignedEvent::decode(&bytes) {
            prop_assert_eq!(read.bytes(), &bytes[..]);
        }
    }
}

#[test]
fn an_event_longer_than_its_kind_allows_is_refused() {
    let long = vec![0; EVENT_BYTES_MAX_NESTED + 1];
    assert_eq!(
        SignedEvent::decode(&long),
        Err(DecodeError::TooLong {
            what: "event",
            bytes: EVENT_BYTES_MAX_NESTED + 1,
            max: EVENT_BYTES_MAX_NESTED
        })
    );
}

/// 10,000 arrays inside each other: refused by shape, without recursion.
#[test]
fn deep_nesting_is_refused_without_recursion() {
    let mut bytes = vec![0xd2, 0x84];
    bytes.extend(std::iter::repeat_n(0x81, 10_000));
    assert!(matches!(SignedEvent::decode(&bytes), Err(DecodeError::Malformed { .. })));
}

#[test]
fn a_longer_integer_is_not_canonical() {
    let key = SecretKey::from_seed([1; 32]);
    let signed = SignedEvent::sign(register(), &key);
    // The array of four written with a length byte: the same value, another encoding.
    let mut bytes = vec![0xd2, 0x98, 0x04];
    bytes.extend_from_slice(&signed.bytes()[2..]);
    assert_eq!(SignedEvent::decode(&bytes), Err(DecodeError::NotCanonical { what: "event" }));
}

#[test]
fn verification_names_what_is_wrong() {
    let (key, other) = (SecretKey::from_seed([1; 32]), SecretKey::from_seed([2; 32]));
    let signed = SignedEvent::sign(register(), &key);
    let signer = register().signer;
    let (key, other) = (SignerKey::from(key.public()), SignerKey::from(other.public()));
    assert!(signed.clone().verify(&mut |_, _| Some(key)).is_ok());
    assert_eq!(
        signed.clone().verify(&mut |_, _| None::<SignerKey>).unwrap_err(),
        NotVerified::UnknownKey(signer.clone())
    );
    assert_eq!(signed.verify(&mut |_, _| Some(other)).unwrap_err(), NotVerified::Signature(signer));
}

/// A handover is verified whole: a good envelope around a bad offer is refused.
#[test]
fn the_signatures_inside_of_a_handover_count() {
    let key = SecretKey::from_seed([1; 32]);
    let wrong = SecretKey::from_seed([2; 32]);
    let offer = Action::Offer {
        to: "airline".parse().unwrap(),
        until: Millis(2_000_000_000_000),
        terms: Default::default(),
    };
    let offer = Event { action: offer, basis: Some(Default::default()), ..register() };
    let offer = SignedEvent::sign(offer, &key);
    let accept = |by: &SecretKey| {
        let action = Action::Accept {
            offer: offer.id(),
            count: 1,
            seals: Vec::new(),
            condition: consign_types::event::Condition::Sound,
            exceptions: Vec::new(),
        };
        SignedEvent::sign(Event { action, ..register() }, by)
    };
    let handover = |acceptance: SignedEvent| {
        let action =
            Action::Handover { offer: Box::new(offer.clone()), acceptance: Box::new(acceptance) };
        let signed = SignedEvent::sign(Event { action, ..register() }, &key);
        SignedEvent::decode(signed.bytes())
            .unwrap()
            .verify(&mut |_, _| Some(SignerKey::from(key.public())))
    };
    assert!(handover(accept(&key)).is_ok());
    assert!(matches!(handover(accept(&wrong)), Err(NotVerified::Signature(_))));
}

fn on_p256() -> SignerSecret {
    SignerSecret::from_seed(Algorithm::P256, [1; 32]).unwrap()
}

/// The order of P-256, less `s`.
fn raised(signature: &Signature) -> Signature {
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order = consign_types::digest::decode_hex(order).unwrap();
    let mut raised = *signature;
    let mut borrow = 0;
    for at in (0..32).rev() {
        let less = i16::from(order[at]) - i16::from(signature.0[32 + at]) - borrow;
        borrow = i16::from(less < 0);
        raised.0[32 + at] = less.rem_euclid(256) as u8;
    }
    raised
}

/// Whoever signs with a library that does not choose is served all the same; nobody can make a second variant.
#[test]
fn the_higher_form_of_a_signature_on_p256_is_lowered_when_handed_in_and_refused_elsewhere() {
    let signed = SignedEvent::sign(register(), &on_p256());
    let mut high = signed.bytes().to_vec();
    let at = high.len() - 64;
    high[at..].copy_from_slice(&raised(signed.signature()).0);
    assert_ne!(high, signed.bytes());
    let refused = SignedEvent::decode(&high).unwrap_err();
    assert!(refused.to_string().contains("higher s"), "{refused}");
    assert_eq!(SignedEvent::decode_submitted(&high), Ok(signed.clone()));
    assert_eq!(SignedEvent::decode_submitted(signed.bytes()), Ok(signed.clone()));

    // Neither a number above the order nor another algorithm's bytes are taken for a form of a signature.
    let mut none = signed.bytes().to_vec();
    none[at..].fill(0xff);
    assert!(SignedEvent::decode_submitted(&none).is_err());
    let ed25519 = SignedEvent::sign(register(), &SecretKey::from_seed([1; 32]));
    let mut other = ed25519.bytes().to_vec();
    let at = other.len() - 64;
    other[at..].fill(0xff);
    assert_eq!(SignedEvent::decode_submitted(&other), SignedEvent::decode(&other));
}

/// The header says the algorithm, and the id of the key says it once more: no signature passes for the other's.
#[test]
fn a_header_with_the_other_algorithm_is_another_event_that_nobody_signed() {
    let key = on_p256();
    let signed = SignedEvent::sign(register(), &key);
    assert_eq!(signed.algorithm(), Algorithm::P256);
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|w| w == what);
    // { 1: -9, ... }
    let at = find(signed.bytes(), &[0x01, 0x28]).unwrap();
    for (algorithm, why) in [(0x26, "algorithm -7 is neither"), (0x24, "algorithm -5 is neither")] {
        let mut bytes = signed.bytes().to_vec();
        bytes[at + 1] = algorithm;
        let refused = SignedEvent::decode(&bytes).unwrap_err();
        assert!(refused.to_string().contains(why), "{refused}");
    }
    let mut bytes = signed.bytes().to_vec();
    bytes[at + 1] = 0x32;
    let relabelled = SignedEvent::decode(&bytes).unwrap();
    assert_eq!(relabelled.algorithm(), Algorithm::Ed25519);
    assert_ne!(relabelled.id(), signed.id());
    assert!(relabelled.check_with(&key.public()).is_err());
}
