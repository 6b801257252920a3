//! A claim: what a new device says of itself, as one string that its member enrols it by.
//!
//! The string holds nothing secret. The device's key signs the network and the device's whole name, as an
//! enrolment demands, so a claim is good for one device of one member on one network. A checksum tells a
//! slip of the hand from a forgery.
//!
//! Invariant: whoever holds a [`Claim`] that was read knows that its key was used to make it.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use crate::digest::{Digest, NetworkId};
use crate::event::{Subject, possession_message};
use crate::key::Signature;
use crate::party::SignerId;
use crate::signer_key::{SignerKey, SignsEvents};

/// What a claim string begins with.
pub const CLAIM_PREFIX: &str = "consign1dev-";

/// Characters of a claim string.
pub const CLAIM_CHARS_MAX: usize = 384;

const CHECKSUM_BYTES: usize = 4;

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What a device is. It suggests what to enrol it for, and decides nothing.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum DeviceClass { $($(#[$doc])* $name,)* }

        impl DeviceClass {
            /// All classes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

classes! {
    /// In somebody's hand: a handheld, a phone.
    Scanner = "scanner",
    /// Signs for what passes it: a conveyor, a dock door.
    Gateway = "gateway",
    /// In a truck, a van, a ship.
    Vehicle = "vehicle",
    /// A locker or a pick-up point.
    Locker = "locker",
    /// Measures what is around a unit.
    Sensor = "sensor",
    /// A desk, or another program of the member's.
    Office = "office",
}

/// Not the word for a class of device.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is no class of device: scanner, gateway, vehicle, locker, sensor or office")]
pub struct BadClass(String);

impl FromStr for DeviceClass {
    type Err = BadClass;

    fn from_str(text: &str) -> Result<Self, BadClass> {
        let found = Self::ALL.iter().copied().find(|class| class.as_str() == text);
        // What came in may be long; what goes out is bounded.
        found.ok_or_else(|| BadClass(text.chars().take(32).collect()))
    }
}

impl fmt::Display for DeviceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a new device says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    network: NetworkId,
    device: SignerId,
    class: DeviceClass,
    key: SignerKey,
    possession: Signature,
}

/// Why a string is not a claim.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadClaim {
    /// Something else altogether.
    #[error("a claim begins with {CLAIM_PREFIX} and has {CLAIM_CHARS_MAX} characters at most")]
    NotAClaim,
    /// A character is wrong, missing or too many.
    #[error("the claim is damaged: its checksum does not fit; copy the whole string again")]
    Damaged,
    /// The checksum fits, and what it covers is no claim.
    #[error("the claim does not decode")]
    Malformed(#[from] DecodeError),
    /// A member's own key is not a device.
    #[error("{0} is a member, not a device")]
    Member(SignerId),
    /// Nobody showed that the key is held.
    #[error("the claim does not show that {0} holds its key")]
    NoPossession(SignerId),
}

impl Claim {
    /// The claim of a device with this key.
    ///
    /// # Errors
    /// When `device` names a member.
    pub fn new(
        network: NetworkId,
        device: SignerId,
        class: DeviceClass,
        key: &impl SignsEvents,
    ) -> Result<Self, BadClaim> {
        if device.is_member() {
            return Err(BadClaim::Member(device));
        }
        let subject = Subject::Signer(device.clone());
        let possession = key.sign(&possession_message(network, &subject, &key.public()));
        Ok(Self { network, device, class, key: key.public(), possession })
    }

    /// The network that it is for.
    pub const fn network(&self) -> NetworkId {
        self.network
    }

    /// The device's whole name.
    pub const fn device(&self) -> &SignerId {
        &self.device
    }

    /// What the device is.
    pub const fn class(&self) -> DeviceClass {
        self.class
    }

    /// Its key.
    pub const fn key(&self) -> SignerKey {
        self.key
    }

    /// The key's signature over [`possession_message`].
    pub const fn possession(&self) -> Signature {
        self.possession
    }

    fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
        let digest = Digest::of(&[b"consign/claim/v1\0", bytes]).0;
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

impl Canonical for Claim {
    const WHAT: &'static str = "claim";
    const BYTES_MAX: usize = 264;

    fn write(&self, to: &mut Writer<'_>) {
        to.array(5).sure().bytes(self.network.as_bytes()).sure();
        to.str(&self.device.to_string()).sure().str(self.class.as_str()).sure();
        to.bytes(self.key.as_bytes()).sure().bytes(&self.possession.0).sure();
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.array_of(5)?;
        Ok(Self {
            network: NetworkId(from.digest()?),
            device: from.parse()?,
            class: from.parse()?,
            key: SignerKey::read(from)?,
            possession: Signature(from.bytes_of()?),
        })
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.to_bytes();
        let checksum = Self::checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        write!(f, "{CLAIM_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Claim {
    type Err = BadClaim;

    fn from_str(text: &str) -> Result<Self, BadClaim> {
        let body = text.strip_prefix(CLAIM_PREFIX).ok_or(BadClaim::NotAClaim)?;
        if text.len() > CLAIM_CHARS_MAX {
            return Err(BadClaim::NotAClaim);
        }
        let bytes: Vec<u8> = URL_SAFE_NO_PAD.decode(body).map_err(|_| BadClaim::Damaged)?;
        let (bytes, checksum) = bytes.split_last_chunk().ok_or(BadClaim::Damaged)?;
        if Self::checksum(bytes) != *checksum {
            return Err(BadClaim::Damaged);
        }
        let claim = Self::from_bytes(bytes)?;
        if claim.device.is_member() {
            return Err(BadClaim::Member(claim.device));
        }
        let subject = Subject::Signer(claim.device.clone());
        let message = possession_message(claim.network, &subject, &claim.key);
        match claim.key.verify(&message, &claim.possession) {
            Ok(()) => Ok(claim),
            Err(_) => Err(BadClaim::NoPossession(claim.device)),
        }
    }
}
