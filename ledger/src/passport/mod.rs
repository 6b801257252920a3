//! The passport: one file with the whole history of one unit up to a checkpoint, its stays in containers
//! included, that anybody checks offline with a trust file.
//!
//! The file gives events in the order of the log. A verifier plays them back: it extends the head of the
//! unit, and of each container for as long as that is around the unit, as the ledger did. So a head is
//! stated once, where a container comes to stand around the unit, and computed from there on; it ends in
//! a head that the unit map proves, either of the unit or of a container that still is around it.
//!
//! Nothing is taken from the file that does not hang on the cosigned root, and nothing stands in it that
//! is not needed: two files that say the same are the same bytes, but for how many cosigned.
//!
//! `format` is the encoding, `words` what it says once, `verify` the checks, `anchor` what they begin at, `replay` what an event does
//! to the units around one another, `custody` who held the unit from when, `story` the same for people,
//! `build` how a node makes the file.

mod anchor;
#[cfg(feature = "tree")]
mod build;
mod custody;
mod flag;
pub(crate) mod format;
#[cfg_attr(not(feature = "tree"), allow(dead_code, reason = "only who makes a file needs all"))]
mod lines;
mod replay;
mod story;
mod verify;
mod words;

use alloc::string::String;
use alloc::vec::Vec;

use consign_types::block::{BlockRecord, LeafIndex, TreeSize};
use consign_types::certificate::Certificate;
use consign_types::digest::{Digest, NetworkId, TreeRoot};
use consign_types::event::Subject;
use consign_types::time::Millis;
use consign_types::unit::UnitId;
use consign_types::validator::ValidatorSet;

use crate::entry::EntryKey;
use crate::map::MapProof;
use crate::unit::Counters;

pub use anchor::advanced;
pub(crate) use anchor::{Anchor, follow_sets};
#[cfg(feature = "tree")]
pub use build::{BuildError, Latest, Recorded, Source, build};
pub use custody::{Custodian, Holding};
pub use flag::Flag;
#[cfg(feature = "tree")]
pub(crate) use lines::{cosigned, without_outsiders};
pub use story::{Line, story};
pub use verify::{BadEntry, BadPassport, BadSetLink, Stay, Step, Verified, read, verify};

/// The file, decoded and not checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Passport {
    /// The network.
    pub network: NetworkId,
    /// The unit.
    pub unit: UnitId,
    /// The text of the note: a checkpoint with cosignatures of its validator set, in order, and no others.
    pub checkpoint: String,
    /// The block record that is the last leaf under the checkpoint.
    pub record: BlockRecord,
    /// The way from the record to the checkpoint's root.
    pub path: Vec<Digest>,
    /// Entries of the unit, of the containers around it now, and of every signer; ascending.
    pub entries: Vec<Proven>,
    /// Events of the unit, and of containers while they are around it, in the order of the log.
    pub entered: Vec<Entered>,
    /// Changes of the validator set from the trust file's on.
    pub sets: Vec<SetLink>,
    /// Who the network's witnesses are, where members decided that after the genesis and a line under the
    /// checkpoint is by one of them.
    pub witnesses: Option<ProvenLog>,
}

/// The entry of the log in the unit map, with its proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProvenLog {
    /// The value's bytes.
    pub value: Vec<u8>,
    /// That it has this value.
    pub proof: MapProof,
}

/// An entry of the unit map with its proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proven {
    /// A unit or a signer.
    pub key: Subject,
    /// The value's bytes.
    pub value: Vec<u8>,
    /// That it has this value.
    pub proof: MapProof,
}

/// An event as it was entered in the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entered {
    /// The exact bytes of a signed variant.
    pub event: Vec<u8>,
    /// Its place in the log.
    pub leaf: LeafIndex,
    /// Block time: the record time.
    pub time: Millis,
    /// Effective counters of each container around the innermost unit that the event names, innermost
    /// first.
    pub around: Vec<Counters>,
    /// Where the event puts the unit, or what it is in, into a container: that container and those around
    /// it, innermost first, each with its head after the event.
    pub begins: Vec<(UnitId, Digest)>,
    /// Whether a handover ended the stay of the unit it names: a contested unit leaves its container.
    pub contested: bool,
}

/// One change of the validator set, which a quorum of the set before certified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SetLink {
    /// The last block record of the set before.
    pub record: BlockRecord,
    /// Size of the log with that record.
    pub size: TreeSize,
    /// Its root.
    pub root: TreeRoot,
    /// The commit certificate of that block.
    pub certificate: Certificate,
    /// The set in force from the next height on.
    pub set: ValidatorSet,
}

impl Proven {
    /// Where the entry lies in the map.
    pub fn entry_key(&self) -> EntryKey {
        entry_key(&self.key)
    }
}

fn entry_key(subject: &Subject) -> EntryKey {
    match subject {
        Subject::Unit(unit) => EntryKey::Unit(unit.clone()),
        Subject::Signer(signer) => EntryKey::Signer(signer.clone()),
    }
}
