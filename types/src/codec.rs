//! Deterministic CBOR: one value, one encoding.
//!
//! RFC 8949, 4.2.1, narrowed: definite lengths, shortest integers, no floats, no tags but the one
//! around a COSE message, map keys 0..23 in order. Decoding never trusts that a peer kept to this:
//! [`Canonical::from_bytes`] re-encodes what it read and compares, so the two forms cannot drift apart.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use crate::digest::Digest;

/// The encoder that every format of this crate writes to.
pub type Writer<'a> = Encoder<&'a mut Vec<u8>>;

/// Bytes that are not the one encoding of a value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Not CBOR, or not of the expected shape.
    #[error("malformed {what}: {why}")]
    Malformed {
        /// What was being read.
        what: &'static str,
        /// What was found instead.
        why: String,
    },
    /// A value that has another, shorter or ordered, encoding.
    #[error("{what} is not in its one canonical encoding")]
    NotCanonical {
        /// What was being read.
        what: &'static str,
    },
    /// More bytes than the format allows.
    #[error("{what} has {bytes} bytes, more than the {max} allowed")]
    TooLong {
        /// What was being read.
        what: &'static str,
        /// Bytes that came.
        bytes: usize,
        /// Bytes that are allowed.
        max: usize,
    },
}

impl DecodeError {
    /// A [`DecodeError::Malformed`] from anything that can say why.
    pub fn malformed(what: &'static str, why: impl ToString) -> Self {
        Self::Malformed { what, why: why.to_string() }
    }
}

/// A value with exactly one encoding.
pub trait Canonical: Sized {
    /// What this is called in an error message.
    const WHAT: &'static str;
    /// The longest encoding that is read.
    const BYTES_MAX: usize;

    /// Writes the one encoding.
    fn write(&self, to: &mut Writer<'_>);

    /// Reads a value; may accept more than the one encoding, [`Canonical::from_bytes`] does not.
    ///
    /// # Errors
    /// When the bytes do not have the shape of this type.
    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// The one encoding.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut Encoder::new(&mut bytes));
        bytes
    }

    /// The value that `bytes`, all of them, encode.
    ///
    /// # Errors
    /// When `bytes` are too many, malformed, followed by others, or not the canonical encoding.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > Self::BYTES_MAX {
            let (what, bytes, max) = (Self::WHAT, bytes.len(), Self::BYTES_MAX);
            return Err(DecodeError::TooLong { what, bytes, max });
        }
        let mut reader = Reader::new(bytes, Self::WHAT);
        let value = Self::read(&mut reader)?;
        if value.to_bytes() != bytes {
            return Err(DecodeError::NotCanonical { what: Self::WHAT });
        }
        Ok(value)
    }
}

/// A bounded reader: it never allocates more than the input can hold.
pub struct Reader<'a> {
    decoder: Decoder<'a>,
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, calling them `what` in errors.
    pub fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { decoder: Decoder::new(bytes), what }
    }

    /// An error about what is being read.
    pub fn error(&self, why: impl ToString) -> DecodeError {
        DecodeError::malformed(self.what, why)
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.decoder.input().len().saturating_sub(self.decoder.position())
    }

    /// Expects the header of an array of exactly `len` items.
    ///
    /// # Errors
    /// When something else comes.
    pub fn array_of(&mut self, len: u64) -> Result<(), DecodeError> {
        match self.array()? {
            found if found == len => Ok(()),
            found => Err(self.error(alloc::format!("an array of {found} items, not {len}"))),
        }
    }

    /// The header of an array of definite length.
    ///
    /// # Errors
    /// When something else comes, or more items than bytes are left.
    pub fn array(&mut self) -> Result<u64, DecodeError> {
        let len = self.decoder.array().map_err(|e| self.error(e))?;
        self.definite(len)
    }

    /// The header of a map of definite length.
    ///
    /// # Errors
    /// When something else comes, or more entries than bytes are left.
    pub fn map(&mut self) -> Result<u64, DecodeError> {
        let len = self.decoder.map().map_err(|e| self.error(e))?;
        self.definite(len)
    }

    fn definite(&self, len: Option<u64>) -> Result<u64, DecodeError> {
        let len = len.ok_or_else(|| self.error("an indefinite length"))?;
        // An item takes a byte at least: a longer claim is a lie, and nobody allocates for it.
        if len > self.remaining() as u64 {
            return Err(self.error("a length beyond the end"));
        }
        Ok(len)
    }

    /// A list of at most `max` items, each read by `item`.
    ///
    /// # Errors
    /// When the list is longer or an item is malformed.
    pub fn list<T>(
        &mut self,
        max: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let len = self.list_len(max)?;
        // A plain loop: of some thirty kinds of items, each adapter of an iterator is compiled anew.
        let mut items = Vec::new();
        for _ in 0..len {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn list_len(&mut self, max: usize) -> Result<u64, DecodeError> {
        let len = self.array()?;
        if len > max as u64 {
            return Err(self.error(alloc::format!("a list of {len} items, more than {max}")));
        }
        Ok(len)
    }

    /// Whether a null comes next; consumes it if so.
    ///
    /// # Errors
    /// When the input is at its end.
    pub fn null(&mut self) -> Result<bool, DecodeError> {
        let is_null = self.decoder.datatype().map_err(|e| self.error(e))? == Type::Null;
        if is_null {
            self.decoder.null().map_err(|e| self.error(e))?;
        }
        Ok(is_null)
    }

    /// The boolean that comes next; `None`, and nothing consumed, where something else does.
    ///
    /// # Errors
    /// When the input is at its end.
    pub fn maybe_bool(&mut self) -> Result<Option<bool>, DecodeError> {
        if self.decoder.datatype().map_err(|e| self.error(e))? == Type::Bool {
            return self.bool().map(Some);
        }
        Ok(None)
    }

    /// The unsigned integer that comes next; `None`, and nothing consumed, where something else does.
    ///
    /// # Errors
    /// When the input is at its end.
    pub fn maybe_u64(&mut self) -> Result<Option<u64>, DecodeError> {
        match self.decoder.datatype().map_err(|e| self.error(e))? {
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => self.u64().map(Some),
            _ => Ok(None),
        }
    }

    /// Expects the tag `number`.
    ///
    /// # Errors
    /// When something else comes.
    pub fn tag(&mut self, number: u64) -> Result<(), DecodeError> {
        let tag = self.decoder.tag().map_err(|e| self.error(e))?.as_u64();
        if tag == number { Ok(()) } else { Err(self.error(alloc::format!("tag {tag}"))) }
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// When something else comes.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.decoder.u64().map_err(|e| self.error(e))
    }

    /// An unsigned integer of 32 bits.
    ///
    /// # Errors
    /// When something else comes.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.decoder.u32().map_err(|e| self.error(e))
    }

    /// An unsigned integer of 16 bits.
    ///
    /// # Errors
    /// When something else comes.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.decoder.u16().map_err(|e| self.error(e))
    }

    /// An unsigned integer of 8 bits.
    ///
    /// # Errors
    /// When something else comes.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.decoder.u8().map_err(|e| self.error(e))
    }

    /// A signed integer.
    ///
    /// # Errors
    /// When something else comes.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.decoder.i64().map_err(|e| self.error(e))
    }

    /// A boolean.
    ///
    /// # Errors
    /// When something else comes.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        self.decoder.bool().map_err(|e| self.error(e))
    }

    /// A byte string of definite length.
    ///
    /// # Errors
    /// When something else comes.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        self.decoder.bytes().map_err(|e| self.error(e))
    }

    /// A byte string of exactly `N` bytes.
    ///
    /// # Errors
    /// When something else comes.
    pub fn bytes_of<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.bytes()?;
        let why = || self.error(alloc::format!("{} bytes, not {N}", bytes.len()));
        bytes.try_into().map_err(|_| why())
    }

    /// A digest.
    ///
    /// # Errors
    /// When something else comes.
    pub fn digest(&mut self) -> Result<Digest, DecodeError> {
        self.bytes_of().map(Digest)
    }

    /// A text string of definite length.
    ///
    /// # Errors
    /// When something else comes.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        self.decoder.str().map_err(|e| self.error(e))
    }

    /// A text string that parses as `T`.
    ///
    /// # Errors
    /// When something else comes.
    pub fn parse<T: core::str::FromStr<Err: core::fmt::Display>>(
        &mut self,
    ) -> Result<T, DecodeError> {
        let text = self.text()?;
        text.parse().map_err(|e: T::Err| self.error(e))
    }
}

/// Writing to a vector cannot fail; this says so once.
pub trait Infallible<T> {
    /// The value.
    fn sure(self) -> T;
}

impl<T> Infallible<T> for Result<T, minicbor::encode::Error<core::convert::Infallible>> {
    fn sure(self) -> T {
        self.expect("encoding to a vector does not fail")
    }
}
