//! What can happen to a unit, and to a device.
//!
//! One variant for each row of the custody rules; who may sign it and when is the ledger's business.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::fields::{
    Condition, DeliveryFactor, ExceptionCode, FactorSet, Fix, Label, Reason, Verdict, Window,
};
use super::{SignedEvent, Subject};
use crate::digest::{Digest, EventId, NetworkId};
use crate::governance::Motion;
use crate::key::Signature;
use crate::party::PartyId;
use crate::place::Place;
use crate::signer_key::SignerKey;
use crate::time::Millis;
use crate::unit::{UnitClass, UnitId};

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// A unit comes to be, held by the signer's party.
    Register,
    /// The owner fixes who is to receive the unit, when, and what a delivery needs.
    Book {
        /// Expected receiver.
        receiver: PartyId,
        /// When it is expected.
        window: Window,
        /// What a delivery must show.
        factors: FactorSet,
    },
    /// The custodian offers the unit. Names its basis in the event's own field.
    Offer {
        /// Who may accept.
        to: PartyId,
        /// Until when, judged by block time.
        until: Millis,
        /// Salted commitment to the terms; the terms travel outside the ledger.
        terms: Digest,
    },
    /// The offered receiver takes the unit over.
    Accept {
        /// The offer, whose terms this signs too.
        offer: EventId,
        /// Pieces counted.
        count: u32,
        /// Seals found, ascending.
        seals: Vec<Label>,
        /// Condition found.
        condition: Condition,
        /// What was wrong, ascending; each counts.
        exceptions: Vec<ExceptionCode>,
    },
    /// The offered receiver does not take it.
    Refuse {
        /// The offer.
        offer: EventId,
        /// Why.
        reason: Reason,
    },
    /// The custodian takes its offer back.
    Cancel {
        /// The offer.
        offer: EventId,
    },
    /// An offer and its acceptance, both signed without a network, brought by whoever is online first.
    Handover {
        /// The signed offer.
        offer: Box<SignedEvent>,
        /// The signed acceptance.
        acceptance: Box<SignedEvent>,
    },
    /// Units go into the subject.
    Aggregate {
        /// The units, ascending, each once.
        children: Vec<UnitId>,
    },
    /// Units come out of the subject.
    Disaggregate {
        /// The units, ascending, each once.
        children: Vec<UnitId>,
    },
    /// Onto a conveyance. Custody stays.
    Load {
        /// The conveyance.
        conveyance: Label,
    },
    /// Off a conveyance. Custody stays.
    Unload {
        /// The conveyance.
        conveyance: Label,
    },
    /// The unit leaves the place of the event.
    Depart {
        /// By what; none where nobody says.
        conveyance: Option<Label>,
    },
    /// The unit comes to the place of the event.
    Arrive,
    /// The unit was seen.
    Observe {
        /// Salted commitment to what was noted.
        note: Option<Digest>,
    },
    /// Seals are put on.
    SealApply {
        /// Seal ids never used before, ascending.
        ids: Vec<Label>,
    },
    /// Seals are looked at.
    SealVerify {
        /// Seal ids found, ascending.
        ids: Vec<Label>,
    },
    /// Seals are broken.
    SealBreak {
        /// Why.
        reason: Reason,
    },
    /// A batch of sensor readings kept outside the ledger.
    Readings {
        /// Merkle root over the readings.
        root: Digest,
        /// How many.
        count: u32,
        /// Sensor's own counter at the first reading.
        first: u64,
        /// Sensor's own counter at the last reading.
        last: u64,
    },
    /// Limits were left.
    Excursion {
        /// When, by the sensor's clock.
        window: Window,
    },
    /// An authority closes an excursion.
    CloseExcursion {
        /// Finding.
        verdict: Verdict,
    },
    /// An authority stops the unit.
    Hold {
        /// Why.
        reason: Reason,
    },
    /// An authority lets the unit go on.
    Release {
        /// The hold.
        hold: EventId,
    },
    /// Something was wrong.
    Exception {
        /// What.
        code: ExceptionCode,
        /// Hash of the evidence, which is kept outside.
        evidence: Digest,
    },
    /// A delivery was tried.
    Attempt {
        /// Why it failed.
        reason: Reason,
    },
    /// Delivered to a consignee who has no key.
    Deliver {
        /// What was shown, each with the hash of its proof, ascending.
        factors: Vec<(DeliveryFactor, Digest)>,
    },
    /// The unit goes back.
    Return {
        /// Why.
        reason: Reason,
    },
    /// The unit is gone, and nobody knows where.
    Lost {
        /// In whose hands it was.
        holder: PartyId,
        /// Why it is given up.
        reason: Reason,
    },
    /// The unit is no more, or was seized for good.
    Destroyed {
        /// In whose hands it was.
        holder: PartyId,
        /// Why.
        reason: Reason,
    },
    /// A lost unit turned up at the place of the event.
    Found,
    /// A signer of an event says that something in it was wrong; its other signers must consent. The event
    /// stays, and so does all that it did.
    Correct {
        /// The event, about the same subject. One inside of a handover is meant by itself.
        original: Box<SignedEvent>,
        /// The offer, where the original is its acceptance: the giver signed that too.
        offer: Option<Box<SignedEvent>>,
        /// What was wrong.
        fix: Fix,
        /// Salted commitment to what is right, which is kept outside.
        right: Option<Digest>,
    },
    /// An authority ends a dispute; the parties to it must consent.
    Resolve {
        /// Who holds the unit from then on.
        holder: PartyId,
        /// Why.
        reason: Reason,
    },
    /// Agreement to something that was proposed about the subject.
    Consent {
        /// The event that proposes it.
        proposal: EventId,
    },
    /// A member enrols a device of its own; the subject is the device.
    Enrol {
        /// The device's key.
        key: SignerKey,
        /// The device's signature over [`possession_message`].
        possession: Signature,
        /// Kinds of event that it may sign.
        kinds: KindSet,
        /// Places it may sign for, ascending; empty for any.
        places: Vec<Place>,
        /// Classes of unit it may sign for, ascending; empty for any.
        classes: Vec<UnitClass>,
        /// Until when it may sign, by block time; without an end where absent.
        until: Option<Millis>,
    },
    /// Evidence of misbehaviour; the subject is the first whom it names.
    Report {
        /// The bytes of an evidence file, which the ledger decodes and checks.
        evidence: Vec<u8>,
    },
    /// A member files what a device of its own signed before it was stopped: on record, without effect.
    Testimony {
        /// What the device signed; of the same subject.
        event: Box<SignedEvent>,
    },
    /// A member revokes a device of its own, for ever; the subject is the device.
    Revoke {
        /// Since when somebody else may have had the key, by the member's own word.
        suspected_since: Option<Millis>,
    },
    /// A signer goes on under another key. It signs this with the one before; the subject is itself.
    Rotate {
        /// The new key.
        key: SignerKey,
        /// The new key's signature over [`possession_message`].
        possession: Signature,
        /// The new key's first number: those below are under the one before.
        first: u64,
    },
    /// A member proposes a change of the network, and approves it; the subject is itself.
    Propose {
        /// What changes, and from when on.
        motion: Box<Motion>,
        /// Until when members may vote, by block time.
        until: Millis,
    },
    /// A member votes on a proposal; the subject is itself. Its last word counts.
    Ballot {
        /// Which.
        proposal: EventId,
        /// Whether it is for it.
        approve: bool,
    },
}

/// What a device signs to show that it holds the key that is enrolled for it.
///
/// The network is part of it: what a device showed to one network shows nothing to another.
pub fn possession_message(network: NetworkId, device: &Subject, key: &SignerKey) -> Vec<u8> {
    let mut message = Vec::from(*b"consign/possession/v1\0");
    message.extend_from_slice(network.as_bytes());
    message.extend_from_slice(key.as_bytes());
    message.extend_from_slice(alloc::format!("{device}").as_bytes());
    message
}

macro_rules! kinds {
    ($($name:ident = $code:literal $text:literal,)*) => {
        /// The kind of an event, by itself.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[allow(missing_docs, reason = "each is documented at the Action of its name")]
        pub enum Kind { $($name = $code,)* }

        impl Kind {
            /// All kinds, by ascending code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

kinds! {
    Register = 1 "register",
    Book = 2 "book",
    Offer = 3 "offer",
    Accept = 4 "accept",
    Refuse = 5 "refuse",
    Cancel = 6 "cancel",
    Handover = 7 "handover",
    Aggregate = 8 "aggregate",
    Disaggregate = 9 "disaggregate",
    Load = 10 "load",
    Unload = 11 "unload",
    Depart = 12 "depart",
    Arrive = 13 "arrive",
    Observe = 14 "observe",
    SealApply = 15 "seal-apply",
    SealVerify = 16 "seal-verify",
    SealBreak = 17 "seal-break",
    Readings = 18 "readings",
    Excursion = 19 "excursion",
    CloseExcursion = 20 "close-excursion",
    Hold = 21 "hold",
    Release = 22 "release",
    Exception = 23 "exception",
    Attempt = 24 "attempt",
    Deliver = 25 "deliver",
    Return = 26 "return",
    Enrol = 27 "enrol",
    Consent = 28 "consent",
    Correct = 29 "correct",
    Resolve = 30 "resolve",
    Lost = 31 "lost",
    Destroyed = 32 "destroyed",
    Found = 33 "found",
    Report = 34 "report",
    Testimony = 35 "testimony",
    Revoke = 36 "revoke",
    Rotate = 37 "rotate",
    Propose = 38 "propose",
    Ballot = 39 "ballot",
}

impl Kind {
    /// The number that stands for this kind on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Whether a member's own key alone signs it, and no device.
    pub const fn is_members_own(self) -> bool {
        matches!(self, Self::Enrol | Self::Testimony | Self::Revoke | Self::Propose | Self::Ballot)
    }

    /// Whether it carries what others signed, and so may be longer than other events.
    pub const fn is_nested(self) -> bool {
        matches!(self, Self::Handover | Self::Correct | Self::Testimony | Self::Report)
    }

    /// The kind with this code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| {
            alloc::format!("{:?} is not a kind of event", text.chars().take(40).collect::<String>())
        })
    }
}

/// A set of kinds; bit `code` stands for a kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KindSet(u64);

impl KindSet {
    /// The set of these.
    pub fn of(kinds: &[Kind]) -> Self {
        Self(kinds.iter().fold(0, |bits, kind| bits | 1 << kind.code()))
    }

    /// A set from its bits; `None` where a bit stands for nothing.
    pub fn from_bits(bits: u64) -> Option<Self> {
        if bits & !Self::of(Kind::ALL).0 == 0 { Some(Self(bits)) } else { None }
    }

    /// Bit `code` for each kind.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether `kind` is in the set.
    pub const fn has(self, kind: Kind) -> bool {
        self.0 >> kind.code() & 1 == 1
    }

    /// Its members, by ascending code.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().copied().filter(move |kind| self.has(*kind))
    }
}

impl Action {
    /// The signed events inside of it.
    pub fn inner(&self) -> impl Iterator<Item = &SignedEvent> {
        let inner = match self {
            Self::Handover { offer, acceptance } => [Some(&**offer), Some(&**acceptance)],
            Self::Correct { original, offer, .. } => [offer.as_deref(), Some(&**original)],
            Self::Testimony { event } => [Some(&**event), None],
            _ => [None, None],
        };
        inner.into_iter().flatten()
    }

    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Register => Kind::Register,
            Self::Book { .. } => Kind::Book,
            Self::Offer { .. } => Kind::Offer,
            Self::Accept { .. } => Kind::Accept,
            Self::Refuse { .. } => Kind::Refuse,
            Self::Cancel { .. } => Kind::Cancel,
            Self::Handover { .. } => Kind::Handover,
            Self::Aggregate { .. } => Kind::Aggregate,
            Self::Disaggregate { .. } => Kind::Disaggregate,
            Self::Load { .. } => Kind::Load,
            Self::Unload { .. } => Kind::Unload,
            Self::Depart { .. } => Kind::Depart,
            Self::Arrive => Kind::Arrive,
            Self::Observe { .. } => Kind::Observe,
            Self::SealApply { .. } => Kind::SealApply,
            Self::SealVerify { .. } => Kind::SealVerify,
            Self::SealBreak { .. } => Kind::SealBreak,
            Self::Readings { .. } => Kind::Readings,
            Self::Excursion { .. } => Kind::Excursion,
            Self::CloseExcursion { .. } => Kind::CloseExcursion,
            Self::Hold { .. } => Kind::Hold,
            Self::Release { .. } => Kind::Release,
            Self::Exception { .. } => Kind::Exception,
            Self::Attempt { .. } => Kind::Attempt,
            Self::Deliver { .. } => Kind::Deliver,
            Self::Return { .. } => Kind::Return,
            Self::Enrol { .. } => Kind::Enrol,
            Self::Lost { .. } => Kind::Lost,
            Self::Destroyed { .. } => Kind::Destroyed,
            Self::Found => Kind::Found,
            Self::Resolve { .. } => Kind::Resolve,
            Self::Consent { .. } => Kind::Consent,
            Self::Correct { .. } => Kind::Correct,
            Self::Report { .. } => Kind::Report,
            Self::Testimony { .. } => Kind::Testimony,
            Self::Revoke { .. } => Kind::Revoke,
            Self::Rotate { .. } => Kind::Rotate,
            Self::Propose { .. } => Kind::Propose,
            Self::Ballot { .. } => Kind::Ballot,
        }
    }
}
