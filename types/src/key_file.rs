//! Files of private keys: one key each, in the clear or under a passphrase.
//!
//! In the clear, one line: `consign-key-v1 <purpose> <seed as 64 hexadecimal digits>`. Under a passphrase,
//! a line `consign-key-v2 <purpose> <public key>` and PKCS#8 (RFC 5958) in PBES2 (RFC 8018), as PEM, which
//! `openssl pkey` reads. The purpose stands in the file so that a key cannot be used for what it was not
//! made for; the public key, so that it can be shown, and compared with the one inside.
//!
//! Pure: salt and initial vector come from the caller. Modes and paths are the caller's business.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::{Decode as _, SecretDocument};
use pkcs8::pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::pkcs5::{EncryptionScheme, scrypt};
use pkcs8::spki::AlgorithmIdentifier;
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, ObjectIdentifier, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use crate::digest::{decode_hex, encode_hex};
use crate::signer_key::{Algorithm, SignerSecret};

/// The purpose of a key for COSE receipts. It is on P-256, as is [`DEVICE_P256`]; all others are Ed25519.
pub const RECEIPT: &str = "receipt";
/// The purpose of a device's Ed25519 key.
pub const DEVICE: &str = "device";
/// The purpose of a device's key on P-256.
pub const DEVICE_P256: &str = "device-p256";
/// Bytes of a file, at most.
pub const KEY_FILE_BYTES_MAX: usize = 2048;
/// Bytes of a passphrase, at most.
pub const PASSPHRASE_BYTES_MAX: usize = 1024;

const CLEAR: &str = "consign-key-v1";
const SEALED: &str = "consign-key-v2";
const PEM_LABEL: &str = "ENCRYPTED PRIVATE KEY";

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// scrypt with N = 2^14, r = 8, p = 5: 16 MiB, the most that OpenSSL grants by default, five times over.
const SCRYPT: (u8, u32, u32) = (14, 8, 5);
/// What a file may ask of whoever opens it: 128 MiB, and the time for that.
const SCRYPT_MEMORY_MAX: u64 = 128 << 20;
const SCRYPT_PARALLEL_MAX: u16 = 16;
const PBKDF2_ITERATIONS_MAX: u32 = 10_000_000;

/// What a key of this purpose signs by.
pub fn algorithm(purpose: &str) -> Algorithm {
    if [RECEIPT, DEVICE_P256].contains(&purpose) { Algorithm::P256 } else { Algorithm::Ed25519 }
}

/// Why a key file cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadKeyFile {
    /// Neither form, or another purpose.
    #[error("it is no key file of this purpose")]
    Form,
    /// It needs a passphrase.
    #[error("it is encrypted, and there is no passphrase")]
    Sealed,
    /// The passphrase opens it not.
    #[error("the passphrase does not open it")]
    Passphrase,
    /// Opening it would take more than it may.
    #[error("its encryption asks for more memory or time than a key file may")]
    Cost,
    /// What is inside is another key than its first line says.
    #[error("the key inside is not the one that its first line names")]
    OtherKey,
}

/// A key file that was read and not opened. `Debug` shows no secret.
pub struct KeyFile<'t> {
    purpose: &'t str,
    body: Body<'t>,
}

enum Body<'t> {
    Clear(Zeroizing<[u8; 32]>),
    Sealed { public: Vec<u8>, pem: &'t str },
}

impl<'t> KeyFile<'t> {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// When it has neither form.
    pub fn parse(text: &'t str) -> Result<Self, BadKeyFile> {
        if text.len() > KEY_FILE_BYTES_MAX {
            return Err(BadKeyFile::Form);
        }
        let (line, rest) = text.split_once('\n').ok_or(BadKeyFile::Form)?;
        let mut words = line.split(' ');
        let (Some(format), Some(purpose), Some(digits), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(BadKeyFile::Form);
        };
        let bytes = Zeroizing::new(decode_hex(digits).ok_or(BadKeyFile::Form)?);
        let body = match (format, rest) {
            (CLEAR, "") => {
                let seed = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| BadKeyFile::Form)?;
                Body::Clear(Zeroizing::new(seed))
            }
            (SEALED, pem) if !pem.is_empty() => Body::Sealed { public: bytes.to_vec(), pem },
            _ => return Err(BadKeyFile::Form),
        };
        Ok(Self { purpose, body })
    }

    /// What its key is for.
    pub const fn purpose(&self) -> &str {
        self.purpose
    }

    /// Whether it needs a passphrase.
    pub const fn is_sealed(&self) -> bool {
        matches!(self.body, Body::Sealed { .. })
    }

    /// The public half, as a hexadecimal text. Of an encrypted file it is what its first line says.
    ///
    /// # Errors
    /// When there is no such key.
    pub fn public(&self) -> Result<String, BadKeyFile> {
        match &self.body {
            Body::Clear(seed) => public_of(self.purpose, seed).map(|bytes| encode_hex(&bytes)),
            Body::Sealed { public, .. } => Ok(encode_hex(public)),
        }
    }

    /// The seed, or the scalar of a key on P-256, if the file is for this purpose.
    ///
    /// # Errors
    /// When it is for another, or the passphrase does not open it.
    pub fn open(
        &self,
        purpose: &str,
        passphrase: Option<&[u8]>,
    ) -> Result<Zeroizing<[u8; 32]>, BadKeyFile> {
        if self.purpose != purpose {
            return Err(BadKeyFile::Form);
        }
        match &self.body {
            Body::Clear(seed) => Ok(seed.clone()),
            Body::Sealed { public, pem } => {
                let seed = unseal(pem, purpose, passphrase.ok_or(BadKeyFile::Sealed)?)?;
                // Not every wrong passphrase makes bytes that are no key: one in some millions does.
                if public_of(purpose, &seed)? != *public {
                    return Err(BadKeyFile::OtherKey);
                }
                Ok(seed)
            }
        }
    }
}

impl fmt::Debug for KeyFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile")
            .field("purpose", &self.purpose)
            .field("sealed", &self.is_sealed())
            .finish_non_exhaustive()
    }
}

/// The text of a file in the clear.
pub fn clear(purpose: &str, seed: &[u8; 32]) -> Zeroizing<String> {
    let digits = Zeroizing::new(encode_hex(seed));
    Zeroizing::new(format!("{CLEAR} {purpose} {}\n", *digits))
}

/// What makes two files of one key under one passphrase differ; fresh for each file.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    /// Salt of the passphrase.
    pub salt: [u8; 16],
    /// Initial vector of the cipher.
    pub iv: [u8; 16],
}

/// The text of a file under a passphrase.
///
/// # Errors
/// When the seed is no key of this purpose.
pub fn seal(
    purpose: &str,
    seed: &[u8; 32],
    passphrase: &[u8],
    fresh: Fresh,
) -> Result<String, BadKeyFile> {
    let public = public_of(purpose, seed)?;
    let inner = private_key(purpose, seed);
    let curve = AnyRef::from(&P256);
    let identifier = if algorithm(purpose) == Algorithm::P256 {
        AlgorithmIdentifier { oid: EC, parameters: Some(curve) }
    } else {
        AlgorithmIdentifier { oid: ED25519, parameters: None }
    };
    let (log_n, r, p) = SCRYPT;
    let sealed = scrypt::Params::new(log_n, r, p).ok().and_then(|params| {
        let scheme = Parameters::generate_scrypt_aes256cbc(params, &fresh.salt, fresh.iv).ok()?;
        let key = PrivateKeyInfoRef::new(identifier, OctetStringRef::new(&inner).ok()?);
        let document = key.encrypt_with_params(scheme, passphrase).ok()?;
        document.to_pem(PEM_LABEL, LineEnding::LF).ok().map(|pem| pem.to_string())
    });
    let pem = sealed.ok_or(BadKeyFile::Form)?;
    Ok(format!("{SEALED} {purpose} {}\n{pem}", encode_hex(&public)))
}

fn unseal(pem: &str, purpose: &str, passphrase: &[u8]) -> Result<Zeroizing<[u8; 32]>, BadKeyFile> {
    let (label, document) = SecretDocument::from_pem(pem).map_err(|_| BadKeyFile::Form)?;
    if label != PEM_LABEL {
        return Err(BadKeyFile::Form);
    }
    let sealed = EncryptedPrivateKeyInfoRef::from_der(document.as_bytes());
    let sealed = sealed.map_err(|_| BadKeyFile::Form)?;
    check_cost(&sealed.encryption_algorithm)?;
    let opened = sealed.decrypt(passphrase).map_err(|_| BadKeyFile::Passphrase)?;
    let key = opened.decode_msg::<PrivateKeyInfoRef<'_>>().map_err(|_| BadKeyFile::Passphrase)?;
    let wanted = if algorithm(purpose) == Algorithm::P256 { EC } else { ED25519 };
    if key.algorithm.oid != wanted {
        return Err(BadKeyFile::OtherKey);
    }
    seed_of(purpose, key.private_key.as_bytes()).ok_or(BadKeyFile::OtherKey)
}

/// Bytes from outside decide how much memory opening takes: they are judged before anything is derived.
fn check_cost(scheme: &EncryptionScheme) -> Result<(), BadKeyFile> {
    let EncryptionScheme::Pbes2(parameters) = scheme else { return Err(BadKeyFile::Form) };
    let cheap = match &parameters.kdf {
        Kdf::Scrypt(params) => {
            let memory = params.cost_parameter.checked_mul(128 * u64::from(params.block_size));
            memory.is_some_and(|bytes| bytes <= SCRYPT_MEMORY_MAX)
                && params.parallelization <= SCRYPT_PARALLEL_MAX
        }
        Kdf::Pbkdf2(params) => params.iteration_count <= PBKDF2_ITERATIONS_MAX,
        _ => false,
    };
    if cheap { Ok(()) } else { Err(BadKeyFile::Cost) }
}

/// RFC 8410: an octet string within; RFC 5915: version 1 and the scalar.
const ED25519_PREFIX: [u8; 2] = [0x04, 0x20];
const EC_PREFIX: [u8; 7] = [0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20];

fn private_key(purpose: &str, seed: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    let prefix: &[u8] =
        if algorithm(purpose) == Algorithm::P256 { &EC_PREFIX } else { &ED25519_PREFIX };
    let mut bytes = Zeroizing::new(Vec::with_capacity(prefix.len() + 32));
    bytes.extend_from_slice(prefix);
    bytes.extend_from_slice(seed);
    bytes
}

fn seed_of(purpose: &str, bytes: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let rest = if algorithm(purpose) == Algorithm::P256 {
        // Other tools write the public key behind the scalar, which makes the sequence longer.
        let (head, rest) = bytes.split_at_checked(EC_PREFIX.len())?;
        (head[0] == EC_PREFIX[0] && head[2..] == EC_PREFIX[2..]).then_some(rest)?
    } else {
        bytes.strip_prefix(&ED25519_PREFIX)?
    };
    let seed = rest.get(..32)?.try_into().ok()?;
    (algorithm(purpose) == Algorithm::P256 || rest.len() == 32).then_some(Zeroizing::new(seed))
}

fn public_of(purpose: &str, seed: &[u8; 32]) -> Result<Vec<u8>, BadKeyFile> {
    let key = SignerSecret::from_seed(algorithm(purpose), *seed).ok_or(BadKeyFile::Form)?;
    Ok(key.public().as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Fresh = Fresh { salt: [7; 16], iv: [9; 16] };

    #[test]
    fn a_sealed_file_is_opened_by_its_passphrase_alone_and_shows_its_public_key() {
        for purpose in ["consensus", RECEIPT, DEVICE_P256] {
            let text = seal(purpose, &[3; 32], b"open sesame", FRESH).unwrap();
            let file = KeyFile::parse(&text).unwrap();
            let open = |purpose, passphrase| file.open(purpose, passphrase).map(|seed| *seed);
            assert_eq!(open(purpose, Some(b"open sesame")), Ok([3; 32]));
            assert_eq!(open(purpose, Some(b"open sesam")), Err(BadKeyFile::Passphrase));
            assert_eq!(open(purpose, None), Err(BadKeyFile::Sealed));
            assert_eq!(open("log", Some(b"open sesame")), Err(BadKeyFile::Form));
            let plain = clear(purpose, &[3; 32]);
            assert_eq!(file.public(), KeyFile::parse(&plain).unwrap().public());
            assert!(!text.contains(&encode_hex(&[3; 32])));
        }
    }

    /// docs/spec/key-file.md. `UPDATE=1` prints what it should hold.
    #[test]
    fn the_examples_of_the_specification_are_what_is_written() {
        let page = include_str!("../../docs/spec/key-file.md");
        let seed = core::array::from_fn(|i| i as u8);
        let fresh = Fresh { salt: [0x11; 16], iv: [0x22; 16] };
        let sealed = seal("consensus", &seed, b"correct horse", fresh).unwrap();
        let plain = clear("consensus", &seed);
        if std::env::var_os("UPDATE").is_some() {
            std::println!("{}\n{sealed}", *plain);
        } else {
            assert!(page.contains(&*plain) && page.contains(&sealed));
        }
        let opened = KeyFile::parse(&sealed).unwrap().open("consensus", Some(b"correct horse"));
        assert_eq!(opened.map(|seed| *seed), Ok(seed));
    }

    /// The first line is not under the passphrase: whoever changes it gets nothing but a refusal.
    #[test]
    fn a_first_line_that_names_another_key_is_refused() {
        let text = seal("log", &[3; 32], b"x", FRESH).unwrap();
        let own = KeyFile::parse(&text).unwrap().public().unwrap();
        let other = text.replace(&own, &encode_hex(&[4; 32]));
        let opened = KeyFile::parse(&other).unwrap().open("log", Some(b"x"));
        assert_eq!(opened.map(|_| ()), Err(BadKeyFile::OtherKey));
    }

    #[test]
    fn a_file_that_asks_for_too_much_memory_is_refused_before_it_is_taken() {
        let text = seal("log", &[3; 32], b"x", FRESH).unwrap();
        let (_, pem) = text.split_once('\n').unwrap();
        let (_, document) = SecretDocument::from_pem(pem).unwrap();
        let mut bytes = document.as_bytes().to_vec();
        // INTEGER 16384, then r = 8: as large as the two bytes can say.
        let at = bytes.windows(4).position(|w| w == [0x02, 0x02, 0x40, 0x00]).unwrap();
        assert_eq!(bytes[at + 4..at + 7], [0x02, 0x01, 0x08]);
        bytes[at + 6] = 0x7f;
        let costly = EncryptedPrivateKeyInfoRef::from_der(&bytes).unwrap();
        assert_eq!(check_cost(&costly.encryption_algorithm), Err(BadKeyFile::Cost));
    }

    #[test]
    fn any_other_text_is_no_key_file() {
        let seed = encode_hex(&[3; 32]);
        let texts = [
            String::new(),
            format!("consign-key-v1 log {seed}"),
            format!("consign-key-v1 log {seed}\n\n"),
            format!("consign-key-v1 log {seed}00\n"),
            format!("consign-key-v1 log extra {seed}\n"),
            format!("consign-key-v2 log {seed}\n"),
            format!("consign-key-v3 log {seed}\n"),
            "x".repeat(KEY_FILE_BYTES_MAX + 1),
        ];
        for text in texts {
            assert_eq!(KeyFile::parse(&text).map(|_| ()), Err(BadKeyFile::Form), "{text}");
        }
        let text = format!("consign-key-v2 log {seed}\n-----BEGIN PRIVATE KEY-----\n");
        let opened = KeyFile::parse(&text).unwrap().open("log", Some(b"x"));
        assert_eq!(opened.map(|_| ()), Err(BadKeyFile::Form));
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = clear("log", &[0xab; 32]);
        let shown = format!("{:?}", KeyFile::parse(&text).unwrap());
        assert_eq!(shown, "KeyFile { purpose: \"log\", sealed: false, .. }");
    }
}
