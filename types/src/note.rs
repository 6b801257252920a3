//! Signed notes (C2SP signed-note v1.0.0): text, a blank line, and signatures that name their keys.
//!
//! A signature by an unknown key is kept and proves nothing. Parsing is strict and bounded; printing
//! gives back the bytes that were read. What a signature means is not decided here: see
//! [`crate::checkpoint`].

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::codec::DecodeError;
use crate::digest::{Digest, decode_hex, encode_hex};
use crate::key::PublicKey;

/// Bytes of a note. A verifier must accept 16 signatures, and a post-quantum one has nearly 5 kB,
/// a third more in base64.
pub const NOTE_BYTES_MAX: usize = 128 * 1024;
/// Signatures under a note.
pub const SIGNATURES_MAX: usize = 64;

const WHAT: &str = "signed note";
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// What a key signs, and how (the signature type of signed-note).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum KeyType {
    /// 0x01: Ed25519 over the note's text.
    Ed25519,
    /// 0x04: Ed25519 over `cosignature/v1`, a time and the note's text.
    Cosignature,
}

impl KeyType {
    /// The byte that stands for it.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Cosignature => 0x04,
        }
    }
}

/// A key under its name, in text: `name+id+base64`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct VerifierKey {
    name: String,
    kind: KeyType,
    key: PublicKey,
}

/// One signature line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub key_id: [u8; 4],
    /// What follows the id: for a cosignature its time and then the signature.
    pub signature: Vec<u8>,
}

/// A text with signatures.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl VerifierKey {
    /// A key of this kind under `name`.
    ///
    /// # Errors
    /// When the name is empty or holds white space, a plus or a control character.
    pub fn new(name: &str, kind: KeyType, key: PublicKey) -> Result<Self, DecodeError> {
        if !is_name(name) {
            return Err(DecodeError::malformed("verifier key", "not a key name"));
        }
        Ok(Self { name: name.to_string(), kind, key })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind.
    pub const fn kind(&self) -> KeyType {
        self.kind
    }

    /// The key.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// SHA-256(name || 0x0A || type || key), first 4 bytes.
    pub fn key_id(&self) -> [u8; 4] {
        let digest =
            Digest::of(&[self.name.as_bytes(), b"\n", &[self.kind.code()], self.key.as_bytes()]);
        let mut id = [0; 4];
        id.copy_from_slice(&digest.0[..4]);
        id
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::from([self.kind.code()]);
        bytes.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, encode_hex(&self.key_id()), STANDARD.encode(bytes))
    }
}

impl FromStr for VerifierKey {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let bad = |why: &str| DecodeError::malformed("verifier key", why);
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad("not of the form name+id+base64"));
        };
        let bytes = STANDARD.decode(key).map_err(|_| bad("not base64"))?;
        let (kind, key) = bytes.split_first().ok_or_else(|| bad("no key"))?;
        let kind = [KeyType::Ed25519, KeyType::Cosignature]
            .into_iter()
            .find(|known| known.code() == *kind)
            .ok_or_else(|| bad("an unknown type of key"))?;
        let key = key.try_into().map_err(|_| bad("not 32 bytes of key"))?;
        let key = PublicKey::from_bytes(key).map_err(|e| bad(&e.to_string()))?;
        let parsed = Self::new(name, kind, key)?;
        if decode_hex(id).as_deref() == Some(&parsed.key_id()) {
            Ok(parsed)
        } else {
            Err(bad("the id is not that of the key"))
        }
    }
}

impl Note {
    /// A note without signatures.
    ///
    /// # Errors
    /// When the text does not end in a newline, or holds other control characters.
    pub fn new(text: String) -> Result<Self, DecodeError> {
        if !text.ends_with('\n') || text.contains(is_control) {
            let why = "the text has no newline at its end, or a control character";
            return Err(DecodeError::malformed(WHAT, why));
        }
        Ok(Self { text, signatures: Vec::new() })
    }

    /// The text, which ends in a newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, also those by keys that nobody here knows.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a signature line. Whoever adds more than [`SIGNATURES_MAX`] prints what nobody reads.
    pub fn add(&mut self, signature: NoteSignature) {
        self.signatures.push(signature);
    }

    /// The signatures under this key's name and id.
    pub fn by<'a>(&'a self, key: &'a VerifierKey) -> impl Iterator<Item = &'a NoteSignature> {
        let id = key.key_id();
        self.signatures.iter().filter(move |s| s.name == key.name && s.key_id == id)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|s| s.fmt(f))
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::from(self.key_id);
        bytes.extend_from_slice(&self.signature);
        writeln!(f, "{SIGNATURE_PREFIX}{} {}", self.name, STANDARD.encode(bytes))
    }
}

impl FromStr for Note {
    type Err = DecodeError;

    fn from_str(note: &str) -> Result<Self, DecodeError> {
        if note.len() > NOTE_BYTES_MAX {
            let (bytes, max) = (note.len(), NOTE_BYTES_MAX);
            return Err(DecodeError::TooLong { what: WHAT, bytes, max });
        }
        let bad = |why: &str| DecodeError::malformed(WHAT, why);
        if note.contains(is_control) {
            return Err(bad("a control character"));
        }
        // The last blank line separates: the text may hold others.
        let split = note.rfind("\n\n").ok_or_else(|| bad("no blank line before signatures"))?;
        let (text, lines) = (&note[..=split], &note[split + 2..]);
        let lines = lines.strip_suffix('\n').ok_or_else(|| bad("no signature, or a cut line"))?;
        if lines.split('\n').count() > SIGNATURES_MAX {
            return Err(bad("too many signatures"));
        }
        let signatures = lines.split('\n').map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_string(), signatures })
    }
}

impl FromStr for NoteSignature {
    type Err = DecodeError;

    /// Reads a line without its newline.
    fn from_str(line: &str) -> Result<Self, DecodeError> {
        let bad = |why: &str| DecodeError::malformed("note signature", why);
        let line = line.strip_prefix(SIGNATURE_PREFIX).ok_or_else(|| bad("no dash before it"))?;
        let (name, encoded) = line.split_once(' ').ok_or_else(|| bad("no name"))?;
        let bytes = STANDARD.decode(encoded).map_err(|_| bad("not base64"))?;
        let (key_id, signature) = bytes.split_first_chunk().ok_or_else(|| bad("no key id"))?;
        if !is_name(name) || signature.is_empty() {
            return Err(bad("not a key name, or nothing signed"));
        }
        Ok(Self { name: name.to_string(), key_id: *key_id, signature: signature.to_vec() })
    }
}

/// Whether `name` can name a key.
fn is_name(name: &str) -> bool {
    let foreign = |c: char| c.is_whitespace() || c == '+' || is_control(c);
    !name.is_empty() && !name.contains(foreign)
}

/// Whether a note may not hold `c`: ASCII control characters below U+0020, but for newline.
fn is_control(c: char) -> bool {
    c < ' ' && c != '\n'
}
