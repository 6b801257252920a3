//! A unit's state after some block.

use consign_types::digest::{Digest, EventId};
use consign_types::event::{DeliveryFactor, Kind, Label};
use consign_types::party::PartyId;
use consign_types::place::Place;
use consign_types::unit::UnitId;
use serde::{Deserialize, Serialize};

use super::text::{Moment, Text};

/// A unit's state after the block at `height`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UnitView {
    /// Its number.
    pub unit: Text<UnitId>,
    /// The block after which it is in this state.
    pub height: u64,
    /// Who registered it.
    pub owner: Text<PartyId>,
    /// Who answers for it now: the custodian of the outermost container around it. None when closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custodian: Option<Text<PartyId>>,
    /// Its own custody; inside of a container that of the time of entering.
    pub custody: CustodyView,
    /// What it is in.
    pub contain: ContainView,
    /// Its seals.
    pub seal: SealView,
    /// Its condition, by itself and with what is around it.
    pub condition: OwnAndEffective<ConditionView>,
    /// Where it is or on what it moves: that of the outermost container.
    pub journey: JourneyView,
    /// What ever happened, by itself and with what it was in while it was in it.
    pub counters: OwnAndEffective<CountersView>,
    /// Holds that stand on it, by the event that set each.
    pub holds: Vec<Text<EventId>>,
    /// What was proposed about it and waits for consents, oldest first; at most 4.
    #[serde(default)]
    pub pending: Vec<PendingView>,
    /// Units inside of it, at any depth, on which a hold or a dispute stands.
    pub blocked_inside: u32,
    /// The event by which its custodian came to hold it: what an offer names.
    pub basis: Text<EventId>,
    /// Who is expected to receive it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booking: Option<BookingView>,
    /// Events that name it.
    pub events: u64,
    /// Hash chain over those events.
    pub head: Text<Digest>,
}

/// A proposal that takes effect with the last consent, if the unit is held then as it was.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PendingView {
    /// The event that proposes it: what a consent names.
    pub event: Text<EventId>,
    /// Its kind: return, lost, destroyed, resolve or correct.
    #[cfg_attr(test, schemars(with = "String"))]
    pub kind: Text<Kind>,
    /// Whose proposal it is.
    pub by: Text<PartyId>,
    /// Who is to hold the unit then, where a dispute would end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Text<PartyId>>,
    /// The event that would be corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<Text<EventId>>,
    /// Parties that have not consented yet.
    pub awaits: Vec<Text<PartyId>>,
    /// Until when, by block time.
    pub until: Moment,
}

/// Who holds a unit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum CustodyView {
    /// One party holds it.
    Held {
        /// The custodian.
        custodian: Text<PartyId>,
    },
    /// One party holds it and offers it to another.
    Offered {
        /// The custodian.
        custodian: Text<PartyId>,
        /// Who may accept.
        to: Text<PartyId>,
        /// Until when, by block time; an offer past it is void.
        until: Moment,
        /// The offer.
        offer: Text<EventId>,
    },
    /// Two acceptances exclude each other; nothing moves until an authority resolves it.
    Contested {
        /// The parties that claim it.
        claimants: Vec<Text<PartyId>>,
    },
    /// It is no longer held by anyone on the ledger.
    Closed {
        /// Why.
        why: ClosedWhy,
        /// The last custodian.
        by: Text<PartyId>,
    },
}

/// Why a unit is closed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ClosedWhy {
    /// Delivered to a consignee.
    Delivered,
    /// Lost.
    Lost,
    /// Destroyed or seized.
    Destroyed,
}

/// What a unit is in.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ContainView {
    /// In nothing.
    Free,
    /// In a container.
    In {
        /// All containers around it, innermost first; at most 6.
        around: Vec<Text<UnitId>>,
    },
}

/// A unit's seals.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum SealView {
    /// Never sealed since it was last opened.
    None,
    /// Sealed.
    Sealed {
        /// The seals on it.
        ids: Vec<Text<Label>>,
    },
    /// Broken.
    Broken {
        /// Whether an authority signed for it.
        authorised: bool,
    },
}

/// How a unit is. Several may hold at once.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConditionView {
    /// An excursion is open.
    pub excursion: bool,
    /// Found damaged.
    pub damaged: bool,
    /// A hold stands.
    pub hold: bool,
}

impl ConditionView {
    /// Whether nothing is wrong.
    pub const fn is_ok(self) -> bool {
        !(self.excursion || self.damaged || self.hold)
    }
}

/// Where a unit is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum JourneyView {
    /// At a place; none where nobody has said which.
    At {
        /// The place.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<Text<Place>>,
        /// The conveyance onto which it is loaded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conveyance: Option<Text<Label>>,
    },
    /// Between places.
    Moving {
        /// On what; none where nobody says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conveyance: Option<Text<Label>>,
        /// Where it left.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Text<Place>>,
    },
}

/// What ever happened. Counts openings, never closings; nothing is ever taken back.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CountersView {
    /// Excursions begun.
    pub excursions: u32,
    /// Holds set.
    pub holds: u32,
    /// Seals broken.
    pub seal_breaks: u32,
    /// Exceptions reported, seal mismatches among them.
    pub exceptions: u32,
    /// Departures from another place than that of arrival.
    pub discontinuities: u32,
    /// Gaps in a sensor's own counter.
    pub reading_gaps: u32,
}

/// A value of the unit's own, and the same with all that is around it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OwnAndEffective<T> {
    /// By itself.
    pub own: T,
    /// With what is, or was, around it.
    pub effective: T,
}

/// Who is expected to receive a unit, and how.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BookingView {
    /// Expected receiver.
    pub receiver: Text<PartyId>,
    /// From when.
    pub from: Moment,
    /// Until when.
    pub to: Moment,
    /// What a delivery must show.
    pub factors: Vec<Text<DeliveryFactor>>,
}
