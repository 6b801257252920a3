//! Every part of a passport counts: exchanged, left out, repeated, moved or changed, it is refused, and the
//! reason names the part.

use consign_ledger::entry::EntryKey;
use consign_ledger::passport::{
    BadEntry, BadPassport, Passport, Proven, Source as _, read, verify,
};
use consign_types::block::LeafIndex;
use consign_types::checkpoint::{Checkpoint, NotProven};
use consign_types::codec::Canonical as _;
use consign_types::digest::{Digest, NetworkId};
use consign_types::event::{Action, Subject};
use consign_types::governance::Change;
use consign_types::note::Note;
use consign_types::party::SignerId;
use consign_types::signer_key::Algorithm;
use consign_types::time::Millis;
use consign_types::unit::UnitId;
use consign_types::witness::witness_key;

use super::support::council::{decided, motion, witness};
use super::support::node::{Node, trust};
use super::support::scene::{EXCURSION, OBSERVE, into, out_of};
use super::support::{Desk, key, sign_with};
use super::{SIGNER, desk, ten_handovers};

/// Which part a reason names.
fn part(bad: &BadPassport) -> &'static str {
    match bad {
        BadPassport::Decode(_) => "file",
        BadPassport::Network => "network",
        BadPassport::SetLink { .. } => "sets",
        BadPassport::Checkpoint(_) | BadPassport::CheckpointLines => "checkpoint",
        BadPassport::RecordSet | BadPassport::RecordEpoch | BadPassport::RecordInclusion(_) => {
            "record"
        }
        BadPassport::Witnesses(_) => "witnesses",
        BadPassport::Entry { .. } | BadPassport::EntryOrder => "entries",
        BadPassport::TooManyEvents { .. }
        | BadPassport::Event { .. }
        | BadPassport::EventNetwork { .. }
        | BadPassport::EventSignature { .. }
        | BadPassport::EventOrder { .. }
        | BadPassport::EventUnit { .. }
        | BadPassport::EventAround { .. }
        | BadPassport::EventStay { .. }
        | BadPassport::Count { .. }
        | BadPassport::Head { .. }
        | BadPassport::Inside { .. } => "events",
    }
}

/// The passport is refused, as a value and as a file, and the reason names one of `parts`.
#[track_caller]
fn refused(passport: &Passport, parts: &[&str], what: &str) {
    match (verify(passport, &trust()), read(&passport.to_bytes(), &trust())) {
        (Err(bad), Err(_)) => {
            assert!(parts.contains(&part(&bad)), "{what}: {bad} is about {}", part(&bad));
        }
        _ => panic!("{what}: accepted"),
    }
}

/// Two units with stays, closed and open, deep and shallow.
fn scene() -> (Desk, UnitId, UnitId) {
    let mut desk = desk();
    let (a, b) = (desk.held("A"), desk.held("B"));
    let (pallet, trailer) = (desk.held("P"), desk.held("T"));
    desk.put(SIGNER, &pallet, into(&[&a]));
    desk.put(SIGNER, &trailer, into(&[&pallet]));
    desk.put("forwarder.dock2", &trailer, EXCURSION);
    desk.put(SIGNER, &pallet, out_of(&[&a]));
    desk.put(SIGNER, &a, OBSERVE);
    let basis = desk.unit(&a).basis;
    let handover = desk.offline(SIGNER, "airline.dock1", &a, basis);
    desk.submit_verified(&handover).unwrap();
    let basis = desk.unit(&a).basis;
    let back = desk.offline("airline.dock1", SIGNER, &a, basis);
    desk.submit_verified(&back).unwrap();
    desk.put(SIGNER, &pallet, into(&[&a, &b]));
    desk.put("forwarder.dock2", &trailer, OBSERVE);
    desk.put(SIGNER, &pallet, OBSERVE);
    (desk, a, b)
}

fn passport(desk: &Desk, unit: &UnitId) -> Passport {
    let mut node = Node::of(desk);
    node.change_set(" 2");
    let passport = node.passport(unit);
    assert!(verify(&passport, &trust()).is_ok());
    passport
}

type Exchange = fn(&mut Passport, &Passport);

const PARTS: [(&str, Exchange); 8] = [
    ("network", |to, from| to.network = from.network),
    ("unit", |to, from| to.unit = from.unit.clone()),
    ("checkpoint", |to, from| to.checkpoint = from.checkpoint.clone()),
    ("record", |to, from| to.record = from.record.clone()),
    ("path", |to, from| to.path = from.path.clone()),
    ("entries", |to, from| to.entries = from.entries.clone()),
    ("events", |to, from| to.entered = from.entered.clone()),
    ("sets", |to, from| to.sets = from.sets.clone()),
];

/// Whoever has the trust file of the genesis takes what witnesses cosigned whom the members decided on since.
#[test]
fn a_passport_says_who_the_witnesses_are_that_members_decided_on() {
    let mut desk = desk();
    let unit = desk.held("A");
    assert_eq!(Node::of(&desk).passport(&unit).witnesses, None);
    let named = |names: &[&str]| names.iter().map(|name| witness(name, name)).collect();
    let (one, two) = ("w.example/1", "w.example/2");
    decided(&mut desk, motion(Change::Witnesses(named(&[one, two]))));
    let both = Node::of(&desk).passport(&unit);
    decided(&mut desk, motion(Change::Witnesses(named(&[two]))));
    let passport = Node::of(&desk).passport(&unit);
    assert_eq!(Passport::from_bytes(&passport.to_bytes()).as_ref(), Ok(&passport));
    let verified = verify(&passport, &trust()).unwrap();
    assert_eq!(verified.checkpoint.witnessed.names, [""; 0], "nobody asked for any");
    let mut naming = trust();
    naming.witnesses.keys = vec![witness_key(two, key(two).public()).unwrap()];
    naming.witnesses.needed = 1;
    assert_eq!(verify(&passport, &naming).unwrap().checkpoint.witnessed.names, [two]);

    let changed = |change: fn(&mut Passport, &Passport)| {
        let mut forged = passport.clone();
        change(&mut forged, &both);
        forged
    };
    let left_out = changed(|to, _| to.witnesses = None);
    refused(&left_out, &["checkpoint"], "nobody says who it is");
    let of_before = changed(|to, from| to.witnesses = from.witnesses.clone());
    refused(&of_before, &["witnesses"], "of another checkpoint");
    let forged = changed(|to, _| to.witnesses.as_mut().unwrap().value[20] ^= 1);
    refused(&forged, &["witnesses"], "another value");
    let without = changed(|to, _| {
        let note: Note = to.checkpoint.parse().unwrap();
        let mut own = Note::new(note.text().to_owned()).unwrap();
        let lines = note.signatures().iter().filter(|line| !line.name.starts_with("w.example"));
        lines.for_each(|line| own.add(line.clone()));
        to.checkpoint = own.to_string();
    });
    refused(&without, &["checkpoint"], "a list of witnesses for nobody");
    let stranger = changed(|to, _| {
        let mut note: Note = to.checkpoint.parse().unwrap();
        let checkpoint = Checkpoint::from_text(note.text()).unwrap();
        let name = "w.example/3";
        let stranger = witness_key(name, key(name).public()).unwrap();
        note.add(checkpoint.cosign(&key(name), 100).line(&stranger));
        to.checkpoint = note.to_string();
    });
    refused(&stranger, &["checkpoint"], "a witness of nobody's");
    let bytes = passport.to_bytes();
    let at = bytes.windows(two.len()).position(|window| window == two.as_bytes()).unwrap();
    // The line's signature stands behind its name and key id.
    let mut line = bytes.clone();
    line[at + two.len() + 20] ^= 1;
    assert!(read(&line, &trust()).is_err(), "a line that does not hold");
}

/// All mixtures of two valid passports, not only one part at a time.
#[test]
fn no_mixture_of_two_valid_passports_is_valid() {
    let (mut desk, a, b) = scene();
    let (first, other) = (passport(&desk, &a), passport(&desk, &b));
    desk.put(SIGNER, &a.clone(), OBSERVE);
    let later = passport(&desk, &a);
    let elsewhere = passport(&desk, &b);
    let pairs = [(&first, &other), (&first, &later), (&first, &elsewhere), (&later, &elsewhere)];
    let mut tried = 0;
    for (left, right) in pairs {
        for mask in 0..1 << PARTS.len() {
            let mut mixed = left.clone();
            let chosen = PARTS.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1);
            chosen.for_each(|(_, (_, exchange))| exchange(&mut mixed, right));
            if mixed != *left && mixed != *right {
                // There is one way to a set on one log. Here each passport is of a log of its own, so that
                // their links differ, and either leads to the set.
                let way_only = [left, right].iter().any(|whole| {
                    let (mut a, mut b) = (mixed.clone(), (*whole).clone());
                    (a.sets, b.sets) = (Vec::new(), Vec::new());
                    a == b
                });
                if !way_only {
                    let all = ["sets", "checkpoint", "record", "entries", "events"];
                    refused(&mixed, &all, &format!("mask {mask:08b}"));
                    tried += 1;
                }
            }
        }
    }
    println!("{tried} mixtures");
    assert!(tried > 300);
}

/// One part at a time, each with the reason that names it.
#[test]
fn an_exchanged_part_is_named() {
    let (mut desk, a, b) = scene();
    let first = passport(&desk, &a);
    desk.put(SIGNER, &b, OBSERVE);
    let other = passport(&desk, &b);
    let named: [(&str, &[&str]); 6] = [
        ("unit", &["entries"]),
        ("checkpoint", &["record"]),
        ("record", &["record"]),
        ("path", &["record"]),
        ("entries", &["entries"]),
        ("events", &["entries", "events"]),
    ];
    for (name, parts) in named {
        let (_, exchange) = PARTS.iter().find(|(known, _)| *known == name).unwrap();
        let mut mixed = first.clone();
        exchange(&mut mixed, &other);
        if mixed == first {
            assert_eq!(name, "path", "logs of like size have like paths");
        } else {
            refused(&mixed, parts, name);
        }
    }
}

#[test]
fn what_is_left_out_repeated_or_moved_is_missed() {
    let (desk, a, _) = scene();
    let whole = passport(&desk, &a);
    let change = |parts: &[&str], what: String, change: &dyn Fn(&mut Passport)| {
        let mut changed = whole.clone();
        change(&mut changed);
        assert_ne!(changed, whole);
        refused(&changed, parts, &what);
    };
    for at in 0..whole.entered.len() {
        change(&["events"], format!("event {at} left out"), &|p| drop(p.entered.remove(at)));
        change(&["events"], format!("event {at} twice"), &|p| {
            p.entered.insert(at, p.entered[at].clone());
        });
        for to in (0..whole.entered.len()).filter(|to| *to != at) {
            change(&["events"], format!("event {at} as {to}"), &|p| p.entered.swap(at, to));
            // The same, so that the places in the log still ascend.
            change(&["events", "entries"], format!("event {at} for {to}"), &|p| {
                let (left, right) = (p.entered[at].event.clone(), p.entered[to].event.clone());
                (p.entered[at].event, p.entered[to].event) = (right, left);
            });
        }
    }
    for at in 0..whole.entries.len() {
        change(&["entries"], format!("entry {at} left out"), &|p| drop(p.entries.remove(at)));
        change(&["entries"], format!("entry {at} twice"), &|p| {
            p.entries.insert(at, p.entries[at].clone());
        });
        for to in (0..whole.entries.len()).filter(|to| *to != at) {
            change(&["entries"], format!("entry {at} as {to}"), &|p| p.entries.swap(at, to));
            change(&["entries"], format!("value {at} for {to}"), &|p| {
                p.entries[at].value = p.entries[to].value.clone();
            });
        }
    }
    for at in 0..whole.path.len() {
        change(&["record"], format!("hash {at} of the path"), &|p| {
            p.path.remove(at);
        });
    }
    change(&["checkpoint"], "the link left out".to_owned(), &|p| p.sets.clear());
    change(&["sets"], "the link twice".to_owned(), &|p| p.sets.push(p.sets[0].clone()));
    change(&["network"], "another network".to_owned(), &|p| p.network = NetworkId::default());
}

/// Every field of every event of the file, changed on its own.
#[test]
fn what_is_changed_about_an_event_is_missed() {
    let (desk, a, b) = scene();
    let whole = passport(&desk, &a);
    for at in 0..whole.entered.len() {
        let change = |what: &str, change: &dyn Fn(&mut Passport)| {
            let mut changed = whole.clone();
            change(&mut changed);
            if changed != whole {
                refused(&changed, &["events"], &format!("{what} of event {at}"));
            }
        };
        change("leaf", &|p| p.entered[at].leaf = LeafIndex(p.entered[at].leaf.0 + 1));
        change("time", &|p| p.entered[at].time = Millis(p.entered[at].time.0 + 1));
        change("contested", &|p| p.entered[at].contested ^= true);
        change("begins", &|p| p.entered[at].begins.clear());
        change("begins more", &|p| p.entered[at].begins.push((b.clone(), Digest::ZERO)));
        change("around", &|p| {
            p.entered[at].around.truncate(whole.entered[at].around.len().saturating_sub(1))
        });
        change("around more", &|p| p.entered[at].around.push(Default::default()));
        for n in 0..whole.entered[at].around.len() {
            change("counters", &|p| p.entered[at].around[n].excursions += 1);
        }
        for n in 0..whole.entered[at].begins.len() {
            change("head", &|p| p.entered[at].begins[n].1.0[7] ^= 1);
            change("container", &|p| p.entered[at].begins[n].0 = b.clone());
        }
    }
}

/// Three of four are a quorum, two are not; a stranger's line, or any out of order, is one too many.
#[test]
fn cosignatures_are_a_quorum_and_nothing_else() {
    let (desk, a, _) = scene();
    let whole = passport(&desk, &a);
    let (text, lines) = whole.checkpoint.split_once("\n\n").unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 4);
    let with = |chosen: &[&str]| {
        let mut checkpoint = format!("{text}\n\n");
        chosen.iter().for_each(|line| checkpoint.extend([*line, "\n"]));
        Passport { checkpoint, ..whole.clone() }
    };
    assert_eq!(with(&lines), whole);
    for mask in 0..16 {
        let chosen: Vec<&str> =
            (0..4).filter(|at| mask >> at & 1 == 1).map(|at| lines[at]).collect();
        if chosen.len() >= 3 {
            assert!(verify(&with(&chosen), &trust()).is_ok(), "{mask:04b}");
        } else {
            refused(&with(&chosen), &["checkpoint"], &format!("{mask:04b}"));
        }
    }
    refused(&with(&[lines[1], lines[0], lines[2]]), &["checkpoint"], "out of order");
    refused(&with(&[lines[0], lines[0], lines[1], lines[2]]), &["checkpoint"], "twice");
    let served = Node::of(&desk).latest().unwrap().note;
    let served = served.to_string();
    let log = served.lines().find(|line| line.contains(" test.example/ledger ")).unwrap();
    refused(&with(&[log, lines[0], lines[1], lines[2]]), &["checkpoint"], "the log's own line");
    refused(
        &with(&[lines[0], lines[1], lines[2], log]),
        &["checkpoint"],
        "the log's line at the end",
    );
}

/// Witnesses stand behind the validators, each once, by name; those that the reader's trust file does not
/// name are strangers.
#[test]
fn witnesses_are_counted_and_strangers_are_refused() {
    let (desk, a, _) = scene();
    let whole = passport(&desk, &a);
    let note: Note = whole.checkpoint.parse().unwrap();
    let checkpoint = Checkpoint::from_text(note.text()).unwrap();
    let witness = |name: &str| witness_key(name, key(name).public()).unwrap();
    let with = |names: &[&str]| {
        let mut note = note.clone();
        for name in names {
            note.add(checkpoint.cosign(&key(name), 100).line(&witness(name)));
        }
        Passport { checkpoint: note.to_string(), ..whole.clone() }
    };
    let mut demanding = trust();
    demanding.witnesses.keys = vec![witness("w.example/1"), witness("w.example/2")];
    demanding.witnesses.needed = 1;
    demanding.witnesses.age_max_s = Some(60);
    let verdict = |passport: &Passport| {
        let verified = verify(passport, &demanding.clone().at(Millis(160_000)));
        verified.map(|verified| verified.checkpoint.witnessed.names)
    };

    let (one, two, stranger) = ("w.example/1", "w.example/2", "w.example/3");
    assert_eq!(verdict(&with(&[one])), Ok(vec![one.to_owned()]));
    assert_eq!(verdict(&with(&[one, two])), Ok(vec![one.to_owned(), two.to_owned()]));
    for wrong in [vec![two, one], vec![one, one], vec![one, stranger]] {
        assert_eq!(verdict(&with(&wrong)), Err(BadPassport::CheckpointLines), "{wrong:?}");
    }
    let none = NotProven::NoWitnesses { found: 0, needed: 1 };
    assert_eq!(verdict(&whole), Err(BadPassport::Checkpoint(none)));
    refused(&with(&[one]), &["checkpoint"], "a trust file that names no witness");
    let late = verify(&with(&[one]), &demanding.clone().at(Millis(161_000)));
    let old = NotProven::WitnessesOld { age_s: 61, max_s: 60 };
    assert_eq!(late, Err(BadPassport::Checkpoint(old)));
    assert_eq!(verify(&with(&[one]), &demanding), Err(BadPassport::Checkpoint(NotProven::NoTime)));
}

/// Entries that are true, and that nothing in the file needs.
#[test]
fn an_entry_that_nothing_needs_is_refused() {
    let (desk, a, b) = scene();
    let mut node = Node::of(&desk);
    node.change_set(" 2");
    let whole = node.passport(&a);
    let signer: SignerId = "customs.dock1".parse().unwrap();
    for key in [Subject::Unit(b), Subject::Signer(signer)] {
        let entry_key = match &key {
            Subject::Unit(unit) => EntryKey::Unit(unit.clone()),
            Subject::Signer(signer) => EntryKey::Signer(signer.clone()),
        };
        let (value, proof) = node.entry(&entry_key).unwrap();
        let mut more = whole.clone();
        more.entries.push(Proven { key: key.clone(), value: value.unwrap(), proof });
        more.entries.sort_by(|left, right| left.key.cmp(&right.key));
        let why = BadEntry::Unused;
        assert_eq!(verify(&more, &trust()).map(drop), Err(BadPassport::Entry { key, why }));
    }
}

/// A link needs a quorum of the set before, and every field of it counts.
#[test]
fn a_change_of_the_set_is_certified_by_the_set_before() {
    let (desk, a, _) = scene();
    let whole = passport(&desk, &a);
    let change = |what: &str, change: &dyn Fn(&mut consign_ledger::passport::SetLink)| {
        let mut changed = whole.clone();
        change(&mut changed.sets[0]);
        refused(&changed, &["sets"], what);
    };
    for at in 0..4 {
        let mut three = whole.clone();
        three.sets[0].certificate.precommits.remove(at);
        assert!(verify(&three, &trust()).is_ok(), "three are a quorum");
        change("two precommits", &|link| {
            link.certificate.precommits.remove(at);
            link.certificate.precommits.remove(0);
        });
        change("a wrong precommit", &|link| link.certificate.precommits[at].1.0[3] ^= 1);
    }
    change("size", &|link| link.size.0 += 1);
    change("root", &|link| link.root.0.0[0] ^= 1);
    change("set", &|link| link.set = super::support::node::validators(""));
    change("record", &|link| link.record.time = link.record.time.plus(1));
    change("next set", &|link| link.record.next_set = link.record.set);
}

/// An event that the device did sign, but that is not on the log, or not under this passport.
#[test]
fn an_event_that_is_not_on_the_log_is_not_taken() {
    let (desk, a, b) = scene();
    let whole = passport(&desk, &a);
    let last = whole.entered.last().unwrap().clone();
    let with = |event: &consign_types::event::Verified| {
        let mut changed = whole.clone();
        let (leaf, event) = (LeafIndex(last.leaf.0 + 1), event.signed().bytes().to_vec());
        let (around, begins) = (vec![Default::default(); 2], Vec::new());
        let time = last.time;
        changed.entered.push(consign_ledger::passport::Entered {
            event,
            leaf,
            time,
            around,
            begins,
            contested: false,
        });
        changed
    };
    let own = desk.say(SIGNER, &a, OBSERVE);
    assert_eq!(
        verify(&with(&own), &trust()).map(drop),
        Err(BadPassport::Count { found: 8, expected: 7 })
    );
    let other = desk.say(SIGNER, &b, OBSERVE);
    assert_eq!(
        verify(&with(&other), &trust()).map(drop),
        Err(BadPassport::EventUnit { at: whole.entered.len() })
    );
    let mut foreign = desk.draft(SIGNER, &a, OBSERVE);
    foreign.network = NetworkId::default();
    let foreign = with(&super::support::sign(foreign));
    assert_eq!(
        verify(&foreign, &trust()).map(drop),
        Err(BadPassport::EventNetwork { at: whole.entered.len() })
    );
    let stranger = with(&desk.say("handler.dock2", &a, OBSERVE));
    let signer = Subject::Signer("handler.dock2".parse().unwrap());
    assert_eq!(
        verify(&stranger, &trust()).map(drop),
        Err(BadPassport::Entry { key: signer, why: BadEntry::Missing })
    );
    // The right content under another key: the id, and so the head, would be another one.
    let mut forged = whole.clone();
    let event = consign_types::event::SignedEvent::decode(&forged.entered[0].event).unwrap();
    let forger = sign_with(event.event().clone(), &key("somebody"));
    forged.entered[0].event = forger.signed().bytes().to_vec();
    assert!(matches!(verify(&forged, &trust()), Err(BadPassport::EventSignature { at: 0, .. })));
    // An inner message that its giver did not sign.
    let at = whole.entered.iter().position(|entered| {
        let event = consign_types::event::SignedEvent::decode(&entered.event).unwrap();
        matches!(event.event().action, Action::Handover { .. })
    });
    let at = at.unwrap();
    let event = consign_types::event::SignedEvent::decode(&whole.entered[at].event).unwrap();
    let Action::Handover { offer, acceptance } = event.event().action.clone() else { panic!() };
    let offer = sign_with(offer.event().clone(), &key("somebody")).into_signed();
    let action = Action::Handover { offer: offer.into(), acceptance };
    let outer = consign_types::event::Event { action, ..event.event().clone() };
    let outer = consign_types::event::SignedEvent::sign(outer, &key("airline.dock1"));
    let mut forged = whole.clone();
    forged.entered[at].event = outer.bytes().to_vec();
    assert!(matches!(verify(&forged, &trust()), Err(BadPassport::EventSignature { .. })));
}

/// One bit of every byte of a file, and pieces of other bytes: nothing panics, and nothing else is taken.
#[test]
fn no_other_bytes_say_the_same() {
    let mut desk = desk();
    let unit = ten_handovers(&mut desk, "A");
    let (short, outer) = desk.nested("B", "C");
    desk.put(SIGNER, &outer, OBSERVE);
    let seed = 7_u64;
    println!("seed {seed}");
    let mut state = seed;
    let mut random = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for (unit, step) in [(&unit, 3), (&short, 1)] {
        let bytes = Node::of(&desk).passport(unit).to_bytes();
        for at in (0..bytes.len()).step_by(step) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (random() % 8);
            assert!(read(&changed, &trust()).is_err(), "byte {at} of {}", bytes.len());
        }
        for cut in (0..bytes.len()).step_by(17) {
            assert!(read(&bytes[..cut], &trust()).is_err());
        }
        for _ in 0..3000 {
            let mut changed = bytes.clone();
            for _ in 0..1 + random() % 4 {
                let (at, from) = (random() % changed.len(), random() % changed.len());
                let len = (random() % 64).min(changed.len() - at).min(changed.len() - from);
                changed.copy_within(from..from + len, at);
            }
            assert!(changed == bytes || read(&changed, &trust()).is_err());
        }
    }
    for _ in 0..20_000 {
        let noise: Vec<u8> = (0..random() % 200).map(|_| random() as u8).collect();
        assert!(read(&noise, &trust()).is_err());
    }
}

/// Few bytes cannot become many: words are counted where they are written out.
#[test]
fn a_file_that_unfolds_beyond_its_bound_is_refused() {
    let mut desk = desk();
    let unit = desk.held("A");
    let mut passport = Node::of(&desk).passport(&unit);
    // As many headers as an event has room for, in as many events as the file has.
    let header = consign_types::event::header_start(
        &SIGNER.parse().unwrap(),
        Algorithm::Ed25519,
        key(SIGNER).public().key_id(),
    );
    passport.entered[0].event = header.repeat(48 * 1024 / header.len());
    passport.entered = vec![passport.entered[0].clone(); 100];
    let bytes = passport.to_bytes();
    assert!(bytes.len() < 100_000, "{}", bytes.len());
    assert!(matches!(read(&bytes, &trust()), Err(BadPassport::Decode(_))));
}
