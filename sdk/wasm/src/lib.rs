//! The verifier of the command line, for JavaScript: a passport, a receipt or evidence, a trust file and the time
//! go in, four answers come out as JSON.
//!
//! It is the code of `consign-types` and `consign-ledger`; here are only the words and the door. No clock,
//! no network, no randomness: the module imports nothing, so that there is nothing that it could call.
//!
//! `answers` says what was found, in the words of `consign verify`; `json` writes it; `door` is what
//! JavaScript calls, in `verifier.js`.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod answers;
mod cose;
#[cfg(target_arch = "wasm32")]
mod door;
mod evidence;
mod json;
mod passport;

pub use answers::{Answer, Asked, Told, Unmet, Verdict, Verification, verify};
