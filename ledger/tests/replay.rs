//! Replays: an honest log leads to its roots, and whoever made up a log is told where it breaks.

mod support;

use consign_ledger::apply::{BlockContext, apply};
use consign_ledger::entry::genesis_writes;
use consign_ledger::log::Frontier;
use consign_ledger::map::{MemoryMap, update};
use consign_ledger::replay::{Broken, Replay, Wrong, is_record, one_by_one};
use consign_types::block::{BlockRecord, Height, LeafIndex};
use consign_types::codec::Canonical as _;
use consign_types::digest::{BlockId, Digest, MapRoot, NetworkId, SetHash};
use consign_types::event::{Action, NotVerified, Reason, Subject};
use consign_types::merkle::leaf_hash;

use support::scene::{OBSERVE, into};
use support::{Desk, GENESIS_TIME, genesis, genesis_entries, key, sign_with, unit};

/// A log as nodes would have written it: the two leaves of genesis, then each block's.
struct Chain {
    leaves: Vec<Vec<u8>>,
    blocks: Vec<(LeafIndex, usize, BlockId)>,
}

impl Chain {
    fn of(desk: &Desk) -> Self {
        let (mut map, mut frontier) = (MemoryMap::default(), Frontier::default());
        let (root, batch) = update(&map, 0, &genesis_writes(&genesis())).unwrap();
        map.absorb_newest(batch);
        let mut record = genesis().block(root).record;
        let mut block = genesis().block(root).id;
        let mut chain =
            Self { leaves: vec![genesis().to_bytes(), record.to_bytes()], blocks: Vec::new() };
        for leaf in &chain.leaves {
            frontier.append(leaf_hash(leaf), |_| ());
        }
        let mut entries = genesis_entries();
        for (context, events, _) in &desk.journal {
            // The desk's first blocks have one time; those of a chain go on.
            let time = GENESIS_TIME.plus(context.height.0 * 1_000);
            let context = BlockContext { time, ..*context };
            let outcome = apply(&entries, context, events).unwrap();
            entries.absorb(&outcome);
            let (map_root, batch) = update(&map, context.height.0, outcome.writes()).unwrap();
            map.absorb_newest(batch);
            let events = events.iter().map(|event| event.signed().bytes().to_vec());
            let mut leaves: Vec<_> = events.collect();
            record = BlockRecord {
                height: context.height,
                time: context.time,
                parent: block,
                map_root,
                events: leaves.len() as u32,
                ..record
            };
            leaves.push(record.to_bytes());
            for leaf in &leaves {
                frontier.append(leaf_hash(leaf), |_| ());
            }
            block = record.block_id(frontier.size(), frontier.root());
            chain.blocks.push((LeafIndex(chain.leaves.len() as u64), leaves.len(), block));
            chain.leaves.extend(leaves);
        }
        chain
    }

    fn block(&self, at: usize) -> Vec<Vec<u8>> {
        let (first, count, _) = self.blocks[at];
        self.leaves[first.0 as usize..][..count].to_vec()
    }

    fn begin(&self) -> Replay {
        let genesis = genesis().network();
        Replay::begin(genesis, [&self.leaves[0], &self.leaves[1]], |_| ()).unwrap()
    }

    /// The replay before block `at`.
    fn before(&self, at: usize) -> Replay {
        let mut replay = self.begin();
        for at in 0..at {
            replay.block(&self.block(at), one_by_one, |_| ()).unwrap();
        }
        replay
    }
}

/// A desk with a handover, a container, and a block of several events.
fn desk() -> Desk {
    let mut desk = Desk::new();
    let (parcel, tote) = (desk.held("PARCEL"), desk.held("TOTE"));
    desk.submit(desk.event("forwarder.dock1", Subject::Unit(tote.clone()), into(&[&parcel])))
        .unwrap();
    let basis = desk.unit(&tote).basis;
    let handover = desk.offline("forwarder.dock1", "airline.dock1", &tote, basis);
    desk.submit_verified(&handover).unwrap();
    let observed = desk.event("airline.dock1", Subject::Unit(tote), OBSERVE);
    let mut again = observed.clone();
    again.sequence += 1;
    desk.submit_block(&[support::sign(observed), support::sign(again)]).unwrap();
    desk
}

#[test]
fn an_honest_log_leads_to_its_roots_and_goes_on_from_any_block() {
    let desk = desk();
    let chain = Chain::of(&desk);
    let mut replay = chain.begin();
    for (at, (first, count, id)) in chain.blocks.iter().enumerate() {
        let written = replay.to_bytes();
        let head = (replay.record().clone(), replay.frontier().clone());
        assert_eq!(Replay::head(&written), Ok(head));
        let resumed = Replay::from_bytes(&written).unwrap();
        let leaves = chain.block(at);
        assert_eq!(leaves.iter().position(|leaf| is_record(leaf)), Some(count - 1));
        let block = replay.block(&leaves, one_by_one, |_| ()).unwrap();
        assert_eq!((block.first, block.id, block.events.len()), (*first, *id, count - 1));
        let mut resumed = resumed;
        assert_eq!(resumed.block(&leaves, one_by_one, |_| ()), Ok(block));
    }
    let entries: Vec<_> = replay.entries().map(|(_, value)| value.clone()).collect();
    assert!(entries.len() > 10, "{}", entries.len());
}

#[test]
fn what_a_tile_gets_is_handed_out_once_and_in_order() {
    let chain = Chain::of(&desk());
    let mut hashes = Vec::new();
    let leaves = [&chain.leaves[0][..], &chain.leaves[1][..]];
    let mut replay = Replay::begin(genesis().network(), leaves, |hash| hashes.push(hash)).unwrap();
    for at in 0..chain.blocks.len() {
        replay.block(&chain.block(at), one_by_one, |hash| hashes.push(hash)).unwrap();
    }
    let expected: Vec<_> = chain.leaves.iter().map(|leaf| leaf_hash(leaf).0).collect();
    assert_eq!(hashes.iter().map(|hash| hash.hash).collect::<Vec<_>>(), expected);
}

fn broken(chain: &Chain, at: usize, leaves: &[Vec<u8>]) -> Broken {
    let mut replay = chain.before(at);
    let before = replay.to_bytes();
    let broken = replay.block(leaves, one_by_one, |_| ()).unwrap_err();
    assert_eq!(replay.to_bytes(), before, "nothing is taken of a block that is wrong");
    broken
}

#[test]
fn every_field_of_a_record_is_computed_again() {
    let chain = Chain::of(&desk());
    let at = chain.blocks.len() - 1;
    let (first, count, _) = chain.blocks[at];
    let leaves = chain.block(at);
    let record = BlockRecord::from_bytes(leaves.last().unwrap()).unwrap();
    let other = Digest::of(&[b"other"]);
    let lies = [
        ("height", BlockRecord { height: Height(77), ..record.clone() }),
        ("epoch", BlockRecord { epoch: consign_types::block::Epoch(1), ..record.clone() }),
        ("time", BlockRecord { time: chain.before(at).record().time, ..record.clone() }),
        ("parent", BlockRecord { parent: BlockId(other), ..record.clone() }),
        ("unit-map root", BlockRecord { map_root: MapRoot(other), ..record.clone() }),
        ("validator set", BlockRecord { set: SetHash(other), ..record.clone() }),
        ("next validator set", BlockRecord { next_set: SetHash(other), ..record.clone() }),
        ("number of events", BlockRecord { events: 1, ..record.clone() }),
    ];
    for (field, lie) in lies {
        let mut leaves = leaves.clone();
        *leaves.last_mut().unwrap() = lie.to_bytes();
        let expected = Broken {
            height: record.height,
            leaf: LeafIndex(first.0 + count as u64 - 1),
            why: Wrong::Field(field),
        };
        assert_eq!(broken(&chain, at, &leaves), expected);
    }
}

#[test]
fn events_left_out_swapped_or_not_signed_are_named() {
    let desk = desk();
    let chain = Chain::of(&desk);
    let at = chain.blocks.len() - 1;
    let (first, ..) = chain.blocks[at];
    let leaves = chain.block(at);
    let record = leaves.len() - 1;

    let mut fewer = leaves.clone();
    fewer.remove(0);
    assert_eq!(broken(&chain, at, &fewer).why, Wrong::Field("number of events"));

    let mut swapped = leaves.clone();
    swapped.swap(0, 1);
    assert_eq!(broken(&chain, at, &swapped).why, Wrong::Field("unit-map root"));

    let mut cut = leaves.clone();
    cut[1].pop();
    let found = broken(&chain, at, &cut);
    assert!(matches!(found.why, Wrong::Event(_)) && found.leaf.0 == first.0 + 1, "{found:?}");

    let mut no_record = leaves.clone();
    no_record[record] = no_record[0].clone();
    assert!(matches!(broken(&chain, at, &no_record).why, Wrong::Record(_)));

    let (_, events, _) = &desk.journal[at];
    let forged = sign_with(events[1].event().clone(), &key("a thief"));
    let mut stolen = leaves;
    stolen[1] = forged.signed().bytes().to_vec();
    let why = NotVerified::UnknownKey("airline.dock1".parse().unwrap());
    let why = Wrong::Signature { id: forged.signed().id(), why };
    let leaf = LeafIndex(first.0 + 1);
    assert_eq!(broken(&chain, at, &stolen).why, why);
    assert_eq!(broken(&chain, at, &stolen).leaf, leaf);
}

/// Validators that all lie together can decide anything. The replay says which event, and which rule.
#[test]
fn a_rule_that_everybody_agreed_to_break_is_named() {
    let desk = desk();
    let chain = Chain::of(&desk);
    let at = chain.blocks.len() - 1;
    let mut leaves = chain.block(at);
    let parcel = Subject::Unit(unit("TOTE"));
    let action = Action::Attempt { reason: Reason::Other };
    let stranger = support::sign(desk.event("handler.dock1", parcel, action));
    leaves[1] = stranger.signed().bytes().to_vec();
    let found = broken(&chain, at, &leaves);
    let Wrong::Rule { id, rule } = &found.why else { panic!("{found:?}") };
    assert_eq!((*id, rule.code()), (stranger.signed().id(), "not_custodian"));
    assert_eq!(found.leaf.0, chain.blocks[at].0.0 + 1);
}

#[test]
fn a_log_of_another_network_is_not_begun() {
    let chain = Chain::of(&Desk::new());
    let other = NetworkId(Digest::of(&[b"other"]));
    let leaves = [&chain.leaves[0][..], &chain.leaves[1][..]];
    let why = Wrong::Network { found: genesis().network(), expected: other };
    let expected = Broken { height: Height(0), leaf: LeafIndex(0), why };
    assert_eq!(Replay::begin(other, leaves, |_| ()).unwrap_err(), expected);
    let swapped = [leaves[0], &chain.leaves[2][..]];
    let found = Replay::begin(genesis().network(), swapped, |_| ()).unwrap_err();
    assert!(matches!(found.why, Wrong::Record(_)), "{found:?}");
}
