//! A second valid signature over the same content, as anybody can make who holds the key.
//!
//! Ed25519 as RFC 8032 has it gives one signature for a message; a signer that takes another nonce gives
//! another, and both verify. Content and event id are the same, the bytes and the leaf hash are not.

use consign_types::event::SignedEvent;
use consign_types::key::SecretKey;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use minicbor::Encoder;
use sha2::{Digest as _, Sha512};

use super::key;

/// Another signed variant of `event`.
pub fn variant(event: &SignedEvent) -> SignedEvent {
    let secret = key(&event.event().signer.to_string());
    let signature = sign_with_nonce(&secret, &to_be_signed(event), b"another nonce");
    let variant = with_signature(event, &signature);
    assert_eq!(variant.id(), event.id());
    assert_ne!(variant.leaf_hash(), event.leaf_hash());
    variant
}

/// The event with a signature that does not hold.
pub fn spoiled(event: &SignedEvent) -> SignedEvent {
    let mut signature = event.signature().0;
    signature[0] ^= 1;
    with_signature(event, &signature)
}

/// The signature is what an event's bytes end in.
fn with_signature(event: &SignedEvent, signature: &[u8; 64]) -> SignedEvent {
    let (content, _) = event.bytes().split_at(event.bytes().len() - 64);
    SignedEvent::decode(&[content, signature].concat()).unwrap()
}

/// The COSE `Sig_structure`, taken out of the event's bytes.
fn to_be_signed(event: &SignedEvent) -> Vec<u8> {
    let mut from = minicbor::Decoder::new(event.bytes());
    from.tag().unwrap();
    from.array().unwrap();
    let protected = from.bytes().unwrap();
    from.map().unwrap();
    let payload = from.bytes().unwrap();
    let mut bytes = Vec::new();
    let mut to = Encoder::new(&mut bytes);
    to.array(4).unwrap().str("Signature1").unwrap();
    to.bytes(protected).unwrap().bytes(&[]).unwrap().bytes(payload).unwrap();
    bytes
}

/// RFC 8032, 5.1.6, with the nonce from `salt` instead of the key's prefix.
fn sign_with_nonce(secret: &SecretKey, message: &[u8], salt: &[u8]) -> [u8; 64] {
    let hash = |parts: &[&[u8]]| -> [u8; 64] {
        let mut hasher = Sha512::new();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finalize().into()
    };
    let expanded = hash(&[&secret.to_seed()[..]]);
    let lower = expanded.first_chunk::<32>().copied().unwrap();
    let scalar = Scalar::from_bytes_mod_order(clamp_integer(lower));
    let nonce = Scalar::from_bytes_mod_order_wide(&hash(&[salt, message]));
    let commitment = EdwardsPoint::mul_base(&nonce).compress().0;
    let public = secret.public();
    let challenge = hash(&[&commitment, public.as_bytes(), message]);
    let response = nonce + Scalar::from_bytes_mod_order_wide(&challenge) * scalar;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&commitment);
    signature[32..].copy_from_slice(&response.to_bytes());
    signature
}
