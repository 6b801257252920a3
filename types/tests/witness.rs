//! Witnesses: what one cosigns and refuses, what a trust file demands of them, and how both are written.

use consign_types::block::{Epoch, Height, TreeSize};
use consign_types::checkpoint::{Checkpoint, NotProven, cosigner_key};
use consign_types::codec::Canonical as _;
use consign_types::digest::{Digest, NetworkId, TreeRoot};
use consign_types::genesis::{BadGenesis, Genesis, Member, Params};
use consign_types::key::SecretKey;
use consign_types::merkle::{empty_root, leaf_hash, node_hash};
use consign_types::note::{Note, VerifierKey};
use consign_types::policy::policy;
use consign_types::time::Millis;
use consign_types::trust::Trust;
use consign_types::validator::{Validator, ValidatorSet};
use consign_types::witness::{
    AddCheckpoint, BadWitness, REQUEST_BYTES_MAX, Refusal, Seen, Witness, WitnessRule, Witnessed,
    conflict_size, decide, remember, state_file, witness_key,
};
use proptest::prelude::*;

const ORIGIN: &str = "devnet.example/consign";
const NAMES: [&str; 4] = ["airline", "consignee", "forwarder", "handler"];

fn key(i: u8, role: u8) -> SecretKey {
    let mut seed = [i; 32];
    seed[0] = role;
    SecretKey::from_seed(seed)
}

fn set() -> ValidatorSet {
    let validator = |(i, party): (u8, &str)| Validator {
        party: party.parse().unwrap(),
        consensus_key: key(i, 1).public(),
        cosigner_key: key(i, 2).public(),
        network_key: key(i, 3).public(),
    };
    ValidatorSet::new((0..).zip(NAMES).map(validator).collect()).unwrap()
}

fn trust() -> Trust {
    Trust {
        earlier: Vec::new(),
        receipt_keys: Vec::new(),
        origin: ORIGIN.to_owned(),
        network: NetworkId::default(),
        epoch: Epoch(0),
        height: Height(0),
        validators: set(),
        logs: vec![("airline".parse().unwrap(), key(0, 9).public())],
        witnesses: WitnessRule::default(),
    }
}

fn outsider(i: u8) -> (VerifierKey, SecretKey) {
    let secret = key(i, 20);
    (witness_key(&format!("witness.example/w{i}"), secret.public()).unwrap(), secret)
}

/// A log of leaves, by the definitions of RFC 6962.
#[derive(Clone)]
struct Log(Vec<Digest>);

impl Log {
    fn of(leaves: u64, seed: u64) -> Self {
        let leaf = |i: u64| leaf_hash(&[&seed.to_be_bytes()[..], &i.to_be_bytes()].concat()).0;
        Self((0..leaves).map(leaf).collect())
    }

    /// 2.1
    fn hash(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => empty_root().0,
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node_hash(&Self::hash(left), &Self::hash(right))
            }
        }
    }

    /// SUBPROOF of 2.1.2
    fn subproof(m: usize, leaves: &[Digest], whole: bool) -> Vec<Digest> {
        if m == leaves.len() {
            return if whole { Vec::new() } else { vec![Self::hash(leaves)] };
        }
        let k = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(k);
        let (mut path, last) = if m <= k {
            (Self::subproof(m, left, whole), Self::hash(right))
        } else {
            (Self::subproof(m - k, right, false), Self::hash(left))
        };
        path.push(last);
        path
    }

    fn proof(&self, old: u64, size: u64) -> Vec<Digest> {
        if old == 0 || old >= size {
            return Vec::new();
        }
        Self::subproof(old as usize, &self.0[..size as usize], true)
    }

    fn checkpoint(&self, size: u64) -> Checkpoint {
        let root = TreeRoot(Self::hash(&self.0[..size as usize]));
        Checkpoint { origin: ORIGIN.to_owned(), size: TreeSize(size), root }
    }

    /// As a node sends it: signed by its log key and cosigned by all validators.
    fn request(&self, old: u64, size: u64) -> AddCheckpoint {
        let checkpoint = self.checkpoint(size);
        let path = self.proof(old, size);
        AddCheckpoint { old: TreeSize(old), path, checkpoint: signed(&checkpoint) }
    }
}

fn signed(checkpoint: &Checkpoint) -> Note {
    let mut note = checkpoint.signed(&key(0, 9)).unwrap();
    for (i, party) in (0..).zip(NAMES) {
        let secret = key(i, 2);
        let line =
            cosigner_key(&checkpoint.origin, &party.parse().unwrap(), secret.public()).unwrap();
        note.add(checkpoint.cosign(&secret, 100).line(&line));
    }
    note
}

fn ask(request: &AddCheckpoint, seen: Seen) -> Result<Checkpoint, Refusal> {
    ask_raw(request.to_string().as_bytes(), seen)
}

fn ask_raw(body: &[u8], seen: Seen) -> Result<Checkpoint, Refusal> {
    decide(body, &[trust()], |_| seen).map(|(_, checkpoint, _)| checkpoint)
}

fn seen(log: &Log, size: u64) -> Seen {
    Seen { size: TreeSize(size), root: log.checkpoint(size).root, time_s: 7 }
}

#[test]
fn a_witness_answers_with_the_status_of_the_specification() {
    let log = Log::of(20, 1);
    let fork = Log::of(20, 2);
    let status =
        |verdict: Result<Checkpoint, Refusal>| verdict.map_or_else(|e| e.status(), |_| 200);
    let with = |change: &dyn Fn(&mut AddCheckpoint)| {
        let mut request = log.request(8, 15);
        change(&mut request);
        request.to_string()
    };
    let other_origin = Checkpoint { origin: "other.example/log".to_owned(), ..log.checkpoint(15) };
    let unsigned = Note::new(log.checkpoint(15).text()).unwrap();
    let mut strangers = unsigned.clone();
    let (stranger, secret) = outsider(9);
    strangers.add(log.checkpoint(15).cosign(&secret, 1).line(&stranger));
    let by_log_alone = log.checkpoint(15).signed(&key(0, 9)).unwrap();
    let mut by_validators_alone = unsigned.clone();
    signed(&log.checkpoint(15)).signatures()[1..]
        .iter()
        .for_each(|line| by_validators_alone.add(line.clone()));
    let whole = log.request(8, 15).to_string();

    let table: Vec<(&str, u16, String, Seen)> = vec![
        ("growth", 200, whole.clone(), seen(&log, 8)),
        ("the first checkpoint", 200, log.request(0, 15).to_string(), Seen::default()),
        ("the same again", 200, log.request(15, 15).to_string(), seen(&log, 15)),
        ("no body", 400, String::new(), seen(&log, 8)),
        ("no old size", 400, whole.replacen("old 8\n", "", 1), seen(&log, 8)),
        ("leading zero", 400, whole.replacen("old 8", "old 08", 1), seen(&log, 8)),
        ("a sign", 400, whole.replacen("old 8", "old +8", 1), seen(&log, 8)),
        ("two spaces", 400, whole.replacen("old 8", "old  8", 1), seen(&log, 8)),
        ("CRLF", 400, whole.replacen('\n', "\r\n", 1), seen(&log, 8)),
        (
            "a short hash",
            400,
            with(&|r| r.path.clear()).replacen("old 8\n", "old 8\nAAAA\n", 1),
            seen(&log, 8),
        ),
        ("64 lines", 400, with(&|r| r.path = vec![Digest([0; 32]); 64]), seen(&log, 8)),
        ("no empty line", 400, with(&|r| r.path.clear()).replacen("\n\n", "\n", 1), seen(&log, 8)),
        ("no signature", 400, with(&|r| r.checkpoint = unsigned.clone()), seen(&log, 8)),
        ("old above new", 400, with(&|r| r.old = TreeSize(16)), seen(&log, 16)),
        ("strangers", 403, with(&|r| r.checkpoint = strangers.clone()), seen(&log, 8)),
        ("the log alone", 403, with(&|r| r.checkpoint = by_log_alone.clone()), seen(&log, 8)),
        ("no log", 403, with(&|r| r.checkpoint = by_validators_alone.clone()), seen(&log, 8)),
        ("another log", 404, with(&|r| r.checkpoint = signed(&other_origin)), seen(&log, 8)),
        ("old too small", 409, log.request(7, 15).to_string(), seen(&log, 8)),
        ("old too large", 409, log.request(9, 15).to_string(), seen(&log, 8)),
        ("a smaller tree", 409, log.request(7, 7).to_string(), seen(&log, 8)),
        ("another root", 409, fork.request(8, 8).to_string(), seen(&log, 8)),
        ("a fork", 422, fork.request(8, 15).to_string(), seen(&log, 8)),
        ("no proof", 422, with(&|r| r.path.clear()), seen(&log, 8)),
        ("a hash too many", 422, with(&|r| r.path.push(Digest([1; 32]))), seen(&log, 8)),
        (
            "a proof from nothing",
            422,
            {
                let request = AddCheckpoint { path: vec![Digest([1; 32])], ..log.request(0, 15) };
                request.to_string()
            },
            Seen::default(),
        ),
        (
            "a proof of nothing",
            422,
            {
                let request = AddCheckpoint { path: vec![Digest([1; 32])], ..log.request(8, 8) };
                request.to_string()
            },
            seen(&log, 8),
        ),
    ];
    for (what, expected, body, seen) in table {
        assert_eq!(status(ask_raw(body.as_bytes(), seen)), expected, "{what}");
    }
    assert_eq!(status(ask_raw(&[0xff; 40], Seen::default())), 400);
    let long = vec![b'a'; REQUEST_BYTES_MAX + 1];
    assert_eq!(status(ask_raw(&long, Seen::default())), 400);

    let conflict = ask(&log.request(7, 15), seen(&log, 8)).unwrap_err();
    assert_eq!(conflict.body(), ("text/x.tlog.size", "8\n".to_owned()));
    assert_eq!(conflict_size(&conflict.body().1), Some(TreeSize(8)));
    for wrong in ["8", "08\n", "+8\n", "8\n\n", ""] {
        assert_eq!(conflict_size(wrong), None, "{wrong:?}");
    }
}

#[test]
fn what_is_remembered_carries_the_cosignature_and_comes_back() {
    let log = Log::of(15, 1);
    let (own, secret) = outsider(0);
    let mut request = log.request(0, 15);
    let (stranger, other) = outsider(1);
    request.checkpoint.add(log.checkpoint(15).cosign(&other, 1).line(&stranger));
    let (note, cosignature) =
        remember(&request, &trust(), &log.checkpoint(15), &own, &secret, 1_700_000_000).unwrap();
    assert!(log.checkpoint(15).check(own.key(), &cosignature).is_ok());
    let names: Vec<_> = note.signatures().iter().map(|line| line.name.as_str()).collect();
    let of = |party: &str| format!("{ORIGIN}/{party}");
    let [a, c, f, h] = NAMES.map(of);
    assert_eq!(names, [ORIGIN, &a, &c, &f, &h, "witness.example/w0"], "no stranger's line");
    let back = Seen { size: TreeSize(15), root: log.checkpoint(15).root, time_s: 1_700_000_000 };
    let read: Note = note.to_string().parse().unwrap();
    assert_eq!(Seen::from_note(&read, ORIGIN, &own), Ok(back));
    let missing = NotProven::NoWitnesses { found: 0, needed: 1 };
    assert_eq!(Seen::from_note(&read, ORIGIN, &stranger), Err(missing));
    assert!(Seen::from_note(&read, "other.example/log", &own).is_err());
    assert_eq!(
        state_file(ORIGIN),
        "4aa79790acc758fe7a5d5f3882772e3d4d4c334e6b132c8df5bd75104dfbe2b6"
    );
}

proptest! {
    /// Whatever it is asked, in whatever order: what it cosigns is one log that grows.
    #[test]
    fn a_witness_follows_one_log_and_never_back(
        asked in proptest::collection::vec((0_u64..40, 0_u64..40, any::<bool>()), 1..30)
    ) {
        let (log, fork) = (Log::of(40, 1), Log::of(40, 2));
        let mut last = Seen::default();
        let mut first: Option<bool> = None;
        for (old, size, forked) in asked {
            let of = if forked { &fork } else { &log };
            // Half of the time what a well-behaved node would send.
            let old = if old % 2 == 0 { last.size.0 } else { old };
            if old > size {
                continue;
            }
            if let Ok(checkpoint) = ask(&of.request(old, size), last) {
                prop_assert!(checkpoint.size >= last.size);
                if size > 0 {
                    prop_assert_eq!(*first.get_or_insert(forked), forked, "it changed sides");
                }
                last = Seen { size: checkpoint.size, root: checkpoint.root, time_s: 0 };
            }
        }
        // An honest node gets on from wherever it is.
        let of = if first == Some(true) { &fork } else { &log };
        prop_assert!(ask(&of.request(last.size.0, 40), last).is_ok());
    }

    #[test]
    fn no_bytes_make_a_witness_stumble(body in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(ask_raw(&body, Seen::default()).is_err());
    }
}

fn demanding(witnesses: &[u8], needed: usize, age_max_s: Option<u64>) -> Trust {
    let keys = witnesses.iter().map(|i| outsider(*i).0).collect();
    Trust { witnesses: WitnessRule { keys, needed, age_max_s, now: None }, ..trust() }
}

/// The note at size 15 with the cosignatures of these witnesses: which, and when.
fn witnessed(lines: &[(u8, u64)]) -> Note {
    let checkpoint = Log::of(15, 1).checkpoint(15);
    let mut note = signed(&checkpoint);
    for (i, time_s) in lines {
        let (key, secret) = outsider(*i);
        note.add(checkpoint.cosign(&secret, *time_s).line(&key));
    }
    note
}

#[test]
fn a_trust_file_demands_witnesses_and_an_age() {
    let verify = |trust: Trust, lines: &[(u8, u64)]| {
        trust.verify(&witnessed(lines), &trust.validators).map(|proven| proven.witnessed)
    };
    let names = |of: &[u8]| of.iter().map(|i| format!("witness.example/w{i}")).collect::<Vec<_>>();
    let too_few = |found, needed| Err(NotProven::NoWitnesses { found, needed });

    assert_eq!(verify(trust(), &[]), Ok(Witnessed::default()));
    assert_eq!(verify(demanding(&[1, 2, 3], 2, None), &[]), too_few(0, 2));
    assert_eq!(verify(demanding(&[1, 2, 3], 2, None), &[(1, 50)]), too_few(1, 2));
    assert_eq!(verify(demanding(&[1, 2, 3], 2, None), &[(1, 50), (1, 60)]), too_few(1, 2));
    assert_eq!(verify(demanding(&[1, 2, 3], 2, None), &[(1, 50), (9, 60)]), too_few(1, 2));
    let two = Witnessed { names: names(&[1, 3]), time_s: Some(50) };
    assert_eq!(verify(demanding(&[1, 2, 3], 2, None), &[(3, 60), (1, 50)]), Ok(two.clone()));
    // The second newest counts.
    let three = Witnessed { names: names(&[1, 2, 3]), time_s: Some(60) };
    let all = [(3, 60), (1, 50), (2, 70)];
    assert_eq!(verify(demanding(&[1, 2, 3], 2, None), &all), Ok(three));
    // Named and not demanded: told.
    let told = Witnessed { names: names(&[1]), time_s: None };
    assert_eq!(verify(demanding(&[1], 0, None), &[(1, 50)]), Ok(told));

    let aged = || demanding(&[1, 2, 3], 2, Some(100));
    let lines = [(3, 60), (1, 50)];
    assert_eq!(verify(aged(), &lines), Err(NotProven::NoTime));
    assert_eq!(verify(aged().at(Millis(150_999)), &lines), Ok(two));
    let old = NotProven::WitnessesOld { age_s: 101, max_s: 100 };
    assert_eq!(verify(aged().at(Millis(151_000)), &lines), Err(old));
}

#[test]
fn a_wrong_signature_under_a_witness_name_and_id_condemns_the_note() {
    let mut note = witnessed(&[(1, 50)]);
    let (key, secret) = outsider(2);
    note.add(Log::of(14, 1).checkpoint(14).cosign(&secret, 50).line(&key));
    let wrong = NotProven::WitnessSignature("witness.example/w2".to_owned());
    let trust = demanding(&[1, 2], 1, None);
    assert_eq!(trust.verify(&note, &trust.validators), Err(wrong));
    let unknown = demanding(&[1], 1, None);
    assert!(unknown.verify(&note, &unknown.validators).is_ok(), "a line of a stranger is ignored");
}

#[test]
fn a_trust_file_says_the_same_when_it_is_read_again() {
    let text = trust().to_json();
    assert!(!text.contains("witness"), "{text}");
    let demanding = demanding(&[1, 2, 3], 2, Some(3_600));
    assert_eq!(Trust::from_json(&demanding.to_json()), Ok(demanding.clone()));
    for (from, to) in [
        ("\"witnesses_needed\": 2", "\"witnesses_needed\": 4"),
        ("\"witnesses_needed\": 2", "\"witnesses_needed\": 0"),
        ("\"witnesses_needed\": 2", "\"witnesses_wanted\": 2"),
        ("witness.example/w1", "witness.example/w2"),
        ("witness.example/w1", "none"),
        ("witness.example/w1", "two words"),
        ("witness.example/w1", "devnet.example/consign/handler"),
        (&*key(1, 20).public().to_string(), &*key(1, 2).public().to_string()),
    ] {
        let text = demanding.to_json().replacen(from, to, 1);
        assert!(Trust::from_json(&text).is_err(), "{to}");
    }
}

#[test]
fn a_policy_nests_validators_and_witnesses() {
    let text = policy(&demanding(&[1, 2], 1, Some(60))).unwrap();
    let lines: Vec<&str> = text.lines().skip(5).collect();
    let validators = NAMES.map(|name| format!("{ORIGIN}/{name}")).join(" ");
    let witness = |i| format!("witness {} {}", outsider(i).0.name(), outsider(i).0);
    let expected = [
        format!("group validators 3 {validators}"),
        witness(1),
        witness(2),
        "group witnesses 1 witness.example/w1 witness.example/w2".to_owned(),
        "group validators-and-witnesses all validators witnesses".to_owned(),
        "quorum validators-and-witnesses".to_owned(),
    ];
    assert_eq!(lines, expected);
    assert!(policy(&demanding(&[1], 0, None)).unwrap().ends_with("\nquorum validators\n"));
}

fn genesis() -> Genesis {
    let members = (0..).zip(NAMES).map(|(i, party): (u8, _)| Member {
        party: party.parse().unwrap(),
        key: key(i, 4).public(),
        authority: false,
    });
    let time = Millis(1_700_000_000_000);
    Genesis::new(ORIGIN, time, members.collect(), set(), Params::default()).unwrap()
}

#[test]
fn a_genesis_lists_witnesses_in_one_order_and_is_unchanged_without() {
    let witness = |i| Witness::new(&outsider(i).0, "https://witness.example/w").unwrap();
    let plain = genesis();
    assert_eq!(plain.clone().with_witnesses(Vec::new()).unwrap().to_bytes(), plain.to_bytes());
    let with = genesis().with_witnesses(vec![witness(2), witness(1)]).unwrap();
    assert_ne!(with.network(), plain.network());
    assert_eq!(with.witnesses(), [witness(1), witness(2)]);
    let bytes = with.to_bytes();
    assert_eq!(Genesis::from_bytes(&bytes), Ok(with.clone()));
    let trust = Trust::of_genesis(&with, Vec::new());
    assert_eq!(trust.witnesses.keys, [outsider(1).0, outsider(2).0]);
    assert_eq!(trust.witnesses.needed, 0);

    let position = |name: &[u8]| bytes.windows(name.len()).position(|w| w == name).unwrap();
    let (first, second) = (position(b"witness.example/w1"), position(b"witness.example/w2"));
    let item = second - first;
    let mut swapped = bytes.clone();
    swapped[first - 2..first - 2 + 2 * item].rotate_left(item);
    assert!(Genesis::from_bytes(&swapped).is_err(), "another order");
    let mut empty = plain.to_bytes();
    empty[0] = 0x87;
    empty.push(0x80);
    assert!(Genesis::from_bytes(&empty).is_err(), "an empty list is left out");

    let shared = |witnesses| {
        matches!(
            genesis().with_witnesses(witnesses),
            Err(BadGenesis::Witness(BadWitness::Shared(_)))
        )
    };
    assert!(shared(vec![witness(1), witness(1)]));
    for taken in [key(0, 2), key(3, 4)] {
        let posed = witness_key("witness.example/w1", taken.public()).unwrap();
        assert!(shared(vec![Witness::new(&posed, "http://w.example").unwrap()]));
    }
    let many = (0..17).map(witness).collect();
    let refused = genesis().with_witnesses(many);
    assert_eq!(refused, Err(BadGenesis::Witness(BadWitness::TooMany(17))));
}

#[test]
fn a_witness_is_written_as_its_key_and_address() {
    let witness = Witness::new(&outsider(1).0, "https://witness.example:8443/x").unwrap();
    assert_eq!(witness.to_string().parse(), Ok(witness.clone()));
    assert!(witness.to_string().ends_with("@https://witness.example:8443/x"));
    for url in [
        "",
        "ftp://w",
        "http://",
        "http:///x",
        "http://w/",
        "http://u@w",
        "http://w?x",
        "https://w x",
    ] {
        assert!(Witness::new(&outsider(1).0, url).is_err(), "{url:?}");
    }
    let log = VerifierKey::new(ORIGIN, consign_types::note::KeyType::Ed25519, key(0, 9).public());
    let kind = Err(BadWitness::Kind(ORIGIN.to_owned()));
    assert_eq!(Witness::new(&log.unwrap(), "http://w"), kind);
}
