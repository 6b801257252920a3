//! What an auditor finds: an honest copy passes, and every planted lie is found and named.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use consign_cli::audit::{self, Code, Finding, Source, State};
use consign_ledger::log::TilePath;
use consign_tests::drill::Drill;
use consign_tests::drill::command::consign;
use consign_tests::drill::files::ServedLog;
use consign_tests::drill::forge::{self, Forger};
use consign_types::block::{BlockRecord, LeafIndex};
use consign_types::codec::Canonical as _;
use consign_types::digest::{Digest, NetworkId};
use consign_types::event::{Action, Kind, SignedEvent};
use consign_types::trust::Trust;

/// Seed of the positions that are flipped.
const SEED: u64 = 20_261_123;

/// A network's log, and the keys of all who made it.
struct Scene {
    log: ServedLog,
    checkpoint: String,
    trust: Trust,
    forger: Forger,
    /// Signed by an enrolled device, against the rules: the unit is registered already.
    again: SignedEvent,
    dir: tempfile::TempDir,
}

impl Scene {
    async fn set() -> Self {
        let mut drill = Drill::start().await;
        let parties = drill.parties();
        let desk = drill.enrol(&parties[0], "desk", &[Kind::Register]).await;
        drill.prove(&parties[0], &desk.signs(1, "trk/forwarder/ONCE", Action::Register)).await;
        drill.load(&parties, 80).await;
        for party in &parties {
            drill.until_all_proven(party).await;
        }
        let url = drill.home(&parties[0]).url.clone();
        let log = ServedLog::read(&url, drill.devnet().genesis()).await;
        let text = fs::read_to_string(drill.devnet().layout().trust()).expect("a trust file");
        let scene = Self {
            checkpoint: Source::checkpoint(&url.parse().expect("a source"))
                .expect("an answer")
                .expect("a checkpoint"),
            log,
            trust: Trust::from_json(&text).expect("a trust file"),
            forger: Forger::of(&drill),
            again: desk.signs(2, "trk/forwarder/ONCE", Action::Register),
            dir: tempfile::tempdir().expect("a directory"),
        };
        drill.finish().await;
        scene
    }

    /// Every file of the honest mirror, by name.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let tiles = self.log.files.iter().map(|(path, bytes)| (path.to_string(), bytes.clone()));
        let mut files: BTreeMap<_, _> = tiles.collect();
        files.insert("checkpoint".to_owned(), self.checkpoint.clone().into_bytes());
        files
    }

    fn honest(&self, name: &str) -> std::path::PathBuf {
        let folder = self.dir.path().join(name);
        for (name, bytes) in self.files() {
            forge::put(&folder, &name, &bytes);
        }
        folder
    }

    fn forged(&self, name: &str, leaves: &[Vec<u8>], cosigners: usize) -> std::path::PathBuf {
        let folder = self.dir.path().join(name);
        self.forger.write(&folder, leaves, cosigners);
        folder
    }

    fn findings(&self, folder: &Path) -> Vec<Finding> {
        audit::files(folder, &self.trust, &mut |_, _| ()).expect("a folder").findings
    }

    /// Leaves of the log, and where its last block of several events begins and ends.
    fn last_block(&self) -> (Vec<Vec<u8>>, usize, usize) {
        let leaves = self.log.entries.clone();
        let closes = |at: &usize| BlockRecord::from_bytes(&leaves[*at]).is_ok();
        let ends: Vec<usize> = (1..leaves.len()).filter(closes).collect();
        let block = ends.windows(2).rev().find(|pair| pair[1] - pair[0] > 2).expect("a block");
        let (begin, end) = (block[0] + 1, block[1]);
        (leaves, begin, end)
    }
}

fn codes(findings: &[Finding]) -> Vec<Code> {
    findings.iter().map(|finding| finding.code).collect()
}

/// An honest mirror passes, with partial tiles of earlier sizes in it too; with one bit flipped anywhere, or
/// any file gone, it does not.
#[tokio::test(flavor = "multi_thread")]
async fn an_honest_mirror_passes_and_one_flipped_bit_anywhere_does_not() {
    println!("seed {SEED}");
    let scene = Scene::set().await;
    let folder = scene.honest("honest");
    assert_eq!(scene.findings(&folder), []);
    for (path, bytes) in &scene.log.files {
        if path.level == Some(0) && path.width > 1 && path.width < 256 {
            let earlier = TilePath { width: path.width - 1, ..*path };
            forge::put(&folder, &earlier.to_string(), &bytes[..bytes.len() - 32]);
        }
    }
    assert_eq!(scene.findings(&folder), []);

    let files: Vec<(String, Vec<u8>)> = scene.files().into_iter().collect();
    let total: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut state = SEED;
    for _ in 0..1_000 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut at = (state >> 33) as usize % total;
        let bit = (state >> 20) as u8 % 8;
        let (name, bytes) = files
            .iter()
            .find(|(_, bytes)| {
                let here = at < bytes.len();
                at -= if here { 0 } else { bytes.len() };
                here
            })
            .expect("a file");
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        forge::put(&folder, name, &flipped);
        assert_ne!(scene.findings(&folder), [], "{name}, byte {at}, bit {bit}");
        forge::put(&folder, name, bytes);
    }
    for (name, bytes) in &files {
        fs::remove_file(folder.join(name)).expect("a file");
        let missing = scene.findings(&folder);
        assert!(
            matches!(missing[0].code, Code::MissingFile | Code::NoCheckpoint | Code::BadFile),
            "{name}: {missing:?}"
        );
        forge::put(&folder, name, bytes);
    }
    assert_eq!(scene.findings(&folder), []);
}

/// Histories that somebody made up and hashed again: with fewer than a quorum nobody stands by them, with a
/// quorum the replay names the leaf and the rule.
#[tokio::test(flavor = "multi_thread")]
async fn a_made_up_history_is_found_and_the_event_and_rule_are_named() {
    let scene = Scene::set().await;
    let (leaves, begin, end) = scene.last_block();
    assert_eq!(scene.findings(&scene.forged("signed again", &leaves, 4)), []);
    // The same validators, and another network: leaf 0 is not its genesis, and nothing after it is looked at.
    let network = NetworkId(Digest::of(&[b"another network"]));
    let trust = Trust { network, ..scene.trust.clone() };
    let foreign = audit::files(&scene.honest("honest"), &trust, &mut |_, _| ()).expect("a folder");
    assert_eq!(codes(&foreign.findings), [Code::WrongLeaf]);
    assert_eq!((foreign.findings[0].leaf, foreign.blocks), (Some(0), 0));

    let few = scene.findings(&scene.forged("two of four", &leaves, 2));
    assert_eq!(codes(&few), [Code::NoQuorum]);

    let mut swapped = leaves.clone();
    swapped.swap(begin, begin + 1);
    let found = scene.findings(&scene.forged("swapped", &swapped, 3));
    assert_eq!(codes(&found), [Code::WrongLeaf]);
    assert_eq!(found[0].leaf, Some(end as u64));

    let mut broken = leaves.clone();
    broken[begin + 1] = scene.again.bytes().to_vec();
    let found = scene.findings(&scene.forged("broken rule", &broken, 3));
    let named = format!("event {} breaks a rule (unit_known)", scene.again.id());
    assert_eq!((found[0].code, found[0].leaf), (Code::RuleBroken, Some(begin as u64 + 1)));
    assert!(found[0].detail.contains(&named), "{}", found[0].detail);

    let mut cut = leaves;
    cut.remove(begin);
    let found = scene.findings(&scene.forged("left out", &cut, 3));
    assert_eq!(codes(&found), [Code::WrongLeaf]);
}

/// An auditor of two sources: what a source showed before, and what the other shows, is what it is held to.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_goes_back_or_forks_is_found() {
    let scene = Scene::set().await;
    let (leaves, begin, end) = scene.last_block();
    let trust = scene.dir.path().join("trust.json");
    fs::write(&trust, scene.trust.to_json()).expect("a trust file");
    // Up to the block before, as the network was then.
    let earlier = scene.forged("b", &leaves[..begin], 4);
    let whole = scene.honest("a");
    let home = scene.dir.path().join("audit");
    let sources = [Source::folder(&whole), Source::folder(&earlier)];
    State::init(&home, &trust, &sources).expect("a new folder");
    let state = State::open(&home).expect("it opens");
    let round = || audit::round(&state, &mut |_, _, _| ()).expect("a round");

    let first = round();
    assert_eq!(first.findings, []);
    assert_eq!((first.leaves, first.covered.len()), (leaves.len() as u64, 2));
    // Nothing is new, and nothing is done again.
    let second = round();
    assert_eq!((second.findings.len(), second.leaves, second.events), (0, 0, 0));
    assert_eq!(scene.findings(&home.join("mirror")), []);

    // The first source goes back to what the second shows.
    fs::remove_dir_all(&whole).expect("removed");
    scene.forged("a", &leaves[..begin], 4);
    assert_eq!(codes(&round().findings), [Code::RolledBack]);

    // It goes on, but not from there: three of four cosigned another last block.
    fs::remove_dir_all(&whole).expect("removed");
    let mut other = leaves[..begin].to_vec();
    other.extend(leaves[begin + 1..=end].iter().cloned());
    other.extend(leaves[begin..].iter().cloned());
    scene.forged("a", &other, 3);
    let found = round().findings;
    assert_eq!(codes(&found), [Code::Fork]);
    // Whoever cosigned both is named by a file that anybody can check, and nobody else is.
    let evidence = found[0].evidence.as_ref().expect("evidence");
    let culprits = scene.forger.parties(3);
    assert_eq!(found[0].named.len(), 3, "{:?}", found[0].named);
    let [evidence, trust] = [evidence, &trust].map(|path| path.to_str().expect("text"));
    let verified = consign(["verify", evidence, "--trust", trust]).await;
    assert_eq!(verified.code, 6, "{}", verified.stdout);
    for culprit in &culprits {
        let named = found[0].named.iter().any(|named| named.starts_with(&format!("{culprit} ")));
        assert!(named && verified.stdout.contains(&format!("Named        {culprit} ")));
    }
    assert!(home.join(format!("evidence/fork-{}.a.checkpoint", other.len())).exists());
    // The mirror is what it was.
    assert_eq!(scene.findings(&home.join("mirror")), []);
}

/// As a user runs it: exit codes, and which leaf of two copies is the first to differ.
#[tokio::test(flavor = "multi_thread")]
async fn copies_are_compared_and_findings_have_exit_codes() {
    let scene = Scene::set().await;
    let (leaves, begin, _) = scene.last_block();
    let honest = scene.honest("honest");
    let trust = scene.dir.path().join("trust.json");
    fs::write(&trust, scene.trust.to_json()).expect("a trust file");
    let mut broken = leaves.clone();
    broken[begin + 1] = scene.again.bytes().to_vec();
    let forged = scene.forged("forged", &broken, 3);
    let [honest, forged, trust] = [&honest, &forged, &trust].map(|p| p.to_str().expect("text"));

    let passed = consign(["audit", "files", honest, "--trust", trust]).await;
    assert_eq!(passed.code, 0, "{}", passed.stderr);
    let found = consign(["audit", "files", forged, "--trust", trust]).await;
    assert_eq!(found.code, 6, "{}", found.stdout);
    let different = consign(["audit", "compare", honest, forged]).await;
    assert_eq!(different.code, 3, "{}", different.stdout);
    let at = LeafIndex(begin as u64 + 1);
    assert!(different.stdout.contains(&format!("leaf {at} differs")), "{}", different.stdout);
    assert!(different.stdout.contains(&scene.again.id().to_string()), "{}", different.stdout);
    let same = consign(["audit", "compare", honest, honest]).await;
    assert_eq!(same.code, 0, "{}", same.stdout);
    let untrusting = consign(["audit", "files", honest]).await;
    assert_eq!(untrusting.code, 4, "{}", untrusting.stderr);
}

/// What is taken away is the log that it was, and every line of the CSV is one of its leaves.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_exported_as_tiles_and_as_lines() {
    let scene = Scene::set().await;
    let (honest, out) = (scene.honest("honest"), scene.dir.path().join("taken away"));
    let lines = scene.dir.path().join("events.csv");
    let trust = scene.dir.path().join("trust.json");
    fs::write(&trust, scene.trust.to_json()).expect("a trust file");
    let paths = [&honest, &out, &lines, &trust].map(|path| path.to_str().expect("text"));
    let [honest, out, lines, trust] = paths;

    let tiles = consign(["export", "tiles", honest, "--out", out, "--trust", trust]).await;
    assert_eq!(tiles.code, 0, "{}", tiles.stderr);
    for (name, bytes) in scene.files() {
        assert_eq!(fs::read(Path::new(out).join(&name)).expect("a file"), bytes, "{name}");
    }
    let again = consign(["export", "tiles", honest, "--out", out, "--trust", trust]).await;
    assert_eq!(again.code, 2, "{}", again.stderr);

    let csv = consign(["export", "csv", honest, "--out", lines, "--trust", trust]).await;
    assert_eq!(csv.code, 0, "{}", csv.stderr);
    let text = fs::read_to_string(lines).expect("lines");
    let hashes =
        text.lines().skip(1).map(|line| line.split(',').nth(1).expect("a hash").to_owned());
    let expected = scene.log.events().into_iter().map(|event| event.leaf_hash().to_string());
    assert_eq!(hashes.collect::<Vec<_>>(), expected.collect::<Vec<_>>());

    let (leaves, begin, _) = scene.last_block();
    let mut broken = leaves.clone();
    broken.swap(begin, begin + 1);
    let forged = scene.dir.path().join("forged");
    scene.forger.write(&forged, &broken, 4);
    forge::put(&forged, "checkpoint", scene.checkpoint.as_bytes());
    let forged = forged.to_str().expect("text");
    let copy = scene.dir.path().join("copy-of-forged");
    let out = copy.to_str().expect("text");
    let refused = consign(["export", "tiles", forged, "--out", out, "--trust", trust]).await;
    assert_eq!(refused.code, 3, "{}{}", refused.stdout, refused.stderr);
    assert!(
        !copy.join("checkpoint").exists(),
        "a copy that does not hold ends without a checkpoint"
    );
}
