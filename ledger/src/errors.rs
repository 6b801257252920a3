//! Why an event is refused: the sender's doing, safe to send back.
//!
//! The code is stable and for programs; the sentence names the values and is for people.

use alloc::string::String;

use consign_types::digest::{Digest, EventId};
use consign_types::event::{DeliveryFactor, Kind, Label};
use consign_types::party::{PartyId, SignerId};
use consign_types::place::Place;
use consign_types::time::Millis;
use consign_types::unit::UnitId;

/// Whether an event that was refused may be taken later, without anything being changed about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// The same bytes are refused again.
    Never,
    /// The sender may try again.
    Later,
    /// What the event refers to may be on its way: a node keeps the event for a while.
    Waits,
}

impl Retry {
    const fn or(self, other: Self) -> Self {
        match self {
            Self::Never => other,
            Self::Later | Self::Waits => self,
        }
    }
}

macro_rules! rejections {
    ($($(#[$doc:meta])* $name:ident $({ $($field:ident: $type:ty,)* })? = $code:literal $($retry:ident)?, $sentence:literal;)*) => {
        /// A rule that an event breaks.
        #[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
        #[allow(missing_docs, reason = "fields are the values named in the sentence")]
        pub enum Rejection {
            $($(#[$doc])* #[error($sentence)] $name $({ $($field: $type,)* })?,)*
        }

        impl Rejection {
            /// The stable code.
            pub const fn code(&self) -> &'static str {
                match self { $(Self::$name $({ $($field: _,)* })? => $code,)* }
            }

            /// Every code there is.
            pub const CODES: &'static [&'static str] = &[$($code,)*];

            /// Code, sentence with the names of its values, and whether to try again: one row for each rule.
            pub const TABLE: &'static [(&'static str, &'static str, Retry)] =
                &[$(($code, $sentence, Retry::Never $(.or(Retry::$retry))?),)*];

            const fn retry(&self) -> Retry {
                match self { $(Self::$name $({ $($field: _,)* })? => Retry::Never $(.or(Retry::$retry))?,)* }
            }
        }
    };
}

rejections! {
    /// Meant for another network.
    ForeignNetwork = "foreign_network", "the event is for another network";
    /// Nobody enrolled this signer.
    UnknownDevice { signer: SignerId, } = "unknown_device" Waits, "{signer} is not enrolled";
    /// The key id is not that of the signer's present key.
    WrongKey { signer: SignerId, } = "wrong_key", "the key in the event is not the present key of {signer}";
    /// The enrolment does not cover this kind of event.
    KindNotEnrolled { signer: SignerId, kind: Kind, } = "kind_not_enrolled", "{signer} is not enrolled for events of kind {kind}";
    /// The enrolment does not cover this place.
    PlaceNotEnrolled { signer: SignerId, } = "place_not_enrolled", "{signer} is not enrolled for the place of the event";
    /// The enrolment does not cover this class of unit.
    ClassNotEnrolled { signer: SignerId, unit: UnitId, } = "class_not_enrolled", "{signer} is not enrolled for units such as {unit}";
    /// The sequence number was used, or closed by a floor.
    SequenceUsed { signer: SignerId, sequence: u64, } = "sequence_used", "sequence number {sequence} of {signer} was used or closed before";
    /// The number would leave too many missing below it, or is too far above.
    SequenceGap { signer: SignerId, sequence: u64, high: u64, } = "sequence_gap" Later, "sequence number {sequence} of {signer} is too far above {high}: send the missing ones first, or raise the floor";
    /// A floor above the event's own number.
    FloorAboveSequence { sequence: u64, floor: u64, } = "floor_above_sequence", "the floor {floor} is above the event's own sequence number {sequence}";
    /// The subject is not what this kind of event is about.
    WrongSubject { kind: Kind, } = "wrong_subject", "an event of kind {kind} is not about such a subject";
    /// No such unit.
    UnknownUnit { unit: UnitId, } = "unknown_unit" Waits, "{unit} is not registered";
    /// The number is taken.
    UnitKnown { unit: UnitId, } = "unit_known", "{unit} is registered already";
    /// The number is another member's own.
    ForeignNumber { unit: UnitId, signer: PartyId, } = "foreign_number", "the number {unit} is another member's own, {signer} cannot register it";
    /// The event must say where.
    PlaceMissing { kind: Kind, } = "place_missing", "an event of kind {kind} must name its place";
    /// The signer's party does not hold the unit.
    NotCustodian { unit: UnitId, custodian: PartyId, signer: PartyId, } = "not_custodian", "unit {unit} is held by {custodian}, not by {signer}";
    /// The signer's party is not the owner.
    NotOwner { unit: UnitId, owner: PartyId, signer: PartyId, } = "not_owner", "unit {unit} was registered by {owner}, not by {signer}";
    /// The signer's party has nothing to do with the unit.
    NotInvolved { unit: UnitId, signer: PartyId, } = "not_involved", "{signer} is neither custodian, offered receiver nor owner of {unit}";
    /// The signer's party is no authority.
    NotAuthority { signer: PartyId, } = "not_authority", "{signer} is not an authority of this network";
    /// An end was reached.
    Closed { unit: UnitId, } = "closed", "unit {unit} is closed";
    /// Two parties claim it.
    Contested { unit: UnitId, } = "contested", "custody of {unit} is contested; nothing moves until it is resolved";
    /// It is inside of another unit.
    Contained { unit: UnitId, parent: UnitId, } = "contained", "unit {unit} is inside of {parent}";
    /// It is not inside of the unit named.
    NotInside { unit: UnitId, parent: UnitId, } = "not_inside", "unit {unit} is not inside of {parent}";
    /// An offer is open.
    OfferOpen { unit: UnitId, offer: EventId, } = "offer_open", "offer {offer} of {unit} is open";
    /// No such offer is open.
    NoSuchOffer { unit: UnitId, offer: EventId, } = "no_such_offer" Waits, "offer {offer} of {unit} is not open";
    /// The offer ran out.
    OfferExpired { offer: EventId, until: Millis, } = "offer_expired", "offer {offer} ran out at {until}";
    /// The offer would be over before it begins.
    OfferInPast { until: Millis, } = "offer_in_past", "the offer ends at {until}, before the present block";
    /// The offer is for another party.
    NotReceiver { receiver: PartyId, signer: PartyId, } = "not_receiver", "the offer is to {receiver}, not to {signer}";
    /// An offer to oneself.
    OfferToSelf = "offer_to_self", "custody cannot be offered to the party that holds it";
    /// The party named is no member.
    UnknownParty { party: PartyId, } = "unknown_party", "{party} is not a member of this network";
    /// The offer must name its basis.
    BasisMissing = "basis_missing", "an offer must name the event by which the party holds the unit";
    /// Only an offer names a basis.
    BasisUnexpected { kind: Kind, } = "basis_unexpected", "an event of kind {kind} names no basis";
    /// The basis is not how the party holds the unit now.
    StaleBasis { unit: UnitId, basis: EventId, } = "stale_basis", "{basis} is not the event by which {unit} is held now";
    /// The basis of a handover is not an event by which anybody held the unit so far.
    UnknownBasis { unit: UnitId, basis: EventId, } = "unknown_basis" Waits, "{basis} is not an event by which {unit} is or was held";
    /// Seals differ, and no exception says so.
    SealsDiffer { unit: UnitId, } = "seals_differ", "the seals found on {unit} are not those on record, and no exception says so";
    /// An authority holds it.
    OnHold { unit: UnitId, } = "on_hold", "unit {unit} is on hold";
    /// Something inside is held or contested.
    BlockedInside { unit: UnitId, } = "blocked_inside", "a unit inside of {unit} is on hold or contested";
    /// Its seal is on.
    Sealed { unit: UnitId, } = "sealed", "unit {unit} is sealed";
    /// No seal is on.
    NotSealed { unit: UnitId, } = "not_sealed", "unit {unit} is not sealed";
    /// A seal id is used once.
    SealUsed { seal: Label, } = "seal_used", "seal id {seal} was used before";
    /// Too deep.
    TooDeep { unit: UnitId, } = "too_deep", "unit {unit} would be inside of more than 6 units";
    /// A unit inside of itself.
    Cycle { unit: UnitId, } = "cycle", "unit {unit} cannot be inside of itself";
    /// Not in one place.
    ElsewherePlace { unit: UnitId, } = "elsewhere", "unit {unit} is not where the container is";
    /// It is on its way.
    Moving { unit: UnitId, } = "moving", "unit {unit} is on its way";
    /// It is not on its way.
    NotMoving { unit: UnitId, at: Place, } = "not_moving", "unit {unit} is at {at}, not on its way";
    /// Another conveyance.
    WrongConveyance { unit: UnitId, } = "wrong_conveyance", "unit {unit} is not on that conveyance, or is on another";
    /// No excursion is open.
    NoExcursion { unit: UnitId, } = "no_excursion", "no excursion of {unit} is open";
    /// No such hold.
    NoSuchHold { unit: UnitId, hold: EventId, } = "no_such_hold", "hold {hold} of {unit} does not stand";
    /// Too many holds at once.
    TooManyHolds { unit: UnitId, } = "too_many_holds", "4 holds stand on {unit} already";
    /// The delivery lacks what was booked.
    FactorMissing { factor: DeliveryFactor, } = "factor_missing", "the delivery lacks the booked factor {factor}";
    /// Nothing of that name waits for a consent.
    NoSuchProposal { unit: UnitId, proposal: EventId, } = "no_such_proposal" Waits, "nothing named {proposal} about {unit} waits for a consent";
    /// The proposal does not need this party's consent, or has it.
    ConsentNotAsked { unit: UnitId, signer: PartyId, } = "consent_not_asked", "the proposal about {unit} does not wait for the consent of {signer}";
    /// Too many proposals at once.
    TooManyPending { unit: UnitId, } = "too_many_pending", "as many proposals about {unit} wait for consents as can: 4, and 2 of them corrections";
    /// A return after the window for it.
    ReturnTooLate { unit: UnitId, until: Millis, } = "return_too_late", "unit {unit} was delivered, and could be returned until {until}";
    /// Only a dispute is resolved.
    NotContested { unit: UnitId, } = "not_contested", "custody of {unit} is not contested";
    /// A dispute goes to a party to it or to the owner.
    NotAClaimant { unit: UnitId, holder: PartyId, } = "not_a_claimant", "{holder} neither claims {unit} nor owns it";
    /// The device belongs to another member.
    ForeignDevice { device: SignerId, signer: SignerId, } = "foreign_device", "{signer} does not answer for {device}: only a member's own key speaks for that member's devices";
    /// Enrolled already.
    DeviceKnown { device: SignerId, } = "device_known", "{device} is enrolled already";
    /// The new device did not show that it holds its key.
    NoPossession { device: SignerId, } = "no_possession", "the proof that {device} holds its key does not verify";
    /// The inner messages do not belong together.
    HandoverMismatch { why: String, } = "handover_mismatch", "offer and acceptance do not belong together: {why}";
    /// Only what was lost is found.
    NotLost { unit: UnitId, } = "not_lost", "unit {unit} is not lost";
    /// The block is full for this event.
    BlockFull = "block_full" Later, "the block has no room for this event";
    /// A key that its member revoked signs nothing any more.
    RevokedKey { signer: SignerId, at: Millis, } = "revoked_key", "the key of {signer} was revoked at {at}";
    /// A key that evidence named signs nothing any more.
    SuspendedKey { signer: SignerId, evidence: Digest, } = "suspended_key", "{signer} is suspended: evidence {evidence} names it";
    /// Revoked already.
    DeviceRevoked { device: SignerId, } = "device_revoked", "{device} is revoked already";
    /// Testimony is for keys that can speak no more.
    NotStopped { device: SignerId, } = "not_stopped", "{device} is neither revoked nor suspended: what it signed is sent as it is";
    /// Evidence that shows nothing.
    BadEvidence { why: String, } = "bad_evidence", "the evidence proves nothing: {why}";
    /// Evidence that the entries of the map do not suffice to judge.
    EvidenceNotJudged { why: String, } = "evidence_not_judged", "the ledger cannot judge this evidence: {why}";
    /// The report is about somebody else.
    NotAccused { subject: SignerId, accused: SignerId, } = "not_accused", "the evidence names {accused} first, not {subject}";
    /// Reported before.
    EvidenceKnown { evidence: Digest, } = "evidence_known", "all that evidence {evidence} shows was reported before";
    /// Its party is no member any more.
    NotMember { party: PartyId, } = "not_member", "{party} is no member of the network any more";
    /// A time to vote that has passed, or is too far off.
    MotionWindow { until: Millis, } = "motion_window", "members can vote for at most 90 days from now, and not until {until}";
    /// A change that contradicts what is.
    ChangeNotPossible { why: String, } = "change_not_possible", "the change is not possible: {why}";
    /// Too many proposals wait.
    TooManyMotions { party: PartyId, } = "too_many_motions", "too many proposals of {party} wait for a decision, or some of it and many of all";
    /// No such proposal.
    UnknownMotion { proposal: EventId, } = "unknown_motion" Waits, "no proposal {proposal} is known";
    /// Decided, or its time is over.
    MotionClosed { proposal: EventId, } = "motion_closed", "nobody can vote on proposal {proposal} any more";
    /// The same vote again.
    BallotKnown { party: PartyId, proposal: EventId, } = "ballot_known", "{party} said so of proposal {proposal} before";
    /// The network would survive no faulty validator.
    TooFewValidators { left: u32, } = "too_few_validators", "{left} validators would be left: fewer than four survive no faulty one";
    /// A signer changes its own key alone.
    NotOwnKey { signer: SignerId, subject: SignerId, } = "not_own_key", "{signer} rotates its own key, and not that of {subject}";
    /// A key that the signer has or had.
    KeyKnown { signer: SignerId, } = "key_known", "that is a key of {signer} already, or was one";
    /// A first number that is used, or given to the key before.
    FirstNumberTaken { signer: SignerId, first: u64, high: u64, } = "first_number_taken", "the first number of the new key must be above {high}, the highest that {signer} used; {first} is not";
    /// Too many keys of one signer.
    TooManyKeys { signer: SignerId, } = "too_many_keys", "{signer} had 16 keys before this one: a device is revoked and enrolled under another name, the key of a member is replaced by a vote";
    /// A correction of what its signer never brought to the log.
    NotOnRecord { event: EventId, } = "not_on_record" Waits, "event {event} is not on record: its number was never used";
    /// The enrolment had an end.
    DeviceExpired { signer: SignerId, until: Millis, } = "device_expired", "the enrolment of {signer} ended at {until}";
    /// The enrolment would be over before it begins.
    EndInPast { until: Millis, } = "end_in_past", "the enrolment would end at {until}, before the present block";
    /// A correction by somebody who did not sign the original.
    NotItsSigner { event: EventId, signer: PartyId, } = "not_its_signer", "{signer} did not sign {event}, and so does not correct it";
}

impl Rejection {
    /// Whether the same event may be taken later, without anything being changed about it.
    pub const fn retryable(&self) -> bool {
        matches!(self.retry(), Retry::Later | Retry::Waits)
    }

    /// Whether what the event refers to may still be on its way.
    pub const fn waits(&self) -> bool {
        matches!(self.retry(), Retry::Waits)
    }
}
