//! Evidence: one small file that names who misbehaved, which anybody checks offline with a trust file.
//!
//! Each kind has a rule that no honest party breaks; `docs/spec/evidence.md` gives the rules and says why.
//! What a file cannot show for certain it does not say: a party is named by its own signatures alone,
//! under keys that the trust file, or a cosigned entry of the unit map, gives it.
//!
//! Nothing stands in a file that is not needed. A cosigner is named where its lines stand in both notes,
//! and notes hold no other lines.
//!
//! `format` is the encoding, `verify` the checks and `notes` and `custodian` those of their kinds,
//! `make` how a file comes out of what an auditor or a node holds, `fault` what a deed is known by.

mod custodian;
mod errors;
mod fault;
mod format;
#[cfg(feature = "tree")]
mod make;
mod notes;
mod verify;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use consign_types::block::{BlockRecord, LeafIndex};
use consign_types::digest::{Digest, LeafHash, NetworkId};
use consign_types::double_vote::DoubleVote;
use consign_types::note::VerifierKey;
use consign_types::party::{PartyId, SignerId};
use consign_types::trust::Trust;

use crate::passport::{Proven, SetLink};

pub use errors::{BadEvidence, Part, Why};
pub use fault::FaultId;
#[cfg(feature = "tree")]
pub use make::{
    Seen, double_offer, double_vote, growth, log_signature, same_number, two_checkpoints,
};
pub use verify::{read, verify};

/// The file, decoded and not checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Evidence {
    /// The network.
    pub network: NetworkId,
    /// Changes of the validator set from the trust file's to the one that holds the keys.
    pub sets: Vec<SetLink>,
    /// What happened.
    pub case: Case,
}

/// What happened, with the parts that show it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Case {
    /// One validator signed two conflicting statements of consensus.
    DoubleVote(DoubleVote),
    /// Cosigners of two roots for one size.
    TwoRoots(Notes),
    /// Cosigners of two sizes that differ at a leaf below both.
    Growth {
        /// The smaller size first.
        notes: Notes,
        /// The leaf.
        index: LeafIndex,
        /// What stands there under the first.
        first: Leaf,
        /// What stands there under the second.
        second: Leaf,
    },
    /// Cosigners of a smaller size, later than of a larger one. The smaller size first.
    Rollback(Notes),
    /// One device signed two events under one number.
    SameNumber {
        /// What proves the device's key.
        anchor: Anchor,
        /// The exact bytes of the event with the smaller id.
        first: Vec<u8>,
        /// The exact bytes of the other.
        second: Vec<u8>,
    },
    /// One device offered one unit on one basis to two receivers, and both accepted.
    DoubleOffer(DoubleOffer),
    /// One log key signed two roots for one size.
    LogSignature(Notes),
}

/// Two checkpoints as texts of notes. Each has one line of every party that is named, ascending by the
/// names of their keys, and no other.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notes {
    /// The one of the smaller size; of like sizes the one with the smaller root.
    pub first: String,
    /// The other.
    pub second: String,
}

/// A leaf under a checkpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Leaf {
    /// Its hash.
    pub hash: LeafHash,
    /// The way to the root.
    pub path: Vec<Digest>,
}

/// An entry of the unit map under a checkpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Anchor {
    /// The text of the note: a checkpoint with cosignatures of its validator set, in order, and no others.
    pub checkpoint: String,
    /// The block record that is the last leaf under the checkpoint.
    pub record: BlockRecord,
    /// The way from the record to the checkpoint's root.
    pub path: Vec<Digest>,
    /// The entry.
    pub entry: Proven,
}

/// Two offers, each accepted, and what shows that the first was open when the second was signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DoubleOffer {
    /// The bytes of a passport of the unit, with the second offer in its history.
    pub passport: Vec<u8>,
    /// Entries, under the record of the passport, of signers that signed nothing in it; ascending.
    pub signers: Vec<Proven>,
    /// The offers, the one with the smaller number first.
    pub offers: [Vec<u8>; 2],
    /// Their acceptances.
    pub acceptances: [Vec<u8>; 2],
    /// Everything that the device signed under the numbers between, ascending.
    pub between: Vec<Vec<u8>>,
}

/// What a verifier believes before it checks anything.
#[derive(Clone, Copy, Debug)]
pub struct Believed<'a> {
    /// The network, its validators and log keys.
    pub trust: &'a Trust,
    /// Keys of witnesses that are believed to be outsiders of these names.
    pub witnesses: &'a [VerifierKey],
}

impl<'a> From<&'a Trust> for Believed<'a> {
    fn from(trust: &'a Trust) -> Self {
        Self { trust, witnesses: &trust.witnesses.keys }
    }
}

/// Somebody that evidence names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Accused {
    /// Who.
    pub who: Who,
    /// What it did, as the rest of a sentence.
    pub did: String,
}

/// Who can be named.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Who {
    /// A member: its validator, its node, or the member as custodian.
    Party(PartyId),
    /// A device, or a member's own key; its member answers for it.
    Device(SignerId),
    /// An outsider that cosigns, by the name of its key.
    Witness(String),
}

impl Who {
    /// The member that answers for it; none for an outsider.
    pub const fn party(&self) -> Option<&PartyId> {
        match self {
            Self::Party(party) => Some(party),
            Self::Device(device) => Some(device.party()),
            Self::Witness(_) => None,
        }
    }
}

impl Who {
    /// Whom a report of it is about: the device, or the member's own name; none for an outsider.
    pub fn signer(&self) -> Option<SignerId> {
        match self {
            Self::Party(party) => Some(SignerId::member(party.clone())),
            Self::Device(device) => Some(device.clone()),
            Self::Witness(_) => None,
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Party(party) => party.fmt(f),
            Self::Device(device) => device.fmt(f),
            Self::Witness(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for Accused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.who, self.did)
    }
}

/// A kind of evidence.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[allow(missing_docs, reason = "each is documented at the Case of its name")]
pub enum Kind {
    DoubleVote = 1,
    TwoRoots = 2,
    Growth = 3,
    Rollback = 4,
    SameNumber = 5,
    DoubleOffer = 6,
    LogSignature = 7,
}

impl Kind {
    /// The name in text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DoubleVote => "double-vote",
            Self::TwoRoots => "two-roots",
            Self::Growth => "growth",
            Self::Rollback => "rollback",
            Self::SameNumber => "same-number",
            Self::DoubleOffer => "double-offer",
            Self::LogSignature => "log-signature",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Case {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::DoubleVote(_) => Kind::DoubleVote,
            Self::TwoRoots(_) => Kind::TwoRoots,
            Self::Growth { .. } => Kind::Growth,
            Self::Rollback(_) => Kind::Rollback,
            Self::SameNumber { .. } => Kind::SameNumber,
            Self::DoubleOffer(_) => Kind::DoubleOffer,
            Self::LogSignature(_) => Kind::LogSignature,
        }
    }
}

/// What evidence is known by: SHA-256 of the file.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EvidenceId(pub Digest);

impl fmt::Display for EvidenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Evidence {
    /// SHA-256 of the file.
    pub fn id(&self) -> EvidenceId {
        use consign_types::codec::Canonical as _;
        EvidenceId(Digest::of(&[&self.to_bytes()]))
    }
}
