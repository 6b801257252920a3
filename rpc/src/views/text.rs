//! Values of `consign-types` in JSON: as the text that each of them has exactly one of.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use consign_types::time::Millis;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A value that stands in JSON as its canonical text and is checked when it is read.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Text<T>(pub T);

impl<T> From<T> for Text<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T: fmt::Display> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: FromStr> FromStr for Text<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        text.parse().map(Self)
    }
}

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map(Self).map_err(de::Error::custom)
    }
}

/// Bytes that stand in JSON as standard base64 with padding (RFC 4648, section 4).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Base64(pub Vec<u8>);

/// Text that is not standard base64 with padding.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not standard base64 with padding: {0}")]
pub struct BadBase64(String);

impl fmt::Display for Base64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(&self.0))
    }
}

impl FromStr for Base64 {
    type Err = BadBase64;

    fn from_str(text: &str) -> Result<Self, BadBase64> {
        STANDARD.decode(text).map(Self).map_err(|e| BadBase64(e.to_string()))
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// A point in time, twice: for people and for programs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Moment {
    /// RFC 3339 in UTC with milliseconds.
    pub rfc3339: String,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub ms: u64,
}

impl From<Millis> for Moment {
    fn from(time: Millis) -> Self {
        Self { rfc3339: time.to_string(), ms: time.0 }
    }
}

#[cfg(test)]
mod schema {
    use std::borrow::Cow;

    use consign_types::cose_receipt::Algorithm;
    use consign_types::digest::{
        BlockId, Digest, EventId, LeafHash, MapRoot, NetworkId, SetHash, TreeRoot,
    };
    use consign_types::event::{DeliveryFactor, Kind, Label, Subject};
    use consign_types::key::PublicKey;
    use consign_types::party::{PartyId, SignerId};
    use consign_types::place::Place;
    use consign_types::signer_key::{self, SignerKey};
    use consign_types::unit::UnitId;
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Base64, Text};

    const HEX: &str = "^[0-9a-f]{64}$";
    const NAME: &str = "^[a-z][a-z0-9-]{0,31}$";

    macro_rules! texts {
        ($($type:ty, $name:literal, $pattern:expr, $what:literal;)*) => {$(
            impl JsonSchema for Text<$type> {
                fn schema_name() -> Cow<'static, str> {
                    $name.into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!({ "type": "string", "pattern": $pattern, "description": $what })
                }
            }
        )*};
    }

    texts! {
        Digest, "Digest", HEX, "32 bytes of SHA-256";
        NetworkId, "NetworkId", HEX, "name of a network: SHA-256 of its genesis document";
        EventId, "EventId", HEX, "name of an event, independent of its signature; also the idempotency key";
        LeafHash, "LeafHash", HEX, "RFC 6962 leaf hash of the exact bytes of an event";
        BlockId, "BlockId", HEX, "name of a block";
        TreeRoot, "TreeRoot", HEX, "Merkle tree hash of the log at some size";
        MapRoot, "MapRoot", HEX, "root of the unit map after some block";
        SetHash, "SetHash", HEX, "name of a validator set";
        PublicKey, "PublicKey", HEX, "Ed25519 public key";
        SignerKey, "SignerKey", "^([0-9a-f]{64}|04[0-9a-f]{128})$", "public key of a device or a member: Ed25519, or an uncompressed point of P-256";
        signer_key::Algorithm, "Algorithm", "^(ed25519|p256)$", "how events are signed";
        PartyId, "PartyId", NAME, "a member";
        SignerId, "SignerId", "^[a-z][a-z0-9-]{0,31}(\\.[a-z][a-z0-9-]{0,31})?$", "a device, as member.label, or a member's own key";
        Subject, "Subject", "^[!-~]{1,72}$", "a unit, or a device";
        UnitId, "UnitId", "^(00|01|s10|bic|trk)/[!-~]{1,68}$", "number of a unit; check digits are verified";
        Place, "Place", "^414/[0-9]{13}$", "a GLN";
        Label, "Label", "^[!-~]{1,35}$", "a seal id, or a conveyance";
        Kind, "Kind", "^[a-z-]+$", "kind of an event";
        Algorithm, "ReceiptAlgorithm", "^(ed25519|es256)$", "how a COSE receipt is signed";
        DeliveryFactor, "DeliveryFactor", "^[a-z-]+$", "what proves a delivery";
    }

    impl JsonSchema for Base64 {
        fn schema_name() -> Cow<'static, str> {
            "Base64".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "type": "string", "contentEncoding": "base64",
                "description": "standard base64 with padding (RFC 4648, section 4)",
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consign_types::digest::EventId;

    #[test]
    fn text_and_base64_are_checked_when_read() {
        let id = format!("{:?}", "ab".repeat(32));
        let event: Text<EventId> = serde_json::from_str(&id).expect("64 digits");
        assert_eq!(serde_json::to_string(&event).expect("text"), id);
        let error = serde_json::from_str::<Text<EventId>>("\"ab\"").expect_err("2 digits");
        assert!(error.to_string().contains("64 lower-case hexadecimal digits"), "{error}");

        assert_eq!("AAE=".parse(), Ok(Base64(vec![0, 1])));
        assert_eq!(Base64(vec![0, 1]).to_string(), "AAE=");
        for text in ["AAE", "AA-_", "A", "AAE=\n", "AAF="] {
            assert!(text.parse::<Base64>().is_err(), "{text:?}");
        }
    }
}
