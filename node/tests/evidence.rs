//! Evidence that a node has: what its engine finds is on disk before anything is said of it, and nobody
//! fills the disk or pushes out what is kept.

mod support;

use std::sync::{Arc, mpsc};

use consign_consensus::message::{Vote, VoteKind};
use consign_consensus::{Config as EngineConfig, Input, Message, Timeouts};
use consign_ledger::evidence::{self, Accused, Believed, Who};
use consign_node::cosign::Cosigner;
use consign_node::driver::{self, Wiring};
use consign_node::metrics::Metrics;
use consign_node::p2p::{self, NetConfig, NetLimits};
use consign_node::start;
use consign_node::state::Committed;
use consign_node::store::{By, Keeping};
use consign_node::wire::Cosigned;
use consign_types::block::{Height, TreeSize};
use consign_types::certificate::Round;
use consign_types::checkpoint::{Checkpoint, cosigner_key};
use consign_types::digest::{BlockId, Digest, TreeRoot};
use consign_types::note::Note;
use consign_types::trust::Trust;
use consign_types::validator::ValidatorIndex;

use support::bench::Bench;
use support::{config, genesis, key, party};

/// Of `customs`.
const LIAR: ValidatorIndex = ValidatorIndex(1);

/// What `customs` prevotes at the first height.
fn prevote(block: Option<BlockId>) -> driver::Event {
    let (height, round, kind) = (Height(1), Round(0), VoteKind::Prevote);
    let bytes = genesis().domain().sign_bytes(height, round, &kind.statement(block));
    let signature = key("customs consensus").sign(&bytes);
    let vote = Vote { height, round, kind, block, validator: LIAR, signature };
    let input = Input::Message { from: LIAR, message: Message::Vote(vote) };
    driver::Event::Input(Box::new(input))
}

/// The real loop with the real engine on a real disk: a peer prevotes for a block and for nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_double_vote_is_kept_as_a_file_that_names_the_validator() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "airline", genesis());
    let committed = Arc::new(start::open(&config).unwrap());
    let (net, _inbox, _) = p2p::start(NetConfig {
        secret: config.keys.network.clone(),
        listen: config.p2p_listen.clone(),
        peers: Vec::new(),
        limits: NetLimits::default(),
    })
    .unwrap();
    let (executor, _jobs) = mpsc::channel();
    let metrics = Arc::new(Metrics::default());
    let wiring = Wiring {
        executor,
        net: net.clone(),
        metrics: Arc::clone(&metrics),
        committed: Arc::clone(&committed),
        status: Arc::default(),
    };
    let engine = EngineConfig {
        domain: genesis().domain(),
        signer: None,
        timeouts: Timeouts::default(),
        pace_ms: 0,
    };
    let (events, inputs) = mpsc::sync_channel(8);
    let begun = Input::Begun { from: LIAR, height: Height(1) };
    let block = BlockId(Digest([7; 32]));
    let said = [driver::Event::Input(Box::new(begun)), prevote(Some(block)), prevote(None)];
    // Said again, it is no news.
    for event in said.into_iter().chain([prevote(Some(block)), driver::Event::Stop]) {
        events.send(event).unwrap();
    }
    let set = Arc::unwrap_or_clone(committed.validators());
    driver::run(&config.data_dir, engine, Height(0), set, wiring, &inputs).unwrap();
    net.shutdown();
    assert_eq!(metrics.evidence.get(), 1);
    drop(committed);

    let store = Arc::clone(start::open(&config).unwrap().store());
    let kept = store.evidence_below(u64::MAX, 10).unwrap();
    let [(0, id)] = kept[..] else { panic!("{kept:?}") };
    let file = store.evidence(&id).unwrap().unwrap();
    assert_eq!(Digest::of(&[&file]), id);
    let trust = Trust::of_genesis(&genesis(), Vec::new());
    let accused = evidence::read(&file, Believed::from(&trust));
    let did = "signed two different prevotes at height 1, round 0".to_owned();
    assert_eq!(accused, Ok(vec![Accused { who: Who::Party(party("customs")), did }]));
}

/// What `customs` cosigns, as its node sends it.
fn cosigned(size: u64, root: u8, time_s: u64) -> Cosigned {
    let (size, root) = (TreeSize(size), TreeRoot(Digest([root; 32])));
    let checkpoint = Checkpoint { origin: genesis().origin().to_owned(), size, root };
    let signed = checkpoint.cosign(&key("customs cosigner"), time_s);
    Cosigned { size, root, time_s, signature: signed.signature.0 }
}

/// The validator's first root is not just replaced by its second: together they are the proof.
#[tokio::test(flavor = "multi_thread")]
async fn two_roots_that_a_validator_cosigned_are_kept_as_a_file_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "airline", genesis());
    let committed = start::open(&config).unwrap();
    let (net, _inbox, _) = p2p::start(NetConfig {
        secret: config.keys.network.clone(),
        listen: config.p2p_listen.clone(),
        peers: Vec::new(),
        limits: NetLimits::default(),
    })
    .unwrap();
    let metrics = Arc::new(Metrics::default());
    let status = Arc::default();
    let cosigner =
        Cosigner::new(&config, &committed, net.clone(), status, Arc::clone(&metrics)).unwrap();
    let take = |said: Cosigned| {
        cosigner.collect(&committed, &key("customs network").public(), &said);
        committed.store().evidence_below(u64::MAX, 10).unwrap().len()
    };
    assert_eq!(take(cosigned(50, 1, 1_000)), 0);
    assert_eq!(take(cosigned(50, 1, 1_060)), 0, "the same again, and fresh");
    assert_eq!(take(cosigned(60, 2, 1_060)), 0, "another size");
    let forged = Cosigned { root: TreeRoot(Digest([9; 32])), ..cosigned(50, 2, 1_060) };
    assert_eq!(take(forged), 0, "it signed no such thing");
    assert_eq!(take(cosigned(50, 2, 1_000)), 1);
    // It goes on, and more shows nothing else.
    assert_eq!(take(cosigned(50, 3, 1_120)), 1);
    assert_eq!(take(cosigned(60, 3, 1_120)), 1);
    assert_eq!(metrics.evidence.get(), 1);
    assert_names_customs(&committed, 50);
    net.shutdown();
}

/// A size that is proven is not forgotten: the note has what the validator said first.
#[tokio::test(flavor = "multi_thread")]
async fn a_root_beside_the_proven_one_is_evidence_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::start(dir.path()).await;
    let size = TreeSize(2);
    let root = bench.committed.tip().root;
    let checkpoint = Checkpoint { origin: genesis().origin().to_owned(), size, root };
    let mut note = Note::new(checkpoint.text()).unwrap();
    let name =
        cosigner_key(genesis().origin(), &party("customs"), key("customs cosigner").public());
    note.add(checkpoint.cosign(&key("customs cosigner"), 1_000).line(&name.unwrap()));
    bench.committed.store().put_note(size, &note.to_string()).unwrap();
    let from = key("customs network").public();
    bench.cosigner.collect(&bench.committed, &from, &cosigned(2, 7, 1_060));
    assert_names_customs(&bench.committed, 2);
}

fn assert_names_customs(committed: &Committed, size: u64) {
    let kept = committed.store().evidence_below(u64::MAX, 10).unwrap();
    let [(0, id)] = kept[..] else { panic!("{kept:?}") };
    let file = committed.store().evidence(&id).unwrap().unwrap();
    let trust = Trust::of_genesis(&genesis(), Vec::new());
    let accused = evidence::read(&file, Believed::from(&trust));
    let did = format!("cosigned two roots of test.example/node at size {size}");
    assert_eq!(accused, Ok(vec![Accused { who: Who::Party(party("customs")), did }]));
}

#[test]
fn callers_cannot_fill_the_disk_nor_take_the_room_of_what_a_node_finds() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), "airline", genesis());
    let put = |store: &consign_node::store::Store, file: &[u8], by: By| {
        store.put_evidence(Digest::of(&[file]), &[], file, by).unwrap()
    };
    let large = vec![0; 16 << 20];
    {
        let committed = start::open(&config).unwrap();
        let store = committed.store();
        assert_eq!(put(store, &large, By::Caller), Keeping::Kept);
        assert_eq!(put(store, &large, By::Caller), Keeping::Known);
        assert_eq!(put(store, b"more", By::Caller), Keeping::Full);
        assert_eq!(put(store, b"own", By::Own), Keeping::Kept);
    }
    // It is counted again after a restart.
    let committed = start::open(&config).unwrap();
    let store = committed.store();
    assert_eq!(put(store, b"more", By::Caller), Keeping::Full);
    assert_eq!(put(store, b"own", By::Own), Keeping::Known);
    let ids = [Digest::of(&[b"own"]), Digest::of(&[&large])];
    assert_eq!(store.evidence_below(u64::MAX, 10).unwrap(), [(1, ids[0]), (0, ids[1])]);
    assert_eq!(store.evidence_below(1, 10).unwrap(), [(0, ids[1])]);
    assert_eq!(store.evidence(&Digest::of(&[b"more"])).unwrap(), None);
}

/// However many files show it: the first is kept, and the others are known.
#[test]
fn one_deed_takes_one_place_in_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let committed = start::open(&config(dir.path(), "airline", genesis())).unwrap();
    let store = committed.store();
    let faults = [Digest([1; 32]), Digest([2; 32])];
    let put = |file: &[u8], faults: &[Digest]| {
        store.put_evidence(Digest::of(&[file]), faults, file, By::Caller).unwrap()
    };
    assert_eq!(put(b"one", &faults[..1]), Keeping::Kept);
    assert_eq!(put(b"the same in other words", &faults[..1]), Keeping::Known);
    assert_eq!(put(b"both", &faults), Keeping::Kept);
    assert_eq!(put(b"the other alone", &faults[1..]), Keeping::Known);
    assert_eq!(store.evidence_below(u64::MAX, 10).unwrap().len(), 2);
}
