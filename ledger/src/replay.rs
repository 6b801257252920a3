//! Replaying a log from its leaves: what a node does before it votes, done again by somebody who trusts
//! no node.
//!
//! Leaf 0 is the genesis document, leaf 1 its record; then come blocks, each its events and the record
//! that closes it. Every signature, every rule, every unit-map root and every field of a record is computed
//! again and compared. What the replay cannot see is who stood by the log: compare its roots with
//! cosigned checkpoints.
//!
//! It holds the unit map and the right edge of the tree, never the log: memory grows with the units, not
//! with what happened to them.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use consign_types::block::{BlockRecord, Height, LeafIndex, TreeSize};
use consign_types::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use consign_types::digest::{BlockId, EventId, NetworkId, TreeRoot};
use consign_types::event::{NotVerified, SignedEvent, Verified};
use consign_types::genesis::Genesis;
use consign_types::limits::{BLOCK_BYTES_MAX, BLOCK_EVENTS_MAX};
use consign_types::merkle;
use consign_types::party::SignerId;
use consign_types::signer_key::SignerKey;
use consign_types::validator::ValidatorSet;

use crate::apply::{BlockContext, Executor, enrolments, signer_key};
use crate::entry::{EntryKey, StateView, genesis_writes};
use crate::errors::Rejection;
use crate::log::{Frontier, TileHash};
use crate::map::{self, BadMap, MemoryMap};

/// Knows the key of a signer and key id.
pub type KeyOf<'a> = dyn Fn(&SignerId, &[u8; 8]) -> Option<SignerKey> + Sync + 'a;

/// The state of a log after some block.
#[derive(Clone, Debug)]
pub struct Replay {
    genesis: Genesis,
    network: NetworkId,
    entries: Entries,
    map: MemoryMap,
    frontier: Frontier,
    record: BlockRecord,
    block: BlockId,
}

#[derive(Clone, Debug, Default)]
struct Entries(BTreeMap<[u8; 32], Arc<[u8]>>);

impl StateView for Entries {
    fn get(&self, key: &EntryKey) -> Option<Arc<[u8]>> {
        self.0.get(&key.map_key()).cloned()
    }
}

impl StateView for Replay {
    fn get(&self, key: &EntryKey) -> Option<Arc<[u8]>> {
        self.entries.get(key)
    }
}

/// A block that holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Block {
    /// Its record.
    pub record: BlockRecord,
    /// Its name.
    pub id: BlockId,
    /// Size of the log after it.
    pub size: TreeSize,
    /// Root of the log after it.
    pub root: TreeRoot,
    /// Where its first event lies.
    pub first: LeafIndex,
    /// Its events, in order.
    pub events: Vec<EventId>,
}

/// What is wrong, and with which leaf.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("leaf {leaf}, in block {height}")]
pub struct Broken {
    /// The block.
    pub height: Height,
    /// The first leaf that is wrong.
    pub leaf: LeafIndex,
    /// What of it.
    #[source]
    pub why: Wrong,
}

/// What is wrong with a leaf.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Wrong {
    /// Leaf 0 is no genesis document.
    #[error("the first leaf is not a genesis document")]
    Genesis(#[source] DecodeError),
    /// Leaf 0 is another network's.
    #[error("the log is of network {found}, not {expected}")]
    Network {
        /// Whose it is.
        found: NetworkId,
        /// Whose it should be.
        expected: NetworkId,
    },
    /// Neither an event nor the record that closes the block.
    #[error("it is not an event")]
    Event(#[source] DecodeError),
    /// The last leaf of a block is no record.
    #[error("it is not a block record")]
    Record(#[source] DecodeError),
    /// A signature, of the event or of one inside of it.
    #[error("event {id}")]
    Signature {
        /// The event.
        id: EventId,
        /// Why.
        #[source]
        why: NotVerified,
    },
    /// A rule that the event breaks at its place.
    #[error("event {id} breaks a rule ({})", rule.code())]
    Rule {
        /// The event.
        id: EventId,
        /// The rule.
        #[source]
        rule: Box<Rejection>,
    },
    /// A field of the record is not what follows from the block.
    #[error("the record's {0} is not what follows from the blocks so far")]
    Field(&'static str),
    /// The block is over its bounds.
    #[error("the block has more than {0}")]
    Bounds(&'static str),
    /// Our own map.
    #[error(transparent)]
    Map(#[from] BadMap),
}

impl Replay {
    /// The log after its first two leaves, which must be the genesis of `network` and its record. Every
    /// hash that a tile gets goes to `completed`.
    ///
    /// # Errors
    /// When they are anything else.
    pub fn begin(
        network: NetworkId,
        leaves: [&[u8]; 2],
        mut completed: impl FnMut(TileHash),
    ) -> Result<Self, Broken> {
        let at = |leaf| move |why| Broken { height: Height(0), leaf: LeafIndex(leaf), why };
        let genesis = Genesis::from_bytes(leaves[0]).map_err(|e| at(0)(Wrong::Genesis(e)))?;
        let found = genesis.network();
        if found != network {
            return Err(at(0)(Wrong::Network { found, expected: network }));
        }
        let writes = genesis_writes(&genesis);
        let mut map = MemoryMap::default();
        let (root, batch) = map::update(&map, 0, &writes).map_err(|e| at(1)(e.into()))?;
        map.absorb_newest(batch);
        let expected = genesis.block(root);
        let record = BlockRecord::from_bytes(leaves[1]).map_err(|e| at(1)(Wrong::Record(e)))?;
        compare(&record, &expected.record).map_err(at(1))?;
        let mut frontier = Frontier::default();
        for leaf in leaves {
            frontier.append(merkle::leaf_hash(leaf), &mut completed);
        }
        let entries = writes.into_iter().map(|(k, v)| (k.map_key(), Arc::from(v))).collect();
        let (entries, block) = (Entries(entries), expected.id);
        Ok(Self { genesis, network, entries, map, frontier, record, block })
    }

    /// The genesis document.
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The last block's record.
    pub const fn record(&self) -> &BlockRecord {
        &self.record
    }

    /// The last block's name.
    pub const fn block_id(&self) -> BlockId {
        self.block
    }

    /// The tree so far.
    pub const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// How far a written replay is: its last record and the tree. Its entries are neither read nor compared with
    /// that record, which is what takes time.
    ///
    /// # Errors
    /// When the bytes do not begin as a replay does.
    pub fn head(bytes: &[u8]) -> Result<(BlockRecord, Frontier), DecodeError> {
        let mut from = Reader::new(bytes, Self::WHAT);
        from.array_of(5)?;
        Genesis::from_bytes(from.bytes()?)?;
        let record = BlockRecord::read(&mut from)?;
        from.digest()?;
        Ok((record, Frontier::read(&mut from)?))
    }

    /// The entries under the unit map's root, by map key.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8; 32], &Arc<[u8]>)> {
        self.entries.0.iter()
    }

    /// Takes the next block: its events and, last, its record. `verify` checks the events' signatures
    /// under the keys it is given, in any order or all at once, and answers in theirs ([`one_by_one`]
    /// does). Every hash that a tile gets goes to `completed`. Nothing is taken of a block that is wrong.
    ///
    /// # Errors
    /// What is wrong, and with which leaf.
    ///
    /// # Panics
    /// When `verify` answers for another number of events than it was given.
    pub fn block(
        &mut self,
        leaves: &[impl AsRef<[u8]>],
        verify: impl FnOnce(Vec<SignedEvent>, &KeyOf<'_>) -> Vec<Result<Verified, NotVerified>>,
        mut completed: impl FnMut(TileHash),
    ) -> Result<Block, Broken> {
        let first = self.frontier.size().next_index();
        let height = self.record.height.next();
        let at =
            |offset: usize, why| Broken { height, leaf: LeafIndex(first.0 + offset as u64), why };
        let Some((last, events)) = leaves.split_last() else {
            let none = DecodeError::malformed("block", "no leaves");
            return Err(at(0, Wrong::Record(none)));
        };
        let close = events.len();
        let record = BlockRecord::from_bytes(last.as_ref());
        let record = record.map_err(|e| at(close, Wrong::Record(e)))?;
        self.follows(&record, events).map_err(|why| at(close, why))?;

        let mut decoded = Vec::with_capacity(events.len());
        for (offset, bytes) in events.iter().enumerate() {
            let event = SignedEvent::decode(bytes.as_ref());
            decoded.push(event.map_err(|e| at(offset, Wrong::Event(e)))?);
        }
        let ids: Vec<EventId> = decoded.iter().map(SignedEvent::id).collect();
        let enrolled = enrolments(&decoded);
        let entries = &self.entries;
        let verified = verify(decoded, &|signer, id| {
            let known = signer_key(entries, signer, id);
            known.or_else(|| enrolled.get(&(signer.clone(), *id)).copied())
        });
        assert_eq!(verified.len(), ids.len(), "an answer for each event");

        let mut rules = Executor::new(entries, self.context(&record));
        for (offset, (verified, id)) in verified.into_iter().zip(&ids).enumerate() {
            let id = *id;
            let verified = verified.map_err(|why| at(offset, Wrong::Signature { id, why }))?;
            rules
                .push(&verified)
                .map_err(|rule| at(offset, Wrong::Rule { id, rule: Box::new(rule) }))?;
        }
        let outcome = rules.finish();
        let (root, batch) =
            map::update(&self.map, height.0, outcome.writes()).map_err(|e| at(close, e.into()))?;
        if root != record.map_root {
            return Err(at(close, Wrong::Field("unit-map root")));
        }
        let next_set = outcome.validators().map_or(record.set, ValidatorSet::hash);
        if record.next_set != next_set {
            return Err(at(close, Wrong::Field("next validator set")));
        }
        self.map.absorb_newest(batch);
        let writes = outcome.writes().iter();
        self.entries.0.extend(writes.map(|(k, v)| (k.map_key(), Arc::from(v.as_slice()))));
        for leaf in leaves {
            self.frontier.append(merkle::leaf_hash(leaf.as_ref()), &mut completed);
        }
        let (size, root) = (self.frontier.size(), self.frontier.root());
        self.block = record.block_id(size, root);
        self.record = record.clone();
        Ok(Block { record, id: self.block, size, root, first, events: ids })
    }

    /// Everything in the record that does not need the events executed.
    fn follows(&self, record: &BlockRecord, events: &[impl AsRef<[u8]>]) -> Result<(), Wrong> {
        if events.len() > BLOCK_EVENTS_MAX {
            return Err(Wrong::Bounds("4,096 events"));
        }
        if events.iter().map(|bytes| bytes.as_ref().len()).sum::<usize>() > BLOCK_BYTES_MAX {
            return Err(Wrong::Bounds("4 MiB of events"));
        }
        if record.time <= self.record.time {
            return Err(Wrong::Field("time"));
        }
        let set = self.record.next_set;
        let expected = BlockRecord {
            height: self.record.height.next(),
            epoch: self.record.epoch,
            time: record.time,
            parent: self.block,
            map_root: record.map_root,
            set,
            // Known only once the events are executed.
            next_set: record.next_set,
            events: events.len() as u32,
        };
        compare(record, &expected)
    }

    const fn context(&self, record: &BlockRecord) -> BlockContext {
        BlockContext {
            network: self.network,
            epoch: record.epoch,
            height: record.height,
            time: record.time,
            first_leaf: self.frontier.size().next_index(),
        }
    }
}

/// Names the first field in which `record` differs.
fn compare(record: &BlockRecord, expected: &BlockRecord) -> Result<(), Wrong> {
    let fields = [
        ("height", record.height == expected.height),
        ("epoch", record.epoch == expected.epoch),
        ("time", record.time == expected.time),
        ("parent", record.parent == expected.parent),
        ("unit-map root", record.map_root == expected.map_root),
        ("validator set", record.set == expected.set),
        ("next validator set", record.next_set == expected.next_set),
        ("number of events", record.events == expected.events),
    ];
    match fields.into_iter().find(|(_, same)| !same) {
        Some((field, _)) => Err(Wrong::Field(field)),
        None => Ok(()),
    }
}

/// Checks signatures on the caller's thread, in order.
pub fn one_by_one(
    events: Vec<SignedEvent>,
    key_of: &KeyOf<'_>,
) -> Vec<Result<Verified, NotVerified>> {
    events.into_iter().map(|event| event.verify(&mut |signer, id| key_of(signer, id))).collect()
}

/// Whether a leaf closes a block. It may still be no record that holds.
pub fn is_record(leaf: &[u8]) -> bool {
    // An event begins with COSE tag 18 (0xd2), a record with an array.
    leaf.first().is_some_and(|byte| byte >> 5 == 4)
}

/// What a replay was, so that another can go on from there. It is its owner's own: nothing in it is
/// checked but that its entries lead to the unit-map root that it names.
impl Canonical for Replay {
    const WHAT: &'static str = "replay";
    const BYTES_MAX: usize = usize::MAX;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(5).sure().bytes(&self.genesis.to_bytes()).sure();
        self.record.write(to);
        to.bytes(self.block.as_bytes()).sure();
        self.frontier.write(to);
        to.array(self.entries.0.len() as u64).sure();
        for (key, value) in &self.entries.0 {
            to.array(2).sure().bytes(key).sure().bytes(value).sure();
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(5)?;
        let genesis = Genesis::from_bytes(from.bytes()?)?;
        let record = BlockRecord::read(from)?;
        let block = BlockId(from.digest()?);
        let frontier = Frontier::read(from)?;
        let entries: BTreeMap<[u8; 32], Arc<[u8]>> = from
            .list(usize::MAX, |from| {
                from.array_of(2)?;
                Ok((from.bytes_of()?, Arc::from(from.bytes()?)))
            })?
            .into_iter()
            .collect();
        let mut map = MemoryMap::default();
        let wrong = |why: String| DecodeError::malformed(Self::WHAT, why);
        let (root, batch) = map::rebuild(record.height.0, entries.iter().map(|(k, v)| (k, &**v)))
            .map_err(|e| wrong(alloc::format!("{e}")))?;
        if root != record.map_root {
            return Err(wrong("its entries lead to another unit-map root".into()));
        }
        map.absorb_newest(batch);
        let network = genesis.network();
        Ok(Self { genesis, network, entries: Entries(entries), map, frontier, record, block })
    }
}
