//! How a call fails: one table, from which server, client and documents take their errors.
//!
//! `kind` is the contract: stable, one word. The number is coarse and only there because JSON-RPC
//! asks for one. A refusal by a custody rule carries the rule's own stable code beside its kind.
//!
//! Invariant: a kind and its number never change and are never used for anything else.

use std::fmt;

use consign_types::digest::EventId;
use serde::{Deserialize, Serialize};

use crate::views::text::Text;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal $kind:literal $retry:literal, $help:literal;)*) => {
        /// What went wrong, in one word.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum ErrorKind { $($(#[$doc])* $name,)* }

        impl ErrorKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $kind,)* }
            }

            /// The JSON-RPC number; 0 for what only a client can find.
            pub const fn code(self) -> i32 {
                match self { $(Self::$name => $code,)* }
            }

            /// Whether the same call may succeed later, unless the error itself says otherwise.
            pub const fn retryable(self) -> bool {
                match self { $(Self::$name => $retry,)* }
            }

            /// What the caller can do.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)* }
            }
        }
    };
}

kinds! {
    /// The body is not JSON.
    ParseError = -32700 "parse_error" false, "send one JSON-RPC 2.0 request or batch as JSON";
    /// JSON, but no request.
    InvalidRequest = -32600 "invalid_request" false, "send one JSON-RPC 2.0 request or batch";
    /// No such method.
    MethodNotFound = -32601 "method_not_found" false, "rpc.discover lists the methods";
    /// A parameter is missing, unknown or malformed.
    InvalidParams = -32602 "invalid_params" false, "parameters are by name; rpc.discover lists them";
    /// The node failed.
    Internal = -32603 "internal" true, "try again; if it persists, look at the node's log";
    /// The node has no such thing.
    NotFound = -32001 "not_found" false, "check the number, or ask at a later height";
    /// The node is catching up and cannot answer for the present.
    Syncing = -32002 "syncing" true, "try again later, or ask another node";
    /// The bytes are not an event.
    Rejected = -32003 "rejected" false, "encode the event as docs/spec says; nothing was kept";
    /// The node does not do this.
    Unsupported = -32004 "unsupported" false, "ask a node that does";
    /// Too many calls from one address.
    RateLimited = -32005 "rate_limited" true, "wait for retryAfterMs";
    /// Too many subscriptions on one connection.
    TooManySubscriptions = -32006 "too_many_subscriptions" false, "end one, or open another connection";
    /// The body is too long.
    RequestTooLarge = -32007 "request_too_large" false, "send fewer events at once";
    /// The answer would be too long.
    ResponseTooLarge = -32008 "response_too_large" false, "ask for a smaller page";
    /// The node answers as many callers as it may.
    Busy = -32009 "busy" true, "try again in a second";
    /// Too many calls in one batch.
    BatchTooLarge = -32010 "batch_too_large" false, "split the batch";
    /// The answers of one batch would be too long together.
    BatchResponseTooLarge = -32011 "batch_response_too_large" false, "split the batch";
    /// A device, or the devices of a member, hand in too many events.
    Quota = -32012 "quota" true, "wait for retryAfterMs; the operator sets rpc.events_per_second_per_device_max and its like";
    /// What the node's configuration names cannot be used.
    BadConfiguration = -32013 "bad_configuration" false, "mend the file; what held before holds";
    /// The caller may not.
    Unauthorised = -32016 "unauthorised" false, "ask the node's operator for access";
    /// No token, or one that does not hold.
    Unauthenticated = -32017 "unauthenticated" false, "show a token that holds, with --token-file; the node's operator makes them with `consign token new`";
    /// The token does not allow it.
    ScopeMissing = -32018 "scope_missing" false, "ask the node's operator for a token with this scope";
    /// The signature does not fit the event and the signer's key.
    BadSignature = -32020 "bad_signature" false, "sign again with the enrolled key";
    /// No such device is enrolled.
    UnknownDevice = -32021 "unknown_device" false, "enrol the device first";
    /// The key is revoked or suspended.
    RevokedKey = -32022 "revoked_key" false, "sign with another device; what this one signed before can be filed as testimony";
    /// The device used this number for another event.
    SequenceConflict = -32023 "seq_conflict" false, "number each event once";
    /// A custody rule forbids it; `code` names the rule.
    RuleViolation = -32024 "rule_violation" false, "look at the unit's state with custody_getUnit";
    /// The pool has no room.
    PoolFull = -32030 "pool_full" true, "wait for retryAfterMs";
    /// Too few validators answer to decide anything.
    NoQuorum = -32031 "no_quorum" true, "wait until the validators are back; nothing is lost";
    /// A quorum has not cosigned it yet.
    ProofUnavailable = -32032 "proof_unavailable" true, "wait until the event is proven";
    /// The cursor is not of this feed or network.
    StaleCursor = -32040 "stale_cursor" false, "begin again without a cursor";
    /// The client reached nobody.
    Unreachable = 0 "unreachable" true, "check the address, and that the node runs";
    /// The client waited long enough.
    TimedOut = 0 "timed_out" true, "try again; sending an event twice is harmless";
    /// The client does not understand the answer.
    BadAnswer = 0 "bad_answer" false, "check that the address is a Consign node of this version";
}

impl ErrorKind {
    /// The kind of this word.
    pub fn from_text(kind: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.as_str() == kind)
    }

    /// The kind of this number.
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.is_sent() && known.code() == code)
    }

    /// Whether servers send it; the others are findings of a client.
    pub const fn is_sent(self) -> bool {
        self.code() != 0
    }
}

/// What whoever signed an event, or handed something else in, can do about a refusal, by its stable code. None for what
/// is no code; a test holds it against every code there is.
pub fn rule_help(code: &str) -> Option<&'static str> {
    Some(match code {
        "malformed_event" => "encode the event as docs/spec/event.md says; nothing was kept",
        "bad_signature" => "sign again with the enrolled key",
        "foreign_network" => "sign it for this network: chain_getStatus names it",
        "unknown_device" => "enrol the device first",
        "wrong_key" => "sign with the key that the device is enrolled with",
        "kind_not_enrolled" | "place_not_enrolled" | "class_not_enrolled" => {
            "sign with a device that is enrolled for this, or enrol one"
        }
        "sequence_used" => "sign it again under the device's next number",
        "sequence_gap" | "floor_above_sequence" => "number a device's events one after the other",
        "wrong_subject" => "name as the subject what such an event is about: docs/spec/event.md",
        "place_missing" => "name the place",
        "foreign_number" => "choose one of your own numbers, or one of a standard",
        "not_authority" | "unknown_party" => {
            "see who is a member, and an authority: `consign gov members`"
        }
        "offer_in_past" => "choose a later end",
        "offer_to_self" => "offer it to whoever is to receive it",
        "basis_missing" | "stale_basis" => {
            "name the event by which you hold the unit: `basis` in custody_getUnit"
        }
        "basis_unexpected" => "leave the basis out",
        "seal_used" => "put another seal on: its id is used once",
        "factor_missing" => {
            "deliver with each factor that was booked: `booking` in custody_getUnit"
        }
        "handover_mismatch" => "sign the acceptance anew, for this very offer",
        "foreign_device" => "sign with the key of the member that the device belongs to",
        "device_known" => "look at it with `consign device show`, or choose another name",
        "no_possession" => "sign the proof with the new key itself: `consign device claim` does",
        "bad_invite" | "invite_expired" | "invite_used" => {
            "ask the member that invited you for another invitation"
        }
        "bad_request" => "make the request anew, for this network and with the keys of this node",
        "requests_full" => "hand it to another node, or again later",
        "unknown_unit" | "unknown_basis" | "unknown_reference" | "no_such_offer" => {
            "send first what it refers to; what came is kept for 30 s"
        }
        "no_such_proposal" | "consent_not_asked" | "too_many_pending" => {
            "see which proposals wait, and for whom, with `consign unit get` or custody_getUnit"
        }
        "revoked_key" | "suspended_key" => {
            "nothing by that key applies any more; its member can file what it signed before as testimony"
        }
        "device_revoked" | "evidence_known" => "nothing is left to do: it is on the ledger already",
        "not_stopped" => "submit the event itself",
        "bad_evidence" => "see what it shows with `consign verify` and the network's trust file",
        "evidence_not_judged" => "keep the file: whoever has the trust file can check it",
        "not_on_record" => "submit the original first, or look for it with `consign event get`",
        "not_its_signer" => {
            "only a party that signed an event corrects it; file an exception, or an observation of your own"
        }
        "device_expired" => {
            "enrol another device; what this one signed before can be filed as testimony"
        }
        "end_in_past" => "choose a later end, or none",
        "not_own_key" => "sign the rotation with the device's own present key",
        "key_known" => "make a new key",
        "first_number_taken" => "begin the new key above the highest number that was used",
        "too_many_keys" => "revoke the device, and enrol it under another name",
        "not_accused" => "name as the subject whom the evidence names first",
        "not_member" => "ask the members to admit the party again",
        "motion_window" => "let members vote for some days, and for 90 at most",
        "change_not_possible" => {
            "look who is in the network, and vote on what waits: `consign gov list`"
        }
        "too_many_motions" => "wait until members have decided what waits: `consign gov list`",
        "unknown_motion" | "motion_closed" => "look which proposals are open: `consign gov list`",
        "ballot_known" => "nothing is left to do: a member's last vote counts",
        "too_few_validators" => {
            "let another node vote first, or accept it in words: `consign gov propose --dry-run` says which"
        }
        "not_lost" => {
            "only a unit that was declared lost is found; an arrival or an observation tells where one is"
        }
        "evidence_full" => {
            "hand it to another node, or report it with `consign evidence submit --device`"
        }
        "pool_full" | "block_full" | "quota" => "send it again later",
        "unit_known" | "not_custodian" | "not_owner" | "not_involved" | "closed" | "contested"
        | "contained" | "not_inside" | "offer_open" | "offer_expired" | "not_receiver"
        | "seals_differ" | "on_hold" | "blocked_inside" | "sealed" | "not_sealed" | "too_deep"
        | "cycle" | "elsewhere" | "moving" | "not_moving" | "wrong_conveyance" | "no_excursion"
        | "no_such_hold" | "too_many_holds" | "return_too_late" | "not_contested"
        | "not_a_claimant" => "look at the unit with `consign unit get` or custody_getUnit",
        _ => return None,
    })
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call that failed, as it is sent. Boxed texts, because every answer has room for one of these.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(from = "Wire", into = "Wire")]
#[error("{message}")]
pub struct RpcError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// One sentence, lower case, naming the values.
    pub message: Box<str>,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// Milliseconds to wait before that.
    pub retry_after_ms: Option<u64>,
    /// Stable code of the rule that refused an event.
    pub code: Option<Box<str>>,
    /// The event that it is about.
    pub event_id: Option<EventId>,
    /// The parameter that it is about.
    pub field: Option<Box<str>>,
    /// What the caller can do.
    pub help: Box<str>,
}

impl RpcError {
    /// An error of this kind, with the kind's own help.
    pub fn new(kind: ErrorKind, message: impl fmt::Display) -> Self {
        Self {
            kind,
            message: message.to_string().into(),
            retryable: kind.retryable(),
            retry_after_ms: None,
            code: None,
            event_id: None,
            field: None,
            help: kind.help().into(),
        }
    }

    /// Nothing has this name here.
    pub fn not_found(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// A parameter that cannot be used.
    pub fn invalid_params(field: &str, message: impl fmt::Display) -> Self {
        Self { field: Some(field.into()), ..Self::new(ErrorKind::InvalidParams, message) }
    }

    /// The node's own failure. Say nothing here that a stranger should not read.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Bytes that are no event.
    pub fn malformed_event(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Rejected, message).with_code("malformed_event").with_field("envelope")
    }

    /// A rule with the stable `code` forbids the event. It may be retried where the refusal rests on
    /// events that are not committed yet.
    pub fn rule(code: &str, message: impl fmt::Display, retryable: bool) -> Self {
        Self { retryable, ..Self::new(ErrorKind::RuleViolation, message) }
            .with_code(code)
            .with_help(rule_help(code).unwrap_or(ErrorKind::RuleViolation.help()))
    }

    /// Too many calls; come back after `ms` milliseconds.
    pub fn rate_limited(ms: u64) -> Self {
        Self::new(ErrorKind::RateLimited, format_args!("too many calls; wait {ms} ms"))
            .with_retry_after_ms(ms)
    }

    /// A cursor that belongs to something else.
    pub fn stale_cursor(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::StaleCursor, message).with_field("cursor")
    }

    /// The same, with the rule's stable code.
    #[must_use]
    pub fn with_code(self, code: &str) -> Self {
        Self { code: Some(code.into()), ..self }
    }

    /// The same, about this event.
    #[must_use]
    pub fn with_event(self, event: EventId) -> Self {
        Self { event_id: Some(event), ..self }
    }

    /// The same, about this parameter.
    #[must_use]
    pub fn with_field(self, field: &str) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// The same, to be retried after `ms` milliseconds.
    #[must_use]
    pub fn with_retry_after_ms(self, ms: u64) -> Self {
        Self { retryable: true, retry_after_ms: Some(ms), ..self }
    }

    /// The same, with other advice.
    #[must_use]
    pub fn with_help(self, help: impl fmt::Display) -> Self {
        Self { help: help.to_string().into(), ..self }
    }
}

/// The JSON-RPC error object.
#[derive(Deserialize, Serialize)]
struct Wire {
    code: i32,
    message: String,
    /// Absent, or of another shape, where the JSON-RPC library answered before any method was reached.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "ours_or_none")]
    data: Option<ErrorData>,
}

/// `error.data`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ErrorData {
    /// What went wrong: the stable word.
    pub kind: String,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// Milliseconds to wait before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Stable code of the rule that refused an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The event that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<Text<EventId>>,
    /// The parameter that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What the caller can do.
    pub help: String,
}

fn ours_or_none<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<ErrorData>, D::Error> {
    let value = serde_json::Value::deserialize(from)?;
    Ok(serde_json::from_value(value).ok())
}

impl From<RpcError> for ErrorData {
    fn from(error: RpcError) -> Self {
        Self {
            kind: error.kind.as_str().to_owned(),
            retryable: error.retryable,
            retry_after_ms: error.retry_after_ms,
            code: error.code.map(String::from),
            event_id: error.event_id.map(Text),
            field: error.field.map(String::from),
            help: error.help.into(),
        }
    }
}

impl From<RpcError> for Wire {
    fn from(error: RpcError) -> Self {
        let (code, message) = (error.kind.code(), error.message.to_string());
        Self { code, message, data: Some(error.into()) }
    }
}

impl From<Wire> for RpcError {
    fn from(wire: Wire) -> Self {
        let by_code = || ErrorKind::from_code(wire.code).unwrap_or(ErrorKind::Internal);
        let Some(data) = wire.data else { return Self::new(by_code(), wire.message) };
        Self {
            // A kind that a newer server knows still has a number, and its own advice.
            kind: ErrorKind::from_text(&data.kind).unwrap_or_else(by_code),
            message: wire.message.into(),
            retryable: data.retryable,
            retry_after_ms: data.retry_after_ms,
            code: data.code.map(String::into),
            event_id: data.event_id.map(|event| event.0),
            field: data.field.map(String::into),
            help: data.help.into(),
        }
    }
}

#[cfg(any(feature = "server", feature = "client"))]
mod object {
    use jsonrpsee::types::{ErrorObject, ErrorObjectOwned};

    use super::{ErrorData, RpcError, Wire};

    impl From<RpcError> for ErrorObjectOwned {
        fn from(error: RpcError) -> Self {
            let (code, message) = (error.kind.code(), error.message.to_string());
            ErrorObject::owned(code, message, Some(ErrorData::from(error)))
        }
    }

    impl From<&ErrorObject<'_>> for RpcError {
        fn from(object: &ErrorObject<'_>) -> Self {
            let data = object.data().and_then(|raw| serde_json::from_str(raw.get()).ok());
            Wire { code: object.code(), message: object.message().to_owned(), data }.into()
        }
    }
}

#[cfg(test)]
impl schemars::JsonSchema for RpcError {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Error".into()
    }

    fn json_schema(of: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "description": "a JSON-RPC error object",
            "required": ["code", "message"],
            "properties": {
                "code": { "type": "integer" },
                "message": { "type": "string" },
                "data": of.subschema_for::<ErrorData>(),
            },
        })
    }
}
