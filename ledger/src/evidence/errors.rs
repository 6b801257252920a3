//! Why evidence proves nothing. Each reason names the part that is wrong.

use core::fmt;

use consign_types::checkpoint::NotProven;
use consign_types::codec::DecodeError;
use consign_types::double_vote::BadDoubleVote;
use consign_types::limits::ROLLBACK_MARGIN_S;
use consign_types::merkle::BadProof;
use consign_types::party::SignerId;

use crate::map::BadMapProof;
use crate::passport::{BadPassport, BadSetLink};

/// Why evidence proves nothing, and of which part that is true.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{part} of the evidence does not hold")]
pub struct BadEvidence {
    /// The part.
    pub part: Part,
    /// Why.
    #[source]
    pub why: Why,
}

/// A part of the file. Lists are counted from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// The file as a whole.
    File,
    /// The network.
    Network,
    /// A change of the validator set.
    Sets(usize),
    /// The two votes.
    Votes,
    /// The first of the two notes or events.
    First,
    /// The second of them.
    Second,
    /// The leaf under the first note.
    FirstLeaf,
    /// The leaf under the second.
    SecondLeaf,
    /// The checkpoint under which a device's entry is proven.
    Checkpoint,
    /// The block record there.
    Record,
    /// The device's entry.
    Entry,
    /// The passport.
    Passport,
    /// An entry of a signer beside the passport.
    Signer(usize),
    /// An offer.
    Offer(usize),
    /// An acceptance.
    Acceptance(usize),
    /// An event between the offers.
    Between(usize),
}

/// What is wrong with a part.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Why {
    /// Not what it should be.
    #[error("the bytes are malformed")]
    Malformed(#[source] DecodeError),
    /// Of another network.
    #[error("it is of another network than the trust file")]
    Network,
    /// Of another log.
    #[error("it is of another log than the trust file")]
    Origin,
    /// A change of the validator set.
    #[error("the change of the validator set does not hold")]
    SetLink(#[source] BadSetLink),
    /// Changes of the set where nothing hangs on the set.
    #[error("nothing in the file needs it")]
    Unused,
    /// Votes.
    #[error("the votes are no evidence")]
    Votes(#[source] BadDoubleVote),
    /// A key that the trust file does not know, or not as this one's.
    #[error("the key is not one of those that the trust file leads to")]
    UnknownKey,
    /// A key that several parties share names none of them.
    #[error("several parties share the key")]
    SharedKey,
    /// A signature.
    #[error("a signature does not hold")]
    Signature,
    /// Lines that are not one of each party, ascending.
    #[error(
        "its lines are not one of each party that is named, ascending by the names of the keys"
    )]
    Lines,
    /// Other parties than under the first.
    #[error("it is signed by others than the first")]
    Others,
    /// The two in the wrong order, or the same.
    #[error("the two are the same, or not in order")]
    Order,
    /// No conflict.
    #[error("it is of another size than the first")]
    Size,
    /// Not later.
    #[error("the smaller size was not cosigned {ROLLBACK_MARGIN_S} seconds later than the larger")]
    NotLater,
    /// A witness is named for its clock.
    #[error("a witness is named, whose times are bound by no rule")]
    WitnessTime,
    /// A leaf that is not below both sizes, or not under the root.
    #[error("the leaf is not under the root")]
    Inclusion(#[source] BadProof),
    /// The same leaf.
    #[error("the leaf is the same under both")]
    SameLeaf,
    /// The checkpoint is not cosigned as it must be.
    #[error("it is not established")]
    Checkpoint(#[source] NotProven),
    /// The anchor.
    #[error("it does not establish the unit map")]
    Anchor(#[source] BadPassport),
    /// An entry of somebody else.
    #[error("it is the entry of another than the signer of the events")]
    OtherEntry,
    /// Not under the root.
    #[error("the unit map says otherwise")]
    MapProof(#[source] BadMapProof),
    /// A passport.
    #[error("the passport does not hold")]
    Passport(#[source] BadPassport),
    /// The key of this signer is not proven.
    #[error("nothing proves the key of {0}")]
    NoKey(SignerId),
    /// Of another signer, or under another key.
    #[error("it is signed by another device than the first")]
    OtherSigner,
    /// Another number.
    #[error("it does not have the number that belongs here")]
    Number,
    /// Not the kind of event, or about another unit.
    #[error("it is not of the kind or of the unit that belongs here")]
    OtherEvent,
    /// Another basis, or the same receiver.
    #[error("it is on another basis than the first, or to the same receiver")]
    NoConflict,
    /// Signed when the first was past.
    #[error("it was signed, or may have been signed, after the first was past")]
    Past,
    /// Nothing shows when it was signed.
    #[error("it is not in the history of the passport")]
    NotOnLog,
    /// An end of the first offer.
    #[error("it shows that the first offer was cancelled or refused before the second")]
    Ended,
    /// The acceptance is of another offer, or by another than its receiver.
    #[error("it is not the acceptance of the offer by its receiver")]
    Acceptance,
}

impl Part {
    /// This part is wrong.
    pub(super) const fn bad(self, why: Why) -> BadEvidence {
        BadEvidence { part: self, why }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("the file"),
            Self::Network => f.write_str("the network"),
            Self::Sets(at) => write!(f, "change {at} of the validator set"),
            Self::Votes => f.write_str("the pair of votes"),
            Self::First => f.write_str("the first"),
            Self::Second => f.write_str("the second"),
            Self::FirstLeaf => f.write_str("the leaf under the first"),
            Self::SecondLeaf => f.write_str("the leaf under the second"),
            Self::Checkpoint => f.write_str("the checkpoint"),
            Self::Record => f.write_str("the block record"),
            Self::Entry => f.write_str("the entry"),
            Self::Passport => f.write_str("the passport"),
            Self::Signer(at) => write!(f, "entry {at} of a signer"),
            Self::Offer(at) => write!(f, "offer {at}"),
            Self::Acceptance(at) => write!(f, "acceptance {at}"),
            Self::Between(at) => write!(f, "event {at} between the offers"),
        }
    }
}
