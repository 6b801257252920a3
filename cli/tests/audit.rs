//! What an auditor finds in copies that somebody altered: on the way, on its own disk, or by signing what
//! nobody asked for. No node is needed: the logs are made here.

#[path = "audit/scene.rs"]
mod scene;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use consign_cli::audit::{self, Audit, Code, Finding, Source, State};
use consign_cli::failure::Exit;
use consign_ledger::log::{Mirror, TilePath, inclusion_proof};
use consign_types::block::{Epoch, Height, LeafIndex, TreeSize};
use consign_types::checkpoint::Checkpoint;
use consign_types::note::Note;
use consign_types::receipt::Receipt;
use consign_types::trust::{EarlierSet, Trust};
use scene::{ALL, Log, NOW_S, checkpoint, files, flip, note, trust, validators, write};

/// An auditor, and the folders that it is shown.
struct Auditor {
    dir: tempfile::TempDir,
    state: State,
}

impl Auditor {
    fn of(trust: &Trust, sources: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("trust.json");
        fs::write(&file, trust.to_json()).unwrap();
        let named = sources.iter().map(|name| Source::folder(&dir.path().join(name)));
        let home = dir.path().join("audit");
        State::init(&home, &file, &named.collect::<Vec<_>>()).unwrap();
        Self { state: State::open(&home).unwrap(), dir }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn mirror(&self) -> PathBuf {
        self.state.path("mirror")
    }

    fn round(&self) -> Audit {
        audit::round(&self.state, &mut |_, _, _| ()).unwrap()
    }

    /// What the source is called in findings.
    fn name(&self, source: &str) -> String {
        self.folder(source).display().to_string()
    }
}

fn codes(audit: &Audit) -> Vec<(Code, Option<u64>)> {
    audit.findings.iter().map(|finding| (finding.code, finding.leaf)).collect()
}

/// The mirror ends within a bundle, so that the source shows its leaves again with the new ones.
#[test]
fn a_leaf_that_reads_otherwise_when_its_bundle_is_shown_again_is_not_taken() {
    let auditor = Auditor::of(&trust(), &["a"]);
    let mut log = Log::of(300);
    log.write(&auditor.folder("a"));
    assert_eq!(codes(&auditor.round()), []);
    let before = files(&auditor.mirror());

    log.grow(400);
    log.write(&auditor.folder("a"));
    flip(&auditor.folder("a"), "tile/entries/001.p/144", 14);
    let found = auditor.round();
    let detail = "tile/entries/001.p/144: leaf 270 is not the one that was hashed here before";
    let expected = Finding::new(Code::BadFile, &auditor.name("a"), detail).at(270);
    assert_eq!(found.findings, [expected]);
    assert_eq!(files(&auditor.mirror()), before);

    // From the same source, once it shows what it showed, the mirror goes on.
    log.write(&auditor.folder("a"));
    assert_eq!(codes(&auditor.round()), []);
    assert_eq!(codes(&audit::files(&auditor.mirror(), &trust(), &mut |_, _| ()).unwrap()), []);
}

/// What a source made up after the leaves that are known stays nowhere: later the mirror is as large.
#[test]
fn nothing_of_a_copy_that_leads_to_another_root_stays_in_the_mirror() {
    let auditor = Auditor::of(&trust(), &["a"]);
    let mut log = Log::of(300);
    log.write(&auditor.folder("a"));
    assert_eq!(codes(&auditor.round()), []);
    let before = files(&auditor.mirror());

    log.grow(700);
    log.write(&auditor.folder("a"));
    flip(&auditor.folder("a"), "tile/entries/001", 100);
    assert_eq!(codes(&auditor.round()), [(Code::WrongRoot, None)]);
    assert_eq!(files(&auditor.mirror()), before);
}

/// The rollback is the source's; that validators signed another history is theirs, and both are said.
#[test]
fn a_source_that_goes_back_to_another_history_shows_a_fork_and_who_signed_it() {
    let auditor = Auditor::of(&trust(), &["a"]);
    Log::of(60).write(&auditor.folder("a"));
    assert_eq!(codes(&auditor.round()), []);

    let forked = Log::forked_after(40, 50);
    forked.write_by(&auditor.folder("a"), &[("airline", ""), ("customs", ""), ("handler", "")]);
    let found = auditor.round();
    assert_eq!(codes(&found), [(Code::RolledBack, None), (Code::Fork, None)]);
    let name = "cosigned audit.example/consign at sizes 50 and 60, which differ at leaf 40";
    let named = ["airline", "customs", "handler"].map(|party| format!("{party} {name}"));
    assert_eq!(found.findings[1].named, named);
    assert!(found.findings[1].evidence.as_ref().unwrap().exists());
    // It is held to the most that it showed, in the next round too.
    assert_eq!(codes(&auditor.round()), codes(&found));
}

/// Its first leaves are not the mirror's either, and that is no altered file: all of it leads to a cosigned root.
#[test]
fn a_source_that_grew_from_another_history_is_a_fork() {
    let auditor = Auditor::of(&trust(), &["a"]);
    Log::of(60).write(&auditor.folder("a"));
    assert_eq!(codes(&auditor.round()), []);
    let before = files(&auditor.mirror());
    Log::forked_after(40, 80).write(&auditor.folder("a"));
    let found = auditor.round();
    assert_eq!(codes(&found), [(Code::Fork, None)]);
    let did = "cosigned audit.example/consign at sizes 60 and 80, which differ at leaf 40";
    assert_eq!(found.findings[0].named, scene::PARTIES.map(|party| format!("{party} {did}")));
    assert_eq!(files(&auditor.mirror()), before);
}

/// The auditor's own disk loses a bit of an entry, and where the rules were run to is lost: nobody is accused.
#[test]
fn an_entry_that_the_own_disk_changed_is_the_auditors_own_trouble() {
    let auditor = Auditor::of(&trust(), &["a"]);
    Log::of(300).write(&auditor.folder("a"));
    assert_eq!(codes(&auditor.round()), []);
    flip(&auditor.mirror(), "tile/entries/001.p/44", 14);
    fs::remove_file(auditor.state.path("replay.cbor")).unwrap();
    let found = auditor.round();
    let detail =
        "the auditor's own copy of the log is damaged: leaf 270 is not the one that was hashed";
    let mirror = auditor.mirror().display().to_string();
    assert_eq!(found.findings, [Finding::new(Code::Damaged, &mirror, detail).at(270)]);
    assert_eq!(found.findings[0].code.exit(), Exit::Operational);
}

/// A bit of a tile: the honest source is not called a fork.
#[test]
fn a_tile_that_the_own_disk_changed_is_the_auditors_own_trouble() {
    let auditor = Auditor::of(&trust(), &["a", "b"]);
    Log::of(700).write(&auditor.folder("a"));
    Log::of(300).write(&auditor.folder("b"));
    assert_eq!(codes(&auditor.round()), []);
    let mirror = auditor.mirror();
    for (tile, bit) in [("tile/0/002.p/188", 5), ("tile/0/001", 40), ("tile/1/000.p/2", 33)] {
        let whole = fs::read(mirror.join(tile)).unwrap();
        let mut flipped = whole.clone();
        flipped[bit] ^= 1;
        fs::write(mirror.join(tile), flipped).unwrap();
        assert_eq!(codes(&auditor.round()), [(Code::Damaged, None)], "{tile}");
        fs::write(mirror.join(tile), whole).unwrap();
        assert_eq!(codes(&auditor.round()), [], "{tile}");
    }
}

/// A validator answers for what it cosigned: where the copy is what it signed, the rule is broken.
#[test]
fn a_record_that_does_not_follow_is_still_the_validators_doing() {
    let auditor = Auditor::of(&trust(), &["a"]);
    let mut leaves = Log::of(300).leaves;
    *leaves[270].last_mut().unwrap() ^= 1;
    let note = note(&checkpoint(&leaves), &ALL, NOW_S);
    write(&auditor.folder("a"), &leaves, &note);
    for _ in 0..2 {
        assert_eq!(codes(&auditor.round()), [(Code::WrongLeaf, Some(270))]);
    }
}

/// What was kept of an earlier run is the auditor's own too: where it is not of this log, it is made again.
#[test]
fn a_replay_that_is_not_of_the_mirror_is_made_again() {
    let auditor = Auditor::of(&trust(), &["a"]);
    let mut log = Log::of(50);
    log.write(&auditor.folder("a"));
    assert_eq!(auditor.round().blocks, 48);
    let other = Auditor::of(&trust(), &["a"]);
    Log::forked_after(30, 45).write(&other.folder("a"));
    assert_eq!(other.round().blocks, 43);

    log.grow(60);
    log.write(&auditor.folder("a"));
    fs::copy(other.state.path("replay.cbor"), auditor.state.path("replay.cbor")).unwrap();
    let found = auditor.round();
    assert_eq!((codes(&found), found.blocks, found.height), (vec![], 58, 58));
}

/// Nothing is new: nothing is run, and where the rules stand is told all the same.
#[test]
fn a_round_without_news_runs_nothing_and_says_where_it_stands() {
    let auditor = Auditor::of(&trust(), &["a"]);
    let mut log = Log::of(40);
    log.write(&auditor.folder("a"));
    let mut kept = None;
    let mut round = || audit::again(&auditor.state, &mut kept, &mut |_, _, _| ()).unwrap();
    let first = round();
    assert_eq!((first.blocks, first.height), (38, 38));
    // It is in the hand of whoever goes on, and not read again.
    fs::remove_file(auditor.state.path("replay.cbor")).unwrap();
    let second = round();
    assert_eq!((second.blocks, second.height, &second.map_root), (0, 38, &first.map_root));
    log.grow(45);
    log.write(&auditor.folder("a"));
    let third = round();
    assert_eq!((codes(&third), third.blocks, third.height), (vec![], 5, 43));

    // A process of its own reads how far it was, and not the map: a byte of its end is not looked at.
    let path = auditor.state.path("replay.cbor");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let fourth = auditor.round();
    assert_eq!((codes(&fourth), fourth.blocks, fourth.height), (vec![], 0, 43));
    // Once it is needed it is made again.
    log.grow(46);
    log.write(&auditor.folder("a"));
    let fifth = auditor.round();
    assert_eq!((codes(&fifth), fifth.blocks, fifth.height), (vec![], 44, 44));
}

/// Trust in two sets: that of the genesis, and one with other keys of the airline's from a height on.
fn two_sets(from: u64) -> Trust {
    let genesis = trust();
    let earlier = EarlierSet { height: Height(0), validators: genesis.validators.clone() };
    let validators = validators([" 2", "", "", ""]);
    Trust { height: Height(from), validators, earlier: vec![earlier], ..genesis }
}

const NEW: [(&str, &str); 4] =
    [("airline", " 2"), ("customs", ""), ("forwarder", ""), ("handler", "")];

/// Both ways of auditing, of one copy.
fn both_ways(trust: &Trust, log: &Log, cosigners: &[(&str, &str)]) -> [Vec<Finding>; 2] {
    let auditor = Auditor::of(trust, &["a"]);
    let folder = auditor.folder("a");
    log.write_by(&folder, cosigners);
    let whole = audit::files(&folder, trust, &mut |_, _| ()).unwrap().findings;
    let round = auditor.round().findings;
    assert_eq!(round.is_empty(), auditor.mirror().join("checkpoint").exists());
    [whole, round]
}

/// Keys that were retired sign a history in which the set never changed.
#[test]
fn a_set_that_the_trust_file_retired_does_not_vouch_for_later_blocks() {
    let log = Log::of(60);
    let trust = two_sets(20);
    for found in both_ways(&trust, &log, &ALL) {
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].code, found[0].code.exit()), (Code::WrongSet, Exit::Trust));
        let why = "its checkpoint ends with block 58: another validator set was in force there than \
                   the trust file has from block 20 on";
        assert_eq!(found[0].detail, why);
    }
    // Before the change it did.
    for found in both_ways(&trust, &Log::of(20), &ALL) {
        assert_eq!(found, []);
    }
}

/// The records say that the set changed, and the set of the genesis goes on signing.
#[test]
fn a_set_that_the_records_retired_does_not_vouch_for_later_blocks() {
    let mut log = Log::of(20);
    log.change_validator("airline", " 2");
    log.grow(log.leaves.len() + 10);
    for found in both_ways(&trust(), &log, &ALL) {
        let found: Vec<_> = found.iter().map(|finding| finding.code).collect();
        assert_eq!(found, [Code::WrongSet]);
    }
    // With the change in the trust file the new set vouches, and the old one did for what came before.
    let changed = log.first_of(&validators([" 2", "", "", ""]));
    let advanced = two_sets(changed);
    for found in both_ways(&advanced, &log, &NEW) {
        assert_eq!(found, []);
    }
    // Three of four keys stayed: the note has a quorum of both sets, and counts by that of its block.
    for found in both_ways(&advanced, &Log::of(20), &ALL) {
        assert_eq!(found, []);
    }
    let epoch = Trust { epoch: Epoch(1), ..advanced };
    for found in both_ways(&epoch, &log, &NEW) {
        let why = "of epoch 0, and the trust file is of 1";
        let height = log.record.height;
        assert_eq!(found[0].detail, format!("its checkpoint ends with block {height}: {why}"));
    }
}

/// A smaller copy at another source is held to the set of its own block.
#[test]
fn a_source_that_is_behind_is_held_to_the_set_of_its_block() {
    let mut log = Log::of(20);
    let before = log.clone();
    log.change_validator("airline", " 2");
    let advanced = two_sets(log.first_of(&validators([" 2", "", "", ""])));
    let auditor = Auditor::of(&advanced, &["a", "b"]);
    log.write_by(&auditor.folder("a"), &NEW);
    before.write_by(&auditor.folder("b"), &NEW);
    let found = auditor.round();
    assert_eq!(codes(&found), []);
    // Two of the old set and the new key of the third are a quorum of the new set alone.
    before.write_by(&auditor.folder("b"), &NEW[..3]);
    assert_eq!(codes(&auditor.round()), [(Code::WrongSet, None)]);
}

/// A number in a file is nobody's word: no count runs over, and nothing is asked for that many times.
#[test]
fn a_size_that_no_log_has_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::of(10);
    for size in [u64::MAX, u64::MAX - 1, (1 << 32) + 1] {
        let claimed = Checkpoint { size: TreeSize(size), ..log.checkpoint() };
        let note = note(&claimed, &ALL, NOW_S).to_string();
        let copies = ["one", "other"].map(|name| {
            let folder = dir.path().join(name);
            log.write(&folder);
            scene::put(&folder, "checkpoint", note.as_bytes());
            Source::folder(&folder)
        });
        let refused = audit::compare([&copies[0], &copies[1]]).unwrap_err();
        assert_eq!((refused.exit, refused.code.as_str()), (Exit::Incomplete, "no_checkpoint"));
        // Where a quorum signed it, it still ends at the first file that is missing.
        let found = audit::files(&dir.path().join("one"), &trust(), &mut |_, _| ()).unwrap();
        assert!(!found.findings.is_empty());
        let auditor = Auditor::of(&trust(), &["a"]);
        log.write(&auditor.folder("a"));
        scene::put(&auditor.folder("a"), "checkpoint", note.as_bytes());
        assert!(!auditor.round().findings.is_empty());
    }
}

/// Whoever has two receipts of different events at one place convicts those who signed both.
#[test]
fn two_receipts_of_one_place_become_evidence_of_growth() {
    let dir = tempfile::tempdir().unwrap();
    let receipts = [("one", 12, 100_000), ("other", 20, 200_000)].map(|(name, size, until)| {
        let mut log = Log::of(10);
        let event = log.proposal(until);
        log.commit(std::slice::from_ref(&event));
        log.grow(size);
        let folder = dir.path().join(name);
        log.write_by(&folder, &ALL[..3]);
        let tile = |path: &TilePath| fs::read(folder.join(path.to_string())).ok();
        let (index, size) = (LeafIndex(10), TreeSize(size as u64));
        let path = inclusion_proof(&Mirror::new(size, tile), index, size).unwrap().path;
        let checkpoint = fs::read_to_string(folder.join("checkpoint")).unwrap().parse().unwrap();
        let receipt = Receipt { extra: Some(event.bytes().to_vec()), index, path, checkpoint };
        let bare = Receipt { extra: None, ..receipt.clone() };
        fs::write(dir.path().join(format!("{name}.tlog-proof")), receipt.text()).unwrap();
        fs::write(dir.path().join(format!("{name}.bare")), bare.text()).unwrap();
        fs::write(dir.path().join(format!("{name}.event")), event.bytes()).unwrap();
        receipt
    });
    fs::write(dir.path().join("trust.json"), trust().to_json()).unwrap();
    let trust = ["--trust", "trust.json"];
    let make = |files: &[&str]| {
        let command = [&["evidence", "make"], files, &["--out", "made.evidence"], &trust].concat();
        consign(dir.path(), &command)
    };
    let said = "cosigned audit.example/consign at sizes 12 and 20, which differ at leaf 10";
    for files in [
        &["one.tlog-proof", "other.tlog-proof"][..],
        &["other.bare", "one.event", "one.bare", "other.event"],
    ] {
        let made = make(files);
        assert_eq!(made.0, 0, "{files:?} {}", made.2);
        for party in &scene::PARTIES[..3] {
            assert!(made.1.contains(&format!("{party} {said}")), "{}", made.1);
        }
        let verified = consign(dir.path(), &[&["verify", "made.evidence"][..], &trust].concat());
        assert_eq!(verified.0, 6, "{}", verified.1);
    }
    // One event in both is no contradiction, and neither are two places.
    assert_eq!(make(&["one.tlog-proof", "one.bare"]).0, 5);
    let [one, _] = receipts;
    let elsewhere = Receipt { index: LeafIndex(9), ..one };
    fs::write(dir.path().join("elsewhere.tlog-proof"), elsewhere.text()).unwrap();
    assert_eq!(make(&["elsewhere.tlog-proof", "other.tlog-proof"]).0, 5);
}

/// Checkpoints are judged before any node is asked: there is none here.
#[test]
fn consistency_is_of_checkpoints_that_a_quorum_cosigned() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, note: &Note| fs::write(dir.path().join(name), note.to_string()).unwrap();
    let (one, forked) = (Log::of(12).checkpoint(), Log::forked_after(10, 12).checkpoint());
    put("one", &note(&one, &ALL, NOW_S));
    put("again", &note(&one, &ALL[1..], NOW_S + 60));
    put("forked", &note(&forked, &ALL, NOW_S));
    put("few", &note(&one, &ALL[..2], NOW_S));
    put("later", &note(&Log::of(15).checkpoint(), &ALL, NOW_S));
    fs::write(dir.path().join("trust.json"), trust().to_json()).unwrap();
    let run = |files: [&str; 2]| {
        let command = ["proof", "consistency", files[0], files[1]];
        let node = ["--trust", "trust.json", "--node", "http://127.0.0.1:9"];
        let (exit, out, err) = consign(dir.path(), &[&command[..], &node].concat());
        (exit, out, err.split(':').next().unwrap().to_owned())
    };
    let roots = format!("root 12  {0}\nroot 12  {0}\n", one.root);
    let same = format!(
        "the log only grew from 12 to 12 leaves\n{roots}a quorum of the validators in the trust file \
         cosigned both\n"
    );
    assert_eq!(run(["one", "again"]), (0, same, String::new()));
    let failed = |exit, code: &str| (exit, String::new(), format!("error[{code}]"));
    assert_eq!(run(["one", "forked"]), failed(6, "forked"));
    assert_eq!(run(["one", "few"]), failed(4, "untrusted_checkpoint"));
    assert_eq!(run(["one", "trust.json"]), failed(3, "bad_checkpoint"));
    assert_eq!(run(["later", "one"]), failed(1, "node_unreachable"));
    let untrusting = consign(dir.path(), &["proof", "consistency", "one", "later"]);
    assert_eq!(untrusting.0, 4, "{}", untrusting.2);
    for wrong in [&["one"][..], &["one", "later", "--from", "1", "--to", "2"], &["--from", "1"]] {
        let command = [&["proof", "consistency"][..], wrong].concat();
        assert_eq!(consign(dir.path(), &command).0, 2, "{wrong:?}");
    }
}

/// As a supervisor stops it, or a person: what it found is said, and it ends well.
#[test]
fn an_audit_that_goes_on_ends_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let [file, copy, home] = ["trust.json", "a", "audit"].map(|name| dir.path().join(name));
    fs::write(&file, trust().to_json()).unwrap();
    Log::of(60).write(&copy);
    State::init(&home, &file, &[Source::folder(&copy)]).unwrap();
    for signal in ["TERM", "INT"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_consign"))
            .args(["audit", "run", "--every", "3600s", "--dir"])
            .arg(&home)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let expected = format!("{}: {} leaves, ", copy.display(), 60);
        assert!(said.starts_with(&expected), "{said}");
        let kill =
            Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

/// Exit code, standard output and standard error of the program itself.
fn consign(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consign"));
    for name in ["CONSIGN_NODE", "CONSIGN_TRUST", "CONSIGN_TOKEN_FILE"] {
        command.env_remove(name);
    }
    let ran = command.current_dir(dir).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ran.status.code().unwrap(), text(&ran.stdout), text(&ran.stderr))
}
