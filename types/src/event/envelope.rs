//! The envelope: one tagged `COSE_Sign1` (RFC 9052, 4.2) around an event's payload.
//!
//! Protected header: algorithm, content type, key id and CWT claims `iss` and `sub` (RFC 9597);
//! unprotected header empty. Whoever decodes re-encodes and compares, so bytes are identity.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use minicbor::Encoder;
use minicbor::data::Tag;

use super::{Action, Event, payload};
use crate::codec::{DecodeError, Infallible as _, Reader, Writer};
use crate::digest::{Digest, EventId, LeafHash};
use crate::es256;
use crate::key::{BadSignature, Signature};
use crate::limits::{EVENT_BYTES_MAX, EVENT_BYTES_MAX_NESTED};
use crate::merkle;
use crate::party::SignerId;
use crate::signer_key::{Algorithm, SignerKey, SignsEvents, Verifies};

/// CBOR tag of a `COSE_Sign1`.
const TAG_SIGN1: u64 = 18;
/// Header label of the CWT claims (RFC 9597).
const LABEL_CWT: u8 = 15;
/// Content type of the payload.
const CONTENT_TYPE: &str = "application/consign-event+cbor";

/// One signed variant of an event, with its exact bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedEvent {
    event: Event,
    by: KeyName,
    signature: Signature,
    bytes: Vec<u8>,
    id: EventId,
    leaf: LeafHash,
}

/// How the protected header names the key: by its algorithm and its id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct KeyName {
    algorithm: Algorithm,
    id: [u8; 8],
}

impl KeyName {
    fn of(key: &SignerKey) -> Self {
        Self { algorithm: key.algorithm(), id: key.key_id() }
    }
}

/// An event whose signature, and those of the events inside of it, were checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified(SignedEvent);

impl SignedEvent {
    /// What this is called in an error message.
    pub const WHAT: &'static str = "event";

    /// Signs `event`.
    pub fn sign(event: Event, key: &impl SignsEvents) -> Self {
        let public = key.public();
        let signature = key.sign(&Self::to_sign(&event, &public));
        Self::assemble(event, KeyName::of(&public), signature)
    }

    /// What the private half of `key` signs to make `event` its own: the `Sig_structure` of RFC 9052, 4.4.
    pub fn to_sign(event: &Event, key: &SignerKey) -> Vec<u8> {
        sig_structure(&protected(event, KeyName::of(key)), &payload_of(event))
    }

    /// `event` with the signature that a key made elsewhere over [`Self::to_sign`]. Of the two forms of one on P-256
    /// either is taken, and the lower one kept.
    ///
    /// # Errors
    /// When it does not hold under `key`.
    pub fn signed_elsewhere(
        event: Event,
        key: &SignerKey,
        signature: Signature,
    ) -> Result<Self, BadSignature> {
        let signature = match key.algorithm() {
            Algorithm::P256 => es256::lowered(&signature),
            Algorithm::Ed25519 => signature,
        };
        key.verify(&Self::to_sign(&event, key), &signature)?;
        Ok(Self::assemble(event, KeyName::of(key), signature))
    }

    /// Reads one event from all of `bytes`. The signature is not checked yet.
    ///
    /// # Errors
    /// When the bytes are too many, malformed, or not the canonical encoding of an event.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_at(bytes, 0)
    }

    /// Reads one event that is handed in, as [`Self::decode`]. Of the two forms of a signature on P-256 either
    /// is taken, and the lower one kept, because few signing libraries choose: the id stays, the bytes change.
    /// Events inside have been signed over as they are.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_submitted(bytes: &[u8]) -> Result<Self, DecodeError> {
        let event = Self::decode_either_form(bytes, 0)?;
        if !event.is_high() {
            return Ok(event);
        }
        let signature = es256::lowered(&event.signature);
        let lowered = Self::assemble(event.event, event.by, signature);
        if lowered.is_high() { Err(lowered.high_error()) } else { Ok(lowered) }
    }

    /// Reads an event that is inside of `depth` others.
    pub(super) fn decode_at(bytes: &[u8], depth: u8) -> Result<Self, DecodeError> {
        let event = Self::decode_either_form(bytes, depth)?;
        if event.is_high() { Err(event.high_error()) } else { Ok(event) }
    }

    fn is_high(&self) -> bool {
        self.by.algorithm == Algorithm::P256 && es256::is_high(&self.signature)
    }

    fn high_error(&self) -> DecodeError {
        let why = "the signature is in the form with the higher s: n - s belongs there, n the curve's order";
        Reader::new(&self.bytes, Self::WHAT).error(why)
    }

    fn decode_either_form(bytes: &[u8], depth: u8) -> Result<Self, DecodeError> {
        let too_long = |max| DecodeError::TooLong { what: Self::WHAT, bytes: bytes.len(), max };
        if bytes.len() > EVENT_BYTES_MAX_NESTED {
            return Err(too_long(EVENT_BYTES_MAX_NESTED));
        }
        let mut from = Reader::new(bytes, Self::WHAT);
        from.tag(TAG_SIGN1)?;
        from.array_of(4)?;
        let protected = from.bytes()?;
        if from.map()? != 0 {
            return Err(from.error("the unprotected header is not empty"));
        }
        let payload = from.bytes()?;
        let signature = Signature(from.bytes_of()?);

        let (by, signer, subject) = read_protected(protected)?;
        let event = payload::read(&mut Reader::new(payload, "event payload"), signer, depth)?;
        if event.subject.to_string() != subject {
            return Err(from.error("the claim 'sub' is not the subject of the payload"));
        }
        let nested = event.action.kind().is_nested();
        if !nested && bytes.len() > EVENT_BYTES_MAX {
            return Err(too_long(EVENT_BYTES_MAX));
        }
        let decoded = Self::assemble(event, by, signature);
        if decoded.bytes != bytes {
            return Err(DecodeError::NotCanonical { what: Self::WHAT });
        }
        Ok(decoded)
    }

    fn assemble(event: Event, by: KeyName, signature: Signature) -> Self {
        let protected = protected(&event, by);
        let payload = payload_of(&event);
        let id = EventId(Digest::of(&[&sig_structure(&protected, &payload)]));
        let mut bytes = Vec::with_capacity(protected.len() + payload.len() + 80);
        let mut to = Encoder::new(&mut bytes);
        to.tag(Tag::new(TAG_SIGN1)).sure().array(4).sure().bytes(&protected).sure();
        to.map(0).sure().bytes(&payload).sure().bytes(&signature.0).sure();
        let leaf = merkle::leaf_hash(&bytes);
        Self { event, by, signature, bytes, id, leaf }
    }

    /// The content.
    pub const fn event(&self) -> &Event {
        &self.event
    }

    /// The exact bytes: the leaf data of the log.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The name of the content.
    pub const fn id(&self) -> EventId {
        self.id
    }

    /// The name of this signed variant.
    pub const fn leaf_hash(&self) -> LeafHash {
        self.leaf
    }

    /// The COSE key id in the protected header.
    pub const fn key_id(&self) -> [u8; 8] {
        self.by.id
    }

    /// The algorithm in the protected header.
    pub const fn algorithm(&self) -> Algorithm {
        self.by.algorithm
    }

    /// The signature.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Checks the signature under the keys that `key_of` knows for a signer and key id, here and in
    /// the events inside.
    ///
    /// # Errors
    /// [`NotVerified::UnknownKey`] where `key_of` knows none, [`NotVerified::Signature`] where it
    /// does not hold.
    pub fn verify<K: Verifies>(
        self,
        key_of: &mut impl FnMut(&SignerId, &[u8; 8]) -> Option<K>,
    ) -> Result<Verified, NotVerified> {
        self.check(key_of)?;
        Ok(Verified(self))
    }

    fn check<K: Verifies>(
        &self,
        key_of: &mut impl FnMut(&SignerId, &[u8; 8]) -> Option<K>,
    ) -> Result<(), NotVerified> {
        let signer = &self.event.signer;
        let key =
            key_of(signer, &self.by.id).ok_or_else(|| NotVerified::UnknownKey(signer.clone()))?;
        self.check_with(&key).map_err(|_| NotVerified::Signature(signer.clone()))?;
        self.event.action.inner().try_for_each(|inner| inner.check(key_of))
    }

    /// Checks this event's own signature under `key`.
    ///
    /// # Errors
    /// When the signature does not hold, or the key id or algorithm in the header is not that of `key`.
    pub fn check_with(&self, key: &impl Verifies) -> Result<(), BadSignature> {
        if key.key_id() != self.by.id || key.algorithm() != self.by.algorithm {
            return Err(BadSignature);
        }
        let protected = protected(&self.event, self.by);
        key.verify(&sig_structure(&protected, &payload_of(&self.event)), &self.signature)
    }
}

/// Why an event's signatures could not be taken as checked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotVerified {
    /// No key is known for this signer and key id.
    #[error("no key of {0} with the key id in the event is known here")]
    UnknownKey(SignerId),
    /// A signature that does not hold.
    #[error("the signature of {0} does not match the event's bytes")]
    Signature(SignerId),
}

impl Verified {
    /// The event.
    pub const fn signed(&self) -> &SignedEvent {
        &self.0
    }

    /// The content.
    pub const fn event(&self) -> &Event {
        &self.0.event
    }

    /// The event by value.
    pub fn into_signed(self) -> SignedEvent {
        self.0
    }

    /// The offer and the acceptance inside of a handover; their signatures were checked with it.
    pub fn inner(&self) -> Option<(Self, Self)> {
        match &self.0.event.action {
            Action::Handover { offer, acceptance } => {
                Some((Self((**offer).clone()), Self((**acceptance).clone())))
            }
            _ => None,
        }
    }
}

fn payload_of(event: &Event) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(160);
    payload::write(event, &mut Encoder::new(&mut bytes));
    bytes
}

fn protected(event: &Event, by: KeyName) -> Vec<u8> {
    let mut bytes = header_start(&event.signer, by.algorithm, by.id);
    Encoder::new(&mut bytes).u8(2).sure().str(&event.subject.to_string()).sure();
    bytes
}

/// How the protected header of every event begins that `signer` signs under the key of this algorithm and id:
/// all of it but the subject. A format that holds many events can say it once.
pub fn header_start(signer: &SignerId, algorithm: Algorithm, key_id: [u8; 8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    let mut to: Writer<'_> = Encoder::new(&mut bytes);
    to.map(4).sure().u8(1).sure().i64(algorithm.cose()).sure();
    to.u8(3).sure().str(CONTENT_TYPE).sure();
    to.u8(4).sure().bytes(&key_id).sure();
    to.u8(LABEL_CWT).sure().map(2).sure();
    to.u8(1).sure().str(&signer.to_string()).sure();
    bytes
}

type Claims<'a> = (KeyName, SignerId, &'a str);

fn read_protected(bytes: &[u8]) -> Result<Claims<'_>, DecodeError> {
    let mut from = Reader::new(bytes, "event header");
    let label = |from: &mut Reader<'_>, label: u8| match from.u8()? {
        found if found == label => Ok(()),
        found => Err(from.error(alloc::format!("label {found} where {label} belongs"))),
    };
    if from.map()? != 4 {
        return Err(from.error("not the four labels 1, 3, 4 and 15"));
    }
    label(&mut from, 1)?;
    let alg = from.i64()?;
    let algorithm = Algorithm::from_cose(alg);
    let algorithm = algorithm.ok_or_else(|| {
        from.error(alloc::format!("algorithm {alg} is neither -19 (Ed25519) nor -9 (ESP256)"))
    })?;
    label(&mut from, 3)?;
    if from.text()? != CONTENT_TYPE {
        return Err(from.error("another content type"));
    }
    label(&mut from, 4)?;
    let id = from.bytes_of()?;
    label(&mut from, LABEL_CWT)?;
    if from.map()? != 2 {
        return Err(from.error("not the two claims 'iss' and 'sub'"));
    }
    label(&mut from, 1)?;
    let signer = from.parse()?;
    label(&mut from, 2)?;
    let subject = from.text()?;
    if from.remaining() != 0 {
        return Err(from.error("bytes after the header"));
    }
    Ok((KeyName { algorithm, id }, signer, subject))
}

/// What is signed (RFC 9052, 4.4), with no external data.
fn sig_structure(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(protected.len() + payload.len() + 24);
    let mut to = Encoder::new(&mut bytes);
    to.array(4).sure().str("Signature1").sure();
    to.bytes(protected).sure().bytes(&[]).sure().bytes(payload).sure();
    bytes
}
