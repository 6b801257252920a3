//! Keys under which events are signed: Ed25519, or P-256 for devices whose secure element has nothing else.
//!
//! Each algorithm has one strict rule. Ed25519: `verify_strict` ([`crate::key`]). P-256: ECDSA with SHA-256,
//! `ESP256` in COSE (RFC 9864), and of the two forms of a signature only the one with the lower `s`
//! ([`crate::es256`]). A key's algorithm shows in its length: 32 bytes, or the 65 of an uncompressed point.

use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;

use crate::codec::{DecodeError, Reader};
use crate::digest::{decode_hex, write_hex};
use crate::es256::{Es256Key, Es256SecretKey, PreparedEs256Key};
use crate::key::{BadSignature, PreparedPublicKey, PublicKey, SecretKey, Signature};

/// How an event is signed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Algorithm {
    /// Ed25519 (RFC 8032).
    #[default]
    Ed25519,
    /// ECDSA on P-256 with SHA-256.
    P256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Ed25519, Self::P256];

    /// The COSE algorithm: "Ed25519" or "ESP256" (RFC 9864).
    pub const fn cose(self) -> i64 {
        match self {
            Self::Ed25519 => -19,
            Self::P256 => -9,
        }
    }

    /// The one with this COSE number.
    pub fn from_cose(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.cose() == number)
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::P256 => "p256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not the word for an algorithm.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("neither ed25519 nor p256")]
pub struct BadAlgorithm;

impl FromStr for Algorithm {
    type Err = BadAlgorithm;

    fn from_str(text: &str) -> Result<Self, BadAlgorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text).ok_or(BadAlgorithm)
    }
}

/// The public key of a device, or of a member.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum SignerKey {
    /// Of 32 bytes.
    Ed25519(PublicKey),
    /// Of 65 bytes: 0x04 and the two coordinates.
    P256(Es256Key),
}

/// Bytes that are no key of either algorithm.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "neither an Ed25519 public key (32 bytes, canonical, in the prime-order group) nor one on P-256 (65 bytes \
     of an uncompressed point)"
)]
pub struct BadSignerKey;

impl SignerKey {
    /// A key from 32 or 65 bytes.
    ///
    /// # Errors
    /// When they are no acceptable key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadSignerKey> {
        if let Ok(bytes) = bytes.try_into() {
            return PublicKey::from_bytes(bytes).map(Self::Ed25519).map_err(|_| BadSignerKey);
        }
        let bytes = bytes.try_into().map_err(|_| BadSignerKey)?;
        Es256Key::from_bytes(bytes).map(Self::P256).map_err(|_| BadSignerKey)
    }

    /// A key out of bytes that this program wrote itself, as [`PublicKey::from_own_bytes`]. None where the
    /// length is that of no key.
    pub fn from_own_bytes(bytes: &[u8]) -> Option<Self> {
        if let Ok(bytes) = bytes.try_into() {
            return Some(Self::Ed25519(PublicKey::from_own_bytes(bytes)));
        }
        bytes.try_into().ok().map(|bytes| Self::P256(Es256Key::from_own_bytes(bytes)))
    }

    /// The 32 or 65 bytes.
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(key) => key.as_bytes(),
            Self::P256(key) => key.as_bytes(),
        }
    }

    /// What it signs by.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::P256(_) => Algorithm::P256,
        }
    }

    /// COSE key id: the first 8 bytes of the key's thumbprint (RFC 9679, 3).
    pub fn key_id(&self) -> [u8; 8] {
        match self {
            Self::Ed25519(key) => key.key_id(),
            Self::P256(key) => key.key_id(),
        }
    }

    /// Checks `signature` over `message` by the strict rule of the algorithm.
    ///
    /// # Errors
    /// When the signature does not hold, or is not in the one form that is taken.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        match self {
            Self::Ed25519(key) => key.verify(message, signature),
            Self::P256(key) => key.verify(message, signature),
        }
    }

    /// Reads a key out of a canonical encoding.
    ///
    /// # Errors
    /// When the next item is not the bytes of an acceptable key.
    pub fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = from.bytes()?;
        Self::from_bytes(bytes).map_err(|e| from.error(e))
    }

    /// Reads a key as [`Self::from_own_bytes`].
    ///
    /// # Errors
    /// When the next item has the length of no key.
    pub fn read_own(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = from.bytes()?;
        Self::from_own_bytes(bytes).ok_or_else(|| from.error(BadSignerKey))
    }
}

impl From<PublicKey> for SignerKey {
    fn from(key: PublicKey) -> Self {
        Self::Ed25519(key)
    }
}

impl From<Es256Key> for SignerKey {
    fn from(key: Es256Key) -> Self {
        Self::P256(key)
    }
}

impl fmt::Display for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.as_bytes())
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ed25519(key) => key.fmt(f),
            Self::P256(key) => key.fmt(f),
        }
    }
}

impl FromStr for SignerKey {
    type Err = BadSignerKey;

    fn from_str(text: &str) -> Result<Self, BadSignerKey> {
        Self::from_bytes(&decode_hex(text).ok_or(BadSignerKey)?)
    }
}

/// The private key of a device, or of a member. Never printed: its `Debug` shows the public half.
#[derive(Clone)]
pub enum SignerSecret {
    /// Ed25519.
    Ed25519(SecretKey),
    /// On P-256.
    P256(Es256SecretKey),
}

impl SignerSecret {
    /// The key with this RFC 8032 seed, or this scalar. None where the scalar is zero or not below the order
    /// of the curve: one number in four thousand million.
    pub fn from_seed(algorithm: Algorithm, seed: [u8; 32]) -> Option<Self> {
        match algorithm {
            Algorithm::Ed25519 => Some(Self::Ed25519(SecretKey::from_seed(seed))),
            Algorithm::P256 => Es256SecretKey::from_scalar(seed).ok().map(Self::P256),
        }
    }

    /// The seed or the scalar. Secret: for key files only.
    pub fn to_seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
        match self {
            Self::Ed25519(key) => key.to_seed(),
            Self::P256(key) => key.to_scalar(),
        }
    }

    /// The public half.
    pub fn public(&self) -> SignerKey {
        match self {
            Self::Ed25519(key) => key.public().into(),
            Self::P256(key) => key.public().into(),
        }
    }

    /// Signs `message`; deterministic (RFC 8032, RFC 6979), with the lower `s` on P-256.
    pub fn sign(&self, message: &[u8]) -> Signature {
        match self {
            Self::Ed25519(key) => key.sign(message),
            Self::P256(key) => key.sign(message),
        }
    }
}

impl fmt::Debug for SignerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerSecret(public {})", self.public())
    }
}

impl From<SecretKey> for SignerSecret {
    fn from(key: SecretKey) -> Self {
        Self::Ed25519(key)
    }
}

/// Who can sign events.
pub trait SignsEvents {
    /// The public half.
    fn public(&self) -> SignerKey;

    /// Signs `message`; deterministic.
    fn sign(&self, message: &[u8]) -> Signature;
}

impl SignsEvents for SignerSecret {
    fn public(&self) -> SignerKey {
        self.public()
    }

    fn sign(&self, message: &[u8]) -> Signature {
        self.sign(message)
    }
}

impl SignsEvents for SecretKey {
    fn public(&self) -> SignerKey {
        self.public().into()
    }

    fn sign(&self, message: &[u8]) -> Signature {
        self.sign(message)
    }
}

/// What checks signatures of events: a key, or a key that was prepared for many of them.
pub trait Verifies {
    /// As [`SignerKey::key_id`].
    fn key_id(&self) -> [u8; 8];

    /// As [`SignerKey::algorithm`].
    fn algorithm(&self) -> Algorithm;

    /// Checks `signature` over `message`, as [`SignerKey::verify`].
    ///
    /// # Errors
    /// When the signature does not hold.
    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature>;
}

impl Verifies for SignerKey {
    fn key_id(&self) -> [u8; 8] {
        Self::key_id(self)
    }

    fn algorithm(&self) -> Algorithm {
        Self::algorithm(self)
    }

    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        Self::verify(self, message, signature)
    }
}

/// A key with its point and its id at hand: finding them anew costs a tenth of each check.
#[derive(Clone)]
pub struct PreparedKey {
    id: [u8; 8],
    point: Point,
}

#[derive(Clone)]
enum Point {
    Ed25519(PreparedPublicKey),
    P256(PreparedEs256Key),
}

impl PreparedKey {
    /// Prepares a key.
    ///
    /// # Errors
    /// When its bytes are no point; a key that was checked when it came in is one.
    pub fn new(key: &SignerKey) -> Result<Self, BadSignerKey> {
        let point = match key {
            SignerKey::Ed25519(key) => {
                Point::Ed25519(PreparedPublicKey::new(key).map_err(|_| BadSignerKey)?)
            }
            SignerKey::P256(key) => {
                Point::P256(PreparedEs256Key::new(key).map_err(|_| BadSignerKey)?)
            }
        };
        Ok(Self { id: key.key_id(), point })
    }
}

impl Verifies for PreparedKey {
    fn key_id(&self) -> [u8; 8] {
        self.id
    }

    fn algorithm(&self) -> Algorithm {
        match self.point {
            Point::Ed25519(_) => Algorithm::Ed25519,
            Point::P256(_) => Algorithm::P256,
        }
    }

    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        match &self.point {
            Point::Ed25519(point) => point.verify(message, signature),
            Point::P256(point) => point.verify(message, signature),
        }
    }
}

impl<T: Verifies> Verifies for Arc<T> {
    fn key_id(&self) -> [u8; 8] {
        (**self).key_id()
    }

    fn algorithm(&self) -> Algorithm {
        (**self).algorithm()
    }

    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        (**self).verify(message, signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    fn keys() -> [SignerSecret; 2] {
        Algorithm::ALL.map(|algorithm| SignerSecret::from_seed(algorithm, [7; 32]).unwrap())
    }

    #[test]
    fn a_prepared_key_gives_the_verdicts_of_the_key() {
        for key in keys() {
            let signature = key.sign(b"offer");
            let prepared = PreparedKey::new(&key.public()).unwrap();
            let public = key.public();
            assert_eq!(prepared.key_id(), public.key_id());
            assert_eq!(Verifies::algorithm(&prepared), public.algorithm());
            assert_eq!(prepared.verify(b"offer", &signature), Ok(()));
            assert_eq!(public.verify(b"offer", &signature), Ok(()));
            assert_eq!(prepared.verify(b"0ffer", &signature), Err(BadSignature));
            assert_eq!(public.verify(b"0ffer", &signature), Err(BadSignature));
        }
    }

    #[test]
    fn a_key_of_one_algorithm_takes_no_signature_of_the_other() {
        let [ed25519, p256] = keys();
        assert_eq!(ed25519.public().verify(b"x", &p256.sign(b"x")), Err(BadSignature));
        assert_eq!(p256.public().verify(b"x", &ed25519.sign(b"x")), Err(BadSignature));
        assert_ne!(ed25519.public().key_id(), p256.public().key_id());
    }

    #[test]
    fn the_text_and_the_bytes_of_a_key_are_those_of_its_algorithm() {
        for (key, length) in keys().into_iter().zip([32, 65]) {
            let public = key.public();
            assert_eq!(public.as_bytes().len(), length);
            assert_eq!(SignerKey::from_bytes(public.as_bytes()), Ok(public));
            assert_eq!(SignerKey::from_own_bytes(public.as_bytes()), Some(public));
            assert_eq!(public.to_string().parse(), Ok(public));
            let shorter = &public.as_bytes()[1..];
            assert_eq!(SignerKey::from_bytes(shorter), Err(BadSignerKey));
            assert_eq!(SignerKey::from_own_bytes(shorter), None);
        }
    }

    #[test]
    fn debug_never_shows_a_seed() {
        for algorithm in Algorithm::ALL {
            let key = SignerSecret::from_seed(algorithm, [0xab; 32]).unwrap();
            assert!(!alloc::format!("{key:?}").contains("abab"));
        }
    }

    #[test]
    fn each_algorithm_has_a_word_and_a_number() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
            assert_eq!(Algorithm::from_cose(algorithm.cose()), Some(algorithm));
        }
        // ES256 says nothing of the curve (RFC 9864): it is none of ours.
        assert_eq!(Algorithm::from_cose(-7), None);
        assert_eq!("es256".parse::<Algorithm>(), Err(BadAlgorithm));
    }
}
