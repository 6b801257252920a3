//! Checkpoints: two roots, growth that does not hold, rollbacks, log signatures.

use consign_ledger::evidence::{
    Believed, Case, Evidence, Notes, Part, Seen, Why, growth, log_signature, two_checkpoints,
    verify,
};
use consign_types::block::{Height, LeafIndex, TreeSize};
use consign_types::checkpoint::Checkpoint;
use consign_types::digest::{Digest, TreeRoot};
use consign_types::limits::ROLLBACK_MARGIN_S;
use consign_types::merkle::leaf_hash;
use consign_types::note::Note;
use consign_types::trust::{EarlierSet, Trust};
use proptest::prelude::*;

use super::support::node::{Node, cosigned, validators};
use super::support::scene::{EXCEPTION, OBSERVE};
use super::support::{Desk, genesis, key, party};
use super::{SIGNER, desk, named, refused, trust, witness};

const NOW: u64 = 1_700_000_000;
pub const ALL: [(&str, u64); 4] =
    [("airline", NOW), ("customs", NOW + 1), ("forwarder", NOW + 2), ("handler", NOW + 3)];

pub fn checkpoint(size: u64, root: u8) -> Checkpoint {
    let origin = genesis().origin().to_owned();
    Checkpoint { origin, size: TreeSize(size), root: TreeRoot(Digest([root; 32])) }
}

pub fn note(size: u64, root: u8, cosigners: &[(&str, u64)]) -> Note {
    cosigned(&checkpoint(size, root), "", cosigners)
}

pub fn made(one: &Note, other: &Note) -> Option<Evidence> {
    let (trust, witnesses) = (trust(), [witness()]);
    two_checkpoints(Believed { trust: &trust, witnesses: &witnesses }, &[], one, other)
}

fn later(by: u64, of: &[(&'static str, u64)]) -> Vec<(&'static str, u64)> {
    of.iter().map(|(name, time)| (*name, time + by)).collect()
}

#[test]
fn two_roots_name_whoever_cosigned_both_and_no_other() {
    let one = note(12, 7, &ALL[..3]);
    let other = note(12, 3, &ALL[1..]);
    let said = [
        "customs cosigned two roots of test.example/ledger at size 12",
        "forwarder cosigned two roots of test.example/ledger at size 12",
    ];
    let evidence = made(&one, &other).unwrap();
    assert_eq!(named(&evidence), said);
    assert_eq!(made(&other, &one), Some(evidence), "one pair, one file");
    // Who is in one of them alone is not in the file.
    assert_eq!(made(&note(12, 7, &ALL[..2]), &note(12, 3, &ALL[2..])), None);
}

#[test]
fn a_witness_that_cosigns_two_roots_is_named_as_an_outsider() {
    let with_witness = |root| {
        let mut note = note(12, root, &ALL[..1]);
        note.add(checkpoint(12, root).cosign(&key("insurer"), NOW).line(&witness()));
        note
    };
    let evidence = made(&with_witness(1), &with_witness(2)).unwrap();
    let said = [
        "insurer.example cosigned two roots of test.example/ledger at size 12",
        "airline cosigned two roots of test.example/ledger at size 12",
    ];
    assert_eq!(named(&evidence), said);
    // To whom the witness is a stranger the file says nothing.
    let bad = refused(&evidence);
    assert_eq!((bad.part, bad.why), (Part::First, Why::UnknownKey));
}

/// A desk, and another with a different third event; both go on.
pub fn forked() -> (Desk, Desk) {
    let (mut left, mut right) = (desk(), desk());
    for (desk, action) in [(&mut left, OBSERVE), (&mut right, EXCEPTION)] {
        let unit = desk.held("A");
        desk.put(SIGNER, &unit, action);
    }
    right.held("B");
    (left, right)
}

pub fn growth_example() -> Evidence {
    let (left, right) = forked();
    let index = left.journal.last().unwrap().0.first_leaf;
    let leaf = |desk: &Desk| {
        let (_, events, _) = &desk.journal[left.journal.len() - 1];
        leaf_hash(events[0].signed().bytes())
    };
    let (one, other) = (Node::of(&left), Node::of(&right));
    let (a, b) = (one.note(&ALL[..3]), other.note(&ALL[1..]));
    let (p, q) = (one.proof(index), other.proof(index));
    let first = Seen { note: &a, leaf: leaf(&left), proof: &p };
    let second = Seen { note: &b, leaf: leaf(&right), proof: &q };
    let trust = trust();
    let evidence = growth(Believed::from(&trust), &[], first, second).unwrap();
    assert_eq!(growth(Believed::from(&trust), &[], second, first).as_ref(), Some(&evidence));
    evidence
}

#[test]
fn growth_that_changed_a_leaf_names_whoever_cosigned_both() {
    let said = "cosigned test.example/ledger at sizes 22 and 24, which differ at leaf 20";
    let said = [format!("customs {said}"), format!("forwarder {said}")];
    assert_eq!(named(&growth_example()), said);
}

/// Of an honest log every leaf stays where it is, so that no two proofs of one index differ.
#[test]
fn honest_growth_names_nobody() {
    let mut desk = desk();
    let unit = desk.held("A");
    let early = Node::of(&desk);
    desk.put(SIGNER, &unit, OBSERVE);
    let late = Node::of(&desk);
    let (a, b) = (early.note(&ALL), late.note(&ALL));
    let trust = trust();
    let (context, events, _) = &desk.journal[desk.journal.len() - 2];
    let leaf = leaf_hash(events[0].signed().bytes());
    for index in 0..late.checkpoint().size.0 {
        let index = LeafIndex(index);
        let q = late.proof(index);
        if index.0 < early.checkpoint().size.0 {
            let p = early.proof(index);
            let other = leaf_hash(b"another");
            for (x, y) in [(leaf, leaf), (leaf, other), (other, leaf), (other, other)] {
                let first = Seen { note: &a, leaf: x, proof: &p };
                let second = Seen { note: &b, leaf: y, proof: &q };
                assert_eq!(growth(Believed::from(&trust), &[], first, second), None);
            }
        }
    }
    assert!(early.proof(context.first_leaf).verify(leaf, early.checkpoint().root).is_ok());
    // The same of a fork: below it, all is as it was.
    let (left, right) = forked();
    let (one, other) = (Node::of(&left), Node::of(&right));
    let (a, b) = (one.note(&ALL), other.note(&ALL));
    let index = left.journal[left.journal.len() - 2].0.first_leaf;
    let leaf = leaf_hash(left.journal[left.journal.len() - 2].1[0].signed().bytes());
    let (p, q) = (one.proof(index), other.proof(index));
    let first = Seen { note: &a, leaf, proof: &p };
    let second = Seen { note: &b, leaf, proof: &q };
    assert_eq!(growth(Believed::from(&trust), &[], first, second), None);
}

pub fn rollback_example() -> Evidence {
    let late = later(ROLLBACK_MARGIN_S + 3, &ALL);
    made(&note(10, 1, &late), &note(12, 2, &ALL[..3])).unwrap()
}

#[test]
fn a_smaller_size_long_after_a_larger_one_names_the_cosigner() {
    let said = |name, smaller, larger| {
        format!(
            "{name} cosigned test.example/ledger at size 10 at {smaller}, after size 12 at {larger}"
        )
    };
    assert_eq!(
        named(&rollback_example()),
        [
            said("airline", "2023-11-14T23:13:23.000Z", "2023-11-14T22:13:20.000Z"),
            said("customs", "2023-11-14T23:13:24.000Z", "2023-11-14T22:13:21.000Z"),
            said("forwarder", "2023-11-14T23:13:25.000Z", "2023-11-14T22:13:22.000Z"),
        ]
    );
    // Of several cosignatures of one party those that say most are taken.
    let mut smaller = note(10, 1, &ALL[..1]);
    let again = note(10, 1, &[("airline", NOW + ROLLBACK_MARGIN_S + 9)]);
    smaller.add(again.signatures()[0].clone());
    assert_eq!(named(&made(&smaller, &note(12, 2, &[ALL[0]])).unwrap()).len(), 1);
}

#[test]
fn the_margin_of_a_rollback_is_exact() {
    let at = |by| made(&note(10, 1, &later(by, &ALL[..1])), &note(12, 2, &ALL[..1]));
    assert_eq!(at(ROLLBACK_MARGIN_S), None);
    assert!(at(ROLLBACK_MARGIN_S + 1).is_some());
    // Written by hand, it is refused by the part.
    let Some(Evidence { case: Case::Rollback(notes), .. }) = at(ROLLBACK_MARGIN_S + 1) else {
        panic!("a rollback")
    };
    let early = note(10, 1, &later(ROLLBACK_MARGIN_S, &ALL[..1])).to_string();
    let notes = Notes { first: early, ..notes };
    let bad = refused(&Evidence { case: Case::Rollback(notes), ..rollback_example() });
    assert_eq!((bad.part, bad.why), (Part::First, Why::NotLater));
}

/// Its clock was ahead when it cosigned the larger log, or is ahead now: it cosigned what C2SP lets it.
#[test]
fn a_witness_is_never_named_by_its_clock() {
    let at = |size, root, time| {
        let by_party = note(size, root, &later(time, &ALL[..1]));
        let mut note = Note::new(by_party.text().to_owned()).unwrap();
        // Ascending by the names of the keys, as in a file.
        let given = checkpoint(size, root).cosign(&key("insurer"), NOW + time);
        note.add(given.line(&witness()));
        note.add(by_party.signatures()[0].clone());
        note
    };
    let (smaller, larger) = (at(10, 1, ROLLBACK_MARGIN_S + 3), at(12, 2, 0));
    let evidence = made(&smaller, &larger).unwrap();
    let [named] = &named(&evidence)[..] else { panic!("one is named") };
    assert!(named.starts_with("airline cosigned"), "{named}");

    // A file that names the witness besides is refused as a whole.
    let notes = Notes { first: smaller.to_string(), second: larger.to_string() };
    let forged = Evidence { case: Case::Rollback(notes), ..evidence };
    let (trust, witnesses) = (trust(), [witness()]);
    let bad = verify(&forged, Believed { trust: &trust, witnesses: &witnesses }).unwrap_err();
    assert_eq!((bad.part, bad.why), (Part::First, Why::WitnessTime));
}

pub fn log_note(name: &str, size: u64, root: u8) -> Note {
    checkpoint(size, root).signed(&key(&format!("{name} log"))).unwrap()
}

pub fn log_example() -> Evidence {
    let trust = trust();
    let (one, other) = (log_note("airline", 12, 2), log_note("airline", 12, 1));
    log_signature(Believed::from(&trust), &one, &other).unwrap()
}

#[test]
fn a_log_key_with_two_roots_names_the_party_of_the_node() {
    let said = "airline signed two roots of test.example/ledger at size 12 with a log key";
    assert_eq!(named(&log_example()), [said]);
    let trust = trust();
    let found = |one: &Note, other: &Note| log_signature(Believed::from(&trust), one, other);
    assert_eq!(found(&log_note("airline", 12, 1), &log_note("handler", 12, 2)), None);
    assert_eq!(found(&log_note("airline", 12, 1), &log_note("airline", 13, 2)), None);
    assert_eq!(found(&log_note("airline", 12, 1), &log_note("airline", 12, 1)), None);
    assert_eq!(found(&log_note("nobody", 12, 1), &log_note("nobody", 12, 2)), None);
}

/// A key that two parties use says of neither that it was the one.
#[test]
fn a_shared_log_key_names_nobody() {
    let mut shared = trust();
    shared.logs.push((party("handler"), key("airline log").public()));
    let (one, other) = (log_note("airline", 12, 2), log_note("airline", 12, 1));
    assert_eq!(log_signature(Believed::from(&shared), &one, &other), None);
    // The same party twice is one party.
    let mut twice = trust();
    twice.logs.push((party("airline"), key("airline log").public()));
    twice.logs.sort();
    assert!(log_signature(Believed::from(&twice), &one, &other).is_some());
}

/// Of another log, or by keys of another time: nobody's.
#[test]
fn notes_of_another_log_name_nobody() {
    let elsewhere = |root| {
        let mut at = checkpoint(12, root);
        at.origin = "other.example/ledger".to_owned();
        cosigned(&at, "", &ALL)
    };
    assert_eq!(made(&elsewhere(1), &elsewhere(2)), None);
    let strangers = |root| cosigned(&checkpoint(12, root), " 2", &ALL);
    assert_eq!(made(&strangers(1), &strangers(2)), None);
}

/// The keys of a later set are found by the changes that lead to it.
#[test]
fn a_validator_of_a_later_set_is_named_by_the_way_there() {
    let mut desk = desk();
    let unit = desk.held("A");
    let mut node = Node::of(&desk);
    node.change_set(" 2");
    let links = node.passport(&unit).sets;
    let strangers = |root| cosigned(&checkpoint(12, root), " 2", &ALL[..1]);
    let trust = trust();
    let evidence =
        two_checkpoints(Believed::from(&trust), &links, &strangers(1), &strangers(2)).unwrap();
    let said = "airline cosigned two roots of test.example/ledger at size 12";
    assert_eq!(named(&evidence), [said]);
    let without = Evidence { sets: Vec::new(), ..evidence };
    assert_eq!(refused(&without).part, Part::First);
}

/// A set that the trust file knows as an earlier one needs no way: who forked under it is named as `verify` reads it.
#[test]
fn a_validator_of_an_earlier_set_of_the_trust_file_is_named_without_a_way() {
    let advanced = |now: &str| Trust {
        height: Height(100),
        validators: validators(now),
        earlier: vec![EarlierSet { height: Height(0), validators: validators("") }],
        ..trust()
    };
    let trust = advanced(" 2");
    let believed = Believed::from(&trust);
    let accused = |evidence: &Evidence| -> Vec<String> {
        verify(evidence, believed).unwrap().iter().map(ToString::to_string).collect()
    };
    let did = "cosigned two roots of test.example/ledger at size 12";
    let (one, other) = (note(12, 1, &ALL[..2]), note(12, 2, &ALL[..2]));
    let evidence = two_checkpoints(believed, &[], &one, &other).unwrap();
    assert_eq!(accused(&evidence), [format!("airline {did}"), format!("customs {did}")]);
    // Of the present set one did it, of the earlier one two: the file shows the most that it can.
    let present = |root| cosigned(&checkpoint(12, root), " 2", &ALL[3..]);
    let both = |old: &Note, root| {
        let mut note = old.clone();
        present(root).signatures().iter().for_each(|line| note.add(line.clone()));
        note
    };
    let evidence = two_checkpoints(believed, &[], &both(&one, 1), &both(&other, 2)).unwrap();
    assert_eq!(accused(&evidence), [format!("airline {did}"), format!("customs {did}")]);
    let evidence = two_checkpoints(believed, &[], &present(1), &present(2)).unwrap();
    assert_eq!(accused(&evidence), [format!("handler {did}")]);
    // With changes it is the set that they lead to, and no other.
    let mut desk = desk();
    let unit = desk.held("A");
    let mut node = Node::of(&desk);
    node.change_set(" 2");
    let links = node.passport(&unit).sets;
    let genesis = super::trust();
    assert_eq!(two_checkpoints(Believed::from(&genesis), &links, &one, &other), None);
}

/// What one honest cosigner signs: sizes and times that never go back, one root for each size, also
/// across restarts, and the same checkpoint again and again.
fn honest() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let step = (0_u64..3, prop_oneof![Just(0_u64), 1..100_u64, 3_000..9_000_u64]);
    proptest::collection::vec(step, 2..9).prop_map(|steps| {
        let (mut size, mut time) = (2, NOW);
        steps
            .into_iter()
            .map(|(grown, passed)| {
                (size, time) = (size + grown, time + passed);
                (size, time)
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn an_honest_cosigner_is_never_named(signed in honest()) {
        for (a, at) in &signed {
            for (b, then) in &signed {
                let one = note(*a, *a as u8, &[("airline", *at)]);
                let other = note(*b, *b as u8, &[("airline", *then)]);
                prop_assert_eq!(made(&one, &other), None, "{} {} {} {}", a, at, b, then);
            }
        }
    }
}

/// Of another fork, at other sizes.
pub fn another_growth() -> Evidence {
    let (mut left, mut right) = (desk(), desk());
    for (desk, number) in [(&mut left, "X"), (&mut right, "Y")] {
        desk.held("Z");
        desk.held("W");
        desk.held(number);
    }
    right.held("V");
    let (context, ..) = left.journal.last().unwrap();
    let index = context.first_leaf;
    let at = left.journal.len() - 1;
    let leaf = |desk: &Desk| leaf_hash(desk.journal[at].1[0].signed().bytes());
    let (one, other) = (Node::of(&left), Node::of(&right));
    let (a, b) = (one.note(&ALL[..1]), other.note(&ALL[..1]));
    let (p, q) = (one.proof(index), other.proof(index));
    let first = Seen { note: &a, leaf: leaf(&left), proof: &p };
    let second = Seen { note: &b, leaf: leaf(&right), proof: &q };
    growth(Believed::from(&trust()), &[], first, second).unwrap()
}
