//! The COSE receipt (RFC 9942): one log key's word that one event is in the log.
//!
//! A `COSE_Sign1` whose payload, the root of the log, is left out: whoever checks it computes the root from
//! the event's bytes and the inclusion proof, and the signature holds for that root alone. It travels in the
//! unprotected header of the event that it speaks of (RFC 9943, "transparent statement"); taken out, the
//! event is the leaf again, byte for byte.
//!
//! It shows less than the receipt of [`crate::receipt`]: no quorum, no time.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use minicbor::Encoder;
use minicbor::data::Tag;

use crate::block::{LeafIndex, TreeSize};
use crate::checkpoint::Checkpoint;
use crate::codec::{Canonical, DecodeError, Infallible as _, Reader, Writer};
use crate::digest::{Digest, TreeRoot};
use crate::es256::{Es256Key, Es256SecretKey};
use crate::event::SignedEvent;
use crate::key::{BadSignature, PublicKey, Signature, Signer};
use crate::limits::EVENT_BYTES_MAX_NESTED;
use crate::merkle::{BadProof, InclusionProof};

/// CBOR tag of a `COSE_Sign1`.
const TAG_SIGN1: u64 = 18;
/// Header label of the CWT claims (RFC 9597).
const LABEL_CWT: u16 = 15;
/// Header label of receipts, unprotected (RFC 9942).
const LABEL_RECEIPTS: u16 = 394;
/// Header label of the kind of tree, protected (RFC 9942).
const LABEL_VDS: u16 = 395;
/// Header label of the proofs, unprotected (RFC 9942).
const LABEL_VDP: u16 = 396;
/// The kind of tree: `RFC9162_SHA256`.
const VDS_RFC9162: u8 = 1;
/// Label of inclusion proofs.
const PROOF_INCLUSION: i8 = -1;
/// Claim of the size of the tree, of the range for private use. RFC 9942 signs the root alone, and one path
/// leads to one root in trees of several sizes: without this, a size could be exchanged unnoticed.
const CLAIM_SIZE: i64 = -65_537;
/// Levels of the largest tree.
const PATH_MAX: usize = 63;

/// Bytes of a receipt: two headers, a path of 63 hashes, a signature.
pub const COSE_RECEIPT_BYTES_MAX: usize = 4096;
/// Bytes of an event with its receipt.
pub const TRANSPARENT_BYTES_MAX: usize = EVENT_BYTES_MAX_NESTED + COSE_RECEIPT_BYTES_MAX + 16;

/// How a receipt is signed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Algorithm {
    /// Ed25519 (-19), with the log's key.
    #[default]
    Ed25519,
    /// ES256 (-7), with a key that is made for it.
    Es256,
}

impl Algorithm {
    /// The number of the COSE registry.
    pub const fn code(self) -> i64 {
        match self {
            Self::Ed25519 => -19,
            Self::Es256 => -7,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ed25519 => "ed25519",
            Self::Es256 => "es256",
        })
    }
}

/// A name that is none of an algorithm.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a receipt is signed with ed25519 or es256")]
pub struct BadAlgorithm;

impl FromStr for Algorithm {
    type Err = BadAlgorithm;

    fn from_str(text: &str) -> Result<Self, BadAlgorithm> {
        let known = [Self::Ed25519, Self::Es256].into_iter();
        known.into_iter().find(|known| known.to_string() == text).ok_or(BadAlgorithm)
    }
}

/// A public key that receipts are checked with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReceiptKey {
    /// A log's key.
    Ed25519(PublicKey),
    /// A key on P-256.
    Es256(Es256Key),
}

impl ReceiptKey {
    /// How it signs.
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::Es256(_) => Algorithm::Es256,
        }
    }

    /// COSE key id.
    pub fn key_id(&self) -> [u8; 8] {
        match self {
            Self::Ed25519(key) => key.key_id(),
            Self::Es256(key) => key.key_id(),
        }
    }

    fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        match self {
            Self::Ed25519(key) => key.verify(message, signature),
            Self::Es256(key) => key.verify(message, signature),
        }
    }
}

/// A private key that makes receipts.
#[derive(Clone, Copy, Debug)]
pub enum ReceiptSecret<'k> {
    /// A log's key.
    Ed25519(&'k dyn Signer),
    /// A key on P-256.
    Es256(&'k Es256SecretKey),
}

impl ReceiptSecret<'_> {
    /// The public half.
    pub fn public(&self) -> ReceiptKey {
        match self {
            Self::Ed25519(key) => ReceiptKey::Ed25519(key.public()),
            Self::Es256(key) => ReceiptKey::Es256(key.public()),
        }
    }

    fn sign(&self, message: &[u8]) -> Signature {
        match self {
            Self::Ed25519(key) => key.sign(message),
            Self::Es256(key) => key.sign(message),
        }
    }
}

/// One log key's word that one event is in the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CoseReceipt {
    /// How it is signed.
    pub algorithm: Algorithm,
    /// Id of the key that signed.
    pub key_id: [u8; 8],
    /// The log (claim `iss`).
    pub origin: String,
    /// What the event is about (claim `sub`).
    pub subject: String,
    /// Where the event stands, and the way from there to the root.
    pub proof: InclusionProof,
    /// Over the root.
    pub signature: Signature,
}

/// Why a receipt proves nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadCoseReceipt {
    /// A receipt of something else.
    #[error("the receipt's subject is {found}, the event's is {expected}")]
    Subject {
        /// In the receipt.
        found: String,
        /// In the event.
        expected: String,
    },
    /// A receipt of another log.
    #[error("the receipt is of log {found:?}, not {expected:?}")]
    Origin {
        /// The log that it names.
        found: String,
        /// The log that is trusted.
        expected: String,
    },
    /// A proof that fits no tree of that size, or leads elsewhere.
    #[error("the inclusion proof does not lead from the event to a root of the log")]
    Inclusion(#[source] BadProof),
    /// A key that did not make it.
    #[error("the receipt's header names another key, or another algorithm")]
    Key,
    /// A signature that does not hold.
    #[error(
        "the log's signature does not hold for the root that the event and its inclusion proof lead to"
    )]
    Signature,
}

impl CoseReceipt {
    /// The receipt of `event`, which is leaf `index` of the log at `checkpoint`. Nothing but that
    /// checkpoint's root is ever signed.
    ///
    /// # Errors
    /// When `path` does not lead from the event to the checkpoint's root.
    pub fn issue(
        event: &SignedEvent,
        index: LeafIndex,
        path: Vec<Digest>,
        checkpoint: &Checkpoint,
        key: ReceiptSecret<'_>,
    ) -> Result<Self, BadCoseReceipt> {
        let proof = InclusionProof { index, size: checkpoint.size, path };
        proof.verify(event.leaf_hash(), checkpoint.root).map_err(BadCoseReceipt::Inclusion)?;
        let public = key.public();
        let mut receipt = Self {
            algorithm: public.algorithm(),
            key_id: public.key_id(),
            origin: checkpoint.origin.clone(),
            subject: event.event().subject.to_string(),
            proof,
            signature: Signature([0; 64]),
        };
        receipt.signature = key.sign(&receipt.to_sign(checkpoint.root));
        Ok(receipt)
    }

    /// The root that the event and its proof lead to. That it is the log's is not shown by that: see
    /// [`CoseReceipt::verify`].
    ///
    /// # Errors
    /// When the receipt is of something else, or the proof fits no tree of its size.
    pub fn root(&self, event: &SignedEvent) -> Result<TreeRoot, BadCoseReceipt> {
        let expected = event.event().subject.to_string();
        if self.subject != expected {
            return Err(BadCoseReceipt::Subject { found: self.subject.clone(), expected });
        }
        self.proof.root(event.leaf_hash()).map_err(BadCoseReceipt::Inclusion)
    }

    /// Checks that `key` signed a root of the log `origin` that has `event` under it, and answers it.
    ///
    /// # Errors
    /// [`BadCoseReceipt`] names the part.
    pub fn verify(
        &self,
        event: &SignedEvent,
        origin: &str,
        key: &ReceiptKey,
    ) -> Result<TreeRoot, BadCoseReceipt> {
        let root = self.root(event)?;
        if self.origin != origin {
            let (found, expected) = (self.origin.clone(), origin.to_string());
            return Err(BadCoseReceipt::Origin { found, expected });
        }
        if (self.algorithm, self.key_id) != (key.algorithm(), key.key_id()) {
            return Err(BadCoseReceipt::Key);
        }
        key.verify(&self.to_sign(root), &self.signature).map_err(|_| BadCoseReceipt::Signature)?;
        Ok(root)
    }

    fn protected(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut to: Writer<'_> = Encoder::new(&mut bytes);
        to.map(4).sure().u8(1).sure().i64(self.algorithm.code()).sure();
        to.u8(4).sure().bytes(&self.key_id).sure();
        to.u16(LABEL_CWT).sure().map(3).sure();
        to.u8(1).sure().str(&self.origin).sure().u8(2).sure().str(&self.subject).sure();
        to.i64(CLAIM_SIZE).sure().u64(self.proof.size.0).sure();
        to.u16(LABEL_VDS).sure().u8(VDS_RFC9162).sure();
        bytes
    }

    fn inclusion(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut to: Writer<'_> = Encoder::new(&mut bytes);
        to.array(3).sure().u64(self.proof.size.0).sure().u64(self.proof.index.0).sure();
        to.array(self.proof.path.len() as u64).sure();
        for hash in &self.proof.path {
            to.bytes(&hash.0).sure();
        }
        bytes
    }

    /// What is signed (RFC 9052, 4.4), with the root as payload and no external data.
    fn to_sign(&self, root: TreeRoot) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut to: Writer<'_> = Encoder::new(&mut bytes);
        to.array(4).sure().str("Signature1").sure();
        to.bytes(&self.protected()).sure().bytes(&[]).sure().bytes(root.as_bytes()).sure();
        bytes
    }
}

impl Canonical for CoseReceipt {
    const WHAT: &'static str = "COSE receipt";
    const BYTES_MAX: usize = COSE_RECEIPT_BYTES_MAX;

    fn write(&self, to: &mut Writer<'_>) {
        to.tag(Tag::new(TAG_SIGN1)).sure().array(4).sure().bytes(&self.protected()).sure();
        to.map(1).sure().u16(LABEL_VDP).sure().map(1).sure().i8(PROOF_INCLUSION).sure();
        to.array(1).sure().bytes(&self.inclusion()).sure();
        to.null().sure().bytes(&self.signature.0).sure();
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        from.tag(TAG_SIGN1)?;
        from.array_of(4)?;
        let (algorithm, key_id, origin, subject, size) = read_protected(from.bytes()?)?;
        label(from, LABEL_VDP)?;
        only(from, PROOF_INCLUSION)?;
        from.array_of(1)?;
        let proof = read_inclusion(from.bytes()?)?;
        if proof.size != size {
            return Err(from.error("the size in the header is not that of the proof"));
        }
        if !from.null()? {
            return Err(from.error("the payload, the root, is not left out"));
        }
        let signature = Signature(from.bytes_of()?);
        Ok(Self { algorithm, key_id, origin, subject, proof, signature })
    }
}

type Protected = (Algorithm, [u8; 8], String, String, TreeSize);

fn read_protected(bytes: &[u8]) -> Result<Protected, DecodeError> {
    let mut from = Reader::new(bytes, "COSE receipt header");
    let expect = |from: &mut Reader<'_>, label: u16| match from.u16()? {
        found if found == label => Ok(()),
        found => Err(from.error(alloc::format!("label {found} where {label} belongs"))),
    };
    if from.map()? != 4 {
        return Err(from.error("not the four labels 1, 4, 15 and 395"));
    }
    expect(&mut from, 1)?;
    let code = from.i64()?;
    let algorithm = [Algorithm::Ed25519, Algorithm::Es256].into_iter().find(|a| a.code() == code);
    let algorithm =
        algorithm.ok_or_else(|| from.error(alloc::format!("algorithm {code} is not supported")))?;
    expect(&mut from, 4)?;
    let key_id = from.bytes_of()?;
    expect(&mut from, LABEL_CWT)?;
    if from.map()? != 3 {
        return Err(from.error("not the three claims 'iss', 'sub' and size"));
    }
    expect(&mut from, 1)?;
    let origin = from.text()?.to_string();
    expect(&mut from, 2)?;
    let subject = from.text()?.to_string();
    if from.i64()? != CLAIM_SIZE {
        return Err(from.error("another claim where the size belongs"));
    }
    let size = TreeSize(from.u64()?);
    expect(&mut from, LABEL_VDS)?;
    if from.u8()? != VDS_RFC9162 {
        return Err(from.error("another kind of tree than RFC9162_SHA256"));
    }
    Ok((algorithm, key_id, origin, subject, size))
}

fn read_inclusion(bytes: &[u8]) -> Result<InclusionProof, DecodeError> {
    let mut from = Reader::new(bytes, "COSE receipt proof");
    from.array_of(3)?;
    let (size, index) = (TreeSize(from.u64()?), LeafIndex(from.u64()?));
    let path = from.list(PATH_MAX, Reader::digest)?;
    if path.is_empty() {
        // RFC 9942 knows no proof without a hash; the log has two leaves from the beginning.
        return Err(from.error("no hash in the path"));
    }
    Ok(InclusionProof { index, size, path })
}

/// The header of a map with this label alone.
fn label(from: &mut Reader<'_>, label: u16) -> Result<(), DecodeError> {
    if from.map()? != 1 || from.u16()? != label {
        let why = alloc::format!("the unprotected header is not label {label} alone");
        return Err(from.error(why));
    }
    Ok(())
}

fn only(from: &mut Reader<'_>, kind: i8) -> Result<(), DecodeError> {
    if from.map()? != 1 || from.i64()? != i64::from(kind) {
        return Err(from.error("not inclusion proofs alone"));
    }
    Ok(())
}

/// An event with its receipt in its unprotected header (label 394).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransparentEvent {
    /// The event, as it stands in the log.
    pub event: SignedEvent,
    /// Its receipt.
    pub receipt: CoseReceipt,
}

impl TransparentEvent {
    /// What this is called in an error message.
    pub const WHAT: &'static str = "event with a receipt";

    /// The one encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        let parts = Parts::of(self.event.bytes()).expect("an event is a COSE_Sign1");
        parts.with(Some(&self.receipt.to_bytes()))
    }

    /// Reads an event with one receipt from all of `bytes`. No signature is checked yet.
    ///
    /// # Errors
    /// When the bytes are too many, malformed, or not the one encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (what, max) = (Self::WHAT, TRANSPARENT_BYTES_MAX);
        if bytes.len() > max {
            return Err(DecodeError::TooLong { what, bytes: bytes.len(), max });
        }
        let parts = Parts::of(bytes)?;
        let receipt = parts.receipt.ok_or_else(|| {
            DecodeError::malformed(what, "the unprotected header carries no receipt")
        })?;
        let receipt = CoseReceipt::from_bytes(receipt)?;
        let decoded = Self { event: SignedEvent::decode(&parts.with(None))?, receipt };
        if decoded.to_bytes() == bytes {
            Ok(decoded)
        } else {
            Err(DecodeError::NotCanonical { what })
        }
    }
}

/// The items of a `COSE_Sign1` with a payload.
struct Parts<'a> {
    protected: &'a [u8],
    receipt: Option<&'a [u8]>,
    payload: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(bytes, TransparentEvent::WHAT);
        from.tag(TAG_SIGN1)?;
        from.array_of(4)?;
        let protected = from.bytes()?;
        let receipt = match from.map()? {
            0 => None,
            1 if from.u16()? == LABEL_RECEIPTS => match from.array()? {
                1 => Some(from.bytes()?),
                count => return Err(from.error(alloc::format!("{count} receipts, not one"))),
            },
            _ => return Err(from.error("the unprotected header holds more than receipts")),
        };
        let (payload, signature) = (from.bytes()?, from.bytes()?);
        Ok(Self { protected, receipt, payload, signature })
    }

    /// The message with this in its unprotected header.
    fn with(&self, receipt: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut to: Writer<'_> = Encoder::new(&mut bytes);
        to.tag(Tag::new(TAG_SIGN1)).sure().array(4).sure().bytes(self.protected).sure();
        match receipt {
            None => to.map(0).sure(),
            Some(receipt) => {
                to.map(1).sure().u16(LABEL_RECEIPTS).sure().array(1).sure().bytes(receipt).sure()
            }
        };
        to.bytes(self.payload).sure().bytes(self.signature).sure();
        bytes
    }
}
