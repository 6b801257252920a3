//! COSE receipts: what is exchanged, dropped, repeated or flipped in one that holds is refused, and the
//! reason names the part.

use consign_types::block::{LeafIndex, TreeSize};
use consign_types::checkpoint::Checkpoint;
use consign_types::codec::{Canonical as _, DecodeError};
use consign_types::cose_receipt::{
    Algorithm, BadCoseReceipt, CoseReceipt, ReceiptKey, ReceiptSecret, TransparentEvent,
};
use consign_types::digest::{Digest, NetworkId, TreeRoot};
use consign_types::es256::Es256SecretKey;
use consign_types::event::{Action, Event, SignedEvent, Subject};
use consign_types::key::SecretKey;
use consign_types::merkle::{BadProof, node_hash};
use consign_types::time::Millis;

const ORIGIN: &str = "receipts.example/consign";

fn event(sequence: u64) -> SignedEvent {
    let event = Event {
        network: NetworkId::default(),
        signer: "forwarder.dock1".parse().unwrap(),
        subject: Subject::Unit(format!("trk/forwarder/R-{sequence}").parse().unwrap()),
        sequence,
        floor: 0,
        time: Millis(1_700_000_000_000 + sequence),
        place: Some("414/9521321000018".parse().unwrap()),
        basis: None,
        action: Action::Register,
    };
    SignedEvent::sign(event, &SecretKey::from_seed([3; 32]))
}

fn log_key() -> SecretKey {
    SecretKey::from_seed([9; 32])
}

fn es256_key() -> Es256SecretKey {
    Es256SecretKey::from_scalar([9; 32]).unwrap()
}

fn leaf(index: u64) -> Digest {
    event(index + 1).leaf_hash().0
}

/// Five events: a size that shares its paths with six, seven and eight.
fn checkpoint() -> Checkpoint {
    let four = node_hash(&node_hash(&leaf(0), &leaf(1)), &node_hash(&leaf(2), &leaf(3)));
    let root = TreeRoot(node_hash(&four, &leaf(4)));
    Checkpoint { origin: ORIGIN.to_owned(), size: TreeSize(5), root }
}

fn issued(index: u64, key: ReceiptSecret<'_>) -> TransparentEvent {
    let event = event(index + 1);
    let path = vec![leaf(1 - index), node_hash(&leaf(2), &leaf(3)), leaf(4)];
    let receipt = CoseReceipt::issue(&event, LeafIndex(index), path, &checkpoint(), key);
    TransparentEvent { event, receipt: receipt.unwrap() }
}

fn first() -> TransparentEvent {
    issued(0, ReceiptSecret::Ed25519(&log_key()))
}

fn second() -> TransparentEvent {
    issued(1, ReceiptSecret::Ed25519(&log_key()))
}

/// What an auditor says who knows the log's key.
fn check(claimed: &TransparentEvent) -> Result<TreeRoot, BadCoseReceipt> {
    claimed.receipt.verify(&claimed.event, ORIGIN, &ReceiptKey::Ed25519(log_key().public()))
}

#[test]
fn a_receipt_holds_for_its_event_under_either_algorithm_and_comes_back_from_its_bytes() {
    for receipt in [first(), second()] {
        assert_eq!(check(&receipt), Ok(checkpoint().root));
        assert_eq!(TransparentEvent::from_bytes(&receipt.to_bytes()), Ok(receipt.clone()));
        assert_eq!(CoseReceipt::from_bytes(&receipt.receipt.to_bytes()), Ok(receipt.receipt));
    }
    let es256 = issued(1, ReceiptSecret::Es256(&es256_key()));
    let key = ReceiptKey::Es256(es256_key().public());
    assert_eq!(es256.receipt.algorithm, Algorithm::Es256);
    assert_eq!(es256.receipt.verify(&es256.event, ORIGIN, &key), Ok(checkpoint().root));
    assert_eq!(TransparentEvent::from_bytes(&es256.to_bytes()), Ok(es256));
}

#[test]
fn a_part_exchanged_with_that_of_another_receipt_is_refused_by_name() {
    let (good, other) = (first(), second());
    let with = |change: &dyn Fn(&mut TransparentEvent)| {
        let mut claimed = good.clone();
        change(&mut claimed);
        check(&claimed)
    };
    let subject = Err(BadCoseReceipt::Subject {
        found: "trk/forwarder/R-1".to_owned(),
        expected: "trk/forwarder/R-2".to_owned(),
    });
    assert_eq!(with(&|c| c.event = other.event.clone()), subject);
    let signature = Err(BadCoseReceipt::Signature);
    assert_eq!(with(&|c| c.receipt.proof = other.receipt.proof.clone()), signature);
    assert_eq!(with(&|c| c.receipt.proof.index = other.receipt.proof.index), signature);
    assert_eq!(with(&|c| c.receipt.proof.path = other.receipt.proof.path.clone()), signature);
    let es256 = issued(0, ReceiptSecret::Es256(&es256_key()));
    assert_eq!(with(&|c| c.receipt.signature = es256.receipt.signature), signature);
    assert_eq!(with(&|c| c.receipt.key_id = es256.receipt.key_id), Err(BadCoseReceipt::Key));
    assert_eq!(with(&|c| c.receipt.algorithm = Algorithm::Es256), Err(BadCoseReceipt::Key));
    assert_eq!(with(&|c| c.receipt = es256.receipt.clone()), Err(BadCoseReceipt::Key));
    let origin = Err(BadCoseReceipt::Origin {
        found: "another.example/log".to_owned(),
        expected: ORIGIN.to_owned(),
    });
    assert_eq!(with(&|c| c.receipt.origin = "another.example/log".to_owned()), origin);
    let outside = Err(BadCoseReceipt::Inclusion(BadProof::Range));
    assert_eq!(with(&|c| c.receipt.proof.size = TreeSize(0)), outside);
    let length = Err(BadCoseReceipt::Inclusion(BadProof::Length));
    assert_eq!(with(&|c| c.receipt.proof.size = TreeSize(3)), length);
    assert_eq!(with(&|c| c.receipt.proof.path.push(Digest::default())), length);
    assert_eq!(with(&|c| c.receipt.proof.path.clear()), length);
}

/// The bytes of the first receipt's parts, by name, to be put together wrongly.
fn parts() -> [Vec<u8>; 4] {
    let bytes = first().receipt.to_bytes();
    // Tag and array, then a byte string with a length of one byte.
    let header = usize::from(bytes[3]) + 4;
    let signature = bytes.len() - 66;
    // `a1 19 018c a1 20`: the proofs of label 396 that are inclusion proofs.
    let (proofs, nil) = (header + 6, signature - 1);
    [
        bytes[2..header].to_vec(),
        bytes[proofs..nil].to_vec(),
        bytes[nil..signature].to_vec(),
        bytes[signature..].to_vec(),
    ]
}

fn assembled(header: &[u8], proofs: &[u8], payload: &[u8], signature: &[u8]) -> Vec<u8> {
    [&[0xd2, 0x84], header, &[0xa1, 0x19, 0x01, 0x8c, 0xa1, 0x20], proofs, payload, signature]
        .concat()
}

#[test]
fn a_part_dropped_or_repeated_in_the_bytes_is_refused_by_name() {
    let [header, proofs, nil, signature] = parts();
    assert_eq!(assembled(&header, &proofs, &nil, &signature), first().receipt.to_bytes());
    let refused = |bytes: &[u8]| CoseReceipt::from_bytes(bytes).unwrap_err().to_string();
    assert_eq!(proofs[0], 0x81, "a list of one proof");
    let twice = [&[0x82], &proofs[1..], &proofs[1..]].concat();
    assert_eq!(
        refused(&assembled(&header, &twice, &nil, &signature)),
        "malformed COSE receipt: an array of 2 items, not 1"
    );
    assert_eq!(
        refused(&assembled(&header, &[0x80], &nil, &signature)),
        "malformed COSE receipt: an array of 0 items, not 1"
    );
    // The root carried along: a second thing that the signature might be thought to speak of.
    let root = [&[0x58, 0x20], &checkpoint().root.as_bytes()[..]].concat();
    assert_eq!(
        refused(&assembled(&header, &proofs, &root, &signature)),
        "malformed COSE receipt: the payload, the root, is not left out"
    );
    assert_eq!(
        refused(&assembled(&header, &proofs, &nil, &[0x40])),
        "malformed COSE receipt: 0 bytes, not 64"
    );
    assert_eq!(
        refused(&assembled(&[0x40], &proofs, &nil, &signature)),
        "malformed COSE receipt header: end of input bytes"
    );
    // Another size of tree has the same path and the same root: the signed header tells them apart.
    let mut resized = first();
    resized.receipt.proof.size = TreeSize(6);
    assert_eq!(resized.receipt.root(&resized.event), Ok(checkpoint().root));
    assert_eq!(check(&resized), Err(BadCoseReceipt::Signature));
    let at = proofs.iter().position(|byte| *byte == 0x83).unwrap() + 1;
    assert_eq!(proofs[at], 5);
    let larger = [&proofs[..at], &[6], &proofs[at + 1..]].concat();
    assert_eq!(
        refused(&assembled(&header, &larger, &nil, &signature)),
        "malformed COSE receipt: the size in the header is not that of the proof"
    );
    let mut empty = first();
    empty.receipt.proof.path.clear();
    assert_eq!(
        refused(&empty.receipt.to_bytes()),
        "malformed COSE receipt proof: no hash in the path"
    );
}

#[test]
fn an_event_with_no_receipt_or_two_is_refused() {
    let bare = first().event.bytes().to_vec();
    let refused = |bytes: &[u8]| TransparentEvent::from_bytes(bytes).unwrap_err().to_string();
    assert_eq!(
        refused(&bare),
        "malformed event with a receipt: the unprotected header carries no receipt"
    );
    let whole = first().to_bytes();
    let receipt = first().receipt.to_bytes();
    let at = whole.windows(receipt.len()).position(|part| part == receipt).unwrap();
    // `81 59 xx xx` stands before the one receipt.
    let head = if receipt.len() > 255 { 3 } else { 2 };
    let one = &whole[at - head..at + receipt.len()];
    assert_eq!(whole[at - head - 1], 0x81);
    let twice = [&whole[..at - head - 1], &[0x82], one, one, &whole[at + receipt.len()..]].concat();
    assert_eq!(refused(&twice), "malformed event with a receipt: 2 receipts, not one");
    let long = vec![0xd2; 1_000_000];
    assert!(matches!(TransparentEvent::from_bytes(&long), Err(DecodeError::TooLong { .. })));
}

#[test]
fn not_a_bit_of_an_event_with_its_receipt_may_change() {
    let whole = first().to_bytes();
    let verdict = |bytes: &[u8]| {
        let claimed = TransparentEvent::from_bytes(bytes).map_err(|e| e.to_string())?;
        check(&claimed).map_err(|e| e.to_string())
    };
    assert_eq!(verdict(&whole), Ok(checkpoint().root));
    for at in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        assert!(verdict(&flipped).is_err(), "bit {at}");
    }
    for end in 0..whole.len() {
        assert!(verdict(&whole[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn a_log_signs_no_root_but_that_of_its_checkpoint() {
    let path = vec![leaf(2), node_hash(&leaf(2), &leaf(3)), leaf(4)];
    let key = log_key();
    let issued = CoseReceipt::issue(
        &event(1),
        LeafIndex(0),
        path,
        &checkpoint(),
        ReceiptSecret::Ed25519(&key),
    );
    assert_eq!(issued, Err(BadCoseReceipt::Inclusion(BadProof::Root)));
}
