//! ECDSA on P-256 with SHA-256 (FIPS 186-5; in COSE ES256, RFC 9053, 2.1, and ESP256, RFC 9864): for devices
//! that have nothing else, and for receipts that tools without Ed25519 check.
//!
//! Signing is deterministic (RFC 6979), and of the two forms that a signature has only the one with the lower
//! `s` is made and accepted, so that what is signed has one encoding.

use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::ecdsa::{self, SigningKey, VerifyingKey};

use crate::digest::{Digest, decode_hex, write_hex};
use crate::key::{BadSignature, Signature};

/// A public key on P-256: a point, not the identity, in the uncompressed form of SEC 1.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Es256Key([u8; 65]);

/// Bytes that are no key on P-256.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a P-256 key: 130 hexadecimal digits of an uncompressed point were expected")]
pub struct BadEs256Key;

/// A private key on P-256. Never printed: its `Debug` shows the public half.
#[derive(Clone)]
pub struct Es256SecretKey(SigningKey);

/// Half the order of the curve, rounded down: the highest `s` of the lower form.
const S_MAX: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

/// Whether `signature` is in the form with the higher `s`, which is not accepted.
pub fn is_high(signature: &Signature) -> bool {
    signature.0[32..] > S_MAX[..]
}

/// The form with the lower `s` of a signature; itself where it has that, or is none.
pub fn lowered(signature: &Signature) -> Signature {
    let parsed = ecdsa::Signature::from_slice(&signature.0);
    parsed.map_or(*signature, |parsed| Signature(parsed.normalize_s().to_bytes().into()))
}

impl Es256Key {
    /// A key from 0x04 and the two coordinates.
    ///
    /// # Errors
    /// When the bytes are no point of the curve.
    pub fn from_bytes(bytes: [u8; 65]) -> Result<Self, BadEs256Key> {
        VerifyingKey::from_sec1_bytes(&bytes).map_err(|_| BadEs256Key)?;
        Ok(Self(bytes))
    }

    /// A key out of bytes that this program wrote itself, from a key that was checked when it came in.
    pub const fn from_own_bytes(bytes: [u8; 65]) -> Self {
        Self(bytes)
    }

    /// 0x04 and the two coordinates.
    pub const fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }

    /// COSE key id: the first 8 bytes of the key's thumbprint, SHA-256 over the deterministic
    /// `COSE_Key` `{1: 2, -1: 1, -2: x, -3: y}` (RFC 9679, 3).
    pub fn key_id(&self) -> [u8; 8] {
        let (x, y) = self.0[1..].split_at(32);
        let head = [0xa4, 0x01, 0x02, 0x20, 0x01, 0x21, 0x58, 0x20];
        let digest = Digest::of(&[&head, x, &[0x22, 0x58, 0x20], y]);
        let mut id = [0; 8];
        id.copy_from_slice(&digest.0[..8]);
        id
    }

    /// Checks `signature` over `message`.
    ///
    /// # Errors
    /// When the signature does not hold, or is not in the form with the lower `s`.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        PreparedEs256Key::new(self).map_err(|_| BadSignature)?.verify(message, signature)
    }
}

/// A key with its point at hand.
#[derive(Clone)]
pub struct PreparedEs256Key(VerifyingKey);

impl PreparedEs256Key {
    /// Prepares a key.
    ///
    /// # Errors
    /// When its bytes are no point; a key that was checked when it came in is one.
    pub fn new(key: &Es256Key) -> Result<Self, BadEs256Key> {
        VerifyingKey::from_sec1_bytes(&key.0).map(Self).map_err(|_| BadEs256Key)
    }

    /// Checks `signature` over `message`, as [`Es256Key::verify`].
    ///
    /// # Errors
    /// When the signature does not hold, or is not in the form with the lower `s`.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        if is_high(signature) {
            return Err(BadSignature);
        }
        let parsed = ecdsa::Signature::from_slice(&signature.0).map_err(|_| BadSignature)?;
        self.0.verify(message, &parsed).map_err(|_| BadSignature)
    }
}

impl Es256SecretKey {
    /// The key whose scalar is `scalar`, most significant byte first.
    ///
    /// # Errors
    /// When the scalar is zero or not below the order of the curve.
    pub fn from_scalar(scalar: [u8; 32]) -> Result<Self, BadEs256Key> {
        SigningKey::from_slice(&scalar).map(Self).map_err(|_| BadEs256Key)
    }

    /// The scalar. Secret: for key files only.
    pub fn to_scalar(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes().into())
    }

    /// The public half.
    ///
    /// # Panics
    /// Never: a point of P-256 has 65 bytes in this form.
    pub fn public(&self) -> Es256Key {
        let point: Vec<u8> = self.0.verifying_key().to_sec1_point(false).as_bytes().to_vec();
        Es256Key(point.try_into().expect("an uncompressed point has 65 bytes"))
    }

    /// Signs `message`; deterministic, RFC 6979, with the lower `s`.
    pub fn sign(&self, message: &[u8]) -> Signature {
        let signature: ecdsa::Signature = self.0.sign(message);
        Signature(signature.normalize_s().to_bytes().into())
    }
}

impl fmt::Debug for Es256SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Es256SecretKey(public {})", self.public())
    }
}

impl fmt::Display for Es256Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Es256Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0[1..7])?;
        f.write_str("..")
    }
}

impl FromStr for Es256Key {
    type Err = BadEs256Key;

    fn from_str(text: &str) -> Result<Self, BadEs256Key> {
        let bytes = decode_hex(text).ok_or(BadEs256Key)?;
        Self::from_bytes(bytes.try_into().map_err(|_| BadEs256Key)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString as _;

    /// RFC 6979, A.2.5: key, message "sample", SHA-256. The signature there has the lower `s` negated.
    #[test]
    fn the_signature_of_rfc_6979_is_made_in_its_lower_form() {
        let scalar = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
        let scalar = decode_hex(scalar).unwrap().try_into().unwrap();
        let key = Es256SecretKey::from_scalar(scalar).unwrap();
        let x = "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6";
        let y = "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
        assert_eq!(key.public().to_string(), format!("04{x}{y}"));
        let r = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716";
        let high = "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
        let published: Signature = format!("{r}{high}").parse().unwrap();
        let made = key.sign(b"sample");
        assert_eq!(made.to_hex()[..64], *r);
        assert_ne!(made, published);
        assert_eq!(key.public().verify(b"sample", &made), Ok(()));
        assert_eq!(key.public().verify(b"sample", &published), Err(BadSignature));
        assert_eq!(key.public().verify(b"sampl3", &made), Err(BadSignature));
        assert_eq!((is_high(&published), is_high(&made)), (true, false));
        assert_eq!((lowered(&published), lowered(&made)), (made, made));
    }

    /// The order is odd: the highest `s` of the lower form and the lowest of the higher one are neighbours.
    #[test]
    fn the_lower_form_ends_at_half_the_order() {
        let mut bytes = [1; 64];
        bytes[32..].copy_from_slice(&S_MAX);
        let last = Signature(bytes);
        assert_eq!((is_high(&last), lowered(&last)), (false, last));
        bytes[63] += 1;
        assert_eq!((is_high(&Signature(bytes)), lowered(&Signature(bytes))), (true, last));
        let none = Signature([0xff; 64]);
        assert_eq!(lowered(&none), none, "no signature is left as it is");
    }

    #[test]
    fn what_is_no_point_is_no_key() {
        let key = Es256SecretKey::from_scalar([7; 32]).unwrap().public();
        assert_eq!(key.to_string().parse(), Ok(key));
        let mut bytes = *key.as_bytes();
        bytes[64] ^= 1;
        assert_eq!(Es256Key::from_bytes(bytes), Err(BadEs256Key));
        assert_eq!(Es256SecretKey::from_scalar([0; 32]).err(), Some(BadEs256Key));
        assert_eq!(Es256SecretKey::from_scalar([0xff; 32]).err(), Some(BadEs256Key));
    }
}
