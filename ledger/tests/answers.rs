//! The answers to COSE receipts (RFC 9942).

use consign_ledger::answers::{self, Answer, Asked, Verdict, Verification};
use consign_types::block::{Epoch, Height, LeafIndex, TreeSize};
use consign_types::checkpoint::Checkpoint;
use consign_types::codec::Canonical as _;
use consign_types::cose_receipt::{CoseReceipt, ReceiptSecret, TransparentEvent};
use consign_types::digest::{Digest, NetworkId, TreeRoot};
use consign_types::event::{Action, Event, SignedEvent, Subject};
use consign_types::key::SecretKey;
use consign_types::merkle::node_hash;
use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_types::validator::{Validator, ValidatorSet};

const ORIGIN: &str = "verify.example/consign";

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn event(network: NetworkId) -> SignedEvent {
    let event = Event {
        network,
        signer: "forwarder.dock1".parse().unwrap(),
        subject: Subject::Unit("00/106141412345678908".parse().unwrap()),
        sequence: 1,
        floor: 0,
        time: Millis(1_700_000_123_456),
        place: Some("414/9521321000018".parse().unwrap()),
        basis: None,
        action: Action::Register,
    };
    SignedEvent::sign(event, &key(1))
}

/// An event of this network, leaf 0 of a log of two, with the receipt of log key 9.
fn receipted(network: NetworkId) -> TransparentEvent {
    let event = event(network);
    let sibling = Digest::of(&[b"the other leaf"]);
    let root = TreeRoot(node_hash(&event.leaf_hash().0, &sibling));
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: TreeSize(2), root };
    let secret = key(9);
    let secret = ReceiptSecret::Ed25519(&secret);
    let receipt = CoseReceipt::issue(&event, LeafIndex(0), vec![sibling], &checkpoint, secret);
    TransparentEvent { event, receipt: receipt.unwrap() }
}

/// A trust file that lists log key `log`.
fn trust(log: u8) -> Trust {
    let validator = Validator {
        party: "airline".parse().unwrap(),
        consensus_key: key(2).public(),
        cosigner_key: key(3).public(),
        network_key: key(4).public(),
    };
    Trust {
        witnesses: Default::default(),
        origin: ORIGIN.to_owned(),
        network: NetworkId::default(),
        epoch: Epoch(0),
        height: Height(0),
        validators: ValidatorSet::new(vec![validator]).unwrap(),
        logs: vec![("airline".parse().unwrap(), key(log).public())],
        earlier: Vec::new(),
        receipt_keys: Vec::new(),
    }
}

fn verify(file: &[u8], event: Option<&[u8]>, trust: Option<&Trust>) -> Verification {
    answers::verify(file, event, trust, &Asked::default(), Millis(0))
}

#[test]
fn a_receipt_under_a_listed_log_key_is_verified_and_claims_no_quorum() {
    let whole = receipted(NetworkId::default());
    let seen = verify(&whole.to_bytes(), None, Some(&trust(9)));
    assert_eq!((seen.verified, seen.code()), (false, "log_key_alone"));
    let asked = Asked { accept_log_key: true, ..Asked::default() };
    let accepted = answers::verify(&whole.to_bytes(), None, Some(&trust(9)), &asked, Millis(0));
    assert_eq!((accepted.verified, accepted.code()), (true, "ok"));
    assert_eq!(seen.integrity.verdict, Verdict::Ok);
    assert_eq!(
        seen.trust,
        Answer::new(
            Verdict::Bounded,
            "one log key, that of airline, says so; that a quorum of validators made it final is \
             not shown"
        )
    );
    assert_eq!(seen.completeness, Answer::new(Verdict::Bounded, "one event; not a history"));
    assert_eq!(seen.time.verdict, Verdict::NotEstablished);
    // The receipt alone says the same, with the event beside it.
    let alone = verify(&whole.receipt.to_bytes(), Some(whole.event.bytes()), Some(&trust(9)));
    assert_eq!(alone, seen);
}

#[test]
fn without_the_logs_key_neither_integrity_nor_trust_is_established() {
    let bytes = receipted(NetworkId::default()).to_bytes();
    for trust in [None, Some(trust(8))] {
        let seen = verify(&bytes, None, trust.as_ref());
        assert_eq!(seen.integrity.verdict, Verdict::NotEstablished);
        assert_eq!(seen.trust.verdict, Verdict::NotEstablished);
        assert_eq!(seen.code(), "trust");
    }
}

#[test]
fn a_receipt_of_another_network_event_or_log_fails_by_name() {
    let whole = receipted(NetworkId::default());
    let why = |seen: Verification| {
        assert_eq!(seen.code(), "integrity");
        seen.integrity.detail
    };
    let foreign = NetworkId(Digest::of(&[b"another network"]));
    let seen = verify(&receipted(foreign).to_bytes(), None, Some(&trust(9)));
    assert_eq!(why(seen), "the event is meant for another network");
    let other = event(foreign);
    let seen = verify(&whole.to_bytes(), Some(other.bytes()), Some(&trust(9)));
    assert_eq!(why(seen), "the event given is not the one in the file");
    let seen = verify(&whole.receipt.to_bytes(), Some(other.bytes()), Some(&trust(9)));
    assert_eq!(why(seen), "the event is meant for another network");
    let elsewhere = Trust { origin: "another.example/log".to_owned(), ..trust(9) };
    let seen = verify(&whole.to_bytes(), None, Some(&elsewhere));
    assert_eq!(
        why(seen),
        "the receipt is of log \"verify.example/consign\", not \"another.example/log\""
    );
    let seen = verify(whole.event.bytes(), None, Some(&trust(9)));
    assert_eq!(why(seen), "this is an event without a receipt; nothing says that it is in a log");
    let mut forged = whole.clone();
    forged.receipt.proof.path[0] = Digest::default();
    assert_eq!(
        why(verify(&forged.to_bytes(), None, Some(&trust(9)))),
        "the log's signature does not hold for the root that the event and its inclusion proof \
         lead to"
    );
}

#[test]
fn a_receipt_without_its_event_is_incomplete() {
    let whole = receipted(NetworkId::default());
    let seen = verify(&whole.receipt.to_bytes(), None, Some(&trust(9)));
    assert_eq!(seen.code(), "incomplete");
    let cut = &whole.receipt.to_bytes()[..100];
    assert_eq!(verify(cut, None, Some(&trust(9))).code(), "integrity");
}
