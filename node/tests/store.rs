//! What a node finds again after a restart, and what it notices when its files are not what it left.
//!
//! Real files: each test damages them as a disk, a power cut or a careless hand would.

mod support;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use consign_consensus::{sign_state, wal};
use consign_ledger::entry::genesis_writes;
use consign_ledger::map::{self, MemoryMap};
use consign_node::check;
use consign_node::driver::files::{LogFile, NewKey, SignStateFile};
use consign_node::start;
use consign_node::state::Committed;
use consign_node::store::{Fault, Tip};
use consign_types::block::{Epoch, Height, LeafIndex, TreeSize};
use consign_types::codec::Canonical as _;
use consign_types::limits::MAP_VERSIONS_KEPT;
use rocksdb::{DB, IteratorMode, Options};

use support::bench::Bench;
use support::{DEVICES, GENESIS_TIME, PARTIES, Scribe, config, genesis, genesis_of, unit};

/// Blocks after the genesis block in the store that tests damage.
const BLOCKS: u64 = 3;

/// A directory with a node's store of a few blocks, closed.
async fn written(dir: &Path) -> Tip {
    let bench = Bench::start(dir).await;
    let mut scribe = Scribe::new(&genesis());
    bench.commit_events(GENESIS_TIME.plus(1_000), &scribe.enrol_all());
    let registered = ["A", "B"].map(|number| scribe.register("handler.dock1", &unit(number)));
    bench.commit_events(GENESIS_TIME.plus(2_000), &registered);
    let offer = scribe.offer("handler.dock1", &unit("A"), "airline", registered[0].id());
    let accept = scribe.accept("airline.dock1", &unit("A"), offer.id());
    bench.commit_events(GENESIS_TIME.plus(3_000), &[offer, accept]);
    let tip = bench.committed.tip();
    assert_eq!(tip.height(), Height(BLOCKS));
    bench.stop();
    tip
}

fn open(dir: &Path) -> Result<Committed, Fault> {
    start::open(&config(dir, "airline", genesis()))
}

fn checked(dir: &Path) -> Result<check::Summary, String> {
    check::stored(&config(dir, "airline", genesis()), &mut |_| {}).map_err(|why| why.to_string())
}

/// The database below the store, for hands that should not be there.
fn raw(dir: &Path) -> DB {
    let path = dir.join("data/db");
    let families = DB::list_cf(&Options::default(), &path).unwrap();
    DB::open_cf(&Options::default(), path, families).unwrap()
}

#[test]
fn a_fresh_store_holds_the_genesis_block_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (map_root, _) = map::update(&MemoryMap::default(), 0, &genesis_writes(&genesis())).unwrap();
    let expected = genesis().block(map_root);

    let committed = open(dir.path()).unwrap();
    let tip = committed.tip();
    assert_eq!(
        (tip.block, tip.size, tip.root, &tip.record),
        (expected.id, expected.size, expected.root, &expected.record)
    );
    let leaves = committed.store().leaves(LeafIndex(0), 10).unwrap();
    assert_eq!(leaves, [genesis().to_bytes(), expected.record.to_bytes()]);
    let block = committed.store().block(Height(0)).unwrap().unwrap();
    assert_eq!((block.block, block.certificate), (expected.id, None));
    assert_eq!(committed.store().network().unwrap(), Some(genesis().network()));
    assert_eq!(committed.store().block(Height(1)).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_opened_again_has_the_same_tip_and_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let tip = written(dir.path()).await;
    let committed = open(dir.path()).unwrap();
    assert_eq!(committed.tip(), tip);
    assert_eq!(committed.frontier().root(), tip.root);
    drop(committed);

    let summary = checked(dir.path()).unwrap();
    assert_eq!((summary.height, summary.block, summary.size), (tip.height(), tip.block, tip.size));
    assert_eq!((summary.root, summary.map_root), (tip.root, tip.record.map_root));
    assert_eq!(summary.events.len(), 12, "8 enrolments, 2 registrations, 1 offer, 1 acceptance");
    assert_eq!(summary.proven, TreeSize(0), "one cosigner of four is no quorum");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let tip = written(dir.path()).await;
    let bench = Bench::start(dir.path()).await;
    let block = bench.build(true).unwrap();
    bench.commit(block);
    assert_eq!(bench.committed.tip().record.parent, tip.block);
    bench.stop();
    assert_eq!(checked(dir.path()).unwrap().block, block);
}

/// Nodes of the unit map that no kept version needs go; what is left still carries the next blocks.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_outlives_the_versions_of_the_map_that_it_keeps() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::start(dir.path()).await;
    let mut scribe = Scribe::new(&genesis());
    bench.commit_events(GENESIS_TIME.plus(1_000), &scribe.enrol_all());
    for number in 0..MAP_VERSIONS_KEPT + 20 {
        // Each block replaces nodes of the one before.
        bench.pool.offer(vec![scribe.register("handler.dock1", &unit(&number.to_string()))]);
        let block = bench.build(false).unwrap();
        bench.commit(block);
    }
    let tip = bench.committed.tip();
    bench.stop();
    let stale = {
        let db = raw(dir.path());
        let family = db.cf_handle("map_stale").unwrap();
        db.iterator_cf(family, IteratorMode::Start).count() as u64
    };
    assert_eq!(stale, MAP_VERSIONS_KEPT, "versions whose replaced nodes are still kept");
    assert_eq!(checked(dir.path()).unwrap().root, tip.root);
    let bench = Bench::start(dir.path()).await;
    bench.pool.offer(vec![scribe.register("handler.dock1", &unit("LAST"))]);
    let block = bench.build(false).unwrap();
    bench.commit(block);
    bench.stop();
    assert_eq!(checked(dir.path()).unwrap().block, block);
}

/// A store of a version that had no list of devices makes it of the log; one that broke off begins again.
#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_devices_is_made_of_the_log_where_it_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    let listed = || {
        let committed = open(dir.path()).unwrap();
        let store = committed.store();
        let all = store.devices(None, LeafIndex(0), 99).unwrap();
        let handler = "handler".parse().unwrap();
        let handlers = store.devices(Some(&handler), LeafIndex(9), 99).unwrap();
        let dock1 = "handler.dock1".parse().unwrap();
        let events = store.signer_events(&dock1, LeafIndex(0), 99).unwrap();
        (all, handlers, events)
    };
    let (all, handlers, events) = listed();
    let device = |at: usize| format!("{}.{}", PARTIES[at / 2], DEVICES[at % 2]).parse().unwrap();
    let enrolled: Vec<_> = (0..8).map(|at| (LeafIndex(at as u64 + 2), device(at))).collect();
    assert_eq!(all, enrolled, "in the order of their enrolment");
    assert_eq!(handlers, enrolled[7..], "from leaf 9 on, of one party");
    assert_eq!(events, [8, 11, 12, 14].map(LeafIndex), "enrolled, two registrations, an offer");
    {
        let db = raw(dir.path());
        let family = db.cf_handle("signers").unwrap();
        for row in db.iterator_cf(family, IteratorMode::Start).skip(1) {
            db.delete_cf(family, row.unwrap().0).unwrap();
        }
        db.delete_cf(db.cf_handle("meta").unwrap(), b"signers").unwrap();
    }
    assert_eq!(listed(), (all, handlers, events));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_of_another_network_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let tip = written(dir.path()).await;
    let other = genesis_of("other.example/node", 4);
    let (own, expected) = (genesis().network(), other.network());
    let refused = start::open(&config(dir.path(), "airline", other)).err().unwrap();
    let path = dir.path().join("data/db").display().to_string();
    assert_eq!(
        refused.to_string(),
        format!("the store at {path} belongs to network {own}, not to {expected}")
    );
    assert_eq!(open(dir.path()).unwrap().tip(), tip);
}

#[test]
fn a_store_that_is_open_is_not_opened_twice() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path()).unwrap();
    let refused = open(dir.path()).err().unwrap();
    assert!(matches!(refused, Fault::Store { what: "open", .. }), "{refused}");
}

/// What is done to which key of which column family, and what verifying says then.
struct Damage {
    family: &'static str,
    key: Vec<u8>,
    how: How,
    found: &'static str,
}

enum How {
    Flip(usize),
    Cut,
    Remove,
}

impl Damage {
    fn new(family: &'static str, key: impl AsRef<[u8]>, how: How, found: &'static str) -> Self {
        Self { family, key: key.as_ref().to_vec(), how, found }
    }

    /// Damages the store in `dir`.
    fn inflict(&self, dir: &Path) {
        let db = raw(dir);
        let family = db.cf_handle(self.family).unwrap();
        let mut value = db.get_cf(family, &self.key).unwrap().unwrap();
        match self.how {
            How::Flip(at) => value[at] ^= 1,
            How::Cut => value.truncate(value.len() - 1),
            How::Remove => return db.delete_cf(family, &self.key).unwrap(),
        }
        db.put_cf(family, &self.key, value).unwrap();
    }
}

/// The log is leaves 0 and 1 of the genesis, 2 to 9 and 10 of block 1, 11 to 12 and 13 of block 2, 14 to
/// 15 and 16 of block 3.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_in_a_store_is_found_by_verifying_it() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    let index = u64::to_be_bytes;
    let hash = |level: u8, at: u64| [&[level][..], &index(at)].concat();
    let event = {
        let committed = open(dir.path()).unwrap();
        let leaf = committed.store().leaf(LeafIndex(11)).unwrap().unwrap();
        consign_types::event::SignedEvent::decode(&leaf).unwrap().id()
    };
    let entry = {
        let key = consign_ledger::entry::EntryKey::Unit(unit("A"));
        key.map_key()
    };
    let damages = [
        Damage::new("leaves", index(0), How::Flip(40), "leaf 0, in block 0"),
        Damage::new("leaves", index(1), How::Flip(40), "leaf 1, in block 0"),
        // The last bytes of an event are its signature.
        Damage::new("leaves", index(2), How::Flip(200), "leaf 2, in block 1"),
        Damage::new("leaves", index(11), How::Cut, "leaf 11, in block 2"),
        Damage::new("leaves", index(12), How::Flip(60), "in block 2"),
        Damage::new("leaves", index(13), How::Flip(25), "in block 2"),
        Damage::new("leaves", index(14), How::Remove, "in block 3"),
        Damage::new("leaves", index(16), How::Remove, "in block 3"),
        Damage::new("hashes", hash(0, 7), How::Flip(0), "tile level 0, index 7 is wrong"),
        Damage::new("hashes", hash(0, 16), How::Flip(31), "tile level 0, index 16 is wrong"),
        Damage::new("hashes", hash(0, 3), How::Cut, "damaged tile hash"),
        Damage::new("hashes", hash(0, 3), How::Remove, "tile level 0, index 3 is wrong"),
        Damage::new("blocks", index(2), How::Flip(10), "block 2: "),
        Damage::new("blocks", index(2), How::Cut, "damaged stored block"),
        Damage::new("blocks", index(2), How::Remove, "block 2: it is missing"),
        // The last bytes of a stored block are those of a precommit's signature.
        Damage::new("blocks", index(3), How::Flip(300), "precommit of validator"),
        Damage::new("events", event.as_bytes(), How::Remove, "is not indexed where it lies"),
        Damage::new("events", event.as_bytes(), How::Flip(7), "is not indexed where it lies"),
        Damage::new("entries", entry, How::Flip(3), "an entry of the unit map is not what"),
        Damage::new("entries", entry, How::Remove, "an entry of the unit map is not what"),
        Damage::new("meta", b"tip", How::Cut, "damaged tip"),
    ];
    for (number, damage) in damages.iter().enumerate() {
        let copy = dir.path().join(number.to_string());
        copy_dir(&dir.path().join("data/db"), &copy.join("data/db"));
        assert!(checked(&copy).is_ok(), "a copy is as good as the original");
        damage.inflict(&copy);
        let found = checked(&copy).expect_err(damage.found);
        let what = (damage.family, &damage.key);
        println!("{what:?}: {found}");
        assert!(found.contains(damage.found), "{what:?}: {found}");
    }
}

/// Below RocksDB's own checksums nothing is changed unnoticed, whichever byte it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_byte_that_rots_on_the_disk_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    let leaf = open(dir.path()).unwrap().store().leaf(LeafIndex(11)).unwrap().unwrap();
    // Out of the write-ahead log and into tables.
    {
        let db = raw(dir.path());
        for family in DB::list_cf(&Options::default(), db.path()).unwrap() {
            db.flush_cf(db.cf_handle(&family).unwrap()).unwrap();
        }
    }
    let needle = &leaf[leaf.len() - 64..];
    let (path, at) = files_in(&dir.path().join("data/db"))
        .into_iter()
        .find_map(|path| {
            let bytes = fs::read(&path).unwrap();
            let at = bytes.windows(needle.len()).position(|window| window == needle)?;
            Some((path, at))
        })
        .expect("a signature does not compress");
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(&path, bytes).unwrap();
    let found = checked(dir.path()).unwrap_err();
    assert!(found.contains("the store at") && found.contains("failed to"), "{found}");
}

/// A block is written together or not at all: a power cut in the middle takes all of it back.
#[tokio::test(flavor = "multi_thread")]
async fn a_torn_write_is_as_if_the_block_had_not_been() {
    let dir = tempfile::tempdir().unwrap();
    let tip = written(dir.path()).await;
    let log = files_in(&dir.path().join("data/db"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .max()
        .unwrap();
    let length = fs::metadata(&log).unwrap().len();
    OpenOptions::new().write(true).open(&log).unwrap().set_len(length - 5).unwrap();
    let committed = open(dir.path()).unwrap();
    assert_eq!(committed.tip().height(), Height(BLOCKS - 1));
    assert_eq!(committed.tip().block, tip.record.parent);
    drop(committed);
    assert_eq!(checked(dir.path()).unwrap().height, Height(BLOCKS - 1));
}

/// The tail that was torn off, and bytes that an earlier height left behind, are cut off for good.
#[test]
fn a_torn_consensus_log_is_cut_at_its_last_whole_entry() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("consensus.log");
    let (mut log, recovered) = LogFile::open(dir.path()).unwrap();
    assert_eq!(recovered, wal::Recovered::default());
    log.restart(Height(7)).unwrap();
    log.sync().unwrap();
    drop(log);
    let whole = fs::read(&path).unwrap();
    assert_eq!(whole, wal::header(Height(7)));

    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"torn in the middle").unwrap();
    let (log, recovered) = LogFile::open(dir.path()).unwrap();
    assert_eq!((recovered.height, recovered.torn), (Some(Height(7)), true));
    assert_eq!(recovered.valid_bytes, whole.len() as u64);
    drop(log);
    assert_eq!(fs::read(&path).unwrap(), whole);
    assert!(!LogFile::open(dir.path()).unwrap().1.torn);
}

#[test]
fn a_consensus_log_without_a_header_that_holds_is_empty_and_torn() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("consensus.log");
    for bytes in [&b"x"[..], &[0; 4096], &wal::header(Height(3))[..23]] {
        fs::write(&path, bytes).unwrap();
        let (_, recovered) = LogFile::open(dir.path()).unwrap();
        assert_eq!((recovered.height, recovered.torn), (None, true));
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    }
}

#[test]
fn a_sign_state_survives_the_loss_of_either_slot_but_not_of_both() {
    let dir = tempfile::tempdir().unwrap();
    let (mut file, recovered) = SignStateFile::open(dir.path()).unwrap();
    assert_eq!(recovered, sign_state::Recovered::Absent);
    let fresh = sign_state::SignState::fresh(Epoch(0));
    file.save(&fresh.slot()).unwrap();
    drop(file);
    let (_, recovered) = SignStateFile::open(dir.path()).unwrap();
    assert_eq!(recovered, sign_state::Recovered::Found(fresh.clone()));

    let path = dir.path().join("sign-state");
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (_, recovered) = SignStateFile::open(dir.path()).unwrap();
    assert_eq!(recovered, sign_state::Recovered::Unreadable, "never taken for absent");
}

#[test]
fn the_mark_of_a_new_key_is_good_once() {
    let dir = tempfile::tempdir().unwrap();
    assert!(NewKey::find(dir.path()).is_none());
    fs::write(dir.path().join("new-consensus-key"), "").unwrap();
    NewKey::find(dir.path()).unwrap().clear().unwrap();
    assert!(NewKey::find(dir.path()).is_none());
}

fn files_in(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in files_in(from) {
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}
