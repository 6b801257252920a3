//! Cosigned checkpoints, receipts and the policy: what a quorum proves, and what proves nothing.

use consign_types::block::{Epoch, Height, LeafIndex, TreeSize};
use consign_types::checkpoint::{self, Checkpoint, NotProven, Proven, cosigner_key, signed_by_log};
use consign_types::codec::DecodeError;
use consign_types::digest::{Digest, NetworkId, TreeRoot};
use consign_types::key::{PublicKey, SecretKey, Signature, Signer};
use consign_types::limits::LOG_ENTRY_BYTES_MAX;
use consign_types::merkle::{self, BadProof};
use consign_types::note::{NOTE_BYTES_MAX, Note, NoteSignature, VerifierKey};
use consign_types::policy::policy;
use consign_types::receipt::{BadReceipt, RECEIPT_BYTES_MAX, Receipt};
use consign_types::trust::Trust;
use consign_types::validator::{Validator, ValidatorIndex, ValidatorSet};
use consign_types::witness::{WitnessRule, Witnessed};
use proptest::collection::vec;
use proptest::prelude::*;

const ORIGIN: &str = "devnet.example/consign";
const PARTIES: [&str; 4] = ["airline", "consignee", "forwarder", "handler"];
const LEAVES: [&[u8]; 3] = [b"genesis", b"an event", b"record"];

fn key(i: u8, role: u8) -> SecretKey {
    let mut seed = [i; 32];
    seed[0] = role;
    SecretKey::from_seed(seed)
}

fn log_key() -> SecretKey {
    key(0, 9)
}

fn set_of(parties: &[&str]) -> ValidatorSet {
    let validator = |(i, party): (u8, &&str)| Validator {
        party: party.parse().unwrap(),
        consensus_key: key(i, 1).public(),
        cosigner_key: key(i, 2).public(),
        network_key: key(i, 3).public(),
    };
    ValidatorSet::new((0..).zip(parties).map(validator).collect()).unwrap()
}

fn set() -> ValidatorSet {
    set_of(&PARTIES)
}

fn root() -> TreeRoot {
    let [a, b, c] = LEAVES.map(|leaf| merkle::leaf_hash(leaf).0);
    TreeRoot(merkle::node_hash(&merkle::node_hash(&a, &b), &c))
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size: TreeSize(3), root: root() }
}

fn line_key(i: u8) -> VerifierKey {
    let validator = &set().validators()[usize::from(i)].clone();
    cosigner_key(ORIGIN, &validator.party, validator.cosigner_key).unwrap()
}

/// The checkpoint with the log's signature and these cosignatures: validator and time.
fn note(cosigners: &[(u8, u64)]) -> Note {
    let mut note = checkpoint().signed(&log_key()).unwrap();
    for (i, time) in cosigners {
        note.add(checkpoint().cosign(&key(*i, 2), *time).line(&line_key(*i)));
    }
    note
}

fn receipt() -> Receipt {
    let [a, _, c] = LEAVES.map(|leaf| merkle::leaf_hash(leaf).0);
    Receipt {
        extra: Some(LEAVES[1].to_vec()),
        index: LeafIndex(1),
        path: vec![a, c],
        checkpoint: note(&[(0, 100), (1, 300), (3, 200)]),
    }
}

fn verify(note: &Note) -> Result<Proven, NotProven> {
    checkpoint::verify(note, ORIGIN, &set())
}

#[test]
fn a_quorum_proves_a_checkpoint_at_its_quorum_th_newest_time() {
    let note: Note = note(&[(0, 100), (1, 300), (3, 200), (2, 50)]).to_string().parse().unwrap();
    let validators = [0, 1, 2, 3].map(ValidatorIndex).to_vec();
    let witnessed = Witnessed::default();
    let (checkpoint, set) = (checkpoint(), set().hash());
    let proven = Proven { checkpoint, set, validators, time_s: 100, witnessed };
    assert_eq!(verify(&note), Ok(proven));
    assert_eq!(signed_by_log(&note, ORIGIN, log_key().public()), Ok(true));
    assert_eq!(signed_by_log(&note, ORIGIN, key(1, 9).public()), Ok(false));
}

#[test]
fn one_validator_twice_is_no_quorum() {
    let note = note(&[(0, 100), (1, 300), (1, 301)]);
    assert_eq!(verify(&note), Err(NotProven::NoQuorum { found: 2, quorum: 3 }));
}

#[test]
fn a_validator_that_cosigned_twice_counts_with_its_newer_time() {
    let note = note(&[(0, 100), (1, 300), (3, 50), (3, 200)]);
    assert_eq!(verify(&note).unwrap().time_s, 100);
}

#[test]
fn signatures_by_unknown_keys_are_kept_and_prove_nothing() {
    let mut outside = note(&[(0, 100), (1, 300)]);
    let stranger = VerifierKey::new("witness.example", line_key(0).kind(), key(7, 7).public());
    outside.add(checkpoint().cosign(&key(7, 7), 400).line(&stranger.unwrap()));
    // Under a validator's name, but not by its key.
    let posed = VerifierKey::new(line_key(2).name(), line_key(2).kind(), key(7, 7).public());
    outside.add(checkpoint().cosign(&key(7, 7), 400).line(&posed.unwrap()));
    assert_eq!(outside.to_string().parse(), Ok(outside.clone()));
    assert_eq!(outside.signatures().len(), 5);
    assert_eq!(verify(&outside), Err(NotProven::NoQuorum { found: 2, quorum: 3 }));
}

#[test]
fn a_wrong_signature_under_a_validators_name_and_id_condemns_the_note() {
    let party = || NotProven::Signature("forwarder".parse().unwrap());
    let quorum = [(0, 100), (1, 300), (3, 200)];
    let mut other_size = note(&quorum);
    let other = Checkpoint { size: TreeSize(4), ..checkpoint() };
    other_size.add(other.cosign(&key(2, 2), 100).line(&line_key(2)));
    assert_eq!(verify(&other_size), Err(party()));

    let mut another_time = note(&quorum);
    let mut line = checkpoint().cosign(&key(2, 2), 100).line(&line_key(2));
    line.signature[7] += 1;
    another_time.add(line);
    assert_eq!(verify(&another_time), Err(party()));

    let mut cut = note(&quorum);
    let NoteSignature { name, key_id, mut signature } =
        checkpoint().cosign(&key(2, 2), 100).line(&line_key(2));
    signature.pop();
    cut.add(NoteSignature { name, key_id, signature });
    assert_eq!(verify(&cut), Err(party()));
}

#[test]
fn a_plain_signature_of_the_text_is_no_cosignature() {
    let mut plain = note(&[(0, 100), (1, 300)]);
    let mut signature = 100u64.to_be_bytes().to_vec();
    signature.extend(key(3, 2).sign(checkpoint().text().as_bytes()).0);
    let (name, key_id) = (line_key(3).name().to_owned(), line_key(3).key_id());
    plain.add(NoteSignature { name, key_id, signature });
    assert_eq!(verify(&plain), Err(NotProven::Signature("handler".parse().unwrap())));
}

#[test]
fn a_checkpoint_of_another_log_is_named_as_such() {
    let verdict = checkpoint::verify(&note(&[]), "other.example/log", &set());
    let (found, expected) = (ORIGIN.to_owned(), "other.example/log".to_owned());
    assert_eq!(verdict, Err(NotProven::Origin { found, expected }));
}

#[test]
fn only_the_one_form_of_a_checkpoint_is_read() {
    let text = checkpoint().text();
    assert_eq!(Checkpoint::from_text(&text), Ok(checkpoint()));
    for other in [
        text.replacen("\n3\n", "\n03\n", 1),
        text.replacen("\n3\n", "\n+3\n", 1),
        text.replacen("\n3\n", "\n-3\n", 1),
        text.replacen("\n3\n", "\n\n", 1),
        text.replacen("\n3\n", "\n18446744073709551616\n", 1),
        text.replacen(ORIGIN, "", 1),
        text.replacen("=\n", "\n", 1),
        text.replacen("=\n", "==\n", 1),
        format!("{text}extension\n"),
        format!("{text}\n"),
        text.trim_end().to_owned(),
        String::new(),
    ] {
        assert!(Checkpoint::from_text(&other).is_err(), "{other:?}");
    }
}

/// Every bit of the file, one at a time: no flip leaves a proof of anything else, and none leaves a
/// proof at all, but in the log's own line, which is not part of the quorum and is checked apart.
#[test]
fn every_flipped_bit_of_a_note_is_refused() {
    let text = note(&[(0, 100), (1, 300), (3, 200)]).to_string();
    let log = format!("\u{2014} {ORIGIN} ");
    let begin = text.find(&log).unwrap();
    let log_line = begin..begin + text[begin..].find('\n').unwrap();
    for (at, bit) in (0..text.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1 << bit;
        let Ok(flipped) = String::from_utf8(bytes) else { continue };
        let Ok(note) = flipped.parse::<Note>() else { continue };
        if log_line.contains(&at) {
            let signed = signed_by_log(&note, ORIGIN, log_key().public());
            assert_ne!(signed, Ok(true), "byte {at}, bit {bit}");
            assert!(verify(&note).is_ok_and(|proven| proven.checkpoint == checkpoint()));
        } else {
            assert!(verify(&note).is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn a_receipt_proves_its_leaf_and_no_other() {
    let leaf = merkle::leaf_hash(LEAVES[1]);
    let read: Receipt = receipt().text().parse().unwrap();
    assert_eq!(read, receipt());
    assert_eq!(
        read.verify(leaf, &trust(&PARTIES)).map(|p| (p.checkpoint, p.time_s)),
        Ok((checkpoint(), 100))
    );

    let bad = |receipt: Receipt, leaf| receipt.verify(leaf, &trust(&PARTIES)).unwrap_err();
    let root = BadReceipt::Inclusion(BadProof::Root);
    assert_eq!(bad(receipt(), merkle::leaf_hash(LEAVES[2])), root);
    assert_eq!(bad(Receipt { index: LeafIndex(0), ..receipt() }, leaf), root);
    assert_eq!(
        bad(Receipt { index: LeafIndex(3), ..receipt() }, leaf),
        BadReceipt::Inclusion(BadProof::Range)
    );
    assert_eq!(
        bad(Receipt { path: receipt().path[..1].to_vec(), ..receipt() }, leaf),
        BadReceipt::Inclusion(BadProof::Length)
    );
    assert_eq!(
        bad(Receipt { checkpoint: note(&[(0, 100), (1, 300)]), ..receipt() }, leaf),
        BadReceipt::Checkpoint(NotProven::NoQuorum { found: 2, quorum: 3 })
    );
}

/// Bits that matter: all but those of `extra`, which nothing authenticates but the leaf hash, and
/// those of the log's own signature.
#[test]
fn every_flipped_bit_of_a_receipt_is_refused() {
    let whole = receipt();
    let text = Receipt { extra: None, ..whole.clone() }.text();
    let log = format!("\u{2014} {ORIGIN} ");
    let begin = text.find(&log).unwrap();
    let log_line = begin..begin + text[begin..].find('\n').unwrap();
    let leaf = merkle::leaf_hash(LEAVES[1]);
    for at in (0..text.len()).filter(|at| !log_line.contains(at)) {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let Ok(flipped) = String::from_utf8(bytes) else { continue };
            let Ok(flipped) = flipped.parse::<Receipt>() else { continue };
            let verdict = flipped.verify(leaf, &trust(&PARTIES));
            assert!(verdict.is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn only_the_one_form_of_a_receipt_is_read() {
    let text = receipt().text();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra YW4gZXZlbnQ=\nindex 1\n"));
    let hash = text.lines().nth(3).unwrap().to_owned();
    for other in [
        text.replacen("@v1", "@v2", 1),
        text.replacen("index 1", "index 01", 1),
        text.replacen("index 1", "index +1", 1),
        text.replacen("index 1\n", "", 1),
        text.replacen("extra YW4gZXZlbnQ=", "extra ", 1),
        text.replacen("extra YW4gZXZlbnQ=", "extra", 1),
        text.replacen("extra YW4gZXZlbnQ=", "extra YW4gZXZlbnR=", 1),
        text.replacen("extra YW4gZXZlbnQ=", "extra YW4gZXZlbnQ=\nextra YW4gZXZlbnQ=", 1),
        text.replacen(&hash, &hash[..40], 1),
        text.replacen(&hash, &format!("{hash}\n").repeat(64), 1),
        text.replacen("\n\n", "\n", 1),
        text.replacen('\n', "\r\n", 1),
        text.trim_end().to_owned(),
        String::new(),
    ] {
        assert!(other.parse::<Receipt>().is_err(), "{other:?}");
    }
    let long = text.replacen("YW4gZXZlbnQ=", &"YW4g".repeat(RECEIPT_BYTES_MAX / 4), 1);
    assert!(matches!(long.parse::<Receipt>(), Err(DecodeError::TooLong { .. })));
}

#[test]
fn the_largest_receipt_is_read() {
    let mut checkpoint = checkpoint().signed(&log_key()).unwrap();
    let signature = vec![7; NOTE_BYTES_MAX * 3 / 4 - 300];
    checkpoint.add(NoteSignature { name: "pq.example".to_owned(), key_id: [0; 4], signature });
    let largest = Receipt {
        extra: Some(vec![7; LOG_ENTRY_BYTES_MAX]),
        index: LeafIndex(u64::MAX),
        path: vec![Digest::ZERO; 63],
        checkpoint,
    };
    assert_eq!(largest.text().parse(), Ok(largest));
}

/// A tree of one leaf has an empty path; the file then goes from the index to the blank line.
#[test]
fn a_receipt_with_an_empty_path_survives_its_text_form() {
    let receipt = Receipt { extra: None, path: Vec::new(), ..receipt() };
    assert!(receipt.text().starts_with("c2sp.org/tlog-proof@v1\nindex 1\n\ndevnet.example"));
    assert_eq!(receipt.text().parse(), Ok(receipt));
}

fn trust(parties: &[&str]) -> Trust {
    let logs = [("airline", 0), ("handler", 3), ("consignee", 0)];
    Trust {
        origin: ORIGIN.to_owned(),
        network: NetworkId::default(),
        epoch: Epoch(0),
        height: Height(0),
        validators: set_of(parties),
        logs: logs.map(|(party, i)| (party.parse().unwrap(), key(i, 9).public())).to_vec(),
        earlier: Vec::new(),
        receipt_keys: Vec::new(),
        witnesses: WitnessRule::default(),
    }
}

/// Reads a policy as the specification says: names before use, one namespace, no duplicates.
#[test]
fn a_policy_holds_together_even_with_parties_of_awkward_names() {
    let parties = ["none", "validators", "quorum", "any"];
    let text = policy(&trust(&parties)).unwrap();
    let (mut logs, mut witnesses, mut group, mut quorum) = (vec![], vec![], vec![], vec![]);
    for line in text.lines() {
        let words: Vec<_> = line.split([' ', '\t']).collect();
        match words.as_slice() {
            ["log", key] => logs.push(key.parse::<VerifierKey>().unwrap()),
            ["witness", name, key] => {
                assert_ne!(*name, "none");
                witnesses.push((name.to_string(), key.parse::<VerifierKey>().unwrap()));
            }
            ["group", name, k, members @ ..] => {
                assert!(witnesses.iter().all(|(witness, _)| witness != name));
                assert_eq!(k.parse(), Ok(set_of(&parties).quorum()));
                assert_eq!(members, witnesses.iter().map(|(n, _)| n).collect::<Vec<_>>());
                group.push(name.to_string());
            }
            ["quorum", name] => quorum.push(name.to_string()),
            other => panic!("{other:?}"),
        }
    }
    assert!(text.ends_with('\n'));
    assert_eq!(quorum, group);
    assert_eq!((quorum.len(), witnesses.len()), (1, 4));
    // Two of the three nodes serve under one log key.
    assert_eq!(logs.iter().map(VerifierKey::name).collect::<Vec<_>>(), [ORIGIN, ORIGIN]);
    assert_ne!(logs[0].key(), logs[1].key());
    assert!(policy(&Trust { origin: "no name".to_owned(), ..trust(&parties) }).is_err());
}

proptest! {
    #[test]
    fn any_receipt_survives_its_text_form(
        extra in proptest::option::of(vec(any::<u8>(), 1..200)),
        index: u64,
        path in vec(any::<[u8; 32]>().prop_map(Digest), 0..63),
    ) {
        let receipt = Receipt { extra, index: LeafIndex(index), path, ..receipt() };
        prop_assert_eq!(receipt.text().parse(), Ok(receipt));
    }

    #[test]
    fn any_checkpoint_survives_its_text_form(origin in "[a-z0-9./-]{1,60}", size: u64, root: [u8; 32]) {
        let root = TreeRoot(Digest(root));
        let checkpoint = Checkpoint { origin, size: TreeSize(size), root };
        prop_assert_eq!(Checkpoint::from_text(&checkpoint.text()), Ok(checkpoint));
    }

    #[test]
    fn no_text_panics_a_receipt(head in "(index 1|extra |AAAA|[\n =])*", tail in "\\PC*") {
        let _ = format!("c2sp.org/tlog-proof@v1\n{head}{tail}").parse::<Receipt>();
        let _ = head.parse::<Receipt>();
    }
}

/// What keeps a key and gives nothing but signatures, as a hardware module does.
#[derive(Debug)]
struct Module(SecretKey);

impl Signer for Module {
    fn public(&self) -> PublicKey {
        self.0.public()
    }

    fn sign(&self, message: &[u8]) -> Signature {
        self.0.sign(message)
    }
}

#[test]
fn whoever_keeps_the_key_signs_the_same_checkpoints() {
    let (log, cosigner) = (Module(log_key()), Module(key(1, 2)));
    assert_eq!(checkpoint().signed(&log), checkpoint().signed(&log_key()));
    assert_eq!(checkpoint().cosign(&cosigner, 100), checkpoint().cosign(&key(1, 2), 100));
}
