//! Values that every party hashes, signs and verifies alike.
//!
//! Pure and `no_std`: no clock, no I/O, no randomness, so that a device, a node, an auditor and a
//! browser run the same code. Everything here that has bytes has exactly one encoding.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod block;
pub mod causes;
pub mod certificate;
pub mod checkpoint;
pub mod claim;
pub mod codec;
pub mod commitment;
pub mod cose_receipt;
pub mod digest;
pub mod double_vote;
pub mod es256;
pub mod event;
pub mod genesis;
pub mod governance;
pub mod invite;
pub mod key;
#[cfg(feature = "key-file")]
pub mod key_file;
pub mod limits;
pub mod merkle;
pub mod note;
pub mod party;
pub mod place;
pub mod policy;
pub mod receipt;
pub mod signature_line;
pub mod signer_key;
pub mod time;
pub mod trust;
pub mod unit;
pub mod validator;
pub mod witness;
