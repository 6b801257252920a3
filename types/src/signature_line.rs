//! Signatures as lines of text, for makers of devices: does the network take what this device signs?
//!
//! ```text
//! ed25519 KEY MESSAGE SIGNATURE
//! p256    KEY MESSAGE SIGNATURE
//! ```
//!
//! Key, message and signature are in hexadecimal digits; an empty message is `-`. A key of P-256 is its
//! uncompressed point, a signature on it `r` and `s` of 32 bytes each (IEEE P1363).

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::digest::decode_hex;
use crate::es256;
use crate::key::Signature;
use crate::signer_key::{Algorithm, BadAlgorithm, SignerKey};

/// Characters of a line.
pub const SIGNATURE_LINE_CHARS_MAX: usize = 256 * 1024;

/// What a line says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignatureVerdict {
    /// The network takes it.
    Holds,
    /// The key is none, or one that is never enrolled.
    Key,
    /// The signature is not 64 bytes.
    Length,
    /// It is in the form with the higher `s`; the network takes the lower one alone.
    HighS,
    /// It does not match key and message.
    Signature,
}

impl SignatureVerdict {
    /// Whether the network takes it.
    pub const fn holds(self) -> bool {
        matches!(self, Self::Holds)
    }
}

impl fmt::Display for SignatureVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Holds => "holds",
            Self::Key => "refused: the key is none that can be enrolled",
            Self::Length => "refused: a signature has 64 bytes",
            Self::HighS => "refused: s is above half the order; n - s belongs there",
            Self::Signature => "refused: it does not match key and message",
        })
    }
}

/// Why a line is not of this form.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadSignatureLine {
    /// Not four words.
    #[error(
        "expected `ALGORITHM KEY MESSAGE SIGNATURE`, at most {SIGNATURE_LINE_CHARS_MAX} characters"
    )]
    Form,
    /// No such algorithm.
    #[error(transparent)]
    Algorithm(#[from] BadAlgorithm),
    /// A word that is not hexadecimal.
    #[error("the {0} is not an even number of lower-case hexadecimal digits")]
    Digits(&'static str),
}

impl FromStr for SignatureVerdict {
    type Err = BadSignatureLine;

    /// Judges the signature of one line, as a node judges that of an event.
    fn from_str(line: &str) -> Result<Self, BadSignatureLine> {
        if line.len() > SIGNATURE_LINE_CHARS_MAX {
            return Err(BadSignatureLine::Form);
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(algorithm), Some(key), Some(message), Some(signature), None) =
            (words.next(), words.next(), words.next(), words.next(), words.next())
        else {
            return Err(BadSignatureLine::Form);
        };
        let algorithm: Algorithm = algorithm.parse()?;
        let digits = |text: &str, what| match text {
            "-" => Ok(Default::default()),
            text => decode_hex(text).ok_or(BadSignatureLine::Digits(what)),
        };
        let (key, message) = (digits(key, "key")?, digits(message, "message")?);
        let signature = digits(signature, "signature")?;
        let Some(key) = SignerKey::from_bytes(&key).ok().filter(|k| k.algorithm() == algorithm)
        else {
            return Ok(Self::Key);
        };
        let Ok(signature) = signature.try_into().map(Signature) else { return Ok(Self::Length) };
        if algorithm == Algorithm::P256 && es256::is_high(&signature) {
            return Ok(Self::HighS);
        }
        Ok(key.verify(&message, &signature).map_or(Self::Signature, |()| Self::Holds))
    }
}

/// A line for each line of `text`: what [`SignatureVerdict`] says of it, or why it is none. Empty lines are
/// passed over.
pub fn judge_lines(text: &str) -> impl Iterator<Item = Result<SignatureVerdict, String>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(at, line)| {
        line.parse().map_err(|e: BadSignatureLine| alloc::format!("line {}: {e}", at + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer_key::SignerSecret;
    use alloc::format;
    use alloc::string::ToString as _;
    use alloc::vec::Vec;

    #[test]
    fn each_line_has_a_verdict_of_its_own() {
        let ed25519 = SignerSecret::from_seed(Algorithm::Ed25519, [7; 32]).unwrap();
        let p256 = SignerSecret::from_seed(Algorithm::P256, [7; 32]).unwrap();
        let (key, other) = (p256.public(), ed25519.public());
        let signed = p256.sign(b"x");
        let mut high = signed;
        high.0[32..].fill(0xc0);
        let rows = [
            (format!("p256 {key} 78 {signed}"), Ok(SignatureVerdict::Holds)),
            (format!("ed25519 {other}  - {}", ed25519.sign(b"")), Ok(SignatureVerdict::Holds)),
            (format!("p256 {key} - {signed}"), Ok(SignatureVerdict::Signature)),
            (format!("p256 {key} 78 {high}"), Ok(SignatureVerdict::HighS)),
            (format!("p256 {key} 78 {signed}00"), Ok(SignatureVerdict::Length)),
            (format!("p256 {other} 78 {signed}"), Ok(SignatureVerdict::Key)),
            (format!("ed25519 {key} 78 {signed}"), Ok(SignatureVerdict::Key)),
            (format!("p384 {key} 78 {signed}"), Err(BadAlgorithm.into())),
            (format!("p256 {key} 7 {signed}"), Err(BadSignatureLine::Digits("message"))),
            (format!("p256 {key} {signed}"), Err(BadSignatureLine::Form)),
            (format!("p256 {key} 78 {signed} 78"), Err(BadSignatureLine::Form)),
            ("p256 - - -".to_string(), Ok(SignatureVerdict::Key)),
        ];
        for (line, expected) in &rows {
            assert_eq!(line.parse::<SignatureVerdict>(), *expected, "{line}");
        }
        let text: Vec<_> = [&rows[0].0, "", &rows[9].0].map(|line: &str| line.to_string()).into();
        let judged: Vec<_> = judge_lines(&text.join("\n")).collect();
        let why = format!("line 3: {}", BadSignatureLine::Form);
        assert_eq!(judged, [Ok(SignatureVerdict::Holds), Err(why)]);
    }
}
