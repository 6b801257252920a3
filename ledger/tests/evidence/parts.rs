//! Every part of evidence counts: exchanged, left out, repeated or moved, it is refused, and the reason
//! names the part.

use consign_ledger::evidence::{
    Anchor, BadEvidence, Believed, Case, DoubleOffer, Evidence, Kind, Leaf, Notes, Part, read,
    verify,
};
use consign_types::block::LeafIndex;
use consign_types::certificate::Statement;
use consign_types::codec::Canonical as _;
use consign_types::digest::NetworkId;
use consign_types::double_vote::DoubleVote;

use super::custodian;
use super::device;
use super::notes::{growth_example, log_example, log_note, made, note, rollback_example};
use super::support::genesis;
use super::votes::{ONE, OTHER, votes};
use super::{desk, trust, votes as vote};

type Exchange = fn(&mut Evidence, &Evidence);
type Field = (&'static str, Exchange);

/// A field of the case, by where it lies: how to exchange it.
macro_rules! field {
    ($name:literal, $of:ident $(.$path:tt)*) => {{
        let exchange: Exchange = |to, from| {
            let mut from = from.clone();
            core::mem::swap(&mut $of(to)$(.$path)*, &mut $of(&mut from)$(.$path)*);
        };
        ($name, exchange)
    }};
    ($name:literal, *$of:ident $(.$path:tt)*) => {{
        let exchange: Exchange = |to, from| {
            let mut from = from.clone();
            core::mem::swap($of(to)$(.$path)*, $of(&mut from)$(.$path)*);
        };
        ($name, exchange)
    }};
}

fn votes_in(evidence: &mut Evidence) -> &mut DoubleVote {
    match &mut evidence.case {
        Case::DoubleVote(votes) => votes,
        other => panic!("{other:?}"),
    }
}

fn growth_in(evidence: &mut Evidence) -> (&mut LeafIndex, &mut Leaf, &mut Leaf) {
    match &mut evidence.case {
        Case::Growth { index, first, second, .. } => (index, first, second),
        other => panic!("{other:?}"),
    }
}

fn events_in(evidence: &mut Evidence) -> (&mut Anchor, &mut Vec<u8>, &mut Vec<u8>) {
    match &mut evidence.case {
        Case::SameNumber { anchor, first, second } => (anchor, first, second),
        other => panic!("{other:?}"),
    }
}

fn offers_in(evidence: &mut Evidence) -> &mut DoubleOffer {
    match &mut evidence.case {
        Case::DoubleOffer(double) => double,
        other => panic!("{other:?}"),
    }
}

fn notes_of(case: &Case) -> &Notes {
    match case {
        Case::TwoRoots(notes)
        | Case::Rollback(notes)
        | Case::LogSignature(notes)
        | Case::Growth { notes, .. } => notes,
        other => panic!("{other:?}"),
    }
}

fn notes_in(case: &mut Case) -> &mut Notes {
    match case {
        Case::TwoRoots(notes)
        | Case::Rollback(notes)
        | Case::LogSignature(notes)
        | Case::Growth { notes, .. } => notes,
        other => panic!("{other:?}"),
    }
}

const NOTES: [Field; 2] = [
    ("first", |to, from| notes_in(&mut to.case).first = notes_of(&from.case).first.clone()),
    ("second", |to, from| notes_in(&mut to.case).second = notes_of(&from.case).second.clone()),
];

fn fields(kind: Kind) -> Vec<Field> {
    match kind {
        Kind::DoubleVote => vec![
            field!("height", votes_in.height),
            field!("round", votes_in.round),
            field!("validator", votes_in.validator),
            field!("key", votes_in.key),
            field!("first", votes_in.first),
            field!("second", votes_in.second),
        ],
        Kind::TwoRoots | Kind::Rollback | Kind::LogSignature => NOTES.to_vec(),
        Kind::Growth => {
            let mut fields = NOTES.to_vec();
            fields.extend([
                field!("index", *growth_in.0),
                field!("first leaf", growth_in.1.hash),
                field!("first leaf", growth_in.1.path),
                field!("second leaf", growth_in.2.hash),
                field!("second leaf", growth_in.2.path),
            ]);
            fields
        }
        Kind::SameNumber => vec![
            field!("checkpoint", events_in.0.checkpoint),
            field!("record", events_in.0.record),
            field!("record", events_in.0.path),
            field!("entry", events_in.0.entry),
            field!("first", *events_in.1),
            field!("second", *events_in.2),
        ],
        Kind::DoubleOffer => vec![
            field!("passport", offers_in.passport),
            field!("signer", offers_in.signers),
            field!("offer", *first_offer),
            field!("offer", *second_offer),
            field!("acceptance", *first_acceptance),
            field!("acceptance", *second_acceptance),
            field!("between", offers_in.between),
        ],
    }
}

fn first_offer(evidence: &mut Evidence) -> &mut Vec<u8> {
    &mut offers_in(evidence).offers[0]
}

fn second_offer(evidence: &mut Evidence) -> &mut Vec<u8> {
    &mut offers_in(evidence).offers[1]
}

fn first_acceptance(evidence: &mut Evidence) -> &mut Vec<u8> {
    &mut offers_in(evidence).acceptances[0]
}

fn second_acceptance(evidence: &mut Evidence) -> &mut Vec<u8> {
    &mut offers_in(evidence).acceptances[1]
}

/// Two of each kind that have nothing in common but the network.
fn pairs() -> Vec<(Evidence, Evidence)> {
    let of_votes = |at, height, round, pair| {
        let votes = votes(&genesis().domain(), at, height, round, pair);
        Evidence { case: Case::DoubleVote(votes), ..vote::example() }
    };
    let prevotes = [Statement::Prevote(Some(ONE)), Statement::Prevote(None)];
    let precommits = [Statement::Precommit(Some(ONE)), Statement::Precommit(Some(OTHER))];
    const A: [(&str, u64); 2] = [("airline", 100), ("customs", 200)];
    const B: [(&str, u64); 2] = [("airline", 50_000), ("handler", 60_000)];
    let two_roots = |size, root, who: &[(&str, u64)]| {
        made(&note(size, root, who), &note(size, root + 1, who)).unwrap()
    };
    let rollback = made(&note(3, 8, &B), &note(4, 9, &[("airline", 1), ("handler", 2)])).unwrap();
    let trust = trust();
    let (one, other) = (log_note("handler", 30, 8), log_note("handler", 30, 9));
    let of_log =
        consign_ledger::evidence::log_signature(Believed::from(&trust), &one, &other).unwrap();
    vec![
        (of_votes(0, 4, 1, prevotes), of_votes(1, 5, 2, precommits)),
        (two_roots(12, 1, &A), two_roots(20, 5, &B)),
        (growth_example(), super::notes::another_growth()),
        (rollback_example(), rollback),
        (device::example("forwarder.dock1"), device::example("airline.dock2")),
        (custodian::example(2), custodian::another()),
        (log_example(), of_log),
    ]
}

/// Which part a reason names.
fn part(bad: &BadEvidence) -> &'static str {
    match bad.part {
        Part::File => "file",
        Part::Network => "network",
        Part::Sets(_) => "sets",
        Part::Votes => "votes",
        Part::First => "first",
        Part::Second => "second",
        Part::FirstLeaf => "first leaf",
        Part::SecondLeaf => "second leaf",
        Part::Checkpoint => "checkpoint",
        Part::Record => "record",
        Part::Entry => "entry",
        Part::Passport => "passport",
        Part::Signer(_) => "signer",
        Part::Offer(_) => "offer",
        Part::Acceptance(_) => "acceptance",
        Part::Between(_) => "between",
    }
}

/// As a value and as a file.
#[track_caller]
fn refused(evidence: &Evidence, what: &str) -> BadEvidence {
    let trust = trust();
    let believed = Believed::from(&trust);
    match (verify(evidence, believed), read(&evidence.to_bytes(), believed)) {
        (Err(bad), Err(_)) => bad,
        _ => panic!("{what}: accepted"),
    }
}

#[test]
fn no_mixture_of_two_valid_files_is_valid() {
    let mut tried = 0;
    for (left, right) in pairs() {
        let (trust, kind) = (trust(), left.case.kind());
        for whole in [&left, &right] {
            assert!(verify(whole, Believed::from(&trust)).is_ok(), "{kind}");
        }
        let fields = fields(kind);
        for mask in 0..1 << fields.len() {
            let mut mixed = left.clone();
            let chosen = fields.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1);
            chosen.for_each(|(_, (_, exchange))| exchange(&mut mixed, &right));
            if mixed != left && mixed != right {
                refused(&mixed, &format!("{kind}, mask {mask:07b}"));
                tried += 1;
            }
        }
    }
    println!("{tried} mixtures");
    assert!(tried > 350, "{tried}");
}

/// What else a reason may name: the part that no longer fits the one that was exchanged.
fn also(kind: Kind, name: &str) -> &'static [&'static str] {
    match (kind, name) {
        (Kind::DoubleVote, _) => &["votes"],
        // The two are compared with each other; the second is the one that differs.
        (Kind::TwoRoots | Kind::Rollback | Kind::LogSignature, _) => &["second"],
        (Kind::Growth, "first") => &["second", "first leaf"],
        (Kind::Growth, "second") => &["second", "second leaf"],
        (Kind::Growth, "index") => &["first leaf"],
        // The record is checked against the checkpoint, the entry against the record.
        (Kind::SameNumber, "checkpoint") => &["record"],
        (Kind::SameNumber, "first") => &["entry"],
        // Keys and the history come from the passport.
        (Kind::DoubleOffer, "passport") => &["signer"],
        _ => &[],
    }
}

#[test]
fn an_exchanged_part_is_named() {
    for (left, right) in pairs() {
        let kind = left.case.kind();
        for (name, exchange) in fields(kind) {
            let mut mixed = left.clone();
            exchange(&mut mixed, &right);
            if mixed == left {
                continue;
            }
            let bad = refused(&mixed, name);
            let named = part(&bad);
            assert!(
                named == name || also(kind, name).contains(&named),
                "{kind}, {name}: {bad} is about {named}: {:?}",
                bad.why
            );
        }
    }
}

/// Nothing can be missing, stand twice, or stand in another's place.
#[test]
fn what_is_left_out_repeated_or_moved_is_missed() {
    for (whole, _) in pairs() {
        let change = |what: &str, names: &[&str], change: &dyn Fn(&mut Evidence)| {
            let mut changed = whole.clone();
            change(&mut changed);
            assert_ne!(changed, whole, "{what}");
            let bad = refused(&changed, what);
            let kind = whole.case.kind();
            assert!(names.contains(&part(&bad)), "{kind}, {what}: {bad}: {:?}", bad.why);
        };
        change("another network", &["network"], &|e| e.network = NetworkId::default());
        match whole.case.clone() {
            Case::DoubleVote(_) => {
                let with =
                    |change: fn(&mut DoubleVote)| move |e: &mut Evidence| change(votes_in(e));
                change("the first twice", &["votes"], &with(|v| v.second = v.first));
                change("the second twice", &["votes"], &with(|v| v.first = v.second));
                let swap = with(|v| core::mem::swap(&mut v.first, &mut v.second));
                change("moved", &["votes"], &swap);
            }
            Case::TwoRoots(_) | Case::Rollback(_) | Case::LogSignature(_) | Case::Growth { .. } => {
                let with =
                    |change: fn(&mut Notes)| move |e: &mut Evidence| change(notes_in(&mut e.case));
                let first = &["first"][..];
                let second = &["second", "first", "first leaf", "second leaf"][..];
                change("the first left out", first, &with(|n| n.first.clear()));
                change("the second left out", second, &with(|n| n.second.clear()));
                change("the first twice", second, &with(|n| n.second = n.first.clone()));
                change("the second twice", second, &with(|n| n.first = n.second.clone()));
                change("moved", second, &with(|n| core::mem::swap(&mut n.first, &mut n.second)));
                change(
                    "a line left out",
                    second,
                    &with(|n| {
                        let cut = n.second.trim_end().rfind('\n').unwrap();
                        n.second.truncate(cut + 1);
                    }),
                );
                change(
                    "a line twice",
                    second,
                    &with(|n| {
                        let line = n.second.lines().last().unwrap().to_owned();
                        n.second.push_str(&line);
                        n.second.push('\n');
                    }),
                );
                let lines = notes_of(&whole.case).second.lines().count();
                if lines > 5 {
                    change(
                        "lines moved",
                        second,
                        &with(|n| {
                            let mut lines: Vec<&str> = n.second.lines().collect();
                            lines[4..].reverse();
                            n.second = format!("{}\n", lines.join("\n"));
                        }),
                    );
                }
            }
            Case::SameNumber { .. } => {
                let with = |change: fn(&mut Vec<u8>, &mut Vec<u8>)| {
                    move |e: &mut Evidence| {
                        let (_, first, second) = events_in(e);
                        change(first, second);
                    }
                };
                change("the first left out", &["first"], &with(|a, _| a.clear()));
                change("the second left out", &["second"], &with(|_, b| b.clear()));
                change("the first twice", &["second"], &with(|a, b| b.clone_from(a)));
                change("the second twice", &["second"], &with(|a, b| a.clone_from(b)));
                change("moved", &["second"], &with(core::mem::swap));
                change("no path", &["record"], &|e| events_in(e).0.path.clear());
            }
            Case::DoubleOffer(_) => double_offer(&change),
        }
    }
}

type Changes<'a> = &'a dyn Fn(&str, &[&str], &dyn Fn(&mut Evidence));

fn double_offer(change: Changes<'_>) {
    let with = |change: fn(&mut DoubleOffer)| move |e: &mut Evidence| change(offers_in(e));
    change("no passport", &["passport"], &with(|d| d.passport.clear()));
    change("no signer", &["acceptance"], &with(|d| d.signers.clear()));
    change("a signer twice", &["signer"], &with(|d| d.signers.push(d.signers[0].clone())));
    change("offers moved", &["offer"], &with(|d| d.offers.reverse()));
    change("acceptances moved", &["acceptance"], &with(|d| d.acceptances.reverse()));
    change("one offer twice", &["offer"], &with(|d| d.offers[1] = d.offers[0].clone()));
    change("the other twice", &["offer"], &with(|d| d.offers[0] = d.offers[1].clone()));
    let twice = with(|d| d.acceptances[1] = d.acceptances[0].clone());
    change("one acceptance twice", &["acceptance"], &twice);
    for at in 0..2 {
        change("an offer left out", &["offer"], &|e| offers_in(e).offers[at].clear());
        let clear = |e: &mut Evidence| offers_in(e).acceptances[at].clear();
        change("an acceptance left out", &["acceptance"], &clear);
    }
    change("nothing between", &["between"], &with(|d| d.between.clear()));
    change("one between left out", &["between"], &with(|d| drop(d.between.remove(0))));
    change("the last between left out", &["between"], &with(|d| drop(d.between.pop())));
    change("one between twice", &["between"], &with(|d| d.between.push(d.between[1].clone())));
    change("between moved", &["between"], &with(|d| d.between.reverse()));
    change("an offer between", &["between"], &with(|d| d.between[0] = d.offers[0].clone()));
}

/// The parts of one kind under the code of another.
#[test]
fn no_kind_passes_for_another() {
    for (whole, _) in pairs() {
        if let Case::TwoRoots(notes) | Case::Rollback(notes) | Case::LogSignature(notes) =
            &whole.case
        {
            let kinds: [fn(Notes) -> Case; 3] =
                [Case::TwoRoots, Case::Rollback, Case::LogSignature];
            for make in kinds {
                let other = Evidence { case: make(notes.clone()), ..whole.clone() };
                if other != whole {
                    refused(&other, "another kind");
                }
            }
        }
    }
}

/// Changes of the set that nothing needs, and some that do not hold.
#[test]
fn changes_of_the_set_count() {
    let mut desk = desk();
    let unit = desk.held("A");
    let mut node = super::support::node::Node::of(&desk);
    node.change_set(" 2");
    let links = node.passport(&unit).sets;
    for (whole, _) in pairs() {
        let kind = whole.case.kind();
        let mut more = whole.clone();
        more.sets.clone_from(&links);
        // The keys of the new set are others: what hangs on the old one fails.
        let bad = refused(&more, "a change of the set");
        let named = match kind {
            Kind::DoubleVote => "votes",
            Kind::SameNumber => "checkpoint",
            Kind::DoubleOffer | Kind::LogSignature => "sets",
            _ => "first",
        };
        assert_eq!(part(&bad), named, "{kind}");
        more.sets[0].certificate.precommits.truncate(2);
        assert_eq!(part(&refused(&more, "two precommits")), "sets", "{kind}");
    }
}

#[test]
fn a_leaf_that_is_above_a_size_is_refused() {
    let mut evidence = growth_example();
    *growth_in(&mut evidence).0 = LeafIndex(u64::MAX);
    assert_eq!(part(&refused(&evidence, "index")), "first leaf");
}

/// One bit of every byte, pieces of other bytes, and noise: nothing panics, nothing else is taken.
#[test]
fn no_other_bytes_say_the_same() {
    let seed = 11_u64;
    println!("seed {seed}");
    let mut state = seed;
    let mut random = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let trust = trust();
    let believed = Believed::from(&trust);
    for (whole, _) in pairs() {
        let bytes = whole.to_bytes();
        assert!(read(&bytes, believed).is_ok());
        let step = 1 + bytes.len() / 1_500;
        for at in (0..bytes.len()).step_by(step) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (random() % 8);
            assert!(read(&changed, believed).is_err(), "byte {at} of {}", bytes.len());
        }
        for cut in (0..bytes.len()).step_by(17) {
            assert!(read(&bytes[..cut], believed).is_err());
        }
        for _ in 0..600 {
            let mut changed = bytes.clone();
            for _ in 0..1 + random() % 4 {
                let (at, from) = (random() % changed.len(), random() % changed.len());
                let len = (random() % 64).min(changed.len() - at).min(changed.len() - from);
                changed.copy_within(from..from + len, at);
            }
            assert!(changed == bytes || read(&changed, believed).is_err());
        }
    }
    for _ in 0..20_000 {
        let noise: Vec<u8> = (0..random() % 200).map(|_| random() as u8).collect();
        assert!(read(&noise, believed).is_err());
    }
}
