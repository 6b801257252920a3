//! Ed25519 keys and signatures, under one rule.
//!
//! `verify_strict`, one signature at a time, everywhere: what it accepts, every other implementation
//! accepts too, so no outside auditor can refuse what the ledger took. A [`PublicKey`] is canonical
//! and torsion-free by construction; bytes that are not never become one.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use curve25519_dalek::edwards::CompressedEdwardsY;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

use crate::codec::{DecodeError, Reader};
use crate::digest::{BadHex, Digest, decode_hex, encode_hex, write_hex};

/// A public key that enrolment may accept: canonical, of the prime-order group, not the identity.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PublicKey([u8; 32]);

/// Bytes that are not an acceptable public key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an Ed25519 public key in canonical form and in the prime-order group")]
pub struct BadKey;

/// A signature that does not hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("signature does not match key and message")]
pub struct BadSignature;

/// 64 bytes of an Ed25519 signature.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Signature(pub [u8; 64]);

/// A private key. Never printed: its `Debug` shows the public half.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl PublicKey {
    /// A key from its 32 bytes.
    ///
    /// # Errors
    /// When the bytes are no point, not its canonical encoding, or the point has a torsion component.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, BadKey> {
        let point = CompressedEdwardsY(bytes).decompress().ok_or(BadKey)?;
        let canonical = point.compress().0 == bytes;
        if canonical && point.is_torsion_free() && !point.is_small_order() {
            Ok(Self(bytes))
        } else {
            Err(BadKey)
        }
    }

    /// A key out of bytes that this program wrote itself, from a key that was checked when it came in.
    /// Checking again costs as much as a signature. Never for bytes from outside.
    pub const fn from_own_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Checks `signature` over `message` with `verify_strict`.
    ///
    /// # Errors
    /// When the signature does not hold.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        PreparedPublicKey::new(self).map_err(|_| BadSignature)?.verify(message, signature)
    }

    /// COSE key id: the first 8 bytes of the key's thumbprint, SHA-256 over the deterministic
    /// `COSE_Key` `{1: 1, -1: 6, -2: x}` (RFC 9679, 3).
    pub fn key_id(&self) -> [u8; 8] {
        let head = [0xa3, 0x01, 0x01, 0x20, 0x06, 0x21, 0x58, 0x20];
        let digest = Digest::of(&[&head, &self.0]);
        let mut id = [0; 8];
        id.copy_from_slice(&digest.0[..8]);
        id
    }

    /// Reads a key out of a canonical encoding.
    ///
    /// # Errors
    /// When the next item is not 32 bytes of an acceptable key.
    pub fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = from.bytes_of()?;
        Self::from_bytes(bytes).map_err(|e| from.error(e))
    }
}

/// A key with its point at hand.
#[derive(Clone)]
pub struct PreparedPublicKey(VerifyingKey);

impl PreparedPublicKey {
    /// Prepares a key.
    ///
    /// # Errors
    /// When its bytes are no point; a key that was checked when it came in is one.
    pub fn new(key: &PublicKey) -> Result<Self, BadKey> {
        VerifyingKey::from_bytes(&key.0).map(Self).map_err(|_| BadKey)
    }

    /// Checks `signature` over `message`, as [`PublicKey::verify`].
    ///
    /// # Errors
    /// When the signature does not hold.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(message, &signature).map_err(|_| BadSignature)
    }
}

impl SecretKey {
    /// The key whose RFC 8032 seed is `seed`.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The RFC 8032 seed. Secret: for key files only.
    pub fn to_seed(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message`; deterministic, RFC 8032.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

/// Whoever signs with one Ed25519 key: the key itself, or what keeps it and never gives it away, such as a
/// hardware module. One that can sign no more panics: a node that cannot sign stops.
///
/// Whether something may be signed is decided before it comes here.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The public half.
    fn public(&self) -> PublicKey;

    /// Signs `message`; deterministic, RFC 8032.
    fn sign(&self, message: &[u8]) -> Signature;
}

impl Signer for SecretKey {
    fn public(&self) -> PublicKey {
        self.public()
    }

    fn sign(&self, message: &[u8]) -> Signature {
        self.sign(message)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(public {})", self.public())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0[..6])?;
        f.write_str("..")
    }
}

impl FromStr for PublicKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let bytes = decode_hex(text).ok_or(BadKey)?;
        Self::from_bytes(bytes.try_into().map_err(|_| BadKey)?)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0[..6])?;
        f.write_str("..")
    }
}

impl FromStr for Signature {
    type Err = BadHex;

    fn from_str(text: &str) -> Result<Self, BadHex> {
        let bytes = decode_hex(text).ok_or(BadHex)?;
        Ok(Self(bytes.try_into().map_err(|_| BadHex)?))
    }
}

impl Signature {
    /// Lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        encode_hex(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_signature_holds_for_its_message_and_no_other() {
        let key = SecretKey::from_seed([7; 32]);
        let signature = key.sign(b"offer");
        assert_eq!(key.public().verify(b"offer", &signature), Ok(()));
        assert_eq!(key.public().verify(b"0ffer", &signature), Err(BadSignature));
    }

    #[test]
    fn keys_outside_the_prime_order_group_are_refused() {
        // The identity, a point of order 8, and y = p (a non-canonical zero).
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(PublicKey::from_bytes(identity), Err(BadKey));
        let order_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
        assert_eq!(order_8.parse::<PublicKey>(), Err(BadKey));
        let non_canonical = "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
        assert_eq!(non_canonical.parse::<PublicKey>(), Err(BadKey));
    }

    #[test]
    fn debug_never_shows_a_seed() {
        let key = SecretKey::from_seed([0xab; 32]);
        assert!(!alloc::format!("{key:?}").contains("abab"));
        assert_eq!(key.public().to_string().parse(), Ok(key.public()));
    }
}
