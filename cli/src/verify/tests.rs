//! Receipts as `consign verify` tells of them.

use consign_types::merkle;
use consign_types::receipt::Receipt;

use super::*;
use crate::console::Report as _;
use consign_types::block::{LeafIndex, TreeSize};
use consign_types::checkpoint::{Checkpoint, cosigner_key};
use consign_types::digest::{Digest, NetworkId, TreeRoot};
use consign_types::event::{Action, Event, SignedEvent, Subject};
use consign_types::genesis::{Genesis, Member, Params};
use consign_types::key::SecretKey;
use consign_types::validator::{Validator, ValidatorSet};

const NAMES: [&str; 4] = ["airline", "consignee", "forwarder", "handler"];

fn key(i: usize, purpose: u8) -> SecretKey {
    SecretKey::from_seed([i as u8 * 16 + purpose; 32])
}

fn trust() -> Trust {
    let all = || NAMES.iter().enumerate();
    let member = |(i, name): (usize, &&str)| Member {
        party: name.parse().unwrap(),
        key: key(i, 1).public(),
        authority: false,
    };
    let validator = |(i, name): (usize, &&str)| Validator {
        party: name.parse().unwrap(),
        consensus_key: key(i, 2).public(),
        cosigner_key: key(i, 3).public(),
        network_key: key(i, 4).public(),
    };
    let set = ValidatorSet::new(all().map(validator).collect()).unwrap();
    let (time, members) = (Millis(1_767_225_600_000), all().map(member).collect());
    let genesis =
        Genesis::new("verify.example/consign", time, members, set, Params::default()).unwrap();
    Trust::of_genesis(&genesis, Vec::new())
}

fn event(network: NetworkId) -> SignedEvent {
    let event = Event {
        network,
        signer: "handler.dock7".parse().unwrap(),
        subject: Subject::Unit("00/106141412345678908".parse().unwrap()),
        sequence: 1,
        floor: 0,
        time: Millis(1_767_225_601_000),
        place: None,
        basis: None,
        action: Action::Register,
    };
    SignedEvent::sign(event, &key(9, 1))
}

/// A receipt of leaf 0 in a log of two leaves, cosigned by these validators.
fn receipt(trust: &Trust, event: &SignedEvent, cosigners: &[usize]) -> Receipt {
    let other = Digest::of(&[b"the other leaf"]);
    let root = TreeRoot(merkle::node_hash(&event.leaf_hash().0, &other));
    let checkpoint =
        Checkpoint { origin: "verify.example/consign".to_owned(), size: TreeSize(2), root };
    let mut note = checkpoint.signed(&key(0, 5)).unwrap();
    for i in cosigners {
        let validator = &trust.validators.validators()[*i];
        let line_key =
            cosigner_key(&trust.origin, &validator.party, validator.cosigner_key).unwrap();
        let cosignature = checkpoint.cosign(&key(*i, 3), 1_767_225_602 + *i as u64);
        note.add(cosignature.line(&line_key));
    }
    let extra = Some(event.bytes().to_vec());
    Receipt { extra, index: LeafIndex(0), path: vec![other], checkpoint: note }
}

fn verify(text: &str, event: Option<&[u8]>, trust: Option<&Trust>) -> Checked {
    answers::verify(text.as_bytes(), event, trust, &Asked::default(), Millis(0)).into()
}

fn exit(verification: &Checked) -> Option<Exit> {
    verification.outcome().err().map(|failure| failure.exit)
}

#[test]
fn a_receipt_that_a_quorum_cosigned_is_verified() {
    let trust = trust();
    let text = receipt(&trust, &event(trust.network), &[0, 1, 3]).text();
    let verification = verify(&text, None, Some(&trust));
    assert_eq!(exit(&verification), None);
    insta::assert_snapshot!(verification.text());
}

#[test]
fn without_a_quorum_or_a_trust_file_integrity_holds_and_trust_does_not() {
    let trust = trust();
    let short = receipt(&trust, &event(trust.network), &[0, 1]).text();
    let verification = verify(&short, None, Some(&trust));
    assert_eq!(exit(&verification), Some(Exit::Trust));
    insta::assert_snapshot!(verification.text());

    let full = receipt(&trust, &event(trust.network), &[0, 1, 2, 3]).text();
    assert_eq!(exit(&verify(&full, None, None)), Some(Exit::Trust));
}

#[test]
fn a_receipt_without_its_event_is_incomplete_until_the_event_is_named() {
    let trust = trust();
    let event = event(trust.network);
    let bare = Receipt { extra: None, ..receipt(&trust, &event, &[0, 1, 2]) }.text();
    assert_eq!(exit(&verify(&bare, None, Some(&trust))), Some(Exit::Incomplete));
    assert_eq!(exit(&verify(&bare, Some(event.bytes()), Some(&trust))), None);
}

#[test]
fn an_event_of_another_network_is_not_taken_for_one_of_this() {
    let trust = trust();
    let foreign = event(NetworkId(Digest::of(&[b"another"])));
    let verification = verify(&receipt(&trust, &foreign, &[0, 1, 2]).text(), None, Some(&trust));
    assert_eq!(exit(&verification), Some(Exit::Integrity));
}

/// Every byte of the file, one at a time. Some flips only spoil a signature that is not needed
/// or known; none leaves a verified file that says something else.
#[test]
fn no_flipped_byte_changes_what_is_verified() {
    let trust = trust();
    let text = receipt(&trust, &event(trust.network), &[0, 1, 2]).text();
    let honest = verify(&text, None, Some(&trust));
    for at in 0..text.len() {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= 1;
        let Ok(flipped) = String::from_utf8(bytes) else { continue };
        let verification = verify(&flipped, None, Some(&trust));
        if verification.proof.verified {
            assert_eq!(verification.proof, honest.proof, "byte {at}");
            let log_signature = text.find("\u{2014} verify.example/consign ").unwrap();
            assert!(at > log_signature, "byte {at}");
        } else {
            assert!(exit(&verification).is_some(), "byte {at}");
        }
    }
}

#[test]
fn bytes_that_are_no_receipt_fail_integrity() {
    for text in ["", "\n\n", "c2sp.org/tlog-proof@v1\nindex 0\n\n", "{}"] {
        assert_eq!(exit(&verify(text, None, Some(&trust()))), Some(Exit::Integrity), "{text:?}");
    }
    insta::assert_snapshot!(verify("{}", None, None).text());
}

/// The example of the specification, and the trust file that goes with it.
fn spec_example() -> passport::Verified {
    let page = include_str!("../../../docs/spec/passport.md");
    let block = |fence: &str| {
        let (_, rest) = page.split_once(&format!("```{fence}\n")).unwrap();
        rest.split("```").next().unwrap().to_owned()
    };
    let digits = block("hex passport").replace('\n', "");
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
    passport::read(&bytes, &Trust::from_json(&block("text trust")).unwrap()).unwrap()
}

/// A node that sends back the very file, or that stands still, would say so for ever.
#[test]
fn that_there_is_nothing_more_counts_from_a_young_checkpoint_alone() {
    let known = spec_example();
    let cosigned_s = known.checkpoint.time_s;
    let answer = |age_s: u64, max_age_s| {
        let fresh = Fresh::by(Millis((cosigned_s + age_s) * 1_000), max_age_s);
        let answer = online::compared("n".to_owned(), &known, &known, fresh);
        let unmet = online::unmet(std::slice::from_ref(&answer)).map(|unmet| unmet.code);
        (answer.says, unmet)
    };
    let upto = |age| format!("nothing more up to block {}, cosigned {age} ago", known.height);
    let stale = |age, max| {
        (format!("{}: too old to count, more than {max}", upto(age)), Some("nobody_answered"))
    };
    assert_eq!(answer(600, None), (upto("10 min"), None));
    assert_eq!(answer(601, None), stale("10 min", "10 min"));
    assert_eq!(answer(601, Some(3_600)), (upto("10 min"), None));
    assert_eq!(answer(86_400 * 3, Some(3_600)), stale("3 days", "60 min"));
    assert_eq!(answer(60, Some(30)), stale("60 s", "30 s"));
}

/// Of members that were asked, one that knows enough is enough.
#[test]
fn a_young_answer_counts_beside_a_stale_one_and_more_events_at_any_age() {
    let known = spec_example();
    let mut before = known.clone();
    before.steps.pop();
    let at = |age_s: u64| Fresh::by(Millis((known.checkpoint.time_s + age_s) * 1_000), None);
    let stale = online::compared("a".to_owned(), &known, &known, at(3_600));
    let young = online::compared("b".to_owned(), &known, &known, at(60));
    assert_eq!(online::unmet(&[stale.clone(), young]), None);
    let more = online::compared("c".to_owned(), &before, &known, at(86_400));
    assert_eq!(online::unmet(&[stale, more]).unwrap().code, "superseded");
}
