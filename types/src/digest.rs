//! SHA-256 digests and the typed names made of them.
//!
//! Every hash that Consign computes is SHA-256 over a domain-separated preimage. A digest that means
//! something gets a type of its own here, so that an event id can never be passed for a leaf hash.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use sha2::Digest as _;

/// 32 bytes of SHA-256.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// All zero bits: the name of nothing. Never the hash of anything known.
    pub const ZERO: Self = Self([0; 32]);

    /// SHA-256 over the concatenation of `parts`.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = sha2::Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A digest from exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0[..6])?;
        f.write_str("..")
    }
}

/// Text that is not 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected 64 lower-case hexadecimal digits")]
pub struct BadHex;

impl FromStr for Digest {
    type Err = BadHex;

    fn from_str(text: &str) -> Result<Self, BadHex> {
        decode_hex(text).and_then(|bytes| Self::from_slice(&bytes)).ok_or(BadHex)
    }
}

/// Writes `bytes` as lower-case hexadecimal digits.
pub fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// `bytes` as lower-case hexadecimal digits.
pub fn encode_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// The bytes behind lower-case hexadecimal digits; `None` for anything else.
pub fn decode_hex(text: &str) -> Option<alloc::vec::Vec<u8>> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

macro_rules! named_digest {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(pub Digest);

        impl $name {
            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = BadHex;

            fn from_str(text: &str) -> Result<Self, BadHex> {
                text.parse().map(Self)
            }
        }
    )*};
}

named_digest! {
    /// The name of a network: SHA-256 of its genesis document.
    NetworkId;
    /// The name of an event: SHA-256 of the COSE `Sig_structure`. Independent of the signature.
    EventId;
    /// RFC 6962 leaf hash of the exact bytes of one signed variant of an event, or of a record.
    LeafHash;
    /// The name of a block, and the value that consensus agrees on.
    BlockId;
    /// Merkle tree hash of the log at some size (RFC 6962, 2.1).
    TreeRoot;
    /// Root of the unit map after some block.
    MapRoot;
    /// SHA-256 of a validator set's canonical encoding.
    SetHash;
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_digest_survives_its_text_form() {
        let digest = Digest::of(&[b"a", b"bc"]);
        assert_eq!(digest, Digest::of(&[b"abc"]));
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(
            digest.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn upper_case_short_and_foreign_digits_are_refused() {
        let text = Digest::ZERO.to_string();
        assert_eq!(text[1..].parse::<Digest>(), Err(BadHex));
        assert_eq!(text.replacen('0', "A", 1).parse::<Digest>(), Err(BadHex));
        assert_eq!(text.replacen('0', "g", 1).parse::<Digest>(), Err(BadHex));
    }
}
