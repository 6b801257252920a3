//! Claim strings: read back as they were, and refused for whatever else they are.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use consign_types::claim::{BadClaim, CLAIM_CHARS_MAX, CLAIM_PREFIX, Claim, DeviceClass};
use consign_types::codec::Canonical as _;
use consign_types::digest::{Digest, NetworkId};
use consign_types::key::SecretKey;
use consign_types::party::SignerId;
use proptest::prelude::*;

fn network() -> NetworkId {
    NetworkId(Digest::of(&[b"a network"]))
}

fn claim(device: &str, class: DeviceClass, seed: u8) -> Claim {
    let key = SecretKey::from_seed([seed; 32]);
    Claim::new(network(), device.parse().unwrap(), class, &key).unwrap()
}

/// A claim string over any bytes, with a checksum that fits.
fn string(bytes: &[u8]) -> String {
    let checksum = &Digest::of(&[b"consign/claim/v1\0", bytes]).0[..4];
    format!("{CLAIM_PREFIX}{}", URL_SAFE_NO_PAD.encode([bytes, checksum].concat()))
}

#[test]
fn each_changed_character_is_refused() {
    let text = claim("handler.dock7", DeviceClass::Scanner, 7).to_string();
    for at in 0..text.len() {
        for other in ["A", "b", "0", "_", "=", " "] {
            let mut changed = text.clone();
            changed.replace_range(at..=at, other);
            if changed != text {
                assert!(changed.parse::<Claim>().is_err(), "character {at} as {other:?}");
            }
        }
        let cut = text.get(..at).unwrap();
        assert!(cut.parse::<Claim>().is_err(), "cut at {at}");
    }
    assert_eq!(format!("{text}A").parse::<Claim>(), Err(BadClaim::Damaged));
    let long = format!("{CLAIM_PREFIX}{}", "A".repeat(CLAIM_CHARS_MAX));
    assert_eq!(long.parse::<Claim>(), Err(BadClaim::NotAClaim));
}

#[test]
fn the_longest_names_fit() {
    let name = format!("{}.{}", "p".repeat(32), "d".repeat(32));
    let claim = claim(&name, DeviceClass::Gateway, 1);
    let text = claim.to_string();
    assert!(text.len() <= CLAIM_CHARS_MAX, "{} characters", text.len());
    assert_eq!(text.parse(), Ok(claim));
}

/// What a claim holds is changed and the checksum made anew: only the key's own signature makes it one.
#[test]
fn a_checksum_that_fits_makes_no_claim() {
    let good = claim("handler.dock7", DeviceClass::Scanner, 7);
    let renamed = |from: &str, to: &str| {
        let mut bytes = good.to_bytes();
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        string(&bytes).parse::<Claim>()
    };
    let device = |text: &str| text.parse::<SignerId>().unwrap();
    assert_eq!(renamed("dock7", "dock8"), Err(BadClaim::NoPossession(device("handler.dock8"))));
    assert_eq!(
        renamed("handler.dock7", "handlerxdock7"),
        Err(BadClaim::Member(device("handlerxdock7")))
    );
    // The class suggests and decides nothing: whoever hands over the claim may say another.
    let other = string(&claim("handler.dock7", DeviceClass::Gateway, 7).to_bytes());
    assert_eq!(other.parse::<Claim>().map(|claim| claim.class()), Ok(DeviceClass::Gateway));
    assert!(matches!(string(b"\x80").parse::<Claim>(), Err(BadClaim::Malformed(_))));
    let member = Claim::new(
        network(),
        device("handler"),
        DeviceClass::Office,
        &SecretKey::from_seed([7; 32]),
    );
    assert_eq!(member, Err(BadClaim::Member(device("handler"))));
}

proptest! {
    #[test]
    fn a_claim_is_read_back_as_it_was(
        device in "[a-z][a-z0-9-]{0,31}\\.[a-z][a-z0-9-]{0,31}",
        class in proptest::sample::select(DeviceClass::ALL.to_vec()),
        seed in any::<u8>(),
    ) {
        let claim = claim(&device, class, seed);
        let text = claim.to_string();
        prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        prop_assert_eq!(text.parse(), Ok(claim));
    }

    #[test]
    fn one_wrong_character_is_never_a_claim(at in 0_usize..240, other in any::<char>()) {
        let text = claim("handler.dock7", DeviceClass::Scanner, 7).to_string();
        let at = at % text.len();
        let changed: String =
            text.char_indices().map(|(i, c)| if i == at { other } else { c }).collect();
        prop_assume!(changed != text);
        prop_assert!(changed.parse::<Claim>().is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..260)) {
        let _ = string(&bytes).parse::<Claim>();
    }
}
